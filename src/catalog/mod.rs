//! PostgreSQL's system catalogs: tables of what there is, in which every definition is rows.
//!
//! - `schema` declares the catalogs; `columns` is how their values are stored; `types` what they know of types.
//! - `cx` reads and writes their rows, in the caller's transaction; `cache` is what a session remembers.
//! - `descriptor` is what sessions make of rows, `load` makes it, `names` finds it. `tables` opens what it describes.
//! - `bootstrap` writes what a new data directory has; `system_rows` are the catalogs' own rows, `fixed` rows that never
//!   change.
//! - `requests`: what operations take.
//!
//! Expressions are SQL text. What they mean is the business of the layer above.

pub mod acl;
mod alter;
pub mod bootstrap;
pub mod cache;
pub mod columns;
mod constraints;
mod copy_database;
pub mod cx;
pub mod databases;
pub mod dependencies;
mod dependents;
mod describe;
pub mod descriptor;
mod drop;
pub mod fixed;
pub mod load;
pub mod make_index;
pub mod make_relation;
pub mod names;
mod relation_rows;
pub mod requests;
pub mod roles;
pub mod schema;
mod sequence_state;
mod sequences;
mod system_rows;
pub mod tables;
#[cfg(test)]
mod test_world;
pub mod types;

pub use cache::Catalog;
pub use cx::{Cx, NoWait, Waiter};
pub use tables::{open_index, open_table, system_table};
pub use types::TypeSupport;

#[cfg(test)]
mod tests;
