//! One report on its way into the log, and what all forms of it have in common.

use std::borrow::Cow;

use jiff::Timestamp;

use super::config::{Destination, LogConfig, Verbosity, is_level_output};
use super::context::LogContext;
use super::{csv, json, stamp, text};
use crate::report::Report;

/// A report with everything that its rendering depends on; one time for all its lines and forms.
pub(super) struct Message<'a> {
    pub(super) config: &'a LogConfig,
    pub(super) report: &'a Report,
    pub(super) context: &'a LogContext<'a>,
    pub(super) now: Timestamp,
}

impl Message<'_> {
    /// The message in each form wanted. Without a logger process there are no files for CSV and JSON, and who asked for
    /// those alone gets text.
    pub(super) fn rendered(&self, is_collected: bool) -> Vec<(Destination, String)> {
        let wanted = self.config.log_destination;
        let mut forms = Vec::with_capacity(3);
        if is_collected && wanted.csvlog {
            forms.push((Destination::Csvlog, csv::line(self)));
        }
        if is_collected && wanted.jsonlog {
            forms.push((Destination::Jsonlog, json::line(self)));
        }
        if wanted.stderr || (!is_collected && (wanted.csvlog || wanted.jsonlog)) {
            forms.push((Destination::Stderr, text::lines(self)));
        }
        forms
    }

    /// The message, never empty.
    pub(super) fn text(&self) -> &str {
        if self.report.message.is_empty() { "missing error text" } else { &self.report.message }
    }

    /// What the log is told goes before what everybody is told.
    pub(super) fn detail(&self) -> Option<&str> {
        self.report.detail_log.as_deref().or(self.report.detail.as_deref())
    }

    /// The statement, if reports of this severity are logged with theirs.
    pub(super) fn statement(&self) -> Option<&str> {
        let is_wanted = is_level_output(self.report.severity, self.config.log_min_error_statement);
        self.context.query.filter(|_| is_wanted)
    }

    pub(super) fn has(&self, verbosity: Verbosity) -> bool {
        self.config.log_error_verbosity >= verbosity
    }

    /// `function, file:line`, or without the function.
    pub(super) fn location(&self) -> Option<String> {
        let Report { file, line, routine, .. } = self.report;
        if file.is_empty() {
            return None;
        }
        let routine = routine.map_or(Cow::Borrowed(""), |name| Cow::Owned(format!("{name}, ")));
        Some(format!("{routine}{file}:{line}"))
    }

    /// The time of the message, with milliseconds.
    pub(super) fn time(&self) -> String {
        stamp::with_millis(self.now, &self.config.log_timezone)
    }

    /// The time of the session's start.
    pub(super) fn start_time(&self) -> String {
        stamp::with_seconds(self.context.session_start, &self.config.log_timezone)
    }
}
