//! An eventfd per process slot, for processes that sleep in epoll because there is no io_uring.
//!
//! Made by the postmaster before it forks anybody, so that every process can write everybody's.

use std::io;

use shmem_layout::SlotIndex;

use crate::os::eventfd::EventFd;

/// The eventfds, by slot.
pub struct LatchFds(Vec<EventFd>);

impl LatchFds {
    /// One for each of `slots` slots. Fails with `EMFILE` beyond the limit on open files.
    pub fn new(slots: usize) -> io::Result<Self> {
        (0..slots).map(|_| EventFd::new()).collect::<io::Result<_>>().map(Self)
    }

    /// The eventfd of a slot.
    pub fn of(&self, slot: SlotIndex) -> &EventFd {
        &self.0[slot.index()]
    }
}
