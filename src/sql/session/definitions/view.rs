//! `CREATE VIEW`.

use crate::catalog::descriptor::{ColumnDescriptor, RelationKind};
use crate::catalog::requests::{NewRelation, ObjectAddress};
use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::environment::Environment;
use crate::sql::analyze::relation::analysed_query;
use crate::sql::analyze::tree::OutputColumn;
use crate::sql::parse::tree::Persistence;
use crate::sql::parse::tree_ddl::CreateView;
use crate::sql::tables::with_tables;
use crate::txn::locks::LockMode;

use super::Defining;
use super::names::persistence_of;

/// Descriptors of a query's columns.
pub(super) fn columns_of(columns: &[OutputColumn]) -> Vec<ColumnDescriptor> {
    let numbered = columns.iter().enumerate();
    numbered
        .map(|(at, column)| {
            ColumnDescriptor::new(&column.name, at as i16 + 1, column.ty.oid(), column.typmod)
        })
        .collect()
}

impl Defining<'_> {
    /// `CREATE VIEW`.
    pub(super) fn create_view(&mut self, view: &CreateView) -> Result<bool> {
        if view.recursive || view.check_option.is_some() || !view.options.is_empty() {
            return self.not_yet(Some(view.name.at), "a recursive view, or one with options,");
        }
        let (query, used) = {
            let environment = self.session.environment(self.host);
            let query = analysed_query(&view.query, self.source, &environment)?;
            (query, environment.take_used())
        };
        let mut columns = query.columns;
        if view.columns.len() > columns.len() {
            let message = "CREATE VIEW specifies more column names than columns";
            return Err(Report::error(SqlState::SYNTAX_ERROR, message));
        }
        for (column, name) in columns.iter_mut().zip(&view.columns) {
            column.name.clone_from(&name.text);
        }
        let start = view.query.at as usize;
        let text = self.source.text.get(start..self.source.end as usize).unwrap_or("").trim().to_owned();
        let mut persistence = if view.temporary { Persistence::Temporary } else { Persistence::Permanent };
        if used.iter().any(|(relation, _)| relation.persistence.letter() == b't') {
            persistence = Persistence::Temporary;
        }
        let depends_on: Vec<ObjectAddress> =
            used.iter().map(|(relation, _)| ObjectAddress::relation(relation.oid)).collect();
        let namespace = self.creation_schema(&view.name, persistence)?;
        let columns = columns_of(&columns);
        if view.replace && self.is_taken(namespace, view.name.last())? {
            return self.replace_view(view, &columns, &text, &depends_on);
        }
        with_tables(self.host, |access| {
            access.cx.create_relation(&NewRelation {
                namespace,
                name: view.name.last(),
                kind: RelationKind::View,
                persistence: persistence_of(persistence),
                owner: access.cx.role,
                columns: &columns,
                options: &[],
                view: Some(&text),
                depends_on: &depends_on,
            })
        })?;
        Ok(true)
    }

    fn replace_view(
        &mut self,
        view: &CreateView,
        columns: &[ColumnDescriptor],
        text: &str,
        depends_on: &[ObjectAddress],
    ) -> Result<bool> {
        let relation = self.relation(&view.name, LockMode::AccessExclusive)?;
        if relation.kind != RelationKind::View {
            let message = format!("\"{}\" is not a view", relation.name);
            return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message));
        }
        let invalid = |message: String| Err(Report::error(SqlState::INVALID_TABLE_DEFINITION, message));
        if columns.len() < relation.columns.len() {
            return invalid("cannot drop columns from view".to_owned());
        }
        for (old, new) in relation.columns.iter().zip(columns) {
            if old.name != new.name {
                return invalid(format!(
                    "cannot change name of view column \"{}\" to \"{}\"",
                    old.name, new.name
                ));
            }
            if old.type_oid != new.type_oid {
                let name =
                    |oid| crate::sql::types::Type::from_oid(oid).map_or_else(String::new, |ty| ty.sql_name());
                return invalid(format!(
                    "cannot change data type of view column \"{}\" from {} to {}",
                    old.name,
                    name(old.type_oid),
                    name(new.type_oid)
                ));
            }
        }
        with_tables(self.host, |access| {
            for column in &columns[relation.columns.len()..] {
                access.cx.add_column(relation.oid, column, &[])?;
            }
            access.cx.write_view(relation.oid, text, depends_on)
        })?;
        Ok(true)
    }
}
