//! Roles, in a file until there is a catalog: `global/tuskd_roles` in the data directory.
//!
//! Readers read the whole file; it is only ever replaced as a whole. Whoever changes it must see to it that nobody else
//! does so between its reading and its writing.

mod cache;
mod change;
mod format;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::report::{Report, Result, SqlState};

use super::databases::{DATABASES, Database};
use super::password::{self, PasswordSettings};
use super::random;
use super::scram::Key;

pub use cache::RolesCache;
pub use change::RoleOptions;

/// Where it lies in the data directory.
pub const PATH: &str = "global/tuskd_roles";
/// The role that initialised the cluster.
pub const BOOTSTRAP_OID: u32 = 10;
/// The first number for roles made by users.
const FIRST_NORMAL_OID: u32 = 16384;

/// PostgreSQL's predefined roles, which nobody logs in as.
const PREDEFINED: [(u32, &str); 16] = [
    (3373, "pg_monitor"),
    (3374, "pg_read_all_settings"),
    (3375, "pg_read_all_stats"),
    (3377, "pg_stat_scan_tables"),
    (4200, "pg_signal_backend"),
    (4544, "pg_checkpoint"),
    (4550, "pg_use_reserved_connections"),
    (4569, "pg_read_server_files"),
    (4570, "pg_write_server_files"),
    (4571, "pg_execute_server_program"),
    (6171, "pg_database_owner"),
    (6181, "pg_read_all_data"),
    (6182, "pg_write_all_data"),
    (6304, "pg_create_subscription"),
    (6337, "pg_maintain"),
    (6392, "pg_signal_autovacuum_worker"),
];
/// What `pg_monitor` is a member of.
const OF_MONITOR: [u32; 3] = [3374, 3375, 3377];

/// One role.
#[derive(Clone, PartialEq, Eq)]
pub struct Role {
    /// Its number, which never changes.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// May do everything.
    pub superuser: bool,
    /// Has the rights of the roles it is in without asking.
    pub inherit: bool,
    /// May make roles.
    pub create_role: bool,
    /// May make databases.
    pub create_db: bool,
    /// May have sessions.
    pub login: bool,
    /// May replicate.
    pub replication: bool,
    /// Sees rows that row security hides.
    pub bypass_rls: bool,
    /// Sessions at once; -1: any number.
    pub connection_limit: i32,
    /// When the password ends, in microseconds since the Unix epoch; `i64::MAX` is infinity.
    pub valid_until: Option<i64>,
    /// What is stored of the password.
    pub password: Option<String>,
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is stored of passwords is not for logs.
        f.debug_struct("Role").field("oid", &self.oid).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Role {
    /// A role with PostgreSQL's defaults.
    fn new(oid: u32, name: &str) -> Self {
        Self {
            oid,
            name: name.to_owned(),
            superuser: false,
            inherit: true,
            create_role: false,
            create_db: false,
            login: false,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            valid_until: None,
            password: None,
        }
    }
}

/// Where roles come from: the file now, the catalog later.
pub trait RoleSource {
    /// The role of a name.
    fn role(&self, name: &str) -> Option<Role>;
    /// Whether `member` is `group`, or in it directly or by way of others. Superusers are not in every one.
    fn is_member(&self, member: &str, group: &str) -> bool;
    /// What makes the stand-ins of missing passwords differ between clusters. It is secret.
    fn mock_nonce(&self) -> &Key;
}

/// The file's contents.
#[derive(Clone, PartialEq, Eq)]
pub struct RolesFile {
    mock_nonce: Key,
    next_oid: u32,
    roles: Vec<Role>,
    /// Group and member, by number.
    memberships: BTreeSet<(u32, u32)>,
    /// Here because whoever looks for a role to let in looks for its database next, and both are read at once.
    databases: Vec<Database>,
}

impl RolesFile {
    /// The roles of a new cluster: its owner, with a password or its stored form, and the predefined ones.
    pub fn new(owner: &str, password: Option<&str>) -> Result<Self> {
        if owner.starts_with("pg_") {
            return Err(Report::error(
                SqlState::RESERVED_NAME,
                format!("superuser name \"{owner}\" is disallowed; role names cannot begin with \"pg_\""),
            ));
        }
        let mock_nonce = random::bytes().map_err(|_| {
            Report::error(SqlState::INTERNAL_ERROR, "could not generate secret authorization token")
        })?;
        let password = password
            .filter(|password| !password.is_empty())
            .map(|password| password::encrypt(password, owner, &PasswordSettings::default()))
            .transpose()?;
        let owner = Role {
            superuser: true,
            create_role: true,
            create_db: true,
            login: true,
            replication: true,
            bypass_rls: true,
            password,
            ..Role::new(BOOTSTRAP_OID, owner)
        };
        let predefined = PREDEFINED.iter().map(|(oid, name)| Role::new(*oid, name));
        Ok(Self {
            mock_nonce,
            next_oid: FIRST_NORMAL_OID,
            roles: std::iter::once(owner).chain(predefined).collect(),
            memberships: OF_MONITOR.into_iter().map(|group| (group, 3373)).collect(),
            databases: DATABASES.to_vec(),
        })
    }

