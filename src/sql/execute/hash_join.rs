//! Joins of rows whose keys are equal.

use std::collections::HashMap;
use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::expr::Expr;
use crate::sql::analyze::tree::JoinKind;
use crate::sql::plan;
use crate::sql::types::{Datum, Row};

use super::hashing::{HashKey, key_of};
use super::{BoxNode, Context, Node, eval, start};

/// See the module. The right side's rows are kept.
pub struct HashJoin {
    plan: Arc<plan::HashJoin>,
    left: BoxNode,
    right: Vec<Row>,
    matched: Vec<bool>,
    by_key: HashMap<Vec<HashKey>, Vec<usize>>,
    ready: bool,
    current: Option<Current>,
    left_over: Option<usize>,
}

/// The left row at hand, and the partners it may have.
struct Current {
    row: Row,
    partners: Vec<usize>,
    at: usize,
    matched: bool,
}

/// The key of a row; `None`: part of it is NULL.
fn key_for(exprs: &[Expr], row: &[Datum], ctx: &mut Context<'_>) -> Result<Option<Vec<HashKey>>> {
    let mut key = Vec::with_capacity(exprs.len());
    for expr in exprs {
        match key_of(&eval(expr, row, ctx)?, expr.ty()) {
            Some(HashKey::Null) | None => return Ok(None),
            Some(part) => key.push(part),
        }
    }
    Ok(Some(key))
}

impl HashJoin {
    pub fn new(plan: Arc<plan::HashJoin>) -> Self {
        let left = start(&plan.left);
        Self {
            plan,
            left,
            right: Vec::new(),
            matched: Vec::new(),
            by_key: HashMap::new(),
            ready: false,
            current: None,
            left_over: None,
        }
    }

    fn read_right(&mut self, ctx: &mut Context<'_>) -> Result<()> {
        let mut node = start(&self.plan.right);
        while let Some(row) = node.next(ctx)? {
            if let Some(key) = key_for(&self.plan.right_keys, &row, ctx)? {
                self.by_key.entry(key).or_default().push(self.right.len());
            }
            self.right.push(row);
        }
        self.matched = vec![false; self.right.len()];
        self.ready = true;
        Ok(())
    }

    fn next_left(&mut self, ctx: &mut Context<'_>) -> Result<bool> {
        if !self.ready {
            self.read_right(ctx)?;
        }
        let Some(row) = self.left.next(ctx)? else { return Ok(false) };
        let key = key_for(&self.plan.left_keys, &row, ctx)?;
        let partners = key.and_then(|key| self.by_key.get(&key).cloned()).unwrap_or_default();
        self.current = Some(Current { row, partners, at: 0, matched: false });
        Ok(true)
    }

    fn next_pair(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        let Some(current) = &mut self.current else { return Ok(None) };
        while let Some(&partner) = current.partners.get(current.at) {
            current.at += 1;
            let right = &self.right[partner];
            let mut row = Vec::with_capacity(current.row.len() + right.len());
            row.extend_from_slice(&current.row);
            row.extend_from_slice(right);
            let holds = match &self.plan.on {
                Some(on) => eval(on, &row, ctx)? == Datum::Bool(true),
                None => true,
            };
            if holds {
                current.matched = true;
                self.matched[partner] = true;
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn lonely_left(&mut self) -> Option<Row> {
        let current = self.current.take()?;
        let keeps = matches!(self.plan.kind, JoinKind::Left | JoinKind::Full);
        (keeps && !current.matched).then(|| {
            let mut row = current.row;
            row.resize(row.len() + self.plan.right_width, Datum::Null);
            row
        })
    }

    fn lonely_right(&mut self) -> Option<Row> {
        if !matches!(self.plan.kind, JoinKind::Right | JoinKind::Full) {
            return None;
        }
        let at = self.left_over.get_or_insert(0);
        while let Some(right) = self.right.get(*at) {
            *at += 1;
            if !self.matched[*at - 1] {
                let mut row = vec![Datum::Null; self.plan.left_width];
                row.extend(right.iter().cloned());
                return Some(row);
            }
        }
        None
    }
}

impl Node for HashJoin {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        loop {
            ctx.host.check_interrupts()?;
            if self.left_over.is_some() {
                return Ok(self.lonely_right());
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
