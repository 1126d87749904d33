//! Building an index of many entries at once: they are sorted, and pages are filled from left to right, of all levels at a
//! time.
//!
//! Pages are put into the pool and logged as they are, a whole page a record, and the first block comes last. So a crash in
//! the middle leaves a file that is no index, and that goes with the transaction that made it.

use std::path::Path;

use super::change;
use super::create::EMPTY_ROOT;
use super::meta::Meta;
use super::node::{self, CAPACITY, NONE, NodeFlags, Special, lowest_pivot, space, with_child};
use super::sort::Sorter;
use super::split::{columns_apart, separator};
use super::tree::BTree;
use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::rmgr::BTREE;
use crate::access::row::{Datum, OwnedDatum};
use crate::report::Result;
use crate::storage::buffer::PinnedBuffer;
use crate::storage::ids::BlockNumber;

/// How full inner pages are made, in percent.
const INNER_FILLFACTOR: usize = 70;

/// What a build may use.
#[derive(Clone, Copy, Debug)]
pub struct BuildOptions<'p> {
    /// `maintenance_work_mem`, in bytes.
    pub memory: usize,
    /// A folder for what does not fit.
    pub folder: &'p Path,
}

/// Entries on their way into a new index.
pub struct Build<'b, 't, 's> {
    tree: &'b BTree<'t, 's>,
    sorter: Sorter<'b>,
}

/// How a build ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Built {
    /// With so many entries.
    Done(u64),
    /// Two rows have the same key, whose values are these; the index is not to be used.
    Duplicate(Vec<OwnedDatum>),
}

impl<'t, 's> BTree<'t, 's> {
    /// Begins to build it: its file is there, without a block, and nobody else knows it.
    pub fn build<'b>(&'b self, options: BuildOptions<'_>) -> Build<'b, 't, 's> {
        Build { tree: self, sorter: Sorter::new(self.shape(), options.folder, options.memory) }
    }
}

/// A page that is being filled.
struct Filling<'t, 's> {
    block: BlockNumber,
    pin: PinnedBuffer<'t, 's>,
    left: u32,
    /// Its entries, and bytes that they take.
    items: Vec<Vec<u8>>,
    used: usize,
}

/// Pages that are being filled, of each level the last.
struct Loader<'b, 't, 's> {
    tree: &'b BTree<'t, 's>,
    levels: Vec<Filling<'t, 's>>,
}

impl Build<'_, '_, '_> {
    /// Takes an entry.
    ///
    /// # Errors
    /// 54000 if it is too long; what writing temporary files may end with.
    pub fn add(&mut self, values: &[Datum<'_>], ctid: Ctid) -> Result<()> {
        let entry = self.tree.encode(values, ctid)?;
        self.sorter.add(&entry)
    }

    /// Makes the index. With `is_unique` no two entries may have the same key, but for those with a null if
    /// `nulls_are_distinct`; `is_live` says whether an entry counts, being asked only about those that have a duplicate.
    ///
    /// # Errors
    /// Whatever files, pages and the log may end with.
    pub fn finish(
        self,
        is_unique: bool,
        nulls_are_distinct: bool,
        mut is_live: impl FnMut(Ctid) -> Result<bool>,
    ) -> Result<Built> {
        let Self { tree, sorter } = self;
        let first = tree.store.storage.extend(tree.fork(), tree.read_options())?.unlock();
        let mut loader = Loader { tree, levels: Vec::new() };
        let (mut count, mut duplicate) = (0, None);
        let mut twins = Twins { nulls_are_distinct, last: Vec::new(), last_counts: false };
        sorter.finish(|entry| {
            if duplicate.is_none() && is_unique && twins.has_twin(&loader, entry, &mut is_live)? {
                duplicate = Some(loader.values(entry)?);
            }
            if duplicate.is_none() {
                loader.put(0, entry)?;
                count += 1;
            }
            Ok(())
        })?;
        if let Some(values) = duplicate {
            return Ok(Built::Duplicate(values));
        }
        let meta = loader.close()?;
        let data = meta.encode();
        let mut first = first.lock_exclusive();
        let change = Change::new(BTREE, change::META, 0).block(0, &mut first, BlockUse::Init, &data);
        tree.apply(change, |pages| meta.write(&mut pages.page(0)))?;
        Ok(Built::Done(count))
    }
}

/// Entries with the same key, which come one behind the other.
struct Twins {
    nulls_are_distinct: bool,
    last: Vec<u8>,
    /// An entry with the last one's key counts.
    last_counts: bool,
}

impl Twins {
    /// Whether an entry counts, and one before it with the same key does.
    fn has_twin(
        &mut self,
        loader: &Loader<'_, '_, '_>,
        entry: &[u8],
        is_live: &mut dyn FnMut(Ctid) -> Result<bool>,
    ) -> Result<bool> {
        let mut has_twin = false;
        if !self.last.is_empty() && loader.has_same_key(&self.last, entry, self.nulls_are_distinct)? {
            self.last_counts = self.last_counts || is_live(loader.ctid(&self.last)?)?;
            has_twin = self.last_counts && is_live(loader.ctid(entry)?)?;
        } else {
            self.last_counts = false;
        }
        self.last.clear();
        self.last.extend_from_slice(entry);
        Ok(has_twin)
    }
}

