//! `postmaster.opts`: the command line that a server was started with, each argument in double quotes.
//!
//! The server writes it once it has the instance lock, so that it is always about the server that runs or ran last, and
//! never about one that was refused. `status` shows it and `restart` uses it again.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where it is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("postmaster.opts")
}

/// Writes it, with the program's whole path.
pub fn write(data_dir: &Path, program: &str, args: &[String]) -> io::Result<()> {
    let program = whole_path(program);
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path(data_dir))?;
    file.write_all(text(&program, args).as_bytes())
}

/// Where a program is that was called so: as a shell finds it.
fn whole_path(program: &str) -> String {
    let found = if program.contains('/') {
        std::path::absolute(program).ok()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
    };
    found.map_or_else(|| program.to_owned(), |path| path.display().to_string())
}

fn text(program: &str, args: &[String]) -> String {
    let quoted = args.iter().map(|arg| format!(" \"{}\"", arg.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{program}{}\n", quoted.collect::<String>())
}

/// The line as it stands there, if there is one.
pub fn line(data_dir: &Path) -> Option<String> {
    let text = fs::read_to_string(path(data_dir)).ok()?;
    text.lines().next().map(str::to_owned)
}

/// The arguments in such a line.
pub fn arguments(line: &str) -> Vec<String> {
    let mut args = Vec::new();
    let mut current: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, &mut current) {
            ('"', Some(_)) => args.extend(current.take()),
            ('"', None) => current = Some(String::new()),
            ('\\', Some(arg)) => arg.extend(chars.next()),
            (c, Some(arg)) => arg.push(c),
            (_, None) => {}
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert_eq!(whole_path("/bin/postgres"), "/bin/postgres");
        assert!(whole_path("sh").ends_with("/sh"));
        assert_eq!(whole_path("no such program"), "no such program");
        let here = std::env::current_dir().unwrap();
        assert_eq!(whole_path("bin/postgres"), here.join("bin/postgres").display().to_string());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let args = ["-D", "/a b", "-c", "x=\"q\"\\", ""].map(str::to_owned);
        let text = text("/bin/postgres", &args);
        assert_eq!(text, "/bin/postgres \"-D\" \"/a b\" \"-c\" \"x=\\\"q\\\"\\\\\" \"\"\n");
        assert_eq!(arguments(text.trim_end()), args);
        assert!(arguments("postgres \"-D").is_empty());
    }
}
