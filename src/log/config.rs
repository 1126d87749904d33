//! The logger's settings, under PostgreSQL's names and with its defaults.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::report::Severity;

/// One of the forms in which the log is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Destination {
    /// Text for people, with `log_line_prefix`.
    Stderr,
    /// Comma-separated values, one record per message.
    Csvlog,
    /// JSON, one object per line.
    Jsonlog,
}

impl Destination {
    /// All of them, in the order of `current_logfiles`.
    pub const ALL: [Self; 3] = [Self::Stderr, Self::Csvlog, Self::Jsonlog];

    /// The word in `log_destination` and `current_logfiles`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stderr => "stderr",
            Self::Csvlog => "csvlog",
            Self::Jsonlog => "jsonlog",
        }
    }
}

/// Which of the forms are wanted; there may be none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Destinations {
    /// Text for people.
    pub stderr: bool,
    /// Comma-separated values.
    pub csvlog: bool,
    /// JSON.
    pub jsonlog: bool,
}

impl Destinations {
    /// Reads a list such as `stderr, csvlog`. The error is the detail of an `invalid value for parameter
    /// "log_destination"` report.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut found = Self::default();
        if list.trim().is_empty() {
            return Ok(found);
        }
        for item in list.split(',') {
            let word = unquoted(item.trim()).ok_or("List syntax is invalid.")?;
            match word.to_ascii_lowercase().as_str() {
                "stderr" => found.stderr = true,
                "csvlog" => found.csvlog = true,
                "jsonlog" => found.jsonlog = true,
                _ => return Err(format!("Unrecognized key word: \"{word}\".")),
            }
        }
        Ok(found)
    }

    /// Whether this form is wanted.
    pub const fn contains(self, destination: Destination) -> bool {
        match destination {
            Destination::Stderr => self.stderr,
            Destination::Csvlog => self.csvlog,
            Destination::Jsonlog => self.jsonlog,
        }
    }
}

/// The word of a list item, whose quotes are optional; none if it is empty, has a blank or half its quotes.
fn unquoted(item: &str) -> Option<&str> {
    let word = match item.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None if item.contains(char::is_whitespace) => return None,
        None => item,
    };
    (!word.is_empty() && !word.contains('"')).then_some(word)
}

/// How much of a report is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verbosity {
    /// The message only.
    Terse,
    /// Detail, hint and context too.
    Default,
    /// SQLSTATE and source location too.
    Verbose,
}

/// All settings that the log and the logger obey.
#[derive(Clone, PartialEq, Debug)]
pub struct LogConfig {
    /// Forms in which the log is written.
    pub log_destination: Destinations,
    /// Whether a logger process writes files.
    pub logging_collector: bool,
    /// Where the files lie, from the data directory unless absolute.
    pub log_directory: PathBuf,
    /// Their names, with `strftime` escapes.
    pub log_filename: String,
    /// Age at which a new file is begun; zero for never.
    pub log_rotation_age_minutes: u32,
    /// Size at which a new file is begun; zero for never.
    pub log_rotation_size_kb: u32,
    /// Whether a file of the same name, met in a rotation by age, is emptied.
    pub log_truncate_on_rotation: bool,
    /// Permissions of new files; the owner may always write.
    pub log_file_mode: u32,
    /// What begins each line on stderr.
    pub log_line_prefix: String,
    /// In which zone times are written and files are named.
    pub log_timezone: TimeZone,
    /// The mildest reports that are logged, `Log` being worse than errors here.
    pub log_min_messages: Severity,
    /// The mildest reports that are logged with their statement.
    pub log_min_error_statement: Severity,
    /// How much of a report is written.
    pub log_error_verbosity: Verbosity,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            log_destination: Destinations { stderr: true, ..Destinations::default() },
            logging_collector: false,
            log_directory: PathBuf::from("log"),
            log_filename: "postgresql-%Y-%m-%d_%H%M%S.log".to_owned(),
            log_rotation_age_minutes: 24 * 60,
            log_rotation_size_kb: 10 * 1024,
            log_truncate_on_rotation: false,
            log_file_mode: 0o600,
            log_line_prefix: "%m [%p] ".to_owned(),
            // By name, since PostgreSQL prints `GMT` where jiff's own constant would say `UTC`.
            log_timezone: TimeZone::get("GMT").unwrap_or(TimeZone::UTC),
            log_min_messages: Severity::Warning,
            log_min_error_statement: Severity::Error,
            log_error_verbosity: Verbosity::Default,
        }
    }
}

/// Whether a report of `severity` passes a threshold of the log.
///
/// `LOG` is for administrators: against the log's thresholds it is worse than an error and milder than `FATAL`, whereas
/// clients meet it between `DEBUG1` and `NOTICE`.
pub const fn is_level_output(severity: Severity, threshold: Severity) -> bool {
    match (severity, threshold) {
        (Severity::Log, Severity::Fatal | Severity::Panic) => false,
        (Severity::Log, _) => true,
        (_, Severity::Log) => matches!(severity, Severity::Fatal | Severity::Panic),
        // Constant functions cannot call `>=` of a derived order yet.
        _ => severity as u8 >= threshold as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Debug1, Debug5, Error, Fatal, Info, Log, Notice, Panic, Warning};

    #[test]
    fn lists_of_destinations() {
        let all = Destinations { stderr: true, csvlog: true, jsonlog: true };
        let cases = [
            ("", Ok(Destinations::default())),
            ("stderr", Ok(Destinations { stderr: true, ..Destinations::default() })),
            (" STDERR ,\"csvlog\",jsonlog ", Ok(all)),
            ("foo,stderr", Err("Unrecognized key word: \"foo\".")),
            ("stderr,,csvlog", Err("List syntax is invalid.")),
            ("stderr csvlog", Err("List syntax is invalid.")),
            ("\"stderr", Err("List syntax is invalid.")),
            ("stderr,", Err("List syntax is invalid.")),
        ];
        for (list, expected) in cases {
            assert_eq!(Destinations::parse(list), expected.map_err(str::to_owned), "{list}");
        }
    }

    #[test]
    fn log_has_a_place_of_its_own() {
        let cases = [
            (Warning, [false, false, false, true, true, true, true, true]),
            (Error, [false, false, false, false, true, true, true, true]),
            (Log, [false, false, false, false, true, false, true, true]),
            (Fatal, [false, false, false, false, false, false, true, true]),
            (Panic, [false, false, false, false, false, false, false, true]),
            (Debug1, [false, true, true, true, true, true, true, true]),
            (Debug5, [true; 8]),
        ];
        for (threshold, expected) in cases {
            let found = [Debug5, Info, Notice, Warning, Log, Error, Fatal, Panic]
                .map(|severity| is_level_output(severity, threshold));
            assert_eq!(found, expected, "{threshold:?}");
        }
    }
}
