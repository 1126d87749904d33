//! `to_char` of points in time.

use crate::report::Result;
use crate::sql::types::calendar::{
    Civil, INFINITY, JULIAN_2000, MICROS_PER_DAY, MICROS_PER_SECOND, MINUS_INFINITY, civil_of_micros,
    days_of, weekday,
};
use crate::sql::types::datetime_out::{MONTHS, WEEKDAYS, write_offset};
use crate::sql::types::{Datum, Type};

use super::dates::micros;
use super::dates_fields::iso_week;
use super::strings::text;
use super::to_char_number::number_to_char;
use super::{Call, Function, function};

/// The patterns, longer ones before those that they begin with. Case matters for some, so all are compared exactly and
/// then without case.
const PATTERNS: &[&str] = &[
    "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
    "AM", "PM", "am", "pm", "A.M.", "P.M.", "a.m.", "p.m.", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY",
    "IY", "IW", "IDDD", "ID", "I", "BC", "AD", "bc", "ad", "B.C.", "A.D.", "b.c.", "a.d.", "MONTH", "Month",
    "month", "MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DDD", "DD", "DY", "Dy", "dy", "D", "WW", "W",
    "CC", "J", "Q", "RM", "rm", "TZH", "TZM", "TZ", "tz", "OF",
];

struct Point<'a> {
    civil: Civil,
    days: i64,
    offset: i32,
    zone: &'a str,
}

fn point_to_char(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let at = micros(&args[0]);
    if at == INFINITY || at == MINUS_INFINITY {
        return Ok(Datum::text(if at == INFINITY { "infinity" } else { "-infinity" }));
    }
    let (offset, zone) = match args[0] {
        Datum::Timestamptz(_) => call.ctx.formats.zone.at_instant(at),
        _ => (0, String::new()),
    };
    let local = at + i64::from(offset) * MICROS_PER_SECOND;
    let point =
        Point { civil: civil_of_micros(local), days: local.div_euclid(MICROS_PER_DAY), offset, zone: &zone };
    Ok(Datum::text(formatted(&point, text(&args[1]))))
}

fn interval_to_char(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let value = super::dates::interval(&args[0]);
    let civil = Civil {
        year: value.months / 12,
        month: (value.months % 12).unsigned_abs(),
        day: value.days.unsigned_abs(),
        micros: value.micros,
    };
    let point = Point { civil, days: 0, offset: 0, zone: "" };
    Ok(Datum::text(formatted(&point, text(&args[1]))))
}

fn formatted(point: &Point<'_>, format: &str) -> String {
    let mut out = String::new();
    let mut rest = format;
    let mut filled = true;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let quoted = &rest[1..];
            let end = quoted.find('"').unwrap_or(quoted.len());
            out.push_str(&quoted[..end]);
            rest = quoted.get(end + 1..).unwrap_or("");
            continue;
        }
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            filled = false;
            rest = after;
            continue;
        }
        let Some(pattern) = pattern_at(rest) else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[pattern.len()..];
        let piece = piece(point, pattern, filled);
        let ordinal = ["TH", "th"].into_iter().find(|suffix| rest.starts_with(suffix));
        out.push_str(&piece);
        if let Some(suffix) = ordinal {
            rest = &rest[2..];
            out.push_str(&ordinal_suffix(&piece, suffix == "TH"));
        }
        filled = true;
    }
    out
}

fn pattern_at(rest: &str) -> Option<&'static str> {
    let exact = PATTERNS.iter().find(|pattern| rest.starts_with(**pattern));
    exact
        .or_else(|| {
            PATTERNS.iter().find(|pattern| {
                rest.get(..pattern.len()).is_some_and(|head| head.eq_ignore_ascii_case(pattern))
            })
        })
        .copied()
}

fn ordinal_suffix(number: &str, upper: bool) -> String {
    let teen = number.len() > 1 && number.as_bytes()[number.len() - 2] == b'1';
    let suffix = match number.bytes().last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    };
    if upper { suffix.to_uppercase() } else { suffix.to_owned() }
}

fn piece(point: &Point<'_>, pattern: &str, filled: bool) -> String {
    let number =
        |value: i64, width: usize| if filled { format!("{value:0width$}") } else { value.to_string() };
    let seconds = point.civil.micros / MICROS_PER_SECOND;
    let fraction = point.civil.fraction();
    let (hour, hour12) = (seconds / 3600, (seconds / 3600 + 11) % 12 + 1);
    match pattern {
        "HH24" => number(hour, 2),
        "HH12" | "HH" => number(hour12, 2),
        "MI" => number(seconds / 60 % 60, 2),
        "SS" => number(seconds % 60, 2),
        "SSSS" | "SSSSS" => seconds.to_string(),
        "MS" => number(fraction / 1000, 3),
        "US" => number(fraction, 6),
        _ if pattern.starts_with("FF") => {
            let digits = usize::from(pattern.as_bytes()[2] - b'0');
            format!("{fraction:06}")[..digits].to_owned()
        }
        "AM" | "PM" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "am" | "pm" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "A.M." | "P.M." => if hour < 12 { "A.M." } else { "P.M." }.to_owned(),
        "a.m." | "p.m." => if hour < 12 { "a.m." } else { "p.m." }.to_owned(),
        _ => date_piece(point, pattern, filled),
    }
}

