//! An eventfd: a counter in the kernel that a read takes as a whole, waiting while it is zero.
use std::os::fd::OwnedFd;

use rustix::event::EventfdFlags;
use rustix::io::{read, write};

use super::ping_pong::Doorbell;

/// A blocking eventfd; a fork shares it.
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Adds to the counter, which wakes the reader.
    pub fn add(&self, count: u64) {
        write(&self.0, &count.to_ne_bytes()).expect("writing to an eventfd");
    }

    /// Waits until the counter is not zero, and takes it.
    pub fn take(&self) -> u64 {
        let mut count = [0; 8];
        read(&self.0, &mut count).expect("reading an eventfd");
        u64::from_ne_bytes(count)
    }
}

impl Doorbell for EventFd {
    fn new() -> Self {
        Self(rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("making an eventfd"))
    }

    fn own(&mut self) {}

    fn ring(&self) {
        self.add(1);
    }

    fn wait(&self) {
        self.take();
    }
}
