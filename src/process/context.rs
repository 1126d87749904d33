//! What a child process is given, and the loop that all auxiliary processes share.
//!
//! A child inherits the postmaster's [`Server`] by fork and never changes it; what is its own is in its
//! [`ProcessContext`]. Its `main` makes a struct and hands [`ProcessContext::run`] a step: the loop waits, tells the step
//! why it woke, and does what is the same for all: reads the settings again, leaves when told to, and notices the death of
//! the postmaster.

use std::cell::Cell;
use std::os::fd::AsFd;
use std::sync::Arc;

use jiff::Timestamp;
use shmem_layout::{Phase, ProcessId};

use super::access::Access;
use super::kinds::Kind;
use super::server::Server;
use super::settings::log_config;
use super::title::Title;
use super::workers::BackgroundWorker;
use crate::access::Store;
use crate::config::{self, Reader, Settings};
use crate::ipc::hangup::Lifeline;
use crate::ipc::last_words::LastWords;
use crate::ipc::{Interrupts, Proc, WaitEvent, WaitSet};
use crate::log::{Client, LineNumbers, Log, LogContext};
use crate::os::process;
use crate::report::{self, Report, Severity, SqlState};
use crate::sync::{Monotonic, Ordering};
use crate::wal::SyncMethod;

/// Why a step is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wake {
    /// Its deadline came.
    pub timed_out: bool,
    /// Interrupts taken, beside those that the loop handles.
    pub interrupts: Interrupts,
    /// The settings were read again.
    pub reloaded: bool,
}

/// What a step wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextWait {
    /// Wait for the latch, at most until then.
    Until(Option<Monotonic>),
    /// Leave with this code.
    Exit(i32),
}

/// The other end of a session, as the log names it.
#[derive(Clone, Debug, Default)]
pub struct Speaker {
    /// User and database, once the startup packet is read.
    pub names: Option<(String, String)>,
    /// `[local]` or the client's address.
    pub remote_host: String,
    /// The client's port, if it has one.
    pub remote_port: Option<u16>,
    /// `[local]` or the address that it connected to.
    pub local_host: String,
    /// The statement that runs.
    pub query: Option<Arc<str>>,
}

/// A child.
pub struct ProcessContext<'s> {
    /// What kind it is.
    pub kind: Kind,
    /// Slot and generation.
    pub id: ProcessId,
    /// What the postmaster made before it forked.
    pub server: &'s Server<'s>,
    /// The process as the primitives see it.
    pub me: &'s Proc<'s>,
    /// What SIGQUIT says to its client.
    pub last_words: &'s LastWords<'s>,
    /// Its settings: the postmaster's at the time of the fork, then its own.
    pub settings: &'s mut Settings,
    /// Where its reports go.
    pub log: &'s mut Log,
    /// Its end of the hang-up pipe.
    pub lifeline: Option<Lifeline>,
    /// The same for a ring that flushes the log, where the settings ask for one.
    pub wal_lifeline: Cell<Option<Lifeline>>,
    /// Its store, from when it needed one first.
    pub store: Cell<Option<&'s Store<'s>>>,
    /// Who may come in.
    pub access: &'s mut Access,
    /// What it was registered with, if it is a background worker; its `main` takes it.
    pub worker: Option<BackgroundWorker>,
    /// Its type if it is a background worker: what the log calls it.
    pub worker_type: Option<String>,
    /// What `ps` shows.
    pub title: Title,
    /// When it was forked.
    pub started: Timestamp,
    /// Counts its log lines.
    pub lines: LineNumbers,
    /// Its client, if it has one.
    pub speaker: Option<Speaker>,
    /// The postmaster's state at the fork, by which a dead-end child says why it is one.
    pub forked_in: u32,
    /// Whether it has read its settings again.
    pub reloaded: bool,
}

impl<'s> ProcessContext<'s> {
    /// The process is ready: from here on it is `Running`.
    pub fn set_running(&self) {
        self.me.slot().pid.store(process::pid().as_raw_nonzero().get() as u32, Ordering::Relaxed);
        self.me.slot().phase.store(Phase::Running as u32, Ordering::Release);
    }

