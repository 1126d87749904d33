//! Prepared statements and portals.

use std::sync::Arc;

use crate::access::visibility::ReadView;
use crate::report::{Report, Result, SqlState};
use crate::sql::execute::BoxNode;
use crate::sql::host::StatementClass;
use crate::sql::parse::tree::ChangeKind;
use crate::sql::parse::tree_ddl::Definition;
use crate::sql::parse::{Parsed, Planned, Statement, Utility};
use crate::sql::types::{Datum, Type, Wire};

use super::sink::FieldInfo;
use super::statement::QueryPlan;

/// A statement that was parsed and, if it is a query, planned.
#[derive(Debug)]
pub struct Prepared {
    /// Its text.
    pub text: Arc<str>,
    /// What it does.
    pub kind: PreparedKind,
    /// The types of its parameters.
    pub params: Vec<Type>,
}

/// What a prepared statement does.
#[derive(Debug)]
pub enum PreparedKind {
    /// Nothing.
    Empty,
    /// Answers rows.
    Query(QueryPlan),
    /// Anything else.
    Utility(Parsed),
}

impl Prepared {
    /// What kind of statement it is.
    pub fn class(&self) -> StatementClass {
        match &self.kind {
            PreparedKind::Utility(parsed) => class_of(parsed),
            PreparedKind::Query(plan) if plan.is_change => StatementClass::Modifying,
            PreparedKind::Query(_) | PreparedKind::Empty => StatementClass::Other,
        }
    }

    /// Whether it may run in a transaction that failed.
    pub fn ends_transaction(&self) -> bool {
        match &self.kind {
            PreparedKind::Utility(parsed) => utility_of(parsed).is_some_and(Utility::ends_transaction),
            PreparedKind::Empty => true,
            PreparedKind::Query(_) => false,
        }
    }
}

/// The statement, if it is no query.
pub fn utility_of(parsed: &Parsed) -> Option<&Utility> {
    match &parsed.statement {
        Statement::Utility(utility) => Some(utility),
        Statement::Planned(_) => None,
    }
}

/// What kind of statement it is.
pub fn class_of(parsed: &Parsed) -> StatementClass {
    match &parsed.statement {
        Statement::Planned(planned) => match &**planned {
            Planned::Change(_) => StatementClass::Modifying,
            Planned::Query(_) => StatementClass::Other,
        },
        Statement::Utility(Utility::AlterSystem(_)) => StatementClass::Definition,
        Statement::Utility(Utility::Definition(definition)) => match &**definition {
            Definition::Copy(copy) if copy.from => StatementClass::Modifying,
            Definition::Truncate { .. } => StatementClass::Modifying,
            Definition::Copy(_)
            | Definition::Declare { .. }
            | Definition::Fetch { .. }
            | Definition::Lock { .. }
            | Definition::Vacuum { .. }
            | Definition::Listen(_)
            | Definition::Notify { .. }
            | Definition::Checkpoint(_) => StatementClass::Other,
            _ => StatementClass::Definition,
        },
        Statement::Utility(_) => StatementClass::Other,
    }
}

/// What titles call a statement while it runs.
pub fn tag_of(parsed: &Parsed) -> &str {
    match &parsed.statement {
        Statement::Utility(utility) => utility.tag(),
        Statement::Planned(planned) => match &**planned {
            Planned::Query(_) => "SELECT",
            Planned::Change(change) => match change.kind {
                ChangeKind::Insert(_) => "INSERT",
                ChangeKind::Update { .. } => "UPDATE",
                ChangeKind::Delete { .. } => "DELETE",
                ChangeKind::Merge { .. } => "MERGE",
            },
        },
    }
}

/// A statement with its parameters' values, perhaps half run.
pub struct Portal {
    /// The statement.
    pub statement: Arc<Prepared>,
    /// The name that it was prepared under.
    pub statement_name: Arc<str>,
    /// The parameters' values.
    pub params: Arc<[Datum]>,
    /// How the columns travel: none for all as text, one for all, or one each.
    pub wires: Vec<Wire>,
    /// How far it is.
    pub state: PortalState,
}

/// How far a portal is.
pub enum PortalState {
    /// Not begun.
    Ready,
    /// It has rows left.
    Running { node: BoxNode, fields: Vec<FieldInfo>, tag: &'static str, view: Option<ReadView>, written: u64 },
    /// It has none left; another Execute of a query gives no rows, of anything else an error.
    Done { query: bool },
}

impl Portal {
    /// The columns with the portal's formats.
    pub fn fields(&self, fields: &[FieldInfo]) -> Result<Vec<FieldInfo>> {
        if self.wires.len() > 1 && self.wires.len() != fields.len() {
            return Err(Report::error(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message has {} result formats but query has {} columns",
                    self.wires.len(),
                    fields.len()
                ),
            ));
        }
        let wire = |index: usize| match self.wires.as_slice() {
            [] => Wire::Text,
            [all] => *all,
            each => each[index],
        };
        Ok(fields
            .iter()
            .enumerate()
            .map(|(index, field)| FieldInfo { wire: wire(index), ..field.clone() })
            .collect())
    }
}

/// The code of a format in a message.
pub fn wire_of(code: i16) -> Result<Wire> {
    match code {
        0 => Ok(Wire::Text),
        1 => Ok(Wire::Binary),
        code => {
            Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, format!("unsupported format code: {code}")))
        }
    }
}
