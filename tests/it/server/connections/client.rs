//! A client of the protocol over a std socket: what it sends is the test's, what it gets is text that tests compare.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tuskd::protocol::client::{BackendMessage, FrontendEncoder, next_message, transcript};

use crate::server::TestServer;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// See the module.
pub struct Client {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    /// The process that serves it, once it said so.
    pub pid: i32,
    /// The cancel key.
    pub secret: Vec<u8>,
}

impl Client {
    /// Over the Unix socket, nothing sent yet.
    pub fn unix(server: &TestServer) -> Self {
        let path = format!("/tmp/.s.PGSQL.{}", server.port);
        let stream = UnixStream::connect(path).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self::over(Box::new(stream))
    }

    /// Over the Unix socket, if anybody listens.
    pub fn try_unix(server: &TestServer) -> Option<Self> {
        let stream = UnixStream::connect(format!("/tmp/.s.PGSQL.{}", server.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Some(Self::over(Box::new(stream)))
    }

    /// Over TCP, nothing sent yet.
    pub fn tcp(server: &TestServer, host: &str) -> Self {
        let stream = TcpStream::connect((host, server.port)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self::over(Box::new(stream))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream, received: Vec::new(), pid: 0, secret: Vec::new() }
    }

    /// A session over the Unix socket.
    pub fn session(server: &TestServer, user: &str) -> Self {
        let mut client = Self::unix(server);
        let got = client.start(0, user, "postgres");
        assert_eq!(got.last().map(String::as_str), Some("Z I"), "{got:?}");
        client
    }

    /// Sends what `write` encodes.
    pub fn send(&mut self, write: impl FnOnce(&mut FrontendEncoder<'_>)) {
        let mut out = Vec::new();
        write(&mut FrontendEncoder::new(&mut out));
        self.send_bytes(&out);
    }

    /// Sends bytes. A server that has left already is no failure here: what is read tells.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// One byte, outside of any message.
    pub fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("an answer");
        byte[0]
    }

    /// Sends a startup packet and reads until the session is there or the connection ends.
    pub fn start(&mut self, minor: u16, user: &str, database: &str) -> Vec<String> {
        self.send(|out| out.startup(minor, &[("user", user), ("database", database)]));
        self.until_ready()
    }

    /// What a query string is answered.
    pub fn query(&mut self, sql: &str) -> Vec<String> {
        self.send(|out| out.query(sql));
        self.until_ready()
    }

    /// What a query string is answered, all of it, as files of answers have it.
    pub fn transcript(&mut self, sql: &str) -> String {
        self.send(|out| out.query(sql));
        let mut all = String::new();
        loop {
            while let Some((message, length)) = next_message(&self.received).expect("a well-formed message") {
                transcript::lines(&message).iter().for_each(|line| all += &format!("  {line}\n"));
                let is_ready = matches!(message, BackendMessage::ReadyForQuery(_));
                self.received.drain(..length);
                if is_ready {
                    return all;
                }
            }
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).expect("an answer");
            assert!(count > 0, "the server left after {sql}");
            self.received.extend(&bytes[..count]);
        }
    }

    /// The one value that a query answers.
    pub fn value(&mut self, sql: &str) -> String {
        let answer = self.query(sql);
        let row = answer.iter().find_map(|line| line.strip_prefix("D "));
        row.unwrap_or_else(|| panic!("{sql}: {answer:?}")).to_string()
    }

    /// An empty statement's answer.
    pub fn empty_query(&mut self) -> Vec<String> {
        self.send(|out| out.query(""));
        self.until_ready()
    }

    /// Messages until ReadyForQuery or the end of the connection, which is the text `EOF`.
    pub fn until_ready(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let one = self.next();
            let is_last = one.starts_with("Z ") || one == "EOF" || one == "RESET";
            all.push(one);
            if is_last {
                return all;
            }
        }
    }

    /// Everything until the connection ends.
    pub fn until_eof(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while all.last().is_none_or(|last| last != "EOF" && last != "RESET") {
            all.push(self.next());
        }
        all
    }

    /// The next message as text.
    pub fn next(&mut self) -> String {
        loop {
            if let Some((message, length)) = next_message(&self.received).expect("a well-formed message") {
                let text = shown(&message);
                if let BackendMessage::BackendKeyData { pid, secret } = message {
                    (self.pid, self.secret) = (pid, secret.to_vec());
                }
                self.received.drain(..length);
                return text;
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return "EOF".to_string(),
                Ok(count) => self.received.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return "RESET".to_string(),
                // The end of a child of the test.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }
}

fn shown(message: &BackendMessage<'_>) -> String {
    use BackendMessage as M;
    match message {
        M::AuthenticationOk => "R ok".to_string(),
        M::ParameterStatus { name, value } => format!("S {name}={value}"),
        M::BackendKeyData { secret, .. } => format!("K {}", secret.len()),
        M::ReadyForQuery(status) => format!("Z {}", char::from(*status)),
        M::NegotiateProtocolVersion { version, options } => format!("v {} {options:?}", version & 0xffff),
        M::EmptyQueryResponse => "I".to_string(),
        M::RowDescription(columns) => {
            let columns = columns.iter().map(|column| format!(" {}:{}", column.name, column.type_oid));
            format!("T{}", columns.collect::<String>())
        }
        M::DataRow(values) => format!("D{}", values.iter().map(value).collect::<String>()),
        M::CommandComplete { tag } => format!("C {tag}"),
        M::ParseComplete => "1".to_string(),
        M::BindComplete => "2".to_string(),
        M::CloseComplete => "3".to_string(),
        M::PortalSuspended => "s".to_string(),
        M::NoData => "n".to_string(),
        M::ParameterDescription(types) => {
            format!("t{}", types.iter().map(|oid| format!(" {oid}")).collect::<String>())
        }
        M::ErrorResponse(fields) | M::NoticeResponse(fields) => {
            format!("{} {}: {}", fields.severity(), fields.sqlstate(), fields.message())
        }
        other => format!("{other:?}"),
    }
}

/// A value with a blank before it: as text, in hexadecimal if it cannot be text.
fn value(value: Option<&[u8]>) -> String {
    match value {
        None => " NULL".to_string(),
        Some(bytes) if bytes.iter().any(|byte| *byte < b' ') => {
            format!(" \\x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Some(bytes) => format!(" {}", String::from_utf8_lossy(bytes)),
    }
}
