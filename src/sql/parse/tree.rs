//! Queries as they are written.
//!
//! Every place is a byte of the query string, counted from 0: an expression's is where its leftmost part begins, as
//! PostgreSQL places what it says of one. Parentheses leave no trace but in the shape of the tree.

#![allow(
    dead_code,
    reason = "the grammar is PostgreSQL's whole one; what analysis refuses it does not look into"
)]

use std::borrow::Cow;

use super::keywords::Keyword;

/// A name with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As written in quotes, else in lower case; at most 63 bytes.
    pub text: String,
    pub at: u32,
}

/// A name with schemas before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualifiedName {
    /// At least one; the last is the object's.
    pub parts: Vec<String>,
    pub at: u32,
}

impl QualifiedName {
    /// The object's own name.
    pub fn last(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// All of it, with dots.
    pub fn dotted(&self) -> String {
        self.parts.join(".")
    }
}

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// From `OPERATOR(schema.op)`.
    pub schema: Vec<String>,
    pub name: Cow<'static, str>,
    pub at: u32,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    /// Where its leftmost part begins.
    pub at: u32,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    Null,
    Bool(bool),
    /// A number as written, perhaps with a sign before it.
    Number(String),
    String(String),
    /// `B'…'`, or `X'…'` with the flag.
    Bits(String, bool),
    Param(u32),
    /// `a.b.c`.
    Column(Vec<String>),
    /// `a.b.*`, or `*` alone.
    Star(Vec<String>),
    /// `operator input`.
    Unary(Box<(Operator, Expr)>),
    /// `left operator right`.
    Binary(Box<(Operator, Expr, Expr)>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Cast(Box<Cast>),
    Function(Box<Function>),
    Case(Box<Case>),
    Array(Vec<Expr>),
    ArrayQuery(Box<Query>),
    /// `ROW(…)`; without the word if the flag is off.
    Row(Vec<Expr>, bool),
    Subquery(Box<Query>),
    Exists(Box<Query>),
    In(Box<In>),
    /// `left operator ANY|ALL (…)`.
    Quantified(Box<Quantified>),
    Between(Box<Between>),
    Like(Box<Like>),
    Is(Box<Expr>, Test, bool),
    /// `IS [NOT] DISTINCT FROM`.
    Distinct(Box<Distinct>),
    /// Fields, elements and slices.
    Indirection(Box<Expr>, Vec<Indirection>),
    Collate(Box<Expr>, QualifiedName),
    /// `CURRENT_DATE` and its kin, with their precision.
    Value(Keyword, Option<i32>),
    Coalesce(Vec<Expr>),
    /// `GREATEST`, or `LEAST`.
    MinMax(bool, Vec<Expr>),
    NullIf(Box<(Expr, Expr)>),
    Grouping(Vec<Expr>),
    /// `DEFAULT`, where a value is assigned.
    Default,
    /// `WHERE CURRENT OF`.
    CurrentOf(String),
}

/// What `IS` tests for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Test {
    Null,
    True,
    False,
    Unknown,
    Document,
    /// `JSON`, of which kind, and whether with unique keys.
    Json(JsonKind, bool),
}

/// What `IS JSON` may go on with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JsonKind {
    Any,
    Object,
    Array,
    Scalar,
}

/// A cast: `CAST(…)`, `::`, or `type 'text'`.
#[derive(Clone, Debug)]
pub struct Cast {
    pub input: Expr,
    pub ty: TypeName,
    /// Where the word or the colons stand.
    pub at: u32,
}

/// A type's name.
#[derive(Clone, Debug)]
pub struct TypeName {
    pub names: Vec<String>,
    /// Whether the grammar has words of its own for it, so that it is the system's in any case.
    pub system: bool,
    pub modifiers: Vec<Expr>,
    /// The fields behind `interval`, from the bigger to the smaller.
    pub fields: Option<(Keyword, Keyword)>,
    /// One for each pair of brackets.
    pub dimensions: usize,
    pub set_of: bool,
    /// `%TYPE`.
    pub of_column: bool,
    pub at: u32,
}

