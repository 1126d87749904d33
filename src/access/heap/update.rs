//! Replacing rows.
//!
//! The new version goes to the old one's page if it fits there. If no indexed column changed besides, it is *heap-only*: indexes
//! lead to the first version of the chain, and the chain leads on (HOT).

use super::Heap;
use super::change::{self, HeapKind, Maps, end_bytes};
use super::claim::{Claim, Claimed, Outcome, Writing, new_xmax};
use super::ended::mask_of;
use super::insert::{check_length, use_of};
use super::lockers::{self, Member};
use super::space::{next_line, put, room};
use super::tuple::{Mask, NewTuple, NewXmax, RowLock, TUPLE_HEADER, TupleRef, check_id};
use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::engine::{Store, StoreSession};
use crate::access::rmgr::HEAP;
use crate::access::row::{RowLayout, RowReader};
use crate::report::Result;
use crate::storage::buffer::PinnedBuffer;
use crate::storage::page::PageFlags;
use crate::txn::Xid;

/// Which columns indexes have: it says whether a new version needs entries of its own, and whether a foreign key could have
/// led to the old one.
#[derive(Clone, Copy, Debug)]
pub struct Indexed<'i> {
    /// The heap's columns.
    pub layout: &'i RowLayout,
    /// Columns that any index has, or needs for its condition.
    pub columns: &'i [usize],
    /// Columns of unique indexes that a foreign key could name.
    pub key: &'i [usize],
}

