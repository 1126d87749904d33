//! How processes wait for each other, wake each other, and what they leave behind.
//!
//! Everything here works on words of `shmem_layout` through `sync`, so that it runs unchanged under the model checkers.
//! `README.md` beside this file has the definitions, the invariants and the lock order.
//!
//! Architecture invariant: nothing here knows SQL, transactions, or what kinds of process there are.

pub mod barrier;
pub mod condition_variable;
pub mod interrupts;
pub mod latch;
pub mod lwlock;
pub mod proc;
pub mod queue;
pub mod semaphore;
pub mod stop_points;
pub mod wait_event;

#[cfg(not(model))]
pub mod death;
#[cfg(not(model))]
pub mod hangup;
#[cfg(not(model))]
pub mod last_words;
#[cfg(not(model))]
pub mod pmsignal;
#[cfg(not(model))]
pub mod regions;
#[cfg(not(model))]
pub mod signals;
#[cfg(not(model))]
pub mod slots;
#[cfg(not(model))]
mod surroundings;
#[cfg(not(model))]
pub mod wait_set;
#[cfg(not(model))]
pub mod wait_stats;

#[cfg(model)]
mod model_surroundings;
#[cfg(all(test, model))]
pub(crate) mod model_world;

pub use condition_variable::ConditionVariable;
pub use interrupts::Interrupts;
pub use latch::Latch;
pub use lwlock::{LwLock, LwLockGuard, Mode};
pub use proc::{CriticalSection, Proc, WaitEnd};
#[cfg(not(model))]
pub use regions::Ipc;
pub use semaphore::Semaphore;
pub use wait_event::WaitEvent;
#[cfg(not(model))]
pub use wait_set::WaitSet;
