//! Literals and parameters.

use sqlparser::ast::{self, Value};

use crate::report::{Result, SqlState};
use crate::sql::types::input;
use crate::sql::types::{Datum, Type};

use super::Analyzer;
use super::expr::Expr;

/// PostgreSQL's greatest parameter number.
const MAX_PARAMS: usize = 65_535;

impl Analyzer<'_> {
    pub(super) fn value(&mut self, value: &ast::ValueWithSpan) -> Result<Expr> {
        let at = self.place_of(value.span);
        Ok(match &value.value {
            Value::Null => Expr::null(Type::UNKNOWN),
            Value::Boolean(value) => Expr::Const(Datum::Bool(*value), Type::BOOL),
            Value::Number(digits, _) => self.number(digits)?,
            Value::Placeholder(name) => return self.param(name, at),
            Value::HexStringLiteral(digits) => {
                // `0x1F` and `X'1F'` come alike; the text tells them apart.
                let token = self.source.tokens.iter().find(|token| token.span.start == value.span.start);
                if token.is_some_and(|token| self.source.token_text(token).starts_with('0')) {
                    return self.number(&format!("0x{digits}"));
                }
                return self.not_supported(at, "the type bit");
            }
            other => match string_of(other) {
                Some(text) => Expr::Const(Datum::text(text), Type::UNKNOWN),
                None => {
                    return Err(self.error_at(
                        at,
                        SqlState::SYNTAX_ERROR,
                        format!("syntax error at or near \"{other}\""),
                    ));
                }
            },
        })
    }

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

    fn param(&mut self, name: &str, at: Option<u32>) -> Result<Expr> {
        let number: usize = name.trim_start_matches('$').parse().unwrap_or(0);
        let missing = |analyzer: &Self| {
            analyzer.error_at(at, SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {name}"))
        };
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

    /// Where an expression stands if it is a literal.
    pub(super) fn literal_at(&self, expr: &ast::Expr) -> Option<u32> {
        match expr {
            ast::Expr::Value(value) => self.place_of(value.span),
            ast::Expr::Nested(inner) => self.literal_at(inner),
            _ => None,
        }
    }
}

/// The text of a string literal.
pub fn string_of(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::UnicodeStringLiteral(text)
        | Value::NationalStringLiteral(text) => Some(text),
        Value::DollarQuotedString(text) => Some(&text.value),
        _ => None,
    }
}
