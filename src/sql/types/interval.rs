//! `interval`: from text and to text in each `IntervalStyle`.

use std::fmt::Write as _;

use super::Interval;
use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use super::datetime_out::write_fraction;
use super::datetime_words::{clock, fraction_micros};
use super::formats::IntervalStyle;

/// Why a text is no interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntervalError {
    /// It is none.
    Syntax,
    /// A field is too big.
    Field,
}

/// An interval in the making, wide enough not to overflow on the way.
#[derive(Default)]
struct Sum {
    months: f64,
    days: f64,
    micros: f64,
    any: bool,
}

impl Sum {
    fn add(&mut self, value: f64, unit: &str) -> Result<(), IntervalError> {
        let whole = value.trunc();
        let rest = value - whole;
        self.any = true;
        match unit {
            "months" => {
                self.months += whole;
                self.add_days(rest * 30.0);
            }
            "days" => self.add_days(value),
            "micros" => self.micros += value,
            _ => return Err(IntervalError::Syntax),
        }
        Ok(())
    }

    fn add_days(&mut self, days: f64) {
        let whole = days.trunc();
        self.days += whole;
        self.micros += ((days - whole) * MICROS_PER_DAY as f64).round_ties_even();
    }

    /// Years and longer: their fraction becomes whole months.
    fn add_years(&mut self, value: f64, months: f64) {
        self.any = true;
        self.months += (value * months).round();
    }

    fn finish(&self) -> Result<Interval, IntervalError> {
        if !self.any {
            return Err(IntervalError::Syntax);
        }
        let fits = |value: f64, limit: f64| {
            if value.abs() <= limit { Ok(value) } else { Err(IntervalError::Field) }
        };
        Ok(Interval {
            months: fits(self.months, f64::from(i32::MAX))? as i32,
            days: fits(self.days, f64::from(i32::MAX))? as i32,
            micros: fits(self.micros, 9.2e18)? as i64,
        })
    }
}

/// An interval's text in any style.
pub fn parse(text: &str) -> Result<Interval, IntervalError> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix(['P', 'p']) {
        return iso(rest);
    }
    let lower = text.to_ascii_lowercase();
    let (body, ago) = match lower.strip_suffix("ago") {
        Some(body) => (body.to_owned(), true),
        None => (lower, false),
    };
    let mut sum = Sum::default();
    let tokens = tokens(body.strip_prefix('@').unwrap_or(&body));
    let mut at = 0;
    while at < tokens.len() {
        at += term(&tokens[at..], &mut sum)?;
    }
    let interval = sum.finish()?;
    Ok(if ago { negate(&interval) } else { interval })
}

/// Splits at spaces, and between a number and a unit that stands right behind it.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for word in text.split_ascii_whitespace() {
        let split = word.find(|c: char| c.is_ascii_alphabetic()).filter(|&at| at > 0);
        match split {
            Some(at) => tokens.extend([word[..at].to_owned(), word[at..].to_owned()]),
            None => tokens.push(word.to_owned()),
        }
    }
    tokens
}

/// Reads one amount, and tells how many tokens it had.
fn term(tokens: &[String], sum: &mut Sum) -> Result<usize, IntervalError> {
    let token = &tokens[0];
    let (sign, digits) = match token.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, token.strip_prefix('+').unwrap_or(token)),
    };
    if digits.contains(':') {
        let micros = clock(digits).ok_or(IntervalError::Syntax)?;
        sum.add(sign * micros as f64, "micros")?;
        return Ok(1);
    }
    if let Some((years, months)) = digits.split_once('-') {
        let years: f64 = years.parse().map_err(|_| IntervalError::Syntax)?;
        let months: f64 = months.parse().map_err(|_| IntervalError::Syntax)?;
        sum.add(sign * (years * 12.0 + months), "months")?;
        return Ok(1);
    }
    let exact_micros = seconds_micros(digits);
    let value: f64 = digits.parse().map_err(|_| IntervalError::Syntax)?;
    if !value.is_finite() || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(IntervalError::Syntax);
    }
    let Some(unit) = tokens.get(1) else {
        sum.add(sign * exact_micros.unwrap_or(value * 1e6), "micros")?;
        return Ok(1);
    };
    // `1 02:03` is a day and a time.
    if unit.contains(':') {
        sum.add(sign * value, "days")?;
        return Ok(1);
    }
    apply(sum, sign * value, unit, exact_micros.map(|micros| sign * micros))?;
    Ok(2)
}

/// Seconds to the microsecond, without a detour over a float's rounding.
fn seconds_micros(digits: &str) -> Option<f64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some(whole as f64 * 1e6 + fraction_micros(fraction)? as f64)
}

