//! Dates and times from text.

use super::calendar::{
    DATE_INFINITY, DATE_MINUS_INFINITY, END_DATE, END_TIMESTAMP, INFINITY, JULIAN_2000, MICROS_PER_DAY,
    MICROS_PER_SECOND, MIN_TIMESTAMP, MINUS_INFINITY, checked_days,
};
use super::datetime_words::{Piece, fraction_micros, month, pieces, zone_abbreviation};
use super::formats::{DateOrder, Formats};
use super::zone::Zone;

/// Why a text is no date or time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DateError {
    /// It is none.
    Syntax,
    /// A field is out of its range, such as a 13th month.
    Field,
    /// The same, and `DateStyle` may be why.
    FieldOrder,
    /// The whole is out of the type's range.
    Range,
    /// The zone is not known.
    Zone,
}

/// A result of reading.
pub type Result<T> = std::result::Result<T, DateError>;

/// What was read.
#[derive(Default, Debug)]
struct Fields {
    days: Option<i64>,
    clock: Option<i64>,
    zone: Option<Zone>,
    special: Option<Special>,
    bc: bool,
    afternoon: Option<bool>,
    numbers: Vec<String>,
    month: Option<u32>,
    split_date: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Special {
    Epoch,
    Infinity,
    MinusInfinity,
    Now,
    /// Days from today.
    Day(i64),
}

/// Microseconds of a `timestamp`.
pub fn timestamp(text: &str, formats: &Formats, now: i64) -> Result<i64> {
    let fields = read(text, formats)?;
    match fields.special {
        Some(Special::Now) => Ok(local(now, formats)),
        Some(Special::Day(days)) => Ok(today(now, formats, days) + fields.clock.unwrap_or(0)),
        Some(Special::Epoch) => Ok(-10_957 * MICROS_PER_DAY),
        Some(special) => Ok(infinite(special)),
        None => in_range(fields.micros()?),
    }
}

/// Microseconds of a `timestamptz`.
pub fn timestamptz(text: &str, formats: &Formats, now: i64) -> Result<i64> {
    let fields = read(text, formats)?;
    let local = match fields.special {
        Some(Special::Now) => return Ok(now),
        Some(Special::Epoch) => return Ok(-10_957 * MICROS_PER_DAY),
        Some(Special::Day(days)) => today(now, formats, days) + fields.clock.unwrap_or(0),
        Some(special) => return Ok(infinite(special)),
        None => fields.micros()?,
    };
    let zone = fields.zone.as_ref().unwrap_or(&formats.zone);
    in_range(local - i64::from(zone.at_local(local)) * MICROS_PER_SECOND)
}

/// Days of a `date`.
pub fn date(text: &str, formats: &Formats, now: i64) -> Result<i32> {
    let fields = read(text, formats)?;
    let days = match fields.special {
        Some(Special::Infinity) => return Ok(DATE_INFINITY),
        Some(Special::MinusInfinity) => return Ok(DATE_MINUS_INFINITY),
        Some(Special::Epoch) => -10_957,
        Some(Special::Now) => today(now, formats, 0) / MICROS_PER_DAY,
        Some(Special::Day(days)) => today(now, formats, days).div_euclid(MICROS_PER_DAY),
        None => fields.days.ok_or(DateError::Syntax)?,
    };
    if !(-JULIAN_2000..END_DATE).contains(&days) {
        return Err(DateError::Range);
    }
    Ok(days as i32)
}

/// Microseconds of a `time`.
pub fn time(text: &str, formats: &Formats, now: i64) -> Result<i64> {
    let fields = read(text, formats)?;
    match fields.special {
        Some(Special::Now) => Ok(local(now, formats).rem_euclid(MICROS_PER_DAY)),
        Some(_) => Err(DateError::Syntax),
        None => fields.clock()?.ok_or(DateError::Syntax),
    }
}

fn infinite(special: Special) -> i64 {
    if special == Special::Infinity { INFINITY } else { MINUS_INFINITY }
}

fn local(now: i64, formats: &Formats) -> i64 {
    now + i64::from(formats.zone.at_instant(now).0) * MICROS_PER_SECOND
}

fn today(now: i64, formats: &Formats, days: i64) -> i64 {
    let local = local(now, formats);
    local - local.rem_euclid(MICROS_PER_DAY) + days * MICROS_PER_DAY
}

/// Refuses what no timestamp can be.
pub fn in_range(micros: i64) -> Result<i64> {
    if (MIN_TIMESTAMP..END_TIMESTAMP).contains(&micros) { Ok(micros) } else { Err(DateError::Range) }
}

fn read(text: &str, formats: &Formats) -> Result<Fields> {
    let lower = text.trim().to_ascii_lowercase();
    let mut fields = Fields::default();
    if lower == "-infinity" {
        fields.special = Some(Special::MinusInfinity);
        return Ok(fields);
    }
    for piece in pieces(text).ok_or(DateError::Syntax)? {
        fields.take(piece)?;
    }
    fields.settle(formats)?;
    Ok(fields)
}

impl Fields {
    fn take(&mut self, piece: Piece) -> Result<()> {
        match piece {
            Piece::Clock(micros) if self.clock.is_none() => self.clock = Some(micros),
            Piece::Offset(seconds) if self.zone.is_none() => self.zone = Zone::fixed(seconds),
            Piece::ZoneName(name) if self.zone.is_none() => {
                self.zone = Some(Zone::by_name(&name).ok_or(DateError::Zone)?);
            }
            Piece::Date(parts) => self.take_date(parts)?,
            Piece::Word(word) => self.take_word(&word)?,
            _ => return Err(DateError::Syntax),
        }
        Ok(())
    }