impl<'t, 's> Loader<'_, 't, 's> {
    fn new_page(&self, left: u32) -> Result<Filling<'t, 's>> {
        let pin = self.tree.store.storage.extend(self.tree.fork(), self.tree.read_options())?.unlock();
        Ok(Filling { block: pin.block(), pin, left, items: Vec::new(), used: 0 })
    }

    fn broken(&self, level: usize) -> Box<crate::report::Report> {
        let block = self.levels.get(level).map_or(BlockNumber::ZERO, |filling| filling.block);
        self.tree.corrupted(block)
    }

    /// Puts an entry at the end of a level.
    fn put(&mut self, level: usize, item: &[u8]) -> Result<()> {
        if level == self.levels.len() {
            let filling = self.new_page(NONE)?;
            self.levels.push(filling);
        }
        if self.is_full(level, item) {
            self.turn(level, item)?;
        }
        let filling = &mut self.levels[level];
        // Below all that its page can have.
        let item = match item.first_chunk::<4>() {
            Some(child) if level > 0 && filling.items.is_empty() => {
                lowest_pivot(u32::from_le_bytes(*child)).to_vec()
            }
            _ => item.to_vec(),
        };
        filling.used += space(item.len());
        filling.items.push(item);
        Ok(())
    }

    /// Whether a page is to be closed before an item is put in. Three of the longest fit.
    fn is_full(&self, level: usize, item: &[u8]) -> bool {
        let filling = &self.levels[level];
        let percent = if level == 0 { self.tree.options.fillfactor.into() } else { INNER_FILLFACTOR };
        let limit = (CAPACITY * percent / 100).min(CAPACITY - 8);
        filling.items.len() >= 2 && filling.used + space(item.len()) > limit
    }

    /// Closes the last page of a level and begins the next. Its first entry will be `item`, or, if there is no room for
    /// that as a high key, what is the last one now.
    fn turn(&mut self, level: usize, item: &[u8]) -> Result<()> {
        let (shape, is_leaf) = (self.tree.shape(), level == 0);
        let filling = &mut self.levels[level];
        let has_room = filling.used + space(item.len() + 4) <= CAPACITY;
        let moved = if has_room { None } else { filling.items.pop() };
        let first = moved.as_deref().unwrap_or(item);
        let last = self.levels[level].items.last().ok_or_else(|| self.broken(level))?;
        let pivot = separator(shape, is_leaf, last, first).map_err(|_| self.broken(level))?;
        let next = self.new_page(self.levels[level].block.get())?;
        let (block, next_block) = (self.levels[level].block, next.block);
        let closed = std::mem::replace(&mut self.levels[level], next);
        self.write(closed, level as u16, Some((next_block, &pivot)))?;
        if level + 1 == self.levels.len() {
            self.put(level + 1, &lowest_pivot(block.get()))?;
        }
        self.put(level + 1, &with_child(&pivot, next_block.get()))?;
        moved.map_or(Ok(()), |moved| self.put(level, &moved))
    }

    /// Puts a full page into the pool and the log.
    fn write(&self, filling: Filling<'t, 's>, level: u16, next: Option<(BlockNumber, &[u8])>) -> Result<()> {
        let Filling { pin, left, items, block, .. } = filling;
        let mut page = pin.lock_exclusive();
        let flags = if level == 0 { NodeFlags::LEAF } else { NodeFlags::default() };
        let right = next.map_or(NONE, |(block, _)| block.get());
        let special = Special { left, right, level, flags, deleted_at: 0 };
        let high_key = next.map(|(_, pivot)| pivot);
        let all = || high_key.into_iter().chain(items.iter().map(Vec::as_slice));
        let built = node::built(&special, all()).ok_or_else(|| self.tree.corrupted(block))?;
        let change = Change::new(BTREE, change::PAGE, 0).block(0, &mut page, BlockUse::Image, &[]);
        self.tree.apply(change, |pages| node::overwrite(&mut pages.page(0), &built))
    }

    /// Writes the last page of each level; where the tree begins.
    fn close(mut self) -> Result<Meta> {
        if self.levels.is_empty() {
            let filling = self.new_page(EMPTY_ROOT.left)?;
            self.levels.push(filling);
        }
        let top = self.levels.len() as u16 - 1;
        let root = self.levels[usize::from(top)].block;
        for (level, filling) in std::mem::take(&mut self.levels).into_iter().enumerate() {
            self.write(filling, level as u16, None)?;
        }
        Ok(Meta::of_root(root.get(), top))
    }

    fn entry<'e>(&self, bytes: &'e [u8]) -> Result<node::Entry<'e>> {
        node::Entry::new(bytes, false).ok_or_else(|| self.broken(0))
    }

    fn ctid(&self, bytes: &[u8]) -> Result<Ctid> {
        self.entry(bytes)?.ctid().ok_or_else(|| self.broken(0))
    }

    fn values(&self, bytes: &[u8]) -> Result<Vec<OwnedDatum>> {
        let shape = self.tree.shape();
        let row = self.entry(bytes)?.row();
        let values = super::probe::values_of(shape, row, shape.key_columns()).map_err(|_| self.broken(0))?;
        Ok(values.into_iter().map(Datum::to_owned).collect())
    }

    fn has_same_key(&self, last: &[u8], entry: &[u8], nulls_are_distinct: bool) -> Result<bool> {
        let shape = self.tree.shape();
        let columns = columns_apart(shape, last, entry).map_err(|_| self.broken(0))?;
        if columns <= shape.key_columns() {
            return Ok(false);
        }
        let has_null = self.values(entry)?.iter().any(|value| value.as_datum().is_null());
        Ok(!(nulls_are_distinct && has_null))
    }
}
