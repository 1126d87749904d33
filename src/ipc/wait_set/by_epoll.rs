//! The wait set where there is no ring: non-blocking calls first, `epoll_wait` when they have nothing to do.
//!
//! Sockets stay registered between waits as long as they are waited for in the same way, so a session that only exchanges
//! makes no `epoll_ctl` call after its first.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::flights::Flights;
use super::mailbox::Mailbox;
use super::ring_io::RingIo;
use super::types::{Readiness, Socket, SocketSet};
use super::{Goal, MAX_SOCKETS, Method, free_place};
use crate::ipc::hangup::Lifeline;
use crate::ipc::latch::Latch;
use crate::os::epoll::{Epoll, Interest};
use crate::os::signal::{self, SignalSet};
use crate::os::socket::{receive_now, send_now};
use crate::sync::Monotonic;

/// What epoll says of the postmaster; smaller numbers are sockets.
const POSTMASTER: u64 = MAX_SOCKETS as u64;

/// See the module.
pub(super) struct ByEpoll<'s> {
    epoll: Epoll,
    /// Lets in the signal that says that the latch is set.
    sleep_mask: SignalSet,
    thread: u32,
    postmaster: Option<BorrowedFd<'s>>,
    postmaster_dead: bool,
    sockets: Vec<Option<Line>>,
    /// A process without a ring has nothing in flight that could outlive it, so this hangs up with it.
    lifeline: Option<Lifeline>,
    /// Not needed here; a ring will hold it.
    instance_lock: Option<BorrowedFd<'s>>,
}

struct Line {
    fd: OwnedFd,
    mailbox: Mailbox,
    finished_receive: Option<usize>,
    /// As registered with epoll; none if it is not.
    watched: Readiness,
    ready: Readiness,
}

impl<'s> ByEpoll<'s> {
    /// For the calling thread.
    pub fn new(postmaster: Option<BorrowedFd<'s>>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let (sleep_mask, thread) = (signal::prepare_wakeable()?, signal::this_thread());
        if let Some(postmaster) = postmaster {
            epoll.add(postmaster, POSTMASTER, Interest::IN)?;
        }
        let sockets = Vec::new();
        Ok(Self {
            epoll,
            sleep_mask,
            thread,
            postmaster,
            postmaster_dead: false,
            sockets,
            lifeline: None,
            instance_lock: None,
        })
    }

