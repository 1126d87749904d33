//! Grouping and aggregates.

use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::expr::{AggregateCall, Expr};
use crate::sql::functions::aggregate::Accumulator;
use crate::sql::types::{Datum, Row};

use super::sorting::{compare_keys, compare_rows};
use super::{BoxNode, Context, Node, eval};

/// A row for each group: its keys, then its aggregates.
pub struct Aggregate {
    input: BoxNode,
    keys: Arc<[Expr]>,
    aggregates: Arc<[AggregateCall]>,
    rows: Option<std::vec::IntoIter<Row>>,
}

/// A group's keys and the inputs of its aggregates.
struct Group {
    keys: Row,
    states: Vec<State>,
}

/// One aggregate of one group. Inputs that must be sorted or made unique first are kept until the end.
struct State {
    accumulator: Accumulator,
    kept: Vec<Row>,
}

impl Aggregate {
    pub fn new(input: BoxNode, keys: Arc<[Expr]>, aggregates: Arc<[AggregateCall]>) -> Self {
        Self { input, keys, aggregates, rows: None }
    }

    fn new_group(&self, keys: Row) -> Group {
        let states = self
            .aggregates
            .iter()
            .map(|call| State { accumulator: Accumulator::new(call.kind, call.ty), kept: Vec::new() });
        Group { keys, states: states.collect() }
    }

    fn run(&mut self, ctx: &mut Context<'_>) -> Result<Vec<Row>> {
        // Sorted by their keys, so that a group is found by bisection.
        let mut groups: Vec<Group> = Vec::new();
        if self.keys.is_empty() {
            groups.push(self.new_group(Row::new()));
        }
        while let Some(row) = self.input.next(ctx)? {
            ctx.host.check_interrupts()?;
            let keys: Row = self.keys.iter().map(|key| eval(key, &row, ctx)).collect::<Result<_>>()?;
            let formats = ctx.formats.clone();
            let at = match groups.binary_search_by(|group| compare_rows(&group.keys, &keys, &formats)) {
                Ok(at) => at,
                Err(at) => {
                    groups.insert(at, self.new_group(keys));
                    at
                }
            };
            self.add(&mut groups[at], &row, ctx)?;
        }
        groups.into_iter().map(|group| self.finish(group, ctx)).collect()
    }

    fn add(&self, group: &mut Group, row: &Row, ctx: &mut Context<'_>) -> Result<()> {
        for (call, state) in self.aggregates.iter().zip(&mut group.states) {
            if let Some(filter) = &call.filter
                && eval(filter, row, ctx)? != Datum::Bool(true)
            {
                continue;
            }
            let inputs: Row = call.args.iter().map(|arg| eval(arg, row, ctx)).collect::<Result<_>>()?;
            if call.distinct || !call.order_by.is_empty() {
                state.kept.push(inputs);
            } else {
                state.accumulator.add(&inputs, &ctx.formats)?;
            }
        }
        Ok(())
    }

    fn finish(&self, group: Group, ctx: &mut Context<'_>) -> Result<Row> {
        let mut row = group.keys;
        for (call, mut state) in self.aggregates.iter().zip(group.states) {
            if call.distinct {
                state
                    .kept
                    .sort_by(|a, b| compare_rows(&a[..call.arg_count], &b[..call.arg_count], &ctx.formats));
                state.kept.dedup_by(|a, b| {
                    compare_rows(&a[..call.arg_count], &b[..call.arg_count], &ctx.formats).is_eq()
                });
            }
            state.kept.sort_by(|a, b| compare_keys(a, b, &call.order_by, &ctx.formats));
            for inputs in &state.kept {
                state.accumulator.add(&inputs[..call.arg_count], &ctx.formats)?;
            }
            row.push(state.accumulator.finish()?);
        }
        Ok(row)
    }
}

impl Node for Aggregate {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        if self.rows.is_none() {
            self.rows = Some(self.run(ctx)?.into_iter());
        }
        Ok(self.rows.as_mut().and_then(Iterator::next))
    }
}
