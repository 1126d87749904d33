//! `ALTER TABLE` and its kin.

use std::sync::Arc;

use crate::catalog::descriptor::{ColumnDescriptor, ConstraintKind, RelationDescriptor, RelationKind};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::analyze::relation::column_type;
use crate::sql::execute::eval;
use crate::sql::functions::quote_ident;
use crate::sql::parse::tree_ddl::{Alter, AlterAction, ColumnChange, ColumnDefinition, SequenceOption};
use crate::sql::plan::plan_expr;
use crate::sql::tables::with_tables;
use crate::sql::types::stored::{Codec, Scratch};
use crate::txn::locks::LockMode;

use super::Defining;
use super::drops::behavior;
use super::names::full_name;

impl Defining<'_> {
    /// `ALTER` of a relation.
    pub(super) fn alter(&mut self, alter: &Alter) -> Result<bool> {
        if alter.object.0 == "SCHEMA" {
            return self.alter_schema(alter);
        }
        if !matches!(alter.object.0, "TABLE" | "INDEX" | "VIEW" | "SEQUENCE") {
            return Ok(false);
        }
        let name = &alter.relation.name;
        let Some(relation) = self.find_relation(name, LockMode::AccessExclusive)? else {
            let message = format!("relation \"{}\" does not exist", name.dotted());
            if alter.if_exists {
                self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
                return Ok(true);
            }
            return Err(self.error_at(name.at, SqlState::UNDEFINED_TABLE, message));
        };
        self.refuse_system(&relation)?;
        let noun = alter.object.0.to_lowercase();
        if noun != "table" && relation.kind.noun() != noun {
            let article = if noun == "index" { "an" } else { "a" };
            let message = format!("\"{}\" is not {article} {noun}", relation.name);
            return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message));
        }
        for action in &alter.actions {
            let relation = self.again(relation.oid)?;
            if !self.alter_one(&relation, action)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn alter_schema(&mut self, alter: &Alter) -> Result<bool> {
        let name = alter.relation.name.last();
        self.schema(name)?;
        for action in &alter.actions {
            let AlterAction::Rename(new) = action else { return Ok(false) };
            with_tables(self.host, |access| access.cx.rename_schema(name, &new.text))?;
        }
        Ok(true)
    }

    fn alter_one(&mut self, relation: &Arc<RelationDescriptor>, action: &AlterAction) -> Result<bool> {
        let oid = relation.oid;
        match action {
            AlterAction::AddColumn { column, if_not_exists } => {
                self.add_column(relation, column, *if_not_exists)?;
            }
            AlterAction::AddConstraint(constraint) => {
                self.add_constraints(oid, vec![(None, constraint)], false)?;
            }
            AlterAction::DropColumn { name, if_exists, cascade } => {
                if relation.column(&name.text).is_none() && *if_exists {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" does not exist, skipping",
                        name.text, relation.name
                    );
                    self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
                    return Ok(true);
                }
                let notices = with_tables(self.host, |access| {
                    access.cx.drop_column(oid, &name.text, behavior(*cascade))
                })?;
                notices.into_iter().for_each(|notice| self.host.notice(notice));
            }
            AlterAction::DropConstraint { name, if_exists, cascade } => {
                let is_there = relation.constraints.iter().any(|constraint| constraint.name == name.text);
                if !is_there && *if_exists {
                    let message = format!(
                        "constraint \"{}\" of relation \"{}\" does not exist, skipping",
                        name.text, relation.name
                    );
                    self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
                    return Ok(true);
                }
                let notices = with_tables(self.host, |access| {
                    access.cx.drop_constraint(oid, &name.text, behavior(*cascade))
                })?;
                notices.into_iter().for_each(|notice| self.host.notice(notice));
            }
            AlterAction::AlterColumn { name, change } => {
                let Some(column) = relation.column(&name.text) else {
                    let message =
                        format!("column \"{}\" of relation \"{}\" does not exist", name.text, relation.name);
                    return Err(Report::error(SqlState::UNDEFINED_COLUMN, message));
                };
                return self.alter_column(relation, column, change);
            }
            AlterAction::Rename(name) => {
                self.refuse_views(relation, "renaming what a view reads")?;
                with_tables(self.host, |access| access.cx.rename_relation(oid, &name.text))?;
            }
            AlterAction::RenameColumn(from, to) => {
                self.refuse_views(relation, "renaming what a view reads")?;
                with_tables(self.host, |access| access.cx.rename_column(oid, &from.text, &to.text))?;
            }
            AlterAction::RenameConstraint(from, to) => {
                with_tables(self.host, |access| access.cx.rename_constraint(oid, &from.text, &to.text))?;
            }
            AlterAction::SetSchema(name) => {
                self.refuse_views(relation, "moving what a view reads")?;
                let namespace = self.schema(&name.text)?;
                with_tables(self.host, |access| access.cx.set_relation_schema(oid, namespace))?;
            }
            AlterAction::SetOptions(options) => {
                let mut kept = relation.options.clone();
                for (name, value) in self.table_options(options)? {
                    kept.retain(|(other, _)| *other != name);
                    kept.push((name, value));
                }
                with_tables(self.host, |access| access.cx.set_relation_options(oid, &kept))?;
            }
            AlterAction::ResetOptions(options) => {
                let mut kept = relation.options.clone();
                kept.retain(|(name, _)| !options.iter().any(|option| option.name.text == *name));
                with_tables(self.host, |access| access.cx.set_relation_options(oid, &kept))?;
            }
            AlterAction::SequenceOptions(options) => self.alter_sequence(relation, options)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Views are kept as their text, in which a new name would not be found.
    fn refuse_views(&mut self, relation: &RelationDescriptor, what: &str) -> Result<()> {
        let query = format!(
            "SELECT 1 FROM pg_catalog.pg_depend WHERE refclassid = {} AND refobjid = {} AND classid = {} \
             AND deptype = 'n' LIMIT 1",
            crate::catalog::schema::PG_CLASS,
            relation.oid,
            crate::catalog::schema::PG_REWRITE
        );
        match self.session.run_internal(self.host, &query)?.is_empty() {
            true => Ok(()),
            false => self.not_yet(None, what),
        }
    }

    fn alter_sequence(&mut self, relation: &RelationDescriptor, options: &[SequenceOption]) -> Result<()> {
        let Some(old) = relation.sequence else {
            let message = format!("\"{}\" is not a sequence", relation.name);
            return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message));
        };
        let parameters = self.sequence_parameters(old, options)?;
        let restart = options.iter().find_map(|option| match option {
            SequenceOption::Restart(value) => Some(value.as_deref()),
            _ => None,
        });
        let restart = match restart {
            Some(Some(text)) => Some(text.parse().map_err(|_| {
                let message = format!("value \"{text}\" is out of range for type bigint");
                Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
            })?),
            Some(None) => Some(parameters.start),
            None => None,
        };
        let owner = self.owning_column(options)?;
        with_tables(self.host, |access| {
            access.cx.alter_sequence(relation.oid, &parameters, restart)?;
            match owner {
                Some(column) => access.cx.set_sequence_owner_column(relation.oid, column),
                None => Ok(()),
            }
        })
    }

    fn add_column(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        definition: &ColumnDefinition,
        if_not_exists: bool,
    ) -> Result<()> {
        let name = &definition.name.text;
        if relation.column(name).is_some() {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", relation.name);
            if if_not_exists {
                self.notice(SqlState::DUPLICATE_COLUMN, format!("{message}, skipping"));
                return Ok(());
            }
            return Err(Report::error(SqlState::DUPLICATE_COLUMN, message));
        }
        let number = relation.columns.len() as i16 + 1;
        let mut column = self.column(definition, number)?;
        let (mut depends_on, mut fills) =
            (Vec::new(), column.sequence.is_some() || column.generated.is_some());
        if let Some(expr) = column.default {
            let (text, on) = self.column_default(&column.descriptor, expr)?;
            column.descriptor.default = Some(text);
            depends_on = on;
            if !self.fill_missing(&mut column.descriptor)? {
                fills = true;
            }
        }
        if let Some(expr) = column.generated {
            let into = (name.as_str(), column_type(&column.descriptor), column.descriptor.typmod);
            let over = Some((relation.name.as_str(), relation.columns.as_slice()));
            column.descriptor.default = Some(self.defined(expr, over, Some(into), "GENERATED")?.text);
        }
        let not_null = std::mem::take(&mut column.descriptor.not_null);
        with_tables(self.host, |access| access.cx.add_column(relation.oid, &column.descriptor, &depends_on))?;
        let now = self.again(relation.oid)?;
        self.column_sequence(&now, &column)?;
        if fills {
            let query = format!("UPDATE ONLY {} SET {} = DEFAULT", full_name(relation), quote_ident(name));
            self.session.run_internal(self.host, &query)?;
        }
        if not_null {
            let now = self.again(relation.oid)?;
            let descriptor = now.columns[(number - 1) as usize].clone();
            self.set_not_null(&now, &descriptor, column.not_null_name.as_deref())?;
        }
        let constraints = column.constraints.iter().map(|constraint| (Some(number), *constraint)).collect();
        self.add_constraints(relation.oid, constraints, false)
    }

    /// Has rows that are older than the column have its default, if that is the same for all of them.
    fn fill_missing(&mut self, column: &mut ColumnDescriptor) -> Result<bool> {
        let Some(text) = column.default.clone() else { return Ok(true) };
        let relation = RelationDescriptor { columns: vec![column.clone()], ..empty_relation() };
        let expr = {
            let environment = self.session.environment(self.host);
            crate::sql::analyze::relation::column_default(&relation, &relation.columns[0], &environment)?
        };
        let Some(expr) = expr else { return Ok(true) };
        if crate::sql::plan::is_volatile(&expr) {
            return Ok(false);
        }
        let session = &*self.session;
        let expr = plan_expr(&expr, &mut |expr| session.constant(self.host, expr))?;
        let mut ctx = session.context(self.host, Arc::from([]), text.into());
        let value = eval(&expr, &[], &mut ctx)?;
        if !value.is_null() {
            let codec = Codec::of(column_type(column));
            let mut scratch = Scratch::default();
            let row = [value];
            column.missing = Some(scratch.encode(&row, &[codec])[0].to_owned());
        }
        Ok(true)
    }

    fn alter_column(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        column: &ColumnDescriptor,
        change: &ColumnChange,
    ) -> Result<bool> {
        let (oid, number) = (relation.oid, column.number);
        match change {
            ColumnChange::SetDefault(expr) => {
                let (text, on) = self.column_default(column, expr)?;
                with_tables(self.host, |access| access.cx.set_default(oid, number, Some(&text), &on))?;
            }
            ColumnChange::DropDefault => {
                with_tables(self.host, |access| access.cx.set_default(oid, number, None, &[]))?;
            }
            ColumnChange::SetNotNull => self.set_not_null(relation, column, None)?,
            ColumnChange::DropNotNull => self.drop_not_null(relation, column)?,
            ColumnChange::Type { ty, collation: None, using } => {
                return self.alter_type(relation, column, ty, using.as_ref());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn drop_not_null(&mut self, relation: &RelationDescriptor, column: &ColumnDescriptor) -> Result<()> {
        let in_key = relation
            .primary_key()
            .is_some_and(|index| index.keys.iter().any(|key| key.column == column.number));
        if in_key {
            let message = format!("column \"{}\" is in a primary key", column.name);
            return Err(Report::error(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        if column.identity.is_some() {
            let message =
                format!("column \"{}\" of relation \"{}\" is an identity column", column.name, relation.name);
            return Err(Report::error(SqlState::SYNTAX_ERROR, message));
        }
        let constraint = relation.constraints.iter().find(|constraint| {
            constraint.kind == ConstraintKind::NotNull && constraint.columns == [column.number]
        });
        with_tables(self.host, |access| {
            if let Some(constraint) = constraint {
                access.cx.drop_constraint(relation.oid, &constraint.name, behavior(false))?;
            }
            access.cx.set_not_null(relation.oid, column.number, false)
        })
    }

    /// Every row is written anew, with the column's values converted.
    fn alter_type(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        column: &ColumnDescriptor,
        ty: &crate::sql::parse::tree::TypeName,
        using: Option<&crate::sql::parse::tree::Expr>,
    ) -> Result<bool> {
        if using.is_some() || relation.kind != RelationKind::Table {
            return Ok(false);
        }
        self.refuse_views(relation, "a new type for a column of a table that a view reads")?;
        let (to, typmod) = {
            let environment = self.session.environment(self.host);
            crate::sql::analyze::relation::column_data_type(ty, self.source, &environment)?
        };
        let from = column_type(column);
        let allowed = crate::sql::analyze::coerce::cast_context(from, to)
            .is_some_and(|context| context <= crate::sql::analyze::coerce::Context::Assignment);
        if !allowed {
            let message = format!("column \"{}\" cannot be cast automatically to type {to}", column.name);
            return Err(Report::error(SqlState::DATATYPE_MISMATCH, message).with_hint(format!(
                "You might need to specify \"USING {}::{}\".",
                quote_ident(&column.name),
                crate::sql::analyze::deparse::format_type(to, typmod)
            )));
        }
        let names: Vec<String> = relation
            .columns
            .iter()
            .map(|other| match other.number {
                _ if other.is_dropped => "NULL".to_owned(),
                number if number == column.number => format!(
                    "{}::{}",
                    quote_ident(&other.name),
                    crate::sql::analyze::deparse::format_type(to, typmod)
                ),
                _ => quote_ident(&other.name),
            })
            .collect();
        let rows = self.session.run_internal(
            self.host,
            &format!("SELECT {} FROM ONLY {}", names.join(", "), full_name(relation)),
        )?;
        with_tables(self.host, |access| {
            let changed = ColumnDescriptor::new(&column.name, column.number, to.oid(), typmod);
            access.cx.set_column_type(
                relation.oid,
                column.number,
                (changed.type_oid, changed.typmod, changed.collation),
            )?;
            access.cx.clear_missing(relation.oid)?;
            access.cx.replace_files(relation.oid)?;
            access.open.forget();
            Ok(())
        })?;
        let now = self.again(relation.oid)?;
        for row in rows {
            let written = with_tables(self.host, |access| access.insert(&now, &row))?;
            if written.is_err() {
                let message = format!("rows of \"{}\" are duplicates with their new type", relation.name);
                return Err(Report::error(SqlState::new("23505"), message));
            }
        }
        Ok(true)
    }
}

/// A relation of nothing, to analyse a default by.
fn empty_relation() -> RelationDescriptor {
    use crate::catalog::descriptor::RelationPersistence;
    use crate::storage::ids::RelFile;
    RelationDescriptor {
        oid: 0,
        file: RelFile { tablespace: 0, database: 0, relation: 0 },
        namespace: 0,
        namespace_name: String::new(),
        name: String::new(),
        kind: RelationKind::Table,
        persistence: RelationPersistence::Permanent,
        owner: 0,
        acl: None,
        columns: Vec::new(),
        indexes: Vec::new(),
        constraints: Vec::new(),
        referenced_by: Vec::new(),
        options: Vec::new(),
        view: None,
        sequence: None,
        toast: None,
        row_type: 0,
        statistics: (-1.0, 0),
        is_system: false,
        is_fixed: false,
    }
}
