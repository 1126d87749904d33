//! Processes held by descriptor.
//!
//! A pid may belong to a stranger as soon as its process is reaped; a pidfd never does. It becomes
//! readable when the process ends, so that the postmaster learns of each death in its event loop without
//! searching through all children on SIGCHLD.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal, waitid,
};

/// A process, alive or dead. Closed on exec.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the process that has `pid` now. Surely the right one only for the caller itself and for a
    /// child not yet waited for. Fails with `ESRCH` if there is none.
    pub fn open(pid: Pid) -> io::Result<Self> {
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends `signal`. Fails with `ESRCH` once the process was waited for; a zombie takes it silently.
    pub fn send_signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.0, signal)?)
    }

    /// Sleeps until the process, a child of the caller, has ended, and reaps it. Fails with `ECHILD` if it
    /// is no child, or was reaped before. Signals do not end the wait.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        let status = self.wait_with(WaitIdOptions::EXITED)?;
        status.ok_or_else(|| io::Error::other("waitid came back without a status"))
    }

    /// Reaps the process if it has ended; `None` if it has not. Otherwise as [`PidFd::wait`].
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.wait_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Whether the process has ended, whoever's child it is.
    pub fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        retry_on_intr(|| poll(&mut fds, Some(&now))).is_ok_and(|ready| ready > 0)
    }

    fn wait_with(&self, options: WaitIdOptions) -> io::Result<Option<ExitStatus>> {
        let status = retry_on_intr(|| waitid(WaitId::PidFd(self.0.as_fd()), options))?;
        Ok(status.as_ref().and_then(ExitStatus::from_waitid))
    }
}

impl From<PidFd> for OwnedFd {
    fn from(process: PidFd) -> Self {
        process.0
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How a process ended. Displays as PostgreSQL words it, to stand behind a subject: "exited with exit code
/// 1", "was terminated by signal 9: Killed".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// By itself, with this code from 0 to 255.
    Exited(i32),
    /// By a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
        /// Whether it left a core file.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// Whether it ended with code 0.
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }

    fn from_waitid(status: &WaitIdStatus) -> Option<Self> {
        if let Some(code) = status.exit_status() {
            return Some(Self::Exited(code));
        }
        status.terminating_signal().map(|signal| Self::Signaled { signal, core_dumped: status.dumped() })
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exited(code) => write!(f, "exited with exit code {code}"),
            Self::Signaled { signal, .. } => {
                let text = signal_description(signal);
                write!(f, "was terminated by signal {signal}: {text}")
            }
        }
    }
}

/// What `strsignal` says in the C locale, without its buffer.
fn signal_description(signal: i32) -> &'static str {
    match Signal::from_named_raw(signal) {
        Some(Signal::HUP) => "Hangup",
        Some(Signal::INT) => "Interrupt",
        Some(Signal::QUIT) => "Quit",
        Some(Signal::ILL) => "Illegal instruction",
        Some(Signal::TRAP) => "Trace/breakpoint trap",
        Some(Signal::ABORT) => "Aborted",
        Some(Signal::BUS) => "Bus error",
        Some(Signal::FPE) => "Floating point exception",
        Some(Signal::KILL) => "Killed",
        Some(Signal::USR1) => "User defined signal 1",
        Some(Signal::SEGV) => "Segmentation fault",
        Some(Signal::USR2) => "User defined signal 2",
        Some(Signal::PIPE) => "Broken pipe",
        Some(Signal::ALARM) => "Alarm clock",
        Some(Signal::TERM) => "Terminated",
        Some(Signal::XCPU) => "CPU time limit exceeded",
        Some(Signal::XFSZ) => "File size limit exceeded",
        Some(Signal::SYS) => "Bad system call",
        _ => "unrecognized signal",
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(shell: &str) -> PidFd {
        #[expect(clippy::zombie_processes, reason = "reaped through the pidfd")]
        let child = Command::new("sh").args(["-c", shell]).spawn().unwrap();
        PidFd::open(Pid::from_child(&child)).unwrap()
    }

    #[test]
    fn reports_the_exit_code() {
        let pidfd = run("exit 3");
        let status = pidfd.wait().unwrap();
        assert_eq!(status, ExitStatus::Exited(3));
        assert_eq!(status.to_string(), "exited with exit code 3");
        assert_eq!(pidfd.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        let error = pidfd.send_signal(Signal::TERM).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
        assert!(run("true").wait().unwrap().is_success());
    }

    #[test]
    fn reports_the_signal() {
        let pidfd = run("exec sleep 1000");
        assert_eq!(pidfd.try_wait().unwrap(), None);
        pidfd.send_signal(Signal::KILL).unwrap();
        let status = pidfd.wait().unwrap();
        assert_eq!(status.to_string(), "was terminated by signal 9: Killed");
    }

    #[test]
    fn signals_have_descriptions() {
        assert_eq!(signal_description(11), "Segmentation fault");
        assert_eq!(signal_description(200), "unrecognized signal");
    }
}
