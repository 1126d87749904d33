//! A counter behind a descriptor.
//!
//! The postmaster, which sleeps in epoll and has no latch, is woken through one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

/// An eventfd, non-blocking and closed on exec. Readable while signalled.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Makes one that is not signalled.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        Ok(Self(eventfd(0, flags)?))
    }

    /// Makes it readable until the next [`EventFd::drain`]. Never blocks, and never fails on a descriptor
    /// that is open: a counter that is full is readable already.
    pub fn signal(&self) {
        match write(&self.0, &1_u64.to_ne_bytes()) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(errno) => unexpected("writing", errno),
        }
    }

    /// Takes all signals at once. Returns whether there was any.
    pub fn drain(&self) -> bool {
        let mut count = [0; 8];
        match read(&self.0, &mut count) {
            Ok(_) => true,
            Err(Errno::AGAIN) => false,
            Err(errno) => unexpected("reading", errno),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cold]
fn unexpected(what: &str, errno: Errno) -> ! {
    panic!("{what} an eventfd failed: {errno}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_add_up_to_one() {
        let event = EventFd::new().unwrap();
        assert!(!event.drain());
        event.signal();
        event.signal();
        assert!(event.drain());
        assert!(!event.drain());
    }

    #[test]
    fn a_full_counter_stays_signalled() {
        let event = EventFd::new().unwrap();
        write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        event.signal();
        assert!(event.drain());
    }
}
