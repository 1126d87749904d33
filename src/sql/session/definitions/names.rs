//! Names in definitions: what they are of, and what is given a name that has none.

use std::sync::Arc;

use crate::catalog::descriptor::{RelationDescriptor, RelationPersistence};
use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::environment::search_path;
use crate::sql::functions::quote_ident;
use crate::sql::parse::tree::{Persistence, QualifiedName, Relation};
use crate::sql::tables::with_tables;
use crate::txn::locks::LockMode;

use super::Defining;

/// Longest name, in bytes.
const MAX_NAME: usize = 63;

/// `first_second_label`, the first two cut to fit.
fn made_name(first: &str, second: &str, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(!second.is_empty());
    let room = MAX_NAME.saturating_sub(overhead);
    let (mut a, mut b) = (first.len(), second.len());
    while a + b > room {
        if a > b { a -= 1 } else { b -= 1 }
    }
    let cut = |text: &str, mut to: usize| {
        while !text.is_char_boundary(to) {
            to -= 1;
        }
        text[..to].to_owned()
    };
    let parts = [cut(first, a), cut(second, b), label.to_owned()];
    parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("_")
}

pub(super) fn persistence_of(persistence: Persistence) -> RelationPersistence {
    match persistence {
        Persistence::Permanent => RelationPersistence::Permanent,
        Persistence::Unlogged => RelationPersistence::Unlogged,
        Persistence::Temporary => RelationPersistence::Temporary,
    }
}

