//! A socket of a ring's wait set: what it has in flight, and what the ends of that mean.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::mailbox::Mailbox;
use super::types::Readiness;

/// The bit of a completion's number that tells the wait set's own operations from others.
pub(super) const OWN: u64 = 1 << 63;

/// Names one operation: `OWN`, the socket (8 bits), and a number used once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(pub u64);

impl Token {
    /// The operation of this number, of a socket or (`MAX_SOCKETS`) of none.
    pub fn new(socket: usize, number: u64) -> Self {
        Self(OWN | (socket as u64) << 48 | number)
    }

    /// The socket.
    pub fn socket(self) -> usize {
        (self.0 >> 48 & 0xff) as usize
    }
}

/// A socket's receive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Receive {
    Idle,
    InFlight(Token),
    /// With this result, as `recv` returns it; a negative one is an errno.
    Done(i32),
}

/// A socket and its operations.
pub(super) struct Line {
    pub fd: OwnedFd,
    pub mailbox: Mailbox,
    pub receive: Receive,
    /// The send in flight.
    pub sending: Option<Token>,
    /// That send posts no completion if it succeeds.
    pub silent: bool,
    /// Receive and send in flight form a chain.
    pub chained: bool,
    /// Errno of a send that failed.
    pub send_error: Option<i32>,
    /// The poll in flight and what it waits for.
    pub poll: Option<(Token, Readiness)>,
    pub ready: Readiness,
}

impl Line {
    pub fn new(fd: OwnedFd, mailbox: Mailbox) -> Self {
        Self {
            fd,
            mailbox,
            receive: Receive::Idle,
            sending: None,
            silent: false,
            chained: false,
            send_error: None,
            poll: None,
            ready: Readiness::NONE,
        }
    }

    /// Whether the kernel may be using the mailbox.
    pub fn uses_memory(&self) -> bool {
        self.sending.is_some() || matches!(self.receive, Receive::InFlight(_))
    }

    /// The send in flight has succeeded.
    pub fn all_is_sent(&mut self) {
        self.sending = None;
        self.chained = false;
        self.mailbox.discard_unsent();
    }

    /// One of its operations has ended.
    pub fn completed(&mut self, token: Token, result: i32) {
        if self.receive == Receive::InFlight(token) {
            self.receive = Receive::Done(result);
            if self.chained && result != -libc::ECANCELED {
                self.all_is_sent();
            }
        } else if self.sending == Some(token) {
            self.sending = None;
            match result {
                0.. => self.mailbox.has_sent(result as usize),
                _ if is_transient(result) => {}
                _ => self.send_error = Some(-result),
            }
            if std::mem::take(&mut self.chained) {
                self.receive = Receive::Idle;
            }
        } else if let Some((_, wanted)) = self.poll.take_if(|(poll, _)| *poll == token) {
            self.ready = if result < 0 { wanted } else { to_readiness(result as u32, wanted) };
        }
    }
}

/// Whether an operation that ended so is simply started again.
pub(super) fn is_transient(result: i32) -> bool {
    [-libc::ECANCELED, -libc::EINTR, -libc::EAGAIN].contains(&result)
}

/// As a poll has them.
pub(super) fn poll_flags(wanted: Readiness) -> u32 {
    let bits = [
        (Readiness::READABLE, libc::POLLIN as u32),
        (Readiness::WRITABLE, libc::POLLOUT as u32),
        (Readiness::EXCLUSIVE, libc::EPOLLEXCLUSIVE as u32),
    ];
    bits.iter().filter(|(bit, _)| wanted.contains(*bit)).fold(0, |all, (_, flag)| all | flag)
}

/// A hang-up or an error makes a socket ready for whatever is wanted of it: the call will tell.
fn to_readiness(found: u32, wanted: Readiness) -> Readiness {
    let ended = (libc::POLLHUP | libc::POLLERR) as u32;
    let has = |flag: i16, bit: Readiness| {
        let is_found = found & (flag as u32 | ended) != 0;
        if is_found && wanted.contains(bit) { bit } else { Readiness::NONE }
    };
    has(libc::POLLIN, Readiness::READABLE) | has(libc::POLLOUT, Readiness::WRITABLE)
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
