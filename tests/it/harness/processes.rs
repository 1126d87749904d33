//! What /proc knows about a test's processes: who descends from whom, and what each waits for.
//!
//! Descent, not the process group, decides what belongs to a test, since a server under test may
//! give its children groups and sessions of their own. Orphans stay descendants, because the
//! supervisor is their subreaper.
use std::collections::HashMap;
use std::fmt;
use std::fs;

use rustix::process::Pid;

/// One process, as /proc/PID/stat described it a moment ago.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    parent: i32,
    group: i32,
    state: char,
    comm: String,
}

/// The processes that descend from this one and have not ended, parents first.
pub fn descendants() -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all_processes() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut to_visit = vec![std::process::id() as i32];
    while let Some(parent) = to_visit.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            to_visit.push(process.pid.as_raw_nonzero().get());
            found.push(process);
        }
    }
    found.retain(|process| !matches!(process.state, 'Z' | 'X'));
    found
}

/// Every process /proc shows; those that end while we look are left out.
fn all_processes() -> Vec<Process> {
    fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect()
}

impl Process {
    /// Parses `PID (COMM) STATE PPID PGRP …`, where COMM may itself contain parentheses.
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let (_, comm) = head.split_once('(')?;
        let mut fields = tail.split(' ');
        Some(Self {
            pid: Pid::from_raw(pid)?,
            state: fields.next()?.chars().next()?,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
            comm: comm.to_owned(),
        })
    }

    /// A file of its /proc directory on one line, or `?` where it is gone or forbidden.
    fn proc_file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.pid.as_raw_nonzero());
        let content = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&content).replace('\0', " ");
        let line = text.trim().replace('\n', "; ");
        if line.is_empty() { "?".to_owned() } else { line }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.proc_file("status");
        let state = status
            .split("; ")
            .find_map(|line| line.strip_prefix("State:"))
            .map_or_else(|| self.state.to_string(), |state| state.trim().to_owned());
        let syscall = self.proc_file("syscall");
        let (pid, parent, group) = (self.pid.as_raw_nonzero(), self.parent, self.group);
        writeln!(formatter, "  {pid} `{}`, child of {parent}, group {group}: {state}", self.comm)?;
        writeln!(formatter, "      wchan   {}", self.proc_file("wchan"))?;
        writeln!(formatter, "      syscall {}{syscall}", syscall_name(&syscall))?;
        write!(formatter, "      cmdline {}", self.proc_file("cmdline"))
    }
}

/// Names the calls in which our processes wait; /proc gives a number, `-1`, or `running`.
fn syscall_name(line: &str) -> &'static str {
    let number = line.split(' ').next().and_then(|number| number.parse().ok());
    match number {
        Some(libc::SYS_futex) => "futex ",
        Some(libc::SYS_futex_waitv) => "futex_waitv ",
        Some(libc::SYS_io_uring_enter) => "io_uring_enter ",
        Some(libc::SYS_epoll_pwait) => "epoll_pwait ",
        #[cfg(target_arch = "x86_64")]
        Some(libc::SYS_epoll_wait) => "epoll_wait ",
        #[cfg(target_arch = "x86_64")]
        Some(libc::SYS_poll) => "poll ",
        Some(libc::SYS_ppoll) => "ppoll ",
        Some(libc::SYS_read) => "read ",
        Some(libc::SYS_write) => "write ",
        Some(libc::SYS_wait4) => "wait4 ",
        Some(libc::SYS_waitid) => "waitid ",
        Some(libc::SYS_clock_nanosleep) => "clock_nanosleep ",
        Some(libc::SYS_rt_sigtimedwait) => "rt_sigtimedwait ",
        Some(libc::SYS_rt_sigsuspend) => "rt_sigsuspend ",
        _ => "",
    }
}
