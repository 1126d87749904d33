//! Settling with others who may write a version: before it is deleted, replaced or locked.
//!
//! Who has to wait takes the version's queue lock first, so that the others wait behind it in the order in which they came,
//! then waits for the transactions that hold the version. They release it when their commit is in the log and before it is
//! durable; so who waited has met that commit, and its session is told.
//!
//! A difference from PostgreSQL: each version's place in the queue is that of the version, not of the row.

use super::Heap;
use super::lockers::{self, Member};
use super::tuple::{Mask, NewXmax, RowLock, TupleRef, check_id};
use crate::access::ctid::Ctid;
use crate::access::engine::{Store, StoreSession};
use crate::access::visibility::{Fates, UpdateState, Visibility};
use crate::report::Result;
use crate::storage::buffer::{ExclusivePage, PinnedBuffer};
use crate::txn::Xid;
use crate::txn::locks::{LockError, LockMode, LockTag, Scope, Wait};
use crate::txn::wait::WaitFailure;

/// Why a version was not written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// It is not there for this command.
    Invisible,
    /// This transaction deleted or replaced it, in this command or a later one.
    SelfModified {
        /// In which.
        command: u32,
    },
    /// A transaction that committed replaced it.
    Updated {
        /// By what; this too may have been replaced.
        next: Ctid,
        /// Who: `xmin` of that version, if it is the row's.
        xmax: Xid,
    },
    /// A transaction that committed deleted it.
    Deleted {
        /// Who.
        xmax: Xid,
    },
    /// Others hold it, and were not waited for to the end.
    NotWaited(LockError),
}

/// What became of an attempt to write a version.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "it may not have been done"]
pub enum Outcome<T> {
    /// Done.
    Done(T),
    /// Not done; nothing was changed.
    Conflict(Conflict),
}

impl<T> Outcome<T> {
    /// What was done.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(done) => Some(done),
            Self::Conflict(_) => None,
        }
    }
}

/// How to write: as which command, and whether to wait for others.
pub struct Writing<'w, 'x> {
    /// The command that writes.
    pub command: u32,
    /// How to wait; `None`: not at all.
    pub wait: Option<&'w mut Wait<'x>>,
}

impl Writing<'_, '_> {
    /// Without waiting.
    pub fn at_once(command: u32) -> Self {
        Self { command, wait: None }
    }
}

/// A version that may be written.
pub(super) struct Claimed<'t, 's> {
    /// Its page, locked.
    pub page: ExclusivePage<'t, 's>,
    /// The other page that was asked for, locked.
    pub other: Option<ExclusivePage<'t, 's>>,
    /// Running transactions that lock it and may go on to: this one and its parts among them.
    pub holders: Vec<Member>,
    /// How strongly this one wants it.
    pub lock: RowLock,
}

/// Which version is wanted, and how strongly, which the version itself may decide.
pub(super) struct Claim<'c, 'p, 't, 's> {
    pub ctid: Ctid,
    pub lock: &'c dyn Fn(TupleRef<'_>) -> Result<RowLock>,
    /// A page to be locked besides.
    pub other: Option<&'p PinnedBuffer<'t, 's>>,
}

/// What one look at a version came to.
enum Look<'t, 's> {
    Claimed(Claimed<'t, 's>),
    Conflict(Conflict),
    Wait(RowLock, Vec<Xid>),
}

/// The queue lock's mode for a row lock's strength.
fn queue_mode(lock: RowLock) -> LockMode {
    match lock {
        RowLock::KeyShare => LockMode::AccessShare,
        RowLock::Share => LockMode::RowShare,
        RowLock::NoKeyUpdate => LockMode::Exclusive,
        RowLock::Update => LockMode::AccessExclusive,
    }
}

