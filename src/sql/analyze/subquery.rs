//! Queries within expressions: `EXISTS`, scalar ones, `IN`, `ANY`, `ALL`, `ARRAY(…)`.

use std::sync::Arc;

use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{self as ast, ExprKind, InList};
use crate::sql::types::Type;

use super::Analyzer;
use super::expr::{Expr, Subquery, SubqueryKind};
use super::tree::Query;

impl Analyzer<'_> {
    pub(super) fn subquery_expr(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let at = Some(expr.at);
        match &expr.kind {
            ExprKind::Exists(query) => {
                let query = self.inner_query(query)?;
                Ok(subquery_of(SubqueryKind::Exists, query, Type::BOOL))
            }
            ExprKind::Subquery(query) => {
                let query = self.inner_query(query)?;
                let ty = self.only_column(&query, at)?;
                Ok(subquery_of(SubqueryKind::Scalar, query, ty))
            }
            ExprKind::ArrayQuery(query) => self.array_subquery(query, at),
            ExprKind::Quantified(quantified) => self.quantified(quantified),
            _ => self.not_supported(at, "this subquery"),
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

    fn array_subquery(&mut self, query: &ast::Query, at: Option<u32>) -> Result<Expr> {
        let query = self.inner_query(query)?;
        let element = self.only_column(&query, at)?;
        let Some(ty) = element.array() else {
            let message = format!("could not find array type for data type {element}");
            return Err(self.error_at(at, SqlState::UNDEFINED_OBJECT, message));
        };
        Ok(subquery_of(SubqueryKind::Array, query, ty))
    }

    /// `left operator ANY|ALL (query or array)`.
    fn quantified(&mut self, quantified: &ast::Quantified) -> Result<Expr> {
        let ast::Quantified { left, op, all, right } = quantified;
        let name = self.operator_name(op)?;
        let right = match right {
            InList::Query(query) => return self.compare(left, name, query, *all, op.at),
            InList::Exprs(list) => &list[0],
        };
        let op_at = Some(op.at);
        let left = self.placed(left)?;
        let at = self.literal_at(right);
        let mut array = self.expr(right)?;
        if array.ty() == Type::UNKNOWN {
            // An array literal has elements of the left side's type.
            let element = if left.0.ty() == Type::UNKNOWN { Type::TEXT } else { left.0.ty() };
            let to = element.array().unwrap_or(Type::TEXT_ARRAY);
            array = self
                .coerce(array, to, super::coerce::Context::Implicit, at)?
                .unwrap_or_else(|| Expr::null(to));
        }
        let Some(element) = array.ty().element() else {
            let message = "op ANY/ALL (array) requires array on right side";
            return Err(self.error_at(op_at, SqlState::WRONG_OBJECT_TYPE, message));
        };
        let call = self.operator(name, vec![left, (Expr::CaseOperand(element), None)], op_at)?;
        Ok(Expr::AnyAll { call: Box::new(call), all: *all, array: Box::new(array) })
    }

    /// The left side compared with each row of a query.
    pub(super) fn compare(
        &mut self,
        left: &ast::Expr,
        name: &str,
        query: &ast::Query,
        all: bool,
        op_at: u32,
    ) -> Result<Expr> {
        let at = Some(op_at);
        if matches!(left.kind, ExprKind::Row(..)) {
            return self.not_supported(at, "a row compared with a subquery's rows");
        }
        let left = self.placed(left)?;
        let query = self.inner_query(query)?;
        if query.columns.len() != 1 {
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "subquery has too many columns"));
        }
        let element = query.columns[0].ty;
        let call = self.operator(name, vec![left, (Expr::CaseOperand(element), None)], at)?;
        Ok(subquery_of(SubqueryKind::Compare { call, all }, query, Type::BOOL))
    }
}

fn subquery_of(kind: SubqueryKind, query: Arc<Query>, ty: Type) -> Expr {
    Expr::Subquery(Box::new(Subquery { kind, query, plan: None, ty }))
}
