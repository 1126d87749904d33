//! The spare backend: a child that is there before its client.
//!
//! The postmaster keeps some of them. Each polls the listening sockets (exclusively, so that one connection wakes one of
//! them), accepts without blocking, one connection at most, and then is a backend for that client. Behind the accept it
//! reads the postmaster's state word again: a connection that arrived in the very moment of a stop is told so. It tells the
//! postmaster that it is taken, so that another takes its place, and takes a connection slot only now.
//!
//! With `session_reuse` a backend whose client left in order becomes a spare again: nothing of the session is left but what
//! the allocator has not given out again; what the client sent and was sent is zeroed. After anything else than an orderly
//! end, after a reload, when the server stops, or when the process has grown, it ends and another takes its place.
//!
//! It ends at SIGTERM with 0 while it is spare, and at SIGUSR2 when there are too many; as a session it ignores SIGUSR2. If
//! it sees the postmaster dead it shuts the listening sockets down, so that nobody connects into nowhere, and leaves. Its
//! crash is a crash restart, as a backend's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, accept_with};

use super::backend::{self, Served};
use super::connection::shut_down;
use super::context::ProcessContext;
use super::kinds::Kind;
use super::server::signals;
use crate::config::{self, Settings};
use crate::ipc::wait_set::{Readiness, Socket};
use crate::ipc::{Interrupts, WaitEvent, WaitSet};
use crate::os::process;
use crate::sync::{Ordering, fence};

/// Clients that one process serves, one after the other.
const MOST_CLIENTS: u32 = 1000;

/// A process that has grown by so much since its first client is not used again.
const MOST_GROWTH_KB: u64 = 8 * 1024;

/// Its life.
pub fn main(mut ctx: ProcessContext<'_>) -> ! {
    let mut set = ctx.wait_set();
    let listeners = ctx.server.listeners.take();
    let mut sockets: Vec<Socket> = Vec::new();
    for listener in listeners {
        match set.add(listener.fd) {
            Ok(socket) => sockets.push(socket),
            Err(error) => ctx.die(&format!("could not wait for connections: {error}")),
        }
    }
    ctx.set_running();
    let mut reuse = Reuse::new(&ctx);
    loop {
        let Some(client) = wait_for_client(&mut ctx, &mut set, &sockets) else {
            // The kernel takes a ring apart some time after its process: until then its polls would swallow wake-ups
            // that are meant for one of those who live.
            let _ = set.rest();
            set.leave();
            ctx.exit(0)
        };
        become_backend(&mut ctx, &mut set, &sockets);
        if reuse.is_none() || ctx.reloaded {
            // A session must not keep the listening sockets open.
            for socket in sockets.drain(..) {
                drop(set.remove(socket));
            }
        }
        let mut served = backend::serve(&mut ctx, set, client, sockets);
        let reusable = reuse.as_mut().filter(|_| served.is_clean);
        let Some(reuse) = reusable.and_then(|reuse| reuse.may_come_back(&ctx).then_some(reuse)) else {
            served.connection.leave();
            ctx.exit(served.code)
        };
        (set, sockets) = reuse.come_back(&mut ctx, served);
    }
}

/// The process has a client now, and says so: from here on it is no spare.
fn become_backend(ctx: &mut ProcessContext<'_>, set: &mut WaitSet<'_>, sockets: &[Socket]) {
    ctx.me.slot().kind.store(Kind::Backend.number(), Ordering::SeqCst);
    ctx.kind = Kind::Backend;
    if let Err(error) = set.rest() {
        ctx.die(&format!("could not end waiting for connections: {error}"));
    }
    if ctx.server.spares.take() {
        ctx.server.signal_postmaster(signals::SPARE_TAKEN);
    }
    // This process may have been woken for two sockets, and another for none of them.
    if sockets.len() > 1 && has_waiting(set, sockets) {
        ctx.server.signal_postmaster(signals::CLIENT_MISSED);
    }
}

