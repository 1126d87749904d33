//! Time zones: the IANA database through jiff, fixed offsets, and instants far outside the years that jiff knows.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::calendar::{MICROS_PER_SECOND, civil_of_micros};

/// Seconds from 1970 to 2000.
const EPOCH_SECONDS: i64 = 946_684_800;
/// The calendar repeats after this many years, and with it the weekdays.
const CYCLE_YEARS: i32 = 400;
const CYCLE_SECONDS: i64 = 146_097 * 86_400;

/// A time zone and the name it was asked for by.
#[derive(Clone, Debug)]
pub struct Zone {
    zone: TimeZone,
}

impl Default for Zone {
    fn default() -> Self {
        Self { zone: TimeZone::UTC }
    }
}

impl Zone {
    /// The zone of an IANA name, an offset as the setting has them (`<+02>-02`, `-5`, `+3.5`), or `UTC`.
    pub fn by_name(name: &str) -> Option<Self> {
        if let Some(seconds) = fixed_offset(name) {
            return Self::fixed(seconds);
        }
        if name.eq_ignore_ascii_case("utc")
            || name.eq_ignore_ascii_case("gmt")
            || name.eq_ignore_ascii_case("z")
        {
            return Some(Self::default());
        }
        if let Ok(zone) = TimeZone::get(name) {
            return Some(Self { zone });
        }
        TimeZone::posix(name).ok().map(|zone| Self { zone })
    }

    /// A zone that is always this many seconds east of Greenwich.
    pub fn fixed(seconds: i32) -> Option<Self> {
        Offset::from_seconds(seconds).ok().map(|offset| Self { zone: TimeZone::fixed(offset) })
    }

    /// Seconds east of Greenwich at an instant, and the zone's abbreviation then.
    pub fn at_instant(&self, micros: i64) -> (i32, String) {
        let mut seconds = micros.div_euclid(MICROS_PER_SECOND) + EPOCH_SECONDS;
        while seconds > 250_000_000_000 {
            seconds -= CYCLE_SECONDS;
        }
        while seconds < -370_000_000_000 {
            seconds += CYCLE_SECONDS;
        }
        let Ok(instant) = Timestamp::from_second(seconds) else {
            return (0, "UTC".to_owned());
        };
        let info = self.zone.to_offset_info(instant);
        (info.offset().seconds(), info.abbreviation().to_owned())
    }

    /// Seconds east of Greenwich at a local time. A time that the clock skips counts as before the change, one that it
    /// shows twice as after it.
    pub fn at_local(&self, local_micros: i64) -> i32 {
        let parts = civil_of_micros(local_micros);
        let mut year = parts.year;
        while year > 9998 {
            year -= CYCLE_YEARS;
        }
        while year < -9998 {
            year += CYCLE_YEARS;
        }
        let (hour, minute, second) = parts.clock();
        let Ok(local) =
            civil::DateTime::new(year as i16, parts.month as i8, parts.day as i8, hour, minute, second, 0)
        else {
            return 0;
        };
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
            AmbiguousOffset::Gap { before, .. } => before.seconds(),
            AmbiguousOffset::Fold { after, .. } => after.seconds(),
        }
    }
}

/// `<+02>-02` counts seconds west behind the brackets; a bare number counts hours east.
fn fixed_offset(name: &str) -> Option<i32> {
    if let Some(rest) = name.strip_prefix('<') {
        let (_, west) = rest.split_once('>')?;
        return Some(-clock_seconds(west)?);
    }
    let hours: f64 = name.parse().ok()?;
    (hours.abs() < 168.0).then_some((hours * 3600.0) as i32)
}

/// Seconds of `[+-]hh[:mm[:ss]]`.
fn clock_seconds(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0;
    let mut unit = 3600;
    for part in digits.splitn(3, ':') {
        let number: i32 = part.parse().ok().filter(|n| (0..=168).contains(n))?;
        seconds += number * unit;
        unit /= 60;
    }
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::super::calendar::micros_of;
    use super::*;

    #[test]
    fn a_skipped_hour_counts_as_before_and_a_doubled_one_as_after_the_change() {
        let zone = Zone::by_name("America/New_York").unwrap();
        assert_eq!(zone.at_local(micros_of(2024, 3, 10) + 9_000 * MICROS_PER_SECOND), -5 * 3600);
        assert_eq!(zone.at_local(micros_of(2024, 11, 3) + 5_400 * MICROS_PER_SECOND), -5 * 3600);
        assert_eq!(zone.at_instant(micros_of(2024, 7, 1)), (-4 * 3600, "EDT".to_owned()));
    }

    #[test]
    fn offsets_are_zones_too() {
        for (name, seconds) in [("<+02>-02", 7200), ("-5", -18000), ("5.5", 19800), ("UTC", 0)] {
            assert_eq!(Zone::by_name(name).unwrap().at_instant(0).0, seconds, "{name}");
        }
        assert!(Zone::by_name("Mars/Olympus").is_none());
    }
}
