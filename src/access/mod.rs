//! Rows on durable pages: what the log, the pages and the transactions are together.
//!
//! `wal` knows bytes, `storage` knows pages, `txn` knows numbers. Here is who changes a page and says so in the log
//! ([`change`]), who makes the same change again after a crash ([`redo`]), and what a process needs for both ([`Store`]).
//! The access methods stand on these; SQL is nowhere in sight.

pub mod bootstrap;
pub mod btree;
pub mod change;
pub mod checkpoint;
pub mod checkpoint_record;
pub mod checkpoints;
pub mod control_file;
pub mod ctid;
pub mod data_sync;
pub mod describe;
pub mod engine;
mod fields;
pub mod heap;
pub mod invalidations;
pub mod managers;
pub mod map_files;
pub mod message;
pub mod page_images;
pub mod read_ahead;
pub mod recovery;
pub mod redo;
pub mod relation_files;
pub mod rmgr;
pub mod row;
pub mod sequence;
pub mod shared_log;
pub mod table;
pub mod twophase;
pub mod visibility;
pub mod wal_writer;

#[cfg(test)]
pub(crate) mod tests;

pub use change::{BlockUse, Change, Changing};
pub use ctid::Ctid;
pub use engine::{Engine, EngineSize, Store, StoreSession};
pub use redo::{Redo, RedoPage};
pub use row::{Column, ColumnStorage, Datum, OwnedDatum, RowLayout, RowReader};
pub use shared_log::SharedLog;
