//! Taking an empty leaf out of the tree.
//!
//! It is done at once: the leaf's siblings are linked to each other, and its parent's downlink leads to the right sibling
//! from then on, to which the leaf's keys belong now. The leaf keeps its right link for those who are about to come, and is
//! queued to be used again when nobody can have a link to it any more. A page that is the last child of its parent stays, as
//! its keys would become those of another parent's child.

use super::change;
use super::descend::{Path, Search};
use super::meta::Meta;
use super::node::{self, NONE, Node};
use super::probe::Pivot;
use super::tree::{Access, BTree};
use crate::access::change::{BlockUse, Change};
use crate::access::rmgr::BTREE;
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

impl<'t, 's> BTree<'t, 's> {
    /// Deletes a leaf, if it is empty still and nothing stands in the way; whether it did.
    pub(super) fn delete_leaf(&self, block: BlockNumber) -> Result<bool> {
        let mut path = Path::new();
        if !self.path_to_parent(block, &mut path)? {
            return Ok(false);
        }
        let Some(leaving) = self.lock_leaving(block)? else { return Ok(false) };
        let (parent, page, line) = self.parent_of(block, 0, &mut path)?;
        let node = self.node(parent, page.page())?;
        let is_followed = line < node.last()
            && node.entry(line + 1).is_ok_and(|entry| entry.child() == Some(leaving.right.0));
        if !is_followed {
            return Ok(false);
        }
        self.unlink(leaving, (parent, page), line)?;
        Ok(true)
    }

    /// Fills in who the parent of an empty leaf may be; `false` if the leaf is not one to be deleted.
    fn path_to_parent(&self, block: BlockNumber, path: &mut Path) -> Result<bool> {
        let high_key = {
            let page = self.lock(block, Access::Read)?;
            let node = self.node(block, page.page())?;
            if !is_deletable(node) {
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

    /// Locks a leaf and its siblings, from left to right; `None` if it is not to be deleted after all, or now.
    fn lock_leaving(&self, block: BlockNumber) -> Result<Option<Leaving<'t, 's>>> {
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
                // If its split is not finished, the leaf may have no downlink yet.
                if node.is_deleted() || node.right() != block.get() || node.is_split_incompletely() {
                    return Ok(None);
                }
                Some((left, page))
            }
        };
        let page = self.lock_exclusive(block)?;
        let node = self.node(block, page.page())?;
        if !is_deletable(node) || node.left() != left.as_ref().map_or(NONE, |(left, _)| left.get()) {
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

    fn unlink(&self, leaving: Leaving<'t, 's>, parent: Locked<'t, 's>, line: u16) -> Result<()> {
        let Leaving { mut left, page: (block, mut page), right: (right, mut right_page) } = leaving;
        let (parent, mut parent_page) = parent;
        // Made beside the page first, since making it allocates.
        let mut parent_after = PageBuf::zeroed();
        parent_page.page().copy_to(&mut parent_after);
        if !change::remove_downlink(&mut parent_after.view_mut(), line) {
            return Err(self.corrupted(parent));
        }
        let (mut meta_page, mut meta) = self.locked_meta()?;
        let mut last_free = self.queue(block, &mut meta)?;
        if left.is_none() && self.node(right, right_page.page())?.is_rightmost() {
            (meta.fast_root, meta.fast_level) = (right.get(), 0);
        }
        let left_number = left.as_ref().map_or(NONE, |(left, _)| left.get());
        let (to_right, to_left) = (right.get().to_le_bytes(), left_number.to_le_bytes());
        let (line, meta_data, own) = (line.to_le_bytes(), meta.encode(), block.get().to_le_bytes());
        let mut change = Change::new(BTREE, change::UNLINK, 0)
            .block(0, &mut page, BlockUse::Modify, &[])
            .block(2, &mut right_page, BlockUse::Modify, &to_left)
            .block(3, &mut parent_page, BlockUse::Modify, &line)
            .block(4, &mut meta_page, BlockUse::Init, &meta_data);
        let left_at = left.as_ref().map(|_| 4);
        if let Some((_, left)) = &mut left {
            change = change.block(1, left, BlockUse::Modify, &to_right);
        }
        let last_at = last_free.as_ref().map(|_| 4 + usize::from(left_at.is_some()));
        if let Some(last) = &mut last_free {
            change = change.block(5, last, BlockUse::Modify, &own);
        }
        let deleted_at = if self.options.is_logged { None } else { Some(&self.store.engine.wal) };
        self.apply(change, |pages| {
            // With everything locked that leads to it: whoever takes a snapshot behind this finds no link.
            let deleted_at = deleted_at.map_or(0, |wal| wal.inserted().bytes());
            change::mark_deleted(&mut pages.page(0), deleted_at);
            node::set_left(&mut pages.page(1), left_number);
            node::overwrite(&mut pages.page(2), &parent_after);
            meta.write(&mut pages.page(3));
            if let Some(at) = left_at {
                node::set_right(&mut pages.page(at), right.get());
            }
            if let Some(at) = last_at {
                node::set_left(&mut pages.page(at), block.get());
            }
        })?;
        self.store.me.stop_point(StopPoint::BTreeUnlinked);
        Ok(())
    }

    /// Puts a page at the end of the queue of free ones; the page that was the last, locked.
    fn queue(&self, block: BlockNumber, meta: &mut Meta) -> Result<Option<ExclusivePage<'t, 's>>> {
        let last = meta.free_last;
        meta.free_last = block.get();
        meta.free_count += 1;
        if last == NONE {
            meta.free_first = block.get();
            return Ok(None);
        }
        let last = self.linked(BlockNumber::ZERO, last)?;
        let page = self.lock_exclusive(last)?;
        if self.node(last, page.page())?.is_deleted() { Ok(Some(page)) } else { Err(self.corrupted(last)) }
    }
}

/// Whether a leaf is empty, and another page can take over its keys.
fn is_deletable(node: Node<'_>) -> bool {
    let is_in_use = !node.is_deleted() && node.is_leaf();
    is_in_use && node.count() == 0 && !node.is_rightmost() && !node.is_split_incompletely()
}
