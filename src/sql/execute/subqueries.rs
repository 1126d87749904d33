//! Queries within expressions: run for the row at hand, which they see one level up.

use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::expr::{CallExpr, Subquery, SubqueryKind};
use crate::sql::types::{Datum, Row, Type};

use super::{BoxNode, Context, start};

/// The value of a subquery for a row.
pub fn value_of(subquery: &Subquery, row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    let Some(plan) = &subquery.plan else {
        return Err(Report::error(SqlState::INTERNAL_ERROR, "subquery without a plan"));
    };
    let mut rows = Rows { node: start(plan), row };
    match &subquery.kind {
        SubqueryKind::Exists => Ok(Datum::Bool(rows.next(ctx)?.is_some())),
        SubqueryKind::Scalar => scalar(&mut rows, ctx),
        SubqueryKind::Array => {
            let mut items = Vec::new();
            while let Some(mut found) = rows.next(ctx)? {
                items.push(found.swap_remove(0));
            }
            Ok(Datum::array(subquery.ty.element().unwrap_or(Type::TEXT), items))
        }
        SubqueryKind::Compare { call, all } => compare(call, *all, &mut rows, ctx),
    }
}

/// The subquery's rows; while one is made, the row at hand is one level up.
struct Rows<'r> {
    node: BoxNode,
    row: &'r [Datum],
}

impl Rows<'_> {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.outer.push(self.row.to_vec());
        let operands = std::mem::take(&mut ctx.operands);
        let next = self.node.next(ctx);
        ctx.operands = operands;
        ctx.outer.pop();
        next
    }
}

fn scalar(rows: &mut Rows<'_>, ctx: &mut Context<'_>) -> Result<Datum> {
    let Some(mut first) = rows.next(ctx)? else {
        return Ok(Datum::Null);
    };
    if rows.next(ctx)?.is_some() {
        return Err(Report::error(
            SqlState::new("21000"),
            "more than one row returned by a subquery used as an expression",
        ));
    }
    Ok(first.swap_remove(0))
}

fn compare(call: &CallExpr, all: bool, rows: &mut Rows<'_>, ctx: &mut Context<'_>) -> Result<Datum> {
    let mut open = false;
    while let Some(mut found) = rows.next(ctx)? {
        ctx.operands.push(found.swap_remove(0));
        let tested = super::eval::eval_call(call, rows.row, ctx);
        ctx.operands.pop();
        match tested? {
            Datum::Bool(value) if value != all => return Ok(Datum::Bool(value)),
            Datum::Null => open = true,
            _ => {}
        }
    }
    Ok(if open { Datum::Null } else { Datum::Bool(all) })
}
