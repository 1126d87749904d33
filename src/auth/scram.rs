//! SCRAM-SHA-256 (RFC 5802, RFC 7677): keys, and the stored secret from which a password can be tested but not told.

pub mod client;
mod message;
pub mod server;

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};

use super::base64;

/// The mechanism without channel binding.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// The mechanism that is bound to the TLS channel.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// The default of the setting `scram_iterations`.
pub const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
/// Bytes of salt in secrets made here.
pub const SALT_LENGTH: usize = 16;
/// Random bytes in a nonce, before base64.
const NONCE_LENGTH: usize = 18;

/// A SHA-256 digest.
pub type Key = [u8; 32];

/// What is stored of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Rounds of hashing.
    pub iterations: NonZeroU32,
    /// Makes equal passwords differ.
    pub salt: Vec<u8>,
    /// Tests the client's proof.
    pub stored_key: Key,
    /// Proves the server to the client.
    pub server_key: Key,
}

impl Secret {
    /// The secret of a password.
    pub fn build(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = salted_password(password, salt, iterations);
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: sha256(&hmac(&salted, b"Client Key")),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// Reads `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(MECHANISM)?.strip_prefix('$')?;
        let (parameters, keys) = rest.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text: &str| -> Option<Key> { base64::decode(text.as_bytes())?.try_into().ok() };
        Some(Self {
            iterations: iterations
                .parse()
                .ok()
                .filter(|count: &NonZeroU32| count.get() <= i32::MAX as u32)?,
            salt: base64::decode(salt.as_bytes())?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// Whether it is the secret of `password`; takes as long either way.
    pub fn is_of(&self, password: &[u8]) -> bool {
        let salted = salted_password(password, &self.salt, self.iterations);
        verify_slices_are_equal(&hmac(&salted, b"Server Key"), &self.server_key).is_ok()
    }

    /// The secret that stands in for one that is missing: its salt is always the same for a name, and cannot be told
    /// from a real one without the cluster's nonce. No password has it.
    pub fn mock(user: &str, mock_nonce: &Key, iterations: NonZeroU32) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(user.as_bytes());
        context.update(mock_nonce);
        let salt = context.finish().as_ref()[..SALT_LENGTH].to_vec();
        Self { iterations, salt, stored_key: [0; 32], server_key: [0; 32] }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] = [&self.salt[..], &self.stored_key, &self.server_key].map(base64::encode);
        write!(f, "{MECHANISM}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets are not for logs.
        write!(f, "Secret({} iterations)", self.iterations)
    }
}

fn salted_password(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Key {
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, &prepared(password), &mut salted);
    salted
}

/// The password after SASLprep, or as it is if SASLprep has no answer for it, as PostgreSQL's libpq does.
fn prepared(password: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(password).map(stringprep::saslprep) {
        Ok(Ok(prepared)) if !prepared.is_empty() => prepared.into_owned().into_bytes(),
        _ => password.to_vec(),
    }
}

fn sha256(bytes: &[u8]) -> Key {
    let mut key = [0; 32];
    key.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    key
}

fn hmac(key: &[u8], message: &[u8]) -> Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

fn xor(left: &Key, right: &Key) -> Key {
    std::array::from_fn(|at| left[at] ^ right[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by PostgreSQL 18.4.
    const OF_SECRET: &str = "SCRAM-SHA-256$4096:8tNajtZeIGKJ8vdWhA1x8A==$bangcpkQUJh2SwzMouDycjrJYgh+gGp7sCfxqDjB4Jg=:uXpafC10Xvdm9/CEnM6a8AB1ZufEnkOqv4Qe4gZGKqU=";

    #[test]
    fn postgresqls_secrets_are_read_and_written() {
        let secret = Secret::parse(OF_SECRET).unwrap();
        assert_eq!(secret.to_string(), OF_SECRET);
        // The password with which that role was created.
        assert!(secret.is_of(b"SCRAM-SHA-256$4096:bad"));
        assert!(!secret.is_of(b"bad"));
        assert_eq!(Secret::build(b"SCRAM-SHA-256$4096:bad", &secret.salt, secret.iterations), secret);
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for (from, to) in [
            ("SCRAM", "scram"),
            ("4096", "0"),
            ("4096", "-1"),
            ("4096", "x"),
            ("4096", "4294967296"),
            ("4096", "2147483648"),
            ("8tNajtZeIGKJ8vdWhA1x8A==", "8tNajtZeIGKJ8vdWhA1x8A"),
            ("bang", ""),
            ("uXpa", "uXp*"),
            ("$b", "b"),
            ("=:", "="),
        ] {
            let changed = OF_SECRET.replacen(from, to, 1);
            assert_ne!(changed, OF_SECRET);
            assert!(Secret::parse(&changed).is_none(), "{changed}");
        }
        assert!(Secret::parse("").is_none());
        assert!(Secret::parse(&format!("{OF_SECRET}x")).is_none());
    }

    #[test]
    fn passwords_are_prepared_where_that_is_possible() {
        for (password, expected) in [
            ("pencil", "pencil"),
            ("I\u{ad}X", "IX"),
            ("\u{aa}", "a"),
            ("\u{2168}", "IX"),
            ("a\u{a0}b", "a b"),
            // Prohibited, mixed in direction, empty afterwards, unassigned: as they are.
            ("\u{7}", "\u{7}"),
            ("\u{627}1", "\u{627}1"),
            ("\u{ad}", "\u{ad}"),
            ("\u{221}", "\u{221}"),
        ] {
            assert_eq!(prepared(password.as_bytes()), expected.as_bytes(), "{password:?}");
        }
        assert_eq!(prepared(&[0xff, 0xfe]), [0xff, 0xfe]);
    }

    #[test]
    fn mock_secrets_stay_the_same_and_differ_by_name_and_cluster() {
        let mock = |name, nonce| Secret::mock(name, &[nonce; 32], DEFAULT_ITERATIONS);
        assert_eq!(mock("a", 1), mock("a", 1));
        assert_ne!(mock("a", 1).salt, mock("b", 1).salt);
        assert_ne!(mock("a", 1).salt, mock("a", 2).salt);
        assert_eq!(mock("a", 1).salt.len(), SALT_LENGTH);
        assert!(!mock("a", 1).is_of(b""));
    }
}
