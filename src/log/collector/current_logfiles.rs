//! `current_logfiles` in the data directory: where the log is being written, for tools and `pg_current_logfile()`.

use std::fs::{OpenOptions, remove_file, rename};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::config::Destination;
use super::{file_access_state, reason};
use crate::report::{Report, Severity};

const NAME: &str = "current_logfiles";
const NEW_NAME: &str = "current_logfiles.tmp";

/// Replaces the file by one that lists these, so that readers see the old list or the new. Without any there is no file.
pub(super) fn write(
    data_dir: &Path,
    files: Vec<(Destination, &Path)>,
    is_group_readable: bool,
) -> Result<(), Box<Report>> {
    if files.is_empty() {
        return match remove_file(data_dir.join(NAME)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Box::new(failure(&format!("could not remove file \"{NAME}\""), &error)))
            }
            _ => Ok(()),
        };
    }
    let lines: String =
        files.iter().map(|(form, path)| format!("{} {}\n", form.name(), path.display())).collect();
    let mode = if is_group_readable { 0o640 } else { 0o600 };
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(mode).open(data_dir.join(NEW_NAME));
    opened
        .and_then(|mut file| file.write_all(lines.as_bytes()))
        .map_err(|error| Box::new(failure(&format!("could not write file \"{NEW_NAME}\""), &error)))?;
    rename(data_dir.join(NEW_NAME), data_dir.join(NAME)).map_err(|error| {
        Box::new(failure(&format!("could not rename file \"{NEW_NAME}\" to \"{NAME}\""), &error))
    })
}

fn failure(what: &str, error: &std::io::Error) -> Report {
    Report::new(Severity::Log, file_access_state(error), format!("{what}: {}", reason(error)))
}