    fn take_date(&mut self, mut parts: Vec<String>) -> Result<()> {
        if parts.len() == 2 {
            return Err(DateError::Syntax);
        }
        if let Some(at) = parts.iter().position(|part| part.starts_with(|c: char| c.is_ascii_alphabetic())) {
            self.month = Some(month(&parts.remove(at)).ok_or(DateError::Syntax)?);
        }
        self.split_date |= parts.len() > 1;
        self.numbers.append(&mut parts);
        Ok(())
    }

    fn take_word(&mut self, word: &str) -> Result<()> {
        match word {
            "t" | "at" | "on" if self.clock.is_none() => {}
            "bc" => self.bc = true,
            "ad" => {}
            "am" => self.afternoon = Some(false),
            "pm" => self.afternoon = Some(true),
            "now" => self.special = Some(Special::Now),
            "today" => self.special = Some(Special::Day(0)),
            "tomorrow" => self.special = Some(Special::Day(1)),
            "yesterday" => self.special = Some(Special::Day(-1)),
            "epoch" => self.special = Some(Special::Epoch),
            "infinity" => self.special = Some(Special::Infinity),
            "allballs" => (self.clock, self.zone) = (Some(0), Some(Zone::default())),
            _ if month(word).is_some() => self.month = month(word),
            _ if is_weekday(word) => {}
            _ if self.zone.is_none() => {
                let zone = zone_abbreviation(word).and_then(Zone::fixed).or_else(|| Zone::by_name(word));
                self.zone = Some(zone.ok_or(DateError::Syntax)?);
            }
            _ => return Err(DateError::Syntax),
        }
        Ok(())
    }

    /// Puts the numbers in their places.
    fn settle(&mut self, formats: &Formats) -> Result<()> {
        let numbers = std::mem::take(&mut self.numbers);
        match (numbers.as_slice(), self.month) {
            ([], None) => Ok(()),
            ([one], None) => self.settle_compact(one, None),
            ([one, two], None) if one.len() >= 6 => self.settle_compact(one, Some(two)),
            ([a, b], Some(month)) => {
                let year_first = a.len() > 2 || (formats.date_order == DateOrder::Ymd && b.len() <= 2);
                let (year, day) = if year_first { (a, b) } else { (b, a) };
                self.set_date(year, &month.to_string(), day, true)
            }
            ([a, b, c], None) => {
                if a.len() > 2 || formats.date_order == DateOrder::Ymd {
                    return self.set_date(a, b, c, false);
                }
                match formats.date_order {
                    DateOrder::Dmy => self.set_date(c, b, a, false),
                    _ => self.set_date(c, a, b, false),
                }
            }
            _ => Err(DateError::Syntax),
        }
    }

    /// `yyyymmdd` and `yymmdd`, with `hhmmss` behind it.
    fn settle_compact(&mut self, date: &str, time: Option<&str>) -> Result<()> {
        if !matches!(date.len(), 6 | 8..) {
            return Err(DateError::Syntax);
        }
        let (head, day) = date.split_at(date.len() - 2);
        let (year, month) = head.split_at(head.len() - 2);
        if let Some(time) = time.filter(|time| matches!(time.len(), 4 | 6)) {
            let part = |at: usize| time.get(at..at + 2).map_or(0, |text| text.parse::<i64>().unwrap_or(0));
            self.clock = Some(((part(0) * 60 + part(2)) * 60 + part(4)) * MICROS_PER_SECOND);
        }
        self.set_date(year, month, day, true)
    }

