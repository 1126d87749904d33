//! The statistics process: saves the statistics, which live in shared memory, at an orderly stop.
//!
//! Always started by the postmaster; leaves last but the logger. Its crash means that it is started again, and nothing
//! else: the counters are in shared memory. There is nothing to save yet that a restart should keep; its life cycle is
//! whole.

use super::context::{NextWait, ProcessContext};
use crate::ipc::{Interrupts, WaitEvent};

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    ctx.run(WaitEvent::STATISTICS_MAIN, Interrupts::NONE, |_, _| NextWait::Until(None))
}
