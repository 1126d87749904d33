//! Queries that are run once, whoever reads their rows.

use std::rc::Rc;
use std::sync::Arc;

use crate::report::Result;
use crate::sql::plan::Plan;
use crate::sql::types::Row;

use super::{BoxNode, Context, Node, collect};

/// Runs queries that change rows, then the one that follows them.
pub struct With {
    changes: Arc<[(usize, Arc<Plan>)]>,
    input: BoxNode,
    is_done: bool,
}

impl With {
    pub fn new(changes: Arc<[(usize, Arc<Plan>)]>, input: BoxNode) -> Self {
        Self { changes, input, is_done: false }
    }
}

impl Node for With {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        if !std::mem::replace(&mut self.is_done, true) {
            for (number, plan) in self.changes.iter() {
                let rows = collect(plan, ctx)?;
                ctx.shared.insert(*number, Rc::new(rows));
            }
        }
        self.input.next(ctx)
    }
}

/// The rows of a query that was run.
pub struct SharedRows {
    number: usize,
    at: usize,
}

impl SharedRows {
    pub fn new(number: usize) -> Self {
        Self { number, at: 0 }
    }
}

impl Node for SharedRows {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        let row = ctx.shared.get(&self.number).and_then(|rows| rows.get(self.at)).cloned();
        self.at += 1;
        Ok(row)
    }
}