    fn set_date(&mut self, year: &str, month: &str, day: &str, named: bool) -> Result<()> {
        let number = |text: &str| text.parse::<i32>().map_err(|_| DateError::Syntax);
        let (mut number_of_year, month, day) = (number(year)?, number(month)?, number(day)?);
        if self.bc {
            number_of_year = 1 - number_of_year;
        } else if year.len() <= 2 {
            number_of_year += if number_of_year < 70 { 2000 } else { 1900 };
        } else if number_of_year == 0 {
            return Err(DateError::Field);
        }
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(if named { DateError::Field } else { DateError::FieldOrder });
        }
        if !(-4713..=5_874_897).contains(&number_of_year) {
            return Err(DateError::Range);
        }
        self.days = Some(checked_days(number_of_year, month as u32, day as u32).ok_or(DateError::Field)?);
        Ok(())
    }

    fn clock(&self) -> Result<Option<i64>> {
        let Some(clock) = self.clock else {
            return Ok(None);
        };
        let hour = 3600 * MICROS_PER_SECOND;
        let clock = match self.afternoon {
            Some(_) if clock >= 13 * hour || clock < hour => return Err(DateError::Field),
            Some(true) if clock < 12 * hour => clock + 12 * hour,
            Some(false) if clock >= 12 * hour => clock - 12 * hour,
            _ => clock,
        };
        if clock > MICROS_PER_DAY {
            return Err(DateError::Field);
        }
        Ok(Some(clock))
    }

    fn micros(&self) -> Result<i64> {
        let days = self.days.ok_or(DateError::Syntax)?;
        let micros = days.checked_mul(MICROS_PER_DAY).ok_or(DateError::Range)?;
        micros.checked_add(self.clock()?.unwrap_or(0)).ok_or(DateError::Range)
    }
}

fn is_weekday(word: &str) -> bool {
    super::datetime_out::WEEKDAYS.iter().any(|name| {
        word.len() >= 3 && name.len() >= word.len() && name[..word.len()].eq_ignore_ascii_case(word)
    })
}

/// Microseconds of the digits behind a point.
pub fn fraction(digits: &str) -> Option<i64> {
    fraction_micros(digits)
}

#[cfg(test)]
mod tests {
    use super::super::output::text_of;
    use super::super::{Datum, Type};
    use super::*;

    #[test]
    fn dates_are_read_in_their_many_spellings() {
        let formats = Formats::default();
        for (text, printed) in [
            ("2024-02-29", "2024-02-29 00:00:00"),
            ("2024-02-29T12:34:56.789", "2024-02-29 12:34:56.789"),
            ("20240229 123456", "2024-02-29 12:34:56"),
            ("Jan 8, 1999", "1999-01-08 00:00:00"),
            ("8-Jan-1999 04:05 PM", "1999-01-08 16:05:00"),
            ("1/8/1999", "1999-01-08 00:00:00"),
            ("Thu 8 January 1999 1:02:03", "1999-01-08 01:02:03"),
            ("0044-03-15 BC", "0044-03-15 00:00:00 BC"),
            ("infinity", "infinity"),
            ("-infinity", "-infinity"),
            ("epoch", "1970-01-01 00:00:00"),
        ] {
            let micros = timestamp(text, &formats, 0).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert_eq!(text_of(&Datum::Timestamp(micros), Type::TIMESTAMP, &formats), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_told_from_what_is_out_of_range() {
        let formats = Formats::default();
        for (text, error) in [
            ("x", DateError::Syntax),
            ("", DateError::Syntax),
            ("2024-02-30", DateError::Field),
            ("2024-13-01", DateError::FieldOrder),
            ("13/13/2024", DateError::FieldOrder),
            ("300000-01-01", DateError::Range),
            ("2024-01-01 25:00", DateError::Field),
        ] {
            assert_eq!(timestamp(text, &formats, 0), Err(error), "{text}");
        }
    }

    #[test]
    fn zones_move_instants() {
        let formats = Formats { zone: Zone::by_name("Europe/Berlin").unwrap(), ..Formats::default() };
        for (text, printed) in [
            ("2024-07-01 12:00", "2024-07-01 12:00:00+02"),
            ("2024-07-01 12:00+00", "2024-07-01 14:00:00+02"),
            ("2024-01-01T12:00:00Z", "2024-01-01 13:00:00+01"),
            ("2024-01-01 12:00 America/New_York", "2024-01-01 18:00:00+01"),
            ("2024-01-01 12:00 PST", "2024-01-01 21:00:00+01"),
        ] {
            let micros = timestamptz(text, &formats, 0).unwrap();
            assert_eq!(text_of(&Datum::Timestamptz(micros), Type::TIMESTAMPTZ, &formats), printed, "{text}");
        }
    }
}
