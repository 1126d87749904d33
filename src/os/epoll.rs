//! Readiness of descriptors through epoll.
//!
//! The postmaster waits here for connections, signals and deaths, and every process does where io_uring
//! is not to be had. Level-triggered always: what is not handled is reported again.
//!
//! # Safety
//!
//! One call goes to the kernel by number, as rustix has none with a signal mask. It gets the spare room of a vector, which
//! it fills from the front, and a timeout and a mask that outlive it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData};
use rustix::io::Errno;

use super::clock::Monotonic;
use super::signal::SignalSet;

/// What to wait for and what was found, as `EPOLL*` bits. `ERR` and `HUP` are always reported, asked for
/// or not.
pub use rustix::event::epoll::EventFlags as Interest;

/// One descriptor that is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The number given when the descriptor was added.
    pub data: u64,
    /// What it is ready for.
    pub flags: Interest,
}

/// An epoll instance, closed on exec, with the space for the events of one wait.
pub struct Epoll {
    /// `None`: closed.
    fd: Option<OwnedFd>,
    events: Vec<epoll::Event>,
}

/// Events fetched by one wait; when more are ready, the next wait brings them.
const EVENTS_PER_WAIT: usize = 64;

impl Epoll {
    /// Makes one that waits for nothing yet.
    ///
    /// An instance inherited through a fork still watches what the parent's watches: a child closes it
    /// and makes its own.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            fd: Some(epoll::create(CreateFlags::CLOEXEC)?),
            events: Vec::with_capacity(EVENTS_PER_WAIT),
        })
    }

    /// Closes it: what is asked of it from here on fails with `EBADF`. For a child that has inherited it.
    pub fn close(&mut self) {
        self.fd = None;
    }

    fn open_fd(&self) -> io::Result<&OwnedFd> {
        self.fd.as_ref().ok_or_else(|| Errno::BADF.into())
    }

    /// Watches `fd`; its events carry `data`. Fails with `AlreadyExists` if it is watched.
    ///
    /// Remove it before closing it: a duplicate elsewhere, as in a forked child, would keep it watched.
    pub fn add(&self, fd: BorrowedFd<'_>, data: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(self.open_fd()?, fd, EventData::new_u64(data), interest)?)
    }

    /// Changes what a watched `fd` is watched for; `NotFound` if it is not.
    pub fn modify(&self, fd: BorrowedFd<'_>, data: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(self.open_fd()?, fd, EventData::new_u64(data), interest)?)
    }

    /// Watches `fd` no more; `NotFound` if it was not.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(self.open_fd()?, fd)?)
    }

    /// Like [`Epoll::wait`] with another signal mask for as long as it sleeps: a signal that only `mask` lets in ends it,
    /// whether it comes during the sleep or before.
    pub fn wait_with(
        &mut self,
        mask: &SignalSet,
        deadline: Option<Monotonic>,
    ) -> io::Result<impl ExactSizeIterator<Item = Ready> + '_> {
        const KERNEL_MASK_SIZE: usize = 8;
        let timeout = deadline.map(Monotonic::remaining);
        let timeout_ptr = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        self.events.clear();
        let fd = self.fd.as_ref().ok_or(Errno::BADF)?.as_raw_fd();
        let room = self.events.spare_capacity_mut();
        // SAFETY: see the module; rustix's events and timeouts have the kernel's layout, as it hands them over itself.
        let found = unsafe {
            let (at, count) = (room.as_mut_ptr(), room.len());
            libc::syscall(libc::SYS_epoll_pwait2, fd, at, count, timeout_ptr, mask.as_ptr(), KERNEL_MASK_SIZE)
        };
        match usize::try_from(found) {
            // SAFETY: the kernel has filled so many.
            Ok(count) => unsafe { self.events.set_len(count) },
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
        Ok(self.found())
    }

    /// Sleeps until something is ready, a signal handler ran, or `deadline` is there; both latter give no
    /// events. `None` waits for ever; a deadline in the past only looks.
    pub fn wait(
        &mut self,
        deadline: Option<Monotonic>,
    ) -> io::Result<impl ExactSizeIterator<Item = Ready> + '_> {
        let timeout = deadline.map(Monotonic::remaining);
        self.events.clear();
        let fd = self.fd.as_ref().ok_or(Errno::BADF)?;
        match epoll::wait(fd, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(self.found())
    }

    fn found(&self) -> impl ExactSizeIterator<Item = Ready> + '_ {
        self.events.iter().map(|event| Ready { data: event.data.u64(), flags: event.flags })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::os::eventfd::EventFd;

    fn ready(epoll: &mut Epoll, deadline: Monotonic) -> Vec<Ready> {
        epoll.wait(Some(deadline)).unwrap().collect()
    }

    #[test]
    fn reports_what_is_ready() {
        let past = Monotonic::from_nanos(0);
        let mut epoll = Epoll::new().unwrap();
        let events = [EventFd::new().unwrap(), EventFd::new().unwrap()];
        for (data, event) in (7..).zip(&events) {
            epoll.add(event.as_fd(), data, Interest::IN).unwrap();
        }
        assert_eq!(ready(&mut epoll, past), []);
        events[1].signal();
        let expected = Ready { data: 8, flags: Interest::IN };
        assert_eq!(ready(&mut epoll, past), [expected]);
        assert_eq!(ready(&mut epoll, past), [expected], "level-triggered");
        epoll.modify(events[1].as_fd(), 9, Interest::OUT).unwrap();
        assert_eq!(ready(&mut epoll, past)[0].data, 9);
        epoll.remove(events[1].as_fd()).unwrap();
        assert_eq!(ready(&mut epoll, past), []);
    }

    #[test]
    fn a_closed_one_watches_nothing() {
        let mut epoll = Epoll::new().unwrap();
        let event = EventFd::new().unwrap();
        epoll.close();
        let bad = Some(Errno::BADF.raw_os_error());
        assert_eq!(epoll.add(event.as_fd(), 1, Interest::IN).unwrap_err().raw_os_error(), bad);
        assert_eq!(epoll.wait(None).err().unwrap().raw_os_error(), bad);
    }

    #[test]
    fn the_deadline_ends_the_wait() {
        let mut epoll = Epoll::new().unwrap();
        let deadline = Monotonic::now().saturating_add(Duration::from_micros(300));
        assert_eq!(ready(&mut epoll, deadline), []);
        assert!(Monotonic::now() >= deadline);
    }
}
