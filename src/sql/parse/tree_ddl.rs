//! Definitions, and what else has no plan, as they are written.

#![allow(dead_code, reason = "the grammar is PostgreSQL's whole one; what is refused is not looked into")]

use std::borrow::Cow;

use super::statement::Planned;
use super::tree::{Expr, Name, Persistence, QualifiedName, Query, Relation, TypeName};

/// A statement that defines something, or does something to what is defined.
#[derive(Debug)]
pub enum Definition {
    CreateTable(CreateTable),
    CreateTableAs(CreateTableAs),
    CreateIndex(CreateIndex),
    CreateSchema {
        name: Option<Name>,
        owner: Option<String>,
        if_not_exists: bool,
        elements: Vec<Definition>,
    },
    CreateSequence {
        name: QualifiedName,
        persistence: Persistence,
        if_not_exists: bool,
        options: Vec<SequenceOption>,
    },
    CreateView(CreateView),
    CreateRole {
        kind: RoleKind,
        name: String,
        options: Vec<RoleOption>,
    },
    CreateDatabase {
        name: Name,
        options: Vec<DefinitionOption>,
    },
    Alter(Alter),
    AlterRole {
        name: String,
        options: Vec<RoleOption>,
    },
    AlterSetting {
        role: Option<String>,
        database: Option<Name>,
        name: Option<String>,
        value: Option<String>,
    },
    AlterDatabase {
        name: Name,
        options: Vec<DefinitionOption>,
    },
    Drop(Drop),
    DropRole {
        names: Vec<String>,
        if_exists: bool,
    },
    DropDatabase {
        name: Name,
        if_exists: bool,
        force: bool,
    },
    Truncate {
        tables: Vec<Relation>,
        restart_identity: bool,
        cascade: bool,
    },
    Comment {
        object: Object,
        name: QualifiedName,
        column_of: Option<QualifiedName>,
        text: Option<String>,
    },
    Grant(Grant),
    Copy(Copy),
    Declare {
        name: Name,
        options: Vec<&'static str>,
        query: Query,
    },
    Fetch {
        name: Name,
        direction: Direction,
        is_move: bool,
    },
    Listen(Name),
    Notify {
        channel: Name,
        payload: Option<String>,
    },
    Lock {
        tables: Vec<Relation>,
        mode: String,
        nowait: bool,
    },
    Vacuum {
        is_analyze: bool,
        options: Vec<DefinitionOption>,
        tables: Vec<(Relation, Vec<Name>)>,
    },
    Reindex {
        kind: &'static str,
        name: Option<QualifiedName>,
        options: Vec<DefinitionOption>,
    },
    Cluster {
        table: Option<QualifiedName>,
        index: Option<Name>,
        options: Vec<DefinitionOption>,
    },
    Checkpoint(Vec<DefinitionOption>),
    /// `PREPARE TRANSACTION`, `COMMIT PREPARED` or `ROLLBACK PREPARED`.
    TwoPhase {
        what: &'static str,
        gid: String,
    },
}

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

/// `CREATE TABLE`.
#[derive(Debug)]
pub struct CreateTable {
    pub name: QualifiedName,
    pub persistence: Persistence,
    pub if_not_exists: bool,
    pub elements: Vec<TableElement>,
    pub inherits: Vec<QualifiedName>,
    pub of_type: Option<QualifiedName>,
    pub partition_of: Option<(QualifiedName, PartitionBound)>,
    pub partition_by: Option<PartitionBy>,
    pub storage: TableStorage,
}

/// What stands behind a table's columns.
#[derive(Debug, Default)]
pub struct TableStorage {
    pub method: Option<Name>,
    pub options: Vec<DefinitionOption>,
    /// `DROP`, `DELETE ROWS` or `PRESERVE ROWS`.
    pub on_commit: Option<&'static str>,
    pub tablespace: Option<Name>,
}

/// `PARTITION BY`.
#[derive(Debug)]
pub struct PartitionBy {
    pub strategy: Name,
    pub columns: Vec<IndexColumn>,
}

/// Which rows a partition holds.
#[derive(Debug)]
pub enum PartitionBound {
    Default,
    In(Vec<Expr>),
    Range(Vec<Expr>, Vec<Expr>),
    Hash(Vec<(Name, i32)>),
}

