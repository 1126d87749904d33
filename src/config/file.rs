//! Configuration files: their lines, and the files that they include.

mod lexer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::report::{Report, Severity, SqlState};

/// Includes within includes, at most.
const MAX_DEPTH: u32 = 10;

/// Syntax errors in one file, after which the rest is not read.
const MAX_ERRORS: u32 = 100;

/// A line of a file that sets something, or that could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    /// The setting's name as the file spells it; none if the line could not be read.
    pub(super) name: Option<String>,
    /// Its value, unquoted.
    pub(super) value: Option<String>,
    pub(super) file: Arc<str>,
    pub(super) line: u32,
    /// What is wrong with it, in a few words.
    pub(super) error: Option<String>,
    /// Whether it took effect.
    pub(super) applied: bool,
}

/// What files said.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) items: Vec<Item>,
    /// Lines for the log.
    pub(super) reports: Vec<Report>,
    /// The file given to [`Parsed::read`] in which, or in whose includes, something could not be read.
    pub(super) broken: Option<Arc<str>>,
}

/// Whether a missing file is an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Error,
    Skip,
}

/// Where a file was named.
struct Caller {
    file: Arc<str>,
    line: u32,
    depth: u32,
}

impl Parsed {
    /// Reads a file and all that it includes.
    pub(super) fn read(&mut self, path: &Path, missing: Missing) {
        let file: Arc<str> = path.to_string_lossy().into();
        let top = Caller { file: file.clone(), line: 0, depth: 0 };
        if !self.file(path, missing, &top) {
            self.broken = Some(file);
        }
    }

    fn file(&mut self, path: &Path, missing: Missing, caller: &Caller) -> bool {
        let shown = path.display();
        if caller.depth > MAX_DEPTH {
            let report =
                format!("could not open configuration file \"{shown}\": maximum nesting depth exceeded");
            let sqlstate = SqlState::PROGRAM_LIMIT_EXCEEDED;
            return self.fail(caller, sqlstate, report, "nesting depth exceeded".to_owned());
        }
        if caller.line > 0 && path == Path::new(&*caller.file) {
            let report = format!("configuration file recursion in \"{}\"", caller.file);
            let sqlstate = SqlState::INVALID_PARAMETER_VALUE;
            return self.fail(caller, sqlstate, report, "configuration file recursion detected".to_owned());
        }
        match std::fs::read(path) {
            Ok(text) => self.text(&text, path, caller.depth),
            Err(error) if missing == Missing::Skip && error.kind() == io::ErrorKind::NotFound => {
                self.reports.push(Report::log(format!("skipping missing configuration file \"{shown}\"")));
                true
            }
            Err(error) => {
                let report = format!("could not open configuration file \"{shown}\": {}", reason(&error));
                self.fail(caller, sqlstate_of(&error), report, format!("could not open file \"{shown}\""))
            }
        }
    }

    fn text(&mut self, text: &[u8], path: &Path, depth: u32) -> bool {
        let file: Arc<str> = path.to_string_lossy().into();
        let mut errors = 0;
        let mut is_fine = true;
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let caller = Caller { file: file.clone(), line: number, depth };
            match lexer::line(line) {
                Ok(None) => {}
                Ok(Some((name, value))) => is_fine &= self.assignment(name, value, path, &caller),
                Err(near) => {
                    is_fine = false;
                    errors += 1;
                    self.syntax_error(&caller, near);
                }
            }
            if errors >= MAX_ERRORS {
                let text = format!("too many syntax errors found, abandoning file \"{file}\"");
                self.reports.push(Report::new(Severity::Log, SqlState::PROGRAM_LIMIT_EXCEEDED, text));
                break;
            }
        }
        is_fine
    }

    fn assignment(&mut self, name: String, value: String, path: &Path, caller: &Caller) -> bool {
        let folder = path.parent().unwrap_or(Path::new(""));
        match name.to_ascii_lowercase().as_str() {
            "include_dir" => self.folder(folder, &value, caller),
            "include" => self.include(folder, &value, Missing::Error, caller),
            "include_if_exists" => self.include(folder, &value, Missing::Skip, caller),
            _ => {
                self.items.push(Item {
                    name: Some(name),
                    value: Some(value),
                    file: caller.file.clone(),
                    line: caller.line,
                    error: None,
                    applied: false,
                });
                true
            }
        }
    }

    fn include(&mut self, folder: &Path, name: &str, missing: Missing, caller: &Caller) -> bool {
        if name.trim().is_empty() {
            let report = format!("empty configuration file name: \"{name}\"");
            let sqlstate = SqlState::INVALID_PARAMETER_VALUE;
            return self.fail(caller, sqlstate, report, "empty configuration file name".to_owned());
        }
        let deeper = Caller { file: caller.file.clone(), line: caller.line, depth: caller.depth + 1 };
        self.file(&folder.join(name), missing, &deeper)
    }

    /// All files of a folder whose names end in `.conf`, in the order of their names.
    fn folder(&mut self, folder: &Path, name: &str, caller: &Caller) -> bool {
        if name.trim().is_empty() {
            let report = format!("empty configuration directory name: \"{name}\"");
            let sqlstate = SqlState::INVALID_PARAMETER_VALUE;
            return self.fail(caller, sqlstate, report, "empty configuration directory name".to_owned());
        }
        let folder = folder.join(name);
        match conf_files(&folder) {
            Ok(paths) => {
                let deeper = Caller { file: caller.file.clone(), line: caller.line, depth: caller.depth + 1 };
                // Every file is read, so that every error is told.
                paths.iter().filter(|path| !self.file(path, Missing::Error, &deeper)).count() == 0
            }
            Err(error) => {
                let shown = folder.display();
                let report =
                    format!("could not open configuration directory \"{shown}\": {}", reason(&error));
                self.fail(
                    caller,
                    sqlstate_of(&error),
                    report,
                    format!("could not open directory \"{shown}\""),
                )
            }
        }
    }

    fn syntax_error(&mut self, caller: &Caller, near: lexer::Near<'_>) {
        let near = match near {
            lexer::Near::EndOfLine => "near end of line".to_owned(),
            lexer::Near::Token(token) => format!("near token \"{}\"", String::from_utf8_lossy(token)),
        };
        let report = format!("syntax error in file \"{}\" line {}, {near}", caller.file, caller.line);
        self.fail(caller, SqlState::SYNTAX_ERROR, report, "syntax error".to_owned());
    }

    fn fail(&mut self, caller: &Caller, sqlstate: SqlState, report: String, error: String) -> bool {
        self.reports.push(Report::new(Severity::Log, sqlstate, report));
        self.items.push(Item {
            name: None,
            value: None,
            file: caller.file.clone(),
            line: caller.line,
            error: Some(error),
            applied: false,
        });
        false
    }
}

fn conf_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && name.len() > 5 && name.ends_with(".conf") && !entry.path().is_dir() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The system's words for an error, as PostgreSQL's messages end.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// The condition of an error of the file system.
pub(super) fn sqlstate_of(error: &io::Error) -> SqlState {
    match error.kind() {
        io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            SqlState::INSUFFICIENT_PRIVILEGE
        }
        io::ErrorKind::StorageFull => SqlState::DISK_FULL,
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => SqlState::WRONG_OBJECT_TYPE,
        _ => SqlState::IO_ERROR,
    }
}

#[cfg(test)]
mod tests;
