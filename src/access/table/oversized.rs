//! A table's oversized values: compressed, or kept in pieces in a relation of their own, which comes and goes with the table.
//!
//! Pieces are written before the row that names them, by the same transaction, and deleted by the one that deletes the row's
//! last version which has them; what is rolled back takes them with it. An update keeps values that it is given as they are
//! stored. Who reads a row gets such values as [`Datum::Compressed`] and [`Datum::External`], and asks for their bytes
//! ([`Table::value`]) only when they are needed.

use std::borrow::Cow;

use super::Table;
use crate::access::btree::{BTree, IndexOptions};
use crate::access::ctid::Ctid;
use crate::access::engine::{Store, StoreSession};
use crate::access::heap::toast::{
    self, HeapChunks, Numbers, Strategy, TARGET, encode_row, external_values, remove_values,
};
use crate::access::heap::toast_index::chunk_shape;
use crate::access::heap::vacuum::{DeadLines, Indexes, VacuumOptions, VacuumStats};
use crate::access::heap::{Heap, HeapOptions};
use crate::access::relation_files::TransactionFiles;
use crate::access::row::{Datum, has_external};
use crate::report::{Report, Result, SqlState};
use crate::storage::ids::RelFile;

/// What a table's relation for oversized values is.
#[derive(Clone, Debug)]
pub struct ToastOptions {
    /// Of pieces.
    pub heap: HeapOptions,
    /// Files of its index.
    pub index: RelFile,
    /// Its name, `pg_toast_N`, for messages; its index's has `_index` behind it.
    pub name: String,
    /// What may be done to values, by column; columns without one are extended.
    pub strategies: Vec<Strategy>,
}

/// Where a table's oversized values are.
pub struct Toast<'t, 's> {
    heap: Heap,
    tree: BTree<'t, 's>,
    strategies: Vec<Strategy>,
    numbers: Numbers,
}

impl<'t, 's> Toast<'t, 's> {
    /// A relation that has files, or gets them with its table.
    pub fn new(store: &'t Store<'s>, options: ToastOptions) -> Self {
        let ToastOptions { heap, index, name, strategies } = options;
        let index = IndexOptions {
            file: index,
            is_logged: heap.is_logged,
            name: format!("{name}_index"),
            table: name,
            shape: chunk_shape(),
            fillfactor: crate::access::btree::DEFAULT_FILLFACTOR,
        };
        let tree = BTree::new(store, index);
        Self { heap: Heap::new(heap), tree, strategies, numbers: Numbers::default() }
    }

    /// Its heap.
    pub fn heap(&self) -> &Heap {
        &self.heap
    }

    /// Its index.
    pub fn tree(&self) -> &BTree<'t, 's> {
        &self.tree
    }

    fn chunks(&self, command: u32) -> HeapChunks<'_, &BTree<'t, 's>> {
        HeapChunks::new(&self.heap, &self.tree, &self.numbers, command)
    }

    /// Makes the files, empty.
    pub(super) fn create(
        &self,
        session: &mut StoreSession<'t, 's>,
        files: &mut TransactionFiles,
    ) -> Result<()> {
        files.create(session, self.heap.file())?;
        files.create(session, self.tree.options().file)?;
        self.tree.create()
    }

    pub(super) fn vacuum(&self, store: &'t Store<'s>, options: VacuumOptions) -> Result<VacuumStats> {
        self.heap.vacuum(store, options, &mut ChunkEntries(&self.tree))
    }
}

struct ChunkEntries<'i, 't, 's>(&'i BTree<'t, 's>);

impl Indexes for ChunkEntries<'_, '_, '_> {
    fn is_none(&self) -> bool {
        false
    }

    fn delete(&mut self, dead: &DeadLines) -> Result<()> {
        self.0.bulk_delete(|ctid| dead.contains(ctid), || Ok(())).map(|_| ())
    }
}

/// Whether a value's bytes are not in the row as they are.
pub(super) fn is_elsewhere(datum: Datum<'_>) -> bool {
    matches!(datum, Datum::Compressed(_) | Datum::External(_))
}

#[cold]
fn foreign_value() -> Box<Report> {
    Report::error(SqlState::INTERNAL_ERROR, "a row cannot share a value that is stored with another row")
}

