//! Shell commands that settings name (`archive_command`).
//!
//! A command runs in a process group of its own, so that it can be ended with all it has started; with the signals of a
//! process that nobody has told anything; and the kernel ends its shell if whoever runs it dies.
//!
//! # Safety
//!
//! Between fork and exec a child may do what is async-signal-safe only: here it changes its own mask, dispositions and
//! death signal, by system calls without any memory but the stack.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use super::pidfd::{ExitStatus, PidFd};
use super::{process, signal};

/// Signals that processes of the server ignore, and a command is not to.
const IGNORED: [Signal; 5] = [Signal::PIPE, Signal::ALARM, Signal::XFSZ, Signal::TTIN, Signal::TTOU];

/// A command that runs.
#[derive(Debug)]
pub struct ShellCommand {
    group: Pid,
    shell: PidFd,
}

impl ShellCommand {
    /// Hands a line to `/bin/sh`. It writes where the caller does, and has nothing to read.
    pub fn start(line: &str) -> io::Result<Self> {
        let parent = process::pid();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]).stdin(Stdio::null()).process_group(0);
        // SAFETY: see the module.
        unsafe { command.pre_exec(move || prepare(parent)) };
        let child = command.spawn()?;
        let group = Pid::from_raw(child.id() as i32).ok_or(io::ErrorKind::InvalidData)?;
        // Nobody has waited for it, so the number is its own still.
        Ok(Self { group, shell: PidFd::open(group)? })
    }

    /// A descriptor that can be read from when the shell has ended.
    pub fn ended_fd(&self) -> io::Result<OwnedFd> {
        self.shell.as_fd().try_clone_to_owned()
    }

    /// The group that it and all that it starts is in.
    pub fn group(&self) -> Pid {
        self.group
    }

    /// Whether the shell has ended. Until it is waited for, the group's number is its own.
    pub fn has_ended(&self) -> bool {
        self.shell.has_ended()
    }

    /// How it ended; sleeps until it has.
    pub fn wait(self) -> io::Result<ExitStatus> {
        self.shell.wait()
    }

    /// Ends it with all that it has started, as far as that stayed in its group, and waits for the shell.
    pub fn kill(self, signal: Signal) -> io::Result<ExitStatus> {
        // It may have ended just now.
        let _ = kill_group(self.group, signal);
        self.shell.wait()
    }
}

/// Ends a command with all that it has started.
pub fn kill_group(group: Pid, signal: Signal) -> io::Result<()> {
    Ok(kill_process_group(group, signal)?)
}

/// In the child.
fn prepare(parent: Pid) -> io::Result<()> {
    process::set_parent_death_signal(Some(Signal::KILL))?;
    if process::parent_pid() != Some(parent) {
        // It died before it could be watched.
        process::exit_now(1);
    }
    IGNORED.into_iter().try_for_each(signal::default)?;
    signal::set_mask(&signal::SignalSet::empty());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(line: &str) -> ExitStatus {
        ShellCommand::start(line).unwrap().shell.wait().unwrap()
    }

    #[test]
    fn a_command_begins_with_clean_signals_in_its_own_group() {
        signal::ignore(Signal::PIPE).unwrap();
        let before = signal::block(&signal::SignalSet::from([Signal::WINCH]));
        // The mask, and SIGPIPE's bit among the ignored ones, to which other tests may add.
        let ended = end_of(
            "grep -q '^SigBlk:\t0*$' /proc/self/status && grep -q '^SigIgn:.*[02468ace]...$' /proc/self/status && \
             test $(cut -d' ' -f5 /proc/$$/stat) = $$",
        );
        signal::set_mask(&before);
        assert_eq!(ended, ExitStatus::Exited(0));
    }

    #[test]
    fn its_end_is_told_as_the_shell_tells_it() {
        for (line, expected) in [
            ("exit 0", ExitStatus::Exited(0)),
            ("exit 3", ExitStatus::Exited(3)),
            ("no_such_command_anywhere 2>/dev/null", ExitStatus::Exited(127)),
            ("kill -9 $$", ExitStatus::Signaled { signal: 9, core_dumped: false }),
        ] {
            assert_eq!(end_of(line), expected, "{line}");
        }
    }

    #[test]
    fn whatever_it_started_ends_with_it() {
        let file = std::env::temp_dir().join(format!("tuskd-shell-{}", process::pid().as_raw_nonzero()));
        let line = format!("sleep 600 & echo $! > {0}.new && mv {0}.new {0}; wait", file.display());
        let command = ShellCommand::start(&line).unwrap();
        let child = loop {
            match std::fs::read_to_string(&file) {
                Ok(text) => break text.trim().parse().unwrap(),
                Err(_) => std::thread::yield_now(),
            }
        };
        let child = PidFd::open(Pid::from_raw(child).unwrap()).unwrap();
        let ended = command.kill(Signal::TERM).unwrap();
        assert_eq!(ended, ExitStatus::Signaled { signal: 15, core_dumped: false });
        while !child.has_ended() {
            std::thread::yield_now();
        }
        std::fs::remove_file(&file).unwrap();
    }
}
