//! The autovacuum launcher and its workers.
//!
//! The launcher is started by the postmaster in normal running when `autovacuum` is on, and leaves when that is turned off
//! or at shutdown. It never forks: it leaves a request in shared memory, sets its PMSIGNAL flag, and the postmaster forks
//! the worker. A crash of either is a crash restart. There are no tables yet, so no database ever wants a worker; a worker
//! that is started all the same finds nothing to do.

use super::context::{NextWait, ProcessContext};
use crate::config;
use crate::ipc::{Interrupts, WaitEvent};
use crate::report::Report;

/// The launcher's life.
pub fn launcher_main(ctx: ProcessContext<'_>) -> ! {
    ctx.log(&Report::log("autovacuum launcher started"));
    ctx.run(WaitEvent::AUTOVACUUM_MAIN, Interrupts::NONE, |ctx, wake| {
        if wake.reloaded && !ctx.settings.get(config::AUTOVACUUM) {
            ctx.log(&Report::log("autovacuum launcher shutting down"));
            return NextWait::Exit(0);
        }
        NextWait::Until(None)
    })
}

/// A worker's life.
pub fn worker_main(ctx: ProcessContext<'_>) -> ! {
    ctx.run(WaitEvent::MAIN_LOOP, Interrupts::NONE, |_, _| NextWait::Exit(0))
}
