//! Messages from one process to another through the kernel: a pipe, a Unix stream socket.
//!
//! The writer makes one system call per message. The reader, on the other CPU, reads what has
//! come, up to 8 KiB at a time, as libpq and PostgreSQL's backends do.
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::{read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

use super::Measured;
use super::eventfd::EventFd;
use super::peer::{ForkedPeer, Placement};
use super::ping_pong::Doorbell;

/// How much the reader asks for at a time.
const READ_BYTES: usize = 8192;

/// A byte stream with a reader at its end.
pub struct Stream {
    // Dropped first, before what it uses.
    _reader: ForkedPeer,
    writer: OwnedFd,
    message: Vec<u8>,
    /// Carries to the reader how many bytes are to come.
    announced: EventFd,
    /// Rung by the reader when it has them all.
    received: EventFd,
}

impl Stream {
    /// Through a pipe.
    pub fn pipe(message_bytes: usize) -> Self {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("making a pipe");
        Self::start(&reader, writer, message_bytes)
    }

    /// Through a pair of stream sockets.
    pub fn unix_socket(message_bytes: usize) -> Self {
        let (family, cloexec) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
        let (reader, writer) =
            socketpair(family, SocketType::STREAM, cloexec, None).expect("making a socket pair");
        Self::start(&reader, writer, message_bytes)
    }

    fn start(reader: &OwnedFd, writer: OwnedFd, message_bytes: usize) -> Self {
        let (announced, received) = (EventFd::new(), EventFd::new());
        let peer = ForkedPeer::spawn(Placement::OtherCore, || {
            let mut buffer = [0; READ_BYTES];
            loop {
                let mut missing = announced.take();
                while missing > 0 {
                    missing -= read(reader, &mut buffer).expect("reading a stream") as u64;
                }
                received.ring();
            }
        });
        Self { _reader: peer, writer, message: vec![0x5a; message_bytes], announced, received }
    }

    fn send(&self) {
        let mut rest = &self.message[..];
        while !rest.is_empty() {
            rest = &rest[write(&self.writer, rest).expect("writing to a stream")..];
        }
    }
}

impl Measured for Stream {
    fn measure(&mut self, iterations: u64) -> Duration {
        self.announced.add(iterations * self.message.len() as u64);
        let started = Instant::now();
        for _ in 0..iterations {
            self.send();
        }
        self.received.wait();
        started.elapsed()
    }
}