/// A function's call.
#[derive(Clone, Debug, Default)]
pub struct Function {
    pub names: Vec<String>,
    pub args: Vec<Argument>,
    /// `f(*)`.
    pub star: bool,
    pub distinct: bool,
    /// Whether the last argument is the array of those that vary.
    pub variadic: bool,
    pub order_by: Vec<SortBy>,
    pub within_group: bool,
    pub filter: Option<Expr>,
    pub over: Option<Window>,
    /// Whether a grammar of its own made it a call.
    pub special: bool,
}

/// An argument, perhaps with its name.
#[derive(Clone, Debug)]
pub struct Argument {
    pub name: Option<Name>,
    pub value: Expr,
}

/// `CASE`.
#[derive(Clone, Debug)]
pub struct Case {
    pub operand: Option<Expr>,
    pub arms: Vec<(Expr, Expr)>,
    pub otherwise: Option<Expr>,
}

/// `IN`.
#[derive(Clone, Debug)]
pub struct In {
    pub input: Expr,
    pub list: InList,
    pub negated: bool,
    /// Where the word stands.
    pub at: u32,
}

/// What `IN` and quantifiers look at.
#[derive(Clone, Debug)]
pub enum InList {
    Exprs(Vec<Expr>),
    Query(Query),
}

/// `left operator ANY|ALL (…)`; `LIKE` and its kin as their operators.
#[derive(Clone, Debug)]
pub struct Quantified {
    pub left: Expr,
    pub op: Operator,
    pub all: bool,
    /// One expression, or a query.
    pub right: InList,
}

/// `BETWEEN`.
#[derive(Clone, Debug)]
pub struct Between {
    pub input: Expr,
    pub low: Expr,
    pub high: Expr,
    pub negated: bool,
    pub symmetric: bool,
    pub at: u32,
}

/// `LIKE`, `ILIKE` or `SIMILAR TO`.
#[derive(Clone, Debug)]
pub struct Like {
    pub kind: LikeKind,
    pub input: Expr,
    pub pattern: Expr,
    pub escape: Option<Expr>,
    pub negated: bool,
    pub at: u32,
}

/// How a pattern is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LikeKind {
    Like,
    ILike,
    Similar,
}

/// `IS [NOT] DISTINCT FROM`.
#[derive(Clone, Debug)]
pub struct Distinct {
    pub left: Expr,
    pub right: Expr,
    pub negated: bool,
    pub at: u32,
}

/// A step into a value.
#[derive(Clone, Debug)]
pub enum Indirection {
    Field(Name),
    Star,
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
}

/// A query with all its parts.
#[derive(Clone, Debug)]
pub struct Query {
    pub with: Option<With>,
    pub body: QueryBody,
    pub order_by: Vec<SortBy>,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    pub with_ties: bool,
    pub locking: Vec<Locking>,
    pub at: u32,
}

/// What makes a query's rows.
#[derive(Clone, Debug)]
pub enum QueryBody {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    Set(Box<SetOperation>),
}

/// `UNION` and its kin.
#[derive(Clone, Debug)]
pub struct SetOperation {
    /// `UNION`, `INTERSECT` or `EXCEPT`.
    pub op: Keyword,
    pub all: bool,
    pub left: Query,
    pub right: Query,
}

/// `WITH`.
#[derive(Clone, Debug)]
pub struct With {
    pub recursive: bool,
    pub queries: Vec<Cte>,
    pub at: u32,
}

/// A named query of `WITH`.
#[derive(Clone, Debug)]
pub struct Cte {
    pub name: Name,
    pub columns: Vec<Name>,
    pub materialized: Option<bool>,
    pub body: CteBody,
    pub search: Option<Search>,
    pub cycle: Option<Box<Cycle>>,
}

/// What a query of `WITH` does.
#[derive(Clone, Debug)]
pub enum CteBody {
    Query(Query),
    Change(Box<Change>),
}