fn apply(sum: &mut Sum, value: f64, unit: &str, seconds: Option<f64>) -> Result<(), IntervalError> {
    match unit {
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" | "microsecon" => sum.add(value, "micros"),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" | "millisecon" => {
            sum.add(value * 1e3, "micros")
        }
        "s" | "sec" | "secs" | "second" | "seconds" => sum.add(seconds.unwrap_or(value * 1e6), "micros"),
        "m" | "min" | "mins" | "minute" | "minutes" => sum.add(value * 6e7, "micros"),
        "h" | "hr" | "hrs" | "hour" | "hours" => sum.add(value * 3.6e9, "micros"),
        "d" | "day" | "days" => sum.add(value, "days"),
        "w" | "week" | "weeks" => sum.add(value * 7.0, "days"),
        "mon" | "mons" | "month" | "months" => sum.add(value, "months"),
        "y" | "yr" | "yrs" | "year" | "years" => {
            sum.add_years(value, 12.0);
            Ok(())
        }
        "dec" | "decs" | "decade" | "decades" => {
            sum.add_years(value, 120.0);
            Ok(())
        }
        "c" | "cent" | "century" | "centuries" => {
            sum.add_years(value, 1200.0);
            Ok(())
        }
        "mil" | "mils" | "millennium" | "millennia" => {
            sum.add_years(value, 12000.0);
            Ok(())
        }
        _ => Err(IntervalError::Syntax),
    }
}

/// `1Y2M3DT4H5M6S`, behind its `P`.
fn iso(text: &str) -> Result<Interval, IntervalError> {
    let mut sum = Sum::default();
    let mut in_time = false;
    let mut number = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() || matches!(c, '.' | '-' | '+') {
            number.push(c);
            continue;
        }
        if c.eq_ignore_ascii_case(&'t') && number.is_empty() {
            in_time = true;
            continue;
        }
        let value: f64 = number.parse().map_err(|_| IntervalError::Syntax)?;
        number.clear();
        let unit = match (c.to_ascii_uppercase(), in_time) {
            ('Y', false) => "y",
            ('M', false) => "mon",
            ('W', false) => "w",
            ('D', false) => "d",
            ('H', true) => "h",
            ('M', true) => "m",
            ('S', true) => "s",
            _ => return Err(IntervalError::Syntax),
        };
        apply(&mut sum, value, unit, None)?;
    }
    if number.is_empty() { sum.finish() } else { Err(IntervalError::Syntax) }
}

/// The interval that takes this one back.
pub fn negate(interval: &Interval) -> Interval {
    Interval {
        months: interval.months.saturating_neg(),
        days: interval.days.saturating_neg(),
        micros: interval.micros.saturating_neg(),
    }
}

/// The interval as one number, for comparing: a month has 30 days, a day 24 hours.
pub fn comparable(interval: &Interval) -> i128 {
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * i128::from(MICROS_PER_DAY) + i128::from(interval.micros)
}

/// Appends the interval's text.
pub fn write(interval: &Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => write_postgres(interval, out),
        IntervalStyle::PostgresVerbose => write_verbose(interval, out),
        IntervalStyle::SqlStandard => write_standard(interval, out),
        IntervalStyle::Iso8601 => write_iso(interval, out),
    }
}

fn parts(interval: &Interval) -> (i32, i32, i32) {
    (interval.months / 12, interval.months % 12, interval.days)
}

fn write_clock(micros: i64, out: &mut String) {
    let micros = micros.unsigned_abs() as i64;
    let seconds = micros / MICROS_PER_SECOND;
    _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    write_fraction(micros % MICROS_PER_SECOND, out);
}

