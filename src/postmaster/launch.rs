//! Who is forked when, and what a child does before its `main`.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use shmem_layout::ProcessId;

use super::children::{Children, Entry};
use super::server_loop::Incarnation;
use super::start::Inheritance;
use super::state::State;
use crate::config;
use crate::ipc::hangup::hangup_pipe;
use crate::ipc::last_words::LastWords;
use crate::ipc::{Interrupts, signals};
use crate::os::process::{self, Fork};
use crate::os::signal::{self, Signal};
use crate::process::context::ProcessContext;
use crate::process::kinds::Kind;
use crate::process::workers::BackgroundWorker;
use crate::process::{accept, serve_accepted};
use crate::report::Report;
use crate::sync::{Monotonic, Ordering};

/// What a child is given beside what all have.
pub(super) enum Given {
    /// Nothing.
    Nothing,
    /// A client.
    Client(OwnedFd),
    /// What a background worker was registered with.
    Worker(Box<BackgroundWorker>),
}

/// Process slots that no client can use up.
const SLOTS_FOR_AUXILIARIES: usize = 16;

/// How long no burst comes before spares that one called leave.
const CALM: Duration = Duration::from_secs(10);

/// Least time between two starts of the archiver.
const ARCHIVER_REST: Duration = Duration::from_secs(10);

/// Kinds that are kept running while their state lasts, in the order in which they are started.
const AUXILIARIES: [Kind; 7] = [
    Kind::Checkpointer,
    Kind::BackgroundWriter,
    Kind::WalWriter,
    Kind::Statistics,
    Kind::Archiver,
    Kind::AutovacuumLauncher,
    Kind::Metrics,
];

/// What signals mean to every child but the logger; SIGQUIT is not among them.
pub const CHILD_SIGNALS: [(Signal, Interrupts); 7] = [
    (Signal::HUP, Interrupts::RELOAD),
    (Signal::INT, Interrupts::CANCEL),
    (Signal::TERM, Interrupts::TERMINATE),
    (Signal::USR1, Interrupts::MESSAGE),
    (Signal::USR2, Interrupts::LEAVE),
    (Signal::FPE, Interrupts::FLOATING_POINT),
    (Signal::POWER, Interrupts::POSTMASTER_DEATH),
];

