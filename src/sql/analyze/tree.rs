//! Analysed queries.

use std::sync::Arc;

use crate::sql::types::Type;
use crate::sql::views::SystemView;

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
}

/// What makes rows.
#[derive(Clone, Debug)]
pub enum Body {
    /// `SELECT`.
    Select(Box<Select>),
    /// `VALUES`.
    Values(Vec<Vec<Expr>>),
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

/// Where rows come from.
#[derive(Clone, Debug)]
pub enum From {
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
        }
    }
}

impl Select {
    fn each_column(&mut self, level: usize, change: &mut dyn FnMut(&mut Column)) {
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
            Self::View(..) => {}
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
}