    /// These roles, memberships and databases, with this file's secrets.
    #[must_use]
    pub fn with(
        &self,
        mut roles: Vec<Role>,
        memberships: impl Iterator<Item = (u32, u32)>,
        mut databases: Vec<Database>,
    ) -> Self {
        databases.sort_by_key(|database| database.oid);
        roles.sort_by_key(|role| role.oid);
        let highest = roles.last().map_or(0, |role| role.oid.saturating_add(1));
        let next_oid = self.next_oid.max(highest);
        Self { mock_nonce: self.mock_nonce, next_oid, roles, memberships: memberships.collect(), databases }
    }

    /// The number of the next new role, which none has.
    pub fn set_next_oid(&mut self, oid: u32) {
        self.next_oid = oid;
    }

    /// Reads the file of a data directory.
    pub fn read(data_directory: &Path) -> Result<Self> {
        format::read(&data_directory.join(PATH))
    }

    /// Replaces the file of a data directory, whose folder `global` must be there. Whoever reads it sees the old or the
    /// new one, also after a crash; on return it is the new one.
    pub fn write(&self, data_directory: &Path) -> Result<()> {
        format::write(self, &data_directory.join(PATH))
    }

    /// Every database, by number.
    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// Every role, by number.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The role of a number.
    pub fn by_oid(&self, oid: u32) -> Option<&Role> {
        self.roles.iter().find(|role| role.oid == oid)
    }

    /// The role of a name.
    pub fn by_name(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// Who is in whom: group and member, by number.
    pub fn memberships(&self) -> impl Iterator<Item = (u32, u32)> {
        self.memberships.iter().copied()
    }

    /// Whether `member` has the rights of `group` without asking: as a superuser, or by memberships that it inherits.
    pub fn has_privileges_of(&self, member: &Role, group: &str) -> bool {
        let Some(group) = self.by_name(group) else { return false };
        let inherits = |oid: u32| self.by_oid(oid).is_some_and(|role| role.inherit);
        member.superuser || self.reaches(member.oid, group.oid, inherits)
    }

    fn is_member_by_oid(&self, member: u32, group: u32) -> bool {
        self.reaches(member, group, |_| true)
    }

    /// Whether memberships lead from one role to another by way of roles that `passes_on` lets through.
    fn reaches(&self, member: u32, group: u32, passes_on: impl Fn(u32) -> bool) -> bool {
        let mut known = BTreeSet::from([member]);
        let mut waiting = vec![member];
        while let Some(role) = waiting.pop() {
            if role == group {
                return true;
            }
            if !passes_on(role) {
                continue;
            }
            let groups = self.memberships.iter().filter(|(_, member)| *member == role);
            waiting.extend(groups.map(|(group, _)| *group).filter(|group| known.insert(*group)));
        }
        false
    }
}

impl RoleSource for RolesFile {
    fn role(&self, name: &str) -> Option<Role> {
        self.by_name(name).cloned()
    }

    fn is_member(&self, member: &str, group: &str) -> bool {
        match (self.by_name(member), self.by_name(group)) {
            (Some(member), Some(group)) => self.is_member_by_oid(member.oid, group.oid),
            _ => false,
        }
    }

    fn mock_nonce(&self) -> &Key {
        &self.mock_nonce
    }
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
