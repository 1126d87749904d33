//! `to_char` of numbers: `9`, `0`, `.`, `,`, `D`, `G`, `S`, `MI`, `PL`, `SG`, `PR`, `FM`. Other patterns are refused.

use crate::report::{Report, Result};
use crate::sql::types::{Datum, Numeric};

use super::Call;
use super::arithmetic::{float, numeric};
use super::strings::text;

/// What a format asks for.
#[derive(Default)]
struct Format {
    /// Digits and separators before and behind the point, as written.
    whole: Vec<char>,
    fraction: Vec<char>,
    point: bool,
    fill: bool,
    sign: Sign,
}

#[derive(Default, PartialEq, Clone, Copy)]
enum Sign {
    /// `-` or a space before the number.
    #[default]
    Plain,
    Leading,
    Trailing,
    MinusBehind,
    Brackets,
}

/// The number in a format.
pub fn number_to_char(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let format = parse(text(&args[1]))?;
    let value = match &args[0] {
        Datum::Float4(_) | Datum::Float8(_) => Numeric::from_float(float(&args[0]), 15),
        other => numeric(other),
    };
    Ok(Datum::text(render(&value, &format)))
}

fn parse(text: &str) -> Result<Format> {
    let mut format = Format { fill: true, ..Format::default() };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let upper = rest.to_ascii_uppercase();
        let mut used = c.len_utf8();
        match c.to_ascii_uppercase() {
            _ if upper.starts_with("FM") => (format.fill, used) = (false, 2),
            _ if upper.starts_with("MI") => (format.sign, used) = (Sign::MinusBehind, 2),
            _ if upper.starts_with("PR") => (format.sign, used) = (Sign::Brackets, 2),
            'S' if format.whole.is_empty() && format.fraction.is_empty() => format.sign = Sign::Leading,
            'S' => format.sign = Sign::Trailing,
            '9' | '0' | ',' | 'G' => {
                let c = if c.eq_ignore_ascii_case(&'g') { ',' } else { c };
                if format.point { format.fraction.push(c) } else { format.whole.push(c) }
            }
            '.' | 'D' if !format.point => format.point = true,
            ' ' => {
                if format.point {
                    format.fraction.push(' ')
                } else {
                    format.whole.push(' ')
                }
            }
            _ => {
                return Err(Report::not_supported(format!(
                    "number format pattern \"{rest}\" is not supported yet"
                )));
            }
        }
        rest = &rest[used..];
    }
    Ok(format)
}

fn render(value: &Numeric, format: &Format) -> String {
    let places = format.fraction.iter().filter(|c| matches!(c, '9' | '0')).count();
    let rounded = value.round(places as i64);
    let negative = rounded.signum() < 0;
    let digits = rounded.abs().to_string();
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let slots = format.whole.iter().filter(|c| matches!(c, '9' | '0')).count();
    let whole =
        if whole == "0" && slots > 0 && places > 0 && !format.whole.contains(&'0') { "" } else { whole };
    if whole.len() > slots || !matches!(value, Numeric::Finite { .. }) {
        let body: String =
            format.whole.iter().map(|c| if matches!(c, '9' | '0') { '#' } else { *c }).collect();
        let point = if format.point { ".".to_owned() + &"#".repeat(places) } else { String::new() };
        return signed(body + &point, negative, format);
    }
    let mut body = whole_part(whole, slots, format);
    if format.point {
        body.push('.');
        body.push_str(&fraction_part(fraction, format));
    }
    signed(body, negative, format)
}

/// Digits in their places; before the first one, spaces, or zeros from the format's first `0` on.
fn whole_part(digits: &str, slots: usize, format: &Format) -> String {
    let mut digits = digits.chars();
    let empty = slots - digits.clone().count();
    let (mut slot, mut started) = (0, false);
    let mut out = String::new();
    for &c in &format.whole {
        match c {
            '9' | '0' => {
                if slot >= empty {
                    started = true;
                    out.extend(digits.next());
                } else if c == '0' || started {
                    started = true;
                    out.push('0');
                } else {
                    out.push(' ');
                }
                slot += 1;
            }
            ',' if !started => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Without fill, the zeros at the end are dropped down to the format's last `0`.
fn fraction_part(digits: &str, format: &Format) -> String {
    let mut digits = digits.chars();
    let mut out = String::new();
    let mut kept = 0;
    for &c in &format.fraction {
        match c {
            '9' | '0' => {
                let digit = digits.next().unwrap_or('0');
                out.push(digit);
                if c == '0' || digit != '0' {
                    kept = out.len();
                }
            }
            c => out.push(c),
        }
    }
    if !format.fill {
        out.truncate(kept);
    }
    out
}

fn signed(body: String, negative: bool, format: &Format) -> String {
    let trimmed = body.trim_start();
    let spaces = if format.fill { " ".repeat(body.len() - trimmed.len()) } else { String::new() };
    let pick =
        |if_negative: &'static str, otherwise: &'static str| if negative { if_negative } else { otherwise };
    let plain = if format.fill { " " } else { "" };
    match format.sign {
        Sign::Plain => format!("{spaces}{}{trimmed}", pick("-", plain)),
        Sign::Leading => format!("{spaces}{}{trimmed}", pick("-", "+")),
        Sign::Trailing => format!("{spaces}{trimmed}{}", pick("-", "+")),
        Sign::MinusBehind => format!("{spaces}{trimmed}{}", pick("-", plain)),
        Sign::Brackets if negative => format!("{spaces}<{trimmed}>"),
        Sign::Brackets if format.fill => format!("{spaces} {trimmed} "),
        Sign::Brackets => trimmed.to_owned(),
    }
}