/// Whether somebody waits to be accepted.
fn has_waiting(set: &WaitSet<'_>, sockets: &[Socket]) -> bool {
    let as_poll = |socket| PollFd::from_borrowed_fd(set.socket(socket), PollFlags::IN);
    let mut polls: Vec<PollFd<'_>> = sockets.iter().map(as_poll).collect();
    matches!(poll(&mut polls, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
}

/// What a process that serves many clients remembers between them.
struct Reuse {
    /// The settings as they were before its first client.
    settings: Settings,
    memory_kb: u64,
    clients: u32,
}

impl Reuse {
    /// `None` if it is not wanted.
    fn new(ctx: &ProcessContext<'_>) -> Option<Self> {
        ctx.settings.get(config::SESSION_REUSE).then(|| Self {
            settings: ctx.settings.clone(),
            memory_kb: process::peak_memory_kb(),
            clients: 0,
        })
    }

    /// Whether the process, whose client has left in order and whose connection slot is given back, may be a spare again.
    fn may_come_back(&mut self, ctx: &ProcessContext<'_>) -> bool {
        // Either the postmaster, when it begins to drain, sees the connection slot free, or this sees it drain.
        fence(Ordering::SeqCst);
        self.clients += 1;
        let ends = Interrupts::TERMINATE | Interrupts::LEAVE | Interrupts::RELOAD;
        self.clients < MOST_CLIENTS
            && !ctx.reloaded
            && ctx.server.accepts_connections()
            && ctx.me.pending_interrupts().intersection(ends).is_empty()
            && process::peak_memory_kb() <= self.memory_kb + MOST_GROWTH_KB
            && ctx.me.slot().critical_sections.load(Ordering::Relaxed) == 0
    }

    /// Makes the process a spare as if it had just been forked; it ends if there are enough.
    fn come_back<'s>(&self, ctx: &mut ProcessContext<'s>, served: Served<'s>) -> (WaitSet<'s>, Vec<Socket>) {
        let (set, sockets) = match served.connection.end() {
            Ok(left) => left,
            Err(error) => ctx.die(&format!("could not close a connection: {error}")),
        };
        ctx.settings.clone_from(&self.settings);
        ctx.speaker = None;
        ctx.lines = Default::default();
        ctx.started = Timestamp::now();
        let slot = ctx.id.slot();
        ctx.server.activities.clear(slot);
        ctx.server.activities.of(slot).begin(ctx.started.as_microsecond() as u64, "", 0);
        // What was meant for the old session is not for the next.
        ctx.me.take_interrupts(Interrupts::CANCEL | Interrupts::MESSAGE);
        ctx.kind = Kind::SpareBackend;
        ctx.title.reset();
        ctx.me.slot().kind.store(Kind::SpareBackend.number(), Ordering::SeqCst);
        match ctx.server.spares.come_back() {
            Some(true) => ctx.server.signal_postmaster(signals::SPARE_BACK),
            Some(false) => {}
            None => self.leave(ctx, set),
        }
        (set, sockets)
    }

    fn leave(&self, ctx: &ProcessContext<'_>, mut set: WaitSet<'_>) -> ! {
        set.leave();
        ctx.exit(0)
    }
}

/// Waits until there is one; `None` when it is time to leave.
fn wait_for_client(
    ctx: &mut ProcessContext<'_>,
    set: &mut WaitSet<'_>,
    sockets: &[Socket],
) -> Option<OwnedFd> {
    let wanted: Vec<(&Socket, Readiness)> =
        sockets.iter().map(|socket| (socket, Readiness::READABLE | Readiness::EXCLUSIVE)).collect();
    loop {
        let woken = match set.wait(ctx.me, &wanted, None, WaitEvent::SPARE_ACCEPT) {
            Ok(woken) => woken,
            Err(error) => ctx.die(&format!("could not wait for connections: {error}")),
        };
        if woken.postmaster_dead {
            shut_down(set, sockets);
            return None;
        }
        ctx.me.latch().reset();
        let taken = ctx.me.take_interrupts(Interrupts::ALL);
        if !taken.intersection(Interrupts::TERMINATE | Interrupts::LEAVE).is_empty() {
            return None;
        }
        if taken.contains(Interrupts::RELOAD) {
            ctx.reload();
        }
        let ready = sockets.iter().filter(|socket| woken.readable.contains(socket));
        for socket in ready {
            // Another may have been faster.
            if let Some(client) = accept(set.socket(socket)) {
                return Some(client);
            }
        }
    }
}

/// Accepts a connection if there is one.
pub fn accept(listener: BorrowedFd<'_>) -> Option<OwnedFd> {
    accept_with(listener.as_fd(), SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).ok()
}
