//! The checkpointer.
//!
//! Started by the postmaster, from startup on. It outlives sessions in an orderly stop: SIGINT asks it for the shutdown
//! checkpoint, of which it tells the postmaster, and SIGUSR2 to leave. SIGTERM alone does not end it, since it must not
//! leave before the last writer. In an emergency SIGQUIT ends it at once. Its crash is a crash restart.
//!
//! A checkpoint begins `checkpoint_timeout` after the last one, when much log was written since, or on request. One that
//! would find nothing new is not made.

mod archive_timeout;
mod messages;
mod spread;

use std::time::Duration;

use super::context::{NextWait, ProcessContext, Wake};
use super::server::signals;
use crate::access::Store;
use crate::access::checkpoint::{KeepWal, OWN_RECORDS, Performed, perform};
use crate::access::checkpoints::{Checkpoints, Count, Request};
use crate::config::{self, Settings};
use crate::ipc::{Interrupts, WaitEvent};
use crate::report::{Report, Result, Severity};
use crate::storage::buffer::{Pace, Unpaced};
use crate::sync::Monotonic;
use crate::wal::Lsn;
use archive_timeout::ArchiveTimeout;
use spread::Spread;

/// How long it waits behind an error.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    let own = Interrupts::TERMINATE;
    let mut checkpointer = Checkpointer::new(&ctx);
    ctx.run(WaitEvent::CHECKPOINTER_MAIN, own, move |ctx, wake| checkpointer.step(ctx, wake))
}

struct Checkpointer<'s> {
    store: Store<'s>,
    checkpoints: Checkpoints<'s>,
    has_begun: bool,
    /// When the last checkpoint began; before the first one, this process.
    last: Monotonic,
    /// Where redo begins by that.
    last_redo: Option<Lsn>,
    /// Records in the log that begin it or a checkpoint, and those of others when the last checkpoint began.
    own_records: u64,
    others_then: u64,
    /// Bytes of log from checkpoint to checkpoint, smoothed: up at once, down slowly.
    estimate: f64,
    archive_timeout: ArchiveTimeout,
}

impl<'s> Checkpointer<'s> {
    fn new(ctx: &ProcessContext<'s>) -> Self {
        Self {
            store: ctx.store(),
            checkpoints: ctx.server.engine.checkpoints,
            has_begun: false,
            last: Monotonic::now(),
            last_redo: None,
            own_records: 1,
            others_then: 0,
            estimate: 0.0,
            archive_timeout: ArchiveTimeout::new(),
        }
    }

    fn step(&mut self, ctx: &mut ProcessContext<'_>, wake: Wake) -> NextWait {
        if !self.has_begun {
            self.has_begun = true;
            self.checkpoints.set_checkpointer(ctx.me);
            self.apply_settings(ctx.settings);
        }
        if wake.reloaded {
            self.apply_settings(ctx.settings);
        }
        if wake.interrupts.contains(Interrupts::CANCEL) {
            self.shut_down(ctx);
        }
        if wake.interrupts.contains(Interrupts::LEAVE) {
            return NextWait::Exit(0);
        }
        let failed = self.look(ctx).is_err();
        let timeout = Duration::from_secs(ctx.settings.get(config::CHECKPOINT_TIMEOUT) as u64);
        let next = if failed {
            Monotonic::now().saturating_add(AFTER_ERROR)
        } else {
            self.last.saturating_add(timeout)
        };
        let archive = self.archive_timeout.look(ctx, &self.store);
        NextWait::Until(archive.into_iter().chain([next]).min())
    }

    fn apply_settings(&self, settings: &Settings) {
        let most = (settings.bytes(config::MAX_WAL_SIZE) as u64 / crate::wal::lsn::SEGMENT).max(2);
        let target = settings.get(config::CHECKPOINT_COMPLETION_TARGET);
        // What is written while a checkpoint goes on counts too.
        let trigger = ((most as f64 / (1.0 + target)) as u64).max(1);
        self.checkpoints.set_trigger(trigger);
        let (wal, full_pages) = (&self.store.engine.wal, settings.get(config::FULL_PAGE_WRITES));
        if self.checkpoints.is_running() && wal.epoch().full_pages != full_pages {
            wal.set_full_pages(full_pages);
        }
        self.store.log.with(|log| log.set_settings(super::store::flush_settings(settings)));
    }

    /// Begins a checkpoint if one is due or asked for. `Err`: it failed, which is logged.
    fn look(&mut self, ctx: &mut ProcessContext<'_>) -> std::result::Result<(), ()> {
        if !self.checkpoints.is_running() {
            // Recovery asks when it is done.
            self.last = Monotonic::now();
            return Ok(());
        }
        let timeout = Duration::from_secs(ctx.settings.get(config::CHECKPOINT_TIMEOUT) as u64);
        let is_due = Monotonic::now().saturating_since(self.last) >= timeout;
        let is_asked = self.checkpoints.is_asked();
        if !is_due && !is_asked {
            return Ok(());
        }
        self.checkpoints.add(if is_asked { Count::Requested } else { Count::Timed }, 1);
        let mut request = self.checkpoints.begin(ctx.me);
        if is_due {
            request = request.with(Request::CAUSE_TIME);
        }
        let result = self.checkpoint(ctx, request);
        let is_ok = result.is_ok();
        if let Err(report) = &result {
            ctx.log(report);
            end_if_broken(report);
        }
        self.checkpoints.end(ctx.me, result);
        if is_ok { Ok(()) } else { Err(()) }
    }

