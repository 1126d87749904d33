//! Nodes that look at one row at a time.

use std::sync::Arc;

use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::expr::Expr;
use crate::sql::plan::Plan;
use crate::sql::types::{Datum, Row};

use super::{BoxNode, Context, Node, eval, start};

/// One row without columns.
#[derive(Default)]
pub struct OneRow {
    done: bool,
}

impl Node for OneRow {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        Ok((!std::mem::replace(&mut self.done, true)).then(Row::new))
    }
}

/// Rows of expressions.
pub struct Values {
    rows: Arc<[Vec<Expr>]>,
    at: usize,
}

impl Values {
    pub fn new(rows: Arc<[Vec<Expr>]>) -> Self {
        Self { rows, at: 0 }
    }
}

impl Node for Values {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        let Some(row) = self.rows.get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        row.iter().map(|expr| eval(expr, &[], ctx)).collect::<Result<_>>().map(Some)
    }
}

/// Rows that a condition holds for.
pub struct Filter {
    input: BoxNode,
    condition: Arc<Expr>,
}

impl Filter {
    pub fn new(input: BoxNode, condition: Arc<Expr>) -> Self {
        Self { input, condition }
    }
}

impl Node for Filter {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        loop {
            ctx.host.check_interrupts()?;
            let Some(row) = self.input.next(ctx)? else {
                return Ok(None);
            };
            if eval(&self.condition, &row, ctx)? == Datum::Bool(true) {
                return Ok(Some(row));
            }
        }
    }
}

/// Rows made of other rows.
pub struct Project {
    input: BoxNode,
    exprs: Arc<[Expr]>,
}

impl Project {
    pub fn new(input: BoxNode, exprs: Arc<[Expr]>) -> Self {
        Self { input, exprs }
    }
}

impl Node for Project {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        let Some(row) = self.input.next(ctx)? else {
            return Ok(None);
        };
        self.exprs.iter().map(|expr| eval(expr, &row, ctx)).collect::<Result<_>>().map(Some)
    }
}

/// Only the first columns.
pub struct Narrow {
    input: BoxNode,
    kept: usize,
}

impl Narrow {
    pub fn new(input: BoxNode, kept: usize) -> Self {
        Self { input, kept }
    }
}

impl Node for Narrow {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        let mut row = self.input.next(ctx)?;
        if let Some(row) = &mut row {
            row.truncate(self.kept);
        }
        Ok(row)
    }
}

/// One input's rows, then the next one's.
pub struct Append {
    inputs: Vec<Arc<Plan>>,
    at: usize,
    current: Option<BoxNode>,
}

impl Append {
    pub fn new(inputs: Vec<Arc<Plan>>) -> Self {
        Self { inputs, at: 0, current: None }
    }
}

impl Node for Append {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        loop {
            ctx.host.check_interrupts()?;
            if let Some(node) = &mut self.current {
                if let Some(row) = node.next(ctx)? {
                    return Ok(Some(row));
                }
                self.current = None;
            }
            let Some(plan) = self.inputs.get(self.at) else {
                return Ok(None);
            };
            self.at += 1;
            self.current = Some(start(plan));
        }
    }
}

/// Some of the rows.
pub struct Limit {
    input: BoxNode,
    limit: Option<Arc<Expr>>,
    offset: Option<Arc<Expr>>,
    /// How many rows may still come, once that is known; no limit is the greatest number.
    left: Option<i64>,
}

impl Limit {
    pub fn new(input: BoxNode, limit: Option<Arc<Expr>>, offset: Option<Arc<Expr>>) -> Self {
        Self { input, limit, offset, left: None }
    }

    fn count(expr: Option<&Expr>, what: &str, state: SqlState, ctx: &mut Context<'_>) -> Result<Option<i64>> {
        let value = match expr {
            Some(expr) => eval(expr, &[], ctx)?,
            None => Datum::Null,
        };
        match value {
            Datum::Int8(count) if count < 0 => {
                Err(Report::error(state, format!("{what} must not be negative")))
            }
            Datum::Int8(count) => Ok(Some(count)),
            _ => Ok(None),
        }
    }

    fn begin(&mut self, ctx: &mut Context<'_>) -> Result<i64> {
        let state = SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE;
        let offset = Self::count(self.offset.as_deref(), "OFFSET", state, ctx)?;
        let state = SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE;
        let limit = Self::count(self.limit.as_deref(), "LIMIT", state, ctx)?.unwrap_or(i64::MAX);
        if limit > 0 {
            for _ in 0..offset.unwrap_or(0) {
                if self.input.next(ctx)?.is_none() {
                    return Ok(0);
                }
            }
        }
        Ok(limit)
    }
}

impl Node for Limit {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        let left = match self.left {
            Some(left) => left,
            None => self.begin(ctx)?,
        };
        if left == 0 {
            self.left = Some(0);
            return Ok(None);
        }
        self.left = Some(left - 1);
        self.input.next(ctx)
    }
}
