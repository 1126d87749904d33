//! Models: weak against strong locks, a grant against giving up, a release against a request. A lost wake-up is a deadlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64 as PlainI64, Ordering as PlainOrdering};
use std::time::Duration;

use shmem_layout::{LockBucket, LockEntry, LockHolder, LockOwner, LockPartition, LockShared};

use super::table::get;
use super::*;
use crate::ipc::model_world::{World as Processes, spawn};
use crate::ipc::{Interrupts, Proc};
use crate::sync::{run_model, thread};

const TABLE: LockTag = LockTag::Relation { database: 5, relation: 1000 };
const KEY: LockTag = LockTag::Advisory { database: 5, key: 1 };

/// The lock table of a model, with owners for three processes, and holders as the model counts them.
pub(in crate::txn) struct Table {
    shared: LockShared,
    partitions: Vec<LockPartition>,
    buckets: Vec<LockBucket>,
    entries: Vec<LockEntry>,
    holders: Vec<LockHolder>,
    owners: Vec<LockOwner>,
    /// Sharers count up, who has it alone is -1.
    inside: PlainI64,
}

impl Table {
    pub(in crate::txn) fn new() -> Arc<Self> {
        Arc::new(Self {
            shared: LockShared::default(),
            partitions: vec![LockPartition::default()],
            buckets: vec![LockBucket::default()],
            entries: vec![LockEntry::default()],
            holders: (0..3).map(|_| LockHolder::default()).collect(),
            owners: (0..3).map(|_| LockOwner::default()).collect(),
            inside: PlainI64::new(0),
        })
    }

    pub(in crate::txn) fn session<'s>(&'s self, me: &Proc<'s>) -> LockSession<'s> {
        let locks = Locks {
            shared: &self.shared,
            partitions: &self.partitions,
            buckets: &self.buckets,
            entries: &self.entries,
            holders: &self.holders,
            owners: &self.owners,
        };
        LockSession::new(locks, me, 5)
    }

    fn enter(&self, alone: bool) {
        let before = if alone {
            self.inside.swap(-1, PlainOrdering::SeqCst)
        } else {
            self.inside.fetch_add(1, PlainOrdering::SeqCst)
        };
        assert!(if alone { before == 0 } else { before >= 0 }, "granted beside {before}");
    }

    fn leave(&self, alone: bool) {
        if alone {
            self.inside.store(0, PlainOrdering::SeqCst);
        } else {
            self.inside.fetch_sub(1, PlainOrdering::SeqCst);
        }
    }

    fn assert_empty(&self) {
        assert_eq!(get(&self.entries[0].class), 0, "an entry is left");
        assert_eq!(get(&self.shared.strong[0]), 0, "a strong count is left");
    }
}

/// Waits for ever, or until it is interrupted.
pub(in crate::txn) struct GiveUp;

impl Watcher for GiveUp {
    fn interrupted(&mut self, me: &Proc<'_>) -> bool {
        !me.take_interrupts(Interrupts::ALL).is_empty()
    }

    fn is_running(&self, _xid: u64) -> bool {
        false
    }
}

/// Takes a lock, with a wait or without, and gives it back. Whether it was got.
fn use_lock(table: &Table, me: &Proc<'_>, tag: LockTag, mode: LockMode, may_wait: bool) -> bool {
    let mut session = table.session(me);
    let mut watcher = GiveUp;
    let mut wait =
        Wait { lock_timeout: None, deadlock_timeout: Duration::from_secs(1), watcher: &mut watcher };
    let wait = may_wait.then_some(&mut wait);
    match session.acquire(me, tag, mode, Scope::Transaction(1), wait) {
        Ok(()) => {
            let alone = mode == LockMode::AccessExclusive;
            table.enter(alone);
            thread::yield_now();
            table.leave(alone);
            session.release_transaction(me);
            true
        }
        Err(error) => {
            assert!(matches!(error, LockError::WouldBlock | LockError::GivenUp), "{error:?}");
            false
        }
    }
}

/// Two processes and one lock; returns when both are done with it.
fn two(name: &str, tag: LockTag, modes: [LockMode; 2], may_wait: bool) {
    run_model(name, Some(2), 5_000, move || {
        let (world, table) = (Processes::new(2), Table::new());
        let other = {
            let table = Arc::clone(&table);
            spawn(&world, 1, move |_, me| {
                let got = use_lock(&table, me, tag, modes[1], may_wait);
                assert!(got || !may_wait);
            })
        };
        world.run(0, |_, me| {
            let got = use_lock(&table, me, tag, modes[0], may_wait);
            assert!(got || !may_wait);
        });
        other.join().unwrap();
        table.assert_empty();
    });
}

/// The weak one by the fast path, the strong one by the table: never both, and neither waits for nobody.
#[test]
fn weak_and_strong_exclude_each_other() {
    let modes = [LockMode::AccessExclusive, LockMode::AccessShare];
    two("locks::weak_and_strong_exclude_each_other", TABLE, modes, false);
}

#[test]
fn weak_and_strong_wait_for_each_other() {
    let modes = [LockMode::AccessExclusive, LockMode::RowExclusive];
    two("locks::weak_and_strong_wait_for_each_other", TABLE, modes, true);
}

#[test]
fn a_release_wakes_who_waits() {
    let modes = [LockMode::AccessExclusive, LockMode::AccessExclusive];
    two("locks::a_release_wakes_who_waits", KEY, modes, true);
}

/// Of two who want the lock one is told to give up; whoever gets it, nothing is left behind, and the other is not kept
/// waiting for a lock that its holder never knew it had.
#[test]
fn a_grant_that_meets_giving_up_is_kept_or_undone() {
    run_model("locks::a_grant_that_meets_giving_up_is_kept_or_undone", Some(2), 5_000, || {
        let (world, table) = (Processes::new(2), Table::new());
        let waiter = {
            let table = Arc::clone(&table);
            spawn(&world, 1, move |_, me| {
                use_lock(&table, me, KEY, LockMode::AccessExclusive, true);
            })
        };
        world.run(0, |world, me| {
            let mut session = table.session(me);
            let got = session.acquire(me, KEY, LockMode::AccessExclusive, Scope::Session, None);
            me.interrupt(world.slot(1), Interrupts::CANCEL);
            if got.is_ok() {
                session.release_all(me);
            }
        });
        waiter.join().unwrap();
        table.assert_empty();
    });
}
