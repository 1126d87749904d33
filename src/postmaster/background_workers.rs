//! The postmaster's own list of background workers: who is registered, who runs, who waits to be started again.
//!
//! It outlives shared memory: after a crash the workers that may come again are published anew, at once and without their
//! delays. The registry's slots are read once per registration and never believed again, and only their single words are
//! written; nothing here waits for anybody.

use std::time::Duration;

use shmem_layout::{ProcessId, SlotIndex, WorkerSlot};

use super::launch::Given;
use super::server_loop::Incarnation;
use super::state::State;
use crate::config::{self, Settings};
use crate::os::pidfd::ExitStatus;
use crate::os::signal::Signal;
use crate::process::kinds::Kind;
use crate::process::workers::{self, BackgroundWorker, Restart, StartMoment};
use crate::report::{Report, Severity, SqlState};
use crate::sync::{Monotonic, Ordering};

/// Workers started in one turn of the loop, so that many of them do not keep clients waiting.
const STARTS_AT_ONCE: usize = 100;

/// One registered worker.
pub(super) struct Registered {
    worker: BackgroundWorker,
    /// Its place in the registry.
    place: usize,
    /// The process that runs it, and its process id.
    runs: Option<(ProcessId, i32)>,
    failed_at: Option<Monotonic>,
    terminate: bool,
}

/// All of them.
#[derive(Default)]
pub(super) struct WorkerList {
    list: Vec<Registered>,
}

fn debug(text: String) -> Report {
    Report::new(Severity::Debug1, SqlState::SUCCESSFUL_COMPLETION, text)
}

impl WorkerList {
    /// Registers what the server was started with. What cannot be is logged and left out, as in PostgreSQL.
    pub(super) fn register(
        &mut self,
        workers: Vec<BackgroundWorker>,
        settings: &Settings,
        log: impl Fn(&Report),
    ) {
        let most = settings.get(config::MAX_WORKER_PROCESSES) as usize;
        for worker in workers {
            log(&debug(format!("registering background worker \"{}\"", worker.name)));
            if let Err(mut report) = worker.check() {
                report.severity = Severity::Log;
                log(&report);
            } else if worker.notify.is_some() {
                let text = format!(
                    "background worker \"{}\": only dynamic background workers can request notification",
                    worker.name
                );
                log(&Report::new(Severity::Log, SqlState::INVALID_PARAMETER_VALUE, text));
            } else if self.list.len() >= most {
                log(&too_many(most));
            } else {
                self.list.push(Registered::new(worker, self.list.len()));
            }
        }
    }

    /// Puts the list into a registry that nobody has seen yet.
    pub(super) fn publish(&mut self, slots: &[WorkerSlot]) {
        for (place, registered) in self.list.iter_mut().enumerate() {
            registered.place = place;
            if let Some(slot) = slots.get(place) {
                workers::publish(slot, &registered.worker);
            }
        }
    }

    /// Shared memory is about to be thrown away: who never comes again is forgotten, the others come at once.
    pub(super) fn start_over(&mut self, log: impl Fn(&Report)) {
        self.list.retain(|registered| {
            let stays = registered.worker.restart != Restart::Never && !registered.terminate;
            if !stays {
                log(&debug(format!("unregistering background worker \"{}\"", registered.worker.name)));
            }
            stays
        });
        for registered in &mut self.list {
            registered.runs = None;
            registered.failed_at = None;
            // Whoever waited for it is history.
            registered.worker.notify = None;
        }
    }

    fn by_process(&self, slot: SlotIndex) -> Option<usize> {
        self.list.iter().position(|registered| registered.runs.is_some_and(|(id, _)| id.slot() == slot))
    }
}

