//! The packets before a session: requests for encryption, cancel requests, and the startup packet.
//!
//! They have no type byte; a length of four bytes and a code of four tell them apart. A first byte of 0x16 is none of
//! them: a TLS client that did not ask first.

mod parameters;

pub use parameters::{Replication, StartupParameters};

use super::{LATEST_MINOR_VERSION, MAJOR_VERSION};
use crate::report::{Report, Result, Severity, SqlState};

/// What a startup packet may say after its length word.
const MAX_PACKET_LENGTH: u32 = 10_000;
/// The shortest one, its length word and its code.
const HEADER: usize = 8;
const CANCEL_CODE: u32 = 80_877_102;
const SSL_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;
/// Content type of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// The longest cancel key that a client may send; longer than any that is made, for servers to come.
const MAX_CANCEL_KEY: usize = 256;

/// What a client that has just connected wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StartupPacket {
    /// The bytes are TLS already; nothing of them was taken. The client must offer the ALPN protocol `postgresql`.
    DirectTls,
    /// Asks for TLS: answer `S` or `N`.
    Ssl,
    /// Asks for GSSAPI encryption: answer `G` or `N`.
    Gss,
    /// Cancel another session's statement; then the connection is closed without an answer.
    Cancel {
        /// That session's process.
        pid: i32,
        /// Its secret, 1 to 256 bytes.
        secret: Vec<u8>,
    },
    /// Begin a session.
    Startup(StartupParameters),
}

/// One step of [`StartupDecoder::next`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The buffer must have at least this many bytes before asking again makes sense.
    NeedMore(usize),
    /// A packet.
    Packet {
        /// What it says.
        packet: StartupPacket,
        /// Bytes of the buffer that it took.
        consumed: usize,
    },
}

/// Decodes what comes before a session, and remembers which encryption is settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StartupDecoder {
    ssl_settled: bool,
    gss_settled: bool,
    begun: bool,
    old_client: bool,
}

impl StartupDecoder {
    /// The packet at the front of `received`.
    ///
    /// # Errors
    ///
    /// A report of severity `LOG` is for the log only: close the connection without an answer. `FATAL` is to be sent, by
    /// [`encode::old_error`](super::encode::old_error) if [`wants_old_errors`](Self::wants_old_errors) says so.
    pub fn next(&mut self, received: &[u8]) -> Result<Step> {
        if !self.begun && received.first() == Some(&TLS_HANDSHAKE) {
            return Ok(Step::Packet { packet: StartupPacket::DirectTls, consumed: 0 });
        }
        let Some(length) = received.first_chunk::<4>() else {
            return Ok(Step::NeedMore(HEADER));
        };
        let length = u32::from_be_bytes(*length);
        if !(HEADER as u32..=MAX_PACKET_LENGTH + 4).contains(&length) {
            return Err(silent("invalid length of startup packet"));
        }
        let length = length as usize;
        let Some(packet) = received.get(4..length) else {
            return Ok(Step::NeedMore(length));
        };
        self.begun = true;
        Ok(Step::Packet { packet: self.packet(packet)?, consumed: length })
    }

    fn packet(&mut self, packet: &[u8]) -> Result<StartupPacket> {
        let (code, rest) = packet.split_at(4);
        let code = u32::from_be_bytes([code[0], code[1], code[2], code[3]]);
        match code {
            CANCEL_CODE => cancel(rest),
            SSL_CODE if !self.ssl_settled => Ok(StartupPacket::Ssl),
            GSS_CODE if !self.gss_settled => Ok(StartupPacket::Gss),
            _ => {
                let (major, minor) = ((code >> 16) as u16, code as u16);
                if major != MAJOR_VERSION {
                    self.old_client = major < MAJOR_VERSION;
                    return Err(unsupported_version(major, minor));
                }
                parameters::decode(minor, rest).map(StartupPacket::Startup)
            }
        }
    }

    /// Whether the client speaks a version so old that it understands errors of one string only.
    pub const fn wants_old_errors(&self) -> bool {
        self.old_client
    }

    /// Notes the answer to an SSL request; `rest` is what the buffer still has. An accepted client's is the beginning of
    /// its TLS, to be handed to the session; a refused one may have sent nothing before the answer.
    ///
    /// # Errors
    ///
    /// `received unencrypted data after SSL request`, `FATAL`.
    pub fn ssl_answered(&mut self, accepted: bool, rest: &[u8]) -> Result<()> {
        self.ssl_settled = true;
        // Only one encryption: within TLS, GSSAPI is not on offer.
        self.gss_settled |= accepted;
        if accepted || rest.is_empty() { Ok(()) } else { Err(sent_too_early("SSL request")) }
    }

    /// Notes that a client which began with TLS was accepted.
    pub const fn direct_tls_accepted(&mut self) {
        self.ssl_settled = true;
        self.gss_settled = true;
        self.begun = true;
    }

    /// Notes that a GSSAPI request was refused; `rest` is what the buffer still has.
    ///
    /// # Errors
    ///
    /// `received unencrypted data after GSSAPI encryption request`, `FATAL`.
    pub fn gss_refused(&mut self, rest: &[u8]) -> Result<()> {
        self.gss_settled = true;
        if rest.is_empty() { Ok(()) } else { Err(sent_too_early("GSSAPI encryption request")) }
    }

    /// The connection ended with `rest` in the buffer: nothing to say of one that sent nothing, such as a port scanner or
    /// a load balancer's probe.
    pub fn ended(rest: &[u8]) -> Option<Box<Report>> {
        (!rest.is_empty()).then(|| silent("incomplete startup packet"))
    }
}