fn write_postgres(interval: &Interval, out: &mut String) {
    let (years, months, days) = parts(interval);
    let start = out.len();
    let mut negative_before = false;
    for (value, unit) in [(years, "year"), (months, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let plus = if negative_before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        negative_before = value < 0;
    }
    if interval.micros != 0 || out.len() == start {
        if out.len() > start {
            out.push(' ');
        }
        if interval.micros < 0 {
            out.push('-');
        } else if negative_before {
            out.push('+');
        }
        write_clock(interval.micros, out);
    }
}

fn write_verbose(interval: &Interval, out: &mut String) {
    let (years, months, days) = parts(interval);
    let (seconds, fraction) = (interval.micros / MICROS_PER_SECOND, interval.micros % MICROS_PER_SECOND);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let fields = [
        (i64::from(years), "year"),
        (i64::from(months), "mon"),
        (i64::from(days), "day"),
        (hours, "hour"),
        (minutes, "min"),
    ];
    let ago = fields.iter().map(|field| field.0).chain([seconds % 60, fraction]).find(|&value| value != 0)
        < Some(0)
        && *interval != Interval::default();
    let sign = if ago { -1 } else { 1 };
    out.push('@');
    for (value, unit) in fields.into_iter().filter(|field| field.0 != 0) {
        let value = value * sign;
        _ = write!(out, " {value} {unit}{}", if value == 1 { "" } else { "s" });
    }
    if seconds % 60 != 0 || fraction != 0 {
        let (whole, fraction) = (seconds % 60 * sign, fraction * sign);
        let minus = if whole < 0 || fraction < 0 { "-" } else { "" };
        _ = write!(out, " {minus}{}", whole.abs());
        write_fraction(fraction.abs(), out);
        _ = write!(out, " sec{}", if whole == 1 && fraction == 0 { "" } else { "s" });
    }
    if *interval == Interval::default() {
        out.push_str(" 0");
    }
    if ago {
        out.push_str(" ago");
    }
}

fn write_standard(interval: &Interval, out: &mut String) {
    let (years, months, days) = parts(interval);
    let negative = interval.months < 0 || days < 0 || interval.micros < 0;
    let positive = interval.months > 0 || days > 0 || interval.micros > 0;
    let kinds = [interval.months != 0, days != 0 || interval.micros != 0];
    let clock = |out: &mut String| {
        let mut text = String::new();
        write_clock(interval.micros, &mut text);
        out.push_str(text.strip_prefix('0').unwrap_or(&text));
    };
    if !negative && !positive {
        out.push('0');
    } else if (negative && positive) || kinds == [true, true] {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        _ = write!(out, "{}{}-{} ", sign(interval.months < 0), years.abs(), months.abs());
        _ = write!(out, "{}{} {}", sign(days < 0), days.abs(), sign(interval.micros < 0));
        clock(out);
    } else {
        if negative {
            out.push('-');
        }
        if interval.months != 0 {
            _ = write!(out, "{}-{}", years.abs(), months.abs());
        } else if days != 0 {
            _ = write!(out, "{} ", days.abs());
            clock(out);
        } else {
            clock(out);
        }
    }
}

fn write_iso(interval: &Interval, out: &mut String) {
    if *interval == Interval::default() {
        out.push_str("PT0S");
        return;
    }
    let (years, months, days) = parts(interval);
    out.push('P');
    for (value, unit) in [(years, 'Y'), (months, 'M'), (days, 'D')] {
        if value != 0 {
            _ = write!(out, "{value}{unit}");
        }
    }
    if interval.micros == 0 {
        return;
    }
    out.push('T');
    let (seconds, fraction) = (interval.micros / MICROS_PER_SECOND, interval.micros % MICROS_PER_SECOND);
    for (value, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
        if value != 0 {
            _ = write!(out, "{value}{unit}");
        }
    }
    if seconds % 60 != 0 || fraction != 0 {
        let minus = if interval.micros < 0 { "-" } else { "" };
        _ = write!(out, "{minus}{}", (seconds % 60).abs());
        write_fraction(fraction.abs(), out);
        out.push('S');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str, style: IntervalStyle) -> String {
        let mut out = String::new();
        write(&parse(text).unwrap(), style, &mut out);
        out
    }

    #[test]
    fn intervals_print_in_postgresql_s_style() {
        for (text, expected) in [
            ("1 day", "1 day"),
            ("1 year 2 months 3 days 4:05:06.7", "1 year 2 mons 3 days 04:05:06.7"),
            ("1-2", "1 year 2 mons"),
            ("-1 day +2 hours", "-1 days +02:00:00"),
            ("1.5 days", "1 day 12:00:00"),
            ("1.5 months", "1 mon 15 days"),
            ("90 minutes ago", "-01:30:00"),
            ("P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06"),
            ("0", "00:00:00"),
            ("1 02:03", "1 day 02:03:00"),
            ("1.5 years", "1 year 6 mons"),
        ] {
            assert_eq!(printed(text, IntervalStyle::Postgres), expected, "{text}");
        }
        assert!(parse("x").is_err());
        assert!(parse("").is_err());
        assert!(parse("1 foo").is_err());
    }

    #[test]
    fn other_styles() {
        let text = "1 year 2 mons 3 days 04:05:06";
        assert_eq!(printed(text, IntervalStyle::Iso8601), "P1Y2M3DT4H5M6S");
        assert_eq!(printed(text, IntervalStyle::SqlStandard), "+1-2 +3 +4:05:06");
        assert_eq!(
            printed(text, IntervalStyle::PostgresVerbose),
            "@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs"
        );
        assert_eq!(printed("-1 hour", IntervalStyle::PostgresVerbose), "@ 1 hour ago");
    }
}
