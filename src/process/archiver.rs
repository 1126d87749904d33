//! The archiver: hands finished WAL segments to `archive_command`.
//!
//! Started by the postmaster when `archive_mode` is on. In an orderly stop it is asked to leave behind the shutdown
//! checkpoint, so that the last segment is archived too. Its crash means that it is started again, and nothing else. There
//! are no segments yet; its life cycle is whole.

use super::context::{NextWait, ProcessContext};
use crate::ipc::{Interrupts, WaitEvent};
use crate::os::signal::{self, Signal};

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    // The source documents know it by the exit code 1 in a crash restart.
    let _ = signal::exit_on::<1>(Signal::QUIT);
    ctx.run(WaitEvent::ARCHIVER_MAIN, Interrupts::NONE, |_, wake| {
        if wake.interrupts.contains(Interrupts::LEAVE) {
            return NextWait::Exit(0);
        }
        NextWait::Until(None)
    })
}
