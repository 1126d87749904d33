//! What an operation on the catalog is carried out with, and the catalogs' rows as it reads and writes them.
//!
//! Definitions are looked up as they are now, whatever the transaction's isolation level: by the latest snapshot, and with
//! everything that the transaction itself has written so far. Each write is a command of its own, so that the next look
//! finds it.

use super::cache::Catalog;
use super::columns::{Kind, Oid};
use super::schema::{CatalogRow, SystemTable};
use super::tables::system_table;
use crate::access::btree::{Direction, ScanKey, ScanOp};
use crate::access::heap::{Conflict, Outcome, Writing};
use crate::access::invalidations::Changed;
use crate::access::relation_files::TransactionFiles;
use crate::access::row::{Datum, OwnedDatum, RowReader};
use crate::access::table::{Table, Written};
use crate::access::visibility::ReadView;
use crate::access::{Ctid, StoreSession};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::txn::locks::{LockError, LockMode, LockTag, Scope, Wait};

/// How the session waits for others.
pub trait Waiter {
    /// How to wait now; `None`: not at all.
    fn wait(&mut self) -> Option<Wait<'_>>;

    /// What the client is told of a wait that failed.
    fn explain(&mut self, error: LockError) -> Box<Report>;
}

/// Waits for nobody.
#[derive(Clone, Copy, Debug)]
pub struct NoWait;

impl Waiter for NoWait {
    fn wait(&mut self) -> Option<Wait<'_>> {
        None
    }

    fn explain(&mut self, error: LockError) -> Box<Report> {
        let given_up = || Report::error(SqlState::QUERY_CANCELED, "canceling statement due to user request");
        let not_available = || Report::error(SqlState::LOCK_NOT_AVAILABLE, "could not obtain lock");
        error.into_report(given_up, not_available, &|_| None)
    }
}

/// See the module.
pub struct Cx<'c, 't, 's> {
    /// The session, whose transaction has begun.
    pub session: &'c mut StoreSession<'t, 's>,
    /// Files that the transaction makes and drops.
    pub files: &'c mut TransactionFiles,
    /// What the session knows of the catalog.
    pub catalog: &'c mut Catalog,
    /// The transaction's command: what it writes bears this number, and is seen by later ones.
    pub command: &'c mut u32,
    /// How to wait.
    pub waiter: &'c mut dyn Waiter,
    /// Who acts.
    pub role: u32,
}

/// A key of a catalog's index.
pub fn key<K: Kind>(value: &K::Value) -> OwnedDatum {
    K::write(value)
}

/// The key of an OID.
pub fn oid_key(oid: u32) -> OwnedDatum {
    key::<Oid>(&oid)
}

fn changed_meanwhile(conflict: Conflict, waiter: &mut dyn Waiter) -> Box<Report> {
    let internal = |message: &str| Report::error(SqlState::INTERNAL_ERROR, message);
    match conflict {
        Conflict::NotWaited(error) => waiter.explain(error),
        Conflict::Deleted { .. } => internal("tuple concurrently deleted"),
        Conflict::Updated { .. } => internal("tuple concurrently updated"),
        Conflict::SelfModified { .. } => internal("tuple already updated by self"),
        Conflict::Invisible => internal("attempted to update invisible tuple"),
    }
}

