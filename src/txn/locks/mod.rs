//! Heavyweight locks: PostgreSQL's eight modes on anything that has a name in numbers, held to the end of a transaction,
//! savepoint or session, waited for in order, with deadlocks found.
//!
//! What is held and waited for stands in shared memory, by owner; what a session counts (how often, at which savepoint)
//! is its own business (`session`). So whoever handles a death can give everything back without the dead one's memory.
//!
//! Who shares what: `table` changes the partitioned table, `fast_path` keeps weak relation locks out of it, `queue` says
//! who waits behind whom and who is next, `deadlock` looks for circles, `cleanup` releases for the dead, `prepared` hands
//! locks on, `rows` shows all of it.

pub mod mode;
pub mod tag;

mod fast_path;
mod pool;
mod queue;
mod table;

pub mod cleanup;
pub mod deadlock;
pub mod session;

#[cfg(not(model))]
pub mod prepared;
#[cfg(not(model))]
pub mod regions;
#[cfg(not(model))]
pub mod report;
#[cfg(not(model))]
pub mod rows;

#[cfg(all(test, model))]
pub(in crate::txn) mod models;
#[cfg(all(test, not(model)))]
mod tests;

pub use mode::{LockMode, ModeSet};
pub use session::{LockError, LockSession, Scope, Wait, Watcher};
pub use table::{Locks, OwnerIndex};
pub use tag::LockTag;
