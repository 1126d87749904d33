//! What became of a version of a row, for those who ask: readers, writers, unique checks, vacuum.
//!
//! Hints are looked at first, then the transaction map. A hint that a commit took place is set only once that commit is
//! durable and everybody sees it, so whoever finds it needs no snapshot; a hint of a rollback, at once.

use std::cell::Cell;

use super::engine::{Map, Store, StoreSession};
use super::heap::lockers::{self, Member};
use super::heap::tuple::{Hints, Mask, TupleRef, xid};
use super::shared_log::SharedLog;
use crate::report::Result;
use crate::storage::buffer::{ExclusivePage, SharedPage};
use crate::storage::page::PageRef;
use crate::txn::session::TransactionSession;
use crate::txn::snapshot::Durable;
use crate::txn::{Fate, Lsn, Snapshot, Xid};

/// A session's transaction, as rows know it.
pub type Transaction<'t, 's> = TransactionSession<'t, 's, 's, Map<'s>, SharedLog<'s>>;

/// What a statement sees: what was committed by then, and what its own transaction did in earlier commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadView {
    /// What others did.
    pub snapshot: Snapshot,
    /// Its own command: what this one and later ones do is not seen.
    pub command: u32,
}

/// A page with versions, locked one way or the other.
pub trait TuplePage {
    /// The page.
    fn view(&self) -> PageRef<'_>;

    /// Sets hints, where that is possible.
    fn hint(&self, offset: usize, hints: Hints);
}

impl TuplePage for SharedPage<'_, '_> {
    #[inline]
    fn view(&self) -> PageRef<'_> {
        self.page()
    }

    fn hint(&self, offset: usize, hints: Hints) {
        self.set_hint(offset, hints.0);
    }
}

impl TuplePage for ExclusivePage<'_, '_> {
    #[inline]
    fn view(&self) -> PageRef<'_> {
        self.page()
    }

    /// Who has it exclusively is about to change it, and logs that; the next reader sets hints.
    fn hint(&self, _: usize, _: Hints) {}
}

/// What became of transactions, remembered for a while.
pub struct Fates<'t, 's> {
    store: &'t Store<'s>,
    /// Commits up to here are durable and visible to everybody.
    floor: Cell<Option<Lsn>>,
    last: Cell<(u64, Fate)>,
    met: Cell<Lsn>,
}

impl<'t, 's> Fates<'t, 's> {
    /// Nothing is known yet.
    pub fn new(store: &'t Store<'s>) -> Self {
        let last = Cell::new((0, Fate::Aborted));
        Self { store, floor: Cell::new(None), last, met: Cell::new(Lsn::INVALID) }
    }

    /// Commits up to here are durable, and everybody sees them. Looked up once: it only rises.
    pub fn floor(&self) -> Lsn {
        if let Some(floor) = self.floor.get() {
            return floor;
        }
        let durable = self.store.log.durable();
        let floor = self.store.transactions.words().horizon(&self.store.log).min(durable);
        self.floor.set(Some(floor));
        floor
    }

    /// What became of a transaction. One that was about to commit has.
    #[inline]
    pub fn of(&self, number: u64) -> Result<Fate> {
        let (last, fate) = self.last.get();
        if last == number {
            return Ok(fate);
        }
        self.look_up(number)
    }

    fn look_up(&self, number: u64) -> Result<Fate> {
        let Some(xid) = xid(number) else { return Ok(Fate::Aborted) };
        let fate = self.store.transactions.settled_fate(xid)?;
        if !fate.is_open() {
            self.last.set((number, fate));
        }
        Ok(fate)
    }

    /// Whether everybody sees what a transaction with this fate did, now and after a crash.
    pub fn is_for_all(&self, fate: Fate) -> bool {
        match fate {
            Fate::Committed(lsn) => lsn <= self.floor(),
            Fate::CommittedLongAgo => true,
            _ => false,
        }
    }

    /// Members of a multi-locker id.
    pub fn members(&self, multi: u64) -> Result<Vec<Member>> {
        lockers::members(self.store, multi)
    }

