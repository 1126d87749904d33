//! The startup process: makes again what the log says behind the last checkpoint.
//!
//! Started by the postmaster at every start and after every crash. Ends with 0 when recovery is done and this start's own log
//! has begun; any other end of it ends the server, since recovery would only fail again. SIGTERM ends it with 1 in the middle,
//! which is no failure while the server is stopping anyway. In an emergency SIGQUIT ends it at once.

mod messages;

use std::path::Path;
use std::time::Duration;

use super::context::{NextWait, ProcessContext};
use super::store::standby_settings;
use crate::access::Store;
use crate::access::bootstrap::new_incarnation;
use crate::access::checkpoint_record::CheckPoint;
use crate::access::checkpoints::Request;
use crate::access::control_file::{ControlFile, DbState};
use crate::access::data_sync::{SyncEverything, sync_data_directory};
use crate::access::engine::LOG_FOLDER;
use crate::access::managers::managers;
use crate::access::read_ahead::ReadAhead;
use crate::access::recovery::Recovery;
use crate::access::twophase;
use crate::catalog::roles::refresh_file;
use crate::config;
use crate::ipc::{Interrupts, WaitEvent};
use crate::os::file::Files;
use crate::os::process;
use crate::report::{Report, Result, Severity, SqlState};
use crate::storage::StorageSession;
use crate::sync::Monotonic;
use crate::wal::{Beginning, Incarnation, Lsn, SegmentNumber, WalReader, segments};

/// Records between two looks at the clock and for signals.
const RECORDS_PER_LOOK: u64 = 1024;

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    ctx.run(WaitEvent::MAIN_LOOP, Interrupts::NONE, |ctx, _| {
        let store = ctx.store();
        match recover(ctx, &store) {
            Ok(()) => NextWait::Exit(0),
            Err(Ended::Stopped) => NextWait::Exit(1),
            Err(Ended::Failed(mut report)) => {
                report.severity = report.severity.max(Severity::Fatal);
                ctx.log(&report);
                NextWait::Exit(1)
            }
        }
    })
}

/// Why there was no recovery.
enum Ended {
    /// It was told to leave.
    Stopped,
    /// It cannot be done.
    Failed(Box<Report>),
}

impl From<Box<Report>> for Ended {
    fn from(report: Box<Report>) -> Self {
        Self::Failed(report)
    }
}

/// Where the log ended.
struct LogEnd {
    at: Lsn,
    incarnation: Incarnation,
}

fn recover(ctx: &mut ProcessContext<'_>, store: &Store<'_>) -> std::result::Result<(), Ended> {
    let files = Files::new();
    let control = ControlFile::read(Path::new(""), &files)?;
    let was_stopped = control.state == DbState::ShutDown;
    ctx.log(&messages::found(ctx.settings, &control)?);
    if !was_stopped {
        sync_everything(ctx)?;
    }
    let folder = Path::new(LOG_FOLDER);
    segments::remove_temporaries(folder).map_err(|error| {
        Report::fatal(SqlState::IO_ERROR, format!("could not clean up directory \"pg_wal\": {error}"))
    })?;
    let checkpoint = read_checkpoint(folder, &control)?;
    let mut recovery = Recovery::new(store, managers(), &checkpoint);
    twophase::read_all(Path::new(""))?.into_iter().for_each(|state| recovery.add_prepared(state));
    let mut replay = Replay::new(ctx, recovery.storage(), &control, was_stopped);
    let end = replay.run(ctx, &mut recovery)?;
    let has_changed = replay.has_begun;
    recovery.finish()?;
    go_on(ctx, store, &control, end, !was_stopped || has_changed)
}

fn sync_everything(ctx: &ProcessContext<'_>) -> Result<()> {
    if !ctx.settings.get(config::FSYNC) {
        return Ok(());
    }
    let how = match ctx.settings.get(config::RECOVERY_INIT_SYNC_METHOD) {
        "syncfs" => SyncEverything::Syncfs,
        _ => SyncEverything::Fsync,
    };
    sync_data_directory(Path::new(""), how)
}

