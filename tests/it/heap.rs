//! Heaps between processes: rows that all of them change at once, while one vacuums.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use shmem_layout::Phase;
use tuskd::access::engine::{EngineSize, LOG_FOLDER, StoreSettings};
use tuskd::access::heap::lockers::give_back;
use tuskd::access::heap::vacuum::{NoIndexes, VacuumOptions};
use tuskd::access::heap::{Conflict, Heap, HeapOptions, Indexed, Outcome, RowLock, Writing};
use tuskd::access::visibility::ReadView;
use tuskd::access::{
    ColumnStorage, Ctid, Datum, Engine, RowLayout, RowReader, Store, StoreSession, map_files,
};
use tuskd::ipc::slots::SlotTable;
use tuskd::ipc::{Ipc, Proc};
use tuskd::os::file::Files;
use tuskd::os::pidfd::ExitStatus;
use tuskd::os::process::{self, Child, Fork as Forked};
use tuskd::shmem::{HugePages, Plan, Segment};
use tuskd::storage::files::SEGMENT_BLOCKS;
use tuskd::storage::{Fork, RelFile, RelFork};
use tuskd::sync::Ordering;
use tuskd::txn::Xid;
use tuskd::txn::locks::{LockError, Wait, Watcher};
use tuskd::txn::serializable::Granularity;
use tuskd::txn::session::{CommitOptions, Isolation};
use tuskd::wal::{Beginning, FlushSettings, Incarnation, Lsn, SyncMethod, Timeline};

use crate::harness::{Skip, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![a_hot_row_loses_no_update, transfers_keep_the_sum];

const FILE: RelFile = RelFile { tablespace: 1663, database: 5, relation: 16384 };
const OPTIONS: HeapOptions =
    HeapOptions { file: FILE, relation: (5, 16384), is_logged: true, fillfactor: 100 };
const PROCESSES: usize = 8;

/// A segment with an engine, a data directory, and the processes that are forked into it.
struct HeapWorld {
    ipc: &'static Ipc<'static>,
    engine: &'static Engine<'static>,
    table: RefCell<SlotTable<'static>>,
    folder: PathBuf,
}

impl HeapWorld {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tuskd-it-heap-{}-{name}", std::process::id()));
        for name in [LOG_FOLDER, map_files::FOLDER, "base/5", "global"] {
            std::fs::create_dir_all(folder.join(name)).expect("a temporary folder");
        }
        let size = EngineSize {
            processes: PROCESSES,
            prepared: 0,
            buffers: 256,
            wal_buffers: 4 << 20,
            map_pages: 64,
            locks_per_transaction: 64,
            reads_per_transaction: 64,
        };
        let specs = [Ipc::region_specs(PROCESSES), Engine::region_specs(size)].concat();
        let plan = Plan::new(&specs).expect("the regions fit");
        let segment = Segment::create(&plan, HugePages::Off, None).unwrap_or_else(|e| panic!("{e}"));
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).expect("just made")));
        let engine = Engine::open(segment, folder.clone(), Files::new()).unwrap_or_else(|e| panic!("{e}"));
        engine.words.start_at(Xid::FIRST);
        let engine: &'static Engine<'static> = Box::leak(Box::new(engine));
        Self { ipc, engine, table: RefCell::new(SlotTable::new(ipc.slots())), folder }
    }

    /// The test's own process.
    fn join(&self) -> Actor {
        let id = self.table.borrow_mut().claim(0).expect("a free slot");
        Actor::new(self.engine, Box::leak(Box::new(self.ipc.proc(id))))
    }

    fn fork(&self, work: impl FnOnce(&mut Actor)) -> Child {
        let id = self.table.borrow_mut().claim(1).expect("a free slot");
        match process::fork().expect("the test has one thread") {
            Forked::Parent(child) => child,
            Forked::Child => {
                process::set_parent_death_signal(Some(Signal::KILL)).expect("a signal there is");
                let me: &'static Proc<'static> = Box::leak(Box::new(self.ipc.proc(id)));
                me.slot().phase.store(Phase::Running as u32, Ordering::Release);
                let mut actor = Actor::new(self.engine, me);
                let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&mut actor)));
                process::exit_now(if worked.is_ok() { 0 } else { 101 })
            }
        }
    }
}