impl<'t, 's> Cx<'_, 't, 's> {
    /// The database.
    pub fn database(&self) -> u32 {
        self.catalog.database()
    }

    pub(super) fn open<R: CatalogRow>(&self) -> Table<'t, 's> {
        self.open_system(R::TABLE)
    }

    pub(super) fn open_system(&self, of: &SystemTable) -> Table<'t, 's> {
        system_table(self.session.store, self.database(), of)
    }

    /// What the next command sees: everything so far.
    pub fn next_command(&mut self) -> u32 {
        *self.command += 1;
        *self.command
    }

    fn view(&mut self) -> ReadView {
        ReadView { snapshot: self.session.transaction.latest_snapshot(), command: *self.command + 1 }
    }

    /// Rows with these values in the first columns of an index, which is named by its OID.
    pub fn rows<R: CatalogRow>(&mut self, index: u32, keys: &[OwnedDatum]) -> Result<Vec<(Ctid, R)>> {
        let number = R::TABLE.indexes.iter().position(|of| of.oid == index).unwrap_or(0);
        let table = self.open::<R>();
        let view = self.view();
        let keys: Vec<_> = (keys.iter().enumerate())
            .map(|(column, value)| ScanKey::new(column, ScanOp::Equal, value.as_datum()))
            .collect();
        let mut scan = table.index_scan(self.session, number, &keys, view);
        let mut rows = Vec::new();
        while let Some(row) = scan.next(self.session, Direction::Forward)? {
            let mut reader = RowReader::new(table.layout(), row.bytes)?;
            rows.push((row.ctid, R::read(&mut reader)?));
        }
        drop(scan);
        self.session.transaction.drop_snapshot(view.snapshot);
        Ok(rows)
    }

    /// The row with these values in the first columns of an index, if there is one.
    pub fn row<R: CatalogRow>(&mut self, index: u32, keys: &[OwnedDatum]) -> Result<Option<(Ctid, R)>> {
        Ok(self.rows::<R>(index, keys)?.into_iter().next())
    }

    /// The row of an OID, by the catalog's first index over `oid` or its like.
    pub fn row_of<R: CatalogRow>(&mut self, index: u32, oid: u32) -> Result<Option<(Ctid, R)>> {
        self.row::<R>(index, &[oid_key(oid)])
    }

    /// All rows of a catalog.
    pub fn all_rows<R: CatalogRow>(&mut self) -> Result<Vec<(Ctid, R)>> {
        let table = self.open::<R>();
        let view = self.view();
        let mut scan = table.scan(self.session, view, None)?;
        let mut rows = Vec::new();
        while let Some(row) = scan.next(self.session)? {
            let mut reader = RowReader::new(table.layout(), row.bytes)?;
            rows.push((row.ctid, R::read(&mut reader)?));
        }
        drop(scan);
        self.session.transaction.drop_snapshot(view.snapshot);
        Ok(rows)
    }

    /// Inserts a row; `false` if another has its key in a unique index, having waited for whoever was about to.
    pub fn try_insert<R: CatalogRow>(&mut self, row: &R) -> Result<bool> {
        let values = row.write();
        Ok(self.try_insert_values(R::TABLE, &values)?.is_none())
    }

    /// The same, with the index that is in the way.
    pub(super) fn try_insert_values(
        &mut self,
        of: &SystemTable,
        values: &[OwnedDatum],
    ) -> Result<Option<usize>> {
        let table = self.open_system(of);
        let values: Vec<Datum<'_>> = values.iter().map(OwnedDatum::as_datum).collect();
        let written = {
            let mut wait = self.waiter.wait();
            let mut writing = Writing { command: *self.command, wait: wait.as_mut() };
            table.insert(self.session, &values, &mut Vec::new(), &mut writing)?
        };
        *self.command += 1;
        match written {
            Written::Done(_) => Ok(None),
            Written::Duplicate { index, .. } => Ok(Some(index)),
            Written::Conflict(conflict) => Err(changed_meanwhile(conflict, self.waiter)),
        }
    }

    /// Inserts a row.
    ///
    /// # Errors
    /// 23505 if another has its key.
    pub fn insert<R: CatalogRow>(&mut self, row: &R) -> Result<()> {
        match self.try_insert_values(R::TABLE, &row.write())? {
            None => Ok(()),
            Some(index) => Err(duplicate(R::TABLE, index)),
        }
    }

    /// Replaces a row.
    ///
    /// # Errors
    /// 23505 if another has its key; XX000 if somebody else changed it meanwhile.
    pub fn update<R: CatalogRow>(&mut self, ctid: Ctid, row: &R) -> Result<()> {
        let table = self.open::<R>();
        let values = row.write();
        let values: Vec<Datum<'_>> = values.iter().map(OwnedDatum::as_datum).collect();
        let written = {
            let mut wait = self.waiter.wait();
            let mut writing = Writing { command: *self.command, wait: wait.as_mut() };
            table.update(self.session, ctid, &values, &mut Vec::new(), &mut writing)?
        };
        *self.command += 1;
        match written {
            Written::Done(_) => Ok(()),
            Written::Duplicate { index, .. } => Err(duplicate(R::TABLE, index)),
            Written::Conflict(conflict) => Err(changed_meanwhile(conflict, self.waiter)),
        }
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// XX000 if somebody else changed it meanwhile.
    pub fn delete<R: CatalogRow>(&mut self, ctid: Ctid) -> Result<()> {
        let table = self.open::<R>();
        let deleted = {
            let mut wait = self.waiter.wait();
            let mut writing = Writing { command: *self.command, wait: wait.as_mut() };
            table.delete(self.session, ctid, &mut writing)?
        };
        *self.command += 1;
        match deleted {
            Outcome::Done(()) => Ok(()),
            Outcome::Conflict(conflict) => Err(changed_meanwhile(conflict, self.waiter)),
        }
    }

    /// Deletes all rows with these values in the first columns of an index.
    pub fn delete_all<R: CatalogRow>(&mut self, index: u32, keys: &[OwnedDatum]) -> Result<()> {
        let rows = self.rows::<R>(index, keys)?;
        rows.into_iter().try_for_each(|(ctid, _)| self.delete::<R>(ctid))
    }

    /// A number for a new object of a catalog that no other has.
    pub fn new_oid<R: CatalogRow>(&mut self, index: u32) -> Result<u32> {
        loop {
            let oid = self.session.store.engine.checkpoints.new_oid(&self.session.store.log)?;
            if self.row_of::<R>(index, oid)?.is_none() {
                return Ok(oid);
            }
        }
    }

    /// This relation, or schema, or type is not what it was: this session forgets it now, the others when the transaction
    /// commits.
    pub(super) fn changed(&mut self, object: u32) {
        let changed = Changed::object(self.database(), object);
        self.catalog.will_send(changed);
    }

    /// The same of anything.
    pub(super) fn changed_everything(&mut self) {
        self.catalog.will_send(Changed::EVERYTHING);
    }

    /// Takes a lock until the transaction's end, and sees what has changed until it was got.
    pub fn lock(&mut self, tag: LockTag, mode: LockMode) -> Result<()> {
        let scope = Scope::Transaction(self.session.transaction.depth().max(1));
        let me = self.session.store.me;
        let taken = match self.session.locks.acquire(me, tag, mode, scope, None) {
            Err(LockError::WouldBlock) => {
                let mut wait = self.waiter.wait();
                if wait.is_none() {
                    Err(LockError::WouldBlock)
                } else {
                    self.session.locks.acquire(me, tag, mode, scope, wait.as_mut())
                }
            }
            taken => taken,
        };
        taken.map_err(|error| self.waiter.explain(error))?;
        self.accept_invalidations();
        Ok(())
    }

    /// Locks a relation until the transaction's end.
    pub fn lock_relation(&mut self, oid: u32, mode: LockMode) -> Result<()> {
        let is_shared = super::schema::stored_by_oid(oid).is_some_and(|table| table.is_shared);
        let database = if is_shared { 0 } else { self.database() };
        self.lock(LockTag::Relation { database, relation: oid }, mode)
    }

    /// Locks an object that is no relation until the transaction's end.
    pub fn lock_object(&mut self, class: u32, object: u32, mode: LockMode) -> Result<()> {
        let is_shared = super::schema::stored_by_oid(class).is_some_and(|table| table.is_shared);
        let database = if is_shared { 0 } else { self.database() };
        self.lock(LockTag::Object { database, class, object, part: 0 }, mode)
    }

    /// Forgets what others have changed: at a statement's beginning, and when a lock was got.
    #[inline]
    pub fn accept_invalidations(&mut self) {
        self.catalog.accept(self.session.store.engine.invalidations);
    }
}

fn duplicate(of: &SystemTable, index: usize) -> Box<Report> {
    let name = of.indexes[index].name;
    let message = format!("duplicate key value violates unique constraint \"{name}\"");
    let mut report = Report::error(SqlState::UNIQUE_VIOLATION, message);
    report.schema = Some("pg_catalog".to_owned());
    report.table = Some(of.name.to_owned());
    report.constraint = Some(name.to_owned());
    report.with_detail("Another transaction has made an object of this name.")
}
