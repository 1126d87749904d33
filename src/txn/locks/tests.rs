//! The lock table in one process that plays several, one after the other: nothing here sleeps.

use super::queue::Outcome;
use super::table::{get, set};
use super::*;
use crate::ipc::Proc;
use crate::sync::Ordering;
use crate::txn::test_world::{PREPARED, PROCESSES, World};

mod random;

const TABLE: LockTag = LockTag::Relation { database: 5, relation: 1000 };
const KEY: LockTag = LockTag::Advisory { database: 5, key: 1 };
const IN_TRANSACTION: Scope = Scope::Transaction(1);

fn try_acquire(
    (me, session): &mut (Proc<'static>, LockSession<'static>),
    tag: LockTag,
    mode: LockMode,
) -> Result<(), LockError> {
    session.acquire(me, tag, mode, IN_TRANSACTION, None)
}

/// Nothing is left: every entry and holder is free, every count is zero.
fn assert_empty(locks: Locks<'_>) {
    assert!(locks.entries.iter().all(|entry| get(&entry.class) == 0), "an entry is left");
    assert!(locks.holders.iter().all(|holder| get(&holder.entry) == 0), "a holder is left");
    assert!(locks.buckets.iter().all(|bucket| get(&bucket.first) == 0), "a bucket is not empty");
    assert!(locks.shared.strong.iter().all(|count| get(count) == 0), "a strong count is left");
    for owner in locks.owners {
        assert!(owner.fast.iter().all(|word| word.load(Ordering::SeqCst) == 0), "a fast word is left");
        assert_eq!((get(&owner.wait_status), get(&owner.strong_pending)), (0, 0));
    }
}

#[test]
fn every_pair_of_modes_excludes_as_the_table_says() {
    for tag in [TABLE, KEY, LockTag::Relation { database: 0, relation: 1260 }] {
        for held in LockMode::ALL {
            for wanted in LockMode::ALL {
                let world = World::new(16);
                let (mut first, mut second) = (world.session(0), world.session(1));
                try_acquire(&mut first, tag, held).unwrap();
                let expected = if held.conflicts().has(wanted) { Err(LockError::WouldBlock) } else { Ok(()) };
                assert_eq!(try_acquire(&mut second, tag, wanted), expected, "{held:?} {wanted:?} {tag}");
                try_acquire(&mut first, tag, wanted).expect_or_excluded(expected.is_ok(), held, wanted);
                first.1.release_transaction(&first.0);
                second.1.release_transaction(&second.0);
                assert_empty(world.locks);
            }
        }
    }
}

/// A process is never in its own way, but the second session may be by now.
trait ExpectOr {
    fn expect_or_excluded(self, second_has: bool, held: LockMode, wanted: LockMode);
}

impl ExpectOr for Result<(), LockError> {
    fn expect_or_excluded(self, second_has: bool, held: LockMode, wanted: LockMode) {
        let is_excluded = second_has && held != wanted && wanted.conflicts().has(wanted);
        assert_eq!(self.is_err(), is_excluded, "{held:?} then {wanted:?}");
    }
}

#[test]
fn weak_relation_locks_stay_out_of_the_table_until_a_strong_one_comes() {
    let world = World::new(16);
    let (mut reader, mut writer) = (world.session(0), world.session(1));
    try_acquire(&mut reader, TABLE, LockMode::AccessShare).unwrap();
    try_acquire(&mut reader, TABLE, LockMode::RowExclusive).unwrap();
    let rows = world.locks.rows(&reader.0);
    assert_eq!(rows.iter().map(|row| row.fast_path).collect::<Vec<_>>(), [true, true]);
    assert_eq!(try_acquire(&mut writer, TABLE, LockMode::Share), Err(LockError::WouldBlock));
    let rows = world.locks.rows(&reader.0);
    assert_eq!(
        rows.iter().map(|row| (row.fast_path, row.pid)).collect::<Vec<_>>(),
        [(false, 100), (false, 100)]
    );
    // The strong lock is gone, so its count is, and the fast path is open again.
    let other = LockTag::Relation { database: 5, relation: 1001 };
    try_acquire(&mut writer, TABLE, LockMode::AccessShare).unwrap();
    try_acquire(&mut writer, other, LockMode::AccessShare).unwrap();
    assert_eq!(world.locks.rows(&reader.0).iter().filter(|row| row.fast_path).count(), 2);
    for (me, session) in [&mut reader, &mut writer] {
        session.release_transaction(me);
    }
    assert_empty(world.locks);
}

