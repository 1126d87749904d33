//! The secret that lets a client cancel its session's statement from another connection.

use std::fmt;
use std::hint::black_box;

use super::LONG_CANCEL_KEYS_SINCE_MINOR;
use crate::report::{Report, Result, SqlState};

/// Bytes of the longest key that is made.
pub const MAX_LENGTH: usize = 32;
const SHORT_LENGTH: usize = 4;

/// A random key: 4 bytes for protocol 3.0, 32 since 3.2.
#[derive(Clone, Copy)]
pub struct CancelKey {
    bytes: [u8; MAX_LENGTH],
    length: usize,
}

impl CancelKey {
    /// A new key for a session of minor version `minor`.
    ///
    /// # Errors
    ///
    /// `could not generate random cancel key`, XX000, if the kernel has no randomness.
    pub fn random(minor: u16) -> Result<Self> {
        let length = if minor >= LONG_CANCEL_KEYS_SINCE_MINOR { MAX_LENGTH } else { SHORT_LENGTH };
        let mut bytes = [0; MAX_LENGTH];
        getrandom::fill(&mut bytes[..length])
            .map_err(|_| Report::fatal(SqlState::INTERNAL_ERROR, "could not generate random cancel key"))?;
        Ok(Self { bytes, length })
    }

    /// A key that was kept elsewhere; `None` if it is empty or longer than any.
    pub fn from_bytes(key: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_LENGTH];
        bytes.get_mut(..key.len())?.copy_from_slice(key);
        (!key.is_empty()).then_some(Self { bytes, length: key.len() })
    }

    /// The key, to be kept or sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Whether a request brought this key. How long it takes does not tell how many bytes were right; how long a key
    /// is, is no secret.
    pub fn matches(&self, offered: &[u8]) -> bool {
        offered.len() == self.length
            && self
                .as_bytes()
                .iter()
                .zip(offered)
                .fold(0, |differences, (a, b)| black_box(differences | (a ^ b)))
                == 0
    }
}

/// Says nothing of the secret.
impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelKey({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_long_as_the_protocol_wants_and_random() {
        for (minor, length) in [(0, 4), (1, 4), (2, 32)] {
            let (one, other) = (CancelKey::random(minor).unwrap(), CancelKey::random(minor).unwrap());
            assert_eq!(one.as_bytes().len(), length);
            assert!(length == 4 || one.as_bytes() != other.as_bytes());
        }
    }

    #[test]
    fn only_the_whole_key_matches() {
        let key = CancelKey::from_bytes(b"secret").unwrap();
        assert!(key.matches(b"secret"));
        for wrong in [&b"secreT"[..], b"Secret", b"secre", b"secret ", b""] {
            assert!(!key.matches(wrong), "{wrong:?}");
        }
        assert!(CancelKey::from_bytes(b"").is_none());
        assert!(CancelKey::from_bytes(&[1; 33]).is_none());
    }
}
