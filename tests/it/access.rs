//! Access methods between real processes: a data directory, a log, shared memory, workers that are killed, and what the
//! survivors and redo find.

mod btree;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use shmem_layout::{Phase, ProcessId, shared_layout};
use tuskd::access::engine::{LOG_FOLDER, StoreSettings};
use tuskd::access::{Engine, EngineSize, Store, map_files};
use tuskd::ipc::death;
use tuskd::ipc::slots::SlotTable;
use tuskd::ipc::{Ipc, Proc};
use tuskd::os::file::Files;
use tuskd::os::pidfd::ExitStatus;
use tuskd::os::process::{self, Child, Fork};
use tuskd::shmem::{HugePages, Plan, RegionSpec, Segment};
use tuskd::storage::files::SEGMENT_BLOCKS;
use tuskd::sync::{AtomicU64, Ordering};
use tuskd::txn::Xid;
use tuskd::wal::{Beginning, FlushSettings, Incarnation, Lsn, SyncMethod, Timeline};

use crate::harness::Test;

/// All tables of this folder.
pub const TESTS: [&[Test]; 1] = [btree::TESTS];

/// Processes that a world has.
pub const PROCESSES: usize = 16;

/// Incarnation of a world's log.
pub const INCARNATION: Incarnation = Incarnation(0x7e57_7e57_7e57_7e57);

/// Words in which workers tell what they did; they outlive their workers.
#[repr(C, align(64))]
pub struct Told {
    /// What each worker has done and knows to be done.
    pub done: [AtomicU64; PROCESSES],
    /// What of that is in the log for good.
    pub durable: [AtomicU64; PROCESSES],
    /// Not zero: stop.
    pub is_over: AtomicU64,
    pub reserved: [u64; 7],
}

shared_layout!(Told, size 320, align 64, {
    0 => done: [AtomicU64; PROCESSES],
    128 => durable: [AtomicU64; PROCESSES],
    256 => is_over: AtomicU64,
    264 => reserved: [u64; 7],
});

/// Shared memory over a data directory.
#[derive(Clone, Copy)]
pub struct AccessWorld {
    pub ipc: &'static Ipc<'static>,
    pub engine: &'static Engine<'static>,
    pub told: &'static Told,
    folder: &'static PathBuf,
    table: &'static RefCell<SlotTable<'static>>,
    cleaner: &'static std::cell::OnceCell<Proc<'static>>,
}

/// A forked worker.
pub struct AccessWorker {
    pub id: ProcessId,
    child: Child,
}

