//! A table: a heap and its indexes, kept in step. This is what statements are carried out on.
//!
//! Rows go to the heap first and to its indexes behind that, unique checks on the way. Conflicts are results, not errors: what
//! they mean is for the caller to say. A version that lost a unique check is taken back at once if it was inserted; one that
//! replaced another stays, and the caller rolls back to before.

mod oversized;

use oversized::is_elsewhere;
pub use oversized::{Toast, ToastOptions};

use super::btree::{BTree, Direction, Scan as EntryScan, ScanKey, ScanOp, ScanOptions, Uniqueness, Verdict};
use super::ctid::Ctid;
use super::engine::{Store, StoreSession};
use super::heap::vacuum::{DeadLines, Indexes, VacuumOptions, VacuumStats};
use super::heap::{self, Conflict, Fetched, Heap, HeapOptions, Indexed, Outcome, RowLock, Writing};
use super::relation_files::TransactionFiles;
use super::row::{Datum, RowLayout, RowReader};
use super::visibility::{Dirty, Fates, ReadView};
use crate::ipc::stop_points::StopPoint;
use crate::report::{Report, Result, SqlState};
use crate::storage::buffer::BufferRing;
use crate::txn::locks::LockError;
use crate::txn::wait::WaitFailure;
use crate::txn::{Fate, Xid};

/// Whether an index lets two rows have one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uniques {
    /// It does.
    Allowed,
    /// It does not, but for keys with nulls.
    NullsDistinct,
    /// It does not.
    NullsNotDistinct,
}

/// An index of a table.
pub struct Index<'t, 's> {
    tree: BTree<'t, 's>,
    columns: Vec<usize>,
    uniques: Uniques,
}

impl<'t, 's> Index<'t, 's> {
    /// Over these columns of the table, in the order of the index's own, included ones at the end.
    pub fn new(tree: BTree<'t, 's>, columns: Vec<usize>, uniques: Uniques) -> Self {
        Self { tree, columns, uniques }
    }

    /// Its tree.
    pub fn tree(&self) -> &BTree<'t, 's> {
        &self.tree
    }
}

/// How an attempt to write a row went.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "it may not have been done"]
pub enum Written<T> {
    /// Done.
    Done(T),
    /// The version in question is not what it was; nothing was changed.
    Conflict(Conflict),
    /// Another row has the key. What was inserted was taken back; after an update the caller rolls back to before it.
    Duplicate {
        /// In which index.
        index: usize,
        /// The other row.
        ctid: Ctid,
    },
}

impl<T> Written<T> {
    /// The same about something else.
    fn map<U>(self, of: impl FnOnce(T) -> U) -> Written<U> {
        match self {
            Self::Done(done) => Written::Done(of(done)),
            Self::Conflict(conflict) => Written::Conflict(conflict),
            Self::Duplicate { index, ctid } => Written::Duplicate { index, ctid },
        }
    }

    /// What was done.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(done) => Some(done),
            Self::Conflict(_) | Self::Duplicate { .. } => None,
        }
    }
}

/// A table, as one session uses it.
pub struct Table<'t, 's> {
    heap: Heap,
    layout: RowLayout,
    toast: Option<Toast<'t, 's>>,
    indexes: Vec<Index<'t, 's>>,
    indexed: Vec<usize>,
    keys: Vec<usize>,
}

impl<'t, 's> Table<'t, 's> {
    /// Of these parts, whose files are there.
    pub fn new(options: HeapOptions, layout: RowLayout, indexes: Vec<Index<'t, 's>>) -> Self {
        let columns = |of: &dyn Fn(&Index<'_, '_>) -> bool| {
            let mut columns: Vec<usize> =
                indexes.iter().filter(|index| of(index)).flat_map(|index| index.columns.clone()).collect();
            columns.sort_unstable();
            columns.dedup();
            columns
        };
        let (indexed, keys) = (columns(&|_| true), columns(&|index| index.uniques != Uniques::Allowed));
        Self { heap: Heap::new(options), layout, toast: None, indexes, indexed, keys }
    }

    /// With a place for values that are too long for a page; without one, rows with such are refused.
    #[must_use]
    pub fn with_toast(self, toast: Option<Toast<'t, 's>>) -> Self {
        Self { toast, ..self }
    }

    /// Makes the files, empty; they go if the transaction is rolled back.
    ///
    /// # Errors
    /// 58P02 if one is there already; as adding pages and logging.
    pub fn create(&self, session: &mut StoreSession<'t, 's>, files: &mut TransactionFiles) -> Result<()> {
        files.create(session, self.heap.file())?;
        if let Some(toast) = &self.toast {
            toast.create(session, files)?;
        }
        for index in &self.indexes {
            files.create(session, index.tree.options().file)?;
            index.tree.create()?;
        }
        Ok(())
    }

