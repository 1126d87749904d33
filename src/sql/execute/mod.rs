//! Running plans: a tree of nodes that hand up one row at a time when asked for it.

mod aggregation;
pub mod constraints;
pub mod context;
mod eval;
mod hash_join;
pub mod hashing;
mod joins;
mod lock_rows;
pub mod modify;
mod nodes;
pub mod references;
mod rows;
mod scan;
mod shared;
mod sorting;
mod subqueries;
mod updates;

use crate::report::Result;
use crate::sql::plan::Plan;
use crate::sql::types::Row;

pub use context::{Context, Times};
pub use eval::eval;

/// A node of a running plan.
pub trait Node {
    /// The next row, `None` behind the last.
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>>;
}

/// A running plan, and everything below it.
pub type BoxNode = Box<dyn Node>;

/// Makes the nodes of a plan; nothing runs before the first row is asked for.
pub fn start(plan: &Plan) -> BoxNode {
    match plan {
        Plan::OneRow => Box::new(nodes::OneRow::default()),
        Plan::Values(rows) => Box::new(nodes::Values::new(rows.clone())),
        Plan::View(view, _) => Box::new(rows::ViewRows::new(*view)),
        Plan::Function { call, ordinality, .. } => {
            Box::new(rows::FunctionRows::new(call.clone(), *ordinality))
        }
        Plan::Table(table) => Box::new(scan::TableRows::new(table.clone())),
        Plan::Shared { number, .. } => Box::new(shared::SharedRows::new(*number)),
        Plan::With { changes, input } => Box::new(shared::With::new(changes.clone(), start(input))),
        Plan::Modify(plan) => Box::new(modify::Modify::new(plan.clone())),
        Plan::LockRows(plan) => Box::new(lock_rows::LockRows::new(plan.clone())),
        Plan::HashJoin(join) => Box::new(hash_join::HashJoin::new(join.clone())),
        Plan::Subquery { input, .. } => start(input),
        Plan::Filter { input, condition } => Box::new(nodes::Filter::new(start(input), condition.clone())),
        Plan::Project { input, exprs } => Box::new(nodes::Project::new(start(input), exprs.clone())),
        Plan::ProjectSet { input, calls } => Box::new(rows::ProjectSet::new(start(input), calls.clone())),
        Plan::NestLoop(join) => Box::new(joins::Join::new(join.clone())),
        Plan::Aggregate { input, keys, aggregates } => {
            Box::new(aggregation::Aggregate::new(start(input), keys.clone(), aggregates.clone()))
        }
        Plan::Sort { input, keys, kept } => Box::new(sorting::Sort::new(start(input), keys.clone(), *kept)),
        Plan::Unique { input, keys } => Box::new(sorting::Unique::new(start(input), keys.clone())),
        Plan::Narrow { input, kept } => Box::new(nodes::Narrow::new(start(input), *kept)),
        Plan::Limit { input, limit, offset } => {
            Box::new(nodes::Limit::new(start(input), limit.clone(), offset.clone()))
        }
        Plan::Append(inputs) => Box::new(nodes::Append::new(inputs.clone())),
        Plan::SetOperation { operation, all, left, right } => {
            Box::new(sorting::SetOperation::new(*operation, *all, start(left), start(right)))
        }
    }
}

/// Every row of a plan.
pub fn collect(plan: &Plan, ctx: &mut Context<'_>) -> Result<Vec<Row>> {
    let mut node = start(plan);
    let mut rows = Vec::new();
    while let Some(row) = node.next(ctx)? {
        rows.push(row);
    }
    Ok(rows)
}
