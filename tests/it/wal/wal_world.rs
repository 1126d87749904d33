//! Processes that write a log, and the checks of what they leave.
//!
//! Every worker inserts records that name it and count, some of them flushed and then acknowledged in a word of shared
//! memory. So of each worker's records there must be a prefix, at least as far as acknowledged, with the bytes that belong
//! to them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use shmem_layout::{Phase, ProcessId, WalSlot, shared_layout};
use tuskd::ipc::death::{self, DeathReport};
use tuskd::ipc::hangup::{HangupWatch, Lifeline, hangup_pipe};
use tuskd::ipc::slots::SlotTable;
use tuskd::ipc::{Ipc, Proc};
use tuskd::os::file::Files;
use tuskd::os::process::{self, Child, Fork};
use tuskd::os::uring::{self, Ring};
use tuskd::shmem::{HugePages, Plan, RegionSpec, Segment};
use tuskd::sync::{AtomicU64, Ordering};
use tuskd::wal::{
    Beginning, FileSink, FlushSettings, Incarnation, Lsn, RecordBuilder, RmgrId, SyncMethod, Timeline, Wal,
    WalReader, WalSession,
};

use crate::harness::{Rng, Seed};
use crate::world::soon;

pub const PROCESSES: usize = 24;

/// Bytes of the ring; few, so that it wraps and fills.
pub const RING: usize = 128 << 10;

/// What a worker tells the supervisor.
#[repr(C, align(64))]
pub struct Told {
    /// Records that it knows to be durable.
    pub acknowledged: AtomicU64,
    /// Records that it has inserted.
    pub inserted: AtomicU64,
    /// Not zero: stop.
    pub stop: AtomicU64,
    pub reserved: [u8; 40],
}

shared_layout!(Told, size 64, align 64, {
    0 => acknowledged: AtomicU64,
    8 => inserted: AtomicU64,
    16 => stop: AtomicU64,
    24 => reserved: [u8; 40],
});

/// A folder for a log, removed with its owner.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let name = format!("wal-{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("the disk has room");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How the workers write.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub method: SyncMethod,
    pub with_ring: bool,
    pub depth: u64,
}

/// Shared memory and a log, from a start to a crash.
#[derive(Clone, Copy)]
pub struct WalWorld {
    pub ipc: &'static Ipc<'static>,
    pub wal: &'static Wal<'static>,
    pub told: &'static [Told],
    pub style: Style,
    table: &'static RefCell<SlotTable<'static>>,
}

/// A forked worker.
pub struct WalWorker {
    pub number: u64,
    pub id: ProcessId,
    child: Child,
    watch: HangupWatch,
}

/// How the last log ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    pub end: Option<(Lsn, Incarnation)>,
}