    /// Its heap.
    pub fn heap(&self) -> &Heap {
        &self.heap
    }

    /// Where its oversized values are.
    pub fn toast(&self) -> Option<&Toast<'t, 's>> {
        self.toast.as_ref()
    }

    /// Its columns.
    pub fn layout(&self) -> &RowLayout {
        &self.layout
    }

    /// Its indexes.
    pub fn indexes(&self) -> &[Index<'t, 's>] {
        &self.indexes
    }

    /// Inserts a row. `row` is a buffer for it. Its values are as they are, or compressed; one that is stored with another
    /// row goes through [`Self::value`] first.
    ///
    /// # Errors
    /// 54000 if it is too long; whatever reading and writing pages and logging may end with.
    pub fn insert(
        &self,
        session: &mut StoreSession<'t, 's>,
        values: &[Datum<'_>],
        row: &mut Vec<u8>,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Written<Ctid>> {
        self.encode_new(session, values, row, writing.command)?;
        let ctid = self.heap.insert(session, row, writing.command)?;
        let entered = self.enter(session, values, ctid, writing)?;
        if !matches!(entered, Written::Done(())) {
            self.heap.retract(session, ctid)?;
            self.drop_unused(session, row, &[], writing.command)?;
        }
        Ok(entered.map(|()| ctid))
    }

    /// Replaces a version of a row. Values that stay as they were may be given as they are stored. The snapshot that showed it
    /// is in use until this is done: without one the version may be pruned meanwhile, and another have its line. So for
    /// [`Self::delete`] and [`Self::lock`].
    ///
    /// # Errors
    /// As [`Self::insert`].
    pub fn update(
        &self,
        session: &mut StoreSession<'t, 's>,
        ctid: Ctid,
        values: &[Datum<'_>],
        row: &mut Vec<u8>,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Written<Ctid>> {
        self.encode_next(session, ctid, values, row, writing.command)?;
        let indexed = Indexed { layout: &self.layout, columns: &self.indexed, key: &self.keys };
        let updated = match self.heap.update(session, ctid, row, &indexed, writing)? {
            Outcome::Done(updated) => updated,
            Outcome::Conflict(conflict) => {
                self.drop_unused(session, row, values, writing.command)?;
                return Ok(Written::Conflict(conflict));
            }
        };
        self.drop_values_of(session, ctid, Some(row), writing.command)?;
        if updated.is_hot {
            return Ok(Written::Done(updated.ctid));
        }
        Ok(self.enter(session, values, updated.ctid, writing)?.map(|()| updated.ctid))
    }

    /// Deletes a version of a row.
    pub fn delete(
        &self,
        session: &mut StoreSession<'t, 's>,
        ctid: Ctid,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Outcome<()>> {
        let outcome = self.heap.delete(session, ctid, writing)?;
        if outcome == Outcome::Done(()) {
            self.drop_values_of(session, ctid, None, writing.command)?;
        }
        Ok(outcome)
    }

    /// Locks a version of a row until the transaction ends.
    pub fn lock(
        &self,
        session: &mut StoreSession<'t, 's>,
        ctid: Ctid,
        lock: RowLock,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Outcome<()>> {
        self.heap.lock(session, ctid, lock, writing)
    }

    /// The row in the way of another with these values in a unique index, for `ON CONFLICT`; `None`: there was none when
    /// this looked.
    pub fn find_duplicate(
        &self,
        session: &mut StoreSession<'t, 's>,
        index: usize,
        values: &[Datum<'_>],
        writing: &mut Writing<'_, '_>,
    ) -> Result<Written<Option<Ctid>>> {
        let mut bytes = Vec::new();
        let key = self.key(session, index, values, &mut bytes)?;
        let key = &key[..self.indexes[index].tree.shape().key_columns()];
        loop {
            let found = self.indexes[index]
                .tree
                .find_conflict(key, |other| verdict(self.heap.fetch_dirty(session, other)?.1))?;
            match found {
                None | Some(Uniqueness::Inserted) => return Ok(Written::Done(None)),
                Some(Uniqueness::NotUnique(ctid)) => return Ok(Written::Done(Some(ctid))),
                Some(Uniqueness::MustWait(_, xid)) => {
                    if let Err(error) = wait_for(session, xid, writing)? {
                        return Ok(Written::Conflict(Conflict::NotWaited(error)));
                    }
                }
            }
        }
    }

    /// An index's key, of which all bytes are there; `bytes` is for those that the values do not have themselves.
    fn key<'v>(
        &self,
        session: &mut StoreSession<'t, 's>,
        index: usize,
        values: &[Datum<'v>],
        bytes: &'v mut Vec<Vec<u8>>,
    ) -> Result<Vec<Datum<'v>>> {
        let mut key: Vec<_> = self.indexes[index].columns.iter().map(|column| values[*column]).collect();
        for datum in key.iter().filter(|datum| is_elsewhere(**datum)) {
            bytes.push(self.value(session, *datum)?.into_owned());
        }
        for (datum, whole) in key.iter_mut().filter(|datum| is_elsewhere(**datum)).zip(&*bytes) {
            *datum = Datum::Bytes(whole);
        }
        Ok(key)
    }

    /// Gives a new version its entries in all indexes.
    fn enter(
        &self,
        session: &mut StoreSession<'t, 's>,
        values: &[Datum<'_>],
        ctid: Ctid,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Written<()>> {
        session.store.me.stop_point(StopPoint::RowInserted);
        for (number, index) in self.indexes.iter().enumerate() {
            let mut bytes = Vec::new();
            let key = self.key(session, number, values, &mut bytes)?;
            if index.uniques == Uniques::Allowed {
                index.tree.insert(&key, ctid)?;
                continue;
            }
            loop {
                let nulls_are_distinct = index.uniques == Uniques::NullsDistinct;
                let check = |other| verdict(self.heap.fetch_dirty(session, other)?.1);
                match index.tree.insert_unique(&key, ctid, nulls_are_distinct, check)? {
                    Uniqueness::Inserted => break,
                    Uniqueness::NotUnique(other) => {
                        return Ok(Written::Duplicate { index: number, ctid: other });
                    }
                    Uniqueness::MustWait(_, xid) => {
                        if let Err(error) = wait_for(session, xid, writing)? {
                            return Ok(Written::Conflict(Conflict::NotWaited(error)));
                        }
                    }
                }
            }
        }
        Ok(Written::Done(()))
    }

    /// All rows that a view shows.
    pub fn scan<'h, 'r>(
        &'h self,
        session: &StoreSession<'t, 's>,
        view: ReadView,
        ring: Option<&'r mut BufferRing>,
    ) -> Result<heap::Scan<'h, 't, 's, 'r>> {
        self.heap.scan(session, view, ring)
    }

    /// The rows that a view shows and that meet conditions on an index's columns, in its order.
    pub fn index_scan<'h, 'k>(
        &'h self,
        session: &StoreSession<'t, 's>,
        index: usize,
        keys: &[ScanKey<'k>],
        view: ReadView,
    ) -> IndexScan<'h, 't, 's, 'k> {
        let entries = self.indexes[index].tree.scan(keys, ScanOptions::default());
        IndexScan { heap: &self.heap, entries, view, fates: Fates::new(session.store), row: Vec::new() }
    }

    /// The first row that a view shows with this key in an index, and where it is; `read` makes of it what is wanted.
    pub fn lookup<R>(
        &self,
        session: &mut StoreSession<'t, 's>,
        index: usize,
        keys: &[ScanKey<'_>],
        view: ReadView,
        read: impl Fn(&[u8]) -> R,
    ) -> Result<Option<(Ctid, R)>> {
        let fates = Fates::new(session.store);
        let mut entries = self.indexes[index].tree.scan(keys, ScanOptions::default());
        while let Some(entry) = entries.next(Direction::Forward)? {
            match self.heap.fetch_with(session, &fates, view, entry, |tuple| read(tuple.row()))? {
                Fetched::Row(ctid, made) => {
                    // Dead entries may have stood before it.
                    entries.end()?;
                    return Ok(Some((ctid, made)));
                }
                Fetched::Nothing { is_dead: true } => entries.kill_current(),
                Fetched::Nothing { is_dead: false } => {}
            }
        }
        entries.end()?;
        Ok(None)
    }

    /// Vacuums the heap and its indexes, then where oversized values are, of which the result says only what is the oldest
    /// transaction that rows name; the caller has the lock that keeps other vacuums away.
    pub fn vacuum(&self, store: &'t Store<'s>, options: VacuumOptions) -> Result<VacuumStats> {
        let mut stats = self.heap.vacuum(store, options, &mut Entries(&self.indexes))?;
        if let Some(toast) = &self.toast {
            let oldest = toast.vacuum(store, options)?.oldest_xid;
            stats.oldest_xid = stats.oldest_xid.zip(oldest).map(|(one, other)| one.min(other));
        }
        Ok(stats)
    }

    /// Checks that heap and indexes agree, while nobody changes them: each index is in order, each row that the view shows
    /// has its entry in each, and its values that are stored elsewhere are there. The number of rows.
    ///
    /// # Errors
    /// XX002 with the first thing that is wrong; whatever reading pages may end with.
    pub fn check(&self, session: &mut StoreSession<'t, 's>, view: ReadView) -> Result<u64> {
        let mut rows = 0;
        let mut scan = self.scan(session, view, None)?;
        let mut wanted: Vec<Vec<u8>> = Vec::new();
        while let Some(row) = scan.next(session)? {
            wanted.push(row.bytes.to_vec());
            rows += 1;
        }
        if let Some(toast) = &self.toast {
            toast.tree().check(|_, _| ())?;
            for bytes in &wanted {
                let mut reader = RowReader::new(&self.layout, bytes)?;
                for column in 0..reader.stored() {
                    let stored = reader.get(column)?;
                    if is_elsewhere(stored) {
                        self.value(session, stored)?;
                    }
                }
            }
        }
        for (number, index) in self.indexes.iter().enumerate() {
            index.tree.check(|_, _| ())?;
            for bytes in &wanted {
                self.check_entry(session, (number, index), bytes, view)?;
            }
        }
        Ok(rows)
    }

    fn check_entry(
        &self,
        session: &mut StoreSession<'t, 's>,
        (number, index): (usize, &Index<'t, 's>),
        bytes: &[u8],
        view: ReadView,
    ) -> Result<()> {
        let mut reader = RowReader::new(&self.layout, bytes)?;
        let values = (0..self.layout.columns().len()).map(|column| reader.get(column));
        let values: Vec<Datum<'_>> = values.collect::<Result<_>>()?;
        let mut whole = Vec::new();
        let key = self.key(session, number, &values, &mut whole)?;
        let keys: Vec<_> = key[..index.tree.shape().key_columns()]
            .iter()
            .enumerate()
            .map(|(column, value)| {
                let op = if value.is_null() { ScanOp::IsNull } else { ScanOp::Equal };
                ScanKey::new(column, op, *value)
            })
            .collect();
        let mut found = self.index_scan(session, number, &keys, view);
        while let Some(row) = found.next(session, Direction::Forward)? {
            if row.bytes == bytes {
                return Ok(());
            }
        }
        let options = index.tree.options();
        let message = format!(
            "heap tuple of table \"{}\" lacks matching index tuple within index \"{}\"",
            options.table, options.name
        );
        Err(Report::error(SqlState::INDEX_CORRUPTED, message))
    }
}

/// Rows by an index.
pub struct IndexScan<'h, 't, 's, 'k> {
    heap: &'h Heap,
    entries: EntryScan<'h, 't, 's, 'k>,
    view: ReadView,
    fates: Fates<'t, 's>,
    row: Vec<u8>,
}

impl<'t, 's> IndexScan<'_, 't, 's, '_> {
    /// The next row, this way; `None` at the end, from where one can go back.
    pub fn next(
        &mut self,
        session: &mut StoreSession<'t, 's>,
        direction: Direction,
    ) -> Result<Option<heap::Row<'_>>> {
        while let Some(entry) = self.entries.next(direction)? {
            let Self { row, .. } = self;
            let fetched = self.heap.fetch_with(session, &self.fates, self.view, entry, |tuple| {
                row.clear();
                row.extend_from_slice(tuple.row());
            })?;
            match fetched {
                Fetched::Row(ctid, ()) => return Ok(Some(heap::Row { ctid, bytes: &self.row })),
                Fetched::Nothing { is_dead: true } => self.entries.kill_current(),
                Fetched::Nothing { is_dead: false } => {}
            }
        }
        Ok(None)
    }
}

struct Entries<'i, 't, 's>(&'i [Index<'t, 's>]);

impl Indexes for Entries<'_, '_, '_> {
    fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    fn delete(&mut self, dead: &DeadLines) -> Result<()> {
        for index in self.0 {
            index.tree.bulk_delete(|ctid| dead.contains(ctid), || Ok(()))?;
        }
        Ok(())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as a check's result")]
fn verdict(state: Dirty) -> Result<Verdict> {
    Ok(match state {
        Dirty::Live => Verdict::Live,
        Dirty::Dead => Verdict::Gone,
        Dirty::Inserting(xid) | Dirty::Deleting(xid) => Verdict::InProgress(xid),
    })
}

/// Waits until a transaction has ended, and tells the session what it met.
fn wait_for(
    session: &mut StoreSession<'_, '_>,
    xid: Xid,
    writing: &mut Writing<'_, '_>,
) -> Result<std::result::Result<(), LockError>> {
    let Some(wait) = writing.wait.as_deref_mut() else { return Ok(Err(LockError::WouldBlock)) };
    match session.store.transactions.wait_for_end(&session.locks, xid, wait) {
        Ok(Fate::Committed(lsn)) => session.transaction.meet(lsn),
        Ok(_) => {}
        Err(WaitFailure::Lock(error)) => return Ok(Err(error)),
        Err(WaitFailure::Map(report)) => return Err(report),
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests;
