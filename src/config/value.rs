//! The value of a setting: read from text, with units and bounds, and printed as text again.

use std::sync::Arc;

use super::definition::{Definition, Kind, MAX_INT, MIN_INT};
use super::units::Unit;
use crate::report::{Report, ReportExt, Result, SqlState};

/// The value of a setting.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// On or off.
    Bool(bool),
    /// A whole number, in the setting's unit.
    Int(i64),
    /// A number, in the setting's unit.
    Real(f64),
    /// One of the setting's words.
    Choice(&'static str),
    /// Any text.
    Text(Arc<str>),
}

impl Value {
    /// Text without a unit, as in `pg_settings`.
    pub fn plain(&self) -> String {
        match self {
            Self::Bool(true) => "on".to_owned(),
            Self::Bool(false) => "off".to_owned(),
            Self::Int(value) => value.to_string(),
            Self::Real(value) => real_text(*value),
            Self::Choice(word) => (*word).to_owned(),
            Self::Text(text) => text.to_string(),
        }
    }

    /// Text with the unit that reads best, as `SHOW` prints it.
    pub(super) fn with_unit(&self, unit: Option<Unit>) -> String {
        match (self, unit) {
            (Self::Int(value), Some(unit)) if *value > 0 => {
                let (value, suffix) = unit.show_int(*value);
                format!("{value}{suffix}")
            }
            (Self::Real(value), Some(unit)) if *value > 0.0 => {
                let (value, suffix) = unit.show_real(*value);
                format!("{}{suffix}", real_text(value))
            }
            _ => self.plain(),
        }
    }

    /// Text as complaints quote it: PostgreSQL puts no quotes around numbers there.
    pub(super) fn in_complaint(&self) -> String {
        match self {
            Self::Bool(value) => i32::from(*value).to_string(),
            Self::Int(_) | Self::Real(_) => self.plain(),
            Self::Choice(_) | Self::Text(_) => format!("\"{}\"", self.plain()),
        }
    }
}

/// A number with six significant digits, as C's `%g` prints it.
pub(super) fn real_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let rounded = format!("{value:.5e}");
    let Some((digits, exponent)) = rounded.split_once('e') else { return rounded };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return trim(&format!("{value:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

/// Reads a value by its setting's type, units and bounds.
pub(super) fn parse(name: &str, definition: &Definition, text: &str) -> Result<Value> {
    match definition.kind {
        Kind::Bool { .. } => parse_bool(text).map(Value::Bool).ok_or_else(|| {
            Report::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{name}\" requires a Boolean value"),
            )
        }),
        Kind::Int { min, max, .. } => {
            let value = parse_int(text, definition.unit).map_err(|hint| invalid(name, text, hint))?;
            if (min..=max).contains(&value) {
                return Ok(Value::Int(value));
            }
            Err(out_of_range(name, definition.unit, [value, min, max].map(|n| n.to_string())))
        }
        Kind::Real { min, max, .. } => {
            let value = parse_real(text, definition.unit).map_err(|hint| invalid(name, text, hint))?;
            if (min..=max).contains(&value) {
                return Ok(Value::Real(value));
            }
            Err(out_of_range(name, definition.unit, [value, min, max].map(real_text)))
        }
        Kind::Choice { words, aliases, .. } => {
            let alias = aliases.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
            alias.map(|(_, word)| word).or(word).map(|word| Value::Choice(word)).ok_or_else(|| {
                invalid(name, text, None).with_hint(format!("Available values: {}.", shown_words(words)))
            })
        }
        Kind::Text { .. } => Ok(Value::Text(text.into())),
    }
}

fn shown_words(words: &[&str]) -> String {
    let shown: Vec<_> = words.iter().filter(|word| !word.is_empty()).copied().collect();
    shown.join(", ")
}

/// The usual complaint about a value.
pub(super) fn invalid(name: &str, text: &str, hint: Option<&str>) -> Box<Report> {
    let report = Report::error(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": \"{text}\""),
    );
    match hint {
        Some(hint) => report.with_hint(hint),
        None => report,
    }
}

