//! A client's connection: bytes in, bytes out, through TLS if it is on.
//!
//! What is to be sent gathers in [`Connection::out`]; one [`Connection::exchange`] sends it and waits for the client's next
//! bytes, which is one system call where there is io_uring. Interrupts come through the latch and are the caller's to
//! handle.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{Shutdown, shutdown};

use crate::ipc::last_words::LastWords;
use crate::ipc::wait_set::Socket;
use crate::ipc::{Proc, WaitEvent, WaitSet};
use crate::protocol::tls::TlsSession;
use crate::report::Report;
use crate::sync::Monotonic;

/// Room for bytes to be sent that is kept between two exchanges.
const KEPT_ROOM: usize = 64 * 1024;

/// What an exchange brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Got {
    /// More bytes in [`Connection::received`], or everything is sent.
    Bytes,
    /// The client has left.
    Eof,
    /// The latch is set: look at the interrupts.
    Latch,
    /// The deadline passed.
    TimedOut,
    /// The postmaster is dead.
    PostmasterDead,
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub enum Broken {
    /// The network.
    Io(io::Error),
    /// TLS.
    Tls(Box<Report>),
}

/// See the module.
pub struct Connection<'s> {
    set: WaitSet<'s>,
    socket: Socket,
    tls: Option<Box<TlsSession>>,
    last_words: &'s LastWords<'s>,
    /// Sockets that the process will wait for again when this session is over.
    listeners: Vec<Socket>,
    /// The postmaster's death ends no wait.
    outlives_postmaster: bool,
    /// Bytes that an interrupted wait left.
    unsent: usize,
    /// Plain bytes that have come and are not consumed yet.
    pub received: Vec<u8>,
    /// Plain bytes to be sent.
    pub out: Vec<u8>,
}

