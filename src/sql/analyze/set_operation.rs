//! `UNION`, `INTERSECT`, `EXCEPT`; and sorting what has only its columns to sort by.

use crate::report::{ReportExt, Result, SqlState};
use crate::sql::parse::keywords::Keyword;
use crate::sql::parse::tree::{self as ast, ExprKind};
use crate::sql::types::Type;

use super::Analyzer;
use super::expr::{Column, Expr};
use super::tree::{Body, From, OutputColumn, Query, Select, SetOperation, SortKey};

impl Analyzer<'_> {
    pub(super) fn set_operation(&mut self, set: &ast::SetOperation) -> Result<Query> {
        let (operation, name) = match set.op {
            Keyword::Union => (SetOperation::Union, "UNION"),
            Keyword::Intersect => (SetOperation::Intersect, "INTERSECT"),
            _ => (SetOperation::Except, "EXCEPT"),
        };
        let all = set.all;
        let outer = std::mem::replace(&mut self.in_set_operation, true);
        let arms = self.deeper(|analyzer| Ok((analyzer.set_arm(&set.left)?, analyzer.set_arm(&set.right)?)));
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
        Ok(Query { body, order_by: Vec::new(), limit: None, offset: None, columns, locking: Vec::new() })
    }

    /// An arm in parentheses with clauses of its own is a query apart.
    fn set_arm(&mut self, arm: &ast::Query) -> Result<Query> {
        let bare = arm.with.is_none()
            && arm.order_by.is_empty()
            && arm.limit.is_none()
            && arm.offset.is_none()
            && arm.locking.is_empty();
        if bare { self.body(&arm.body, &[]) } else { self.query(arm) }
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
            let column = Expr::Column(Column { level: 0, index, ty: have.ty, typmod: -1, at: None });
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
            locking: Vec::new(),
        })
    }

    /// Sorts by columns' names and places only.
    pub(super) fn sorted(&mut self, mut query: Query, order_by: &[ast::SortBy]) -> Result<Query> {
        for item in order_by {
            let at = Some(item.expr.at);
            let count = query.columns.len();
            let column = match &item.expr.kind {
                ExprKind::Column(names) if names.len() == 1 => {
                    let name = &names[0];
                    let found = query.columns.iter().position(|column| column.name == *name);
                    found.ok_or_else(|| {
                        self.error_at(
                            at,
                            SqlState::UNDEFINED_COLUMN,
                            format!("column \"{name}\" does not exist"),
                        )
                    })?
                }
                _ => match self.output_place(&item.expr, count, "ORDER BY")? {
                    Some(place) => place,
                    None => {
                        return Err(self
                            .error_at(at, SqlState::FEATURE_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                            .with_detail("Only result column names can be used, not expressions or functions.")
                            .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause."));
                    }
                },
            };
            query.order_by.push(self.sort_key(column, item)?);
        }
        Ok(query)
    }

    /// The column that a number names, `None` if the expression is no constant.
    pub(super) fn output_place(
        &mut self,
        expr: &ast::Expr,
        count: usize,
        what: &str,
    ) -> Result<Option<usize>> {
        let at = Some(expr.at);
        let digits = match &expr.kind {
            ExprKind::Number(digits) => digits,
            ExprKind::String(_) | ExprKind::Bool(_) => {
                let message = format!("non-integer constant in {what}");
                return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
            }
            _ => return Ok(None),
        };
        match crate::sql::types::lexical::integer(digits).ok().and_then(|number| i32::try_from(number).ok()) {
            Some(number) if number >= 1 && number as usize <= count => Ok(Some(number as usize - 1)),
            Some(number) => {
                let message = format!("{what} position {number} is not in select list");
                Err(self.error_at(at, SqlState::INVALID_COLUMN_REFERENCE, message))
            }
            None => {
                let message = format!("non-integer constant in {what}");
                Err(self.error_at(at, SqlState::SYNTAX_ERROR, message))
            }
        }
    }

    /// A key with its directions.
    pub(super) fn sort_key(&self, column: usize, item: &ast::SortBy) -> Result<SortKey> {
        let descending = match &item.using {
            None => item.descending,
            Some(op) => match self.operator_name(op)? {
                "<" => false,
                ">" => true,
                name => {
                    let message = format!("operator {name} is not a valid ordering operator");
                    let report = self.error_at(Some(op.at), SqlState::WRONG_OBJECT_TYPE, message);
                    return Err(report.with_hint(
                        "Ordering operators must be \"<\" or \">\" members of btree operator families.",
                    ));
                }
            },
        };
        Ok(SortKey { column, descending, nulls_first: item.nulls_first.unwrap_or(descending) })
    }
}