fn out_of_range(name: &str, unit: Option<Unit>, [value, min, max]: [String; 3]) -> Box<Report> {
    let unit = unit.map_or(String::new(), |unit| format!(" {}", unit.name()));
    Report::error(
        SqlState::INVALID_PARAMETER_VALUE,
        format!(
            "{value}{unit} is outside the valid range for parameter \"{name}\" ({min}{unit} .. {max}{unit})"
        ),
    )
}

/// A boolean, in any abbreviation that cannot mean the other.
pub fn parse_bool(text: &str) -> Option<bool> {
    let starts = |word: &str, least: usize| {
        text.len() >= least
            && text.len() <= word.len()
            && word.as_bytes()[..text.len()].eq_ignore_ascii_case(text.as_bytes())
    };
    if starts("true", 1) || starts("yes", 1) || starts("on", 2) || text == "1" {
        Some(true)
    } else if starts("false", 1) || starts("no", 1) || starts("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

/// Why a number is none: a hint, if there is one to give.
type NoNumber = Option<&'static str>;

const TOO_BIG: NoNumber = Some("Value exceeds integer range.");

/// A whole number: decimal, hexadecimal after `0x`, octal after `0`, or a fraction that is rounded, with a unit.
fn parse_int(text: &str, unit: Option<Unit>) -> std::result::Result<i64, NoNumber> {
    let text = text.trim_start_matches(C_SPACE);
    let (number, rest) = leading_number(text).ok_or(None)?;
    let number = in_unit(number, rest, unit)?.round_ties_even();
    if number > MAX_INT as f64 || number < MIN_INT as f64 {
        return Err(TOO_BIG);
    }
    Ok(number as i64)
}

/// A number with a unit.
fn parse_real(text: &str, unit: Option<Unit>) -> std::result::Result<f64, NoNumber> {
    let text = text.trim_start_matches(C_SPACE);
    let (number, rest) = match hexadecimal(text) {
        Some(found) => found,
        None => leading_real(text).ok_or(None)?,
    };
    in_unit(number, rest, unit)
}

/// What C's `isspace` skips.
const C_SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];

fn in_unit(number: f64, rest: &str, unit: Option<Unit>) -> std::result::Result<f64, NoNumber> {
    let suffix = rest.trim_matches(C_SPACE);
    match unit {
        _ if suffix.is_empty() => Ok(number),
        Some(unit) => unit.convert(number, suffix).ok_or(Some(unit.hint())),
        None => Err(None),
    }
}

/// The number at the beginning of an integer setting's text, and what follows it.
fn leading_number(text: &str) -> Option<(f64, &str)> {
    if let Some(found) = hexadecimal(text) {
        return Some(found);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if digits[end..].starts_with(['.', 'e', 'E']) || !digits.starts_with('0') {
        return leading_real(text);
    }
    // A leading zero means octal, and a digit that is none ends the number.
    let end = digits.find(|c: char| !('0'..='7').contains(&c)).unwrap_or(digits.len());
    let value = digits[..end].bytes().fold(0.0, |value, digit| value * 8.0 + f64::from(digit - b'0'));
    Some((sign * value, &digits[end..]))
}

fn hexadecimal(text: &str) -> Option<(f64, &str)> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))?;
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    let value = digits[..end]
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .fold(0.0, |value, digit| value * 16.0 + f64::from(digit));
    (end > 0).then_some((sign * value, &digits[end..]))
}

/// The decimal number at the beginning, and what follows it; none where it is too big for a float.
fn leading_real(text: &str) -> Option<(f64, &str)> {
    let bytes = text.as_bytes();
    let digits_from = |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = usize::from(text.starts_with(['+', '-']));
    for (word, value) in [("infinity", f64::INFINITY), ("inf", f64::INFINITY)] {
        if bytes[end..].len() >= word.len()
            && bytes[end..end + word.len()].eq_ignore_ascii_case(word.as_bytes())
        {
            let value = if text.starts_with('-') { -value } else { value };
            return Some((value, &text[end + word.len()..]));
        }
    }
    let whole = digits_from(end);
    end += whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits_from(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits_from((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let value: f64 = text[..end].parse().ok()?;
    value.is_finite().then_some((value, &text[end..]))
}
