//! Entries and pages that go, and come to be used again.

use super::random::Dice;
use super::*;
use crate::access::btree::range::ScanOp;
use crate::txn::Lsn;

fn all(found: impl Iterator<Item = u32>) -> Vec<Ctid> {
    found.map(ctid).collect()
}

/// What was deleted before is below the horizon.
fn let_horizon_pass(store: &Store<'_>) {
    store.log.make_durable(store.engine.wal.inserted()).expect("the log is flushed");
}

#[test]
fn what_is_dead_goes_and_empty_pages_are_used_again() {
    const COUNT: u32 = 20_000;
    let world = World::new(512);
    let store = world.store(0);
    let tree = new_tree(&store, int8());
    (0..COUNT).for_each(|n| tree.insert(&[Datum::Int64(n.into())], ctid(n)).expect("room"));
    let number = |ctid: Ctid| ctid.block.get() * 100 + u32::from(ctid.line) - 1;
    // Some of every page, then all of the middle.
    let counts = tree.bulk_delete(|ctid| number(ctid).is_multiple_of(3), || Ok(())).expect("a good tree");
    assert_eq!((counts.removed, counts.kept, counts.newly_deleted), (6667, 13_333, 0));
    let is_kept = |n: &u32| !n.is_multiple_of(3) && !(4000..16_000).contains(n);
    let counts = tree.bulk_delete(|ctid| !is_kept(&number(ctid)), || Ok(())).expect("a good tree");
    assert!(counts.newly_deleted > 20 && counts.deleted == counts.newly_deleted, "{counts:?}");
    let checked = check(&tree, &all((0..COUNT).filter(is_kept)));
    assert_eq!(checked.free, counts.deleted);
    let mut backward = scan(&tree, &[], Direction::Backward);
    backward.reverse();
    assert!(backward == all((0..COUNT).filter(is_kept)));
    // With a snapshot that is as old, they stay free; without one, they are used again.
    let blocks = tree.blocks().expect("it is there");
    let snapshot = store.transactions.take_snapshot(&store.log, Lsn::INVALID, None);
    let_horizon_pass(&store);
    for n in 5000..5400 {
        tree.insert(&[Datum::Int64(n.into())], ctid(n)).expect("room");
    }
    assert!(tree.blocks().expect("it is there") > blocks && snapshot.lsn() > Lsn::INVALID);
    store.transactions.publish_oldest(None);
    let blocks = tree.blocks().expect("it is there");
    for n in 5400..15_000 {
        tree.insert(&[Datum::Int64(n.into())], ctid(n)).expect("room");
    }
    let checked = check(&tree, &all((0..COUNT).filter(|n| is_kept(n) || (5000..15_000).contains(n))));
    assert_eq!(checked.free, 0, "free pages come first");
    assert_eq!(tree.blocks().expect("it is there"), checked.pages + 1, "and none is lost");
    assert!(tree.blocks().expect("it is there") > blocks);
    replay(&world, &store);
}

/// Everything goes; what is left of the tree is low again, for searches.
#[test]
fn an_index_can_lose_all_its_entries() {
    let world = World::new(512);
    let store = world.store(0);
    let tree = new_tree(&store, int8());
    (0..5000).for_each(|n| tree.insert(&[Datum::Int64(n.into())], ctid(n)).expect("room"));
    let counts = tree.bulk_delete(|_| true, || Ok(())).expect("a good tree");
    assert_eq!((counts.removed, counts.kept), (5000, 0));
    let checked = check(&tree, &[]);
    assert_eq!((checked.leaves, checked.height), (1, 1), "{checked:?}");
    assert_eq!(scan(&tree, &[], Direction::Forward), []);
    let_horizon_pass(&store);
    (0..5000).for_each(|n| tree.insert(&[Datum::Int64(n.into())], ctid(n)).expect("room"));
    check(&tree, &all(0..5000));
    let other = world.store(1);
    let tree = BTree::new(&other, options(int8()));
    assert!(scan(&tree, &[], Direction::Forward) == all(0..5000));
    replay(&world, &store);
}