/// `SEARCH`.
#[derive(Clone, Debug)]
pub struct Search {
    pub breadth_first: bool,
    pub columns: Vec<Name>,
    pub into: Name,
    pub at: u32,
}

/// `CYCLE`.
#[derive(Clone, Debug)]
pub struct Cycle {
    pub columns: Vec<Name>,
    pub mark: Name,
    pub values: Option<(Expr, Expr)>,
    pub path: Name,
    pub at: u32,
}

/// `SELECT`.
#[derive(Clone, Debug, Default)]
pub struct Select {
    pub distinct: Option<Vec<Expr>>,
    pub targets: Vec<Target>,
    pub into: Option<IntoTable>,
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub group_by: Vec<Group>,
    pub group_distinct: bool,
    pub having: Option<Expr>,
    pub windows: Vec<(Name, Window)>,
}

/// `INTO` of a `SELECT`.
#[derive(Clone, Debug)]
pub struct IntoTable {
    pub persistence: Persistence,
    pub name: QualifiedName,
}

/// How long a table lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    Permanent,
    Unlogged,
    Temporary,
}

/// A column to be answered.
#[derive(Clone, Debug)]
pub struct Target {
    pub expr: Expr,
    pub name: Option<Name>,
}

/// An item of `GROUP BY`.
#[derive(Clone, Debug)]
pub enum Group {
    Expr(Expr),
    /// `()`.
    Empty(u32),
    Rollup(Vec<Expr>, u32),
    Cube(Vec<Expr>, u32),
    Sets(Vec<Group>, u32),
}

/// An item of `ORDER BY`.
#[derive(Clone, Debug)]
pub struct SortBy {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: Option<bool>,
    pub using: Option<Operator>,
}

/// A window, by its name or spelled out.
#[derive(Clone, Debug)]
pub struct Window {
    /// The window that it is or builds upon.
    pub name: Option<Name>,
    /// Whether there are no parentheses.
    pub reference: bool,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortBy>,
    pub frame: Option<Box<Frame>>,
    pub at: u32,
}

/// Which rows a window's function sees.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `RANGE`, `ROWS` or `GROUPS`.
    pub unit: Keyword,
    pub start: Bound,
    pub end: Option<Bound>,
    /// What `EXCLUDE` leaves out: `CURRENT`, `GROUP` or `TIES`.
    pub exclude: Option<Keyword>,
}

/// An end of a frame.
#[derive(Clone, Debug)]
pub enum Bound {
    UnboundedPreceding,
    UnboundedFollowing,
    CurrentRow,
    Preceding(Expr),
    Following(Expr),
}

/// `FOR UPDATE` and its kin.
#[derive(Clone, Debug)]
pub struct Locking {
    /// As messages call it.
    pub strength: &'static str,
    pub tables: Vec<QualifiedName>,
    pub wait: LockWait,
    pub at: u32,
}

/// What to do about a row that is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockWait {
    Wait,
    NoWait,
    SkipLocked,
}

/// An item of `FROM`.
#[derive(Clone, Debug)]
pub struct FromItem {
    pub kind: FromKind,
    pub alias: Option<Alias>,
    pub at: u32,
}

/// A table's name behind `AS`.
#[derive(Clone, Debug)]
pub struct Alias {
    pub name: Name,
    pub columns: Vec<Name>,
}

/// What an item of `FROM` is.
#[derive(Clone, Debug)]
pub enum FromKind {
    Table { relation: Relation, sample: Option<Box<Sample>> },
    Function(Box<FromFunction>),
    Query { query: Box<Query>, lateral: bool },
    Join(Box<Join>),
}

/// A table's name, perhaps without its heirs.
#[derive(Clone, Debug)]
pub struct Relation {
    pub name: QualifiedName,
    pub only: bool,
}

