//! The WAL writer: flushes WAL that no committing session waits for, so that an asynchronous commit is on disk within three
//! times `wal_writer_delay`, and makes segments ahead.
//!
//! Started by the postmaster when writes are allowed. SIGTERM ends it with 0, also in the middle of its delay; in an emergency
//! SIGQUIT at once. Its crash is a crash restart. When nothing was written for a while it sleeps longer, and whoever commits
//! asynchronously wakes it.

use std::time::Duration;

use super::context::{NextWait, ProcessContext, Wake};
use crate::access::Store;
use crate::config::{self, Settings};
use crate::ipc::{Interrupts, WaitEvent};
use crate::report::{Report, Result, Severity};
use crate::sync::Monotonic;
use crate::wal::Lsn;
use crate::wal::lsn::SEGMENT;

/// Rounds without anything new before it sleeps longer, and how many times as long.
const ROUNDS_AWAKE: u32 = 50;
const HIBERNATION: u32 = 25;

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    let mut writer = WalWriter { store: ctx.store(), idle_rounds: 0, seen: Lsn::INVALID, has_begun: false };
    ctx.run(WaitEvent::WAL_WRITER_MAIN, Interrupts::NONE, move |ctx, wake| writer.step(ctx, wake))
}

struct WalWriter<'s> {
    store: Store<'s>,
    idle_rounds: u32,
    /// Where the log ended a round ago.
    seen: Lsn,
    has_begun: bool,
}

impl WalWriter<'_> {
    fn step(&mut self, ctx: &mut ProcessContext<'_>, wake: Wake) -> NextWait {
        if !self.has_begun || wake.reloaded {
            self.has_begun = true;
            self.apply_settings(ctx);
        }
        if let Err(report) = self.round() {
            ctx.log(&report);
            if report.severity == Severity::Panic {
                std::process::abort();
            }
        }
        let delay = Duration::from_millis(ctx.settings.millis(config::WAL_WRITER_DELAY) as u64);
        let hibernates = self.idle_rounds >= ROUNDS_AWAKE;
        self.store.engine.wal_writer.set_sleeping(hibernates);
        // Who committed before it could see that this process sleeps did not wake it.
        if hibernates && self.store.engine.wal.waiting_bytes() > 0 {
            self.store.engine.wal_writer.set_sleeping(false);
            return NextWait::Until(Some(Monotonic::now().saturating_add(delay)));
        }
        let nap = if hibernates { delay * HIBERNATION } else { delay };
        NextWait::Until(Some(Monotonic::now().saturating_add(nap)))
    }

    fn apply_settings(&self, ctx: &ProcessContext<'_>) {
        let settings: &Settings = ctx.settings;
        self.store.log.with(|log| log.set_settings(super::store::flush_settings(settings)));
        let flush_after = settings.bytes(config::WAL_WRITER_FLUSH_AFTER) as u64;
        self.store.engine.wal_writer.begin(ctx.me, flush_after);
    }

    fn round(&mut self) -> Result<()> {
        let wal = &self.store.engine.wal;
        let inserted = wal.inserted();
        if inserted == self.seen && wal.waiting_bytes() == 0 {
            self.idle_rounds = self.idle_rounds.saturating_add(1);
            return Ok(());
        }
        self.idle_rounds = 0;
        self.seen = inserted;
        if wal.waiting_bytes() > 0 {
            self.store.log.with(|log| log.flush_copied())?;
        }
        // In time, so that no session has to make one.
        if inserted.offset_in_segment() >= SEGMENT / 2 {
            self.store.log.with(|log| log.make_ahead(1)).or_else(later)?;
        }
        Ok(())
    }
}

/// A full disk is the business of who needs the space; until then it is tried again.
fn later(report: Box<Report>) -> Result<bool> {
    if report.severity == Severity::Panic { Err(report) } else { Ok(false) }
}
