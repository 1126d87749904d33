//! Who lives in a data directory: the postmaster that `postmaster.pid` names, if it is one, and sessions that outlived
//! theirs.
//!
//! Every process of a server holds the instance lock, `tuskd.lock`, open; /proc tells who does. A pid file alone proves
//! nothing, since the pid may be a stranger's by now; so a process that can be looked at and does not hold the lock is no
//! postmaster. One that cannot be looked at (another user's) is believed.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::pid_file::PidFile;
use super::program::Failure;
use crate::os::clock::Monotonic;
use crate::os::pidfd::PidFd;
use crate::os::process::{self, Pid};
use crate::os::signal::Signal;

/// The file whose `flock` is the instance lock.
pub const LOCK_FILE: &str = "tuskd.lock";

/// What is found in a data directory.
pub enum Found {
    /// No `postmaster.pid`.
    NoPidFile,
    /// A `postmaster.pid`, but nobody of that pid, or a stranger.
    Stale(PidFile),
    /// A running server and a descriptor of its postmaster.
    Running(PidFile, PidFd),
}

/// Looks who runs in `data_dir`.
///
/// # Errors
/// If there is a pid file that cannot be understood.
pub fn find(data_dir: &Path) -> Result<Found, Failure> {
    let Some(file) = PidFile::read(data_dir)? else {
        return Ok(Found::NoPidFile);
    };
    let Ok(pidfd) = PidFd::open(file.pid) else {
        return Ok(Found::Stale(file));
    };
    // The descriptor was opened first: if the process behind it ended meanwhile, its signal goes nowhere.
    let is_postmaster = file.pid != process::pid() && holds_lock(data_dir, file.pid).unwrap_or(true);
    Ok(if is_postmaster { Found::Running(file, pidfd) } else { Found::Stale(file) })
}

/// Whether a process holds the instance lock's file open; `None` if it may not be looked at.
fn holds_lock(data_dir: &Path, pid: Pid) -> Option<bool> {
    let lock = match lock_identity(data_dir) {
        Ok(lock) => lock,
        // Without the file nobody has made a lock in this directory.
        Err(error) => return (error.kind() == io::ErrorKind::NotFound).then_some(false),
    };
    has_open(pid, lock).ok()
}

fn lock_identity(data_dir: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(data_dir.join(LOCK_FILE))?;
    Ok((metadata.dev(), metadata.ino()))
}

