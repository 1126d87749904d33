//! Unique indexes: who has the key already is asked while the first leaf that may have it is locked, and that lock is given
//! up only for one further to the right. So of two insertions of a key, one sees the other's entry.

use std::cmp::Ordering;

use super::descend::{Path, Search};
use super::node::{self, Node};
use super::probe::{Edge, Probe};
use super::tree::{Access, BTree, Page, Steps};
use crate::access::ctid::Ctid;
use crate::access::row::Datum;
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::BlockNumber;
use crate::txn::Xid;

/// What a row that has the key is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nobody sees it, nor will.
    DeadToAll,
    /// Deleted, though somebody may see it yet: no conflict.
    Gone,
    /// There.
    Live,
    /// There or gone, as this transaction ends.
    InProgress(Xid),
}

/// How an insertion went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uniqueness {
    /// The entry is in.
    Inserted,
    /// This row has the key; nothing was put in.
    NotUnique(Ctid),
    /// Whether the row has the key is known when the transaction has ended; nothing was put in.
    MustWait(Ctid, Xid),
}

/// A row that is in the way of a key.
type Conflict = Option<Uniqueness>;

impl<'t, 's> BTree<'t, 's> {
    /// Puts an entry in unless another row has its key. `check` says what a row that has it is; it may look at the heap's
    /// pages, but must not use this index. With `nulls_are_distinct`, a key with a null is nobody else's.
    ///
    /// # Errors
    /// As [`BTree::insert`], and those of `check`.
    pub fn insert_unique(
        &self,
        values: &[Datum<'_>],
        ctid: Ctid,
        nulls_are_distinct: bool,
        mut check: impl FnMut(Ctid) -> Result<Verdict>,
    ) -> Result<Uniqueness> {
        let item = self.encode(values, ctid)?;
        let key = &values[..self.shape().key_columns()];
        if nulls_are_distinct && key.iter().any(|value| value.is_null()) {
            self.insert(values, ctid)?;
            return Ok(Uniqueness::Inserted);
        }
        let (before, own) =
            (Probe::new(self.shape(), key, Edge::Before), Probe::new(self.shape(), key, Edge::At(ctid)));
        let mut path = Path::new();
        let (block, page) = match self.last_leaf_for(before, item.len())? {
            Some(found) => found,
            None => {
                let (block, page) = self.descend(Search::leaf(before, Access::Write), &mut path)?;
                (block, page.exclusive().ok_or_else(|| self.corrupted(block))?)
            }
        };
        let mut first = Page::Exclusive(page);
        if let Some(conflict) = self.find_duplicate(before, block, &mut first, &mut check)? {
            return Ok(conflict);
        }
        let page = first.exclusive().ok_or_else(|| self.corrupted(block))?;
        let (block, page) = self.step_right_to(own, block, page, &mut path)?;
        self.put_into_leaf(block, page, own, &item, &mut path)?;
        Ok(Uniqueness::Inserted)
    }

    /// Whether a row is in the way of a key, without putting anything in: for `ON CONFLICT`, and for constraints that are
    /// checked later. `None`: there was none when this looked.
    pub fn find_conflict(
        &self,
        key: &[Datum<'_>],
        mut check: impl FnMut(Ctid) -> Result<Verdict>,
    ) -> Result<Option<Uniqueness>> {
        let before = Probe::new(self.shape(), key, Edge::Before);
        let (block, mut page) = self.descend(Search::leaf(before, Access::Read), &mut Path::new())?;
        self.find_duplicate(before, block, &mut page, &mut check)
    }

    /// Asks about all entries with the key, from a locked page on to the right.
    fn find_duplicate(
        &self,
        before: Probe<'_>,
        block: BlockNumber,
        first: &mut Page<'t, 's>,
        check: &mut dyn FnMut(Ctid) -> Result<Verdict>,
    ) -> Result<Conflict> {
        let mut next = match self.duplicates_on(before, block, first, check)? {
            Found::Conflict(conflict) => return Ok(Some(conflict)),
            Found::Over => return Ok(None),
            Found::GoesOn(right) => right,
        };
        let (mut from, mut steps) = (block, Steps::new());
        loop {
            steps.step(self, from)?;
            let block = self.linked(from, next)?;
            let mut page = self.lock(block, Access::Read)?;
            next = match self.duplicates_on(before, block, &mut page, check)? {
                Found::Conflict(conflict) => return Ok(Some(conflict)),
                Found::Over => return Ok(None),
                Found::GoesOn(right) => right,
            };
            from = block;
        }
    }

    fn duplicates_on(
        &self,
        before: Probe<'_>,
        block: BlockNumber,
        page: &mut Page<'t, 's>,
        check: &mut dyn FnMut(Ctid) -> Result<Verdict>,
    ) -> Result<Found> {
        let node = self.node(block, page.page())?;
        if node.is_deleted() {
            return Ok(Found::GoesOn(node.right()));
        }
        let (found, dead) = self.ask(before, block, node, check)?;
        if !dead.is_empty() {
            mark_dead(page, &dead);
        }
        Ok(found)
    }

    /// Asks about the entries of a page that have the key; also the lines of those that are dead to all.
    fn ask(
        &self,
        before: Probe<'_>,
        block: BlockNumber,
        node: Node<'_>,
        check: &mut dyn FnMut(Ctid) -> Result<Verdict>,
    ) -> Result<(Found, Vec<u16>)> {
        let broken = |b| self.broken(block, b);
        let after = before.behind();
        let mut dead = Vec::new();
        let first = before.position(node).map_err(broken)?;
        for line in first..=node.last() {
            let entry = node.entry(line).map_err(broken)?;
            if after.compare(entry).map_err(broken)? == Ordering::Less {
                return Ok((Found::Over, dead));
            }
            if node.is_dead(line) {
                continue;
            }
            let ctid = entry.ctid().ok_or_else(|| self.corrupted(block))?;
            let conflict = match check(ctid)? {
                Verdict::Gone => continue,
                Verdict::DeadToAll => {
                    dead.push(line);
                    continue;
                }
                Verdict::Live => Uniqueness::NotUnique(ctid),
                Verdict::InProgress(xid) => Uniqueness::MustWait(ctid, xid),
            };
            return Ok((Found::Conflict(conflict), dead));
        }
        let goes_on = after.is_beyond(node, true).map_err(broken)?;
        Ok((if goes_on { Found::GoesOn(node.right()) } else { Found::Over }, dead))
    }

    /// Goes to the leaf that an entry belongs to, each page locked before the one before is given up.
    fn step_right_to(
        &self,
        probe: Probe<'_>,
        mut block: BlockNumber,
        mut page: ExclusivePage<'t, 's>,
        path: &mut Path,
    ) -> Result<(BlockNumber, ExclusivePage<'t, 's>)> {
        let mut steps = Steps::new();
        loop {
            let node = self.node(block, page.page())?;
            if !probe.is_beyond(node, false).map_err(|broken| self.broken(block, broken))? {
                return Ok((block, page));
            }
            let (mut from, mut right) = (block, node.right());
            (block, page) = loop {
                steps.step(self, from)?;
                let next = self.linked(from, right)?;
                let next_page = self.lock_exclusive(next)?;
                let node = self.node(next, next_page.page())?;
                if node.is_deleted() {
                    (from, right) = (next, node.right());
                } else if node.is_split_incompletely() {
                    drop(next_page);
                    self.finish_split_of(next, path)?;
                } else {
                    break (next, next_page);
                }
            };
        }
    }
}

/// What a page has of a key.
enum Found {
    Conflict(Uniqueness),
    /// Entries behind the key, or no more at all.
    Over,
    /// More may be on the page to the right.
    GoesOn(u32),
}

/// Marks lines as dead, as a hint.
fn mark_dead(page: &mut Page<'_, '_>, lines: &[u16]) {
    match page {
        Page::Shared(page) => {
            for line in lines {
                let (offset, bits) = node::dead_hint(*line);
                page.set_hint(offset, bits);
            }
            let (offset, bits) = node::PAGE_HAS_DEAD;
            page.set_hint(offset, bits);
        }
        Page::Exclusive(page) => {
            let mut page = page.page_mut();
            lines.iter().for_each(|line| page.mark_dead(*line));
            let (offset, bits) = node::PAGE_HAS_DEAD;
            let word = page.as_ref().u16_at(offset);
            page.put_u16(offset, word | bits);
        }
    }
}