impl<'s> Connection<'s> {
    /// Over a socket that was accepted; `listeners` are sockets of `set` that the process keeps.
    pub fn new(
        mut set: WaitSet<'s>,
        socket: OwnedFd,
        listeners: Vec<Socket>,
        last_words: &'s LastWords<'s>,
    ) -> io::Result<Self> {
        let socket = set.add(socket)?;
        Ok(Self {
            set,
            socket,
            tls: None,
            last_words,
            listeners,
            outlives_postmaster: false,
            unsent: 0,
            received: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Closes the socket; what is left serves the process's next client. Nothing of this one's bytes is left.
    pub fn end(mut self) -> io::Result<(WaitSet<'s>, Vec<Socket>)> {
        self.last_words.disarm();
        for buffer in [&mut self.received, &mut self.out] {
            wipe(buffer);
        }
        let Self { mut set, socket, listeners, .. } = self;
        drop(set.remove(socket)?);
        Ok((set, listeners))
    }

    /// The socket, for its options and addresses.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.set.socket(&self.socket)
    }

    /// From here on SIGQUIT tells the client why it ends the session. Never through TLS: the handler cannot encrypt.
    pub fn answer_quit(&self) {
        if self.tls.is_none() {
            self.last_words.arm(self.socket());
        }
    }

    /// From here on the postmaster's death ends no wait.
    pub fn forget_postmaster(&mut self) {
        self.outlives_postmaster = true;
        if self.listeners.is_empty() {
            self.set.forget_postmaster();
        }
    }

    /// The postmaster is dead. Whoever sees that first shuts the listening sockets down, so that nobody connects into
    /// nowhere. Whether the session is to be told.
    fn mourn(&mut self) -> bool {
        shut_down(&self.set, &self.listeners);
        if self.outlives_postmaster {
            self.set.forget_postmaster();
        }
        !self.outlives_postmaster
    }

    /// The process is about to end.
    pub fn leave(&mut self) {
        self.last_words.disarm();
        self.set.leave();
    }

    /// See [`WaitSet::take_no_ring`].
    pub fn take_no_ring(&mut self) -> Option<io::Error> {
        self.set.take_no_ring()
    }

    /// TLS, if it is on.
    pub fn tls(&self) -> Option<&TlsSession> {
        self.tls.as_deref()
    }

    /// From here on everything goes through TLS; what has been received already is its beginning.
    pub fn begin_tls(&mut self, mut session: TlsSession) -> Result<(), Broken> {
        let ahead = std::mem::take(&mut self.received);
        let taken = session.receive(&ahead);
        session.take_plaintext(&mut self.received);
        self.tls = Some(Box::new(session));
        taken.map_err(Broken::Tls)
    }

    /// Sends what there is to send and waits for bytes.
    pub fn exchange(
        &mut self,
        me: &Proc<'_>,
        deadline: Option<Monotonic>,
        event: WaitEvent,
    ) -> Result<Got, Broken> {
        loop {
            let wire = self.wire_bytes()?;
            self.last_words.sending(wire.len() + self.unsent);
            let end = self.set.exchange(me, &self.socket, &wire, deadline, event).map_err(Broken::Io)?;
            self.unsent = end.unsent;
            self.last_words.sent(end.unsent == 0);
            self.keep_room(wire);
            match end.received {
                Some(0) => return Ok(Got::Eof),
                Some(_) if self.take_received()? => return Ok(Got::Bytes),
                // Bytes of TLS itself.
                Some(_) => {}
                None if end.latch_set => {
                    me.latch().reset();
                    return Ok(Got::Latch);
                }
                None if end.postmaster_dead && self.mourn() => return Ok(Got::PostmasterDead),
                None if end.timed_out => return Ok(Got::TimedOut),
                None => {}
            }
        }
    }

    /// One step of TLS's handshake: sends what TLS has to say and waits for the peer's bytes.
    pub fn handshake(&mut self, me: &Proc<'_>, deadline: Monotonic) -> Result<Got, Broken> {
        let wire = self.wire_bytes()?;
        let event = WaitEvent::CLIENT_READ;
        let end = self.set.exchange(me, &self.socket, &wire, Some(deadline), event).map_err(Broken::Io)?;
        Ok(match end.received {
            Some(0) => Got::Eof,
            Some(_) => {
                self.take_received()?;
                // The last flight goes out with the first answer; nothing may be left unsent while this side waits.
                self.flush(me, Some(deadline))?
            }
            None if end.latch_set => {
                me.latch().reset();
                Got::Latch
            }
            None if end.postmaster_dead => Got::PostmasterDead,
            None => Got::TimedOut,
        })
    }

    /// Sends what there is to send, and nothing else: before a long statement's next rows, or the last words.
    pub fn flush(&mut self, me: &Proc<'_>, deadline: Option<Monotonic>) -> Result<Got, Broken> {
        let wire = self.wire_bytes()?;
        let mut unsent: &[u8] = &wire;
        self.last_words.sending(wire.len() + self.unsent);
        loop {
            let end = self.set.send(me, &self.socket, unsent, deadline, WaitEvent::CLIENT_WRITE);
            let end = end.map_err(Broken::Io)?;
            unsent = &[];
            self.unsent = end.unsent;
            self.last_words.sent(end.unsent == 0);
            if end.unsent == 0 {
                return Ok(Got::Bytes);
            }
            if end.latch_set {
                me.latch().reset();
                return Ok(Got::Latch);
            }
            if end.timed_out {
                return Ok(Got::TimedOut);
            }
            if end.postmaster_dead && self.mourn() {
                return Ok(Got::PostmasterDead);
            }
        }
    }

    /// Takes the memory of bytes that were handed on, for the next ones: a short session's answers are of one size.
    fn keep_room(&mut self, mut wire: Vec<u8>) {
        if self.out.capacity() == 0 && wire.capacity() <= KEPT_ROOM {
            wire.clear();
            self.out = wire;
        }
    }

    /// What is to be sent as it goes over the wire.
    fn wire_bytes(&mut self) -> Result<Vec<u8>, Broken> {
        let plain = std::mem::take(&mut self.out);
        let Some(tls) = &mut self.tls else { return Ok(plain) };
        let mut wire = Vec::new();
        tls.flush(&mut wire);
        if !plain.is_empty() {
            tls.send(&plain, &mut wire).map_err(Broken::Tls)?;
        }
        Ok(wire)
    }

    /// Takes what the last exchange received; `false` if it was all TLS's own.
    fn take_received(&mut self) -> Result<bool, Broken> {
        let bytes = self.set.received(&self.socket);
        let before = self.received.len();
        match &mut self.tls {
            None => self.received.extend_from_slice(bytes),
            Some(tls) => {
                let taken = tls.receive(bytes);
                tls.take_plaintext(&mut self.received);
                taken.map_err(Broken::Tls)?;
            }
        }
        Ok(self.received.len() > before)
    }
}

/// Lets nobody connect to these sockets any more, in whatever process has them.
pub fn shut_down(set: &WaitSet<'_>, listeners: &[Socket]) {
    for listener in listeners {
        let _ = shutdown(set.socket(listener), Shutdown::Both);
    }
}

/// Zeroes all the memory of a buffer.
fn wipe(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(buffer.capacity(), 0);
    buffer.clear();
}
