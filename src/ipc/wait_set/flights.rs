//! What a wait set has in flight in its ring: which operations, and the memory that they use.
//!
//! Every operation carries a token that no other ever had, kept where the operation is accounted for. A completion whose
//! token nobody keeps is of an operation that was given up (a poll that was cancelled), and is passed over.
//!
//! A send and the receive behind it form a chain, so that one `io_uring_enter` takes both. The send posts a completion only
//! if it fails or falls short, else the sleep would end with it; then the receive is not started and posts none. So for a
//! chain the receive's completion says that everything is sent.
//!
//! # Safety
//!
//! The kernel reads the outbox while a send is in flight and writes the inbox while a receive is: `Line::sending` and
//! `Line::receive` say so from the push until the completion (or what implies it) was seen. Meanwhile no reference to the
//! bytes is made and neither buffer moves, which is up to `by_ring` as well: it touches a mailbox's outbox only if
//! `sending` is `None`, its inbox only if `receive` is not `InFlight`. Dropping cancels, waits, and leaks what the kernel
//! does not give back. The latch's word lies in a segment that outlives the wait set; the kernel only reads it, and only
//! while it takes the entry.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{cqueue, opcode};
use shmem_layout::LatchWord;

use super::MAX_SOCKETS;
use super::line::{Line, OWN, Receive, Token, poll_flags};
use super::ring_io::RingIo;
use super::types::Readiness;
use crate::ipc::hangup::Lifeline;
use crate::ipc::latch::Latch;
use crate::os::futex;
use crate::os::uring::{Completion, Ring, WaitEnd};
use crate::sync::Monotonic;

/// Entries of the ring: a poll per socket and a few more, and room for other I/O.
const ENTRIES: u32 = 64;

/// How long dropping waits for what it cancelled. Sockets and futexes take microseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Flights<'s> {
    ring: Ring,
    latch: Latch<'s>,
    latch_wait: Option<Token>,
    postmaster: Option<BorrowedFd<'s>>,
    postmaster_poll: Option<Token>,
    pub postmaster_dead: bool,
    pub sockets: Vec<Option<Line>>,
    last_number: u64,
    cancel: Option<Token>,
    cancel_result: i32,
    /// Errno of a wait for latch or postmaster that failed as it never should.
    watch_error: Option<i32>,
    pub others_done: VecDeque<Completion>,
    others_in_flight: usize,
    pub lifeline: Option<Lifeline>,
}

impl<'s> Flights<'s> {
    /// The postmaster's end ends no wait any more. A poll that is armed stays so and is not listened to.
    pub fn forget_postmaster(&mut self) {
        self.postmaster = None;
        self.postmaster_dead = false;
    }

    pub fn new(latch: Latch<'s>, postmaster: Option<BorrowedFd<'s>>) -> io::Result<Self> {
        Ok(Self {
            ring: Ring::new(ENTRIES)?,
            latch,
            latch_wait: None,
            postmaster,
            postmaster_poll: None,
            postmaster_dead: false,
            sockets: Vec::new(),
            last_number: 0,
            cancel: None,
            cancel_result: 0,
            watch_error: None,
            others_done: VecDeque::new(),
            others_in_flight: 0,
            lifeline: None,
        })
    }

    pub fn line(&mut self, socket: usize) -> &mut Line {
        self.sockets[socket].as_mut().expect("only `remove` empties a place, and takes the name")
    }

    pub fn hold(&mut self, lifeline: Lifeline, lock: Option<BorrowedFd<'_>>) -> io::Result<()> {
        // Kept in case of failure too: dropped, it would hang up.
        self.lifeline.insert(lifeline).register(&mut self.ring, lock)
    }

    /// Has the ring hold a lifeline and the lock. If it fails, the lifeline is as it was.
    pub fn register(&mut self, lifeline: &mut Lifeline, lock: Option<BorrowedFd<'_>>) -> io::Result<()> {
        lifeline.register(&mut self.ring, lock)
    }

    /// Lets go of lifeline and lock if no other I/O is in flight: they are not about polls and sockets.
    pub fn release_files(&mut self) {
        if self.others_in_flight == 0 && self.lifeline.is_some() {
            // Else the hang-up waits for the kernel to take the ring apart. It fails only if there are no files.
            let _ = self.ring.unregister_files();
        }
    }

