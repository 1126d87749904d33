//! What relations are, as sessions know them: pure data, read from the catalog once and shared behind `Arc`.
//!
//! Expressions are SQL text, as SQL deparses them: whoever evaluates them keeps what it made of the text beside the
//! descriptor. A descriptor never changes; when its relation does, sessions drop it and read a new one.

use super::types::storage_of;
use crate::access::row::{Column, ColumnStorage, OwnedDatum, RowLayout};
use crate::storage::ids::RelFile;

/// What a relation is, as `pg_class.relkind` has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RelationKind {
    /// A table.
    Table,
    /// An index.
    Index,
    /// A sequence.
    Sequence,
    /// A view.
    View,
    /// Where a table's oversized values are kept.
    Toast,
    /// A composite type.
    Composite,
}

/// Kinds, their letters, and what messages call them.
const KINDS: [(RelationKind, u8, &str); 6] = [
    (RelationKind::Table, b'r', "table"),
    (RelationKind::Index, b'i', "index"),
    (RelationKind::Sequence, b'S', "sequence"),
    (RelationKind::View, b'v', "view"),
    (RelationKind::Toast, b't', "toast table"),
    (RelationKind::Composite, b'c', "composite type"),
];

impl RelationKind {
    /// Its letter.
    pub fn letter(self) -> u8 {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or(b'r', |(_, letter, _)| *letter)
    }

    /// The kind of a letter.
    pub fn from_letter(letter: u8) -> Option<Self> {
        KINDS.iter().find(|(_, of, _)| *of == letter).map(|(kind, ..)| *kind)
    }

    /// What messages call it.
    pub fn noun(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("relation", |(.., noun)| noun)
    }

    /// Whether it has files.
    pub fn has_storage(self) -> bool {
        matches!(self, Self::Table | Self::Index | Self::Sequence | Self::Toast)
    }
}

/// How long a relation lives, and whether it outlives a crash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum RelationPersistence {
    /// It does.
    #[default]
    Permanent,
    /// Its rows do not outlive a crash.
    Unlogged,
    /// It is the session's own.
    Temporary,
}

impl RelationPersistence {
    /// As `pg_class.relpersistence` has it.
    pub fn letter(self) -> u8 {
        match self {
            Self::Permanent => b'p',
            Self::Unlogged => b'u',
            Self::Temporary => b't',
        }
    }

    /// Of a letter.
    pub fn from_letter(letter: u8) -> Option<Self> {
        [Self::Permanent, Self::Unlogged, Self::Temporary].into_iter().find(|of| of.letter() == letter)
    }
}

/// A relation.
#[derive(Clone, PartialEq, Debug)]
pub struct RelationDescriptor {
    /// Its OID.
    pub oid: u32,
    /// Its files; those of views and fixed catalogs are not there.
    pub file: RelFile,
    /// Its schema.
    pub namespace: u32,
    /// The schema's name.
    pub namespace_name: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// How long it lives.
    pub persistence: RelationPersistence,
    /// Whose it is.
    pub owner: u32,
    /// Who may do what with it, as `relacl` has it; `None`: the owner everything, others nothing.
    pub acl: Option<Vec<AclItem>>,
    /// All columns, dropped ones too, by their numbers less one.
    pub columns: Vec<ColumnDescriptor>,
    /// Its indexes, by OID.
    pub indexes: Vec<IndexDescriptor>,
    /// Its constraints, by name.
    pub constraints: Vec<ConstraintDescriptor>,
    /// Foreign keys of other tables, and its own, that reference it.
    pub referenced_by: Vec<ConstraintDescriptor>,
    /// `WITH (…)`, as written: `fillfactor` and its value.
    pub options: Vec<(String, String)>,
    /// A view's query.
    pub view: Option<String>,
    /// A sequence's parameters.
    pub sequence: Option<SequenceParameters>,
    /// Where oversized values are kept.
    pub toast: Option<ToastDescriptor>,
    /// The type of its rows; 0: none.
    pub row_type: u32,
    /// Rows and pages as they were when somebody counted; -1 rows: nobody has.
    pub statistics: (f32, i32),
    /// It is one of the catalogs.
    pub is_system: bool,
    /// Its rows are made by the program ([`fixed`](super::fixed)), not read from files.
    pub is_fixed: bool,
}

impl RelationDescriptor {
    /// How rows are stored: all columns, dropped ones too.
    pub fn layout(&self) -> RowLayout {
        RowLayout::new(
            self.columns
                .iter()
                .map(|column| Column { storage: column.storage, missing: column.missing.clone() })
                .collect(),
        )
    }

    /// A column that is there, by name.
    pub fn column(&self, name: &str) -> Option<&ColumnDescriptor> {
        self.live_columns().find(|column| column.name == name)
    }

