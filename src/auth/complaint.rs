//! What is wrong with one line.

use crate::report::{Report, Severity, SqlState};

/// Why a line cannot be used, or why it will never match.
#[derive(Debug)]
pub struct Complaint {
    /// Its condition.
    pub sqlstate: SqlState,
    /// As the log says it.
    pub message: String,
    /// As the view says it, where PostgreSQL's differs.
    pub shown: Option<&'static str>,
    /// What to do.
    pub hint: Option<&'static str>,
}

impl Complaint {
    /// A mistake in the file.
    pub fn new(message: impl Into<String>) -> Self {
        Self { sqlstate: SqlState::CONFIG_FILE_ERROR, message: message.into(), shown: None, hint: None }
    }

    /// The same, with what to do.
    pub fn with_hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// As the views say it.
    pub fn shown(&self) -> String {
        self.shown.map_or_else(|| self.message.clone(), str::to_owned)
    }

    /// For the log, about the line that `context` names.
    pub fn into_report(self, context: String) -> Report {
        let report = Report::new(Severity::Log, self.sqlstate, self.message).with_context(context);
        match self.hint {
            Some(hint) => report.with_hint(hint),
            None => report,
        }
    }
}
