//! One wait for everything a process waits for at once: its own latch, its sockets, a deadline, the postmaster's death.
//!
//! A process makes its [`WaitSet`] after the fork. There are two implementations behind it:
//!
//! - `by_ring`: an io_uring. A wait for the latch's word and one for the postmaster's end stay armed in it, so a round trip
//!   with a client ([`WaitSet::exchange`]) is one `io_uring_enter`, which sends the answer, receives the next request and
//!   sleeps until that is there.
//! - `by_epoll`: `send`, `recv`, and `epoll_pwait2` when there is nothing to receive. A futex can't be waited for there, so
//!   who sets the latch sends a signal, see `latch`.
//!
//! A wait set begins with epoll. Where io_uring is to be used ([`IoMethod::choose`]) it moves to a ring when it has proved
//! busy, since making a ring and taking it apart costs as much as many exchanges, and since a ring's pages count against the
//! user's `RLIMIT_MEMLOCK`: a thousand idle sessions need none. If a ring can't be had, it stays with epoll for good.
//!
//! This file has what both share: the loop around the sleep. Its order makes that no wake-up is lost, as `latch` explains:
//! look, announce on the latch's word, sleep only if that was not set, withdraw, look again. How a sleep ended is never
//! believed: the kernel hides signals from a ring that has just submitted, and a late wake-up may be meant for the wait
//! before. So after each one the loop looks at everything again.
//!
//! Sockets belong to the wait set from [`WaitSet::add`] to [`WaitSet::remove`]. The ring may be receiving ahead, so once a
//! socket was used with `exchange`, its bytes come from there only.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::hangup::Lifeline;
use super::latch::Latch;
use super::proc::Proc;
use super::wait_event::WaitEvent;
use crate::sync::Monotonic;

mod by_epoll;
mod by_ring;
mod flights;
mod line;
mod mailbox;
mod ring_io;
#[cfg(test)]
mod tests;
mod types;

use by_epoll::ByEpoll;
use flights::Flights;

pub use ring_io::RingIo;
pub use types::{
    Choice, Exchange, IoMethod, MAX_SOCKETS, NewError, NoRing, Readiness, Socket, SocketSet, Wakeup,
};

/// Bytes that one exchange can receive.
pub const RECEIVE_SIZE: usize = 16 * 1024;

/// Exchanges by epoll before a wait set moves to a ring.
const EXCHANGES_BEFORE_RING: u32 = 32;

/// See the module.
pub struct WaitSet<'s> {
    means: Means<'s>,
    latch: Latch<'s>,
    /// Exchanges until it moves to a ring; `None`: never, or it has.
    moves_after: Option<u32>,
    /// Why it could not, until somebody asks.
    no_ring: Option<io::Error>,
}

/// The implementation in use.
enum Means<'s> {
    Epoll(ByEpoll<'s>),
    Ring(Box<Flights<'s>>),
}

impl<'s> Means<'s> {
    fn get(&self) -> &dyn Method<'s> {
        match self {
            Self::Epoll(epoll) => epoll,
            Self::Ring(flights) => &**flights,
        }
    }

    fn get_mut(&mut self) -> &mut dyn Method<'s> {
        match self {
            Self::Epoll(epoll) => epoll,
            Self::Ring(flights) => &mut **flights,
        }
    }
}

/// What a wait is for, beside what always ends one.
#[derive(Clone, Copy)]
enum Goal<'a> {
    /// One of these sockets is as wanted.
    Ready(&'a [(&'a Socket, Readiness)]),
    /// Everything is sent.
    Sent(usize),
    /// Everything is sent, and something received.
    Received(usize),
}

impl Goal<'_> {
    /// Whether it is about this socket.
    fn concerns(self, socket: usize) -> bool {
        match self {
            Self::Ready(wanted) => wanted.iter().any(|(wanted, _)| wanted.index() == socket),
            Self::Sent(goal) | Self::Received(goal) => goal == socket,
        }
    }
}

/// The first free place for a socket.
fn free_place<T>(sockets: &mut Vec<Option<T>>) -> io::Result<usize> {
    if let Some(place) = sockets.iter().position(Option::is_none) {
        return Ok(place);
    }
    if sockets.len() == MAX_SOCKETS {
        return Err(io::Error::other(format!("a wait set holds at most {MAX_SOCKETS} sockets")));
    }
    sockets.push(None);
    Ok(sockets.len() - 1)
}

