//! What a running statement has around it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::references::ReferenceEvent;
use crate::access::visibility::ReadView;
use crate::report::Result;
use crate::sql::host::Host;
use crate::sql::tables::with_tables;
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
    /// What the statement sees of tables, once it has looked.
    pub view: Option<ReadView>,
    /// Rows of queries that are run once, by their number.
    pub shared: HashMap<usize, Rc<Vec<Row>>>,
    /// Rows that the statement has written.
    pub written: u64,
    /// What foreign keys are to be asked about when the statement's rows are written.
    pub references: Vec<ReferenceEvent>,
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
            view: None,
            shared: HashMap::new(),
            written: 0,
            references: Vec::new(),
        }
    }

    /// What the statement sees of tables.
    pub fn view(&mut self) -> Result<ReadView> {
        if let Some(view) = self.view {
            return Ok(view);
        }
        let view = with_tables(self.host, |access| access.view())?;
        Ok(*self.view.insert(view))
    }

    /// The statement is over, or goes on later with a view of its own.
    pub fn end(&mut self) -> Result<()> {
        match self.view.take() {
            Some(view) => with_tables(self.host, |access| {
                access.release_view(view);
                Ok(())
            }),
            None => Ok(()),
        }
    }
}
