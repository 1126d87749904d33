//! Multi-locker ids that are made, named by rows, and given back.

use super::super::{Member, create, give_back, members};
use super::*;
use crate::access::heap::RowLock;
use crate::access::rmgr::ResourceManagers;
use crate::access::tests::World;

fn member(number: u64) -> Member {
    Member { xid: Xid::new(number).expect("an id"), lock: RowLock::KeyShare, updates: false }
}

/// Ids of two neighbours each, from here to before there.
fn make(store: &Store<'_>, numbers: std::ops::Range<u64>) -> Vec<(u64, [Member; 2])> {
    let id = |number| {
        let pair = [member(number), member(number + 1)];
        (create(store, pair[1].xid, &pair).expect("room"), pair)
    };
    numbers.map(id).collect()
}

fn blocks(store: &Store<'_>) -> u32 {
    store.storage.files().blocks(LOCKERS_FORK).expect("a file")
}

fn xid(number: u64) -> Xid {
    Xid::new(number).expect("an id")
}

#[test]
fn ids_that_no_row_can_name_make_room_for_others() {
    let world = World::new(128);
    let store = world.store(1);
    assert_eq!(give_back(&store, xid(1000)), Ok(0), "there are none yet");
    let mut ids = make(&store, 100..2100);
    let all = blocks(&store);
    assert!(all > 5, "{all} pages");
    let check = |store: &Store<'_>, ids: &[(u64, [Member; 2])]| {
        for (id, pair) in ids {
            assert_eq!(members(store, *id).expect("it is there"), pair);
        }
    };
    check(&store, &ids);
    assert_eq!(give_back(&store, xid(100)), Ok(0), "every row names a later one");
    // Half of them, but for those that share a page with later ones.
    let freed = give_back(&store, xid(1100)).expect("pages");
    assert!((2..=all / 2).contains(&freed), "{freed} of {all} pages");
    assert_eq!(give_back(&store, xid(1100)), Ok(0), "once");
    assert_eq!(members(&store, ids[0].0).expect_err("it is gone").sqlstate.code(), "XX001");
    ids.drain(..1000);
    check(&store, &ids);
    // As many as went find room without a new page, but for what the last page had left.
    let per_page = 2000 / u64::from(all - 1);
    ids.extend(make(&store, 3000..3000 + per_page * u64::from(freed)));
    assert_eq!(blocks(&store), all);
    check(&store, &ids);
    ids.extend(make(&store, 5000..5000 + per_page * 3));
    assert!(blocks(&store) > all);
    check(&store, &ids);
    // And redo comes to the same.
    let managers: [&dyn ResourceManager; 1] = [&LockersRedo];
    let again = world.replayed(ResourceManagers::new(&managers));
    check(&again.store(1), &ids);
    let (one, other) = (lock(&store, META), again.store(1));
    let other = lock(&other, META).and_then(|page| Meta::read(page.page()));
    assert_eq!(one.and_then(|page| Meta::read(page.page())), other);
}

#[test]
fn a_page_that_was_added_for_nothing_is_used_later() {
    let world = World::new(128);
    let store = world.store(1);
    make(&store, 100..102);
    // A process that was refused the record, or died before it.
    drop(store.storage.extend(LOCKERS_FORK, ReadOptions::default()).expect("room"));
    let with_it = blocks(&store);
    assert_eq!(give_back(&store, xid(50)), Ok(1));
    make(&store, 200..700);
    assert_eq!(blocks(&store), with_it);
}

#[test]
fn addresses_that_are_no_ids_are_errors() {
    let world = World::new(128);
    let store = world.store(1);
    let ids = make(&store, 100..900);
    assert_eq!(give_back(&store, xid(600)), Ok(1));
    let on = |block: u64, line: u64| block | line << 32;
    assert!(members(&store, ids[799].0).is_ok());
    for id in [0, on(0, 1), on(1, 1), on(1, 2), on(2, 999), on(77, 1), 1 << 47] {
        assert_eq!(members(&store, id).expect_err("no id").sqlstate.code(), "XX001", "{id:x}");
    }
}
