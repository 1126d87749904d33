//! The spare backend: a child that is there before its client.
//!
//! The postmaster keeps some of them. Each polls the listening sockets (exclusively, so that one connection wakes one of
//! them), accepts without blocking, one connection at most, and then is a backend for that client. Behind the accept it
//! reads the postmaster's state word again: a connection that arrived in the very moment of a stop is told so. It tells the
//! postmaster that it is taken, so that another takes its place, and takes a connection slot only now.
//!
//! It ends at SIGTERM with 0 while it is spare, and at SIGUSR2 when there are too many; as a session it ignores SIGUSR2. If it sees the postmaster dead it shuts the listening sockets down, so that
//! nobody connects into nowhere, and leaves. Its crash is a crash restart, as a backend's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};

use super::backend;
use super::context::ProcessContext;
use super::kinds::Kind;
use super::server::signals;
use crate::ipc::wait_set::{Readiness, Socket};
use crate::ipc::{Interrupts, WaitEvent, WaitSet};
use crate::sync::Ordering;

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
    let Some(client) = wait_for_client(&mut ctx, &mut set, &sockets) else {
        set.leave();
        ctx.exit(0)
    };
    for socket in sockets {
        // A session must not keep the listening sockets open.
        drop(set.remove(socket));
    }
    ctx.me.slot().kind.store(Kind::Backend.number(), Ordering::Release);
    ctx.server.signal_postmaster(signals::SPARE_TAKEN);
    ctx.kind = Kind::Backend;
    backend::serve(ctx, set, client)
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
            for socket in sockets {
                let _ = shutdown(set.socket(socket), Shutdown::Both);
            }
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
