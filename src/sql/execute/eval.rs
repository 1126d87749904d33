//! Expressions' values.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::analyze::expr::{CallExpr, Column, Expr};
use crate::sql::functions::{Call, casts};
use crate::sql::types::compare::compare;
use crate::sql::types::{Array, Datum, Type};

use super::{Context, subqueries};

/// What one level of evaluation may need of the stack, and how much is added when that is not left.
const STACK_RED_ZONE: usize = 64 * 1024;
const STACK_GROWTH: usize = 1024 * 1024;

/// The value of an expression for a row.
pub fn eval(expr: &Expr, row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    match expr {
        Expr::Const(value, _) => Ok(value.clone()),
        Expr::Column(column) => Ok(column_value(column, row, ctx)),
        Expr::Param(index, _) => Ok(ctx.params.get(*index).cloned().unwrap_or(Datum::Null)),
        _ => stacker::maybe_grow(STACK_RED_ZONE, STACK_GROWTH, || eval_inner(expr, row, ctx)),
    }
}

fn column_value(column: &Column, row: &[Datum], ctx: &Context<'_>) -> Datum {
    let row = match column.level {
        0 => row,
        level if level <= ctx.outer.len() => &ctx.outer[ctx.outer.len() - level],
        _ => return Datum::Null,
    };
    row.get(column.index).cloned().unwrap_or(Datum::Null)
}

fn eval_inner(expr: &Expr, row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    match expr {
        Expr::Call(call) => eval_call(call, row, ctx),
        Expr::And(items) => connective(items, false, row, ctx),
        Expr::Or(items) => connective(items, true, row, ctx),
        Expr::Not(input) => Ok(match eval(input, row, ctx)? {
            Datum::Bool(value) => Datum::Bool(!value),
            other => other,
        }),
        Expr::IsNull { input, negated } => {
            let value = eval(input, row, ctx)?;
            Ok(Datum::Bool(is_null_test(&value, *negated)))
        }
        Expr::IsBool { input, value, negated } => {
            let holds = eval(input, row, ctx)? == Datum::Bool(*value);
            Ok(Datum::Bool(holds != *negated))
        }
        Expr::Distinct { equal, negated } => distinct(equal, *negated, row, ctx),
        Expr::NullIf { equal, value } => match eval_call(equal, row, ctx)? {
            Datum::Bool(true) => Ok(Datum::Null),
            _ => eval(value, row, ctx),
        },
        Expr::Case { operand, arms, otherwise, .. } => case(operand.as_deref(), arms, otherwise, row, ctx),
        Expr::CaseOperand(_) => Ok(ctx.operands.last().cloned().unwrap_or(Datum::Null)),
        Expr::Coalesce(items, _) => {
            for item in items {
                let value = eval(item, row, ctx)?;
                if !value.is_null() {
                    return Ok(value);
                }
            }
            Ok(Datum::Null)
        }
        Expr::MinMax { greatest, items, .. } => min_max(*greatest, items, row, ctx),
        Expr::Array { items, element, nested } => array(items, *element, *nested, row, ctx),
        Expr::AnyAll { call, all, array } => any_all(call, *all, array, row, ctx),
        Expr::Convert { input, to, explicit } => {
            let value = eval(input, row, ctx)?;
            casts::convert(value, input.ty(), *to, *explicit, ctx)
        }
        Expr::Typmod { input, ty, typmod, explicit } => {
            let value = eval(input, row, ctx)?;
            casts::apply_typmod(value, *ty, *typmod, *explicit)
        }
        Expr::Row(items) => {
            let fields: Vec<(Type, Datum)> =
                items.iter().map(|item| Ok((item.ty(), eval(item, row, ctx)?))).collect::<Result<_>>()?;
            Ok(Datum::Record(fields.into()))
        }
        Expr::Subscript { array, indexes, .. } => subscript(array, indexes, row, ctx),
        Expr::Slice { array, from, to } => slice(array, from.as_deref(), to.as_deref(), row, ctx),
        Expr::Subquery(subquery) => subqueries::value_of(subquery, row, ctx),
        Expr::Const(..) | Expr::Column(_) | Expr::Param(..) => eval(expr, row, ctx),
        Expr::Aggregate(..) | Expr::SetCall(..) => {
            Err(Report::error(SqlState::INTERNAL_ERROR, "aggregate or set-returning function out of place"))
        }
    }
}

/// A row is null if all its fields are, and not null if none is.
fn is_null_test(value: &Datum, negated: bool) -> bool {
    match value {
        Datum::Record(fields) if negated => fields.iter().all(|field| !field.1.is_null()),
        Datum::Record(fields) => fields.iter().all(|field| field.1.is_null()),
        value => value.is_null() != negated,
    }
}

/// Calls a function with its arguments' values.
pub fn eval_call(call: &CallExpr, row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    // Most functions have one or two arguments; those need no allocation.
    match call.args.as_slice() {
        [only] => {
            let args = [eval(only, row, ctx)?];
            apply(call, &args, ctx)
        }
        [left, right] => {
            let args = [eval(left, row, ctx)?, eval(right, row, ctx)?];
            apply(call, &args, ctx)
        }
        all => {
            let args: Vec<Datum> = all.iter().map(|arg| eval(arg, row, ctx)).collect::<Result<_>>()?;
            apply(call, &args, ctx)
        }
    }
}

