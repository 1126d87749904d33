//! What happened, as PostgreSQL's clients and logs know it: severity, SQLSTATE, message, and the fields around them.
//!
//! Every layer above makes [`Report`]s and hands them up; they are sent and logged where they are handled, once. SQLSTATEs
//! are decided where the report is made. Messages are PostgreSQL's, since clients and monitoring tools match on them.

mod sqlstate;

use std::fmt;
use std::panic::Location;

pub use sqlstate::SqlState;

/// What the server calls itself in its log.
pub const VERSION: &str = concat!("PostgreSQL 18.4 (tuskd ", env!("CARGO_PKG_VERSION"), ")");

/// How bad it is, mildest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The finest of five levels for developers.
    Debug5,
    /// For developers.
    Debug4,
    /// For developers.
    Debug3,
    /// For developers.
    Debug2,
    /// The coarsest of five levels for developers.
    Debug1,
    /// Asked for by the user, shown to the client always.
    Info,
    /// May help the user.
    Notice,
    /// Likely trouble.
    Warning,
    /// For administrators: goes to the log, and to clients only where they ask for it.
    Log,
    /// The statement is aborted.
    Error,
    /// The session is ended.
    Fatal,
    /// All sessions are ended.
    Panic,
}

impl Severity {
    /// The word in messages and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug5 | Self::Debug4 | Self::Debug3 | Self::Debug2 | Self::Debug1 => "DEBUG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Log => "LOG",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
        }
    }

    /// Whether the statement, the session or the server ends by it.
    pub const fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::Fatal | Self::Panic)
    }
}

/// Everything one message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// How bad it is.
    pub severity: Severity,
    /// Which condition, by PostgreSQL's codes.
    pub sqlstate: SqlState,
    /// One line, no full stop.
    pub message: String,
    /// More about it, in sentences.
    pub detail: Option<String>,
    /// More about it, for the log only: what a client is not to know.
    pub detail_log: Option<String>,
    /// What to do, in sentences.
    pub hint: Option<String>,
    /// Character in the statement, from 1.
    pub position: Option<u32>,
    /// Character in `internal_query`, from 1.
    pub internal_position: Option<u32>,
    /// A statement that the server made itself.
    pub internal_query: Option<String>,
    /// Where it happened, innermost first, a line each.
    pub context: Option<String>,
    /// Schema that it is about.
    pub schema: Option<String>,
    /// Table that it is about.
    pub table: Option<String>,
    /// Column that it is about.
    pub column: Option<String>,
    /// Data type that it is about.
    pub data_type: Option<String>,
    /// Constraint that it is about.
    pub constraint: Option<String>,
    /// Source file that made it.
    pub file: &'static str,
    /// Line there.
    pub line: u32,
    /// Function there, as PostgreSQL calls it where it has one.
    pub routine: Option<&'static str>,
}

/// A result whose error is a report; boxed, since most results are not errors.
pub type Result<T> = std::result::Result<T, Box<Report>>;

impl Report {
    /// A report with its source location; the other fields are added by the methods below.
    #[track_caller]
    pub fn new(severity: Severity, sqlstate: SqlState, message: impl Into<String>) -> Self {
        let place = Location::caller();
        Self {
            severity,
            sqlstate,
            message: message.into(),
            detail: None,
            detail_log: None,
            hint: None,
            position: None,
            internal_position: None,
            internal_query: None,
            context: None,
            schema: None,
            table: None,
            column: None,
            data_type: None,
            constraint: None,
            file: place.file(),
            line: place.line(),
            routine: None,
        }
    }

    /// An error that aborts the statement.
    #[track_caller]
    pub fn error(sqlstate: SqlState, message: impl Into<String>) -> Box<Self> {
        Box::new(Self::new(Severity::Error, sqlstate, message))
    }

    /// An error that ends the session.
    #[track_caller]
    pub fn fatal(sqlstate: SqlState, message: impl Into<String>) -> Box<Self> {
        Box::new(Self::new(Severity::Fatal, sqlstate, message))
    }

    /// A line for the log.
    #[track_caller]
    pub fn log(message: impl Into<String>) -> Self {
        Self::new(Severity::Log, SqlState::SUCCESSFUL_COMPLETION, message)
    }

    /// A warning.
    #[track_caller]
    pub fn warning(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, sqlstate, message)
    }

    /// Something that is not there (yet): `0A000`.
    #[track_caller]
    pub fn not_supported(message: impl Into<String>) -> Box<Self> {
        Self::error(SqlState::FEATURE_NOT_SUPPORTED, message)
    }
}

/// Setters of one text field each.
macro_rules! text_fields {
    ($($field:ident $setter:ident;)*) => {
        impl Report {
            $(#[doc = concat!("With `", stringify!($field), "`.")]
            #[must_use]
            pub fn $setter(mut self, text: impl Into<String>) -> Self {
                self.$field = Some(text.into());
                self
            })*
        }

        /// The same on a boxed report, as errors are handed up.
        pub trait ReportExt: Sized {
            /// Changes the report.
            #[must_use]
            fn change(self, f: impl FnOnce(Report) -> Report) -> Self;
            $(#[doc = concat!("With `", stringify!($field), "`.")]
            #[must_use]
            fn $setter(self, text: impl Into<String>) -> Self {
                let text = text.into();
                self.change(|report| report.$setter(text))
            })*
            /// With a character of the statement, from 1.
            #[must_use]
            fn at(self, position: u32) -> Self {
                self.change(|report| report.at(position))
            }
            /// With PostgreSQL's name of the function that reports it.
            #[must_use]
            fn routine(self, routine: &'static str) -> Self {
                self.change(|report| report.routine(routine))
            }
        }
    };
}

text_fields! {
    detail with_detail;
    detail_log with_detail_log;
    hint with_hint;
    context with_context;
    schema with_schema;
    table with_table;
    column with_column;
    data_type with_data_type;
    constraint with_constraint;
}

impl ReportExt for Box<Report> {
    fn change(mut self, f: impl FnOnce(Report) -> Report) -> Self {
        let severity = self.severity;
        let report = std::mem::replace(&mut *self, Report::new(severity, SqlState::INTERNAL_ERROR, ""));
        *self = f(report);
        self
    }
}

impl Report {
    /// With a character of the statement, from 1.
    #[must_use]
    pub fn at(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }

    /// With PostgreSQL's name of the function that reports it.
    #[must_use]
    pub fn routine(mut self, routine: &'static str) -> Self {
        self.routine = Some(routine);
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:  {}", self.severity.name(), self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, "\nDETAIL:  {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHINT:  {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
