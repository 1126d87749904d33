//! `TimeZone` and `log_timezone`: names of the time zone database in any case, hours east of Greenwich, and POSIX's
//! notation.

use jiff::tz::TimeZone;

use super::{Refusal, text};
use crate::config::Settings;
use crate::config::value::Value;

/// The zone of a value that `TimeZone` or `log_timezone` has taken.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    by_name(name).map(|(_, zone)| zone)
}

/// Puts the name in the database's spelling, and offsets in POSIX's notation.
pub(in crate::config) fn check(value: &mut Value, _: &Settings) -> Result<(), Refusal> {
    let name = text(value);
    let shown = match hours(name) {
        Some(hours) => {
            posix_offset(hours).ok_or_else(|| Refusal::detail("UTC timezone offset is out of range."))?
        }
        None => by_name(name).ok_or_else(Refusal::plain)?.0,
    };
    *value = Value::Text(shown.into());
    Ok(())
}

/// Hours east of Greenwich: a number, or an interval as `SET TIME ZONE` writes it.
fn hours(text: &str) -> Option<f64> {
    let text = text.trim();
    let number = match text.get(..8) {
        Some(word) if word.eq_ignore_ascii_case("interval") => interval_hours(&text[8..])?,
        _ => text.parse().ok()?,
    };
    f64::is_finite(number).then_some(number)
}

/// `'3 hours'`, `'-08:00'`, `'03:30'`.
fn interval_hours(text: &str) -> Option<f64> {
    let inner = text.trim().strip_prefix('\'')?.strip_suffix('\'')?.trim();
    if let Some((hours, minutes)) = inner.split_once(':') {
        let sign = if hours.starts_with('-') { -1.0 } else { 1.0 };
        let (minutes, seconds) = minutes.split_once(':').unwrap_or((minutes, "0"));
        let part = |text: &str| text.trim_start_matches(['+', '-']).parse::<u8>().ok().map(f64::from);
        return Some(sign * (part(hours)? + part(minutes)? / 60.0 + part(seconds)? / 3600.0));
    }
    let number = inner.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let per_hour = match inner[number.len()..].trim() {
        "" | "second" | "seconds" => 3600.0,
        "minute" | "minutes" => 60.0,
        "hour" | "hours" => 1.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number / per_hour)
}

/// `<+05>-05`: POSIX counts westward, and the name counts eastward.
fn posix_offset(hours: f64) -> Option<String> {
    let seconds = (hours * 3600.0).trunc();
    if seconds.abs() >= 25.0 * 3600.0 {
        return None;
    }
    let seconds = seconds as i64;
    let (east, west) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    let total = seconds.abs();
    let mut offset = format!("{:02}", total / 3600);
    if total % 3600 != 0 {
        offset += &format!(":{:02}", total / 60 % 60);
    }
    if total % 60 != 0 {
        offset += &format!(":{:02}", total % 60);
    }
    Some(format!("<{east}{offset}>{west}{offset}"))
}

/// The zone and the name under which it is shown.
fn by_name(name: &str) -> Option<(String, TimeZone)> {
    // The system's copy has these folders, PostgreSQL's has not; leap seconds would shift every time.
    if ["posix", "right"].iter().any(|folder| name.to_ascii_lowercase().starts_with(folder)) {
        return None;
    }
    if let Ok(zone) = TimeZone::get(name)
        && !zone.is_unknown()
    {
        let shown = zone.iana_name()?.to_owned();
        return Some((shown, zone));
    }
    // Files of the system's copy that are no zones must not be taken for POSIX's notation, which has a digit.
    if !name.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let shown = name.to_ascii_uppercase();
    TimeZone::posix(&shown).ok().map(|zone| (shown, zone))
}
