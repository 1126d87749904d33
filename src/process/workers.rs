//! The registry of background workers: what a registration says, the slots in shared memory, and a handle's questions.
//!
//! A registration names a function of [`Server::worker_functions`](super::server::Server), since an address means nothing
//! in another process. It is made before the server starts (`postmaster::Options`), or at run time by any process: that
//! claims a slot with one compare-and-swap, fills it, marks it registered and leaves a PMSIGNAL; the postmaster copies it
//! into a list of its own and from then on believes that copy. A claim that its process did not live to complete is found
//! by its `claim`. The order of a slot's words is in `shmem_layout::workers`.

use shmem_layout::workers::{WORKER_EXTRA_WORDS, WORKER_NAME_WORDS};
use shmem_layout::{ProcessId, WorkerSlot};

use super::background_worker::Worker;
use super::shared_text::{bytes, put, put_bytes, text};
use crate::report::{Report, Result, SqlState};
use crate::sync::Ordering;

/// Bytes of a name.
pub const NAME_BYTES: usize = WORKER_NAME_WORDS * 8 - 1;
/// Bytes that a registration may carry beside its argument.
pub const EXTRA_BYTES: usize = WORKER_EXTRA_WORDS * 8;
/// Longest restart interval: a day.
const MAX_RESTART_S: u32 = 86_400;
const WANTS_DATABASE: u32 = 1;

/// A function that workers can be registered with.
#[derive(Clone, Copy, Debug)]
pub struct WorkerFunction {
    /// Its name in registrations.
    pub name: &'static str,
    /// The worker's life. It ends with 0 if it is done for good, with 1 if it is to come again after its restart
    /// interval; any other end is a crash.
    pub main: fn(Worker<'_>) -> !,
}

/// When a worker is started first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum StartMoment {
    /// At once.
    PostmasterStart = 0,
    /// When the database is consistent: on a standby, when read-only sessions are let in.
    ConsistentState = 1,
    /// When recovery has ended.
    RecoveryFinished = 2,
}

impl StartMoment {
    const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::PostmasterStart,
            1 => Self::ConsistentState,
            _ => Self::RecoveryFinished,
        }
    }
}

/// Whether a worker that failed comes again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// Not.
    Never,
    /// So many seconds later.
    AfterSeconds(u32),
}

/// A registration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackgroundWorker {
    /// What titles and the log call it; cut to [`NAME_BYTES`].
    pub name: String,
    /// `pg_stat_activity.backend_type`; empty: the name. Workers of one type may have different names.
    pub worker_type: String,
    /// When it is started.
    pub start: StartMoment,
    /// Whether it comes again.
    pub restart: Restart,
    /// Name of its function.
    pub function: String,
    /// Handed to it.
    pub argument: u64,
    /// Handed to it too; at most [`EXTRA_BYTES`].
    pub extra: Vec<u8>,
    /// Whether it will connect to a database.
    pub wants_database: bool,
    /// Who is woken when it starts and when it ends; only for one that is registered at run time.
    pub notify: Option<ProcessId>,
}

impl BackgroundWorker {
    /// A worker that starts when recovery has ended and is not started again.
    pub fn new(name: impl Into<String>, function: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            worker_type: String::new(),
            start: StartMoment::RecoveryFinished,
            restart: Restart::Never,
            function: function.into(),
            argument: 0,
            extra: Vec::new(),
            wants_database: false,
            notify: None,
        }
    }

    /// What the log calls its process.
    pub fn type_name(&self) -> &str {
        if self.worker_type.is_empty() { &self.name } else { &self.worker_type }
    }

    /// Whether it can be registered, in PostgreSQL's words.
    ///
    /// # Errors
    /// 22023 if what it asks for cannot be.
    pub fn check(&self) -> Result<()> {
        let refused = |what: &str| {
            let text = format!("background worker \"{}\": {what}", self.name);
            Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, text))
        };
        if self.wants_database && self.start == StartMoment::PostmasterStart {
            return refused("cannot request database access if starting at postmaster start");
        }
        match self.restart {
            Restart::AfterSeconds(seconds) if seconds > MAX_RESTART_S => refused("invalid restart interval"),
            _ if self.extra.len() > EXTRA_BYTES => refused("extra data is too long"),
            _ => Ok(()),
        }
    }
}

/// What became of a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WorkerStatus {
    /// It runs, as this process id.
    Running(i32),
    /// The postmaster has not started it yet.
    NotYetStarted,
    /// It has ended, or waits to be started again, or is forgotten.
    Stopped,
    /// The postmaster is dead, so nothing more will become of it.
    PostmasterDied,
}

/// A registration made at run time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkerHandle {
    slot: usize,
    generation: u32,
}

/// The slots.
#[derive(Clone, Copy)]
pub struct Workers<'s> {
    slots: &'s [WorkerSlot],
}

