//! pg_hba.conf and pg_ident.conf as lines of fields, with continued lines joined and other files read in.
//!
//! Nothing stops at the first problem: a line that cannot be read carries its error, so that both the server's start
//! (which then refuses) and the views (which show it) work from the same lines.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::report::{self, Report, Severity, SqlState};

use super::tokens::{Field, pieces};

/// How deep files may include each other.
const MAX_DEPTH: usize = 10;

/// One logical line with something on it.
#[derive(Debug)]
pub struct Line {
    /// The file it stands in.
    pub file: String,
    /// Where it begins there, from 1.
    pub number: u32,
    /// As written, continuations joined.
    pub raw: String,
    /// What stands on it.
    pub fields: Vec<Field>,
    /// Why it cannot be used.
    pub error: Option<String>,
}

impl Line {
    /// Where it is, for messages.
    pub fn context(&self) -> String {
        context(&self.file, self.number)
    }
}

/// The lines of a file and of all that it includes.
#[derive(Debug, Default)]
pub struct Lines {
    /// In the order of their meaning.
    pub lines: Vec<Line>,
    /// What the log is to say about reading them.
    pub log: Vec<Report>,
}

/// Reads a file and all that it includes. The error: `path` itself cannot be read.
pub fn read(path: &Path) -> report::Result<Lines> {
    let mut reader = Reader::default();
    match reader.read_file(path) {
        Ok(lines) => Ok(Lines { lines, log: reader.log }),
        Err(Problem { report: Some(report), .. }) => Err(report),
        Err(Problem { shown, .. }) => Err(Report::error(SqlState::CONFIG_FILE_ERROR, shown)),
    }
}

/// Why something was not read: for the log, and as the views say it.
struct Problem {
    /// None: the log has it already.
    report: Option<Box<Report>>,
    shown: String,
    is_missing_file: bool,
}

impl Problem {
    fn new(code: SqlState, message: String) -> Self {
        let report = Report::new(Severity::Log, code, &*message);
        Self { report: Some(Box::new(report)), shown: message, is_missing_file: false }
    }
}

#[derive(Default)]
struct Reader {
    log: Vec<Report>,
    /// The lines that led here, outermost first.
    contexts: Vec<String>,
}

impl Reader {
    fn read_file(&mut self, path: &Path) -> Result<Vec<Line>, Problem> {
        if self.contexts.len() > MAX_DEPTH {
            let message =
                format!("could not open file \"{}\": maximum nesting depth exceeded", path.display());
            return Err(Problem::new(SqlState::CONFIG_FILE_ERROR, message));
        }
        let bytes = fs::read(path).map_err(|error| Problem {
            is_missing_file: error.kind() == io::ErrorKind::NotFound,
            ..Problem::new(
                file_sqlstate(&error),
                format!("could not open file \"{}\": {}", path.display(), errno_text(&error)),
            )
        })?;
        let mut lines = Vec::new();
        for (number, raw) in logical_lines(&bytes) {
            let file = path.display().to_string();
            self.contexts.push(context(&file, number));
            self.read_line(path, Line { file, number, raw, fields: Vec::new(), error: None }, &mut lines);
            self.contexts.pop();
        }
        Ok(lines)
    }

    fn read_line(&mut self, path: &Path, mut line: Line, lines: &mut Vec<Line>) {
        line.error =
            self.read_fields(path, &line.raw, &mut line.fields).err().map(|problem| self.note(problem));
        if line.error.is_none() {
            line.error = match directive(&line.fields) {
                Some(("include", name)) => self.include(&beside(path, name), false, lines).err(),
                Some(("include_if_exists", name)) => self.include(&beside(path, name), true, lines).err(),
                Some(("include_dir", name)) => self.include_folder(&beside(path, name), lines).err(),
                _ if line.fields.is_empty() => return,
                _ => {
                    lines.push(line);
                    return;
                }
            };
        }
        if line.error.is_some() {
            lines.push(line);
        }
    }

    fn read_fields(&mut self, path: &Path, raw: &str, fields: &mut Vec<Field>) -> Result<(), Problem> {
        let mut field_goes_on = false;
        for piece in pieces(raw) {
            if !field_goes_on {
                fields.push(Field::new());
            }
            field_goes_on = piece.comma_follows;
            let Some(field) = fields.last_mut() else { continue };
            if let Some(name) = piece.file() {
                field.extend(self.tokens_of_file(&beside(path, name))?);
            } else if piece.token.text.contains(char::REPLACEMENT_CHARACTER) {
                return Err(Problem::new(
                    SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                    "invalid byte sequence for encoding \"UTF8\"".to_owned(),
                ));
            } else {
                field.push(piece.token);
            }
        }
        fields.retain(|field| !field.is_empty());
        Ok(())
    }

