//! The startup process.
//!
//! Started by the postmaster at every start and after every crash. Ends with 0 when recovery is done; any other end of it
//! ends the server, since recovery would only fail again. SIGTERM ends it with 1 in the middle, which is no failure while
//! the server is stopping anyway. There is no WAL yet, so there is nothing to replay: it says so and is done.

use super::context::{NextWait, ProcessContext};
use crate::ipc::{Interrupts, WaitEvent};

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    ctx.run(WaitEvent::MAIN_LOOP, Interrupts::NONE, |_, _| NextWait::Exit(0))
}
