//! What a session says to its client when SIGQUIT ends it: one prepared message, sent from the handler without waiting.
//!
//! The handler can neither allocate nor ask anybody, so everything lies ready here: the messages, the client's socket, and
//! the word in shared memory from which it learns why it is to leave. It speaks only between two messages. What was handed
//! to the kernel last is behind such a boundary if the kernel took it whole, and it did if it was short and little lies in
//! the socket's queue; otherwise the client gets no word but the end of its connection.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::os::signal;
use crate::sync::{AtomicU32, Ordering};

/// Bytes that a socket's buffer takes at once if it is nearly empty.
const SHORT: usize = 8 * 1024;

/// What a process without a client says.
static NOTHING: [Vec<u8>; 3] = [const { Vec::new() }; 3];

/// Why the process is to leave: the third byte of the postmaster's state word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum QuitReason {
    /// Nobody in the server asked for it.
    Unknown = 0,
    /// Another process crashed.
    Crash = 1,
    /// An immediate stop.
    Immediate = 2,
}

impl QuitReason {
    const SHIFT: u32 = 16;

    /// As it stands in the state word.
    pub const fn to_word(self) -> u32 {
        (self as u32) << Self::SHIFT
    }
}

/// See the module.
pub struct LastWords<'s> {
    /// The postmaster's state word; `None`: nothing is ever said.
    state: Option<&'s AtomicU32>,
    /// Encoded, by reason.
    messages: &'s [Vec<u8>; 3],
    /// The client's socket and one; 0: there is none, or it is not to be told.
    socket: AtomicU32,
    /// Whether what was handed to the kernel last is there whole: 0 or 1.
    is_whole: AtomicU32,
}

impl<'s> LastWords<'s> {
    /// Of a process without a client.
    pub fn none() -> Self {
        Self { state: None, messages: &NOTHING, socket: AtomicU32::new(0), is_whole: AtomicU32::new(0) }
    }

    /// Reads the reason from the postmaster's state word; `messages` are whole ones of the protocol, by reason.
    pub fn new(state: &'s AtomicU32, messages: &'s [Vec<u8>; 3]) -> Self {
        Self { state: Some(state), messages, ..Self::none() }
    }

    /// From here on this client is told, until [`Self::disarm`], which must come before the socket is closed.
    pub fn arm(&self, socket: BorrowedFd<'_>) {
        self.socket.store(socket.as_raw_fd() as u32 + 1, Ordering::SeqCst);
    }

    /// Nobody is told any more.
    pub fn disarm(&self) {
        self.socket.store(0, Ordering::SeqCst);
    }

    /// So many bytes, which end with a whole message, are about to be sent.
    pub fn sending(&self, bytes: usize) {
        self.is_whole.store(u32::from(bytes <= SHORT), Ordering::SeqCst);
    }

    /// Some of what was to be sent is not, or everything is.
    pub fn sent(&self, is_all: bool) {
        self.is_whole.store(u32::from(is_all), Ordering::SeqCst);
    }

    /// In the handler: says it, if it can be said now.
    pub(super) fn say(&self) {
        let (Some(state), socket) = (self.state, self.socket.load(Ordering::SeqCst)) else { return };
        if socket == 0 || self.is_whole.load(Ordering::SeqCst) == 0 {
            return;
        }
        let reason = (state.load(Ordering::SeqCst) >> QuitReason::SHIFT) & 0xff;
        if let Some(message) = self.messages.get(reason as usize) {
            signal::send_in_handler((socket - 1) as i32, message, SHORT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn only_whole_and_armed_speak() {
        let state = AtomicU32::new(QuitReason::Immediate.to_word() | 0x201);
        let messages = [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
        let words = LastWords::new(&state, &messages);
        let (here, mut there) = UnixStream::pair().unwrap();
        words.sent(true);
        words.say();
        words.arm(here.as_fd());
        words.sending(SHORT + 1);
        words.say();
        words.sending(SHORT);
        words.say();
        state.store(1, Ordering::SeqCst);
        words.say();
        words.disarm();
        words.say();
        LastWords::none().say();
        drop(here);
        let mut said = String::new();
        there.read_to_string(&mut said).unwrap();
        assert_eq!(said, "ca");
    }
}