impl Incarnation<'_> {
    /// Starts whoever is wanted in this state and does not run.
    pub(super) fn launch_auxiliaries(&mut self) {
        for kind in AUXILIARIES {
            if self.children.count(kind) == 0 && self.is_wanted(kind) {
                if kind == Kind::Archiver {
                    self.archiver_rests_until = Some(Monotonic::now().saturating_add(ARCHIVER_REST));
                }
                self.launch(kind, Given::Nothing);
            }
        }
    }

    fn is_wanted(&self, kind: Kind) -> bool {
        let settings = &self.postmaster.settings;
        let runs = matches!(self.state, State::Run { .. });
        let serves = runs || matches!(self.state, State::HotStandby { .. });
        let lives = serves || matches!(self.state, State::Startup | State::Recovery);
        match kind {
            Kind::Checkpointer | Kind::BackgroundWriter | Kind::Statistics => lives,
            Kind::WalWriter => runs,
            Kind::AutovacuumLauncher => runs && settings.get(config::AUTOVACUUM),
            Kind::Archiver => runs && self.postmaster.archives() && self.archiver_may_start(),
            Kind::Metrics => serves && settings.get(config::METRICS_PORT) > 0,
            _ => false,
        }
    }

    /// Keeps the numbers up; called whenever something happened.
    pub(super) fn maintain(&mut self) {
        if matches!(self.state, State::Stopping { .. } | State::NoChildren { .. } | State::Init) {
            let polls = self.state.takes_connections() && self.has_room_for_clients();
            self.postmaster.watch_listeners(self.server, polls);
            return;
        }
        self.launch_auxiliaries();
        self.start_workers();
        let spares = if self.state.accepts_connections() { self.launch_spares() } else { self.spares() };
        // While there is no spare, the postmaster polls the listening sockets itself.
        // Whoever has no place among the processes waits in the sockets' queues.
        let polls = spares == 0 && self.has_room_for_clients();
        self.postmaster.watch_listeners(self.server, polls);
    }

    /// Whether a client can have a process slot without taking it from an auxiliary process or a worker.
    fn has_room_for_clients(&self) -> bool {
        let settings = &self.postmaster.settings;
        let workers =
            settings.get(config::MAX_WORKER_PROCESSES) + settings.get(config::AUTOVACUUM_WORKER_SLOTS);
        let running =
            self.children.count(Kind::BackgroundWorker) + self.children.count(Kind::AutovacuumWorker);
        self.table.free() > SLOTS_FOR_AUXILIARIES + (workers as usize).saturating_sub(running)
    }

    /// One that fails at once is not started again in a loop.
    fn archiver_may_start(&self) -> bool {
        self.archiver_rests_until.is_none_or(|until| Monotonic::now() >= until)
    }

    /// When it is looked again whether the archiver is to be started.
    pub(super) fn next_archiver_start(&self) -> Option<Monotonic> {
        let is_wanted = matches!(self.state, State::Run { .. }) && self.postmaster.archives();
        let is_missing = is_wanted && self.children.count(Kind::Archiver) == 0;
        self.archiver_rests_until.filter(|_| is_missing)
    }

    /// The launcher wants a worker.
    pub(super) fn on_autovacuum_request(&mut self) {
        if !matches!(self.state, State::Run { .. }) {
            return;
        }
        if self.launch(Kind::AutovacuumWorker, Given::Nothing).is_none() {
            self.server.autovacuum.set_fork_failed();
            self.children.signal(Signal::USR1, |entry| entry.kind == Kind::AutovacuumLauncher);
        }
    }

    /// Spares that have no client; the spares learn the number too.
    fn spares(&self) -> usize {
        let count = || self.children.forked_as_spares().filter(|entry| self.is_spare(entry)).count();
        self.server.spares.recount(count)
    }

    fn is_spare(&self, entry: &Entry) -> bool {
        let number = self.server.ipc.slots()[entry.id.slot().index()].kind.load(Ordering::Acquire);
        entry.kind == Kind::SpareBackend && Kind::from_number(number) == Some(Kind::SpareBackend)
    }

    /// Keeps their number up; how many there are.
    fn launch_spares(&mut self) -> usize {
        let settings = &self.postmaster.settings;
        let least = settings.get(config::MIN_SPARE_BACKENDS) as usize;
        let most = settings.get(config::MAX_SPARE_BACKENDS) as usize;
        self.spares_wanted = self.spares_wanted.clamp(least, most.max(least));
        // Backends that come back need no successor, as long as some spares are left.
        let comes_back = settings.get(config::SESSION_REUSE);
        let enough = if comes_back { self.spares_wanted / 2 + 1 } else { self.spares_wanted };
        self.server.spares.set_limits(enough.saturating_sub(1), self.spares_wanted, most.max(least));
        let spares = self.spares();
        if spares >= enough {
            return spares;
        }
        let _ = self.postmaster.access.roles.current(&self.server.data_dir);
        for _ in spares..self.spares_wanted {
            if !self.has_room_for_clients() || self.launch(Kind::SpareBackend, Given::Nothing).is_none() {
                break;
            }
        }
        self.spares()
    }

    /// More came back than are wanted: they leave if no burst comes.
    pub(super) fn on_spare_back(&mut self) {
        if self.shrink_at.is_none() {
            self.shrink_at = Some(Monotonic::now().saturating_add(CALM));
        }
    }

    /// A spare took a client. If that was the last one, a burst is on: keep twice as many.
    pub(super) fn on_spare_taken(&mut self) {
        if self.spares() == 0 {
            self.spares_wanted = (self.spares_wanted * 2).max(1);
            self.shrink_at = Some(Monotonic::now().saturating_add(CALM));
        }
    }

    /// No burst for a while: half of the spares beyond the least leave.
    pub(super) fn shrink(&mut self) {
        let least = self.postmaster.settings.get(config::MIN_SPARE_BACKENDS) as usize;
        self.spares_wanted = (self.spares_wanted / 2).max(least);
        let more = self.spares_wanted > least;
        self.shrink_at = more.then(|| Monotonic::now().saturating_add(CALM));
        let excess = Cell::new(self.spares().saturating_sub(self.spares_wanted));
        // One that has just taken a client takes no notice of this signal.
        self.children.signal(Signal::USR2, |entry| {
            let is_chosen = excess.get() > 0 && self.is_spare(entry);
            excess.set(excess.get() - usize::from(is_chosen));
            is_chosen
        });
    }

    /// Clients wait on a listening socket that no spare polls.
    pub(super) fn on_connection(&mut self, index: usize) {
        while self.state.takes_connections() && self.has_room_for_clients() {
            let socket = {
                let listeners = self.server.listeners.borrow();
                listeners.get(index).and_then(|listener| accept(listener.fd.as_fd()))
            };
            let Some(socket) = socket else { return };
            let is_full = self.server.connections.is_full();
            let kind =
                if self.state.accepts_connections() && !is_full { Kind::Backend } else { Kind::DeadEnd };
            if self.launch(kind, Given::Client(socket)).is_none() {
                return;
            }
        }
    }

    /// Forks a child. A failure is logged, and tried again when something happens next.
    pub(super) fn launch(&mut self, kind: Kind, given: Given) -> Option<ProcessId> {
        let Some(id) = self.table.claim(kind.number()) else {
            self.log(&Report::log(format!("no process slot is free for a {}", kind.info().backend_type)));
            return None;
        };
        let (watch, lifeline) = match hangup_pipe(id) {
            Ok(pipe) => pipe,
            Err(error) => return self.not_forked(id, kind, &error.to_string()),
        };
        let forked = process::fork();
        match forked {
            Ok(Fork::Parent(child)) => {
                drop(lifeline);
                if let Err(error) = self.children.add(&self.postmaster.epoll, id, kind, child, watch) {
                    self.log(&Report::log(format!("could not watch a child process: {error}")));
                }
                Some(id)
            }
            Ok(Fork::Child) => {
                drop(watch);
                self.become_child(kind, id, lifeline, given)
            }
            Err(error) => self.not_forked(id, kind, &error.to_string()),
        }
    }

    fn not_forked(&mut self, id: ProcessId, kind: Kind, why: &str) -> Option<ProcessId> {
        self.table.release(id);
        self.log(&Report::log(format!("could not fork {} process: {why}", kind.info().backend_type)));
        None
    }

    /// The rest of a child's life. It begins with every signal blocked, as the postmaster has them.
    fn become_child(
        &mut self,
        kind: Kind,
        id: ProcessId,
        lifeline: crate::ipc::hangup::Lifeline,
        given: Given,
    ) -> ! {
        let (socket, worker) = match given {
            Given::Nothing => (None, None),
            Given::Client(socket) => (Some(socket), None),
            Given::Worker(worker) => (None, Some(*worker)),
        };
        // Its siblings' descriptors are not its business, and would keep their pipes open.
        std::mem::replace(&mut self.children, Children::new(0)).close();
        let server = self.server;
        // Before its title, so that whoever knows it by that finds the name too.
        let _ = process::set_comm("postgres");
        let forked_in = self.state_word();
        let Inheritance { title, settings, log, access, quit_messages } =
            self.postmaster.leave_to_child(kind);
        let _ = process::set_parent_death_signal(Some(Signal::POWER));
        if kind != Kind::SpareBackend {
            drop(server.listeners.take());
        }
        let me = &*Box::leak(Box::new(server.ipc.proc(id)));
        let started = jiff::Timestamp::now();
        server.activities.of(id.slot()).begin(started.as_microsecond() as u64, "", 0);
        let state = &server.ipc.control().postmaster_state;
        let last_words = &*Box::leak(Box::new(LastWords::new(state, quit_messages)));
        let ctx = ProcessContext {
            kind,
            id,
            server,
            me,
            last_words,
            settings,
            log,
            lifeline: Some(lifeline),
            wal_lifeline: Cell::new(None),
            store: Cell::new(None),
            access,
            worker,
            worker_type: None,
            title,
            started,
            lines: Default::default(),
            speaker: None,
            forked_in,
            reloaded: false,
        };
        let handled = signals::with_handlers_and_quit(me, &CHILD_SIGNALS, last_words, || {
            for ignored in [Signal::PIPE, Signal::ALARM] {
                let _ = signal::ignore(ignored);
            }
            signal::set_mask(&signal::SignalSet::empty());
            match (kind.info().main, socket) {
                (_, Some(socket)) => serve_accepted(ctx, socket),
                (Some(main), None) => main(ctx),
                (None, None) => ctx.exit(1),
            }
        });
        match handled {
            Ok(never) => never,
            Err(_) => process::exit_now(1),
        }
    }
}
