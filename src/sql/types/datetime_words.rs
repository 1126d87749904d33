//! The words and numbers that dates and times are written with.

use super::datetime_out::MONTHS;

/// A piece of a date's text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Letters.
    Word(String),
    /// Digits with `-`, `/`, `.` between them, or digits alone.
    Date(Vec<String>),
    /// Hours, minutes, seconds and microseconds.
    Clock(i64),
    /// An offset from UTC in seconds.
    Offset(i32),
    /// An IANA zone's name.
    ZoneName(String),
}

/// Cuts a text into pieces; `None` if a character has no place in a date.
pub fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let c = bytes[at];
        if c.is_ascii_whitespace() || c == b',' {
            at += 1;
            continue;
        }
        let behind_clock = pieces.iter().any(|piece| matches!(piece, Piece::Clock(_)));
        let signed_digit = matches!(c, b'+' | b'-') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let end = if c.is_ascii_digit() {
            number_end(bytes, at)
        } else if signed_digit {
            span(bytes, at + 1, |c| c.is_ascii_digit() || c == b':')
        } else if c.is_ascii_alphabetic() {
            word_end(bytes, at)
        } else {
            return None;
        };
        let part = &text[at..end];
        pieces.push(match () {
            () if signed_digit && (behind_clock || c == b'+' || !pieces.is_empty()) => {
                Piece::Offset(offset(part)?)
            }
            () if signed_digit => return None,
            () if c.is_ascii_alphabetic() && part.contains(['/', '_']) => Piece::ZoneName(part.to_owned()),
            () if c.is_ascii_alphabetic() => Piece::Word(part.to_ascii_lowercase()),
            () if part.contains(':') => Piece::Clock(clock(part)?),
            () => Piece::Date(part.split(['-', '/', '.']).map(str::to_owned).collect()),
        });
        at = end;
    }
    Some(pieces)
}

fn span(bytes: &[u8], from: usize, belongs: impl Fn(u8) -> bool) -> usize {
    from + bytes[from..].iter().take_while(|&&c| belongs(c)).count()
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    let end = span(bytes, at, |c| c.is_ascii_alphabetic());
    if bytes.get(end).is_some_and(|c| matches!(c, b'/' | b'_')) {
        return span(bytes, at, |c| c.is_ascii_alphanumeric() || matches!(c, b'/' | b'_' | b'-' | b'+'));
    }
    end
}

/// A clock has colons; a date goes on over its separators, and over letters in `08-Jan-1999`.
fn number_end(bytes: &[u8], at: usize) -> usize {
    let digits = span(bytes, at, |c| c.is_ascii_digit());
    match bytes.get(digits) {
        Some(b':') => span(bytes, at, |c| c.is_ascii_digit() || matches!(c, b':' | b'.')),
        Some(&separator @ (b'-' | b'/' | b'.')) => {
            let mut end = digits;
            for _ in 0..2 {
                if bytes.get(end) != Some(&separator) {
                    break;
                }
                let next = span(bytes, end + 1, |c| c.is_ascii_alphanumeric());
                let next = if bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
                    span(bytes, end + 1, |c| c.is_ascii_digit())
                } else {
                    next
                };
                if next == end + 1 {
                    break;
                }
                end = next;
            }
            end
        }
        _ => digits,
    }
}

/// Microseconds of `hh:mm[:ss[.ffffff]]`.
pub fn clock(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    let (&hours, &minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (hours, minutes, "0"),
        [hours, minutes, seconds] => (hours, minutes, *seconds),
        _ => return None,
    };
    let hours: i64 = hours.parse().ok().filter(|&n: &i64| n < 10_000)?;
    let minutes: i64 = minutes.parse().ok()?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let whole: i64 = whole.parse().ok()?;
    if minutes > 59 || whole > 60 {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + whole) * 1_000_000 + fraction_micros(fraction)?)
}

/// Microseconds of the digits behind a second's point, rounded.
pub fn fraction_micros(digits: &str) -> Option<i64> {
    if digits.is_empty() {
        return Some(0);
    }
    if !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let value: f64 = format!("0.{digits}").parse().ok()?;
    Some((value * 1e6).round_ties_even() as i64)
}

/// Seconds of `[+-]hh[[:]mm[[:]ss]]`.
pub fn offset(text: &str) -> Option<i32> {
    let (sign, rest) = (if text.starts_with('-') { -1 } else { 1 }, &text[1..]);
    let parts: Vec<&str> = match rest.contains(':') {
        true => rest.split(':').collect(),
        false if rest.len() > 2 => {
            let hours = rest.len() - if rest.len() > 4 { 4 } else { 2 };
            let (head, tail) = rest.split_at(hours);
            if tail.len() > 2 { vec![head, &tail[..2], &tail[2..]] } else { vec![head, tail] }
        }
        false => vec![rest],
    };
    let mut seconds = 0;
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        seconds += part.parse::<i32>().ok().filter(|&n| n < 60)? * unit;
    }
    (parts.len() <= 3 && seconds <= 15 * 3600 + 59 * 60 + 59).then_some(sign * seconds)
}

/// The month of a name or its first letters.
pub fn month(word: &str) -> Option<u32> {
    let word = if word == "sept" { "sep" } else { word };
    let at = MONTHS.iter().position(|name| {
        word.eq_ignore_ascii_case(name) || (word.len() == 3 && word.eq_ignore_ascii_case(&name[..3]))
    })?;
    Some(at as u32 + 1)
}

/// Seconds east of Greenwich of an abbreviation from PostgreSQL's default set, the usual ones of it.
pub fn zone_abbreviation(word: &str) -> Option<i32> {
    let hours = match word {
        "utc" | "gmt" | "z" | "zulu" | "ut" | "wet" => 0.0,
        "bst" | "cet" | "met" | "west" => 1.0,
        "cest" | "eet" | "mest" => 2.0,
        "eest" | "msk" => 3.0,
        "ist" => 2.0,
        "jst" | "kst" => 9.0,
        "aest" => 10.0,
        "aedt" => 11.0,
        "acst" => 9.5,
        "awst" => 8.0,
        "nzst" => 12.0,
        "nzdt" => 13.0,
        "ast" => -4.0,
        "adt" => -3.0,
        "est" => -5.0,
        "edt" => -4.0,
        "cst" => -6.0,
        "cdt" => -5.0,
        "mst" => -7.0,
        "mdt" => -6.0,
        "pst" => -8.0,
        "pdt" => -7.0,
        "akst" => -9.0,
        "akdt" => -8.0,
        "hst" => -10.0,
        _ => return None,
    };
    Some((hours * 3600.0) as i32)
}
