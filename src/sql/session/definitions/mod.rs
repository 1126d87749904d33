//! Statements that define something: from their trees to the catalog's operations.

mod alter;
mod columns;
mod constraints;
mod copy_of_query;
mod databases;
mod drops;
mod index;
mod names;
mod roles;
mod sequence;
mod table;
mod view;

use std::sync::Arc;

use crate::catalog::requests::ObjectAddress;
use crate::catalog::schema::{PG_CONSTRAINT, PG_NAMESPACE};
use crate::report::{Report, Result, SqlState};
use crate::sql::execute;
use crate::sql::host::Host;
use crate::sql::parse::tree::QualifiedName;
use crate::sql::parse::tree_ddl::{Definition, Object};
use crate::sql::parse::{self, Parsed, Source, Statement};
use crate::sql::tables::with_tables;
use crate::sql::types::Row;
use crate::txn::locks::LockMode;

use super::Session;

/// A definition that is carried out, and where it stands.
pub(super) struct Defining<'d> {
    /// The session.
    pub session: &'d mut Session,
    /// Its process.
    pub host: &'d mut dyn Host,
    /// Where the statement stands.
    pub source: &'d Source,
}

impl Session {
    /// Carries out a definition; its tag. `None`: it is of a kind that is not there yet.
    pub(super) fn define(
        &mut self,
        host: &mut dyn Host,
        parsed: &Parsed,
        definition: &Definition,
    ) -> Result<Option<String>> {
        if !host.has_tables() {
            return Ok(None);
        }
        self.check_read_only(host, &definition.tag())?;
        let mut defining = Defining { session: self, host, source: &parsed.source };
        let tag = match definition {
            Definition::CreateTable(table) => defining.create_table(table)?,
            Definition::CreateTableAs(table) => return defining.create_table_as(table).map(Some),
            Definition::CreateIndex(index) => defining.create_index(index)?,
            Definition::CreateSchema { name, owner, if_not_exists, elements } => {
                if owner.is_some() || !elements.is_empty() {
                    return Ok(None);
                }
                defining.create_schema(name.as_ref(), *if_not_exists)?
            }
            Definition::CreateSequence { name, persistence, if_not_exists, options } => {
                defining.create_sequence(name, *persistence, *if_not_exists, options)?
            }
            Definition::CreateView(view) => defining.create_view(view)?,
            Definition::Alter(alter) => defining.alter(alter)?,
            Definition::Drop(drop) => defining.drop(drop)?,
            Definition::Truncate { tables, restart_identity, cascade } => {
                defining.truncate(tables, *restart_identity, *cascade)?
            }
            Definition::Comment { object, name, column_of, text } => {
                defining.comment(object, name, column_of.as_ref(), text.as_deref())?
            }
            Definition::CreateRole { kind, name, options } => defining.create_role(*kind, name, options)?,
            Definition::AlterRole { name, options } => defining.alter_role(name, options)?,
            Definition::DropRole { names, if_exists } => defining.drop_role(names, *if_exists)?,
            Definition::Grant(grant) => {
                let done = defining.grant_roles(grant)?;
                let tag = if grant.revoke { "REVOKE ROLE" } else { "GRANT ROLE" };
                return Ok(done.then(|| tag.to_owned()));
            }
            Definition::CreateDatabase { name, options } => defining.create_database(name, options)?,
            Definition::DropDatabase { name, if_exists, force } => {
                defining.drop_database(name, *if_exists, *force)?
            }
            Definition::Lock { tables, mode, nowait: false } => defining.lock(tables, mode)?,
            _ => return Ok(None),
        };
        self.next_command(host)?;
        Ok(tag.then(|| definition.tag()))
    }

    /// Runs a query of the session's own; all its rows.
    pub(super) fn run_internal(&mut self, host: &mut dyn Host, text: &str) -> Result<Vec<Row>> {
        let parsed = parse::parse_one(text)?;
        let Some(Parsed { statement: Statement::Planned(planned), source, .. }) = parsed.as_ref() else {
            return Err(Report::error(SqlState::INTERNAL_ERROR, "an internal query is none"));
        };
        self.next_command(host)?;
        let (made, _) = self.plan(host, planned, source, (&[], false))?;
        let mut ctx = self.context(host, Arc::from([]), source.text.clone());
        let rows = execute::collect(&made.plan, &mut ctx)?;
        ctx.end()?;
        if made.is_change {
            self.next_command(host)?;
        }
        Ok(rows)
    }
}

impl Defining<'_> {
    fn error_at(&self, at: u32, state: SqlState, message: impl Into<String>) -> Box<Report> {
        let position = self.source.position(at);
        let mut report = Report::error(state, message);
        report.position = Some(position);
        report
    }

    /// A part of a statement that is known and not there yet.
    fn not_yet<T>(&self, at: Option<u32>, what: &str) -> Result<T> {
        let at = at.unwrap_or(self.source.start);
        Err(self.error_at(at, SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported yet")))
    }

    fn notice(&mut self, state: SqlState, message: String) {
        self.host.notice(Report::new(crate::report::Severity::Notice, state, message));
    }

    fn comment(
        &mut self,
        object: &Object,
        name: &QualifiedName,
        column_of: Option<&QualifiedName>,
        text: Option<&str>,
    ) -> Result<bool> {
        let address = match (object.0, column_of) {
            ("COLUMN", _) => {
                let (table, column) = match name.parts.split_last() {
                    Some((column, table)) if !table.is_empty() => (table.to_vec(), column),
                    _ => return self.not_yet(Some(name.at), "COMMENT ON COLUMN without a table"),
                };
                let table = QualifiedName { parts: table, at: name.at };
                let relation = self.relation(&table, LockMode::ShareUpdateExclusive)?;
                let Some(found) = relation.column(column) else {
                    let message =
                        format!("column \"{column}\" of relation \"{}\" does not exist", relation.name);
                    return Err(Report::error(SqlState::UNDEFINED_COLUMN, message));
                };
                ObjectAddress::column(relation.oid, found.number)
            }
            ("CONSTRAINT", Some(table)) => {
                let relation = self.relation(table, LockMode::ShareUpdateExclusive)?;
                let found = relation.constraints.iter().find(|constraint| constraint.name == name.last());
                let Some(constraint) = found else {
                    let message = format!(
                        "constraint \"{}\" for table \"{}\" does not exist",
                        name.last(),
                        relation.name
                    );
                    return Err(Report::error(SqlState::UNDEFINED_OBJECT, message));
                };
                ObjectAddress::of(PG_CONSTRAINT, constraint.oid)
            }
            ("SCHEMA", _) => ObjectAddress::of(PG_NAMESPACE, self.schema(name.last())?),
            ("TABLE" | "VIEW" | "INDEX" | "SEQUENCE", _) => {
                ObjectAddress::relation(self.relation(name, LockMode::ShareUpdateExclusive)?.oid)
            }
            (kind, _) => return self.not_yet(None, &format!("COMMENT ON {kind}")),
        };
        with_tables(self.host, |access| access.cx.comment(address, text))?;
        Ok(true)
    }
}