fn has_open(pid: Pid, identity: (u64, u64)) -> io::Result<bool> {
    let folder = PathBuf::from(format!("/proc/{}/fd", pid.as_raw_nonzero()));
    for entry in fs::read_dir(folder)? {
        // A descriptor may be closed while we look.
        let Ok(metadata) = entry.and_then(|entry| fs::metadata(entry.path())) else { continue };
        if (metadata.dev(), metadata.ino()) == identity {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every process that holds the instance lock of `data_dir` and may be looked at, ascending.
pub fn lock_holders(data_dir: &Path) -> Vec<Pid> {
    let Ok(identity) = lock_identity(data_dir) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = pids.filter_map(Pid::from_raw);
    let mut holders: Vec<Pid> = pids.filter(|pid| has_open(*pid, identity).unwrap_or(false)).collect();
    holders.sort_by_key(|pid| pid.as_raw_nonzero());
    holders
}

/// Ends every process that holds the instance lock: SIGTERM, and SIGKILL for those still there after `patience`.
/// Returns their pids, and whether they needed SIGKILL.
///
/// Call it only when there is no postmaster: it would be ended as well.
///
/// # Errors
/// If a process may not be signalled, or survives.
pub fn end_orphans(data_dir: &Path, patience: Duration) -> Result<Vec<(Pid, bool)>, Failure> {
    let mut orphans = Vec::new();
    for pid in lock_holders(data_dir) {
        let Ok(pidfd) = PidFd::open(pid) else { continue };
        // A pid that changed hands between the two looks is left alone.
        if holds_lock(data_dir, pid) == Some(true) {
            signal(&pidfd, pid, Signal::TERM)?;
            orphans.push((pid, pidfd));
        }
    }
    let deadline = Monotonic::now().saturating_add(patience);
    let mut ended = Vec::new();
    for (pid, pidfd) in orphans {
        let needs_kill = !has_ended(&pidfd, Some(deadline));
        if needs_kill {
            signal(&pidfd, pid, Signal::KILL)?;
            let until = Monotonic::now().saturating_add(patience);
            if !has_ended(&pidfd, Some(until)) {
                let pid = pid.as_raw_nonzero();
                return Err(Failure::new(format!("process {pid} did not end after SIGKILL")));
            }
        }
        ended.push((pid, needs_kill));
    }
    Ok(ended)
}

fn signal(pidfd: &PidFd, pid: Pid, signal: Signal) -> Result<(), Failure> {
    match pidfd.send_signal(signal) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            let (number, pid) = (signal.as_raw(), pid.as_raw_nonzero());
            let reason = super::data_directory::reason(&error);
            Err(Failure::new(format!("could not send signal {number} (PID: {pid}): {reason}")))
        }
        _ => Ok(()),
    }
}

/// Sleeps until the process behind `pidfd` has ended (`true`) or the deadline is there.
pub fn has_ended(pidfd: &PidFd, deadline: Option<Monotonic>) -> bool {
    let fd = pidfd.as_fd();
    wait_readable(&[fd], deadline)[0]
}

/// Sleeps until one of `fds` is readable or the deadline is there; says of each whether it is.
pub fn wait_readable(fds: &[std::os::fd::BorrowedFd<'_>], deadline: Option<Monotonic>) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    loop {
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_since(Monotonic::now());
            rustix::time::Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
        });
        match poll(&mut polled, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            // Whatever else poll dislikes would make this spin: report what is known, that nothing is readable.
            Err(_) => return vec![false; fds.len()],
            Ok(_) => return polled.iter().map(|fd| !fd.revents().is_empty()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("tuskd-instance-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_stranger_is_no_postmaster() {
        let dir = scratch("stranger");
        assert!(matches!(find(&dir), Ok(Found::NoPidFile)));
        let mut sleeper = Command::new("sleep").arg("100").spawn().unwrap();
        fs::write(dir.join("postmaster.pid"), format!("{}\n", sleeper.id())).unwrap();
        assert!(matches!(find(&dir), Ok(Found::Stale(_))));
        File::create(dir.join(LOCK_FILE)).unwrap();
        assert!(matches!(find(&dir), Ok(Found::Stale(_))));
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(matches!(find(&dir), Ok(Found::Stale(_))));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn holders_are_found_and_ended() {
        let dir = scratch("holders");
        assert!(lock_holders(&dir).is_empty());
        let lock = File::create(dir.join(LOCK_FILE)).unwrap();
        let mut sleeper = Command::new("sleep").arg("100").stdin(lock).spawn().unwrap();
        let pid = Pid::from_child(&sleeper);
        fs::write(dir.join("postmaster.pid"), format!("{}\n", sleeper.id())).unwrap();
        // Not at once: until its exec the child is a copy of this process.
        while lock_holders(&dir) != [pid] {
            std::thread::yield_now();
        }
        assert!(matches!(find(&dir), Ok(Found::Running(..))));
        assert_eq!(end_orphans(&dir, Duration::from_secs(5)).unwrap(), [(pid, false)]);
        sleeper.wait().unwrap();
        assert!(lock_holders(&dir).is_empty());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn who_ignores_sigterm_is_killed() {
        let dir = scratch("stubborn");
        let lock = File::create(dir.join(LOCK_FILE)).unwrap();
        let script = "trap '' TERM; echo ready; exec sleep 100 > /dev/null";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(lock).stdout(std::process::Stdio::piped());
        let mut child = shell.spawn().unwrap();
        drop(shell);
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let pid = Pid::from_child(&child);
        assert_eq!(end_orphans(&dir, Duration::from_millis(200)).unwrap(), [(pid, true)]);
        child.wait().unwrap();
        fs::remove_dir_all(dir).unwrap();
    }
}