impl Drop for HeapWorld {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Looks for deadlocks soon, and gives nothing up.
struct Patient;

impl Watcher for Patient {
    fn interrupted(&mut self, _: &Proc<'_>) -> bool {
        true
    }

    fn is_running(&self, _: u64) -> bool {
        true
    }
}

/// What an attempt to change a row came to.
enum Attempt {
    Done,
    Again,
    Deadlock,
}

/// One process at work on a heap of accounts: number and balance.
struct Actor {
    session: StoreSession<'static, 'static>,
    heap: Heap,
    layout: RowLayout,
    command: u32,
}

impl Actor {
    fn new(engine: &'static Engine<'static>, me: &'static Proc<'static>) -> Self {
        let settings = StoreSettings {
            sync_method: SyncMethod::Fdatasync,
            flush: FlushSettings::default(),
            files: Files::new(),
            max_open: 100,
            segment_blocks: SEGMENT_BLOCKS,
        };
        let store: &'static Store<'static> = Box::leak(Box::new(Store::new(engine, me, &settings)));
        let session = StoreSession::new(store, 5, Granularity { tuples_per_page: 2, reads_per_relation: 32 });
        let layout = RowLayout::of(&[ColumnStorage::Int32, ColumnStorage::Int32]);
        Self { session, heap: Heap::new(OPTIONS), layout, command: 0 }
    }

    /// Begins the log, and makes the accounts.
    fn begin_world(&mut self, accounts: i32) {
        let beginning = Beginning {
            timeline: Timeline(1),
            incarnation: Incarnation(7),
            before: None,
            redo: Lsn::FIRST,
            full_pages: true,
        };
        let store = self.session.store;
        store.log.with(|log| log.begin(&beginning)).expect("a log begins");
        store.storage.files().create(RelFork { file: FILE, fork: Fork::Main }, false).expect("a file");
        self.begin();
        for account in 0..accounts {
            let row = self.row(account, 0);
            self.heap.insert(&mut self.session, &row, 1).expect("insert");
        }
        self.commit();
    }

    fn row(&self, account: i32, balance: i32) -> Vec<u8> {
        let mut row = Vec::new();
        self.layout.encode(&[Datum::Int32(account), Datum::Int32(balance)], &mut row).expect("a row");
        row
    }

    fn begin(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        self.command = 0;
    }

    fn commit(&mut self) {
        let options = CommitOptions { synchronous: true, ..CommitOptions::default() };
        self.session.transaction.commit(options).expect("commit");
        self.session.locks.release_transaction(self.session.store.me);
    }

    fn abort(&mut self) {
        self.session.transaction.abort(0).expect("abort");
        self.session.locks.release_transaction(self.session.store.me);
    }

    /// All accounts with their balances and places, as the next command sees them.
    fn accounts(&mut self) -> (ReadView, Vec<(i32, i32, Ctid)>) {
        self.command += 1;
        let snapshot = self.session.transaction.statement_snapshot().expect("a snapshot");
        let view = ReadView { snapshot, command: self.command };
        let Self { session, heap, layout, .. } = self;
        let mut scan = heap.scan(session, view, None).expect("a scan");
        let mut rows = Vec::new();
        while let Some(row) = scan.next(session).expect("a row") {
            let mut reader = RowReader::new(layout, row.bytes).expect("a row");
            match (reader.get(0), reader.get(1)) {
                (Ok(Datum::Int32(account)), Ok(Datum::Int32(balance))) => {
                    rows.push((account, balance, row.ctid));
                }
                other => panic!("{other:?}"),
            }
        }
        rows.sort_unstable();
        (view, rows)
    }

    /// Adds to a balance that it sees now.
    fn add(&mut self, account: i32, amount: i32) -> Attempt {
        let (view, rows) = self.accounts();
        let (_, balance, ctid) = rows[account as usize];
        let row = self.row(account, balance + amount);
        let indexed = Indexed { layout: &self.layout, columns: &[0], key: &[0] };
        let mut watcher = Patient;
        let mut wait =
            Wait { lock_timeout: None, deadlock_timeout: Duration::from_millis(20), watcher: &mut watcher };
        let mut writing = Writing { command: view.command, wait: Some(&mut wait) };
        let outcome = self.heap.update(&mut self.session, ctid, &row, &indexed, &mut writing);
        self.session.transaction.drop_snapshot(view.snapshot);
        match outcome.expect("update") {
            Outcome::Done(_) => Attempt::Done,
            // What it met is seen by the next command, or the version was pruned and its line used again.
            Outcome::Conflict(Conflict::Updated { .. } | Conflict::Deleted { .. } | Conflict::Invisible) => {
                Attempt::Again
            }
            Outcome::Conflict(Conflict::NotWaited(LockError::Deadlock(_))) => Attempt::Deadlock,
            Outcome::Conflict(other) => panic!("{other:?}"),
        }
    }

