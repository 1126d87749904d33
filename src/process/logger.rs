//! The logger: collects every process's stderr through one pipe and writes the log files.
//!
//! Forked by the postmaster when `logging_collector` is on, before there is any shared memory, of which it never has any: it
//! survives crash restarts, and the postmaster's death while a session lives. It ignores every request to stop and leaves
//! last of all, at the end of its pipe, which comes when nobody is left who could write to it. SIGHUP reads the settings
//! again, SIGUSR1 rotates. Its crash means that it is started again; the pipe keeps what is written meanwhile.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use jiff::Timestamp;

use super::settings::log_config;
use super::title::Title;
use crate::config::{Reader, Settings};
use crate::log::{Collector, Input, LineNumbers, LogContext, Output};
use crate::os::epoll::{Epoll, Interest};
use crate::os::process;
use crate::os::signal::{self, Signal, SignalFd, SignalSet};
use crate::sync::Monotonic;

/// What the postmaster gives it.
pub struct Start {
    /// The pipe's read end.
    pub pipe: File,
    /// The stderr that the server was started with.
    pub stderr: File,
    /// Settings at the fork.
    pub settings: Settings,
    /// The data directory.
    pub data_dir: PathBuf,
    /// What `ps` shows.
    pub title: Title,
}

/// Its life. The title is kept alive, nothing changes in it.
pub fn main(start: Start) -> ! {
    process::exit_now(match run(start) {
        Ok(()) => 0,
        Err(_) => 1,
    })
}

struct Logger {
    pipe: File,
    settings: Settings,
    collector: Collector,
    signalfd: SignalFd,
    lines: LineNumbers,
    started: Timestamp,
}

fn run(start: Start) -> io::Result<()> {
    let Start { pipe, stderr, settings, data_dir, title } = start;
    let heard = SignalSet::from([Signal::HUP, Signal::USR1]);
    signal::set_mask(&SignalSet::all());
    let signalfd = signal::signalfd(&heard)?;
    let mut epoll = Epoll::new()?;
    epoll.add(pipe.as_fd(), 0, Interest::IN)?;
    epoll.add(signalfd.as_fd(), 1, Interest::IN)?;
    rustix::io::ioctl_fionbio(&pipe, true)?;
    let started = Timestamp::now();
    let collector = Collector::new(log_config(&settings), &data_dir, Output::File(stderr), started);
    let collector = collector.map_err(|report| io::Error::other(report.to_string()))?;
    let lines = LineNumbers::default();
    let mut logger = Logger { pipe, settings, collector, signalfd, lines, started };
    while logger.step()? {
        let wake = logger.collector.next_wake().map(|at| until(at, Timestamp::now()));
        let _ = epoll.wait(wake)?.count();
    }
    drop(title);
    Ok(())
}

fn until(at: Timestamp, now: Timestamp) -> Monotonic {
    let left = at.duration_since(now).unsigned_abs();
    Monotonic::now().saturating_add(if at > now { left } else { std::time::Duration::ZERO })
}

impl Logger {
    /// Does what is there to do; `false` at the end of the pipe.
    fn step(&mut self) -> io::Result<bool> {
        let now = Timestamp::now();
        while let Some(info) = self.signalfd.read()? {
            if info.signal == Signal::HUP {
                let _ = self.settings.reload(Reader::Child);
                self.collector.reload(log_config(&self.settings), now);
            } else {
                self.collector.rotate(now);
            }
        }
        loop {
            match self.collector.on_readable(&mut self.pipe)? {
                Input::Some => {}
                Input::Nothing => break,
                Input::Eof => {
                    self.collector.flush_at_eof();
                    return Ok(false);
                }
            }
        }
        self.collector.step(now);
        let pid = process::pid().as_raw_nonzero().get() as u32;
        for report in self.collector.take_reports() {
            let context = LogContext::new(pid, "logger", self.started, &self.lines);
            self.collector.emit(&report, &context);
        }
        Ok(true)
    }
}
