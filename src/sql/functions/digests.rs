//! Digests, and bytes as text.

use md5::{Digest, Md5};

use crate::report::{Report, Result, SqlState};
use crate::sql::types::input::hex_bytes;
use crate::sql::types::output::hex;
use crate::sql::types::{Datum, Type};

use super::strings::{bytes, text};
use super::{Call, Function, function};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn md5_text(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let input = match &args[0] {
        Datum::Text(text) => text.as_bytes(),
        other => bytes(other),
    };
    Ok(Datum::text(hex(&Md5::digest(input))))
}

fn encode(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let input = bytes(&args[0]);
    Ok(Datum::text(match text(&args[1]).to_ascii_lowercase().as_str() {
        "hex" => hex(input),
        "base64" => base64(input),
        "escape" => escape(input),
        _ => return Err(unknown_encoding(text(&args[1]))),
    }))
}

fn decode(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let input = text(&args[0]);
    let decoded = match text(&args[1]).to_ascii_lowercase().as_str() {
        "hex" => hex_bytes(input)?,
        "base64" => from_base64(input)?,
        "escape" => from_escape(input)?,
        _ => return Err(unknown_encoding(text(&args[1]))),
    };
    Ok(Datum::Bytea(decoded.into()))
}

fn unknown_encoding(name: &str) -> Box<Report> {
    Report::error(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized encoding: \"{name}\""))
}

/// With a line break behind every 76 characters, as MIME has it.
fn base64(input: &[u8]) -> String {
    let mut out = String::new();
    for chunk in input.chunks(3) {
        let group =
            chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = (group >> (18 - 6 * place)) & 63;
            out.push(if place <= chunk.len() { char::from(BASE64[index as usize]) } else { '=' });
        }
        if (out.len() + 1).is_multiple_of(77) {
            out.push('\n');
        }
    }
    out.trim_end_matches('\n').to_owned()
}

fn from_base64(input: &str) -> Result<Vec<u8>> {
    let bad = |message: &str| Report::error(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut out = Vec::new();
    let (mut group, mut digits, mut ends) = (0u32, 0, 0);
    for c in input.chars().filter(|c| !c.is_ascii_whitespace()) {
        if c == '=' {
            ends += 1;
            continue;
        }
        let value = BASE64.iter().position(|&digit| char::from(digit) == c);
        let Some(value) = value.filter(|_| ends == 0) else {
            return Err(bad(&format!("invalid symbol \"{c}\" found while decoding base64 sequence")));
        };
        group = group << 6 | value as u32;
        digits += 1;
        if digits == 4 {
            out.extend(&group.to_be_bytes()[1..]);
            (group, digits) = (0, 0);
        }
    }
    match (digits, ends) {
        (0, 0) => {}
        (3, 1) => out.extend(&(group << 6).to_be_bytes()[1..3]),
        (2, 2) => out.extend(&(group << 12).to_be_bytes()[1..2]),
        _ => return Err(bad("invalid base64 end sequence")),
    }
    Ok(out)
}

fn escape(input: &[u8]) -> String {
    let mut out = String::new();
    for &byte in input {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
            _ => out.push(char::from(byte)),
        }
    }
    out
}

fn from_escape(input: &str) -> Result<Vec<u8>> {
    // The same notation as bytea's input, without its form in hexadecimal digits.
    let formats = crate::sql::types::Formats::default();
    let text = input.strip_prefix("\\x").map_or_else(|| input.to_owned(), |rest| format!("\\134x{rest}"));
    match crate::sql::types::input::parse(&text, Type::BYTEA, &formats, 0)? {
        Datum::Bytea(bytes) => Ok(bytes.to_vec()),
        _ => Ok(Vec::new()),
    }
}

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("md5", 2311, &[Type::TEXT], Type::TEXT, md5_text),
    function("md5", 2321, &[Type::BYTEA], Type::TEXT, md5_text),
    function("encode", 1946, &[Type::BYTEA, Type::TEXT], Type::TEXT, encode),
    function("decode", 1947, &[Type::TEXT, Type::TEXT], Type::BYTEA, decode),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_comes_back_whatever_its_length() {
        for len in 0..200 {
            let input: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            assert_eq!(from_base64(&base64(&input)).unwrap(), input);
        }
        assert_eq!(base64(b"hello"), "aGVsbG8=");
        assert!(from_base64("a*b").is_err());
        assert!(from_base64("abc").is_err());
    }
}
