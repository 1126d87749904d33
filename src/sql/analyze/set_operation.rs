//! `UNION`, `INTERSECT`, `EXCEPT`; and sorting what has only its columns to sort by.

use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier};

use crate::report::{ReportExt, Result, SqlState};
use crate::sql::types::Type;

use super::expr::{Column, Expr};
use super::expression::unnest;
use super::tree::{Body, From, OutputColumn, Query, Select, SetOperation, SortKey};
use super::{Analyzer, ident};

impl Analyzer<'_> {
    pub(super) fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
    ) -> Result<Query> {
        let (operation, name) = match op {
            SetOperator::Union => (SetOperation::Union, "UNION"),
            SetOperator::Intersect => (SetOperation::Intersect, "INTERSECT"),
            SetOperator::Except | SetOperator::Minus => (SetOperation::Except, "EXCEPT"),
        };
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::Distinct | SetQuantifier::None => false,
            _ => return self.not_supported(None, "BY NAME"),
        };
        let outer = std::mem::replace(&mut self.in_set_operation, true);
        let arms = self.deeper(|analyzer| Ok((analyzer.body(left, &[])?, analyzer.body(right, &[])?)));
        self.in_set_operation = outer;
        let (left, right) = arms?;
        if left.columns.len() != right.columns.len() {
            let at = right.columns.first().and_then(|column| column.at);
            let message = format!("each {name} query must have the same number of columns");
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
        }
        let mut columns = Vec::new();
        for (a, b) in left.columns.iter().zip(&right.columns) {
            let ty = self.common_type(&[(a.ty, a.at), (b.ty, b.at)], name)?;
            let typmod = if a.typmod == b.typmod && a.ty == b.ty { a.typmod } else { -1 };
            columns.push(OutputColumn { name: a.name.clone(), ty, typmod, at: a.at });
        }
        let left = Box::new(self.converted(left, &columns, name)?);
        let right = Box::new(self.converted(right, &columns, name)?);
        let body = Body::Set { operation, all, left, right };
        Ok(Query { body, order_by: Vec::new(), limit: None, offset: None, columns })
    }

    /// The query with its columns converted to these types.
    fn converted(&mut self, mut query: Query, columns: &[OutputColumn], what: &str) -> Result<Query> {
        if let Body::Select(select) = &mut query.body {
            for ((target, have), want) in select.targets.iter_mut().zip(&mut query.columns).zip(columns) {
                if have.ty == Type::UNKNOWN {
                    let literal = std::mem::replace(target, Expr::null(Type::UNKNOWN));
                    *target = self.coerce_common(literal, want.ty, what, have.at)?;
                    have.ty = want.ty;
                }
            }
        }
        if query.columns.iter().zip(columns).all(|(have, want)| have.ty == want.ty) {
            return Ok(query);
        }
        let mut targets = Vec::new();
        for (index, (have, want)) in query.columns.iter().zip(columns).enumerate() {
            let column = Expr::Column(Column { level: 0, index, ty: have.ty, at: None });
            targets.push(self.coerce_common(column, want.ty, what, have.at)?);
        }
        let from = Some(From::Subquery { query: Box::new(query), alias: "*SELECT*".to_owned() });
        let select = Select { from, targets, ..Select::default() };
        Ok(Query {
            body: Body::Select(Box::new(select)),
            order_by: Vec::new(),
            limit: None,
            offset: None,
            columns: columns.to_vec(),
        })
    }

    /// Sorts by columns' names and places only.
    pub(super) fn sorted(&mut self, mut query: Query, order_by: &[ast::OrderByExpr]) -> Result<Query> {
        for item in order_by {
            let at = self.place(&item.expr);
            let column = match unnest(&item.expr) {
                ast::Expr::Identifier(name) => {
                    let name = ident(name);
                    let found = query.columns.iter().position(|column| column.name == name);
                    found.ok_or_else(|| {
                        self.error_at(
                            at,
                            SqlState::UNDEFINED_COLUMN,
                            format!("column \"{name}\" does not exist"),
                        )
                    })?
                }
                ast::Expr::Value(value) => {
                    self.output_place(value, query.columns.len(), "ORDER BY")?.unwrap_or(0)
                }
                _ => {
                    return Err(self
                        .error_at(at, SqlState::FEATURE_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                        .with_detail("Only result column names can be used, not expressions or functions.")
                        .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause."));
                }
            };
            query.order_by.push(sort_key(column, &item.options));
        }
        Ok(query)
    }

    /// The column that a number names, `None` if the value is no number.
    pub(super) fn output_place(
        &mut self,
        value: &ast::ValueWithSpan,
        count: usize,
        what: &str,
    ) -> Result<Option<usize>> {
        let at = self.place_of(value.span);
        let ast::Value::Number(digits, _) = &value.value else {
            if super::literal::string_of(&value.value).is_some()
                || matches!(value.value, ast::Value::Boolean(_))
            {
                let message = format!("non-integer constant in {what}");
                return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
            }
            return Ok(None);
        };
        match digits.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => Ok(Some(number - 1)),
            Ok(number) => {
                let message = format!("{what} position {number} is not in select list");
                Err(self.error_at(at, SqlState::INVALID_COLUMN_REFERENCE, message))
            }
            Err(_) => {
                let message = format!("non-integer constant in {what}");
                Err(self.error_at(at, SqlState::SYNTAX_ERROR, message))
            }
        }
    }
}

/// A key with its directions.
pub fn sort_key(column: usize, options: &ast::OrderByOptions) -> SortKey {
    let descending = options.asc == Some(false);
    SortKey { column, descending, nulls_first: options.nulls_first.unwrap_or(descending) }
}
