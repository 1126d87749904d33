//! Which data directory is meant, and the little that must be known of it from outside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::program::Failure;

/// Where `tuskd`'s own commands look when neither `-D` nor `PGDATA` says otherwise.
pub const DEFAULT: &str = "tuskd-data";

/// What an existing or future data directory is like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Not there.
    Absent,
    /// There, with nothing in it.
    Empty,
    /// There, with these things in it, sorted.
    Filled(Vec<String>),
}

/// The directory of `-D`, else of `PGDATA`, else `fallback`.
pub fn named(option: Option<&str>, fallback: Option<&str>) -> Option<PathBuf> {
    let from_environment = || std::env::var("PGDATA").ok().filter(|path| !path.is_empty());
    option.map(str::to_owned).or_else(from_environment).or(fallback.map(str::to_owned)).map(PathBuf::from)
}

/// The same path from the root, so that it holds after a change of directory; links are left alone.
pub fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.components().collect()
}

/// Looks at a directory.
///
/// # Errors
/// If it can't be read, or is no directory.
pub fn state(path: &Path) -> io::Result<State> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Absent),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(if names.is_empty() { State::Empty } else { State::Filled(names) })
}

/// Fails as pg_ctl does unless a server could run in `path`.
pub fn check_is_cluster(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::new(format!("directory \"{shown}\" does not exist")));
        }
        Err(error) => {
            let reason = reason(&error);
            return Err(Failure::new(format!("could not access directory \"{shown}\": {reason}")));
        }
        Ok(_) => {}
    }
    match fs::metadata(path.join("PG_VERSION")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::new(format!("directory \"{shown}\" is not a database cluster directory")))
        }
        // Without the right to look inside, what follows says so with the file it wanted.
        _ => Ok(()),
    }
}

/// The kernel's words for an error, without Rust's number behind them.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// A setting as a server in `data_dir` would have it, if the command line or one of the two files says so.
///
/// It reads only what is needed to tell a user where to connect; the server reads the files with all their rules.
pub fn peek_setting(data_dir: &Path, settings: &[(String, String)], name: &str) -> Option<String> {
    let from_command_line = settings.iter().rev().find(|(found, _)| found.eq_ignore_ascii_case(name));
    if let Some((_, value)) = from_command_line {
        return Some(value.clone());
    }
    ["postgresql.auto.conf", "postgresql.conf"].iter().find_map(|file| {
        let text = fs::read_to_string(data_dir.join(file)).ok()?;
        text.lines()
            .filter_map(setting_of_line)
            .rfind(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// Name and value of a line `name = value`, `name value` or `name = 'value'`.
fn setting_of_line(line: &str) -> Option<(&str, String)> {
    let line = line.trim_start();
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    if name.is_empty() || rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    let value = match rest.strip_prefix('\'') {
        Some(quoted) => unquoted(quoted)?,
        None => rest.split(['#', ' ', '\t']).next().unwrap_or("").to_owned(),
    };
    Some((name, value))
}

/// What stands before the closing quote; two quotes or a backslash keep one.
fn unquoted(quoted: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = quoted.chars().peekable();
    loop {
        match chars.next()? {
            '\'' if chars.peek() == Some(&'\'') => value.extend(chars.next()),
            '\'' => return Some(value),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

/// Where clients find a server with these settings: host and port for psql.
pub fn address(data_dir: &Path, settings: &[(String, String)]) -> (String, String) {
    let port = peek_setting(data_dir, settings, "port").unwrap_or_else(|| "5432".to_owned());
    let directories = peek_setting(data_dir, settings, "unix_socket_directories");
    let directories = directories.unwrap_or_else(|| "/tmp".to_owned());
    let first =
        directories.split(',').map(|path| path.trim().trim_matches('"')).find(|path| !path.is_empty());
    (first.map_or_else(|| "localhost".to_owned(), str::to_owned), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_settings_or_not() {
        for (line, expected) in [
            ("port = 5433\t\t# x", Some(("port", "5433"))),
            ("port 5434", Some(("port", "5434"))),
            ("  a.b='it''s \\'x' # c", Some(("a.b", "it's 'x"))),
            ("#port = 1", None),
            ("port =", None),
            ("port = # 3", None),
            ("port = 'open", None),
            ("", None),
            ("port", None),
        ] {
            let found = setting_of_line(line);
            assert_eq!(found, expected.map(|(name, value)| (name, value.to_owned())), "{line:?}");
        }
    }

    #[test]
    fn the_command_line_comes_before_the_files() {
        let dir = std::env::temp_dir().join(format!("tuskd-peek-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("postgresql.conf"), "port = 1\nport = 2\nunix_socket_directories = '/a, /b'\n")
            .unwrap();
        fs::write(dir.join("postgresql.auto.conf"), "work_mem = '4MB'\n").unwrap();
        let none = [];
        assert_eq!(address(&dir, &none), ("/a".to_owned(), "2".to_owned()));
        let given =
            [("Port".to_owned(), "7".to_owned()), ("unix_socket_directories".to_owned(), String::new())];
        assert_eq!(address(&dir, &given), ("localhost".to_owned(), "7".to_owned()));
        assert_eq!(peek_setting(&dir, &none, "WORK_MEM").as_deref(), Some("4MB"));
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(address(&dir, &none), ("/tmp".to_owned(), "5432".to_owned()));
    }

    #[test]
    fn reasons_have_no_numbers() {
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(reason(&io::Error::other("x")), "x");
    }
}
