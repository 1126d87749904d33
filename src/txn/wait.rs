//! Waiting for a transaction's end.
//!
//! Who waits sleeps on the word in the slot of the transaction's owner, and notes in its own part of the lock table whose
//! end it waits for, so that deadlocks over transactions are found with those over locks. The owner wakes that word once,
//! when the commit LSN or the rollback is in the map; nobody else sleeps there.

use super::locks::{LockError, LockSession, Wait};
use super::table::{Fate, StateMap, Transactions};
use super::xid::Xid;
use crate::ipc::WaitEvent;
use crate::sync::Ordering::{Acquire, Release};

/// Why a wait for a transaction ended without that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WaitFailure<E> {
    /// As waits for locks end.
    Lock(LockError),
    /// The transaction map could not be read.
    Map(E),
}

impl<'s, M: StateMap> Transactions<'_, 's, M> {
    /// Waits until a transaction, or the part of one, has ended, and tells how.
    pub fn wait_for_end(
        &self,
        locks: &LockSession<'s>,
        xid: Xid,
        wait: &mut Wait<'_>,
    ) -> Result<Fate, WaitFailure<M::Error>> {
        loop {
            let owner = match self.settled_fate(xid).map_err(WaitFailure::Map)? {
                Fate::Running(owner) | Fate::Committing(owner) => owner,
                fate => return Ok(fate),
            };
            let own = locks.table().owner(locks.owner());
            own.wait_xid_owner.store(0, Release);
            own.wait_sequence.fetch_add(1, Release);
            own.wait_xid.store(xid.number(), Release);
            own.wait_xid_owner.store(owner.number(), Release);
            // Prepared meanwhile, it has another owner, whose word is another.
            let is_over = || !matches!(self.fate(xid), Ok(Fate::Running(by)) if by == owner);
            let word = self.words.ended(owner);
            let waited = locks.wait_on(self.me, word, WaitEvent::LOCK_TRANSACTION, wait, is_over);
            own.wait_xid_owner.store(0, Release);
            own.wait_xid.store(0, Release);
            waited.map_err(WaitFailure::Lock)?;
        }
    }

    /// Whether a transaction has not ended; one whose state cannot be read counts as ended, so that no deadlock is seen
    /// where there may be none.
    pub fn is_running(&self, xid: u64) -> bool {
        Xid::new(xid).is_some_and(|xid| self.fate(xid).is_ok_and(Fate::is_open))
    }

    /// Transactions that have ids, with their owners: what `pg_locks` shows as `transactionid`.
    pub fn running(&self) -> impl Iterator<Item = (super::locks::OwnerIndex, Xid)> + use<'s, M> {
        let words = self.words;
        let owners = (0..words.slots.len() as u32).map(super::locks::OwnerIndex::new);
        owners.filter_map(move |owner| Some((owner, words.xid_of(owner)?)))
    }

    /// The transaction that an owner waits for.
    pub fn awaited_by(&self, locks: &LockSession<'s>, owner: super::locks::OwnerIndex) -> Option<Xid> {
        Xid::new(locks.table().owner(owner).wait_xid.load(Acquire))
    }
}
