//! Round trips between two processes: A wakes B, B wakes A, and both sleep in between.
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::{read, write};
use rustix::pipe::{PipeFlags, pipe_with};

use super::Measured;
use super::peer::{ForkedPeer, Placement};

/// A way for one process to wake another. Made before the fork, by both sides' common ancestor.
pub trait Doorbell {
    /// One that has not been rung.
    fn new() -> Self;

    /// Called once by the process that is going to wait, before anyone rings.
    fn own(&mut self);

    /// Wakes the owner, now or at its next wait.
    fn ring(&self);

    /// Sleeps until somebody has rung since the last wait.
    fn wait(&self);
}

/// Two processes that wake each other in turn.
pub struct PingPong<D> {
    // Dropped first, before what it uses.
    _peer: ForkedPeer,
    to_peer: D,
    to_us: D,
}

impl<D: Doorbell> PingPong<D> {
    /// Starts the peer and waits until it is ready.
    pub fn start(placement: Placement) -> Self {
        let (mut to_peer, mut to_us) = (D::new(), D::new());
        to_us.own();
        let peer = ForkedPeer::spawn(placement, || {
            to_peer.own();
            // The first ring says that we own our bell.
            loop {
                to_us.ring();
                to_peer.wait();
            }
        });
        to_us.wait();
        Self { _peer: peer, to_peer, to_us }
    }
}

impl<D: Doorbell> Measured for PingPong<D> {
    fn measure(&mut self, iterations: u64) -> Duration {
        let started = Instant::now();
        for _ in 0..iterations {
            self.to_peer.ring();
            self.to_us.wait();
        }
        started.elapsed()
    }
}

/// A pipe through which one byte goes for each ring.
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Doorbell for Pipe {
    fn new() -> Self {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("making a pipe");
        Self { reader, writer }
    }

    fn own(&mut self) {}

    fn ring(&self) {
        write(&self.writer, &[0]).expect("writing to a pipe");
    }

    fn wait(&self) {
        read(&self.reader, &mut [0]).expect("reading from a pipe");
    }
}
