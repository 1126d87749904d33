//! The protocols between processes, each at the moment that would break a careless version: somebody is stopped there, or
//! dies there, while somebody else does what must wait, or must not.

use std::collections::HashMap;
use std::time::Duration;

use tuskd::access::Store;
use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::os::file::Files;
use tuskd::sync::Ordering;
use tuskd::txn::cleanup::Remains;
use tuskd::txn::session::{CommitOptions, Isolation};
use tuskd::wal::SyncMethod;

use super::bank::{Bank, START, made_from};
use super::store_world::{DataDirectory, StoreWorld, Style, Worker};
use crate::harness::{Skip, Test, tests};
use crate::world::{eventually, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_flush_waits_for_who_has_its_place_before: 120,
    a_checkpoint_waits_for_a_commit_with_its_place: 120,
    early_release_tells_nobody_what_is_not_durable: 120,
    a_snapshot_keeps_what_it_sees_from_vacuum: 120,
    a_cleaner_completes_or_rolls_back: 120,
];

const STYLE: Style = Style { method: SyncMethod::Fdatasync, buffers: 256 };

/// The transfer that everything is about: by whom, and which.
const KEY: (i64, i64) = (9, 1);
const AMOUNT: i64 = 7;

/// Words: the worker is about to end its transaction; it may; somebody else is done.
const AT_END: usize = 0;
const GO_ON: usize = 1;
const DONE: usize = 2;

fn set(world: StoreWorld, word: usize) {
    world.words[word].store(1, Ordering::SeqCst);
}

fn is_set(world: StoreWorld, word: usize) -> bool {
    world.words[word].load(Ordering::SeqCst) != 0
}

/// A world with a bank in it.
struct Scene {
    directory: DataDirectory,
    world: StoreWorld,
    store: &'static Store<'static>,
    bank: Bank,
}

impl Scene {
    fn new(name: &str) -> Result<Self, Skip> {
        if !cfg!(any(debug_assertions, feature = "stop-points")) {
            return Err(Skip("this build has no stop points (--features stop-points)".into()));
        }
        let directory = DataDirectory::new(name);
        let (world, store) = recovered(&directory);
        let mut bank = Bank::new(store, world.session(store));
        bank.open_for_business();
        Ok(Self { directory, world, store, bank })
    }

    /// Forks one that does the transfer, and waits before its end.
    fn fork_transfer(&self, commits: bool) -> Worker {
        let world = self.world;
        let worker = world.fork(move |store| {
            let mut bank = Bank::new(store, world.session(store));
            bank.begin();
            transfer(&mut bank);
            set(world, AT_END);
            eventually(|| is_set(world, GO_ON));
            let ended = if commits { bank.commit() } else { bank.abort() };
            ended.unwrap_or_else(|e| panic!("{e}"));
        });
        eventually(|| is_set(world, AT_END));
        worker
    }

    /// Stops the worker at a point of its transaction's end.
    fn stop_at(&self, point: StopPoint, action: Action, worker: &Worker) {
        let points = self.world.ipc.stop_points();
        points.arm(point, action, Some(worker.id.slot()), 0);
        set(self.world, GO_ON);
        assert!(points.wait_for_hit(point, soon(20)), "{point:?} was never passed");
    }

    fn let_go(&self, point: StopPoint) {
        self.world.ipc.stop_points().release(point);
    }

    /// What a statement that begins now sees of an account.
    fn balance(&mut self, account: i64) -> i64 {
        self.bank.begin();
        let view = self.bank.view().unwrap_or_else(|e| panic!("{e}"));
        let balance = self.bank.balance(account, view);
        self.bank.abort().unwrap_or_else(|e| panic!("{e}"));
        balance
    }

    /// Everybody is gone; whether a start over the directory has the transfer, all of it.
    fn has_transfer_behind_a_crash(&self) -> bool {
        let (world, store) = recovered(&self.directory);
        Bank::new(store, world.session(store)).audit(&HashMap::new()).contains(&KEY)
    }
}

