//! Expressions with a grammar of their own: `CASE`, `IN`, `BETWEEN`, `LIKE`, `IS …`, arrays and rows.

use sqlparser::ast;

use crate::report::{Result, SqlState};
use crate::sql::types::{Datum, Type};

use super::Analyzer;
use super::expr::Expr;
use super::expression::unnest;

impl Analyzer<'_> {
    pub(super) fn construct(&mut self, expr: &ast::Expr) -> Result<Expr> {
        match expr {
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            ast::Expr::Array(array) => self.array(&array.elem, self.place(expr)),
            ast::Expr::Tuple(items) => self.row(items),
            ast::Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            _ => self.not_supported(self.place(expr), "this expression"),
        }
    }

    /// `ROW(…)`.
    pub(super) fn row(&mut self, items: &[ast::Expr]) -> Result<Expr> {
        let mut fields = Vec::with_capacity(items.len());
        for item in items {
            let at = self.literal_at(item);
            let analysed = self.expr(item)?;
            fields.push(self.settle_unknown(analysed, at)?);
        }
        Ok(Expr::Row(fields))
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let operand = match operand {
            Some(operand) => {
                let at = self.literal_at(operand);
                let analysed = self.expr(operand)?;
                Some(self.settle_unknown(analysed, at)?)
            }
            None => None,
        };
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for when in conditions {
            tests.push(match &operand {
                Some(operand) => {
                    let value = self.placed(&when.condition)?;
                    let types = (operand.ty(), value.0.ty());
                    let call = self.binary("=", (Expr::CaseOperand(operand.ty()), None), value, None);
                    call.map_err(|report| self.at_operator(report, &when.condition, types))?
                }
                None => self.condition(&when.condition, "CASE/WHEN")?,
            });
            results.push((self.expr(&when.result)?, self.place(&when.result)));
        }
        let otherwise = match otherwise {
            Some(expr) => (self.expr(expr)?, self.place(expr)),
            None => (Expr::null(Type::UNKNOWN), None),
        };
        // PostgreSQL lets the ELSE speak first.
        let mut types = vec![(otherwise.0.ty(), otherwise.1)];
        types.extend(results.iter().map(|(expr, at)| (expr.ty(), *at)));
        let ty = self.common_type(&types, "CASE")?;
        let otherwise = Box::new(self.coerce_common(otherwise.0, ty, "CASE/ELSE", otherwise.1)?);
        let mut arms = Vec::new();
        for (test, (result, at)) in tests.into_iter().zip(results) {
            arms.push((test, self.coerce_common(result, ty, "CASE/WHEN", at)?));
        }
        Ok(Expr::Case { operand: operand.map(Box::new), arms, otherwise, ty })
    }

    /// Expressions brought to their common type.
    pub(super) fn common(&mut self, items: &[ast::Expr], what: &str) -> Result<(Vec<Expr>, Type)> {
        let mut analysed = Vec::with_capacity(items.len());
        for item in items {
            analysed.push((self.expr(item)?, self.place(item)));
        }
        let types: Vec<_> = analysed.iter().map(|(expr, at)| (expr.ty(), *at)).collect();
        let ty = self.common_type(&types, what)?;
        let converted = analysed.into_iter().map(|(expr, at)| self.coerce_common(expr, ty, what, at));
        Ok((converted.collect::<Result<_>>()?, ty))
    }

    fn array(&mut self, items: &[ast::Expr], at: Option<u32>) -> Result<Expr> {
        if items.is_empty() {
            // A cast around it decides; without one there is nothing to go by.
            return Ok(Expr::Array { items: Vec::new(), element: Type::TEXT, nested: false });
        }
        let (items, ty) = self.common(items, "ARRAY")?;
        let nested = ty.element().is_some();
        let element = ty.element().unwrap_or(ty);
        if element.array().is_none() {
            let message = format!("could not find array type for data type {element}");
            return Err(self.error_at(at, SqlState::UNDEFINED_OBJECT, message));
        }
        Ok(Expr::Array { items, element, nested })
    }

    /// `array[…]`, `array[from:to]`.
    fn access(&mut self, root: &ast::Expr, chain: &[ast::AccessExpr]) -> Result<Expr> {
        let at = self.place(root);
        let array = self.expr(root)?;
        let Some(element) = array.ty().element() else {
            let message =
                format!("cannot subscript type {} because it does not support subscripting", array.ty());
            return Err(self.error_at(at, SqlState::DATATYPE_MISMATCH, message));
        };
        if let [
            ast::AccessExpr::Subscript(ast::Subscript::Slice { lower_bound, upper_bound, stride: None }),
        ] = chain
        {
            let from = lower_bound.as_ref().map(|expr| self.index(expr)).transpose()?.map(Box::new);
            let to = upper_bound.as_ref().map(|expr| self.index(expr)).transpose()?.map(Box::new);
            return Ok(Expr::Slice { array: Box::new(array), from, to });
        }
        let mut indexes = Vec::new();
        for access in chain {
            match access {
                ast::AccessExpr::Subscript(ast::Subscript::Index { index }) => {
                    indexes.push(self.index(index)?)
                }
                _ => return self.not_supported(at, "this kind of subscript"),
            }
        }
        Ok(Expr::Subscript { array: Box::new(array), indexes, ty: element })
    }

    fn index(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let at = self.place(expr);
        let analysed = self.expr(expr)?;
        let coerced = self.coerce(analysed, Type::INT4, super::coerce::Context::Assignment, at)?;
        coerced.ok_or_else(|| {
            self.error_at(at, SqlState::DATATYPE_MISMATCH, "array subscript must have type integer")
        })
    }

    /// `IN (…)`: one comparison for each, which stops at the first that holds.
    pub(super) fn in_list(&mut self, input: &ast::Expr, list: &[ast::Expr], negated: bool) -> Result<Expr> {
        let (name, mut tests) = (if negated { "<>" } else { "=" }, Vec::new());
        for item in list {
            if let (ast::Expr::Tuple(left), ast::Expr::Tuple(right)) = (unnest(input), unnest(item)) {
                tests.push(self.row_comparison(name, left, right)?);
                continue;
            }
            let (left, right) = (self.placed(input)?, self.placed(item)?);
            let types = (left.0.ty(), right.0.ty());
            let test = self.binary(name, left, right, None);
            tests.push(test.map_err(|report| self.at_operator(report, item, types))?);
        }
        Ok(if negated { Expr::And(tests) } else { Expr::Or(tests) })
    }

    pub(super) fn between(
        &mut self,
        input: &ast::Expr,
        negated: bool,
        low: &ast::Expr,
        high: &ast::Expr,
    ) -> Result<Expr> {
        let mut test = |name: &str, bound: &ast::Expr| {
            let (left, right) = (self.placed(input)?, self.placed(bound)?);
            let types = (left.0.ty(), right.0.ty());
            let test = self.binary(name, left, right, None);
            test.map_err(|report| self.at_operator(report, bound, types))
        };
        Ok(match negated {
            false => Expr::And(vec![test(">=", low)?, test("<=", high)?]),
            true => Expr::Or(vec![test("<", low)?, test(">", high)?]),
        })
    }

    pub(super) fn like(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let (negated, operator, input, pattern, escape) = match expr {
            ast::Expr::Like { negated, expr, pattern, escape_char, any: false } => {
                (*negated, ["~~", "!~~"], expr, pattern, escape_char)
            }
            ast::Expr::ILike { negated, expr, pattern, escape_char, any: false } => {
                (*negated, ["~~*", "!~~*"], expr, pattern, escape_char)
            }
            ast::Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                (*negated, ["~", "!~"], expr, pattern, escape_char)
            }
            _ => return self.not_supported(self.place(expr), "LIKE ANY"),
        };
        let left = self.placed(input)?;
        let mut right = self.placed(pattern)?;
        let escape = escape
            .as_ref()
            .map(|value| self.value(value).map(|expr| (expr, self.place_of(value.span))))
            .transpose()?;
        let converter =
            if matches!(expr, ast::Expr::SimilarTo { .. }) { Some("similar_to_escape") } else { None };
        if let Some(function) = converter.or(escape.is_some().then_some("like_escape")) {
            let mut args = vec![right];
            args.extend(escape);
            right = (self.function_call(function, args, None, false)?, None);
        }
        let types = (left.0.ty(), right.0.ty());
        let result = self.binary(operator[usize::from(negated)], left, right, None);
        result.map_err(|report| self.at_operator(report, pattern, types))
    }

    pub(super) fn is_bool(&mut self, expr: &ast::Expr) -> Result<Expr> {
        use ast::Expr as E;
        let (input, value, negated, what) = match expr {
            E::IsTrue(input) => (input, Some(true), false, "IS TRUE"),
            E::IsNotTrue(input) => (input, Some(true), true, "IS NOT TRUE"),
            E::IsFalse(input) => (input, Some(false), false, "IS FALSE"),
            E::IsNotFalse(input) => (input, Some(false), true, "IS NOT FALSE"),
            E::IsUnknown(input) => (input, None, false, "IS UNKNOWN"),
            E::IsNotUnknown(input) => (input, None, true, "IS NOT UNKNOWN"),
            _ => return self.not_supported(self.place(expr), "this test"),
        };
        let input = Box::new(self.condition(input, what)?);
        Ok(match value {
            Some(value) => Expr::IsBool { input, value, negated },
            None => Expr::IsNull { input, negated },
        })
    }

    pub(super) fn is_distinct(&mut self, left: &ast::Expr, right: &ast::Expr, negated: bool) -> Result<Expr> {
        let args = vec![self.placed(left)?, self.placed(right)?];
        let types = (args[0].0.ty(), args[1].0.ty());
        let equal =
            self.operator("=", args, None).map_err(|report| self.at_operator(report, right, types))?;
        Ok(Expr::Distinct { equal: Box::new(equal), negated })
    }

    /// `(a, b) = (c, d)` is `a = c AND b = d`; `<>` its opposite.
    pub(super) fn row_comparison(
        &mut self,
        name: &str,
        left: &[ast::Expr],
        right: &[ast::Expr],
    ) -> Result<Expr> {
        let at = left.first().and_then(|expr| self.place(expr));
        if left.len() != right.len() {
            return Err(self.error_at(
                at,
                SqlState::SYNTAX_ERROR,
                "unequal number of entries in row expressions",
            ));
        }
        if !matches!(name, "=" | "<>") {
            return self.not_supported(at, &format!("row comparison by {name}"));
        }
        let mut tests = Vec::new();
        for (a, b) in left.iter().zip(right) {
            let (a, placed) = (self.placed(a)?, self.placed(b)?);
            let types = (a.0.ty(), placed.0.ty());
            let test = self.binary(name, a, placed, None);
            tests.push(test.map_err(|report| self.at_operator(report, b, types))?);
        }
        if tests.is_empty() {
            return Ok(Expr::Const(Datum::Bool(name == "="), Type::BOOL));
        }
        Ok(if name == "=" { Expr::And(tests) } else { Expr::Or(tests) })
    }
}