/// One of the two implementations. The loop of [`WaitSet::run`] calls `begin`, then `advance` before and after each sleep
/// or look, then `settle`.
trait Method<'s> {
    fn add(&mut self, socket: OwnedFd) -> io::Result<Socket>;
    fn remove(&mut self, socket: usize) -> io::Result<OwnedFd>;
    fn socket(&self, socket: usize) -> BorrowedFd<'_>;

    /// Forgets what the last wait found, and puts `send` behind what is still to be sent.
    fn begin(&mut self, goal: Goal<'_>, send: &[u8]) -> io::Result<()>;
    /// Starts what is missing for the goal. Whether it is reached.
    fn advance(&mut self, goal: Goal<'_>) -> io::Result<bool>;
    /// See [`Latch::announce`].
    fn announce(&self, latch: Latch<'_>) -> bool;
    /// See [`Latch::withdraw`].
    fn withdraw(&self, latch: Latch<'_>);
    /// Sleeps until something happened that may matter. Whether `deadline` passed. The latch is announced.
    fn sleep(&mut self, deadline: Option<Monotonic>) -> io::Result<bool>;
    /// Finds out what has happened so far.
    fn look(&mut self) -> io::Result<()>;
    /// Ends what must not go on between two waits: nothing is being sent after it.
    fn settle(&mut self, goal: Goal<'_>) -> io::Result<()>;

    fn postmaster_dead(&self) -> bool;
    /// See [`WaitSet::forget_postmaster`].
    fn forget_postmaster(&mut self);
    fn ready(&self) -> (SocketSet, SocketSet);
    fn io_finished(&self) -> bool;
    /// Bytes not sent yet.
    fn unsent(&self, socket: usize) -> usize;
    /// Takes the result of a finished receive.
    fn take_received(&mut self, socket: usize) -> Option<usize>;
    fn received(&self, socket: usize) -> &[u8];

    fn hold(&mut self, lifeline: Lifeline, instance_lock: Option<BorrowedFd<'s>>) -> io::Result<()>;
    /// See [`WaitSet::rest`].
    fn rest(&mut self) -> io::Result<()>;
    /// See [`WaitSet::leave`].
    fn leave(&mut self);
    fn ring(&mut self) -> Option<RingIo<'_>>;
}

impl<'s> WaitSet<'s> {
    /// A wait set for this process, without sockets. `postmaster` is a pidfd. Only in the process `me` itself, after the
    /// fork, and in one of its threads: a child that inherits a wait set can do nothing with it but drop it.
    pub fn new(me: &Proc<'s>, choice: Choice, postmaster: Option<BorrowedFd<'s>>) -> Result<Self, NewError> {
        let means = Means::Epoll(ByEpoll::new(postmaster)?);
        let moves_after = choice.uses_ring().then_some(EXCHANGES_BEFORE_RING);
        Ok(Self { means, latch: me.latch(), moves_after, no_ring: None })
    }

    /// Moves to a ring, once; whatever comes of it, it is not tried again. Not inside of a wait.
    #[cold]
    fn move_to_ring(&mut self) {
        self.moves_after = None;
        let Means::Epoll(epoll) = &mut self.means else { return };
        match epoll.move_to_ring(self.latch) {
            // The epoll instance closes, and with it goes all that it watched.
            Ok(flights) => self.means = Means::Ring(Box::new(flights)),
            Err(error) => self.no_ring = Some(error),
        }
    }

    /// One exchange more; by a ring from now on if it is time.
    #[inline]
    fn count_exchange(&mut self) {
        match &mut self.moves_after {
            None => {}
            Some(0) => self.move_to_ring(),
            Some(left) => *left -= 1,
        }
    }

    /// Why there is no ring although there should be one by now; once. Nothing is lost but speed.
    pub fn take_no_ring(&mut self) -> Option<io::Error> {
        self.no_ring.take()
    }

    /// Takes over a socket, connected or listening, blocking or not. At most [`MAX_SOCKETS`] at a time.
    pub fn add(&mut self, socket: impl Into<OwnedFd>) -> io::Result<Socket> {
        self.means.get_mut().add(socket.into())
    }

    /// Gives a socket back. What was received ahead of the last exchange, and what is unsent, is lost; the memory that its
    /// bytes went through is zeroed.
    #[expect(clippy::needless_pass_by_value, reason = "the name must not be used any more")]
    pub fn remove(&mut self, socket: Socket) -> io::Result<OwnedFd> {
        self.means.get_mut().remove(socket.index())
    }

    /// The descriptor of a socket, for accepting from it and for its options; see the module about reading from it.
    pub fn socket(&self, socket: &Socket) -> BorrowedFd<'_> {
        self.means.get().socket(socket.index())
    }

    /// Waits until one of `sockets` is as wanted, the own latch is set, the postmaster is dead, other I/O of the ring is
    /// finished, or the deadline passed. Looks at all of them even if the latch is set already.
    ///
    /// A socket may be found ready and yet be empty when it is looked at, if other processes have it too.
    pub fn wait(
        &mut self,
        me: &Proc<'_>,
        sockets: &[(&Socket, Readiness)],
        deadline: Option<Monotonic>,
        event: WaitEvent,
    ) -> io::Result<Wakeup> {
        let timed_out = self.run(me, Goal::Ready(sockets), &[], deadline, event)?;
        let (readable, writable) = self.means.get().ready();
        Ok(Wakeup {
            latch_set: self.latch.is_set(),
            postmaster_dead: self.means.get().postmaster_dead(),
            timed_out,
            io_finished: self.means.get().io_finished(),
            readable,
            writable,
        })
    }

    /// Sends `bytes` (maybe none), then waits for the peer's next ones, of which [`Self::received`] then has at most
    /// [`RECEIVE_SIZE`]. Nothing counts as received before everything is sent. The own latch, the postmaster's death and the deadline end it early; call it again, with what is
    /// to be sent in addition, to go on. An error means that the connection is of no use any more.
    ///
    /// `bytes` are copied: the kernel may still be sending them when this returns early.
    pub fn exchange(
        &mut self,
        me: &Proc<'_>,
        socket: &Socket,
        bytes: &[u8],
        deadline: Option<Monotonic>,
        event: WaitEvent,
    ) -> io::Result<Exchange> {
        self.count_exchange();
        let timed_out = self.run(me, Goal::Received(socket.index()), bytes, deadline, event)?;
        let received = self.means.get_mut().take_received(socket.index());
        Ok(Exchange { received, ..self.exchanged(socket, timed_out) })
    }

    /// Sends `bytes` without receiving anything. Otherwise as [`Self::exchange`].
    pub fn send(
        &mut self,
        me: &Proc<'_>,
        socket: &Socket,
        bytes: &[u8],
        deadline: Option<Monotonic>,
        event: WaitEvent,
    ) -> io::Result<Exchange> {
        let timed_out = self.run(me, Goal::Sent(socket.index()), bytes, deadline, event)?;
        Ok(self.exchanged(socket, timed_out))
    }

    /// Waits for no socket any more, until the next wait. What happened to one before this returns may be lost to other
    /// processes that wait for it exclusively: look at it again.
    pub fn rest(&mut self) -> io::Result<()> {
        self.means.get_mut().rest()
    }

    /// What the last [`Self::exchange`] received; empty if it received nothing.
    pub fn received(&self, socket: &Socket) -> &[u8] {
        self.means.get().received(socket.index())
    }

    /// From here on the postmaster's death ends no wait: for sessions that go on without it.
    pub fn forget_postmaster(&mut self) {
        self.means.get_mut().forget_postmaster();
    }

    /// Holds the process's end of its hang-up pipe, and the instance lock, until this wait set is gone and nothing that
    /// was submitted to its ring is on its way any more. See `hangup`.
    pub fn hold(&mut self, lifeline: Lifeline, instance_lock: Option<BorrowedFd<'s>>) -> io::Result<()> {
        self.means.get_mut().hold(lifeline, instance_lock)
    }

    /// The process is about to end by [`exit_now`](crate::os::process::exit_now): lets go of what [`Self::hold`] holds, if
    /// nothing that others care for is in flight. The rest is the kernel's to end, which costs it less than being asked
    /// for each thing; dropping this first would do the same, slower. Polls stay armed for some time after the process's
    /// end: [`Self::rest`] first if others wait for the same sockets exclusively.
    pub fn leave(&mut self) {
        self.means.get_mut().leave();
    }

    /// The ring, for the process's other I/O; `None`: there is none. A process has one ring, so that one sleep waits for
    /// everything. Who asks for it is busy enough: it is made at once.
    pub fn ring(&mut self) -> Option<RingIo<'_>> {
        if self.moves_after.is_some() {
            self.move_to_ring();
        }
        self.means.get_mut().ring()
    }

    fn exchanged(&self, socket: &Socket, timed_out: bool) -> Exchange {
        Exchange {
            received: None,
            unsent: self.means.get().unsent(socket.index()),
            latch_set: self.latch.is_set(),
            postmaster_dead: self.means.get().postmaster_dead(),
            timed_out,
        }
    }

    /// The whole of a wait. Whether the deadline passed.
    fn run(
        &mut self,
        me: &Proc<'_>,
        goal: Goal<'_>,
        send: &[u8],
        deadline: Option<Monotonic>,
        event: WaitEvent,
    ) -> io::Result<bool> {
        debug_assert!(std::ptr::eq(me.latch().word(), self.latch.word()), "made for another process");
        self.means.get_mut().begin(goal, send)?;
        let ended = self.run_until_ended(me, goal, deadline, event);
        // After an error too, as sending must not go on unseen.
        self.means.get_mut().settle(goal)?;
        ended
    }

    fn run_until_ended(
        &mut self,
        me: &Proc<'_>,
        goal: Goal<'_>,
        deadline: Option<Monotonic>,
        event: WaitEvent,
    ) -> io::Result<bool> {
        let method = self.means.get_mut();
        let mut timed_out = false;
        let mut has_looked = false;
        loop {
            let is_reached = method.advance(goal)?;
            let is_over = self.latch.is_set() || method.postmaster_dead() || timed_out;
            if is_reached || (has_looked && is_over) {
                return Ok(timed_out);
            }
            let may_sleep = method.announce(self.latch) && !method.postmaster_dead();
            let looked = if may_sleep {
                me.waiting(event, || method.sleep(deadline))
            } else {
                method.look().map(|()| false)
            };
            method.withdraw(self.latch);
            timed_out = looked?;
            has_looked = true;
        }
    }
}
