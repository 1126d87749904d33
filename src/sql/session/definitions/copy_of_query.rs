//! `CREATE TABLE … AS`.

use std::sync::Arc;

use crate::catalog::descriptor::RelationKind;
use crate::catalog::requests::NewRelation;
use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::tree::OutputColumn;
use crate::sql::execute;
use crate::sql::parse::tree_ddl::{CreateTableAs, TableSource};
use crate::sql::tables::with_tables;
use crate::sql::types::Type;

use super::Defining;
use super::names::persistence_of;
use super::view::columns_of;

impl Defining<'_> {
    /// `CREATE TABLE … AS`; its tag.
    pub(super) fn create_table_as(&mut self, table: &CreateTableAs) -> Result<String> {
        if table.materialized_view {
            return self.not_yet(Some(table.name.at), "CREATE MATERIALIZED VIEW");
        }
        self.refuse_storage(&table.storage)?;
        let TableSource::Planned(planned) = &table.source else {
            return self.not_yet(Some(table.name.at), "CREATE TABLE AS EXECUTE");
        };
        let namespace = self.creation_schema(&table.name, table.persistence)?;
        let name = table.name.last();
        if table.if_not_exists && self.is_taken(namespace, name)? {
            let message = format!("relation \"{name}\" already exists, skipping");
            self.notice(SqlState::DUPLICATE_TABLE, message);
            return Ok("CREATE TABLE AS".to_owned());
        }
        let options = self.table_options(&table.storage.options)?;
        let (made, _) = self.session.plan(self.host, planned, self.source, (&[], false))?;
        let fields = made.fields.iter().map(|field| OutputColumn {
            name: field.name.clone(),
            ty: if field.ty == Type::UNKNOWN { Type::TEXT } else { field.ty },
            typmod: field.typmod,
            at: None,
        });
        let mut columns: Vec<OutputColumn> = fields.collect();
        if table.columns.len() > columns.len() {
            return Err(Report::error(SqlState::SYNTAX_ERROR, "too many column names were specified"));
        }
        for (column, name) in columns.iter_mut().zip(&table.columns) {
            column.name.clone_from(&name.text);
        }
        let columns = columns_of(&columns);
        let oid = with_tables(self.host, |access| {
            access.cx.create_relation(&NewRelation {
                namespace,
                name,
                kind: RelationKind::Table,
                persistence: persistence_of(table.persistence),
                owner: access.cx.role,
                columns: &columns,
                options: &options,
                view: None,
                depends_on: &[],
            })
        })?;
        if !table.with_data {
            self.session.next_command(self.host)?;
            return Ok("CREATE TABLE AS".to_owned());
        }
        let relation = self.again(oid)?;
        let mut ctx = self.session.context(self.host, Arc::from([]), self.source.text.clone());
        let (mut node, mut count) = (execute::start(&made.plan), 0_u64);
        while let Some(row) = node.next(&mut ctx)? {
            let written = with_tables(ctx.host, |access| access.insert(&relation, &row))?;
            if written.is_err() {
                return Err(Report::error(SqlState::INTERNAL_ERROR, "a new table's row has a conflict"));
            }
            count += 1;
        }
        ctx.end()?;
        self.session.next_command(self.host)?;
        Ok(format!("SELECT {count}"))
    }
}
