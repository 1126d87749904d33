//! Nodes that get rows from outside: views and functions.

use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::expr::SetCallExpr;
use crate::sql::analyze::tree::FunctionSource;
use crate::sql::functions::{Call, SetRows};
use crate::sql::types::{Datum, Row};
use crate::sql::views::SystemView;

use super::{BoxNode, Context, Node, eval};

/// A view's rows, as they are when the first is asked for.
pub struct ViewRows {
    view: SystemView,
    rows: Option<std::vec::IntoIter<Row>>,
}

impl ViewRows {
    pub fn new(view: SystemView) -> Self {
        Self { view, rows: None }
    }
}

impl Node for ViewRows {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        if self.rows.is_none() {
            self.rows = Some(ctx.host.rows(self.view)?.into_iter());
        }
        Ok(self.rows.as_mut().and_then(Iterator::next))
    }
}

/// Starts a set-returning function.
pub fn start_set(call: &SetCallExpr, row: &[Datum], ctx: &mut Context<'_>) -> Result<SetRows> {
    let args: Vec<Datum> = call.args.iter().map(|arg| eval(arg, row, ctx)).collect::<Result<_>>()?;
    if call.strict && args.iter().any(Datum::is_null) {
        return Ok(Box::new(std::iter::empty()));
    }
    (call.body)(&mut Call { ctx, arg_types: &call.arg_types, result: call.result }, &args)
}

/// A function's rows.
pub struct FunctionRows {
    call: Arc<FunctionSource>,
    ordinality: bool,
    rows: Option<SetRows>,
    count: i64,
}

impl FunctionRows {
    pub fn new(call: Arc<FunctionSource>, ordinality: bool) -> Self {
        Self { call, ordinality, rows: None, count: 0 }
    }

    fn start(&self, ctx: &mut Context<'_>) -> Result<SetRows> {
        match &*self.call {
            FunctionSource::Set(call) => start_set(call, &[], ctx),
            FunctionSource::Scalar(expr) => {
                let value = eval(expr, &[], ctx)?;
                Ok(Box::new(std::iter::once(Ok(value))))
            }
        }
    }
}

impl Node for FunctionRows {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        if self.rows.is_none() {
            self.rows = Some(self.start(ctx)?);
        }
        let Some(value) = self.rows.as_mut().and_then(Iterator::next) else {
            return Ok(None);
        };
        self.count += 1;
        let mut row = match (value?, self.call.outs().len()) {
            (value, 0) => vec![value],
            (Datum::Record(columns), _) => columns.iter().map(|(_, value)| value.clone()).collect(),
            (_, width) => vec![Datum::Null; width],
        };
        if self.ordinality {
            row.push(Datum::Int8(self.count));
        }
        Ok(Some(row))
    }
}

/// Each row as often as the longest of its functions has rows; the shorter ones' columns are NULL behind their ends.
pub struct ProjectSet {
    input: BoxNode,
    calls: Arc<[SetCallExpr]>,
    current: Option<(Row, Vec<SetRows>)>,
}

impl ProjectSet {
    pub fn new(input: BoxNode, calls: Arc<[SetCallExpr]>) -> Self {
        Self { input, calls, current: None }
    }
}

impl Node for ProjectSet {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        loop {
            ctx.host.check_interrupts()?;
            if let Some((row, sets)) = &mut self.current {
                let mut made = row.clone();
                let mut any = false;
                for set in sets {
                    let value = set.next().transpose()?;
                    any |= value.is_some();
                    made.push(value.unwrap_or(Datum::Null));
                }
                if any {
                    return Ok(Some(made));
                }
            }
            let Some(row) = self.input.next(ctx)? else {
                return Ok(None);
            };
            let sets = self.calls.iter().map(|call| start_set(call, &row, ctx)).collect::<Result<_>>()?;
            self.current = Some((row, sets));
        }
    }
}