fn date_piece(point: &Point<'_>, pattern: &str, filled: bool) -> String {
    let number =
        |value: i64, width: usize| if filled { format!("{value:0width$}") } else { value.to_string() };
    let civil = &point.civil;
    let year = i64::from(if civil.year > 0 { civil.year } else { 1 - civil.year });
    let (iso_year, iso_week) = iso_week(point.days);
    let day_of_year = point.days - days_of(civil.year, 1, 1) + 1;
    match pattern {
        "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
        "YYYY" => number(year, 4),
        "YYY" => number(year % 1000, 3),
        "YY" => number(year % 100, 2),
        "Y" => (year % 10).to_string(),
        "IYYY" => number(i64::from(iso_year), 4),
        "IYY" => number(i64::from(iso_year) % 1000, 3),
        "IY" => number(i64::from(iso_year) % 100, 2),
        "I" => (iso_year % 10).to_string(),
        "IW" => number(iso_week, 2),
        "ID" => ((weekday(point.days) + 6) % 7 + 1).to_string(),
        "IDDD" => number((iso_week - 1) * 7 + i64::from((weekday(point.days) + 6) % 7) + 1, 3),
        "MM" => number(i64::from(civil.month), 2),
        "DD" => number(i64::from(civil.day), 2),
        "DDD" => number(day_of_year, 3),
        "D" => (weekday(point.days) + 1).to_string(),
        "WW" => number((day_of_year - 1) / 7 + 1, 2),
        "W" => ((civil.day.max(1) - 1) / 7 + 1).to_string(),
        "CC" => number((year + 99) / 100, 2),
        "J" => (point.days + JULIAN_2000).to_string(),
        "Q" => ((civil.month.max(1) - 1) / 3 + 1).to_string(),
        _ => word_piece(point, pattern, filled),
    }
}

fn word_piece(point: &Point<'_>, pattern: &str, filled: bool) -> String {
    let month = MONTHS[(point.civil.month.clamp(1, 12) - 1) as usize];
    let day = WEEKDAYS[weekday(point.days) as usize];
    let ad = point.civil.year > 0;
    let padded = |word: &str| if filled { format!("{word:<9}") } else { word.to_owned() };
    match pattern {
        "MONTH" => padded(&month.to_uppercase()),
        "Month" => padded(month),
        "month" => padded(&month.to_lowercase()),
        "MON" => month[..3].to_uppercase(),
        "Mon" => month[..3].to_owned(),
        "mon" => month[..3].to_lowercase(),
        "DAY" => padded(&day.to_uppercase()),
        "Day" => padded(day),
        "day" => padded(&day.to_lowercase()),
        "DY" => day[..3].to_uppercase(),
        "Dy" => day[..3].to_owned(),
        "dy" => day[..3].to_lowercase(),
        "BC" | "AD" => if ad { "AD" } else { "BC" }.to_owned(),
        "bc" | "ad" => if ad { "ad" } else { "bc" }.to_owned(),
        "B.C." | "A.D." => if ad { "A.D." } else { "B.C." }.to_owned(),
        "b.c." | "a.d." => if ad { "a.d." } else { "b.c." }.to_owned(),
        "RM" | "rm" => {
            let numerals = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
            let numeral = numerals[(point.civil.month.clamp(1, 12) - 1) as usize];
            let padded = if filled { format!("{numeral:<4}") } else { numeral.to_owned() };
            if pattern == "rm" { padded.to_lowercase() } else { padded }
        }
        "TZ" => point.zone.to_uppercase(),
        "tz" => point.zone.to_lowercase(),
        "TZH" => format!("{}{:02}", if point.offset < 0 { '-' } else { '+' }, point.offset.abs() / 3600),
        "TZM" => format!("{:02}", point.offset.abs() / 60 % 60),
        "OF" => {
            let mut out = String::new();
            write_offset(point.offset, &mut out);
            out
        }
        _ => String::new(),
    }
}

/// The functions' rows.
pub const FUNCTIONS: &[Function] = {
    use Type as T;
    const TX: Type = Type::TEXT;
    &[
        function("to_char", 1770, &[T::TIMESTAMPTZ, TX], TX, point_to_char).stable(),
        function("to_char", 2049, &[T::TIMESTAMP, TX], TX, point_to_char).stable(),
        function("to_char", 1768, &[T::INTERVAL, TX], TX, interval_to_char).stable(),
        function("to_char", 1772, &[T::NUMERIC, TX], TX, number_to_char).stable(),
        function("to_char", 1773, &[T::INT4, TX], TX, number_to_char).stable(),
        function("to_char", 1774, &[T::INT8, TX], TX, number_to_char).stable(),
        function("to_char", 1775, &[T::FLOAT4, TX], TX, number_to_char).stable(),
        function("to_char", 1776, &[T::FLOAT8, TX], TX, number_to_char).stable(),
    ]
};
