//! What to do about an LWLock that a dead process held, took or waited for.
//!
//! An exclusive holder and an heir are named in the lock's word. A sharer is only counted there, and between the change
//! of the count and the note in its ledger a death leaves open whether it was counted. So the count is made anew: block
//! new holders, wait until no living process is between note and change, count the ledgers, and put the number in if the
//! word is still as it was read (while blocked it can only fall, so it can't have come back to the same value).
//!
//! Every function here can be repeated: what is done is not done twice.

use std::time::Duration;

use shmem_layout::{
    EntryState, LedgerEntry, LwLockState, Offset, Phase, ProcessSlot, ResourceKind, SlotIndex,
};

use super::{BLOCKED, HEIR, LwLock, OVERTAKES, OWNER, OWNER_SHIFT, SHARERS, heir_of, owner_of};
use crate::sync::{self, Monotonic, Ordering};

/// A living process did not get out of the middle of an operation in time; a crash restart has to help.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("slot {} is still in the middle of an operation on a lock", .0.index())]
pub struct Stuck(pub SlotIndex);

/// How long a process may be in the middle of an operation, which is a few instructions unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ledgers as seen after a death.
#[derive(Clone, Copy)]
pub(in crate::ipc) struct Survivors<'a> {
    /// All slots.
    pub slots: &'a [ProcessSlot],
    /// Whether this slot's process is known to be dead: its entries count for nothing.
    pub is_dead: &'a dyn Fn(SlotIndex) -> bool,
}

impl Survivors<'_> {
    /// Entries of the living that name the resource at `offset`, by state: (held, in the middle of a change).
    fn count(&self, kind: ResourceKind, offset: Offset) -> (u32, Option<SlotIndex>) {
        let (mut held, mut in_motion) = (0, None);
        for (i, slot) in self.slots.iter().enumerate() {
            let index = SlotIndex::new(i).expect("a segment has no more slots than indexes");
            let is_free = Phase::from_word(slot.phase.load(Ordering::Acquire)) == Phase::Free;
            if is_free || (self.is_dead)(index) {
                continue;
            }
            for word in &slot.ledger {
                let Some(entry) = LedgerEntry::from_word(word.load(Ordering::Acquire)) else { continue };
                if entry.kind != kind || entry.offset != offset {
                    continue;
                }
                match entry.state {
                    EntryState::Held => held += 1,
                    EntryState::Waiting => {}
                    EntryState::Taking | EntryState::Releasing => in_motion = Some(index),
                }
            }
        }
        (held, in_motion)
    }
}

/// Waits until no living process is in the middle of an operation on the resource, and returns how many hold it.
/// `read_word` is called before each count; its last result comes back too, for a compare-and-swap.
pub(in crate::ipc) fn quiet_for<W>(
    survivors: Survivors<'_>,
    kind: ResourceKind,
    offset: Offset,
    read_word: impl Fn() -> W,
) -> Result<(u32, W), Stuck> {
    let deadline = Monotonic::now().saturating_add(PATIENCE);
    loop {
        let word = read_word();
        match survivors.count(kind, offset) {
            (held, None) => return Ok((held, word)),
            (_, Some(slot)) if Monotonic::now() >= deadline => return Err(Stuck(slot)),
            (_, Some(_)) => sync::yield_now(),
        }
    }
}

impl LwLock<'_> {
    /// Frees what the dead process of `slot` had of this lock and wakes everybody who waits for it. `offset` is the
    /// lock's own. `true` if it held it.
    ///
    /// # Errors
    /// [`Stuck`] if the sharers cannot be counted because a living process does not move.
    pub(in crate::ipc) fn undo_dead(
        self,
        slot: SlotIndex,
        shared: bool,
        offset: Offset,
        survivors: Survivors<'_>,
    ) -> Result<bool, Stuck> {
        let mut held = self.forget(slot);
        if shared {
            held |= self.recount(offset, survivors)?;
        }
        self.wake(u32::MAX, u32::MAX);
        Ok(held)
    }

    /// Takes the dead process's tag out of the word, as owner and as heir. `true` if it was the owner.
    fn forget(self, slot: SlotIndex) -> bool {
        let forgotten = |state: u64| {
            let mut next = state;
            if owner_of(state) == slot.tag() {
                next &= !OWNER;
            }
            if heir_of(state) == slot.tag() {
                next &= !(HEIR | OVERTAKES);
            }
            (next != state).then_some(next)
        };
        match self.lock.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, forgotten) {
            Ok(before) => (before & OWNER) >> OWNER_SHIFT == u64::from(slot.tag()),
            Err(_) => false,
        }
    }

    /// Counts the sharers anew. `true` if the count was wrong.
    fn recount(self, offset: Offset, survivors: Survivors<'_>) -> Result<bool, Stuck> {
        let state: &LwLockState = self.lock;
        state.state.fetch_or(BLOCKED, Ordering::AcqRel);
        let result = loop {
            let read = || state.state.load(Ordering::Acquire);
            match quiet_for(survivors, ResourceKind::LwLockShared, offset, read) {
                Err(stuck) => break Err(stuck),
                Ok((held, word)) => {
                    let next = word & !(SHARERS | BLOCKED) | u64::from(held);
                    if state.state.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                        return Ok(word & SHARERS != u64::from(held));
                    }
                }
            }
        };
        state.state.fetch_and(!BLOCKED, Ordering::AcqRel);
        result
    }
}