    fn checkpoint(&mut self, ctx: &mut ProcessContext<'_>, request: Request) -> Result<()> {
        self.warn_of_frequency(ctx, request);
        self.last = Monotonic::now();
        let is_wanted = Request::SHUTDOWN.with(Request::END_OF_RECOVERY).with(Request::FORCE);
        let others = self.others();
        if !request.has(is_wanted) && others == self.others_then {
            return Ok(());
        }
        let logs = ctx.settings.get(config::LOG_CHECKPOINTS);
        if logs {
            ctx.log(&Report::log(format!("checkpoint starting:{request}")));
        }
        let before = self.last_redo.unwrap_or_else(|| self.store.engine.wal.redo());
        let keep = self.keep(ctx.settings);
        let wal = &self.store.engine.wal;
        let (archives, status) = (wal.is_archiving(), wal.archive_status());
        let may_go = |segment: &str| !archives || status.is_archived(segment);
        let hurried = Request::IMMEDIATE.with(Request::SHUTDOWN).with(Request::END_OF_RECOVERY);
        let performed = if request.has(hurried) {
            perform(&self.store, request, &mut Unpaced, &keep, may_go)?
        } else {
            let mut spread = Spread::new(ctx, &self.store, self.checkpoints);
            perform(&self.store, request, &mut spread as &mut dyn Pace, &keep, may_go)?
        };
        self.own_records += OWN_RECORDS;
        self.others_then = others;
        self.done(ctx, &performed, before, logs);
        Ok(())
    }

    /// Records in the log that somebody else wrote.
    fn others(&self) -> u64 {
        self.store.engine.wal.statistics().records.saturating_sub(self.own_records)
    }

    fn keep(&self, settings: &Settings) -> KeepWal {
        let segments = |key| (settings.bytes(key) as u64) / crate::wal::lsn::SEGMENT;
        let target = settings.get(config::CHECKPOINT_COMPLETION_TARGET);
        KeepWal {
            behind: segments(config::WAL_KEEP_SIZE),
            least: segments(config::MIN_WAL_SIZE),
            most: segments(config::MAX_WAL_SIZE),
            expected: ((1.0 + target) * self.estimate) as u64,
            recycle: settings.get(config::WAL_RECYCLE),
        }
    }

    fn done(&mut self, ctx: &ProcessContext<'_>, performed: &Performed, before: Lsn, logs: bool) {
        let distance = performed.redo.bytes().saturating_sub(before.bytes()) as f64;
        self.estimate =
            if self.estimate < distance { distance } else { 0.9 * self.estimate + 0.1 * distance };
        self.last_redo = Some(performed.redo);
        if logs {
            let buffers = self.store.engine.pool.len();
            ctx.log(&messages::complete(performed, buffers, (distance, self.estimate)));
        }
    }

    fn warn_of_frequency(&self, ctx: &ProcessContext<'_>, request: Request) {
        let warning = ctx.settings.get(config::CHECKPOINT_WARNING);
        let elapsed = Monotonic::now().saturating_since(self.last).as_secs() as i64;
        if request.has(Request::CAUSE_WAL) && elapsed < warning {
            ctx.log(&messages::too_frequent(elapsed));
        }
    }

    /// What was written is archived before the server stops; the checkpoint's record goes to the segment behind.
    fn switch_for_archiver(&self, ctx: &ProcessContext<'_>) {
        if ctx.settings.get(config::ARCHIVE_MODE) == "off" {
            return;
        }
        if let Err(report) = self.store.log.with(|log| log.switch_segment()) {
            ctx.log(&report);
            end_if_broken(&report);
        }
    }

    /// The last checkpoint: nobody writes any more.
    fn shut_down(&mut self, ctx: &mut ProcessContext<'_>) {
        ctx.log(&Report::log("shutting down"));
        if self.checkpoints.is_running() {
            self.switch_for_archiver(ctx);
            let request = self.checkpoints.begin(ctx.me).with(Request::SHUTDOWN).with(Request::IMMEDIATE);
            let result = self.checkpoint(ctx, request);
            if let Err(mut report) = result {
                report.severity = report.severity.max(Severity::Fatal);
                ctx.log(&report);
                end_if_broken(&report);
                ctx.exit(1);
            }
            self.checkpoints.end(ctx.me, Ok(()));
        }
        ctx.server.signal_postmaster(signals::CHECKPOINT_WRITTEN);
    }
}

/// It is not known any more what is on disk: only recovery helps.
fn end_if_broken(report: &Report) {
    if report.severity == Severity::Panic {
        std::process::abort();
    }
}
