//! Expressions.

use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{self as ast, ExprKind, Operator};

use super::Analyzer;
use super::expr::Expr;
use super::operator::Placed;

impl Analyzer<'_> {
    /// An expression.
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Result<Expr> {
        self.deeper(|analyzer| analyzer.expr_here(expr))
    }

    /// An expression, and its place if it is a literal.
    pub(super) fn placed(&mut self, expr: &ast::Expr) -> Result<Placed> {
        Ok((self.expr(expr)?, self.literal_at(expr)))
    }

    fn expr_here(&mut self, expr: &ast::Expr) -> Result<Expr> {
        use ExprKind as E;
        let at = Some(expr.at);
        match &expr.kind {
            E::Null => Ok(Expr::null(crate::sql::types::Type::UNKNOWN)),
            E::Bool(value) => {
                Ok(Expr::Const(crate::sql::types::Datum::Bool(*value), crate::sql::types::Type::BOOL))
            }
            E::Number(digits) => self.number(digits),
            E::String(text) => Ok(self.string(text)),
            E::Bits(digits, hex) => self.bits(digits, *hex, at),
            E::Param(number) => self.param(*number, at),
            E::Column(names) => self.column(names, at),
            E::Binary(parts) => self.binary_op(&parts.0, &parts.1, &parts.2),
            E::Unary(parts) => self.unary_op(&parts.0, &parts.1),
            E::And(items) => self.conditions(items, "AND").map(Expr::And),
            E::Or(items) => self.conditions(items, "OR").map(Expr::Or),
            E::Not(input) => self.condition(input, "NOT").map(|input| Expr::Not(Box::new(input))),
            E::Cast(cast) => self.cast_expr(cast),
            E::Function(function) => self.function(function, at),
            E::Value(name, precision) => self.value_function(*name, *precision, at),
            E::Case(case) => self.case(case),
            E::Array(items) => self.array(items, at),
            E::Row(items, _) => self.row(items),
            E::Indirection(root, path) => self.access(root, path),
            E::Exists(_) | E::Subquery(_) | E::ArrayQuery(_) | E::Quantified(_) => self.subquery_expr(expr),
            E::In(test) => self.in_test(test),
            E::Between(between) => self.between(between),
            E::Like(like) => self.like(like),
            E::Is(input, test, negated) => self.is_test(input, *test, *negated, at),
            E::Distinct(distinct) => self.is_distinct(distinct),
            E::Collate(input, collation) => self.collate(input, collation, at),
            E::Coalesce(items) => {
                let (items, ty) = self.common(items, "COALESCE")?;
                Ok(Expr::Coalesce(items, ty))
            }
            E::MinMax(greatest, items) => {
                let (items, ty) = self.common(items, if *greatest { "GREATEST" } else { "LEAST" })?;
                Ok(Expr::MinMax { greatest: *greatest, items, ty })
            }
            E::NullIf(parts) => self.nullif(&parts.0, &parts.1, at),
            E::Grouping(_) => self.not_supported(at, "GROUPING"),
            E::CurrentOf(_) => self.not_supported(at, "WHERE CURRENT OF"),
            E::Default => {
                Err(self.error_at(at, SqlState::SYNTAX_ERROR, "DEFAULT is not allowed in this context"))
            }
            E::Star(_) => {
                let message = "row expansion via \"*\" is not supported here";
                Err(self.error_at(at, SqlState::FEATURE_NOT_SUPPORTED, message))
            }
        }
    }

    /// Operators of other schemas are not there.
    pub(super) fn operator_name<'o>(&self, op: &'o Operator) -> Result<&'o str> {
        match op.schema.as_slice() {
            [] => Ok(&op.name),
            [schema] if schema == "pg_catalog" => Ok(&op.name),
            [schema, ..] => {
                let message = format!("schema \"{schema}\" does not exist");
                Err(self.error_at(Some(op.at), SqlState::INVALID_SCHEMA_NAME, message))
            }
        }
    }

    fn binary_op(&mut self, op: &Operator, left: &ast::Expr, right: &ast::Expr) -> Result<Expr> {
        let at = Some(op.at);
        let name = self.operator_name(op)?;
        match (&left.kind, &right.kind) {
            (ExprKind::Row(left, _), ExprKind::Row(right, _)) => {
                return self.row_comparison(name, left, right, at);
            }
            // `= NULL` means `IS NULL` nowhere but where a setting says so; a row and a query are compared as rows.
            (ExprKind::Row(..), ExprKind::Subquery(_)) => {
                return self.not_supported(at, "a row compared with a subquery's row");
            }
            _ => {}
        }
        let (left, right) = (self.placed(left)?, self.placed(right)?);
        self.binary(name, left, right, at)
    }

    fn conditions(&mut self, items: &[ast::Expr], what: &str) -> Result<Vec<Expr>> {
        items.iter().map(|item| self.condition(item, what)).collect()
    }

    /// A condition of `AND`, `OR` and their kin.
    pub(super) fn condition(&mut self, expr: &ast::Expr, what: &str) -> Result<Expr> {
        let analysed = self.expr(expr)?;
        self.boolean(analysed, what, Some(expr.at))
    }

    fn unary_op(&mut self, op: &Operator, input: &ast::Expr) -> Result<Expr> {
        let name = self.operator_name(op)?;
        let input = self.placed(input)?;
        self.prefix(name, input, Some(op.at))
    }

    fn cast_expr(&mut self, cast: &ast::Cast) -> Result<Expr> {
        let (to, typmod) = self.data_type(&cast.ty)?;
        let literal_at = self.literal_at(&cast.input);
        if let (ExprKind::String(text), Some((first, last))) = (&cast.input.kind, cast.ty.fields)
            && first == last
            && text.trim().parse::<f64>().is_ok()
        {
            // A bare number counts in the unit behind it.
            return self.literal_of(&format!("{text} {}", first.word()), to, literal_at);
        }
        let analysed = self.expr(&cast.input)?;
        self.cast(analysed, to, typmod, literal_at, Some(cast.at))
    }
}
