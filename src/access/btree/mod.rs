//! B-trees, after Lehman and Yao: every page has a link to its right sibling and a high key that bounds what it can have, so
//! that searches lock one page at a time and find their way past splits that happen meanwhile.
//!
//! Entries are key rows with their row's address, ordered by key, then address, so that all are distinct. `node` is what a
//! page is, `key` and `probe` are the order, `descend` finds a leaf, `insert`, `split` and `parent` put entries in, `change`
//! and `redo` are what the log has of that. `scan` reads ranges both ways, `unique` asks who has a key, `vacuum` and
//! `delete` take out what is gone, `check` looks at all of it, `build` makes an index of
//! many entries at once.
//!
//! # Order of locks
//!
//! From leaves to the root, and from left to right on a level; then the first block, then free pages. A search holds one lock
//! at a time. Pages of the heap may be locked behind a leaf, never before.

mod apply;
mod build;
mod change;
mod check;
mod create;
mod delete;
mod descend;
mod insert;
pub mod key;
mod left;
mod meta;
mod node;
mod parent;
mod probe;
mod range;
mod redo;
mod scan;
mod sort;
mod split;
#[cfg(test)]
mod tests;
mod tree;
mod unique;
mod vacuum;

pub use build::{Build, BuildOptions, Built};
pub use check::Checked;
pub use key::{Comparison, KeyOrder, KeyShape};
pub use range::{ScanKey, ScanOp};
pub use redo::BTreeRecords;
pub use scan::{Direction, Scan, ScanOptions};
pub use tree::{BTree, DEFAULT_FILLFACTOR, IndexOptions};
pub use unique::{Uniqueness, Verdict};
pub use vacuum::VacuumCounts;
