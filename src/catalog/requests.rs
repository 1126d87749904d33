//! What is to be made: the requests that the operations take. Names are checked and expressions analysed by whoever asks;
//! here they are text.

use super::descriptor::{
    ColumnDescriptor, ConstraintKind, ForeignKeyDescriptor, IndexKey, RelationKind, RelationPersistence,
    SequenceParameters,
};

/// A table, view, sequence or composite type.
#[derive(Clone, Debug)]
pub struct NewRelation<'a> {
    /// Its schema.
    pub namespace: u32,
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub kind: RelationKind,
    /// How long it lives.
    pub persistence: RelationPersistence,
    /// Whose it is.
    pub owner: u32,
    /// Columns, numbered from 1, with their defaults.
    pub columns: &'a [ColumnDescriptor],
    /// `WITH (…)`.
    pub options: &'a [(String, String)],
    /// A view's query.
    pub view: Option<&'a str>,
    /// What its defaults and query depend on: objects and columns of relations.
    pub depends_on: &'a [ObjectAddress],
}

/// An index.
#[derive(Clone, Debug)]
pub struct NewIndex<'a> {
    /// The table.
    pub relation: u32,
    /// Its name, in the table's schema.
    pub name: &'a str,
    /// Its keys.
    pub keys: &'a [IndexKey],
    /// Columns that are stored beside the keys.
    pub included: &'a [i16],
    /// Whether it refuses a second row with the same keys.
    pub is_unique: bool,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// Whether it is the primary key's.
    pub is_primary: bool,
    /// Whether uniqueness is checked at once.
    pub is_immediate: bool,
    /// `WHERE …`.
    pub predicate: Option<&'a str>,
    /// `WITH (…)`.
    pub options: &'a [(String, String)],
    /// What its expressions and predicate depend on, beside the table's columns.
    pub depends_on: &'a [ObjectAddress],
}

/// A constraint. One of a key makes its index as well, named alike.
#[derive(Clone, Debug)]
pub struct NewConstraint<'a> {
    /// The table.
    pub relation: u32,
    /// Its name.
    pub name: &'a str,
    /// What it demands.
    pub kind: ConstraintKind,
    /// Numbers of its columns; of a check, those that it reads.
    pub columns: &'a [i16],
    /// The index of a key, or of the referenced key; 0: none.
    pub index: u32,
    /// Of a foreign key.
    pub foreign: Option<ForeignKeyDescriptor>,
    /// Of a check.
    pub expression: Option<&'a str>,
    /// `DEFERRABLE`.
    pub is_deferrable: bool,
    /// `INITIALLY DEFERRED`.
    pub is_deferred: bool,
    /// Not `NOT VALID`.
    pub is_validated: bool,
    /// `NO INHERIT`.
    pub no_inherit: bool,
}

/// A sequence.
#[derive(Clone, Debug)]
pub struct NewSequence<'a> {
    /// Its schema.
    pub namespace: u32,
    /// Its name.
    pub name: &'a str,
    /// How long it lives.
    pub persistence: RelationPersistence,
    /// Whose it is.
    pub owner: u32,
    /// What it counts.
    pub parameters: SequenceParameters,
    /// The table's column that it goes with, and whether it is that column's identity.
    pub owned_by: Option<(u32, i16, bool)>,
}

/// An object, or a part of one, as `pg_depend` names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectAddress {
    /// Its catalog's OID.
    pub class: u32,
    /// Its OID.
    pub object: u32,
    /// A column's number; 0: all of it.
    pub part: i32,
}

impl ObjectAddress {
    /// A relation.
    pub const fn relation(oid: u32) -> Self {
        Self { class: super::schema::PG_CLASS, object: oid, part: 0 }
    }

    /// A relation's column.
    pub const fn column(relation: u32, number: i16) -> Self {
        Self { class: super::schema::PG_CLASS, object: relation, part: number as i32 }
    }

    /// An object of another catalog.
    pub const fn of(class: u32, object: u32) -> Self {
        Self { class, object, part: 0 }
    }
}

/// A database.
#[derive(Clone, Copy, Debug)]
pub struct NewDatabase<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whose it is.
    pub owner: u32,
    /// The database that it is a copy of.
    pub template: &'a str,
    /// `IS_TEMPLATE`.
    pub is_template: bool,
    /// `ALLOW_CONNECTIONS`.
    pub allows_connections: bool,
    /// `CONNECTION LIMIT`; -1: none.
    pub connection_limit: i32,
    /// Whether the role may copy databases that are not its own nor templates.
    pub may_copy_any: bool,
}

/// Whether what depends on a dropped object goes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropBehavior {
    /// No: then nothing is dropped.
    Restrict,
    /// Yes.
    Cascade,
}
