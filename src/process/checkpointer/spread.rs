//! Spreading a checkpoint's writes over time and log: it sleeps while it is ahead of its schedule.

use std::time::Duration;

use crate::access::Store;
use crate::access::checkpoints::Checkpoints;
use crate::config;
use crate::ipc::{Interrupts, WaitEvent};
use crate::process::context::ProcessContext;
use crate::report::Result;
use crate::storage::buffer::Pace;
use crate::sync::Monotonic;
use crate::wal::Lsn;
use crate::wal::lsn::SEGMENT;

/// How long it sleeps at a time.
const NAP: Duration = Duration::from_millis(100);

/// See the module.
pub struct Spread<'c, 'p, 's> {
    ctx: &'c mut ProcessContext<'p>,
    store: &'c Store<'s>,
    checkpoints: Checkpoints<'s>,
    started: Monotonic,
    start: Lsn,
}

impl<'c, 'p, 's> Spread<'c, 'p, 's> {
    /// Of a checkpoint that begins now.
    pub fn new(ctx: &'c mut ProcessContext<'p>, store: &'c Store<'s>, checkpoints: Checkpoints<'s>) -> Self {
        let start = store.engine.wal.inserted();
        Self { ctx, store, checkpoints, started: Monotonic::now(), start }
    }

    /// Whether so much is done that it can wait: by log as by time.
    fn is_ahead(&self, done: f64) -> bool {
        let settings = &self.ctx.settings;
        let timeout = settings.get(config::CHECKPOINT_TIMEOUT) as f64;
        let target = settings.get(config::CHECKPOINT_COMPLETION_TARGET);
        let inserted = self.store.engine.wal.inserted().bytes().saturating_sub(self.start.bytes());
        let by_wal = inserted as f64 / SEGMENT as f64 / self.checkpoints.trigger().max(1) as f64;
        let by_time = Monotonic::now().saturating_since(self.started).as_secs_f64() / timeout;
        is_ahead(done * target, by_wal, by_time)
    }

    /// Whether nobody is in a hurry.
    fn may_wait(&self) -> bool {
        self.ctx.me.pending_interrupts().intersection(ends()).is_empty() && !self.checkpoints.is_hurried()
    }
}

/// What ends the waiting, and is dealt with behind the checkpoint.
fn ends() -> Interrupts {
    Interrupts::CANCEL | Interrupts::LEAVE | Interrupts::POSTMASTER_DEATH
}

fn is_ahead(done: f64, by_wal: f64, by_time: f64) -> bool {
    done >= by_wal && done >= by_time
}

impl Pace for Spread<'_, '_, '_> {
    fn wrote(&mut self, written: u64, total: u64) -> Result<()> {
        let done = written as f64 / total.max(1) as f64;
        if !self.may_wait() || !self.is_ahead(done) {
            return Ok(());
        }
        let me = self.ctx.me;
        let until = Monotonic::now().saturating_add(NAP);
        // What ends the sleep early ends the waiting, or is a reload.
        let _ = me.latch().wait(me, Some(until), WaitEvent::CHECKPOINT_WRITE_DELAY);
        me.latch().reset();
        // One that was left would end each nap at once.
        if me.take_interrupts(Interrupts::ALL.without(ends())).contains(Interrupts::RELOAD) {
            self.ctx.reload();
        }
        if self.ctx.me.pending_interrupts().contains(Interrupts::POSTMASTER_DEATH) {
            self.ctx.exit(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_is_further_sets_the_pace() {
        for (done, by_wal, by_time, ahead) in
            [(0.5, 0.1, 0.1, true), (0.5, 0.6, 0.1, false), (0.5, 0.1, 0.6, false), (0.5, 0.5, 0.5, true)]
        {
            assert_eq!(is_ahead(done, by_wal, by_time), ahead);
        }
    }
}
