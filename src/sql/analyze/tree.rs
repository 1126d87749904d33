//! Analysed queries.

use std::sync::Arc;

use crate::access::heap::RowLock;
use crate::catalog::descriptor::RelationDescriptor;
use crate::sql::parse::tree::LockWait;
use crate::sql::tables::SYSTEM_COLUMNS;
use crate::sql::types::Type;
use crate::sql::views::SystemView;

use super::environment::UsedRelation;
use super::expr::{AggregateCall, Column, Expr, SetCallExpr};

/// A column that a query answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Its length or precision, -1 if it has none.
    pub typmod: i32,
    /// Where the statement writes it.
    pub at: Option<u32>,
}

/// A query with its order and limits.
#[derive(Clone, Debug)]
pub struct Query {
    /// What makes its rows.
    pub body: Body,
    /// Keys among the body's columns.
    pub order_by: Vec<SortKey>,
    /// `LIMIT`.
    pub limit: Option<Expr>,
    /// `OFFSET`.
    pub offset: Option<Expr>,
    /// What it answers; the body may have more columns behind these, for sorting.
    pub columns: Vec<OutputColumn>,
    /// `FOR UPDATE` and its kin, of tables right in its `FROM`.
    pub locking: Vec<RowLocking>,
}

/// Rows of a table that are locked as they are read.
#[derive(Clone, Debug)]
pub struct RowLocking {
    /// The table.
    pub relation: Arc<RelationDescriptor>,
    /// Where its columns begin in the rows of FROM.
    pub at: usize,
    /// How strongly.
    pub lock: RowLock,
    /// What to do about a row that others have.
    pub wait: LockWait,
}

/// What makes rows.
#[derive(Clone, Debug)]
pub enum Body {
    /// `SELECT`.
    Select(Box<Select>),
    /// `VALUES`.
    Values(Vec<Vec<Expr>>),
    /// `INSERT`, `UPDATE` or `DELETE`, with what `RETURNING` says.
    Change(Box<Change>),
    /// A query behind others that change rows and are run first, whether it reads what they return or not.
    With { changes: Vec<SharedQuery>, query: Box<Query> },
    /// `UNION` and its kin, of queries whose columns have the same types.
    Set { operation: SetOperation, all: bool, left: Box<Query>, right: Box<Query> },
}

/// How two queries' rows become one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperation {
    /// The rows of both.
    Union,
    /// The rows that both have.
    Intersect,
    /// The rows that only the left one has.
    Except,
}

/// `SELECT`.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// Where rows come from; one empty row if from nowhere.
    pub from: Option<From>,
    /// `WHERE`.
    pub filter: Option<Expr>,
    /// `GROUP BY` and aggregates. Behind them, columns are the grouping's: keys first, then aggregates.
    pub grouping: Option<Grouping>,
    /// `HAVING`.
    pub having: Option<Expr>,
    /// Set-returning functions of the select list; their columns stand behind the row's.
    pub set_calls: Vec<SetCallExpr>,
    /// The columns, then what is only sorted by.
    pub targets: Vec<Expr>,
    /// `DISTINCT`.
    pub distinct: Option<Distinct>,
}

/// Groups and what is computed for each.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// The keys; with none all rows are one group, which is there even without rows.
    pub keys: Vec<Expr>,
    /// The aggregates.
    pub aggregates: Vec<AggregateCall>,
}

/// Which rows count as equal.
#[derive(Clone, Debug)]
pub enum Distinct {
    /// Those whose columns are.
    All,
    /// Those whose keys, indexes of targets, are.
    On(Vec<usize>),
}

/// A key to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// Index of the column.
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// Where NULLs go.
    pub nulls_first: bool,
}

/// A query whose rows are made once and read wherever its name stands.
#[derive(Clone, Debug)]
pub struct SharedQuery {
    /// Which, of those of the statement.
    pub number: usize,
    /// The query.
    pub query: Arc<Query>,
}

