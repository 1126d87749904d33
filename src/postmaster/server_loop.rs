//! One incarnation of the server, from fresh shared memory to the moment when that is thrown away: the loop that turns
//! what happens into events, and the table's answers into deeds.

use std::time::Duration;

use shmem_layout::{LedgerEntry, SlotIndex};

use super::children::{Children, Source};
use super::launch::Given;
use super::start::Postmaster;
use super::state::{self, Action, Event, State, WaitingFor, Why};
use crate::config;
use crate::ipc::last_words::QuitReason;
use crate::ipc::slots::SlotTable;
use crate::os::pidfd::ExitStatus;
use crate::os::process::Pid;
use crate::os::shell;
use crate::os::signal::{Signal, SignalFd};
use crate::process::kinds::{Kind, OnCrash, Stops};
use crate::process::server::{Server, signals};
use crate::report::{Report, Severity, SqlState};
use crate::sync::{Monotonic, Ordering, fence};
use crate::txn::locks::OwnerIndex;

/// How long children have to leave after SIGQUIT.
const PATIENCE: Duration = Duration::from_secs(5);

/// How an incarnation ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The postmaster exits with this code.
    Exit(u8),
    /// Shared memory is thrown away and made anew.
    StartOver,
}

/// See the module.
pub struct Incarnation<'s> {
    pub(super) postmaster: &'s mut Postmaster,
    pub(super) server: &'s Server<'s>,
    pub(super) table: SlotTable<'s>,
    pub(super) children: Children,
    pub(super) state: State,
    pub(super) spares_wanted: usize,
    /// When spares beyond the least leave.
    pub(super) shrink_at: Option<Monotonic>,
    /// Until when the archiver is not started again.
    pub(super) archiver_rests_until: Option<Monotonic>,
    patience_until: Option<Monotonic>,
    /// Whether this incarnation follows a crash, of which newcomers are told until it is over.
    after_crash: bool,
    end: Option<End>,
}

impl<'s> Incarnation<'s> {
    /// Over memory that nobody uses yet.
    pub fn new(postmaster: &'s mut Postmaster, server: &'s Server<'s>, state: State) -> Self {
        let slots = server.ipc.slots();
        postmaster.workers.publish(server.workers.slots());
        Self {
            postmaster,
            server,
            table: SlotTable::new(slots),
            children: Children::new(slots.len()),
            state,
            spares_wanted: 0,
            shrink_at: None,
            archiver_rests_until: None,
            patience_until: None,
            after_crash: matches!(state, State::NoChildren { why: Why::Crash }),
            end: None,
        }
    }

    /// Runs until its end.
    pub fn run(mut self) -> (End, State) {
        self.happen(Event::Begin);
        loop {
            self.derive();
            if let Some(end) = self.end {
                return (end, self.state);
            }
            self.maintain();
            self.postmaster.tend_watchdog();
            let sources = self.wait();
            for source in sources {
                self.on_source(source);
            }
            if self.shrink_at.is_some_and(|at| Monotonic::now() >= at) {
                self.shrink();
            }
            if self.patience_until.is_some_and(|until| Monotonic::now() >= until) {
                self.patience_until = None;
                self.happen(Event::PatienceOver);
            }
        }
    }

