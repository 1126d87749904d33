//! Definitions as they are written.

#![allow(
    dead_code,
    reason = "the grammar is PostgreSQL's whole one; what analysis refuses it does not look into"
)]

use super::tree::{Expr, Name, QualifiedName};

/// A column of an index.
#[derive(Clone, Debug)]
pub struct IndexColumn {
    pub what: IndexKey,
    pub collation: Option<QualifiedName>,
    pub operator_class: Option<QualifiedName>,
    pub options: Vec<DefinitionOption>,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

/// What an index sorts by.
#[derive(Clone, Debug)]
pub enum IndexKey {
    Column(Name),
    Expr(Expr),
}

/// `name = value`, as in `WITH (…)`.
#[derive(Clone, Debug)]
pub struct DefinitionOption {
    /// `toast` in `toast.autovacuum_enabled`.
    pub namespace: Option<String>,
    pub name: Name,
    pub value: Option<OptionValue>,
}

/// What an option is set to.
#[derive(Clone, Debug)]
pub enum OptionValue {
    Word(String),
    String(String),
    Number(String),
    Star,
    List(Vec<OptionValue>),
}
