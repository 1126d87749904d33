//! Models: snapshots against commits, the horizon against snapshots, COMMITTING against who has met a later commit, ends
//! against waiting for them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use shmem_layout::{TransactionShared, TransactionSlot};

use super::locks::models::{GiveUp, Table};
use super::locks::{OwnerIndex, Wait};
use super::*;
use crate::ipc::Proc;
use crate::ipc::model_world::{World as Processes, spawn};
use crate::sync::Ordering::SeqCst;
use crate::sync::{AtomicU64, run_model, yield_now};

const FIRST: Xid = Xid::FIRST;
const IDS: usize = 4;

/// States in an array: a map whose pages are always there.
#[derive(Clone, Copy)]
struct PlainMap<'s>(&'s [AtomicU64]);

impl PlainMap<'_> {
    fn word(&self, xid: Xid) -> &AtomicU64 {
        &self.0[(xid.number() - FIRST.number()) as usize]
    }
}

impl StateMap for PlainMap<'_> {
    type Error = Infallible;

    fn load(&self, xid: Xid) -> Result<State, Infallible> {
        Ok(State::from_word(self.word(xid).load(SeqCst)))
    }

    fn store(&self, xid: Xid, state: State, _lsn: Lsn) -> Result<(), Infallible> {
        self.word(xid).store(state.to_word(), SeqCst);
        Ok(())
    }

    fn pin(&self, _xid: Xid, _owner: OwnerIndex) -> Result<(), Infallible> {
        Ok(())
    }

    fn store_pinned(&self, xid: Xid, state: State, lsn: Lsn) {
        let Ok(()) = self.store(xid, state, lsn);
    }
}

/// What the processes of a model share: states, slots, and a log whose records are one long.
struct Shared {
    shared: TransactionShared,
    slots: Vec<TransactionSlot>,
    map: Vec<AtomicU64>,
    inserted: AtomicU64,
    copied: [AtomicU64; 3],
    durable: AtomicU64,
}

impl Shared {
    fn new() -> Arc<Self> {
        let shared = Self {
            shared: TransactionShared::default(),
            slots: (0..3).map(|_| TransactionSlot::default()).collect(),
            map: (0..IDS).map(|_| AtomicU64::new(0)).collect(),
            inserted: AtomicU64::new(1),
            copied: std::array::from_fn(|_| AtomicU64::new(0)),
            durable: AtomicU64::new(1),
        };
        shared.words().start_at(FIRST);
        Arc::new(shared)
    }

    fn words(&self) -> TransactionWords<'_> {
        TransactionWords { shared: &self.shared, slots: &self.slots }
    }

    fn transactions<'a, 's>(&'s self, me: &'a Proc<'s>) -> Transactions<'a, 's, PlainMap<'s>> {
        Transactions::new(me, self.words(), PlainMap(&self.map))
    }

    fn durable(&self) -> Lsn {
        Lsn::new(self.durable.load(SeqCst))
    }

    /// Commits as `TransactionSession::commit` does, up to where row locks are released.
    fn commit(&self, transactions: &Transactions<'_, '_, PlainMap<'_>>, xid: Xid) -> Lsn {
        transactions.mark_committing(xid);
        let lsn = Lsn::new(self.inserted.fetch_add(1, SeqCst) + 1);
        transactions.stamp(xid, lsn, true);
        self.copied[lsn.bytes() as usize - 2].store(1, SeqCst);
        transactions.announce_end();
        lsn
    }

    /// Makes the log durable up to `lsn`: what is not copied yet is waited for.
    fn flush(&self, lsn: Lsn) {
        for copied in &self.copied[..lsn.bytes() as usize - 1] {
            while copied.load(SeqCst) == 0 {
                yield_now();
            }
        }
        self.durable.fetch_max(lsn.bytes(), SeqCst);
    }
}

fn begun(shared: &Shared, me: &Proc<'_>) -> Xid {
    let Ok(xid) = shared.transactions(me).assign();
    xid
}

fn shows(transactions: &Transactions<'_, '_, PlainMap<'_>>, snapshot: Snapshot, xid: Xid) -> bool {
    let Ok(shown) = transactions.shows(snapshot, xid);
    shown
}

/// A commit that was acknowledged before a snapshot was taken is visible in it, all of it; and what a snapshot shows stays
/// as it is.
#[test]
fn acknowledged_commits_are_visible_whole_and_for_ever() {
    run_model("txn::acknowledged_commits_are_visible_whole_and_for_ever", Some(2), 5_000, || {
        let (world, shared) = (Processes::new(3), Shared::new());
        let acknowledged = Arc::new(AtomicU64::new(0));
        let top = world.run(1, |_, me| begun(&shared, me));
        let Ok(part) = world.run(1, |_, me| shared.transactions(me).assign_child(top));
        let writer = {
            let (shared, acknowledged) = (Arc::clone(&shared), Arc::clone(&acknowledged));
            spawn(&world, 1, move |_, me| {
                let transactions = shared.transactions(me);
                let lsn = shared.commit(&transactions, top);
                let Ok(()) = transactions.stamp_children(&[part], State::Committed(lsn), lsn);
                shared.flush(lsn);
                acknowledged.store(1, SeqCst);
                transactions.forget();
            })
        };
        world.run(0, |_, me| {
            let transactions = shared.transactions(me);
            let is_acknowledged = acknowledged.load(SeqCst) == 1;
            let snapshot = transactions.take_snapshot(&|| shared.durable(), Lsn::INVALID, None);
            let first = shows(&transactions, snapshot, part);
            assert!(first || !is_acknowledged, "an acknowledged commit is not seen");
            assert_eq!(shows(&transactions, snapshot, top), first, "half of it is seen");
            writer.join().unwrap();
            assert_eq!(shows(&transactions, snapshot, part), first, "a snapshot changed");
        });
    });
}

