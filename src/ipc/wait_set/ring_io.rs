//! A wait set's ring, lent to the process's other I/O.
//!
//! # Safety
//!
//! What an entry points at is the caller's promise, as for [`Ring::push`].
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;

use io_uring::squeue::Entry;

use super::line::OWN;
use crate::os::uring::{Completion, QueueFull, Ring};

/// A wait set's ring, for the process's other I/O. Every wait submits what was pushed and takes completions; a
/// [`WaitSet::wait`](super::WaitSet::wait) also ends when there are some.
pub struct RingIo<'a> {
    ring: &'a mut Ring,
    done: &'a mut VecDeque<Completion>,
    in_flight: &'a mut usize,
}

impl<'a> RingIo<'a> {
    pub(super) fn new(
        ring: &'a mut Ring,
        done: &'a mut VecDeque<Completion>,
        in_flight: &'a mut usize,
    ) -> Self {
        Self { ring, done, in_flight }
    }

    /// Queues an operation whose completion carries `number`, below 2^63. One that posts no completion on success is not
    /// accounted for: do not use `SKIP_SUCCESS`.
    ///
    /// # Safety
    ///
    /// As for [`Ring::push`], up to the completion taken from [`Self::completed`]. Dropping the wait set cancels the
    /// operation and does not wait for it.
    pub unsafe fn push(&mut self, entry: Entry, number: u64) -> Result<(), QueueFull> {
        assert_eq!(number & OWN, 0, "the number of an operation of the wait set");
        // SAFETY: passed on to the caller.
        unsafe { self.ring.push(entry.user_data(number)) }?;
        *self.in_flight += 1;
        Ok(())
    }

    /// Hands what was pushed to the kernel without waiting.
    pub fn submit(&mut self) -> io::Result<usize> {
        self.ring.submit()
    }

    /// The oldest completion not taken yet, of those that waits have found.
    pub fn completed(&mut self) -> Option<Completion> {
        self.done.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use io_uring::opcode;
    use shmem_layout::LatchWord;

    use super::super::flights::Flights;
    use crate::ipc::latch::Latch;
    use crate::os::uring::probe;

    #[test]
    fn other_io_shares_the_ring() {
        if !probe().is_full() {
            return;
        }
        let word = LatchWord::default();
        let mut flights = Flights::new(Latch::new(&word), None).unwrap();
        for number in [3, 4] {
            // SAFETY: a no-op points at nothing.
            unsafe { flights.io().push(opcode::Nop::new().build(), number) }.unwrap();
        }
        assert!(flights.io().completed().is_none());
        flights.look().unwrap();
        let mut io = flights.io();
        let mut next = || io.completed().map(|done| done.user_data);
        assert_eq!([next(), next(), next()], [Some(3), Some(4), None]);
    }
}
