//! Writing rows, and waiting for others who write them.

use std::rc::Rc;
use std::sync::Arc;

use super::Access;
use super::open::OpenTable;
use crate::access::heap::{Conflict, Outcome, RowLock, Writing};
use crate::access::row::Datum as Stored;
use crate::access::table::Written;
use crate::access::{Ctid, StoreSession};
use crate::catalog::descriptor::RelationDescriptor;
use crate::report::Result;
use crate::sql::types::Datum;
use crate::txn::Xid;
use crate::txn::locks::LockError;

/// Why a version was not written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WriteConflict {
    /// This command or one behind it has written it already.
    SelfModified {
        /// Which.
        command: u32,
    },
    /// It was replaced by a transaction that committed.
    Updated {
        /// By what.
        next: Ctid,
        /// Who.
        by: Xid,
    },
    /// It is gone.
    Deleted,
    /// Somebody has it, and nobody was to wait.
    Locked,
    /// Another row has its key.
    Duplicate {
        /// In which index.
        index: usize,
        /// Which.
        other: Ctid,
    },
}

/// What became of an attempt to write.
pub type RowWrite<T> = std::result::Result<T, WriteConflict>;

/// What to do about rows that others have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Patience {
    /// Nothing: say so.
    None,
    /// Wait.
    Waits,
}

fn is_blocked(conflict: &Conflict) -> bool {
    matches!(conflict, Conflict::NotWaited(LockError::WouldBlock))
}

impl<'t, 's> Access<'_, 't, 's> {
    /// Inserts a row.
    ///
    /// # Errors
    /// As [`Table::insert`](crate::access::table::Table::insert); whatever ends a wait.
    pub fn insert(&mut self, relation: &Arc<RelationDescriptor>, row: &[Datum]) -> Result<RowWrite<Ctid>> {
        let open = self.table(relation)?;
        self.with_stored(&open, row, |access, values, bytes| {
            let mut written = access.writing(Patience::None, |session, writing| {
                open.table.insert(session, values, bytes, writing)
            })?;
            if matches!(&written, Written::Conflict(conflict) if is_blocked(conflict)) {
                written = access.writing(Patience::Waits, |session, writing| {
                    open.table.insert(session, values, bytes, writing)
                })?;
            }
            access.written(written)
        })
    }

    /// Replaces a version. `may_change_keys`: values of unique indexes may change; then others may have to be waited for
    /// when the new version is there already.
    pub fn update(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        ctid: Ctid,
        row: &[Datum],
        may_change_keys: bool,
    ) -> Result<RowWrite<Ctid>> {
        let open = self.table(relation)?;
        self.with_stored(&open, row, |access, values, bytes| {
            let first = if may_change_keys { Patience::Waits } else { Patience::None };
            let mut written = access.writing(first, |session, writing| {
                open.table.update(session, ctid, values, bytes, writing)
            })?;
            if matches!(&written, Written::Conflict(conflict) if first == Patience::None && is_blocked(conflict)) {
                written = access.writing(Patience::Waits, |session, writing| {
                    open.table.update(session, ctid, values, bytes, writing)
                })?;
            }
            access.written(written)
        })
    }

    /// Deletes a version.
    pub fn delete(&mut self, relation: &Arc<RelationDescriptor>, ctid: Ctid) -> Result<RowWrite<()>> {
        let open = self.table(relation)?;
        self.patiently(true, |session, writing| open.table.delete(session, ctid, writing))
    }

    /// Locks a version. Without `waits` a row that others have is [`WriteConflict::Locked`].
    pub fn lock_row(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        ctid: Ctid,
        lock: RowLock,
        waits: bool,
    ) -> Result<RowWrite<()>> {
        let open = self.table(relation)?;
        self.patiently(waits, |session, writing| open.table.lock(session, ctid, lock, writing))
    }

    /// The row that has the key of this one in a unique index.
    pub fn find_duplicate(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        index: usize,
        row: &[Datum],
    ) -> Result<RowWrite<Option<Ctid>>> {
        let open = self.table(relation)?;
        self.with_stored(&open, row, |access, values, _| {
            let found = access.writing(Patience::Waits, |session, writing| {
                open.table.find_duplicate(session, index, values, writing)
            })?;
            access.written(found)
        })
    }

    /// Tries without waiting, so that a wait is shown only where there is one.
    fn patiently(
        &mut self,
        waits: bool,
        mut write: impl FnMut(&mut StoreSession<'t, 's>, &mut Writing<'_, '_>) -> Result<Outcome<()>>,
    ) -> Result<RowWrite<()>> {
        let mut outcome = self.writing(Patience::None, &mut write)?;
        if waits && matches!(&outcome, Outcome::Conflict(conflict) if is_blocked(conflict)) {
            outcome = self.writing(Patience::Waits, &mut write)?;
        }
        match outcome {
            Outcome::Done(()) => Ok(Ok(())),
            Outcome::Conflict(conflict) => self.conflict(conflict).map(Err),
        }
    }

    /// Lends the row's stored values, and room for its bytes.
    fn with_stored<R>(
        &mut self,
        open: &Rc<OpenTable<'t, 's>>,
        row: &[Datum],
        work: impl FnOnce(&mut Self, &[Stored<'_>], &mut Vec<u8>) -> Result<R>,
    ) -> Result<R> {
        let mut scratch = std::mem::take(&mut self.open.scratch);
        let mut bytes = std::mem::take(&mut self.open.row);
        let made = work(self, &scratch.encode(row, &open.shape.codecs), &mut bytes);
        (self.open.scratch, self.open.row) = (scratch, bytes);
        made
    }

    /// Lends the way of writing: as the command that runs, and how to wait.
    fn writing<R>(
        &mut self,
        patience: Patience,
        write: impl FnOnce(&mut StoreSession<'t, 's>, &mut Writing<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        let command = *self.cx.command;
        let cx = &mut self.cx;
        let mut wait = match patience {
            Patience::None => None,
            Patience::Waits => cx.waiter.wait(),
        };
        let mut writing = Writing { command, wait: wait.as_mut() };
        write(&mut *cx.session, &mut writing)
    }

    fn written<T>(&mut self, written: Written<T>) -> Result<RowWrite<T>> {
        Ok(match written {
            Written::Done(done) => Ok(done),
            Written::Conflict(conflict) => Err(self.conflict(conflict)?),
            Written::Duplicate { index, ctid } => Err(WriteConflict::Duplicate { index, other: ctid }),
        })
    }

    fn conflict(&mut self, conflict: Conflict) -> Result<WriteConflict> {
        Ok(match conflict {
            Conflict::Invisible | Conflict::Deleted { .. } => WriteConflict::Deleted,
            Conflict::SelfModified { command } => WriteConflict::SelfModified { command },
            Conflict::Updated { next, xmax } => WriteConflict::Updated { next, by: xmax },
            Conflict::NotWaited(LockError::WouldBlock) => WriteConflict::Locked,
            Conflict::NotWaited(error) => return Err(self.cx.waiter.explain(error)),
        })
    }
}
