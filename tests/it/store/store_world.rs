//! A data directory with the store's processes over it, from a start to a crash: what the postmaster and its children do,
//! without them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use shmem_layout::{Phase, ProcessId, shared_layout};
use tuskd::access::bootstrap::{Bootstrap, bootstrap, new_incarnation};
use tuskd::access::checkpoint::{KeepWal, perform};
use tuskd::access::checkpoints::Request;
use tuskd::access::control_file::{ControlFile, DbState};
use tuskd::access::engine::{EngineSize, LOG_FOLDER, StoreSettings};
use tuskd::access::managers::managers;
use tuskd::access::recovery::Recovery;
use tuskd::access::{Engine, Store, StoreSession, map_files};
use tuskd::ipc::death;
use tuskd::ipc::slots::SlotTable;
use tuskd::ipc::{Ipc, Proc};
use tuskd::os::file::Files;
use tuskd::os::process::{self, Child, Fork};
use tuskd::report::{Report, Result, SqlState};
use tuskd::shmem::{HugePages, Plan, RegionSpec, Segment};
use tuskd::storage::buffer::Unpaced;
use tuskd::sync::{AtomicU64, Ordering};
use tuskd::txn::cleanup::Remains;
use tuskd::txn::locks::OwnerIndex;
use tuskd::txn::serializable::Granularity;
use tuskd::wal::{Beginning, FlushSettings, Incarnation, Lsn, SyncMethod, WalReader};

pub const PROCESSES: usize = 16;

/// Blocks of a file.
pub const SEGMENT_BLOCKS: u32 = 64;

/// Words for tests, one per process and then some.
pub const WORDS: usize = 96;

/// Words, zero at first.
#[repr(C, align(64))]
pub struct Words {
    words: [AtomicU64; WORDS],
}

shared_layout!(Words, size 768, align 64, {
    0 => words: [AtomicU64; WORDS],
});

/// A data directory, removed with its owner.
pub struct DataDirectory(pub PathBuf);

impl DataDirectory {
    /// With folders and nothing in them.
    pub fn empty(name: &str) -> Self {
        Self::within(Path::new(env!("CARGO_TARGET_TMPDIR")), name)
    }

    fn within(parent: &Path, name: &str) -> Self {
        let path = parent.join(format!("store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        for folder in
            [LOG_FOLDER, "pg_wal/archive_status", map_files::FOLDER, "base/5", "global", "pg_twophase"]
        {
            std::fs::create_dir_all(path.join(folder)).expect("the disk has room");
        }
        Self(path)
    }

    /// As `init` leaves it.
    pub fn new(name: &str) -> Self {
        let directory = Self::empty(name);
        let how = Bootstrap {
            sync_method: SyncMethod::Fdatasync,
            sync: false,
            now: Duration::from_secs(1_700_000_000),
        };
        bootstrap(&directory.0, &how).unwrap_or_else(|e| panic!("{e}"));
        directory
    }

    /// With everything that another has, in memory if that can be had: for what asks nothing of the disk itself.
    pub fn copy_of(name: &str, other: &Path) -> Self {
        let memory = Path::new("/dev/shm");
        let copy = if memory.is_dir() { Self::within(memory, name) } else { Self::empty(name) };
        let done = std::process::Command::new("cp").arg("-a").arg(other.join(".")).arg(&copy.0).status();
        assert!(done.expect("cp runs").success());
        copy
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How the processes write.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub method: SyncMethod,
    /// Pages in the pool; few, so that they are written in between.
    pub buffers: usize,
}

/// Shared memory over a data directory.
#[derive(Clone, Copy)]
pub struct StoreWorld {
    pub ipc: &'static Ipc<'static>,
    pub engine: &'static Engine<'static>,
    pub words: &'static [AtomicU64],
    pub style: Style,
    files: &'static Files,
    table: &'static RefCell<SlotTable<'static>>,
}

/// A forked process.
pub struct Worker {
    pub id: ProcessId,
    pub child: Child,
}

impl StoreWorld {
    /// Fresh shared memory.
    pub fn new(directory: &Path, style: Style, files: Files) -> Self {
        let size = EngineSize {
            processes: PROCESSES,
            prepared: 4,
            buffers: style.buffers,
            wal_buffers: 2 << 20,
            map_pages: 8,
            locks_per_transaction: 64,
            reads_per_transaction: 64,
        };
        let mut specs = Ipc::region_specs(PROCESSES);
        specs.extend(Engine::region_specs(size));
        specs.push(RegionSpec::of::<Words>("words", 1, 1));
        let plan = Plan::new(&specs).expect("the regions fit");
        let segment = Segment::create(&plan, HugePages::Off, None).unwrap_or_else(|e| panic!("{e}"));
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).expect("just made")));
        let engine = Engine::open(segment, directory.to_owned(), files.clone());
        let engine: &'static Engine<'static> = Box::leak(Box::new(engine.unwrap_or_else(|e| panic!("{e}"))));
        let table = Box::leak(Box::new(RefCell::new(SlotTable::new(ipc.slots()))));
        let words = &segment.region::<Words>("words", 1).expect("just made")[0].words;
        Self { ipc, engine, words, style, files: Box::leak(Box::new(files)), table }
    }

    /// The test's own process as a member.
    pub fn join(self) -> &'static Proc<'static> {
        let id = self.table.borrow_mut().claim(0).expect("a free slot");
        Box::leak(Box::new(self.ipc.proc(id)))
    }

