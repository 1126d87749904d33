//! `FROM`: views, functions, queries, and their joins.

use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{self as ast, FromKind, JoinCondition};
use crate::sql::types::Type;
use crate::sql::views::SystemView;
use crate::txn::locks::LockMode;

use super::coerce::Context;
use super::expr::{Column, Expr};
use super::scope::{Scope, ScopeColumn, SourceColumn, SourceColumnKind};
use super::tree::{From, FunctionSource, Join, JoinKind};
use super::{Analyzer, Clause};

/// A part of `FROM` that was analysed, and the columns it adds.
pub(super) struct Source {
    pub(super) from: From,
    pub(super) alias: String,
    pub(super) columns: Vec<SourceColumn>,
    pub(super) lateral: bool,
}

impl Analyzer<'_> {
    /// The list behind `FROM`; its names go to the scope at hand.
    pub(super) fn list_of_from(&mut self, items: &[ast::FromItem]) -> Result<Option<From>> {
        let mut from: Option<(From, usize)> = None;
        for item in items {
            from = Some(self.list_item(item, from)?);
        }
        Ok(from.map(|(from, _)| from))
    }

    /// Joins are built onto what stands left of them. That changes nothing, unless a join keeps rows of its right side:
    /// then it is built apart first.
    pub(super) fn list_item(
        &mut self,
        item: &ast::FromItem,
        left: Option<(From, usize)>,
    ) -> Result<(From, usize)> {
        let keeps_right =
            spine(item).1.iter().any(|join| matches!(join.kind, ast::JoinKind::Right | ast::JoinKind::Full));
        if keeps_right && left.is_some() {
            let offset = self.scope().width;
            let right = self.join_chain(item, None, offset)?;
            return Ok(cross(left, right, false));
        }
        self.join_chain(item, left, 0)
    }

    fn join_chain(
        &mut self,
        item: &ast::FromItem,
        left: Option<(From, usize)>,
        offset: usize,
    ) -> Result<(From, usize)> {
        // What USING merges are this chain's columns, not those of the items before it.
        let own_columns = self.scope().columns.len();
        let (first, joins) = spine(item);
        let mut chain = self.factor(first, left, offset)?;
        for join in joins {
            chain = self.join(join, chain, offset, own_columns)?;
        }
        Ok(chain)
    }

    fn factor(
        &mut self,
        item: &ast::FromItem,
        left: Option<(From, usize)>,
        offset: usize,
    ) -> Result<(From, usize)> {
        let source = self.source_of(item, left.is_some() && offset == 0)?;
        let width = source.columns.len();
        let lateral = source.lateral;
        self.add_relation(source.alias, source.columns)?;
        Ok(cross(left, (source.from, width), lateral))
    }

    pub(super) fn add_relation(&mut self, alias: String, columns: Vec<SourceColumn>) -> Result<()> {
        if self.scope().relations.contains(&alias) {
            let message = format!("table name \"{alias}\" specified more than once");
            return Err(self.error_at(None, SqlState::DUPLICATE_ALIAS, message));
        }
        self.scope().add(&alias, columns);
        Ok(())
    }

    fn source_of(&mut self, item: &ast::FromItem, may_be_lateral: bool) -> Result<Source> {
        let at = item.alias.as_ref().map_or(item.at, |alias| alias.name.at);
        let alias = item.alias.as_ref();
        Ok(match &item.kind {
            FromKind::Table { relation, sample: None } => self.relation(&relation.name, alias)?,
            FromKind::Table { sample: Some(sample), .. } => {
                return self.not_supported(Some(sample.method.at), "TABLESAMPLE");
            }
            FromKind::Function(function) => self.function_source(function, alias, may_be_lateral, item.at)?,
            FromKind::Query { query, lateral } => self.derived(query, alias, *lateral && may_be_lateral)?,
            FromKind::Join(_) => return self.not_supported(Some(at), "a name for a join"),
        })
    }

    fn relation(&mut self, name: &ast::QualifiedName, alias: Option<&ast::Alias>) -> Result<Source> {
        let at = Some(name.at);
        let (schema, last) = match name.parts.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            [_, _, _] => return self.not_supported(at, "a name of another database"),
            _ => {
                let message = format!("improper qualified name (too many dotted names): {}", name.dotted());
                return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
            }
        };
        if schema.is_none()
            && let Some(cte) = self.ctes.iter().rev().find(|cte| cte.name == *last)
        {
            let (query, scopes) = (cte.query.clone(), cte.scopes);
            if let Some(number) = cte.shared {
                return self.shared_source(number, &query, name, alias);
            }
            return self.cte_source(last, &query, scopes, alias);
        }
        if let Some(relation) = self.environment.relation(schema, last, LockMode::AccessShare)? {
            return self.table_source(relation, alias);
        }
        let Some(view) = SystemView::by_name(schema, last) else {
            return Err(self.missing_relation(name));
        };
        let columns =
            view.columns().iter().map(|column| SourceColumn::new(column.name, column.ty, -1)).collect();
        let (alias, columns) = self.aliased(last, columns, alias)?;
        Ok(Source { from: From::View(view, alias.clone()), alias, columns, lateral: false })
    }

    /// A query of `WITH`: its references outward are counted from where it was defined.
    fn cte_source(
        &mut self,
        name: &str,
        query: &super::Query,
        scopes: usize,
        alias: Option<&ast::Alias>,
    ) -> Result<Source> {
        let mut query = query.clone();
        // The scope being made is not one that a query in FROM sees.
        let further = (self.scopes.len() - 1).saturating_sub(scopes);
        for level in (1..=scopes).rev() {
            query.each_column(level, &mut |column| column.level += further);
        }
        let columns = source_columns(&query);
        let (alias, columns) = self.aliased(name, columns, alias)?;
        Ok(Source {
            from: From::Subquery { query: Box::new(query), alias: alias.clone() },
            alias,
            columns,
            lateral: false,
        })
    }

    /// What a query of `WITH` that changes rows returns.
    fn shared_source(
        &mut self,
        number: usize,
        query: &super::Query,
        name: &ast::QualifiedName,
        alias: Option<&ast::Alias>,
    ) -> Result<Source> {
        if query.columns.is_empty() {
            let message = format!("WITH query \"{}\" does not have a RETURNING clause", name.last());
            return Err(self.error_at(Some(name.at), SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let (alias, columns) = self.aliased(name.last(), source_columns(query), alias)?;
        let from = From::Shared { number, width: columns.len(), alias: alias.clone() };
        Ok(Source { from, alias, columns, lateral: false })
    }

    fn derived(
        &mut self,
        subquery: &ast::Query,
        alias: Option<&ast::Alias>,
        lateral: bool,
    ) -> Result<Source> {
        let query = if lateral {
            self.query(subquery)?
        } else {
            let hidden = self.scopes.pop();
            let query = self.query(subquery);
            self.scopes.extend(hidden);
            query?
        };
        let columns = source_columns(&query);
        let (alias, columns) = self.aliased("unnamed_subquery", columns, alias)?;
        Ok(Source {
            from: From::Subquery { query: Box::new(query), alias: alias.clone() },
            alias,
            columns,
            lateral,
        })
    }

    fn function_source(
        &mut self,
        function: &ast::FromFunction,
        alias: Option<&ast::Alias>,
        lateral: bool,
        at: u32,
    ) -> Result<Source> {
        let [(call, typed)] = function.functions.as_slice() else {
            return self.not_supported(Some(at), "ROWS FROM of several functions");
        };
        if let Some(column) = function.columns.first().or(typed.first()) {
            let message = "a column definition list is only allowed for functions returning \"record\"";
            return Err(self.error_at(Some(column.name.at), SqlState::SYNTAX_ERROR, message));
        }
        let (call_source, ty) = self.function_rows(call, lateral)?;
        let function_name = super::target_names::column_name(call).unwrap_or_default();
        // A function's one column is called as its alias.
        let column = alias.map_or_else(|| function_name.clone(), |alias| alias.name.text.clone());
        let mut columns = match call_source.outs() {
            [] => vec![SourceColumn::new(column, ty, -1)],
            outs => outs.iter().map(|(name, ty)| SourceColumn::new(*name, *ty, -1)).collect(),
        };
        let ordinality = function.ordinality;
        if ordinality {
            columns.push(SourceColumn::new("ordinality", Type::INT8, -1));
        }
        let (alias, columns) = self.aliased(&function_name, columns, alias)?;
        let from = From::Function { call: call_source, alias: alias.clone(), ordinality };
        Ok(Source { from, alias, columns, lateral })
    }

    fn function_rows(&mut self, call: &ast::Expr, lateral: bool) -> Result<(FunctionSource, Type)> {
        let clause = std::mem::replace(&mut self.clause, Clause::From);
        let hidden = if lateral { None } else { self.scopes.pop() };
        self.scopes.push(Scope::default());
        let analysed = self.expr(call);
        let inner = self.scopes.pop().unwrap_or_default();
        self.scopes.extend(hidden);
        self.clause = clause;
        let analysed = analysed?;
        let ty = analysed.ty();
        let mut set_calls = inner.set_calls;
        let source = match (analysed, set_calls.pop()) {
            (Expr::SetCall(..), Some(call)) if set_calls.is_empty() => FunctionSource::Set(call),
            (expr, None) => FunctionSource::Scalar(Box::new(expr)),
            _ => {
                let at = Some(call.at);
                return self.not_supported(at, "a set-returning function within a function in FROM");
            }
        };
        Ok((source, ty))
    }

    /// The names that an alias gives.
    pub(super) fn aliased(
        &self,
        name: &str,
        mut columns: Vec<SourceColumn>,
        alias: Option<&ast::Alias>,
    ) -> Result<(String, Vec<SourceColumn>)> {
        let Some(alias) = alias else {
            return Ok((name.to_owned(), columns));
        };
        let alias_name = alias.name.text.clone();
        let is_plain = |column: &SourceColumn| column.kind == SourceColumnKind::Plain;
        let available = columns.iter().filter(|column| is_plain(column)).count();
        if alias.columns.len() > available {
            let message = format!(
                "table \"{alias_name}\" has {available} columns available but {} columns specified",
                alias.columns.len()
            );
            return Err(self.error_at(None, SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        for (column, new) in columns.iter_mut().filter(|column| is_plain(column)).zip(&alias.columns) {
            column.name = new.text.clone();
        }
        Ok((alias_name, columns))
    }

    fn join(
        &mut self,
        join: &ast::Join,
        left: (From, usize),
        offset: usize,
        own_columns: usize,
    ) -> Result<(From, usize)> {
        let kind = match join.kind {
            ast::JoinKind::Inner => JoinKind::Inner,
            ast::JoinKind::Left => JoinKind::Left,
            ast::JoinKind::Right => JoinKind::Right,
            ast::JoinKind::Full => JoinKind::Full,
        };
        let first_right = self.scope().columns.len();
        let left_width = left.1;
        let outer_right = matches!(kind, JoinKind::Right | JoinKind::Full);
        let (right, lateral) = if is_join(&join.right) {
            let inner_offset = self.scope().width;
            (self.join_chain(&join.right, None, inner_offset)?, false)
        } else {
            let source = self.source_of(&join.right, offset == 0 && !outer_right)?;
            let width = source.columns.len();
            self.add_relation(source.alias, source.columns)?;
            ((source.from, width), source.lateral)
        };
        let on = match &join.condition {
            JoinCondition::On(on) => Some(self.join_condition(on, offset)?),
            JoinCondition::Using(_, Some(alias)) => {
                return self.not_supported(Some(alias.at), "a name for USING's columns");
            }
            JoinCondition::Using(names, None) => {
                let names: Vec<_> = names.iter().map(|name| (name.text.clone(), Some(name.at))).collect();
                self.using(&names, own_columns, first_right, kind, offset)?
            }
            JoinCondition::Natural => {
                let names = self.common_names(own_columns, first_right);
                self.using(&names, own_columns, first_right, kind, offset)?
            }
            JoinCondition::None => None,
        };
        let width = left_width + right.1;
        let (right, right_width) = right;
        Ok((make_join(kind, left.0, left_width, right, right_width, on, lateral), width))
    }

    fn join_condition(&mut self, on: &ast::Expr, offset: usize) -> Result<Expr> {
        let clause = std::mem::replace(&mut self.clause, Clause::JoinOn);
        let condition = self.condition(on, "JOIN/ON");
        self.clause = clause;
        let mut condition = condition?;
        condition.each_column(0, &mut |column| column.index = column.index.saturating_sub(offset));
        Ok(condition)
    }

    fn common_names(&mut self, own_columns: usize, first_right: usize) -> Vec<(String, Option<u32>)> {
        let (left, right) = self.scope().columns.split_at(first_right);
        let left = left[own_columns..].iter().filter(|column| !column.hidden && !column.system);
        left.filter(|column| {
            right.iter().any(|other| other.name == column.name && !other.hidden && !other.system)
        })
        .map(|column| (column.name.clone(), None))
        .collect()
    }

    /// `USING`: equal columns become one, in front of the others.
    fn using(
        &mut self,
        names: &[(String, Option<u32>)],
        own_columns: usize,
        first_right: usize,
        kind: JoinKind,
        offset: usize,
    ) -> Result<Option<Expr>> {
        let mut tests = Vec::new();
        let mut merged = Vec::new();
        for (name, at) in names {
            let find = |columns: &[ScopeColumn], from: usize| {
                columns
                    .iter()
                    .position(|column| column.name == *name && !column.hidden && !column.system)
                    .map(|at| at + from)
            };
            let columns = &self.scope().columns;
            let left_at = find(&columns[own_columns..first_right], own_columns);
            let right_at = find(&columns[first_right..], first_right);
            let (Some(left_at), Some(right_at)) = (left_at, right_at) else {
                let side = if left_at.is_none() { "left" } else { "right" };
                let message =
                    format!("column \"{name}\" specified in USING clause does not exist in {side} table");
                return Err(self.error_at(*at, SqlState::UNDEFINED_COLUMN, message));
            };
            let (left, right) = (self.take_column(left_at), self.take_column(right_at));
            let test = self.binary("=", (left.clone(), None), (right.clone(), None), None)?;
            tests.push(test);
            merged.push(self.merged(name, left, right, kind)?);
        }
        let scope = self.scope();
        for (at, column) in merged.into_iter().enumerate() {
            scope.columns.insert(own_columns + at, column);
        }
        let mut condition = Expr::And(tests);
        condition.each_column(0, &mut |column| column.index = column.index.saturating_sub(offset));
        Ok(Some(condition))
    }

    fn take_column(&mut self, at: usize) -> Expr {
        let column = &mut self.scope().columns[at];
        column.hidden = true;
        let plain = Expr::Column(Column {
            level: 0,
            index: column.index,
            ty: column.ty,
            typmod: column.typmod,
            at: None,
        });
        column.merged.clone().unwrap_or(plain)
    }

    fn merged(&mut self, name: &str, left: Expr, right: Expr, kind: JoinKind) -> Result<ScopeColumn> {
        let ty = self.common_type(&[(left.ty(), None), (right.ty(), None)], "JOIN/USING")?;
        let mut convert = |expr: Expr| {
            let coerced = self.coerce(expr.clone(), ty, Context::Implicit, None)?;
            Ok::<Expr, Box<crate::report::Report>>(coerced.unwrap_or(expr))
        };
        let expr = match kind {
            JoinKind::Inner | JoinKind::Left => convert(left)?,
            JoinKind::Right => convert(right)?,
            JoinKind::Full => Expr::Coalesce(vec![convert(left)?, convert(right)?], ty),
        };
        Ok(ScopeColumn {
            relation: None,
            name: name.to_owned(),
            ty,
            typmod: expr.typmod(),
            index: 0,
            hidden: false,
            system: false,
            merged: Some(expr),
        })
    }
}

/// The columns of a query, as a part of FROM.
pub(super) fn source_columns(query: &super::Query) -> Vec<SourceColumn> {
    query.columns.iter().map(|column| SourceColumn::new(&*column.name, column.ty, column.typmod)).collect()
}

/// A chain of joins: what it begins with, and what is joined to that one by one.
fn spine(item: &ast::FromItem) -> (&ast::FromItem, Vec<&ast::Join>) {
    let (mut first, mut joins) = (item, Vec::new());
    while let (FromKind::Join(join), None) = (&first.kind, &first.alias) {
        joins.push(&**join);
        first = &join.left;
    }
    joins.reverse();
    (first, joins)
}

fn is_join(item: &ast::FromItem) -> bool {
    matches!(item.kind, FromKind::Join(_)) && item.alias.is_none()
}

pub(super) fn cross(left: Option<(From, usize)>, right: (From, usize), lateral: bool) -> (From, usize) {
    match left {
        None => right,
        Some((left, width)) => {
            let total = width + right.1;
            (make_join(JoinKind::Inner, left, width, right.0, right.1, None, lateral), total)
        }
    }
}

/// A join; a right side that may see the left one's row but does not is an ordinary one.
fn make_join(
    kind: JoinKind,
    left: From,
    left_width: usize,
    mut right: From,
    right_width: usize,
    on: Option<Expr>,
    lateral: bool,
) -> From {
    let mut uses_left = false;
    if lateral {
        right.each_column(1, &mut |_| uses_left = true);
        if !uses_left {
            for level in 2..=64 {
                right.each_column(level, &mut |column| column.level -= 1);
            }
        }
    }
    From::Join(Box::new(Join { kind, left, left_width, right, right_width, on, lateral: uses_left }))
}
