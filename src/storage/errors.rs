//! Errors of files, in PostgreSQL's words.

use std::io;
use std::path::Path;

use crate::report::{Report, ReportExt, SqlState};

/// An error's text as C's `strerror` has it.
pub(super) fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

/// The condition of an error of a file.
fn sqlstate_of(error: &io::Error) -> SqlState {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SqlState::DISK_FULL,
        io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        io::ErrorKind::AlreadyExists => SqlState::DUPLICATE_FILE,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            SqlState::INSUFFICIENT_PRIVILEGE
        }
        _ => SqlState::IO_ERROR,
    }
}

/// `could not WHAT "PATH": why`.
#[track_caller]
pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Box<Report> {
    let message = format!("could not {what} \"{}\": {}", path.display(), without_number(error));
    Report::error(sqlstate_of(error), message)
}

/// The same for writes, which a full disk ends.
#[track_caller]
pub(crate) fn failed_write(what: &str, path: &Path, error: &io::Error) -> Box<Report> {
    let report = failed(what, path, error);
    if report.sqlstate == SqlState::DISK_FULL { report.with_hint("Check free disk space.") } else { report }
}

/// The ledger has no room for another pin.
#[cold]
pub(super) fn too_many_pins() -> Box<Report> {
    Report::error(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many buffers pinned at once")
}
