//! Definitions under processes: two who make a relation of one name, and kills in the middle of making and dropping tables.

use std::collections::BTreeSet;

use tuskd::access::btree::ScanKey;
use tuskd::access::relation_files::TransactionFiles;
use tuskd::access::row::Datum;
use tuskd::access::table::Written;
use tuskd::access::visibility::ReadView;
use tuskd::access::{Store, StoreSession};
use tuskd::auth::roles::RolesFile;
use tuskd::catalog::bootstrap::{FirstCatalog, POSTGRES, bootstrap};
use tuskd::catalog::descriptor::{
    ColumnDescriptor, ConstraintKind, IndexKey, RelationKind, RelationPersistence,
};
use tuskd::catalog::load::BOOTSTRAP_ROLE;
use tuskd::catalog::make_index::NewlyBuilt;
use tuskd::catalog::names::PUBLIC_SCHEMA;
use tuskd::catalog::requests::{DropBehavior, NewConstraint, NewIndex, NewRelation, ObjectAddress};
use tuskd::catalog::schema::{PgClass, stored_by_oid};
use tuskd::catalog::{Catalog, Cx, NoWait, TypeSupport, Waiter, open_table};
use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::ipc::{Proc, WaitEvent};
use tuskd::os::file::Files;
use tuskd::report::{Report, Result};
use tuskd::sync::{Monotonic, Ordering};
use tuskd::txn::locks::{LockError, LockMode, Wait, Watcher};
use tuskd::txn::session::{CommitOptions, Isolation};
use tuskd::wal::SyncMethod;

use super::store_world::{DataDirectory, StoreWorld, Style, Worker};
use crate::harness::{Rng, Seed, Test, tests};
use crate::world::{eventually, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    who_makes_a_name_second_waits_and_is_told_that_it_is_there,
    killed_definitions_are_whole_or_nothing: 600,
];

const STYLE: Style = Style { method: SyncMethod::Fdatasync, buffers: 512 };

fn directory(name: &str) -> DataDirectory {
    let directory = DataDirectory::new(name);
    let roles = RolesFile::new("me", None).unwrap_or_else(|e| panic!("{e}"));
    roles.write(&directory.0).unwrap_or_else(|e| panic!("{e}"));
    bootstrap(&directory.0, &FirstCatalog { roles: &roles, sync: false }).unwrap_or_else(|e| panic!("{e}"));
    directory
}

/// Waits for whatever, for as long as it takes.
struct Patience;

impl Watcher for Patience {
    fn interrupted(&mut self, _: &Proc<'_>) -> bool {
        false
    }

    fn is_running(&self, _: u64) -> bool {
        true
    }
}

impl Waiter for Patience {
    fn wait(&mut self) -> Option<Wait<'_>> {
        let deadlock_timeout = std::time::Duration::from_secs(1);
        Some(Wait { lock_timeout: None, deadlock_timeout, watcher: self })
    }

    fn explain(&mut self, error: LockError) -> Box<Report> {
        NoWait.explain(error)
    }
}

/// A session with definitions.
struct Definer {
    session: StoreSession<'static, 'static>,
    files: TransactionFiles,
    catalog: Catalog,
    command: u32,
}

impl Definer {
    fn new(world: StoreWorld, store: &'static Store<'static>) -> Self {
        Self {
            session: world.session(store),
            files: TransactionFiles::default(),
            catalog: Catalog::new(POSTGRES, TypeSupport::PHYSICAL, store.engine.invalidations),
            command: 0,
        }
    }

    fn begin(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        self.command = 0;
    }

