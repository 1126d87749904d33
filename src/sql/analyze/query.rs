//! Queries: `WITH`, bodies, `ORDER BY`, `LIMIT`.

use std::sync::Arc;

use crate::access::heap::RowLock;
use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{self as ast, CteBody, QueryBody};
use crate::sql::types::Type;
use crate::txn::locks::LockMode;

use super::coerce::Context;
use super::expr::Expr;
use super::scope::Scope;
use super::tree::{Body, From, OutputColumn, Query, RowLocking, SharedQuery, TableSource};
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
        let ctes = self.ctes.len();
        let result = self.query_body(query);
        let made = self.ctes.drain(ctes..).collect::<Vec<_>>();
        let mut analysed = with_changes(result?, made);
        for locking in &query.locking {
            self.locking(locking, &mut analysed)?;
        }
        Ok(analysed)
    }

    /// `FOR UPDATE` and its kin.
    fn locking(&mut self, locking: &ast::Locking, query: &mut Query) -> Result<()> {
        let (strength, at) = (locking.strength, Some(locking.at));
        let refused = |analyzer: &Self, what: &str| {
            let message = format!("{strength} is not allowed with {what}");
            Err(analyzer.error_at(None, SqlState::FEATURE_NOT_SUPPORTED, message))
        };
        let select = match &mut query.body {
            Body::Select(select) => select,
            Body::Values(_) => return refused(self, "VALUES"),
            Body::Set { .. } => return refused(self, "UNION/INTERSECT/EXCEPT"),
            Body::Change(_) | Body::With { .. } => return self.not_supported(at, strength),
        };
        if select.distinct.is_some() {
            return refused(self, "DISTINCT clause");
        }
        if let Some(grouping) = &select.grouping {
            let what = if grouping.keys.is_empty() { "aggregate functions" } else { "GROUP BY clause" };
            return refused(self, what);
        }
        if !select.set_calls.is_empty() {
            return refused(self, "set-returning functions in the target list");
        }
        let mut tables = Vec::new();
        if let Some(from) = &select.from {
            lockable(from, 0, &mut tables);
        }
        for name in &locking.tables {
            if !tables.iter().any(|(_, table)| table.alias == name.last()) {
                let message =
                    format!("relation \"{}\" in {strength} clause not found in FROM clause", name.last());
                return Err(self.error_at(Some(name.at), SqlState::UNDEFINED_TABLE, message));
            }
        }
        let is_wanted =
            |alias: &str| locking.tables.is_empty() || locking.tables.iter().any(|name| name.last() == alias);
        for (place, table) in tables.into_iter().filter(|(_, table)| is_wanted(&table.alias)) {
            self.environment.note_lock(&table.relation, LockMode::RowShare)?;
            query.locking.push(RowLocking {
                relation: table.relation.clone(),
                at: place,
                lock: match strength {
                    "FOR UPDATE" => RowLock::Update,
                    "FOR NO KEY UPDATE" => RowLock::NoKeyUpdate,
                    "FOR SHARE" => RowLock::Share,
                    _ => RowLock::KeyShare,
                },
                wait: locking.wait,
            });
        }
        Ok(())
    }

    fn query_body(&mut self, query: &ast::Query) -> Result<Query> {
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        let mut analysed = self.body(&query.body, &query.order_by)?;
        self.limits(query, &mut analysed)?;
        Ok(analysed)
    }

    pub(super) fn with(&mut self, with: &ast::With) -> Result<()> {
        if with.recursive {
            return self.not_supported(Some(with.at), "WITH RECURSIVE");
        }
        for cte in &with.queries {
            let at = Some(cte.name.at);
            let query = match &cte.body {
                CteBody::Query(query) => query,
                CteBody::Change(change) => {
                    self.changing_cte(&cte.name, &cte.columns, change)?;
                    continue;
                }
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
            self.ctes.push(Cte { name: cte.name.text.clone(), query: Arc::new(query), scopes, shared: None });
        }
        Ok(())
    }

    /// A query of `WITH` that changes rows: it runs once, whoever reads what it returns.
    fn changing_cte(&mut self, name: &ast::Name, columns: &[ast::Name], change: &ast::Change) -> Result<()> {
        if !self.scopes.is_empty() {
            let message = "WITH clause containing a data-modifying statement must be at the top level";
            return Err(self.error_at(Some(name.at), SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let mut query = self.change(change)?;
        for (column, new) in query.columns.iter_mut().zip(columns) {
            column.name = new.text.clone();
        }
        let shared = Some(self.shared);
        self.shared += 1;
        let scopes = self.scopes.len();
        self.ctes.push(Cte { name: name.text.clone(), query: Arc::new(query), scopes, shared });
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
            locking: Vec::new(),
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

/// The query with those of its `WITH` that change rows before it.
pub(super) fn with_changes(query: Query, ctes: Vec<Cte>) -> Query {
    let shared = |cte: Cte| {
        let Cte { query, shared, .. } = cte;
        shared.map(|number| SharedQuery { number, query })
    };
    let changes: Vec<SharedQuery> = ctes.into_iter().filter_map(shared).collect();
    if changes.is_empty() {
        return query;
    }
    let columns = query.columns.clone();
    let body = Body::With { changes, query: Box::new(query) };
    Query { body, order_by: Vec::new(), limit: None, offset: None, columns, locking: Vec::new() }
}

/// Tables whose rows can be locked, and where their columns begin: those right in FROM, not those within queries there.
fn lockable<'f>(from: &'f From, at: usize, to: &mut Vec<(usize, &'f TableSource)>) {
    match from {
        From::Table(table) => to.push((at, table)),
        From::Join(join) => {
            lockable(&join.left, at, to);
            lockable(&join.right, at + join.left_width, to);
        }
        From::View(..) | From::Function { .. } | From::Subquery { .. } | From::Shared { .. } => {}
    }
}
