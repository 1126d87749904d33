//! `pg_isready`: whether a server accepts connections, by a startup packet and the first answer to it.
//!
//! An answer that asks for a password says as much as one that lets us in; of the refusals only 57P03 (starting up,
//! shutting down, in recovery) means that a connection of anybody would be refused.

mod target;

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::getopt::{self, Opt, Parsed, flag, value};
use super::help;
use super::program::{Failure, Outcome, Program, say};
use crate::os::clock::Monotonic;
use target::Target;

const OPTIONS: &[Opt] = &[
    value('d', "dbname"),
    value('h', "host"),
    value('p', "port"),
    flag('q', "quiet"),
    value('t', "timeout"),
    value('U', "username"),
    flag('V', "version"),
    flag('?', "help"),
];

const DEFAULT_TIMEOUT_S: u32 = 3;

/// Longest answer that is looked at; an error's fields are far shorter.
const MAX_ANSWER: usize = 30_000;

/// What a server's silence or answer means; the values are exit codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Accepting = 0,
    Rejecting = 1,
    NoResponse = 2,
    NoAttempt = 3,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Accepting => "accepting connections",
            Self::Rejecting => "rejecting connections",
            Self::NoResponse => "no response",
            Self::NoAttempt => "no attempt",
        }
    }
}

/// The command.
pub fn main(program: &Program, args: &[String]) -> Outcome {
    let no_attempt = |failure: Failure| failure.with_code(Verdict::NoAttempt as u8);
    match args.first().map(String::as_str) {
        Some("--help" | "-?") => {
            say(&help::pg_isready());
            return Ok(0);
        }
        Some("--version" | "-V") => {
            say(&help::version(program.name));
            return Ok(0);
        }
        _ => {}
    }
    let parsed = getopt::parse(OPTIONS, false, args).map_err(Failure::getopt).map_err(no_attempt)?;
    if parsed.has("help") {
        say(&help::pg_isready());
        return Ok(0);
    }
    if let Some(operand) = parsed.operands.first() {
        let message = format!("too many command-line arguments (first is \"{operand}\")");
        return Err(no_attempt(Failure::usage(message)));
    }
    let timeout = timeout(&parsed).map_err(no_attempt)?;
    let target = match target::of(&parsed) {
        Ok(target) => target,
        Err(problem) => {
            if !parsed.has("quiet") {
                say(&format!("{}\n", Verdict::NoAttempt.words()));
            }
            return Err(no_attempt(Failure::new(problem)));
        }
    };
    let verdict = ask(&target, timeout);
    if !parsed.has("quiet") {
        say(&format!("{}:{} - {}\n", target.hosts, target.ports, verdict.words()));
    }
    Ok(verdict as u8)
}

/// `None`: without limit. As in libpq, what is no number counts as none, and one second is too short.
fn timeout(parsed: &Parsed) -> Result<Option<Duration>, Failure> {
    let seconds = match parsed.last("timeout") {
        None => DEFAULT_TIMEOUT_S,
        Some(text) => {
            let wrong = |_| Failure::usage(format!("invalid timeout \"{text}\""));
            text.trim().parse().map_err(wrong)?
        }
    };
    Ok((seconds > 0).then(|| Duration::from_secs(seconds.max(2).into())))
}

/// The best answer of all hosts.
fn ask(target: &Target, timeout: Option<Duration>) -> Verdict {
    let mut best = Verdict::NoResponse;
    for (host, port) in target.addresses() {
        // A server that takes connections and says nothing is none.
        match ask_one(target, &host, port, timeout) {
            Ok(Verdict::Accepting) => return Verdict::Accepting,
            Ok(Verdict::Rejecting) => best = Verdict::Rejecting,
            Ok(_) | Err(_) => {}
        }
    }
    best
}