    /// A commit was learnt of without a snapshot.
    pub fn meet(&self, fate: Fate) {
        if let Fate::Committed(lsn) = fate {
            self.met.set(self.met.get().max(lsn));
        }
    }

    /// The highest commit that was learnt of without a snapshot since the last call: the transaction is to be told.
    pub fn take_met(&self) -> Lsn {
        self.met.replace(Lsn::INVALID)
    }

    fn settle(&self, page: &impl TuplePage, tuple: TupleRef<'_>, fate: Fate, hints: (Hints, Hints)) {
        match fate {
            Fate::Aborted => page.hint(tuple.hints_at(), hints.1),
            _ if self.is_for_all(fate) => page.hint(tuple.hints_at(), hints.0),
            _ => {}
        }
    }
}

const OF_XMIN: (Hints, Hints) = (Hints::XMIN_COMMITTED, Hints::XMIN_ABORTED);
const OF_XMAX: (Hints, Hints) = (Hints::XMAX_COMMITTED, Hints::XMAX_ABORTED);

/// A version, as one who wants to change or lock it finds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UpdateState {
    /// Nobody else has anything to do with it.
    Free,
    /// It is not there for this command.
    Invisible,
    /// This transaction deleted or replaced it, in this command or a later one.
    SelfModified {
        /// In which.
        command: u32,
    },
    /// Another replaced or deleted it, and committed.
    Gone {
        /// Who.
        xmax: Xid,
    },
    /// Others that run lock it, or are deleting or replacing it.
    Busy(Vec<Member>),
}

/// A version, as a unique check finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dirty {
    /// It is there.
    Live,
    /// It is not, or will not be.
    Dead,
    /// It will be if that transaction commits.
    Inserting(Xid),
    /// It will not be if that transaction commits.
    Deleting(Xid),
}

/// A version, as vacuum finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VacuumState {
    /// Nobody can see it, nor ever will.
    Dead {
        /// The commit that made it so; invalid if its making was rolled back.
        removed: Lsn,
    },
    /// It is deleted or replaced, but somebody may see it.
    RecentlyDead,
    /// It is there; `for_all`: everybody sees that.
    Live {
        /// Whether everybody sees it.
        for_all: bool,
    },
    /// Its making has not ended.
    Inserting,
    /// Its deletion has not ended.
    Deleting,
}

/// One session's look at versions.
pub struct Visibility<'v, 't, 's> {
    own: &'v Transaction<'t, 's>,
    fates: &'v Fates<'t, 's>,
    /// No own id is below this.
    first_own: u64,
}

impl<'v, 't, 's> Visibility<'v, 't, 's> {
    /// Of this session.
    pub fn new(session: &'v StoreSession<'t, 's>, fates: &'v Fates<'t, 's>) -> Self {
        Self::of(&session.transaction, fates)
    }

    /// Of this transaction.
    pub fn of(own: &'v Transaction<'t, 's>, fates: &'v Fates<'t, 's>) -> Self {
        let first_own = own.top_xid().map_or(u64::MAX, Xid::number);
        Self { own, fates, first_own }
    }

    #[inline]
    fn is_own(&self, number: u64) -> bool {
        number >= self.first_own && xid(number).is_some_and(|xid| self.own.is_own(xid))
    }

    /// Whether a view shows a version.
    #[inline]
    pub fn sees(&self, view: ReadView, page: &impl TuplePage, tuple: TupleRef<'_>) -> Result<bool> {
        let is_known = tuple.hints().has(Hints::XMIN_COMMITTED) || tuple.mask().has(Mask::FROZEN);
        if !is_known && !self.sees_xmin(view, page, tuple)? {
            return Ok(false);
        }
        let xmax = tuple.xmax();
        if xmax == 0 || tuple.mask().has(Mask::LOCK_ONLY) || tuple.hints().has(Hints::XMAX_ABORTED) {
            return Ok(true);
        }
        if tuple.hints().has(Hints::XMAX_COMMITTED) {
            return Ok(false);
        }
        self.sees_despite_xmax(view, page, tuple)
    }

