//! The message queue: one sender, one receiver, a ring of bytes in shared memory between them.
//!
//! A message is its length in four bytes and then itself; one longer than the ring goes through in pieces. Each side owns
//! one count (`shmem_layout::QueueHeader`): the sender adds to `written` behind the bytes it copied, the receiver to
//! `read` behind the bytes it took. Before it sleeps on its own latch a side sets a bit in the *other's* count; that is a
//! read-modify-write, as the other's addition is, so one comes first: either the addition is seen, or the other sees the
//! bit and sets the latch. A message costs the sender one read-modify-write, and no system call while the receiver is
//! awake. The receiver publishes what it read when that is a quarter of the ring, or before it sleeps.
//!
//! A side that dies is marked gone by who handles its death; the receiver still gets every message that was complete.

#[cfg(not(model))]
use shmem_layout::SlotIndex;
use shmem_layout::{EntryState, ProcessId, QueueHeader, ResourceKind};

use super::proc::{Entry, LedgerFull, Proc, WaitEnd};
use super::stop_points::StopPoint;
use super::wait_event::WaitEvent;
#[cfg(not(model))]
use crate::shmem::RingBytes;
#[cfg(model)]
use crate::sync::RingBytes;
use crate::sync::{AtomicU64, Monotonic, Ordering};

const COUNT: u64 = !QueueHeader::WAIT;
const PREFIX: usize = size_of::<u32>();

/// Why a message was not sent or received.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueueError {
    /// The other side detached or died.
    #[error("the other side of the message queue is gone")]
    Gone,
    /// The wait ended first. The same call again goes on where this one stopped.
    #[error("the wait ended before the message was through: {0:?}")]
    Wait(WaitEnd),
    /// A message's length does not fit its prefix.
    #[error("a message of {0} bytes is too long for a message queue")]
    TooLong(usize),
    /// Somebody else has this end.
    #[error("this end of the message queue is taken")]
    Taken,
    /// Nothing more can be accounted for.
    #[error(transparent)]
    Ledger(#[from] LedgerFull),
}

/// A queue in shared memory.
#[derive(Clone, Copy)]
pub struct Queue<'s> {
    header: &'s QueueHeader,
    ring: &'s RingBytes,
}

impl<'s> Queue<'s> {
    /// The queue of this header and ring; the ring's length is a power of two.
    pub fn new(header: &'s QueueHeader, ring: &'s RingBytes) -> Self {
        assert!(ring.len().is_power_of_two(), "a ring of {} bytes", ring.len());
        Self { header, ring }
    }

