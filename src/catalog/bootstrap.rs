//! The catalogs of a new data directory: made and filled by `init`, by a start of the store for this process alone that
//! ends with a shutdown's checkpoint.
//!
//! `template1` is written row by row; `template0` and `postgres` are copies of it.

use std::path::Path;

use super::cache::Catalog;
use super::cx::{Cx, NoWait};
use super::descriptor::AclItem;
use super::load::BOOTSTRAP_ROLE;
use super::names::{PG_CATALOG, PG_TOAST, PUBLIC_SCHEMA};
use super::roles::role_row;
use super::schema::*;
use super::types::TypeSupport;
use super::{acl, system_rows, types};
use crate::access::bootstrap::{new_incarnation, unshared};
use crate::access::checkpoint::{KeepWal, perform};
use crate::access::checkpoints::Request;
use crate::access::control_file::ControlFile;
use crate::access::managers::managers;
use crate::access::recovery::Recovery;
use crate::access::relation_files::TransactionFiles;
use crate::access::{Store, StoreSession};
use crate::auth::roles::RolesFile;
use crate::os::file::Files;
use crate::report::Result;
use crate::storage::buffer::Unpaced;
use crate::txn::serializable::Granularity;
use crate::txn::session::{CommitOptions, Isolation};
use crate::wal::{Beginning, SyncMethod, WalReader};

/// OID of the database `template1`.
pub const TEMPLATE1: u32 = 1;
/// OID of the database `template0`.
pub const TEMPLATE0: u32 = 4;
/// OID of the database `postgres`.
pub const POSTGRES: u32 = 5;

/// OID of `information_schema`.
const INFORMATION_SCHEMA: u32 = 13144;

/// The role that owns `public`.
const PG_DATABASE_OWNER: u32 = 6171;

/// What a new data directory is to have.
#[derive(Clone, Copy)]
pub struct FirstCatalog<'a> {
    /// The first roles.
    pub roles: &'a RolesFile,
    /// Whether everything is on disk before this succeeds.
    pub sync: bool,
}

/// Makes and fills the catalogs. Log and control file are there.
///
/// # Errors
/// What writing files may end with; what was made until then is left to be taken away.
pub fn bootstrap(data_directory: &Path, first: &FirstCatalog<'_>) -> Result<()> {
    let sync_method = if first.sync { SyncMethod::Fdatasync } else { SyncMethod::None };
    unshared(data_directory, sync_method, |store| {
        begin_log(store, data_directory)?;
        fill(store, first)?;
        let keep = KeepWal { behind: 0, least: 1, most: 2, expected: 0, recycle: false };
        let request = Request::SHUTDOWN.with(Request::IMMEDIATE);
        perform(store, request, &mut Unpaced, &keep, |_| false)?;
        Ok(())
    })
}

/// As a start behind an orderly stop does it.
pub(super) fn begin_log(store: &Store<'_>, data_directory: &Path) -> Result<()> {
    let control = ControlFile::read(data_directory, &Files::new())?;
    let copy = control.checkpoint_copy;
    let folder = data_directory.join(crate::access::engine::LOG_FOLDER);
    let mut recovery = Recovery::new(store, managers(), &copy);
    let mut reader = WalReader::of_incarnation(&folder, copy.timeline, copy.redo, copy.incarnation);
    while let Some(record) = reader.next()? {
        recovery.replay(&record)?;
    }
    recovery.finish()?;
    store.log.with(|log| {
        log.begin(&Beginning {
            timeline: copy.timeline,
            incarnation: new_incarnation()?,
            before: Some((reader.end(), copy.incarnation)),
            redo: copy.redo,
            full_pages: true,
        })
    })?;
    store.engine.checkpoints.set_running();
    Ok(())
}

fn fill(store: &Store<'_>, first: &FirstCatalog<'_>) -> Result<()> {
    let granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };
    let mut session = StoreSession::new(store, TEMPLATE1, granularity);
    let (mut files, mut command) = (TransactionFiles::default(), 0);
    let mut catalog = Catalog::new(TEMPLATE1, TypeSupport::PHYSICAL, store.engine.invalidations);
    session.transaction.begin(Isolation::ReadCommitted, false);
    let mut cx = Cx {
        session: &mut session,
        files: &mut files,
        catalog: &mut catalog,
        command: &mut command,
        waiter: &mut NoWait,
        role: BOOTSTRAP_ROLE,
    };
    write_all(&mut cx, first)?;
    session.transaction.commit(CommitOptions { synchronous: true, ..CommitOptions::default() })?;
    files.committed(store)?;
    session.locks.release_all(store.me);
    Ok(())
}