/// A column, a constraint, or another table's likeness.
#[derive(Debug)]
pub enum TableElement {
    Column(ColumnDefinition),
    Constraint(Constraint),
    Like { table: QualifiedName, options: Vec<(bool, Name)> },
}

/// A column; without a type in a table of a type.
#[derive(Debug)]
pub struct ColumnDefinition {
    pub name: Name,
    pub ty: Option<TypeName>,
    pub storage: Option<Name>,
    pub compression: Option<Name>,
    pub collation: Option<QualifiedName>,
    pub constraints: Vec<Constraint>,
}

/// A constraint of a column or table.
#[derive(Debug)]
pub struct Constraint {
    pub name: Option<Name>,
    pub kind: ConstraintKind,
    pub attributes: Vec<ConstraintAttribute>,
    pub at: u32,
}

/// What a constraint demands.
#[derive(Debug)]
pub enum ConstraintKind {
    Null,
    /// Of a column, or of the table's column of that name.
    NotNull(Option<Name>),
    Default(Expr),
    Check(Expr),
    Unique(UniqueKey),
    PrimaryKey(UniqueKey),
    Exclude {
        method: Option<Name>,
        elements: Vec<(IndexColumn, ExcludeOperator)>,
        index: IndexStorage,
        filter: Option<Expr>,
    },
    ForeignKey(ForeignKey),
    /// `GENERATED … AS IDENTITY`; the flag for `ALWAYS`.
    Identity(bool, Vec<SequenceOption>),
    /// `GENERATED ALWAYS AS (…)`; the flag for `STORED`.
    Generated(Expr, bool),
    /// Attributes without a constraint before them.
    Attributes,
}

/// The operator of an exclusion.
#[derive(Debug)]
pub struct ExcludeOperator {
    pub schema: Vec<String>,
    pub name: Cow<'static, str>,
}

/// Columns that are unique together.
#[derive(Debug, Default)]
pub struct UniqueKey {
    pub columns: Vec<Name>,
    pub without_overlaps: bool,
    pub nulls_not_distinct: bool,
    pub using_index: Option<Name>,
    pub index: IndexStorage,
}

/// What an index has besides its keys.
#[derive(Debug, Default)]
pub struct IndexStorage {
    pub include: Vec<IndexColumn>,
    pub options: Vec<DefinitionOption>,
    pub tablespace: Option<Name>,
}

/// `REFERENCES`.
#[derive(Debug)]
pub struct ForeignKey {
    pub columns: Vec<Name>,
    pub table: QualifiedName,
    pub referenced: Vec<Name>,
    pub period: bool,
    /// `FULL`, `PARTIAL` or `SIMPLE`.
    pub matching: Option<&'static str>,
    pub on_delete: Option<(ReferentialAction, Vec<Name>)>,
    pub on_update: Option<(ReferentialAction, Vec<Name>)>,
}

/// What happens to a row whose referenced row goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReferentialAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

/// When and whether a constraint is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConstraintAttribute {
    Deferrable(bool),
    Deferred(bool),
    Enforced(bool),
    NotValid,
    NoInherit,
}

/// `CREATE TABLE … AS`, or a materialized view.
#[derive(Debug)]
pub struct CreateTableAs {
    pub name: QualifiedName,
    pub persistence: Persistence,
    pub materialized_view: bool,
    pub if_not_exists: bool,
    pub columns: Vec<Name>,
    pub storage: TableStorage,
    pub source: TableSource,
    pub with_data: bool,
}

/// Where the rows of a new table come from.
#[derive(Debug)]
pub enum TableSource {
    Planned(Box<Planned>),
    Execute(String, Vec<Expr>),
}

/// `CREATE INDEX`.
#[derive(Debug)]
pub struct CreateIndex {
    pub name: Option<Name>,
    pub table: Relation,
    pub unique: bool,
    pub concurrently: bool,
    pub if_not_exists: bool,
    pub method: Option<Name>,
    pub columns: Vec<IndexColumn>,
    pub nulls_not_distinct: bool,
    pub index: IndexStorage,
    pub filter: Option<Expr>,
}

