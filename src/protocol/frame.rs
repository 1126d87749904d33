//! Cutting the stream of a running session into messages: type, length, body.
//!
//! A frame is checked as early as its bytes allow: the type by its first byte, the length by the fifth. So a client can
//! make nobody wait for, or keep room for, more than a message of its type may have.

use super::message::FrontendMessage;
use crate::report::{Report, Result, SqlState};

/// Which messages may come now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The answer to AuthenticationCleartextPassword.
    Password,
    /// The answer to AuthenticationSASL.
    SaslInitial,
    /// The answer to AuthenticationSASLContinue.
    Sasl,
    /// The answer to AuthenticationGSS or SSPI.
    Gss,
    /// A session's main loop.
    Session,
    /// COPY FROM STDIN runs and awaits data.
    CopyIn,
}

/// A message's type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "named as in PostgreSQL's documentation")]
pub enum MessageKind {
    Query,
    Parse,
    Bind,
    Describe,
    Execute,
    Close,
    Flush,
    Sync,
    FunctionCall,
    CopyData,
    CopyDone,
    CopyFail,
    Terminate,
    /// Its meaning depends on the [`Phase`].
    Authentication,
}

/// What a length word may say of messages that carry no statement or data. It counts itself.
const SMALL_LIMIT: u32 = 10_000;
/// The same of those that do: 1 GB less 2.
const LARGE_LIMIT: u32 = 0x3fff_fffe;
/// The same of answers to requests for authentication.
const AUTHENTICATION_LIMIT: u32 = 65_535;
/// A type byte and a length word.
const HEADER: usize = 5;

impl MessageKind {
    /// The message with this type byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'Q' => Self::Query,
            b'P' => Self::Parse,
            b'B' => Self::Bind,
            b'D' => Self::Describe,
            b'E' => Self::Execute,
            b'C' => Self::Close,
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'F' => Self::FunctionCall,
            b'd' => Self::CopyData,
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail,
            b'X' => Self::Terminate,
            b'p' => Self::Authentication,
            _ => return None,
        })
    }

    /// Its type byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Query => b'Q',
            Self::Parse => b'P',
            Self::Bind => b'B',
            Self::Describe => b'D',
            Self::Execute => b'E',
            Self::Close => b'C',
            Self::Flush => b'H',
            Self::Sync => b'S',
            Self::FunctionCall => b'F',
            Self::CopyData => b'd',
            Self::CopyDone => b'c',
            Self::CopyFail => b'f',
            Self::Terminate => b'X',
            Self::Authentication => b'p',
        }
    }

    const fn limit(self) -> u32 {
        match self {
            Self::Query | Self::Parse | Self::Bind | Self::FunctionCall | Self::CopyData => LARGE_LIMIT,
            Self::Authentication => AUTHENTICATION_LIMIT,
            _ => SMALL_LIMIT,
        }
    }
}

/// One whole message, its body not yet looked at.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its type.
    pub kind: MessageKind,
    /// Its bytes behind the length word.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Bytes of the stream that it takes; to be dropped from the receive buffer however decoding it ends.
    pub const fn length(&self) -> usize {
        HEADER + self.body.len()
    }

    /// What it says.
    ///
    /// # Errors
    ///
    /// `ERROR` 08P01 or 22021 if its body is malformed; `FATAL` during authentication.
    pub fn decode(&self, phase: Phase) -> Result<FrontendMessage<'a>> {
        super::message::decode(self.kind, self.body, phase)
    }
}

/// What stands at the front of the receive buffer.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// A whole message.
    Frame(Frame<'a>),
    /// Not yet a whole message: the buffer must have at least this many bytes before asking again makes sense. Grow the
    /// buffer as bytes come, not to this length at once.
    NeedMore(usize),
}

/// The message at the front of `received`.
///
/// # Errors
///
/// 08P01 for a type that does not exist or may not come in `phase`, or a length that such a message cannot have. `FATAL`,
/// except that a wrong type during COPY is an `ERROR` for the COPY to report before
/// [`synchronization_lost`] ends the session.
pub fn next_frame(received: &[u8], phase: Phase) -> Result<Next<'_>> {
    let Some(&byte) = received.first() else {
        return Ok(Next::NeedMore(HEADER));
    };
    let kind = admitted(byte, phase)?;
    let Some(length) = received[1..].first_chunk::<4>() else {
        return Ok(Next::NeedMore(HEADER));
    };
    let length = u32::from_be_bytes(*length);
    if length < 4 || length > kind.limit() {
        return Err(fatal("invalid message length"));
    }
    let total = 1 + length as usize;
    Ok(match received.get(HEADER..total) {
        Some(body) => Next::Frame(Frame { kind, body }),
        None => Next::NeedMore(total),
    })
}

