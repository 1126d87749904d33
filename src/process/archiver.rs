//! The archiver: hands finished WAL segments to `archive_command`.
//!
//! Started by the postmaster when `archive_mode` is on and writes are allowed. Who completes a segment marks it and sets this
//! process's latch; it looks by itself once a minute too. In an orderly stop SIGUSR2 asks it, behind the shutdown checkpoint,
//! to archive what is there and to leave. SIGTERM ends it at once, and the command that runs with it; it is started again
//! some seconds later. In an emergency SIGQUIT ends it at once with 1, and the kernel its command. Its crash means that it is
//! started again, and nothing else: whatever it was archiving is archived again.
//!
//! A command that fails is tried three times, and then everything rests for a minute. One that is killed, or that the shell
//! does not find, ends the process: no other file would fare better.

mod command;
mod statistics;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use super::context::ProcessContext;
use crate::config;
use crate::ipc::wait_set::{Readiness, Socket};
use crate::ipc::{Interrupts, WaitEvent, WaitSet};
use crate::os::pidfd::ExitStatus;
use crate::os::shell::{self, ShellCommand};
use crate::os::signal::{self, Signal};
use crate::report::{Report, Result, Severity, SqlState};
use crate::sync::{Monotonic, Ordering};
use crate::wal::ArchiveStatus;

pub use statistics::{ArchiverRecord, ArchiverRow, ArchiverStatistics};

/// The log's folder, from the data directory, which is the working directory.
const LOG: &str = "pg_wal";
/// How long it sleeps if nobody wakes it.
const PERIOD: Duration = Duration::from_secs(60);
/// Between two tries of one file.
const RETRY: Duration = Duration::from_secs(1);
/// Tries of one file in a row.
const TRIES: u32 = 3;
/// Names read from the folder of marks at once.
const BATCH: usize = 64;

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    // The source documents know it by the exit code 1 in a crash restart.
    let _ = signal::exit_on::<1>(Signal::QUIT);
    let mut archiver = Archiver::new(ctx);
    let code = archiver.run();
    // In this order: nothing is in flight when the hang-up pipe closes.
    let Archiver { ctx, set, .. } = archiver;
    drop(set);
    ctx.exit(code)
}

/// Why it stops what it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    /// Something that ends the process with this code.
    Exit(i32),
    /// It has had too many failures, or lacks a command: later again.
    Rest,
}

/// What comes of a part of the work, unless something ends it.
type Step<T> = std::result::Result<T, Stop>;

struct Archiver<'s> {
    ctx: ProcessContext<'s>,
    set: WaitSet<'s>,
    status: ArchiveStatus,
    /// Names to be archived next, the last one first.
    batch: Vec<String>,
    /// It is to leave when it has archived what is there.
    leaves: bool,
}

impl<'s> Archiver<'s> {
    fn new(mut ctx: ProcessContext<'s>) -> Self {
        let set = ctx.wait_set();
        ctx.set_running();
        ctx.server.engine.wal.set_archiver(ctx.id);
        let status = ArchiveStatus::new(Path::new(LOG));
        Self { ctx, set, status, batch: Vec::new(), leaves: false }
    }

    /// Until it is to leave; the exit code.
    fn run(&mut self) -> i32 {
        let _ = self.status.remove_orphans();
        loop {
            // Told to leave, it archives once more what is there.
            let is_last = self.leaves;
            match self.archive_all() {
                Err(Stop::Exit(code)) => return code,
                Ok(()) | Err(Stop::Rest) if is_last => return 0,
                Ok(()) | Err(Stop::Rest) => {}
            }
            if self.leaves {
                continue;
            }
            let until = Monotonic::now().saturating_add(PERIOD);
            match self.sleep(Some(until), None, WaitEvent::ARCHIVER_MAIN) {
                Err(Stop::Exit(code)) => return code,
                Ok(()) | Err(Stop::Rest) => {}
            }
        }
    }

    /// One wait for the latch, a deadline or a command's end, and what the waking may have said.
    fn sleep(&mut self, until: Option<Monotonic>, command: Option<&Socket>, event: WaitEvent) -> Step<()> {
        let wanted = command.map(|command| (command, Readiness::READABLE));
        let me = self.ctx.me;
        let woken = match self.set.wait(me, wanted.as_slice(), until, event) {
            Ok(woken) => woken,
            Err(error) => self.ctx.die(&format!("could not wait: {error}")),
        };
        me.latch().reset();
        let taken = me.take_interrupts(Interrupts::ALL);
        if woken.postmaster_dead {
            return Err(Stop::Exit(1));
        }
        if taken.contains(Interrupts::TERMINATE) {
            return Err(Stop::Exit(0));
        }
        if taken.contains(Interrupts::RELOAD) {
            self.ctx.reload();
        }
        self.leaves |= taken.contains(Interrupts::LEAVE);
        Ok(())
    }

    /// Archives until nothing waits.
    fn archive_all(&mut self) -> Step<()> {
        // Whoever woke it may have marked something that comes before what is known.
        self.batch.clear();
        while let Some(name) = self.next() {
            self.archive(&name)?;
        }
        Ok(())
    }

    /// The next name in its turn.
    fn next(&mut self) -> Option<String> {
        loop {
            if self.batch.is_empty() {
                self.batch = self.waiting();
                self.batch.reverse();
            }
            let name = self.batch.pop()?;
            if self.status.is_ready(&name) {
                return Some(name);
            }
        }
    }

    fn waiting(&self) -> Vec<String> {
        match self.status.waiting(BATCH) {
            Ok(names) => names,
            Err(error) => {
                let text = format!("could not open directory \"{LOG}/archive_status\": {}", plain(&error));
                self.ctx.die(&text)
            }
        }
    }

