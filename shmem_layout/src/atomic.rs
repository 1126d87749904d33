//! The atomics of shared memory: the real ones, or the model checker's.
//!
//! Under `--cfg model` (see `cargo xtask models`) the same algorithms run on loom's or shuttle's atomics, which are
//! larger than a word; layout proofs hold for the real ones only.

#[cfg(not(model))]
pub use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(shuttle)]
pub use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
