//! How many spare backends have no client, as a number that they change themselves.
//!
//! Only a hint: the postmaster counts by looking at each spare's slot, and writes the count here whenever it has counted.
//! Between two counts spares change it as they take clients and come back, so that they know when the postmaster must be
//! woken, and do not wake it for each client. Who dies does not change it; the postmaster counts again then.

use shmem_layout::shared_layout;

use crate::sync::{AtomicU32, Ordering};

/// See the module.
#[repr(C, align(64))]
pub struct SpareCount {
    /// Less than zero for a moment, if more take clients than were counted.
    idle: AtomicU32,
    /// So few or fewer: the postmaster is to make more.
    low: AtomicU32,
    /// More than so many: the postmaster is to send some away after a while.
    high: AtomicU32,
    /// So many: whoever comes back leaves instead.
    most: AtomicU32,
    reserved: [u8; 48],
}

shared_layout!(SpareCount, size 64, align 64, {
    0 => idle: AtomicU32,
    4 => low: AtomicU32,
    8 => high: AtomicU32,
    12 => most: AtomicU32,
    16 => reserved: [u8; 48],
});

impl SpareCount {
    /// A spare has a client now, and its slot says so. Whether the postmaster must be woken.
    pub fn take(&self) -> bool {
        let before = self.idle.fetch_sub(1, Ordering::SeqCst) as i32;
        before.wrapping_sub(1) <= self.low.load(Ordering::Relaxed) as i32
    }

    /// A backend wants to be a spare again; `None`: there are enough. Else whether the postmaster must be woken; the slot
    /// must say at once that it is one.
    pub fn come_back(&self) -> Option<bool> {
        let most = self.most.load(Ordering::Relaxed) as i32;
        let one_more = |idle: u32| ((idle as i32) < most).then_some(idle.wrapping_add(1));
        let before = self.idle.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        Some(before as i32 >= self.high.load(Ordering::Relaxed) as i32)
    }

    /// In the postmaster: sets the limits.
    pub fn set_limits(&self, low: usize, high: usize, most: usize) {
        self.low.store(low as u32, Ordering::Relaxed);
        self.high.store(high as u32, Ordering::Relaxed);
        self.most.store(most as u32, Ordering::Relaxed);
    }

    /// In the postmaster: counts with `count`, and writes the number down.
    ///
    /// One that takes a client says so in its slot before it subtracts. So if the subtraction came before the number was
    /// written, and is lost, the next count sees the slot: it is counted until two counts agree.
    pub fn recount(&self, count: impl Fn() -> usize) -> usize {
        let mut counted = count();
        loop {
            self.idle.store(counted as u32, Ordering::SeqCst);
            let again = count();
            if again == counted {
                return counted;
            }
            counted = again;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_postmaster_is_woken_at_the_limits_only() {
        let count = SpareCount {
            idle: AtomicU32::new(0),
            low: AtomicU32::new(0),
            high: AtomicU32::new(0),
            most: AtomicU32::new(0),
            reserved: [0; 48],
        };
        count.set_limits(2, 4, 5);
        assert_eq!(count.recount(|| 4), 4);
        assert!(!count.take());
        assert!(count.take(), "two are left");
        assert!(count.take());
        assert_eq!(count.come_back(), Some(false));
        assert_eq!(count.come_back(), Some(false));
        assert_eq!(count.come_back(), Some(false));
        assert_eq!(count.come_back(), Some(true), "a fifth");
        assert_eq!(count.come_back(), None);
    }

    /// A spare took a client between the postmaster's look at its slot and the postmaster's note: the subtraction was
    /// overwritten, and with it the reason to wake the postmaster for the last of the spares.
    #[test]
    fn a_count_that_was_overtaken_is_repeated() {
        let count = SpareCount {
            idle: AtomicU32::new(3),
            low: AtomicU32::new(0),
            high: AtomicU32::new(9),
            most: AtomicU32::new(9),
            reserved: [0; 48],
        };
        let slots = Cell::new(3);
        let look = || {
            let seen = slots.get();
            if seen == 3 {
                slots.set(2);
                count.take();
            }
            seen
        };
        assert_eq!(count.recount(look), 2);
        assert!(!count.take() && count.take());
    }
}