/// The record that the control file names.
fn read_checkpoint(folder: &Path, control: &ControlFile) -> Result<CheckPoint> {
    let copy = control.checkpoint_copy;
    let missing = || {
        let message = format!("could not locate a valid checkpoint record at {}", control.checkpoint);
        Box::new(Report::new(Severity::Panic, SqlState::DATA_CORRUPTED, message))
    };
    let mut reader = WalReader::of_incarnation(folder, copy.timeline, control.checkpoint, copy.incarnation);
    let record = reader.next()?.filter(|record| record.start == control.checkpoint).ok_or_else(missing)?;
    CheckPoint::of(&record)?.ok_or_else(missing)
}

/// Reading and replaying, with what the log is told of it.
struct Replay<'a, 's> {
    ahead: ReadAhead<'a, 's>,
    redo: Lsn,
    checkpoint: Lsn,
    was_stopped: bool,
    has_begun: bool,
    records: u64,
    segment: Option<SegmentNumber>,
    cpu_before: (Duration, Duration),
    started: Monotonic,
    told: Monotonic,
}

impl<'a, 's> Replay<'a, 's> {
    fn new(
        ctx: &ProcessContext<'_>,
        storage: &'a StorageSession<'s>,
        control: &ControlFile,
        was_stopped: bool,
    ) -> Self {
        let folder = Path::new(LOG_FOLDER);
        let copy = control.checkpoint_copy;
        if !was_stopped {
            ctx.log(&Report::log(messages::NOT_PROPERLY_SHUT_DOWN));
        }
        let now = Monotonic::now();
        Self {
            ahead: ReadAhead::new(
                WalReader::of_incarnation(folder, copy.timeline, copy.redo, copy.incarnation),
                storage,
            ),
            redo: copy.redo,
            checkpoint: control.checkpoint,
            was_stopped,
            has_begun: false,
            records: 0,
            segment: None,
            cpu_before: process::cpu_times(),
            started: now,
            told: now,
        }
    }

    fn run(
        &mut self,
        ctx: &mut ProcessContext<'_>,
        recovery: &mut Recovery<'_, '_>,
    ) -> std::result::Result<LogEnd, Ended> {
        while let Some(record) = self.ahead.next()? {
            recovery.replay(&record)?;
            if !self.has_begun && recovery.changes() > 0 {
                self.has_begun = true;
                begin_redo(ctx, self.redo, self.was_stopped)?;
            }
            self.records += 1;
            let segment = record.start.segment();
            if self.segment != Some(segment) || self.records.is_multiple_of(RECORDS_PER_LOOK) {
                let (name, at) = (segment.file_name(ctx.server.engine.wal.timeline()), record.start);
                self.segment = Some(segment);
                self.look(ctx, &name, at)?;
            }
        }
        let at = self.ahead.reader().end();
        if at <= self.checkpoint {
            let message = "WAL ends before consistent recovery point";
            return Err(Report::fatal(SqlState::DATA_CORRUPTED, message).into());
        }
        self.tell_end(ctx, recovery);
        let incarnation = self.ahead.reader().incarnation().unwrap_or(Incarnation(0));
        Ok(LogEnd { at, incarnation })
    }

    fn look(
        &mut self,
        ctx: &mut ProcessContext<'_>,
        segment: &str,
        at: Lsn,
    ) -> std::result::Result<(), Ended> {
        // Two spaces more, as the source documents have it.
        ctx.title.set_activity(&format!("  recovering {segment}"));
        check_interrupts(ctx)?;
        let every = ctx.settings.millis(config::LOG_STARTUP_PROGRESS_INTERVAL);
        let now = Monotonic::now();
        if every > 0 && now.saturating_since(self.told) >= Duration::from_millis(every as u64) {
            self.told = now;
            ctx.log(&messages::progress(now.saturating_since(self.started), at));
        }
        Ok(())
    }