#[test]
fn a_strong_lock_keeps_its_count_while_it_is_held_in_any_strong_mode() {
    let world = World::new(16);
    let mut owner = world.session(0);
    let mut other = world.session(1);
    for mode in [LockMode::Share, LockMode::AccessExclusive] {
        try_acquire(&mut owner, TABLE, mode).unwrap();
    }
    assert!(owner.1.release(&owner.0, TABLE, LockMode::AccessExclusive, IN_TRANSACTION));
    assert_eq!(get(world.locks.strong_count(TABLE.to_raw())), 1);
    assert_eq!(try_acquire(&mut other, TABLE, LockMode::RowExclusive), Err(LockError::WouldBlock));
    try_acquire(&mut other, TABLE, LockMode::AccessShare).unwrap();
    assert_eq!(try_acquire(&mut owner, TABLE, LockMode::AccessExclusive), Err(LockError::WouldBlock));
    assert_eq!(get(world.locks.strong_count(TABLE.to_raw())), 1, "the failed one took its own back");
    other.1.release_transaction(&other.0);
    owner.1.release_transaction(&owner.0);
    assert_empty(world.locks);
}

#[test]
fn a_full_fast_path_goes_to_the_table() {
    let world = World::new(64);
    let mut owner = world.session(0);
    for relation in 1..=200 {
        try_acquire(&mut owner, LockTag::Relation { database: 5, relation }, LockMode::AccessShare).unwrap();
    }
    let rows = world.locks.rows(&owner.0);
    let fast = rows.iter().filter(|row| row.fast_path).count();
    assert_eq!(rows.len(), 200);
    assert!((1..200).contains(&fast), "{fast} by the fast path");
    owner.1.release_transaction(&owner.0);
    assert_empty(world.locks);
}

#[test]
fn a_full_table_is_an_error_that_leaves_nothing() {
    let world = World::new(2);
    let mut owner = world.session(0);
    let limit = 2 * (PROCESSES + PREPARED) as i64;
    for key in 0..limit {
        try_acquire(&mut owner, LockTag::Advisory { database: 5, key }, LockMode::Share).unwrap();
    }
    let one_more = LockTag::Advisory { database: 5, key: limit };
    for mode in [LockMode::Share, LockMode::AccessExclusive] {
        assert_eq!(try_acquire(&mut owner, one_more, mode), Err(LockError::OutOfMemory));
        assert_eq!(try_acquire(&mut owner, TABLE, LockMode::Share), Err(LockError::OutOfMemory));
    }
    try_acquire(&mut owner, TABLE, LockMode::AccessShare).expect("the fast path has room");
    let mut other = world.session(1);
    assert_eq!(try_acquire(&mut other, TABLE, LockMode::Exclusive), Err(LockError::OutOfMemory));
    owner.1.release_transaction(&owner.0);
    try_acquire(&mut owner, one_more, LockMode::Share).unwrap();
    owner.1.release_all(&owner.0);
    assert_empty(world.locks);
    let report = report::out_of_shared_memory();
    assert_eq!((report.sqlstate.code(), &*report.message), ("53200", "out of shared memory"));
}

#[test]
fn savepoints_and_sessions_give_back_what_is_theirs() {
    let world = World::new(16);
    let (me, mut session) = world.session(0);
    let take = |session: &mut LockSession<'static>, key, scope| {
        session
            .acquire(&me, LockTag::Advisory { database: 5, key }, LockMode::Exclusive, scope, None)
            .unwrap();
    };
    take(&mut session, 1, Scope::Session);
    take(&mut session, 2, Scope::Transaction(1));
    take(&mut session, 3, Scope::Transaction(2));
    take(&mut session, 2, Scope::Transaction(2));
    take(&mut session, 4, Scope::Transaction(3));
    let keys = || {
        let rows = world.locks.rows(&me).into_iter().map(|row| match row.tag {
            LockTag::Advisory { key, .. } => key,
            tag => panic!("{tag}"),
        });
        let mut keys: Vec<_> = rows.collect();
        keys.sort_unstable();
        keys
    };
    session.commit_level(3);
    assert_eq!(keys(), [1, 2, 3, 4]);
    session.abort_level(&me, 2);
    assert_eq!(keys(), [1, 2]);
    session.release_transaction(&me);
    assert_eq!(keys(), [1]);
    assert!(!session.release(
        &me,
        LockTag::Advisory { database: 5, key: 1 },
        LockMode::Exclusive,
        IN_TRANSACTION
    ));
    session.release_advisory(&me);
    assert_empty(world.locks);
}

