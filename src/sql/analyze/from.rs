//! `FROM`: views, functions, queries, and their joins.

use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};

use crate::report::{Result, SqlState};
use crate::sql::types::Type;
use crate::sql::views::SystemView;

use super::coerce::Context;
use super::expr::{Column, Expr};
use super::scope::{Scope, ScopeColumn};
use super::tree::{From, FunctionSource, Join, JoinKind};
use super::{Analyzer, Clause, ident, object_name};

/// A part of `FROM` that was analysed, and the columns it adds.
struct Source {
    from: From,
    alias: String,
    columns: Vec<(String, Type)>,
    lateral: bool,
}

impl Analyzer<'_> {
    /// The list behind `FROM`; its names go to the scope at hand.
    pub(super) fn list_of_from(&mut self, items: &[ast::TableWithJoins]) -> Result<Option<From>> {
        let mut from: Option<(From, usize)> = None;
        for item in items {
            from = Some(self.table_with_joins(item, from)?);
        }
        Ok(from.map(|(from, _)| from))
    }

    /// Joins are built onto what stands left of them. That changes nothing, unless a join keeps rows of its right side:
    /// then it is built apart first.
    fn table_with_joins(
        &mut self,
        item: &ast::TableWithJoins,
        left: Option<(From, usize)>,
    ) -> Result<(From, usize)> {
        let keeps_right = item.joins.iter().any(|join| {
            use JoinOperator as J;
            matches!(join.join_operator, J::Right(_) | J::RightOuter(_) | J::FullOuter(_))
        });
        if keeps_right && left.is_some() {
            let offset = self.scope().width;
            let right = self.join_chain(item, None, offset)?;
            return Ok(cross(left, right, false));
        }
        self.join_chain(item, left, 0)
    }

    fn join_chain(
        &mut self,
        item: &ast::TableWithJoins,
        left: Option<(From, usize)>,
        offset: usize,
    ) -> Result<(From, usize)> {
        // What USING merges are this chain's columns, not those of the items before it.
        let own_columns = self.scope().columns.len();
        let mut chain = self.factor(&item.relation, left, offset)?;
        for join in &item.joins {
            chain = self.join(join, chain, offset, own_columns)?;
        }
        Ok(chain)
    }

    fn factor(
        &mut self,
        factor: &TableFactor,
        left: Option<(From, usize)>,
        offset: usize,
    ) -> Result<(From, usize)> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            let inner_offset = self.scope().width;
            let inner = self.join_chain(table_with_joins, None, inner_offset)?;
            return Ok(cross(left, inner, false));
        }
        let source = self.source_of(factor, left.is_some() && offset == 0)?;
        let width = source.columns.len();
        let lateral = source.lateral;
        self.add_relation(source.alias, source.columns)?;
        Ok(cross(left, (source.from, width), lateral))
    }

    fn add_relation(&mut self, alias: String, columns: Vec<(String, Type)>) -> Result<()> {
        if self.scope().relations.contains(&alias) {
            let message = format!("table name \"{alias}\" specified more than once");
            return Err(self.error_at(None, SqlState::DUPLICATE_ALIAS, message));
        }
        self.scope().add(&alias, columns);
        Ok(())
    }

    fn source_of(&mut self, factor: &TableFactor, may_be_lateral: bool) -> Result<Source> {
        match factor {
            TableFactor::Table { name, alias, args: None, with_ordinality: false, sample: None, .. } => {
                self.relation(name, alias.as_ref())
            }
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.function_source(name, &args.args, *with_ordinality, alias.as_ref(), may_be_lateral)
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                self.function_source(name, args, *with_ordinality, alias.as_ref(), may_be_lateral)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                let args: Vec<ast::FunctionArg> = array_exprs
                    .iter()
                    .map(|expr| ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr.clone())))
                    .collect();
                let name = ast::ObjectName::from(vec![ast::Ident::new("unnest")]);
                self.function_source(&name, &args, *with_ordinality, alias.as_ref(), may_be_lateral)
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                self.derived(subquery, alias.as_ref(), *lateral && may_be_lateral)
            }
            _ => self.not_supported(None, "this item of FROM"),
        }
    }

    fn relation(&mut self, name: &ast::ObjectName, alias: Option<&ast::TableAlias>) -> Result<Source> {
        let at = name.0.first().and_then(|part| part.as_ident()).and_then(|part| self.place_of(part.span));
        if let Some(word) = name.0.iter().filter_map(|part| part.as_ident()).find(|part| is_reserved(part)) {
            let at = self.place_of(word.span);
            let message = format!("syntax error at or near \"{}\"", word.value);
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
        }
        let names = object_name(name);
        let (schema, last) = match names.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            _ => return self.not_supported(at, "a name of another database"),
        };
        if schema.is_none()
            && let Some(cte) = self.ctes.iter().rev().find(|cte| cte.name == *last)
        {
            let (query, scopes) = (cte.query.clone(), cte.scopes);
            return self.cte_source(last, &query, scopes, alias);
        }
        let Some(view) = SystemView::by_name(schema, last) else {
            let message = format!("relation \"{}\" does not exist", names.join("."));
            return Err(self.error_at(at, SqlState::UNDEFINED_TABLE, message));
        };
        let columns = view.columns().iter().map(|column| (column.name.to_owned(), column.ty)).collect();
        let (alias, columns) = self.aliased(last, columns, alias, false)?;
        Ok(Source { from: From::View(view, alias.clone()), alias, columns, lateral: false })
    }

    /// A query of `WITH`: its references outward are counted from where it was defined.
    fn cte_source(
        &mut self,
        name: &str,
        query: &super::Query,
        scopes: usize,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let mut query = query.clone();
        // The scope being made is not one that a query in FROM sees.
        let further = (self.scopes.len() - 1).saturating_sub(scopes);
        for level in (1..=scopes).rev() {
            query.each_column(level, &mut |column| column.level += further);
        }
        let columns = query.columns.iter().map(|column| (column.name.clone(), column.ty)).collect();
        let (alias, columns) = self.aliased(name, columns, alias, false)?;
        Ok(Source {
            from: From::Subquery { query: Box::new(query), alias: alias.clone() },
            alias,
            columns,
            lateral: false,
        })
    }

    fn derived(
        &mut self,
        subquery: &ast::Query,
        alias: Option<&ast::TableAlias>,
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
        let columns = query.columns.iter().map(|column| (column.name.clone(), column.ty)).collect();
        let (alias, columns) = self.aliased("unnamed_subquery", columns, alias, false)?;
        Ok(Source {
            from: From::Subquery { query: Box::new(query), alias: alias.clone() },
            alias,
            columns,
            lateral,
        })
    }

    fn function_source(
        &mut self,
        name: &ast::ObjectName,
        args: &[ast::FunctionArg],
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
        lateral: bool,
    ) -> Result<Source> {
        let function = function_of(name, args);
        let clause = std::mem::replace(&mut self.clause, Clause::From);
        let hidden = if lateral { None } else { self.scopes.pop() };
        self.scopes.push(Scope::default());
        let analysed = self.expr(&ast::Expr::Function(function));
        let inner = self.scopes.pop().unwrap_or_default();
        self.scopes.extend(hidden);
        self.clause = clause;
        let analysed = analysed?;
        let ty = analysed.ty();
        let mut set_calls = inner.set_calls;
        let call = match (analysed, set_calls.pop()) {
            (Expr::SetCall(..), Some(call)) if set_calls.is_empty() => FunctionSource::Set(call),
            (expr, None) => FunctionSource::Scalar(Box::new(expr)),
            _ => return self.not_supported(None, "a set-returning function within a function in FROM"),
        };
        let function_name = object_name(name).pop().unwrap_or_default();
        // A function's one column is called as its alias.
        let column = alias.map_or_else(|| function_name.clone(), |alias| ident(&alias.name));
        let mut columns = vec![(column, ty)];
        if ordinality {
            columns.push(("ordinality".to_owned(), Type::INT8));
        }
        let (alias, columns) = self.aliased(&function_name, columns, alias, true)?;
        Ok(Source {
            from: From::Function { call, alias: alias.clone(), ordinality },
            alias,
            columns,
            lateral,
        })
    }

    /// The names that an alias gives.
    fn aliased(
        &self,
        name: &str,
        mut columns: Vec<(String, Type)>,
        alias: Option<&ast::TableAlias>,
        _function: bool,
    ) -> Result<(String, Vec<(String, Type)>)> {
        let Some(alias) = alias else {
            return Ok((name.to_owned(), columns));
        };
        let alias_name = ident(&alias.name);
        if alias.columns.len() > columns.len() {
            let message = format!(
                "table \"{alias_name}\" has {} columns available but {} columns specified",
                columns.len(),
                alias.columns.len()
            );
            return Err(self.error_at(None, SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        for (column, new) in columns.iter_mut().zip(&alias.columns) {
            column.0 = ident(&new.name);
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
        let (kind, constraint) = self.join_kind(&join.join_operator)?;
        let first_right = self.scope().columns.len();
        let left_width = left.1;
        let outer_right = matches!(kind, JoinKind::Right | JoinKind::Full);
        let (right, lateral) = match &join.relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let inner_offset = self.scope().width;
                (self.join_chain(table_with_joins, None, inner_offset)?, false)
            }
            factor => {
                let source = self.source_of(factor, offset == 0 && !outer_right)?;
                let width = source.columns.len();
                self.add_relation(source.alias, source.columns)?;
                ((source.from, width), source.lateral)
            }
        };
        let on = match constraint {
            JoinConstraint::On(on) => Some(self.join_condition(on, offset)?),
            JoinConstraint::Using(names) => {
                let names: Vec<String> = names.iter().filter_map(|name| object_name(name).pop()).collect();
                self.using(&names, own_columns, first_right, kind, offset)?
            }
            JoinConstraint::Natural => {
                let names = self.common_names(own_columns, first_right);
                self.using(&names, own_columns, first_right, kind, offset)?
            }
            JoinConstraint::None => None,
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

    fn join_kind<'j>(&self, operator: &'j JoinOperator) -> Result<(JoinKind, &'j JoinConstraint)> {
        use JoinOperator as J;
        Ok(match operator {
            J::Join(on) | J::Inner(on) | J::CrossJoin(on) => (JoinKind::Inner, on),
            J::Left(on) | J::LeftOuter(on) => (JoinKind::Left, on),
            J::Right(on) | J::RightOuter(on) => (JoinKind::Right, on),
            J::FullOuter(on) => (JoinKind::Full, on),
            _ => return self.not_supported(None, "this kind of join"),
        })
    }

    fn common_names(&mut self, own_columns: usize, first_right: usize) -> Vec<String> {
        let (left, right) = self.scope().columns.split_at(first_right);
        let left = left[own_columns..].iter().filter(|column| !column.hidden);
        left.filter(|column| right.iter().any(|other| other.name == column.name && !other.hidden))
            .map(|column| column.name.clone())
            .collect()
    }

    /// `USING`: equal columns become one, in front of the others.
    fn using(
        &mut self,
        names: &[String],
        own_columns: usize,
        first_right: usize,
        kind: JoinKind,
        offset: usize,
    ) -> Result<Option<Expr>> {
        let mut tests = Vec::new();
        let mut merged = Vec::new();
        for name in names {
            let find = |columns: &[ScopeColumn], from: usize| {
                columns.iter().position(|column| column.name == *name && !column.hidden).map(|at| at + from)
            };
            let columns = &self.scope().columns;
            let left_at = find(&columns[own_columns..first_right], own_columns);
            let right_at = find(&columns[first_right..], first_right);
            let (Some(left_at), Some(right_at)) = (left_at, right_at) else {
                let side = if left_at.is_none() { "left" } else { "right" };
                let message =
                    format!("column \"{name}\" specified in USING clause does not exist in {side} table");
                return Err(self.error_at(None, SqlState::UNDEFINED_COLUMN, message));
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
        let plain = Expr::Column(Column { level: 0, index: column.index, ty: column.ty, at: None });
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
            index: 0,
            hidden: false,
            merged: Some(expr),
        })
    }
}

/// Words that the grammar keeps for itself: they name nothing unless quoted.
fn is_reserved(name: &ast::Ident) -> bool {
    const RESERVED: &[&str] = &[
        "all",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "both",
        "case",
        "cast",
        "check",
        "collate",
        "column",
        "constraint",
        "create",
        "default",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "false",
        "fetch",
        "for",
        "foreign",
        "from",
        "grant",
        "group",
        "having",
        "in",
        "intersect",
        "into",
        "lateral",
        "leading",
        "limit",
        "not",
        "null",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "placing",
        "primary",
        "references",
        "returning",
        "select",
        "some",
        "symmetric",
        "table",
        "then",
        "to",
        "trailing",
        "true",
        "union",
        "unique",
        "using",
        "variadic",
        "when",
        "where",
        "window",
        "with",
    ];
    name.quote_style.is_none() && RESERVED.contains(&name.value.to_ascii_lowercase().as_str())
}

fn function_of(name: &ast::ObjectName, args: &[ast::FunctionArg]) -> ast::Function {
    ast::Function {
        name: name.clone(),
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args: ast::FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: args.to_vec(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

fn cross(left: Option<(From, usize)>, right: (From, usize), lateral: bool) -> (From, usize) {
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
