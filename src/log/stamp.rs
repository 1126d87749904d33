//! Times in the log's zone, and file names made of them.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// `2017-02-11 12:25:15.443 JST`.
pub(super) fn with_millis(time: Timestamp, zone: &TimeZone) -> String {
    let (local, abbreviation) = local(time, zone);
    format!("{}.{:03} {abbreviation}", date_and_time(local), local.millisecond())
}

/// `2017-02-11 12:25:15 JST`.
pub fn with_seconds(time: Timestamp, zone: &TimeZone) -> String {
    let (local, abbreviation) = local(time, zone);
    format!("{} {abbreviation}", date_and_time(local))
}

/// `2017-02-11 12:25:15.443492+09`, as PostgreSQL prints a `timestamptz`.
pub fn with_offset(time: Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset_info(time).offset();
    let (local, seconds) = (offset.to_datetime(time), offset.seconds());
    let mut text = date_and_time(local);
    let micros = local.subsec_nanosecond() / 1000;
    if micros > 0 {
        let _ = write!(text, ".{}", format!("{micros:06}").trim_end_matches('0'));
    }
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let _ = write!(text, "{sign}{:02}", seconds / 3600);
    if seconds % 3600 != 0 {
        let _ = write!(text, ":{:02}", seconds / 60 % 60);
    }
    text
}

fn local(time: Timestamp, zone: &TimeZone) -> (DateTime, String) {
    let info = zone.to_offset_info(time);
    (info.offset().to_datetime(time), info.abbreviation().to_owned())
}

fn date_and_time(at: DateTime) -> String {
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// A `log_filename` with its `strftime` escapes replaced, in the C locale as in PostgreSQL. An unknown escape stands for
/// its letter, and a lone `%` at the end for itself.
pub(super) fn file_name(pattern: &str, time: Timestamp, zone: &TimeZone) -> String {
    let at = time.to_zoned(zone.clone());
    let mut name = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        if next != '%' {
            name.push(next);
            continue;
        }
        // The alternative forms of other locales are the ordinary ones here.
        match rest.find(|escape| !matches!(escape, 'E' | 'O')) {
            None => name.push('%'),
            Some('s') => {
                let _ = write!(name, "{}", time.as_second());
            }
            Some(escape) => name.push_str(&escaped(escape, &at)),
        }
    }
    name
}

/// What one escape stands for.
fn escaped(escape: char, at: &Zoned) -> String {
    let same = |equivalent| jiff::fmt::strtime::format(equivalent, at).unwrap_or_default();
    match escape {
        'Y' | 'm' | 'd' | 'H' | 'M' | 'S' | 'I' | 'y' | 'C' | 'j' | 'e' | 'k' | 'l' | 'a' | 'A' | 'b'
        | 'B' | 'h' | 'p' | 'D' | 'F' | 'T' | 'R' | 'u' | 'w' | 'U' | 'W' | 'V' | 'G' | 'g' | 'z' | 'Z'
        | 'n' | 't' => same(format!("%{escape}").as_str()),
        'r' => same("%I:%M:%S %p"),
        'X' => same("%H:%M:%S"),
        'x' => same("%m/%d/%y"),
        'c' => same("%a %b %e %H:%M:%S %Y"),
        'v' => same("%e-%b-%Y"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn stamps_with_their_zone() {
        let time: Timestamp = "2017-02-11T03:25:15.443492Z".parse().unwrap();
        let cases = [
            ("Asia/Tokyo", "2017-02-11 12:25:15.443 JST"),
            ("GMT", "2017-02-11 03:25:15.443 GMT"),
            ("UTC", "2017-02-11 03:25:15.443 UTC"),
            ("America/Sao_Paulo", "2017-02-11 01:25:15.443 -02"),
            ("Asia/Kolkata", "2017-02-11 08:55:15.443 IST"),
        ];
        for (name, expected) in cases {
            assert_eq!(with_millis(time, &zone(name)), expected);
        }
        assert_eq!(with_seconds(time, &zone("Asia/Tokyo")), "2017-02-11 12:25:15 JST");
    }

    #[test]
    fn file_names() {
        let time: Timestamp = "2017-02-04T20:05:09Z".parse().unwrap();
        let cases = [
            ("postgresql-%Y-%m-%d_%H%M%S.log", "postgresql-2017-02-05_050509.log"),
            ("%a %A %b %B %h %j %y %e %I %p", "Sun Sunday Feb February Feb 036 17  5 05 AM"),
            ("%s", "1486238709"),
            ("%D %F %T %R %u %w %U %W %V %G", "02/05/17 2017-02-05 05:05:09 05:05 7 0 06 05 05 2017"),
            ("%r|%X|%x|%c|%v", "05:05:09 AM|05:05:09|02/05/17|Sun Feb  5 05:05:09 2017| 5-Feb-2017"),
            ("100%%", "100%"),
            ("%Q%-x%", "Q-x%"),
            ("%Ey%Od", "1705"),
            ("日誌%z%Z", "日誌+0900JST"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(file_name(pattern, time, &zone("Asia/Tokyo")), expected, "{pattern}");
        }
    }
}