    /// A wait set that also ends at the postmaster's death and holds the lifeline.
    pub fn wait_set(&mut self) -> WaitSet<'s> {
        self.try_wait_set().unwrap_or_else(|report| {
            self.log(&report);
            self.exit(1)
        })
    }

    /// The same for a process that has somebody to tell if it can't be had.
    pub fn try_wait_set(&mut self) -> report::Result<WaitSet<'s>> {
        let failed = |text: String| Report::fatal(SqlState::SYSTEM_ERROR, text);
        let postmaster = self.server.postmaster.as_ref().map(AsFd::as_fd);
        let made = WaitSet::new(self.me, self.server.io_method, postmaster);
        let mut set = made.map_err(|error| failed(error.to_string()))?;
        if let Some(lifeline) = self.lifeline.take() {
            if self.settings.get(config::WAL_SYNC_METHOD) == SyncMethod::IoUringDsync.name() {
                self.wal_lifeline.set(lifeline.duplicate().ok());
            }
            let lock = self.server.instance_lock.as_ref().map(AsFd::as_fd);
            let held = set.hold(lifeline, lock);
            held.map_err(|error| failed(format!("could not hold the instance lock: {error}")))?;
        }
        Ok(set)
    }

    /// What the log calls it.
    fn backend_type(&self) -> &str {
        self.worker_type.as_deref().unwrap_or(self.kind.info().backend_type)
    }

    /// Logs a report.
    pub fn log(&self, report: &Report) {
        let query = self.speaker.as_ref().and_then(|speaker| speaker.query.as_deref());
        self.log_of(report, query);
    }

    /// Logs a report that shows the statement already, or says nothing of it.
    pub fn log_without_statement(&self, report: &Report) {
        self.log_of(report, None);
    }

    fn log_of(&self, report: &Report, query: Option<&str>) {
        let pid = process::pid().as_raw_nonzero().get() as u32;
        let mut context = LogContext::new(pid, self.backend_type(), self.started, &self.lines);
        context.activity = self.title.activity();
        if let Some(speaker) = &self.speaker {
            context.application_name = self.settings.get(config::APPLICATION_NAME);
            context.query = query;
            context.client = Some(Client {
                user: speaker.names.as_ref().map(|names| names.0.as_str()),
                database: speaker.names.as_ref().map(|names| names.1.as_str()),
                remote_host: Some(&speaker.remote_host),
                remote_port: speaker.remote_port,
                local_host: Some(&speaker.local_host),
            });
        }
        self.log.emit(report, &context);
    }

    /// Whether connections are logged.
    pub fn logs_connections(&self) -> bool {
        !matches!(self.settings.get(config::LOG_CONNECTIONS), "" | "off" | "no" | "false" | "0")
    }

    /// Reads the settings again. The postmaster has logged what it found; a child says nothing.
    pub fn reload(&mut self) {
        self.reloaded = true;
        let _ = self.settings.reload(Reader::Child);
        self.log.reload(log_config(self.settings));
        // What is wrong now stays as it was; the postmaster has said so.
        let _ = self.access.reload(self.settings);
    }

    /// Something without which this process cannot work.
    pub fn die(&self, message: &str) -> ! {
        self.log(&Report::new(Severity::Fatal, SqlState::SYSTEM_ERROR, message));
        self.exit(1)
    }

    /// Leaves in order.
    pub fn exit(&self, code: i32) -> ! {
        self.me.slot().phase.store(Phase::Exiting as u32, Ordering::Release);
        process::exit_now(code)
    }

    /// The life of an auxiliary process: `step` is called once at the start and after each wake-up.
    ///
    /// SIGTERM (and SIGINT) end it with 0, unless it is in `own`, the interrupts that the step handles itself. The
    /// postmaster's death ends it with 1.
    pub fn run(
        mut self,
        event: WaitEvent,
        own: Interrupts,
        mut step: impl FnMut(&mut Self, Wake) -> NextWait,
    ) -> ! {
        let mut set = self.wait_set();
        self.set_running();
        let mut wake = Wake { timed_out: false, interrupts: Interrupts::NONE, reloaded: false };
        let code = loop {
            let deadline = match step(&mut self, wake) {
                NextWait::Until(deadline) => deadline,
                NextWait::Exit(code) => break code,
            };
            let woken = match set.wait(self.me, &[], deadline, event) {
                Ok(woken) => woken,
                Err(error) => self.die(&format!("could not wait: {error}")),
            };
            self.me.latch().reset();
            if woken.postmaster_dead {
                break 1;
            }
            let taken = self.me.take_interrupts(Interrupts::ALL);
            let ends = Interrupts::TERMINATE.without(own);
            if !taken.intersection(ends).is_empty() {
                break 0;
            }
            let reloaded = taken.contains(Interrupts::RELOAD);
            if reloaded {
                self.reload();
            }
            wake = Wake { timed_out: woken.timed_out, interrupts: taken, reloaded };
        };
        // In this order: nothing is in flight when the hang-up pipe closes.
        drop(set);
        self.exit(code)
    }
}
