//! A small world of processes for the runtime's tests: a segment with one of each primitive, children that are forked
//! into it, and a supervisor (the test itself) that kills them and cleans up after them.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use rustix::process::Signal;
use shmem_layout::{
    BarrierState, ConditionVariableWord, LedgerEntry, LwLockState, Phase, ProcessId, QueueHeader,
    SemaphoreState, SlotIndex, shared_layout,
};
use tuskd::ipc::death::{self, CleanUpError, DeathReport};
use tuskd::ipc::queue::Queue;
use tuskd::ipc::slots::SlotTable;
use tuskd::ipc::{ConditionVariable, Ipc, LwLock, Proc, Semaphore, WaitEvent};
use tuskd::os::pidfd::ExitStatus;
use tuskd::os::process::{self, Child, Fork};
use tuskd::shmem::{HugePages, Plan, RegionSpec, Segment};
use tuskd::sync::{AtomicU64, Monotonic, Ordering};
use tuskd::txn::TransactionWords;
use tuskd::txn::locks::Locks;
use tuskd::txn::locks::regions::LockTableSize;
use tuskd::txn::map::MapFrames;
use tuskd::txn::regions::TransactionsSize;

/// Processes that a world has room for.
pub const MAX_PROCESSES: usize = 40;

/// Bytes of the ring of each queue; few, so that messages wrap.
pub const RING: usize = 4096;

/// Bytes of the buffer for tests that write a file; touched by those only.
pub const BUFFER: usize = 65 << 20;

/// The lock table's size.
const LOCKS: LockTableSize =
    LockTableSize { processes: MAX_PROCESSES, prepared: 4, locks_per_transaction: 16 };

/// One of each primitive, and numbers for the tests to count in.
#[repr(C, align(64))]
pub struct Things {
    pub numbers: [AtomicU64; 64],
    pub lock: LwLockState,
    pub semaphore: SemaphoreState,
    pub condition: ConditionVariableWord,
    pub reserved: [u8; 28],
    pub barrier: BarrierState,
}

shared_layout!(Things, size 1088, align 64, {
    0 => numbers: [AtomicU64; 64],
    512 => lock: LwLockState,
    528 => semaphore: SemaphoreState,
    544 => condition: ConditionVariableWord,
    548 => reserved: [u8; 28],
    576 => barrier: BarrierState,
});

/// The world; lives as long as its test's process.
#[derive(Clone, Copy)]
pub struct World {
    pub ipc: &'static Ipc<'static>,
    pub things: &'static Things,
    table: &'static RefCell<SlotTable<'static>>,
}

/// A forked child.
pub struct Worker {
    pub id: ProcessId,
    pub child: Child,
}

impl World {
    /// A world in ordinary pages.
    pub fn new() -> Self {
        Self::with_pages(HugePages::Off)
    }

    /// A world in pages of a kind.
    pub fn with_pages(huge_pages: HugePages) -> Self {
        Self::make(huge_pages, vec![])
    }

    /// A world with more regions.
    pub fn with_regions(more: Vec<RegionSpec>) -> Self {
        Self::make(HugePages::Off, more)
    }