/// Who has met a commit takes a snapshot that covers it, and so all commits before it in the log, those too that were not
/// stamped yet when it looked.
#[test]
fn who_has_met_a_commit_waits_for_those_before_it() {
    run_model("txn::who_has_met_a_commit_waits_for_those_before_it", Some(2), 5_000, || {
        let (world, shared) = (Processes::new(3), Shared::new());
        let one = world.run(1, |_, me| begun(&shared, me));
        let two = world.run(2, |_, me| begun(&shared, me));
        let writers: Vec<_> = [(1, one), (2, two)]
            .map(|(slot, xid)| {
                let shared = Arc::clone(&shared);
                spawn(&world, slot, move |_, me| {
                    shared.commit(&shared.transactions(me), xid);
                })
            })
            .into();
        world.run(0, |_, me| {
            let transactions = shared.transactions(me);
            let Ok(fate) = transactions.settled_fate(two);
            let met = if let Fate::Committed(lsn) = fate { lsn } else { Lsn::INVALID };
            let snapshot = transactions.take_snapshot(&|| shared.durable(), met, None);
            let shown = [one, two].map(|xid| shows(&transactions, snapshot, xid));
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            assert_eq!(
                [one, two].map(|xid| shows(&transactions, snapshot, xid)),
                shown,
                "a snapshot changed"
            );
        });
    });
}

/// No snapshot in use is older than a horizon that was computed while or before it was taken.
#[test]
fn the_horizon_is_no_younger_than_any_snapshot() {
    run_model("txn::the_horizon_is_no_younger_than_any_snapshot", Some(3), 5_000, || {
        let (world, shared) = (Processes::new(3), Shared::new());
        let log = {
            let shared = Arc::clone(&shared);
            spawn(&world, 2, move |_, _| {
                for lsn in [2, 3] {
                    shared.durable.store(lsn, SeqCst);
                }
            })
        };
        let reader = {
            let shared = Arc::clone(&shared);
            let world = Arc::clone(&world);
            crate::sync::thread::spawn(move || {
                world.run(1, |_, me| {
                    shared.transactions(me).take_snapshot(&|| shared.durable(), Lsn::INVALID, None)
                })
            })
        };
        let horizon = shared.words().horizon(&|| shared.durable());
        let snapshot = reader.join().unwrap();
        log.join().unwrap();
        assert!(horizon <= snapshot.lsn(), "{horizon} was thought dead, {} looks at it", snapshot.lsn());
    });
}

/// Ids below the oldest running one have ended, also while ids are being given out.
#[test]
fn no_id_is_given_out_below_the_oldest_running_one() {
    run_model("txn::no_id_is_given_out_below_the_oldest_running_one", Some(3), 5_000, || {
        let (world, shared) = (Processes::new(3), Shared::new());
        let others: Vec<_> = [1, 2]
            .map(|slot| {
                let (world, shared) = (Arc::clone(&world), Arc::clone(&shared));
                crate::sync::thread::spawn(move || world.run(slot, |_, me| begun(&shared, me)))
            })
            .into();
        let oldest = shared.words().oldest_running();
        for other in others {
            let xid = other.join().unwrap();
            assert!(oldest <= xid, "{xid} runs, and {oldest} was thought the oldest");
        }
    });
}

/// Who waits for a transaction's end is woken by it, however that and the wait meet.
#[test]
fn an_end_wakes_who_waits_for_it() {
    run_model("txn::an_end_wakes_who_waits_for_it", Some(2), 5_000, || {
        let (world, shared, table) = (Processes::new(2), Shared::new(), Table::new());
        let xid = world.run(1, |_, me| begun(&shared, me));
        let writer = {
            let shared = Arc::clone(&shared);
            spawn(&world, 1, move |_, me| {
                let transactions = shared.transactions(me);
                shared.commit(&transactions, xid);
                transactions.forget();
            })
        };
        world.run(0, |_, me| {
            let transactions = shared.transactions(me);
            let locks = table.session(me);
            let mut wait =
                Wait { lock_timeout: None, deadlock_timeout: Duration::from_secs(1), watcher: &mut GiveUp };
            let fate = transactions.wait_for_end(&locks, xid, &mut wait);
            assert_eq!(fate, Ok(Fate::Committed(Lsn::new(2))));
        });
        writer.join().unwrap();
    });
}
