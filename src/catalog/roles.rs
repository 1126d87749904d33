//! Roles and their memberships: rows of `pg_authid` and `pg_auth_members`, of which a file in `global` has a copy, and of
//! `pg_database` too.
//!
//! Who authenticates a client reads the file, which needs no store. So who changes a role or a database takes `pg_authid` for
//! itself until its transaction ends, and writes the file when that has committed, before it gives the lock back. A start writes it anew,
//! since a crash may have come in between. What a change may be, and what is said of it, is [`RolesFile`]'s.

use std::path::Path;

use super::bootstrap::TEMPLATE1;
use super::cache::Catalog;
use super::cx::{Cx, NoWait};
use super::load::BOOTSTRAP_ROLE;
use super::requests::ObjectAddress;
use super::schema::*;
use super::types::TypeSupport;
use crate::access::relation_files::TransactionFiles;
use crate::access::{Store, StoreSession};
use crate::auth::databases::Database;
use crate::auth::roles::{Role, RolesFile};
use crate::report::{Report, ReportExt, Result, Severity, SqlState};
use crate::txn::locks::LockMode;
use crate::txn::serializable::Granularity;
use crate::txn::session::Isolation;

/// Microseconds from 1970 to 2000.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

fn role(row: PgAuthid) -> Role {
    Role {
        oid: row.oid,
        name: row.rolname,
        superuser: row.rolsuper,
        inherit: row.rolinherit,
        create_role: row.rolcreaterole,
        create_db: row.rolcreatedb,
        login: row.rolcanlogin,
        replication: row.rolreplication,
        bypass_rls: row.rolbypassrls,
        connection_limit: row.rolconnlimit,
        // Infinity stays what it is.
        valid_until: row.rolvaliduntil.map(|at| at.saturating_add(EPOCH_2000_US)),
        password: row.rolpassword,
    }
}

fn database(row: PgDatabase) -> Database {
    Database {
        oid: row.oid,
        name: row.datname.into(),
        is_template: row.datistemplate,
        allows_connections: row.datallowconn,
        connection_limit: row.datconnlimit,
    }
}

pub(super) fn role_row(role: &Role) -> PgAuthid {
    let valid_until = |at: i64| if at == i64::MAX { at } else { at.saturating_sub(EPOCH_2000_US) };
    PgAuthid {
        oid: role.oid,
        rolname: role.name.clone(),
        rolsuper: role.superuser,
        rolinherit: role.inherit,
        rolcreaterole: role.create_role,
        rolcreatedb: role.create_db,
        rolcanlogin: role.login,
        rolreplication: role.replication,
        rolbypassrls: role.bypass_rls,
        rolconnlimit: role.connection_limit,
        rolpassword: role.password.clone(),
        rolvaliduntil: role.valid_until.map(valid_until),
    }
}

