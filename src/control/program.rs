//! Under which name this program was called, and how it says so in messages: PostgreSQL's programs differ in that.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

/// How a program's errors look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// `pg_ctl: no server running`, hints bare.
    Plain,
    /// `initdb: error: …`, `initdb: hint: …`.
    Tagged,
}

/// The program as it was called.
#[derive(Clone, Debug)]
pub struct Program {
    /// The first word of the command line.
    pub argv0: String,
    /// Its name in messages.
    pub name: &'static str,
    /// What must be typed to reach this command: `tuskd init`, `initdb`.
    pub command: &'static str,
    style: Style,
}

/// Why a command ends without success.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    message: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
    is_usage: bool,
    prefix: Prefix,
}

/// What stands before a failure's message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Prefix {
    Name,
    Argv0,
    Nothing,
}

/// What commands return: an exit code where nothing went wrong, 3 of `status` included.
pub type Outcome = Result<u8, Failure>;

impl Failure {
    /// A message, exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: Some(message.into()),
            detail: None,
            hint: None,
            is_usage: false,
            prefix: Prefix::Name,
        }
    }

    /// Ends with this code; everything was said before.
    pub fn silent(code: u8) -> Self {
        Self { message: None, code, ..Self::new("") }
    }

    /// A wrong command line: `--help` is pointed to.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { is_usage: true, ..Self::new(message) }
    }

    /// A wrong command line in getopt's words, which stand behind the path and not the name.
    pub fn getopt(message: impl Into<String>) -> Self {
        Self { prefix: Prefix::Argv0, ..Self::usage(message) }
    }

    /// A message that names the program itself, or needs no name; exit code 1.
    pub fn bare(message: impl Into<String>) -> Self {
        Self { prefix: Prefix::Nothing, ..Self::new(message) }
    }

    /// With another exit code.
    #[must_use]
    pub fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// With more about it.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// With what to do.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The message, for tests.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or("")
    }
}

impl Program {
    /// A program called `argv0`, known as `name`, whose command is reached by `command`.
    pub fn new(argv0: &str, name: &'static str, command: &'static str, style: Style) -> Self {
        Self { argv0: argv0.to_owned(), name, command, style }
    }

    /// What a failure says on standard error.
    pub fn render(&self, failure: &Failure) -> String {
        let mut text = String::new();
        let name = self.name;
        let (error, detail, hint) = match self.style {
            Style::Plain => (format!("{name}: "), String::new(), String::new()),
            Style::Tagged => {
                (format!("{name}: error: "), format!("{name}: detail: "), format!("{name}: hint: "))
            }
        };
        let error = match failure.prefix {
            Prefix::Name => error,
            Prefix::Argv0 => format!("{}: ", self.argv0),
            Prefix::Nothing => String::new(),
        };
        // Writing to a string cannot fail.
        if let Some(message) = &failure.message {
            let _ = writeln!(text, "{error}{message}");
        }
        if let Some(line) = &failure.detail {
            let _ = writeln!(text, "{detail}{line}");
        }
        if let Some(line) = &failure.hint {
            let _ = writeln!(text, "{hint}{line}");
        }
        if failure.is_usage {
            let _ = writeln!(text, "{hint}Try \"{} --help\" for more information.", self.command);
        }
        text
    }

    /// Says what failed, if anything did, and turns the outcome into the process's.
    pub fn finish(&self, outcome: Outcome) -> ExitCode {
        let code = match outcome {
            Ok(code) => code,
            Err(failure) => {
                complain(&self.render(&failure));
                failure.code
            }
        };
        ExitCode::from(code)
    }

    /// A warning on standard error.
    pub fn warn(&self, text: &str) {
        complain(&format!("{}: warning: {text}\n", self.name));
    }
}

/// Writes to standard output at once. A reader that went away (`| head`) is no failure.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes to standard error; there is nobody to tell if that fails.
pub fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_differ_as_the_programs_do() {
        let failure = Failure::new("no operation").with_hint("Is server running?");
        let plain = Program::new("/bin/pg_ctl", "pg_ctl", "pg_ctl", Style::Plain);
        assert_eq!(plain.render(&failure), "pg_ctl: no operation\nIs server running?\n");
        let tagged = Program::new("x/initdb", "initdb", "initdb", Style::Tagged);
        assert_eq!(
            tagged.render(&failure),
            "initdb: error: no operation\ninitdb: hint: Is server running?\n"
        );
        let wrong = Failure::getopt("invalid option -- 'Z'");
        assert_eq!(
            tagged.render(&wrong),
            "x/initdb: invalid option -- 'Z'\ninitdb: hint: Try \"initdb --help\" for more information.\n"
        );
        assert_eq!(plain.render(&Failure::silent(3)), "");
    }
}