    fn sees_xmin(&self, view: ReadView, page: &impl TuplePage, tuple: TupleRef<'_>) -> Result<bool> {
        if tuple.hints().has(Hints::XMIN_ABORTED) {
            return Ok(false);
        }
        let xmin = tuple.xmin();
        if self.is_own(xmin) {
            return Ok(tuple.cmin() < view.command);
        }
        let fate = self.fates.of(xmin)?;
        self.fates.settle(page, tuple, fate, OF_XMIN);
        Ok(shows(view.snapshot, fate))
    }

    fn sees_despite_xmax(&self, view: ReadView, page: &impl TuplePage, tuple: TupleRef<'_>) -> Result<bool> {
        let is_multi = tuple.mask().has(Mask::MULTI);
        let Some(xmax) = self.updater(tuple)? else { return Ok(true) };
        if self.is_own(xmax) {
            return Ok(tuple.cmax() >= view.command);
        }
        let fate = self.fates.of(xmax)?;
        if !is_multi {
            self.fates.settle(page, tuple, fate, OF_XMAX);
        }
        Ok(!shows(view.snapshot, fate))
    }

    /// Who deletes or replaces a version; `None`: nobody, though it may be locked.
    fn updater(&self, tuple: TupleRef<'_>) -> Result<Option<u64>> {
        updater(self.fates, tuple)
    }

    /// Who wrote what the view does not show of a version: made it, if it is not seen, else deleted or replaced it. For
    /// serializable transactions.
    pub fn past(&self, view: ReadView, tuple: TupleRef<'_>, is_seen: bool) -> Result<Option<Xid>> {
        let number = if is_seen { self.updater(tuple)? } else { Some(tuple.xmin()) };
        let Some(number) = number.filter(|number| !self.is_own(*number)) else { return Ok(None) };
        let fate = self.fates.of(number)?;
        let is_unseen = fate != Fate::Aborted && !shows(view.snapshot, fate);
        Ok(xid(number).filter(|_| is_unseen))
    }

    /// A version as a writer or locker finds it. What it learns of commits is for [`Fates::take_met`].
    pub fn for_update(&self, command: u32, tuple: TupleRef<'_>) -> Result<UpdateState> {
        let (mask, hints, xmin) = (tuple.mask(), tuple.hints(), tuple.xmin());
        if hints.has(Hints::XMIN_ABORTED) {
            return Ok(UpdateState::Invisible);
        }
        if !hints.has(Hints::XMIN_COMMITTED) && !mask.has(Mask::FROZEN) {
            if self.is_own(xmin) {
                if tuple.cmin() >= command {
                    return Ok(UpdateState::Invisible);
                }
            } else {
                let fate = self.fates.of(xmin)?;
                if !is_committed(fate) {
                    return Ok(UpdateState::Invisible);
                }
                self.fates.meet(fate);
            }
        }
        if tuple.xmax() == 0 || hints.has(Hints::XMAX_ABORTED) {
            return Ok(UpdateState::Free);
        }
        self.xmax_for_update(command, tuple)
    }

    fn xmax_for_update(&self, command: u32, tuple: TupleRef<'_>) -> Result<UpdateState> {
        let members = members(self.fates, tuple)?;
        let mut busy = Vec::new();
        for member in members {
            if self.is_own(member.xid.number()) {
                if member.updates && tuple.cmax() >= command {
                    return Ok(UpdateState::SelfModified { command: tuple.cmax() });
                } else if member.updates {
                    return Ok(UpdateState::Invisible);
                }
                busy.push(member);
                continue;
            }
            let fate = self.fates.of(member.xid.number())?;
            if fate.is_open() {
                busy.push(member);
            } else if member.updates && is_committed(fate) {
                self.fates.meet(fate);
                return Ok(UpdateState::Gone { xmax: member.xid });
            }
        }
        Ok(if busy.is_empty() { UpdateState::Free } else { UpdateState::Busy(busy) })
    }

    /// Whether a member of those that lock a version is this transaction, or a part of it.
    pub fn is_own_member(&self, member: Member) -> bool {
        self.is_own(member.xid.number())
    }

