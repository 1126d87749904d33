//! What keeps two servers off one data directory, and what tells others about this one.
//!
//! Two things, for two questions. *Is anybody using the directory?* An flock on `tuskd.lock`, held through a descriptor
//! that every child inherits and every ring registers: it is free only when the last process and its last I/O are gone,
//! whatever became of the postmaster. *Who is the postmaster?* `postmaster.pid`, PostgreSQL's file with its eight lines,
//! which monitors and control programs read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::os::process::Pid;
use crate::report::{self, Report, ReportExt, SqlState};

/// The file with the instance lock, in the data directory.
pub const INSTANCE_LOCK: &str = "tuskd.lock";
/// PostgreSQL's file about the postmaster, in the data directory.
pub const PID_FILE: &str = "postmaster.pid";

/// Whether the directory is this user's, and nobody else's, in PostgreSQL's words.
///
/// # Errors
/// FATAL if not: a server would leave files there that its owner's server could not read, or that others could.
pub fn check_data_dir(data_dir: &Path) -> report::Result<()> {
    const FOR_OTHERS: u32 = 0o027;
    let shown = data_dir.display();
    let metadata = fs::metadata(data_dir).map_err(|e| {
        let text = format!("could not read permissions of directory \"{shown}\": {e}");
        Report::fatal(SqlState::IO_ERROR, text)
    })?;
    if !metadata.is_dir() {
        let text = format!("specified data directory \"{shown}\" is not a directory");
        return Err(Report::fatal(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text));
    }
    if metadata.uid() != crate::os::credentials::effective_uid() {
        let text = format!("data directory \"{shown}\" has wrong ownership");
        return Err(Report::fatal(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
            .with_hint("The server must be started by the user that owns the data directory."));
    }
    if metadata.mode() & FOR_OTHERS != 0 {
        let text = format!("data directory \"{shown}\" has invalid permissions");
        return Err(Report::fatal(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
            .with_detail("Permissions should be u=rwx (0700) or u=rwx,g=rx (0750)."));
    }
    Ok(())
}

/// Whether the directory is of this major version, in PostgreSQL's words; `own` is the whole version.
///
/// # Errors
/// FATAL if not, before anything in it is changed.
pub fn check_version(data_dir: &Path, own: &str) -> report::Result<()> {
    let path = data_dir.join("PG_VERSION");
    let shown = path.display();
    let invalid = |detail: String| {
        let text = format!("\"{}\" is not a valid data directory", data_dir.display());
        Report::fatal(SqlState::INVALID_PARAMETER_VALUE, text).with_detail(detail)
    };
    let content = fs::read(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => invalid(format!("File \"{shown}\" is missing.")),
        _ => Report::fatal(SqlState::IO_ERROR, format!("could not open file \"{shown}\": {e}")),
    })?;
    let content = String::from_utf8_lossy(&content);
    let major = |version: &str| {
        let digits = version.trim_start().split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let Some(found) = major(&content) else {
        let report = invalid(format!("File \"{shown}\" does not contain valid data."));
        return Err(report.with_hint("You might need to initdb."));
    };
    if Some(found) == major(own) {
        return Ok(());
    }
    let detail = format!(
        "The data directory was initialized by PostgreSQL version {}, which is not compatible with this version {own}.",
        content.split_whitespace().next().unwrap_or_default()
    );
    let message = "database files are incompatible with server";
    Err(Report::fatal(SqlState::INVALID_PARAMETER_VALUE, message).with_detail(detail))
}

/// Whether the directory had a server of ours already, and so has its lock.
pub fn was_used(data_dir: &Path) -> bool {
    data_dir.join(INSTANCE_LOCK).exists()
}

/// Takes the instance lock. It is never unlocked by hand.
///
/// # Errors
/// FATAL if a living postmaster, or a session that outlived its postmaster, has it.
pub fn lock_instance(data_dir: &Path) -> report::Result<OwnedFd> {
    let path = data_dir.join(INSTANCE_LOCK);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(|e| {
        Report::fatal(SqlState::IO_ERROR, format!("could not open lock file \"{INSTANCE_LOCK}\": {e}"))
    })?;
    match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file.into()),
        // Nobody has it open, but the last I/O of somebody who was killed is on its way: that ends by itself.
        Err(rustix::io::Errno::WOULDBLOCK) if holders_of(&path).is_empty() => {
            flock(file.as_fd(), FlockOperation::LockExclusive).map_err(|e| {
                let text = format!("could not lock file \"{INSTANCE_LOCK}\": {e}");
                Report::fatal(SqlState::IO_ERROR, text)
            })?;
            Ok(file.into())
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Err(in_use(data_dir, &path)),
        Err(e) => {
            let text = format!("could not lock file \"{INSTANCE_LOCK}\": {e}");
            Err(Report::fatal(SqlState::IO_ERROR, text))
        }
    }
}

fn in_use(data_dir: &Path, lock: &Path) -> Box<Report> {
    let holders = holders_of(lock);
    let named = read_pid_file(data_dir).ok().and_then(|pid_file| pid_file.pid);
    match named {
        Some(pid) if holders.contains(&pid) => {
            Report::fatal(SqlState::LOCK_FILE_EXISTS, format!("lock file \"{PID_FILE}\" already exists"))
                .with_hint(format!(
                    "Is another postmaster (PID {pid}) running in data directory \"{}\"?",
                    data_dir.display()
                ))
        }
        _ => {
            let pids: Vec<String> = holders.iter().map(ToString::to_string).collect();
            Report::fatal(
                SqlState::LOCK_FILE_EXISTS,
                "pre-existing shared memory block of an earlier server is still in use".to_string(),
            )
            .with_hint(format!(
                "Terminate any old server processes associated with data directory \"{}\" (PIDs: {}), \
                 or start with --end-orphans.",
                data_dir.display(),
                pids.join(", ")
            ))
        }
    }
}

/// Processes that have a file open, by the links in `/proc/PID/fd`.
pub fn holders_of(path: &Path) -> Vec<i32> {
    let Ok(wanted) = fs::metadata(path) else { return Vec::new() };
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id() as i32;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_it = |pid: &i32| {
        let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        fds.flatten().any(|fd| {
            fs::metadata(fd.path()).is_ok_and(|m| (m.dev(), m.ino()) == (wanted.dev(), wanted.ino()))
        })
    };
    pids.filter(|pid| *pid != own).filter(has_it).collect()
}

/// What `postmaster.pid` says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PidFile {
    /// Line 1; negative for a single-user process.
    pub pid: Option<i32>,
    /// Line 8: `starting`, `ready`, `stopping`, `standby`.
    pub status: Option<String>,
    /// Line 4.
    pub port: Option<u16>,
    /// Line 5.
    pub socket_dir: Option<String>,
    /// Line 7: the segment's descriptor in the postmaster, and its instance number.
    pub shared_memory: Option<String>,
}

