//! `FOR KEY SHARE` beside an update that leaves the key as it is, which PostgreSQL lets go on together.

use super::*;
use crate::access::heap::lockers::{LOCKERS_FORK, Member, create, give_back};
use crate::access::heap::vacuum::{NoIndexes, VacuumOptions};
use crate::access::heap::{Conflict, Fetched, RowLock};
use crate::txn::Xid;
use crate::txn::locks::LockError;

fn lock(player: &mut Player, ctid: Ctid) -> Outcome<()> {
    player.command += 1;
    let mut writing = Writing::at_once(player.command);
    player.heap.lock(&mut player.session, ctid, RowLock::KeyShare, &mut writing).expect("pages")
}

/// What the next command finds by the address that an index has.
fn by_index(player: &mut Player, ctid: Ctid) -> Option<(i32, i32)> {
    let view = player.view();
    let Player { session, heap, layout, .. } = player;
    let found = heap.fetch(session, view, ctid, |tuple| read(layout, tuple.row())).expect("pages");
    session.transaction.drop_snapshot(view.snapshot);
    match found {
        Fetched::Row(_, row) => Some(row),
        Fetched::Nothing { .. } => None,
    }
}

const BLOCKED: Outcome<()> = Outcome::Conflict(Conflict::NotWaited(LockError::WouldBlock));

/// Three sessions over one row that is committed.
fn three() -> (World, [Player; 3], Ctid) {
    let world = World::new(128);
    new_heap(&world);
    let mut players = [1, 2, 3].map(|index| Player::new(&world, index));
    players[0].begin(Isolation::ReadCommitted);
    let ctid = players[0].insert(1, 10, 3);
    players[0].commit();
    players.iter_mut().for_each(|player| player.begin(Isolation::ReadCommitted));
    (world, players, ctid)
}

#[test]
fn the_lock_is_on_what_the_update_makes() {
    // On the page of the old version, and elsewhere.
    for padding in [3, 8000] {
        for updates in 1..=2 {
            let (world, [mut locker, mut updater, mut third], ctid) = three();
            let mut last = ctid;
            for _ in 0..updates {
                last = updater.update(last, 1, 11, padding).done().expect("nobody else is there").ctid;
            }
            assert_eq!(lock(&mut locker, ctid), Outcome::Done(()), "{padding} {updates}");
            // Everybody still sees what they saw.
            assert_eq!((locker.see(), updater.see()), (vec![(1, 10)], vec![(1, 11)]));
            assert_eq!(by_index(&mut locker, ctid), Some((1, 10)));
            if padding == 3 {
                assert_eq!(by_index(&mut updater, ctid), Some((1, 11)), "the chain leads on");
            }
            assert_eq!(updater.delete(last), BLOCKED, "its own version, but locked");
            assert_eq!(third.delete(ctid), BLOCKED);
            updater.commit();
            assert!(matches!(third.delete(ctid), Outcome::Conflict(Conflict::Updated { .. })));
            assert_eq!(third.delete(last), BLOCKED, "the lock outlives the update");
            third.update(last, 1, 12, padding).done().expect("its key stays");
            assert_eq!(lock(&mut locker, last), Outcome::Done(()));
            locker.commit();
            third.commit();
            check_redo(&world, locker.session.store);
        }
    }
}

#[test]
fn an_update_that_is_rolled_back_leaves_the_lock_on_the_row() {
    let (world, [mut locker, mut updater, mut third], ctid) = three();
    updater.update(ctid, 1, 11, 3).done().expect("nobody else is there");
    assert_eq!(lock(&mut locker, ctid), Outcome::Done(()));
    updater.abort();
    assert_eq!(lock(&mut locker, ctid), Outcome::Done(()), "it has it already");
    assert_eq!(third.delete(ctid), BLOCKED);
    let updated = third.update(ctid, 1, 12, 3).done().expect("its key stays").ctid;
    third.commit();
    third.begin(Isolation::ReadCommitted);
    assert_eq!(third.see(), [(1, 12)]);
    assert_eq!(third.delete(updated), BLOCKED);
    locker.commit();
    assert_eq!(third.delete(updated), Outcome::Done(()));
    third.commit();
    check_redo(&world, locker.session.store);
}

#[test]
fn a_changed_key_and_a_deletion_are_waited_for() {
    let (_world, [mut locker, mut updater, mut third], ctid) = three();
    updater.update(ctid, 2, 10, 3).done().expect("nobody else is there");
    assert_eq!(lock(&mut locker, ctid), BLOCKED);
    updater.abort();
    // The version that an update makes is deleted by it: the row will be gone.
    updater.begin(Isolation::ReadCommitted);
    let updated = updater.update(ctid, 1, 11, 3).done().expect("nobody else is there").ctid;
    assert_eq!(updater.delete(updated), Outcome::Done(()));
    assert_eq!(lock(&mut locker, ctid), BLOCKED, "what it locked does not count yet");
    updater.commit();
    assert!(
        matches!(lock(&mut locker, ctid), Outcome::Conflict(Conflict::Updated { next, .. }) if next == updated)
    );
    assert!(matches!(lock(&mut locker, updated), Outcome::Conflict(Conflict::Deleted { .. })));
    assert_eq!(third.see(), []);
}

#[test]
fn vacuum_and_later_updates_find_their_way_through_both() {
    let (world, [mut locker, mut updater, mut third], ctid) = three();
    updater.update(ctid, 1, 11, 3).done().expect("nobody else is there");
    assert_eq!(lock(&mut locker, ctid), Outcome::Done(()));
    updater.commit();
    locker.commit();
    third.commit();
    let options = VacuumOptions { freezes_all: true, ..VacuumOptions::default() };
    let stats = third.heap.vacuum(third.session.store, options, &mut NoIndexes).expect("vacuum");
    assert_eq!((stats.removed, stats.remaining, stats.frozen), (1, 1, 1));
    // No row names them any more, so more of them need no more pages.
    let oldest = stats.oldest_xid.and_then(Xid::new).expect("all pages were looked at");
    let blocks = || third.session.store.storage.files().blocks(LOCKERS_FORK).expect("a file");
    let before = blocks();
    for _ in 0..3 {
        let pair = [oldest.number(), oldest.number() + 1].map(|number| Member {
            xid: Xid::new(number).expect("an id"),
            lock: RowLock::KeyShare,
            updates: false,
        });
        for _ in 0..500 {
            create(third.session.store, oldest, &pair).expect("room");
        }
        let next = Xid::new(oldest.number() + 2).expect("an id");
        assert!(give_back(third.session.store, next).expect("pages") > 0);
    }
    assert!(blocks() <= before + 2, "{} pages", blocks());
    third.begin(Isolation::ReadCommitted);
    assert_eq!(by_index(&mut third, ctid), Some((1, 11)));
    third.commit();
    check_redo(&world, third.session.store);
}
