//! Free entries and holders: a stack of numbers that anybody may push to and pop from without a lock, and a count of those
//! that were never used.
//!
//! The stack's head carries a number that moves with every change, so that a compare-and-swap fails if the head was
//! popped and pushed back meanwhile. An item is taken and given back inside the critical section that links or unlinks
//! it, so none is lost by a death that is cleaned up after.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A pool of items that link to each other while they are free.
pub(super) struct Pool<'s, T> {
    pub head: &'s AtomicU64,
    pub fresh: &'s AtomicU32,
    pub items: &'s [T],
    pub next: fn(&T) -> &AtomicU32,
}

impl<T> Pool<'_, T> {
    /// Takes an item; its number, `None` if there is none left.
    pub fn take(&self) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        while head as u32 != 0 {
            let number = head as u32;
            let next = (self.next)(&self.items[number as usize - 1]).load(Ordering::Relaxed);
            match self.swap_head(head, next) {
                Ok(()) => return Some(number),
                Err(seen) => head = seen,
            }
        }
        let limit = self.items.len() as u32;
        let more = |fresh: u32| (fresh < limit).then_some(fresh + 1);
        self.fresh.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok().map(|before| before + 1)
    }

    /// Gives an item back.
    pub fn give(&self, number: u32) {
        let link = (self.next)(&self.items[number as usize - 1]);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.store(head as u32, Ordering::Relaxed);
            match self.swap_head(head, number) {
                Ok(()) => return,
                Err(seen) => head = seen,
            }
        }
    }

    fn swap_head(&self, head: u64, number: u32) -> Result<(), u64> {
        let moved = (head >> 32).wrapping_add(1) << 32 | u64::from(number);
        let swapped = self.head.compare_exchange_weak(head, moved, Ordering::AcqRel, Ordering::Acquire);
        swapped.map(|_| ())
    }
}
