//! Transactions: what they lock, who they are, what they see, how they end.
//!
//! It knows nothing of tuples, of relations' contents, or of SQL: locks are on numbers, states belong to ids. The log and
//! the pages behind the transaction map are reached through traits (`CommitLog`, `MapStore`), so that tests and models have
//! their own. `README.md` beside this file has the definitions, the invariants and the order of locks.

pub mod locks;

#[cfg(all(test, not(model)))]
mod test_world;
