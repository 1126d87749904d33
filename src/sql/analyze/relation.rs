//! Relations of the catalog in statements: tables, views, and the expressions that definitions hold as text.

use std::sync::Arc;

use crate::catalog::descriptor::{ColumnDescriptor, RelationDescriptor, RelationKind};
use crate::report::{Report, Result, SqlState};
use crate::sql::parse::{self, Planned, Statement, tree as ast};
use crate::sql::tables::SYSTEM_COLUMNS;
use crate::sql::types::Type;

use super::coerce::Context;
use super::expr::Expr;
use super::from::{Source, source_columns};
use super::scope::{Scope, SourceColumn, SourceColumnKind};
use super::tree::{From, Query, TableSource};
use super::{Analyzer, Environment};

/// The type of a column; of a dropped one it does not matter.
pub fn column_type(column: &ColumnDescriptor) -> Type {
    Type::from_oid(column.type_oid).unwrap_or(Type::UNKNOWN)
}

/// A table's columns, dropped ones and system columns too: what stands in its rows.
pub fn table_columns(relation: &RelationDescriptor) -> Vec<SourceColumn> {
    let own = relation.columns.iter().map(|column| SourceColumn {
        name: column.name.clone(),
        ty: column_type(column),
        typmod: column.typmod,
        kind: if column.is_dropped { SourceColumnKind::Dropped } else { SourceColumnKind::Plain },
    });
    let system = SYSTEM_COLUMNS.iter().map(|(name, ty)| SourceColumn {
        name: (*name).to_owned(),
        ty: *ty,
        typmod: -1,
        kind: SourceColumnKind::System,
    });
    own.chain(system).collect()
}

/// The expression of a text that a definition holds.
fn parse_expression(text: &str) -> Result<(ast::Expr, parse::Source)> {
    let broken = || Report::error(SqlState::INTERNAL_ERROR, format!("cannot read the expression \"{text}\""));
    let mut parsed = parse::parse_one(&format!("SELECT {text}"))?.ok_or_else(broken)?;
    let source = parsed.source.clone();
    let empty = Statement::Utility(parse::Utility::Unlisten);
    let Statement::Planned(planned) = std::mem::replace(&mut parsed.statement, empty) else {
        return Err(broken());
    };
    let Planned::Query(query) = *planned else { return Err(broken()) };
    let ast::QueryBody::Select(mut select) = query.body else { return Err(broken()) };
    if select.targets.is_empty() {
        return Err(broken());
    }
    Ok((select.targets.swap_remove(0).expr, source))
}

/// A column's default, or what it is generated from, as a value of the column.
pub fn column_default(
    relation: &RelationDescriptor,
    column: &ColumnDescriptor,
    environment: &dyn Environment,
) -> Result<Option<Expr>> {
    if column.identity.is_some() {
        return identity_default(relation, column, environment).map(Some);
    }
    let Some(text) = &column.default else { return Ok(None) };
    let (expr, source) = parse_expression(text)?;
    let mut analyzer = Analyzer::new(&source, environment);
    let mut scope = Scope::default();
    if column.is_generated {
        scope.add(&relation.name, table_columns(relation));
    }
    analyzer.scopes.push(scope);
    let expr = analyzer.expr(&expr)?;
    let ty = column_type(column);
    analyzer.assigned(expr, (ty, column.typmod), &column.name, None).map(Some)
}

/// The next value of an identity column's sequence.
fn identity_default(
    relation: &RelationDescriptor,
    column: &ColumnDescriptor,
    environment: &dyn Environment,
) -> Result<Expr> {
    let Some(sequence) = environment.column_sequence(relation.oid, column.number)? else {
        let message = format!("column \"{}\" of relation \"{}\" has no sequence", column.name, relation.name);
        return Err(Report::error(SqlState::INTERNAL_ERROR, message));
    };
    let source = parse::Source { text: "".into(), start: 0, end: 0 };
    let mut analyzer = Analyzer::new(&source, environment);
    let sequence = Expr::Const(crate::sql::types::Datum::Oid(sequence), Type::REGCLASS);
    let value = analyzer.function_call("nextval", vec![(sequence, None)], None, false)?;
    analyzer.assigned(value, (column_type(column), column.typmod), &column.name, None)
}

