//! What values must fulfil besides type and bounds, and how a refusal is worded.

pub(super) mod checks;
pub(super) mod date_style;
pub(super) mod encoding;
pub(super) mod lists;
pub(super) mod missing;
pub(super) mod time_zone;

use super::value::Value;
use crate::report::{Report, SqlState};

/// Why a value is not taken. Without a message of its own it is PostgreSQL's usual one, with the value.
#[derive(Debug)]
pub(super) struct Refusal {
    sqlstate: SqlState,
    message: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
}

impl Refusal {
    /// Without more words.
    pub(super) const fn plain() -> Self {
        Self { sqlstate: SqlState::INVALID_PARAMETER_VALUE, message: None, detail: None, hint: None }
    }

    /// With more about it.
    pub(super) fn detail(text: impl Into<String>) -> Self {
        Self { detail: Some(text.into()), ..Self::plain() }
    }

    /// With a message in place of the usual one.
    pub(super) fn message(text: impl Into<String>) -> Self {
        Self { message: Some(text.into()), ..Self::plain() }
    }

    /// With what to do.
    pub(super) fn with_hint(self, text: impl Into<String>) -> Self {
        Self { hint: Some(text.into()), ..self }
    }

    /// Of another condition.
    pub(super) fn of(self, sqlstate: SqlState) -> Self {
        Self { sqlstate, ..self }
    }

    /// As an error about the setting `name`, which was to become `value`.
    pub(super) fn report(self, name: &str, value: &Value) -> Box<Report> {
        let message = self
            .message
            .unwrap_or_else(|| format!("invalid value for parameter \"{name}\": {}", value.in_complaint()));
        let mut report = Report::error(self.sqlstate, message);
        report.detail = self.detail;
        report.hint = self.hint;
        report
    }
}

/// The text of a value that is one; the empty text of others.
fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        Value::Choice(word) => word,
        Value::Bool(_) | Value::Int(_) | Value::Real(_) => "",
    }
}
