//! What analysis knows of the session around a statement: settings, and through its host, relations.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use crate::catalog::descriptor::RelationDescriptor;
use crate::report::{Report, Result, SqlState};
use crate::sql::host::Host;
use crate::sql::tables::{Access, with_tables};
use crate::sql::types::Formats;
use crate::txn::locks::LockMode;

/// A relation that a statement uses, and how it is locked for that.
pub type UsedRelation = (Arc<RelationDescriptor>, LockMode);

/// See the module.
pub trait Environment {
    /// How literals are read.
    fn formats(&self) -> &Formats;

    /// The transaction's start, for `'now'`.
    fn now(&self) -> i64;

    /// A relation by its name, locked; `None`: there is none.
    fn relation(
        &self,
        schema: Option<&str>,
        name: &str,
        mode: LockMode,
    ) -> Result<Option<Arc<RelationDescriptor>>>;

    /// The OID of a relation.
    fn relation_oid(&self, schema: Option<&str>, name: &str) -> Result<Option<u32>>;

    /// The sequence that a column's values come from.
    fn column_sequence(&self, relation: u32, number: i16) -> Result<Option<u32>>;

    /// A relation that is used already is locked in another way, too.
    fn note_lock(&self, relation: &Arc<RelationDescriptor>, mode: LockMode) -> Result<()>;

    /// What was used of relations since this was asked last.
    fn take_used(&self) -> Vec<UsedRelation>;
}

/// What a session's host says.
pub struct SessionEnvironment<'h> {
    formats: Arc<Formats>,
    now: i64,
    host: RefCell<&'h mut dyn Host>,
    path: OnceCell<Vec<String>>,
    used: RefCell<Vec<UsedRelation>>,
}

impl<'h> SessionEnvironment<'h> {
    /// Of a session.
    pub fn new(host: &'h mut dyn Host, formats: Arc<Formats>, now: i64) -> Self {
        Self { formats, now, host: RefCell::new(host), path: OnceCell::new(), used: RefCell::default() }
    }

    /// Schemas in which names without one are looked for, those that nobody names included.
    fn path(&self) -> Result<&[String]> {
        if let Some(path) = self.path.get() {
            return Ok(path);
        }
        let path = search_path(&**self.host.borrow())?;
        Ok(self.path.get_or_init(|| path))
    }

    /// Asks the store.
    fn with_tables<R>(&self, work: impl FnOnce(&mut Access<'_, '_, '_>) -> Result<R>) -> Result<R> {
        with_tables(&mut **self.host.borrow_mut(), work)
    }
}

impl Environment for SessionEnvironment<'_> {
    fn formats(&self) -> &Formats {
        &self.formats
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn relation(
        &self,
        schema: Option<&str>,
        name: &str,
        mode: LockMode,
    ) -> Result<Option<Arc<RelationDescriptor>>> {
        if !self.host.borrow().has_tables() {
            return Ok(None);
        }
        let path = self.path()?;
        let (found, role) = self
            .with_tables(|access| Ok((access.cx.open_relation(schema, name, path, mode)?, access.cx.role)))?;
        if let Some(relation) = &found {
            if !self.host.borrow().facts().superuser && !may_use(relation, role) {
                let message = format!("permission denied for {} {}", relation.kind.noun(), relation.name);
                return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message));
            }
            self.used.borrow_mut().push((relation.clone(), mode));
        }
        Ok(found)
    }

    fn relation_oid(&self, schema: Option<&str>, name: &str) -> Result<Option<u32>> {
        if !self.host.borrow().has_tables() {
            return Ok(None);
        }
        let path = self.path()?;
        self.with_tables(|access| access.cx.oid_by_name(schema, name, path))
    }

    fn column_sequence(&self, relation: u32, number: i16) -> Result<Option<u32>> {
        self.with_tables(|access| access.cx.sequence_of_column(relation, number))
    }

    fn note_lock(&self, relation: &Arc<RelationDescriptor>, mode: LockMode) -> Result<()> {
        self.with_tables(|access| access.cx.lock_relation(relation.oid, mode))?;
        self.used.borrow_mut().push((relation.clone(), mode));
        Ok(())
    }

    fn take_used(&self) -> Vec<UsedRelation> {
        std::mem::take(&mut self.used.borrow_mut())
    }
}

/// Whether a role that is no superuser may read a relation, or write to it where anybody may. As long as there is no `GRANT` of
/// tables, its owner may, and everybody may read the system's, but for those that have secrets.
fn may_use(relation: &RelationDescriptor, role: u32) -> bool {
    const SECRET: [&str; 5] =
        ["pg_authid", "pg_statistic", "pg_statistic_ext_data", "pg_subscription", "pg_user_mapping"];
    relation.owner == role || relation.is_system && !SECRET.contains(&relation.name.as_str())
}

/// `search_path` with what stands before it unsaid: the session's own tables, then the system's.
pub fn search_path(host: &dyn Host) -> Result<Vec<String>> {
    let setting = host.show("search_path")?.unwrap_or_default();
    let mut path: Vec<String> = split_names(&setting)
        .into_iter()
        .map(|name| if name == "$user" { host.facts().user.clone() } else { name })
        .collect();
    for first in ["pg_catalog", "pg_temp"] {
        if !path.iter().any(|name| name == first) {
            path.insert(0, first.to_owned());
        }
    }
    Ok(path)
}

/// Names with commas between them, in quotes or in any case.
pub fn split_names(list: &str) -> Vec<String> {
    let (mut names, mut rest) = (Vec::new(), list.trim());
    while !rest.is_empty() {
        let mut name = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut chars = quoted.char_indices().peekable();
            let mut end = quoted.len();
            while let Some((at, c)) = chars.next() {
                if c == '"' && chars.next_if(|(_, next)| *next == '"').is_none() {
                    end = at + 1;
                    break;
                }
                name.push(c);
            }
            rest = quoted.get(end..).unwrap_or("");
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            name = rest[..end].trim().to_lowercase();
            rest = &rest[end..];
        }
        if !name.is_empty() {
            names.push(name);
        }
        rest = rest.trim_start().trim_start_matches(',').trim_start();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_split_as_postgresql_splits_them() {
        for (list, names) in [
            ("\"$user\", public", vec!["$user", "public"]),
            ("Public,x", vec!["public", "x"]),
            ("\"a \"\"b\"", vec!["a \"b"]),
            ("\"\"", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(split_names(list), names, "{list}");
        }
    }
}
