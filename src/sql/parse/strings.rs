//! What quoted tokens say: quotes doubled, escapes, and pieces across lines put together.

use std::borrow::Cow;

use crate::report::{Report, ReportExt, Result, SqlState};

use super::lexer::continuation;

fn syntax_error(message: impl Into<String>, at: usize) -> Box<Report> {
    Report::error(SqlState::SYNTAX_ERROR, message).at(at as u32)
}

/// The text between single quotes, which begin at `open`.
pub fn plain(text: &str, open: usize, end: usize) -> String {
    let body = &text[open + 1..end - 1];
    if !body.contains('\'') {
        return body.to_owned();
    }
    let mut value = String::with_capacity(body.len());
    pieces(text, open, end, |piece| value.push_str(piece));
    value
}

/// Calls `each` for what stands between quotes, doubled ones left out.
fn pieces(text: &str, open: usize, end: usize, mut each: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let (mut from, mut at) = (open + 1, open + 1);
    while at < end {
        if bytes[at] != b'\'' {
            at += 1;
        } else if at + 1 < end && bytes[at + 1] == b'\'' {
            each(&text[from..=at]);
            at += 2;
            from = at;
        } else {
            each(&text[from..at]);
            match continuation(&bytes[..end], at + 1) {
                Some(quote) => (from, at) = (quote + 1, quote + 1),
                None => return,
            }
        }
    }
}

/// The text between double quotes, which begin at `open`.
pub fn quoted(text: &str, open: usize, end: usize) -> Cow<'_, str> {
    let body = &text[open + 1..end - 1];
    if body.contains('"') { Cow::Owned(body.replace("\"\"", "\"")) } else { Cow::Borrowed(body) }
}

/// The text between a dollar sign's tags.
pub fn dollar(text: &str) -> &str {
    let tag = text[1..].find('$').map_or(0, |at| at + 2);
    text.get(tag..text.len().saturating_sub(tag)).unwrap_or("")
}

/// The text of `E'…'`; positions of errors count bytes from 0.
pub fn escaped(text: &str, start: usize, end: usize) -> Result<String> {
    let bytes = text.as_bytes();
    let mut value: Vec<u8> = Vec::with_capacity(end - start);
    let mut surrogate: Option<u32> = None;
    let mut at = start + 2;
    while at < end {
        let byte = bytes[at];
        let is_unicode = byte == b'\\' && matches!(bytes.get(at + 1), Some(b'u' | b'U'));
        if surrogate.is_some() && !is_unicode {
            let to = at + text[at..].chars().next().map_or(1, char::len_utf8);
            let near = &text[at..to];
            return Err(syntax_error(format!("invalid Unicode surrogate pair at or near \"{near}\""), at));
        }
        match byte {
            b'\'' if at + 1 < end && bytes[at + 1] == b'\'' => {
                value.push(b'\'');
                at += 2;
            }
            b'\'' => match continuation(&bytes[..end], at + 1) {
                Some(quote) => at = quote + 1,
                None => break,
            },
            b'\\' if is_unicode => at = unicode_escape(text, at, &mut surrogate, &mut value)?,
            b'\\' => at = escape(bytes, at + 1, &mut value),
            _ => {
                value.push(byte);
                at += 1;
            }
        }
    }
    finished(value)
}

fn finished(value: Vec<u8>) -> Result<String> {
    if value.contains(&0) {
        return Err(invalid_bytes(&[0]));
    }
    String::from_utf8(value).map_err(|error| {
        let from = error.utf8_error().valid_up_to();
        let bytes = &error.as_bytes()[from..];
        let length = match bytes.first() {
            Some(0xC2..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..=0xF4) => 4,
            _ => 1,
        };
        invalid_bytes(&bytes[..length.min(bytes.len())])
    })
}

fn invalid_bytes(bytes: &[u8]) -> Box<Report> {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\": {}", hex.join(" "));
    Report::error(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
}

