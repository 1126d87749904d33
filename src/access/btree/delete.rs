//! Taking an empty leaf out of the tree.
//!
//! It is done at once: the leaf's siblings are linked to each other, and its parent's downlink leads to the right sibling
//! from then on, to which the leaf's keys belong now. The leaf keeps its right link for those who are about to come, and is
//! queued to be used again when nobody can have a link to it any more. A page that is the last child of its parent stays, as
//! its keys would become those of another parent's child; but if it is the only one, its parent goes with it, by the same
//! rule. So what a queue leaves behind at its end goes too, but for one leaf in tens of thousands.

use super::apply::{Step, Steps};
use super::change;
use super::descend::{Path, Search};
use super::meta::Meta;
use super::node::{self, NONE, Node};
use super::probe::Pivot;
use super::tree::{Access, BTree};
use crate::ipc::stop_points::StopPoint;
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::BlockNumber;
use crate::storage::page::PageBuf;

type Locked<'t, 's> = (BlockNumber, ExclusivePage<'t, 's>);

/// A page that is about to go, and those beside it, locked.
struct Leaving<'t, 's> {
    left: Option<Locked<'t, 's>>,
    page: Locked<'t, 's>,
    right: Locked<'t, 's>,
}

impl<'t, 's> Leaving<'t, 's> {
    fn left(&self) -> u32 {
        self.left.as_ref().map_or(NONE, |(left, _)| left.get())
    }

    /// What becomes of these pages, which records call `ids`: the page, its left and its right sibling.
    fn steps<'c>(&'c mut self, ids: [u8; 3], next_free: u32, steps: &mut Steps<'c, '_, 't, 's>) {
        let (left, right) = (self.left(), self.right.0.get());
        steps.push((ids[0], &mut self.page.1, Step::Delete(next_free)));
        if let Some((_, page)) = &mut self.left {
            steps.push((ids[1], page, Step::Right(right)));
        }
        steps.push((ids[2], &mut self.right.1, Step::Left(left)));
    }
}

impl<'t, 's> BTree<'t, 's> {
    /// Deletes a leaf, if it is empty still and nothing stands in the way; how many pages it deleted.
    pub(super) fn delete_leaf(&self, block: BlockNumber) -> Result<u32> {
        let mut path = Path::new();
        if !self.path_to_parent(block, &mut path)? {
            return Ok(0);
        }
        let is_empty = |node: Node<'_>| node.is_leaf() && node.count() == 0;
        let Some(leaf) = self.lock_leaving(block, &is_empty)? else { return Ok(0) };
        let (parent, page, line) = self.parent_of(block, 0, &mut path)?;
        let node = self.node(parent, page.page())?;
        if is_followed(node, line, leaf.right.0) {
            self.unlink(leaf, None, (parent, page), line)?;
            return Ok(1);
        }
        if node.count() > 1 || node.is_rightmost() || path.at(2).is_none() {
            return Ok(0);
        }
        // Its siblings are locked first, from left to right.
        drop(page);
        self.delete_with_parent(leaf, parent, &mut path)
    }

