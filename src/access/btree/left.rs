//! Going to the left, where links may be out of date.
//!
//! A page's left sibling may be split after its number was read: then the page wanted is further to the right, the one whose
//! right link leads back. And the page itself, which is not locked, may be deleted: then what it had belongs to the page at
//! its right, whose left sibling is the one wanted.

use super::scan::Copied;
use super::tree::{Access, BTree, Page, Steps};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::storage::ids::BlockNumber;

/// Steps to the right of an old left sibling, before looking again which one it is.
const STEPS_BEFORE_LOOKING: usize = 4;

impl<'t, 's> BTree<'t, 's> {
    /// The page to the left of one that was copied, locked; `None` if that is the first.
    pub(super) fn left_of(&self, page: &Copied<'t, 's>) -> Result<Option<(BlockNumber, Page<'t, 's>)>> {
        let (mut block, mut left) = (page.block, page.left);
        let mut steps = Steps::new();
        loop {
            let Some(first) = BlockNumber::new(left) else { return Ok(None) };
            if let Some(found) = self.find_left(block, first)? {
                return Ok(Some(found));
            }
            steps.step(self, block)?;
            let (now, now_left) = self.without_deleted(block)?;
            if now == block && now_left == left {
                return Err(self.no_left(block));
            }
            (block, left) = (now, now_left);
        }
    }

    /// The page whose right link leads to `block`: `first`, or a little to the right of it.
    fn find_left(
        &self,
        block: BlockNumber,
        first: BlockNumber,
    ) -> Result<Option<(BlockNumber, Page<'t, 's>)>> {
        let mut candidate = self.linked(block, first.get())?;
        for _ in 0..STEPS_BEFORE_LOOKING {
            let page = self.lock(candidate, Access::Read)?;
            let node = self.node(candidate, page.page())?;
            if !node.is_deleted() && node.right() == block.get() {
                return Ok(Some((candidate, page)));
            }
            if node.is_rightmost() {
                break;
            }
            candidate = self.linked(candidate, node.right())?;
        }
        Ok(None)
    }

    /// A page, or, if it was deleted, what it became part of, and its left sibling now.
    fn without_deleted(&self, mut block: BlockNumber) -> Result<(BlockNumber, u32)> {
        let mut steps = Steps::new();
        loop {
            let page = self.lock(block, Access::Read)?;
            let node = self.node(block, page.page())?;
            if !node.is_deleted() {
                return Ok((block, node.left()));
            }
            steps.step(self, block)?;
            block = self.linked(block, node.right())?;
        }
    }

    #[cold]
    fn no_left(&self, block: BlockNumber) -> Box<Report> {
        let name = &self.options.name;
        let message = format!("could not find left sibling of block {block} in index \"{name}\"");
        Report::error(SqlState::INDEX_CORRUPTED, message).with_hint("Please REINDEX it.")
    }
}
