//! Changes of several pages at once: what becomes of each, listed first, then made and logged together.

use super::change;
use super::meta::Meta;
use super::node::{self, NodeFlags};
use super::tree::BTree;
use crate::access::change::{BlockUse, Change};
use crate::access::rmgr::BTREE;
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::page::{PageBuf, PageMut};

/// What becomes of a page. Pages are made beside their place first, since making them allocates.
#[derive(Clone, Copy)]
pub(super) enum Step<'p> {
    /// An entry comes in: line, then the entry.
    Insert(&'p [u8], u16, &'p [u8]),
    /// It is this from now on; redo makes the same of what it was.
    Become(&'p [u8], &'p PageBuf),
    /// It is this, whatever it was.
    New(&'p [u8], &'p PageBuf),
    /// Its right sibling has its downlink.
    SplitDone,
    /// It is deleted; the next free page.
    Delete(u32),
    Right(u32),
    Left(u32),
    Meta(Meta),
}

impl Step<'_> {
    /// What redo needs of it.
    fn data(&self) -> Vec<u8> {
        match self {
            Self::Insert(data, ..) | Self::Become(data, _) | Self::New(data, _) => data.to_vec(),
            Self::SplitDone => Vec::new(),
            Self::Delete(block) | Self::Right(block) | Self::Left(block) => block.to_le_bytes().to_vec(),
            Self::Meta(meta) => meta.encode().to_vec(),
        }
    }

    fn used(&self) -> BlockUse {
        if matches!(self, Self::Meta(_) | Self::New(..)) { BlockUse::Init } else { BlockUse::Modify }
    }

    fn make(&self, page: &mut PageMut<'_>, deleted_at: u64) {
        match self {
            Self::Insert(_, line, item) => {
                change::insert(page, *line, item);
            }
            Self::Become(_, after) | Self::New(_, after) => node::overwrite(page, after),
            Self::SplitDone => node::clear_flag(page, NodeFlags::INCOMPLETE_SPLIT),
            Self::Delete(next_free) => change::mark_deleted(page, *next_free, deleted_at),
            Self::Right(block) => node::set_right(page, *block),
            Self::Left(block) => node::set_left(page, *block),
            Self::Meta(meta) => meta.write(page),
        }
    }
}

/// Pages of a change: what the record calls each, the page, and what becomes of it.
pub(super) type Steps<'c, 'p, 't, 's> = Vec<(u8, &'c mut ExclusivePage<'t, 's>, Step<'p>)>;

impl<'t, 's> BTree<'t, 's> {
    /// Makes a change and logs it.
    pub(super) fn take(&self, info: u8, mut steps: Steps<'_, '_, 't, 's>) -> Result<()> {
        let made: Vec<_> = steps.iter().map(|(_, _, step)| *step).collect();
        let data: Vec<_> = made.iter().map(Step::data).collect();
        let mut change = Change::new(BTREE, info, 0);
        for ((id, page, step), data) in steps.iter_mut().zip(&data) {
            change = change.block(*id, page, step.used(), data);
        }
        let wal = (!self.options.is_logged).then_some(&self.store.engine.wal);
        self.apply(change, |pages| {
            // With everything locked that leads to a deleted page: whoever takes a snapshot behind this finds no link.
            let deleted_at = wal.map_or(0, |wal| wal.inserted().bytes());
            for (index, step) in made.iter().enumerate() {
                step.make(&mut pages.page(index), deleted_at);
            }
        })
    }
}
