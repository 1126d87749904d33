//! The walk from tree to plan.

use std::sync::Arc;

use crate::sql::analyze::expr::{AggregateCall, Expr, SubqueryKind};
use crate::sql::analyze::tree::{Body, Distinct, From, FunctionSource, Query, Select, SetOperation};

use super::{NestLoop, Plan};

/// The plan of a query.
pub fn plan_query(query: &Query) -> Arc<Plan> {
    let width = query.columns.len();
    let mut plan = match &query.body {
        Body::Select(select) => plan_select(select, query, width),
        Body::Values(rows) => {
            let rows: Vec<Vec<Expr>> = rows.iter().map(|row| row.iter().map(plan_expr).collect()).collect();
            sorted(Arc::new(Plan::Values(rows.into())), query, width)
        }
        Body::Set { operation, all, left, right } => {
            let (left, right) = (plan_query(left), plan_query(right));
            sorted(plan_set(*operation, *all, left, right), query, width)
        }
    };
    if query.limit.is_some() || query.offset.is_some() {
        let part = |expr: &Option<Expr>| expr.as_ref().map(|expr| Arc::new(plan_expr(expr)));
        plan = Arc::new(Plan::Limit { input: plan, limit: part(&query.limit), offset: part(&query.offset) });
    }
    plan
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

fn plan_select(select: &Select, query: &Query, width: usize) -> Arc<Plan> {
    let mut plan = match &select.from {
        Some(from) => plan_from(from),
        None => Arc::new(Plan::OneRow),
    };
    if let Some(filter) = &select.filter {
        plan = Arc::new(Plan::Filter { input: plan, condition: Arc::new(plan_expr(filter)) });
    }
    let mut row_width = select.from.as_ref().map_or(0, from_width);
    if let Some(grouping) = &select.grouping {
        row_width = grouping.keys.len() + grouping.aggregates.len();
        let keys: Vec<Expr> = grouping.keys.iter().map(plan_expr).collect();
        let aggregates: Vec<AggregateCall> = grouping.aggregates.iter().map(plan_aggregate).collect();
        plan = Arc::new(Plan::Aggregate { input: plan, keys: keys.into(), aggregates: aggregates.into() });
    }
    if let Some(having) = &select.having {
        plan = Arc::new(Plan::Filter { input: plan, condition: Arc::new(plan_expr(having)) });
    }
    let mut targets: Vec<Expr> = select.targets.iter().map(plan_expr).collect();
    if !select.set_calls.is_empty() {
        let mut calls = select.set_calls.clone();
        calls.iter_mut().flat_map(|call| &mut call.args).for_each(finish);
        plan = Arc::new(Plan::ProjectSet { input: plan, calls: calls.into() });
        targets.iter_mut().for_each(|target| set_calls_to_columns(target, row_width));
    }
    let made = targets.len();
    plan = Arc::new(Plan::Project { input: plan, exprs: targets.into() });
    finish_select(plan, select, query, made, width)
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
        From::Function { ordinality, .. } => 1 + usize::from(*ordinality),
        From::Subquery { query, .. } => query.columns.len(),
        From::Join(join) => join.left_width + join.right_width,
    }
}

fn plan_from(from: &From) -> Arc<Plan> {
    Arc::new(match from {
        From::View(view, alias) => Plan::View(*view, alias.as_str().into()),
        From::Function { call, alias, ordinality } => {
            let mut call = call.clone();
            match &mut call {
                FunctionSource::Set(call) => call.args.iter_mut().for_each(finish),
                FunctionSource::Scalar(expr) => finish(expr),
            }
            Plan::Function { call: Arc::new(call), alias: alias.as_str().into(), ordinality: *ordinality }
        }
        From::Subquery { query, alias } => {
            Plan::Subquery { input: plan_query(query), alias: alias.as_str().into() }
        }
        From::Join(join) => Plan::NestLoop(Arc::new(NestLoop {
            kind: join.kind,
            left: plan_from(&join.left),
            left_width: join.left_width,
            right: plan_from(&join.right),
            right_width: join.right_width,
            on: join.on.as_ref().map(plan_expr),
            lateral: join.lateral,
        })),
    })
}

fn plan_aggregate(call: &AggregateCall) -> AggregateCall {
    let mut call = call.clone();
    call.args.iter_mut().chain(&mut call.filter).for_each(finish);
    call
}

/// The expression with plans in place of its queries.
pub fn plan_expr(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    finish(&mut expr);
    expr
}

fn finish(expr: &mut Expr) {
    if let Expr::Subquery(subquery) = expr {
        let plan = plan_query(&subquery.query);
        // Whether there is a row is known from the first one.
        subquery.plan = Some(match subquery.kind {
            SubqueryKind::Exists => Arc::new(Plan::Narrow { input: plan, kept: 0 }),
            _ => plan,
        });
    }
    expr.children_mut().into_iter().for_each(finish);
}
