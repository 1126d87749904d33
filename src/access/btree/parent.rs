//! The second half of a split: the right page's downlink goes into the parent, or a new root is made.

use super::apply::Step;
use super::change;
use super::descend::{Path, Search};
use super::insert::SplitChild;
use super::meta::Meta;
use super::node::{self, NONE, NodeFlags, Special, lowest_pivot, with_child};
use super::probe::Pivot;
use super::tree::{Access, BTree, Steps};
use crate::ipc::stop_points::StopPoint;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::BlockNumber;

type Locked<'t, 's> = (BlockNumber, ExclusivePage<'t, 's>);

/// A page that is not in use yet, locked.
pub(super) struct NewPage<'t, 's> {
    pub block: BlockNumber,
    pub page: ExclusivePage<'t, 's>,
    /// The first block and what it will say, if the page was a free one.
    pub meta: Option<(ExclusivePage<'t, 's>, Meta)>,
}

impl<'t, 's> BTree<'t, 's> {
    /// Finishes the split of a page, unless somebody else has.
    pub(super) fn finish_split_of(&self, block: BlockNumber, path: &mut Path) -> Result<()> {
        let page = self.lock_exclusive(block)?;
        let node = self.node(block, page.page())?;
        if !node.is_split_incompletely() || node.is_deleted() {
            return Ok(());
        }
        let is_leftmost = node.is_leftmost();
        let right = self.linked(block, node.right())?;
        let right_page = self.lock_exclusive(right)?;
        let was_alone = is_leftmost && self.node(right, right_page.page())?.is_rightmost();
        self.insert_downlink((block, page), (right, right_page), was_alone, path)
    }

    /// Gives the right half of a split its downlink. Both halves are locked until the parent is, so that nobody looks for
    /// a downlink that is not there yet.
    pub(super) fn insert_downlink(
        &self,
        (left, page): Locked<'t, 's>,
        (right, right_page): Locked<'t, 's>,
        was_alone: bool,
        path: &mut Path,
    ) -> Result<()> {
        let node = self.node(left, page.page())?;
        let level = node.level();
        let high_key = node.high_key().ok_or_else(|| self.corrupted(left))?;
        let high_key = high_key.map_err(|broken| self.broken(left, broken))?;
        let item = with_child(high_key.bytes, right.get());
        if path.at(level + 1).is_none() {
            let (locked, meta) = self.meta(Access::Read)?;
            drop(locked);
            if meta.root == left.get() {
                drop(right_page);
                return self.new_root((left, page), right, &item);
            }
            let pivot = Pivot::of(self.shape(), high_key).map_err(|broken| self.broken(left, broken))?;
            let probe = pivot.probe(self.shape());
            let search = Search { probe, leans_left: true, access: Access::Write, level: level + 1 };
            self.descend(search, path)?;
        }
        let (parent, parent_page, line) = self.parent_of(left, level, path)?;
        drop(right_page);
        self.store.me.stop_point(StopPoint::BTreeParentLocked);
        let child = SplitChild { page, was_alone };
        self.put(parent, parent_page, line + 1, &item, Some(child), path)
    }

    /// The parent of a page that is locked: locked, with the line of the downlink.
    pub(super) fn parent_of(
        &self,
        child: BlockNumber,
        level: u16,
        path: &mut Path,
    ) -> Result<(BlockNumber, ExclusivePage<'t, 's>, u16)> {
        let mut block = path.at(level + 1).ok_or_else(|| self.corrupted(child))?;
        let mut steps = Steps::new();
        loop {
            let page = self.lock_exclusive(block)?;
            let node = self.node(block, page.page())?;
            if node.level() != level + 1 {
                return Err(self.corrupted(block));
            }
            if node.is_split_incompletely() && !node.is_deleted() {
                drop(page);
                self.finish_split_of(block, path)?;
                continue;
            }
            let mut lines = node.first()..=node.last();
            let leads_there = |line| node.entry(line).is_ok_and(|entry| entry.child() == Some(child));
            if !node.is_deleted()
                && let Some(line) = lines.find(|line| leads_there(*line))
            {
                path.set(level + 1, block);
                return Ok((block, page, line));
            }
            if node.is_rightmost() {
                return Err(self.no_parent(child));
            }
            steps.step(self, block)?;
            block = self.linked(block, node.right())?;
        }
    }

    #[cold]
    fn no_parent(&self, child: BlockNumber) -> Box<Report> {
        let name = &self.options.name;
        let message =
            format!("failed to re-find parent key in index \"{name}\" for split pages of block {child}");
        Report::error(SqlState::INDEX_CORRUPTED, message).with_hint("Please REINDEX it.")
    }

    /// Makes a root above a root that was split.
    fn new_root(&self, (left, mut page): Locked<'t, 's>, right: BlockNumber, item: &[u8]) -> Result<()> {
        let NewPage { block, page: mut root, meta } = self.new_page()?;
        let (mut meta_page, mut meta) = match meta {
            Some(locked) => locked,
            None => self.locked_meta()?,
        };
        let level = self.node(left, page.page())?.level() + 1;
        debug_assert_eq!(meta.root, left.get(), "who splits the root has it locked");
        debug_assert!(item.starts_with(&right.get().to_le_bytes()), "the right half's downlink");
        (meta.root, meta.level, meta.fast_root, meta.fast_level) = (block.get(), level, block.get(), level);
        let special = Special { left: NONE, right: NONE, level, flags: NodeFlags::default(), deleted_at: 0 };
        let lowest = lowest_pivot(left.get());
        let items = || [&lowest[..], item].into_iter();
        let built = node::built(&special, items()).ok_or_else(|| self.corrupted(left))?;
        let root_data = change::encode_page(&special, items());
        let steps = vec![
            (0, &mut root, Step::New(&root_data, &built)),
            (1, &mut page, Step::SplitDone),
            (2, &mut meta_page, Step::Meta(meta)),
        ];
        self.take(change::NEW_ROOT, steps)
    }

    /// A page for a new part of the tree: a free one, or one more.
    pub(super) fn new_page(&self) -> Result<NewPage<'t, 's>> {
        let (locked, meta) = self.meta(Access::Read)?;
        drop(locked);
        if meta.free_first != NONE
            && let Some(free) = self.take_free()?
        {
            return Ok(free);
        }
        let page = self.store.storage.extend(self.fork(), self.read_options())?;
        Ok(NewPage { block: page.pin().block(), page, meta: None })
    }

    /// The first page of the queue of free ones, if nobody can come to it by an old link any more.
    fn take_free(&self) -> Result<Option<NewPage<'t, 's>>> {
        let (meta_page, mut meta) = self.locked_meta()?;
        if meta.free_first == NONE {
            return Ok(None);
        }
        let block = self.linked(BlockNumber::ZERO, meta.free_first)?;
        // Whoever has it locked only looks at it, but may be waiting for what this process has.
        let Some(page) = self.pin(block)?.try_lock_exclusive() else { return Ok(None) };
        let node = self.node(block, page.page())?;
        if !node.is_deleted() {
            return Err(self.corrupted(block));
        }
        let horizon = self.store.transactions.words().horizon(&self.store.log);
        if node.deleted_at() >= horizon.bytes() {
            return Ok(None);
        }
        meta.free_first = node.left();
        meta.free_count = meta.free_count.saturating_sub(1);
        if meta.free_first == NONE {
            meta.free_last = NONE;
        }
        Ok(Some(NewPage { block, page, meta: Some((meta_page, meta)) }))
    }
}