/// A condition on a table's rows.
pub fn table_condition(
    relation: &RelationDescriptor,
    text: &str,
    environment: &dyn Environment,
) -> Result<Expr> {
    let (expr, source) = parse_expression(text)?;
    let mut analyzer = Analyzer::new(&source, environment);
    let mut scope = Scope::default();
    scope.add(&relation.name, table_columns(relation));
    analyzer.scopes.push(scope);
    analyzer.condition(&expr, "CHECK")
}

impl Analyzer<'_> {
    /// A relation in FROM.
    pub(super) fn table_source(
        &mut self,
        relation: Arc<RelationDescriptor>,
        alias: Option<&ast::Alias>,
    ) -> Result<Source> {
        match relation.kind {
            RelationKind::Table | RelationKind::Toast | RelationKind::Sequence => {}
            RelationKind::View => return self.view_source(&relation, alias),
            RelationKind::Index | RelationKind::Composite => {
                let message = format!("cannot open relation \"{}\"", relation.name);
                let detail = match relation.kind {
                    RelationKind::Index => "This operation is not supported for indexes.",
                    _ => "This operation is not supported for composite types.",
                };
                return Err(crate::report::ReportExt::with_detail(
                    Report::error(SqlState::WRONG_OBJECT_TYPE, message),
                    detail,
                ));
            }
        }
        let columns = table_columns(&relation);
        let (alias, columns) = self.aliased(&relation.name, columns, alias)?;
        let from = From::Table(TableSource { relation, alias: alias.clone() });
        Ok(Source { from, alias, columns, lateral: false })
    }

    /// A view is the query that it was made of.
    fn view_source(&mut self, relation: &RelationDescriptor, alias: Option<&ast::Alias>) -> Result<Source> {
        let query = self.deeper(|analyzer| view_query(relation, analyzer.environment))?;
        let columns = source_columns(&query);
        let (alias, columns) = self.aliased(&relation.name, columns, alias)?;
        let from = From::Subquery { query: Box::new(query), alias: alias.clone() };
        Ok(Source { from, alias, columns, lateral: false })
    }

    /// A value as it is stored in a column.
    pub(super) fn assigned(
        &mut self,
        expr: Expr,
        (ty, typmod): (Type, i32),
        column: &str,
        at: Option<u32>,
    ) -> Result<Expr> {
        let from = expr.ty();
        let Some(expr) = self.coerce(expr, ty, Context::Assignment, at)? else {
            let message = format!("column \"{column}\" is of type {ty} but expression is of type {from}");
            return Err(crate::report::ReportExt::with_hint(
                self.error_at(at, SqlState::DATATYPE_MISMATCH, message),
                "You will need to rewrite or cast the expression.",
            ));
        };
        if typmod < 0 || expr.typmod() == typmod && expr.ty() == ty {
            return Ok(expr);
        }
        Ok(Expr::Typmod { input: Box::new(expr), ty, typmod, explicit: false })
    }
}

/// The query of a view, its columns named as the view's are.
fn view_query(relation: &RelationDescriptor, environment: &dyn Environment) -> Result<Query> {
    let text = relation.view.as_deref().unwrap_or_default();
    let broken = || {
        let message = format!("cannot read the query of view \"{}\"", relation.name);
        Report::error(SqlState::INTERNAL_ERROR, message)
    };
    let parsed = parse::parse_one(text)?.ok_or_else(broken)?;
    let Statement::Planned(planned) = &parsed.statement else { return Err(broken()) };
    let Planned::Query(query) = &**planned else { return Err(broken()) };
    let mut query = Analyzer::new(&parsed.source, environment).query(query).map_err(|mut report| {
        report.position = None;
        report
    })?;
    for (column, named) in query.columns.iter_mut().zip(relation.live_columns()) {
        column.name.clone_from(&named.name);
        column.at = None;
    }
    Ok(query)
}