impl<'t, 's> Table<'t, 's> {
    /// A value's own bytes, as they were before they were compressed or stored elsewhere. Of a row that a snapshot in use
    /// shows.
    ///
    /// # Errors
    /// XX001 if they are damaged, or pieces are missing.
    pub fn value<'v>(&self, session: &mut StoreSession<'t, 's>, datum: Datum<'v>) -> Result<Cow<'v, [u8]>> {
        let mut chunks = self.toast.as_ref().map(|toast| toast.chunks(0));
        toast::value_bytes(datum, session, chunks.as_mut().map(|chunks| chunks as &mut dyn toast::ChunkStore))
    }

    /// Makes the row of an inserted version; what is too long for it is stored elsewhere.
    pub(super) fn encode_new(
        &self,
        session: &mut StoreSession<'t, 's>,
        values: &[Datum<'_>],
        row: &mut Vec<u8>,
        command: u32,
    ) -> Result<()> {
        row.clear();
        self.layout.encode(values, row)?;
        if has_external(row) {
            return Err(foreign_value());
        }
        self.shorten(session, values, row, command)
    }

    /// The same for a version that replaces one, whose values it may keep.
    pub(super) fn encode_next(
        &self,
        session: &mut StoreSession<'t, 's>,
        old: Ctid,
        values: &[Datum<'_>],
        row: &mut Vec<u8>,
        command: u32,
    ) -> Result<()> {
        row.clear();
        self.layout.encode(values, row)?;
        if has_external(row) {
            let there = self.external_at(session, old)?;
            let there = there.map_or(Ok(Vec::new()), |row| external_values(&self.layout, &row))?;
            let are_kept = external_values(&self.layout, row)?.iter().all(|value| there.contains(value));
            if !are_kept {
                return Err(foreign_value());
            }
        }
        self.shorten(session, values, row, command)
    }

    fn shorten(
        &self,
        session: &mut StoreSession<'t, 's>,
        values: &[Datum<'_>],
        row: &mut Vec<u8>,
        command: u32,
    ) -> Result<()> {
        let Some(toast) = self.toast.as_ref().filter(|_| row.len() > TARGET) else { return Ok(()) };
        *row =
            encode_row(&self.layout, values, &toast.strategies, session, Some(&mut toast.chunks(command)))?;
        Ok(())
    }

    /// The row at an address, if it has values elsewhere.
    pub(super) fn external_at(&self, session: &StoreSession<'t, 's>, ctid: Ctid) -> Result<Option<Vec<u8>>> {
        let found = self.heap.fetch_version(session, ctid, |tuple| {
            let row = tuple.row();
            has_external(row).then(|| row.to_vec())
        })?;
        Ok(found.flatten())
    }

    /// A version was deleted, or replaced by one with this row: values go that were its alone.
    pub(super) fn drop_values_of(
        &self,
        session: &mut StoreSession<'t, 's>,
        old: Ctid,
        next: Option<&[u8]>,
        command: u32,
    ) -> Result<()> {
        let Some(toast) = &self.toast else { return Ok(()) };
        // Nobody removes it yet: this transaction, which runs, put an end to it.
        let Some(old) = self.external_at(session, old)? else { return Ok(()) };
        remove_values(&self.layout, &old, next, session, &mut toast.chunks(command))
    }

    /// A row was made for which there is no place after all: values go that were stored for it, but not those that the
    /// version has which it was to replace.
    pub(super) fn drop_unused(
        &self,
        session: &mut StoreSession<'t, 's>,
        row: &[u8],
        values: &[Datum<'_>],
        command: u32,
    ) -> Result<()> {
        let Some(toast) = self.toast.as_ref().filter(|_| has_external(row)) else { return Ok(()) };
        let kept: Vec<_> = values
            .iter()
            .map(|value| if matches!(value, Datum::External(_)) { *value } else { Datum::Null })
            .collect();
        let mut as_kept = Vec::new();
        self.layout.encode(&kept, &mut as_kept)?;
        remove_values(&self.layout, row, Some(&as_kept), session, &mut toast.chunks(command))
    }
}

#[cfg(test)]
mod tests;