    fn wait(&mut self) -> Vec<Source> {
        let deadlines = [
            self.patience_until,
            self.shrink_at,
            self.next_worker_start(),
            self.next_archiver_start(),
            self.postmaster.next_deadline(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let ready = self.postmaster.epoll.wait(deadline);
        let sources = ready.map(|ready| ready.filter_map(|ready| Source::from_word(ready.data)).collect());
        sources.unwrap_or_else(|error| {
            self.log(&Report::log(format!("could not wait for events: {error}")));
            Vec::new()
        })
    }

    pub(super) fn log(&self, report: &Report) {
        self.postmaster.log(report);
    }

    /// One event, and what follows from it.
    fn happen(&mut self, event: Event) {
        let (to, actions) = state::next(self.state, event);
        self.state = to;
        self.publish_state();
        for action in actions {
            self.perform(*action);
        }
    }

    /// What others are told of the state.
    pub(super) fn state_word(&self) -> u32 {
        // Above: why not, in the order in which `backend::startup` words it.
        let why = match self.state {
            State::Startup | State::Recovery if self.after_crash => 3,
            State::Init | State::Startup => 1,
            State::Stopping { why: Why::Crash | Why::CrashWhileStopping, .. } => 3,
            State::NoChildren { why: Why::Crash } => 3,
            State::Stopping { .. } | State::NoChildren { .. } => 2,
            State::Run { draining: true } | State::HotStandby { draining: true } => 2,
            State::Recovery | State::HotStandby { .. } | State::Run { .. } => 4,
        };
        let quit = match self.state {
            State::Stopping { why: Why::Crash | Why::CrashWhileStopping, .. } => QuitReason::Crash,
            State::Stopping { why: Why::Immediate, .. } => QuitReason::Immediate,
            _ => QuitReason::Unknown,
        };
        if self.state.accepts_connections() { 1 } else { why << 8 | quit.to_word() }
    }

    /// Who accepts a connection reads this again behind it.
    fn publish_state(&self) {
        self.server.ipc.control().postmaster_state.store(self.state_word(), Ordering::SeqCst);
        // Who gives a connection slot back and goes on reads the state behind that; so either it sees the new state, or
        // whoever counts the slots after this sees one less.
        fence(Ordering::SeqCst);
    }

    /// Events that are not told but follow from who is left.
    fn derive(&mut self) {
        loop {
            let before = self.state;
            let event = match self.state {
                State::Run { draining: true } | State::HotStandby { draining: true } => {
                    (self.server.connections.count() == 0).then_some(Event::SessionsGone)
                }
                State::Stopping { why, waiting_for } => self.derive_stopping(why, waiting_for),
                _ => None,
            };
            match event {
                Some(event) => self.happen(event),
                None => return,
            }
            if self.state == before {
                return;
            }
        }
    }

    fn derive_stopping(&self, why: Why, waiting_for: WaitingFor) -> Option<Event> {
        let gone = |steps: &[Stops]| self.children.all_gone(steps);
        let is_hard = !matches!(why, Why::Smart | Why::Fast);
        match waiting_for {
            WaitingFor::Backends if is_hard => {
                gone(&[Stops::WithBackends, Stops::Archival, Stops::Checkpointer])
                    .then_some(Event::BackendsGone)
            }
            WaitingFor::Backends => gone(&[Stops::WithBackends]).then_some(Event::BackendsGone),
            // Told by the checkpointer; one that is not there cannot tell.
            WaitingFor::ShutdownCheckpoint => {
                gone(&[Stops::Checkpointer]).then_some(Event::CheckpointWritten)
            }
            WaitingFor::Archival => gone(&[Stops::Archival]).then_some(Event::ArchivalGone),
            WaitingFor::Checkpointer => gone(&[Stops::Checkpointer]).then_some(Event::CheckpointerGone),
            WaitingFor::DeadEnd => self.children.is_empty().then_some(Event::AllGone),
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::LaunchStartup => {
                self.launch_auxiliaries();
                self.launch(Kind::Startup, Given::Nothing);
            }
            Action::LaunchAuxiliaries => self.launch_auxiliaries(),
            Action::AnnounceReady => {
                self.postmaster.set_status("ready");
                self.log(&Report::log("database system is ready to accept connections"));
            }
            Action::AnnounceStandby => {
                self.postmaster.set_status("standby");
                self.log(&Report::log("database system is ready to accept read-only connections"));
            }
            Action::AnnounceStop => self.postmaster.set_status("stopping"),
            Action::LogAborting => self.log(&Report::log("aborting any active transactions")),
            Action::TerminateBackends => self.signal_step(Signal::TERM, Stops::WithBackends),
            Action::RequestShutdownCheckpoint => self.signal_step(Signal::INT, Stops::Checkpointer),
            Action::StopArchival => self.signal_step(Signal::USR2, Stops::Archival),
            Action::StopCheckpointer => self.signal_step(Signal::USR2, Stops::Checkpointer),
            Action::StopDeadEnds => self.signal_step(Signal::TERM, Stops::DeadEnd),
            Action::QuitAll => {
                self.children.signal(Signal::QUIT, |_| true);
                self.patience_until = Some(Monotonic::now().saturating_add(PATIENCE));
            }
            Action::KillAll => {
                self.log(&Report::log("issuing SIGKILL to recalcitrant children"));
                self.children.signal(Signal::KILL, |_| true);
            }
            Action::ForgetPatience => self.patience_until = None,
            Action::Reinitialize => self.start_over_or_end(),
            Action::Exit => self.end = Some(End::Exit(0)),
            Action::ExitStartupFailed => {
                self.log(&Report::log("shutting down due to startup process failure"));
                self.end = Some(End::Exit(1));
            }
            Action::ExitAbnormal => {
                self.log(&Report::log("abnormal database system shutdown"));
                self.end = Some(End::Exit(1));
            }
        }
    }

    fn start_over_or_end(&mut self) {
        self.end = Some(if self.postmaster.settings.get(config::RESTART_AFTER_CRASH) {
            self.log(&Report::log("all server processes terminated; reinitializing"));
            self.postmaster.forget_workers_of_a_crash();
            End::StartOver
        } else {
            self.log(&Report::log("shutting down because \"restart_after_crash\" is off"));
            End::Exit(1)
        });
    }

    fn signal_step(&self, signal: Signal, step: Stops) {
        self.children.signal(signal, |entry| entry.kind.info().stops == step);
    }

    fn on_source(&mut self, source: Source) {
        match source {
            Source::Signals => self.on_signals(),
            Source::Eventfd => self.on_pmsignals(),
            Source::Listener(index) => self.on_connection(index),
            Source::Logger => self.postmaster.on_logger_end(),
            Source::Child(slot) => self.on_child_end(slot),
            Source::Hangup(slot) => self.forget_child(slot),
        }
    }

    /// Frees the slot of a child that has ended, if all its I/O is over.
    fn forget_child(&mut self, slot: SlotIndex) {
        if let Some(id) = self.children.forget(&self.postmaster.epoll, slot) {
            self.server.connections.give_back(id);
            self.server.workers.forget_claims_of(id);
            self.server.activities.clear(slot);
            self.table.release(id);
        }
    }

    /// Serves whoever waits on the listening sockets.
    fn look_at_listeners(&mut self) {
        let count = self.server.listeners.borrow().len();
        (0..count).for_each(|index| self.on_connection(index));
    }

    fn on_signals(&mut self) {
        while let Some(Ok(Some(info))) = self.postmaster.signalfd.as_ref().map(SignalFd::read) {
            match info.signal {
                Signal::HUP => self.reload(),
                Signal::TERM => {
                    self.log(&Report::log("received smart shutdown request"));
                    self.happen(Event::SmartRequest);
                }
                Signal::INT => {
                    self.log(&Report::log("received fast shutdown request"));
                    self.happen(Event::FastRequest);
                }
                Signal::QUIT => {
                    self.log(&Report::log("received immediate shutdown request"));
                    self.happen(Event::ImmediateRequest);
                }
                // A child left a flag and could not write the eventfd; or nothing.
                _ => self.on_pmsignals(),
            }
        }
    }

    fn reload(&mut self) {
        self.log(&Report::log("received SIGHUP, reloading configuration files"));
        self.postmaster.reload();
        self.children.signal(Signal::HUP, |_| true);
    }

    fn on_pmsignals(&mut self) {
        self.server.postmaster_eventfd.drain();
        let taken = self.server.ipc.pmsignals().take();
        if taken.contains(signals::RECOVERY_STARTED) {
            self.happen(Event::RecoveryStarted);
        }
        if taken.contains(signals::BEGIN_HOT_STANDBY) {
            self.happen(Event::BeginHotStandby);
        }
        if taken.contains(signals::CHECKPOINT_WRITTEN) {
            self.happen(Event::CheckpointWritten);
        }
        if taken.contains(signals::START_AUTOVACUUM_WORKER) {
            self.on_autovacuum_request();
        }
        if taken.contains(signals::BACKGROUND_WORKER_CHANGE) {
            self.on_worker_change();
        }
        if taken.contains(signals::ROTATE_LOG) {
            self.postmaster.rotate_log();
        }
        if taken.contains(signals::RELOAD) {
            self.reload();
        }
        if taken.contains(signals::SPARE_TAKEN) {
            self.on_spare_taken();
        }
        if taken.contains(signals::SPARE_BACK) {
            self.on_spare_back();
        }
        if taken.contains(signals::CLIENT_MISSED) {
            self.look_at_listeners();
        }
    }

    fn on_child_end(&mut self, slot: SlotIndex) {
        let Some(status) = self.children.reap(&self.postmaster.epoll, slot) else { return };
        self.end_command(slot);
        self.on_reaped(slot, status);
        self.forget_child(slot);
    }

    /// What a dead process has started ends with it.
    fn end_command(&self, slot: SlotIndex) {
        let group = self.server.ipc.slots()[slot.index()].command_group.swap(0, Ordering::AcqRel);
        // Less than 2 is nobody's group, whoever wrote that.
        if let Some(group) = i32::try_from(group).ok().filter(|group| *group > 1).and_then(Pid::from_raw) {
            let _ = shell::kill_group(group, Signal::KILL);
        }
    }

    fn on_reaped(&mut self, slot: SlotIndex, status: ExitStatus) {
        let Some((kind, pid)) = self.children.get(slot).map(|e| (e.kind, e.pid.as_raw_nonzero().get()))
        else {
            return;
        };
        let kind = self.kind_now(slot, kind);
        let is_orderly = |kind, status| is_orderly(kind, status) && !self.has_left_something(slot);
        if kind == Kind::Startup {
            self.on_startup_end(pid, status);
        } else if kind == Kind::BackgroundWorker && is_orderly(kind, status) {
            self.on_worker_end(slot, pid, status);
        } else if is_orderly(kind, status) {
            if kind == Kind::SpareBackend && self.state.accepts_connections() {
                // It may have been the one that a waiting client woke.
                self.look_at_listeners();
            }
            if !status.is_success() && kind != Kind::Backend && kind != Kind::SpareBackend {
                self.log_end(slot, kind, pid, status);
            }
        } else {
            self.on_crash(slot, kind, pid, status);
        }
    }

    /// Whether a process that says it ended in order has left something that others would wait for, or trip over: what is in
    /// its ledger, a transaction, a critical section. Single words, as all that is read here.
    fn has_left_something(&self, slot: SlotIndex) -> bool {
        let words = &self.server.ipc.slots()[slot.index()];
        let holds = words.ledger.iter().any(|entry| entry.load(Ordering::Acquire) != LedgerEntry::FREE);
        let owner = OwnerIndex::of_process(slot);
        let runs = self.server.engine.words.xid_of(owner).is_some();
        holds || runs || words.critical_sections.load(Ordering::Acquire) != 0
    }

    /// A spare that took a client is a backend.
    fn kind_now(&self, slot: SlotIndex, forked_as: Kind) -> Kind {
        let number = self.server.ipc.slots()[slot.index()].kind.load(Ordering::Acquire);
        if forked_as == Kind::SpareBackend && Kind::from_number(number) == Some(Kind::Backend) {
            return Kind::Backend;
        }
        forked_as
    }

    fn on_startup_end(&mut self, pid: i32, status: ExitStatus) {
        let is_stopping = matches!(self.state, State::Stopping { .. });
        match status {
            ExitStatus::Exited(0) => self.happen(Event::StartupDone),
            ExitStatus::Exited(1) if is_stopping => {}
            _ => {
                self.log(&Report::log(format!("startup process (PID {pid}) {status}")));
                if !is_stopping {
                    self.log(&Report::log("aborting startup due to startup process failure"));
                }
                self.happen(Event::StartupFailed);
            }
        }
    }

    fn on_crash(&mut self, slot: SlotIndex, kind: Kind, pid: i32, status: ExitStatus) {
        let is_known = matches!(
            self.state,
            State::Stopping {
                why: Why::Immediate | Why::Crash | Why::CrashWhileStopping | Why::StartupFailed,
                ..
            }
        );
        // Whoever leaves because of a crash, or an immediate stop, is no news; PostgreSQL tells of the archiver all the same,
        // but not when it has said itself why it ends.
        let has_said_why = kind == Kind::Archiver && status == ExitStatus::Exited(1);
        if (!is_known && !has_said_why) || (is_known && kind == Kind::Archiver) {
            self.log_end(slot, kind, pid, status);
        }
        match kind.info().on_crash {
            // `maintain` starts it again.
            OnCrash::RestartAlone | OnCrash::Nothing => {}
            OnCrash::EndServer => self.happen(Event::StartupFailed),
            OnCrash::CrashRestart => {
                if !is_known {
                    self.log(&Report::log("terminating any other active server processes"));
                }
                self.happen(Event::ChildCrashed);
            }
        }
    }

    fn log_end(&self, slot: SlotIndex, kind: Kind, pid: i32, status: ExitStatus) {
        let name = self.worker_log_name(slot).unwrap_or_else(|| kind.log_name());
        let text = format!("{name} (PID {pid}) {status}");
        let mut report = Report::new(Severity::Log, SqlState::SUCCESSFUL_COMPLETION, text);
        let running = self.server.activities.read(slot).query;
        if !running.is_empty() {
            report = report.with_detail(format!("Failed process was running: {running}"));
        }
        self.log(&report);
    }
}

/// Whether a process of this kind may end so: with 0, sessions and workers also with 1, which says that their client was
/// told why.
fn is_orderly(kind: Kind, status: ExitStatus) -> bool {
    match status {
        ExitStatus::Exited(0) => true,
        ExitStatus::Exited(1) => matches!(
            kind,
            Kind::Backend
                | Kind::SpareBackend
                | Kind::DeadEnd
                | Kind::AutovacuumWorker
                | Kind::BackgroundWorker
        ),
        ExitStatus::Exited(_) | ExitStatus::Signaled { .. } => false,
    }
}
