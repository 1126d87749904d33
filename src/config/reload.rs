//! Reading the files again, as SIGHUP asks for.

use super::assign::By;
use super::definition::Context;
use super::stack::Action;
use super::state::{Settings, Source};
use crate::report::{Report, SqlState};

/// Who reads the files again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    /// The postmaster, whose later children get everything.
    Postmaster,
    /// A child: what only a new session takes is left as it is.
    Child,
}

impl Reader {
    pub(super) const fn as_by(self) -> By {
        By {
            context: Context::Sighup,
            source: Source::File,
            action: Action::Set,
            in_child: matches!(self, Self::Child),
        }
    }
}

impl Settings {
    /// Reads the files again and answers what the log is to say; the postmaster logs it, its children need not.
    ///
    /// Nothing changes if a line cannot be read or names no setting; a value that is refused leaves its setting as it
    /// was, and the others change.
    pub fn reload(&mut self, reader: Reader) -> Vec<Report> {
        let outcome = self.process_files(reader.as_by());
        let mut reports = outcome.reports;
        if let Some(file) = outcome.faulty {
            let consequence =
                if outcome.applied { "unaffected changes were applied" } else { "no changes were applied" };
            let mut report =
                Report::log(format!("configuration file \"{file}\" contains errors; {consequence}"));
            report.sqlstate = SqlState::CONFIG_FILE_ERROR;
            reports.push(report);
        }
        reports
    }
}
