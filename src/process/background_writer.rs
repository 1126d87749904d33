//! The background writer: writes dirty buffers ahead of the clock hand.
//!
//! Started by the postmaster always, from startup on. SIGTERM ends it with 0, also in the middle of its delay; in an emergency SIGQUIT at
//! once. Its crash is a crash restart. There is no storage under it yet, so a step finds nothing to do; its life cycle is whole.

use super::context::{NextWait, ProcessContext};
use crate::ipc::{Interrupts, WaitEvent};

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    // Nothing can become dirty yet, so it sleeps until it is told something.
    ctx.run(WaitEvent::BGWRITER_MAIN, Interrupts::NONE, |_, _| NextWait::Until(None))
}
