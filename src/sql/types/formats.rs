//! Settings that change how values are read and printed.

use std::sync::Arc;

use super::zone::Zone;

/// How a value travels to the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wire {
    /// As text, code 0.
    #[default]
    Text,
    /// In its binary form, code 1.
    Binary,
}

/// The first word of `DateStyle`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DateStyle {
    /// `1997-12-17 07:37:16-08`.
    #[default]
    Iso,
    /// `12/17/1997 07:37:16.00 PST`.
    Sql,
    /// `Wed Dec 17 07:37:16 1997 PST`.
    Postgres,
    /// `17.12.1997 07:37:16.00 PST`.
    German,
}

/// The second word of `DateStyle`: which number of a date comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// `IntervalStyle`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`.
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`.
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`.
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`.
    Iso8601,
}

/// Everything of a session that input and output of values look at.
#[derive(Clone, Debug, Default)]
pub struct Formats {
    /// `TimeZone`.
    pub zone: Zone,
    /// `DateStyle`, first word.
    pub date_style: DateStyle,
    /// `DateStyle`, second word.
    pub date_order: DateOrder,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// `bytea_output = escape`.
    pub bytea_escape: bool,
    /// `extra_float_digits`: above 0 the shortest exact text is printed.
    pub extra_float_digits: i32,
}

impl Formats {
    /// From the settings' values as `SHOW` prints them; a setting that `show` does not know keeps its default.
    pub fn read(show: impl Fn(&str) -> Option<String>) -> Arc<Self> {
        let mut formats = Self { extra_float_digits: 1, ..Self::default() };
        if let Some(zone) = show("TimeZone").and_then(|name| Zone::by_name(&name)) {
            formats.zone = zone;
        }
        for word in show("DateStyle").unwrap_or_default().split([',', ' ']) {
            formats.date_style_word(word);
        }
        formats.interval_style = match show("IntervalStyle").as_deref() {
            Some("postgres_verbose") => IntervalStyle::PostgresVerbose,
            Some("sql_standard") => IntervalStyle::SqlStandard,
            Some("iso_8601") => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        };
        formats.bytea_escape = show("bytea_output").as_deref() == Some("escape");
        if let Some(digits) = show("extra_float_digits").and_then(|text| text.parse().ok()) {
            formats.extra_float_digits = digits;
        }
        Arc::new(formats)
    }

    fn date_style_word(&mut self, word: &str) {
        match word.to_ascii_uppercase().as_str() {
            "ISO" => self.date_style = DateStyle::Iso,
            "SQL" => self.date_style = DateStyle::Sql,
            "POSTGRES" => self.date_style = DateStyle::Postgres,
            "GERMAN" => self.date_style = DateStyle::German,
            "MDY" => self.date_order = DateOrder::Mdy,
            "DMY" => self.date_order = DateOrder::Dmy,
            "YMD" => self.date_order = DateOrder::Ymd,
            _ => {}
        }
    }
}