fn ask_one(target: &Target, host: &str, port: u16, timeout: Option<Duration>) -> io::Result<Verdict> {
    let deadline = timeout.map(|timeout| Monotonic::now().saturating_add(timeout));
    if host.starts_with('/') || host.starts_with('@') {
        let stream = unix_stream(host, port)?;
        stream.set_write_timeout(timeout)?;
        return converse(&stream, target, |stream| stream.set_read_timeout(left(deadline)?));
    }
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        let connected = match left(deadline)? {
            Some(left) => TcpStream::connect_timeout(&address, left),
            None => TcpStream::connect(address),
        };
        match connected {
            Ok(stream) => {
                stream.set_write_timeout(timeout)?;
                return converse(&stream, target, |stream| stream.set_read_timeout(left(deadline)?));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn unix_stream(directory: &str, port: u16) -> io::Result<UnixStream> {
    let path = format!("{directory}/.s.PGSQL.{port}");
    match path.strip_prefix('@') {
        None => UnixStream::connect(path),
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            UnixStream::connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)
        }
    }
}

/// What remains; an error when nothing does.
fn left(deadline: Option<Monotonic>) -> io::Result<Option<Duration>> {
    let Some(deadline) = deadline else {
        return Ok(None);
    };
    match deadline.saturating_since(Monotonic::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(Some(left)),
    }
}

/// Sends the startup packet and reads until an answer says something.
fn converse<S>(stream: &S, target: &Target, before_read: impl Fn(&S) -> io::Result<()>) -> io::Result<Verdict>
where
    for<'a> &'a S: Read + Write,
{
    let mut both = stream;
    both.write_all(&startup_packet(&target.user, &target.database))?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        if let Some(verdict) = judge(&bytes) {
            // X: the session that was perhaps begun is over.
            let _ = both.write_all(&[b'X', 0, 0, 0, 4]);
            return Ok(verdict);
        }
        before_read(stream)?;
        match both.read(&mut buffer) {
            Ok(0) => return Ok(Verdict::NoResponse),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Length, protocol 3.0, names and values, a NUL.
fn startup_packet(user: &str, database: &str) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    for text in ["user", user, "database", database, "application_name", "pg_isready"] {
        body.extend(text.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    body.push(0);
    let len = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], &body].concat()
}

/// What the bytes so far mean; `None` if there must be more.
fn judge(mut bytes: &[u8]) -> Option<Verdict> {
    loop {
        let (kind, rest) = bytes.split_first()?;
        let len = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        if !(4..=MAX_ANSWER).contains(&len) {
            return Some(Verdict::NoResponse);
        }
        let body = rest.get(4..len)?;
        match kind {
            b'R' => return Some(Verdict::Accepting),
            b'E' if sqlstate(body) == Some(b"57P03") => return Some(Verdict::Rejecting),
            b'E' => return Some(Verdict::Accepting),
            // A notice, or a protocol version to agree on: more is to come.
            b'N' | b'v' => bytes = &rest[len..],
            _ => return Some(Verdict::NoResponse),
        }
    }
}

/// The field `C` of an error's fields, each a letter and a text that ends in NUL.
fn sqlstate(fields: &[u8]) -> Option<&[u8]> {
    fields.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"C"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = (body.len() + 4) as u32;
        [&[kind][..], &len.to_be_bytes(), body].concat()
    }

    #[test]
    fn answers_are_judged() {
        let starting = message(b'E', b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0");
        let full = message(b'E', b"SFATAL\0C53300\0Msorry, too many clients already\0\0");
        let notice = message(b'N', b"SNOTICE\0C00000\0\0");
        for (bytes, expected) in [
            (message(b'R', &[0, 0, 0, 10]), Some(Verdict::Accepting)),
            (starting.clone(), Some(Verdict::Rejecting)),
            (full, Some(Verdict::Accepting)),
            ([notice.clone(), starting.clone()].concat(), Some(Verdict::Rejecting)),
            (notice, None),
            (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), Some(Verdict::NoResponse)),
            (vec![b'E', 0, 0, 0, 3], Some(Verdict::NoResponse)),
            (vec![], None),
        ] {
            assert_eq!(judge(&bytes), expected, "{bytes:?}");
        }
        for len in 0..starting.len() {
            assert_eq!(judge(&starting[..len]), None, "{len}");
        }
    }

    #[test]
    fn the_packet_says_its_length() {
        let packet = startup_packet("me\0", "db");
        assert_eq!(packet[..4], (packet.len() as u32).to_be_bytes());
        assert_eq!(&packet[4..20], b"\0\x03\0\0user\0me\0data");
        assert!(packet.ends_with(b"pg_isready\0\0"));
    }
}
