//! `postmaster.opts`: the command line that a server was started with, each argument in double quotes.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where it is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("postmaster.opts")
}

/// Writes it.
pub fn write(data_dir: &Path, program: &str, args: &[String]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path(data_dir))?;
    file.write_all(text(program, args).as_bytes())
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
    fn what_is_written_can_be_read() {
        let args = ["-D", "/a b", "-c", "x=\"q\"\\", ""].map(str::to_owned);
        let text = text("/bin/postgres", &args);
        assert_eq!(text, "/bin/postgres \"-D\" \"/a b\" \"-c\" \"x=\\\"q\\\"\\\\\" \"\"\n");
        assert_eq!(arguments(text.trim_end()), args);
        assert!(arguments("postgres \"-D").is_empty());
    }
}