/// Reads it.
pub fn read_pid_file(data_dir: &Path) -> io::Result<PidFile> {
    let text = fs::read_to_string(data_dir.join(PID_FILE))?;
    let line = |n: usize| text.lines().nth(n).map(|l| l.trim().to_string()).filter(|l| !l.is_empty());
    Ok(PidFile {
        pid: line(0).and_then(|l| l.parse().ok()),
        port: line(3).and_then(|l| l.parse().ok()),
        socket_dir: line(4),
        shared_memory: line(6),
        status: line(7),
    })
}

/// `postmaster.pid` while this postmaster lives. Removed by [`PidFileGuard::remove`], on every orderly stop; it stays when
/// the postmaster is killed.
pub struct PidFileGuard {
    path: PathBuf,
    lines: [String; 8],
}

impl PidFileGuard {
    /// Writes the first lines. The instance lock is held, so a file that is there is left over; the caller is told.
    pub fn create(
        data_dir: &Path,
        pid: Pid,
        started: i64,
        port: u16,
        socket_dir: &str,
    ) -> report::Result<(Self, bool)> {
        let path = data_dir.join(PID_FILE);
        let was_there = path.exists();
        let mut lines: [String; 8] = Default::default();
        lines[0] = pid.as_raw_nonzero().to_string();
        lines[1] = data_dir.display().to_string();
        lines[2] = started.to_string();
        lines[3] = port.to_string();
        lines[4] = socket_dir.to_string();
        lines[7] = "starting".to_string();
        let guard = Self { path, lines };
        guard.write()?;
        Ok((guard, was_there))
    }

    /// Changes the address that is listened on.
    pub fn set_listen_address(&mut self, address: &str) -> report::Result<()> {
        self.lines[5] = address.to_string();
        self.write()
    }

    /// Changes where the segment is.
    pub fn set_shared_memory(&mut self, fd: i32, instance: u64) -> report::Result<()> {
        self.lines[6] = format!("{fd:>9} {instance:>20}");
        self.write()
    }

    /// Changes the status: `starting`, `ready`, `stopping` or `standby`, padded as PostgreSQL does.
    pub fn set_status(&mut self, status: &str) -> report::Result<()> {
        self.lines[7] = format!("{status:<8}");
        self.write()
    }

    /// Removes the file.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Puts a new file in the place of the old one, so that who reads it sees one or the other whole.
    fn write(&self) -> report::Result<()> {
        let failed = |e: io::Error| {
            Report::fatal(SqlState::IO_ERROR, format!("could not write lock file \"{PID_FILE}\": {e}"))
        };
        let new = self.path.with_extension("pid.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        file.write_all((self.lines.join("\n") + "\n").as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&new, &self.path).map_err(failed)
    }
}

/// The lock file beside a Unix socket, so that two servers with different data directories don't share a socket path.
pub struct SocketLock {
    path: PathBuf,
    _file: File,
}

impl SocketLock {
    /// Takes it for the socket at `socket`.
    pub fn take(socket: &Path, pid: Pid, data_dir: &Path) -> report::Result<Self> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let shown = path.display().to_string();
        let failed = |e: io::Error| {
            let sqlstate = match e.kind() {
                ErrorKind::PermissionDenied => SqlState::INSUFFICIENT_PRIVILEGE,
                _ => SqlState::IO_ERROR,
            };
            Report::fatal(sqlstate, format!("could not create lock file \"{shown}\": {e}"))
        };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = file.map_err(failed)?;
        if flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_err() {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let holder = holder.lines().next().unwrap_or("unknown").to_string();
            let text = format!("lock file \"{shown}\" already exists");
            let hint =
                format!("Is another postmaster (PID {holder}) using socket file \"{}\"?", socket.display());
            return Err(Report::fatal(SqlState::LOCK_FILE_EXISTS, text).with_hint(hint));
        }
        file.set_len(0).map_err(failed)?;
        write!(file, "{}\n{}\n", pid.as_raw_nonzero(), data_dir.display()).map_err(failed)?;
        Ok(Self { path, _file: file })
    }

    /// Removes the file.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}
