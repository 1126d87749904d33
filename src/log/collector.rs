//! The logger's work: what comes through the pipe goes into files, which are rotated.
//!
//! The logger process owns a [`Collector`] and drives it: [`Collector::on_readable`] when the pipe is readable,
//! [`Collector::step`] after each wake-up, sleeping until [`Collector::next_wake`] at most, [`Collector::rotate`] on
//! request, [`Collector::reload`] on new settings, [`Collector::flush_at_eof`] at the end. What it has to say itself is
//! collected in [`Collector::take_reports`] and logged by [`Collector::emit`], in its own files.

mod current_logfiles;
mod files;
mod rotation;

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::chunk::{Assembly, Piece, Scanner};
use super::config::{LogConfig, is_level_output};
use super::context::LogContext;
use super::message::Message;
use super::output::Output;
use crate::report::{Report, Result, Severity, SqlState};
use files::Files;

/// As much as a pipe holds.
const READ_BYTES: usize = 64 * 1024;
/// How often to look whether the processes of unfinished messages live.
const LIVENESS_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// What a read found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// Something; there may be more.
    Some,
    /// Nothing right now.
    Nothing,
    /// Every writer is gone.
    Eof,
}

/// The logger's state.
#[derive(Debug)]
pub struct Collector {
    config: LogConfig,
    data_dir: PathBuf,
    fallback: Output,
    scanner: Scanner,
    assembly: Assembly,
    files: Files,
    /// When files are next rotated by age.
    next_rotation: Option<Timestamp>,
    /// After a failure, so as not to fail again with every message; a reload ends it.
    is_rotation_disabled: bool,
    /// When to look next whether the processes of unfinished messages live.
    next_liveness_check: Option<Timestamp>,
    /// Whether the last read took all there was.
    is_drained: bool,
    space: Vec<u8>,
    reports: Vec<Report>,
}

impl Collector {
    /// Opens the files. What cannot be written to them goes to `fallback`, the stderr that the server was started with.
    pub fn new(config: LogConfig, data_dir: &Path, fallback: Output, now: Timestamp) -> Result<Self> {
        let mut collector = Self {
            config,
            data_dir: data_dir.to_owned(),
            fallback,
            scanner: Scanner::default(),
            assembly: Assembly::default(),
            files: Files::default(),
            next_rotation: None,
            is_rotation_disabled: false,
            next_liveness_check: None,
            is_drained: true,
            space: vec![0; READ_BYTES],
            reports: Vec::new(),
        };
        collector.open_first(now)?;
        Ok(collector)
    }

    /// Reads once from the pipe and writes what is complete. Reading goes on through signals; a non-blocking pipe is
    /// best, since epoll may be mistaken.
    pub fn on_readable(&mut self, pipe: &mut impl Read) -> io::Result<Input> {
        let mut space = std::mem::take(&mut self.space);
        let read = loop {
            match pipe.read(&mut space) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        if let Ok(count) = read {
            self.is_drained = count < space.len();
            self.feed(&space[..count]);
            self.flush();
        }
        self.space = space;
        match read {
            Ok(0) => Ok(Input::Eof),
            Ok(_) => Ok(Input::Some),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_drained = true;
                Ok(Input::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// What time brings: rotation by age and by size, and messages that their writer's death has left unfinished.
    pub fn step(&mut self, now: Timestamp) {
        self.give_up_dead(now, process_is_alive);
        self.rotate_if_due(now);
    }

    /// When [`Collector::step`] has work to do next, however quiet the pipe is.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.next_rotation().into_iter().chain(self.next_liveness_check).min()
    }

    /// Writes everything, unfinished messages as far as they came.
    pub fn flush_at_eof(&mut self) {
        let rest = self.scanner.finish();
        let files = &mut self.files;
        files.append_raw(&rest);
        self.assembly.give_up_all(&mut |destination, text| files.append_message(destination, text));
        self.flush();
    }

    /// What the collector has to say, once.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Logs a report of the logger process itself.
    pub fn emit(&mut self, report: &Report, context: &LogContext<'_>) {
        if !is_level_output(report.severity, self.config.log_min_messages) {
            return;
        }
        let message = Message { config: &self.config, report, context, now: Timestamp::now() };
        for (destination, text) in message.rendered(true) {
            self.files.append_message(destination, text.as_bytes());
        }
        self.flush();
    }

    fn feed(&mut self, bytes: &[u8]) {
        let (files, assembly) = (&mut self.files, &mut self.assembly);
        self.scanner.feed(bytes, |piece| match piece {
            Piece::Raw(bytes) => files.append_raw(bytes),
            Piece::Chunk(header, text) => {
                assembly.take(header, text, &mut |destination, text| files.append_message(destination, text));
            }
        });
    }

    /// A write that fails is said once, until one succeeds.
    fn flush(&mut self) {
        if let Some((path, error)) = self.files.flush(&self.fallback) {
            let text = format!("could not write to log file \"{}\": {}", path.display(), reason(&error));
            self.reports.push(Report::new(Severity::Log, file_access_state(&error), text));
        }
    }

    fn give_up_dead(&mut self, now: Timestamp, is_alive: impl Fn(u32) -> bool) {
        if !self.assembly.is_waiting() {
            self.next_liveness_check = None;
            return;
        }
        // The first look comes one interval after the message was found unfinished.
        let due = *self.next_liveness_check.get_or_insert(after(now, LIVENESS_INTERVAL));
        if now < due || !self.is_drained {
            return;
        }
        self.next_liveness_check = Some(after(now, LIVENESS_INTERVAL));
        let files = &mut self.files;
        self.assembly
            .give_up_dead(is_alive, &mut |destination, text| files.append_message(destination, text));
        self.flush();
    }
}

/// That much later, or the end of time.
fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// Whether a process of that pid is there and has not ended. Where /proc cannot tell, it is.
fn process_is_alive(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The name, in parentheses, may contain anything; the state follows it.
        Ok(stat) => !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        Err(_) => !Path::new("/proc/self").exists(),
    }
}

/// An operating system's reason without Rust's number behind it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Whether too many files are open, here or in the whole system: that passes.
fn has_no_descriptor_left(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// PostgreSQL's condition for a failed access to a file.
fn file_access_state(error: &io::Error) -> SqlState {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => SqlState::INSUFFICIENT_PRIVILEGE,
        ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        ErrorKind::StorageFull => SqlState::DISK_FULL,
        ErrorKind::IsADirectory | ErrorKind::NotADirectory => SqlState::WRONG_OBJECT_TYPE,
        _ if has_no_descriptor_left(error) => SqlState::INSUFFICIENT_RESOURCES,
        _ => SqlState::IO_ERROR,
    }
}

#[cfg(test)]
mod tests;