    /// The ring, for others.
    pub fn io(&mut self) -> RingIo<'_> {
        RingIo::new(&mut self.ring, &mut self.others_done, &mut self.others_in_flight)
    }

    fn token(&mut self, socket: usize) -> Token {
        self.last_number += 1;
        Token::new(socket, self.last_number)
    }

    /// # Safety
    ///
    /// As for [`Ring::push`].
    unsafe fn push(&mut self, entry: Entry) -> io::Result<()> {
        self.make_room(1)?;
        // SAFETY: passed on to the caller.
        unsafe { self.ring.push(entry) }.map_err(io::Error::other)
    }

    fn make_room(&mut self, entries: usize) -> io::Result<()> {
        if self.ring.room() < entries {
            self.ring.submit()?;
        }
        Ok(())
    }

    /// Starts sending everything unsent, and behind it, if `and_receive`, a receive.
    pub fn start_send(&mut self, socket: usize, and_receive: bool) -> io::Result<()> {
        // A chain must reach the kernel in one call.
        self.make_room(2)?;
        let token = self.token(socket);
        let line = self.line(socket);
        debug_assert!(line.sending.is_none());
        let unsent = line.mailbox.unsent();
        let length = u32::try_from(unsent.len()).unwrap_or(1 << 30);
        let flags = if and_receive { Flags::IO_LINK | Flags::SKIP_SUCCESS } else { Flags::empty() };
        let entry = opcode::Send::new(Fd(line.fd.as_raw_fd()), unsent.as_ptr(), length)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .flags(flags)
            .user_data(token.0);
        // SAFETY: the outbox stays as it is while `sending` is set, see the module. The kernel holds the file.
        unsafe { self.push(entry) }?;
        let line = self.line(socket);
        line.sending = Some(token);
        line.silent = and_receive;
        if and_receive {
            self.start_receive(socket)?;
            self.line(socket).chained = true;
        }
        Ok(())
    }

    /// Starts receiving into the inbox.
    pub fn start_receive(&mut self, socket: usize) -> io::Result<()> {
        let token = self.token(socket);
        let line = self.line(socket);
        debug_assert!(!matches!(line.receive, Receive::InFlight(_)));
        let room = line.mailbox.room();
        let entry = opcode::Recv::new(Fd(line.fd.as_raw_fd()), room.as_mut_ptr(), room.len() as u32)
            .build()
            .user_data(token.0);
        // SAFETY: the inbox stays unused while `receive` is `InFlight`, see the module. The kernel holds the file.
        unsafe { self.push(entry) }?;
        self.line(socket).receive = Receive::InFlight(token);
        Ok(())
    }

    /// Has the socket's poll wait for `wanted` and nothing else; a poll for something else is given up.
    pub fn poll(&mut self, socket: usize, wanted: Readiness) -> io::Result<()> {
        let before = self.line(socket).poll;
        if before.map_or(Readiness::NONE, |(_, before)| before) == wanted {
            return Ok(());
        }
        if let Some((token, _)) = self.line(socket).poll.take() {
            let cancel = opcode::AsyncCancel::new(token.0).build().user_data(self.token(socket).0);
            // SAFETY: a cancellation points at nothing.
            unsafe { self.push(cancel) }?;
        }
        if wanted != Readiness::NONE {
            let token = self.token(socket);
            let fd = Fd(self.line(socket).fd.as_raw_fd());
            let entry = opcode::PollAdd::new(fd, poll_flags(wanted)).build().user_data(token.0);
            // SAFETY: a poll points at nothing. The kernel holds the file.
            unsafe { self.push(entry) }?;
            self.line(socket).poll = Some((token, wanted));
        }
        Ok(())
    }

    /// Sleeps until something completes. Whether the deadline passed. The latch is announced, so that its word holds what
    /// the kernel is to expect; if it was set since, the wait for it completes at once.
    pub fn sleep(&mut self, deadline: Option<Monotonic>) -> io::Result<bool> {
        if self.latch_wait.is_none() {
            let token = self.token(MAX_SOCKETS);
            let any = u64::from(NonZeroU32::MAX.get());
            let (word, expected) = (self.latch.word().as_ptr(), u64::from(LatchWord::WAITING));
            let entry = opcode::FutexWait::new(word, expected, any, futex::RING_FUTEX_FLAGS_SHARED);
            // SAFETY: the word lives for `'s`, and the kernel reads it while it takes the entry only.
            unsafe { self.push(entry.build().user_data(token.0)) }?;
            self.latch_wait = Some(token);
        }
        if let (Some(postmaster), None) = (self.postmaster, self.postmaster_poll) {
            let entry = opcode::PollAdd::new(Fd(postmaster.as_raw_fd()), libc::POLLIN as u32);
            let token = self.token(MAX_SOCKETS);
            // SAFETY: a poll points at nothing. The kernel holds the file.
            unsafe { self.push(entry.build().user_data(token.0)) }?;
            self.postmaster_poll = Some(token);
        }
        let end = self.ring.submit_and_wait(1, deadline);
        self.reap();
        match self.watch_error.take() {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(end? == WaitEnd::TimedOut),
        }
    }

    /// Submits, and takes what has completed.
    pub fn look(&mut self) -> io::Result<()> {
        let submitted = self.ring.get_events_nowait();
        self.reap();
        submitted.map(|_| ())
    }

    /// Ends the socket's send: afterwards none is in flight, and the mailbox knows what was sent.
    pub fn end_send(&mut self, socket: usize) -> io::Result<()> {
        while let Some(token) = self.line(socket).sending {
            let result = self.cancel(token)?;
            let line = self.line(socket);
            // The kernel knows it no more and has posted nothing: that is success. A receive behind it is on its own now.
            if line.sending.is_some() && result == -libc::ENOENT {
                line.all_is_sent();
            }
        }
        Ok(())
    }

    /// Ends whatever the socket has in flight. `false`: the kernel does not let go of its memory.
    pub fn end_all(&mut self, socket: usize) -> io::Result<bool> {
        self.poll(socket, Readiness::NONE)?;
        self.end_send(socket)?;
        let deadline = Monotonic::now().saturating_add(PATIENCE);
        while let Receive::InFlight(token) = self.line(socket).receive {
            self.cancel(token)?;
            if Monotonic::now() >= deadline {
                return Ok(false);
            }
        }
        if self.has_queued() {
            self.look()?;
        }
        Ok(true)
    }

    /// Whether something was started that the kernel does not know of yet.
    pub fn has_queued(&self) -> bool {
        self.ring.has_queued()
    }

    /// Cancels an operation. Its own completion, if there is one, may come later than this returns.
    fn cancel(&mut self, token: Token) -> io::Result<i32> {
        let cancel = self.token(MAX_SOCKETS);
        let entry = opcode::AsyncCancel::new(token.0).build().user_data(cancel.0);
        // SAFETY: a cancellation points at nothing.
        unsafe { self.push(entry) }?;
        self.cancel = Some(cancel);
        while self.cancel.is_some() {
            let _ = self.ring.submit_and_wait(1, None)?;
            self.reap();
        }
        Ok(self.cancel_result)
    }

    /// Takes all completions, after each call into the ring.
    fn reap(&mut self) {
        if self.ring.has_queued() {
            // A chain may be torn: its receive then starts whatever becomes of the send, and says nothing about it.
            self.sockets.iter_mut().flatten().for_each(|line| line.chained = false);
        }
        loop {
            let next = self.ring.completions().next();
            let Some(done) = next else { break };
            self.completed(done);
        }
    }

    fn completed(&mut self, done: Completion) {
        if done.user_data & OWN == 0 {
            self.others_in_flight -= usize::from(!cqueue::more(done.flags));
            self.others_done.push_back(done);
            return;
        }
        let token = Token(done.user_data);
        let is = |kept: Option<Token>| kept == Some(token);
        if is(self.latch_wait) {
            self.latch_wait = None;
            let is_expected = [0, -libc::EAGAIN, -libc::EINTR, -libc::ECANCELED].contains(&done.result);
            self.watch_error = (!is_expected).then_some(-done.result);
        } else if is(self.postmaster_poll) {
            self.postmaster_poll = None;
            self.postmaster_dead = done.result > 0 && self.postmaster.is_some();
            self.watch_error = (done.result < 0).then_some(-done.result);
        } else if is(self.cancel) {
            self.cancel = None;
            self.cancel_result = done.result;
        } else if let Some(Some(line)) = self.sockets.get_mut(token.socket()) {
            line.completed(token, done.result);
        }
    }

    /// Ends everything. `false`: not everything has ended.
    fn end(&mut self) -> io::Result<bool> {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(OWN);
        // SAFETY: a cancellation points at nothing.
        unsafe { self.push(entry) }?;
        let deadline = Monotonic::now().saturating_add(PATIENCE);
        while self.has_own_in_flight() {
            let _ = self.ring.submit_and_wait(1, Some(deadline))?;
            self.reap();
            if Monotonic::now() >= deadline {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_own_in_flight(&self) -> bool {
        let line_has = |l: &Line| l.uses_memory() || l.poll.is_some();
        self.latch_wait.is_some()
            || self.postmaster_poll.is_some()
            || self.sockets.iter().flatten().any(line_has)
    }
}

impl Drop for Flights<'_> {
    fn drop(&mut self) {
        if !self.ring.is_own() {
            // A forked child's copies of the buffers are its own to free.
            return;
        }
        let has_ended = self.end().unwrap_or(false);
        for line in self.sockets.iter_mut().flatten().filter(|line| line.uses_memory()) {
            line.mailbox.leak();
        }
        if has_ended {
            self.release_files();
        }
    }
}
