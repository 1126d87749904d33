//! A small client for measurements and checks: connects, asks, and collects what it is told.
//!
//! In the measured paths it looks at nothing but the messages' headers: what a client does with a message is not the
//! server's time. Errors and notices are decoded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tuskd::protocol::client::{BackendMessage, Fields, FrontendEncoder, next_message, transcript};

use super::server::{Server, USER};

/// How long a server may be silent.
const TIMEOUT: Duration = Duration::from_secs(15);

/// An error or a notice.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named as in PostgreSQL's documentation")]
pub struct Told {
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
}

impl Told {
    fn new(fields: &Fields<'_>) -> Self {
        let field = |code| fields.get(code).unwrap_or_default().to_owned();
        Self {
            severity: field(b'V'),
            sqlstate: field(b'C'),
            message: field(b'M'),
            detail: field(b'D'),
            hint: field(b'H'),
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection.
pub struct Client {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    /// The backend, if it said who it is.
    pub pid: i32,
    /// Errors and notices so far.
    pub told: Vec<Told>,
}

/// How far the server came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// It is ready for a query.
    Ready,
    /// It closed the connection.
    Closed,
}

impl Client {
    /// Over a Unix socket, not yet greeted.
    pub fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self::over(Box::new(stream)))
    }

    /// Over TCP, not yet greeted.
    pub fn open_tcp(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self::over(Box::new(stream)))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream, received: Vec::new(), pid: 0, told: Vec::new() }
    }

    /// A session of the superuser.
    pub fn connect(socket: &Path) -> Result<Self> {
        let mut client = Self::open(socket)?;
        match client.greet(USER)? {
            Came::Ready => Ok(client),
            Came::Closed => bail!("refused: {:?}", client.told),
        }
    }

    /// The same with a server.
    pub fn of(server: &Server) -> Result<Self> {
        Self::connect(&server.socket()).with_context(|| server.log_tail())
    }

    /// Sends the startup packet and waits.
    pub fn greet(&mut self, user: &str) -> Result<Came> {
        let mut packet = Vec::new();
        FrontendEncoder::new(&mut packet).startup(0, &[("user", user), ("database", "postgres")]);
        self.stream.write_all(&packet)?;
        self.wait()
    }

    /// Sends a query and waits for its end; its errors are in `told`.
    pub fn query(&mut self, sql: &str) -> Result<Came> {
        let mut message = Vec::new();
        FrontendEncoder::new(&mut message).query(sql);
        self.stream.write_all(&message)?;
        self.wait()
    }

    /// Sends messages that end with a Sync and waits for its answer.
    pub fn exchange(&mut self, messages: &[u8]) -> Result<Came> {
        self.stream.write_all(messages)?;
        self.wait()
    }

    /// The rows that a query answers, their values one after the other; an error if it fails.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        self.transcribe(sql, &mut lines)?;
        if let Some(error) = lines.iter().find(|line| line.starts_with("error ")) {
            bail!("{sql}: {error}");
        }
        Ok(lines.iter().filter_map(|line| Some(line.strip_prefix("row ")?.to_owned())).collect())
    }

    /// Sends a query and does not wait for its answer.
    pub fn begin(&mut self, sql: &str) -> Result<()> {
        let mut message = Vec::new();
        FrontendEncoder::new(&mut message).query(sql);
        Ok(self.stream.write_all(&message)?)
    }

    /// Whether a statement is answered without an error.
    pub fn answers(&mut self, sql: &str) -> Result<bool> {
        let before = self.told.len();
        Ok(self.query(sql)? == Came::Ready && self.told.len() == before)
    }

    /// Sends a query and writes down all that it is answered.
    pub fn transcribe(&mut self, sql: &str, lines: &mut Vec<String>) -> Result<Came> {
        let mut message = Vec::new();
        FrontendEncoder::new(&mut message).query(sql);
        self.stream.write_all(&message)?;
        loop {
            while let Some(length) = self.whole_message() {
                let decoded = next_message(&self.received).map_err(|report| anyhow!("{}", report.message))?;
                lines.extend(decoded.iter().flat_map(|(message, _)| transcript::lines(message)));
                let is_ready = self.received[0] == b'Z';
                self.received.drain(..length);
                if is_ready {
                    return Ok(Came::Ready);
                }
            }
            if self.receive()? == Came::Closed {
                return Ok(Came::Closed);
            }
        }
    }

    /// Says goodbye.
    pub fn terminate(mut self) -> Result<()> {
        let mut message = Vec::new();
        FrontendEncoder::new(&mut message).terminate();
        Ok(self.stream.write_all(&message)?)
    }

    /// Reads until the server is ready or has closed the connection.
    pub fn wait(&mut self) -> Result<Came> {
        loop {
            while let Some(length) = self.whole_message() {
                let is_ready = self.received[0] == b'Z';
                if matches!(self.received[0], b'E' | b'N' | b'K') {
                    self.look()?;
                }
                self.received.drain(..length);
                if is_ready {
                    return Ok(Came::Ready);
                }
            }
            if self.receive()? == Came::Closed {
                return Ok(Came::Closed);
            }
        }
    }

    /// Waits for more bytes.
    fn receive(&mut self) -> Result<Came> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => Ok(Came::Closed),
            Ok(count) => {
                self.received.extend_from_slice(&chunk[..count]);
                Ok(Came::Ready)
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(Came::Closed),
            Err(error) => Err(error).context("waiting for the server"),
        }
    }

    /// Length of the message at the front, if it is all there.
    fn whole_message(&self) -> Option<usize> {
        let header: &[u8; 5] = self.received.first_chunk()?;
        let length = 1 + u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        (length <= self.received.len()).then_some(length)
    }

    fn look(&mut self) -> Result<()> {
        let message = next_message(&self.received).map_err(|report| anyhow!("{}", report.message))?;
        match message.map(|(message, _)| message) {
            Some(BackendMessage::ErrorResponse(fields) | BackendMessage::NoticeResponse(fields)) => {
                let told = Told::new(&fields);
                self.told.push(told);
            }
            Some(BackendMessage::BackendKeyData { pid, .. }) => self.pid = pid,
            _ => {}
        }
        Ok(())
    }
}
