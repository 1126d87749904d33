//! An index that several processes change at once, while one of them is killed again and again: between the halves of a
//! split, behind the deletion of a page, with pages pinned and locked, anywhere.

use tuskd::access::btree::{
    BTree, BTreeRecords, Checked, Direction, IndexOptions, KeyOrder, KeyShape, ScanKey, ScanOp, ScanOptions,
    Uniqueness, Verdict,
};
use tuskd::access::rmgr::{ResourceManager, ResourceManagers};
use tuskd::access::{ColumnStorage, Ctid, Datum, Redo, Store};
use tuskd::ipc::Proc;
use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::storage::{BlockNumber, Fork, RelFile, RelFork};
use tuskd::sync::Ordering;
use tuskd::txn::locks::OwnerIndex;
use tuskd::wal::{Lsn, RmgrId, Timeline, WalReader};

use super::{AccessWorker, AccessWorld, INCARNATION};
use crate::harness::{Rng, Seed, Skip, Test, tests};
use crate::world::soon;

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    an_index_survives_deaths_at_every_point: 300,
    an_index_survives_random_kills_and_a_crash: 300,
];

const FILE: RelFile = RelFile { tablespace: 1663, database: 5, relation: 16384 };
const BUFFERS: usize = 8192;
const WORKERS: usize = 4;
/// The one who vacuums.
const VACUUM: usize = WORKERS;
/// Keys that all workers want, each of which only one may have.
const WANTED: i64 = 3000;

fn need_stop_points() -> Result<(), Skip> {
    if cfg!(any(debug_assertions, feature = "stop-points")) {
        Ok(())
    } else {
        Err(Skip("this build has no stop points (--features stop-points)".into()))
    }
}

fn tree<'t>(store: &'t Store<'static>) -> BTree<'t, 'static> {
    let options = IndexOptions {
        file: FILE,
        is_logged: true,
        name: "t_pkey".into(),
        table: "t".into(),
        shape: KeyShape::new(&[(ColumnStorage::Int64, KeyOrder::ASCENDING)], &[]),
        fillfactor: 90,
    };
    BTree::new(store, options)
}

/// What a worker puts in as its `count`-th: anywhere among what others do, behind it, or, if it is dead, half of the time
/// where all is dead, so that pages come to be empty.
fn key(worker: usize, count: u64) -> i64 {
    let place = match count % 12 {
        0 | 6 => 100_000_000 + count,
        4 | 8 => count * 1000,
        _ => count.wrapping_mul(0x9e37_79b9) % 4_000_000,
    };
    (place * 8 + worker as u64) as i64
}

fn row(worker: usize, count: u64) -> Ctid {
    let number = count * 8 + worker as u64;
    Ctid::new(BlockNumber::new((number / 100) as u32).expect("small"), (number % 100 + 1) as u16)
}

/// The worker and the count of a row.
fn of_row(ctid: Ctid) -> (usize, u64) {
    let number = u64::from(ctid.block.get()) * 100 + u64::from(ctid.line) - 1;
    ((number % 8) as usize, number / 8)
}

/// Rows that are gone as soon as they are there.
fn is_dead(ctid: Ctid) -> bool {
    let (worker, count) = of_row(ctid);
    worker < WORKERS && count.is_multiple_of(3)
}

/// A row of one of the keys that all want: of a worker that there is not.
fn wanted_row(worker: usize, count: u64) -> Ctid {
    row(7, count * 8 + worker as u64)
}

fn finds(tree: &BTree<'_, '_>, key: i64, ctid: Ctid) -> bool {
    let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int64(key))];
    let find = |direction| {
        let mut scan = tree.scan(&keys, ScanOptions::default());
        std::iter::from_fn(|| scan.next(direction).unwrap_or_else(|e| panic!("{}", e.message)))
            .any(|c| c == ctid)
    };
    let forward = find(Direction::Forward);
    // What is dead may go in between.
    assert!(is_dead(ctid) || forward == find(Direction::Backward), "key {key} is there in one direction");
    forward
}

/// Looks through a range, which is in order whatever happens in it.
fn look(tree: &BTree<'_, '_>, rng: &mut Rng) {
    let from = rng.below(32_000_000) as i64;
    let keys = [ScanKey::new(0, ScanOp::GreaterEqual, Datum::Int64(from))];
    let direction = if rng.below(2) == 0 { Direction::Forward } else { Direction::Backward };
    let mut scan = tree.scan(&keys, ScanOptions { with_rows: true, keeps_pin: rng.below(2) == 0 });
    let mut last = None;
    for _ in 0..rng.below(2000) {
        let Some(_) = scan.next(direction).unwrap_or_else(|e| panic!("{}", e.message)) else { break };
        let row = scan.row().expect("rows are kept");
        let key = i64::from_le_bytes(*row[2..].first_chunk().expect("a number"));
        let is_behind = |last: i64| if direction == Direction::Forward { last <= key } else { last >= key };
        assert!(last.is_none_or(is_behind) && key >= from, "{last:?}, then {key}, {direction:?}");
        last = Some(key);
    }
}

