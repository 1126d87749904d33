//! The bytes of one socket that are on their way: those yet to be sent, and those received.
//!
//! The ring's kernel side uses this memory while an operation is in flight. `flights` has what must not be done then.

use super::RECEIVE_SIZE;

/// An outbox that has grown beyond this gives its memory back when it is empty.
const KEPT_OUTBOX: usize = 64 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Mailbox {
    outbox: Vec<u8>,
    /// How much of the outbox is sent.
    sent: usize,
    /// [`RECEIVE_SIZE`] bytes, made when they are first needed: a listening socket has none.
    inbox: Vec<u8>,
    received: usize,
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
        self.inbox.resize(RECEIVE_SIZE, 0);
        &mut self.inbox
    }

    /// So many bytes of the room are filled now.
    pub fn has_received(&mut self, count: usize) {
        self.received = count;
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
        mailbox.append(b"secret");
        mailbox.room()[..3].copy_from_slice(b"abc");
        mailbox.has_received(3);
        mailbox.wipe();
        assert_eq!((mailbox.unsent(), mailbox.received()), (&b""[..], &b""[..]));
        assert!(mailbox.room().iter().all(|byte| *byte == 0));
    }
}
