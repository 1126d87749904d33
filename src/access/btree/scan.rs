//! Reading a range of entries, forward and backward.
//!
//! A page's matching entries are copied at once, so that no lock is held while the caller works with them. The page may be
//! split or deleted meanwhile: to the right, the link that it had when it was copied leads to what follows what was copied;
//! to the left, see [`left`](super::left).

use super::descend::{Path, Search};
use super::node::{self, Looked, NONE, Node};
use super::probe::Probe;
use super::range::{Range, ScanKey};
use super::tree::{Access, BTree, Page, Steps};
use crate::access::ctid::Ctid;
use crate::report::Result;
use crate::storage::buffer::PinnedBuffer;
use crate::storage::ids::BlockNumber;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// In the order of the index.
    Forward,
    /// Against it.
    Backward,
}

/// What a scan keeps beside rows' addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScanOptions {
    /// The key rows, for who does without the table.
    pub with_rows: bool,
    /// A pin of the page that entries are from, so that vacuum removes none of them, and their rows' lines stay what they
    /// are, until the scan goes on: for who does without the table, or looks at it without a snapshot.
    pub keeps_pin: bool,
}

/// An entry that was copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    ctid: Ctid,
    line: u16,
    /// Where its row ends in what was copied; it begins where the one before ends.
    row_end: u16,
}

/// A page that was copied.
pub(super) struct Copied<'t, 's> {
    pub block: BlockNumber,
    pub left: u32,
    right: u32,
    lsn: u64,
    /// No entry of the range is on a page to the left, or right.
    begins: bool,
    ends: bool,
    pin: Option<PinnedBuffer<'t, 's>>,
}

/// A scan. See [`BTree::scan`].
pub struct Scan<'b, 't, 's, 'k> {
    tree: &'b BTree<'t, 's>,
    range: Range<'k>,
    options: ScanOptions,
    page: Option<Copied<'t, 's>>,
    found: Vec<Found>,
    rows: Vec<u8>,
    /// Place of the current entry in `found`, counted from 1; 0 is before the first, and one more than there are behind
    /// the last.
    at: usize,
    /// Entries, by place from 0, whose rows turned out to be dead to all.
    killed: Vec<usize>,
    /// Pages turned this way.
    steps: Steps,
    direction: Option<Direction>,
}

impl<'t, 's> BTree<'t, 's> {
    /// A scan of the entries that meet all conditions. It begins where its first step goes from.
    pub fn scan<'b, 'k>(&'b self, keys: &[ScanKey<'k>], options: ScanOptions) -> Scan<'b, 't, 's, 'k> {
        Scan {
            tree: self,
            range: Range::new(self.shape(), keys),
            options,
            page: None,
            found: self.spare.take(),
            rows: Vec::new(),
            at: 0,
            killed: Vec::new(),
            steps: Steps::new(),
            direction: None,
        }
    }
}

impl Drop for Scan<'_, '_, '_, '_> {
    fn drop(&mut self) {
        self.found.clear();
        self.tree.spare.set(std::mem::take(&mut self.found));
    }
}

impl<'t, 's> Scan<'_, 't, 's, '_> {
    /// The next entry's row, this way; `None` at the end, from where one can go back.
    ///
    /// # Errors
    /// XX002 if the index is broken; whatever reading pages may end with.
    #[inline]
    pub fn next(&mut self, direction: Direction) -> Result<Option<Ctid>> {
        loop {
            match direction {
                Direction::Forward if self.at < self.found.len() => self.at += 1,
                Direction::Backward if self.at > 1 => self.at -= 1,
                _ => {
                    if !self.turn_page(direction)? {
                        return Ok(None);
                    }
                    continue;
                }
            }
            return Ok(Some(self.found[self.at - 1].ctid));
        }
    }

    /// The current entry's key row, if the scan keeps rows and is at an entry.
    pub fn row(&self) -> Option<&[u8]> {
        let index = self.at.checked_sub(1)?;
        let end = self.found.get(index)?.row_end;
        let start = index.checked_sub(1).map_or(0, |before| self.found[before].row_end);
        self.options.with_rows.then(|| &self.rows[start.into()..end.into()])
    }

    /// Says that the current entry's row is dead to all, so that nobody need look at it again.
    pub fn kill_current(&mut self) {
        let index = self.at.wrapping_sub(1);
        if index < self.found.len() && self.killed.last() != Some(&index) {
            self.killed.push(index);
        }
    }

    /// Copies another page, with entries or without; `false` if there is none this way.
    fn turn_page(&mut self, direction: Direction) -> Result<bool> {
        if self.range.is_empty {
            return Ok(false);
        }
        let is_over = match (&self.page, direction) {
            (None, _) => false,
            (Some(page), Direction::Forward) => page.ends,
            (Some(page), Direction::Backward) => page.begins,
        };
        if is_over {
            self.at = if direction == Direction::Forward { self.found.len() + 1 } else { 0 };
            return Ok(false);
        }
        self.mark_killed()?;
        if self.direction.replace(direction) != Some(direction) {
            self.steps = Steps::new();
        }
        match (self.page.take(), direction) {
            (None, _) => self.begin(direction)?,
            (Some(page), Direction::Forward) => self.go_right(&page)?,
            (Some(page), Direction::Backward) => {
                self.steps.step(self.tree, page.block)?;
                let Some((block, locked)) = self.tree.left_of(&page)? else {
                    // Nothing is to the left of it any more.
                    self.page = Some(Copied { begins: true, ..page });
                    self.at = 0;
                    return Ok(false);
                };
                self.copy(block, &locked, true)?;
            }
        }
        self.at = if direction == Direction::Forward { 0 } else { self.found.len() + 1 };
        Ok(true)
    }

