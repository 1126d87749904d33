//! What one or two sessions do.

use super::*;
use crate::access::heap::{Conflict, Fetched, RowLock};
use crate::txn::locks::LockError;

fn two() -> (World, Player, Player) {
    let world = World::new(128);
    new_heap(&world);
    let (one, other) = (Player::new(&world, 1), Player::new(&world, 2));
    (world, one, other)
}

#[test]
fn a_row_is_seen_by_later_commands_and_later_transactions() {
    let (world, mut one, mut other) = two();
    one.begin(Isolation::ReadCommitted);
    other.begin(Isolation::ReadCommitted);
    let ctid = one.insert(1, 10, 3);
    let same = ReadView { command: one.command, ..one.view() };
    let same = ReadView { command: same.command - 1, ..same };
    assert_eq!(one.rows(same), [], "its own command does not see it");
    assert_eq!(one.see(), [(1, 10)]);
    assert_eq!(other.see(), []);
    one.commit();
    assert_eq!(other.see(), [(1, 10)]);
    let view = other.view();
    let layout = other.layout.clone();
    let found = other.heap.fetch(&mut other.session, view, ctid, |tuple| read(&layout, tuple.row()));
    assert_eq!(found.expect("a page"), Fetched::Row(ctid, (1, 10)));
    other.commit();
    check_redo(&world, one.session.store);
}

#[test]
fn what_was_rolled_back_never_was() {
    let (world, mut one, mut other) = two();
    one.begin(Isolation::ReadCommitted);
    let kept = one.insert(1, 10, 3);
    one.commit();
    one.begin(Isolation::ReadCommitted);
    one.insert(2, 20, 3);
    assert!(one.update(kept, 1, 11, 3).done().expect("free").is_hot);
    one.abort();
    other.begin(Isolation::ReadCommitted);
    assert_eq!(other.see(), [(1, 10)]);
    let updated = other.update(kept, 1, 12, 3).done().expect("its update was rolled back");
    assert!(updated.is_hot);
    assert_eq!(other.see(), [(1, 12)]);
    other.commit();
    check_redo(&world, one.session.store);
}

#[test]
fn savepoints_take_back_what_was_written_within() {
    let (_world, mut one, mut other) = two();
    one.begin(Isolation::ReadCommitted);
    let first = one.insert(1, 10, 3);
    one.session.transaction.savepoint();
    one.insert(2, 20, 3);
    let _ = one.update(first, 1, 11, 3).done().expect("its own");
    assert_eq!(one.see(), [(1, 11), (2, 20)]);
    one.session.transaction.abort_savepoint().expect("abort");
    assert_eq!(one.see(), [(1, 10)]);
    one.session.transaction.savepoint();
    one.insert(3, 30, 3);
    one.session.transaction.release_savepoint();
    one.commit();
    other.begin(Isolation::ReadCommitted);
    assert_eq!(other.see(), [(1, 10), (3, 30)]);
}

#[test]
fn chains_on_a_page_are_found_by_their_first_line() {
    let (world, mut one, _) = two();
    one.begin(Isolation::ReadCommitted);
    let root = one.insert(1, 0, 3);
    one.commit();
    let mut ctid = root;
    for value in 1..5 {
        one.begin(Isolation::ReadCommitted);
        let updated = one.update(ctid, 1, value, 3).done().expect("free");
        assert!(updated.is_hot);
        ctid = updated.ctid;
        one.commit();
    }
    one.begin(Isolation::ReadCommitted);
    // An indexed column changes: the new version has entries of its own, and the old chain does not lead there.
    let moved = one.update(ctid, 2, 5, 3).done().expect("free");
    assert!(!moved.is_hot);
    let (view, layout) = (one.view(), one.layout.clone());
    let mut fetch = |ctid| {
        let found = one.heap.fetch(&mut one.session, view, ctid, |tuple| read(&layout, tuple.row()));
        found.expect("a page").row()
    };
    assert_eq!((fetch(root), fetch(moved.ctid)), (None, Some((2, 5))));
    one.commit();
    check_redo(&world, one.session.store);
}