fn apply(call: &CallExpr, args: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    if call.strict && args.iter().any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    (call.body)(&mut Call { ctx, arg_types: &call.arg_types, result: call.result }, args)
}

/// `AND` and `OR`: `deciding` settles the matter, NULL leaves it open.
fn connective(items: &[Expr], deciding: bool, row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    let mut open = false;
    for item in items {
        match eval(item, row, ctx)? {
            Datum::Bool(value) if value == deciding => return Ok(Datum::Bool(deciding)),
            Datum::Null => open = true,
            _ => {}
        }
    }
    Ok(if open { Datum::Null } else { Datum::Bool(!deciding) })
}

fn distinct(equal: &CallExpr, negated: bool, row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    let args: Vec<Datum> = equal.args.iter().map(|arg| eval(arg, row, ctx)).collect::<Result<_>>()?;
    let same = match args.iter().filter(|arg| arg.is_null()).count() {
        0 => apply(equal, &args, ctx)? == Datum::Bool(true),
        nulls => nulls == args.len(),
    };
    Ok(Datum::Bool(same == negated))
}

fn case(
    operand: Option<&Expr>,
    arms: &[(Expr, Expr)],
    otherwise: &Expr,
    row: &[Datum],
    ctx: &mut Context<'_>,
) -> Result<Datum> {
    let value = operand.map(|operand| eval(operand, row, ctx)).transpose()?;
    for (test, result) in arms {
        let test = match &value {
            Some(value) => {
                ctx.operands.push(value.clone());
                let tested = eval(test, row, ctx);
                ctx.operands.pop();
                tested?
            }
            None => eval(test, row, ctx)?,
        };
        if test == Datum::Bool(true) {
            return eval(result, row, ctx);
        }
    }
    eval(otherwise, row, ctx)
}

fn min_max(greatest: bool, items: &[Expr], row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    let mut best = Datum::Null;
    for item in items {
        let value = eval(item, row, ctx)?;
        let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
        if !value.is_null() && (best.is_null() || compare(&value, &best, &ctx.formats) == wanted) {
            best = value;
        }
    }
    Ok(best)
}

fn array(items: &[Expr], element: Type, nested: bool, row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    let values: Vec<Datum> = items.iter().map(|item| eval(item, row, ctx)).collect::<Result<_>>()?;
    if !nested {
        return Ok(Datum::array(element, values));
    }
    let mut dimensions: Option<Vec<(i32, i32)>> = None;
    let mut all = Vec::new();
    for value in &values {
        let Datum::Array(inner) = value else {
            return Err(ragged());
        };
        if dimensions.as_ref().is_some_and(|dimensions| *dimensions != inner.dimensions) {
            return Err(ragged());
        }
        dimensions = Some(inner.dimensions.clone());
        all.extend(inner.items.iter().cloned());
    }
    let inner = dimensions.unwrap_or_default();
    if inner.is_empty() {
        return Ok(Datum::array(element, Vec::new()));
    }
    let mut dimensions = vec![(values.len() as i32, 1)];
    dimensions.extend(inner);
    Ok(Datum::Array(Arc::new(Array { element, dimensions, items: all })))
}

fn ragged() -> Box<Report> {
    Report::error(
        SqlState::ARRAY_SUBSCRIPT_ERROR,
        "multidimensional arrays must have array expressions with matching dimensions",
    )
}

fn any_all(call: &CallExpr, all: bool, array: &Expr, row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    let Datum::Array(array) = eval(array, row, ctx)? else {
        return Ok(Datum::Null);
    };
    let mut open = false;
    for item in &array.items {
        ctx.operands.push(item.clone());
        let tested = eval_call(call, row, ctx);
        ctx.operands.pop();
        match tested? {
            Datum::Bool(value) if value != all => return Ok(Datum::Bool(value)),
            Datum::Null => open = true,
            _ => {}
        }
    }
    Ok(if open { Datum::Null } else { Datum::Bool(all) })
}

fn subscript(array: &Expr, indexes: &[Expr], row: &[Datum], ctx: &mut Context<'_>) -> Result<Datum> {
    let array = eval(array, row, ctx)?;
    let mut subscripts = Vec::with_capacity(indexes.len());
    for index in indexes {
        match eval(index, row, ctx)? {
            Datum::Int4(index) => subscripts.push(index),
            _ => return Ok(Datum::Null),
        }
    }
    match array {
        Datum::Array(array) => Ok(array.get(&subscripts)),
        _ => Ok(Datum::Null),
    }
}

fn slice(
    array: &Expr,
    from: Option<&Expr>,
    to: Option<&Expr>,
    row: &[Datum],
    ctx: &mut Context<'_>,
) -> Result<Datum> {
    let Datum::Array(array) = eval(array, row, ctx)? else {
        return Ok(Datum::Null);
    };
    let mut bounds = [None, None];
    for (bound, expr) in bounds.iter_mut().zip([from, to]) {
        if let Some(expr) = expr {
            match eval(expr, row, ctx)? {
                Datum::Int4(index) => *bound = Some(index),
                _ => return Ok(Datum::Null),
            }
        }
    }
    if array.dimensions.len() > 1 {
        return Err(Report::not_supported("slices of multidimensional arrays are not supported yet")
            .with_hint("Unnest the array instead."));
    }
    Ok(Datum::Array(Arc::new(array.slice(bounds[0], bounds[1]))))
}
