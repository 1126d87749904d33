//! What names mean at a place of a query: the columns of its `FROM`.

use crate::sql::types::Type;

use super::expr::{AggregateCall, Expr, SetCallExpr};

/// A column that can be named.
#[derive(Clone, Debug)]
pub struct ScopeColumn {
    /// Index of its relation, none for the merged columns of `USING`.
    pub relation: Option<usize>,
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Its length or precision, -1 if it has none.
    pub typmod: i32,
    /// Its place in the row.
    pub index: usize,
    /// Whether only its relation's name reaches it, since `USING` merged it.
    pub hidden: bool,
    /// Whether it is one of those that every table has, which `*` leaves out.
    pub system: bool,
    /// What it is, if it is merged from two columns.
    pub merged: Option<Expr>,
}

/// What a column of a part of `FROM` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceColumnKind {
    /// One that can be named.
    Plain,
    /// One that every table has.
    System,
    /// One that is gone; rows have its place.
    Dropped,
}

/// A column that a part of `FROM` brings along.
#[derive(Clone, Debug)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Its length or precision, -1 if it has none.
    pub typmod: i32,
    /// What it is.
    pub kind: SourceColumnKind,
}

impl SourceColumn {
    /// One that can be named.
    pub fn new(name: impl Into<String>, ty: Type, typmod: i32) -> Self {
        Self { name: name.into(), ty, typmod, kind: SourceColumnKind::Plain }
    }
}

/// The columns of a query's `FROM`, and what its expressions collect.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Names of the relations.
    pub relations: Vec<String>,
    /// Their columns, in the order of `*`.
    pub columns: Vec<ScopeColumn>,
    /// How many columns the row has.
    pub width: usize,
    /// Aggregates met so far.
    pub aggregates: Vec<AggregateCall>,
    /// Set-returning functions met so far.
    pub set_calls: Vec<SetCallExpr>,
}

impl Scope {
    /// Adds a relation's columns behind those that are there.
    pub fn add(&mut self, alias: &str, columns: impl IntoIterator<Item = SourceColumn>) {
        let relation = self.relations.len();
        self.relations.push(alias.to_owned());
        for SourceColumn { name, ty, typmod, kind } in columns {
            let index = self.width;
            self.width += 1;
            let system = kind == SourceColumnKind::System;
            let column = ScopeColumn {
                relation: Some(relation),
                name,
                ty,
                typmod,
                index,
                hidden: false,
                system,
                merged: None,
            };
            if kind != SourceColumnKind::Dropped {
                self.columns.push(column);
            }
        }
    }

    /// The columns of a name, with or without a relation's.
    pub fn find<'s>(
        &'s self,
        relation: Option<usize>,
        name: &'s str,
    ) -> impl Iterator<Item = &'s ScopeColumn> {
        self.columns.iter().filter(move |column| {
            column.name == name
                && match relation {
                    Some(relation) => column.relation == Some(relation),
                    None => !column.hidden,
                }
        })
    }

    /// The relation of a name.
    pub fn relation(&self, name: &str) -> Option<usize> {
        self.relations.iter().position(|alias| alias == name)
    }

    /// `relation.column` of a place in the row, as messages name it.
    pub fn name_of(&self, index: usize) -> String {
        let column = self.columns.iter().find(|column| column.index == index && column.merged.is_none());
        match column {
            Some(column) => match column.relation.and_then(|relation| self.relations.get(relation)) {
                Some(relation) => format!("{relation}.{}", column.name),
                None => column.name.clone(),
            },
            None => "?column?".to_owned(),
        }
    }
}
