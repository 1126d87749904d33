//! Joins: for each row of the left side, the right side's rows that go with it.

use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::tree::JoinKind;
use crate::sql::plan::NestLoop;
use crate::sql::types::{Datum, Row};

use super::{BoxNode, Context, Node, eval, start};

/// A nested loop. The right side's rows are kept, unless they depend on the left side's row.
pub struct Join {
    plan: Arc<NestLoop>,
    left: BoxNode,
    right: Vec<Row>,
    matched: Vec<bool>,
    ready: bool,
    current: Option<Current>,
    /// Where the right side's rows without partner are, when the left side has ended.
    left_over: Option<usize>,
}

/// The left row at hand.
struct Current {
    row: Row,
    at: usize,
    matched: bool,
}

impl Join {
    pub fn new(plan: Arc<NestLoop>) -> Self {
        let left = start(&plan.left);
        Self {
            plan,
            left,
            right: Vec::new(),
            matched: Vec::new(),
            ready: false,
            current: None,
            left_over: None,
        }
    }

    fn read_right(&mut self, ctx: &mut Context<'_>) -> Result<()> {
        let mut node = start(&self.plan.right);
        self.right.clear();
        while let Some(row) = node.next(ctx)? {
            self.right.push(row);
        }
        self.matched = vec![false; self.right.len()];
        self.ready = true;
        Ok(())
    }

    fn next_left(&mut self, ctx: &mut Context<'_>) -> Result<bool> {
        let Some(row) = self.left.next(ctx)? else {
            return Ok(false);
        };
        if self.plan.lateral {
            ctx.outer.push(row.clone());
            let read = self.read_right(ctx);
            ctx.outer.pop();
            read?;
        } else if !self.ready {
            self.read_right(ctx)?;
        }
        self.current = Some(Current { row, at: 0, matched: false });
        Ok(true)
    }

    /// The next pair of the left row at hand.
    fn next_pair(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        while let Some(right) = self.right.get(current.at) {
            ctx.host.check_interrupts()?;
            current.at += 1;
            let mut row = current.row.clone();
            row.extend(right.iter().cloned());
            let holds = match &self.plan.on {
                Some(on) => eval(on, &row, ctx)? == Datum::Bool(true),
                None => true,
            };
            if holds {
                current.matched = true;
                self.matched[current.at - 1] = true;
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// The left row at hand with NULLs, if it found no partner and is kept all the same.
    fn lonely_left(&mut self) -> Option<Row> {
        let current = self.current.take()?;
        let keeps = matches!(self.plan.kind, JoinKind::Left | JoinKind::Full);
        (keeps && !current.matched).then(|| {
            let mut row = current.row;
            row.resize(row.len() + self.plan.right_width, Datum::Null);
            row
        })
    }

    fn lonely_right(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        if !matches!(self.plan.kind, JoinKind::Right | JoinKind::Full) {
            return Ok(None);
        }
        if !self.ready {
            self.read_right(ctx)?;
        }
        let at = self.left_over.get_or_insert(0);
        while let Some(right) = self.right.get(*at) {
            *at += 1;
            if !self.matched[*at - 1] {
                let mut row = vec![Datum::Null; self.plan.left_width];
                row.extend(right.iter().cloned());
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

impl Node for Join {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        loop {
            ctx.host.check_interrupts()?;
            if self.left_over.is_some() {
                return self.lonely_right(ctx);
            }
            if let Some(row) = self.next_pair(ctx)? {
                return Ok(Some(row));
            }
            if let Some(row) = self.lonely_left() {
                return Ok(Some(row));
            }
            if !self.next_left(ctx)? {
                self.left_over = Some(0);
            }
        }
    }
}
