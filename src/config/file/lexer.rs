//! One line of a configuration file: a name, perhaps `=`, a value, perhaps a comment.
//!
//! Of the kinds of token that fit, the longest is taken, and of equally long ones the first in [`Kind`]'s order.

/// Where a line stops making sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Near<'a> {
    EndOfLine,
    Token(&'a [u8]),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Name,
    QualifiedName,
    String,
    Unquoted,
    Integer,
    Real,
    Equals,
    Other,
}

/// Name and value of a line; nothing if it is empty.
pub(super) fn line(line: &[u8]) -> Result<Option<(String, String)>, Near<'_>> {
    let mut rest = line;
    let Some((kind, name)) = next(&mut rest) else { return Ok(None) };
    if !matches!(kind, Kind::Name | Kind::QualifiedName) {
        return Err(Near::Token(name));
    }
    let mut value = next(&mut rest);
    if let Some((Kind::Equals, _)) = value {
        value = next(&mut rest);
    }
    let (kind, value) = value.ok_or(Near::EndOfLine)?;
    let value = match kind {
        Kind::String => unescape(&value[1..value.len() - 1]),
        Kind::Name | Kind::Unquoted | Kind::Integer | Kind::Real => value.to_vec(),
        Kind::QualifiedName | Kind::Equals | Kind::Other => return Err(Near::Token(value)),
    };
    match next(&mut rest) {
        None => Ok(Some((readable(name), readable(&value)))),
        Some((_, token)) => Err(Near::Token(token)),
    }
}

fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The next token; none at the end and before a comment.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(Kind, &'a [u8])> {
    let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r'))?;
    let text = &rest[start..];
    if text[0] == b'#' {
        return None;
    }
    let candidates = [
        (Kind::Name, name(text)),
        (Kind::QualifiedName, qualified_name(text)),
        (Kind::String, string(text)),
        (Kind::Unquoted, unquoted(text)),
        (Kind::Integer, integer(text)),
        (Kind::Real, real(text)),
        (Kind::Equals, usize::from(text[0] == b'=')),
        (Kind::Other, 1),
    ];
    let longest = candidates.iter().map(|(_, length)| *length).max()?;
    let (kind, length) = *candidates.iter().find(|(_, length)| *length == longest)?;
    *rest = &text[length..];
    Some((kind, &text[..length]))
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn count(text: &[u8], is_fine: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| is_fine(**byte)).count()
}

fn name(text: &[u8]) -> usize {
    match text.first() {
        Some(first) if is_letter(*first) => count(text, |byte| is_letter(byte) || byte.is_ascii_digit()),
        _ => 0,
    }
}

fn qualified_name(text: &[u8]) -> usize {
    let first = name(text);
    match text.get(first) {
        Some(b'.') if first > 0 && name(&text[first + 1..]) > 0 => first + 1 + name(&text[first + 1..]),
        _ => 0,
    }
}

fn unquoted(text: &[u8]) -> usize {
    let is_inner = |byte: u8| {
        is_letter(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'/')
    };
    if name(text) == 0 { 0 } else { count(text, is_inner) }
}

/// Both quotes included. Two quotes within are one, and so is whatever follows a backslash.
fn string(text: &[u8]) -> usize {
    if text.first() != Some(&b'\'') {
        return 0;
    }
    let mut at = 1;
    let mut end = 0;
    while let Some(byte) = text.get(at) {
        match (byte, text.get(at + 1)) {
            (b'\'', Some(b'\'')) => {
                // Should no further quote follow, the first of these two ends the string.
                end = at + 1;
                at += 2;
            }
            (b'\'', _) => return at + 1,
            (b'\\', Some(_)) => at += 2,
            (b'\\', None) => return end,
            _ => at += 1,
        }
    }
    end
}

fn sign(text: &[u8]) -> usize {
    usize::from(matches!(text.first(), Some(b'+' | b'-')))
}