#[test]
fn conflicts_are_told_apart() {
    let (_world, mut one, mut other) = two();
    one.begin(Isolation::ReadCommitted);
    let rows: Vec<_> = (0..3).map(|key| one.insert(key, 0, 3)).collect();
    one.commit();
    one.begin(Isolation::ReadCommitted);
    other.begin(Isolation::RepeatableRead);
    assert_eq!(other.see().len(), 3);
    let updated = one.update(rows[0], 0, 1, 3).done().expect("free");
    assert_eq!(one.delete(rows[1]), Outcome::Done(()));
    let would_block = Outcome::Conflict(Conflict::NotWaited(LockError::WouldBlock));
    assert_eq!(other.delete(rows[0]), would_block);
    let mut again = |command| one.heap.delete(&mut one.session, rows[0], &mut Writing::at_once(command));
    let own = Outcome::Conflict(Conflict::SelfModified { command: 1 });
    assert_eq!((again(1), again(2)), (Ok(own), Ok(Outcome::Conflict(Conflict::Invisible))));
    let xmax = one.session.transaction.top_xid().expect("it has written");
    one.commit();
    let next = updated.ctid;
    assert_eq!(other.delete(rows[0]), Outcome::Conflict(Conflict::Updated { next, xmax }));
    assert_eq!(other.delete(rows[1]), Outcome::Conflict(Conflict::Deleted { xmax }));
    assert_eq!(other.see().len(), 3, "its snapshot shows what was");
    assert_eq!(other.delete(rows[2]), Outcome::Done(()));
}

#[test]
fn strengths_of_locks_decide_who_waits() {
    let (world, mut one, mut other) = two();
    one.begin(Isolation::ReadCommitted);
    let ctid = one.insert(1, 10, 3);
    one.commit();
    for held in RowLock::ALL {
        for wanted in RowLock::ALL {
            one.begin(Isolation::ReadCommitted);
            other.begin(Isolation::ReadCommitted);
            let lock = |player: &mut Player, lock| {
                player.heap.lock(&mut player.session, ctid, lock, &mut Writing::at_once(1)).expect("a page")
            };
            assert_eq!(lock(&mut one, held), Outcome::Done(()));
            let expected = if held.excludes(wanted) {
                Outcome::Conflict(Conflict::NotWaited(LockError::WouldBlock))
            } else {
                Outcome::Done(())
            };
            assert_eq!(lock(&mut other, wanted), expected, "{held:?} {wanted:?}");
            assert_eq!(lock(&mut one, held), Outcome::Done(()), "its own");
            one.abort();
            other.commit();
        }
    }
    check_redo(&world, one.session.store);
}

/// A foreign key's lock stays on the row when somebody changes what is no key, and still keeps it from being deleted.
#[test]
fn key_share_goes_on_with_the_row() {
    let (world, mut one, mut other) = two();
    one.begin(Isolation::ReadCommitted);
    let ctid = one.insert(1, 10, 3);
    one.commit();
    one.begin(Isolation::ReadCommitted);
    let locked = one.heap.lock(&mut one.session, ctid, RowLock::KeyShare, &mut Writing::at_once(1));
    assert_eq!(locked.expect("a page"), Outcome::Done(()));
    other.begin(Isolation::ReadCommitted);
    let updated = other.update(ctid, 1, 11, 3).done().expect("its key stays");
    other.commit();
    other.begin(Isolation::ReadCommitted);
    assert_eq!(other.see(), [(1, 11)]);
    let would_block = Outcome::Conflict(Conflict::NotWaited(LockError::WouldBlock));
    assert_eq!(other.delete(updated.ctid), would_block);
    assert_eq!(
        other.update(updated.ctid, 2, 11, 3),
        Outcome::Conflict(Conflict::NotWaited(LockError::WouldBlock))
    );
    one.commit();
    assert_eq!(other.delete(updated.ctid), Outcome::Done(()));
    other.commit();
    check_redo(&world, one.session.store);
}