impl Defining<'_> {
    /// Schema and name of something.
    pub(super) fn parts<'n>(&self, name: &'n QualifiedName) -> Result<(Option<&'n str>, &'n str)> {
        match name.parts.as_slice() {
            [name] => Ok((None, name)),
            [schema, name] | [_, schema, name] => Ok((Some(schema.as_str()), name)),
            _ => {
                let message = format!("improper qualified name (too many dotted names): {}", name.dotted());
                Err(self.error_at(name.at, SqlState::SYNTAX_ERROR, message))
            }
        }
    }

    /// A relation that must be there, locked.
    pub(super) fn relation(
        &mut self,
        name: &QualifiedName,
        mode: LockMode,
    ) -> Result<Arc<RelationDescriptor>> {
        match self.find_relation(name, mode)? {
            Some(relation) => Ok(relation),
            None => {
                let message = format!("relation \"{}\" does not exist", name.dotted());
                Err(self.error_at(name.at, SqlState::UNDEFINED_TABLE, message))
            }
        }
    }

    /// A relation that may be there, locked. Only its owner changes it, or builds upon it.
    pub(super) fn find_relation(
        &mut self,
        name: &QualifiedName,
        mode: LockMode,
    ) -> Result<Option<Arc<RelationDescriptor>>> {
        let (schema, last) = self.parts(name)?;
        let path = search_path(&*self.host)?;
        let (found, role) = with_tables(self.host, |access| {
            Ok((access.cx.open_relation(schema, last, &path, mode)?, access.cx.role))
        })?;
        if let Some(relation) = &found
            && !(self.host.facts().superuser || relation.is_system || relation.owner == role)
        {
            let message = format!("must be owner of {} {}", relation.kind.noun(), relation.name);
            return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message));
        }
        Ok(found)
    }

    /// A relation as it is now.
    pub(super) fn again(&mut self, oid: u32) -> Result<Arc<RelationDescriptor>> {
        let found = with_tables(self.host, |access| {
            access.cx.next_command();
            access.cx.relation_by_oid(oid)
        })?;
        found.ok_or_else(|| Report::error(SqlState::INTERNAL_ERROR, format!("relation {oid} is gone")))
    }

    /// A schema that must be there.
    pub(super) fn schema(&mut self, name: &str) -> Result<u32> {
        let found = with_tables(self.host, |access| access.cx.schema_oid(name))?;
        found.ok_or_else(|| {
            Report::error(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
        })
    }

    /// Where something new goes.
    pub(super) fn creation_schema(&mut self, name: &QualifiedName, persistence: Persistence) -> Result<u32> {
        let (schema, _) = self.parts(name)?;
        if persistence == Persistence::Temporary || schema == Some("pg_temp") {
            if schema.is_some_and(|schema| schema != "pg_temp") {
                let message = "cannot create temporary relation in non-temporary schema";
                return Err(self.error_at(name.at, SqlState::INVALID_TABLE_DEFINITION, message));
            }
            let number = self.host.facts().pid.unsigned_abs();
            return with_tables(self.host, |access| access.cx.make_temporary_schema(number));
        }
        if let Some(schema) = schema {
            let found = with_tables(self.host, |access| access.cx.schema_oid(schema))?;
            return found.ok_or_else(|| {
                let message = format!("schema \"{schema}\" does not exist");
                self.error_at(name.at, SqlState::INVALID_SCHEMA_NAME, message)
            });
        }
        let path = search_path(&*self.host)?;
        let places: Vec<String> =
            path.into_iter().filter(|name| name != "pg_temp" && name != "pg_catalog").collect();
        let found = with_tables(self.host, |access| {
            for place in &places {
                if let Some(oid) = access.cx.schema_oid(place)? {
                    return Ok(Some(oid));
                }
            }
            Ok(None)
        })?;
        found.ok_or_else(|| {
            let message = "no schema has been selected to create in";
            self.error_at(name.at, SqlState::INVALID_SCHEMA_NAME, message)
        })
    }

    /// Whether a relation of a name is in a schema already.
    pub(super) fn is_taken(&mut self, namespace: u32, name: &str) -> Result<bool> {
        with_tables(self.host, |access| Ok(access.cx.relation_oid(namespace, name)?.is_some()))
    }

    /// A name for what has none, that no relation of the schema and none of `others` has.
    pub(super) fn choose_name(
        &mut self,
        namespace: u32,
        (first, second, label): (&str, &str, &str),
        others: &[String],
    ) -> Result<String> {
        let mut number = 0;
        loop {
            let tail = if number == 0 { label.to_owned() } else { format!("{label}{number}") };
            let name = made_name(first, second, &tail);
            if !others.contains(&name) && !self.is_taken(namespace, &name)? {
                return Ok(name);
            }
            number += 1;
        }
    }

    /// A table with what a statement says of heirs: there are none yet.
    pub(super) fn table(&mut self, table: &Relation, mode: LockMode) -> Result<Arc<RelationDescriptor>> {
        self.relation(&table.name, mode)
    }

    pub(super) fn create_schema(
        &mut self,
        name: Option<&crate::sql::parse::tree::Name>,
        if_not_exists: bool,
    ) -> Result<bool> {
        let Some(name) = name else { return self.not_yet(None, "CREATE SCHEMA without a name") };
        if name.text.starts_with("pg_") {
            let message = format!("unacceptable schema name \"{}\"", name.text);
            return Err(crate::report::ReportExt::with_detail(
                Report::error(SqlState::RESERVED_NAME, message),
                "The prefix \"pg_\" is reserved for system schemas.",
            ));
        }
        if if_not_exists && with_tables(self.host, |access| access.cx.schema_oid(&name.text))?.is_some() {
            let message = format!("schema \"{}\" already exists, skipping", name.text);
            self.notice(SqlState::DUPLICATE_SCHEMA, message);
            return Ok(true);
        }
        with_tables(self.host, |access| access.cx.create_namespace(&name.text, access.cx.role))?;
        Ok(true)
    }
}

/// A relation's name with its schema, to be read again.
pub(super) fn full_name(relation: &RelationDescriptor) -> String {
    format!("{}.{}", quote_ident(&relation.namespace_name), quote_ident(&relation.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_names_fit() {
        assert_eq!(made_name("t", "a_b", "key"), "t_a_b_key");
        assert_eq!(made_name("t", "", "pkey"), "t_pkey");
        let long = made_name(&"x".repeat(60), &"y".repeat(40), "idx");
        assert_eq!(long.len(), 63);
        assert!(long.ends_with("y_idx"), "{long}");
    }
}