    /// What `@file` stands for: every token in it.
    fn tokens_of_file(&mut self, path: &Path) -> Result<Field, Problem> {
        let mut tokens = Field::new();
        for line in self.read_file(path)? {
            if let Some(error) = line.error {
                return Err(Problem { report: None, shown: error, is_missing_file: false });
            }
            tokens.extend(line.fields.into_iter().flatten());
        }
        Ok(tokens)
    }

    fn include(&mut self, path: &Path, may_miss: bool, lines: &mut Vec<Line>) -> Result<(), String> {
        match self.read_file(path) {
            Ok(more) => lines.extend(more),
            Err(problem) if may_miss && problem.is_missing_file => {
                let message = format!("skipping missing authentication file \"{}\"", path.display());
                self.note(Problem::new(SqlState::SUCCESSFUL_COMPLETION, message));
            }
            Err(problem) => return Err(self.note(problem)),
        }
        Ok(())
    }

    /// Every `*.conf` in a folder, in the order of their bytes; hidden ones are left out.
    fn include_folder(&mut self, path: &Path, lines: &mut Vec<Line>) -> Result<(), String> {
        let files = conf_files(path).map_err(|error| {
            let message = format!(
                "could not open configuration directory \"{}\": {}",
                path.display(),
                errno_text(&error)
            );
            let shown = format!("could not open directory \"{}\"", path.display());
            self.note(Problem { shown, ..Problem::new(file_sqlstate(&error), message) })
        })?;
        let errors: Vec<String> =
            files.iter().filter_map(|file| self.include(file, false, lines).err()).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
    }

    /// Puts a problem into the log, with the way here, and returns its text for the views.
    fn note(&mut self, problem: Problem) -> String {
        if let Some(report) = problem.report {
            let way: Vec<&str> = self.contexts.iter().rev().map(String::as_str).collect();
            self.log.push((*report).with_context(way.join("\n")));
        }
        problem.shown
    }
}

fn directive(fields: &[Field]) -> Option<(&str, &str)> {
    match fields {
        [first, second] => Some((&first.first()?.text, &second.first()?.text)),
        _ => None,
    }
}

/// Names in a file are relative to the folder of that file; `.` and `..` are taken out, as PostgreSQL shows paths.
fn beside(file: &Path, name: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in file.parent().unwrap_or(Path::new("")).join(name).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(path.components().next_back(), Some(Component::Normal(_))) => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

fn conf_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.len() > 5 && name.ends_with(b".conf") && !name.starts_with(b".") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The lines that end without a backslash, each with the number of its first part. Bytes that are no UTF-8 are
/// replaced: in comments they do no harm, in tokens they are found by their replacement.
fn logical_lines(bytes: &[u8]) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let mut unfinished: Option<(u32, String)> = None;
    for (number, part) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let part = String::from_utf8_lossy(part);
        let part = part.trim_end_matches('\r');
        let (first, mut joined) = unfinished.take().unwrap_or((number, String::new()));
        match part.strip_suffix('\\') {
            Some(begun) => {
                joined.push_str(begun);
                unfinished = Some((first, joined));
            }
            None => {
                joined.push_str(part);
                lines.push((first, joined));
            }
        }
    }
    lines.extend(unfinished);
    lines
}

fn context(file: &str, number: u32) -> String {
    format!("line {number} of configuration file \"{file}\"")
}

/// What the system says of an error, without Rust's addition of the number.
pub(super) fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// PostgreSQL's condition for a file that could not be used.
pub(super) fn file_sqlstate(error: &io::Error) -> SqlState {
    match error.kind() {
        io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        io::ErrorKind::PermissionDenied => SqlState::INSUFFICIENT_PRIVILEGE,
        io::ErrorKind::StorageFull => SqlState::DISK_FULL,
        io::ErrorKind::AlreadyExists => SqlState::DUPLICATE_FILE,
        _ => SqlState::IO_ERROR,
    }
}

#[cfg(test)]
mod tests;
