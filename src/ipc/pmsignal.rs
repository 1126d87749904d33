//! PMSIGNAL flags: how a child asks the postmaster for something.
//!
//! A bit in one word says what, an eventfd says look. The postmaster takes all bits with one swap and no lock, so nothing
//! that a crashed child left behind can hold it up. What the numbers mean belongs to who runs the processes.

use crate::os::eventfd::EventFd;
use crate::sync::{AtomicU32, Ordering};

/// One flag, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmSignal(u8);

impl PmSignal {
    /// The flag of a number below 32.
    pub const fn new(number: u8) -> Self {
        assert!(number < 32, "there are 32 flags");
        Self(number)
    }

    const fn bit(self) -> u32 {
        1 << self.0
    }
}

/// Flags taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmSignalSet(u32);

impl PmSignalSet {
    /// Whether it has this one.
    pub const fn contains(self, signal: PmSignal) -> bool {
        self.0 & signal.bit() != 0
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The flags.
#[derive(Clone, Copy)]
pub struct PmSignals<'s> {
    word: &'s AtomicU32,
}

impl<'s> PmSignals<'s> {
    pub(super) fn new(word: &'s AtomicU32) -> Self {
        Self { word }
    }

    /// Leaves a flag and makes the postmaster look. Flags that it has not taken yet cost no second wake-up.
    pub fn send(self, signal: PmSignal, postmaster: &EventFd) {
        let before = self.word.fetch_or(signal.bit(), Ordering::AcqRel);
        if before & signal.bit() == 0 {
            postmaster.signal();
        }
    }

    /// Takes all flags. The postmaster drains its eventfd before this, never after.
    pub fn take(self) -> PmSignalSet {
        PmSignalSet(self.word.swap(0, Ordering::AcqRel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_add_up_and_are_taken_once() {
        let (word, eventfd) = (AtomicU32::new(0), EventFd::new().unwrap());
        let signals = PmSignals::new(&word);
        signals.send(PmSignal::new(0), &eventfd);
        signals.send(PmSignal::new(31), &eventfd);
        signals.send(PmSignal::new(31), &eventfd);
        assert!(eventfd.drain());
        let taken = signals.take();
        assert!(taken.contains(PmSignal::new(0)) && taken.contains(PmSignal::new(31)));
        assert!(!taken.contains(PmSignal::new(1)));
        assert!(signals.take().is_empty());
        assert!(!eventfd.drain());
    }
}
