//! Looking at all of an index: whether every page, link and order is as it should be, in the words of PostgreSQL's amcheck.
//!
//! Levels are walked from the root down, each from left to right. What the inner pages of a level say of their children is
//! what the pages of the level below must be: the same pages in the same order, each beginning where its downlink says; but
//! for the right half of a split that was not finished, which has no downlink yet.

use std::collections::HashSet;

use super::meta::Meta;
use super::node::{Entry, NONE, Node};
use super::probe::Pivot;
use super::tree::{Access, BTree};
use crate::access::ctid::Ctid;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::storage::ids::BlockNumber;

/// What an index was found to have.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Checked {
    /// Levels above the leaves.
    pub height: u16,
    /// Pages of the tree.
    pub pages: u32,
    /// Leaves among them.
    pub leaves: u32,
    /// Leaves without entries.
    pub empty_leaves: u32,
    /// Entries that are not marked dead.
    pub live: u64,
    /// Entries that are.
    pub dead: u64,
    /// Deleted pages, free to be used again.
    pub free: u32,
    /// Splits that were not finished.
    pub incomplete_splits: u32,
}

/// A downlink, or a page's place among others.
struct Downlink {
    child: u32,
    /// The pivot where the child begins, without its child; empty: below everything.
    low: Vec<u8>,
}

/// A level as it is walked.
struct Level {
    number: u16,
    expected: Vec<Downlink>,
    next_expected: usize,
    children: Vec<Downlink>,
}

struct Checker<'c, 't, 's> {
    tree: &'c BTree<'t, 's>,
    seen: HashSet<u32>,
    checked: Checked,
    each: &'c mut dyn FnMut(Ctid, &[u8]),
}

impl BTree<'_, '_> {
    /// Checks all of it, while nobody changes it. `each` is told every entry of the leaves that is not marked dead.
    ///
    /// # Errors
    /// XX002 with the first thing that is wrong; whatever reading pages may end with.
    pub fn check(&self, mut each: impl FnMut(Ctid, &[u8])) -> Result<Checked> {
        let (locked, meta) = self.meta(Access::Read)?;
        drop(locked);
        let mut checker = Checker {
            tree: self,
            seen: HashSet::from([0]),
            checked: Checked { height: meta.level, ..Checked::default() },
            each: &mut each,
        };
        let mut expected = vec![Downlink { child: meta.root, low: Vec::new() }];
        for level in (0..=meta.level).rev() {
            if level == meta.fast_level && expected[0].child != meta.fast_root {
                return Err(checker.wrong(
                    "fast root is not the first page of its level",
                    meta.fast_root,
                    "",
                ));
            }
            expected = checker.level(level, expected)?;
        }
        checker.free_pages(&meta)?;
        checker.no_page_is_lost()?;
        Ok(checker.checked)
    }
}

/// A pivot's or an entry's cut, to be compared bytewise.
fn cut(entry: Entry<'_>) -> Vec<u8> {
    let mut bytes = entry.ctid().map_or_else(|| vec![0; Ctid::SIZE], |ctid| ctid.to_bytes().to_vec());
    bytes.extend_from_slice(entry.row());
    bytes
}