/// Ends a session whose stream can no longer be followed.
#[track_caller]
pub fn synchronization_lost() -> Box<Report> {
    fatal("terminating connection because protocol synchronization was lost")
}

fn admitted(byte: u8, phase: Phase) -> Result<MessageKind> {
    use MessageKind as K;
    let kind = MessageKind::from_byte(byte);
    let expected = match phase {
        Phase::Session => {
            return match kind {
                Some(K::Authentication) | None => Err(fatal(format!("invalid frontend message type {byte}"))),
                Some(kind) => Ok(kind),
            };
        }
        Phase::CopyIn => {
            return match kind {
                Some(kind @ (K::CopyData | K::CopyDone | K::CopyFail | K::Flush | K::Sync)) => Ok(kind),
                _ => Err(Report::error(
                    SqlState::PROTOCOL_VIOLATION,
                    format!("unexpected message type 0x{byte:02X} during COPY from stdin"),
                )),
            };
        }
        Phase::Password => "password",
        Phase::SaslInitial | Phase::Sasl => "SASL",
        Phase::Gss => "GSS",
    };
    match kind {
        Some(kind @ K::Authentication) => Ok(kind),
        _ => Err(fatal(format!("expected {expected} response, got message type {byte}"))),
    }
}

#[track_caller]
fn fatal(message: impl Into<String>) -> Box<Report> {
    Report::fatal(SqlState::PROTOCOL_VIOLATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Severity;

    #[test]
    fn frames_are_cut_one_after_another() {
        let stream = b"Q\0\0\0\x06a\0S\0\0\0\x04";
        let Next::Frame(first) = next_frame(stream, Phase::Session).unwrap() else { panic!("no frame") };
        assert_eq!((first.kind, first.body, first.length()), (MessageKind::Query, &b"a\0"[..], 7));
        let Next::Frame(second) = next_frame(&stream[7..], Phase::Session).unwrap() else {
            panic!("no frame")
        };
        assert_eq!((second.kind, second.body, second.length()), (MessageKind::Sync, &b""[..], 5));
    }

    #[test]
    fn what_is_missing_is_said() {
        for (received, needed) in
            [(&b""[..], 5), (b"Q", 5), (b"Q\0\0\0", 5), (b"Q\0\0\0\x06", 7), (b"Q\0\0\0\x06a", 7)]
        {
            let next = next_frame(received, Phase::Session).unwrap();
            assert!(matches!(next, Next::NeedMore(bytes) if bytes == needed), "{received:?}: {next:?}");
        }
    }

    #[test]
    fn bad_frames_are_refused_as_soon_as_they_show() {
        use Severity::{Error, Fatal};
        let lost = "invalid message length";
        let cases: [(&[u8], Phase, Severity, &str); 13] = [
            (b"!", Phase::Session, Fatal, "invalid frontend message type 33"),
            (b"\0", Phase::Session, Fatal, "invalid frontend message type 0"),
            (b"p", Phase::Session, Fatal, "invalid frontend message type 112"),
            (b"Q\0\0\0\x03", Phase::Session, Fatal, lost),
            (b"Q\x3f\xff\xff\xff", Phase::Session, Fatal, lost),
            (b"Q\xff\xff\xff\xff", Phase::Session, Fatal, lost),
            (b"S\0\0\x27\x11", Phase::Session, Fatal, lost),
            (b"p\0\x01\0\0", Phase::Password, Fatal, lost),
            (b"Q", Phase::Password, Fatal, "expected password response, got message type 81"),
            (b"Q", Phase::SaslInitial, Fatal, "expected SASL response, got message type 81"),
            (b"\x16", Phase::Sasl, Fatal, "expected SASL response, got message type 22"),
            (b"X", Phase::Gss, Fatal, "expected GSS response, got message type 88"),
            (b"Q", Phase::CopyIn, Error, "unexpected message type 0x51 during COPY from stdin"),
        ];
        for (received, phase, severity, message) in cases {
            let report = next_frame(received, phase).unwrap_err();
            assert_eq!((report.severity, &*report.message), (severity, message), "{received:?}");
            assert_eq!(report.sqlstate, SqlState::PROTOCOL_VIOLATION);
        }
    }

    #[test]
    fn limits_are_postgresql_s() {
        for received in [b"S\0\0\x27\x10", b"Q\x3f\xff\xff\xfe"] {
            assert!(matches!(next_frame(received, Phase::Session), Ok(Next::NeedMore(_))));
        }
    }

    #[test]
    fn types_and_bytes_correspond() {
        let kinds = (0..=u8::MAX).filter_map(|byte| MessageKind::from_byte(byte).map(|kind| (byte, kind)));
        assert_eq!(kinds.clone().count(), 14);
        for (byte, kind) in kinds {
            assert_eq!(kind.byte(), byte);
        }
    }
}