/// `CREATE VIEW`.
#[derive(Debug)]
pub struct CreateView {
    pub name: QualifiedName,
    pub replace: bool,
    pub recursive: bool,
    pub temporary: bool,
    pub columns: Vec<Name>,
    pub options: Vec<DefinitionOption>,
    pub query: Query,
    /// `LOCAL` or `CASCADED`.
    pub check_option: Option<&'static str>,
}

/// An option of a sequence.
#[derive(Debug)]
pub enum SequenceOption {
    As(TypeName),
    Cache(String),
    Cycle(bool),
    Increment(String),
    /// None for `NO MAXVALUE`.
    Max(Option<String>),
    Min(Option<String>),
    OwnedBy(QualifiedName),
    Name(QualifiedName),
    Start(String),
    Restart(Option<String>),
    Logged(bool),
}

/// Which of its names a role was made by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleKind {
    Role,
    User,
    Group,
}

/// An option of a role.
#[derive(Debug)]
pub enum RoleOption {
    /// A word like `superuser` or `nologin`.
    Flag(String),
    /// None for `PASSWORD NULL`.
    Password(Option<String>),
    ConnectionLimit(i32),
    ValidUntil(String),
    /// `ROLE`, `ADMIN` or `IN ROLE`.
    Members(&'static str, Vec<String>),
    SysId(i32),
}

/// What kind of thing a name is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object(pub &'static str);

/// `ALTER` of a relation.
#[derive(Debug)]
pub struct Alter {
    pub object: Object,
    pub relation: Relation,
    pub if_exists: bool,
    pub actions: Vec<AlterAction>,
}

/// One change of `ALTER`.
#[derive(Debug)]
pub enum AlterAction {
    AddColumn {
        column: ColumnDefinition,
        if_not_exists: bool,
    },
    AddConstraint(Constraint),
    DropColumn {
        name: Name,
        if_exists: bool,
        cascade: bool,
    },
    DropConstraint {
        name: Name,
        if_exists: bool,
        cascade: bool,
    },
    ValidateConstraint(Name),
    AlterConstraint {
        name: Name,
        attributes: Vec<ConstraintAttribute>,
        inherit: Option<bool>,
    },
    AlterColumn {
        name: Name,
        change: ColumnChange,
    },
    Rename(Name),
    RenameColumn(Name, Name),
    RenameConstraint(Name, Name),
    SetSchema(Name),
    Owner(String),
    SetTablespace(Name),
    SetLogged(bool),
    SetMethod(Option<Name>),
    SetOptions(Vec<DefinitionOption>),
    ResetOptions(Vec<DefinitionOption>),
    Inherit(QualifiedName, bool),
    OfType(Option<QualifiedName>),
    AttachPartition(QualifiedName, Option<PartitionBound>),
    DetachPartition {
        name: QualifiedName,
        concurrently: bool,
        finalize: bool,
    },
    ReplicaIdentity(String, Option<Name>),
    ClusterOn(Option<Name>),
    RowSecurity(&'static str),
    /// `ENABLE` or `DISABLE` of a trigger or rule, with its words.
    Trigger(String, Option<Name>),
    SequenceOptions(Vec<SequenceOption>),
}

/// One change of a column.
#[derive(Debug)]
pub enum ColumnChange {
    SetDefault(Expr),
    DropDefault,
    SetNotNull,
    DropNotNull,
    SetExpression(Expr),
    DropExpression { if_exists: bool },
    SetStatistics(i32),
    SetOptions(Vec<DefinitionOption>),
    ResetOptions(Vec<DefinitionOption>),
    SetStorage(Name),
    SetCompression(Name),
    AddIdentity(bool, Vec<SequenceOption>),
    SetIdentity(Vec<SequenceOption>, Option<bool>),
    DropIdentity { if_exists: bool },
    Type { ty: TypeName, collation: Option<QualifiedName>, using: Option<Expr> },
}

/// `DROP`.
#[derive(Debug)]
pub struct Drop {
    pub object: Object,
    pub names: Vec<QualifiedName>,
    pub if_exists: bool,
    pub concurrently: bool,
    pub cascade: bool,
}

/// `GRANT` or `REVOKE`.
#[derive(Debug)]
pub struct Grant {
    pub revoke: bool,
    /// None for `ALL`.
    pub privileges: Option<Vec<Privilege>>,
    pub on: Option<GrantTarget>,
    pub roles: Vec<String>,
    /// `GRANT OPTION` or `ADMIN OPTION` and its kin.
    pub options: Vec<String>,
    pub granted_by: Option<String>,
    pub cascade: bool,
}

/// What may be done, to all columns or some.
#[derive(Debug)]
pub struct Privilege {
    pub name: String,
    pub columns: Vec<Name>,
}

/// What privileges are on.
#[derive(Debug)]
pub struct GrantTarget {
    pub object: Object,
    pub all_in_schema: bool,
    pub names: Vec<QualifiedName>,
}

/// `COPY`.
#[derive(Debug)]
pub struct Copy {
    pub source: CopySource,
    pub from: bool,
    pub file: CopyFile,
    pub options: Vec<DefinitionOption>,
    pub filter: Option<Expr>,
}

/// What is copied.
#[derive(Debug)]
pub enum CopySource {
    Table(QualifiedName, Vec<Name>),
    Query(Box<Planned>),
}

/// Where the bytes come from or go to.
#[derive(Debug)]
pub enum CopyFile {
    Stdin,
    Stdout,
    File(String),
    Program(String),
}

/// Which rows of a cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// None for all.
    Forward(Option<i64>),
    Backward(Option<i64>),
    Absolute(i64),
    Relative(i64),
}

impl Definition {
    /// What it is called.
    pub fn tag(&self) -> String {
        match self {
            Self::CreateTable(_) => "CREATE TABLE".to_owned(),
            Self::CreateTableAs(table) if table.materialized_view => "CREATE MATERIALIZED VIEW".to_owned(),
            Self::CreateTableAs(_) => "CREATE TABLE AS".to_owned(),
            Self::CreateIndex(_) => "CREATE INDEX".to_owned(),
            Self::CreateSchema { .. } => "CREATE SCHEMA".to_owned(),
            Self::CreateSequence { .. } => "CREATE SEQUENCE".to_owned(),
            Self::CreateView(_) => "CREATE VIEW".to_owned(),
            Self::CreateRole { .. } => "CREATE ROLE".to_owned(),
            Self::CreateDatabase { .. } => "CREATE DATABASE".to_owned(),
            Self::Alter(alter) => format!("ALTER {}", alter.object.0),
            Self::AlterRole { .. } => "ALTER ROLE".to_owned(),
            Self::AlterSetting { role: Some(_), .. } => "ALTER ROLE".to_owned(),
            Self::AlterSetting { .. } | Self::AlterDatabase { .. } => "ALTER DATABASE".to_owned(),
            Self::Drop(drop) => format!("DROP {}", drop.object.0),
            Self::DropRole { .. } => "DROP ROLE".to_owned(),
            Self::DropDatabase { .. } => "DROP DATABASE".to_owned(),
            Self::Truncate { .. } => "TRUNCATE TABLE".to_owned(),
            Self::Comment { .. } => "COMMENT".to_owned(),
            Self::Grant(grant) => if grant.revoke { "REVOKE" } else { "GRANT" }.to_owned(),
            Self::Copy(_) => "COPY".to_owned(),
            Self::Declare { .. } => "DECLARE CURSOR".to_owned(),
            Self::Fetch { is_move, .. } => if *is_move { "MOVE" } else { "FETCH" }.to_owned(),
            Self::Listen(_) => "LISTEN".to_owned(),
            Self::Notify { .. } => "NOTIFY".to_owned(),
            Self::Lock { .. } => "LOCK TABLE".to_owned(),
            Self::Vacuum { is_analyze, .. } => if *is_analyze { "ANALYZE" } else { "VACUUM" }.to_owned(),
            Self::Reindex { .. } => "REINDEX".to_owned(),
            Self::Cluster { .. } => "CLUSTER".to_owned(),
            Self::Checkpoint(_) => "CHECKPOINT".to_owned(),
            Self::TwoPhase { what, .. } => (*what).to_owned(),
        }
    }
}
