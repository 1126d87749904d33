//! Expressions with a grammar of their own: `CASE`, `IN`, `BETWEEN`, `LIKE`, `IS …`, arrays and rows.

use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{self as ast, ExprKind, InList, Indirection, LikeKind, Test};
use crate::sql::types::{Datum, Type};

use super::Analyzer;
use super::expr::Expr;

impl Analyzer<'_> {
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

    pub(super) fn case(&mut self, case: &ast::Case) -> Result<Expr> {
        let operand = match &case.operand {
            Some(operand) => {
                let at = self.literal_at(operand);
                let analysed = self.expr(operand)?;
                Some(self.settle_unknown(analysed, at)?)
            }
            None => None,
        };
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for (condition, result) in &case.arms {
            tests.push(match &operand {
                Some(operand) => {
                    let value = self.placed(condition)?;
                    self.binary("=", (Expr::CaseOperand(operand.ty()), None), value, Some(condition.at))?
                }
                None => self.condition(condition, "CASE/WHEN")?,
            });
            results.push((self.expr(result)?, Some(result.at)));
        }
        let otherwise = match &case.otherwise {
            Some(expr) => (self.expr(expr)?, Some(expr.at)),
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
            analysed.push((self.expr(item)?, Some(item.at)));
        }
        let types: Vec<_> = analysed.iter().map(|(expr, at)| (expr.ty(), *at)).collect();
        let ty = self.common_type(&types, what)?;
        let converted = analysed.into_iter().map(|(expr, at)| self.coerce_common(expr, ty, what, at));
        Ok((converted.collect::<Result<_>>()?, ty))
    }

    pub(super) fn array(&mut self, items: &[ast::Expr], at: Option<u32>) -> Result<Expr> {
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
    pub(super) fn access(&mut self, root: &ast::Expr, path: &[Indirection]) -> Result<Expr> {
        let at = Some(root.at);
        if let Some(Indirection::Field(name)) = path.first() {
            return self.not_supported(Some(name.at), "selecting a field");
        }
        let array = self.expr(root)?;
        let vector = match array.ty() {
            Type::INT2VECTOR => Some(Type::INT2),
            Type::OIDVECTOR => Some(Type::OID),
            _ => None,
        };
        let Some(element) = array.ty().element().or(vector) else {
            let message =
                format!("cannot subscript type {} because it does not support subscripting", array.ty());
            return Err(self.error_at(at, SqlState::DATATYPE_MISMATCH, message));
        };
        if let [Indirection::Slice(from, to)] = path {
            let from = from.as_ref().map(|expr| self.index(expr)).transpose()?.map(Box::new);
            let to = to.as_ref().map(|expr| self.index(expr)).transpose()?.map(Box::new);
            return Ok(Expr::Slice { array: Box::new(array), from, to });
        }
        let mut indexes = Vec::new();
        for step in path {
            match step {
                Indirection::Index(index) => indexes.push(self.index(index)?),
                _ => return self.not_supported(at, "this kind of subscript"),
            }
        }
        Ok(Expr::Subscript { array: Box::new(array), indexes, ty: element })
    }

    fn index(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let at = Some(expr.at);
        let analysed = self.expr(expr)?;
        let coerced = self.coerce(analysed, Type::INT4, super::coerce::Context::Assignment, at)?;
        coerced.ok_or_else(|| {
            self.error_at(at, SqlState::DATATYPE_MISMATCH, "array subscript must have type integer")
        })
    }

    /// `IN (…)`: one comparison for each, which stops at the first that holds.
    pub(super) fn in_test(&mut self, test: &ast::In) -> Result<Expr> {
        let list = match &test.list {
            InList::Exprs(list) => list,
            InList::Query(query) => {
                let compared = self.compare(&test.input, "=", query, false, test.at)?;
                return Ok(if test.negated { Expr::Not(Box::new(compared)) } else { compared });
            }
        };
        let at = Some(test.at);
        let (name, mut tests) = (if test.negated { "<>" } else { "=" }, Vec::new());
        for item in list {
            if let (ExprKind::Row(left, _), ExprKind::Row(right, _)) = (&test.input.kind, &item.kind) {
                tests.push(self.row_comparison(name, left, right, at)?);
                continue;
            }
            let (left, right) = (self.placed(&test.input)?, self.placed(item)?);
            tests.push(self.binary(name, left, right, at)?);
        }
        Ok(if test.negated { Expr::And(tests) } else { Expr::Or(tests) })
    }

    pub(super) fn between(&mut self, between: &ast::Between) -> Result<Expr> {
        let mut test = |name: &str, bound: &ast::Expr| {
            let (left, right) = (self.placed(&between.input)?, self.placed(bound)?);
            self.binary(name, left, right, Some(between.at))
        };
        let mut within = |low: &ast::Expr, high: &ast::Expr| {
            Ok::<Expr, Box<crate::report::Report>>(match between.negated {
                false => Expr::And(vec![test(">=", low)?, test("<=", high)?]),
                true => Expr::Or(vec![test("<", low)?, test(">", high)?]),
            })
        };
        let straight = within(&between.low, &between.high)?;
        if !between.symmetric {
            return Ok(straight);
        }
        let both = vec![straight, within(&between.high, &between.low)?];
        Ok(if between.negated { Expr::And(both) } else { Expr::Or(both) })
    }

    pub(super) fn like(&mut self, like: &ast::Like) -> Result<Expr> {
        let (operator, converter) = match like.kind {
            LikeKind::Like => (["~~", "!~~"], "like_escape"),
            LikeKind::ILike => (["~~*", "!~~*"], "like_escape"),
            LikeKind::Similar => (["~", "!~"], "similar_to_escape"),
        };
        let at = Some(like.at);
        let left = self.placed(&like.input)?;
        let mut right = self.placed(&like.pattern)?;
        let escape = like.escape.as_ref().map(|escape| self.placed(escape)).transpose()?;
        if escape.is_some() || like.kind == LikeKind::Similar {
            let mut args = vec![right];
            args.extend(escape);
            right = (self.function_call(converter, args, at, false)?, None);
        }
        self.binary(operator[usize::from(like.negated)], left, right, at)
    }

    /// What `IS` tests for.
    pub(super) fn is_test(
        &mut self,
        input: &ast::Expr,
        test: Test,
        negated: bool,
        at: Option<u32>,
    ) -> Result<Expr> {
        let (value, what) = match (test, negated) {
            (Test::Null, _) => {
                let literal_at = self.literal_at(input);
                let analysed = self.expr(input)?;
                let input = self.settle_unknown(analysed, literal_at)?;
                return Ok(Expr::IsNull { input: Box::new(input), negated });
            }
            (Test::True, false) => (Some(true), "IS TRUE"),
            (Test::True, true) => (Some(true), "IS NOT TRUE"),
            (Test::False, false) => (Some(false), "IS FALSE"),
            (Test::False, true) => (Some(false), "IS NOT FALSE"),
            (Test::Unknown, false) => (None, "IS UNKNOWN"),
            (Test::Unknown, true) => (None, "IS NOT UNKNOWN"),
            (Test::Document, _) => return self.not_supported(at, "IS DOCUMENT"),
            (Test::Json(..), _) => return self.not_supported(at, "IS JSON"),
        };
        let input = Box::new(self.condition(input, what)?);
        Ok(match value {
            Some(value) => Expr::IsBool { input, value, negated },
            None => Expr::IsNull { input, negated },
        })
    }

    pub(super) fn is_distinct(&mut self, distinct: &ast::Distinct) -> Result<Expr> {
        let args = vec![self.placed(&distinct.left)?, self.placed(&distinct.right)?];
        let equal = self.operator("=", args, Some(distinct.at))?;
        Ok(Expr::Distinct { equal: Box::new(equal), negated: distinct.negated })
    }

    pub(super) fn nullif(&mut self, left: &ast::Expr, right: &ast::Expr, at: Option<u32>) -> Result<Expr> {
        let (a, b) = (self.placed(left)?, self.placed(right)?);
        let value = a.0.clone();
        let literal_at = a.1;
        let equal = self.operator("=", vec![a, b], at)?;
        let value = if value.ty() == Type::UNKNOWN {
            let to = equal.arg_types[0];
            let coerced = self.coerce(value, to, super::coerce::Context::Implicit, literal_at)?;
            coerced.unwrap_or_else(|| Expr::null(to))
        } else {
            value
        };
        Ok(Expr::NullIf { equal: Box::new(equal), value: Box::new(value) })
    }

    /// `(a, b) = (c, d)` is `a = c AND b = d`; `<>` its opposite.
    pub(super) fn row_comparison(
        &mut self,
        name: &str,
        left: &[ast::Expr],
        right: &[ast::Expr],
        at: Option<u32>,
    ) -> Result<Expr> {
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
            let (a, b) = (self.placed(a)?, self.placed(b)?);
            tests.push(self.binary(name, a, b, at)?);
        }
        if tests.is_empty() {
            return Ok(Expr::Const(Datum::Bool(name == "="), Type::BOOL));
        }
        Ok(if name == "=" { Expr::And(tests) } else { Expr::Or(tests) })
    }
}
