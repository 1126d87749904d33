//! Multi-locker ids: several transactions that lock one row, under one number that fits the row's `xmax`.
//!
//! The members of an id never change: who joins makes a new id. They are an item on a page of a relation of their own, and
//! the id is that item's address; pages are filled one after the other. Ids are not given back yet: the relation grows by
//! some 30 bytes for each time that two transactions lock a row at once.

use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::engine::Store;
use crate::access::redo::{Redo, RedoPage};
use crate::access::rmgr::{LOCKERS, ResourceManager};
use crate::report::{Report, Result, SqlState};
use crate::storage::buffer::ReadOptions;
use crate::storage::ids::{BlockNumber, Fork, RelFile, RelFork};
use crate::txn::Xid;
use crate::wal::{BlockFlags, Record, RmgrId};

use super::tuple::RowLock;

/// The relation with the members.
pub const LOCKERS_FORK: RelFork = RelFork {
    file: RelFile { tablespace: RelFile::GLOBAL_TABLESPACE, database: 0, relation: 2 },
    fork: Fork::Main,
};

/// Most members of an id: as many as fit a page.
pub const MAX_MEMBERS: usize = 1000;

/// A transaction, or a part of one, that locks a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// Which.
    pub xid: Xid,
    /// How strongly.
    pub lock: RowLock,
    /// It deletes or replaces the row. At most one member does.
    pub updates: bool,
}

const LOCK_SHIFT: u32 = 48;
const UPDATES: u64 = 1 << 50;

impl Member {
    fn to_word(self) -> u64 {
        let updates = if self.updates { UPDATES } else { 0 };
        self.xid.number() | (self.lock as u64) << LOCK_SHIFT | updates
    }

    fn from_word(word: u64) -> Option<Self> {
        let xid = Xid::new(word & ((1 << LOCK_SHIFT) - 1))?;
        let lock = RowLock::from_bits((word >> LOCK_SHIFT) as u16);
        (word >> 51 == 0).then_some(Self { xid, lock, updates: word & UPDATES != 0 })
    }
}

/// The members of an id.
///
/// # Errors
/// XX001 if there is no such id.
pub fn members(store: &Store<'_>, multi: u64) -> Result<Vec<Member>> {
    let unknown =
        || Report::error(SqlState::DATA_CORRUPTED, format!("multi-locker id {multi} does not exist"));
    let [a, b, c, d, e, f, ..] = multi.to_le_bytes();
    let ctid = Ctid::from_bytes([a, b, c, d, e, f]).ok_or_else(unknown)?;
    if store.storage.files().blocks(LOCKERS_FORK)? <= ctid.block.get() {
        return Err(unknown());
    }
    let page = store.storage.read(LOCKERS_FORK.block(ctid.block))?.lock_shared();
    let item = page.page().item(ctid.line).map_err(|_| unknown())?;
    let words = item.bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    words.map(Member::from_word).collect::<Option<Vec<_>>>().ok_or_else(unknown)
}

/// Makes an id for these members.
///
/// # Errors
/// 54000 if they are too many.
pub fn create(store: &Store<'_>, xid: Xid, members: &[Member]) -> Result<u64> {
    if members.len() > MAX_MEMBERS {
        let message = format!("too many transactions lock one row, at most {MAX_MEMBERS}");
        return Err(Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let item: Vec<u8> = members.iter().flat_map(|member| member.to_word().to_le_bytes()).collect();
    let (files, storage) = (store.storage.files(), &store.storage);
    if !files.exists(LOCKERS_FORK)? {
        files.create(LOCKERS_FORK, true)?;
    }
    let last = files.blocks(LOCKERS_FORK)?.checked_sub(1).and_then(BlockNumber::new);
    let mut page = None;
    if let Some(block) = last {
        let locked = storage.read(LOCKERS_FORK.block(block))?.lock_exclusive();
        page = (locked.page().is_new() || locked.page().room() >= item.len()).then_some(locked);
    }
    let mut page = match page {
        Some(page) => page,
        None => storage.extend(LOCKERS_FORK, ReadOptions::default())?,
    };
    let is_new = page.page().is_new();
    let line = if is_new { 1 } else { page.page().lines() + 1 };
    let ctid = Ctid::new(page.pin().block(), line);
    let used = if is_new { BlockUse::Init } else { BlockUse::Modify };
    Change::new(LOCKERS, 0, xid.number()).block(0, &mut page, used, &item).apply(&store.log, |pages| {
        let mut page = pages.page(0);
        if is_new {
            page.init(0);
        }
        let _ = page.insert(&item, Some(line));
    })?;
    let [a, b, c, d, e, f] = ctid.to_bytes();
    Ok(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
}

/// Redo of multi-locker ids.
pub struct LockersRedo;

impl ResourceManager for LockersRedo {
    fn id(&self) -> RmgrId {
        LOCKERS
    }

    fn name(&self) -> &'static str {
        "Lockers"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        (info == 0).then_some("CREATE")
    }

    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        let RedoPage::Apply(mut page) = redo.block(record, 0)? else { return Ok(()) };
        let block = record.block(0).ok_or_else(|| redo.malformed(record))?;
        if block.flags.contains(BlockFlags::WILL_INIT) {
            page.page_mut().init(0);
        }
        let line = page.page().lines() + 1;
        page.page_mut().insert(block.data, Some(line)).ok_or_else(|| redo.malformed(record))?;
        page.mark_dirty_at(record.end.bytes());
        Ok(())
    }
}
