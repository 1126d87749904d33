//! Constraints: named, checked against what is there, and written down.

use std::sync::Arc;

use crate::catalog::descriptor::{
    ColumnDescriptor, ConstraintKind as Kind, ForeignAction, ForeignKeyDescriptor, RelationDescriptor,
};
use crate::catalog::requests::NewConstraint;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::execute::constraints::key_text;
use crate::sql::functions::quote_ident;
use crate::sql::parse::tree::Name;
use crate::sql::parse::tree_ddl::{
    Constraint, ConstraintAttribute, ConstraintKind, ForeignKey, ReferentialAction, UniqueKey,
};
use crate::sql::tables::with_tables;
use crate::sql::types::Type;
use crate::txn::locks::LockMode;

use super::Defining;
use super::columns::names_of;
use super::index::KeyIndex;
use super::names::full_name;

fn action_of(action: Option<&(ReferentialAction, Vec<Name>)>) -> ForeignAction {
    match action.map(|(action, _)| *action) {
        None | Some(ReferentialAction::NoAction) => ForeignAction::NoAction,
        Some(ReferentialAction::Restrict) => ForeignAction::Restrict,
        Some(ReferentialAction::Cascade) => ForeignAction::Cascade,
        Some(ReferentialAction::SetNull) => ForeignAction::SetNull,
        Some(ReferentialAction::SetDefault) => ForeignAction::SetDefault,
    }
}

fn plain<'n>(relation: u32, name: &'n str, kind: Kind, columns: &'n [i16]) -> NewConstraint<'n> {
    NewConstraint {
        relation,
        name,
        kind,
        columns,
        index: 0,
        foreign: None,
        expression: None,
        is_deferrable: false,
        is_deferred: false,
        is_validated: true,
        no_inherit: false,
    }
}