impl Cx<'_, '_, '_> {
    /// All roles and databases as they are now, with the secrets of the file that `data_directory` has.
    ///
    /// # Errors
    /// What reading rows and the file may end with.
    pub fn roles(&mut self) -> Result<RolesFile> {
        let file = RolesFile::read(self.session.store.engine.data_directory())?;
        let roles = self.all_rows::<PgAuthid>()?.into_iter().map(|(_, row)| role(row)).collect();
        let members = self.all_rows::<PgAuthMembers>()?;
        let databases = self.all_rows::<PgDatabase>()?.into_iter().map(|(_, row)| database(row)).collect();
        Ok(file.with(roles, members.into_iter().map(|(_, row)| (row.roleid, row.member)), databases))
    }

    /// Changes roles: `change` is lent all of them, and a number for a new one.
    ///
    /// # Errors
    /// What the change says; 2BP01 if a role that goes owns something or may do something.
    pub fn change_roles(
        &mut self,
        change: impl FnOnce(&mut RolesFile) -> Result<Vec<Report>>,
    ) -> Result<Vec<Report>> {
        self.lock_relation(PG_AUTHID, LockMode::Exclusive)?;
        let before = self.roles()?;
        let mut now = before.clone();
        now.set_next_oid(self.new_oid::<PgAuthid>(PG_AUTHID_OID_INDEX)?);
        let notices = change(&mut now)?;
        for gone in before.roles().iter().filter(|role| now.by_oid(role.oid).is_none()) {
            self.check_nothing_depends(gone)?;
        }
        self.write_roles(&before, &now)?;
        self.write_memberships(&before, &now)?;
        self.changed_everything();
        self.catalog.changed_roles = Some(now);
        Ok(notices)
    }

    fn write_roles(&mut self, before: &RolesFile, now: &RolesFile) -> Result<()> {
        for gone in before.roles().iter().filter(|role| now.by_oid(role.oid).is_none()) {
            if let Some((ctid, row)) = self.row_of::<PgAuthid>(PG_AUTHID_OID_INDEX, gone.oid)? {
                self.delete::<PgAuthid>(ctid)?;
                self.forget_comments(ObjectAddress::of(PG_AUTHID, row.oid))?;
            }
        }
        for role in now.roles() {
            match before.by_oid(role.oid) {
                Some(same) if same == role => {}
                Some(_) => {
                    if let Some((ctid, _)) = self.row_of::<PgAuthid>(PG_AUTHID_OID_INDEX, role.oid)? {
                        self.update(ctid, &role_row(role))?;
                    }
                }
                None => self.insert(&role_row(role))?,
            }
        }
        Ok(())
    }

    fn write_memberships(&mut self, before: &RolesFile, now: &RolesFile) -> Result<()> {
        let (old, new): (Vec<_>, Vec<_>) = (before.memberships().collect(), now.memberships().collect());
        for (ctid, row) in self.all_rows::<PgAuthMembers>()? {
            if !new.contains(&(row.roleid, row.member)) {
                self.delete::<PgAuthMembers>(ctid)?;
            }
        }
        for (group, member) in new.into_iter().filter(|pair| !old.contains(pair)) {
            self.insert_membership(group, member)?;
        }
        Ok(())
    }

    pub(super) fn insert_membership(&mut self, group: u32, member: u32) -> Result<()> {
        let oid = self.new_oid::<PgAuthMembers>(PG_AUTH_MEMBERS_OID_INDEX)?;
        self.insert(&PgAuthMembers {
            oid,
            roleid: group,
            member,
            grantor: BOOTSTRAP_ROLE,
            admin_option: false,
            inherit_option: true,
            set_option: true,
        })
    }

    /// That nothing belongs to a role, and no privilege is granted to it.
    fn check_nothing_depends(&mut self, role: &Role) -> Result<()> {
        let keys = [super::cx::oid_key(PG_AUTHID), super::cx::oid_key(role.oid)];
        let rows = self.rows::<PgShdepend>(PG_SHDEPEND_REFERENCE_INDEX, &keys)?;
        let (mut lines, mut elsewhere) = (Vec::new(), std::collections::BTreeMap::<u32, u32>::new());
        for (_, row) in rows {
            if row.dbid != 0 && row.dbid != self.database() {
                *elsewhere.entry(row.dbid).or_default() += 1;
                continue;
            }
            let object = ObjectAddress { class: row.classid, object: row.objid, part: row.objsubid };
            let how = if row.deptype == b'o' { "owner of" } else { "privileges for" };
            lines.push(format!("{how} {}", self.describe(object)?));
        }
        for (database, count) in elsewhere {
            let noun = if count == 1 { "object" } else { "objects" };
            let database = self.describe(ObjectAddress::of(PG_DATABASE, database))?;
            lines.push(format!("{count} {noun} in {database}"));
        }
        if lines.is_empty() {
            return Ok(());
        }
        let message = format!("role \"{}\" cannot be dropped because some objects depend on it", role.name);
        Err(Report::error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).with_detail(lines.join("\n")))
    }

    /// Writes the file as the catalog has it, if it is otherwise: at a start.
    ///
    /// # Errors
    /// What reading rows and writing files may end with.
    pub fn refresh_roles_file(&mut self) -> Result<()> {
        let folder = self.session.store.engine.data_directory();
        let (file, roles) = (RolesFile::read(folder)?, self.roles()?);
        if file == roles { Ok(()) } else { roles.write(folder) }
    }
}