impl AccessWorld {
    /// With a data directory of its own that has an empty log.
    pub fn new(name: &str, buffers: usize) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("access-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        for name in [LOG_FOLDER, map_files::FOLDER, "base/5", "global"] {
            std::fs::create_dir_all(folder.join(name)).expect("the disk has room");
        }
        let size = EngineSize {
            processes: PROCESSES,
            prepared: 4,
            buffers,
            wal_buffers: 1 << 20,
            map_pages: 16,
            locks_per_transaction: 64,
            reads_per_transaction: 64,
        };
        let mut specs = [Ipc::region_specs(PROCESSES), Engine::region_specs(size)].concat();
        specs.push(RegionSpec::of::<Told>("told", 1, 1));
        let plan = Plan::new(&specs).expect("the regions fit");
        let segment = Segment::create(&plan, HugePages::Off, None).unwrap_or_else(|e| panic!("{e}"));
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).expect("just made")));
        let engine = Engine::open(segment, folder.clone(), Files::new()).unwrap_or_else(|e| panic!("{e}"));
        engine.words.start_at(Xid::FIRST);
        let told = &segment.region::<Told>("told", 1).expect("just made")[0];
        let table = Box::leak(Box::new(RefCell::new(SlotTable::new(ipc.slots()))));
        let (engine, folder) = (Box::leak(Box::new(engine)), Box::leak(Box::new(folder)));
        let cleaner = Box::leak(Box::default());
        Self { ipc, engine, told, folder, table, cleaner }
    }

    /// The supervisor as a member.
    pub fn join(self) -> &'static Proc<'static> {
        let id = self.table.borrow_mut().claim(0).expect("a free slot");
        Box::leak(Box::new(self.ipc.proc(id)))
    }

    /// The member that cleans up after others.
    pub fn cleaner(self) -> &'static Proc<'static> {
        self.cleaner.get_or_init(|| {
            let id = self.table.borrow_mut().claim(0).expect("a free slot");
            self.ipc.proc(id)
        })
    }

    /// SIGKILLs a worker of a world that is given up.
    pub fn end(self, worker: &AccessWorker) {
        // It may be dead already.
        let _ = worker.child.pidfd.send_signal(Signal::KILL);
        let _ = worker.child.pidfd.wait();
    }

    /// Begins the log.
    pub fn begin(self, store: &Store<'_>) {
        let beginning = Beginning {
            timeline: Timeline(1),
            incarnation: INCARNATION,
            before: None,
            redo: Lsn::FIRST,
            full_pages: true,
        };
        store.log.with(|log| log.begin(&beginning)).expect("a log begins");
    }

    /// A process's way to everything.
    pub fn store(self, me: &'static Proc<'static>) -> Store<'static> {
        let settings = StoreSettings {
            sync_method: SyncMethod::Fdatasync,
            flush: FlushSettings::default(),
            files: Files::new(),
            max_open: 32,
            segment_blocks: SEGMENT_BLOCKS,
        };
        Store::new(self.engine, me, &settings)
    }

    /// The data directory.
    pub fn folder(self) -> &'static Path {
        self.folder
    }

    /// Forks a worker that runs `work`; a panic exits with 101.
    pub fn fork(self, work: impl FnOnce(&'static Proc<'static>)) -> AccessWorker {
        let id = self.table.borrow_mut().claim(1).expect("a free slot");
        match process::fork().expect("the test has one thread") {
            Fork::Parent(child) => AccessWorker { id, child },
            Fork::Child => {
                process::set_parent_death_signal(Some(Signal::KILL)).expect("a signal there is");
                let me: &'static Proc<'static> = Box::leak(Box::new(self.ipc.proc(id)));
                me.slot().phase.store(Phase::Running as u32, Ordering::Release);
                let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(me)));
                process::exit_now(if worked.is_ok() { 0 } else { 101 })
            }
        }
    }

    /// Waits for an orderly end.
    pub fn reap(self, worker: AccessWorker) {
        let status = worker.child.pidfd.wait().expect("our child");
        assert_eq!(status, ExitStatus::Exited(0), "worker of slot {}", worker.id.slot().index());
        self.table.borrow_mut().release(worker.id);
    }

    /// SIGKILLs a worker. Whether it died outside critical sections, so that the others can go on: then what it left is
    /// cleaned up.
    pub fn kill(self, me: &Proc<'_>, worker: &AccessWorker) -> bool {
        // It may have killed itself.
        let _ = worker.child.pidfd.send_signal(Signal::KILL);
        self.bury(me, worker)
    }

    /// The same for one that kills itself.
    pub fn bury(self, me: &Proc<'_>, worker: &AccessWorker) -> bool {
        let status = worker.child.pidfd.wait().expect("our child");
        assert!(matches!(status, ExitStatus::Signaled { signal: 9, .. }), "worker {status}");
        let report = death::examine(self.ipc, worker.id).expect("its slot is still its own");
        if report.critical_sections != 0 {
            return false;
        }
        let is_dead = |slot| slot == worker.id.slot();
        death::clean_up(self.ipc, me, worker.id, &is_dead).expect("outside critical sections");
        self.engine.wal.clean_up_dead(me, worker.id);
        self.engine.pool.clean_up(me, worker.id, &is_dead).expect("everybody else moves");
        self.table.borrow_mut().release(worker.id);
        true
    }

    /// Removes the data directory; for a test that has succeeded.
    pub fn remove(self) {
        let _ = std::fs::remove_dir_all(self.folder);
    }
}
