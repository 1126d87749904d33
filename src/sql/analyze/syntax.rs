//! Functions, those with a grammar of their own among them.

use crate::report::{ReportExt, Result, SqlState};
use crate::sql::parse::tree::{self as ast, QualifiedName};

use super::Analyzer;
use super::expr::Expr;
use super::operator::Placed;

impl Analyzer<'_> {
    /// Texts compare by bytes here, so only the collations that do are known.
    pub(super) fn collate(
        &mut self,
        input: &ast::Expr,
        collation: &QualifiedName,
        at: Option<u32>,
    ) -> Result<Expr> {
        let name = collation.last();
        if !matches!(name, "C" | "POSIX" | "default" | "ucs_basic") {
            let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
            return Err(self.error_at(at, SqlState::UNDEFINED_OBJECT, message));
        }
        let analysed = self.expr(input)?;
        let expr = self.settle_unknown(analysed, at)?;
        if expr.ty().category() != b'S' {
            let message = format!("collations are not supported by type {}", expr.ty());
            return Err(self.error_at(at, SqlState::DATATYPE_MISMATCH, message));
        }
        Ok(expr)
    }

    /// A function by name.
    pub(super) fn function(&mut self, function: &ast::Function, at: Option<u32>) -> Result<Expr> {
        let names = &function.names;
        let schema = if names.len() > 1 { names.first().map(String::as_str) } else { None };
        let name = names.last().cloned().unwrap_or_default();
        if schema.is_some_and(|schema| schema != "pg_catalog") {
            return self.foreign_function(function, at);
        }
        if function.over.is_some() {
            return self.not_supported(at, "OVER");
        }
        if function.special {
            return self.special_function(&name, function, at);
        }
        if let Some(expr) = self.aggregate(&name, function, at)? {
            return Ok(expr);
        }
        self.refuse_aggregate_clauses(&name, function, at)?;
        let args = self.arguments(function)?;
        let full = if schema.is_some() { format!("pg_catalog.{name}") } else { name };
        self.function_call(&full, args, at, function.variadic)
    }

    /// What stands for a call. The place of the words is not that of their leftmost part for all of them, but it is where
    /// PostgreSQL points to.
    fn special_function(&mut self, name: &str, function: &ast::Function, at: Option<u32>) -> Result<Expr> {
        let args = self.arguments(function)?;
        let plain = matches!(name, "ltrim" | "rtrim" | "btrim");
        let full = if plain { name.to_owned() } else { format!("pg_catalog.{name}") };
        self.function_call(&full, args, at, false)
    }

    /// What only aggregates may have.
    fn refuse_aggregate_clauses(&self, name: &str, function: &ast::Function, at: Option<u32>) -> Result<()> {
        let wrong = [
            (function.star, format!("{name}(*) specified, but {name} is not an aggregate function")),
            (function.distinct, format!("DISTINCT specified, but {name} is not an aggregate function")),
            (
                function.within_group,
                format!("WITHIN GROUP specified, but {name} is not an aggregate function"),
            ),
            (
                !function.order_by.is_empty(),
                format!("ORDER BY specified, but {name} is not an aggregate function"),
            ),
            (function.filter.is_some(), format!("FILTER specified, but {name} is not an aggregate function")),
        ];
        match wrong.into_iter().find(|(there, _)| *there) {
            // A name that is of no function at all is said first.
            Some(_) if crate::sql::functions::functions_named(name).next().is_none() => Ok(()),
            Some((_, message)) => Err(self.error_at(at, SqlState::WRONG_OBJECT_TYPE, message)),
            None => Ok(()),
        }
    }

    fn foreign_function(&mut self, function: &ast::Function, at: Option<u32>) -> Result<Expr> {
        let names = &function.names;
        if let Some(schema) =
            names.first().filter(|name| !matches!(name.as_str(), "public" | "information_schema"))
        {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(self.error_at(at, SqlState::INVALID_SCHEMA_NAME, message));
        }
        let args = self.arguments(function)?;
        let types: Vec<String> = args.iter().map(|arg| arg.0.ty().sql_name()).collect();
        let message = format!("function {}({}) does not exist", names.join("."), types.join(", "));
        Err(self.error_at(at, SqlState::UNDEFINED_FUNCTION, message).with_hint(
            "No function matches the given name and argument types. You might need to add explicit type casts.",
        ))
    }

    /// A function's arguments as expressions.
    pub(super) fn arguments(&mut self, function: &ast::Function) -> Result<Vec<Placed>> {
        let mut args = Vec::with_capacity(function.args.len());
        for arg in &function.args {
            if let Some(name) = &arg.name {
                return self.not_supported(Some(name.at), "named notation for arguments");
            }
            args.push(self.placed(&arg.value)?);
        }
        Ok(args)
    }
}