    fn begin(&mut self, direction: Direction) -> Result<()> {
        let shape = self.tree.shape();
        let probe = match direction {
            Direction::Forward => self.range.start(shape),
            Direction::Backward => self.range.end(shape),
        };
        let search = Search::leaf(probe, Access::Read);
        let (block, page) = self.tree.descend(search, &mut Path::new())?;
        self.copy(block, &page, true)
    }

    fn go_right(&mut self, from: &Copied<'t, 's>) -> Result<()> {
        let (mut block, mut right) = (from.block, from.right);
        loop {
            self.steps.step(self.tree, block)?;
            block = self.tree.linked(block, right)?;
            let page = self.tree.lock(block, Access::Read)?;
            let node = self.tree.node(block, page.page())?;
            if !node.is_deleted() {
                return self.copy(block, &page, false);
            }
            right = node.right();
        }
    }

    /// Copies what a page has of the range. `may_begin`: that may begin within the page.
    fn copy(&mut self, block: BlockNumber, page: &Page<'t, 's>, may_begin: bool) -> Result<()> {
        let (tree, shape) = (self.tree, self.tree.shape());
        let broken = |broken| tree.broken(block, broken);
        let node = self.tree.node(block, page.page())?;
        if !node.is_leaf() {
            return Err(self.tree.corrupted(block));
        }
        self.found.clear();
        self.rows.clear();
        self.killed.clear();
        let (start, end) = (self.range.start(shape), self.range.end(shape));
        let from = if may_begin { start.position(node).map_err(broken)? } else { node.first() };
        let ends = ends_on(node, end).map_err(broken)?;
        // Where the range goes on behind the page, all of the page is in it.
        let to = if ends { end.position_near(node, from).map_err(broken)? } else { node.last() + 1 };
        let begins = node.is_leftmost() || (may_begin && from > node.first());
        self.copy_lines(node, from, to).map_err(broken)?;
        self.page = Some(Copied {
            block,
            left: node.left(),
            right: node.right(),
            lsn: node.page().lsn(),
            begins,
            ends,
            pin: if self.options.keeps_pin { Some(self.tree.pin(block)?) } else { None },
        });
        Ok(())
    }

    fn copy_lines(&mut self, node: Node<'_>, from: u16, to: u16) -> Looked<()> {
        let is_exact = self.range.is_exact();
        let may_have_dead = node.may_have_dead();
        self.found.reserve(to.saturating_sub(from).into());
        for line in from..to {
            let entry = node.entry(line)?;
            if (may_have_dead && node.is_dead(line))
                || (!is_exact && !self.range.accepts(self.tree.shape(), entry)?)
            {
                continue;
            }
            let ctid = entry.ctid().ok_or(node::Broken::Corrupted)?;
            if self.options.with_rows {
                self.rows.extend_from_slice(entry.row());
            }
            self.found.push(Found { ctid, line, row_end: self.rows.len() as u16 });
        }
        Ok(())
    }

    /// Marks what was killed on the page that is left. Only if the page is as it was: a line may have become another
    /// entry's, and its row's line another row's.
    fn mark_killed(&mut self) -> Result<()> {
        let Some(page) = self.page.as_ref().filter(|_| !self.killed.is_empty()) else { return Ok(()) };
        // Changes of an unlogged index leave no LSN; then the pin says that nothing was removed.
        if !self.tree.options.is_logged && page.pin.is_none() {
            self.killed.clear();
            return Ok(());
        }
        let locked = self.tree.pin(page.block)?.lock_shared();
        let node = self.tree.node(page.block, locked.page())?;
        let is_same = self.tree.options.is_logged && locked.page().lsn() == page.lsn;
        let mut has_marked = false;
        for index in self.killed.drain(..) {
            let Found { ctid, line, .. } = self.found[index];
            let is_there = |line: u16| {
                line <= node.last() && node.entry(line).is_ok_and(|entry| entry.ctid() == Some(ctid))
            };
            if !node.is_deleted() && (is_same || page.pin.is_some()) && line >= node.first() && is_there(line)
            {
                let (offset, bits) = node::dead_hint(line);
                locked.set_hint(offset, bits);
                has_marked = true;
            }
        }
        if has_marked {
            let (offset, bits) = node::PAGE_HAS_DEAD;
            locked.set_hint(offset, bits);
        }
        Ok(())
    }

    /// Ends it, and tells others what was found to be dead; dropping it only loses that.
    pub fn end(mut self) -> Result<()> {
        self.mark_killed()
    }
}

/// Whether a range that ends at a cut has nothing on pages to the right.
fn ends_on(node: Node<'_>, end: Probe<'_>) -> Looked<bool> {
    debug_assert!(node.right() == NONE || node.last() >= 1, "a high key");
    let Some(high_key) = node.high_key() else { return Ok(true) };
    Ok(!end.compare(high_key?)?.is_gt())
}
