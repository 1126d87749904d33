//! The buffers that this process has pinned, and how often: others see one pin of it, whatever the number.

use std::cell::{Cell, RefCell};

use shmem_layout::process_slot::LEDGER_ENTRIES;

use super::mapping::BufferId;
use super::state::Pinned;

/// Place of a pinned buffer in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::storage) struct PinSlot(u8);

impl PinSlot {
    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// See the module. The ledger has no room for more of them than this has.
pub(in crate::storage) struct Pins<'s> {
    /// One bit per place in use.
    used: Cell<u128>,
    buffers: [Cell<u32>; LEDGER_ENTRIES],
    counts: [Cell<u32>; LEDGER_ENTRIES],
    pinned: RefCell<Vec<Option<Pinned<'s>>>>,
}

impl<'s> Pins<'s> {
    pub fn new() -> Self {
        Self {
            used: Cell::new(0),
            buffers: [const { Cell::new(0) }; LEDGER_ENTRIES],
            counts: [const { Cell::new(0) }; LEDGER_ENTRIES],
            pinned: RefCell::new((0..LEDGER_ENTRIES).map(|_| None).collect()),
        }
    }

    /// Where a buffer stands.
    #[inline]
    pub fn find(&self, buffer: BufferId) -> Option<PinSlot> {
        let mut left = self.used.get();
        while left != 0 {
            let at = left.trailing_zeros();
            if self.buffers[at as usize].get() == buffer.0 {
                return Some(PinSlot(at as u8));
            }
            left &= left - 1;
        }
        None
    }

    /// Puts in a buffer that was just pinned and is not there.
    #[inline]
    pub fn add(&self, buffer: BufferId, pinned: Pinned<'s>) -> PinSlot {
        let at = self.used.get().trailing_ones();
        debug_assert!((at as usize) < LEDGER_ENTRIES, "the ledger is full first");
        self.used.set(self.used.get() | 1 << at);
        self.buffers[at as usize].set(buffer.0);
        self.counts[at as usize].set(1);
        self.pinned.borrow_mut()[at as usize] = Some(pinned);
        PinSlot(at as u8)
    }

    /// Pins once more.
    #[inline]
    pub fn again(&self, slot: PinSlot) {
        let count = &self.counts[slot.index()];
        count.set(count.get() + 1);
    }

    /// How often a buffer is pinned.
    pub fn count(&self, slot: PinSlot) -> u32 {
        self.counts[slot.index()].get()
    }

    /// Gives one pin back. The last one is to be given back to everybody.
    #[inline]
    pub fn release(&self, slot: PinSlot) -> Option<Pinned<'s>> {
        let count = &self.counts[slot.index()];
        count.set(count.get() - 1);
        if count.get() > 0 {
            return None;
        }
        self.used.set(self.used.get() & !(1 << slot.0));
        self.pinned.borrow_mut()[slot.index()].take()
    }

    /// Number of buffers pinned.
    pub fn len(&self) -> u32 {
        self.used.get().count_ones()
    }
}
