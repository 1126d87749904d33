//! Functions with a grammar of their own, and functions in general.

use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};

use crate::report::{ReportExt, Result, SqlState};
use crate::sql::types::{Datum, Type};

use super::expr::Expr;
use super::operator::Placed;
use super::{Analyzer, object_name};

fn text(text: &str) -> Placed {
    (Expr::Const(Datum::text(text), Type::TEXT), None)
}

impl Analyzer<'_> {
    /// `EXTRACT`, `TRIM` and their kin.
    pub(super) fn syntax_function(&mut self, expr: &ast::Expr) -> Result<Expr> {
        use ast::Expr as E;
        let at = self.place(expr);
        let (name, args) = match expr {
            E::Extract { field, expr: input, .. } => {
                let field = field.to_string().trim_matches(['\'', '"']).to_lowercase();
                ("extract", vec![text(&field), self.placed(input)?])
            }
            E::Position { expr: needle, r#in: haystack } => {
                let needle = self.placed(needle)?;
                ("position", vec![self.placed(haystack)?, needle])
            }
            E::Substring { expr: input, substring_from, substring_for, .. } => (
                "substring",
                self.substring_args(input, substring_from.as_deref(), substring_for.as_deref())?,
            ),
            E::Trim { trim_where, trim_what, expr: input, trim_characters } => {
                return self.trim(*trim_where, trim_what.as_deref(), input, trim_characters.as_deref());
            }
            E::Overlay { expr: input, overlay_what, overlay_from, overlay_for } => {
                let mut args =
                    vec![self.placed(input)?, self.placed(overlay_what)?, self.placed(overlay_from)?];
                args.extend(overlay_for.as_deref().map(|expr| self.placed(expr)).transpose()?);
                ("overlay", args)
            }
            E::Ceil { expr: input, .. } => ("ceil", vec![self.placed(input)?]),
            E::Floor { expr: input, .. } => ("floor", vec![self.placed(input)?]),
            E::AtTimeZone { timestamp, time_zone } => {
                let zone = self.placed(time_zone)?;
                ("timezone", vec![zone, self.placed(timestamp)?])
            }
            E::Collate { expr: input, collation } => return self.collate(input, collation, at),
            E::Interval(interval) => return self.interval(interval, at),
            E::JsonAccess { .. } => return self.not_supported(at, "this operator"),
            E::Wildcard(_) | E::QualifiedWildcard(..) => {
                return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "syntax error at or near \"*\""));
            }
            _ => return self.not_supported(at, "this expression"),
        };
        self.function_call(&format!("pg_catalog.{name}"), args, at, false)
    }

    fn substring_args(
        &mut self,
        input: &ast::Expr,
        from: Option<&ast::Expr>,
        length: Option<&ast::Expr>,
    ) -> Result<Vec<Placed>> {
        let mut args = vec![self.placed(input)?];
        args.push(match from {
            Some(from) => self.placed(from)?,
            None => (Expr::Const(Datum::Int4(1), Type::INT4), None),
        });
        args.extend(length.map(|length| self.placed(length)).transpose()?);
        Ok(args)
    }

    fn trim(
        &mut self,
        side: Option<ast::TrimWhereField>,
        what: Option<&ast::Expr>,
        input: &ast::Expr,
        characters: Option<&[ast::Expr]>,
    ) -> Result<Expr> {
        let name = match side {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        };
        let mut args = vec![self.placed(input)?];
        for expr in what.into_iter().chain(characters.unwrap_or_default()) {
            args.push(self.placed(expr)?);
        }
        self.function_call(name, args, self.place(input), false)
    }

    /// Texts compare by bytes here, so only the collations that do are known.
    fn collate(&mut self, input: &ast::Expr, collation: &ast::ObjectName, at: Option<u32>) -> Result<Expr> {
        let name = object_name(collation).pop().unwrap_or_default();
        if !matches!(name.as_str(), "C" | "POSIX" | "default" | "ucs_basic") {
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

    fn interval(&mut self, interval: &ast::Interval, at: Option<u32>) -> Result<Expr> {
        let value = self.expr(&interval.value)?;
        let at = self.literal_at(&interval.value).or(at);
        if let (Expr::Const(Datum::Text(number), Type::UNKNOWN), Some(field)) =
            (&value, &interval.leading_field)
            && number.trim().parse::<f64>().is_ok()
        {
            // A bare number counts in the unit behind it.
            return self.literal_of(&format!("{number} {field}"), Type::INTERVAL, at);
        }
        self.cast(value, Type::INTERVAL, -1, at, at)
    }

    /// A function by name.
    pub(super) fn function(&mut self, function: &ast::Function) -> Result<Expr> {
        let at = function
            .name
            .0
            .first()
            .and_then(|part| part.as_ident())
            .and_then(|name| self.place_of(name.span));
        let names = object_name(&function.name);
        let schema = if names.len() > 1 { names.first().map(String::as_str) } else { None };
        let name = names.last().cloned().unwrap_or_default();
        if schema.is_some_and(|schema| schema != "pg_catalog") {
            return self.foreign_function(&names, function, at);
        }
        if function.over.is_some() {
            return self.not_supported(at, "OVER");
        }
        if let FunctionArguments::Subquery(query) = &function.args {
            if name == "array" {
                return self.array_subquery(query);
            }
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "syntax error at or near \"SELECT\""));
        }
        if schema.is_none()
            && matches!(function.args, FunctionArguments::None)
            && let Some(expr) = self.keyword_function(&name, at)?
        {
            return Ok(expr);
        }
        if schema.is_none()
            && let Some(expr) = self.grammar_function(&name, function, at)?
        {
            return Ok(expr);
        }
        if let Some(expr) = self.aggregate(&name, function, at)? {
            return Ok(expr);
        }
        if function.filter.is_some() {
            let message = format!("FILTER specified, but {name} is not an aggregate function");
            return Err(self.error_at(at, SqlState::WRONG_OBJECT_TYPE, message));
        }
        let (args, variadic) = self.arguments(function)?;
        let full = if schema.is_some() { format!("pg_catalog.{name}") } else { name };
        self.function_call(&full, args, at, variadic)
    }

    fn foreign_function(
        &mut self,
        names: &[String],
        function: &ast::Function,
        at: Option<u32>,
    ) -> Result<Expr> {
        if let Some(schema) =
            names.first().filter(|name| !matches!(name.as_str(), "public" | "information_schema"))
        {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(self.error_at(at, SqlState::INVALID_SCHEMA_NAME, message));
        }
        let (args, _) = self.arguments(function)?;
        let types: Vec<String> = args.iter().map(|arg| arg.0.ty().sql_name()).collect();
        let message = format!("function {}({}) does not exist", names.join("."), types.join(", "));
        Err(self.error_at(at, SqlState::UNDEFINED_FUNCTION, message).with_hint(
            "No function matches the given name and argument types. You might need to add explicit type casts.",
        ))
    }

    /// A function's arguments as expressions, and whether the last one is an array of the rest.
    pub(super) fn arguments(&mut self, function: &ast::Function) -> Result<(Vec<Placed>, bool)> {
        let mut args = Vec::new();
        for arg in plain_arguments(function) {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(self.placed(expr)?),
                FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                    return self.not_supported(None, "named notation for arguments");
                }
                _ => {
                    return Err(self.error_at(None, SqlState::SYNTAX_ERROR, "syntax error at or near \"*\""));
                }
            }
        }
        Ok((args, false))
    }

    /// `COALESCE` and its kin, which look like functions.
    fn grammar_function(
        &mut self,
        name: &str,
        function: &ast::Function,
        at: Option<u32>,
    ) -> Result<Option<Expr>> {
        if !matches!(name, "coalesce" | "greatest" | "least" | "nullif" | "row" | "grouping") {
            return Ok(None);
        }
        let args: Vec<ast::Expr> = plain_arguments(function)
            .iter()
            .filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })
            .collect();
        Ok(Some(match (name, args.as_slice()) {
            ("row", items) => self.row(items)?,
            ("grouping", _) => return self.not_supported(at, "GROUPING"),
            ("nullif", [left, right]) => self.nullif(left, right)?,
            (_, []) | ("nullif", _) => {
                return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "syntax error at or near \")\""));
            }
            ("coalesce", items) => {
                let (items, ty) = self.common(items, "COALESCE")?;
                Expr::Coalesce(items, ty)
            }
            (_, items) => {
                let (items, ty) =
                    self.common(items, if name == "greatest" { "GREATEST" } else { "LEAST" })?;
                Expr::MinMax { greatest: name == "greatest", items, ty }
            }
        }))
    }

    fn nullif(&mut self, left: &ast::Expr, right: &ast::Expr) -> Result<Expr> {
        let (a, b) = (self.placed(left)?, self.placed(right)?);
        let value = a.0.clone();
        let at = a.1;
        let types = (a.0.ty(), b.0.ty());
        let equal = self.operator("=", vec![a, b], None);
        let equal = equal.map_err(|report| self.at_operator(report, right, types))?;
        let value = if value.ty() == Type::UNKNOWN {
            let to = equal.arg_types[0];
            self.coerce(value, to, super::coerce::Context::Implicit, at)?.unwrap_or_else(|| Expr::null(to))
        } else {
            value
        };
        Ok(Expr::NullIf { equal: Box::new(equal), value: Box::new(value) })
    }
}

/// The arguments within a function's parentheses.
pub fn plain_arguments(function: &ast::Function) -> &[FunctionArg] {
    match &function.args {
        FunctionArguments::List(list) => &list.args,
        _ => &[],
    }
}
