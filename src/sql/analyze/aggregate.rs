//! Aggregates in expressions.

use crate::report::{ReportExt, Result, SqlState};
use crate::sql::functions::{Body, functions_named};
use crate::sql::parse::tree as ast;
use crate::sql::types::Type;

use super::expr::{AggregateCall, Expr};
use super::operator::{Placed, Resolved};
use super::{Analyzer, Clause};

impl Analyzer<'_> {
    /// The function as an aggregate, `None` if its name is of none.
    pub(super) fn aggregate(
        &mut self,
        name: &str,
        function: &ast::Function,
        at: Option<u32>,
    ) -> Result<Option<Expr>> {
        if !functions_named(name).any(|function| matches!(function.body, Body::Aggregate(_))) {
            return Ok(None);
        }
        self.check_place(at)?;
        if function.within_group {
            return self.not_supported(at, "WITHIN GROUP");
        }
        let outer = std::mem::replace(&mut self.in_aggregate, true);
        let collected = self.aggregate_parts(name, function, at);
        self.in_aggregate = outer;
        let call = collected?;
        let ty = call.ty;
        let scope = self.scope();
        scope.aggregates.push(call);
        Ok(Some(Expr::Aggregate(scope.aggregates.len() - 1, ty)))
    }

    fn check_place(&self, at: Option<u32>) -> Result<()> {
        if self.in_aggregate {
            return Err(self.error_at(
                at,
                SqlState::GROUPING_ERROR,
                "aggregate function calls cannot be nested",
            ));
        }
        if !matches!(self.clause, Clause::Select | Clause::Having | Clause::OrderBy) {
            let message = format!("aggregate functions are not allowed in {}", self.clause.name());
            return Err(self.error_at(at, SqlState::GROUPING_ERROR, message));
        }
        Ok(())
    }

    fn aggregate_parts(
        &mut self,
        name: &str,
        function: &ast::Function,
        at: Option<u32>,
    ) -> Result<AggregateCall> {
        let args = self.aggregate_arguments(name, function, at)?;
        let Resolved::Function(found, mut args, _, ty) = self.resolve_function(name, args, at, false)? else {
            return Err(self.error_at(
                at,
                SqlState::UNDEFINED_FUNCTION,
                format!("function {name} does not exist"),
            ));
        };
        let Body::Aggregate(kind) = found.body else {
            return Err(self.error_at(
                at,
                SqlState::WRONG_OBJECT_TYPE,
                format!("{name} is not an aggregate function"),
            ));
        };
        let arg_count = args.len();
        let mut keys = Vec::new();
        for item in &function.order_by {
            let analysed = self.expr(&item.expr)?;
            let key = self.settle_unknown(analysed, None)?;
            let column = args.iter().position(|arg| arg.same(&key)).unwrap_or_else(|| {
                args.push(key);
                args.len() - 1
            });
            keys.push(self.sort_key(column, item)?);
        }
        let filter = match &function.filter {
            Some(filter) => Some(self.filter(filter)?),
            None => None,
        };
        Ok(AggregateCall {
            name: found.name,
            kind,
            args,
            distinct: function.distinct,
            order_by: keys,
            arg_count,
            filter,
            ty,
        })
    }

    fn filter(&mut self, filter: &ast::Expr) -> Result<Expr> {
        let clause = std::mem::replace(&mut self.clause, Clause::Filter);
        let result = self.condition(filter, "FILTER");
        self.clause = clause;
        result
    }

    fn aggregate_arguments(
        &mut self,
        name: &str,
        function: &ast::Function,
        at: Option<u32>,
    ) -> Result<Vec<Placed>> {
        if function.star {
            if name == "count" {
                return Ok(Vec::new());
            }
            return Err(self
                .error_at(at, SqlState::UNDEFINED_FUNCTION, format!("function {name}() does not exist"))
                .with_hint(
                    "No function matches the given name and argument types. You might need to add explicit type casts.",
                ));
        }
        let args = self.arguments(function)?;
        if args.is_empty() && name == "count" {
            let message = "count(*) must be used to call a parameterless aggregate function";
            return Err(self.error_at(at, SqlState::WRONG_OBJECT_TYPE, message));
        }
        // What nothing decides is text already here, so that count('x') has a type to count.
        args.into_iter().map(|(arg, place)| self.keep_unknown(arg, place, name)).collect()
    }

    fn keep_unknown(&mut self, arg: Expr, place: Option<u32>, name: &str) -> Result<Placed> {
        if name == "count" && arg.ty() == Type::UNKNOWN {
            return Ok((self.settle_unknown(arg, place)?, place));
        }
        Ok((arg, place))
    }
}
