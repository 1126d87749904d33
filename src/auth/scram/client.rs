//! The client's side of an exchange: for tests, and for connections from one server to another.

use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::auth::{base64, random};
use crate::report::{Report, Result, SqlState};

use super::message::{Reader, malformed, violation};
use super::{Key, MECHANISM, MECHANISM_PLUS, NONCE_LENGTH, hmac, salted_password, sha256, xor};

/// How the client treats the channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Binding {
    /// It cannot bind, or will not.
    Unsupported,
    /// It could, but the server does not offer it.
    NotOffered,
    /// It binds to this hash of the server's certificate.
    EndPoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::Unsupported => "n,,",
            Self::NotOffered => "y,,",
            Self::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }
}

/// One exchange.
pub struct Exchange {
    password: Vec<u8>,
    binding: Binding,
    nonce: String,
    first_bare: String,
    /// What the server has to prove, from the client's final message on.
    expected: Option<Key>,
}

impl Exchange {
    /// Begins an exchange.
    pub fn new(password: &[u8], binding: Binding) -> Result<Self> {
        let nonce: [u8; NONCE_LENGTH] = random::bytes()
            .map_err(|_| Report::error(SqlState::INTERNAL_ERROR, "could not generate random nonce"))?;
        // PostgreSQL takes the name from the startup packet.
        Ok(Self::with_nonce("", password, binding, base64::encode(&nonce)))
    }

    pub(super) fn with_nonce(user: &str, password: &[u8], binding: Binding, nonce: String) -> Self {
        let first_bare = format!("n={user},r={nonce}");
        Self { password: password.to_vec(), binding, nonce, first_bare, expected: None }
    }

    /// The mechanism it goes by.
    pub fn mechanism(&self) -> &'static str {
        match self.binding {
            Binding::EndPoint(_) => MECHANISM_PLUS,
            _ => MECHANISM,
        }
    }

    /// The first message.
    pub fn first(&self) -> Vec<u8> {
        format!("{}{}", self.binding.header(), self.first_bare).into_bytes()
    }

    /// The answer to the server's first message.
    pub fn answer(&mut self, server_first: &[u8]) -> Result<Vec<u8>> {
        let mut reader = Reader::new(server_first);
        let nonce = reader.attribute(b'r')?;
        if !nonce.starts_with(self.nonce.as_bytes()) || nonce.len() == self.nonce.len() {
            return Err(violation("invalid SCRAM response (nonce mismatch)"));
        }
        let salt = base64::decode(reader.attribute(b's')?)
            .ok_or_else(|| malformed("Invalid salt in server-first-message."))?;
        let iterations: NonZeroU32 = std::str::from_utf8(reader.attribute(b'i')?)
            .ok()
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| malformed("Invalid iteration count in server-first-message."))?;
        let mut binding = self.binding.header().as_bytes().to_vec();
        if let Binding::EndPoint(end_point) = &self.binding {
            binding.extend_from_slice(end_point);
        }
        let without_proof = [b"c=", base64::encode(&binding).as_bytes(), b",r=", nonce].concat();
        let exchanged = [self.first_bare.as_bytes(), server_first, &without_proof].join(&b","[..]);
        let salted = salted_password(&self.password, &salt, iterations);
        let client_key = hmac(&salted, b"Client Key");
        let proof = xor(&client_key, &hmac(&sha256(&client_key), &exchanged));
        self.expected = Some(hmac(&hmac(&salted, b"Server Key"), &exchanged));
        Ok([&without_proof[..], b",p=", base64::encode(&proof).as_bytes()].concat())
    }

    /// Whether the server's final message proves that it knows the password too.
    pub fn is_proven(&self, server_final: &[u8]) -> bool {
        let signature = Reader::new(server_final).attribute(b'v').ok().and_then(base64::decode);
        match (&self.expected, signature) {
            (Some(expected), Some(signature)) => verify_slices_are_equal(expected, &signature).is_ok(),
            _ => false,
        }
    }
}