    /// A version as a unique check finds it. What it learns of commits is for [`Fates::take_met`].
    pub fn dirty(&self, tuple: TupleRef<'_>) -> Result<Dirty> {
        let (mask, hints, xmin) = (tuple.mask(), tuple.hints(), tuple.xmin());
        if hints.has(Hints::XMIN_ABORTED) {
            return Ok(Dirty::Dead);
        }
        if !hints.has(Hints::XMIN_COMMITTED) && !mask.has(Mask::FROZEN) && !self.is_own(xmin) {
            match (self.fates.of(xmin)?, xid(xmin)) {
                (fate, _) if is_committed(fate) => self.fates.meet(fate),
                (fate, Some(xid)) if fate.is_open() => return Ok(Dirty::Inserting(xid)),
                _ => return Ok(Dirty::Dead),
            }
        }
        let Some(xmax) = self.updater(tuple)? else { return Ok(Dirty::Live) };
        if self.is_own(xmax) {
            return Ok(Dirty::Dead);
        }
        Ok(match (self.fates.of(xmax)?, xid(xmax)) {
            (fate, _) if is_committed(fate) => {
                self.fates.meet(fate);
                Dirty::Dead
            }
            (fate, Some(xid)) if fate.is_open() => Dirty::Deleting(xid),
            _ => Dirty::Live,
        })
    }
}

/// A version as vacuum finds it.
pub fn for_vacuum(fates: &Fates<'_, '_>, tuple: TupleRef<'_>) -> Result<VacuumState> {
    let mut for_all = tuple.hints().has(Hints::XMIN_COMMITTED) || tuple.mask().has(Mask::FROZEN);
    if !for_all {
        let fate = fates.of(tuple.xmin())?;
        match fate {
            Fate::Aborted => return Ok(VacuumState::Dead { removed: Lsn::INVALID }),
            fate if fate.is_open() => return Ok(VacuumState::Inserting),
            fate => for_all = fates.is_for_all(fate),
        }
    }
    let Some(xmax) = updater(fates, tuple)? else { return Ok(VacuumState::Live { for_all }) };
    Ok(match fates.of(xmax)? {
        Fate::Aborted => VacuumState::Live { for_all },
        Fate::Committed(lsn) if lsn <= fates.floor() => VacuumState::Dead { removed: lsn },
        Fate::Committed(_) => VacuumState::RecentlyDead,
        Fate::CommittedLongAgo => VacuumState::Dead { removed: Lsn::INVALID },
        Fate::Running(_) | Fate::Committing(_) => VacuumState::Deleting,
    })
}

/// Who locks, deletes or replaces a version, whether that has ended or not.
pub fn members(fates: &Fates<'_, '_>, tuple: TupleRef<'_>) -> Result<Vec<Member>> {
    let mask = tuple.mask();
    if mask.has(Mask::MULTI) {
        return fates.members(tuple.xmax());
    }
    let updates = !mask.has(Mask::LOCK_ONLY);
    Ok(xid(tuple.xmax()).map(|xid| Member { xid, lock: mask.lock(), updates }).into_iter().collect())
}

fn updater(fates: &Fates<'_, '_>, tuple: TupleRef<'_>) -> Result<Option<u64>> {
    let (mask, xmax) = (tuple.mask(), tuple.xmax());
    if xmax == 0 || mask.has(Mask::LOCK_ONLY) || tuple.hints().has(Hints::XMAX_ABORTED) {
        return Ok(None);
    }
    if !mask.has(Mask::MULTI) {
        return Ok(Some(xmax));
    }
    let members = fates.members(xmax)?;
    Ok(members.into_iter().find(|member| member.updates).map(|member| member.xid.number()))
}

fn shows(snapshot: Snapshot, fate: Fate) -> bool {
    match fate {
        Fate::Committed(lsn) => snapshot.covers(lsn),
        Fate::CommittedLongAgo => true,
        Fate::Aborted | Fate::Running(_) | Fate::Committing(_) => false,
    }
}

fn is_committed(fate: Fate) -> bool {
    matches!(fate, Fate::Committed(_) | Fate::CommittedLongAgo)
}
