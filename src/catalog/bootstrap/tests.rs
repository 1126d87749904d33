//! What `init` makes is a catalog that a start finds.

use super::*;
use crate::access::bootstrap::{Bootstrap, bootstrap as bootstrap_log};
use crate::catalog::test_world::new_folder;

#[test]
fn a_new_data_directory_has_its_catalogs_in_every_database() {
    let folder = new_folder("bootstrap");
    let how = Bootstrap {
        sync_method: SyncMethod::Fdatasync,
        sync: false,
        now: std::time::Duration::from_secs(1_800_000_000),
    };
    bootstrap_log(&folder, &how).expect("a log");
    let roles = RolesFile::new("me", None).expect("roles");
    let first = FirstCatalog { roles: &roles, sync: false };
    bootstrap(&folder, &first).expect("catalogs");
    unshared(&folder, SyncMethod::None, |store| {
        begin_log(store, &folder)?;
        for database in [TEMPLATE1, TEMPLATE0, POSTGRES] {
            check(store, database)?;
        }
        Ok(())
    })
    .expect("a start");
    std::fs::remove_dir_all(folder).expect("a folder");
}

fn check(store: &Store<'_>, database: u32) -> Result<()> {
    let granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };
    let mut session = StoreSession::new(store, database, granularity);
    let (mut files, mut command) = (TransactionFiles::default(), 0);
    let mut catalog = Catalog::new(database, TypeSupport::PHYSICAL, store.engine.invalidations);
    session.transaction.begin(Isolation::ReadCommitted, false);
    let mut cx = Cx {
        session: &mut session,
        files: &mut files,
        catalog: &mut catalog,
        command: &mut command,
        waiter: &mut NoWait,
        role: BOOTSTRAP_ROLE,
    };
    let path = ["pg_catalog".to_owned()];
    for table in stored() {
        let found = cx.relation_by_name(None, table.name, &path)?.expect(table.name);
        assert_eq!((found.oid, found.columns.len()), (table.oid, table.columns.len()));
        assert_eq!(found.indexes.len(), table.indexes.len());
        let opened = cx.open_system(table);
        let snapshot = cx.session.transaction.latest_snapshot();
        let view = crate::access::visibility::ReadView { snapshot, command: 1 };
        opened.check(cx.session, view)?;
        cx.session.transaction.drop_snapshot(snapshot);
    }
    for table in FIXED {
        let found = cx.relation_by_oid(table.oid)?.expect(table.name);
        assert!(found.is_fixed && found.columns.len() == table.columns().len());
    }
    let database_row = cx.row_of::<PgDatabase>(PG_DATABASE_OID_INDEX, database)?;
    assert!(database_row.is_some(), "database {database}");
    let text = cx.type_by_name(PG_CATALOG, "text")?.expect("text");
    assert_eq!((text.oid, text.array), (25, 1009));
    session.transaction.abort(0)
}