    /// Columns that are there.
    pub fn live_columns(&self) -> impl Iterator<Item = &ColumnDescriptor> {
        self.columns.iter().filter(|column| !column.is_dropped)
    }

    /// Columns of the primary key.
    pub fn primary_key(&self) -> Option<&IndexDescriptor> {
        self.indexes.iter().find(|index| index.is_primary)
    }

    /// Percents of a page that insertion fills.
    pub fn fillfactor(&self) -> u8 {
        option_number(&self.options, "fillfactor").unwrap_or(100)
    }
}

/// An option's value, if it is a small number.
pub(super) fn option_number(options: &[(String, String)], name: &str) -> Option<u8> {
    options.iter().find(|(option, _)| option == name).and_then(|(_, value)| value.parse().ok())
}

/// A column.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnDescriptor {
    /// Its name; of a dropped one `........pg.dropped.N........`.
    pub name: String,
    /// Its number, from 1.
    pub number: i16,
    /// Its type; of a dropped one 0.
    pub type_oid: u32,
    /// The type's modifier, or -1.
    pub typmod: i32,
    /// Its collation; 0: none.
    pub collation: u32,
    /// Whether nulls are refused.
    pub not_null: bool,
    /// Its default, or what it is generated from.
    pub default: Option<String>,
    /// Whether it is an identity.
    pub identity: Option<Identity>,
    /// Whether [`Self::default`] is what it is generated from, and stored.
    pub is_generated: bool,
    /// Whether it is gone; rows have its place still.
    pub is_dropped: bool,
    /// What rows have that are older than the column.
    pub missing: Option<OwnedDatum>,
    /// How its values are stored; a dropped one's too.
    pub storage: ColumnStorage,
    /// What may be done to long values: `p`, `e`, `m`, `x`.
    pub toast_strategy: u8,
    /// Who may do what with it.
    pub acl: Option<Vec<AclItem>>,
}

impl ColumnDescriptor {
    /// A column of this type, without anything special.
    pub fn new(name: &str, number: i16, type_oid: u32, typmod: i32) -> Self {
        let storage = storage_of(type_oid);
        Self {
            name: name.to_owned(),
            number,
            type_oid,
            typmod,
            collation: super::types::collation_of(type_oid),
            not_null: false,
            default: None,
            identity: None,
            is_generated: false,
            is_dropped: false,
            missing: None,
            storage,
            toast_strategy: super::types::strategy_of(type_oid),
            acl: None,
        }
    }

    /// Its place in rows, from 0.
    pub fn index(&self) -> usize {
        usize::try_from(self.number - 1).unwrap_or(0)
    }
}

/// `GENERATED … AS IDENTITY`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// Values may not be given.
    Always,
    /// Values may be given.
    ByDefault,
}

impl Identity {
    /// As `pg_attribute.attidentity` has it.
    pub fn letter(self) -> u8 {
        match self {
            Self::Always => b'a',
            Self::ByDefault => b'd',
        }
    }

    /// Of a letter.
    pub fn from_letter(letter: u8) -> Option<Self> {
        [Self::Always, Self::ByDefault].into_iter().find(|of| of.letter() == letter)
    }
}

/// An index of a relation.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexDescriptor {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// Its files.
    pub file: RelFile,
    /// Its keys, in their order.
    pub keys: Vec<IndexKey>,
    /// Numbers of columns that are stored beside the keys.
    pub included: Vec<i16>,
    /// Whether it refuses a second row with the same keys.
    pub is_unique: bool,
    /// Whether nulls are the same as each other to it.
    pub nulls_not_distinct: bool,
    /// Whether it is the primary key's.
    pub is_primary: bool,
    /// `WHERE …`.
    pub predicate: Option<String>,
    /// Whether scans may use it.
    pub is_valid: bool,
    /// Whether uniqueness is checked at once, not at the end of a statement or transaction.
    pub is_immediate: bool,
    /// `WITH (…)`.
    pub options: Vec<(String, String)>,
    /// Whose it is, in messages.
    pub constraint: Option<u32>,
}

/// What an index sorts by.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexKey {
    /// A column's number; 0: the expression.
    pub column: i16,
    /// The expression.
    pub expression: Option<String>,
    /// Type of the key.
    pub type_oid: u32,
    /// Its operator class.
    pub operator_class: u32,
    /// Its collation; 0: none.
    pub collation: u32,
    /// `DESC`.
    pub is_descending: bool,
    /// `NULLS FIRST`.
    pub nulls_first: bool,
}

/// What a constraint demands, as `pg_constraint.contype` has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConstraintKind {
    /// That an expression is not false.
    Check,
    /// That a row is in another table.
    ForeignKey,
    /// That rows have different keys that are not null.
    PrimaryKey,
    /// That rows have different keys.
    Unique,
    /// That a column is not null.
    NotNull,
}