    pub fn store(self, me: &'static Proc<'static>) -> &'static Store<'static> {
        let settings = StoreSettings {
            sync_method: self.style.method,
            flush: FlushSettings::default(),
            files: self.files.clone(),
            max_open: 100,
            segment_blocks: SEGMENT_BLOCKS,
        };
        Box::leak(Box::new(Store::new(self.engine, me, &settings)))
    }

    pub fn session(self, store: &'static Store<'static>) -> StoreSession<'static, 'static> {
        StoreSession::new(store, 5, Granularity { tuples_per_page: 2, reads_per_relation: 32 })
    }

    /// What the startup process does; how many records it replayed.
    pub fn recover(self, store: &'static Store<'static>) -> u64 {
        self.try_recover(store).unwrap_or_else(|e| panic!("{e} {:?}", e.context))
    }

    /// The same of a directory that may be damaged.
    pub fn try_recover(self, store: &'static Store<'static>) -> Result<u64> {
        let directory = self.engine.data_directory();
        let control = ControlFile::read(directory, self.files)?;
        let copy = control.checkpoint_copy;
        let folder = directory.join(LOG_FOLDER);
        let mut recovery = Recovery::new(store, managers(), &copy);
        let mut reader = WalReader::of_incarnation(&folder, copy.timeline, copy.redo, copy.incarnation);
        while let Some(record) = reader.next()? {
            recovery.replay(&record)?;
        }
        if reader.end() <= control.checkpoint {
            return Err(Report::fatal(SqlState::DATA_CORRUPTED, "the log ends before the checkpoint"));
        }
        let changes = recovery.changes();
        recovery.finish()?;
        let beginning = Beginning {
            timeline: copy.timeline,
            incarnation: new_incarnation().expect("random bytes"),
            before: Some((reader.end(), reader.incarnation().unwrap_or(Incarnation(0)))),
            redo: copy.redo,
            full_pages: true,
        };
        ControlFile::update(directory, self.files, |control| control.state = DbState::InProduction)?;
        store.log.with(|log| log.begin(&beginning))?;
        self.engine.checkpoints.set_running();
        Ok(changes)
    }

    /// What the checkpointer does.
    pub fn checkpoint(self, store: &'static Store<'static>) {
        self.try_checkpoint(store, Request::IMMEDIATE).unwrap_or_else(|e| panic!("{e}"));
    }

    /// The same on a disk that fails.
    pub fn try_checkpoint(self, store: &'static Store<'static>, request: Request) -> Result<()> {
        let keep = KeepWal { behind: 0, least: 2, most: 4, expected: 1 << 20, recycle: true };
        perform(store, request, &mut Unpaced, &keep, |_| true).map(drop)
    }

    /// Forks a process.
    pub fn fork(self, work: impl FnOnce(&'static Store<'static>)) -> Worker {
        let id = self.table.borrow_mut().claim(1).expect("a free slot");
        match process::fork().expect("the test has one thread") {
            Fork::Parent(child) => Worker { id, child },
            Fork::Child => {
                let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    process::set_parent_death_signal(Some(Signal::KILL)).expect("a signal there is");
                    let me: &'static Proc<'static> = Box::leak(Box::new(self.ipc.proc(id)));
                    me.slot().phase.store(Phase::Running as u32, Ordering::Release);
                    work(self.store(me));
                }));
                process::exit_now(if lived.is_ok() { 0 } else { 101 })
            }
        }
    }

    /// What a cleaner does about a process that killed itself; what became of its transaction. `None`: it died in a critical
    /// section, which is a crash restart's.
    pub fn clean_up(self, store: &'static Store<'static>, worker: &Worker) -> Option<Remains> {
        worker.child.pidfd.wait().expect("our child");
        let (me, engine, dead) = (store.me, self.engine, worker.id);
        let report = death::examine(self.ipc, dead).expect("its slot is still its own");
        if report.critical_sections != 0 {
            return None;
        }
        let is_dead = |slot| slot == dead.slot();
        death::clean_up(self.ipc, me, dead, &is_dead).expect("outside critical sections");
        engine.wal.clean_up_dead(me, dead);
        engine.pool.clean_up(me, dead, &is_dead).expect("everybody else moves");
        let owner = OwnerIndex::of_process(dead.slot());
        let remains = store.transactions.end_for_the_dead(&mut store.log.clone(), owner, 0);
        let remains = remains.unwrap_or_else(|e| panic!("{e}"));
        if let Remains::ToComplete(_, lsn) = remains {
            store.log.make_durable(Lsn::new(lsn.bytes())).unwrap_or_else(|e| panic!("{e}"));
        }
        engine.locks.release_all_of(me, owner);
        store.transactions.bury(owner);
        self.table.borrow_mut().release(dead);
        Some(remains)
    }

    /// Waits for an orderly end.
    pub fn reap(self, worker: Worker) {
        let status = worker.child.pidfd.wait().expect("our child");
        assert!(status.is_success(), "a worker {status}");
        self.table.borrow_mut().release(worker.id);
    }

    /// SIGKILLs it. What it left is a crash restart's.
    pub fn kill(self, worker: &Worker) {
        worker.child.pidfd.send_signal(Signal::KILL).expect("our child");
        worker.child.pidfd.wait().expect("our child");
    }
}
