//! A data directory with catalogs, and sessions in it, for tests.

use std::path::PathBuf;
use std::time::Duration;

use super::bootstrap::{FirstCatalog, POSTGRES, begin_log, bootstrap};
use super::cache::Catalog;
use super::cx::{Cx, NoWait, Waiter};
use super::descriptor::{ColumnDescriptor, RelationKind, RelationPersistence};
use super::load::BOOTSTRAP_ROLE;
use super::names::PUBLIC_SCHEMA;
use super::requests::{NewRelation, ObjectAddress};
use super::schema::{PG_CLASS, PG_NAMESPACE};
use super::types::TypeSupport;
use crate::access::bootstrap::{Bootstrap, bootstrap as bootstrap_log};
use crate::access::relation_files::TransactionFiles;
use crate::access::tests::World;
use crate::access::{Store, StoreSession};
use crate::auth::roles::RolesFile;
use crate::report::Result;
use crate::txn::serializable::Granularity;
use crate::txn::session::{CommitOptions, Isolation};
use crate::wal::SyncMethod;

/// A folder that is nobody else's, with the folders that a data directory has.
pub fn new_folder(name: &str) -> PathBuf {
    let path = |number: u32| {
        std::env::temp_dir().join(format!("tuskd-catalog-{name}-{}-{number}", std::process::id()))
    };
    let folder = (0..).map(path).find(|path| std::fs::create_dir(path).is_ok()).expect("some name is free");
    for name in ["base", "global", "pg_wal", "pg_wal/archive_status", "pg_xact", "pg_twophase"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    folder
}

/// A started store over a data directory as `init` makes it.
pub fn world(name: &str) -> World {
    let folder = new_folder(name);
    let now = Duration::from_secs(1_800_000_000);
    let how = Bootstrap { sync_method: SyncMethod::Fdatasync, sync: false, now };
    bootstrap_log(&folder, &how).expect("a log");
    let roles = RolesFile::new("me", None).expect("roles");
    roles.write(&folder).expect("a file");
    bootstrap(&folder, &FirstCatalog { roles: &roles, sync: false }).expect("catalogs");
    started(World::over(folder, 512))
}

/// The same over what another world's files are now, as after a crash.
pub fn crashed(world: &World) -> World {
    let store = world.store(7);
    store.log.make_durable(store.engine.wal.inserted()).expect("the log is flushed");
    started(world.crashed())
}

fn started(world: World) -> World {
    begin_log(&world.store(0), &world.folder).expect("a start");
    world
}

/// A session in the database `postgres`.
pub struct Client {
    pub session: StoreSession<'static, 'static>,
    pub files: TransactionFiles,
    pub catalog: Catalog,
    pub command: u32,
}

impl Client {
    pub fn new(world: &World, index: usize) -> Self {
        Self::in_database(world, index, POSTGRES)
    }

    pub fn in_database(world: &World, index: usize, database: u32) -> Self {
        let store: &'static Store<'static> = Box::leak(Box::new(world.store(index)));
        let granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };
        Self {
            session: StoreSession::new(store, database, granularity),
            files: TransactionFiles::default(),
            catalog: Catalog::new(database, TypeSupport::PHYSICAL, store.engine.invalidations),
            command: 0,
        }
    }

    pub fn begin(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        self.command = 0;
    }

    /// Does something in the transaction, waiting for nobody.
    pub fn with<R>(&mut self, work: impl FnOnce(&mut Cx<'_, 'static, 'static>) -> Result<R>) -> Result<R> {
        self.waiting(&mut NoWait, work)
    }

    pub fn waiting<R>(
        &mut self,
        waiter: &mut dyn Waiter,
        work: impl FnOnce(&mut Cx<'_, 'static, 'static>) -> Result<R>,
    ) -> Result<R> {
        let mut cx = Cx {
            session: &mut self.session,
            files: &mut self.files,
            catalog: &mut self.catalog,
            command: &mut self.command,
            waiter,
            role: BOOTSTRAP_ROLE,
        };
        cx.accept_invalidations();
        work(&mut cx)
    }

    pub fn commit(&mut self) {
        let mut actions = Vec::new();
        self.files.add_to(&mut actions);
        let options = CommitOptions { synchronous: true, actions, ..CommitOptions::default() };
        self.session.transaction.commit(options).expect("committed");
        let store = self.session.store;
        assert!(self.files.committed(store).expect("files go").is_empty());
        assert!(self.catalog.committed(store).is_empty());
        self.session.locks.release_transaction(store.me);
    }

    pub fn abort(&mut self) {
        self.session.transaction.abort(0).expect("rolled back");
        let store = self.session.store;
        assert!(self.files.aborted(store).expect("files go").is_empty());
        self.catalog.aborted();
        self.session.locks.release_transaction(store.me);
    }

    /// A transaction of its own, which commits.
    pub fn does<R>(&mut self, work: impl FnOnce(&mut Cx<'_, 'static, 'static>) -> Result<R>) -> R {
        self.begin();
        let done = self.with(work).unwrap_or_else(|report| panic!("{report}"));
        self.commit();
        done
    }

    /// A transaction of its own that fails, with that SQLSTATE; what it says.
    pub fn fails<R: std::fmt::Debug>(
        &mut self,
        sqlstate: &str,
        work: impl FnOnce(&mut Cx<'_, 'static, 'static>) -> Result<R>,
    ) -> Box<crate::report::Report> {
        self.begin();
        let report = self.with(work).expect_err("it is refused");
        self.abort();
        assert_eq!(report.sqlstate.code(), sqlstate, "{report}");
        report
    }

    /// The OID of a relation in `public`.
    pub fn find(&mut self, name: &str) -> Option<u32> {
        self.does(|cx| cx.relation_oid(PUBLIC_SCHEMA, name))
    }
}

/// A table of an integer and a text.
pub fn columns() -> [ColumnDescriptor; 2] {
    [ColumnDescriptor::new("a", 1, 23, -1), ColumnDescriptor::new("b", 2, 25, -1)]
}

/// `CREATE TABLE name (a int, b text)`.
pub fn create_table(cx: &mut Cx<'_, '_, '_>, name: &str) -> Result<u32> {
    create(cx, name, RelationKind::Table, None, &[])
}

/// `CREATE VIEW name AS …`, of a table's columns.
pub fn create_view(cx: &mut Cx<'_, '_, '_>, name: &str, of: u32) -> Result<u32> {
    let on = [ObjectAddress::column(of, 1), ObjectAddress::column(of, 2)];
    create(cx, name, RelationKind::View, Some(" SELECT a, b FROM t;"), &on)
}

fn create(
    cx: &mut Cx<'_, '_, '_>,
    name: &str,
    kind: RelationKind,
    view: Option<&str>,
    depends_on: &[ObjectAddress],
) -> Result<u32> {
    cx.create_relation(&NewRelation {
        namespace: PUBLIC_SCHEMA,
        name,
        kind,
        persistence: RelationPersistence::Permanent,
        owner: BOOTSTRAP_ROLE,
        columns: &columns(),
        options: &[],
        view,
        depends_on,
    })
}

/// A schema's address.
pub fn schema_address(oid: u32) -> ObjectAddress {
    ObjectAddress::of(PG_NAMESPACE, oid)
}

/// A relation's address.
pub fn relation_address(oid: u32) -> ObjectAddress {
    ObjectAddress::of(PG_CLASS, oid)
}
