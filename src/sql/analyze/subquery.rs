//! Queries within expressions: `EXISTS`, scalar ones, `IN`, `ANY`, `ALL`, `ARRAY(…)`.

use std::sync::Arc;

use sqlparser::ast::{self, BinaryOperator};

use crate::report::{Result, SqlState};
use crate::sql::types::Type;

use super::Analyzer;
use super::expr::{Expr, Subquery, SubqueryKind};
use super::expression::{operator_name, unnest};
use super::tree::Query;

impl Analyzer<'_> {
    pub(super) fn subquery_expr(&mut self, expr: &ast::Expr) -> Result<Expr> {
        match expr {
            ast::Expr::Exists { subquery, negated } => {
                let query = self.inner_query(subquery)?;
                let exists = subquery_of(SubqueryKind::Exists, query, Type::BOOL);
                Ok(if *negated { Expr::Not(Box::new(exists)) } else { exists })
            }
            ast::Expr::Subquery(query) => {
                let at = self.place(expr).map(|at| at.saturating_sub(1)).filter(|at| *at > 0);
                let query = self.inner_query(query)?;
                let ty = self.only_column(&query, at)?;
                Ok(subquery_of(SubqueryKind::Scalar, query, ty))
            }
            ast::Expr::InSubquery { expr: input, subquery, negated } => {
                let compared = self.compare(input, "=", subquery, false)?;
                Ok(if *negated { Expr::Not(Box::new(compared)) } else { compared })
            }
            ast::Expr::AnyOp { left, compare_op, right, .. } => {
                self.quantified(left, compare_op, right, false)
            }
            ast::Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true),
            _ => self.not_supported(self.place(expr), "this subquery"),
        }
    }

    /// A query that sees this place's names.
    fn inner_query(&mut self, query: &ast::Query) -> Result<Arc<Query>> {
        let (clause, in_aggregate) = (self.clause, std::mem::take(&mut self.in_aggregate));
        let result = self.query(query).map(Arc::new);
        (self.clause, self.in_aggregate) = (clause, in_aggregate);
        result
    }

    fn only_column(&self, query: &Query, at: Option<u32>) -> Result<Type> {
        match query.columns.as_slice() {
            [column] => Ok(column.ty),
            _ => Err(self.error_at(at, SqlState::SYNTAX_ERROR, "subquery must return only one column")),
        }
    }

    pub(super) fn array_subquery(&mut self, query: &ast::Query) -> Result<Expr> {
        let query = self.inner_query(query)?;
        let element = self.only_column(&query, None)?;
        let Some(ty) = element.array() else {
            let message = format!("could not find array type for data type {element}");
            return Err(self.error_at(None, SqlState::UNDEFINED_OBJECT, message));
        };
        Ok(subquery_of(SubqueryKind::Array, query, ty))
    }

    /// `left operator ANY|ALL (query or array)`.
    fn quantified(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        all: bool,
    ) -> Result<Expr> {
        let name = operator_name(op);
        if let ast::Expr::Subquery(query) = unnest(right) {
            return self.compare(left, &name, query, all);
        }
        let left_placed = self.placed(left)?;
        let at = self.literal_at(right);
        let mut array = self.expr(right)?;
        if array.ty() == Type::UNKNOWN {
            // An array literal has elements of the left side's type.
            let element = if left_placed.0.ty() == Type::UNKNOWN { Type::TEXT } else { left_placed.0.ty() };
            let to = element.array().unwrap_or(Type::TEXT_ARRAY);
            array = self
                .coerce(array, to, super::coerce::Context::Implicit, at)?
                .unwrap_or_else(|| Expr::null(to));
        }
        let Some(element) = array.ty().element() else {
            let at = self.source.operator_before(sqlparser::ast::Spanned::span(right));
            let message = "op ANY/ALL (array) requires array on right side";
            return Err(self.error_at(at, SqlState::WRONG_OBJECT_TYPE, message));
        };
        let types = (left_placed.0.ty(), element);
        let call = self.operator(&name, vec![left_placed, (Expr::CaseOperand(element), None)], None);
        let call = call.map_err(|report| self.at_operator(report, right, types))?;
        Ok(Expr::AnyAll { call: Box::new(call), all, array: Box::new(array) })
    }

    fn compare(&mut self, left: &ast::Expr, name: &str, query: &ast::Query, all: bool) -> Result<Expr> {
        let at = self.place(left);
        if matches!(unnest(left), ast::Expr::Tuple(_)) {
            return self.not_supported(at, "a row compared with a subquery's rows");
        }
        let left_placed = self.placed(left)?;
        let query = self.inner_query(query)?;
        if query.columns.len() != 1 {
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "subquery has too many columns"));
        }
        let element = query.columns[0].ty;
        let mut call = self.operator(name, vec![left_placed, (Expr::CaseOperand(element), None)], None);
        if let Err(report) = &mut call {
            report.position = report.position.or(at);
        }
        Ok(subquery_of(SubqueryKind::Compare { call: call?, all }, query, Type::BOOL))
    }
}

fn subquery_of(kind: SubqueryKind, query: Arc<Query>, ty: Type) -> Expr {
    Expr::Subquery(Box::new(Subquery { kind, query, plan: None, ty }))
}
