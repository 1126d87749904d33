//! Dates and times as text, in each `DateStyle`.

use std::fmt::Write as _;

use super::calendar::{
    Civil, DATE_INFINITY, DATE_MINUS_INFINITY, INFINITY, MICROS_PER_SECOND, MINUS_INFINITY, civil_of_days,
    civil_of_micros, weekday,
};
use super::formats::{DateOrder, DateStyle, Formats};

/// Days of the week, Sunday first.
pub const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// The months.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A date.
pub fn date_text(days: i32, formats: &Formats, out: &mut String) {
    match days {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_MINUS_INFINITY => out.push_str("-infinity"),
        _ => {
            let civil = civil_of_days(i64::from(days));
            write_date(&civil, formats, out, true);
            write_era(&civil, out);
        }
    }
}

fn write_date(civil: &Civil, formats: &Formats, out: &mut String, alone: bool) {
    let (year, month, day) = (shown_year(civil), civil.month, civil.day);
    _ = match (formats.date_style, formats.date_order) {
        (DateStyle::Iso, _) => write!(out, "{year:04}-{month:02}-{day:02}"),
        (DateStyle::Sql, DateOrder::Dmy) => write!(out, "{day:02}/{month:02}/{year:04}"),
        (DateStyle::Sql, _) => write!(out, "{month:02}/{day:02}/{year:04}"),
        (DateStyle::German, _) => write!(out, "{day:02}.{month:02}.{year:04}"),
        (DateStyle::Postgres, DateOrder::Dmy) if alone => write!(out, "{day:02}-{month:02}-{year:04}"),
        (DateStyle::Postgres, _) => write!(out, "{month:02}-{day:02}-{year:04}"),
    };
}

fn shown_year(civil: &Civil) -> i32 {
    if civil.year > 0 { civil.year } else { 1 - civil.year }
}

fn write_era(civil: &Civil, out: &mut String) {
    if civil.year <= 0 {
        out.push_str(" BC");
    }
}

/// A time of day.
pub fn time_text(micros: i64, out: &mut String) {
    let seconds = micros / MICROS_PER_SECOND;
    _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    write_fraction(micros % MICROS_PER_SECOND, out);
}

/// `.ffffff` without trailing zeros, nothing for zero.
pub fn write_fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

fn infinite(micros: i64, out: &mut String) -> bool {
    match micros {
        INFINITY => out.push_str("infinity"),
        MINUS_INFINITY => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

/// A timestamp without time zone.
pub fn timestamp_text(micros: i64, formats: &Formats, out: &mut String) {
    if !infinite(micros, out) {
        write_timestamp(micros, formats, None, out);
    }
}

/// A timestamp with time zone, shown in the session's.
pub fn timestamptz_text(micros: i64, formats: &Formats, out: &mut String) {
    if !infinite(micros, out) {
        let (offset, abbreviation) = formats.zone.at_instant(micros);
        let local = micros.saturating_add(i64::from(offset) * MICROS_PER_SECOND);
        write_timestamp(local, formats, Some((offset, &abbreviation)), out);
    }
}

fn write_timestamp(local: i64, formats: &Formats, zone: Option<(i32, &str)>, out: &mut String) {
    let civil = civil_of_micros(local);
    if formats.date_style == DateStyle::Postgres {
        write_postgres(local, &civil, formats, zone, out);
        return;
    }
    write_date(&civil, formats, out, false);
    out.push(' ');
    time_text(civil.micros, out);
    if let Some((offset, abbreviation)) = zone {
        write_zone(offset, abbreviation, formats.date_style, out);
    }
    write_era(&civil, out);
}

fn write_postgres(local: i64, civil: &Civil, formats: &Formats, zone: Option<(i32, &str)>, out: &mut String) {
    let name = &WEEKDAYS[weekday(local.div_euclid(super::calendar::MICROS_PER_DAY)) as usize][..3];
    let month = &MONTHS[civil.month as usize - 1][..3];
    _ = match formats.date_order {
        DateOrder::Dmy => write!(out, "{name} {:02} {month} ", civil.day),
        _ => write!(out, "{name} {month} {:02} ", civil.day),
    };
    time_text(civil.micros, out);
    _ = write!(out, " {:04}", shown_year(civil));
    if let Some((offset, abbreviation)) = zone {
        write_zone(offset, abbreviation, DateStyle::Postgres, out);
    }
    write_era(civil, out);
}

fn write_zone(offset: i32, abbreviation: &str, style: DateStyle, out: &mut String) {
    let named = style != DateStyle::Iso && !abbreviation.starts_with(['+', '-']);
    if named {
        _ = write!(out, " {abbreviation}");
    } else {
        if style == DateStyle::Postgres {
            out.push(' ');
        }
        write_offset(offset, out);
    }
}

/// `+hh[:mm[:ss]]`.
pub fn write_offset(offset: i32, out: &mut String) {
    let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    _ = write!(out, "{sign}{:02}", seconds / 3600);
    if seconds % 3600 != 0 {
        _ = write!(out, ":{:02}", seconds / 60 % 60);
    }
    if seconds % 60 != 0 {
        _ = write!(out, ":{:02}", seconds % 60);
    }
}
