//! The wait set over a ring: which operations to start for a goal, and what their ends mean.
//!
//! `flights` has the operations themselves. A receive that is in flight when an exchange ends early stays there, and the
//! next exchange finds it; a send is ended, so that what is unsent is known and is kept.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::flights::Flights;
use super::line::{Line, Receive, is_transient};
use super::mailbox::Mailbox;
use super::ring_io::RingIo;
use super::types::{Readiness, Socket, SocketSet};
use super::{Goal, Method, free_place};
use crate::ipc::hangup::Lifeline;
use crate::ipc::latch::Latch;
use crate::sync::Monotonic;

impl Flights<'_> {
    /// Polls those that are not found ready yet. Whether one is.
    fn advance_ready(&mut self, sockets: &[(&Socket, Readiness)]) -> io::Result<bool> {
        let mut any = !self.others_done.is_empty();
        for (socket, wanted) in sockets {
            let line = self.line(socket.index());
            let mut polled = *wanted;
            if wanted.contains(Readiness::READABLE) && line.receive != Receive::Idle {
                // What the receive takes, no poll sees.
                polled = wanted.without(Readiness::READABLE);
                if let Receive::Done(_) = line.receive {
                    line.ready = line.ready | Readiness::READABLE;
                }
            }
            if line.ready.intersects(*wanted) {
                any = true;
            } else {
                self.poll(socket.index(), polled)?;
            }
        }
        Ok(any)
    }

    fn advance_send(&mut self, socket: usize, and_receive: bool) -> io::Result<bool> {
        let line = self.line(socket);
        if let Some(errno) = line.send_error.take() {
            line.mailbox.discard_unsent();
            return Err(io::Error::from_raw_os_error(errno));
        }
        if line.sending.is_some() {
            return Ok(false);
        }
        if line.mailbox.unsent().is_empty() {
            return Ok(true);
        }
        let chain = and_receive && line.receive == Receive::Idle;
        self.start_send(socket, chain)?;
        Ok(false)
    }

    fn advance_exchange(&mut self, socket: usize) -> io::Result<bool> {
        let line = self.line(socket);
        if let Receive::Done(result @ ..0) = line.receive {
            line.receive = Receive::Idle;
            if !is_transient(result) {
                return Err(io::Error::from_raw_os_error(-result));
            }
        }
        if matches!(line.receive, Receive::Done(_)) && line.sending.is_some() && line.silent {
            // Only behind a torn chain, see `Flights::reap`: the send may never say that it is done.
            self.end_send(socket)?;
        }
        let is_sent = self.advance_send(socket, true)?;
        let receive = self.line(socket).receive;
        if is_sent && receive == Receive::Idle {
            self.start_receive(socket)?;
        }
        Ok(is_sent && matches!(receive, Receive::Done(_)))
    }
}

impl<'s> Method<'s> for Flights<'s> {
    fn add(&mut self, fd: OwnedFd) -> io::Result<Socket> {
        let place = free_place(&mut self.sockets)?;
        self.sockets[place] = Some(Line::new(fd, Mailbox::default()));
        Ok(Socket(place as u8))
    }

    fn remove(&mut self, socket: usize) -> io::Result<OwnedFd> {
        let has_ended = self.end_all(socket);
        let mut line =
            self.sockets[socket].take().expect("only `remove` empties a place, and takes the name");
        match has_ended {
            Ok(true) => line.mailbox.wipe(),
            _ => line.mailbox.leak(),
        }
        has_ended.map(|_| line.fd)
    }

    fn socket(&self, socket: usize) -> BorrowedFd<'_> {
        self.sockets[socket].as_ref().expect("only `remove` empties a place, and takes the name").as_fd()
    }

    fn begin(&mut self, goal: Goal<'_>, send: &[u8]) -> io::Result<()> {
        match goal {
            Goal::Ready(_) => {
                for socket in 0..self.sockets.len() {
                    let Some(line) = &mut self.sockets[socket] else { continue };
                    line.ready = Readiness::NONE;
                    // One for an exclusive wake-up that nobody waits for any more would swallow it.
                    if !goal.concerns(socket) {
                        self.poll(socket, Readiness::NONE)?;
                    }
                }
            }
            Goal::Sent(socket) | Goal::Received(socket) => {
                // Only after an error a send can be in flight here.
                self.end_send(socket)?;
                let line = self.line(socket);
                line.mailbox.has_received(0);
                line.mailbox.append(send);
            }
        }
        Ok(())
    }

    fn advance(&mut self, goal: Goal<'_>) -> io::Result<bool> {
        match goal {
            Goal::Ready(sockets) => self.advance_ready(sockets),
            Goal::Sent(socket) => self.advance_send(socket, false),
            Goal::Received(socket) => self.advance_exchange(socket),
        }
    }

    fn announce(&self, latch: Latch<'_>) -> bool {
        latch.announce()
    }

    fn withdraw(&self, latch: Latch<'_>) {
        latch.withdraw();
    }

    fn sleep(&mut self, deadline: Option<Monotonic>) -> io::Result<bool> {
        Flights::sleep(self, deadline)
    }

    fn look(&mut self) -> io::Result<()> {
        Flights::look(self)
    }

    fn settle(&mut self, goal: Goal<'_>) -> io::Result<()> {
        match goal {
            Goal::Ready(_) => Ok(()),
            Goal::Sent(socket) | Goal::Received(socket) => self.end_send(socket),
        }
    }

    fn postmaster_dead(&self) -> bool {
        self.postmaster_dead
    }

    fn forget_postmaster(&mut self) {
        Flights::forget_postmaster(self);
    }

    fn ready(&self) -> (SocketSet, SocketSet) {
        SocketSet::of(self.sockets.iter().map(|line| line.as_ref().map_or(Readiness::NONE, |l| l.ready)))
    }

    fn io_finished(&self) -> bool {
        !self.others_done.is_empty()
    }

    fn unsent(&self, socket: usize) -> usize {
        self.sockets[socket].as_ref().map_or(0, |line| line.mailbox.unsent().len())
    }

    fn take_received(&mut self, socket: usize) -> Option<usize> {
        let line = self.line(socket);
        let Receive::Done(count @ 0..) = line.receive else { return None };
        if !line.mailbox.unsent().is_empty() {
            return None;
        }
        line.receive = Receive::Idle;
        line.mailbox.has_received(count as usize);
        Some(count as usize)
    }

    fn received(&self, socket: usize) -> &[u8] {
        self.sockets[socket].as_ref().map_or(&[], |line| line.mailbox.received())
    }

    fn hold(&mut self, lifeline: Lifeline, instance_lock: Option<BorrowedFd<'s>>) -> io::Result<()> {
        Flights::hold(self, lifeline, instance_lock)
    }

    fn rest(&mut self) -> io::Result<()> {
        self.begin(Goal::Ready(&[]), &[])?;
        if self.has_queued() { self.look() } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.release_files();
    }

    fn ring(&mut self) -> Option<RingIo<'_>> {
        Some(self.io())
    }
}
