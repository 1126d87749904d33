//! The walk from a query to its plan.

use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::expr::{AggregateCall, Column, Expr, SubqueryKind};
use crate::sql::analyze::tree::{Body, Distinct, From, Query, Select, SetOperation, SortKey};
use crate::sql::tables::CTID;

use super::columns::{Columns, Places, all_of, conjuncts, note_columns};
use super::fold::{Evaluate, fold, lazy_parts};
use super::from::Made;
use super::{LockRows, Path, Plan, paths};

/// Plans one statement.
pub struct Planner<'e> {
    /// Computes constants.
    pub evaluate: Evaluate<'e>,
    /// How many rows there are around the one at hand.
    pub depth: usize,
}

/// The plan of a query; `evaluate` computes its constants.
pub fn plan_query(query: &Query, evaluate: Evaluate<'_>) -> Result<Arc<Plan>> {
    Planner { evaluate, depth: 0 }.query(query)
}

/// The expression with plans in place of its queries and values in place of what can be computed already.
pub fn plan_expr(expr: &Expr, evaluate: Evaluate<'_>) -> Result<Expr> {
    Planner { evaluate, depth: 0 }.expr(expr)
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

impl Planner<'_> {
    /// The plan of a query.
    pub fn query(&mut self, query: &Query) -> Result<Arc<Plan>> {
        let width = query.columns.len();
        let mut plan = match &query.body {
            Body::Select(select) => self.select(select, query, width)?,
            Body::Values(rows) => {
                let rows: Vec<Vec<Expr>> = rows.iter().map(|row| self.exprs(row)).collect::<Result<_>>()?;
                sorted(Arc::new(Plan::Values(rows.into())), query, width)
            }
            Body::Set { operation, all, left, right } => {
                let (left, right) = (self.query(left)?, self.query(right)?);
                sorted(plan_set(*operation, *all, left, right), query, width)
            }
            Body::Change(change) => self.change(change, true)?,
            Body::With { changes, query } => self.with(changes, query)?,
        };
        if query.limit.is_some() || query.offset.is_some() {
            let mut part = |expr: &Option<Expr>| match expr {
                Some(expr) => self.expr(expr).map(|expr| Some(Arc::new(expr))),
                None => Ok(None),
            };
            let (limit, offset) = (part(&query.limit)?, part(&query.offset)?);
            plan = Arc::new(Plan::Limit { input: plan, limit, offset });
        }
        Ok(plan)
    }

    fn with(
        &mut self,
        changes: &[crate::sql::analyze::tree::SharedQuery],
        query: &Query,
    ) -> Result<Arc<Plan>> {
        let mut planned = Vec::new();
        for shared in changes {
            let plan = match &shared.query.body {
                Body::Change(change) => self.change(change, false)?,
                _ => self.query(&shared.query)?,
            };
            planned.push((shared.number, plan));
        }
        Ok(Arc::new(Plan::With { changes: planned.into(), input: self.query(query)? }))
    }

    fn select(&mut self, select: &Select, query: &Query, width: usize) -> Result<Arc<Plan>> {
        let mut select = select.clone();
        let needed = needed_columns(&mut select, query);
        let mut conditions = Vec::new();
        if let Some(filter) = select.filter.take() {
            conjuncts(filter, &mut conditions);
        }
        let recheck = if query.locking.is_empty() { None } else { all_of(conditions.clone()) };
        let made = match &select.from {
            Some(from) => self.from(from, &needed, conditions)?,
            None => self.no_from(conditions)?,
        };
        place_columns(&mut select, &made.places);
        if !query.locking.is_empty() {
            return self.locking_select(&select, query, made, recheck);
        }
        self.select_above(&select, query, made, width)
    }

    fn no_from(&mut self, conditions: Vec<Expr>) -> Result<Made> {
        let mut plan = Arc::new(Plan::OneRow);
        if let Some(condition) = all_of(conditions) {
            let condition = Arc::new(self.expr(&condition)?);
            plan = Arc::new(Plan::Filter { input: plan, condition });
        }
        Ok(Made { plan, places: Places::default(), width: 0, rows: 1.0 })
    }

    /// What stands above FROM and WHERE.
    fn select_above(
        &mut self,
        select: &Select,
        query: &Query,
        made: Made,
        width: usize,
    ) -> Result<Arc<Plan>> {
        let (mut plan, mut row_width) = (made.plan, made.width);
        let mut order_is_made = false;
        if let Some(grouping) = &select.grouping {
            row_width = grouping.keys.len() + grouping.aggregates.len();
            let keys = self.exprs(&grouping.keys)?;
            let aggregates: Vec<AggregateCall> =
                grouping.aggregates.iter().map(|call| self.aggregate(call)).collect::<Result<_>>()?;
            plan =
                Arc::new(Plan::Aggregate { input: plan, keys: keys.into(), aggregates: aggregates.into() });
        } else if select.distinct.is_none() && select.set_calls.is_empty() {
            (plan, order_is_made) = ordered(plan, select, query);
        }
        if let Some(having) = &select.having {
            plan = Arc::new(Plan::Filter { input: plan, condition: Arc::new(self.expr(having)?) });
        }
        let mut targets = self.exprs(&select.targets)?;
        if !select.set_calls.is_empty() {
            let mut calls = select.set_calls.clone();
            calls.iter_mut().flat_map(|call| &mut call.args).try_for_each(|arg| self.finish(arg, false))?;
            plan = Arc::new(Plan::ProjectSet { input: plan, calls: calls.into() });
            targets.iter_mut().for_each(|target| set_calls_to_columns(target, row_width));
        }
        if order_is_made {
            targets.truncate(width);
            return Ok(Arc::new(Plan::Project { input: plan, exprs: targets.into() }));
        }
        let made = targets.len();
        plan = Arc::new(Plan::Project { input: plan, exprs: targets.into() });
        Ok(finish_select(plan, select, query, made, width))
    }

    /// Rows are locked when they are in order already, just before they are answered, so that `LIMIT` leaves the others
    /// alone.
    fn locking_select(
        &mut self,
        select: &Select,
        query: &Query,
        made: Made,
        recheck: Option<Expr>,
    ) -> Result<Arc<Plan>> {
        let Made { mut plan, places, width, .. } = made;
        let order_is_made;
        (plan, order_is_made) = ordered(plan, select, query);
        if !query.order_by.is_empty() && !order_is_made {
            let column = |index| {
                Expr::Column(Column {
                    level: 0,
                    index,
                    ty: crate::sql::types::Type::UNKNOWN,
                    typmod: -1,
                    at: None,
                })
            };
            let mut exprs: Vec<Expr> = (0..width).map(column).collect();
            let mut keys = Vec::new();
            for key in &query.order_by {
                keys.push(SortKey { column: exprs.len(), ..*key });
                exprs.push(self.expr(&select.targets[key.column])?);
            }
            plan = Arc::new(Plan::Project { input: plan, exprs: exprs.into() });
            plan = Arc::new(Plan::Sort { input: plan, keys: keys.into(), kept: width });
        }
        let mut locks = query.locking.clone();
        for lock in &mut locks {
            lock.at = places.0.get(lock.at).copied().flatten().unwrap_or(0);
        }
        let recheck = match recheck {
            Some(mut condition) => {
                places.apply(&mut condition);
                Some(self.expr(&condition)?)
            }
            None => None,
        };
        plan = Arc::new(Plan::LockRows(Arc::new(LockRows { input: plan, locks, recheck })));
        let mut targets = self.exprs(&select.targets)?;
        targets.truncate(query.columns.len());
        Ok(Arc::new(Plan::Project { input: plan, exprs: targets.into() }))
    }

    fn aggregate(&mut self, call: &AggregateCall) -> Result<AggregateCall> {
        let mut call = call.clone();
        call.args.iter_mut().chain(&mut call.filter).try_for_each(|expr| self.finish(expr, false))?;
        Ok(call)
    }

    /// Several expressions, finished.
    pub fn exprs(&mut self, exprs: &[Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    /// The expression with plans in place of its queries and values in place of what can be computed already.
    pub fn expr(&mut self, expr: &Expr) -> Result<Expr> {
        let mut expr = expr.clone();
        self.finish(&mut expr, false)?;
        Ok(expr)
    }

    /// The same in place. `lazy`: it may never be asked for.
    pub fn finish(&mut self, expr: &mut Expr, lazy: bool) -> Result<()> {
        if let Expr::Subquery(subquery) = expr
            && subquery.plan.is_none()
        {
            self.depth += 1;
            let plan = self.query(&subquery.query);
            self.depth -= 1;
            let plan = plan?;
            // Whether there is a row is known from the first one.
            subquery.plan = Some(match subquery.kind {
                SubqueryKind::Exists => Arc::new(Plan::Narrow { input: plan, kept: 0 }),
                _ => plan,
            });
        }
        let lazy_below = lazy || lazy_parts(expr);
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || {
            expr.children_mut().into_iter().try_for_each(|child| self.finish(child, lazy_below))
        })?;
        fold(expr, lazy, self.evaluate)
    }
}

/// The columns of FROM that something above it reads; the conditions of WHERE are not above it.
fn needed_columns(select: &mut Select, query: &Query) -> Columns {
    let mut needed = Columns::new();
    let of_set_calls = select.set_calls.iter().flat_map(|call| &call.args);
    match &select.grouping {
        Some(grouping) => {
            let of_aggregates =
                grouping.aggregates.iter().flat_map(|call| call.args.iter().chain(&call.filter));
            grouping.keys.iter().chain(of_aggregates).for_each(|expr| note_columns(expr, &mut needed));
        }
        None => select.targets.iter().chain(of_set_calls).for_each(|expr| note_columns(expr, &mut needed)),
    }
    for lock in &query.locking {
        let columns = lock.relation.columns.len();
        needed.extend(lock.at..=lock.at + columns + CTID);
        select.filter.iter().for_each(|filter| note_columns(filter, &mut needed));
    }
    needed
}

/// Rewrites what reads FROM's rows.
fn place_columns(select: &mut Select, places: &Places) {
    match &mut select.grouping {
        Some(grouping) => {
            let of_aggregates =
                grouping.aggregates.iter_mut().flat_map(|call| call.args.iter_mut().chain(&mut call.filter));
            grouping.keys.iter_mut().chain(of_aggregates).for_each(|expr| places.apply(expr));
        }
        None => {
            let of_set_calls = select.set_calls.iter_mut().flat_map(|call| &mut call.args);
            select.targets.iter_mut().chain(of_set_calls).for_each(|expr| places.apply(expr));
        }
    }
}

/// Has an index make the order of a query that reads one table, where that spares the sort.
fn ordered(plan: Arc<Plan>, select: &Select, query: &Query) -> (Arc<Plan>, bool) {
    let Plan::Table(scan) = &*plan else { return (plan, false) };
    if query.order_by.is_empty() || !matches!(select.from, Some(From::Table(_))) {
        return (plan, false);
    }
    let mut keys = Vec::new();
    for key in &query.order_by {
        let Some(Expr::Column(column)) = select.targets.get(key.column) else { return (plan, false) };
        let Some(&of_table) = scan.columns.get(column.index).filter(|_| column.level == 0) else {
            return (plan, false);
        };
        keys.push((of_table, key.descending, key.nulls_first));
    }
    // To read a whole table by an index is worth it only where few rows are asked for.
    if matches!(scan.path, Path::Sequential) && query.limit.is_none() {
        return (plan, false);
    }
    let Some((index, backward)) = paths::ordered_by(&scan.relation, &scan.path, &keys) else {
        return (plan, false);
    };
    let mut scan = (**scan).clone();
    scan.path = match scan.path {
        Path::Index { tests, .. } => Path::Index { index, tests, backward },
        _ => Path::Index { index, tests: Vec::new(), backward },
    };
    (Arc::new(Plan::Table(Arc::new(scan))), true)
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
    if let Expr::SetCall(index, ty) = expr {
        *expr = Expr::Column(Column { level: 0, index: row_width + *index, ty: *ty, typmod: -1, at: None });
        return;
    }
    expr.children_mut().into_iter().for_each(|child| set_calls_to_columns(child, row_width));
}
