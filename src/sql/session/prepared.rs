//! Prepared statements and portals.

use std::sync::Arc;

use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::{self, Environment};
use crate::sql::execute::BoxNode;
use crate::sql::host::StatementClass;
use crate::sql::parse::{Parsed, Statement, Utility};
use crate::sql::plan::{Evaluate, Plan, plan_query};
use crate::sql::types::{Datum, Type, Wire};

use super::sink::FieldInfo;

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
    Query { plan: Arc<Plan>, fields: Vec<FieldInfo> },
    /// Anything else.
    Utility(Parsed),
}

impl Prepared {
    /// Analyses and plans a statement.
    pub fn new(
        text: &str,
        parsed: Option<Parsed>,
        environment: &Environment,
        types: &[Type],
        evaluate: Evaluate<'_>,
    ) -> Result<Self> {
        let text: Arc<str> = text.into();
        let Some(parsed) = parsed else {
            return Ok(Self { text, kind: PreparedKind::Empty, params: types.to_vec() });
        };
        match &parsed.statement {
            Statement::Planned(query) => {
                let analysed = analyze::query(query, &parsed.source, environment, types, true)?;
                let (plan, fields) = planned(&analysed, evaluate)?;
                Ok(Self { text, kind: PreparedKind::Query { plan, fields }, params: analysed.params })
            }
            Statement::Utility(_) => {
                Ok(Self { text, kind: PreparedKind::Utility(parsed), params: types.to_vec() })
            }
        }
    }

    /// What kind of statement it is.
    pub fn class(&self) -> StatementClass {
        match &self.kind {
            PreparedKind::Utility(parsed) => class_of(parsed),
            PreparedKind::Query { .. } | PreparedKind::Empty => StatementClass::Other,
        }
    }

    /// Whether it may run in a transaction that failed.
    pub fn ends_transaction(&self) -> bool {
        match &self.kind {
            PreparedKind::Utility(parsed) => utility_of(parsed).is_some_and(Utility::ends_transaction),
            PreparedKind::Empty => true,
            PreparedKind::Query { .. } => false,
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
    match utility_of(parsed) {
        Some(Utility::AlterSystem(_)) => StatementClass::Definition,
        _ => StatementClass::Other,
    }
}

/// A query's plan and columns.
pub fn planned(analysed: &analyze::Analysed, evaluate: Evaluate<'_>) -> Result<(Arc<Plan>, Vec<FieldInfo>)> {
    let fields = analysed
        .query
        .columns
        .iter()
        .map(|column| FieldInfo {
            name: column.name.clone(),
            ty: column.ty,
            typmod: column.typmod,
            wire: Wire::Text,
        })
        .collect();
    Ok((plan_query(&analysed.query, evaluate)?, fields))
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
    Running { node: BoxNode, fields: Vec<FieldInfo>, tag: &'static str },
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
