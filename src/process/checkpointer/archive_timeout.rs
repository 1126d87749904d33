//! `archive_timeout`: a segment that is not full is finished after a while, so that what is in it gets archived.

use std::time::Duration;

use super::super::context::ProcessContext;
use crate::access::Store;
use crate::config;
use crate::report::{Report, Severity, SqlState};
use crate::sync::Monotonic;

/// When the last segment was finished.
pub struct ArchiveTimeout {
    last: Monotonic,
    /// The same, as the log has it.
    completed_at_us: Option<i64>,
}

impl ArchiveTimeout {
    /// From now on.
    pub fn new() -> Self {
        Self { last: Monotonic::now(), completed_at_us: None }
    }

    /// Finishes the segment if its time has come; when to look again. One in which nothing stands is left alone.
    pub fn look(&mut self, ctx: &ProcessContext<'_>, store: &Store<'_>) -> Option<Monotonic> {
        let seconds = ctx.settings.get(config::ARCHIVE_TIMEOUT);
        let timeout = Duration::from_secs(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?);
        if !store.engine.checkpoints.is_running() {
            // Nobody tells when it begins to run.
            self.last = Monotonic::now();
            return Some(self.last.saturating_add(timeout));
        }
        self.note_completed(store.engine.wal.completed_at_us());
        let now = Monotonic::now();
        if now.saturating_since(self.last) >= timeout {
            self.last = now;
            self.switch(ctx, store, seconds);
        }
        Some(self.last.saturating_add(timeout))
    }

    /// Somebody else finished a segment meanwhile.
    fn note_completed(&mut self, completed_at_us: Option<i64>) {
        if completed_at_us != self.completed_at_us {
            self.completed_at_us = completed_at_us;
            self.last = Monotonic::now();
        }
    }

    fn switch(&mut self, ctx: &ProcessContext<'_>, store: &Store<'_>, seconds: i64) {
        let before = store.engine.wal.completed_at_us();
        if let Err(report) = store.log.with(|log| log.switch_segment()) {
            ctx.log(&report);
            super::end_if_broken(&report);
            return;
        }
        self.completed_at_us = store.engine.wal.completed_at_us();
        if self.completed_at_us != before {
            let text = format!("write-ahead log switch forced (\"archive_timeout\"={seconds})");
            ctx.log(&Report::new(Severity::Debug1, SqlState::SUCCESSFUL_COMPLETION, text));
        }
    }
}
