//! Taking out the entries of rows that are gone, and pages that have none left.
//!
//! Vacuum walks the leaves from left to right, so that it meets what is moved to the right by splits meanwhile. Every leaf is
//! locked with nobody else having a pin, so that no scan is between an entry of it and that entry's row, when the row's
//! line is about to be used again. One vacuum at a time works on an index; the caller sees to that.

use super::descend::{Path, Search};
use super::probe::{Edge, Probe};
use super::tree::{Access, BTree, Steps};
use crate::access::ctid::Ctid;
use crate::ipc::Interrupts;
use crate::report::Result;
use crate::storage::buffer::{ExclusivePage, PinnedBuffer};
use crate::storage::ids::BlockNumber;

/// What a vacuum of an index did, in the words of `VACUUM VERBOSE`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct VacuumCounts {
    /// Pages of its file.
    pub pages: u32,
    /// Pages deleted by this vacuum.
    pub newly_deleted: u32,
    /// Deleted pages that wait to be used again, these included.
    pub deleted: u32,
    /// Entries taken out.
    pub removed: u64,
    /// Entries that stay.
    pub kept: u64,
}

impl<'t, 's> BTree<'t, 's> {
    /// Takes out every entry whose row `is_dead` says is gone, and deletes leaves that come to be empty. `interrupted` is
    /// asked between pages, and when a wait for one is interrupted, whether to go on.
    ///
    /// # Errors
    /// XX002 if the index is broken; that of `interrupted`; whatever reading and writing pages may end with.
    pub fn bulk_delete(
        &self,
        mut is_dead: impl FnMut(Ctid) -> bool,
        mut interrupted: impl FnMut() -> Result<()>,
    ) -> Result<VacuumCounts> {
        let mut counts = VacuumCounts::default();
        let probe = Probe::new(self.shape(), &[], Edge::Before);
        let (first, page) = self.descend(Search::leaf(probe, Access::Read), &mut Path::new())?;
        drop(page);
        let (mut block, mut steps) = (first, Steps::new());
        loop {
            interrupted()?;
            let page = self.lock_for_cleanup(&self.pin(block)?, &mut interrupted)?;
            let (right, is_empty) = self.vacuum_leaf(block, page, &mut is_dead, &mut counts)?;
            if is_empty {
                counts.newly_deleted += self.delete_leaf(block)?;
            }
            let Some(next) = BlockNumber::new(right) else { break };
            steps.step(self, block)?;
            block = self.linked(block, next.get())?;
        }
        counts.pages = self.blocks()?;
        counts.deleted = self.meta(Access::Read)?.1.free_count;
        Ok(counts)
    }

    /// Vacuums a leaf; its right link, and whether it is empty and may be deleted.
    fn vacuum_leaf(
        &self,
        block: BlockNumber,
        mut page: ExclusivePage<'t, 's>,
        is_dead: &mut dyn FnMut(Ctid) -> bool,
        counts: &mut VacuumCounts,
    ) -> Result<(u32, bool)> {
        let node = self.node(block, page.page())?;
        if node.is_deleted() {
            return Ok((node.right(), false));
        }
        if !node.is_leaf() {
            return Err(self.corrupted(block));
        }
        let (right, mut lines) = (node.right(), Vec::new());
        for line in node.first()..=node.last() {
            let entry = node.entry(line).map_err(|broken| self.broken(block, broken))?;
            let ctid = entry.ctid().ok_or_else(|| self.corrupted(block))?;
            if is_dead(ctid) {
                lines.push(line);
            }
        }
        counts.removed += lines.len() as u64;
        counts.kept += (node.count() - lines.len()) as u64;
        if !lines.is_empty() {
            self.remove_lines(block, &mut page, &lines)?;
        }
        let node = self.node(block, page.page())?;
        Ok((right, node.count() == 0 && !node.is_rightmost() && !node.is_split_incompletely()))
    }

    /// Locks a page with nobody else having a pin.
    fn lock_for_cleanup(
        &self,
        pin: &PinnedBuffer<'t, 's>,
        interrupted: &mut dyn FnMut() -> Result<()>,
    ) -> Result<ExclusivePage<'t, 's>> {
        let (me, mut held_off) = (self.store.me, Interrupts::NONE);
        loop {
            match me.hold_off(held_off, || pin.lock_for_cleanup()) {
                Ok(page) => return Ok(page),
                Err(_) => {
                    interrupted()?;
                    // Of no concern here; it is seen again behind this.
                    held_off = held_off | me.pending_interrupts();
                }
            }
        }
    }
}
