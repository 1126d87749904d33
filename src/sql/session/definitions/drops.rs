//! `DROP`, `TRUNCATE`, `LOCK`.

use std::sync::Arc;

use crate::catalog::descriptor::{RelationDescriptor, RelationKind};
use crate::catalog::requests::{DropBehavior, ObjectAddress};
use crate::catalog::schema::PG_NAMESPACE;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::parse::tree::{QualifiedName, Relation};
use crate::sql::parse::tree_ddl::Drop;
use crate::sql::tables::with_tables;
use crate::txn::locks::LockMode;

use super::Defining;

pub(super) fn behavior(cascade: bool) -> DropBehavior {
    if cascade { DropBehavior::Cascade } else { DropBehavior::Restrict }
}

impl Defining<'_> {
    /// `DROP`.
    pub(super) fn drop(&mut self, drop: &Drop) -> Result<bool> {
        if drop.concurrently {
            return self.not_yet(None, "DROP INDEX CONCURRENTLY");
        }
        let kind = match drop.object.0 {
            "TABLE" => Some(RelationKind::Table),
            "VIEW" => Some(RelationKind::View),
            "SEQUENCE" => Some(RelationKind::Sequence),
            "INDEX" => Some(RelationKind::Index),
            "SCHEMA" => None,
            _ => return Ok(false),
        };
        let mut objects = Vec::new();
        for name in &drop.names {
            let found = match kind {
                Some(kind) => self.dropped_relation(name, kind, drop.if_exists)?,
                None => self.dropped_schema(name, drop.if_exists)?,
            };
            objects.extend(found);
        }
        let notices =
            with_tables(self.host, |access| access.cx.drop_objects(&objects, behavior(drop.cascade)))?;
        notices.into_iter().for_each(|notice| self.host.notice(notice));
        Ok(true)
    }

    fn dropped_schema(&mut self, name: &QualifiedName, if_exists: bool) -> Result<Option<ObjectAddress>> {
        let found = with_tables(self.host, |access| access.cx.schema_oid(name.last()))?;
        if found.is_some() && !self.host.facts().superuser {
            // Its owner may, by rights; who that is is not looked up yet.
            let message = format!("must be owner of schema {}", name.last());
            return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message));
        }
        match found {
            Some(oid) => Ok(Some(ObjectAddress::of(PG_NAMESPACE, oid))),
            None if if_exists => {
                let message = format!("schema \"{}\" does not exist, skipping", name.last());
                self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
                Ok(None)
            }
            None => self.schema(name.last()).map(|_| None),
        }
    }

    fn dropped_relation(
        &mut self,
        name: &QualifiedName,
        kind: RelationKind,
        if_exists: bool,
    ) -> Result<Option<ObjectAddress>> {
        let noun = kind.noun();
        let Some(relation) = self.find_relation(name, LockMode::AccessExclusive)? else {
            let message = format!("{noun} \"{}\" does not exist", name.dotted());
            if if_exists {
                self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
                return Ok(None);
            }
            let state = if kind == RelationKind::Index {
                SqlState::UNDEFINED_OBJECT
            } else {
                SqlState::UNDEFINED_TABLE
            };
            return Err(Report::error(state, message));
        };
        if relation.kind != kind {
            let article = if kind == RelationKind::Index { "an" } else { "a" };
            let message = format!("\"{}\" is not {article} {noun}", relation.name);
            let real = relation.kind.noun();
            let real_article = if relation.kind == RelationKind::Index { "an" } else { "a" };
            return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message)
                .with_hint(format!("Use DROP {} to remove {real_article} {real}.", real.to_uppercase())));
        }
        self.refuse_system(&relation)?;
        Ok(Some(ObjectAddress::relation(relation.oid)))
    }

    pub(super) fn refuse_system(&self, relation: &RelationDescriptor) -> Result<()> {
        if !relation.is_system {
            return Ok(());
        }
        let message = format!("permission denied: \"{}\" is a system catalog", relation.name);
        Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message))
    }

    /// `TRUNCATE`.
    pub(super) fn truncate(&mut self, tables: &[Relation], restart: bool, cascade: bool) -> Result<bool> {
        let mut relations: Vec<Arc<RelationDescriptor>> = Vec::new();
        for table in tables {
            let relation = self.table(table, LockMode::AccessExclusive)?;
            if relation.kind != RelationKind::Table {
                let message = format!("\"{}\" is not a table", relation.name);
                return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message));
            }
            self.refuse_system(&relation)?;
            if !relations.iter().any(|other| other.oid == relation.oid) {
                relations.push(relation);
            }
        }
        self.referencing_tables(&mut relations, cascade)?;
        for relation in &relations {
            with_tables(self.host, |access| {
                access.cx.replace_files(relation.oid)?;
                access.open.forget();
                Ok(())
            })?;
            if restart {
                self.restart_sequences(relation)?;
            }
        }
        Ok(true)
    }

    /// Tables whose rows reference those that go.
    fn referencing_tables(
        &mut self,
        relations: &mut Vec<Arc<RelationDescriptor>>,
        cascade: bool,
    ) -> Result<()> {
        let mut at = 0;
        while at < relations.len() {
            let relation = relations[at].clone();
            at += 1;
            for constraint in &relation.referenced_by {
                if relations.iter().any(|other| other.oid == constraint.relation) {
                    continue;
                }
                let other = with_tables(self.host, |access| {
                    access.cx.lock_relation(constraint.relation, LockMode::AccessExclusive)?;
                    access.cx.relation_by_oid(constraint.relation)
                })?;
                let Some(other) = other else { continue };
                if !cascade {
                    let message = "cannot truncate a table referenced in a foreign key constraint";
                    return Err(Report::error(SqlState::FEATURE_NOT_SUPPORTED, message)
                        .with_detail(format!("Table \"{}\" references \"{}\".", other.name, relation.name))
                        .with_hint(format!(
                            "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                            other.name
                        )));
                }
                let message = format!("truncate cascades to table \"{}\"", other.name);
                self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
                relations.push(other);
            }
        }
        Ok(())
    }

    fn restart_sequences(&mut self, relation: &RelationDescriptor) -> Result<()> {
        for column in relation.live_columns() {
            with_tables(self.host, |access| {
                let Some(sequence) = access.cx.sequence_of_column(relation.oid, column.number)? else {
                    return Ok(());
                };
                let found = access.cx.relation_by_oid(sequence)?;
                if let Some(parameters) = found.and_then(|sequence| sequence.sequence) {
                    access.cx.alter_sequence(sequence, &parameters, Some(parameters.start))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// `LOCK TABLE`.
    pub(super) fn lock(&mut self, tables: &[Relation], mode: &str) -> Result<bool> {
        self.session.transaction.require_block("LOCK TABLE")?;
        let mode = match mode.to_ascii_uppercase().as_str() {
            "ACCESS SHARE" => LockMode::AccessShare,
            "ROW SHARE" => LockMode::RowShare,
            "ROW EXCLUSIVE" => LockMode::RowExclusive,
            "SHARE UPDATE EXCLUSIVE" => LockMode::ShareUpdateExclusive,
            "SHARE" => LockMode::Share,
            "SHARE ROW EXCLUSIVE" => LockMode::ShareRowExclusive,
            "EXCLUSIVE" => LockMode::Exclusive,
            "ACCESS EXCLUSIVE" => LockMode::AccessExclusive,
            _ => return Ok(false),
        };
        for table in tables {
            self.table(table, mode)?;
        }
        Ok(true)
    }
}