impl WalWorld {
    /// Fresh shared memory over the log in `folder`.
    pub fn new(folder: &Path, style: Style, files: Files) -> Self {
        let mut specs = [Ipc::region_specs(PROCESSES), Wal::region_specs(PROCESSES, RING)].concat();
        specs.push(RegionSpec::of::<Told>("told", 1, PROCESSES));
        let plan = Plan::new(&specs).expect("the regions fit");
        let segment = Segment::create(&plan, HugePages::Off, None).unwrap_or_else(|e| panic!("{e}"));
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).expect("just made")));
        let wal = Box::leak(Box::new(Wal::open(segment, folder, files).expect("just made")));
        let told = segment.region::<Told>("told", 1).expect("just made");
        let table = Box::leak(Box::new(RefCell::new(SlotTable::new(ipc.slots()))));
        Self { ipc, wal, told, style, table }
    }

    /// The supervisor as a member.
    pub fn join(self) -> &'static Proc<'static> {
        let id = self.table.borrow_mut().claim(0).expect("a free slot");
        Box::leak(Box::new(self.ipc.proc(id)))
    }

    /// Begins the log, behind what was there.
    pub fn begin(self, me: &'static Proc<'static>, before: Before, rng: &mut Rng) -> Incarnation {
        let incarnation = Incarnation(rng.next_u64() | 1);
        let beginning = Beginning {
            timeline: Timeline(1),
            incarnation,
            before: before.end,
            redo: Lsn::FIRST,
            full_pages: true,
        };
        self.session(me, None).begin(&beginning).unwrap_or_else(|e| panic!("{e}"));
        incarnation
    }

    pub fn session(self, me: &'static Proc<'static>, ring: Option<Ring>) -> WalSession<'static, 'static> {
        let settings = FlushSettings { depth: self.style.depth, ..FlushSettings::default() };
        WalSession::new(self.wal, me, Box::new(FileSink::new(self.style.method, ring)), settings)
    }

    /// Forks a worker of this number, which no other ever had.
    pub fn fork(
        self,
        number: u64,
        work: impl FnOnce(&mut WalSession<'static, 'static>, &'static Proc<'static>, &'static Told),
    ) -> WalWorker {
        let id = self.table.borrow_mut().claim(1).expect("a free slot");
        let told = &self.told[id.slot().index()];
        for word in [&told.acknowledged, &told.inserted, &told.stop] {
            word.store(0, Ordering::SeqCst);
        }
        let (watch, lifeline) = hangup_pipe(id).expect("a pipe");
        match process::fork().expect("the test has one thread") {
            Fork::Parent(child) => WalWorker { number, id, child, watch },
            Fork::Child => {
                drop(watch);
                let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    self.live(id, lifeline, told, work);
                }));
                process::exit_now(if lived.is_ok() { 0 } else { 101 })
            }
        }
    }

    fn live(
        self,
        id: ProcessId,
        mut lifeline: Lifeline,
        told: &'static Told,
        work: impl FnOnce(&mut WalSession<'static, 'static>, &'static Proc<'static>, &'static Told),
    ) {
        process::set_parent_death_signal(Some(Signal::KILL)).expect("a signal there is");
        let me: &'static Proc<'static> = Box::leak(Box::new(self.ipc.proc(id)));
        me.slot().phase.store(Phase::Running as u32, Ordering::Release);
        let ring = (self.style.with_ring && uring::probe().is_full()).then(|| {
            let mut ring = Ring::new(8).expect("probed");
            lifeline.register(&mut ring, None).expect("a new ring");
            ring
        });
        work(&mut self.session(me, ring), me, told);
    }

    /// Waits for an orderly end.
    pub fn reap(self, worker: WalWorker) {
        let status = worker.child.pidfd.wait().expect("our child");
        assert!(status.is_success(), "worker {} {status}", worker.number);
        self.table.borrow_mut().release(worker.id);
    }

    /// SIGKILLs a worker, waits until it and its I/O are gone, and tells what it left.
    pub fn kill(self, worker: &WalWorker) -> DeathReport {
        worker.child.pidfd.send_signal(Signal::KILL).expect("our child");
        self.bury(worker)
    }

    /// The same for one that kills itself.
    pub fn bury(self, worker: &WalWorker) -> DeathReport {
        worker.child.pidfd.wait().expect("our child");
        assert!(worker.watch.wait_over(Some(soon(20))).expect("a pipe"), "its I/O never ends");
        death::examine(self.ipc, worker.id).expect("its slot is still its own")
    }

    /// Whether it is dead already.
    pub fn is_dead(self, worker: &WalWorker) -> bool {
        let pid = worker.child.pid.as_raw_nonzero();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_none_or(|rest| matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None))
    }

    /// Cleans up after a death outside critical sections.
    pub fn clean_up(self, me: &Proc<'_>, worker: &WalWorker) {
        death::clean_up(self.ipc, me, worker.id, &|slot| slot == worker.id.slot())
            .expect("outside critical sections");
        self.wal.clean_up_dead(me, worker.id);
        self.table.borrow_mut().release(worker.id);
    }

    pub fn acknowledged(self, worker: &WalWorker) -> u64 {
        self.told[worker.id.slot().index()].acknowledged.load(Ordering::SeqCst)
    }

    pub fn stop(self, worker: &WalWorker) {
        self.told[worker.id.slot().index()].stop.store(1, Ordering::SeqCst);
    }

    /// All slots of the log are as if nobody were there.
    pub fn assert_nothing_is_left(self) {
        let words = |slot: &WalSlot| [&slot.inserting, &slot.flushing].map(|w| w.load(Ordering::SeqCst));
        let slots = self.ipc.segment().region::<WalSlot>("wal slots", 1).expect("it is there");
        assert!(slots.iter().all(|slot| words(slot) == [0, 0]));
    }
}

/// What worker `worker` writes as its record `count`.
pub fn content(worker: u64, count: u64) -> Vec<u8> {
    let mut rng = Seed(worker << 32 | count).rng();
    let sizes = [40, 200, 700, 3000, 30_000];
    let size = sizes[(rng.next_u64() % 23 % 5) as usize];
    let len = rng.below(size);
    let mut bytes = [worker.to_le_bytes(), count.to_le_bytes()].concat();
    bytes.extend((0..len).map(|i| (i as u8).wrapping_mul(31) ^ count as u8));
    bytes
}

/// Composes a worker's record.
pub fn compose(worker: u64, count: u64) -> RecordBuilder {
    let mut builder = RecordBuilder::new();
    builder.begin(RmgrId(9), 0, worker);
    builder.main(&content(worker, count));
    builder
}

/// Inserts records, flushes some, acknowledges those, until told to stop.
pub fn work(
    number: u64,
    session: &mut WalSession<'static, 'static>,
    told: &Told,
    rng: &mut Rng,
    acknowledge: impl Fn(u64),
) {
    let mut count = 0;
    while told.stop.load(Ordering::SeqCst) == 0 {
        count += 1;
        let place = session.log(&mut compose(number, count)).unwrap_or_else(|e| panic!("{e}"));
        told.inserted.store(count, Ordering::SeqCst);
        if rng.below(3) > 0 {
            session.flush(place.end).unwrap_or_else(|e| panic!("{e}"));
            told.acknowledged.store(count, Ordering::SeqCst);
            acknowledge(count);
        }
    }
}

/// Reads the log: how many records of each worker, each as it was written and none left out; and where it ends.
pub fn read(folder: &Path) -> (HashMap<u64, u64>, Before) {
    let mut reader = WalReader::new(folder, Timeline(1), Lsn::FIRST);
    let mut counts = HashMap::new();
    while let Some(record) = reader.next().unwrap_or_else(|e| panic!("{e}")) {
        if record.rmgr() == RmgrId::WAL {
            continue;
        }
        let count = counts.entry(record.xid()).or_insert(0);
        *count += 1;
        assert_eq!(record.main(), content(record.xid(), *count), "record {count} of worker {}", record.xid());
    }
    let before = reader.incarnation().map(|incarnation| (reader.end(), incarnation));
    (counts, Before { end: before })
}
