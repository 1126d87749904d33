//! What a running statement has around it.

use std::sync::Arc;

use crate::sql::host::Host;
use crate::sql::types::{Datum, Formats, Row};

/// When things began, in microseconds since 2000-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The transaction.
    pub transaction: i64,
    /// The statement.
    pub statement: i64,
}

/// What a running statement has around it.
pub struct Context<'h> {
    /// The process.
    pub host: &'h mut dyn Host,
    /// How values are read and printed.
    pub formats: Arc<Formats>,
    /// The parameters' values.
    pub params: Arc<[Datum]>,
    /// Rows of the queries around the one that runs, the innermost last.
    pub outer: Vec<Row>,
    /// Operands of the `CASE`s around, the innermost last.
    pub operands: Vec<Datum>,
    /// When things began.
    pub times: Times,
    /// The statement's text.
    pub query: Arc<str>,
}

impl<'h> Context<'h> {
    /// Surroundings without parameters.
    pub fn new(host: &'h mut dyn Host, formats: Arc<Formats>, times: Times) -> Self {
        Self {
            host,
            formats,
            params: Arc::from([]),
            outer: Vec::new(),
            operands: Vec::new(),
            times,
            query: Arc::from(""),
        }
    }
}