/// Functions as a table.
#[derive(Clone, Debug)]
pub struct FromFunction {
    /// Each with the columns that `ROWS FROM (f() AS (…))` defines for it.
    pub functions: Vec<(Expr, Vec<ColumnType>)>,
    pub rows_from: bool,
    pub ordinality: bool,
    pub lateral: bool,
    pub columns: Vec<ColumnType>,
}

/// A column of a column definition list.
#[derive(Clone, Debug)]
pub struct ColumnType {
    pub name: Name,
    pub ty: TypeName,
    pub collation: Option<QualifiedName>,
}

/// `TABLESAMPLE`.
#[derive(Clone, Debug)]
pub struct Sample {
    pub method: QualifiedName,
    pub args: Vec<Expr>,
    pub repeatable: Option<Expr>,
}

/// Which rows a join keeps without a partner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// A join.
#[derive(Clone, Debug)]
pub struct Join {
    pub kind: JoinKind,
    pub left: FromItem,
    pub right: FromItem,
    pub condition: JoinCondition,
}

/// What a join's partners have in common.
#[derive(Clone, Debug)]
pub enum JoinCondition {
    None,
    Natural,
    On(Expr),
    Using(Vec<Name>, Option<Name>),
}

/// A statement that changes rows.
#[derive(Clone, Debug)]
pub struct Change {
    pub with: Option<With>,
    pub kind: ChangeKind,
    pub target: Relation,
    pub alias: Option<Name>,
    pub returning: Option<Returning>,
}

/// How rows are changed.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    Insert(Insert),
    Update { set: Vec<Assignment>, from: Vec<FromItem>, filter: Option<Expr> },
    Delete { using: Vec<FromItem>, filter: Option<Expr> },
    Merge { source: FromItem, condition: Expr, arms: Vec<MergeArm> },
}

/// What is special about `INSERT`.
#[derive(Clone, Debug)]
pub struct Insert {
    pub columns: Vec<InsertColumn>,
    /// None for `DEFAULT VALUES`.
    pub query: Option<Box<Query>>,
    pub overriding: Option<Overriding>,
    pub on_conflict: Option<OnConflict>,
}

/// A column that is assigned to, or a part of it.
#[derive(Clone, Debug)]
pub struct InsertColumn {
    pub name: Name,
    pub path: Vec<Indirection>,
}

/// Which values of an identity column count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overriding {
    User,
    System,
}

/// `ON CONFLICT`.
#[derive(Clone, Debug)]
pub struct OnConflict {
    pub target: Option<ConflictTarget>,
    /// None for `DO NOTHING`.
    pub update: Option<(Vec<Assignment>, Option<Expr>)>,
    pub at: u32,
}

/// What a row may conflict with.
#[derive(Clone, Debug)]
pub enum ConflictTarget {
    Index(Vec<super::tree_ddl::IndexColumn>, Option<Expr>),
    Constraint(Name),
}

/// `SET a = …` or `SET (a, b) = …`.
#[derive(Clone, Debug)]
pub struct Assignment {
    pub columns: Vec<InsertColumn>,
    /// Whether parentheses stand around the columns.
    pub several: bool,
    pub value: Expr,
}

/// `RETURNING`.
#[derive(Clone, Debug)]
pub struct Returning {
    /// New names of `OLD` and `NEW`, the flag for the latter.
    pub names: Vec<(bool, Name)>,
    pub targets: Vec<Target>,
}

/// `WHEN` of `MERGE`.
#[derive(Clone, Debug)]
pub struct MergeArm {
    pub when: MergeWhen,
    pub condition: Option<Expr>,
    pub action: MergeAction,
}

/// Which rows an arm is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MergeWhen {
    Matched,
    NotMatchedBySource,
    NotMatchedByTarget,
}

/// What an arm does.
#[derive(Clone, Debug)]
pub enum MergeAction {
    Nothing,
    Delete,
    Update(Vec<Assignment>),
    Insert { columns: Vec<InsertColumn>, overriding: Option<Overriding>, values: Option<Vec<Expr>> },
}
