//! From analysed trees to plans: which node does what, in which order.
//!
//! `planner` walks a query's parts; `from` chooses the order of joins and what reads each table, by `paths`; `change` lays
//! out what writes rows. Nodes give only those columns that something above them reads, so every expression is rewritten
//! from places in the analysed row to places in the row that there will be (`columns`).

mod change;
mod columns;
pub mod explain;
mod fold;
mod from;
mod paths;
mod planner;
mod tables;

use std::sync::Arc;

use crate::sql::analyze::expr::{AggregateCall, Expr, SetCallExpr};
use crate::sql::analyze::tree::{FunctionSource, JoinKind, SetOperation, SortKey};
use crate::sql::views::SystemView;

pub use columns::{columns_of, is_volatile};
pub use planner::{plan_expr, plan_query};
pub use tables::{
    ConflictAction, HashJoin, IndexTest, LockRows, Modify, ModifyKind, OnConflict, Path, TableScan,
};

/// A node: where rows come from, and what is done to them.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One row without columns.
    OneRow,
    /// Rows of expressions.
    Values(Arc<[Vec<Expr>]>),
    /// A view's rows.
    View(SystemView, Arc<str>),
    /// A table's rows.
    Table(Arc<TableScan>),
    /// The rows of a query of `WITH` that is run once.
    Shared { number: usize, alias: Arc<str> },
    /// Queries that are run once, before or while the other one is.
    With { changes: Arc<[(usize, Arc<Plan>)]>, input: Arc<Plan> },
    /// Rows written.
    Modify(Arc<Modify>),
    /// Rows locked.
    LockRows(Arc<LockRows>),
    /// Rows of two sides whose keys are equal.
    HashJoin(Arc<HashJoin>),
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
