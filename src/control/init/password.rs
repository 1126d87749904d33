//! The first superuser's password, from a file or from the terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use rustix::termios::{LocalModes, OptionalActions, isatty, tcgetattr, tcsetattr};

use crate::control::data_directory::reason;
use crate::control::program::Failure;

/// Where a password comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Whoever sits at the terminal, twice.
    Prompt,
    /// The first line of a file.
    File(PathBuf),
}

/// Gets it.
///
/// # Errors
/// If there is none, or two different ones.
pub fn read(source: &Source) -> Result<String, Failure> {
    match source {
        Source::Prompt => prompted(),
        Source::File(path) => {
            let shown = path.display();
            let cannot = |error: &std::io::Error| {
                Failure::new(format!("could not open file \"{shown}\" for reading: {}", reason(error)))
            };
            let file = File::open(path).map_err(|error| cannot(&error))?;
            let mut line = String::new();
            BufReader::new(file).read_line(&mut line).map_err(|error| {
                Failure::new(format!("could not read password from file \"{shown}\": {}", reason(&error)))
            })?;
            let password = line.trim_end_matches(['\n', '\r']).to_owned();
            if password.is_empty() {
                return Err(Failure::new(format!("password file \"{shown}\" is empty")));
            }
            Ok(password)
        }
    }
}

fn prompted() -> Result<String, Failure> {
    let first = ask("Enter new superuser password: ")?;
    if first != ask("Enter it again: ")? {
        return Err(Failure::new("Passwords didn't match."));
    }
    if first.is_empty() {
        return Err(Failure::new("the password is empty"));
    }
    Ok(first)
}

/// Asks on the terminal without showing the answer; without a terminal, reads a line of standard input.
fn ask(question: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("could not read password: {}", reason(&error)));
    let mut stdin = std::io::stdin().lock();
    let shown = if isatty(&stdin) { tcgetattr(&stdin).ok() } else { None };
    if let Some(modes) = &shown {
        let mut hidden = modes.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(|errno| failed(errno.into()))?;
    }
    let mut err = std::io::stderr();
    let _ = err.write_all(question.as_bytes());
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    if let Some(modes) = &shown {
        let _ = tcsetattr(&stdin, OptionalActions::Flush, modes);
        let _ = err.write_all(b"\n");
    }
    read.map_err(failed)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password() {
        let path = std::env::temp_dir().join(format!("tuskd-pwfile-{}", std::process::id()));
        for (text, expected) in
            [("a b \r\nrest\n", Some("a b ")), ("x", Some("x")), ("\nx", None), ("", None)]
        {
            std::fs::write(&path, text).unwrap();
            let found = read(&Source::File(path.clone()));
            assert_eq!(found.ok().as_deref(), expected, "{text:?}");
        }
        std::fs::remove_file(&path).unwrap();
        let failure = read(&Source::File(path)).unwrap_err();
        assert!(failure.message().ends_with("for reading: No such file or directory"));
    }
}