    /// Becomes the sender.
    pub fn attach_sender<'p>(self, me: &'p Proc<'s>) -> Result<Sender<'p, 's>, QueueError> {
        let entry = me.take(ResourceKind::QueueSender, self.header)?;
        if !self.claim(&self.header.sender, me) {
            me.free(&entry);
            return Err(QueueError::Taken);
        }
        me.note(&entry, EntryState::Held);
        let written = self.header.written.load(Ordering::Acquire) & COUNT;
        let room_until = self.room_until();
        Ok(Sender { queue: self, me, entry, written, published: written, room_until, sent: 0 })
    }

    /// Becomes the receiver.
    pub fn attach_receiver<'p>(self, me: &'p Proc<'s>) -> Result<Receiver<'p, 's>, QueueError> {
        let entry = me.take(ResourceKind::QueueReceiver, self.header)?;
        if !self.claim(&self.header.receiver, me) {
            me.free(&entry);
            return Err(QueueError::Taken);
        }
        me.note(&entry, EntryState::Held);
        let read = self.header.read.load(Ordering::Acquire) & COUNT;
        Ok(Receiver { queue: self, me, entry, read, published: read, filled_until: read, wanted: None })
    }

    fn room_until(self) -> u64 {
        (self.header.read.load(Ordering::Acquire) & COUNT) + self.ring.len() as u64
    }

    fn claim(self, end: &AtomicU64, me: &Proc<'_>) -> bool {
        end.compare_exchange(0, me.id().to_word(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Sets the latch of the process at an end, if there is one yet. One that attaches later looks before it sleeps.
    fn wake_end(self, me: &Proc<'_>, end: &AtomicU64) {
        if let Some(process) = ProcessId::from_word(end.load(Ordering::Acquire)) {
            me.set_latch(process.slot());
        }
    }

    /// Sleeps until the other side's count may have moved. `enough` tells from that count whether to go on.
    fn wait(self, me: &Proc<'_>, side: &Side<'_>, deadline: Option<Monotonic>) -> Result<u64, QueueError> {
        let mut took_latch = false;
        let result = loop {
            let theirs = side.count.fetch_or(QueueHeader::WAIT, Ordering::AcqRel) & COUNT;
            if theirs != side.seen {
                break Ok(theirs);
            }
            if self.header.gone.load(Ordering::Acquire) & side.gone_bit != 0 {
                // What it did before it went is there now.
                let last = side.count.load(Ordering::Acquire) & COUNT;
                break if last == side.seen { Err(QueueError::Gone) } else { Ok(last) };
            }
            if !me.pending_interrupts().is_empty() {
                break Err(QueueError::Wait(WaitEnd::Interrupted));
            }
            if let Err(end) = me.latch().wait(me, deadline, side.event) {
                break Err(QueueError::Wait(end));
            }
            me.latch().reset();
            took_latch = true;
        };
        side.count.fetch_and(COUNT, Ordering::AcqRel);
        if took_latch {
            // Whoever set it may have meant something else than this wait.
            me.latch().set();
        }
        result
    }
}

fn mark_gone(header: &QueueHeader, me: &Proc<'_>, bit: u32) {
    header.gone.fetch_or(bit, Ordering::AcqRel);
    let other = if bit == QueueHeader::SENDER_GONE { &header.receiver } else { &header.sender };
    // A read-modify-write, so that it comes before or behind the other side's claim of its end: before it, the claim sees
    // that this side is gone; behind it, this sees whom to wake. Two plain accesses could miss each other.
    if let Some(process) = ProcessId::from_word(other.fetch_or(0, Ordering::AcqRel)) {
        me.set_latch(process.slot());
    }
}

/// Marks the dead process's end gone, if it had it, and wakes the other side. Can be repeated.
#[cfg(not(model))]
pub(super) fn undo_dead(header: &QueueHeader, me: &Proc<'_>, dead: SlotIndex, is_sender: bool) {
    let (end, bit) = match is_sender {
        true => (&header.sender, QueueHeader::SENDER_GONE),
        false => (&header.receiver, QueueHeader::RECEIVER_GONE),
    };
    // It may have died before it got the end.
    if ProcessId::from_word(end.load(Ordering::Acquire)).is_some_and(|p| p.slot() == dead) {
        mark_gone(header, me, bit);
    }
}

/// What one side waits for: the other's count.
struct Side<'a> {
    count: &'a AtomicU64,
    seen: u64,
    gone_bit: u32,
    event: WaitEvent,
}

/// The sending end; dropping it tells the receiver.
pub struct Sender<'p, 's> {
    queue: Queue<'s>,
    me: &'p Proc<'s>,
    entry: Entry,
    /// Bytes copied in; those up to `published` are the receiver's to see.
    written: u64,
    published: u64,
    /// Bytes that may be written before looking at `read` again.
    room_until: u64,
    /// Bytes of the unfinished message, prefix included, that went through before a wait ended.
    sent: usize,
}

impl Sender<'_, '_> {
    /// Sends a message; waits for room. After [`QueueError::Wait`] the same message must be sent again; what went
    /// through is not sent twice.
    pub fn send(&mut self, message: &[u8], deadline: Option<Monotonic>) -> Result<(), QueueError> {
        let length = u32::try_from(message.len()).map_err(|_| QueueError::TooLong(message.len()))?;
        let prefix = length.to_le_bytes();
        while self.sent < PREFIX {
            let n = self.copy_in(&prefix[self.sent..], deadline)?;
            self.sent += n;
        }
        while self.sent < PREFIX + message.len() {
            let n = self.copy_in(&message[self.sent - PREFIX..], deadline)?;
            self.sent += n;
        }
        self.sent = 0;
        self.publish();
        if self.queue.header.gone.load(Ordering::Relaxed) & QueueHeader::RECEIVER_GONE != 0 {
            return Err(QueueError::Gone);
        }
        Ok(())
    }

    /// Copies what fits, at least a byte; how many.
    fn copy_in(&mut self, bytes: &[u8], deadline: Option<Monotonic>) -> Result<usize, QueueError> {
        if self.room_until == self.written {
            self.room_until = self.queue.room_until();
        }
        if self.room_until == self.written {
            let capacity = self.queue.ring.len() as u64;
            self.publish();
            let side = Side {
                count: &self.queue.header.read,
                seen: self.written - capacity,
                gone_bit: QueueHeader::RECEIVER_GONE,
                event: WaitEvent::MESSAGE_QUEUE_SEND,
            };
            self.room_until = self.queue.wait(self.me, &side, deadline)? + capacity;
        }
        let n = bytes.len().min((self.room_until - self.written) as usize);
        self.queue.ring.write(self.written, &bytes[..n]);
        self.written += n as u64;
        Ok(n)
    }

    fn publish(&mut self) {
        let new = self.written - self.published;
        if new == 0 {
            return;
        }
        self.published = self.written;
        let before = self.queue.header.written.fetch_add(new, Ordering::AcqRel);
        if before & QueueHeader::WAIT != 0 {
            self.me.stop_point(StopPoint::QueueWrittenBeforeWake);
            self.queue.wake_end(self.me, &self.queue.header.receiver);
        }
    }
}

impl Drop for Sender<'_, '_> {
    fn drop(&mut self) {
        self.me.note(&self.entry, EntryState::Releasing);
        mark_gone(self.queue.header, self.me, QueueHeader::SENDER_GONE);
        self.me.free(&self.entry);
    }
}

/// The receiving end; dropping it tells the sender.
pub struct Receiver<'p, 's> {
    queue: Queue<'s>,
    me: &'p Proc<'s>,
    entry: Entry,
    /// Bytes taken; the ring up to `published` is the sender's to write again.
    read: u64,
    published: u64,
    /// Bytes that may be read before looking at `written` again.
    filled_until: u64,
    /// Length of the message that has been begun.
    wanted: Option<usize>,
}

impl Receiver<'_, '_> {
    /// Receives the next message into `message`, replacing what was there; waits for it. After [`QueueError::Wait`]
    /// call it again with the same buffer, which holds what has come so far.
    pub fn receive(&mut self, message: &mut Vec<u8>, deadline: Option<Monotonic>) -> Result<(), QueueError> {
        let length = match self.wanted {
            Some(length) => length,
            None => {
                let length = self.receive_length(deadline)?;
                message.clear();
                // Not more than the ring at once: a length is only believed as far as bytes follow it.
                message.reserve(length.min(self.queue.ring.len()));
                self.wanted = Some(length);
                length
            }
        };
        while message.len() < length {
            let n = self.wait_for_bytes(1, deadline)?.min(length - message.len());
            let start = message.len();
            message.resize(start + n, 0);
            self.queue.ring.read(self.read, &mut message[start..]);
            self.consume(n);
        }
        self.wanted = None;
        Ok(())
    }

    fn receive_length(&mut self, deadline: Option<Monotonic>) -> Result<usize, QueueError> {
        self.wait_for_bytes(PREFIX, deadline)?;
        let mut prefix = [0; PREFIX];
        self.queue.ring.read(self.read, &mut prefix);
        self.consume(PREFIX);
        Ok(u32::from_le_bytes(prefix) as usize)
    }

    /// Waits until `least` bytes are there; how many are.
    fn wait_for_bytes(&mut self, least: usize, deadline: Option<Monotonic>) -> Result<usize, QueueError> {
        while self.filled_until - self.read < least as u64 {
            let written = self.queue.header.written.load(Ordering::Acquire) & COUNT;
            if written == self.filled_until {
                self.publish();
                let side = Side {
                    count: &self.queue.header.written,
                    seen: self.filled_until,
                    gone_bit: QueueHeader::SENDER_GONE,
                    event: WaitEvent::MESSAGE_QUEUE_RECEIVE,
                };
                self.filled_until = self.queue.wait(self.me, &side, deadline)?;
            } else {
                self.filled_until = written;
            }
        }
        Ok((self.filled_until - self.read) as usize)
    }

    fn consume(&mut self, n: usize) {
        self.read += n as u64;
        if self.read - self.published >= self.queue.ring.len() as u64 / 4 {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let new = self.read - self.published;
        if new == 0 {
            return;
        }
        self.published = self.read;
        let before = self.queue.header.read.fetch_add(new, Ordering::AcqRel);
        if before & QueueHeader::WAIT != 0 {
            self.queue.wake_end(self.me, &self.queue.header.sender);
        }
    }
}

impl Drop for Receiver<'_, '_> {
    fn drop(&mut self) {
        self.publish();
        self.me.note(&self.entry, EntryState::Releasing);
        mark_gone(self.queue.header, self.me, QueueHeader::RECEIVER_GONE);
        self.me.free(&self.entry);
    }
}

#[cfg(all(test, model))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::ipc::model_world::{World, spawn};
    use crate::sync::run_model;

    fn transfer(name: &str, preemptions: Option<usize>, ring: usize, messages: &'static [&'static [u8]]) {
        run_model(name, preemptions, 20_000, move || {
            let world = World::new(2);
            let bytes = Arc::new(RingBytes::new(ring));
            let for_sender = Arc::clone(&bytes);
            let sender = spawn(&world, 1, move |world, me| {
                let mut sender = Queue::new(&world.queue, &for_sender).attach_sender(me).unwrap();
                for message in messages {
                    sender.send(message, None).expect("the receiver stays");
                }
            });
            world.run(0, |world, me| {
                let mut receiver = Queue::new(&world.queue, &bytes).attach_receiver(me).unwrap();
                let mut message = Vec::new();
                for expected in messages {
                    receiver.receive(&mut message, None).expect("the sender has more");
                    assert_eq!(message, *expected);
                }
                assert_eq!(receiver.receive(&mut message, None), Err(QueueError::Gone));
            });
            sender.join().unwrap();
        });
    }

    /// Found by loom: a sender that was done before the receiver attached saw nobody to wake, while the receiver, whose
    /// claim and look at `gone` were not ordered against that, saw nobody gone, and slept for ever.
    #[test]
    fn one_message() {
        transfer("queue::one_message", Some(3), 8, &[b"ab"]);
    }

    #[test]
    fn message_longer_than_the_ring() {
        transfer("queue::message_longer_than_the_ring", Some(2), 4, &[b"abcdefg"]);
    }

    #[test]
    fn messages_that_wrap() {
        transfer("queue::messages_that_wrap", Some(2), 8, &[b"abc", b"", b"de"]);
    }

    /// The receiver leaves while the sender waits for room.
    #[test]
    fn sender_learns_that_the_receiver_left() {
        run_model("queue::sender_learns_that_the_receiver_left", Some(3), 20_000, || {
            let world = World::new(2);
            let bytes = Arc::new(RingBytes::new(4));
            let for_receiver = Arc::clone(&bytes);
            let receiver = spawn(&world, 1, move |world, me| {
                drop(Queue::new(&world.queue, &for_receiver).attach_receiver(me).unwrap());
            });
            world.run(0, |world, me| {
                let mut sender = Queue::new(&world.queue, &bytes).attach_sender(me).unwrap();
                assert_eq!(sender.send(b"abcdefgh", None), Err(QueueError::Gone));
            });
            receiver.join().unwrap();
        });
    }
}
