//! Numbers in texts, as PostgreSQL's integer input reads them.

/// The digits of a number in a base, without the single underscores that may stand between them.
pub fn digits_of(text: &str, radix: u32) -> Option<String> {
    // Behind a base's prefix the first digit may have an underscore before it.
    let text = if radix == 10 { text } else { text.strip_prefix('_').unwrap_or(text) };
    let mut digits = String::with_capacity(text.len());
    let mut behind_digit = false;
    for c in text.chars() {
        match c {
            '_' if behind_digit => behind_digit = false,
            _ if c.is_digit(radix) => {
                digits.push(c);
                behind_digit = true;
            }
            _ => return None,
        }
    }
    behind_digit.then_some(digits)
}

/// Why a text is no integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntegerError {
    /// It is no number.
    Syntax,
    /// It does not fit.
    Range,
}

/// A whole number in any of PostgreSQL's notations, with spaces around it.
pub fn integer(text: &str) -> Result<i128, IntegerError> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match rest.get(..2) {
        Some("0x" | "0X") => (&rest[2..], 16),
        Some("0o" | "0O") => (&rest[2..], 8),
        Some("0b" | "0B") => (&rest[2..], 2),
        _ => (rest, 10),
    };
    let digits = digits_of(digits, radix).ok_or(IntegerError::Syntax)?;
    let value = i128::from_str_radix(&digits, radix).map_err(|_| IntegerError::Range)?;
    Ok(if negative { -value } else { value })
}
