//! Rows on durable pages: what the log, the pages and the transactions are together.
//!
//! `wal` knows bytes, `storage` knows pages, `txn` knows numbers. Here is who changes a page and says so in the log
//! ([`change`]), who makes the same change again after a crash ([`redo`]), and what a process needs for both ([`Store`]).
//! The access methods stand on these; SQL is nowhere in sight.

pub mod change;
pub mod ctid;
pub mod engine;
pub mod heap;
pub mod map_files;
pub mod redo;
pub mod relation_files;
pub mod rmgr;
pub mod row;
pub mod shared_log;
pub mod visibility;

#[cfg(test)]
mod tests;

pub use change::{BlockUse, Change, Changing};
pub use ctid::Ctid;
pub use engine::{Engine, EngineSize, Store, StoreSession};
pub use redo::{Redo, RedoPage};
pub use row::{Column, ColumnStorage, Datum, OwnedDatum, RowLayout, RowReader};
pub use shared_log::SharedLog;