impl Defining<'_> {
    /// A constraint's name: its own, or one made of the table's, the columns' and a label.
    fn constraint_name(
        &mut self,
        relation: &RelationDescriptor,
        given: Option<&Name>,
        columns: &[i16],
        label: &str,
    ) -> Result<String> {
        if let Some(name) = given {
            return Ok(name.text.clone());
        }
        let of = |number: &i16| relation.columns.get((*number - 1) as usize);
        let second: Vec<&str> = columns.iter().filter_map(of).map(|column| column.name.as_str()).collect();
        let taken: Vec<String> =
            relation.constraints.iter().map(|constraint| constraint.name.clone()).collect();
        self.choose_name(relation.namespace, (&relation.name, &second.join("_"), label), &taken)
    }

    /// The row that says that a column is not null.
    pub(super) fn not_null_constraint(
        &mut self,
        relation: u32,
        column: &ColumnDescriptor,
        name: Option<&str>,
    ) -> Result<()> {
        let descriptor = self.again(relation)?;
        let columns = [column.number];
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.constraint_name(&descriptor, None, &columns, "not_null")?,
        };
        with_tables(self.host, |access| {
            access.cx.create_constraint(&plain(relation, &name, Kind::NotNull, &columns))
        })?;
        Ok(())
    }

    /// Adds constraints, foreign keys last. `is_new`: the table has no rows yet.
    pub(super) fn add_constraints(
        &mut self,
        relation: u32,
        constraints: Vec<(Option<i16>, &Constraint)>,
        is_new: bool,
    ) -> Result<()> {
        let is_foreign = |constraint: &Constraint| matches!(constraint.kind, ConstraintKind::ForeignKey(_));
        let (foreign, others): (Vec<_>, Vec<_>) =
            constraints.into_iter().partition(|(_, constraint)| is_foreign(constraint));
        for (column, constraint) in others.into_iter().chain(foreign) {
            self.add_constraint(relation, column, constraint, is_new)?;
        }
        Ok(())
    }

    fn add_constraint(
        &mut self,
        relation: u32,
        column: Option<i16>,
        constraint: &Constraint,
        is_new: bool,
    ) -> Result<()> {
        let mut is_validated = true;
        for attribute in &constraint.attributes {
            match attribute {
                ConstraintAttribute::Deferrable(false)
                | ConstraintAttribute::Deferred(false)
                | ConstraintAttribute::Enforced(true) => {}
                ConstraintAttribute::NotValid => is_validated = false,
                ConstraintAttribute::Deferrable(true)
                | ConstraintAttribute::Deferred(true)
                | ConstraintAttribute::Enforced(false)
                | ConstraintAttribute::NoInherit => {
                    return self.not_yet(Some(constraint.at), "this attribute of a constraint");
                }
            }
        }
        let relation = self.again(relation)?;
        match &constraint.kind {
            ConstraintKind::PrimaryKey(key) => self.add_key(&relation, column, constraint, key, true, is_new),
            ConstraintKind::Unique(key) => self.add_key(&relation, column, constraint, key, false, is_new),
            ConstraintKind::Check(expr) => {
                let defined = self.defined(expr, Some((&relation.name, &relation.columns)), None, "CHECK")?;
                let columns: Vec<i16> = defined.columns.iter().map(|column| *column as i16 + 1).collect();
                let part = if columns.len() == 1 { columns.as_slice() } else { &[] };
                let name = self.constraint_name(&relation, constraint.name.as_ref(), part, "check")?;
                if !is_new && is_validated {
                    self.check_rows(&relation, &name, &defined.text)?;
                }
                with_tables(self.host, |access| {
                    access.cx.create_constraint(&NewConstraint {
                        expression: Some(&defined.text),
                        is_validated,
                        ..plain(relation.oid, &name, Kind::Check, &columns)
                    })
                })?;
                Ok(())
            }
            ConstraintKind::ForeignKey(key) => self.add_foreign_key(
                &relation,
                column,
                constraint,
                key,
                is_new || !is_validated,
                is_validated,
            ),
            ConstraintKind::NotNull(Some(name)) => {
                let numbers = self.numbers(&relation.columns, std::slice::from_ref(name))?;
                let column = &relation.columns[(numbers[0] - 1) as usize];
                if is_new {
                    return Ok(());
                }
                self.set_not_null(&relation, column, constraint.name.as_ref().map(|name| name.text.as_str()))
            }
            _ => self.not_yet(Some(constraint.at), "this constraint"),
        }
    }

    /// `SET NOT NULL`.
    pub(super) fn set_not_null(
        &mut self,
        relation: &RelationDescriptor,
        column: &ColumnDescriptor,
        name: Option<&str>,
    ) -> Result<()> {
        if column.not_null {
            return Ok(());
        }
        let query = format!(
            "SELECT 1 FROM ONLY {} WHERE {} IS NULL LIMIT 1",
            full_name(relation),
            quote_ident(&column.name)
        );
        if !self.session.run_internal(self.host, &query)?.is_empty() {
            let message =
                format!("column \"{}\" of relation \"{}\" contains null values", column.name, relation.name);
            return Err(Report::error(SqlState::new("23502"), message));
        }
        with_tables(self.host, |access| access.cx.set_not_null(relation.oid, column.number, true))?;
        self.not_null_constraint(relation.oid, column, name)
    }

    fn check_rows(&mut self, relation: &RelationDescriptor, name: &str, text: &str) -> Result<()> {
        let query = format!("SELECT 1 FROM ONLY {} WHERE NOT ({text}) LIMIT 1", full_name(relation));
        if self.session.run_internal(self.host, &query)?.is_empty() {
            return Ok(());
        }
        let message =
            format!("check constraint \"{name}\" of relation \"{}\" is violated by some row", relation.name);
        Err(Report::error(SqlState::new("23514"), message))
    }

    fn add_key(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        column: Option<i16>,
        constraint: &Constraint,
        key: &UniqueKey,
        is_primary: bool,
        is_new: bool,
    ) -> Result<()> {
        if let Some(index) = &key.using_index {
            return self.not_yet(Some(index.at), "a constraint of an index that is there");
        }
        if key.without_overlaps {
            return self.not_yet(Some(constraint.at), "WITHOUT OVERLAPS");
        }
        if is_primary && relation.primary_key().is_some() {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", relation.name);
            return Err(self.error_at(constraint.at, SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let columns = match column {
            Some(number) => vec![number],
            None => self.numbers(&relation.columns, &key.columns)?,
        };
        if is_primary && !is_new {
            for number in &columns {
                self.set_not_null(relation, &relation.columns[(*number - 1) as usize], None)?;
            }
        }
        let (label, part) = if is_primary { ("pkey", [].as_slice()) } else { ("key", columns.as_slice()) };
        let name = self.constraint_name(relation, constraint.name.as_ref(), part, label)?;
        let index = self.key_index(&KeyIndex {
            relation,
            name: &name,
            columns: &columns,
            is_primary,
            nulls_not_distinct: key.nulls_not_distinct,
            storage: &key.index,
        })?;
        let kind = if is_primary { Kind::PrimaryKey } else { Kind::Unique };
        with_tables(self.host, |access| {
            access
                .cx
                .create_constraint(&NewConstraint { index, ..plain(relation.oid, &name, kind, &columns) })
        })?;
        Ok(())
    }

    fn add_foreign_key(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        column: Option<i16>,
        constraint: &Constraint,
        key: &ForeignKey,
        skips_check: bool,
        is_validated: bool,
    ) -> Result<()> {
        if key.period || key.matching == Some("PARTIAL") {
            return self.not_yet(Some(constraint.at), "PERIOD or MATCH PARTIAL");
        }
        let columns = match column {
            Some(number) => vec![number],
            None => self.numbers(&relation.columns, &key.columns)?,
        };
        let other = self.relation(&key.table, LockMode::ShareRowExclusive)?;
        let (referenced, index) = self.referenced_key(&other, key)?;
        if referenced.len() != columns.len() {
            let message = "number of referencing and referenced columns for foreign key disagree";
            return Err(Report::error(SqlState::new("42830"), message));
        }
        let name = self.constraint_name(relation, constraint.name.as_ref(), &columns, "fkey")?;
        self.check_key_types(&name, (relation, &columns), (&other, &referenced))?;
        let set = match &key.on_delete {
            Some((_, names)) => self.numbers(&relation.columns, names)?,
            None => Vec::new(),
        };
        let foreign = ForeignKeyDescriptor {
            relation: other.oid,
            columns: referenced.clone(),
            on_delete: action_of(key.on_delete.as_ref()),
            on_update: action_of(key.on_update.as_ref()),
            delete_set_columns: set,
            match_full: key.matching == Some("FULL"),
        };
        if matches!(foreign.on_delete, ForeignAction::SetDefault)
            || foreign.on_update == ForeignAction::SetDefault
        {
            return self.not_yet(Some(constraint.at), "the foreign key action SET DEFAULT");
        }
        if !skips_check {
            self.check_references(&name, (relation, &columns), (&other, &referenced))?;
        }
        with_tables(self.host, |access| {
            access.cx.create_constraint(&NewConstraint {
                index,
                foreign: Some(foreign),
                is_validated,
                ..plain(relation.oid, &name, Kind::ForeignKey, &columns)
            })
        })?;
        Ok(())
    }

    /// The key that is referenced, and its index.
    fn referenced_key(&self, other: &RelationDescriptor, key: &ForeignKey) -> Result<(Vec<i16>, u32)> {
        if key.referenced.is_empty() {
            let Some(index) = other.primary_key() else {
                let message = format!("there is no primary key for referenced table \"{}\"", other.name);
                return Err(Report::error(SqlState::UNDEFINED_OBJECT, message));
            };
            return Ok((index.keys.iter().map(|key| key.column).collect(), index.oid));
        }
        let columns = self.numbers(&other.columns, &key.referenced).map_err(|mut report| {
            report.message = report.message.replace("named in key", "referenced in foreign key constraint");
            report
        })?;
        let mut sorted = columns.clone();
        sorted.sort_unstable();
        let fits = |index: &&crate::catalog::descriptor::IndexDescriptor| {
            let mut keys: Vec<i16> = index.keys.iter().map(|key| key.column).collect();
            keys.sort_unstable();
            index.is_unique && index.predicate.is_none() && keys == sorted
        };
        match other.indexes.iter().find(fits) {
            Some(index) => Ok((columns, index.oid)),
            None => {
                let message = format!(
                    "there is no unique constraint matching given keys for referenced table \"{}\"",
                    other.name
                );
                Err(Report::error(SqlState::new("42830"), message))
            }
        }
    }

    fn check_key_types(
        &self,
        name: &str,
        (relation, columns): (&RelationDescriptor, &[i16]),
        (other, referenced): (&RelationDescriptor, &[i16]),
    ) -> Result<()> {
        for (a, b) in columns.iter().zip(referenced) {
            let (a, b) = (&relation.columns[(*a - 1) as usize], &other.columns[(*b - 1) as usize]);
            let types = [a, b].map(|column| Type::from_oid(column.type_oid).unwrap_or(Type::UNKNOWN));
            let is_integer = |ty: Type| matches!(ty, Type::INT2 | Type::INT4 | Type::INT8);
            let is_text = |ty: Type| matches!(ty, Type::TEXT | Type::VARCHAR);
            let fits = types[0] == types[1]
                || types.iter().all(|ty| is_integer(*ty))
                || types.iter().all(|ty| is_text(*ty));
            if !fits {
                let message = format!("foreign key constraint \"{name}\" cannot be implemented");
                return Err(Report::error(SqlState::DATATYPE_MISMATCH, message).with_detail(format!(
                    "Key columns \"{}\" of the referencing table and \"{}\" of the referenced table are of \
                     incompatible types: {} and {}.",
                    a.name, b.name, types[0], types[1]
                )));
            }
        }
        Ok(())
    }

    /// Rows that reference nothing.
    fn check_references(
        &mut self,
        name: &str,
        (relation, columns): (&RelationDescriptor, &[i16]),
        (other, referenced): (&RelationDescriptor, &[i16]),
    ) -> Result<()> {
        let column =
            |of: &RelationDescriptor, number: i16| quote_ident(&of.columns[(number - 1) as usize].name);
        let joined: Vec<String> = columns
            .iter()
            .zip(referenced)
            .map(|(a, b)| format!("fk.{} = pk.{}", column(relation, *a), column(other, *b)))
            .collect();
        let there: Vec<String> =
            columns.iter().map(|number| format!("fk.{} IS NOT NULL", column(relation, *number))).collect();
        let shown: Vec<String> =
            columns.iter().map(|number| format!("fk.{}", column(relation, *number))).collect();
        let query = format!(
            "SELECT {} FROM ONLY {} fk LEFT JOIN ONLY {} pk ON ({}) WHERE pk.{} IS NULL AND {} LIMIT 1",
            shown.join(", "),
            full_name(relation),
            full_name(other),
            joined.join(" AND "),
            column(other, referenced[0]),
            there.join(" AND ")
        );
        let rows = self.session.run_internal(self.host, &query)?;
        let Some(row) = rows.first() else { return Ok(()) };
        let message = format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{name}\"",
            relation.name
        );
        let key = key_text(relation, columns, row, &self.session.formats);
        debug_assert!(!names_of(relation, columns).is_empty(), "a key has columns");
        Err(Report::error(SqlState::new("23503"), message)
            .with_detail(format!("{key} is not present in table \"{}\".", other.name)))
    }
}