    fn with<R>(&mut self, work: impl FnOnce(&mut Cx<'_, 'static, 'static>) -> Result<R>) -> Result<R> {
        let mut cx = Cx {
            session: &mut self.session,
            files: &mut self.files,
            catalog: &mut self.catalog,
            command: &mut self.command,
            waiter: &mut Patience,
            role: BOOTSTRAP_ROLE,
        };
        cx.accept_invalidations();
        work(&mut cx)
    }

    fn commit(&mut self) {
        let mut actions = Vec::new();
        self.files.add_to(&mut actions);
        let options = CommitOptions { synchronous: true, actions, ..CommitOptions::default() };
        self.session.transaction.commit(options).unwrap_or_else(|e| panic!("{e}"));
        let store = self.session.store;
        self.files.committed(store).unwrap_or_else(|e| panic!("{e}"));
        self.catalog.committed(store);
        self.session.locks.release_transaction(store.me);
    }

    fn abort(&mut self) {
        self.session.transaction.abort(0).unwrap_or_else(|e| panic!("{e}"));
        let store = self.session.store;
        self.files.aborted(store).unwrap_or_else(|e| panic!("{e}"));
        self.catalog.aborted();
        self.session.locks.release_transaction(store.me);
    }

    fn does<R>(&mut self, work: impl FnOnce(&mut Cx<'_, 'static, 'static>) -> Result<R>) -> R {
        self.begin();
        let done = self.with(work).unwrap_or_else(|e| panic!("{e}"));
        self.commit();
        done
    }
}

/// A table of a number and a text.
fn create_table(cx: &mut Cx<'_, '_, '_>, name: &str) -> Result<u32> {
    cx.create_relation(&NewRelation {
        namespace: PUBLIC_SCHEMA,
        name,
        kind: RelationKind::Table,
        persistence: RelationPersistence::Permanent,
        owner: BOOTSTRAP_ROLE,
        columns: &[ColumnDescriptor::new("a", 1, 23, -1), ColumnDescriptor::new("b", 2, 25, -1)],
        options: &[],
        view: None,
        depends_on: &[],
    })
}

/// The same with a primary key and some rows.
fn create_with_rows(cx: &mut Cx<'_, '_, '_>, name: &str) -> Result<()> {
    let relation = create_table(cx, name)?;
    let key_name = format!("{name}_pkey");
    let keys = [IndexKey {
        column: 1,
        expression: None,
        type_oid: 23,
        operator_class: 1978,
        collation: 0,
        is_descending: false,
        nulls_first: false,
    }];
    let new = NewIndex {
        relation,
        name: &key_name,
        keys: &keys,
        included: &[],
        is_unique: true,
        nulls_not_distinct: false,
        is_primary: true,
        is_immediate: true,
        predicate: None,
        options: &[],
        depends_on: &[],
    };
    let NewlyBuilt::Done { oid: index, .. } = cx.create_index(&new, None)? else { panic!("no rows yet") };
    cx.create_constraint(&NewConstraint {
        relation,
        name: &key_name,
        kind: ConstraintKind::PrimaryKey,
        columns: &[1],
        index,
        foreign: None,
        expression: None,
        is_deferrable: false,
        is_deferred: false,
        is_validated: true,
        no_inherit: true,
    })?;
    let descriptor = cx.relation_by_oid(relation)?.expect("just made");
    let table = open_table(cx.session.store, &descriptor, TypeSupport::PHYSICAL);
    for a in 0..20 {
        let command = cx.next_command();
        let mut writing = tuskd::access::heap::Writing::at_once(command);
        let values = [Datum::Int32(a), Datum::Bytes(&[b'x'; 300])];
        let written = table.insert(cx.session, &values, &mut Vec::new(), &mut writing)?;
        assert!(matches!(written, Written::Done(_)));
    }
    Ok(())
}

fn drop_table(cx: &mut Cx<'_, '_, '_>, name: &str) -> Result<()> {
    let path = ["public".to_owned()];
    let found = cx.open_relation(None, name, &path, LockMode::AccessExclusive)?.expect("it is there");
    cx.drop_objects(&[ObjectAddress::relation(found.oid)], DropBehavior::Restrict).map(drop)
}

fn who_makes_a_name_second_waits_and_is_told_that_it_is_there() {
    for first_commits in [true, false] {
        let directory = directory(if first_commits { "name-taken" } else { "name-free" });
        let world = StoreWorld::new(&directory.0, STYLE, Files::new());
        let store = world.store(world.join());
        world.recover(store);
        let mut one = Definer::new(world, store);
        one.begin();
        one.with(|cx| create_table(cx, "t")).unwrap_or_else(|e| panic!("{e}"));
        let second: Worker = world.fork(move |store| {
            let mut two = Definer::new(world, store);
            two.begin();
            let made = two.with(|cx| create_table(cx, "t"));
            let code = match &made {
                Ok(_) => 1,
                Err(report) if report.sqlstate.code() == "42P07" => {
                    assert_eq!(report.message, "relation \"t\" already exists");
                    2
                }
                Err(report) => panic!("{report}"),
            };
            if made.is_ok() {
                two.commit()
            } else {
                two.abort()
            }
            world.words[0].store(code, Ordering::SeqCst);
        });
        let slot = &world.ipc.slots()[second.id.slot().index()];
        eventually(|| slot.wait_event.load(Ordering::Relaxed) == WaitEvent::LOCK_TRANSACTION.number());
        assert_eq!(world.words[0].load(Ordering::SeqCst), 0, "it waits");
        if first_commits {
            one.commit()
        } else {
            one.abort()
        }
        world.reap(second);
        assert_eq!(world.words[0].load(Ordering::SeqCst), if first_commits { 2 } else { 1 });
        assert!(one.does(|cx| cx.relation_oid(PUBLIC_SCHEMA, "t")).is_some());
    }
}

/// Crashes; `TUSKD_KILLS` says otherwise.
const KILLS: u64 = 10;
const WORKERS: usize = 3;
/// Tables that a worker makes; those of even numbers it drops again.
const TABLES: usize = 300;

const POINTS: [StopPoint; 5] = [
    StopPoint::FileMade,
    StopPoint::FileMadeLogged,
    StopPoint::WalInserted,
    StopPoint::WalFlightDone,
    StopPoint::FilesDropped,
];

fn table_name(crash: u64, who: usize, number: usize) -> String {
    format!("c{crash}_w{who}_{number}")
}

fn killed_definitions_are_whole_or_nothing() {
    let kills = std::env::var("TUSKD_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let mut rng = Seed::current().rng();
    let directory = directory("definitions");
    let mut expected: BTreeSet<String> = BTreeSet::new();
    let (mut made, mut had_checkpoints) = (0, false);
    for crash in 0..kills {
        let world = StoreWorld::new(&directory.0, STYLE, Files::new());
        let store = world.store(world.join());
        world.recover(store);
        let mut definer = Definer::new(world, store);
        audit(&mut definer, &expected, had_checkpoints);
        had_checkpoints |= crash >= kills / 2;
        let workers = start(world, crash, had_checkpoints);
        stop_at_random(world, &mut rng);
        workers.iter().for_each(|worker| world.kill(worker));
        for who in 0..WORKERS {
            let bits = &world.words[who * 10..who * 10 + 10];
            let is_set = |bit: usize| bits[bit / 64].load(Ordering::SeqCst) >> (bit % 64) & 1 != 0;
            for number in 0..TABLES {
                let is_kept = is_set(2 * number) && number % 2 == 1;
                made += u64::from(is_set(2 * number));
                expected.extend(is_kept.then(|| table_name(crash, who, number)));
                assert!(!is_set(2 * number + 1) || number % 2 == 0, "only those are dropped");
            }
        }
    }
    println!("{kills} crashes, {made} tables made, {} kept", expected.len());
    assert!(made > 0);
}

fn stop_at_random(world: StoreWorld, rng: &mut Rng) {
    if cfg!(any(debug_assertions, feature = "stop-points")) && rng.below(4) != 0 {
        let point = POINTS[rng.below(POINTS.len() as u64) as usize];
        world.ipc.stop_points().arm(point, Action::Kill, None, rng.below(60) as u32);
        world.ipc.stop_points().wait_for_hit(point, soon(3));
    } else {
        std::thread::sleep(std::time::Duration::from_micros(rng.below(400_000)));
    }
}

fn start(world: StoreWorld, crash: u64, with_checkpoints: bool) -> Vec<Worker> {
    let mut workers: Vec<_> = (0..WORKERS)
        .map(|who| {
            world.fork(move |store| {
                let mut definer = Definer::new(world, store);
                let done = |bit: usize| {
                    world.words[who * 10 + bit / 64].fetch_or(1 << (bit % 64), Ordering::SeqCst);
                };
                for number in 0..TABLES {
                    let name = table_name(crash, who, number);
                    definer.does(|cx| create_with_rows(cx, &name));
                    done(2 * number);
                    if number % 2 == 0 {
                        definer.does(|cx| drop_table(cx, &name));
                        done(2 * number + 1);
                    }
                }
                // Others go on; this one waits to be killed.
                loop {
                    std::thread::park();
                }
            })
        })
        .collect();
    if with_checkpoints {
        workers.push(world.fork(move |store| {
            loop {
                world.checkpoint(store);
            }
        }));
    }
    workers
}

/// Every table that was acknowledged is there, whole; every relation has its file, and every file is some relation's. But for
/// what a transaction made whose record a checkpoint had passed when it was killed: redo does not see that, and the file
/// takes room, as in PostgreSQL.
fn audit(definer: &mut Definer, expected: &BTreeSet<String>, had_checkpoints: bool) {
    let began = Monotonic::now();
    let classes = definer.does(|cx| cx.all_rows::<PgClass>());
    let names: BTreeSet<&str> = classes.iter().map(|(_, row)| row.relname.as_str()).collect();
    for name in expected {
        assert!(names.contains(name.as_str()), "{name} is lost");
    }
    let store = definer.session.store;
    let folder = store.engine.data_directory().join("base/5");
    let mut numbers = BTreeSet::new();
    for (_, row) in &classes {
        let is_system = stored_by_oid(row.oid).is_some() || row.oid < 16384;
        numbers.insert(if is_system { row.oid } else { row.relfilenode });
        if row.relfilenode != 0 {
            assert!(folder.join(row.relfilenode.to_string()).exists(), "the file of {}", row.relname);
        }
        if row.relkind == b'r' && !is_system {
            let oid = row.oid;
            let rows = definer.does(|cx| {
                let descriptor = cx.relation_by_oid(oid)?.expect("a table");
                assert_eq!(descriptor.indexes.len(), 1, "{}", descriptor.name);
                assert_eq!(descriptor.constraints.len(), 1, "{}", descriptor.name);
                let table = open_table(cx.session.store, &descriptor, TypeSupport::PHYSICAL);
                let view = ReadView { snapshot: cx.session.transaction.latest_snapshot(), command: 1 };
                let keys: [ScanKey<'_>; 0] = [];
                drop(table.index_scan(cx.session, 0, &keys, view));
                table.check(cx.session, view)
            });
            assert_eq!(rows, 20, "{}", row.relname);
        }
    }
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let entry = entry.expect("a file");
        let name = entry.file_name().to_string_lossy().into_owned();
        let number: u32 = name.split(['_', '.']).next().and_then(|n| n.parse().ok()).expect("a number");
        if numbers.contains(&number) || had_checkpoints {
            continue;
        }
        // Made, and killed before the log was durable up to there: no page of it was written, since a page is written
        // behind the log, and its number is passed over.
        let bytes = std::fs::read(entry.path()).expect("a file");
        assert!(bytes.iter().all(|byte| *byte == 0), "{name} is nobody's");
    }
    println!("{} relations looked at in {:?}", classes.len(), Monotonic::now().saturating_since(began));
}
