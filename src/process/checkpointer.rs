//! The checkpointer.
//!
//! Started by the postmaster, from startup on. It outlives sessions in an orderly stop: SIGINT asks it for the shutdown
//! checkpoint, of which it tells the postmaster, and SIGUSR2 to leave. SIGTERM alone does not end it, since it must not
//! leave before the last writer. In an emergency SIGQUIT ends it at once. Its crash is a crash restart. There is nothing to
//! checkpoint yet; the life cycle is whole.

use std::time::Duration;

use super::context::{NextWait, ProcessContext};
use super::server::signals;
use crate::ipc::{Interrupts, WaitEvent};
use crate::report::Report;
use crate::sync::Monotonic;

/// How often it looks whether a checkpoint is due when nobody asks.
const PERIOD: Duration = Duration::from_secs(60);

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    let own = Interrupts::TERMINATE;
    ctx.run(WaitEvent::CHECKPOINTER_MAIN, own, |ctx, wake| {
        if wake.interrupts.contains(Interrupts::CANCEL) {
            ctx.log(&Report::log("shutting down"));
            ctx.server.signal_postmaster(signals::CHECKPOINT_WRITTEN);
        }
        if wake.interrupts.contains(Interrupts::LEAVE) {
            return NextWait::Exit(0);
        }
        NextWait::Until(Some(Monotonic::now().saturating_add(PERIOD)))
    })
}