/// A scan stands on a page while its entries go, it is deleted, its neighbours split; it finds what is left, in order.
#[test]
fn scans_go_on_over_deleted_and_split_pages() {
    for seed in 0..10 {
        let mut dice = Dice(seed);
        let world = World::new(512);
        let stores = [world.store(0), world.store(1)];
        let tree = new_tree(&stores[0], int8());
        let other = BTree::new(&stores[1], options(int8()));
        const COUNT: u32 = 4000;
        (0..COUNT).for_each(|n| tree.insert(&[Datum::Int64((n * 10).into())], ctid(n)).expect("room"));
        // It protects what it stands on.
        stores[0].transactions.take_snapshot(&stores[0].log, Lsn::INVALID, None);
        let direction = if seed % 2 == 0 { Direction::Forward } else { Direction::Backward };
        let mut found = Vec::new();
        let mut scan = tree.scan(&[], ScanOptions::default());
        let mut gone = vec![false; COUNT as usize];
        let mut next_row = COUNT;
        while let Some(ctid) = scan.next(direction).expect("a good tree") {
            found.push(ctid);
            if !found.len().is_multiple_of(150) {
                continue;
            }
            let (from, len) = (dice.below(COUNT.into()), dice.below(1500));
            let number = |ctid: Ctid| ctid.block.get() * 100 + u32::from(ctid.line) - 1;
            let is_dead = |n: u32| n < COUNT && (from..from + len).contains(&n.into());
            (0..COUNT).filter(|n| is_dead(*n)).for_each(|n| gone[n as usize] = true);
            other.bulk_delete(|ctid| is_dead(number(ctid)), || Ok(())).expect("a good tree");
            let_horizon_pass(&stores[1]);
            for _ in 0..300 {
                let key = (dice.below(u64::from(COUNT) / 8) + from) as i64 * 10 + 5;
                other.insert(&[Datum::Int64(key)], ctid_of(&mut next_row)).expect("room");
            }
        }
        let mut old: Vec<_> = found.iter().filter(|ctid| **ctid < super::ctid(COUNT)).copied().collect();
        assert!(
            old.is_sorted_by(|a, b| if direction == Direction::Forward { a < b } else { a > b }),
            "{seed}"
        );
        old.sort_unstable();
        for n in (0..COUNT).filter(|n| !gone[*n as usize]) {
            assert!(old.binary_search(&super::ctid(n)).is_ok(), "seed {seed}: row {n} was passed over");
        }
        tree.check(|_, _| ()).unwrap_or_else(|e| panic!("seed {seed}: {}", e.message));
        replay(&world, &stores[0]);
    }
}

fn ctid_of(next: &mut u32) -> Ctid {
    *next += 1;
    ctid(*next)
}

/// What a scan says is dead is passed over by others and makes room before a page is split; but not if the page changed
/// since it was read.
#[test]
fn killed_entries_make_room() {
    let world = World::new(128);
    let store = world.store(0);
    let tree = new_tree(&store, int8());
    let insert = |n: u32| tree.insert(&[Datum::Int64(n.into())], ctid(n)).expect("room");
    (0..300).for_each(insert);
    let kill = |change: bool| {
        let mut scan = tree.scan(&[ScanKey::new(0, ScanOp::Less, Datum::Int64(200))], ScanOptions::default());
        while scan.next(Direction::Forward).expect("a good tree").is_some() {
            scan.kill_current();
        }
        if change {
            insert(300);
        }
        scan.end().expect("a good tree");
    };
    kill(true);
    assert_eq!(check(&tree, &all(0..301)).dead, 0);
    kill(false);
    assert_eq!(check(&tree, &all(200..301)).dead, 200);
    assert!(scan(&tree, &[], Direction::Forward) == all(200..301));
    (301..600).for_each(insert);
    let checked = check(&tree, &all(200..600));
    assert_eq!((checked.leaves, checked.dead), (1, 0), "dead entries made room");
    replay(&world, &store);
}

