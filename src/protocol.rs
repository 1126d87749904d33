//! PostgreSQL's frontend/backend protocol, 3.0 and 3.2, as a pure codec: bytes in, bytes out.
//!
//! Nothing here owns a socket or waits. The backend moves the bytes and asks:
//!
//! - [`startup::StartupDecoder`] for the packets before a session, [`startup::StartupParameters`] for what they ask;
//! - [`frame::next_frame`] for one whole message after another, [`Frame::decode`](frame::Frame::decode) for what it says;
//! - [`encode::Encoder`] to write answers, rows in place, straight into the send buffer;
//! - [`sync::ExtendedSync`] for which messages to pass over after an error;
//! - [`tls::TlsSession`] to turn ciphertext into plaintext and back.
//!
//! **Invariants.** A length that a client claims is compared with its message's limit before anything is kept for it,
//! and memory follows only bytes that have come. Each count is checked against the bytes left. Decoded messages borrow
//! from the receive buffer. No input panics.
//!
//! **Severities** tell the caller what to do with an error: `LOG` is written to the log and the connection closed
//! without a word, `FATAL` is sent and ends the session, `ERROR` fails that message only, since its frame was whole.

mod body;
pub mod cancel_key;
pub mod client;
pub mod encode;
pub mod frame;
pub mod message;
pub mod startup;
pub mod sync;
pub mod tls;
mod utf8;

#[cfg(test)]
mod tests;

pub use utf8::check_utf8;

use crate::report::{Report, Result, SqlState};

/// Protocol 3 and the newest minor version of it that is spoken.
pub const MAJOR_VERSION: u16 = 3;
/// See [`MAJOR_VERSION`].
pub const LATEST_MINOR_VERSION: u16 = 2;
/// The first minor version whose cancel keys are longer than four bytes.
pub const LONG_CANCEL_KEYS_SINCE_MINOR: u16 = 2;

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// As text, in the client's encoding.
    #[default]
    Text,
    /// As the type's send function writes it.
    Binary,
}

impl Format {
    /// The number in messages.
    pub const fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }

    /// The format of a number in a message.
    ///
    /// # Errors
    ///
    /// `unsupported format code`, 22023.
    pub fn from_code(code: i16) -> Result<Self> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            _ => Err(Report::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unsupported format code: {code}"),
            )),
        }
    }
}
