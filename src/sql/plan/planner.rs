//! The walk from tree to plan.

use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::expr::{AggregateCall, Expr, SubqueryKind};
use crate::sql::analyze::tree::{Body, Distinct, From, FunctionSource, Query, Select, SetOperation};

use super::fold::{Evaluate, fold, lazy_parts};
use super::{NestLoop, Plan};

/// The plan of a query; `evaluate` computes its constants.
pub fn plan_query(query: &Query, evaluate: Evaluate<'_>) -> Result<Arc<Plan>> {
    let width = query.columns.len();
    let mut plan = match &query.body {
        Body::Select(select) => plan_select(select, query, width, evaluate)?,
        Body::Values(rows) => {
            let rows: Vec<Vec<Expr>> =
                rows.iter().map(|row| plan_exprs(row, evaluate)).collect::<Result<_>>()?;
            sorted(Arc::new(Plan::Values(rows.into())), query, width)
        }
        Body::Set { operation, all, left, right } => {
            let (left, right) = (plan_query(left, evaluate)?, plan_query(right, evaluate)?);
            sorted(plan_set(*operation, *all, left, right), query, width)
        }
    };
    if query.limit.is_some() || query.offset.is_some() {
        let mut part = |expr: &Option<Expr>| match expr {
            Some(expr) => plan_expr(expr, evaluate).map(|expr| Some(Arc::new(expr))),
            None => Ok(None),
        };
        let (limit, offset) = (part(&query.limit)?, part(&query.offset)?);
        plan = Arc::new(Plan::Limit { input: plan, limit, offset });
    }
    Ok(plan)
}

fn sorted(input: Arc<Plan>, query: &Query, kept: usize) -> Arc<Plan> {
    if query.order_by.is_empty() {
        return input;
    }
    Arc::new(Plan::Sort { input, keys: query.order_by.as_slice().into(), kept })
}

fn plan_set(operation: SetOperation, all: bool, left: Arc<Plan>, right: Arc<Plan>) -> Arc<Plan> {
    if operation != SetOperation::Union {
        return Arc::new(Plan::SetOperation { operation, all, left, right });
    }
    // A chain of UNION ALL is one node.
    let mut inputs = Vec::new();
    match &*left {
        Plan::Append(inner) if all => inputs.extend(inner.iter().cloned()),
        _ => inputs.push(left),
    }
    inputs.push(right);
    let append = Arc::new(Plan::Append(inputs));
    if all { append } else { Arc::new(Plan::Unique { input: append, keys: None }) }
}

fn plan_select(select: &Select, query: &Query, width: usize, evaluate: Evaluate<'_>) -> Result<Arc<Plan>> {
    let mut plan = match &select.from {
        Some(from) => plan_from(from, evaluate)?,
        None => Arc::new(Plan::OneRow),
    };
    if let Some(filter) = &select.filter {
        plan = Arc::new(Plan::Filter { input: plan, condition: Arc::new(plan_expr(filter, evaluate)?) });
    }
    let mut row_width = select.from.as_ref().map_or(0, from_width);
    if let Some(grouping) = &select.grouping {
        row_width = grouping.keys.len() + grouping.aggregates.len();
        let keys = plan_exprs(&grouping.keys, evaluate)?;
        let aggregates: Vec<AggregateCall> =
            grouping.aggregates.iter().map(|call| plan_aggregate(call, evaluate)).collect::<Result<_>>()?;
        plan = Arc::new(Plan::Aggregate { input: plan, keys: keys.into(), aggregates: aggregates.into() });
    }
    if let Some(having) = &select.having {
        plan = Arc::new(Plan::Filter { input: plan, condition: Arc::new(plan_expr(having, evaluate)?) });
    }
    let mut targets = plan_exprs(&select.targets, evaluate)?;
    if !select.set_calls.is_empty() {
        let mut calls = select.set_calls.clone();
        calls.iter_mut().flat_map(|call| &mut call.args).try_for_each(|arg| finish(arg, false, evaluate))?;
        plan = Arc::new(Plan::ProjectSet { input: plan, calls: calls.into() });
        targets.iter_mut().for_each(|target| set_calls_to_columns(target, row_width));
    }
    let made = targets.len();
    plan = Arc::new(Plan::Project { input: plan, exprs: targets.into() });
    Ok(finish_select(plan, select, query, made, width))
}

