//! Queries: `WITH`, bodies, `ORDER BY`, `LIMIT`.

use std::sync::Arc;

use sqlparser::ast::{self, LimitClause, OrderByKind, SetExpr};

use crate::report::{Result, SqlState};
use crate::sql::types::Type;

use super::coerce::Context;
use super::expr::Expr;
use super::scope::Scope;
use super::tree::{Body, OutputColumn, Query};
use super::{Analyzer, Clause, Cte, ident};

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
        if !query.locks.is_empty() {
            // Views and functions have no rows to lock.
            return self.not_supported(None, "FOR UPDATE");
        }
        let ctes = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        let order_by = self.order_items(query)?;
        let result = self.body(&query.body, order_by).and_then(|mut analysed| {
            self.limits(query, &mut analysed)?;
            Ok(analysed)
        });
        self.ctes.truncate(ctes);
        result
    }

    fn order_items<'q>(&self, query: &'q ast::Query) -> Result<&'q [ast::OrderByExpr]> {
        match query.order_by.as_ref().map(|order_by| &order_by.kind) {
            None => Ok(&[]),
            Some(OrderByKind::Expressions(items)) => Ok(items),
            Some(OrderByKind::All(_)) => self.not_supported(None, "ORDER BY ALL"),
        }
    }

    fn with(&mut self, with: &ast::With) -> Result<()> {
        if with.recursive {
            return self.not_supported(self.place_of(with.with_token.0.span), "WITH RECURSIVE");
        }
        for cte in &with.cte_tables {
            let mut query = self.query(&cte.query)?;
            if cte.alias.columns.len() > query.columns.len() {
                let message = format!(
                    "WITH query \"{}\" has {} columns available but {} columns specified",
                    ident(&cte.alias.name),
                    query.columns.len(),
                    cte.alias.columns.len()
                );
                let at = self.place_of(cte.alias.name.span);
                return Err(self.error_at(at, SqlState::INVALID_COLUMN_REFERENCE, message));
            }
            for (column, new) in query.columns.iter_mut().zip(&cte.alias.columns) {
                column.name = ident(&new.name);
            }
            let scopes = self.scopes.len();
            self.ctes.push(Cte { name: ident(&cte.alias.name), query: Arc::new(query), scopes });
        }
        Ok(())
    }

    /// What makes the rows. A `SELECT` sorts by more than its columns; the others only by them.
    pub(super) fn body(&mut self, body: &SetExpr, order_by: &[ast::OrderByExpr]) -> Result<Query> {
        match body {
            SetExpr::Select(select) => self.select(select, order_by),
            SetExpr::Query(inner) => {
                let query = self.query(inner)?;
                if order_by.is_empty() {
                    return Ok(query);
                }
                // The parentheses' own order and limit come first: sort what they give.
                self.sorted(wrapped(query), order_by)
            }
            SetExpr::Values(values) => {
                let query = self.values(values)?;
                self.sorted(query, order_by)
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let query = self.set_operation(left, *op, *set_quantifier, right)?;
                self.sorted(query, order_by)
            }
            SetExpr::Table(table) => self.table(table, order_by),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                self.not_supported(None, "a data-modifying statement in WITH")
            }
        }
    }

    /// `TABLE name` is `SELECT * FROM name`.
    fn table(&mut self, table: &ast::Table, order_by: &[ast::OrderByExpr]) -> Result<Query> {
        let parts = table.schema_name.iter().chain(&table.table_name);
        let name: Vec<String> = parts.map(|name| format!("\"{}\"", name.to_lowercase())).collect();
        let text = format!("SELECT * FROM {}", name.join("."));
        match crate::sql::parse::parse_one(&text)?.map(|parsed| parsed.statement) {
            Some(crate::sql::parse::Statement::Query(query)) => {
                let query = self.body(&query.body, order_by);
                query.map_err(|mut report| {
                    report.position = None;
                    report
                })
            }
            _ => self.not_supported(None, "TABLE"),
        }
    }

    fn values(&mut self, values: &ast::Values) -> Result<Query> {
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

    fn value_rows(&mut self, values: &ast::Values) -> Result<(Vec<Vec<Expr>>, Vec<Type>)> {
        let mut rows: Vec<Vec<(Expr, Option<u32>)>> = Vec::new();
        for row in &values.rows {
            let mut analysed = Vec::new();
            for expr in row.iter() {
                analysed.push((self.expr(expr)?, self.place(expr)));
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
        let (limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, .. }) => {
                let at = self.place(offset);
                return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "LIMIT #,# syntax is not supported"));
            }
        };
        let one = ast::Expr::Value(ast::Value::Number("1".to_owned(), false).with_empty_span());
        let fetched = match &query.fetch {
            Some(fetch) if fetch.with_ties || fetch.percent => return self.not_supported(None, "WITH TIES"),
            Some(fetch) => Some(fetch.quantity.as_ref().unwrap_or(&one)),
            None => None,
        };
        if let Some(limit) = limit.or(fetched) {
            analysed.limit = Some(self.row_count(limit, Clause::Limit)?);
        }
        if let Some(offset) = offset {
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
        let (from, at) = (analysed.ty(), self.place(expr));
        match self.coerce(analysed, Type::INT8, Context::Assignment, at)? {
            Some(expr) => Ok(expr),
            None => {
                let message = format!("argument of {} must be type bigint, not type {from}", clause.name());
                Err(self.error_at(at, SqlState::DATATYPE_MISMATCH, message))
            }
        }
    }
}

/// `SELECT * FROM (query)`.
fn wrapped(query: Query) -> Query {
    use super::expr::Column;
    let columns = query.columns.clone();
    let targets = columns
        .iter()
        .enumerate()
        .map(|(index, column)| Expr::Column(Column { level: 0, index, ty: column.ty, at: None }))
        .collect();
    let from = super::tree::From::Subquery { query: Box::new(query), alias: "unnamed_subquery".to_owned() };
    let select = super::tree::Select { from: Some(from), targets, ..Default::default() };
    Query { body: Body::Select(Box::new(select)), order_by: Vec::new(), limit: None, offset: None, columns }
}