/// Random insertions, deletions and vacuums of two sessions beside a set.
#[test]
fn random_work_beside_a_set() {
    for seed in 0..3 {
        let mut dice = Dice(seed);
        let world = World::new(512);
        let stores = [world.store(0), world.store(1)];
        new_tree(&stores[0], int8());
        let trees = stores.each_ref().map(|store| BTree::new(store, options(int8())));
        let mut model = std::collections::BTreeMap::new();
        let mut next_row = 0;
        for _ in 0..60 {
            let tree = &trees[dice.below(2) as usize];
            let (base, spread) = (dice.below(20_000) as i64, 1 + dice.below(4000));
            for _ in 0..dice.below(800) {
                let (key, ctid) = (base + dice.below(spread) as i64, ctid_of(&mut next_row));
                tree.insert(&[Datum::Int64(key)], ctid).expect("room");
                model.insert(ctid, key);
            }
            let (from, len) = (dice.below(20_000) as i64, dice.below(8000) as i64);
            let share = 1 + dice.below(2);
            let mut dead = std::collections::BTreeSet::new();
            for (ctid, key) in &model {
                if (from..from + len).contains(key) && dice.below(share) == 0 {
                    dead.insert(*ctid);
                }
            }
            let counts = tree.bulk_delete(|ctid| dead.contains(&ctid), || Ok(())).expect("a good tree");
            assert_eq!(counts.removed, dead.len() as u64);
            model.retain(|ctid, _| !dead.contains(ctid));
            if dice.below(2) == 0 {
                let_horizon_pass(&stores[0]);
            }
            let mut expected: Vec<_> = model.iter().map(|(ctid, key)| (*key, *ctid)).collect();
            expected.sort_unstable();
            let expected: Vec<_> = expected.into_iter().map(|(_, ctid)| ctid).collect();
            check(tree, &expected);
            let mut backward = scan(tree, &[], Direction::Backward);
            backward.reverse();
            assert!(backward == expected);
        }
        replay(&world, &stores[0]);
    }
}

/// Entries go at one end while others come at the other: what is empty at the beginning does not pile up, even where leaves
/// are their parents' only children.
#[test]
fn a_queue_leaves_nothing_behind() {
    const COUNT: u32 = 6000;
    const LEN: u32 = 500;
    let world = World::new(2048);
    let store = world.store(0);
    let tree = new_tree(&store, bytes());
    // Long keys: few entries on a page, few children of a parent.
    let key = |n: u32| {
        let mut key = vec![b'k'; 600];
        key[590..594].copy_from_slice(&n.to_be_bytes());
        key
    };
    let number = |ctid: Ctid| ctid.block.get() * 100 + u32::from(ctid.line) - 1;
    let mut most_blocks = 0;
    for n in 0..COUNT {
        tree.insert(&[Datum::Bytes(&key(n))], ctid(n)).expect("room");
        if n % 250 == 249 && n > LEN {
            tree.bulk_delete(|ctid| number(ctid) < n - LEN, || Ok(())).expect("a good tree");
            let_horizon_pass(&store);
            let checked = check(&tree, &all(n - LEN..n + 1));
            assert!(checked.empty_leaves <= 3 && checked.pages < 120, "at {n}: {checked:?}");
            most_blocks = most_blocks.max(tree.blocks().expect("it is there"));
        }
    }
    assert!(most_blocks < 160, "{most_blocks}");
    let mut backward = scan(&tree, &[], Direction::Backward);
    backward.reverse();
    assert!(backward == scan(&tree, &[], Direction::Forward) && backward.len() > 500);
    replay(&world, &store);
}