/// Who waits is granted in order; who holds what a waiter needs goes before it.
#[test]
fn queues_are_ordered_as_postgresqls() {
    use LockMode::{AccessExclusive as X, AccessShare as R, Exclusive as E, Share as S};
    let world = World::new(16);
    let procs: Vec<_> = (0..4).map(|i| world.proc(i)).collect();
    let owner = |i: u32| OwnerIndex::new(i);
    let ask = |i: usize, mode| world.locks.request(&procs[i], owner(i as u32), KEY, mode, true).unwrap();
    let status = |i: u32| get(&world.locks.owner(owner(i)).wait_status);
    let noticed = |i: u32| set(&world.locks.owner(owner(i)).wait_status, 0);
    assert_eq!(ask(0, R), Outcome::Granted);
    assert_eq!(ask(1, X), Outcome::Queued);
    assert_eq!(ask(2, R), Outcome::Queued, "behind who wants all of it");
    assert_eq!(ask(0, S), Outcome::Granted, "before it, since that one waits for this one anyway");
    assert_eq!(world.locks.blockers_of(&procs[2], owner(2)), [owner(1)], "a soft block is a block");
    assert_eq!(world.locks.release(&procs[0], owner(0), KEY, S), Some(vec![]));
    assert_eq!(world.locks.release(&procs[0], owner(0), KEY, R), Some(vec![owner(1)]));
    noticed(1);
    assert_eq!(ask(0, E), Outcome::Queued);
    assert_eq!(world.locks.release(&procs[1], owner(1), KEY, X), Some(vec![owner(2), owner(0)]));
    noticed(0);
    noticed(2);
    // Two who hold and both want more: the second closes the circle, and is told so at once.
    assert_eq!(ask(0, X), Outcome::Queued);
    assert_eq!(ask(2, X), Outcome::Deadlock(owner(0), X));
    assert_eq!(world.locks.release(&procs[2], owner(2), KEY, R), Some(vec![owner(0)]));
    assert_eq!(status(0), 2);
    for i in 0..3 {
        world.locks.release_all_of(&procs[3], owner(i));
        world.locks.release_all_of(&procs[3], owner(i));
    }
    assert_empty(world.locks);
}

#[test]
fn prepared_transactions_keep_locks_and_give_them_back() {
    let world = World::new(16);
    let (me, mut session) = world.session(0);
    let mut other = world.session(1);
    session.acquire(&me, TABLE, LockMode::RowExclusive, IN_TRANSACTION, None).unwrap();
    session
        .acquire(&me, LockTag::Relation { database: 5, relation: 2 }, LockMode::Share, IN_TRANSACTION, None)
        .unwrap();
    session.acquire(&me, KEY, LockMode::Exclusive, Scope::Session, None).unwrap();
    let locks = session.locks_to_prepare(&me).unwrap();
    assert_eq!(locks.len(), 2);
    let to = OwnerIndex::new(PROCESSES as u32);
    session.hand_over(&me, &locks, to);
    session.release_all(&me);
    assert_eq!(try_acquire(&mut other, TABLE, LockMode::Share), Err(LockError::WouldBlock));
    let mut rows: Vec<_> = world.locks.rows(&me).into_iter().map(|r| (r.owner, r.pid, r.mode)).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(to, 0, LockMode::RowExclusive), (to, 0, LockMode::Share)]);
    world.locks.release_all_of(&me, to);
    assert_empty(world.locks);
    world.locks.restore(&me, to, &locks).unwrap();
    assert_eq!(try_acquire(&mut other, TABLE, LockMode::Share), Err(LockError::WouldBlock));
    world.locks.release_all_of(&me, to);
    assert_empty(world.locks);
}

#[test]
fn a_lock_of_session_and_transaction_cannot_be_prepared() {
    let world = World::new(16);
    let (me, mut session) = world.session(0);
    for scope in [Scope::Session, IN_TRANSACTION] {
        session.acquire(&me, KEY, LockMode::Exclusive, scope, None).unwrap();
    }
    let report = session.locks_to_prepare(&me).unwrap_err();
    assert_eq!(report.sqlstate.code(), "0A000");
}
