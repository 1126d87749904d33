//! The bytes of one socket that are on their way: those yet to be sent, and those received.
//!
//! The ring's kernel side uses this memory while an operation is in flight. `flights` has what must not be done then.

use super::RECEIVE_SIZE;

/// An outbox that has grown beyond this gives its memory back when it is empty.
const KEPT_OUTBOX: usize = 64 * 1024;

/// Room for the first requests. Most are short, and in a process that has just been forked each page costs a fault.
const FIRST_ROOM: usize = 2048;

/// See the module.
#[derive(Default)]
pub(super) struct Mailbox {
    outbox: Vec<u8>,
    /// How much of the outbox is sent.
    sent: usize,
    /// Made when it is first needed: a listening socket has none. [`RECEIVE_SIZE`] bytes since a receive has filled it.
    inbox: Vec<u8>,
    received: usize,
    was_filled: bool,
}

impl Mailbox {
    /// Puts bytes behind those to be sent.
    pub fn append(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
    }

    /// What is to be sent.
    pub fn unsent(&self) -> &[u8] {
        &self.outbox[self.sent..]
    }

    /// So many bytes more are sent.
    pub fn has_sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.outbox.len() {
            self.discard_unsent();
        }
    }

    /// Everything is sent, or never will be.
    pub fn discard_unsent(&mut self) {
        self.outbox.clear();
        self.outbox.shrink_to(KEPT_OUTBOX);
        self.sent = 0;
    }

    /// Room to receive into.
    pub fn room(&mut self) -> &mut [u8] {
        let size = if self.was_filled { RECEIVE_SIZE } else { FIRST_ROOM };
        self.inbox.resize(size, 0);
        &mut self.inbox
    }

    /// So many bytes of the room are filled now.
    pub fn has_received(&mut self, count: usize) {
        self.received = count;
        self.was_filled |= count > 0 && count == self.inbox.len();
    }

    /// What was received.
    pub fn received(&self) -> &[u8] {
        &self.inbox[..self.received]
    }

    /// Nothing of the bytes is left.
    pub fn wipe(&mut self) {
        self.discard_unsent();
        self.outbox.resize(self.outbox.capacity(), 0);
        self.outbox.clear();
        self.inbox.fill(0);
        self.received = 0;
    }

    /// Gives the memory up without freeing it, as the kernel may still use it.
    pub fn leak(&mut self) {
        std::mem::forget(std::mem::take(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order() {
        let mut mailbox = Mailbox::default();
        mailbox.append(b"abc");
        mailbox.has_sent(2);
        mailbox.append(b"de");
        assert_eq!(mailbox.unsent(), b"cde");
        mailbox.has_sent(3);
        assert_eq!(mailbox.unsent(), b"");
        mailbox.append(&vec![0; 2 * KEPT_OUTBOX]);
        mailbox.discard_unsent();
        assert!(mailbox.outbox.capacity() <= KEPT_OUTBOX);
        let room = mailbox.room().len();
        mailbox.has_received(room - 1);
        assert_eq!(mailbox.room().len(), room);
        mailbox.has_received(room);
        assert_eq!((mailbox.received().len(), mailbox.room().len()), (room, RECEIVE_SIZE));
        mailbox.append(b"secret");
        mailbox.room()[..3].copy_from_slice(b"abc");
        mailbox.has_received(3);
        mailbox.wipe();
        assert_eq!((mailbox.unsent(), mailbox.received()), (&b""[..], &b""[..]));
        assert!(mailbox.room().iter().all(|byte| *byte == 0));
    }
}
