//! Locking rows.
//!
//! `FOR KEY SHARE` does not wait for an update that leaves the key as it is, nor the other way round: both stand in one
//! multi-locker id. The version that such an update makes is the row once it commits, so the lock goes on to that one too,
//! and to those behind it.

use super::Heap;
use super::change::HeapKind;
use super::claim::{Claim, Conflict, Outcome, Writing, new_xmax};
use super::ended::{mask_of, version_at};
use super::lockers::Member;
use super::tuple::{Mask, NewXmax, RowLock, TupleRef, damaged};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::visibility::{Fates, members};
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::txn::locks::LockError;
use crate::txn::wait::WaitFailure;
use crate::txn::{Fate, Xid};

/// What came of locking the versions behind one.
enum Newer {
    /// They are locked, or there are none that count.
    Locked,
    /// They are not what they were: it is to be begun again.
    Again,
    /// This one is in the way.
    Wait(Xid),
}

/// What one version behind another is to a locker.
enum Found {
    /// To be locked; these run and lock it, or replace it without touching its key.
    Open(Vec<Member>),
    /// Replaced by one that has committed, and left the key as it is.
    Replaced(Xid),
    /// No version of this row, since its maker was rolled back.
    Nothing,
    /// Deleted, or its key changed, for good.
    Gone,
    /// This one is deleting it, or changing its key.
    InTheWay(Xid),
}