fn too_many(most: usize) -> Report {
    let workers = if most == 1 { "worker" } else { "workers" };
    Report::new(Severity::Log, SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many background workers")
        .with_detail(format!(
            "Up to {most} background {workers} can be registered with the current settings."
        ))
        .with_hint("Consider increasing the configuration parameter \"max_worker_processes\".")
}

impl Registered {
    fn new(worker: BackgroundWorker, place: usize) -> Self {
        Self { worker, place, runs: None, failed_at: None, terminate: false }
    }

    /// When it may be started again after a failure; `None`: never.
    fn due_at(&self) -> Option<Monotonic> {
        match (self.failed_at, self.worker.restart) {
            (None, _) => Some(Monotonic::from_nanos(0)),
            (Some(_), Restart::Never) => None,
            (Some(failed), Restart::AfterSeconds(s)) => {
                Some(failed.saturating_add(Duration::from_secs(u64::from(s))))
            }
        }
    }
}

impl Incarnation<'_> {
    fn worker_slot(&self, place: usize) -> Option<&WorkerSlot> {
        self.server.workers.slots().get(place)
    }

    /// The name of a background worker's process in log lines about its end.
    pub(super) fn worker_log_name(&self, slot: SlotIndex) -> Option<String> {
        let at = self.postmaster.workers.by_process(slot)?;
        let worker = &self.postmaster.workers.list[at].worker;
        Some(format!("background worker \"{}\"", worker.type_name()))
    }

    /// Somebody registered a worker, or wants one ended.
    pub(super) fn on_worker_change(&mut self) {
        let allows_new = !matches!(self.state, State::Stopping { .. } | State::NoChildren { .. });
        for place in 0..self.server.workers.slots().len() {
            let slot = &self.server.workers.slots()[place];
            if slot.registered.load(Ordering::Acquire) != 1 {
                continue;
            }
            let ends = slot.terminate.load(Ordering::Acquire) != 0;
            match self.postmaster.workers.list.iter().position(|known| known.place == place) {
                Some(at) if ends => self.end_worker(at),
                Some(_) => {}
                None if ends || !allows_new => self.refuse_worker(place),
                None => self.take_worker(place),
            }
        }
    }

    fn take_worker(&mut self, place: usize) {
        let Some(slot) = self.worker_slot(place) else { return };
        let worker = workers::read(slot);
        self.log(&debug(format!("registering background worker \"{}\"", worker.name)));
        self.postmaster.workers.list.push(Registered::new(worker, place));
    }

    /// One that will never be started.
    fn refuse_worker(&self, place: usize) {
        let Some(slot) = self.worker_slot(place) else { return };
        let notify = ProcessId::from_word(slot.notify.load(Ordering::Relaxed));
        workers::free(slot);
        self.notify(notify);
    }

    fn end_worker(&mut self, at: usize) {
        let registered = &mut self.postmaster.workers.list[at];
        if std::mem::replace(&mut registered.terminate, true) {
            return;
        }
        match registered.runs {
            Some((id, _)) => self.children.signal(Signal::TERM, |entry| entry.id == id),
            None => self.forget_worker(at),
        }
    }

    /// Writes what became of a worker and wakes who wants to know.
    fn tell_pid(&self, at: usize, pid: i32) {
        let registered = &self.postmaster.workers.list[at];
        if let Some(slot) = self.worker_slot(registered.place) {
            slot.pid.store(pid as u32, Ordering::Release);
        }
        self.notify(registered.worker.notify);
    }

    fn notify(&self, whom: Option<ProcessId>) {
        if let Some(process) = whom {
            self.children.signal(Signal::USR1, |entry| entry.id == process);
        }
    }

    /// Its slot is free before anybody is told, so that who waited for its end can have the slot.
    fn forget_worker(&mut self, at: usize) {
        let registered = self.postmaster.workers.list.swap_remove(at);
        self.log(&debug(format!("unregistering background worker \"{}\"", registered.worker.name)));
        if let Some(slot) = self.worker_slot(registered.place) {
            workers::free(slot);
        }
        self.notify(registered.worker.notify);
    }

    /// Starts those whose time has come, and forgets those who will not come again.
    pub(super) fn start_workers(&mut self) {
        let (mut at, mut started, now) = (0, 0, Monotonic::now());
        while let Some(registered) = self.postmaster.workers.list.get(at) {
            let due = registered.due_at();
            if registered.runs.is_some() {
                at += 1;
            } else if registered.terminate || due.is_none() {
                self.forget_worker(at);
            } else if due.is_some_and(|due| due <= now) && self.may_run(registered.worker.start) {
                if started == STARTS_AT_ONCE {
                    return;
                }
                started += 1;
                self.start_worker(at, now);
                at += 1;
            } else {
                at += 1;
            }
        }
    }

    fn may_run(&self, start: StartMoment) -> bool {
        match self.state {
            State::Run { .. } => true,
            State::HotStandby { .. } => start <= StartMoment::ConsistentState,
            State::Startup | State::Recovery => start == StartMoment::PostmasterStart,
            State::Init | State::Stopping { .. } | State::NoChildren { .. } => false,
        }
    }

    fn start_worker(&mut self, at: usize, now: Monotonic) {
        let worker = self.postmaster.workers.list[at].worker.clone();
        self.log(&debug(format!("starting background worker process \"{}\"", worker.name)));
        let id = self.launch(Kind::BackgroundWorker, Given::Worker(Box::new(worker)));
        let child = id.and_then(|id| self.children.get(id.slot()));
        let runs = child.map(|child| (child.id, child.pid.as_raw_nonzero().get()));
        let registered = &mut self.postmaster.workers.list[at];
        registered.runs = runs;
        // One that could not be forked is tried again as if it had failed.
        registered.failed_at = runs.is_none().then_some(now);
        if let Some((_, pid)) = runs {
            self.tell_pid(at, pid);
        }
    }

    /// When a worker is to be started again, if one is.
    pub(super) fn next_worker_start(&self) -> Option<Monotonic> {
        let waiting = self.postmaster.workers.list.iter().filter(|r| r.runs.is_none());
        waiting.filter(|r| self.may_run(r.worker.start)).filter_map(Registered::due_at).min()
    }

    /// A worker ended with 0 or 1.
    pub(super) fn on_worker_end(&mut self, slot: SlotIndex, pid: i32, status: ExitStatus) {
        let name = self.worker_log_name(slot).unwrap_or_else(|| "background worker".to_owned());
        let severity = if status.is_success() { Severity::Debug1 } else { Severity::Log };
        self.log(&Report::new(
            severity,
            SqlState::SUCCESSFUL_COMPLETION,
            format!("{name} (PID {pid}) {status}"),
        ));
        let Some(at) = self.postmaster.workers.by_process(slot) else { return };
        let registered = &mut self.postmaster.workers.list[at];
        registered.runs = None;
        if status.is_success() {
            registered.terminate = true;
        } else {
            registered.failed_at = Some(Monotonic::now());
        }
        if registered.terminate || registered.worker.restart == Restart::Never {
            self.forget_worker(at);
        } else {
            self.tell_pid(at, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_comes_again_after_its_interval_or_never() {
        let failed = Monotonic::from_nanos(5_000_000_000);
        for (failed_at, restart, due) in [
            (None, Restart::Never, Some(0)),
            (None, Restart::AfterSeconds(9), Some(0)),
            (Some(failed), Restart::Never, None),
            (Some(failed), Restart::AfterSeconds(0), Some(5_000_000_000)),
            (Some(failed), Restart::AfterSeconds(3), Some(8_000_000_000)),
        ] {
            let worker = BackgroundWorker { restart, ..BackgroundWorker::new("w", "main") };
            let registered = Registered { failed_at, ..Registered::new(worker, 0) };
            assert_eq!(registered.due_at().map(Monotonic::as_nanos), due, "{failed_at:?} {restart:?}");
        }
    }

    #[test]
    fn after_a_crash_only_those_stay_that_come_again() {
        let mut workers = WorkerList::default();
        for (name, restart, terminate) in [
            ("never", Restart::Never, false),
            ("again", Restart::AfterSeconds(60), false),
            ("ended", Restart::AfterSeconds(60), true),
        ] {
            let worker = BackgroundWorker { restart, ..BackgroundWorker::new(name, "main") };
            let failed_at = Some(Monotonic::now());
            let registered = Registered { failed_at, terminate, ..Registered::new(worker, 3) };
            workers.list.push(registered);
        }
        let said = std::cell::RefCell::new(Vec::new());
        workers.start_over(|report| said.borrow_mut().push(report.message.clone()));
        let names: Vec<&str> = workers.list.iter().map(|r| r.worker.name.as_str()).collect();
        assert_eq!(names, ["again"]);
        assert_eq!(workers.list[0].failed_at, None, "at once");
        assert_eq!(
            *said.borrow(),
            ["unregistering background worker \"never\"", "unregistering background worker \"ended\""]
        );
    }
}
