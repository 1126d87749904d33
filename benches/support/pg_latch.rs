//! PostgreSQL's latch as it is on Linux since version 14, for comparison.
//!
//! Two flags in shared memory, `is_set` and `maybe_sleeping`; a setter that finds the owner asleep
//! sends SIGURG, which the owner has blocked and receives through a signalfd in an epoll set. Written
//! after the description of that protocol, for its system calls: one kill for the setter, one epoll_wait
//! and one read for the owner.
//!
//! # Safety
//!
//! The unsafe calls are libc's for signals, each with a set that lives on the stack for the call.
//! SIGURG stays blocked in this process, where nothing else uses it.
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, fence};

use rustix::event::epoll;

use super::ping_pong::Doorbell;
use super::shared_page::SharedPage;

/// A latch; made before a fork, it is common to parent and child.
pub struct PgLatch {
    shared: SharedPage,
    wait_set: Option<WaitSet>,
}

/// What only the owner has, made by itself: epoll reports a signalfd's readiness for the process
/// that added it.
struct WaitSet {
    epoll: OwnedFd,
    signalfd: OwnedFd,
}

impl PgLatch {
    fn is_set(&self) -> &AtomicU32 {
        &self.shared[0]
    }

    fn maybe_sleeping(&self) -> &AtomicU32 {
        &self.shared[1]
    }

    fn owner_pid(&self) -> &AtomicU32 {
        &self.shared[2]
    }
}

impl Doorbell for PgLatch {
    fn new() -> Self {
        Self { shared: SharedPage::new(), wait_set: None }
    }

    fn own(&mut self) {
        self.wait_set = Some(WaitSet::new());
        self.owner_pid().store(std::process::id(), SeqCst);
    }

    /// `SetLatch`.
    fn ring(&self) {
        fence(SeqCst);
        if self.is_set().load(Relaxed) != 0 {
            return;
        }
        self.is_set().store(1, Relaxed);
        fence(SeqCst);
        if self.maybe_sleeping().load(Relaxed) == 0 {
            return;
        }
        let owner = self.owner_pid().load(Relaxed);
        // SAFETY: sending a signal touches no memory of ours.
        let result = unsafe { libc::kill(owner as i32, libc::SIGURG) };
        assert_eq!(result, 0, "kill: {}", io::Error::last_os_error());
    }

    /// `WaitLatch` without a timeout, and `ResetLatch`.
    fn wait(&self) {
        let wait_set = self.wait_set.as_ref().expect("only the owner waits");
        while self.is_set().load(Relaxed) == 0 {
            self.maybe_sleeping().store(1, Relaxed);
            fence(SeqCst);
            if self.is_set().load(Relaxed) != 0 {
                break;
            }
            wait_set.sleep();
        }
        self.maybe_sleeping().store(0, Relaxed);
        self.is_set().store(0, Relaxed);
        fence(SeqCst);
    }
}

impl WaitSet {
    fn new() -> Self {
        let signalfd = block_sigurg_and_open_signalfd();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("making an epoll");
        let readable = epoll::EventFlags::IN | epoll::EventFlags::ERR | epoll::EventFlags::HUP;
        epoll::add(&epoll, &signalfd, epoll::EventData::new_u64(0), readable)
            .expect("adding a signalfd to an epoll");
        Self { epoll, signalfd }
    }

    /// Sleeps until a signal comes, and takes it out of the signalfd, with room for more than one
    /// so that a short read says that none is left.
    fn sleep(&self) {
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); 1];
        epoll::wait(&self.epoll, &mut events, None).expect("waiting in epoll");
        let mut signals = [0_u8; 1024];
        rustix::io::read(&self.signalfd, &mut signals).expect("reading a signalfd");
    }
}

fn block_sigurg_and_open_signalfd() -> OwnedFd {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initializes the set that the calls behind it read; the descriptor is
    // new and nobody else's.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGURG);
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC);
        assert!(fd >= 0, "signalfd: {}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    }
}