/// An expression of a definition, analysed over a table's columns and written as it is stored.
pub struct Defined {
    /// Its text.
    pub text: String,
    /// Places of the columns that it reads.
    pub columns: Vec<usize>,
    /// Sequences and other relations that it names.
    pub relations: Vec<u32>,
}

/// What a definition's expression is over.
pub struct DefinedOver<'c> {
    /// The table's name.
    pub table: &'c str,
    /// Its columns: name, type, modifier.
    pub columns: &'c [(String, Type, i32)],
    /// What a relation is called where its name is stored.
    pub class_name: &'c dyn Fn(u32) -> Option<String>,
}

/// Analyses an expression of a definition. `into`: it is a default of this column; else it is a condition of `what`.
pub fn define(
    expr: &ast::Expr,
    over: &DefinedOver<'_>,
    into: Option<(&str, Type, i32)>,
    what: &str,
    (source, environment): (&parse::Source, &dyn Environment),
) -> Result<Defined> {
    let mut analyzer = Analyzer::new(source, environment);
    let mut scope = Scope::default();
    if !over.columns.is_empty() {
        let columns = over.columns.iter().map(|(name, ty, typmod)| SourceColumn::new(&**name, *ty, *typmod));
        scope.add(over.table, columns);
    }
    analyzer.scopes.push(scope);
    let analysed = match into {
        Some((column, ty, typmod)) => {
            let value = analyzer.expr(expr)?;
            let from = value.ty();
            let assigned = analyzer.coerce(value.clone(), ty, Context::Assignment, Some(expr.at))?;
            let Some(assigned) = assigned else {
                let message =
                    format!("column \"{column}\" is of type {ty} but default expression is of type {from}");
                return Err(crate::report::ReportExt::with_hint(
                    analyzer.error_at(None, SqlState::DATATYPE_MISMATCH, message),
                    "You will need to rewrite or cast the expression.",
                ));
            };
            // What only the column's length adds is not part of the text.
            let _ = typmod;
            assigned
        }
        None => analyzer.condition(expr, what)?,
    };
    let mut copy = analysed.clone();
    let columns: Vec<usize> = {
        let mut read = std::collections::BTreeSet::new();
        copy.each_column(0, &mut |column| {
            read.insert(column.index);
        });
        read.into_iter().collect()
    };
    let mut relations = Vec::new();
    named_relations(&mut copy, &mut relations);
    let name = |column: &super::expr::Column| {
        over.columns.get(column.index).map(|(name, ..)| crate::sql::functions::quote_ident(name))
    };
    let deparser = super::deparse::Deparser { column: &name, class: over.class_name };
    let Some(text) = deparser.text(&analysed) else {
        return analyzer.not_supported(Some(expr.at), "this expression in a definition");
    };
    let text = if into.is_none() && !text.starts_with('(') { format!("({text})") } else { text };
    Ok(Defined { text, columns, relations })
}

fn named_relations(expr: &mut Expr, to: &mut Vec<u32>) {
    if let Expr::Const(crate::sql::types::Datum::Oid(oid), Type::REGCLASS) = expr {
        to.push(*oid);
    }
    expr.children_mut().into_iter().for_each(|child| named_relations(child, to));
}

/// The type that a statement names, with its modifier.
pub fn column_data_type(
    ty: &ast::TypeName,
    source: &parse::Source,
    environment: &dyn Environment,
) -> Result<(Type, i32)> {
    Analyzer::new(source, environment).data_type(ty)
}

/// The columns that a query answers, for what is defined by it.
pub fn analysed_query(
    query: &ast::Query,
    source: &parse::Source,
    environment: &dyn Environment,
) -> Result<Query> {
    Analyzer::new(source, environment).query(query)
}
