//! Literals and parameters.

use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{self as ast, ExprKind};
use crate::sql::types::input;
use crate::sql::types::{Datum, Type};

use super::Analyzer;
use super::expr::Expr;

/// PostgreSQL's greatest parameter number.
const MAX_PARAMS: usize = 65_535;

impl Analyzer<'_> {
    /// The smallest of `integer`, `bigint` and `numeric` that holds it.
    pub(super) fn number(&self, digits: &str) -> Result<Expr> {
        let is_whole =
            !digits.contains(['.', 'e', 'E']) || digits.starts_with("0x") || digits.starts_with("-0x");
        if is_whole && let Ok(value) = crate::sql::types::lexical::integer(digits) {
            if let Ok(value) = i32::try_from(value) {
                return Ok(Expr::Const(Datum::Int4(value), Type::INT4));
            }
            if let Ok(value) = i64::try_from(value) {
                return Ok(Expr::Const(Datum::Int8(value), Type::INT8));
            }
        }
        Ok(Expr::Const(Datum::numeric(input::numeric(digits)?), Type::NUMERIC))
    }

    /// A text whose type is open.
    pub(super) fn string(&self, text: &str) -> Expr {
        Expr::Const(Datum::text(text), Type::UNKNOWN)
    }

    pub(super) fn param(&mut self, number: u32, at: Option<u32>) -> Result<Expr> {
        let missing = |analyzer: &Self| {
            analyzer.error_at(at, SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${number}"))
        };
        let number = number as usize;
        if number == 0 || number > MAX_PARAMS {
            return Err(missing(self));
        }
        if self.params.types.len() < number {
            if !self.params.open {
                return Err(missing(self));
            }
            self.params.types.resize(number, None);
        }
        Ok(Expr::Param(number - 1, self.params.types[number - 1].unwrap_or(Type::UNKNOWN)))
    }

    /// `B'…'` or `X'…'`: there are no bits yet, but wrong ones are said first.
    pub(super) fn bits(&self, digits: &str, hex: bool, at: Option<u32>) -> Result<Expr> {
        let (radix, what) = if hex { (16, "hexadecimal") } else { (2, "binary") };
        if let Some(wrong) = digits.chars().find(|digit| !digit.is_digit(radix)) {
            let message = format!("\"{wrong}\" is not a valid {what} digit");
            return Err(self.error_at(at, SqlState::INVALID_TEXT_REPRESENTATION, message));
        }
        self.not_supported(at, "the type bit")
    }

    /// Where an expression stands if it is a literal.
    pub(super) fn literal_at(&self, expr: &ast::Expr) -> Option<u32> {
        match expr.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Param(_) => Some(expr.at),
            _ => None,
        }
    }
}