/// A table in `FROM`.
#[derive(Clone, Debug)]
pub struct TableSource {
    /// What it is.
    pub relation: Arc<RelationDescriptor>,
    /// Its name here.
    pub alias: String,
}

impl TableSource {
    /// How many columns its rows have: its own, dropped ones too, then the system's.
    pub fn width(&self) -> usize {
        self.relation.columns.len() + SYSTEM_COLUMNS.len()
    }
}

/// A statement that changes a table's rows.
///
/// Rows that its expressions see begin with the table's columns, followed by the system's; behind those stand `excluded`'s,
/// or the columns of what is joined.
#[derive(Clone, Debug)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The table.
    pub relation: Arc<RelationDescriptor>,
    /// Its name here.
    pub alias: String,
    /// What must not be false of a new row.
    pub checks: Vec<Check>,
    /// Columns that are computed from the others.
    pub generated: Vec<(usize, Expr)>,
    /// What is answered.
    pub returning: Vec<Expr>,
}

/// How rows are changed.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// New rows, each made of a row of the source.
    Insert { source: Box<Query>, row: Vec<Expr>, on_conflict: Option<OnConflict> },
    /// New versions of the rows that the condition holds for.
    Update { from: From, filter: Option<Expr>, set: Vec<(usize, Expr)> },
    /// The rows that the condition holds for go.
    Delete { from: From, filter: Option<Expr> },
}

/// A check constraint.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What must not be false.
    pub condition: Expr,
}

/// `ON CONFLICT`.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// Indexes whose duplicates are no errors.
    pub indexes: Vec<usize>,
    /// What happens instead.
    pub action: ConflictAction,
}

/// What happens to a row that has a duplicate.
#[derive(Clone, Debug)]
pub enum ConflictAction {
    /// It is left out.
    Nothing,
    /// The other row is changed.
    Update { set: Vec<(usize, Expr)>, filter: Option<Expr> },
}

impl Change {
    /// Calls `change` for every column that refers `level` levels up.
    fn each_column(&mut self, level: usize, change: &mut dyn FnMut(&mut Column)) {
        let checks = self.checks.iter_mut().map(|check| &mut check.condition);
        let generated = self.generated.iter_mut().map(|(_, expr)| expr);
        for expr in self.returning.iter_mut().chain(checks).chain(generated) {
            expr.each_column(level, change);
        }
        match &mut self.kind {
            ChangeKind::Insert { source, row, on_conflict } => {
                source.each_column(level, change);
                row.iter_mut().for_each(|expr| expr.each_column(level, change));
                if let Some(OnConflict { action: ConflictAction::Update { set, filter }, .. }) = on_conflict {
                    let set = set.iter_mut().map(|(_, expr)| expr);
                    set.chain(filter).for_each(|expr| expr.each_column(level, change));
                }
            }
            ChangeKind::Update { from, filter, set } => {
                from.each_column(level, change);
                let set = set.iter_mut().map(|(_, expr)| expr);
                set.chain(filter).for_each(|expr| expr.each_column(level, change));
            }
            ChangeKind::Delete { from, filter } => {
                from.each_column(level, change);
                filter.iter_mut().for_each(|expr| expr.each_column(level, change));
            }
        }
    }
}

/// Where rows come from.
#[derive(Clone, Debug)]
pub enum From {
    /// A table.
    Table(TableSource),
    /// The rows of a query that is run once, its number and how many columns they have.
    Shared { number: usize, width: usize, alias: String },
    /// A view that the host has the rows of.
    View(SystemView, String),
    /// A function that returns rows; one that does not is called once.
    Function { call: FunctionSource, alias: String, ordinality: bool },
    /// A query.
    Subquery { query: Box<Query>, alias: String },
    /// Two of them.
    Join(Box<Join>),
}

/// A function in `FROM`.
#[derive(Clone, Debug)]
pub enum FunctionSource {
    /// It returns a set.
    Set(SetCallExpr),
    /// It returns one value.
    Scalar(Box<Expr>),
}