/// One worker: puts entries in, looks for those that are there, until told to stop.
fn work(world: AccessWorld, me: &'static Proc<'static>, worker: usize, seed: u64) {
    let store = world.store(me);
    let (tree, mut rng) = (tree(&store), Seed(seed).rng());
    let done = &world.told.done[worker];
    let snapshot = || store.transactions.take_snapshot(&store.log, tuskd::txn::Lsn::INVALID, None);
    snapshot();
    let mut count = done.load(Ordering::Acquire);
    // An earlier worker of this number may have died when its last entry was in.
    if finds(&tree, key(worker, count + 1), row(worker, count + 1)) {
        count += 1;
    }
    done.store(count, Ordering::Release);
    while world.told.is_over.load(Ordering::Acquire) == 0 {
        store.transactions.publish_oldest(None);
        snapshot();
        count += 1;
        let values = [Datum::Int64(key(worker, count))];
        let is_there = is_dead(row(worker, count)) && finds(&tree, key(worker, count), row(worker, count));
        if !is_there {
            tree.insert(&values, row(worker, count)).unwrap_or_else(|e| panic!("{}", e.message));
        }
        done.store(count, Ordering::Release);
        let earlier = 1 + rng.below(count);
        if !is_dead(row(worker, earlier)) {
            assert!(
                finds(&tree, key(worker, earlier), row(worker, earlier)),
                "worker {worker}: {earlier} is gone"
            );
        }
        if rng.below(4) == 0 {
            let values = [Datum::Int64(-1 - rng.below(WANTED as u64) as i64)];
            let inserted =
                tree.insert_unique(&values, wanted_row(worker, count), true, |_| Ok(Verdict::Live));
            let inserted = inserted.unwrap_or_else(|e| panic!("{}", e.message));
            assert!(!matches!(inserted, Uniqueness::MustWait(..)), "all rows are live");
        }
        if rng.below(200) == 0 {
            look(&tree, &mut rng);
        }
        if rng.below(500) == 0 {
            store.log.make_durable(store.engine.wal.inserted()).expect("the disk works");
            world.told.durable[worker].store(count, Ordering::Release);
        }
    }
    assert_eq!(store.storage.pinned(), 0);
}

fn vacuum(world: AccessWorld, me: &'static Proc<'static>) {
    let store = world.store(me);
    let tree = tree(&store);
    while world.told.is_over.load(Ordering::Acquire) == 0 {
        store.transactions.take_snapshot(&store.log, tuskd::txn::Lsn::INVALID, None);
        tree.bulk_delete(is_dead, || Ok(())).unwrap_or_else(|e| panic!("{}", e.message));
        store.transactions.publish_oldest(None);
        store.log.make_durable(store.engine.wal.inserted()).expect("the disk works");
    }
}

fn start(world: AccessWorld, worker: usize, rng: &mut Rng) -> AccessWorker {
    let seed = rng.next_u64();
    world.fork(move |me| if worker == VACUUM { vacuum(world, me) } else { work(world, me, worker, seed) })
}

fn new_world(name: &str) -> (AccessWorld, Store<'static>) {
    let world = AccessWorld::new(name, BUFFERS);
    let store = world.store(world.join());
    world.begin(&store);
    store.storage.files().create(RelFork { file: FILE, fork: Fork::Main }, false).expect("a new file");
    tree(&store).create().expect("room");
    (world, store)
}

fn after_death(store: &Store<'_>, worker: &AccessWorker) {
    let owner = OwnerIndex::of_process(worker.id.slot());
    store.transactions.end_for_the_dead(&mut store.log.clone(), owner, 0).expect("it had no transaction");
}

/// The index is sound, and has of each worker all live entries up to so many, perhaps one more (or any, if it is not known
/// how many), and each wanted key once.
fn check(store: &Store<'static>, counts: &[u64], is_exact: bool) -> Checked {
    let mut found: Vec<Vec<u64>> = vec![Vec::new(); WORKERS];
    let mut wanted = std::collections::HashSet::new();
    let checked = tree(store).check(|ctid, entry| match of_row(ctid) {
        (7, _) => {
            let key = i64::from_le_bytes(*entry[2..].first_chunk().expect("a number"));
            assert!(wanted.insert(key), "key {key} is there twice");
        }
        (worker, count) if !is_dead(ctid) => found[worker].push(count),
        _ => {}
    });
    let checked = checked.unwrap_or_else(|e| panic!("{}: {:?}", e.message, e.detail));
    for (worker, mut found) in found.into_iter().enumerate() {
        found.sort_unstable();
        let expected = |upto: u64| (1..=upto).filter(|count| !count.is_multiple_of(3));
        let lost: Vec<_> = expected(counts[worker]).filter(|n| found.binary_search(n).is_err()).collect();
        assert!(
            lost.is_empty(),
            "worker {worker} of {}: {} lost, {:?}",
            counts[worker],
            lost.len(),
            &lost[..1]
        );
        assert!(!is_exact || found.iter().all(|n| *n <= counts[worker] + 1), "worker {worker}");
        assert!(found.is_sorted_by(|a, b| a < b), "worker {worker}: something is there twice");
    }
    checked
}