fn integer(text: &[u8]) -> usize {
    let start = sign(text);
    let digits = count(&text[start..], |byte| byte.is_ascii_digit());
    let letters = |from: usize| from + count(&text[from..], |byte| byte.is_ascii_alphabetic());
    let decimal = if digits > 0 { letters(start + digits) } else { 0 };
    if text[start..].starts_with(b"0x") {
        let hexadecimal = count(&text[start + 2..], |byte| byte.is_ascii_hexdigit());
        if hexadecimal > 0 {
            return decimal.max(letters(start + 2 + hexadecimal));
        }
    }
    decimal
}

fn real(text: &[u8]) -> usize {
    let digits = |from: usize| count(&text[from..], |byte| byte.is_ascii_digit());
    let start = sign(text);
    let point = start + digits(start);
    if text.get(point) != Some(&b'.') {
        return 0;
    }
    let end = point + 1 + digits(point + 1);
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let exponent = end + 1 + sign(&text[end + 1..]);
        if digits(exponent) > 0 {
            return exponent + digits(exponent);
        }
    }
    end
}

/// What stands between the quotes.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind.split_first()) {
            (b'\'', Some((b'\'', behind))) => {
                plain.push(b'\'');
                rest = behind;
            }
            (b'\\', Some((b'0'..=b'7', _))) => {
                let digits = count(&behind[..behind.len().min(3)], |byte| matches!(byte, b'0'..=b'7'));
                let code =
                    behind[..digits].iter().fold(0_u32, |code, digit| code * 8 + u32::from(digit - b'0'));
                plain.push((code & 0xff) as u8);
                rest = &behind[digits..];
            }
            (b'\\', Some((escaped, behind))) => {
                plain.push(match escaped {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest = behind;
            }
            _ => plain.push(*first),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> Result<Option<(String, String)>, Near<'static>> {
        Ok(Some((name.to_owned(), value.to_owned())))
    }

    fn near(token: &'static str) -> Result<Option<(String, String)>, Near<'static>> {
        Err(Near::Token(token.as_bytes()))
    }

    #[test]
    fn lines_are_read_as_postgres_reads_them() {
        let cases = [
            ("", Ok(None)),
            (" \t\r", Ok(None)),
            ("# work_mem = 1", Ok(None)),
            ("port = 5432", pair("port", "5432")),
            ("port 5432 # comment", pair("port", "5432")),
            ("port=5432#comment\r", pair("port", "5432")),
            ("a.b = 'x'", pair("a.b", "x")),
            ("work_mem = 64MB", pair("work_mem", "64MB")),
            ("x = 0x1F", pair("x", "0x1F")),
            ("x = -1", pair("x", "-1")),
            ("x = 1.5", pair("x", "1.5")),
            ("x = .5e-3", pair("x", ".5e-3")),
            ("x = abc-d.e/f:g", pair("x", "abc-d.e/f:g")),
            ("x = 'it''s \\'ok\\' \\n\\t\\101\\q'", pair("x", "it's 'ok' \n\tAq")),
            ("x = ''", pair("x", "")),
            ("x = '#'", pair("x", "#")),
            ("größe = 'ü'", pair("größe", "ü")),
            ("port =", Err(Near::EndOfLine)),
            ("port", Err(Near::EndOfLine)),
            ("port = = 4", near("=")),
            ("port = 5432 5433", near("5433")),
            ("work_mem = 1.5MB", near("MB")),
            ("work_mem = a.b", near("a.b")),
            ("foo.bar.baz = a", near("foo.bar.baz")),
            ("x = 'abc", near("'")),
            // The longest string in it is `'abc'`, so the last quote is a token of its own.
            ("x = 'abc''", near("'")),
            ("x = \"abc\"", near("\"")),
            ("x = /foo", near("/")),
            ("5 = x", near("5")),
            ("work_mem = 1MB;", near(";")),
            ("x = \u{1}", near("\u{1}")),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                for tail in [b"".as_slice(), b"'", b"\\", b".", b"x", b"1"] {
                    let _ = line(&[b"a = ", [first, second].as_slice(), tail].concat());
                    let _ = line(&[[first, second].as_slice(), tail, b"=1"].concat());
                }
            }
        }
    }
}