    /// A ring's wait set that goes on where this one stops, between two waits: sockets keep their places, and what of their
    /// bytes is unsent or received stays so. If it fails, nothing has happened.
    pub fn move_to_ring(&mut self, latch: Latch<'s>) -> io::Result<Flights<'s>> {
        let mut flights = Flights::new(latch, self.postmaster)?;
        flights.postmaster_dead = self.postmaster_dead;
        if let Some(lifeline) = &mut self.lifeline {
            flights.register(lifeline, self.instance_lock)?;
            flights.lifeline = self.lifeline.take();
        }
        let to_line = |line: Line| super::line::Line::new(line.fd, line.mailbox);
        flights.sockets = self.sockets.drain(..).map(|line| line.map(to_line)).collect();
        Ok(flights)
    }

    fn line(&self, socket: usize) -> &Line {
        self.sockets[socket].as_ref().expect("only `remove` empties a place, and takes the name")
    }

    fn line_mut(&mut self, socket: usize) -> &mut Line {
        self.sockets[socket].as_mut().expect("only `remove` empties a place, and takes the name")
    }

    fn watch(&mut self, socket: usize, wanted: Readiness) -> io::Result<()> {
        let Some(line) = self.sockets[socket].as_mut() else { return Ok(()) };
        let (fd, data, before) = (line.fd.as_fd(), socket as u64, line.watched);
        if before == wanted {
            return Ok(());
        }
        // The kernel does not change exclusive ones, so those are taken out and put in.
        let is_exclusive = (before | wanted).contains(Readiness::EXCLUSIVE);
        if before == Readiness::NONE {
            self.epoll.add(fd, data, to_interest(wanted))?;
        } else if wanted == Readiness::NONE || is_exclusive {
            self.epoll.remove(fd)?;
            line.watched = Readiness::NONE;
            return self.watch(socket, wanted);
        } else {
            self.epoll.modify(fd, data, to_interest(wanted))?;
        }
        line.watched = wanted;
        Ok(())
    }

    /// Sends what can be sent. Whether that was all.
    fn send_all(&mut self, socket: usize) -> io::Result<bool> {
        let line = self.line_mut(socket);
        while !line.mailbox.unsent().is_empty() {
            match send_now(line.fd.as_fd(), line.mailbox.unsent()) {
                Ok(Some(count)) => line.mailbox.has_sent(count),
                Ok(None) => return Ok(false),
                Err(error) => {
                    line.mailbox.discard_unsent();
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    fn receive(&mut self, socket: usize) -> io::Result<bool> {
        let line = self.line_mut(socket);
        line.finished_receive = receive_now(line.fd.as_fd(), line.mailbox.room())?;
        line.mailbox.has_received(line.finished_receive.unwrap_or(0));
        Ok(line.finished_receive.is_some())
    }

    /// Whether the deadline passed.
    fn wait(&mut self, deadline: Option<Monotonic>) -> io::Result<bool> {
        for event in self.epoll.wait_with(&self.sleep_mask, deadline)? {
            match event.data {
                POSTMASTER => self.postmaster_dead = true,
                socket => {
                    if let Some(line) = self.sockets[socket as usize].as_mut() {
                        line.ready = line.ready | to_readiness(event.flags, line.watched);
                    }
                }
            }
        }
        Ok(deadline.is_some_and(|deadline| Monotonic::now() >= deadline))
    }
}

impl<'s> Method<'s> for ByEpoll<'s> {
    fn add(&mut self, fd: OwnedFd) -> io::Result<Socket> {
        let place = free_place(&mut self.sockets)?;
        self.sockets[place] = Some(Line {
            fd,
            mailbox: Mailbox::default(),
            finished_receive: None,
            watched: Readiness::NONE,
            ready: Readiness::NONE,
        });
        Ok(Socket(place as u8))
    }

    fn remove(&mut self, socket: usize) -> io::Result<OwnedFd> {
        self.watch(socket, Readiness::NONE)?;
        let line = self.sockets[socket].take();
        let mut line = line.expect("only `remove` empties a place, and takes the name");
        line.mailbox.wipe();
        Ok(line.fd)
    }

    fn socket(&self, socket: usize) -> BorrowedFd<'_> {
        self.line(socket).fd.as_fd()
    }

    fn begin(&mut self, goal: Goal<'_>, send: &[u8]) -> io::Result<()> {
        for socket in 0..self.sockets.len() {
            // What nobody wants would end the sleep over and over.
            if !goal.concerns(socket) {
                self.watch(socket, Readiness::NONE)?;
            }
            if let Some(line) = &mut self.sockets[socket] {
                line.ready = Readiness::NONE;
            }
        }
        match goal {
            Goal::Ready(wanted) => {
                for (socket, wanted) in wanted {
                    self.watch(socket.index(), *wanted)?;
                }
            }
            Goal::Sent(socket) | Goal::Received(socket) => {
                let mailbox = &mut self.line_mut(socket).mailbox;
                mailbox.has_received(0);
                mailbox.append(send);
            }
        }
        Ok(())
    }

    fn advance(&mut self, goal: Goal<'_>) -> io::Result<bool> {
        match goal {
            Goal::Ready(wanted) => {
                Ok(wanted.iter().any(|(socket, wanted)| self.line(socket.index()).ready.intersects(*wanted)))
            }
            Goal::Sent(socket) | Goal::Received(socket) => {
                if !self.send_all(socket)? {
                    self.watch(socket, Readiness::WRITABLE)?;
                    return Ok(false);
                }
                if matches!(goal, Goal::Sent(_)) || self.receive(socket)? {
                    return Ok(true);
                }
                self.watch(socket, Readiness::READABLE)?;
                Ok(false)
            }
        }
    }

    fn announce(&self, latch: Latch<'_>) -> bool {
        latch.announce_in_epoll(self.thread)
    }

    fn withdraw(&self, latch: Latch<'_>) {
        latch.withdraw_in_epoll();
    }

    fn sleep(&mut self, deadline: Option<Monotonic>) -> io::Result<bool> {
        self.wait(deadline)
    }

    fn look(&mut self) -> io::Result<()> {
        self.wait(Some(Monotonic::from_nanos(0))).map(|_| ())
    }

    fn settle(&mut self, _goal: Goal<'_>) -> io::Result<()> {
        Ok(())
    }

    fn postmaster_dead(&self) -> bool {
        self.postmaster_dead
    }

    fn forget_postmaster(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            let _ = self.epoll.remove(postmaster);
        }
        self.postmaster_dead = false;
    }

    fn ready(&self) -> (SocketSet, SocketSet) {
        SocketSet::of(self.sockets.iter().map(|line| line.as_ref().map_or(Readiness::NONE, |l| l.ready)))
    }

    fn io_finished(&self) -> bool {
        false
    }

    fn unsent(&self, socket: usize) -> usize {
        self.line(socket).mailbox.unsent().len()
    }

    fn take_received(&mut self, socket: usize) -> Option<usize> {
        self.line_mut(socket).finished_receive.take()
    }

    fn received(&self, socket: usize) -> &[u8] {
        self.line(socket).mailbox.received()
    }

    fn hold(&mut self, lifeline: Lifeline, instance_lock: Option<BorrowedFd<'s>>) -> io::Result<()> {
        self.lifeline = Some(lifeline);
        self.instance_lock = instance_lock;
        Ok(())
    }

    fn rest(&mut self) -> io::Result<()> {
        self.begin(Goal::Ready(&[]), &[])
    }

    fn leave(&mut self) {
        // Nothing is in flight without a ring; the end of the process closes everything.
    }

    fn ring(&mut self) -> Option<RingIo<'_>> {
        None
    }
}

fn to_interest(wanted: Readiness) -> Interest {
    let bits = [
        (Readiness::READABLE, Interest::IN),
        (Readiness::WRITABLE, Interest::OUT),
        (Readiness::EXCLUSIVE, Interest::EXCLUSIVE),
    ];
    bits.iter().filter(|(bit, _)| wanted.contains(*bit)).map(|(_, flag)| *flag).collect()
}

/// A hang-up or an error makes a socket ready for whatever is wanted of it: the call will tell.
fn to_readiness(found: Interest, watched: Readiness) -> Readiness {
    let has = |flag: Interest, bit: Readiness| {
        let is_found = found.intersects(flag | Interest::HUP | Interest::ERR);
        if is_found && watched.contains(bit) { bit } else { Readiness::NONE }
    };
    has(Interest::IN, Readiness::READABLE) | has(Interest::OUT, Readiness::WRITABLE)
}