#[test]
fn a_wait_ends_by_its_timeout_and_leaves_no_queue_behind() {
    let (_world, mut one, mut other) = two();
    one.begin(Isolation::ReadCommitted);
    let ctid = one.insert(1, 10, 3);
    one.commit();
    one.begin(Isolation::ReadCommitted);
    assert_eq!(one.delete(ctid), Outcome::Done(()));
    other.begin(Isolation::ReadCommitted);
    let mut watcher = GiveUp;
    let mut waiting = wait(&mut watcher, 20);
    let mut writing = Writing { command: 1, wait: Some(&mut waiting) };
    let result = other.heap.delete(&mut other.session, ctid, &mut writing).expect("a page");
    assert_eq!(result, Outcome::Conflict(Conflict::NotWaited(LockError::TimedOut)));
    assert_eq!(other.session.locks.held().count(), 0);
    assert_eq!(other.session.store.storage.pinned(), 0);
}

#[test]
fn rows_that_do_not_fit_their_page_move() {
    let (world, mut one, _) = two();
    one.begin(Isolation::ReadCommitted);
    let rows: Vec<_> = (0..60).map(|key| one.insert(key, 0, 400)).collect();
    assert!(rows.last().expect("rows").block > rows[0].block);
    let moved = one.update(rows[0], 0, 1, 3000).done().expect("its own");
    assert_ne!(moved.ctid.block, rows[0].block);
    assert!(!moved.is_hot);
    let seen = one.see();
    assert_eq!((seen.len(), seen[0]), (60, (0, 1)));
    one.commit();
    let report = one.session.store;
    one.begin(Isolation::ReadCommitted);
    let row = one.encode(1, 1, 9000);
    let error = one.heap.insert(&mut one.session, &row, 1).expect_err("too long");
    assert_eq!(
        (error.sqlstate.code(), &*error.message),
        ("54000", "row is too big: size 9044, maximum size 8152")
    );
    check_redo(&world, report);
}

#[test]
fn a_retracted_row_is_nobodys() {
    let (world, mut one, mut other) = two();
    one.begin(Isolation::ReadCommitted);
    let ctid = one.insert(1, 10, 3);
    one.heap.retract(&mut one.session, ctid).expect("its own");
    assert_eq!(one.see(), []);
    let kept = one.insert(2, 20, 3);
    one.commit();
    other.begin(Isolation::ReadCommitted);
    assert_eq!(other.see(), [(2, 20)]);
    let _ = other.insert(3, 30, 3);
    assert!(other.heap.retract(&mut other.session, kept).is_err());
    other.commit();
    check_redo(&world, one.session.store);
}

/// Two concurrent transactions each read what the other writes.
#[test]
fn write_skew_is_refused_to_serializable_transactions_only() {
    for (isolation, is_refused) in [(Isolation::RepeatableRead, false), (Isolation::Serializable, true)] {
        let (_world, mut one, mut other) = two();
        one.begin(Isolation::ReadCommitted);
        let rows: Vec<_> = (0..2).map(|key| one.insert(key, 0, 3)).collect();
        one.commit();
        one.begin(isolation);
        other.begin(isolation);
        assert_eq!((one.see().len(), other.see().len()), (2, 2));
        let write = |player: &mut Player, row: usize| {
            let encoded = player.encode(row as i32, 1, 3);
            let indexed = Indexed { layout: &player.layout, columns: &[0], key: &[0] };
            player
                .heap
                .update(&mut player.session, rows[row], &encoded, &indexed, &mut Writing::at_once(5))
                .map(|outcome| outcome.done().is_some())
        };
        let first = write(&mut one, 0).and_then(|_| one.session.transaction.commit(CommitOptions::default()));
        let second =
            write(&mut other, 1).and_then(|_| other.session.transaction.commit(CommitOptions::default()));
        let refused = [first.err(), second.err()].into_iter().flatten().next();
        assert_eq!(refused.is_some(), is_refused);
        assert!(refused.is_none_or(|report| report.sqlstate.code() == "40001"));
    }
}
