//! Text from clients is UTF-8 without NUL, or the error says which bytes are not.

use std::fmt::Write as _;

use crate::report::{Report, Result, SqlState};

/// `bytes` as text.
///
/// # Errors
///
/// `invalid byte sequence for encoding "UTF8": 0x…`, 22021, naming the first character that is invalid; NUL is one.
pub fn check_utf8(bytes: &[u8]) -> Result<&str> {
    let (text, valid) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, bytes.len()),
        Err(error) => ("", error.valid_up_to()),
    };
    match bytes[..valid].iter().position(|&byte| byte == 0) {
        Some(nul) => Err(invalid(&bytes[nul..])),
        None if valid < bytes.len() => Err(invalid(&bytes[valid..])),
        None => Ok(text),
    }
}

/// Names as many bytes as the first one announces, so also valid ones behind it, as PostgreSQL does.
fn invalid(rest: &[u8]) -> Box<Report> {
    let mut message = "invalid byte sequence for encoding \"UTF8\":".to_owned();
    let announced = rest.first().map_or(0, |&first| announced_length(first));
    for byte in &rest[..announced.min(rest.len())] {
        // Writing into a String does not fail.
        let _ = write!(message, " 0x{byte:02x}");
    }
    Report::error(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
}

const fn announced_length(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_sequences_are_named_as_postgresql_names_them() {
        // Each checked against PostgreSQL 18, the NUL by its documentation.
        let cases: [(&[u8], &str); 9] = [
            (b"select '\xe2\x28\xa1'", "0xe2 0x28 0xa1"),
            (b"select '\xf0\x9f'", "0xf0 0x9f 0x27"),
            (b"select '\xff", "0xff"),
            (b"\xf0\x9f", "0xf0 0x9f"),
            (b"\x80", "0x80"),
            (b"a\xed\xa0\x80", "0xed 0xa0 0x80"),
            (b"\xc0\x80z", "0xc0 0x80"),
            (b"\xf8zzzz", "0xf8"),
            (b"a\0\xff", "0x00"),
        ];
        for (bytes, named) in cases {
            let report = check_utf8(bytes).unwrap_err();
            assert_eq!(report.message, format!("invalid byte sequence for encoding \"UTF8\": {named}"));
            assert_eq!(report.sqlstate, SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        }
    }

    #[test]
    fn text_is_text() {
        for text in ["", "select 1", "größer", "🐘"] {
            assert_eq!(check_utf8(text.as_bytes()).unwrap(), text);
        }
    }
}