impl FunctionSource {
    /// The columns of its records; none: it returns plain values.
    pub fn outs(&self) -> &'static [(&'static str, Type)] {
        match self {
            Self::Set(call) => call.outs,
            Self::Scalar(expr) => match &**expr {
                Expr::Call(call) => call.outs,
                _ => &[],
            },
        }
    }
}

/// Which rows a join keeps without a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// The left side's.
    Left,
    /// The right side's.
    Right,
    /// Both sides'.
    Full,
}

/// A join.
#[derive(Clone, Debug)]
pub struct Join {
    /// Which rows are kept.
    pub kind: JoinKind,
    /// The left side.
    pub left: From,
    /// How many columns it has.
    pub left_width: usize,
    /// The right side.
    pub right: From,
    /// How many columns it has.
    pub right_width: usize,
    /// The condition on both sides' columns.
    pub on: Option<Expr>,
    /// Whether the right side sees the left one's row, one level up.
    pub lateral: bool,
}

impl Query {
    /// Calls `change` for every column that refers `level` levels up from this query's own rows.
    pub fn each_column(&mut self, level: usize, change: &mut dyn FnMut(&mut Column)) {
        for expr in self.limit.iter_mut().chain(&mut self.offset) {
            expr.each_column(level, change);
        }
        match &mut self.body {
            Body::Values(rows) => rows.iter_mut().flatten().for_each(|expr| expr.each_column(level, change)),
            Body::Set { left, right, .. } => {
                left.each_column(level, change);
                right.each_column(level, change);
            }
            Body::Select(select) => select.each_column(level, change),
            Body::Change(body) => body.each_column(level, change),
            Body::With { changes, query } => {
                for shared in changes {
                    Arc::make_mut(&mut shared.query).each_column(level, change);
                }
                query.each_column(level, change);
            }
        }
    }
}

impl Select {
    /// Calls `change` for every column that refers `level` levels up.
    pub fn each_column(&mut self, level: usize, change: &mut dyn FnMut(&mut Column)) {
        if let Some(from) = &mut self.from {
            from.each_column(level, change);
        }
        let grouping = self.grouping.iter_mut().flat_map(|grouping| {
            let of_aggregates =
                grouping.aggregates.iter_mut().flat_map(|call| call.args.iter_mut().chain(&mut call.filter));
            grouping.keys.iter_mut().chain(of_aggregates)
        });
        let set_calls = self.set_calls.iter_mut().flat_map(|call| &mut call.args);
        let exprs = self.targets.iter_mut().chain(&mut self.filter).chain(&mut self.having);
        exprs.chain(grouping).chain(set_calls).for_each(|expr| expr.each_column(level, change));
    }
}

impl From {
    /// Calls `change` for every column that refers `level` levels up from the rows made here.
    pub fn each_column(&mut self, level: usize, change: &mut dyn FnMut(&mut Column)) {
        match self {
            Self::View(..) | Self::Table(_) | Self::Shared { .. } => {}
            Self::Function { call: FunctionSource::Set(call), .. } => {
                call.args.iter_mut().for_each(|expr| expr.each_column(level, change));
            }
            Self::Function { call: FunctionSource::Scalar(expr), .. } => expr.each_column(level, change),
            // A query in FROM stands beside its select's rows, not below them: the levels count the same.
            Self::Subquery { query, .. } => query.each_column(level, change),
            Self::Join(join) => {
                join.left.each_column(level, change);
                let right_level = level + usize::from(join.lateral && level > 0);
                join.right.each_column(right_level, change);
                if let Some(on) = &mut join.on {
                    on.each_column(level, change);
                }
            }
        }
    }
}

/// An analysed statement: its tree, and the types of its parameters.
#[derive(Clone, Debug)]
pub struct Analysed {
    /// The query.
    pub query: Arc<Query>,
    /// Types of `$1` and so on.
    pub params: Vec<Type>,
    /// Relations that it uses.
    pub relations: Vec<UsedRelation>,
}