/// One escape behind its backslash; where the text goes on.
fn escape(bytes: &[u8], at: usize, value: &mut Vec<u8>) -> usize {
    let digits = |from: usize, most: usize, radix: u32| {
        let rest = bytes[from..].iter().take(most);
        rest.take_while(|byte| char::from(**byte).is_digit(radix)).count()
    };
    let number = |from: usize, count: usize, radix: u32| {
        let text = std::str::from_utf8(&bytes[from..from + count]).unwrap_or("0");
        u32::from_str_radix(text, radix).unwrap_or(0) as u8
    };
    let simple = match bytes[at] {
        b'b' => b'\x08',
        b'f' => b'\x0c',
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => b'\x0b',
        b'0'..=b'7' => {
            let count = digits(at, 3, 8);
            value.push(number(at, count, 8));
            return at + count;
        }
        b'x' if digits(at + 1, 2, 16) > 0 => {
            let count = digits(at + 1, 2, 16);
            value.push(number(at + 1, count, 16));
            return at + 1 + count;
        }
        other => other,
    };
    value.push(simple);
    at + 1
}

/// `\uXXXX` or `\UXXXXXXXX`, halves of surrogate pairs among them.
fn unicode_escape(text: &str, at: usize, surrogate: &mut Option<u32>, value: &mut Vec<u8>) -> Result<usize> {
    let length = if text.as_bytes()[at + 1] == b'u' { 4 } else { 8 };
    let digits = text
        .get(at + 2..at + 2 + length)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let Some(digits) = digits else {
        let report = Report::error(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape").at(at as u32);
        return Err(report.with_hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX."));
    };
    let code = u32::from_str_radix(digits, 16).unwrap_or(u32::MAX);
    let end = at + 2 + length;
    let near = &text[at..end];
    let unpaired = || syntax_error(format!("invalid Unicode surrogate pair at or near \"{near}\""), at);
    let code = match (surrogate.take(), code) {
        (Some(high), 0xDC00..=0xDFFF) => 0x10000 + ((high & 0x3FF) << 10) + (code & 0x3FF),
        (Some(_), _) | (None, 0xDC00..=0xDFFF) => return Err(unpaired()),
        (None, 0xD800..=0xDBFF) => {
            *surrogate = Some(code);
            return Ok(end);
        }
        (None, code) => code,
    };
    match char::from_u32(code).filter(|c| *c != '\0') {
        Some(c) => value.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        None => {
            let message = format!("invalid Unicode escape value at or near \"{near}\"");
            return Err(syntax_error(message, at));
        }
    }
    Ok(end)
}

/// The value of a token `U&'…'` or `U&"…"`, with `UESCAPE '…'` behind it perhaps.
pub fn unicode_token(text: &str, start: usize, end: usize) -> Result<String> {
    let bytes = text.as_bytes();
    let open = start + 2;
    let (body, close) = if bytes[open] == b'"' {
        let mut close = open + 1;
        while bytes[close] != b'"' || bytes.get(close + 1) == Some(&b'"') {
            close += if bytes[close] == b'"' { 2 } else { 1 };
        }
        (quoted(text, open, close + 1).into_owned(), close)
    } else {
        let (mut body, mut close) = (String::new(), open);
        pieces(text, open, end, |piece| {
            body.push_str(piece);
            close = piece.as_ptr() as usize - text.as_ptr() as usize + piece.len();
        });
        (body, close)
    };
    let has_escape = end > close + 1;
    let escape = if has_escape { char::from(bytes[end - 2]) } else { '\\' };
    unicode(&body, escape, open + 1)
}

/// The value of `U&'…'` or `U&"…"`; `body` is what was between the quotes and began at a byte of the text.
pub fn unicode(body: &str, escape: char, at: usize) -> Result<String> {
    let mut value = String::with_capacity(body.len());
    let mut high: Option<u32> = None;
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        let here = at + body.len() - rest.len();
        let behind = &rest[c.len_utf8()..];
        let unpaired = || syntax_error("invalid Unicode surrogate pair", here);
        if c != escape || behind.starts_with(escape) {
            if high.is_some() {
                return Err(unpaired());
            }
            value.push(c);
            rest = if c == escape { &behind[escape.len_utf8()..] } else { behind };
            continue;
        }
        let (skip, length) = if behind.starts_with('+') { (1, 6) } else { (0, 4) };
        let digits =
            behind.get(skip..skip + length).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            return Err(syntax_error("invalid Unicode escape", here)
                .with_hint("Unicode escapes must be \\XXXX or \\+XXXXXX."));
        };
        rest = &behind[skip + length..];
        let code = u32::from_str_radix(digits, 16).unwrap_or(u32::MAX);
        let code = match (high.take(), code) {
            (Some(high), 0xDC00..=0xDFFF) => 0x10000 + ((high & 0x3FF) << 10) + (code & 0x3FF),
            (Some(_), _) | (None, 0xDC00..=0xDFFF) => return Err(unpaired()),
            (None, 0xD800..=0xDBFF) => {
                high = Some(code);
                continue;
            }
            (None, code) => code,
        };
        match char::from_u32(code).filter(|c| *c != '\0') {
            Some(c) => value.push(c),
            None => return Err(syntax_error("invalid Unicode escape value", here)),
        }
    }
    match high {
        Some(_) => Err(syntax_error("invalid Unicode surrogate pair", at + body.len())),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_say_what_postgresql_reads() {
        assert_eq!(plain("'a''b'\n'c'", 0, 10), "a'bc");
        assert_eq!(plain("'a' -- it's\n  'b'", 0, 17), "ab");
        assert_eq!(quoted("\"a\"\"b\"", 0, 6), "a\"b");
        assert_eq!((dollar("$$x$$"), dollar("$a$ $$ $a$")), ("x", " $$ "));
        for (text, value) in [
            ("e'a\\n\\t\\\\\\'b'", "a\n\t\\'b"),
            ("e'\\101\\x41\\u0041\\U00000041'", "AAAA"),
            ("E'\\ud83d\\ude00'", "\u{1F600}"),
            ("e'a''b'\n'c'", "a'bc"),
            ("e'\\xc3\\xa9'", "é"),
        ] {
            assert_eq!(escaped(text, 0, text.len()).unwrap(), value, "{text}");
        }
        for (text, value) in [("U&'d!0061t!+000061' UESCAPE '!'", "data"), ("U&\"a\"\"\\0062\"", "a\"b")] {
            assert_eq!(unicode_token(text, 0, text.len()).unwrap(), value, "{text}");
        }
        for (body, value) in [("d\\0061t\\+000061", "data"), ("\\\\x", "\\x"), ("\\d83d\\de00", "\u{1F600}")]
        {
            assert_eq!(unicode(body, '\\', 0).unwrap(), value, "{body}");
        }
    }

    #[test]
    fn wrong_escapes_are_said_as_postgresql_says_them() {
        for (text, message, at) in [
            ("e'abc\\u12'", "invalid Unicode escape", Some(5)),
            ("e'x\\u0000y'", "invalid Unicode escape value at or near \"\\u0000\"", Some(3)),
            ("e'a\\ud800b'", "invalid Unicode surrogate pair at or near \"b\"", Some(9)),
            ("e'\\U00110000'", "invalid Unicode escape value at or near \"\\U00110000\"", Some(2)),
            ("e'a\\xff'", "invalid byte sequence for encoding \"UTF8\": 0xff", None),
            ("e'\\0'", "invalid byte sequence for encoding \"UTF8\": 0x00", None),
        ] {
            let error = escaped(text, 0, text.len()).unwrap_err();
            assert_eq!((error.message.as_str(), error.position), (message, at), "{text}");
        }
        for (body, message, at) in [
            ("\\00", "invalid Unicode escape", 0),
            ("a\\+99", "invalid Unicode escape", 1),
            ("\\d83d", "invalid Unicode surrogate pair", 5),
        ] {
            let error = unicode(body, '\\', 0).unwrap_err();
            assert_eq!((error.message.as_str(), error.position), (message, Some(at)), "{body}");
        }
    }
}
