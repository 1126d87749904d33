//! `postmaster.pid`, read from outside: who runs in a data directory, where it listens, how far it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::data_directory::reason;
use super::program::Failure;
use crate::os::process::Pid;

/// The eight lines of `postmaster.pid`, as far as they are written yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PidFile {
    /// Line 1: the postmaster.
    pub pid: Pid,
    /// Line 4: its port.
    pub port: Option<u16>,
    /// Line 5: the directory of its first socket.
    pub socket_directory: Option<String>,
    /// Line 6: the first address it listens on.
    pub listen_address: Option<String>,
    /// Line 7: descriptor number of the shared memory in the postmaster, and its random number.
    pub segment: Option<(i32, u64)>,
    /// Line 8: `starting`, `ready`, `stopping`, `standby`.
    pub status: Option<String>,
}

/// Where the file is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("postmaster.pid")
}

impl PidFile {
    /// The file of a data directory; `None` if there is none.
    ///
    /// # Errors
    /// If it can't be read, is empty, or does not begin with a pid, in pg_ctl's words.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, Failure> {
        let path = path(data_dir);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let reason = reason(&error);
                return Err(Failure::new(format!(
                    "could not open PID file \"{}\": {reason}",
                    path.display()
                )));
            }
        };
        if text.is_empty() {
            return Err(Failure::new(format!("the PID file \"{}\" is empty", path.display())));
        }
        let invalid = || Failure::new(format!("invalid data in PID file \"{}\"", path.display()));
        Self::parse(&text).map(Some).ok_or_else(invalid)
    }

    /// A negative pid, as PostgreSQL's single-user mode writes it, is no postmaster's.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let pid: i32 = lines.next()?.parse().ok().filter(|pid| *pid > 0)?;
        let lines: Vec<&str> = lines.collect();
        let line = |number: usize| lines.get(number - 2).copied().filter(|line| !line.is_empty());
        Some(Self {
            pid: Pid::from_raw(pid)?,
            port: line(4).and_then(|port| port.parse().ok()),
            socket_directory: line(5).map(str::to_owned),
            listen_address: line(6).map(str::to_owned),
            segment: line(7).and_then(segment),
            status: line(8).map(str::to_owned),
        })
    }

    /// Whether it says that sessions can come.
    pub fn is_ready(&self) -> bool {
        matches!(self.status.as_deref(), Some("ready" | "standby"))
    }
}

fn segment(line: &str) -> Option<(i32, u64)> {
    let (fd, instance) = line.split_once(' ')?;
    Some((fd.trim().parse().ok().filter(|fd| *fd >= 0)?, instance.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "42\n/data\n1795201431\n5499\n/tmp\nlocalhost\n  7 18446744073709551615\nready   \n";

    #[test]
    fn every_line_has_its_meaning() {
        let file = PidFile::parse(WHOLE).unwrap();
        assert_eq!(file.pid.as_raw_nonzero().get(), 42);
        assert_eq!(file.port, Some(5499));
        assert_eq!(file.socket_directory.as_deref(), Some("/tmp"));
        assert_eq!(file.listen_address.as_deref(), Some("localhost"));
        assert_eq!(file.segment, Some((7, u64::MAX)));
        assert!(file.is_ready());
    }

    #[test]
    fn half_a_file_is_one_too() {
        for len in 3..WHOLE.len() - 5 {
            let file = PidFile::parse(&WHOLE[..len]).unwrap();
            assert!(!file.is_ready(), "{len}");
        }
        let no_socket = PidFile::parse("1\n/d\n1\n5432\n\n\n\nstarting\n").unwrap();
        assert_eq!((no_socket.socket_directory, no_socket.segment), (None, None));
        assert_eq!(no_socket.status.as_deref(), Some("starting"));
    }

    #[test]
    fn what_is_no_pid_is_refused() {
        for text in ["abc\n", "\n42", "-42\n", "0\n", "99999999999\n"] {
            assert_eq!(PidFile::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn line_seven_is_two_numbers() {
        for line in ["", "7", "x 1", "-1 1", "7 -1", " 10110015        x"] {
            assert_eq!(segment(line), None, "{line:?}");
        }
    }
}