/// `DISTINCT` and `ORDER BY`, which go by the columns made.
fn finish_select(
    mut plan: Arc<Plan>,
    select: &Select,
    query: &Query,
    made: usize,
    width: usize,
) -> Arc<Plan> {
    match &select.distinct {
        Some(Distinct::All) => {
            plan = sorted(Arc::new(Plan::Unique { input: plan, keys: None }), query, width);
        }
        Some(Distinct::On(columns)) => {
            plan = sorted(plan, query, made);
            plan = Arc::new(Plan::Unique { input: plan, keys: Some(columns.as_slice().into()) });
        }
        None => return narrowed(sorted(plan, query, width), made, width, query.order_by.is_empty()),
    }
    narrowed(plan, made, width, true)
}

fn narrowed(input: Arc<Plan>, made: usize, kept: usize, needed: bool) -> Arc<Plan> {
    if made > kept && needed { Arc::new(Plan::Narrow { input, kept }) } else { input }
}

fn set_calls_to_columns(expr: &mut Expr, row_width: usize) {
    use crate::sql::analyze::expr::Column;
    if let Expr::SetCall(index, ty) = expr {
        *expr = Expr::Column(Column { level: 0, index: row_width + *index, ty: *ty, at: None });
        return;
    }
    expr.children_mut().into_iter().for_each(|child| set_calls_to_columns(child, row_width));
}

fn from_width(from: &From) -> usize {
    match from {
        From::View(view, _) => view.columns().len(),
        From::Function { call, ordinality, .. } => call.outs().len().max(1) + usize::from(*ordinality),
        From::Subquery { query, .. } => query.columns.len(),
        From::Join(join) => join.left_width + join.right_width,
    }
}

fn plan_from(from: &From, evaluate: Evaluate<'_>) -> Result<Arc<Plan>> {
    Ok(Arc::new(match from {
        From::View(view, alias) => Plan::View(*view, alias.as_str().into()),
        From::Function { call, alias, ordinality } => {
            let mut call = call.clone();
            match &mut call {
                FunctionSource::Set(call) => {
                    call.args.iter_mut().try_for_each(|arg| finish(arg, false, evaluate))?
                }
                FunctionSource::Scalar(expr) => finish(expr, false, evaluate)?,
            }
            Plan::Function { call: Arc::new(call), alias: alias.as_str().into(), ordinality: *ordinality }
        }
        From::Subquery { query, alias } => {
            Plan::Subquery { input: plan_query(query, evaluate)?, alias: alias.as_str().into() }
        }
        From::Join(join) => Plan::NestLoop(Arc::new(NestLoop {
            kind: join.kind,
            left: plan_from(&join.left, evaluate)?,
            left_width: join.left_width,
            right: plan_from(&join.right, evaluate)?,
            right_width: join.right_width,
            on: join.on.as_ref().map(|on| plan_expr(on, evaluate)).transpose()?,
            lateral: join.lateral,
        })),
    }))
}

fn plan_aggregate(call: &AggregateCall, evaluate: Evaluate<'_>) -> Result<AggregateCall> {
    let mut call = call.clone();
    call.args.iter_mut().chain(&mut call.filter).try_for_each(|expr| finish(expr, false, evaluate))?;
    Ok(call)
}

fn plan_exprs(exprs: &[Expr], evaluate: Evaluate<'_>) -> Result<Vec<Expr>> {
    exprs.iter().map(|expr| plan_expr(expr, evaluate)).collect()
}

/// The expression with plans in place of its queries and values in place of what can be computed already.
pub fn plan_expr(expr: &Expr, evaluate: Evaluate<'_>) -> Result<Expr> {
    let mut expr = expr.clone();
    finish(&mut expr, false, evaluate)?;
    Ok(expr)
}

fn finish(expr: &mut Expr, lazy: bool, evaluate: Evaluate<'_>) -> Result<()> {
    if let Expr::Subquery(subquery) = expr {
        let plan = plan_query(&subquery.query, evaluate)?;
        // Whether there is a row is known from the first one.
        subquery.plan = Some(match subquery.kind {
            SubqueryKind::Exists => Arc::new(Plan::Narrow { input: plan, kept: 0 }),
            _ => plan,
        });
    }
    let lazy_below = lazy || lazy_parts(expr);
    stacker::maybe_grow(64 * 1024, 1024 * 1024, || {
        expr.children_mut().into_iter().try_for_each(|child| finish(child, lazy_below, evaluate))
    })?;
    fold(expr, lazy, evaluate)
}
