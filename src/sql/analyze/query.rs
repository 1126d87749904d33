//! Queries: `WITH`, bodies, `ORDER BY`, `LIMIT`.

use std::sync::Arc;

use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{self as ast, CteBody, QueryBody};
use crate::sql::types::Type;

use super::coerce::Context;
use super::expr::Expr;
use super::scope::Scope;
use super::tree::{Body, OutputColumn, Query};
use super::{Analyzer, Clause, Cte};

impl Analyzer<'_> {
    /// A query with all its parts.
    pub(super) fn query(&mut self, query: &ast::Query) -> Result<Query> {
        self.deeper(|analyzer| analyzer.query_here(query))
    }

    fn query_here(&mut self, query: &ast::Query) -> Result<Query> {
        let in_set_operation = std::mem::take(&mut self.in_set_operation);
        let result = self.query_parts(query);
        self.in_set_operation = in_set_operation;
        result
    }

    fn query_parts(&mut self, query: &ast::Query) -> Result<Query> {
        if let Some(locking) = query.locking.first() {
            // Views and functions have no rows to lock.
            return self.not_supported(Some(locking.at), locking.strength);
        }
        let ctes = self.ctes.len();
        let result = self.query_body(query);
        self.ctes.truncate(ctes);
        result
    }

    fn query_body(&mut self, query: &ast::Query) -> Result<Query> {
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        let mut analysed = self.body(&query.body, &query.order_by)?;
        self.limits(query, &mut analysed)?;
        Ok(analysed)
    }

    fn with(&mut self, with: &ast::With) -> Result<()> {
        if with.recursive {
            return self.not_supported(Some(with.at), "WITH RECURSIVE");
        }
        for cte in &with.queries {
            let at = Some(cte.name.at);
            let query = match &cte.body {
                CteBody::Query(query) => query,
                CteBody::Change(change) => return Err(self.missing_relation(&change.target.name)),
            };
            if cte.search.is_some() || cte.cycle.is_some() {
                let message = "WITH query is not recursive";
                return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
            }
            let mut query = self.query(query)?;
            if cte.columns.len() > query.columns.len() {
                let message = format!(
                    "WITH query \"{}\" has {} columns available but {} columns specified",
                    cte.name.text,
                    query.columns.len(),
                    cte.columns.len()
                );
                return Err(self.error_at(at, SqlState::INVALID_COLUMN_REFERENCE, message));
            }
            for (column, new) in query.columns.iter_mut().zip(&cte.columns) {
                column.name = new.text.clone();
            }
            let scopes = self.scopes.len();
            self.ctes.push(Cte { name: cte.name.text.clone(), query: Arc::new(query), scopes });
        }
        Ok(())
    }

    /// What makes the rows. A `SELECT` sorts by more than its columns; the others only by them.
    pub(super) fn body(&mut self, body: &QueryBody, order_by: &[ast::SortBy]) -> Result<Query> {
        match body {
            QueryBody::Select(select) => self.select(select, order_by),
            QueryBody::Values(rows) => {
                let query = self.values(rows)?;
                self.sorted(query, order_by)
            }
            QueryBody::Set(set) => {
                let query = self.set_operation(set)?;
                self.sorted(query, order_by)
            }
        }
    }

    fn values(&mut self, values: &[Vec<ast::Expr>]) -> Result<Query> {
        let clause = std::mem::replace(&mut self.clause, Clause::Values);
        self.scopes.push(Scope::default());
        let rows = self.value_rows(values);
        self.scopes.pop();
        self.clause = clause;
        let (rows, types) = rows?;
        let columns = types.into_iter().enumerate().map(|(index, ty)| OutputColumn {
            name: format!("column{}", index + 1),
            ty,
            typmod: -1,
            at: None,
        });
        Ok(Query {
            columns: columns.collect(),
            body: Body::Values(rows),
            order_by: Vec::new(),
            limit: None,
            offset: None,
        })
    }

    fn value_rows(&mut self, values: &[Vec<ast::Expr>]) -> Result<(Vec<Vec<Expr>>, Vec<Type>)> {
        let mut rows: Vec<Vec<(Expr, Option<u32>)>> = Vec::new();
        for row in values {
            let mut analysed = Vec::new();
            for expr in row {
                analysed.push((self.expr(expr)?, Some(expr.at)));
            }
            if rows.first().is_some_and(|first| first.len() != analysed.len()) {
                let at = analysed.first().and_then(|item| item.1);
                return Err(self.error_at(
                    at,
                    SqlState::SYNTAX_ERROR,
                    "VALUES lists must all be the same length",
                ));
            }
            rows.push(analysed);
        }
        let width = rows.first().map_or(0, Vec::len);
        let mut types = Vec::new();
        for column in 0..width {
            let of_column: Vec<_> = rows.iter().map(|row| (row[column].0.ty(), row[column].1)).collect();
            types.push(self.common_type(&of_column, "VALUES")?);
        }
        let convert = |analyzer: &mut Self, row: Vec<(Expr, Option<u32>)>| {
            let items = row.into_iter().zip(&types);
            items
                .map(|((expr, at), &ty)| analyzer.coerce_common(expr, ty, "VALUES", at))
                .collect::<Result<Vec<_>>>()
        };
        let rows = rows.into_iter().map(|row| convert(self, row)).collect::<Result<_>>()?;
        Ok((rows, types))
    }

    fn limits(&mut self, query: &ast::Query, analysed: &mut Query) -> Result<()> {
        if query.with_ties {
            return self.not_supported(query.limit.as_ref().map(|limit| limit.at), "WITH TIES");
        }
        if let Some(limit) = &query.limit {
            analysed.limit = Some(self.row_count(limit, Clause::Limit)?);
        }
        if let Some(offset) = &query.offset {
            analysed.offset = Some(self.row_count(offset, Clause::Offset)?);
        }
        Ok(())
    }

    fn row_count(&mut self, expr: &ast::Expr, clause: Clause) -> Result<Expr> {
        let before = std::mem::replace(&mut self.clause, clause);
        self.scopes.push(Scope::default());
        let analysed = self.expr(expr);
        self.scopes.pop();
        self.clause = before;
        let analysed = analysed?;
        let (from, at) = (analysed.ty(), Some(expr.at));
        match self.coerce(analysed, Type::INT8, Context::Assignment, at)? {
            Some(expr) => Ok(expr),
            None => {
                let message = format!("argument of {} must be type bigint, not type {from}", clause.name());
                Err(self.error_at(at, SqlState::DATATYPE_MISMATCH, message))
            }
        }
    }
}
