//! Who has which process slot: the postmaster's own list, beside the slots in shared memory.
//!
//! The postmaster gives slots out and takes them back; it believes nothing in a slot but its own two words (generation and
//! phase), and those only where it wrote them last.

use shmem_layout::{Generation, LedgerEntry, Phase, ProcessId, ProcessSlot, SlotIndex};

use crate::sync::Ordering;

/// The free slots.
pub struct SlotTable<'s> {
    slots: &'s [ProcessSlot],
    free: Vec<SlotIndex>,
    generations: Vec<u32>,
}

impl<'s> SlotTable<'s> {
    /// Over slots that nobody has yet.
    pub fn new(slots: &'s [ProcessSlot]) -> Self {
        let free = (0..slots.len()).rev().filter_map(SlotIndex::new).collect();
        Self { slots, free, generations: vec![0; slots.len()] }
    }

    /// Number of free slots.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Gives out a slot to a process of `kind`, which is `Starting` from here on; `None`: none is free. Before the fork,
    /// so that the child finds it ready.
    pub fn claim(&mut self, kind: u32) -> Option<ProcessId> {
        let index = self.free.pop()?;
        let generation = &mut self.generations[index.index()];
        *generation = generation.wrapping_add(1).max(1);
        let slot = &self.slots[index.index()];
        clear(slot);
        slot.generation.store(*generation, Ordering::Relaxed);
        slot.kind.store(kind, Ordering::Relaxed);
        slot.phase.store(Phase::Starting as u32, Ordering::Release);
        Some(ProcessId::new(index, Generation(*generation)))
    }

    /// Takes a slot back: its process is gone and cleaned up after. Nothing happens if it was taken back already.
    pub fn release(&mut self, process: ProcessId) {
        let index = process.slot().index();
        let slot = &self.slots[index];
        let is_current = self.generations[index] == process.generation().0;
        if !is_current || slot.phase.load(Ordering::Acquire) == Phase::Free as u32 {
            return;
        }
        clear(slot);
        slot.phase.store(Phase::Free as u32, Ordering::Release);
        self.free.push(process.slot());
    }
}

/// Zeroes everything but generation and phase.
fn clear(slot: &ProcessSlot) {
    let words = [
        &slot.latch.word,
        &slot.interrupts,
        &slot.pid,
        &slot.kind,
        &slot.critical_sections,
        &slot.wait_event,
        &slot.command_group,
    ];
    words.iter().for_each(|w| w.store(0, Ordering::Relaxed));
    let words = [&slot.wait_started_ns, &slot.awaited, &slot.waking, &slot.waking_in_handler];
    words.iter().for_each(|w| w.store(0, Ordering::Relaxed));
    slot.ledger.iter().for_each(|w| w.store(LedgerEntry::FREE, Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_given_out_again_is_another_process() {
        let slots: Vec<_> = (0..2).map(|_| ProcessSlot::default()).collect();
        let mut table = SlotTable::new(&slots);
        let (first, second) = (table.claim(1).unwrap(), table.claim(1).unwrap());
        assert_eq!((first.slot().index(), second.slot().index(), table.claim(1)), (0, 1, None));
        slots[0].ledger[3].store(77, Ordering::Relaxed);
        table.release(first);
        table.release(first);
        assert_eq!(table.free(), 1, "released twice, free once");
        let again = table.claim(2).unwrap();
        assert_eq!(again.slot(), first.slot());
        assert_ne!(again, first);
        assert_eq!(slots[0].ledger[3].load(Ordering::Relaxed), 0);
        table.release(first);
        assert_eq!(table.free(), 0, "a late release must not free its successor's slot");
    }
}
