//! Days and microseconds since 2000-01-01, and what the (proleptic Gregorian) calendar and the clock call them.

/// Microseconds of a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// The Julian day of 2000-01-01.
pub const JULIAN_2000: i64 = 2_451_545;
/// Stands for `infinity` of timestamps.
pub const INFINITY: i64 = i64::MAX;
/// Stands for `-infinity` of timestamps.
pub const MINUS_INFINITY: i64 = i64::MIN;
/// Stands for `infinity` of dates.
pub const DATE_INFINITY: i32 = i32::MAX;
/// Stands for `-infinity` of dates.
pub const DATE_MINUS_INFINITY: i32 = i32::MIN;
/// The first timestamp: 4714-11-24 BC.
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// Just behind the last timestamp: 294277-01-01.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// Just behind the last date: 5874898-01-01.
pub const END_DATE: i64 = 2_147_483_494 - JULIAN_2000;

/// A point of the calendar. Year 0 is 1 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Civil {
    /// Year.
    pub year: i32,
    /// Month, from 1.
    pub month: u32,
    /// Day of the month, from 1.
    pub day: u32,
    /// Microseconds since midnight.
    pub micros: i64,
}

impl Civil {
    /// Hour, minute and second.
    pub fn clock(&self) -> (i8, i8, i8) {
        let seconds = self.micros / MICROS_PER_SECOND;
        ((seconds / 3600) as i8, (seconds / 60 % 60) as i8, (seconds % 60) as i8)
    }

    /// Microseconds within the second.
    pub fn fraction(&self) -> i64 {
        self.micros % MICROS_PER_SECOND
    }
}

/// Days since 2000-01-01 of a date (Howard Hinnant's `days_from_civil`).
pub fn days_of(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year =
        (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 730_425
}

/// The date of days since 2000-01-01 (Howard Hinnant's `civil_from_days`).
pub fn civil_of_days(days: i64) -> Civil {
    let days = days + 730_425;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = (if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 }) as u32;
    let year = (year_of_era + era * 400 + i64::from(month <= 2)) as i32;
    Civil { year, month, day, micros: 0 }
}

/// Calendar and clock of microseconds since 2000-01-01.
pub fn civil_of_micros(micros: i64) -> Civil {
    let date = civil_of_days(micros.div_euclid(MICROS_PER_DAY));
    Civil { micros: micros.rem_euclid(MICROS_PER_DAY), ..date }
}

/// Microseconds since 2000-01-01 of a date's midnight.
pub fn micros_of(year: i32, month: u32, day: u32) -> i64 {
    days_of(year, month, day) * MICROS_PER_DAY
}

/// Whether February has 29 days.
pub fn is_leap(year: i32) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// Days of a month.
pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Day of the week, Sunday 0.
pub fn weekday(days: i64) -> u32 {
    (days + 6).rem_euclid(7) as u32
}

/// Days of a date, if there is such a date in PostgreSQL's range.
pub fn checked_days(year: i32, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    Some(days_of(year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for days in (-2_451_545..3_000_000).step_by(97) {
            let date = civil_of_days(days);
            assert_eq!(days_of(date.year, date.month, date.day), days);
        }
        assert_eq!(days_of(2000, 1, 1), 0);
        assert_eq!(weekday(0), 6, "2000-01-01 was a Saturday");
        assert_eq!(days_of(-4713, 11, 24), -JULIAN_2000);
    }
}