    fn tell_end(&self, ctx: &ProcessContext<'_>, recovery: &Recovery<'_, '_>) {
        if self.was_stopped && !self.has_begun {
            return;
        }
        if let Some(stop) = self.ahead.reader().stop() {
            ctx.log(&messages::stop(stop, ctx.server.engine.wal.timeline()));
        }
        if !self.has_begun {
            ctx.log(&Report::log("redo is not required"));
            return;
        }
        let elapsed = Monotonic::now().saturating_since(self.started);
        let (user, system) = process::cpu_times();
        let cpu = (user.saturating_sub(self.cpu_before.0), system.saturating_sub(self.cpu_before.1));
        ctx.log(&messages::redo_done(recovery.last_record(), cpu, elapsed));
        if let Some(micros) = recovery.last_end() {
            ctx.log(&messages::last_completed(ctx.settings, micros));
        }
    }
}

/// There is something to be made again.
fn begin_redo(ctx: &ProcessContext<'_>, redo: Lsn, was_stopped: bool) -> Result<()> {
    if was_stopped {
        // The control file says otherwise, and the log is right.
        ctx.log(&Report::log(messages::NOT_PROPERLY_SHUT_DOWN));
    }
    ControlFile::update(Path::new(""), &Files::new(), |control| control.state = DbState::InCrashRecovery)?;
    ctx.log(&Report::log(format!("redo starts at {redo}")));
    Ok(())
}

fn check_interrupts(ctx: &mut ProcessContext<'_>) -> std::result::Result<(), Ended> {
    let pending = ctx.me.pending_interrupts();
    let ends = Interrupts::TERMINATE | Interrupts::POSTMASTER_DEATH;
    if !pending.intersection(ends).is_empty() || !ctx.server.postmaster_lives() {
        return Err(Ended::Stopped);
    }
    if pending.contains(Interrupts::RELOAD) {
        ctx.me.take_interrupts(Interrupts::RELOAD);
        ctx.reload();
    }
    Ok(())
}

/// Begins this start's log, makes a checkpoint behind a recovery, and says that the server runs.
fn go_on(
    ctx: &mut ProcessContext<'_>,
    store: &Store<'_>,
    control: &ControlFile,
    end: LogEnd,
    recovered: bool,
) -> std::result::Result<(), Ended> {
    let files = Files::new();
    let settings = standby_settings(ctx.settings);
    let in_production = |control: &mut ControlFile| {
        control.state = DbState::InProduction;
        control.settings = settings;
    };
    if !recovered {
        // Before there is any log that says so: a start must not take this for an orderly stop.
        ControlFile::update(Path::new(""), &files, in_production)?;
    }
    let beginning = Beginning {
        timeline: control.checkpoint_copy.timeline,
        incarnation: new_incarnation()?,
        before: Some((end.at, end.incarnation)),
        redo: control.checkpoint_copy.redo,
        full_pages: ctx.settings.get(config::FULL_PAGE_WRITES),
    };
    store.log.with(|log| log.begin(&beginning))?;
    store.engine.checkpoints.set_running();
    // A crash may have come between a commit that changed roles and the file that has a copy of them.
    if let Err(mut report) = refresh_file(store) {
        report.severity = Severity::Warning;
        ctx.log(&report);
    }
    if recovered {
        checkpoint(ctx)?;
        ControlFile::update(Path::new(""), &files, in_production)?;
    }
    Ok(())
}

/// So that the next crash need not recover all this again.
fn checkpoint(ctx: &mut ProcessContext<'_>) -> std::result::Result<(), Ended> {
    let request = Request::END_OF_RECOVERY.with(Request::IMMEDIATE);
    let server = ctx.server;
    loop {
        match server.engine.checkpoints.ask_and_wait(ctx.me, request, || server.postmaster_lives()) {
            Ok(()) => return Ok(()),
            Err(Some(report)) => return Err(report.into()),
            Err(None) => {
                check_interrupts(ctx)?;
                // Whatever else came is nothing to this process.
                ctx.me.take_interrupts(Interrupts::ALL.without(Interrupts::TERMINATE));
            }
        }
    }
}
