//! Nodes that touch tables, as plans have them.

use std::sync::Arc;

use crate::access::btree::ScanOp;
use crate::catalog::descriptor::RelationDescriptor;
use crate::sql::analyze::expr::Expr;
use crate::sql::analyze::tree::{Check, JoinKind, RowLocking};
use crate::sql::types::Type;

use super::Plan;

/// A table's rows that a condition holds for.
#[derive(Clone, Debug)]
pub struct TableScan {
    /// The table.
    pub relation: Arc<RelationDescriptor>,
    /// Its name in the statement.
    pub alias: Arc<str>,
    /// Which columns the rows have, the system's counted behind the table's own; those that the condition reads come with
    /// them.
    pub columns: Vec<usize>,
    /// How many of them, from the first, are handed up; the rest is for the condition only.
    pub width: usize,
    /// What must hold, in terms of these columns.
    pub filter: Option<Expr>,
    /// How they are found.
    pub path: Path,
}

/// How a table's rows are found.
#[derive(Clone, Debug)]
pub enum Path {
    /// From its first block to its last.
    Sequential,
    /// By an index, in its order or against it.
    Index { index: usize, tests: Vec<IndexTest>, backward: bool },
    /// By their address.
    Address(Expr),
}

/// A condition on a column of an index.
#[derive(Clone, Debug)]
pub struct IndexTest {
    /// Which, from 0.
    pub column: usize,
    /// How its value is to stand to the other one.
    pub op: ScanOp,
    /// The column's type.
    pub ty: Type,
    /// The other value, which no column of the table is part of.
    pub value: Expr,
}

/// Rows of two sides whose keys are equal; the right side's are kept in a table of hashes.
#[derive(Clone, Debug)]
pub struct HashJoin {
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
    /// Keys of left rows.
    pub left_keys: Vec<Expr>,
    /// Keys of right rows.
    pub right_keys: Vec<Expr>,
    /// What else must hold of both.
    pub on: Option<Expr>,
}

/// Rows that are locked as they go by.
#[derive(Clone, Debug)]
pub struct LockRows {
    /// Where they come from.
    pub input: Arc<Plan>,
    /// Tables and where their columns begin in the rows: all of their own, then `ctid`.
    pub locks: Vec<RowLocking>,
    /// What must hold still if a row was changed meanwhile.
    pub recheck: Option<Expr>,
}

/// Rows written to a table.
#[derive(Clone, Debug)]
pub struct Modify {
    /// How.
    pub kind: ModifyKind,
    /// The table.
    pub relation: Arc<RelationDescriptor>,
    /// Its name in the statement.
    pub alias: Arc<str>,
    /// Where rows come from.
    pub input: Arc<Plan>,
    /// What must not be false of a new row: its own columns, then the system's.
    pub checks: Vec<Check>,
    /// Columns that are computed from the others.
    pub generated: Vec<(usize, Expr)>,
    /// What is answered; none: nothing.
    pub returning: Option<Vec<Expr>>,
    /// Whether the statement's tag counts its rows.
    pub is_main: bool,
}

/// How rows are written.
#[derive(Clone, Debug)]
pub enum ModifyKind {
    /// New rows of these values.
    Insert { row: Vec<Expr>, on_conflict: Option<OnConflict> },
    /// New values of some columns. `at`: where the table's columns begin in the input's rows, `ctid` behind them.
    Update { at: usize, set: Vec<(usize, Expr)>, recheck: Option<Expr>, changes_keys: bool },
    /// The rows go.
    Delete { at: usize, recheck: Option<Expr> },
}

/// What happens to a row whose key is there already.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// In which indexes.
    pub indexes: Vec<usize>,
    /// What.
    pub action: ConflictAction,
}

/// See [`OnConflict`].
#[derive(Clone, Debug)]
pub enum ConflictAction {
    /// It is left out.
    Nothing,
    /// The other row, whose columns stand before those that were to be inserted, is changed.
    Update { set: Vec<(usize, Expr)>, filter: Option<Expr> },
}
