//! Expressions.

use sqlparser::ast::Spanned;
use sqlparser::ast::{self, BinaryOperator, CastKind, UnaryOperator};

use crate::report::{Result, SqlState};
use crate::sql::types::Type;

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
        use ast::Expr as E;
        match expr {
            E::Value(value) => self.value(value),
            E::Identifier(name) => self.identifier(name),
            E::CompoundIdentifier(parts) => self.compound_identifier(parts),
            E::Nested(inner) => self.expr(inner),
            E::BinaryOp { left, op, right } => self.binary_op(left, op, right),
            E::UnaryOp { op, expr: input } => self.unary_op(*op, input, expr),
            E::Cast { kind, expr: input, data_type, .. } => self.cast_expr(kind, input, data_type, expr),
            E::TypedString(typed) => self.typed_string(typed),
            E::Function(function) => self.function(function),
            E::IsNull(input) => self.is_null(input, false),
            E::IsNotNull(input) => self.is_null(input, true),
            E::Case { .. } | E::Array(_) | E::Tuple(_) | E::CompoundFieldAccess { .. } => {
                self.construct(expr)
            }
            E::Exists { .. } | E::Subquery(_) | E::InSubquery { .. } | E::AnyOp { .. } | E::AllOp { .. } => {
                self.subquery_expr(expr)
            }
            E::InList { expr: input, list, negated } => self.in_list(input, list, *negated),
            E::Between { expr: input, negated, low, high } => self.between(input, *negated, low, high),
            E::Like { .. } | E::ILike { .. } | E::SimilarTo { .. } => self.like(expr),
            E::IsTrue(_) | E::IsNotTrue(_) | E::IsFalse(_) | E::IsNotFalse(_) => self.is_bool(expr),
            E::IsUnknown(_) | E::IsNotUnknown(_) => self.is_bool(expr),
            E::IsDistinctFrom(left, right) => self.is_distinct(left, right, false),
            E::IsNotDistinctFrom(left, right) => self.is_distinct(left, right, true),
            _ => self.syntax_function(expr),
        }
    }

    fn binary_op(&mut self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr) -> Result<Expr> {
        if let BinaryOperator::And | BinaryOperator::Or = op {
            return self.chain(left, op, right);
        }
        let name = operator_name(op);
        if let (ast::Expr::Tuple(left), ast::Expr::Tuple(right)) = (unnest(left), unnest(right)) {
            return self.row_comparison(&name, left, right);
        }
        let (left_expr, right_expr) = (self.placed(left)?, self.placed(right)?);
        let types = (left_expr.0.ty(), right_expr.0.ty());
        let result = self.binary(&name, left_expr, right_expr, None);
        result.map_err(|report| self.at_operator(report, right, types))
    }

    /// `a AND b AND c` is one list, found without going down for each: such chains can be long.
    fn chain(&mut self, mut left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr) -> Result<Expr> {
        let mut operands = vec![right];
        while let ast::Expr::BinaryOp { left: further, op: other, right } = left
            && other == op
        {
            operands.push(right);
            left = further;
        }
        operands.push(left);
        let what = if *op == BinaryOperator::And { "AND" } else { "OR" };
        let items: Vec<Expr> =
            operands.into_iter().rev().map(|operand| self.condition(operand, what)).collect::<Result<_>>()?;
        Ok(if *op == BinaryOperator::And { Expr::And(items) } else { Expr::Or(items) })
    }

    /// Says where the operator stands; that is looked for only when something is wrong with it.
    pub(super) fn at_operator(
        &self,
        mut report: Box<crate::report::Report>,
        right: &ast::Expr,
        _types: (Type, Type),
    ) -> Box<crate::report::Report> {
        if report.position.is_none() {
            report.position = self.source.operator_before(right.span());
        }
        report
    }

    /// A condition of `AND`, `OR` and their kin.
    pub(super) fn condition(&mut self, expr: &ast::Expr, what: &str) -> Result<Expr> {
        let analysed = self.expr(expr)?;
        if analysed.ty() == Type::BOOL {
            return Ok(analysed);
        }
        let at = self.place(expr);
        self.boolean(analysed, what, at)
    }

    fn unary_op(&mut self, op: UnaryOperator, input: &ast::Expr, whole: &ast::Expr) -> Result<Expr> {
        let name = match op {
            UnaryOperator::Not => {
                return self.condition(input, "NOT").map(|input| Expr::Not(Box::new(input)));
            }
            UnaryOperator::Minus => {
                // A number's sign belongs to it, so that the smallest integer is one.
                if let ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Number(digits, _), .. }) =
                    input
                {
                    return self.number(&format!("-{digits}"));
                }
                "-".to_owned()
            }
            UnaryOperator::Plus => "+".to_owned(),
            UnaryOperator::BitwiseNot => "~".to_owned(),
            UnaryOperator::PGAbs => "@".to_owned(),
            UnaryOperator::PGSquareRoot => "|/".to_owned(),
            UnaryOperator::PGCubeRoot => "||/".to_owned(),
            other => other.to_string(),
        };
        let placed = self.placed(input)?;
        let types = (placed.0.ty(), placed.0.ty());
        let result = self.prefix(&name, placed, None);
        result.map_err(|report| {
            let report = self.at_operator(report, input, types);
            _ = whole;
            report
        })
    }

    fn cast_expr(
        &mut self,
        kind: &CastKind,
        input: &ast::Expr,
        data_type: &ast::DataType,
        whole: &ast::Expr,
    ) -> Result<Expr> {
        let at = self.place(whole);
        if !matches!(kind, CastKind::Cast | CastKind::DoubleColon) {
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "syntax error"));
        }
        let type_at = self.type_place(input, *kind == CastKind::DoubleColon);
        let (to, typmod) = self.data_type(data_type, type_at)?;
        let analysed = self.expr(input)?;
        let literal_at = self.literal_at(input);
        let cast_at = if *kind == CastKind::DoubleColon { type_at.map(|at| at - 2) } else { at };
        self.cast(analysed, to, typmod, literal_at, cast_at)
    }

    /// Where the type of a cast begins: behind the `::` or `AS` that follows the input.
    fn type_place(&self, input: &ast::Expr, colons: bool) -> Option<u32> {
        let end = input.span().end;
        let mut behind = self.source.tokens.iter().filter(|token| token.span.start >= end && end.line > 0);
        let separator = behind.find(|token| match &token.token {
            sqlparser::tokenizer::Token::DoubleColon => colons,
            sqlparser::tokenizer::Token::Word(word) => !colons && word.value.eq_ignore_ascii_case("as"),
            _ => false,
        })?;
        Some(self.source.position(separator.span.end)).map(|at| if colons { at } else { at + 1 })
    }

    fn typed_string(&mut self, typed: &ast::TypedString) -> Result<Expr> {
        let at = self.place_of(typed.value.span);
        let (to, typmod) = self.data_type(&typed.data_type, at)?;
        let value = self.value(&typed.value)?;
        self.cast(value, to, typmod, at, at)
    }

    fn is_null(&mut self, input: &ast::Expr, negated: bool) -> Result<Expr> {
        let at = self.literal_at(input);
        let analysed = self.expr(input)?;
        let input = self.settle_unknown(analysed, at)?;
        Ok(Expr::IsNull { input: Box::new(input), negated })
    }
}

/// The expression within parentheses.
pub fn unnest(expr: &ast::Expr) -> &ast::Expr {
    match expr {
        ast::Expr::Nested(inner) => unnest(inner),
        _ => expr,
    }
}

/// The operator's name in PostgreSQL's tables.
pub fn operator_name(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::NotEq => "<>".to_owned(),
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        BinaryOperator::Xor | BinaryOperator::PGBitwiseXor => "#".to_owned(),
        BinaryOperator::PGExp | BinaryOperator::BitwiseXor => "^".to_owned(),
        other => other.to_string(),
    }
}
