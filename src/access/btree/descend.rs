//! Searching: from the root down, and to the right where a page was split meanwhile.
//!
//! One page is locked at a time. What a search read on a page it has left may be out of date when it comes to the next one,
//! but keys only ever move to the right: whoever is on a page whose high key is not above the cut goes on to the right.

use super::node::{MAX_LEVEL, NONE};
use super::probe::Probe;
use super::tree::{Access, BTree, Page, Steps, is_alone};
use crate::report::Result;
use crate::storage::ids::BlockNumber;
use crate::storage::page::PageRef;

/// The pages that a search came by, by level: where to look for the parent of a page.
#[derive(Clone, Copy)]
pub(super) struct Path([u32; MAX_LEVEL as usize + 2]);

impl Path {
    pub fn new() -> Self {
        Self([NONE; MAX_LEVEL as usize + 2])
    }

    #[inline]
    pub fn set(&mut self, level: u16, block: BlockNumber) {
        self.0[usize::from(level)] = block.get();
    }

    pub fn at(&self, level: u16) -> Option<BlockNumber> {
        self.0.get(usize::from(level)).copied().and_then(BlockNumber::new)
    }
}

/// What is searched for.
#[derive(Clone, Copy)]
pub(super) struct Search<'k> {
    pub probe: Probe<'k>,
    /// Where a page ends at the cut, take that page and not the one that begins there.
    pub leans_left: bool,
    /// How to lock the page that is found; for a writer, splits that were not finished are.
    pub access: Access,
    /// Level of that page.
    pub level: u16,
}

impl<'k> Search<'k> {
    /// For a leaf.
    pub fn leaf(probe: Probe<'k>, access: Access) -> Self {
        Self { probe, leans_left: false, access, level: 0 }
    }

    fn access_at(&self, level: u16) -> Access {
        if level == self.level { self.access } else { Access::Read }
    }
}

/// Where a search goes from a page.
enum Way {
    /// The page is the one wanted.
    Here,
    /// To this page of the level below.
    Down(BlockNumber),
    /// To the right, or the page needs a look that is not the usual one.
    Right,
}

impl<'t, 's> BTree<'t, 's> {
    /// The page of the wanted level that has the cut, locked.
    pub(super) fn descend(&self, search: Search<'_>, path: &mut Path) -> Result<(BlockNumber, Page<'t, 's>)> {
        let (mut block, mut page) = self.top(search)?;
        let mut level = self.node(block, page.page())?.level();
        loop {
            let child = match self.way(search, level, block, page.page())? {
                Way::Here => {
                    path.set(level, block);
                    return Ok((block, page));
                }
                Way::Down(child) => child,
                Way::Right => {
                    (block, page) = self.move_right(search, level, block, page, path)?;
                    continue;
                }
            };
            path.set(level, block);
            drop(page);
            level -= 1;
            block = child;
            page = self.lock(block, search.access_at(level))?;
        }
    }

    /// Where a search goes from a page.
    #[inline]
    fn way(&self, search: Search<'_>, level: u16, block: BlockNumber, page: PageRef<'_>) -> Result<Way> {
        let node = self.node(block, page)?;
        let broken = |broken| self.broken(block, broken);
        let is_plain = node.level() == level && !node.is_deleted();
        let is_finished = search.access == Access::Read || !node.is_split_incompletely();
        if !is_plain || !is_finished || search.probe.is_beyond(node, search.leans_left).map_err(broken)? {
            return Ok(Way::Right);
        }
        if level == search.level {
            return Ok(Way::Here);
        }
        let line = search.probe.child(node, search.leans_left).map_err(broken)?;
        let entry = node.entry(line).map_err(broken)?;
        entry.child().map(Way::Down).ok_or_else(|| self.corrupted(block))
    }

    /// Where a search begins, locked: a page at or above the wanted level.
    fn top(&self, search: Search<'_>) -> Result<(BlockNumber, Page<'t, 's>)> {
        if let Some((block, level)) = self.root.get()
            && level >= search.level
        {
            let page = self.lock(block, search.access_at(level))?;
            let is_top = self
                .node(block, page.page())
                .is_ok_and(|node| !node.is_deleted() && node.level() == level && is_alone(node));
            if is_top {
                return Ok((block, page));
            }
            self.root.set(None);
        }
        self.top_by_meta(search)
    }

    fn top_by_meta(&self, search: Search<'_>) -> Result<(BlockNumber, Page<'t, 's>)> {
        let mut steps = Steps::new();
        loop {
            let (locked, meta) = self.meta(Access::Read)?;
            drop(locked);
            let is_high_enough = meta.fast_level >= search.level;
            let (block, level) =
                if is_high_enough { (meta.fast_root, meta.fast_level) } else { (meta.root, meta.level) };
            let block = self.linked(BlockNumber::ZERO, block)?;
            let page = self.lock(block, search.access_at(level))?;
            let node = self.node(block, page.page())?;
            if node.level() != level || level < search.level {
                return Err(self.corrupted(block));
            }
            if !node.is_deleted() {
                if is_high_enough && is_alone(node) {
                    self.root.set(Some((block, level)));
                }
                return Ok((block, page));
            }
            // It was deleted since; the first block says something else by now.
            steps.step(self, block)?;
        }
    }

    /// Goes to the right until the page has the cut.
    pub(super) fn move_right(
        &self,
        search: Search<'_>,
        level: u16,
        mut block: BlockNumber,
        mut page: Page<'t, 's>,
        path: &mut Path,
    ) -> Result<(BlockNumber, Page<'t, 's>)> {
        let access = search.access_at(level);
        let mut steps = None;
        loop {
            let node = self.node(block, page.page())?;
            if node.level() != level {
                return Err(self.corrupted(block));
            }
            if search.access == Access::Write && node.is_split_incompletely() && !node.is_deleted() {
                drop(page);
                self.finish_split_of(block, path)?;
                page = self.lock(block, access)?;
                continue;
            }
            let goes_on = node.is_deleted()
                || search
                    .probe
                    .is_beyond(node, search.leans_left)
                    .map_err(|broken| self.broken(block, broken))?;
            if !goes_on {
                return Ok((block, page));
            }
            steps.get_or_insert_with(Steps::new).step(self, block)?;
            let right = self.linked(block, node.right())?;
            drop(page);
            block = right;
            page = self.lock(block, access)?;
        }
    }
}
