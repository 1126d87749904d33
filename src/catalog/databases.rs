//! Making, changing and dropping databases. Each is rows of the shared catalogs, and a folder of files that are made and dropped
//! with the transaction.
//!
//! Who begins a session looks into the file of databases, which follows commits; whoever made or drops one says how many
//! sessions there are in it.

use super::bootstrap::database;
use super::columns::Name;
use super::cx::{Cx, key, oid_key};
use super::descriptor::AclItem;
use super::requests::{NewDatabase, ObjectAddress};
use super::schema::*;
use crate::access::Ctid;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::txn::locks::LockMode;

/// Counts the other sessions in a database.
pub type OtherSessions<'o> = dyn Fn(u32) -> u32 + 'o;

fn missing(name: &str) -> Box<Report> {
    Report::error(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
}

fn exists(name: &str) -> Box<Report> {
    Report::error(SqlState::DUPLICATE_DATABASE, format!("database \"{name}\" already exists"))
}

/// Refuses a database that others are in; `what` is how the message calls it.
fn check_unused(what: &str, name: &str, others: u32) -> Result<()> {
    let detail = match others {
        0 => return Ok(()),
        1 => "There is 1 other session using the database.".to_owned(),
        _ => format!("There are {others} other sessions using the database."),
    };
    let message = format!("{what} \"{name}\" is being accessed by other users");
    Err(Report::error(SqlState::OBJECT_IN_USE, message).with_detail(detail))
}

impl Cx<'_, '_, '_> {
    /// The database of a name.
    ///
    /// # Errors
    /// What reading rows may end with.
    pub fn database_by_name(&mut self, name: &str) -> Result<Option<(Ctid, PgDatabase)>> {
        self.row::<PgDatabase>(PG_DATABASE_DATNAME_INDEX, &[key::<Name>(&name.to_owned())])
    }

    /// `CREATE DATABASE`.
    ///
    /// # Errors
    /// 42P04 if there is one of that name, 3D000 if there is no such template, 55006 if others are in that, 42501 if it may not
    /// be copied.
    pub fn create_database(&mut self, new: &NewDatabase<'_>, others: &OtherSessions<'_>) -> Result<u32> {
        self.lock_relation(PG_AUTHID, LockMode::Exclusive)?;
        let Some((_, template)) = self.database_by_name(new.template)? else {
            let message = format!("template database \"{}\" does not exist", new.template);
            return Err(Report::error(SqlState::INVALID_CATALOG_NAME, message));
        };
        if !template.datistemplate && !new.may_copy_any && template.datdba != self.role {
            let message = format!("permission denied to copy database \"{}\"", new.template);
            return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message));
        }
        if self.database_by_name(new.name)?.is_some() {
            return Err(exists(new.name));
        }
        check_unused("source database", new.template, others(template.oid))?;
        self.lock_object(PG_DATABASE, template.oid, LockMode::Share)?;
        let oid = self.new_oid::<PgDatabase>(PG_DATABASE_OID_INDEX)?;
        let row = PgDatabase {
            datdba: new.owner,
            datconnlimit: new.connection_limit,
            ..database(oid, new.name, (new.is_template, new.allows_connections), None)
        };
        if !self.try_insert(&row)? {
            return Err(exists(new.name));
        }
        self.depend_on_owner(ObjectAddress::of(PG_DATABASE, oid), new.owner)?;
        self.copy_database(template.oid, oid)?;
        // Whoever came meanwhile may have changed what was copied already.
        check_unused("source database", new.template, others(template.oid))?;
        self.databases_changed()?;
        Ok(oid)
    }

    fn databases_changed(&mut self) -> Result<()> {
        self.changed_everything();
        self.catalog.changed_roles = Some(self.roles()?);
        Ok(())
    }

    /// `DROP DATABASE`. Its folder stays, empty.
    ///
    /// # Errors
    /// 3D000 if there is none, 55006 if anybody is in it, 42809 if it is a template.
    pub fn drop_database(&mut self, name: &str, others: &OtherSessions<'_>) -> Result<()> {
        self.lock_relation(PG_AUTHID, LockMode::Exclusive)?;
        let (ctid, row) = self.database_by_name(name)?.ok_or_else(|| missing(name))?;
        if row.oid == self.database() {
            return Err(Report::error(SqlState::OBJECT_IN_USE, "cannot drop the currently open database"));
        }
        if row.datistemplate {
            return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, "cannot drop a template database"));
        }
        self.lock_object(PG_DATABASE, row.oid, LockMode::AccessExclusive)?;
        check_unused("database", name, others(row.oid))?;
        for file in self.files_of_database(row.oid)? {
            self.files.drop_at_commit(self.session, file);
        }
        self.delete::<PgDatabase>(ctid)?;
        let object = ObjectAddress::of(PG_DATABASE, row.oid);
        self.forget_comments(object)?;
        self.forget_dependencies(object)?;
        self.delete_all::<PgShdepend>(PG_SHDEPEND_DEPENDER_INDEX, &[oid_key(row.oid)])?;
        self.delete_all::<PgDbRoleSetting>(PG_DB_ROLE_SETTING_DATABASEID_ROL_INDEX, &[oid_key(row.oid)])?;
        self.databases_changed()
    }

    /// `ALTER DATABASE … RENAME TO`.
    ///
    /// # Errors
    /// 3D000 if there is none, 42P04 if there is one of the new name, 55006 if anybody is in it.
    pub fn rename_database(&mut self, name: &str, new_name: &str, others: &OtherSessions<'_>) -> Result<()> {
        self.lock_relation(PG_AUTHID, LockMode::Exclusive)?;
        let (ctid, mut row) = self.database_by_name(name)?.ok_or_else(|| missing(name))?;
        if self.database_by_name(new_name)?.is_some() {
            return Err(exists(new_name));
        }
        if row.oid == self.database() {
            let message = "current database cannot be renamed";
            return Err(Report::error(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        check_unused("database", name, others(row.oid))?;
        row.datname = new_name.to_owned();
        self.update(ctid, &row)?;
        self.databases_changed()
    }

    /// `ALTER DATABASE`: whatever `change` makes of its row, but for name and OID.
    ///
    /// # Errors
    /// 3D000 if there is none.
    pub fn alter_database(&mut self, name: &str, change: impl FnOnce(&mut PgDatabase)) -> Result<()> {
        self.lock_relation(PG_AUTHID, LockMode::Exclusive)?;
        let (ctid, mut row) = self.database_by_name(name)?.ok_or_else(|| missing(name))?;
        let (oid, owner) = (row.oid, row.datdba);
        change(&mut row);
        (row.oid, row.datname) = (oid, name.to_owned());
        self.update(ctid, &row)?;
        if row.datdba != owner {
            self.change_owner(ObjectAddress::of(PG_DATABASE, oid), row.datdba)?;
        }
        self.databases_changed()
    }

    /// `GRANT` and `REVOKE` on a database: its privileges from now on.
    ///
    /// # Errors
    /// 3D000 if there is none.
    pub fn set_database_acl(&mut self, name: &str, acl: Option<Vec<AclItem>>) -> Result<()> {
        self.alter_database(name, |row| row.datacl = acl)
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::databases::connect;
    use crate::auth::roles::RolesFile;
    use crate::catalog::bootstrap::TEMPLATE1;
    use crate::catalog::load::BOOTSTRAP_ROLE;
    use crate::catalog::requests::NewDatabase;
    use crate::catalog::schema::PgClass;
    use crate::catalog::test_world::{Client, crashed, create_table, world};

    fn new(name: &str) -> NewDatabase<'_> {
        NewDatabase {
            name,
            owner: BOOTSTRAP_ROLE,
            template: "template1",
            is_template: false,
            allows_connections: true,
            connection_limit: -1,
            may_copy_any: true,
        }
    }

    #[test]
    fn a_database_is_a_copy_that_goes_its_own_way() {
        let world = world("databases");
        let in_file = |folder: &std::path::Path, name: &str| {
            connect(RolesFile::read(folder).expect("a file").databases(), name).map(|found| found.oid)
        };
        let mut template = Client::in_database(&world, 2, TEMPLATE1);
        let table = template.does(|cx| create_table(cx, "t"));
        let mut one = Client::new(&world, 1);
        one.begin();
        one.with(|cx| cx.create_database(&new("d"), &|_| 0)).expect("a database");
        assert!(in_file(&world.folder, "d").is_err(), "it is not committed");
        one.abort();
        assert!(in_file(&world.folder, "d").is_err());
        let oid = one.does(|cx| cx.create_database(&new("d"), &|_| 0));
        assert_eq!(in_file(&world.folder, "d"), Ok(oid));
        one.fails("42P04", |cx| cx.create_database(&new("d"), &|_| 0));
        let report = one.fails("55006", |cx| cx.create_database(&new("e"), &|_| 2));
        assert_eq!(report.message, "source database \"template1\" is being accessed by other users");
        assert_eq!(report.detail.as_deref(), Some("There are 2 other sessions using the database."));
        let mut inside = Client::in_database(&world, 3, oid);
        assert_eq!(inside.find("t"), Some(table));
        inside.does(|cx| create_table(cx, "own"));
        assert_eq!((template.find("own"), one.find("t")), (None, None));
        let behind = crashed(&world);
        let mut inside = Client::in_database(&behind, 3, oid);
        assert!(inside.find("own").is_some() && inside.does(|cx| cx.all_rows::<PgClass>()).len() > 60);
        let mut two = Client::new(&behind, 1);
        two.fails("42809", |cx| cx.drop_database("template1", &|_| 0));
        two.fails("55006", |cx| cx.drop_database("postgres", &|_| 0));
        two.fails("55006", |cx| cx.drop_database("d", &|_| 1));
        two.does(|cx| cx.rename_database("d", "z", &|_| 0));
        assert_eq!(in_file(&behind.folder, "z"), Ok(oid));
        two.does(|cx| cx.drop_database("z", &|_| 0));
        two.fails("3D000", |cx| cx.drop_database("z", &|_| 0));
        assert!(in_file(&behind.folder, "z").is_err());
        let folder = std::fs::read_dir(behind.folder.join(format!("base/{oid}"))).expect("its folder");
        let bytes: u64 = folder.map(|file| file.expect("a file").metadata().expect("a file").len()).sum();
        assert_eq!(bytes, 0, "nothing of it takes room");
    }
}