/// Writes the file as the catalog has it, where nobody else has the store yet: at a start.
///
/// # Errors
/// What reading rows and writing files may end with.
pub fn refresh_file(store: &Store<'_>) -> Result<()> {
    let granularity = Granularity { tuples_per_page: 1, reads_per_relation: 1 };
    let mut session = StoreSession::new(store, TEMPLATE1, granularity);
    let (mut files, mut command) = (TransactionFiles::default(), 0);
    let mut catalog = Catalog::new(TEMPLATE1, TypeSupport::PHYSICAL, store.engine.invalidations);
    session.transaction.begin(Isolation::ReadCommitted, true);
    let refreshed = Cx {
        session: &mut session,
        files: &mut files,
        catalog: &mut catalog,
        command: &mut command,
        waiter: &mut NoWait,
        role: BOOTSTRAP_ROLE,
    }
    .refresh_roles_file();
    session.locks.release_all(store.me);
    session.transaction.abort(0).and(refreshed)
}

/// Writes the file behind a commit that changed roles; a warning if it cannot be written.
pub(super) fn write_file(data_directory: &Path, roles: &RolesFile) -> Option<Report> {
    let failed = roles.write(data_directory).err()?;
    let mut report = Report { severity: Severity::Warning, ..*failed };
    report.hint = Some("The server writes the file of roles anew when it starts.".to_owned());
    Some(report)
}

#[cfg(test)]
mod tests {
    use crate::auth::password::PasswordSettings;
    use crate::auth::roles::{RoleOptions, RolesFile};

    use crate::catalog::test_world::{Client, crashed, create_table, world};

    fn create(file: &mut RolesFile, name: &str) -> crate::report::Result<Vec<crate::report::Report>> {
        file.create(name, RoleOptions::default(), &PasswordSettings::default())
    }

    #[test]
    fn roles_are_rows_and_the_file_follows_commits_only() {
        let world = world("roles");
        let mut one = Client::new(&world, 1);
        let in_file = |name: &str| RolesFile::read(&world.folder).expect("a file").by_name(name).is_some();
        one.does(|cx| cx.change_roles(|roles| create(roles, "ann")));
        assert!(in_file("ann"));
        one.begin();
        one.with(|cx| cx.change_roles(|roles| create(roles, "bob"))).expect("a role");
        one.abort();
        assert!(!in_file("bob"));
        one.fails("42710", |cx| cx.change_roles(|roles| create(roles, "ann")));
        one.does(|cx| cx.change_roles(|roles| roles.grant("pg_monitor", "ann", "me")));
        let ann = one.does(|cx| cx.roles()).by_name("ann").expect("a role").oid;
        let table = one.does(|cx| create_table(cx, "t"));
        one.does(|cx| cx.set_relation_owner(table, ann));
        let report =
            one.fails("2BP01", |cx| cx.change_roles(|roles| roles.drop("ann", 10, 10).map(|()| Vec::new())));
        assert_eq!(report.message, "role \"ann\" cannot be dropped because some objects depend on it");
        assert_eq!(report.detail.as_deref(), Some("owner of table t"));
        one.does(|cx| cx.set_relation_owner(table, 10));
        one.does(|cx| cx.change_roles(|roles| roles.drop("ann", 10, 10).map(|()| Vec::new())));
        assert!(!in_file("ann"));
        // A crash between a commit and the file: a start writes it.
        one.does(|cx| cx.change_roles(|roles| create(roles, "eve")));
        let behind = crashed(&world);
        let mut stale = RolesFile::read(&behind.folder).expect("a file");
        stale.drop("eve", 10, 10).expect("dropped");
        stale.write(&behind.folder).expect("written");
        Client::new(&behind, 1).does(|cx| cx.refresh_roles_file());
        assert!(RolesFile::read(&behind.folder).expect("a file").by_name("eve").is_some());
    }
}
