//! The background writer: writes dirty buffers ahead of the clock hand, so that sessions rarely have to.
//!
//! Started by the postmaster always, from startup on. SIGTERM ends it with 0, also in the middle of its delay; in an emergency
//! SIGQUIT at once. Its crash is a crash restart. When nobody wants buffers it sleeps longer, until
//! somebody does.

use std::time::Duration;

use super::context::{NextWait, ProcessContext};
use crate::access::Store;
use crate::access::checkpoints::Count;
use crate::config;
use crate::ipc::{Interrupts, WaitEvent};
use crate::storage::buffer::BackgroundWriter;
use crate::sync::Monotonic;

/// Rounds without anything to do before it sleeps longer, and how many times as long.
const ROUNDS_AWAKE: u32 = 2;
const HIBERNATION: u32 = 50;

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    let mut cleaner =
        Cleaner { store: ctx.store(), rounds: BackgroundWriter::default(), claims: 0, idle_rounds: 0 };
    ctx.run(WaitEvent::BGWRITER_MAIN, Interrupts::NONE, move |ctx, _| cleaner.step(ctx))
}

struct Cleaner<'s> {
    store: Store<'s>,
    rounds: BackgroundWriter,
    /// Buffers that had been claimed a round ago.
    claims: u64,
    idle_rounds: u32,
}

impl Cleaner<'_> {
    fn step(&mut self, ctx: &mut ProcessContext<'_>) -> NextWait {
        let settings = &ctx.settings;
        let most = settings.get(config::BGWRITER_LRU_MAXPAGES) as u64;
        let multiplier = settings.get(config::BGWRITER_LRU_MULTIPLIER);
        let counts = self.store.engine.checkpoints;
        match self.rounds.write_some(&self.store.storage, most, multiplier) {
            Ok(written) => {
                counts.add(Count::Cleaned, written);
                counts.add(Count::CleaningStopped, u64::from(written > 0 && written >= most));
            }
            Err(report) => ctx.log(&report),
        }
        let claims = self.store.engine.pool.claims();
        self.idle_rounds = if claims == self.claims { self.idle_rounds + 1 } else { 0 };
        self.claims = claims;
        let delay = Duration::from_millis(ctx.settings.millis(config::BGWRITER_DELAY) as u64);
        let hibernates = self.idle_rounds >= ROUNDS_AWAKE && {
            let pool = &self.store.engine.pool;
            pool.wake_at_claim(ctx.me);
            // Who claimed one before that did not wake this process.
            pool.claims() == self.claims
        };
        let nap = if hibernates { delay * HIBERNATION } else { delay };
        NextWait::Until(Some(Monotonic::now().saturating_add(nap)))
    }
}