    /// Deletes a leaf that is its parent's only child, and the parent.
    fn delete_with_parent(&self, leaf: Leaving<'t, 's>, parent: BlockNumber, path: &mut Path) -> Result<u32> {
        let child = leaf.page.0;
        let has_only = |node: Node<'_>| {
            let only = node.entry(node.first()).ok().and_then(|entry| entry.child());
            node.level() == 1 && node.count() == 1 && only == Some(child)
        };
        let Some(upper) = self.lock_leaving(parent, &has_only)? else { return Ok(0) };
        let right = self.node(upper.right.0, upper.right.1.page())?;
        let first = right.entry(right.first()).ok().and_then(|entry| entry.child());
        if first != Some(leaf.right.0) {
            return Ok(0);
        }
        let (above, page, line) = self.parent_of(parent, 1, path)?;
        let node = self.node(above, page.page())?;
        if !is_followed(node, line, upper.right.0) {
            return Ok(0);
        }
        self.unlink(leaf, Some(upper), (above, page), line)?;
        Ok(2)
    }

    /// Fills in who the parent of an empty leaf may be; `false` if the leaf is not one to be deleted.
    fn path_to_parent(&self, block: BlockNumber, path: &mut Path) -> Result<bool> {
        let high_key = {
            let page = self.lock(block, Access::Read)?;
            let node = self.node(block, page.page())?;
            if !is_deletable(node) || node.count() > 0 {
                return Ok(false);
            }
            let entry = node.high_key().transpose().map_err(|broken| self.broken(block, broken))?;
            entry.ok_or_else(|| self.corrupted(block))?.bytes.to_vec()
        };
        let entry = node::Entry::new(&high_key, true).ok_or_else(|| self.corrupted(block))?;
        let pivot = Pivot::of(self.shape(), entry).map_err(|broken| self.broken(block, broken))?;
        let probe = pivot.probe(self.shape());
        self.descend(Search { probe, leans_left: true, access: Access::Write, level: 1 }, path)?;
        Ok(true)
    }

    /// Locks a page and its siblings, from left to right; `None` if it is not to be deleted after all, or now.
    fn lock_leaving(
        &self,
        block: BlockNumber,
        is_wanted: &dyn Fn(Node<'_>) -> bool,
    ) -> Result<Option<Leaving<'t, 's>>> {
        let left = {
            let page = self.lock(block, Access::Read)?;
            self.node(block, page.page())?.left()
        };
        let left = match BlockNumber::new(left) {
            None => None,
            Some(left) => {
                let left = self.linked(block, left.get())?;
                let page = self.lock_exclusive(left)?;
                let node = self.node(left, page.page())?;
                // If its split is not finished, the page may have no downlink yet.
                if node.is_deleted() || node.right() != block.get() || node.is_split_incompletely() {
                    return Ok(None);
                }
                Some((left, page))
            }
        };
        let page = self.lock_exclusive(block)?;
        let node = self.node(block, page.page())?;
        if !is_deletable(node)
            || !is_wanted(node)
            || node.left() != left.as_ref().map_or(NONE, |(left, _)| left.get())
        {
            return Ok(None);
        }
        let right = self.linked(block, node.right())?;
        let right_page = self.lock_exclusive(right)?;
        let right_node = self.node(right, right_page.page())?;
        if right_node.left() != block.get() || right_node.is_deleted() {
            return Err(self.corrupted(right));
        }
        Ok(Some(Leaving { left, page: (block, page), right: (right, right_page) }))
    }

    /// Takes a leaf, and perhaps its parent, out; the downlink to what is highest of them stands at `line` of `parent`.
    fn unlink(
        &self,
        mut leaf: Leaving<'t, 's>,
        mut upper: Option<Leaving<'t, 's>>,
        (parent, mut parent_page): Locked<'t, 's>,
        line: u16,
    ) -> Result<()> {
        // Made beside the page first, since making it allocates.
        let mut parent_after = PageBuf::zeroed();
        parent_page.page().copy_to(&mut parent_after);
        if !change::remove_downlink(&mut parent_after.view_mut(), line) {
            return Err(self.corrupted(parent));
        }
        let (mut meta_page, mut meta) = self.locked_meta()?;
        let block = leaf.page.0.get();
        let next_free = upper.as_ref().map_or(NONE, |upper| upper.page.0.get());
        let mut last_free = self.queue(block, next_free, &mut meta)?;
        self.lower_fast_root(&leaf, upper.as_ref(), &mut meta)?;
        let mut steps: Steps<'_, '_, 't, 's> = Vec::new();
        leaf.steps([0, 1, 2], next_free, &mut steps);
        let line = line.to_le_bytes();
        steps.push((3, &mut parent_page, Step::Become(&line, &parent_after)));
        steps.push((4, &mut meta_page, Step::Meta(meta)));
        if let Some(last) = &mut last_free {
            steps.push((5, last, Step::Left(block)));
        }
        if let Some(upper) = &mut upper {
            upper.steps([6, 7, 8], NONE, &mut steps);
        }
        self.take(change::UNLINK, steps)?;
        self.store.me.stop_point(StopPoint::BTreeUnlinked);
        Ok(())
    }

    /// Where a page becomes the only one of its level, searches can begin there.
    fn lower_fast_root(
        &self,
        leaf: &Leaving<'t, 's>,
        upper: Option<&Leaving<'t, 's>>,
        meta: &mut Meta,
    ) -> Result<()> {
        for (leaving, level) in [(Some(leaf), 0), (upper, 1)] {
            let Some(Leaving { left: None, right: (right, page), .. }) = leaving else { continue };
            if self.node(*right, page.page())?.is_rightmost() && meta.fast_level > level {
                (meta.fast_root, meta.fast_level) = (right.get(), level);
            }
        }
        Ok(())
    }

    /// Puts a page at the end of the queue of free ones, and another one behind it; the page that was the last, locked.
    fn queue(&self, block: u32, another: u32, meta: &mut Meta) -> Result<Option<ExclusivePage<'t, 's>>> {
        let last = meta.free_last;
        meta.free_last = if another == NONE { block } else { another };
        meta.free_count += if another == NONE { 1 } else { 2 };
        if last == NONE {
            meta.free_first = block;
            return Ok(None);
        }
        let last = self.linked(BlockNumber::ZERO, last)?;
        let page = self.lock_exclusive(last)?;
        if self.node(last, page.page())?.is_deleted() { Ok(Some(page)) } else { Err(self.corrupted(last)) }
    }
}

/// Whether another page can take over a page's keys.
fn is_deletable(node: Node<'_>) -> bool {
    !node.is_deleted() && !node.is_rightmost() && !node.is_split_incompletely()
}

/// Whether the entry behind a line leads to a page.
fn is_followed(node: Node<'_>, line: u16, next: BlockNumber) -> bool {
    line < node.last() && node.entry(line + 1).is_ok_and(|entry| entry.child() == Some(next))
}