fn cancel(rest: &[u8]) -> Result<StartupPacket> {
    let Some((pid, secret)) = rest.split_first_chunk::<4>() else {
        return Err(silent("invalid length of cancel request packet"));
    };
    if secret.is_empty() || secret.len() > MAX_CANCEL_KEY {
        return Err(silent("invalid length of cancel key in cancel request packet"));
    }
    Ok(StartupPacket::Cancel { pid: i32::from_be_bytes(*pid), secret: secret.to_vec() })
}

/// An error for the log only: who caused it is hardly a client.
#[track_caller]
fn silent(message: &str) -> Box<Report> {
    Box::new(Report::new(Severity::Log, SqlState::PROTOCOL_VIOLATION, message))
}

fn unsupported_version(major: u16, minor: u16) -> Box<Report> {
    Report::fatal(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "unsupported frontend protocol {major}.{minor}: server supports {MAJOR_VERSION}.0 to \
             {MAJOR_VERSION}.{LATEST_MINOR_VERSION}"
        ),
    )
}

#[track_caller]
fn sent_too_early(request: &str) -> Box<Report> {
    let mut report =
        Report::fatal(SqlState::PROTOCOL_VIOLATION, format!("received unencrypted data after {request}"));
    report.detail = Some(
        "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."
            .to_owned(),
    );
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = (8 + rest.len() as u32).to_be_bytes().to_vec();
        bytes.extend(code.to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<StartupPacket> {
        match StartupDecoder::default().next(bytes)? {
            Step::Packet { packet, .. } => Ok(packet),
            Step::NeedMore(bytes) => panic!("needs {bytes}"),
        }
    }

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(decode(&packet(SSL_CODE, b"")).unwrap(), StartupPacket::Ssl);
        assert_eq!(decode(&packet(GSS_CODE, b"")).unwrap(), StartupPacket::Gss);
        assert_eq!(decode(b"\x16").unwrap(), StartupPacket::DirectTls);
        for secret in [&b"s"[..], &[7; 4], &[7; 32], &[7; 256]] {
            let bytes = packet(CANCEL_CODE, &[b"\0\0\0\x2a", secret].concat());
            assert_eq!(decode(&bytes).unwrap(), StartupPacket::Cancel { pid: 42, secret: secret.to_vec() });
        }
    }

    #[test]
    fn what_is_missing_is_said_and_the_rest_left() {
        let mut decoder = StartupDecoder::default();
        let bytes = packet(SSL_CODE, b"");
        for (length, needed) in [(0, 8), (3, 8), (4, 8), (7, 8)] {
            assert_eq!(decoder.next(&bytes[..length]).unwrap(), Step::NeedMore(needed));
        }
        let longer = [&bytes[..], b"\x16\x03\x01"].concat();
        assert_eq!(decoder.next(&longer).unwrap(), Step::Packet { packet: StartupPacket::Ssl, consumed: 8 });
    }

    #[test]
    fn bad_packets_are_logged_and_not_answered() {
        let cases: [(Vec<u8>, &str); 7] = [
            (b"\0\0\0\x07".to_vec(), "invalid length of startup packet"),
            (b"\0\0\0\0".to_vec(), "invalid length of startup packet"),
            (b"\0\0\x27\x15".to_vec(), "invalid length of startup packet"),
            (b"GET / HTTP/1.1".to_vec(), "invalid length of startup packet"),
            (packet(CANCEL_CODE, b"\0\0\0"), "invalid length of cancel request packet"),
            (packet(CANCEL_CODE, b"\0\0\0\x01"), "invalid length of cancel key in cancel request packet"),
            (packet(CANCEL_CODE, &[1; 261]), "invalid length of cancel key in cancel request packet"),
        ];
        for (bytes, message) in cases {
            let report = decode(&bytes).unwrap_err();
            assert_eq!((report.severity, &*report.message), (Severity::Log, message), "{bytes:?}");
            assert_eq!(report.sqlstate, SqlState::PROTOCOL_VIOLATION);
        }
        assert_eq!(StartupDecoder::ended(b""), None);
        assert_eq!(StartupDecoder::ended(b"\0").unwrap().message, "incomplete startup packet");
    }

    #[test]
    fn versions_that_are_not_spoken_are_refused() {
        for (code, version) in [(0x2_0000, "2.0"), (0x4_0001, "4.1"), (0, "0.0")] {
            let report = decode(&packet(code, b"\0")).unwrap_err();
            assert_eq!(
                report.message,
                format!("unsupported frontend protocol {version}: server supports 3.0 to 3.2")
            );
            assert_eq!(
                (report.severity, report.sqlstate),
                (Severity::Fatal, SqlState::FEATURE_NOT_SUPPORTED)
            );
        }
    }

    #[test]
    fn encryption_is_asked_for_once_each() {
        let mut decoder = StartupDecoder::default();
        decoder.gss_refused(b"").unwrap();
        assert!(decoder.next(&packet(GSS_CODE, b"")).is_err());
        assert!(decoder.next(&packet(SSL_CODE, b"")).is_ok());
        decoder.ssl_answered(true, b"\x16").unwrap();
        let report = decoder.next(&packet(SSL_CODE, b"")).unwrap_err();
        assert_eq!(report.message, "unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2");
        // Within TLS a packet that begins like TLS is a bad packet.
        assert!(decoder.next(b"\x16\x03\x01\x02").is_err());
    }

    #[test]
    fn bytes_sent_before_an_answer_are_refused() {
        let refused = StartupDecoder::default().ssl_answered(false, b"x").unwrap_err();
        assert_eq!(refused.message, "received unencrypted data after SSL request");
        assert!(refused.detail.is_some());
        let refused = StartupDecoder::default().gss_refused(b"x").unwrap_err();
        assert_eq!(refused.message, "received unencrypted data after GSSAPI encryption request");
    }
}