impl ConstraintKind {
    const LETTERS: [(Self, u8); 5] = [
        (Self::Check, b'c'),
        (Self::ForeignKey, b'f'),
        (Self::PrimaryKey, b'p'),
        (Self::Unique, b'u'),
        (Self::NotNull, b'n'),
    ];

    /// Its letter.
    pub fn letter(self) -> u8 {
        Self::LETTERS.iter().find(|(kind, _)| *kind == self).map_or(b'c', |(_, letter)| *letter)
    }

    /// Of a letter.
    pub fn from_letter(letter: u8) -> Option<Self> {
        Self::LETTERS.iter().find(|(_, of)| *of == letter).map(|(kind, _)| *kind)
    }
}

/// A constraint of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct ConstraintDescriptor {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// What it demands.
    pub kind: ConstraintKind,
    /// The table it is of.
    pub relation: u32,
    /// Numbers of the table's columns.
    pub columns: Vec<i16>,
    /// Its index, or that of the referenced key; 0: none.
    pub index: u32,
    /// Of a foreign key.
    pub foreign: Option<ForeignKeyDescriptor>,
    /// Of a check.
    pub expression: Option<String>,
    /// `DEFERRABLE`.
    pub is_deferrable: bool,
    /// `INITIALLY DEFERRED`.
    pub is_deferred: bool,
    /// Whether all rows were found to meet it.
    pub is_validated: bool,
    /// Whether it came with the column or table, not through inheritance only.
    pub is_local: bool,
    /// `NO INHERIT`.
    pub no_inherit: bool,
}

/// What a foreign key references, and what happens there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignKeyDescriptor {
    /// The other table.
    pub relation: u32,
    /// Its columns.
    pub columns: Vec<i16>,
    /// When a referenced row goes.
    pub on_delete: ForeignAction,
    /// When a referenced row's key changes.
    pub on_update: ForeignAction,
    /// Columns that `ON DELETE SET NULL (…)` sets; empty: all.
    pub delete_set_columns: Vec<i16>,
    /// `MATCH FULL`, else `SIMPLE`.
    pub match_full: bool,
}

/// What happens to rows whose referenced row goes or changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ForeignAction {
    /// Nothing: it is refused at the end.
    #[default]
    NoAction,
    /// It is refused at once.
    Restrict,
    /// They go or change as well.
    Cascade,
    /// Their columns become null.
    SetNull,
    /// Their columns become their defaults.
    SetDefault,
}

impl ForeignAction {
    const LETTERS: [(Self, u8); 5] = [
        (Self::NoAction, b'a'),
        (Self::Restrict, b'r'),
        (Self::Cascade, b'c'),
        (Self::SetNull, b'n'),
        (Self::SetDefault, b'd'),
    ];

    /// As `pg_constraint.confupdtype` has it.
    pub fn letter(self) -> u8 {
        Self::LETTERS.iter().find(|(action, _)| *action == self).map_or(b'a', |(_, letter)| *letter)
    }

    /// Of a letter.
    pub fn from_letter(letter: u8) -> Option<Self> {
        Self::LETTERS.iter().find(|(_, of)| *of == letter).map(|(action, _)| *action)
    }
}

/// What a sequence counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SequenceParameters {
    /// `AS`.
    pub type_oid: u32,
    /// `START`.
    pub start: i64,
    /// `INCREMENT`.
    pub increment: i64,
    /// `MAXVALUE`.
    pub max: i64,
    /// `MINVALUE`.
    pub min: i64,
    /// `CACHE`.
    pub cache: i64,
    /// `CYCLE`.
    pub cycles: bool,
}

/// Where a table's oversized values are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ToastDescriptor {
    /// OID of the table.
    pub oid: u32,
    /// Its files.
    pub file: RelFile,
    /// OID of its index.
    pub index: u32,
    /// The index's files.
    pub index_file: RelFile,
}

/// Who may do what, and who said so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AclItem {
    /// The role; 0: everybody.
    pub grantee: u32,
    /// Who said so.
    pub grantor: u32,
    /// Bits of [`super::acl`], those with the right to pass them on in the upper half.
    pub privileges: u64,
}

/// A type.
#[derive(Clone, PartialEq, Debug)]
pub struct TypeDescriptor {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// Its schema.
    pub namespace: u32,
    /// Whose it is.
    pub owner: u32,
    /// `b`, `c`, `p`, …
    pub kind: u8,
    /// The relation whose rows it is; 0: none.
    pub relation: u32,
    /// Of an array: its elements' type; 0: none.
    pub element: u32,
    /// The type of arrays of it; 0: none.
    pub array: u32,
}
