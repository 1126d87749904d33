//! Indexes that are built at once are like those that grew.

use super::random::Dice;
use super::*;
use crate::access::btree::{BuildOptions, Built};
use crate::report::Result;

fn build(
    tree: &BTree<'_, '_>,
    entries: &[(Vec<OwnedDatum>, Ctid)],
    memory: usize,
    is_unique: bool,
) -> Result<Built> {
    let folder = std::env::temp_dir();
    let mut build = tree.build(BuildOptions { memory, folder: &folder });
    for (values, ctid) in entries {
        build.add(&datums(values), *ctid)?;
    }
    build.finish(is_unique, true, |ctid| Ok(ctid.line != 100))
}

fn empty_tree<'t>(store: &'t Store<'static>, shape: &KeyShape) -> BTree<'t, 'static> {
    store.storage.files().create(FORK, false).expect("a new file");
    BTree::new(store, options(shape.clone()))
}

fn int(number: i64) -> OwnedDatum {
    OwnedDatum::Plain(Datum::Int64(number))
}

/// Of any size, sorted in memory or in files, with keys of any length; it can be changed then as any other.
#[test]
fn it_has_what_came_in_order() {
    let int8 = int8();
    let mixed = KeyShape::new(
        &[(ColumnStorage::Variable, KeyOrder::DESCENDING), (ColumnStorage::Int64, KeyOrder::ASCENDING)],
        &[ColumnStorage::Int32],
    );
    for (count, memory, is_mixed) in [
        (0, 1 << 20, false),
        (1, 1 << 20, false),
        (400, 1 << 20, false),
        (50_000, 64 << 20, false),
        (50_000, 64 << 10, false),
        (3_000, 64 << 10, true),
        (9_000, 64 << 20, true),
    ] {
        let shape = if is_mixed { &mixed } else { &int8 };
        let mut dice = Dice(count.into());
        let entry = |number: u32| {
            let mut values = vec![int(dice.below(30_000) as i64)];
            if is_mixed {
                let length = if dice.below(5) == 0 { 2600 - dice.below(3) } else { dice.below(40) };
                let bytes = vec![b'a' + dice.below(4) as u8; length as usize];
                values.insert(0, OwnedDatum::Bytes(bytes.into()));
                values.push(OwnedDatum::Plain(Datum::Int32(7)));
            } else if dice.below(100) == 0 {
                values[0] = OwnedDatum::Plain(Datum::Null);
            }
            (values, ctid(number))
        };
        let mut entries: Vec<_> = (0..count).map(entry).collect();
        let world = World::new(4096);
        let store = world.store(0);
        let tree = empty_tree(&store, shape);
        let built = build(&tree, &entries, memory, false).expect("room");
        assert_eq!(built, Built::Done(count.into()));
        entries.sort_by(|a, b| compare(shape, a, b));
        let expected: Vec<_> = entries.iter().map(|(_, ctid)| *ctid).collect();
        check(&tree, &expected);
        assert!(scan(&tree, &[], Direction::Forward) == expected);
        assert_eq!(store.storage.pinned(), 0);
        for number in 100_000..100_500 {
            let mut values = vec![int(dice.below(30_000) as i64)];
            if is_mixed {
                values.insert(0, OwnedDatum::Bytes(vec![b'b'; dice.below(2600) as usize].into()));
                values.push(OwnedDatum::Plain(Datum::Null));
            }
            tree.insert(&datums(&values), ctid(number)).expect("room");
        }
        tree.check(|_, _| ()).expect("a good tree");
        replay(&world, &store);
    }
}

#[test]
fn duplicates_are_told_unless_one_does_not_count() {
    let entries = |keys: &[(OwnedDatum, u32)]| -> Vec<_> {
        let with_others = (1000..3000).map(|n| (int(n), n as u32 * 100));
        let keys = keys.iter().cloned().chain(with_others);
        keys.map(|(value, number)| (vec![value], ctid(number))).collect()
    };
    let null = || OwnedDatum::Plain(Datum::Null);
    // Rows with line 100 do not count.
    for (keys, duplicate) in [
        (vec![(int(1), 1), (int(2), 2)], None),
        (vec![(int(1), 1), (int(1), 2)], Some(1)),
        (vec![(int(1), 1), (int(1), 99)], None),
        (vec![(int(1), 99), (int(1), 199)], None),
        (vec![(int(1), 99), (int(1), 101), (int(1), 199), (int(1), 201)], Some(1)),
        (vec![(int(2000), 3)], Some(2000)),
        (vec![(null(), 1), (null(), 2)], None),
    ] {
        let world = World::new(256);
        let store = world.store(0);
        let tree = empty_tree(&store, &int8());
        let built = build(&tree, &entries(&keys), 1 << 20, true).expect("room");
        match duplicate {
            None => assert_eq!(built, Built::Done(2000 + keys.len() as u64), "{keys:?}"),
            Some(key) => assert_eq!(built, Built::Duplicate(vec![int(key)]), "{keys:?}"),
        }
    }
}

/// What is there after a crash in the middle of a build is no index, and says so.
#[test]
fn half_of_a_build_is_no_index() {
    let world = World::new(256);
    let store = world.store(0);
    let tree = empty_tree(&store, &int8());
    let mut build = tree.build(BuildOptions { memory: 1 << 20, folder: &std::env::temp_dir() });
    (0..5000).for_each(|n| build.add(&[Datum::Int64(n)], ctid(n as u32)).expect("room"));
    let stop = |_| Err(crate::report::Report::error(crate::report::SqlState::QUERY_CANCELED, "stop"));
    (0..2).for_each(|n| build.add(&[Datum::Int64(4000)], ctid(9000 + n)).expect("room"));
    build.finish(true, true, stop).expect_err("stopped in the middle");
    let report = tree.check(|_, _| ()).expect_err("no index");
    assert_eq!(report.message, "index \"t_pkey\" is not a btree");
    let report = tree.insert(&[Datum::Int64(1)], ctid(1)).expect_err("no index");
    assert_eq!(report.message, "index \"t_pkey\" is not a btree");
    // The pages that came to be are made again, and are no index either.
    let managers: [&dyn ResourceManager; 1] = [&BTreeRecords];
    let again = world.replayed(ResourceManagers::new(&managers));
    let other = again.store(0);
    let report = BTree::new(&other, options(int8())).check(|_, _| ()).expect_err("no index");
    assert_eq!(report.message, "index \"t_pkey\" is not a btree");
}
