//! Analysed expressions: every name resolved, every type known, every conversion spelled out.

use std::sync::Arc;

use crate::sql::functions::{Implementation, aggregate::AggregateKind};
use crate::sql::plan::Plan;
use crate::sql::types::{Datum, Type};

use super::tree::Query;

/// An expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A value.
    Const(Datum, Type),
    /// A parameter's value, counted from 0.
    Param(usize, Type),
    /// A column of the row at hand (level 0) or of a row of a query around it.
    Column(Column),
    /// A function or operator.
    Call(Box<CallExpr>),
    /// All of them, in three-valued logic.
    And(Vec<Expr>),
    /// Any of them.
    Or(Vec<Expr>),
    /// The opposite.
    Not(Box<Expr>),
    /// `IS [NOT] NULL`.
    IsNull { input: Box<Expr>, negated: bool },
    /// `IS [NOT] TRUE|FALSE`.
    IsBool { input: Box<Expr>, value: bool, negated: bool },
    /// `IS [NOT] DISTINCT FROM`, by the equality operator's function.
    Distinct { equal: Box<CallExpr>, negated: bool },
    /// `NULLIF`, by the equality operator's function; the first argument as it was.
    NullIf { equal: Box<CallExpr>, value: Box<Expr> },
    /// `CASE`; with an operand, the conditions compare with [`Expr::CaseOperand`].
    Case { operand: Option<Box<Expr>>, arms: Vec<(Expr, Expr)>, otherwise: Box<Expr>, ty: Type },
    /// The operand of the innermost `CASE`.
    CaseOperand(Type),
    /// `COALESCE`.
    Coalesce(Vec<Expr>, Type),
    /// `GREATEST` and `LEAST`.
    MinMax { greatest: bool, items: Vec<Expr>, ty: Type },
    /// `ARRAY[…]`; with `nested`, the items are arrays of one more dimension.
    Array { items: Vec<Expr>, element: Type, nested: bool },
    /// `operator ANY|ALL (array)`: the call's second argument is each element.
    AnyAll { call: Box<CallExpr>, all: bool, array: Box<Expr> },
    /// A cast.
    Convert { input: Box<Expr>, to: Type, explicit: bool },
    /// A length or precision enforced.
    Typmod { input: Box<Expr>, ty: Type, typmod: i32, explicit: bool },
    /// `ROW(…)`.
    Row(Vec<Expr>),
    /// An element of an array.
    Subscript { array: Box<Expr>, indexes: Vec<Expr>, ty: Type },
    /// A part of an array.
    Slice { array: Box<Expr>, from: Option<Box<Expr>>, to: Option<Box<Expr>> },
    /// A query within an expression.
    Subquery(Box<Subquery>),
    /// An aggregate of the query, until grouping makes it a column.
    Aggregate(usize, Type),
    /// A set-returning function of the select list, until planning makes it a column.
    SetCall(usize, Type),
}

/// Which column of which row.
#[derive(Clone, Debug)]
pub struct Column {
    /// 0 is the row at hand.
    pub level: usize,
    /// Its place in the row.
    pub index: usize,
    /// Its type.
    pub ty: Type,
    /// Its length or precision, -1 if it has none.
    pub typmod: i32,
    /// Where the statement names it.
    pub at: Option<u32>,
}

/// A function or operator with its arguments.
#[derive(Clone)]
pub struct CallExpr {
    /// Its name, for plans.
    pub name: &'static str,
    /// Whether its value depends on nothing but its arguments, so that it can be computed while planning.
    pub immutable: bool,
    /// What it does.
    pub body: Implementation,
    /// Whether a NULL argument makes the result NULL without asking.
    pub strict: bool,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// Their types.
    pub arg_types: Arc<[Type]>,
    /// The result's type.
    pub result: Type,
    /// Columns of the record that it returns; none: one value.
    pub outs: &'static [(&'static str, Type)],
}

impl std::fmt::Debug for CallExpr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple(self.name).field(&self.args).finish()
    }
}

/// A set-returning function with its arguments.
#[derive(Clone)]
pub struct SetCallExpr {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub body: crate::sql::functions::SetImplementation,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// Their types.
    pub arg_types: Arc<[Type]>,
    /// The type of its rows.
    pub result: Type,
    /// Whether a NULL argument makes it return no rows.
    pub strict: bool,
    /// Columns of its records; none: one value a row.
    pub outs: &'static [(&'static str, Type)],
}

impl std::fmt::Debug for SetCallExpr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple(self.name).field(&self.args).finish()
    }
}

/// What a query within an expression gives.
#[derive(Clone, Debug)]
pub enum SubqueryKind {
    /// Its one row's one column, NULL without a row.
    Scalar,
    /// Whether it has a row.
    Exists,
    /// Whether the call holds for any or all rows: its second argument is [`Expr::CaseOperand`], each row's value.
    Compare { call: CallExpr, all: bool },
    /// Its rows' values as an array.
    Array,
}

/// A query within an expression.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What it gives.
    pub kind: SubqueryKind,
    /// The query.
    pub query: Arc<Query>,
    /// Its plan, once planned.
    pub plan: Option<Arc<Plan>>,
    /// The result's type.
    pub ty: Type,
}

