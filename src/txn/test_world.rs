//! A segment with what transactions share, for unit tests: one process that plays several.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use shmem_layout::ProcessId;
use shmem_layout::transactions::MAP_WORDS;

use super::locks::regions::LockTableSize;
use super::locks::{LockSession, Locks};
use super::log::{CommitLog, RecordKind};
use super::lsn::Lsn;
use super::map::{MapFrames, MapPage, MapStore, PagedMap, Words};
use super::prepared::PreparedTransactions;
use super::regions::TransactionsSize;
use super::serializable::SerialTables;
use super::snapshot::Durable;
use super::table::{TransactionWords, Transactions};
use super::xid::Xid;
use crate::ipc::slots::SlotTable;
use crate::ipc::{Ipc, Proc};
use crate::report::{Report, Result, SqlState};
use crate::shmem::{HugePages, Plan, Segment};

/// Processes that a world has.
pub const PROCESSES: usize = 8;

/// Prepared transactions that a world has room for.
pub const PREPARED: usize = 4;

/// The world; leaked, since it lives as long as its test.
pub struct World {
    pub ipc: &'static Ipc<'static>,
    pub locks: Locks<'static>,
    pub words: TransactionWords<'static>,
    pub serial: SerialTables<'static>,
    pub prepared: PreparedTransactions<'static>,
    pub log: MemoryLog,
    pub store: MemoryStore,
    frames: MapFrames<'static>,
    ids: Vec<ProcessId>,
}

/// Transactions over memory.
pub type Transacting<'a> = Transactions<'a, 'static, PagedMap<'a, 'static, MemoryStore>>;

/// Reads of serializable transactions for which there is room, per owner.
pub const READS_PER_OWNER: usize = 16;

/// Frames of the map: two sets.
const MAP_PAGES: usize = 8;

/// A log in memory, of which a prefix is durable.
#[derive(Clone)]
pub struct MemoryLog {
    state: Rc<LogState>,
}

#[derive(Default)]
struct LogState {
    inserted: Cell<u64>,
    durable: Cell<u64>,
    /// What happens while a flush is on its way.
    during_flush: RefCell<Option<Box<dyn FnOnce()>>>,
    records: RefCell<Vec<(RecordKind, Vec<u8>)>>,
    is_full: Cell<bool>,
}

/// Where the log begins.
const START: u64 = 1000;

impl Default for MemoryLog {
    fn default() -> Self {
        let state = LogState { inserted: Cell::new(START), durable: Cell::new(START), ..LogState::default() };
        Self { state: Rc::new(state) }
    }
}

impl MemoryLog {
    /// `f` runs in the middle of the next flush.
    pub fn during_flush(&self, f: impl FnOnce() + 'static) {
        *self.state.during_flush.borrow_mut() = Some(Box::new(f));
    }

    /// All records so far.
    pub fn records(&self) -> Vec<(RecordKind, Vec<u8>)> {
        self.state.records.borrow().clone()
    }

    /// From now on the disk is full, or has room again.
    pub fn set_full(&self, is_full: bool) {
        self.state.is_full.set(is_full);
    }
}

impl Durable for MemoryLog {
    fn durable(&self) -> Lsn {
        Lsn::new(self.state.durable.get())
    }
}

impl CommitLog for MemoryLog {
    fn prepare(&mut self, _len: usize) -> Result<()> {
        if self.state.is_full.get() {
            return Err(Report::error(SqlState::DISK_FULL, "no room"));
        }
        Ok(())
    }

    fn insert(&mut self, kind: RecordKind, record: &[u8], note: &mut dyn FnMut(Lsn)) -> Lsn {
        let lsn = Lsn::new(self.state.inserted.get() + record.len() as u64 + 100);
        self.state.inserted.set(lsn.bytes());
        note(lsn);
        self.state.records.borrow_mut().push((kind, record.to_vec()));
        lsn
    }

    fn flush(&mut self, lsn: Lsn) -> Result<()> {
        let during = self.state.during_flush.borrow_mut().take();
        during.into_iter().for_each(|f| f());
        self.state.durable.set(self.state.durable.get().max(lsn.bytes()));
        Ok(())
    }
}