fn done(world: AccessWorld) -> Vec<u64> {
    world.told.done[..WORKERS].iter().map(|word| word.load(Ordering::Acquire)).collect()
}

fn an_index_survives_deaths_at_every_point() -> Result<(), Skip> {
    need_stop_points()?;
    let mut rng = Seed::current().rng();
    let (world, store) = new_world("points");
    let mut workers: Vec<_> = (0..=VACUUM).map(|worker| start(world, worker, &mut rng)).collect();
    let mut splits = 0;
    for round in 0..6 {
        for (point, victim) in [
            (StopPoint::BTreeSplit, 0),
            (StopPoint::BTreeParentLocked, 1),
            (StopPoint::BTreeUnlinked, VACUUM),
            (StopPoint::LwLockHeld, 2),
            (StopPoint::BufferPinned, 3),
            (StopPoint::BTreeSplit, 3),
        ] {
            let points = world.ipc.stop_points();
            points.arm(point, Action::Kill, Some(workers[victim].id.slot()), rng.below(8) as u32);
            assert!(points.wait_for_hit(point, soon(40)), "round {round}: {point:?} was never passed");
            // A stop point of a lock may lie within a critical section, which is another test's.
            assert!(world.bury(world.cleaner(), &workers[victim]), "{point:?} in a critical section");
            after_death(&store, &workers[victim]);
            splits += usize::from(point == StopPoint::BTreeSplit);
            workers[victim] = start(world, victim, &mut rng);
        }
    }
    world.told.is_over.store(1, Ordering::Release);
    workers.into_iter().for_each(|worker| world.reap(worker));
    let checked = check(&store, &done(world), true);
    assert!(checked.height >= 1 && splits == 12, "{checked:?}");
    replay(world, &store, &done(world));
    world.remove();
    Ok(())
}

fn an_index_survives_random_kills_and_a_crash() {
    let mut rng = Seed::current().rng();
    for _ in 0..3 {
        let (world, store) = new_world("random");
        let mut workers: Vec<_> = (0..=VACUUM).map(|worker| start(world, worker, &mut rng)).collect();
        let mut is_crashed = false;
        for _ in 0..40 {
            std::thread::sleep(std::time::Duration::from_micros(rng.below(60_000)));
            let victim = rng.below(workers.len() as u64) as usize;
            if !world.kill(world.cleaner(), &workers[victim]) {
                is_crashed = true;
                break;
            }
            after_death(&store, &workers[victim]);
            workers[victim] = start(world, victim, &mut rng);
        }
        if is_crashed {
            // Shared memory may be half changed: all that counts is what is in the log.
            workers.iter().for_each(|worker| world.end(worker));
            let durable = world.told.durable[..WORKERS].iter().map(|word| word.load(Ordering::Acquire));
            replay(world, &store, &durable.collect::<Vec<_>>());
        } else {
            world.told.is_over.store(1, Ordering::Release);
            workers.into_iter().for_each(|worker| world.reap(worker));
            check(&store, &done(world), true);
            replay(world, &store, &done(world));
        }
        world.remove();
    }
}

/// What the log says happens again elsewhere: the index is as sound there.
fn replay(world: AccessWorld, store: &Store<'static>, counts: &[u64]) {
    if counts == done(world) {
        store.log.make_durable(store.engine.wal.inserted()).expect("the disk works");
    }
    let again = AccessWorld::new("again", BUFFERS);
    let target = again.store(again.join());
    again.begin(&target);
    let managers: [&dyn ResourceManager; 1] = [&BTreeRecords];
    let redo = Redo::new(&target.storage, ResourceManagers::new(&managers));
    let folder = world.folder().join(tuskd::access::engine::LOG_FOLDER);
    let mut reader = WalReader::of_incarnation(&folder, Timeline(1), Lsn::FIRST, INCARNATION);
    while let Some(record) = reader.next().unwrap_or_else(|e| panic!("{}", e.message)) {
        if record.rmgr() != RmgrId::WAL {
            redo.replay(&record).unwrap_or_else(|e| panic!("{}", e.message));
        }
    }
    redo.missing().check().expect("no page is missing");
    check(&target, counts, false);
    again.remove();
}
