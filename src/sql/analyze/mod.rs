//! From statements as read to analysed trees: names are looked up, types decided, conversions spelled out.
//!
//! The rules are PostgreSQL's: literals are of unknown type until their place decides; functions and operators are
//! chosen from tables by their arguments' types; a place that needs a type gets an implicit cast or an error.

mod aggregate;
mod change;
pub mod coerce;
mod datatype;
pub mod deparse;
pub mod environment;
pub mod expr;
mod expression;
mod from;
mod grouping;
mod literal;
mod names;
mod operator;
mod polymorphic;
mod query;
pub mod relation;
mod resolve;
mod scope;
mod select;
mod set_operation;
mod special;
mod subquery;
mod syntax;
mod target_names;
pub mod tree;

use std::sync::Arc;

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::parse::{Planned, Source, tree as ast};
use crate::sql::types::Type;

pub use environment::Environment;
use scope::Scope;
pub use tree::{Analysed, Query};

/// Deeper trees are refused before they exhaust a stack.
const MAX_DEPTH: usize = 5000;
/// What one level of analysis may need of the stack, and how much is added when that is not left.
const STACK_RED_ZONE: usize = 128 * 1024;
const STACK_GROWTH: usize = 2 * 1024 * 1024;

/// Which part of a query an expression stands in, for what is allowed there and what messages call it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clause {
    Select,
    Where,
    GroupBy,
    Having,
    OrderBy,
    JoinOn,
    Limit,
    Offset,
    Values,
    From,
    Execute,
    Filter,
    Returning,
}

impl Clause {
    fn name(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Where => "WHERE",
            Self::GroupBy => "GROUP BY",
            Self::Having => "HAVING",
            Self::OrderBy => "ORDER BY",
            Self::JoinOn => "JOIN conditions",
            Self::Limit => "LIMIT",
            Self::Offset => "OFFSET",
            Self::Values => "VALUES",
            Self::From => "functions in FROM",
            Self::Execute => "EXECUTE parameters",
            Self::Filter => "FILTER",
            Self::Returning => "RETURNING",
        }
    }
}

/// Types of parameters: given, or found out from where they stand.
#[derive(Default)]
pub struct Params {
    types: Vec<Option<Type>>,
    open: bool,
}

/// A query's name from a `WITH`.
struct Cte {
    name: String,
    query: Arc<Query>,
    /// How many scopes there were where it was defined: it sees no others.
    scopes: usize,
    /// Its number, if its rows are made once.
    shared: Option<usize>,
}

/// Turns one statement into its analysed tree.
pub struct Analyzer<'a> {
    source: &'a Source,
    environment: &'a dyn Environment,
    params: Params,
    scopes: Vec<Scope>,
    ctes: Vec<Cte>,
    clause: Clause,
    in_aggregate: bool,
    in_set_operation: bool,
    /// Queries whose rows are made once.
    shared: usize,
    depth: usize,
}

/// Analyses a query. Parameters without a type in `types` get one from their place.
pub fn query(
    planned: &Planned,
    source: &Source,
    environment: &dyn Environment,
    types: &[Type],
    open: bool,
) -> Result<Analysed> {
    let mut analyzer = Analyzer::new(source, environment);
    let known = types.iter().map(|&ty| (ty != Type::UNKNOWN && ty.oid() != 0).then_some(ty));
    analyzer.params = Params { types: known.collect(), open };
    let query = match planned {
        Planned::Query(query) => analyzer.query(query)?,
        Planned::Change(change) => analyzer.change(change)?,
    };
    let mut params = Vec::new();
    for (index, ty) in analyzer.params.types.iter().enumerate() {
        params.push(ty.ok_or_else(|| {
            Report::error(
                SqlState::INDETERMINATE_DATATYPE,
                format!("could not determine data type of parameter ${}", index + 1),
            )
        })?);
    }
    Ok(Analysed { query: Arc::new(query), params, relations: environment.take_used() })
}

/// An argument of `EXECUTE`, converted to its parameter's type.
pub fn argument(
    argument: &ast::Expr,
    index: usize,
    ty: Type,
    source: &Source,
    environment: &dyn Environment,
) -> Result<expr::Expr> {
    let mut analyzer = Analyzer::new(source, environment);
    analyzer.clause = Clause::Execute;
    analyzer.scopes.push(Scope::default());
    let expr = analyzer.expr(argument)?;
    let from = expr.ty();
    let at = Some(argument.at);
    match analyzer.coerce(expr, ty, coerce::Context::Assignment, at)? {
        Some(expr) => Ok(expr),
        None => Err(analyzer
            .error_at(
                at,
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "parameter ${} of type {from} cannot be coerced to the expected type {ty}",
                    index + 1
                ),
            )
            .with_hint("You will need to rewrite or cast the expression.")),
    }
}

/// The type that a statement names.
pub fn data_type(ty: &ast::TypeName, source: &Source, environment: &dyn Environment) -> Result<Type> {
    Analyzer::new(source, environment).data_type(ty).map(|(ty, _)| ty)
}

impl<'a> Analyzer<'a> {
    fn new(source: &'a Source, environment: &'a dyn Environment) -> Self {
        Self {
            source,
            environment,
            params: Params::default(),
            scopes: Vec::new(),
            ctes: Vec::new(),
            clause: Clause::Select,
            in_aggregate: false,
            in_set_operation: false,
            shared: 0,
            depth: 0,
        }
    }

    /// An error at a byte of the query string, counted from 0, as all places here are.
    fn error_at(&self, at: Option<u32>, state: SqlState, message: impl Into<String>) -> Box<Report> {
        let report = Report::error(state, message);
        match at {
            Some(at) => report.at(self.source.position(at)),
            None => report,
        }
    }

    /// PostgreSQL's answer to a table that is not there.
    fn missing_relation(&self, name: &ast::QualifiedName) -> Box<Report> {
        let message = format!("relation \"{}\" does not exist", name.dotted());
        self.error_at(Some(name.at), SqlState::UNDEFINED_TABLE, message)
    }

    /// A refusal of what is known and not there yet.
    fn not_supported<T>(&self, at: Option<u32>, what: &str) -> Result<T> {
        Err(self.error_at(at, SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported yet")))
    }

    /// Goes one level down with enough stack for it.
    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Report::error(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .with_hint("Simplify the expression or split it into several statements."));
        }
        self.depth += 1;
        let result = stacker::maybe_grow(STACK_RED_ZONE, STACK_GROWTH, || work(self));
        self.depth -= 1;
        result
    }

    fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }
}
