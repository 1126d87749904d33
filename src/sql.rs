//! Statements.
pub mod types;