/// An aggregate with its arguments.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// Its name.
    pub name: &'static str,
    /// What it computes.
    pub kind: AggregateKind,
    /// Its arguments; none for `count(*)`.
    pub args: Vec<Expr>,
    /// Whether equal inputs count once.
    pub distinct: bool,
    /// The order of its inputs: keys among `args`, extra ones behind them.
    pub order_by: Vec<super::tree::SortKey>,
    /// How many of `args` are arguments; the rest are sort keys.
    pub arg_count: usize,
    /// Which rows it sees.
    pub filter: Option<Expr>,
    /// The result's type.
    pub ty: Type,
}

impl Expr {
    /// NULL of a type.
    pub fn null(ty: Type) -> Self {
        Self::Const(Datum::Null, ty)
    }

    /// The type of its values.
    pub fn ty(&self) -> Type {
        match self {
            Self::Const(_, ty)
            | Self::Param(_, ty)
            | Self::CaseOperand(ty)
            | Self::Coalesce(_, ty)
            | Self::Aggregate(_, ty)
            | Self::SetCall(_, ty) => *ty,
            Self::Column(column) => column.ty,
            Self::Call(call) => call.result,
            Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::IsNull { .. }
            | Self::IsBool { .. }
            | Self::Distinct { .. }
            | Self::AnyAll { .. } => Type::BOOL,
            Self::NullIf { value, .. } => value.ty(),
            Self::Case { ty, .. }
            | Self::MinMax { ty, .. }
            | Self::Typmod { ty, .. }
            | Self::Subscript { ty, .. } => *ty,
            Self::Convert { to, .. } => *to,
            Self::Array { element, .. } => element.array().unwrap_or(Type::TEXT_ARRAY),
            Self::Row(_) => Type::RECORD,
            Self::Slice { array, .. } => array.ty(),
            Self::Subquery(subquery) => subquery.ty,
        }
    }

    /// Its length or precision, -1 if it has none.
    pub fn typmod(&self) -> i32 {
        match self {
            Self::Typmod { typmod, .. } => *typmod,
            Self::Column(column) => column.typmod,
            _ => -1,
        }
    }

    /// The expressions right within it, without those of its subqueries.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Const(..)
            | Self::Param(..)
            | Self::Column(_)
            | Self::CaseOperand(_)
            | Self::Aggregate(..)
            | Self::SetCall(..) => Vec::new(),
            Self::Call(call) => call.args.iter_mut().collect(),
            Self::And(items) | Self::Or(items) | Self::Coalesce(items, _) | Self::Row(items) => {
                items.iter_mut().collect()
            }
            Self::Array { items, .. } | Self::MinMax { items, .. } => items.iter_mut().collect(),
            Self::Not(input)
            | Self::IsNull { input, .. }
            | Self::IsBool { input, .. }
            | Self::Convert { input, .. }
            | Self::Typmod { input, .. } => vec![input],
            Self::Distinct { equal, .. } => equal.args.iter_mut().collect(),
            Self::NullIf { equal, value } => equal.args.iter_mut().chain([&mut **value]).collect(),
            Self::Case { operand, arms, otherwise, .. } => {
                let arms = arms.iter_mut().flat_map(|(test, result)| [test, result]);
                operand.as_deref_mut().into_iter().chain(arms).chain([&mut **otherwise]).collect()
            }
            Self::AnyAll { call, array, .. } => call.args.iter_mut().chain([&mut **array]).collect(),
            Self::Subscript { array, indexes, .. } => {
                [&mut **array].into_iter().chain(indexes.iter_mut()).collect()
            }
            Self::Slice { array, from, to } => {
                [&mut **array].into_iter().chain(from.as_deref_mut()).chain(to.as_deref_mut()).collect()
            }
            Self::Subquery(subquery) => match &mut subquery.kind {
                SubqueryKind::Compare { call, .. } => call.args.iter_mut().collect(),
                _ => Vec::new(),
            },
        }
    }

    /// Calls `change` for every column of the row `level` levels up, in subqueries too.
    pub fn each_column(&mut self, level: usize, change: &mut dyn FnMut(&mut Column)) {
        if let Self::Column(column) = self
            && column.level == level
        {
            change(column);
        }
        if let Self::Subquery(subquery) = self {
            Arc::make_mut(&mut subquery.query).each_column(level + 1, change);
        }
        for child in self.children_mut() {
            child.each_column(level, change);
        }
    }

    /// Whether both compute the same, as far as their shape tells.
    pub fn same(&self, other: &Expr) -> bool {
        match (self, other) {
            (Self::Column(a), Self::Column(b)) => a.level == b.level && a.index == b.index,
            _ => without_places(self) == without_places(other),
        }
    }
}

/// The tree as text, with the places that columns were named at taken out.
fn without_places(expr: &Expr) -> String {
    let mut copy = expr.clone();
    forget_places(&mut copy);
    format!("{copy:?}")
}

fn forget_places(expr: &mut Expr) {
    if let Expr::Column(column) = expr {
        column.at = None;
    }
    for child in expr.children_mut() {
        forget_places(child);
    }
}
