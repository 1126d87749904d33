//! What the postmaster makes before it forks anybody, and every child inherits.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::activity::Activities;
use super::archiver::ArchiverStatistics;
use super::autovacuum::board::Board;
use super::cancel_keys::CancelKeys;
use super::connections::Connections;
use super::spare_count::SpareCount;
use super::workers::{WorkerFunction, Workers};
use crate::access::Engine;
use crate::ipc::wait_set::Choice;
use crate::ipc::{Ipc, pmsignal::PmSignal};
use crate::os::eventfd::EventFd;
use crate::os::pidfd::PidFd;
use crate::sync::Ordering;
use crate::wal::SyncMethod;

/// Flags by which children ask the postmaster for something.
pub mod signals {
    use super::PmSignal;

    /// The startup process begins to replay.
    pub const RECOVERY_STARTED: PmSignal = PmSignal::new(0);
    /// The database is consistent.
    pub const BEGIN_HOT_STANDBY: PmSignal = PmSignal::new(1);
    /// The autovacuum launcher left a request for a worker.
    pub const START_AUTOVACUUM_WORKER: PmSignal = PmSignal::new(2);
    /// A background worker was registered.
    pub const BACKGROUND_WORKER_CHANGE: PmSignal = PmSignal::new(3);
    /// A spare backend took a client.
    pub const SPARE_TAKEN: PmSignal = PmSignal::new(4);
    /// Rotate the log files.
    pub const ROTATE_LOG: PmSignal = PmSignal::new(5);
    /// The shutdown checkpoint is written.
    pub const CHECKPOINT_WRITTEN: PmSignal = PmSignal::new(6);
    /// Clients may wait whom a spare was woken for that then took another.
    pub const CLIENT_MISSED: PmSignal = PmSignal::new(8);
    /// More backends became spare again than are wanted.
    pub const SPARE_BACK: PmSignal = PmSignal::new(9);
    /// Read the configuration again.
    pub const RELOAD: PmSignal = PmSignal::new(7);
}

/// A socket that clients connect to.
pub struct Listener {
    /// The socket, non-blocking.
    pub fd: OwnedFd,
    /// Its path if it is a Unix socket.
    pub path: Option<PathBuf>,
}

/// See the module.
pub struct Server<'s> {
    /// The runtime's part of shared memory.
    pub ipc: &'s Ipc<'s>,
    /// Log, pages and transactions.
    pub engine: Engine<'s>,
    /// `wal_sync_method` where nobody chose one.
    pub fastest_sync: SyncMethod,
    /// Who does what.
    pub activities: Activities<'s>,
    /// Who has which connection slot.
    pub connections: Connections<'s>,
    /// How many spares have no client.
    pub spares: &'s SpareCount,
    /// Keys of the sessions.
    pub cancel_keys: CancelKeys<'s>,
    /// Registered background workers.
    pub workers: Workers<'s>,
    /// What they can be registered with.
    pub worker_functions: &'s [WorkerFunction],
    /// The autovacuum launcher and its workers.
    pub autovacuum: Board<'s>,
    /// What the archiver has done.
    pub archiver: ArchiverStatistics<'s>,
    /// How processes wait.
    pub io_method: Choice,
    /// The data directory, absolute; also the working directory.
    pub data_dir: PathBuf,
    /// Where clients connect.
    ///
    /// Children that do not accept take them out, and so close them.
    pub listeners: &'s RefCell<Vec<Listener>>,
    /// The postmaster, to notice its death.
    pub postmaster: Option<PidFd>,
    /// Held as long as any process, or its I/O, is left.
    pub instance_lock: Option<OwnedFd>,
    /// Wakes the postmaster.
    pub postmaster_eventfd: &'s EventFd,
    /// Start of the postmaster.
    pub started: jiff::Timestamp,
}

impl Server<'_> {
    /// Whether clients are served now: whoever has just accepted one, or is about to, asks this.
    pub fn accepts_connections(&self) -> bool {
        self.ipc.control().postmaster_state.load(Ordering::SeqCst) == 1
    }

    /// Leaves a flag for the postmaster.
    pub fn signal_postmaster(&self, signal: PmSignal) {
        self.ipc.pmsignals().send(signal, self.postmaster_eventfd);
    }

    /// Whether the postmaster is there still.
    pub fn postmaster_lives(&self) -> bool {
        self.postmaster.as_ref().is_none_or(|postmaster| !postmaster.has_ended())
    }
}
