//! Heaps under several sessions, which one process plays.

mod basics;
mod key_share;
mod model;
mod oversized;
mod vacuuming;
mod waiting;

use std::time::Duration;

use super::cleanup::CleanupRedo;
use super::lockers::LockersRedo;
use super::redo::HeapRedo;
use super::{Heap, HeapOptions, Indexed, Outcome, Updated, Writing};
use crate::access::ctid::Ctid;
use crate::access::engine::{Store, StoreSession};
use crate::access::redo::Redo;
use crate::access::rmgr::{ResourceManager, ResourceManagers, TRANSACTION};
use crate::access::row::{ColumnStorage, Datum, RowLayout, RowReader};
use crate::access::tests::{RELATION, World};
use crate::access::visibility::ReadView;
use crate::ipc::Proc;
use crate::report::Result;
use crate::storage::ids::{BlockNumber, Fork, RelFork};
use crate::storage::page::{ItemState, PageBuf};
use crate::txn::locks::{Wait, Watcher};
use crate::txn::serializable::Granularity;
use crate::txn::session::{CommitOptions, Isolation};
use crate::wal::{Record, RmgrId};

pub(super) const OPTIONS: HeapOptions =
    HeapOptions { file: RELATION, relation: (5, 1000), is_logged: true, fillfactor: 100 };

/// Redo of everything about heaps.
const MANAGERS: [&dyn ResourceManager; 4] = [&HeapRedo, &CleanupRedo, &LockersRedo, &Ends];

/// Ends of transactions, which change no page.
struct Ends;

impl ResourceManager for Ends {
    fn id(&self) -> RmgrId {
        TRANSACTION
    }

    fn name(&self) -> &'static str {
        "Transaction"
    }

    fn kind(&self, _: u8) -> Option<&'static str> {
        None
    }

    fn redo(&self, _: &Redo<'_, '_>, _: &Record<'_>) -> Result<()> {
        Ok(())
    }
}

/// One session: a key, a value, and text to make rows larger.
pub(super) struct Player {
    pub session: StoreSession<'static, 'static>,
    pub heap: Heap,
    pub layout: RowLayout,
    pub command: u32,
}

pub(super) fn new_heap(world: &World) {
    world
        .store(0)
        .storage
        .files()
        .create(RelFork { file: RELATION, fork: Fork::Main }, false)
        .expect("a file");
}

impl Player {
    pub fn new(world: &World, index: usize) -> Self {
        let store: &'static Store<'static> = Box::leak(Box::new(world.store(index)));
        let granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };
        let layout = RowLayout::of(&[ColumnStorage::Int32, ColumnStorage::Int32, ColumnStorage::Variable]);
        Self {
            session: StoreSession::new(store, 5, granularity),
            heap: Heap::new(OPTIONS),
            layout,
            command: 0,
        }
    }

    pub fn begin(&mut self, isolation: Isolation) {
        self.session.transaction.begin(isolation, false);
        self.command = 0;
    }

    pub fn commit(&mut self) {
        self.session
            .transaction
            .commit(CommitOptions { synchronous: true, ..CommitOptions::default() })
            .expect("commit");
        self.session.locks.release_transaction(self.session.store.me);
    }

    pub fn abort(&mut self) {
        self.session.transaction.abort(0).expect("abort");
        self.session.locks.release_transaction(self.session.store.me);
    }

    /// What the next command sees.
    pub fn view(&mut self) -> ReadView {
        self.command += 1;
        let snapshot = self.session.transaction.statement_snapshot().expect("a snapshot");
        ReadView { snapshot, command: self.command }
    }

    pub fn encode(&self, key: i32, value: i32, padding: usize) -> Vec<u8> {
        let mut row = Vec::new();
        let text = vec![b'x'; padding];
        let values = [Datum::Int32(key), Datum::Int32(value), Datum::Bytes(&text)];
        self.layout.encode(&values, &mut row).expect("a row");
        row
    }

    pub fn insert(&mut self, key: i32, value: i32, padding: usize) -> Ctid {
        let row = self.encode(key, value, padding);
        self.command += 1;
        self.heap.insert(&mut self.session, &row, self.command).expect("insert")
    }

    pub fn update(&mut self, ctid: Ctid, key: i32, value: i32, padding: usize) -> Outcome<Updated> {
        let row = self.encode(key, value, padding);
        self.command += 1;
        let indexed = Indexed { layout: &self.layout, columns: &[0], key: &[0] };
        self.heap
            .update(&mut self.session, ctid, &row, &indexed, &mut Writing::at_once(self.command))
            .expect("update")
    }

    pub fn delete(&mut self, ctid: Ctid) -> Outcome<()> {
        self.command += 1;
        self.heap.delete(&mut self.session, ctid, &mut Writing::at_once(self.command)).expect("delete")
    }

    /// All rows that a view shows: key and value, and where.
    pub fn rows(&mut self, view: ReadView) -> Vec<(i32, i32, Ctid)> {
        let Self { session, heap, layout, .. } = self;
        let mut scan = heap.scan(session, view, None).expect("a scan");
        let mut rows = Vec::new();
        while let Some(row) = scan.next(session).expect("a row") {
            let (key, value) = read(layout, row.bytes);
            rows.push((key, value, row.ctid));
        }
        rows.sort_unstable();
        rows
    }

    /// Keys and values that the next command sees.
    pub fn see(&mut self) -> Vec<(i32, i32)> {
        let view = self.view();
        let rows = self.rows(view).into_iter().map(|(key, value, _)| (key, value)).collect();
        self.session.transaction.drop_snapshot(view.snapshot);
        rows
    }
}