impl Heap {
    /// Waits until a version may be written, and locks its page.
    pub(super) fn claim<'t, 's>(
        &self,
        session: &mut StoreSession<'t, 's>,
        claim: &Claim<'_, '_, 't, 's>,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Outcome<Claimed<'t, 's>>> {
        let mut queue = None;
        let result = loop {
            match self.look(session, claim, writing.command) {
                Ok(Look::Claimed(claimed)) => break Ok(Outcome::Done(claimed)),
                Ok(Look::Conflict(conflict)) => break Ok(Outcome::Conflict(conflict)),
                Ok(Look::Wait(lock, xids)) => {
                    match self.wait(session, claim.ctid, (lock, &xids), &mut queue, writing) {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => break Ok(Outcome::Conflict(Conflict::NotWaited(error))),
                        Err(report) => break Err(report),
                    }
                }
                Err(report) => break Err(report),
            }
        };
        if let Some((tag, mode)) = queue {
            session.locks.release(
                session.store.me,
                tag,
                mode,
                Scope::Transaction(session.transaction.depth()),
            );
        }
        result
    }

    fn look<'t, 's>(
        &self,
        session: &mut StoreSession<'t, 's>,
        claim: &Claim<'_, '_, 't, 's>,
        command: u32,
    ) -> Result<Look<'t, 's>> {
        let store = session.store;
        let (page, other) = self.lock_pages(store, claim)?;
        let fates = Fates::new(store);
        let (look, holders) = {
            let visibility = Visibility::new(session, &fates);
            let line = claim.ctid.line;
            let item = if line <= page.page().lines() { page.page().item(line).ok() } else { None };
            let Some(tuple) = item.and_then(|item| TupleRef::new(page.page(), &item)) else {
                return Ok(Look::Conflict(Conflict::Invisible));
            };
            judge(&visibility, tuple, claim, command)?
        };
        session.transaction.meet(fates.take_met());
        Ok(match look {
            Judged::Free(lock) => Look::Claimed(Claimed { page, other, holders, lock }),
            Judged::Conflict(conflict) => Look::Conflict(conflict),
            Judged::Wait(lock, xids) => Look::Wait(lock, xids),
        })
    }

    /// Locks the version's page, and the other one, in the order of their blocks.
    fn lock_pages<'t, 's>(
        &self,
        store: &'t Store<'s>,
        claim: &Claim<'_, '_, 't, 's>,
    ) -> Result<(ExclusivePage<'t, 's>, Option<ExclusivePage<'t, 's>>)> {
        let pin = self.pin(store, claim.ctid.block)?;
        Ok(match claim.other {
            Some(other) if other.block() < pin.block() => {
                let other = other.lock_exclusive();
                (pin.lock_exclusive(), Some(other))
            }
            Some(other) => (pin.lock_exclusive(), Some(other.lock_exclusive())),
            None => (pin.lock_exclusive(), None),
        })
    }

    /// Waits for the queue, unless it has been taken already, and for those who hold the version.
    fn wait<'s>(
        &self,
        session: &mut StoreSession<'_, 's>,
        ctid: Ctid,
        (lock, xids): (RowLock, &[Xid]),
        queue: &mut Option<(LockTag, LockMode)>,
        writing: &mut Writing<'_, '_>,
    ) -> Result<std::result::Result<(), LockError>> {
        let (store, depth) = (session.store, session.transaction.depth());
        let Some(wait) = writing.wait.as_deref_mut() else { return Ok(Err(LockError::WouldBlock)) };
        if queue.is_none() {
            let (database, relation) = self.options.relation;
            let (block, offset) = (ctid.block.get(), ctid.line);
            let tag = LockTag::Tuple { database, relation, block, offset };
            let (mode, scope) = (queue_mode(lock), Scope::Transaction(depth));
            if let Err(error) = session.locks.acquire(store.me, tag, mode, scope, Some(wait)) {
                return Ok(Err(error));
            }
            *queue = Some((tag, mode));
        }
        for xid in xids {
            match store.transactions.wait_for_end(&session.locks, *xid, wait) {
                Ok(crate::txn::Fate::Committed(lsn)) => session.transaction.meet(lsn),
                Ok(_) => {}
                Err(WaitFailure::Lock(error)) => return Ok(Err(error)),
                Err(WaitFailure::Map(report)) => return Err(report),
            }
        }
        Ok(Ok(()))
    }
}

enum Judged {
    Free(RowLock),
    Conflict(Conflict),
    Wait(RowLock, Vec<Xid>),
}

fn judge(
    visibility: &Visibility<'_, '_, '_>,
    tuple: TupleRef<'_>,
    claim: &Claim<'_, '_, '_, '_>,
    command: u32,
) -> Result<(Judged, Vec<Member>)> {
    let none = |judged| Ok((judged, Vec::new()));
    match visibility.for_update(command, tuple)? {
        UpdateState::Free => none(Judged::Free((claim.lock)(tuple)?)),
        UpdateState::Invisible => none(Judged::Conflict(Conflict::Invisible)),
        UpdateState::SelfModified { command } => none(Judged::Conflict(Conflict::SelfModified { command })),
        UpdateState::Gone { xmax } => none(Judged::Conflict(match tuple.ctid() {
            Some(next) if next != claim.ctid => Conflict::Updated { next, xmax },
            _ => Conflict::Deleted { xmax },
        })),
        UpdateState::Busy(members) => {
            let lock = (claim.lock)(tuple)?;
            let is_in_the_way =
                |member: &&Member| !visibility.is_own_member(**member) && member.lock.excludes(lock);
            let xids: Vec<_> = members.iter().filter(is_in_the_way).map(|member| member.xid).collect();
            if xids.is_empty() { Ok((Judged::Free(lock), members)) } else { none(Judged::Wait(lock, xids)) }
        }
    }
}

/// What `xmax` and its mask become when a version is written by `xid`, which wants it as strongly as `lock` says; those who
/// hold it go on doing so.
pub(super) fn new_xmax(
    store: &Store<'_>,
    xid: Xid,
    (holders, lock): (&[Member], RowLock),
    updates: bool,
    mask: Mask,
) -> Result<NewXmax> {
    let own = holders.iter().find(|member| member.xid == xid);
    let lock = own.map_or(lock, |own| own.lock.max(lock));
    let mut members: Vec<_> = holders.iter().filter(|member| member.xid != xid).copied().collect();
    let mut mask = mask.without_xmax().with_lock(lock);
    if !updates && !holders.iter().any(|member| member.updates) {
        mask = mask.with(Mask::LOCK_ONLY);
    }
    let mut xmax = check_id(xid.number())?;
    if !members.is_empty() {
        members.push(Member { xid, lock, updates });
        let strongest = members.iter().map(|member| member.lock).max().unwrap_or(lock);
        xmax = lockers::create(store, xid, &members)?;
        mask = mask.with(Mask::MULTI).with_lock(strongest);
    }
    Ok(NewXmax { xmax, mask, next: None, cmax: 0 })
}
