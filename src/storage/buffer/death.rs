//! What a dead process leaves in the pool: pins, and I/O that it had begun. Content and table locks are the runtime's to free.
//!
//! A buffer's word counts pins and does not name them, so the count is made anew: nobody new may pin the buffer
//! (`BLOCKED`), no living process is between its note and the word's change, the ledgers are counted, and the number is put
//! in if the word is still as it was read. I/O needs a pin, so every buffer that the dead one did I/O of is in its ledger.
//!
//! A reading is simply not done: what may still be on its way goes to private memory. A writing is blocking, and over with
//! its process; the page is dirty still. All of it can be repeated.

use std::time::Duration;

use shmem_layout::{
    BufferDescriptor, EntryState, LedgerEntry, Offset, Phase, ProcessId, ResourceKind, SlotIndex,
};

use super::pool::BufferPool;
use super::state;
use crate::ipc::{ConditionVariable, Proc};
use crate::sync::Ordering::{AcqRel, Acquire, Release};
use crate::sync::{Monotonic, yield_now};

/// A living process did not get out of the middle of a pin in time; a crash restart has to help.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("slot {} is still in the middle of a pin", .0.index())]
pub struct Stuck(pub SlotIndex);

/// How long a process may be between two instructions.
const PATIENCE: Duration = Duration::from_secs(5);

impl BufferPool<'_> {
    /// Gives back what the dead process had of the pool. `is_dead` tells which slots' processes are known to be dead, this
    /// one among them. After the runtime's own cleaning up, which frees locks and leaves pins in the ledger.
    ///
    /// # Errors
    /// [`Stuck`] if pins cannot be counted because a living process does not move.
    pub fn clean_up(
        &self,
        me: &Proc<'_>,
        dead: ProcessId,
        is_dead: &dyn Fn(SlotIndex) -> bool,
    ) -> Result<(), Stuck> {
        for word in &me.peers()[dead.slot().index()].ledger {
            let entry = LedgerEntry::from_word(word.load(Acquire));
            let Some(entry) = entry.filter(|entry| entry.kind == ResourceKind::Pin) else { continue };
            if let Some(descriptor) = self.descriptor_at(entry.offset) {
                self.end_dead_io(me, descriptor, dead.slot());
                self.recount(me, descriptor, entry.offset, is_dead)?;
                word.store(LedgerEntry::FREE, Release);
            }
        }
        Ok(())
    }

    /// The descriptor that a ledger names; `None` if what it names is none.
    fn descriptor_at(&self, offset: Offset) -> Option<&BufferDescriptor> {
        let first = self.mapping.descriptors.as_ptr().addr() - self.base;
        let within = (offset.bytes() as usize).checked_sub(first)?;
        let is_whole = within.is_multiple_of(size_of::<BufferDescriptor>());
        self.mapping.descriptors.get(within / size_of::<BufferDescriptor>()).filter(|_| is_whole)
    }

    fn end_dead_io(&self, me: &Proc<'_>, descriptor: &BufferDescriptor, dead: SlotIndex) {
        let its_own = u64::from(dead.tag()) << state::IO_SHIFT;
        let io = state::IO_OWNER | state::IO_WRITES | state::IO_WAITED;
        let change = |state: u64| (state & state::IO_OWNER == its_own).then_some(state & !io);
        if state::update(descriptor, change).is_ok() {
            ConditionVariable::new(&descriptor.moved).broadcast(me);
        }
    }

    fn recount(
        &self,
        me: &Proc<'_>,
        descriptor: &BufferDescriptor,
        offset: Offset,
        is_dead: &dyn Fn(SlotIndex) -> bool,
    ) -> Result<(), Stuck> {
        descriptor.state.fetch_or(state::BLOCKED, AcqRel);
        let deadline = Monotonic::now().saturating_add(PATIENCE);
        loop {
            let before = descriptor.state.load(Acquire);
            match count(me, offset, is_dead) {
                Ok(held) => {
                    let next = before & !(state::PINS | state::BLOCKED | state::PIN_WAITED) | held;
                    if descriptor.state.compare_exchange(before, next, AcqRel, Acquire).is_ok() {
                        // One may be left by now; who waits for that looks, and says so again if it is not.
                        ConditionVariable::new(&descriptor.moved).broadcast(me);
                        return Ok(());
                    }
                }
                Err(slot) if Monotonic::now() >= deadline => {
                    descriptor.state.fetch_and(!state::BLOCKED, AcqRel);
                    return Err(Stuck(slot));
                }
                Err(_) => yield_now(),
            }
        }
    }
}

/// Pins of living processes that hold the buffer at `offset`; a slot that is in the middle of a change.
fn count(me: &Proc<'_>, offset: Offset, is_dead: &dyn Fn(SlotIndex) -> bool) -> Result<u64, SlotIndex> {
    let mut held = 0;
    for (i, slot) in me.peers().iter().enumerate() {
        let index = SlotIndex::new(i).expect("a segment has no more slots than indexes");
        if Phase::from_word(slot.phase.load(Acquire)) == Phase::Free || is_dead(index) {
            continue;
        }
        for word in &slot.ledger {
            let entry = LedgerEntry::from_word(word.load(Acquire));
            match entry.filter(|entry| entry.kind == ResourceKind::Pin && entry.offset == offset) {
                None => {}
                Some(LedgerEntry { state: EntryState::Held, .. }) => held += 1,
                Some(_) => return Err(index),
            }
        }
    }
    Ok(held)
}
