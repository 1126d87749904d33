//! Registered background workers.
//!
//! A worker is registered by the code that runs it, before the start or at run time; the postmaster forks it in the state
//! that it asked for and starts it again after its restart interval. There is no code in the server yet that registers
//! one, and none can be loaded from outside, so this process has nothing to do if it is ever started.

use super::context::ProcessContext;

/// Its life.
pub fn main(ctx: ProcessContext<'_>) -> ! {
    ctx.exit(0)
}
