//! `CREATE TABLE`.

use crate::catalog::descriptor::{ColumnDescriptor, RelationKind};
use crate::catalog::requests::{NewRelation, ObjectAddress};
use crate::report::{Result, SqlState};
use crate::sql::parse::tree::QualifiedName;
use crate::sql::parse::tree_ddl::{
    Constraint, ConstraintKind, CreateTable, DefinitionOption, OptionValue, TableElement, TableStorage,
};
use crate::sql::tables::with_tables;
use crate::txn::locks::LockMode;

use super::Defining;
use super::columns::NewColumn;
use super::names::persistence_of;

/// Options of a table that are kept.
const OPTIONS: [&str; 8] = [
    "fillfactor",
    "autovacuum_enabled",
    "autovacuum_vacuum_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_analyze_scale_factor",
    "autovacuum_vacuum_insert_threshold",
    "autovacuum_vacuum_insert_scale_factor",
];

/// An option's value as text.
pub(super) fn option_text(value: Option<&OptionValue>) -> String {
    match value {
        Some(OptionValue::Word(text) | OptionValue::String(text) | OptionValue::Number(text)) => text.clone(),
        Some(OptionValue::Star | OptionValue::List(_)) | None => "true".to_owned(),
    }
}

impl Defining<'_> {
    /// `WITH (…)` of a table.
    pub(super) fn table_options(&self, options: &[DefinitionOption]) -> Result<Vec<(String, String)>> {
        let mut kept = Vec::new();
        for option in options {
            let (name, at) = (&option.name.text, option.name.at);
            let value = option_text(option.value.as_ref());
            if option.namespace.is_some() {
                return self.not_yet(Some(at), "an option of a toast table");
            }
            if !OPTIONS.contains(&name.as_str()) {
                let message = format!("unrecognized parameter \"{name}\"");
                return Err(self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, message));
            }
            if name == "fillfactor" {
                self.check_fillfactor(&value, 10, at)?;
            }
            kept.push((name.clone(), value));
        }
        Ok(kept)
    }

    pub(super) fn check_fillfactor(&self, value: &str, least: u8, at: u32) -> Result<()> {
        let Ok(number) = value.parse::<i64>() else {
            let message = format!("invalid value for integer option \"fillfactor\": {value}");
            return Err(self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, message));
        };
        if (i64::from(least)..=100).contains(&number) {
            return Ok(());
        }
        let message = format!("value {value} out of bounds for option \"fillfactor\"");
        let report = self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, message);
        let detail = format!("Valid values are between \"{least}\" and \"100\".");
        Err(crate::report::ReportExt::with_detail(report, detail))
    }

    pub(super) fn refuse_storage(&self, storage: &TableStorage) -> Result<()> {
        if let Some(method) = &storage.method
            && method.text != "heap"
        {
            let message = format!("access method \"{}\" does not exist", method.text);
            return Err(self.error_at(method.at, SqlState::UNDEFINED_OBJECT, message));
        }
        if let Some(space) = &storage.tablespace
            && space.text != "pg_default"
        {
            let message = format!("tablespace \"{}\" does not exist", space.text);
            return Err(self.error_at(space.at, SqlState::UNDEFINED_OBJECT, message));
        }
        match storage.on_commit {
            None | Some("PRESERVE ROWS") => Ok(()),
            Some(what) => self.not_yet(None, &format!("ON COMMIT {what}")),
        }
    }

    /// `CREATE TABLE`.
    pub(super) fn create_table(&mut self, table: &CreateTable) -> Result<bool> {
        self.refuse_parts(table)?;
        let namespace = self.creation_schema(&table.name, table.persistence)?;
        let name = table.name.last();
        if table.if_not_exists && self.is_taken(namespace, name)? {
            let message = format!("relation \"{name}\" already exists, skipping");
            self.notice(SqlState::DUPLICATE_TABLE, message);
            return Ok(true);
        }
        let options = self.table_options(&table.storage.options)?;
        let (mut columns, constraints) = self.elements(table)?;
        let mut depends_on = Vec::new();
        self.fill_defaults(name, &mut columns, &mut depends_on)?;
        self.mark_key_columns(&mut columns, &constraints)?;
        let descriptors: Vec<ColumnDescriptor> =
            columns.iter().map(|column| column.descriptor.clone()).collect();
        let oid = with_tables(self.host, |access| {
            let new = NewRelation {
                namespace,
                name,
                kind: RelationKind::Table,
                persistence: persistence_of(table.persistence),
                owner: access.cx.role,
                columns: &descriptors,
                options: &options,
                view: None,
                depends_on: &depends_on,
            };
            access.cx.create_relation(&new)
        })?;
        let relation = self.again(oid)?;
        for column in &columns {
            self.column_sequence(&relation, column)?;
        }
        let of_columns: Vec<(Option<i16>, &Constraint)> = columns
            .iter()
            .flat_map(|column| {
                column.constraints.iter().map(|constraint| (Some(column.descriptor.number), *constraint))
            })
            .collect();
        for column in columns.iter().filter(|column| column.descriptor.not_null) {
            self.not_null_constraint(oid, &column.descriptor, column.not_null_name.as_deref())?;
        }
        let of_table = constraints.iter().map(|constraint| (None, *constraint));
        self.add_constraints(oid, of_columns.into_iter().chain(of_table).collect(), true)?;
        Ok(true)
    }

    fn refuse_parts(&self, table: &CreateTable) -> Result<()> {
        if let Some(parent) = table.inherits.first() {
            return self.not_yet(Some(parent.at), "INHERITS");
        }
        if let Some(of) = &table.of_type {
            return self.not_yet(Some(of.at), "a table of a type");
        }
        if table.partition_of.is_some() || table.partition_by.is_some() {
            return self.not_yet(Some(table.name.at), "partitioning");
        }
        self.refuse_storage(&table.storage)
    }

    /// Columns and constraints.
    fn elements<'d>(&mut self, table: &'d CreateTable) -> Result<(Vec<NewColumn<'d>>, Vec<&'d Constraint>)> {
        let (mut columns, mut constraints): (Vec<NewColumn<'d>>, Vec<_>) = Default::default();
        for element in &table.elements {
            match element {
                TableElement::Column(definition) => {
                    let number = columns.len() as i16 + 1;
                    columns.push(self.column(definition, number)?);
                }
                TableElement::Constraint(constraint) => constraints.push(constraint),
                TableElement::Like { table, options } => {
                    if let Some((_, option)) = options.iter().find(|(including, _)| *including) {
                        return self.not_yet(Some(option.at), "LIKE … INCLUDING");
                    }
                    self.like(table, &mut columns)?;
                }
            }
        }
        Ok((columns, constraints))
    }

    /// Another table's columns, with what they are against nulls.
    fn like(&mut self, table: &QualifiedName, columns: &mut Vec<NewColumn<'_>>) -> Result<()> {
        let relation = self.relation(table, LockMode::AccessShare)?;
        for column in relation.live_columns() {
            let number = columns.len() as i16 + 1;
            let mut descriptor = ColumnDescriptor::new(&column.name, number, column.type_oid, column.typmod);
            descriptor.not_null = column.not_null;
            columns.push(NewColumn {
                descriptor,
                sequence: None,
                is_serial: false,
                default: None,
                generated: None,
                constraints: Vec::new(),
                not_null_name: None,
            });
        }
        Ok(())
    }

    fn fill_defaults(
        &mut self,
        table: &str,
        columns: &mut [NewColumn<'_>],
        depends_on: &mut Vec<ObjectAddress>,
    ) -> Result<()> {
        let all: Vec<ColumnDescriptor> = columns.iter().map(|column| column.descriptor.clone()).collect();
        for column in columns.iter_mut() {
            if let Some(expr) = column.default {
                let (text, on) = self.column_default(&column.descriptor, expr)?;
                column.descriptor.default = Some(text);
                depends_on.extend(on);
            }
            if let Some(expr) = column.generated {
                let descriptor = &column.descriptor;
                let into = (
                    descriptor.name.as_str(),
                    crate::sql::analyze::relation::column_type(descriptor),
                    descriptor.typmod,
                );
                let defined = self.defined(expr, Some((table, &all)), Some(into), "GENERATED")?;
                column.descriptor.default = Some(defined.text);
            }
        }
        Ok(())
    }

    /// Columns of the primary key are not null.
    fn mark_key_columns(&mut self, columns: &mut [NewColumn<'_>], constraints: &[&Constraint]) -> Result<()> {
        let all: Vec<ColumnDescriptor> = columns.iter().map(|column| column.descriptor.clone()).collect();
        for constraint in constraints {
            match &constraint.kind {
                ConstraintKind::PrimaryKey(key) => {
                    for number in self.numbers(&all, &key.columns)? {
                        columns[(number - 1) as usize].descriptor.not_null = true;
                    }
                }
                ConstraintKind::NotNull(Some(name)) => {
                    for number in self.numbers(&all, std::slice::from_ref(name))? {
                        columns[(number - 1) as usize].descriptor.not_null = true;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
