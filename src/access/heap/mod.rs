//! Heaps: rows in no order, each version of a row a tuple on a page.
//!
//! - `tuple`: a version's header. [`super::visibility`]: who sees it.
//! - `insert`, `update`, `delete`, `lock`: what changes rows, on top of `claim`, which settles with others who may write a
//!   version and waits for them. `ended`: what deletes and locks write. `lockers`: several who lock one row.
//! - `fetch`, `scan`: what reads them.
//! - `space`: where a new version goes; `free_space_map` remembers room, `visibility_map` which pages everybody sees.
//! - `prune`, `vacuum`: what cleans up. `redo`, `cleanup`: all of it again.
//! - `toast`: values that are too long for a page.
//!
//! # Order of locks
//!
//! Pages of a heap in the order of their blocks, then pages of its visibility map in theirs, then the lockers' page 0,
//! then another of theirs. A tuple's queue lock, and other transactions, are waited for without any page locked.

mod build_scan;
mod change;
pub mod claim;
pub mod cleanup;
pub mod delete;
mod ended;
pub mod fetch;
mod free_space_map;
pub mod insert;
pub mod lock;
pub mod lockers;
mod prune;
pub mod redo;
pub mod scan;
mod serial;
mod space;
pub mod toast;
pub mod toast_index;
pub mod tuple;
pub mod update;
pub mod vacuum;
pub mod visibility_map;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell, RefMut};

use super::change::{Change, Changing};
use super::ctid::Ctid;
use super::engine::Store;
use crate::report::Result;
use crate::storage::buffer::{PinnedBuffer, ReadOptions};
use crate::storage::ids::{BlockNumber, BufferTag, Fork, RelFile, RelFork};
use crate::storage::page::{MAX_ITEMS, line_at};

pub use change::HeapKind;
pub use claim::{Conflict, Outcome, Writing};
pub use fetch::Fetched;
pub use scan::{Row, Scan};
pub use tuple::RowLock;
pub use update::{Indexed, Updated};

/// How a heap is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeapOptions {
    /// Its files.
    pub file: RelFile,
    /// Its database and object identifier, for locks.
    pub relation: (u32, u32),
    /// Changes are in the log; not so of an unlogged or a temporary relation.
    pub is_logged: bool,
    /// Percents of a page that insertion fills, 10 to 100.
    pub fillfactor: u8,
}

/// A heap, as one session uses it.
#[derive(Debug)]
pub struct Heap {
    options: HeapOptions,
    /// Block that the last version went to.
    target: Cell<Option<BlockNumber>>,
    /// A version being made, and what the log says about it; kept, so that inserting does not allocate.
    scratch: RefCell<(Vec<u8>, Vec<u8>)>,
}

impl Heap {
    /// A heap that has files.
    pub fn new(options: HeapOptions) -> Self {
        Self { options, target: Cell::new(None), scratch: RefCell::default() }
    }

    /// How it is kept.
    pub fn options(&self) -> HeapOptions {
        self.options
    }

    /// Its files.
    pub fn file(&self) -> RelFile {
        self.options.file
    }

    /// A fork of it.
    pub fn fork(&self, fork: Fork) -> RelFork {
        RelFork { file: self.options.file, fork }
    }

    /// Number of its blocks.
    pub fn blocks(&self, store: &Store<'_>) -> Result<u32> {
        store.storage.files().blocks(self.fork(Fork::Main))
    }

    /// Somebody may have cut the heap off: what this session remembers of its blocks does not count any more.
    pub fn forget_target(&self) {
        self.target.set(None);
    }

    fn tag(&self, block: BlockNumber) -> BufferTag {
        self.fork(Fork::Main).block(block)
    }

    fn cleared_scratch(&self) -> RefMut<'_, (Vec<u8>, Vec<u8>)> {
        let mut scratch = self.scratch.borrow_mut();
        scratch.0.clear();
        scratch.1.clear();
        scratch
    }

    /// Pins a page.
    #[inline]
    fn pin<'t, 's>(&self, store: &'t Store<'s>, block: BlockNumber) -> Result<PinnedBuffer<'t, 's>> {
        // What is logged has the shorter way.
        match self.options.is_logged {
            true => store.storage.read(self.tag(block)),
            false => store.storage.read_with(self.tag(block), self.read_options()),
        }
    }

    /// The same for who will look at a line first.
    #[inline]
    fn pin_for_line<'t, 's>(&self, store: &'t Store<'s>, ctid: Ctid) -> Result<PinnedBuffer<'t, 's>> {
        if !self.options.is_logged || usize::from(ctid.line) > MAX_ITEMS || ctid.line == 0 {
            return self.pin(store, ctid.block);
        }
        store.storage.read_to_look(self.tag(ctid.block), line_at(ctid.line))
    }

    fn read_options(&self) -> ReadOptions<'static> {
        ReadOptions { ring: None, is_permanent: self.options.is_logged }
    }

    /// Makes a change, and says so in the log if this heap's changes are there.
    fn apply<'c, 'a, 's>(
        &self,
        store: &Store<'s>,
        change: Change<'c, 'a, 's>,
        make: impl FnOnce(&mut Changing<'_, 'c, 'a, 's>),
    ) -> Result<()> {
        if self.options.is_logged {
            change.apply(&store.log, make)?;
        } else {
            change.apply_unlogged(&store.log, make);
        }
        Ok(())
    }
}
