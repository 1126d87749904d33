//! Atomics and futex waits: the real ones, or the model checker's.
//!
//! Everything in `ipc` that two processes share is written against this module, so that the very code that runs in
//! production is run by loom (every interleaving of a small case) and shuttle (many random schedules of a larger one).
//! `cargo xtask models` sets `--cfg model` and one of `--cfg loom`, `--cfg shuttle`. Under `model` there is no `os`: a
//! futex wait is a modelled one that may wake for no reason, processes are threads, and time does not pass.

pub use shmem_layout::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(not(model))]
pub use crate::os::clock::Monotonic;
#[cfg(not(model))]
pub use crate::os::futex;

#[cfg(model)]
mod modelled;
#[cfg(model)]
pub use modelled::{Monotonic, RingBytes, futex, run_model, thread};

/// Lets others run, for the rare loop that waits for somebody to finish a few instructions.
pub fn yield_now() {
    #[cfg(not(model))]
    crate::os::process::yield_cpu();
    #[cfg(model)]
    thread::yield_now();
}