    /// Archives one file, trying it a few times.
    fn archive(&mut self, name: &str) -> Step<()> {
        let mut failures = 0;
        loop {
            if self.ctx.settings.get(config::ARCHIVE_COMMAND).is_empty() {
                self.warn("\"archive_mode\" enabled, yet archiving is not configured", |report| {
                    report.with_detail("\"archive_command\" is not set.")
                });
                return Err(Stop::Rest);
            }
            let (done, complaint) = if Path::new(LOG).join(name).exists() {
                let done = self.try_once(name)?;
                let complaint = format!(
                    "archiving write-ahead log file \"{name}\" failed too many times, will try again later"
                );
                (done, complaint)
            } else {
                let complaint = format!(
                    "removal of orphan archive status file \"{LOG}/archive_status/{name}.ready\" failed too many \
                     times, will try again later"
                );
                (self.remove_orphan(name), complaint)
            };
            if done {
                return Ok(());
            }
            failures += 1;
            if failures >= TRIES {
                self.warn(&complaint, |report| report);
                return Err(Stop::Rest);
            }
            self.pause()?;
        }
    }

    fn warn(&self, message: &str, more: impl FnOnce(Report) -> Report) {
        self.ctx.log(&more(Report::warning(SqlState::WARNING, message)));
    }

    /// Waits between two tries; a wake-up is no reason to hurry.
    fn pause(&mut self) -> Step<()> {
        let until = Monotonic::now().saturating_add(RETRY);
        while Monotonic::now() < until {
            self.sleep(Some(until), None, WaitEvent::ARCHIVER_MAIN)?;
        }
        Ok(())
    }

    /// A mark of a file that is gone.
    fn remove_orphan(&self, name: &str) -> bool {
        let is_removed = std::fs::remove_file(self.status.ready_file(name)).is_ok();
        if is_removed {
            let text = format!("removed orphan archive status file \"{LOG}/archive_status/{name}.ready\"");
            self.warn(&text, |report| report);
        }
        is_removed
    }

    /// Runs the command once; whether the file is archived.
    fn try_once(&mut self, name: &str) -> Step<bool> {
        self.ctx.title.set_activity(&format!("  archiving {name}"));
        let succeeded = match self.run_command(name)? {
            Ok(()) => self.is_noted(name),
            Err(report) => {
                self.ctx.log(&report);
                if report.severity == Severity::Fatal {
                    return Err(Stop::Exit(1));
                }
                false
            }
        };
        let words = if succeeded { "last was" } else { "failed on" };
        self.ctx.title.set_activity(&format!("  {words} {name}"));
        let now = jiff::Timestamp::now().as_microsecond();
        self.ctx.server.archiver.count(name, succeeded, now);
        Ok(succeeded)
    }

    /// Marks it as archived. If that fails it is archived again later, as a command must bear.
    fn is_noted(&self, name: &str) -> bool {
        self.ctx.log(&Report::new(
            Severity::Debug1,
            SqlState::SUCCESSFUL_COMPLETION,
            format!("archived write-ahead log file \"{name}\""),
        ));
        if let Err(error) = self.status.set_done(name) {
            let (from, to) = (format!("{name}.ready"), format!("{name}.done"));
            let text = format!(
                "could not rename file \"{LOG}/archive_status/{from}\" to \"{LOG}/archive_status/{to}\": {}",
                plain(&error)
            );
            self.warn(&text, |report| report);
            return false;
        }
        true
    }

    /// The command's end as a report if it failed.
    fn run_command(&mut self, name: &str) -> Step<Result<()>> {
        let command = self.ctx.settings.get(config::ARCHIVE_COMMAND);
        let line = match command::line(command, &format!("{LOG}/{name}"), name) {
            Ok(line) => line,
            Err(report) => return Ok(Err(report)),
        };
        self.ctx.log(&Report::new(
            Severity::Debug3,
            SqlState::SUCCESSFUL_COMPLETION,
            format!("executing archive command \"{line}\""),
        ));
        let started = ShellCommand::start(&line).and_then(|command| Ok((command.ended_fd()?, command)));
        let (ended, command) = match started {
            Ok(started) => started,
            Err(error) => {
                let text = format!("could not execute archive command: {}", plain(&error));
                return Ok(Err(Box::new(Report::log(text))));
            }
        };
        let status = match self.wait_for(command, ended)? {
            Ok(status) => status,
            Err(error) => {
                let text = format!("could not wait for archive command: {}", plain(&error));
                return Ok(Err(Box::new(Report::log(text))));
            }
        };
        Ok(command::complaint(&line, status).map_or(Ok(()), |report| Err(Box::new(report))))
    }

    /// Waits for the command's end, or ends it if this process is to leave at once.
    fn wait_for(&mut self, command: ShellCommand, ended: OwnedFd) -> Step<io::Result<ExitStatus>> {
        let socket = match self.set.add(ended) {
            Ok(socket) => socket,
            Err(error) => return Ok(command.kill(Signal::TERM).and(Err(error))),
        };
        // The postmaster ends the command if this process cannot.
        let noted = &self.ctx.me.slot().command_group;
        noted.store(command.group().as_raw_nonzero().get() as u32, Ordering::Release);
        let stopped = loop {
            if command.has_ended() {
                break None;
            }
            if let Err(stop) = self.sleep(None, Some(&socket), WaitEvent::ARCHIVE_COMMAND) {
                break Some(stop);
            }
        };
        let _ = self.set.remove(socket);
        if let Some(stop) = stopped {
            // The postmaster ends what does not heed this.
            let _ = shell::kill_group(command.group(), Signal::TERM);
            return Err(stop);
        }
        noted.store(0, Ordering::Release);
        Ok(command.wait())
    }
}

/// An error as C's `strerror` has it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
