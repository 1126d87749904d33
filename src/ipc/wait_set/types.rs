//! What is asked of a wait set and what it answers.

use std::fmt;
use std::io;
use std::ops::BitOr;

use crate::os::uring::{RingSupport, probe};

/// Sockets that one wait set can hold.
pub const MAX_SOCKETS: usize = 32;

/// The setting `io_method`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoMethod {
    /// io_uring where it is to be had, else epoll.
    Auto,
    /// io_uring, or an error.
    IoUring,
    /// epoll and ordinary system calls.
    Sync,
}

impl IoMethod {
    /// Finds out what can be used here. The postmaster does this once, before it forks; it starts no thread.
    pub fn choose(self) -> Result<Choice, NoRing> {
        let support = match self {
            Self::Sync => None,
            Self::Auto | Self::IoUring => Some(probe()),
        };
        match support {
            Some(missing) if self == Self::IoUring && !missing.is_full() => Err(NoRing(missing)),
            _ => Ok(Choice { support }),
        }
    }
}

/// `io_method` asks for io_uring, which is not to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("io_method is io_uring, but {0}")]
pub struct NoRing(RingSupport);

/// The method in use. Displays, with its reason, as the rest of the log line "I/O method: …".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// What probing said; `None`: not asked.
    support: Option<RingSupport>,
}

impl Choice {
    /// Whether it is io_uring.
    pub fn uses_ring(self) -> bool {
        self.support.is_some_and(RingSupport::is_full)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.support {
            None => f.write_str("sync, as configured"),
            Some(support) if support.is_full() => f.write_str("io_uring"),
            Some(support) => write!(f, "sync, because {support}"),
        }
    }
}

/// Why there is no wait set.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// Too many descriptors, or too little memory.
    #[error("cannot make a wait set: {0}")]
    System(#[from] io::Error),
}

/// What a socket is ready for, or is to be.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// There is something to read or accept, or the peer is gone.
    pub const READABLE: Self = Self(1);
    /// There is room to send, or the peer is gone.
    pub const WRITABLE: Self = Self(2);
    /// Asked for with one of the others, on a socket that several processes wait for: not all of them need wake.
    pub const EXCLUSIVE: Self = Self(4);

    /// Whether it has all of `other`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// All of it that `other` lacks.
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has any of `other`.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A socket that a wait set holds. Only giving it back ([`WaitSet::remove`](super::WaitSet::remove)) ends it, so that it
/// never names another one.
#[derive(Debug)]
pub struct Socket(pub(super) u8);

impl Socket {
    pub(super) fn index(&self) -> usize {
        usize::from(self.0)
    }
}

/// Some of a wait set's sockets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SocketSet(u32);

impl SocketSet {
    /// Whether `socket` is among them.
    pub fn contains(self, socket: &Socket) -> bool {
        self.0 >> socket.0 & 1 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Of each socket's readiness, in their order: those readable and those writable.
    pub(super) fn of(ready: impl Iterator<Item = Readiness>) -> (Self, Self) {
        ready.enumerate().fold((Self(0), Self(0)), |(readable, writable), (index, ready)| {
            let bit = |wanted| u32::from(ready.contains(wanted)) << index;
            (Self(readable.0 | bit(Readiness::READABLE)), Self(writable.0 | bit(Readiness::WRITABLE)))
        })
    }
}

/// Why [`WaitSet::wait`](super::WaitSet::wait) came back: all that was true then, which is never nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[must_use]
pub struct Wakeup {
    /// The own latch is set; it stays so until it is reset.
    pub latch_set: bool,
    /// The postmaster is dead. Once true it stays true, and no wait sleeps any more.
    pub postmaster_dead: bool,
    /// The deadline passed.
    pub timed_out: bool,
    /// Other I/O of the ring is finished, see [`WaitSet::ring`](super::WaitSet::ring).
    pub io_finished: bool,
    /// Sockets with something to read.
    pub readable: SocketSet,
    /// Sockets with room to send.
    pub writable: SocketSet,
}

/// How [`WaitSet::exchange`](super::WaitSet::exchange) and [`WaitSet::send`](super::WaitSet::send) ended: all that was
/// true then.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[must_use]
pub struct Exchange {
    /// So many bytes came, see [`WaitSet::received`](super::WaitSet::received); 0: the peer sends no more.
    pub received: Option<usize>,
    /// Bytes not sent yet. The wait set keeps them; the next exchange or send begins with them.
    pub unsent: usize,
    /// The own latch is set; it stays so until it is reset.
    pub latch_set: bool,
    /// The postmaster is known to be dead.
    pub postmaster_dead: bool,
    /// The deadline passed.
    pub timed_out: bool,
}