impl Heap {
    /// Locks a version of a row until the transaction ends, or goes back to before its innermost savepoint.
    pub fn lock(
        &self,
        session: &mut StoreSession<'_, '_>,
        ctid: Ctid,
        lock: RowLock,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Outcome<()>> {
        let mut are_free = false;
        loop {
            let behind = match self.lock_version(session, (ctid, are_free), lock, writing)? {
                Outcome::Done(Some(behind)) => behind,
                Outcome::Done(None) => return Ok(Outcome::Done(())),
                Outcome::Conflict(conflict) => return Ok(Outcome::Conflict(conflict)),
            };
            match self.lock_newer(session, (behind, are_free), lock)? {
                Newer::Locked if are_free => return Ok(Outcome::Done(())),
                // None of them is locked before all can be: who does not wait leaves none locked.
                Newer::Locked => are_free = true,
                Newer::Again => are_free = false,
                Newer::Wait(xid) => {
                    are_free = false;
                    if let Err(error) = wait_for(session, xid, writing)? {
                        return Ok(Outcome::Conflict(Conflict::NotWaited(error)));
                    }
                }
            }
        }
    }

    /// Locks this version. If it is being replaced meanwhile: by what, and by whom; then it is locked only if those behind
    /// it are known to be free.
    fn lock_version(
        &self,
        session: &mut StoreSession<'_, '_>,
        (ctid, are_free): (Ctid, bool),
        lock: RowLock,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Outcome<Option<(Ctid, Xid)>>> {
        let claim = Claim { ctid, lock: &|_| Ok(lock), other: None };
        let mut claimed = match self.claim(session, &claim, writing)? {
            Outcome::Done(claimed) => claimed,
            Outcome::Conflict(conflict) => return Ok(Outcome::Conflict(conflict)),
        };
        let behind = behind(&claimed.page, ctid.line, &claimed.holders);
        if behind.is_none() || are_free {
            self.add_lock(session, (&mut claimed.page, ctid.line), &claimed.holders, lock)?;
        }
        Ok(Outcome::Done(behind))
    }

    /// Adds this transaction to those who hold a version, unless it holds it as strongly already.
    fn add_lock<'t, 's>(
        &self,
        session: &mut StoreSession<'t, 's>,
        (page, line): (&mut ExclusivePage<'t, 's>, u16),
        holders: &[Member],
        lock: RowLock,
    ) -> Result<()> {
        let xid = session.transaction.xid()?;
        let is_own = |xid| session.transaction.is_own(xid);
        if holders.iter().any(|member| is_own(member.xid) && member.lock >= lock) {
            return Ok(());
        }
        let old = mask_of(page.page(), line);
        let mut new = new_xmax(session.store, xid, (holders, lock), false, old)?;
        match version_at(page.page(), line).filter(|_| holders.iter().any(|member| member.updates)) {
            // What the other one said of its update stays.
            Some(tuple) => {
                new.mask = new.mask.with(Mask(old.0 & Mask::HOT_UPDATED.0));
                new = NewXmax { next: tuple.ctid(), cmax: tuple.cmax(), ..new };
            }
            None => new.next = Some(Ctid::new(page.pin().block(), line)),
        }
        self.write_end(session.store, HeapKind::Lock, xid, (page, line), new)
    }

    /// Locks the versions behind one that is being replaced without a change of its key, or only looks whether it could.
    fn lock_newer(
        &self,
        session: &mut StoreSession<'_, '_>,
        (first, locks): ((Ctid, Xid), bool),
        lock: RowLock,
    ) -> Result<Newer> {
        let mut next = Some(first);
        while let Some((ctid, by)) = next {
            let store = session.store;
            let mut page = self.pin(store, ctid.block)?.lock_exclusive();
            let fates = Fates::new(store);
            let found = found(session, &fates, (&page, ctid), by, lock)?;
            session.transaction.meet(fates.take_met());
            next = match found {
                Found::Open(holders) => {
                    let next = behind(&page, ctid.line, &holders);
                    if locks {
                        self.add_lock(session, (&mut page, ctid.line), &holders, lock)?;
                    }
                    next
                }
                Found::Replaced(by) => version_at(page.page(), ctid.line).and_then(|t| Some((t.ctid()?, by))),
                Found::Nothing => None,
                Found::Gone => return Ok(Newer::Again),
                Found::InTheWay(xid) => return Ok(Newer::Wait(xid)),
            };
        }
        Ok(Newer::Locked)
    }
}

/// What replaces a version that others hold, and who of them does that.
fn behind(page: &ExclusivePage<'_, '_>, line: u16, holders: &[Member]) -> Option<(Ctid, Xid)> {
    let updater = holders.iter().find(|member| member.updates)?;
    let next = version_at(page.page(), line)?.ctid()?;
    (next != Ctid::new(page.pin().block(), line)).then_some((next, updater.xid))
}

fn found(
    session: &StoreSession<'_, '_>,
    fates: &Fates<'_, '_>,
    (page, ctid): (&ExclusivePage<'_, '_>, Ctid),
    by: Xid,
    lock: RowLock,
) -> Result<Found> {
    let tuple = version_at(page.page(), ctid.line).filter(|tuple| tuple.xmin() == by.number());
    match (fates.of(by.number())?, tuple) {
        (Fate::Aborted, _) => Ok(Found::Nothing),
        (fate, None) if fate.is_open() => Err(damaged(page.pin().tag(), ctid.line)),
        // It has gone since, so the first one is not what it was.
        (_, None) => Ok(Found::Gone),
        (_, Some(tuple)) => judge(session, fates, tuple, lock),
    }
}

fn judge(
    session: &StoreSession<'_, '_>,
    fates: &Fates<'_, '_>,
    tuple: TupleRef<'_>,
    lock: RowLock,
) -> Result<Found> {
    let mut open = Vec::new();
    for member in members(fates, tuple)? {
        if session.transaction.is_own(member.xid) {
            open.push(member);
            continue;
        }
        let fate = fates.of(member.xid.number())?;
        let excludes = member.lock.excludes(lock);
        if fate.is_open() && excludes {
            return Ok(Found::InTheWay(member.xid));
        } else if fate.is_open() {
            open.push(member);
        } else if member.updates && fate != Fate::Aborted {
            fates.meet(fate);
            return Ok(if excludes { Found::Gone } else { Found::Replaced(member.xid) });
        }
    }
    Ok(Found::Open(open))
}

/// Waits until a transaction has ended, outside the version's queue: the first version's place there was given back.
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
