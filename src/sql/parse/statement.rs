//! Statements as they are read.

use crate::sql::host::{AlterSystem, Scope};

use super::tree::{Change, Expr, Query, TypeName};
use super::tree_ddl::Definition;

/// A statement.
#[derive(Debug)]
pub enum Statement {
    /// One that reads or changes rows.
    Planned(Box<Planned>),
    /// One that is not optimised.
    Utility(Utility),
}

/// A statement that there are plans for.
#[derive(Debug)]
pub enum Planned {
    /// It answers rows.
    Query(Query),
    /// It changes a table's rows.
    Change(Change),
}

/// How a transaction is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modes {
    /// `transaction_isolation`.
    pub isolation: Option<&'static str>,
    /// `transaction_read_only`.
    pub read_only: Option<bool>,
    /// `transaction_deferrable`.
    pub deferrable: Option<bool>,
}

/// What a `SET` sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetTarget {
    /// A setting, to a value or its default.
    Setting(String, Option<String>),
    /// This transaction's characteristics.
    Transaction(Modes),
    /// Those of the transactions to come.
    SessionCharacteristics(Modes),
}

/// A statement that is not optimised.
#[derive(Debug)]
pub enum Utility {
    /// `SHOW`; none for `SHOW ALL`.
    Show(Option<String>),
    /// `SET`.
    Set(Scope, SetTarget),
    /// `RESET`; none for `RESET ALL`.
    Reset(Option<String>),
    /// `BEGIN` or, if the flag says so, `START TRANSACTION`, which have tags of their own.
    Begin(Modes, bool),
    /// `COMMIT`, and whether a new transaction follows.
    Commit(bool),
    /// `ROLLBACK`, and whether a new transaction follows.
    Rollback(bool),
    /// `SAVEPOINT`.
    Savepoint(String),
    /// `RELEASE`.
    Release(String),
    /// `ROLLBACK TO`.
    RollbackTo(String),
    /// `PREPARE`: name, parameter types as written, and the statement.
    Prepare(String, Vec<TypeName>, Box<Planned>),
    /// `EXECUTE`, with its arguments.
    Execute(String, Vec<Expr>),
    /// `DEALLOCATE`; none for all.
    Deallocate(Option<String>),
    /// `DISCARD`, and its word.
    Discard(&'static str),
    /// `ALTER SYSTEM`.
    AlterSystem(AlterSystem),
    /// `EXPLAIN`.
    Explain(ExplainOptions, Box<Planned>),
    /// `CLOSE`; none for all.
    Close(Option<String>),
    /// `UNLISTEN`, which has nothing to undo.
    Unlisten,
    /// One that defines something, or does something to what is defined; none of them is there yet.
    Definition(Box<Definition>),
    /// Known to PostgreSQL and not there.
    Refused(String),
}

/// What `EXPLAIN` is to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Run it, too.
    pub analyze: bool,
    /// With costs; on unless said otherwise.
    pub costs: bool,
    /// With output columns.
    pub verbose: bool,
    /// As what it is printed, in upper case.
    pub format: &'static str,
}

impl Utility {
    /// Whether it may run in a transaction that failed.
    pub fn ends_transaction(&self) -> bool {
        match self {
            Self::Commit(_) | Self::Rollback(_) | Self::RollbackTo(_) => true,
            // It says that a failed transaction was rolled back.
            Self::Definition(definition) => {
                matches!(&**definition, Definition::TwoPhase { what: "PREPARE TRANSACTION", .. })
            }
            _ => false,
        }
    }

    /// Its command tag.
    pub fn tag(&self) -> &str {
        match self {
            Self::Show(_) => "SHOW",
            Self::Set(..) => "SET",
            Self::Reset(_) => "RESET",
            Self::Begin(_, false) => "BEGIN",
            Self::Begin(_, true) => "START TRANSACTION",
            Self::Commit(_) => "COMMIT",
            Self::Rollback(_) | Self::RollbackTo(_) => "ROLLBACK",
            Self::Savepoint(_) => "SAVEPOINT",
            Self::Release(_) => "RELEASE",
            Self::Prepare(..) => "PREPARE",
            Self::Execute(..) => "EXECUTE",
            Self::Deallocate(None) => "DEALLOCATE ALL",
            Self::Deallocate(_) => "DEALLOCATE",
            Self::Discard(what) => what,
            Self::AlterSystem(_) => "ALTER SYSTEM",
            Self::Explain(..) => "EXPLAIN",
            Self::Close(None) => "CLOSE CURSOR ALL",
            Self::Close(_) => "CLOSE CURSOR",
            Self::Unlisten => "UNLISTEN",
            Self::Definition(_) | Self::Refused(_) => "",
        }
    }
}
