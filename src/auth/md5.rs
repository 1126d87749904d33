//! MD5 passwords: deprecated by PostgreSQL 18, and good enough to log in once more and set a better one.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use md5::{Digest, Md5};

/// Bytes of salt in a challenge.
pub const SALT_LENGTH: usize = 4;

/// What is stored of a password: `md5` and the digest of password and role name.
pub fn secret(password: &[u8], role: &str) -> String {
    encrypt(password, role.as_bytes())
}

/// Whether `text` has the form of a stored one.
pub fn is_secret(text: &str) -> bool {
    text.len() == 35
        && text
            .strip_prefix("md5")
            .is_some_and(|hex| hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
}

/// Whether `response` answers the challenge `salt` for a stored secret.
pub fn answers(response: &[u8], stored: &str, salt: [u8; SALT_LENGTH]) -> bool {
    let Some(digest) = stored.strip_prefix("md5") else {
        return false;
    };
    verify_slices_are_equal(response, encrypt(digest.as_bytes(), &salt).as_bytes()).is_ok()
}

/// What a client answers to the challenge `salt`.
pub fn response(password: &[u8], role: &str, salt: [u8; SALT_LENGTH]) -> String {
    encrypt(&secret(password, role).as_bytes()[3..], &salt)
}

/// Whether `stored` is the secret of a password.
pub fn is_of(stored: &str, password: &[u8], role: &str) -> bool {
    verify_slices_are_equal(secret(password, role).as_bytes(), stored.as_bytes()).is_ok()
}

fn encrypt(text: &[u8], salt: &[u8]) -> String {
    let digest = Md5::new().chain_update(text).chain_update(salt).finalize();
    digest.iter().fold("md5".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_postgresqls() {
        // SELECT 'md5' || md5('secretm5')
        let stored = secret(b"secret", "m5");
        assert_eq!(stored, "md59a96608d07d97a3bb68405788126af00");
        assert!(is_secret(&stored));
        assert!(is_of(&stored, b"secret", "m5"));
        assert!(!is_of(&stored, b"secret", "m6"));
        for text in [
            "",
            "md5",
            &stored[..34],
            &stored.to_uppercase(),
            &format!("{stored}0"),
            &stored.replace('2', "g"),
        ] {
            assert!(!is_secret(text), "{text}");
        }
    }

    #[test]
    fn challenges_are_answered_once() {
        let stored = secret(b"secret", "m5");
        let response = response(b"secret", "m5", [1, 2, 3, 4]);
        assert!(answers(response.as_bytes(), &stored, [1, 2, 3, 4]));
        assert!(!answers(response.as_bytes(), &stored, [1, 2, 3, 5]));
        assert!(!answers(b"", &stored, [1, 2, 3, 4]));
    }
}