impl<'s> Workers<'s> {
    /// Over as many slots as `max_worker_processes`.
    pub fn new(slots: &'s [WorkerSlot]) -> Self {
        Self { slots }
    }

    /// The slots.
    pub fn slots(self) -> &'s [WorkerSlot] {
        self.slots
    }

    /// Registers a worker for `me`; the postmaster is yet to be told. `None`: no slot is free.
    ///
    /// # Errors
    /// What [`BackgroundWorker::check`] refuses.
    pub fn register(self, worker: &BackgroundWorker, me: ProcessId) -> Result<Option<WorkerHandle>> {
        worker.check()?;
        let Some(slot) = self.slots.iter().position(|slot| claim(slot, me.to_word())) else {
            return Ok(None);
        };
        Ok(Some(WorkerHandle { slot, generation: fill(&self.slots[slot], worker) }))
    }

    /// What became of it, as the postmaster wrote it last.
    pub fn status(self, handle: WorkerHandle) -> WorkerStatus {
        let slot = &self.slots[handle.slot];
        let pid = slot.pid.load(Ordering::Acquire);
        // Behind the pid: a slot that was given to another registration meanwhile has another generation.
        if !is_current(slot, handle) {
            return WorkerStatus::Stopped;
        }
        match pid {
            WorkerSlot::NOT_STARTED => WorkerStatus::NotYetStarted,
            0 => WorkerStatus::Stopped,
            pid => WorkerStatus::Running(pid as i32),
        }
    }

    /// Marks it to be ended for good; `false` if it is forgotten already. The postmaster is yet to be told.
    pub fn request_end(self, handle: WorkerHandle) -> bool {
        let slot = &self.slots[handle.slot];
        let is_current = is_current(slot, handle);
        if is_current {
            slot.terminate.store(1, Ordering::Release);
        }
        is_current
    }

    /// Frees what a process that is gone had claimed and not completed.
    pub fn forget_claims_of(self, dead: ProcessId) {
        for slot in self.slots {
            if slot.registered.load(Ordering::Acquire) == 0 {
                let claim = &slot.claim;
                let _ = claim.compare_exchange(dead.to_word(), 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }
}

fn is_current(slot: &WorkerSlot, handle: WorkerHandle) -> bool {
    slot.generation.load(Ordering::Acquire) == handle.generation
        && slot.registered.load(Ordering::Acquire) == 1
}

fn claim(slot: &WorkerSlot, who: u64) -> bool {
    slot.claim.load(Ordering::Relaxed) == 0
        && slot.claim.compare_exchange(0, who, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// Registers what the postmaster has in its own list, in a slot of memory that nobody else knows yet; the generation.
pub fn publish(slot: &WorkerSlot, worker: &BackgroundWorker) -> u32 {
    slot.claim.store(WorkerSlot::BY_POSTMASTER, Ordering::Relaxed);
    fill(slot, worker)
}

/// Writes a claimed slot and marks it registered; its new generation.
fn fill(slot: &WorkerSlot, worker: &BackgroundWorker) -> u32 {
    let restart = match worker.restart {
        Restart::Never => WorkerSlot::NEVER,
        Restart::AfterSeconds(seconds) => seconds,
    };
    let generation = slot.generation.load(Ordering::Relaxed).wrapping_add(1);
    slot.generation.store(generation, Ordering::Relaxed);
    slot.notify.store(worker.notify.map_or(0, ProcessId::to_word), Ordering::Relaxed);
    slot.argument.store(worker.argument, Ordering::Relaxed);
    slot.terminate.store(0, Ordering::Relaxed);
    slot.pid.store(WorkerSlot::NOT_STARTED, Ordering::Relaxed);
    slot.start.store(worker.start as u32, Ordering::Relaxed);
    slot.restart_s.store(restart, Ordering::Relaxed);
    slot.flags.store(if worker.wants_database { WANTS_DATABASE } else { 0 }, Ordering::Relaxed);
    put(&slot.name, &worker.name);
    put(&slot.worker_type, &worker.worker_type);
    put(&slot.function, &worker.function);
    let extra = put_bytes(&slot.extra, &worker.extra);
    slot.extra_len.store(extra as u32, Ordering::Relaxed);
    slot.registered.store(1, Ordering::Release);
    generation
}

/// Copies a registration out of a slot that is marked registered. Whatever stands there is a registration.
pub fn read(slot: &WorkerSlot) -> BackgroundWorker {
    let number = |word: &crate::sync::AtomicU32| word.load(Ordering::Relaxed);
    BackgroundWorker {
        name: text(&slot.name),
        worker_type: text(&slot.worker_type),
        start: StartMoment::from_number(number(&slot.start)),
        restart: match number(&slot.restart_s) {
            WorkerSlot::NEVER => Restart::Never,
            seconds => Restart::AfterSeconds(seconds.min(MAX_RESTART_S)),
        },
        function: text(&slot.function),
        argument: slot.argument.load(Ordering::Relaxed),
        extra: bytes(&slot.extra, number(&slot.extra_len) as usize),
        wants_database: number(&slot.flags) & WANTS_DATABASE != 0,
        notify: ProcessId::from_word(slot.notify.load(Ordering::Relaxed)),
    }
}

/// Frees a slot; handles to its registration say stopped from here on.
pub fn free(slot: &WorkerSlot) {
    slot.pid.store(0, Ordering::Release);
    slot.registered.store(0, Ordering::Release);
    slot.claim.store(0, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use shmem_layout::{Generation, SlotIndex};

    use super::*;

    fn slots(count: usize) -> Vec<WorkerSlot> {
        let zeroed = || WorkerSlot {
            claim: Default::default(),
            notify: Default::default(),
            argument: Default::default(),
            generation: Default::default(),
            registered: Default::default(),
            terminate: Default::default(),
            pid: Default::default(),
            start: Default::default(),
            restart_s: Default::default(),
            flags: Default::default(),
            extra_len: Default::default(),
            reserved: [0; 8],
            name: Default::default(),
            worker_type: Default::default(),
            function: Default::default(),
            extra: Default::default(),
            tail: [0; 32],
        };
        (0..count).map(|_| zeroed()).collect()
    }

    fn process(slot: usize) -> ProcessId {
        ProcessId::new(SlotIndex::new(slot).unwrap(), Generation(3))
    }

    #[test]
    fn a_registration_comes_back_as_it_was() {
        let slots = slots(1);
        let worker = BackgroundWorker {
            worker_type: "kind".to_owned(),
            start: StartMoment::ConsistentState,
            restart: Restart::AfterSeconds(7),
            argument: u64::MAX,
            extra: vec![1, 2, 3, 0, 5, 6, 7, 8, 9],
            wants_database: true,
            notify: Some(process(2)),
            ..BackgroundWorker::new("name", "main")
        };
        Workers::new(&slots).register(&worker, process(2)).unwrap().unwrap();
        assert_eq!(read(&slots[0]), worker);
    }

    #[test]
    fn a_handle_is_about_one_registration() {
        let slots = slots(1);
        let workers = Workers::new(&slots);
        let worker = BackgroundWorker::new("a", "main");
        let first = workers.register(&worker, process(1)).unwrap().unwrap();
        assert_eq!(workers.register(&worker, process(1)).unwrap(), None, "the only slot is taken");
        assert_eq!(workers.status(first), WorkerStatus::NotYetStarted);
        slots[0].pid.store(77, Ordering::Release);
        assert_eq!(workers.status(first), WorkerStatus::Running(77));
        free(&slots[0]);
        assert_eq!(workers.status(first), WorkerStatus::Stopped);
        let second = workers.register(&worker, process(1)).unwrap().unwrap();
        assert_eq!(workers.status(first), WorkerStatus::Stopped, "the slot is another's");
        assert!(!workers.request_end(first));
        assert_eq!(slots[0].terminate.load(Ordering::Relaxed), 0);
        assert!(workers.request_end(second));
    }

    #[test]
    fn a_half_made_claim_is_freed_for_its_dead_owner_only() {
        let slots = slots(2);
        let workers = Workers::new(&slots);
        assert!(claim(&slots[0], process(1).to_word()));
        workers.register(&BackgroundWorker::new("a", "main"), process(1)).unwrap().unwrap();
        workers.forget_claims_of(process(2));
        assert_ne!(slots[0].claim.load(Ordering::Relaxed), 0);
        workers.forget_claims_of(process(1));
        assert_eq!(slots[0].claim.load(Ordering::Relaxed), 0);
        assert_ne!(slots[1].claim.load(Ordering::Relaxed), 0, "a whole registration outlives who made it");
    }

    #[test]
    fn what_cannot_be_is_refused_in_postgresqls_words() {
        let base = BackgroundWorker::new("w", "main");
        let early =
            BackgroundWorker { start: StartMoment::PostmasterStart, wants_database: true, ..base.clone() };
        let late = BackgroundWorker { restart: Restart::AfterSeconds(MAX_RESTART_S + 1), ..base.clone() };
        let long = BackgroundWorker { extra: vec![0; EXTRA_BYTES + 1], ..base.clone() };
        for (worker, message) in [
            (
                early,
                "background worker \"w\": cannot request database access if starting at postmaster start",
            ),
            (late, "background worker \"w\": invalid restart interval"),
            (long, "background worker \"w\": extra data is too long"),
        ] {
            let report = worker.check().unwrap_err();
            assert_eq!((report.sqlstate.code(), &*report.message), ("22023", message));
        }
        assert!(base.check().is_ok());
    }
}
