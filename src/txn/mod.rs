//! Transactions: what they lock, who they are, what they see, how they end.
//!
//! It knows nothing of tuples, of relations' contents, or of SQL: locks are on numbers, states belong to ids. The log and
//! the pages behind the transaction map are reached through traits (`CommitLog`, `MapStore`), so that tests and models have
//! their own. `README.md` beside this file has the definitions, the invariants and the order of locks.

pub mod locks;
pub mod lsn;
pub mod snapshot;
pub mod table;
pub mod xid;

#[cfg(not(model))]
pub mod cleanup;
#[cfg(not(model))]
pub mod log;
#[cfg(not(model))]
pub mod map;
#[cfg(not(model))]
pub mod prepared;
#[cfg(not(model))]
pub mod record;
#[cfg(not(model))]
pub mod regions;
#[cfg(not(model))]
pub mod serializable;
#[cfg(not(model))]
pub mod session;
pub mod wait;

#[cfg(all(test, model))]
mod models;
#[cfg(all(test, not(model)))]
mod test_world;
#[cfg(all(test, not(model)))]
mod tests;

pub use lsn::Lsn;
pub use snapshot::Snapshot;
pub use table::{Fate, StateMap, TransactionWords, Transactions};
pub use xid::{State, Xid};

/// Stands between a sequentially consistent store and a load of another word that must not pass it. The accesses
/// themselves are enough; but loom takes them for mere release and acquire, and knows sequential consistency by fences
/// only.
#[inline(always)]
fn between_store_and_load() {
    #[cfg(loom)]
    crate::sync::fence(crate::sync::Ordering::SeqCst);
}