pub(super) fn read(layout: &RowLayout, bytes: &[u8]) -> (i32, i32) {
    let mut reader = RowReader::new(layout, bytes).expect("a row");
    match (reader.get(0).expect("a key"), reader.get(1).expect("a value")) {
        (Datum::Int32(key), Datum::Int32(value)) => (key, value),
        other => panic!("{other:?}"),
    }
}

/// Pages as they are but for what is not in the log: hints (of pruning too), commands, checksums, free space.
fn pages(store: &Store<'_>, fork: Fork) -> Vec<Box<PageBuf>> {
    let fork = RelFork { file: RELATION, fork };
    if !store.storage.files().exists(fork).expect("a look") {
        return Vec::new();
    }
    let blocks = store.storage.files().blocks(fork).expect("a file");
    let page = |block| {
        let tag = fork.block(BlockNumber::new(block).expect("a block"));
        let locked = store.storage.read(tag).expect("a page").lock_shared();
        let mut copy = PageBuf::zeroed();
        locked.page().copy_to(&mut copy);
        copy.0[8..12].fill(0);
        copy.0[24..32].fill(0);
        if fork.fork == Fork::Main && !copy.view().is_new() {
            leave_items(&mut copy);
        }
        copy
    };
    let mut pages: Vec<_> = (0..blocks).map(page).collect();
    // Pages at the end that nobody has used are not in the log.
    while pages.last().is_some_and(|page| page.view().is_new()) {
        pages.pop();
    }
    pages
}

/// Takes away what is between a page's items, left of versions that went, and what is not in the log of the items.
fn leave_items(page: &mut PageBuf) {
    let mut kept = vec![false; 8192];
    kept[..page.view().lower()].fill(true);
    for line in 1..=page.view().lines() {
        let item = page.view().item(line).expect("a line");
        let (start, end) = (item.offset, item.offset + item.bytes.len());
        kept[start..end].fill(true);
        if item.state == ItemState::Normal {
            kept[start + 20..start + 30].fill(false);
        }
    }
    page.0.iter_mut().zip(kept).filter(|(_, kept)| !kept).for_each(|(byte, _)| *byte = 0);
}

/// After redo of all of the log, the pages are the same.
pub(super) fn check_redo(world: &World, store: &Store<'_>) {
    let again = world.replayed(ResourceManagers::new(&MANAGERS));
    let other = again.store(1);
    for fork in [Fork::Main, Fork::VisibilityMap] {
        let (expected, found) = (pages(store, fork), pages(&other, fork));
        assert_eq!(expected.len(), found.len(), "{fork:?}");
        for (block, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let differs = (0..8192).find(|at| expected.0[*at] != found.0[*at]);
            assert_eq!(
                differs,
                None,
                "{fork:?}, block {block}: {} {}",
                expected.view().lsn(),
                found.view().lsn()
            );
        }
    }
}

/// Gives every wait up at its first interrupt.
pub(super) struct GiveUp;

impl Watcher for GiveUp {
    fn interrupted(&mut self, _: &Proc<'_>) -> bool {
        true
    }

    fn is_running(&self, _: u64) -> bool {
        true
    }
}

/// A wait of at most so long.
pub(super) fn wait(watcher: &mut GiveUp, timeout_ms: u64) -> Wait<'_> {
    Wait {
        lock_timeout: Some(Duration::from_millis(timeout_ms)),
        deadlock_timeout: Duration::from_secs(10),
        watcher,
    }
}