    fn make(huge_pages: HugePages, more: Vec<RegionSpec>) -> Self {
        let mut specs = Ipc::region_specs(MAX_PROCESSES);
        specs.extend(more);
        specs.push(RegionSpec::of::<Things>("things", 1, 1));
        specs.push(RegionSpec::sized("queues", 1, size_of::<QueueHeader>() + RING, 8));
        specs.push(RegionSpec::sized("buffers", 1, BUFFER, 1));
        specs.extend(Locks::region_specs(LOCKS));
        let owners = LOCKS.processes + LOCKS.prepared;
        specs.extend(TransactionWords::region_specs(TransactionsSize { owners, map_pages: 8 }));
        let plan = Plan::new(&specs).expect("the regions fit");
        let segment = Segment::create(&plan, huge_pages, None).unwrap_or_else(|e| panic!("{e}"));
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc = Ipc::open(segment).expect("just made");
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(ipc));
        let things = &segment.region::<Things>("things", 1).expect("just made")[0];
        let table = Box::leak(Box::new(RefCell::new(SlotTable::new(ipc.slots()))));
        Self { ipc, things, table }
    }

    pub fn lock(self) -> LwLock<'static> {
        LwLock::new(&self.things.lock, WaitEvent::LWLOCK)
    }

    pub fn semaphore(self) -> Semaphore<'static> {
        Semaphore::new(&self.things.semaphore, WaitEvent::SEMAPHORE)
    }

    pub fn condition(self) -> ConditionVariable<'static> {
        ConditionVariable::new(&self.things.condition)
    }

    pub fn queue(self, index: usize) -> Queue<'static> {
        let (header, ring) = self.ipc.segment().queue("queues", 1, index).expect("eight queues");
        Queue::new(header, ring)
    }

    /// The test's own process as a member of the world.
    pub fn join(self) -> Proc<'static> {
        let id = self.table.borrow_mut().claim(0).expect("a free slot");
        self.ipc.proc(id)
    }

    /// Forks a child that runs `work` and exits with 0; a panic exits with 101.
    pub fn fork(self, work: impl FnOnce(&Proc<'static>)) -> Worker {
        let id = self.table.borrow_mut().claim(1).expect("a free slot");
        match process::fork().expect("the test has one thread") {
            Fork::Parent(child) => Worker { id, child },
            Fork::Child => {
                process::set_parent_death_signal(Some(Signal::KILL)).expect("a signal there is");
                let me = self.ipc.proc(id);
                me.slot().phase.store(Phase::Running as u32, Ordering::Release);
                let worked = std::panic::catch_unwind(AssertUnwindSafe(|| work(&me)));
                process::exit_now(if worked.is_ok() { 0 } else { 101 })
            }
        }
    }

    /// Waits for an orderly end and frees the slot.
    pub fn reap(self, worker: Worker) {
        let status = worker.child.pidfd.wait().expect("our child");
        assert_eq!(status, ExitStatus::Exited(0), "worker of slot {}", worker.id.slot().index());
        self.table.borrow_mut().release(worker.id);
    }

    /// SIGKILLs a worker, waits for its end, and tells what it left behind. Its slot stays taken.
    pub fn kill(self, worker: &Worker) -> DeathReport {
        worker.child.pidfd.send_signal(Signal::KILL).expect("our child");
        self.bury(worker)
    }

    /// Waits for the death of a worker that kills itself, and tells what it left behind.
    pub fn bury(self, worker: &Worker) -> DeathReport {
        let status = worker.child.pidfd.wait().expect("our child");
        let is_killed = matches!(status, ExitStatus::Signaled { signal: 9, .. });
        assert!(is_killed, "worker of slot {} {status}", worker.id.slot().index());
        let report = death::examine(self.ipc, worker.id).expect("its slot is still its own");
        assert_eq!(report.process, worker.id);
        report
    }

    /// Cleans up after a dead worker and frees its slot.
    pub fn clean_up(self, me: &Proc<'_>, dead: &Worker) -> Result<Vec<LedgerEntry>, CleanUpError> {
        let slot = dead.id.slot();
        let left = death::clean_up(self.ipc, me, dead.id, &|s: SlotIndex| s == slot)?;
        self.table.borrow_mut().release(dead.id);
        Ok(left)
    }

    /// The same for a world with more than the runtime knows: `more` cleans that up before the slot is free.
    pub fn clean_up_with(
        self,
        me: &Proc<'_>,
        dead: &Worker,
        more: impl FnOnce(&dyn Fn(SlotIndex) -> bool),
    ) -> Result<(), CleanUpError> {
        let slot = dead.id.slot();
        let is_dead = |s: SlotIndex| s == slot;
        death::clean_up(self.ipc, me, dead.id, &is_dead)?;
        more(&is_dead);
        self.table.borrow_mut().release(dead.id);
        Ok(())
    }

    /// Waits a little for an orderly end, then kills and cleans up.
    pub fn end_or_kill(self, me: &Proc<'_>, worker: Worker) {
        let pidfd = worker.child.pidfd.as_fd();
        let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        let timeout = rustix::time::Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        if rustix::event::poll(&mut fds, Some(&timeout)) == Ok(1) {
            self.reap(worker);
        } else {
            self.kill(&worker);
            self.clean_up(me, &worker).expect("outside critical sections");
        }
    }

    /// The heavyweight locks' table.
    pub fn locks(self) -> Locks<'static> {
        Locks::open(self.ipc.segment()).expect("just made")
    }

    /// What transactions share, and the frames of their map.
    pub fn transactions(self) -> (TransactionWords<'static>, MapFrames<'static>) {
        TransactionWords::open(self.ipc.segment()).expect("just made")
    }

    pub fn number(self, index: usize) -> &'static AtomicU64 {
        &self.things.numbers[index]
    }

    /// Waits until a worker's slot shows that it waits for `event`.
    pub fn wait_until_waiting(self, worker: &Worker, event: WaitEvent) {
        let slot = &self.ipc.slots()[worker.id.slot().index()];
        eventually(|| slot.wait_event.load(Ordering::Acquire) == event.number());
        // Between the note and the sleep are a few instructions; the kernel tells when it sleeps.
        let stat = format!("/proc/{}/stat", worker.child.pid.as_raw_nonzero());
        eventually(|| {
            let text = std::fs::read_to_string(&stat).expect("it lives");
            text.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
        });
    }
}

/// Waits until `condition` holds, for the few things that have no wait of their own.
pub fn eventually(condition: impl Fn() -> bool) {
    let deadline = soon(20);
    while !condition() {
        assert!(Monotonic::now() < deadline, "it did not come true in 20 s");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A deadline some seconds away.
pub fn soon(seconds: u64) -> Monotonic {
    Monotonic::now().saturating_add(Duration::from_secs(seconds))
}