impl Checker<'_, '_, '_> {
    /// Walks a level; what its pages lead to.
    fn level(&mut self, number: u16, expected: Vec<Downlink>) -> Result<Vec<Downlink>> {
        let first = expected.first().map_or(NONE, |downlink| downlink.child);
        let mut level = Level { number, expected, next_expected: 0, children: Vec::new() };
        let (mut block, mut left, mut low, mut may_be_missing) = (first, NONE, Vec::new(), false);
        loop {
            let at = self.tree.linked(BlockNumber::ZERO, block)?;
            if !self.seen.insert(block) {
                return Err(self.wrong("circular link chain found", block, ""));
            }
            let page = self.tree.lock(at, Access::Read)?;
            let node = self.tree.node(at, page.page())?;
            if page.page().check_items().is_err() || node.level() != number || node.is_deleted() {
                return Err(self.tree.corrupted(at));
            }
            if node.left() != left {
                let detail = format!("Its left link is {}, not {left}.", node.left());
                return Err(self.wrong("left link/right link pair not in agreement", block, &detail));
            }
            self.downlink(&mut level, block, &low, may_be_missing)?;
            let high = self.page(&mut level, at, node, &low)?;
            may_be_missing = node.is_split_incompletely();
            self.checked.incomplete_splits += u32::from(may_be_missing);
            (left, block, low) = (block, node.right(), high);
            if block == NONE {
                break;
            }
        }
        if level.next_expected < level.expected.len() || may_be_missing {
            return Err(self.wrong("downlink to a page that is not on its level", left, ""));
        }
        Ok(level.children)
    }

    /// Whether a page is what the next downlink leads to.
    fn downlink(&self, level: &mut Level, block: u32, low: &[u8], may_be_missing: bool) -> Result<()> {
        match level.expected.get(level.next_expected) {
            Some(downlink) if downlink.child == block => {
                if downlink.low != low {
                    return Err(self.wrong("down-link lower bound invariant violated", block, ""));
                }
                level.next_expected += 1;
                Ok(())
            }
            _ if may_be_missing => Ok(()),
            _ => Err(self.wrong("downlink missing", block, "")),
        }
    }

    /// Order within a page, and from where the one before ended; its high key.
    fn page(&mut self, level: &mut Level, at: BlockNumber, node: Node<'_>, low: &[u8]) -> Result<Vec<u8>> {
        let broken = |broken| self.tree.broken(at, broken);
        self.checked.pages += 1;
        let is_leaf = level.number == 0;
        if is_leaf {
            self.checked.leaves += 1;
            self.checked.empty_leaves += u32::from(node.count() == 0);
        } else if node.count() == 0 {
            return Err(self.tree.corrupted(at));
        }
        let high_key = node.high_key().transpose().map_err(broken)?;
        let mut before: Option<Entry<'_>> = None;
        for line in node.first()..=node.last() {
            let entry = node.entry(line).map_err(broken)?;
            if is_leaf {
                self.leaf_entry(node, line, entry, at)?;
                if line == node.first() {
                    self.is_not_below(low, entry, at)?;
                }
            } else {
                let child = entry.child().ok_or_else(|| self.tree.corrupted(at))?.get();
                let low = if line == node.first() { low.to_vec() } else { cut(entry) };
                level.children.push(Downlink { child, low });
            }
            // The first pivot of an inner page is below all, so that every order holds for it too.
            if let Some(before) = before {
                self.in_order(before, entry, at, "item order invariant violated")?;
            }
            before = Some(entry);
        }
        if let (Some(last), Some(high_key)) = (before, high_key) {
            self.in_order(last, high_key, at, "high key invariant violated")?;
        }
        Ok(high_key.map(cut).unwrap_or_default())
    }

    fn leaf_entry(&mut self, node: Node<'_>, line: u16, entry: Entry<'_>, at: BlockNumber) -> Result<()> {
        let layout = self.tree.shape().layout();
        let ctid = entry.ctid().ok_or_else(|| self.tree.corrupted(at))?;
        let row = crate::access::row::RowReader::new(layout, entry.row());
        let is_whole = row.is_ok_and(|mut row| row.stored() == layout.columns().len() && row.check().is_ok());
        if !is_whole {
            return Err(self.tree.corrupted(at));
        }
        if node.is_dead(line) {
            self.checked.dead += 1;
        } else {
            self.checked.live += 1;
            (self.each)(ctid, entry.row());
        }
        Ok(())
    }

    /// Whether an entry is at or behind the cut that its page begins at.
    fn is_not_below(&self, low: &[u8], entry: Entry<'_>, at: BlockNumber) -> Result<()> {
        if low.is_empty() {
            return Ok(());
        }
        // As a leaf's entry if it has an address, else as a pivot: both have the same place for it.
        let is_pivot = low[..Ctid::SIZE] == [0; Ctid::SIZE];
        let low = Entry::new(low, is_pivot).ok_or_else(|| self.tree.corrupted(at))?;
        let pivot = Pivot::of(self.tree.shape(), low).map_err(|broken| self.tree.broken(at, broken))?;
        let ordering = pivot.probe(self.tree.shape()).compare(entry);
        if ordering.map_err(|broken| self.tree.broken(at, broken))?.is_gt() {
            return Err(self.wrong("cross page item order invariant violated", at.get(), ""));
        }
        Ok(())
    }

    fn in_order(&self, before: Entry<'_>, behind: Entry<'_>, at: BlockNumber, what: &str) -> Result<()> {
        let broken = |broken| self.tree.broken(at, broken);
        let pivot = Pivot::of(self.tree.shape(), before).map_err(broken)?;
        let ordering = pivot.probe(self.tree.shape()).compare(behind).map_err(broken)?;
        if ordering.is_lt() { Ok(()) } else { Err(self.wrong(what, at.get(), "")) }
    }

    fn free_pages(&mut self, meta: &Meta) -> Result<()> {
        let (mut block, mut last) = (meta.free_first, NONE);
        while block != NONE {
            let at = self.tree.linked(BlockNumber::ZERO, block)?;
            if !self.seen.insert(block) {
                return Err(self.wrong("circular chain of free pages found", block, ""));
            }
            let page = self.tree.lock(at, Access::Read)?;
            let node = self.tree.node(at, page.page())?;
            if !node.is_deleted() {
                return Err(self.wrong("free page is not deleted", block, ""));
            }
            self.checked.free += 1;
            (last, block) = (block, node.left());
        }
        if last != meta.free_last || self.checked.free != meta.free_count {
            return Err(self.wrong("queue of free pages does not end where it should", last, ""));
        }
        Ok(())
    }

    /// Every page is one of the tree, free, or was never used.
    fn no_page_is_lost(&self) -> Result<()> {
        for block in 0..self.tree.blocks()? {
            if self.seen.contains(&block) {
                continue;
            }
            let at = self.tree.linked(BlockNumber::ZERO, block)?;
            let page = self.tree.lock(at, Access::Read)?;
            if !page.page().is_new() {
                return Err(self.wrong("page is not part of the tree", block, ""));
            }
        }
        Ok(())
    }

    fn wrong(&self, what: &str, block: u32, detail: &str) -> Box<Report> {
        let message = format!("{what} in block {block} of index \"{}\"", self.tree.options.name);
        let report = Report::error(SqlState::INDEX_CORRUPTED, message);
        if detail.is_empty() { report } else { report.with_detail(detail) }
    }
}
