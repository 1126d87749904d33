//! PostgreSQL's system catalogs: tables of what there is, in which every definition is rows.
//!
//! - `schema` declares the catalogs; `columns` is how their values are stored; `types` what they know of types.
//! - `descriptor` is what sessions make of rows. `requests`: what operations take.
//!
//! Expressions are SQL text. What they mean is the business of the layer above.

pub mod columns;
pub mod descriptor;
pub mod requests;
pub mod schema;
pub mod types;
