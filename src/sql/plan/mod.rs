//! From analysed trees to plans: which node does what, in which order.
//!
//! Without tables there is one way for each query, so nothing is chosen by cost yet; the tree is walked once, bottom up.
//! Access paths and their costs come here when there are tables, between the analysed tree and these nodes.

pub mod explain;
mod fold;
mod planner;

use std::sync::Arc;

use crate::sql::analyze::expr::{AggregateCall, Expr, SetCallExpr};
use crate::sql::analyze::tree::{FunctionSource, JoinKind, SetOperation, SortKey};
use crate::sql::views::SystemView;

pub use fold::Evaluate;
pub use planner::{plan_expr, plan_query};

/// A node: where rows come from, and what is done to them.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One row without columns.
    OneRow,
    /// Rows of expressions.
    Values(Arc<[Vec<Expr>]>),
    /// A view's rows.
    View(SystemView, Arc<str>),
    /// A function's rows.
    Function { call: Arc<FunctionSource>, alias: Arc<str>, ordinality: bool },
    /// A query's rows, under a name.
    Subquery { input: Arc<Plan>, alias: Arc<str> },
    /// Rows that a condition holds for.
    Filter { input: Arc<Plan>, condition: Arc<Expr> },
    /// Rows made of other rows.
    Project { input: Arc<Plan>, exprs: Arc<[Expr]> },
    /// Each row as often as the functions return rows, with their columns behind it.
    ProjectSet { input: Arc<Plan>, calls: Arc<[SetCallExpr]> },
    /// Every row with every row of the other side.
    NestLoop(Arc<NestLoop>),
    /// A row for each group.
    Aggregate { input: Arc<Plan>, keys: Arc<[Expr]>, aggregates: Arc<[AggregateCall]> },
    /// Sorted rows, of which only the first columns are kept.
    Sort { input: Arc<Plan>, keys: Arc<[SortKey]>, kept: usize },
    /// Rows without their like; with keys, only those columns are looked at.
    Unique { input: Arc<Plan>, keys: Option<Arc<[usize]>> },
    /// Only the first columns.
    Narrow { input: Arc<Plan>, kept: usize },
    /// Some of the rows.
    Limit { input: Arc<Plan>, limit: Option<Arc<Expr>>, offset: Option<Arc<Expr>> },
    /// One input's rows, then the other's.
    Append(Vec<Arc<Plan>>),
    /// Two inputs' rows set against each other.
    SetOperation { operation: SetOperation, all: bool, left: Arc<Plan>, right: Arc<Plan> },
}

/// A join.
#[derive(Clone, Debug)]
pub struct NestLoop {
    /// Which rows are kept without a partner.
    pub kind: JoinKind,
    /// The left side.
    pub left: Arc<Plan>,
    /// How many columns it has.
    pub left_width: usize,
    /// The right side.
    pub right: Arc<Plan>,
    /// How many columns it has.
    pub right_width: usize,
    /// The condition.
    pub on: Option<Expr>,
    /// Whether the right side is made anew for each row of the left, which it sees one level up.
    pub lateral: bool,
}