fn write_all(cx: &mut Cx<'_, '_, '_>, first: &FirstCatalog<'_>) -> Result<()> {
    for table in stored() {
        let opened = cx.open_system(table);
        cx.session.store.storage.files().create_folder(opened.heap().file())?;
        opened.create(cx.session, cx.files)?;
    }
    for name in schemas() {
        cx.insert(&name)?;
    }
    for ty in types::builtins() {
        cx.insert(&system_rows::type_row(&ty))?;
    }
    system_rows::write(cx)?;
    write_shared(cx, first)?;
    for database in [TEMPLATE0, POSTGRES] {
        cx.copy_database(TEMPLATE1, database)?;
    }
    Ok(())
}

/// The schemas of a new database.
fn schemas() -> Vec<PgNamespace> {
    let owned = |oid, name: &str, owner, acl| PgNamespace {
        oid,
        nspname: name.to_owned(),
        nspowner: owner,
        nspacl: acl,
    };
    let readable = |owner| Some(acl::owner_s(owner, acl::bits::OF_SCHEMA, acl::bits::USAGE));
    vec![
        owned(PG_CATALOG, "pg_catalog", BOOTSTRAP_ROLE, readable(BOOTSTRAP_ROLE)),
        owned(PG_TOAST, "pg_toast", BOOTSTRAP_ROLE, None),
        owned(PUBLIC_SCHEMA, "public", PG_DATABASE_OWNER, readable(PG_DATABASE_OWNER)),
        owned(INFORMATION_SCHEMA, "information_schema", BOOTSTRAP_ROLE, readable(BOOTSTRAP_ROLE)),
    ]
}

fn write_shared(cx: &mut Cx<'_, '_, '_>, first: &FirstCatalog<'_>) -> Result<()> {
    first.roles.roles().iter().try_for_each(|role| cx.insert(&role_row(role)))?;
    for (group, member) in first.roles.memberships() {
        cx.insert_membership(group, member)?;
    }
    for (oid, name) in [(1663, "pg_default"), (1664, "pg_global")] {
        let spcname = name.to_owned();
        cx.insert(&PgTablespace { oid, spcname, spcowner: BOOTSTRAP_ROLE, spcacl: None, spcoptions: None })?;
    }
    let of_everybody = acl::bits::CONNECT;
    let of_template = acl::owner_s(BOOTSTRAP_ROLE, acl::bits::OF_DATABASE, of_everybody);
    cx.insert(&database(TEMPLATE1, "template1", (true, true), Some(of_template.clone())))?;
    cx.insert(&database(TEMPLATE0, "template0", (true, false), Some(of_template)))?;
    cx.insert(&database(POSTGRES, "postgres", (false, true), None))?;
    let comments = [
        (TEMPLATE1, "default template for new databases"),
        (TEMPLATE0, "unmodifiable empty database"),
        (POSTGRES, "default administrative connection database"),
    ];
    for (objoid, description) in comments {
        cx.insert(&PgShdescription { objoid, classoid: PG_DATABASE, description: description.to_owned() })?;
    }
    Ok(())
}

/// A database's row; `how`: whether it is a template, and whether one may connect to it.
pub(super) fn database(oid: u32, name: &str, how: (bool, bool), acl: Option<Vec<AclItem>>) -> PgDatabase {
    PgDatabase {
        oid,
        datname: name.to_owned(),
        datdba: BOOTSTRAP_ROLE,
        // UTF8
        encoding: 6,
        // The locale that the program has of its own.
        datlocprovider: b'b',
        datistemplate: how.0,
        datallowconn: how.1,
        dathasloginevt: false,
        datconnlimit: -1,
        datfrozenxid: 3,
        datminmxid: 1,
        dattablespace: 1663,
        datcollate: "C".to_owned(),
        datctype: "C".to_owned(),
        datlocale: Some("C.UTF-8".to_owned()),
        daticurules: None,
        datcollversion: Some("1".to_owned()),
        datacl: acl,
    }
}

#[cfg(test)]
mod tests;