fn recovered(directory: &DataDirectory) -> (StoreWorld, &'static Store<'static>) {
    let world = StoreWorld::new(&directory.0, STYLE, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    (world, store)
}

fn transfer(bank: &mut Bank) {
    for (account, amount) in [(0, -AMOUNT), (1, AMOUNT)] {
        assert!(bank.add(account, amount, None).unwrap_or_else(|e| panic!("{e}")), "nobody else is there");
    }
    bank.note(KEY, 0, 1, AMOUNT, &made_from(1, 10)).unwrap_or_else(|e| panic!("{e}"));
}

/// Does not come true for a while, though nothing but the protocol is in its way.
fn stays_unset(world: StoreWorld, word: usize) {
    for _ in 0..40 {
        assert!(!is_set(world, word), "it did not wait");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// *Insertion against flush*: a record behind a place that is reserved and not copied is not durable, whatever is written.
fn a_flush_waits_for_who_has_its_place_before() -> Result<(), Skip> {
    let scene = Scene::new("flush")?;
    let world = scene.world;
    let first = scene.fork_transfer(true);
    scene.stop_at(StopPoint::WalReserved, Action::Pause, &first);
    let second = world.fork(move |store| {
        let mut bank = Bank::new(store, world.session(store));
        bank.begin();
        bank.session.transaction.xid().unwrap_or_else(|e| panic!("{e}"));
        bank.commit().unwrap_or_else(|e| panic!("{e}"));
        set(world, DONE);
    });
    stays_unset(world, DONE);
    scene.let_go(StopPoint::WalReserved);
    [first, second].into_iter().for_each(|worker| world.reap(worker));
    assert!(is_set(world, DONE) && scene.has_transfer_behind_a_crash());
    Ok(())
}

/// *Commit against checkpoint*: a commit whose place lies before the redo position is in the transaction map before the
/// checkpoint writes that, since nobody replays its record.
fn a_checkpoint_waits_for_a_commit_with_its_place() -> Result<(), Skip> {
    let scene = Scene::new("checkpoint")?;
    let world = scene.world;
    let committer = scene.fork_transfer(true);
    scene.stop_at(StopPoint::WalReserved, Action::Pause, &committer);
    let checkpointer = world.fork(move |store| {
        world.checkpoint(store);
        set(world, DONE);
    });
    stays_unset(world, DONE);
    scene.let_go(StopPoint::WalReserved);
    [committer, checkpointer].into_iter().for_each(|worker| world.reap(worker));
    assert!(scene.has_transfer_behind_a_crash(), "an acknowledged commit is lost");
    Ok(())
}

/// *Early release against reading, and `dep`*: another may change the rows at once; its snapshots have what it met; and nothing
/// may be said of that, nor is it shown to anybody else, before it is durable.
fn early_release_tells_nobody_what_is_not_durable() -> Result<(), Skip> {
    let mut scene = Scene::new("release")?;
    let world = scene.world;
    let first = scene.fork_transfer(true);
    scene.stop_at(StopPoint::CommitReleased, Action::Pause, &first);
    assert_eq!(scene.balance(0), START, "somebody sees what is not durable");
    let second = world.fork(move |store| {
        let mut bank = Bank::new(store, world.session(store));
        bank.begin();
        // The first try meets the commit, the next one's snapshot has it.
        let tries = (0..3).find(|_| bank.add(0, 0, None).unwrap_or_else(|e| panic!("{e}")));
        assert!(tries.is_some(), "the row is locked, or what was met is not seen");
        let view = bank.view().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(bank.balance(0, view), START - AMOUNT);
        let needed = bank.session.transaction.durable_before_answer().expect("nothing may be said yet");
        assert!(needed.bytes() > store.engine.wal.durable().bytes());
        bank.session.transaction.make_answerable().unwrap_or_else(|e| panic!("{e}"));
        assert!(needed.bytes() <= store.engine.wal.durable().bytes());
        bank.abort().unwrap_or_else(|e| panic!("{e}"));
    });
    world.reap(second);
    assert_eq!(scene.balance(0), START - AMOUNT, "it is durable now");
    scene.let_go(StopPoint::CommitReleased);
    world.reap(first);
    assert!(scene.has_transfer_behind_a_crash());
    Ok(())
}

/// *Snapshot against vacuum*: what an old snapshot shows stays, however often it is written over and cleaned.
fn a_snapshot_keeps_what_it_sees_from_vacuum() -> Result<(), Skip> {
    let mut scene = Scene::new("vacuum")?;
    let world = scene.world;
    let reader = world.fork(move |store| {
        let mut bank = Bank::new(store, world.session(store));
        bank.session.transaction.begin(Isolation::RepeatableRead, false);
        let view = bank.view().unwrap_or_else(|e| panic!("{e}"));
        set(world, AT_END);
        for round in 0.. {
            for account in [0, 1, 2] {
                assert_eq!(bank.balance(account, view), START, "round {round}");
            }
            if is_set(world, DONE) {
                break;
            }
        }
        bank.abort().unwrap_or_else(|e| panic!("{e}"));
    });
    eventually(|| is_set(world, AT_END));
    for _ in 0..20 {
        for account in [0, 1, 2] {
            scene.bank.begin();
            assert!(scene.bank.add(account, 1, None).unwrap_or_else(|e| panic!("{e}")));
            scene.bank.commit().unwrap_or_else(|e| panic!("{e}"));
        }
        scene.bank.vacuum();
    }
    set(world, DONE);
    world.reap(reader);
    assert_eq!(scene.balance(0), START + 20);
    Ok(())
}

/// Where a transaction's owner dies, how the transaction ends, and what becomes of it; `None`: a crash restart's.
const DEATHS: [(StopPoint, bool, Option<bool>); 9] = [
    (StopPoint::CommitMarked, true, None),
    (StopPoint::WalReserved, true, None),
    (StopPoint::WalInserted, true, None),
    (StopPoint::CommitReleased, true, Some(true)),
    (StopPoint::WalLed, true, Some(true)),
    (StopPoint::WalFlightTaken, true, Some(true)),
    (StopPoint::WalFlightWritten, true, Some(true)),
    (StopPoint::CommitDurable, true, Some(true)),
    (StopPoint::AbortLogged, false, Some(false)),
];

/// *Cleaner against commit*: a transaction whose record is in the log is completed, any other rolled back; who waits for it is
/// woken, and a start comes to the same end.
fn a_cleaner_completes_or_rolls_back() -> Result<(), Skip> {
    for (point, commits, expected) in DEATHS {
        let mut scene = Scene::new("cleaner")?;
        let world = scene.world;
        let dead = scene.fork_transfer(commits);
        let waiter = world.fork(move |store| {
            let mut bank = Bank::new(store, world.session(store));
            bank.begin();
            // A lock timeout is no end of the wait.
            while !bank.add(0, 0, None).unwrap_or_else(|e| panic!("{e}")) {}
            let options = CommitOptions { synchronous: true, ..CommitOptions::default() };
            bank.session.transaction.commit(options).unwrap_or_else(|e| panic!("{e}"));
            set(world, DONE);
        });
        scene.stop_at(point, Action::Kill, &dead);
        let remains = world.clean_up(scene.store, &dead);
        let Some(is_there) = expected else {
            assert_eq!(remains, None, "{point:?} is in a critical section");
            world.kill(&waiter);
            // Its place in the log was never filled, or all of it is there.
            assert!(!scene.has_transfer_behind_a_crash() || point == StopPoint::WalInserted, "{point:?}");
            continue;
        };
        let is_complete = matches!(remains, Some(Remains::ToComplete(..)));
        assert_eq!(is_complete, is_there, "{point:?}: {remains:?}");
        eventually(|| is_set(world, DONE));
        world.reap(waiter);
        assert_eq!(scene.balance(0), if is_there { START - AMOUNT } else { START }, "{point:?}");
        assert_eq!(scene.bank.audit(&HashMap::new()).contains(&KEY), is_there, "{point:?}");
        assert_eq!(scene.has_transfer_behind_a_crash(), is_there, "{point:?}");
    }
    Ok(())
}
