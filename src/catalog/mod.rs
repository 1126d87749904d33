//! PostgreSQL's system catalogs: tables of what there is, in which every definition is rows.
//!
//! - `schema` declares the catalogs; `columns` is how their values are stored; `types` what they know of types.
//! - `cx` reads and writes their rows, in the caller's transaction; `cache` is what a session remembers.
//! - `descriptor` is what sessions make of rows, `load` makes it, `names` finds it. `tables` opens what it describes.
//! - `requests`: what operations take.
//!
//! Expressions are SQL text. What they mean is the business of the layer above.

pub mod acl;
pub mod cache;
pub mod columns;
pub mod cx;
pub mod descriptor;
pub mod load;
pub mod names;
pub mod requests;
pub mod schema;
mod sequence_state;
pub mod tables;
pub mod types;

pub use cache::Catalog;
pub use cx::{Cx, NoWait, Waiter};
pub use tables::{open_index, open_table, system_table};
pub use types::TypeSupport;