    /// The same until it is done; `false`: a deadlock.
    fn add_surely(&mut self, account: i32, amount: i32) -> bool {
        loop {
            match self.add(account, amount) {
                Attempt::Done => return true,
                Attempt::Again => {}
                Attempt::Deadlock => return false,
            }
        }
    }
}

fn reap(children: Vec<Child>) {
    for child in children {
        assert_eq!(child.pidfd.wait().expect("our child"), ExitStatus::Exited(0));
    }
}

fn a_hot_row_loses_no_update() -> Result<(), Skip> {
    const TIMES: i32 = 60;
    let world = HeapWorld::new("hot");
    let mut own = world.join();
    own.begin_world(1);
    let add = |actor: &mut Actor| {
        for _ in 0..TIMES {
            actor.begin();
            assert!(actor.add_surely(0, 1), "one row makes no deadlock");
            actor.commit();
        }
    };
    reap((0..4).map(|_| world.fork(add)).collect());
    own.begin();
    assert_eq!(own.accounts().1[0].1, 4 * TIMES);
    Ok(())
}

/// Each transfer changes two rows, in any order, some after a lock on one that others may share; deadlocks roll back, and
/// so does one in a few.
fn transfers_keep_the_sum() -> Result<(), Skip> {
    const ACCOUNTS: i32 = 6;
    const TIMES: u32 = 50;
    let world = HeapWorld::new("sum");
    let mut own = world.join();
    own.begin_world(ACCOUNTS);
    let transfer = |seed: u32| {
        move |actor: &mut Actor| {
            let mut random = seed;
            let mut below = |n: i32| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 16) as i32 % n
            };
            for _ in 0..TIMES {
                let (from, to, amount) = (below(ACCOUNTS), below(ACCOUNTS), below(100));
                let locks = below(3) == 0;
                actor.begin();
                if locks {
                    let (view, rows) = actor.accounts();
                    let mut writing = Writing::at_once(view.command);
                    let ctid = rows[below(ACCOUNTS) as usize].2;
                    let locked = actor.heap.lock(&mut actor.session, ctid, RowLock::KeyShare, &mut writing);
                    let _ = locked.expect("lock");
                    actor.session.transaction.drop_snapshot(view.snapshot);
                }
                let is_done = from != to && actor.add_surely(from, -amount) && actor.add_surely(to, amount);
                if is_done && below(5) > 0 { actor.commit() } else { actor.abort() }
            }
        }
    };
    let mut children: Vec<_> = (1..=4).map(|seed| world.fork(transfer(seed * 7919))).collect();
    children.push(world.fork(|actor| {
        for round in 0..40 {
            let options = VacuumOptions { freezes_all: round % 2 == 0, ..VacuumOptions::default() };
            let store = actor.session.store;
            let stats = actor.heap.vacuum(store, options, &mut NoIndexes).expect("vacuum");
            // It is the only relation, so what it names is all that is named.
            let oldest = stats.oldest_xid.and_then(Xid::new);
            oldest.map_or(Ok(0), |oldest| give_back(store, oldest)).expect("pages");
            actor.begin();
            let (_, rows) = actor.accounts();
            let sum: i32 = rows.iter().map(|(_, balance, _)| balance).sum();
            assert_eq!((rows.len(), sum), (ACCOUNTS as usize, 0), "at any time: {rows:?}");
            actor.commit();
        }
    }));
    reap(children);
    own.begin();
    let (_, rows) = own.accounts();
    let sum: i32 = rows.iter().map(|(_, balance, _)| balance).sum();
    assert_eq!((rows.len(), sum), (ACCOUNTS as usize, 0));
    Ok(())
}