impl Indexed<'_> {
    /// Whether one of these columns differs. Values stored elsewhere differ if their place does.
    fn differs(&self, columns: &[usize], old: &[u8], new: &[u8]) -> Result<bool> {
        if columns.is_empty() {
            return Ok(false);
        }
        let (mut old, mut new) = (RowReader::new(self.layout, old)?, RowReader::new(self.layout, new)?);
        for column in columns {
            if old.get(*column)? != new.get(*column)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A row that was replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Updated {
    /// Its new version.
    pub ctid: Ctid,
    /// The new version needs no entries in indexes.
    pub is_hot: bool,
}

impl Heap {
    /// Replaces a version of a row.
    ///
    /// # Errors
    /// As [`Heap::insert`].
    pub fn update(
        &self,
        session: &mut StoreSession<'_, '_>,
        ctid: Ctid,
        row: &[u8],
        indexed: &Indexed<'_>,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Outcome<Updated>> {
        check_length(row)?;
        let xid = session.transaction.xid()?;
        let length = TUPLE_HEADER + row.len();
        let lock = |tuple: TupleRef<'_>| {
            let is_key = indexed.differs(indexed.key, tuple.row(), row)?;
            Ok(if is_key { RowLock::Update } else { RowLock::NoKeyUpdate })
        };
        let mut other: Option<PinnedBuffer<'_, '_>> = None;
        loop {
            let claim = Claim { ctid, lock: &lock, other: other.as_ref() };
            let claimed = match self.claim(session, &claim, writing)? {
                Outcome::Done(claimed) => claimed,
                Outcome::Conflict(conflict) => return Ok(Outcome::Conflict(conflict)),
            };
            let fits_here = length <= room(claimed.page.page());
            let fits_there = claimed.other.as_ref().is_some_and(|page| length <= room(page.page()));
            if fits_here || fits_there {
                let claimed = if fits_here { Claimed { other: None, ..claimed } } else { claimed };
                return self.replace(session, (ctid, xid), row, indexed, claimed, writing.command);
            }
            drop(claimed);
            // Chosen without the old page locked: whoever waits for a page waits for a later one.
            other = Some(self.page_for(session.store, length, Some(ctid.block))?.unlock());
        }
    }

    fn replace<'t, 's>(
        &self,
        session: &mut StoreSession<'t, 's>,
        (ctid, xid): (Ctid, Xid),
        row: &[u8],
        indexed: &Indexed<'_>,
        claimed: Claimed<'t, 's>,
        command: u32,
    ) -> Result<Outcome<Updated>> {
        self.note_write(session, Some(ctid))?;
        let store = session.store;
        let is_same_page = claimed.other.is_none();
        let is_hot = is_same_page && !self.index_differs(&claimed, ctid, row, indexed)?;
        let (kind, hot, heap_only) = if is_hot {
            (HeapKind::HotUpdate, Mask::HOT_UPDATED, Mask::HEAP_ONLY)
        } else {
            (HeapKind::Update, Mask::default(), Mask::default())
        };
        let target = claimed.other.as_ref().unwrap_or(&claimed.page);
        let next = Ctid::new(target.pin().block(), next_line(target.page()));
        let old_mask = mask_of(claimed.page.page(), ctid.line);
        let old = new_xmax(store, xid, (&claimed.holders, claimed.lock), true, old_mask)?;
        let old = NewXmax { mask: old.mask.with(hot), next: Some(next), cmax: command, ..old };
        let (xmax, mask) = carried(store, xid, &claimed.holders)?;
        let xmin = check_id(xid.number())?;
        let new = NewTuple { xmin, xmax, mask: mask.with(heap_only), cmin: command };
        self.write_update(store, kind, claimed, (ctid.line, old), (next, new, row))?;
        Ok(Outcome::Done(Updated { ctid: next, is_hot }))
    }

    fn index_differs(
        &self,
        claimed: &Claimed<'_, '_>,
        ctid: Ctid,
        row: &[u8],
        indexed: &Indexed<'_>,
    ) -> Result<bool> {
        let page = claimed.page.page();
        let item = page.item(ctid.line).ok();
        let old = item.and_then(|item| TupleRef::new(page, &item)).map_or(&[][..], TupleRef::row);
        indexed.differs(indexed.columns, old, row)
    }

    fn write_update<'t, 's>(
        &self,
        store: &'t Store<'s>,
        kind: HeapKind,
        claimed: Claimed<'t, 's>,
        (line, old): (u16, NewXmax),
        (next, new, row): (Ctid, NewTuple, &[u8]),
    ) -> Result<()> {
        let (tuple, data) = &mut *self.cleared_scratch();
        new.encode(next, row, tuple);
        let (end, xid) = (end_bytes(line, old, next), new.xmin);
        let Claimed { mut page, mut other, .. } = claimed;
        let block = page.pin().block();
        let change = Change::new(HEAP, kind as u8, xid);
        let mut maps = match &other {
            Some(other) => Maps::of(self, store, &[&page, other])?,
            None => Maps::of(self, store, &[&page])?,
        };
        if let Some(other) = &mut other {
            change::put_version(new, next.line, row, data);
            let used = use_of(other);
            let change = change.block(0, &mut page, BlockUse::Modify, &end).block(1, other, used, data);
            let (change, cleared) = maps.add_to(change, [Some(block), Some(next.block)]);
            return self.apply(store, change, |pages| {
                change::end(&mut pages.page(0), line, old, xid);
                pages.page(0).add_flags(PageFlags::FULL);
                put(&mut pages.page(1), next.line, tuple);
                cleared.clear(pages, 2);
            });
        }
        // On the same page.
        data.extend_from_slice(&end);
        change::put_version(new, next.line, row, data);
        let change = change.block(0, &mut page, BlockUse::Modify, data);
        let (change, cleared) = maps.add_to(change, [Some(block), None]);
        self.apply(store, change, |pages| {
            change::end(&mut pages.page(0), line, old, xid);
            put(&mut pages.page(0), next.line, tuple);
            cleared.clear(pages, 1);
        })
    }
}

/// Locks of others that stay on the new version: `xmax` and its mask.
fn carried(store: &Store<'_>, xid: Xid, holders: &[Member]) -> Result<(u64, Mask)> {
    let others: Vec<_> = holders.iter().filter(|member| member.xid != xid).copied().collect();
    let Some(strongest) = others.iter().map(|member| member.lock).max() else {
        return Ok((0, Mask::default()));
    };
    let mask = Mask::LOCK_ONLY.with_lock(strongest);
    Ok(match others[..] {
        [only] => (check_id(only.xid.number())?, mask),
        _ => (lockers::create(store, xid, &others)?, mask.with(Mask::MULTI)),
    })
}
