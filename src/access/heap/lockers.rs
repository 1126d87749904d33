//! Multi-locker ids: several transactions that lock one row, under one number that fits the row's `xmax`.
//!
//! The members of an id never change: who joins makes a new id. They are an item on a page of a relation of their own
//! (`pages`), and the id is that item's address.
//!
//! An id is given back without anybody counting who names it: a row that names it counts, for vacuum, as one that names its
//! members. So once vacuum has found that no row names a transaction below some id, no row names a multi-locker id with such
//! a member either; and who makes one has only members that run.

mod pages;

pub use pages::LockersRedo;

use super::tuple::RowLock;
use crate::access::ctid::Ctid;
use crate::access::engine::Store;
use crate::report::{Report, Result, SqlState};
use crate::storage::ids::{Fork, RelFile, RelFork};
use crate::txn::Xid;

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
    members_of(item.bytes).filter(|_| ctid.block != pages::META).ok_or_else(unknown)
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
    let [a, b, c, d, e, f] = pages::put(store, xid, &item)?.to_bytes();
    Ok(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
}

/// Members that an item has; `None` if it is no id's.
fn members_of(item: &[u8]) -> Option<Vec<Member>> {
    let (words, []) = item.as_chunks::<8>() else { return None };
    let members = words.iter().map(|word| Member::from_word(u64::from_le_bytes(*word)));
    members.collect::<Option<Vec<_>>>().filter(|members| !members.is_empty())
}

/// Gives back the ids that no row can name any more: those with a member below `oldest`, which is the lowest that vacuum left
/// in any row of any relation ([`VacuumStats::oldest_xid`](super::vacuum::VacuumStats)). How many pages they were on.
///
/// # Errors
/// As reading pages and the log.
pub fn give_back(store: &Store<'_>, oldest: Xid) -> Result<u32> {
    pages::free_all(store, |item| {
        let members = members_of(item)?;
        Some(members.iter().any(|member| member.xid < oldest))
    })
}
