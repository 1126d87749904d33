//! Requests and answers over a pair of sockets. The client writes and reads, as psql does; the server, a process of its
//! own, has a wait set.
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::{read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tuskd::ipc::wait_set::{IoMethod, WaitSet};
use tuskd::ipc::{Proc, WaitEvent};

use super::Measured;
use super::peer::{ForkedPeer, Placement};
use super::world::World;

/// A short request and a short answer.
const MESSAGE: [u8; 64] = [0x5a; 64];

/// A client with a server at the other end.
pub struct Exchanges {
    // Dropped first, before what it uses.
    _server: ForkedPeer,
    client: OwnedFd,
}

impl Exchanges {
    /// The server sleeps in its ring.
    pub fn by_ring(placement: Placement) -> Self {
        Self::start(World::new(1, &[]), IoMethod::IoUring, placement)
    }

    /// The server sleeps in epoll.
    pub fn by_epoll(placement: Placement) -> Self {
        Self::start(World::new(1, &[]), IoMethod::Sync, placement)
    }

    fn start(mut world: World, method: IoMethod, placement: Placement) -> Self {
        let (family, cloexec) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
        let (client, connection) =
            socketpair(family, SocketType::STREAM, cloexec, None).expect("making a socket pair");
        let choice = method.choose().expect("this bench needs io_uring");
        let id = world.claim();
        let server = ForkedPeer::spawn(placement, || {
            let me = world.enter(id);
            let mut wait_set = WaitSet::new(me, choice, None).expect("making a wait set");
            // At once, not after some exchanges.
            assert_eq!(wait_set.ring().is_some(), method == IoMethod::IoUring);
            serve(me, wait_set, connection.try_clone().expect("copying a descriptor"));
        });
        Self { _server: server, client }
    }
}

/// The server's loop.
fn serve(me: &Proc<'_>, mut wait_set: WaitSet<'_>, connection: OwnedFd) {
    let connection = wait_set.add(connection).expect("adding a socket");
    let mut answer: &[u8] = &[];
    loop {
        let end = wait_set.exchange(me, &connection, answer, None, WaitEvent::CLIENT_READ);
        assert_eq!(end.expect("the client stays").received, Some(MESSAGE.len()));
        answer = &MESSAGE;
    }
}

impl Measured for Exchanges {
    fn measure(&mut self, iterations: u64) -> Duration {
        let mut answer = MESSAGE;
        let started = Instant::now();
        for _ in 0..iterations {
            write(&self.client, &MESSAGE).expect("writing to a socket");
            assert_eq!(read(&self.client, &mut answer).expect("reading from a socket"), MESSAGE.len());
        }
        started.elapsed()
    }
}
