//! What the executor asks of the process it runs in.
//!
//! A session's statements touch signals, settings, the clock and shared memory only through [`Host`], so that tests run
//! them without a server, and so that `sql` knows nothing of processes.

use crate::report::{Report, Result};

use super::store::StoreHost;
use super::types::Row;
use super::views::SystemView;

/// How long a setting's new value holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Until the session ends, if the transaction commits.
    Session,
    /// Until the transaction ends.
    Local,
}

/// What happens to the transaction, so that settings can be kept or taken back with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionEvent {
    /// A transaction begins; every statement outside a block is one too.
    Begin,
    /// It is committed.
    Commit,
    /// It is rolled back.
    Abort,
    /// A savepoint begins a transaction within it.
    BeginNested,
    /// The innermost savepoint is released.
    CommitNested,
    /// The innermost savepoint is rolled back.
    AbortNested,
}

/// What `ALTER SYSTEM` does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AlterSystem {
    /// Write a setting.
    Set(String, String),
    /// Remove a setting.
    Reset(String),
    /// Remove all.
    ResetAll,
}

/// What kind of statements a query string has, as `log_statement` tells them apart; the later one includes more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StatementClass {
    /// Neither changes data nor definitions.
    Other,
    /// Changes data.
    Modifying,
    /// Changes definitions.
    Definition,
}

/// One row of `SHOW ALL`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingRow {
    /// Its name.
    pub name: String,
    /// Its value as `SHOW` prints it.
    pub setting: String,
    /// Its short description.
    pub description: String,
}

/// What a session is and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionFacts {
    /// The backend's process id.
    pub pid: i32,
    /// The role of `current_user`.
    pub user: String,
    /// The role that was authenticated.
    pub session_user: String,
    /// Whether that role is a superuser.
    pub superuser: bool,
    /// `METHOD:IDENTITY`, if the method gave an identity.
    pub system_user: Option<String>,
    /// The database.
    pub database: String,
    /// The client's address and port; none on a Unix socket.
    pub client: Option<(String, i32)>,
    /// The server's end of the connection.
    pub server: Option<(String, i32)>,
    /// What `version()` answers.
    pub version: String,
    /// When the postmaster started, in microseconds since 2000-01-01.
    pub postmaster_start: i64,
}

/// The process behind a session.
pub trait Host: StoreHost {
    /// What the session is.
    fn facts(&self) -> &SessionFacts;
    /// Microseconds since 2000-01-01 UTC.
    fn now(&self) -> i64;
    /// Random bits, fit for UUIDs.
    fn random(&mut self) -> u64;
    /// Returns an error when the session is to stop what it does (57014, 57P01 and their kin).
    fn check_interrupts(&mut self) -> Result<()>;
    /// Sleeps until a time of [`Host::now`], or until an interrupt, which is the error.
    fn sleep_until(&mut self, deadline: i64) -> Result<()>;
    /// `pg_cancel_backend`.
    fn cancel_backend(&mut self, pid: i32) -> Result<bool>;
    /// `pg_terminate_backend`; with a timeout it waits for the end of the process.
    fn terminate_backend(&mut self, pid: i32, timeout_ms: i64) -> Result<bool>;
    /// `pg_reload_conf`.
    fn reload_conf(&mut self) -> Result<bool>;
    /// `pg_rotate_logfile`.
    fn rotate_logfile(&mut self) -> Result<bool>;
    /// When the configuration was read last.
    fn conf_load_time(&self) -> i64;
    /// Whether the postmaster still runs.
    fn postmaster_alive(&self) -> bool;
    /// Whether the server is in recovery.
    fn is_in_recovery(&self) -> bool;
    /// The log file in use, of a format (`stderr`, `csvlog`, `jsonlog`) or the first there is.
    fn current_logfile(&self, format: Option<&str>) -> Option<String>;

    /// A setting's value as `SHOW` prints it; `None` if there is no such setting.
    fn show(&self, name: &str) -> Result<Option<String>>;
    /// Every setting that the user may see.
    fn settings(&self) -> Vec<SettingRow>;
    /// Gives a setting a value, or its default.
    fn set(&mut self, name: &str, value: Option<&str>, scope: Scope) -> Result<()>;
    /// `RESET ALL`.
    fn reset_all(&mut self) -> Result<()>;
    /// `ALTER SYSTEM`.
    fn alter_system(&mut self, change: AlterSystem) -> Result<()>;
    /// Changes whenever any setting changed, so that what is read from settings can be kept.
    fn settings_version(&self) -> u64;
    /// The transaction begins or ends.
    fn transaction(&mut self, event: TransactionEvent);

    /// A query string was parsed and is about to run: for `log_statement`.
    fn query_begins(&mut self, text: &str, class: StatementClass);
    /// A statement begins: its command's name, for titles, and its text, for `pg_stat_activity`.
    fn statement_begins(&mut self, tag: &str, text: &str);
    /// The rows of a view, with its columns in their order.
    fn rows(&mut self, view: SystemView) -> Result<Vec<Row>>;
    /// Sends a notice or warning to the client, and to the log where its level says so.
    fn notice(&mut self, report: Report);
}