/// Pages in memory. A page may be written only if the log is durable far enough.
#[derive(Clone)]
pub struct MemoryStore {
    is_broken: Rc<Cell<bool>>,
    pages: Rc<RefCell<HashMap<MapPage, Box<Words>>>>,
    log: MemoryLog,
}

impl MemoryStore {
    /// From now on nothing can be read, or everything again.
    pub fn set_broken(&self, is_broken: bool) {
        self.is_broken.set(is_broken);
    }
}

impl MapStore for MemoryStore {
    fn read(&self, page: MapPage, words: &mut Words) -> Result<bool> {
        if self.is_broken.get() {
            return Err(Report::error(SqlState::IO_ERROR, "the map cannot be read"));
        }
        let pages = self.pages.borrow();
        let Some(found) = pages.get(&page) else { return Ok(false) };
        words.copy_from_slice(&found[..]);
        Ok(true)
    }

    fn write(&self, page: MapPage, words: &Words, lsn: Lsn) -> Result<()> {
        self.log.clone().flush(lsn)?;
        self.pages.borrow_mut().insert(page, Box::new(*words));
        Ok(())
    }

    fn drop_wide_below(&self, xid: Xid) -> Result<()> {
        let first = xid.number() / MAP_WORDS as u64;
        self.pages.borrow_mut().retain(|page, _| !matches!(page, MapPage::Wide(number) if *number < first));
        Ok(())
    }
}

impl World {
    /// A world with room for so many locks per owner.
    pub fn new(locks_per_transaction: usize) -> Self {
        let size = LockTableSize { processes: PROCESSES, prepared: PREPARED, locks_per_transaction };
        let mut specs = Ipc::region_specs(PROCESSES);
        specs.extend(Locks::region_specs(size));
        let size = TransactionsSize { owners: PROCESSES + PREPARED, map_pages: MAP_PAGES };
        specs.extend(TransactionWords::region_specs(size));
        specs.extend(SerialTables::region_specs(PROCESSES + PREPARED, READS_PER_OWNER));
        specs.extend(PreparedTransactions::region_specs(PREPARED));
        let plan = Plan::new(&specs).expect("the regions fit");
        let segment = Segment::create(&plan, HugePages::Off, None).unwrap_or_else(|e| panic!("{e}"));
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).expect("just made")));
        let mut table = SlotTable::new(ipc.slots());
        let ids = (0..PROCESSES).map(|_| table.claim(1).expect("a free slot")).collect();
        for (i, slot) in ipc.slots().iter().enumerate() {
            slot.pid.store(100 + i as u32, crate::sync::Ordering::Relaxed);
        }
        let locks = Locks::open(segment).unwrap_or_else(|e| panic!("{e}"));
        let (words, frames) = TransactionWords::open(segment).unwrap_or_else(|e| panic!("{e}"));
        words.start_at(Xid::FIRST);
        let log = MemoryLog::default();
        let store = MemoryStore { is_broken: Rc::default(), pages: Rc::default(), log: log.clone() };
        let serial = SerialTables::open(segment).unwrap_or_else(|e| panic!("{e}"));
        let prepared = PreparedTransactions::open(segment, locks).unwrap_or_else(|e| panic!("{e}"));
        Self { ipc, locks, words, serial, prepared, log, store, frames, ids }
    }

    /// Process `index`.
    pub fn proc(&self, index: usize) -> Proc<'static> {
        self.ipc.proc(self.ids[index])
    }

    /// The transactions of a process.
    pub fn transactions<'a>(&self, me: &'a Proc<'static>) -> Transacting<'a> {
        Transactions::new(me, self.words, PagedMap::new(me, self.words, self.frames, self.store.clone()))
    }

    /// Process `index`, connected to database 5.
    pub fn session(&self, index: usize) -> (Proc<'static>, LockSession<'static>) {
        let me = self.proc(index);
        let session = LockSession::new(self.locks, &me, 5);
        (me, session)
    }
}
