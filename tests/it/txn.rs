//! Heavyweight locks and transactions between processes: waits, deadlocks, and deaths at named stop points and at random.

use std::cell::RefCell;
use std::time::Duration;

use tuskd::ipc::death::CleanUpError;
use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::ipc::{Interrupts, Proc, WaitEvent};
use tuskd::report::{Report, Result, SqlState};
use tuskd::sync::Ordering;
use tuskd::txn::cleanup::Remains;
use tuskd::txn::locks::{LockError, LockMode, LockSession, LockTag, OwnerIndex, Scope, Wait, Watcher};
use tuskd::txn::log::{CommitLog, RecordKind};
use tuskd::txn::map::{MapPage, MapStore, PagedMap, Words};
use tuskd::txn::snapshot::Durable;
use tuskd::txn::wait::WaitFailure;
use tuskd::txn::{Fate, Lsn, StateMap, Transactions, Xid};

use crate::harness::{Skip, Test, tests};
use crate::world::{Worker, World, eventually, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_lock_is_waited_for_and_handed_on,
    lock_timeout_and_interrupts_end_waits,
    two_processes_in_a_deadlock_lose_one,
    deadlocks_go_through_transactions,
    lock_holder_dies_at_every_point,
    a_waiter_dies_in_the_queue,
    a_waiter_dies_with_the_lock,
    a_releaser_dies_before_it_wakes,
    a_transactions_owner_dies,
    random_kills_leave_nothing_locked,
];

const TABLE: LockTag = LockTag::Relation { database: 5, relation: 1000 };
const KEY: LockTag = LockTag::Advisory { database: 5, key: 1 };
const OTHER: LockTag = LockTag::Advisory { database: 5, key: 2 };
const X: LockMode = LockMode::AccessExclusive;
const R: LockMode = LockMode::AccessShare;

fn need_stop_points() -> std::result::Result<(), Skip> {
    if cfg!(any(debug_assertions, feature = "stop-points")) {
        Ok(())
    } else {
        Err(Skip("this build has no stop points (--features stop-points)".into()))
    }
}

/// Nothing but numbers of the world: bytes inserted, bytes durable.
#[derive(Clone, Copy)]
struct Log(World);

impl Durable for Log {
    fn durable(&self) -> Lsn {
        Lsn::new(self.0.number(63).load(Ordering::SeqCst))
    }
}

impl CommitLog for Log {
    fn prepare(&mut self, _len: usize) -> Result<()> {
        Ok(())
    }

    fn insert(&mut self, _kind: RecordKind, record: &[u8], note: &mut dyn FnMut(Lsn)) -> Lsn {
        let len = record.len() as u64 + 1;
        let lsn = Lsn::new(self.0.number(62).fetch_add(len, Ordering::SeqCst) + len);
        note(lsn);
        lsn
    }

    fn flush(&mut self, lsn: Lsn) -> Result<()> {
        self.0.number(63).fetch_max(lsn.bytes(), Ordering::SeqCst);
        Ok(())
    }
}

/// A store that is never needed: the frames hold all pages of a test.
struct NoStore;

impl MapStore for NoStore {
    fn read(&self, _page: MapPage, _words: &mut Words) -> Result<bool> {
        Ok(false)
    }

    fn write(&self, page: MapPage, _words: &Words, _lsn: Lsn) -> Result<()> {
        Err(Report::error(SqlState::INTERNAL_ERROR, format!("{page:?} was evicted")))
    }

    fn drop_wide_below(&self, _xid: Xid) -> Result<()> {
        Ok(())
    }
}

type Transacting<'a> = Transactions<'a, 'static, PagedMap<'a, 'static, NoStore>>;

fn transactions<'a>(world: World, me: &'a Proc<'static>) -> Transacting<'a> {
    let (words, frames) = world.transactions();
    if words.next_xid() == Xid::FIRST {
        words.start_at(Xid::FIRST);
    }
    Transactions::new(me, words, PagedMap::new(me, words, frames, NoStore))
}

/// Gives a wait up at any interrupt.
struct GiveUp<'t, 'a>(Option<&'t Transacting<'a>>);

impl Watcher for GiveUp<'_, '_> {
    fn interrupted(&mut self, me: &Proc<'_>) -> bool {
        !me.take_interrupts(Interrupts::CANCEL).is_empty()
    }

    fn is_running(&self, xid: u64) -> bool {
        self.0.is_some_and(|transactions| transactions.is_running(xid))
    }
}

fn session(world: World, me: &Proc<'static>) -> LockSession<'static> {
    LockSession::new(world.locks(), me, 5)
}

/// Waits for a lock, with a deadlock timeout and perhaps a lock timeout in milliseconds.
fn acquire(
    session: &mut LockSession<'static>,
    me: &Proc<'static>,
    tag: LockTag,
    mode: LockMode,
    lock_timeout: Option<u64>,
) -> std::result::Result<(), LockError> {
    let mut wait = Wait {
        lock_timeout: lock_timeout.map(Duration::from_millis),
        deadlock_timeout: Duration::from_millis(50),
        watcher: &mut GiveUp(None),
    };
    session.acquire(me, tag, mode, Scope::Transaction(1), Some(&mut wait))
}

fn try_acquire(
    session: &mut LockSession<'static>,
    me: &Proc<'static>,
    tag: LockTag,
    mode: LockMode,
) -> std::result::Result<(), LockError> {
    session.acquire(me, tag, mode, Scope::Transaction(1), None)
}

/// A worker that takes a lock, counts in number 0, and keeps the lock until its latch is set.
fn holder(world: World, tag: LockTag, mode: LockMode) -> Worker {
    world.fork(|me| {
        let mut session = session(world, me);
        acquire(&mut session, me, tag, mode, None).expect("nobody interrupts");
        world.number(0).fetch_add(1, Ordering::SeqCst);
        me.latch().reset();
        me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
        session.release_transaction(me);
    })
}

/// A worker that takes a lock, counts in number 0, and ends.
fn passer(world: World, tag: LockTag, mode: LockMode) -> Worker {
    world.fork(|me| {
        let mut session = session(world, me);
        acquire(&mut session, me, tag, mode, None).expect("nobody interrupts");
        world.number(0).fetch_add(1, Ordering::SeqCst);
        session.release_transaction(me);
    })
}

fn wait_for_count(world: World, count: u64) {
    eventually(|| world.number(0).load(Ordering::SeqCst) == count);
}

/// Cleans up after a dead worker, twice, since a cleaner may be repeated.
fn bury(world: World, me: &Proc<'static>, dead: &Worker) {
    world.bury(dead);
    world.clean_up(me, dead).expect("outside critical sections");
    for _ in 0..2 {
        world.locks().release_all_of(me, OwnerIndex::of_process(dead.id.slot()));
    }
}

fn assert_nothing_locked(world: World, me: &Proc<'static>) {
    assert_eq!(world.locks().rows(me), [], "something is locked still");
    let mut session = session(world, me);
    for tag in [TABLE, KEY, OTHER] {
        try_acquire(&mut session, me, tag, X).expect("nobody has it");
        session.release_transaction(me);
        try_acquire(&mut session, me, tag, R).expect("nobody has it");
        let fast = world.locks().rows(me).iter().any(|row| row.fast_path);
        assert_eq!(fast, tag == TABLE, "a strong count is left");
        session.release_transaction(me);
    }
}

fn a_lock_is_waited_for_and_handed_on() {
    for tag in [TABLE, KEY] {
        let world = World::new();
        let me = world.join();
        let mut own = session(world, &me);
        try_acquire(&mut own, &me, tag, R).unwrap();
        let writer = passer(world, tag, X);
        world.wait_until_waiting(&writer, tag.wait_event());
        let reader = passer(world, tag, R);
        world.wait_until_waiting(&reader, tag.wait_event());
        let slot = OwnerIndex::of_process(writer.id.slot());
        assert_eq!(world.locks().blockers_of(&me, slot), [own.owner()]);
        let waiting = world.locks().rows(&me).into_iter().filter(|row| !row.granted).count();
        assert_eq!(waiting, 2, "the reader waits behind the writer");
        own.release_transaction(&me);
        wait_for_count(world, 2);
        [writer, reader].into_iter().for_each(|worker| world.reap(worker));
        assert_nothing_locked(world, &me);
    }
}

fn lock_timeout_and_interrupts_end_waits() {
    let world = World::new();
    let me = world.join();
    let mut own = session(world, &me);
    try_acquire(&mut own, &me, KEY, X).unwrap();
    let late = world.fork(|me| {
        let mut session = session(world, me);
        assert_eq!(acquire(&mut session, me, KEY, R, Some(120)), Err(LockError::TimedOut));
    });
    world.reap(late);
    let cancelled = world.fork(|me| {
        let mut session = session(world, me);
        assert_eq!(acquire(&mut session, me, KEY, R, None), Err(LockError::GivenUp));
        assert!(!session.holds(KEY, R));
    });
    world.wait_until_waiting(&cancelled, WaitEvent::LOCK_ADVISORY);
    me.interrupt(cancelled.id.slot(), Interrupts::CANCEL);
    world.reap(cancelled);
    own.release_all(&me);
    assert_nothing_locked(world, &me);
}

fn two_processes_in_a_deadlock_lose_one() {
    let world = World::new();
    let me = world.join();
    let crosswise = |first, second, own: usize| {
        move |me: &Proc<'static>| {
            let mut session = session(world, me);
            acquire(&mut session, me, first, X, None).expect("free");
            world.number(own).store(1, Ordering::SeqCst);
            eventually(|| world.number(3 - own).load(Ordering::SeqCst) == 1);
            match acquire(&mut session, me, second, X, None) {
                Ok(()) => world.number(3).fetch_add(1, Ordering::SeqCst),
                Err(LockError::Deadlock(deadlock)) => {
                    assert_eq!(deadlock.links.len(), 2);
                    world.number(4).fetch_add(1, Ordering::SeqCst)
                }
                Err(error) => panic!("{error:?}"),
            };
            session.release_transaction(me);
        }
    };
    let workers = [world.fork(crosswise(KEY, OTHER, 1)), world.fork(crosswise(OTHER, KEY, 2))];
    workers.into_iter().for_each(|worker| world.reap(worker));
    assert_eq!([3, 4].map(|i| world.number(i).load(Ordering::SeqCst)), [1, 1]);
    assert_nothing_locked(world, &me);
}

/// One waits for a lock of the other, which waits for the first one's transaction.
fn deadlocks_go_through_transactions() {
    let world = World::new();
    let me = world.join();
    let (words, _) = world.transactions();
    words.start_at(Xid::FIRST);
    let writer = world.fork(|me| {
        let transactions = transactions(world, me);
        let xid = transactions.assign().expect("room");
        world.number(1).store(xid.number(), Ordering::SeqCst);
        eventually(|| world.number(2).load(Ordering::SeqCst) == 1);
        let mut session = session(world, me);
        let mut watcher = GiveUp(Some(&transactions));
        let mut wait =
            Wait { lock_timeout: None, deadlock_timeout: Duration::from_secs(60), watcher: &mut watcher };
        // The other is the one that looks first, and gives up.
        session.acquire(me, KEY, X, Scope::Transaction(1), Some(&mut wait)).expect("the other gave up");
        session.release_transaction(me);
        StateMap::store(transactions.map(), xid, tuskd::txn::State::Aborted, Lsn::INVALID).expect("room");
        transactions.announce_end();
        transactions.forget();
    });
    eventually(|| world.number(1).load(Ordering::SeqCst) != 0);
    let xid = Xid::new(world.number(1).load(Ordering::SeqCst)).expect("an id");
    let (writer_pid, expected_xid) = (writer.child.pid.as_raw_nonzero().get() as u32, xid);
    let other = world.fork(|me| {
        me.slot().pid.store(std::process::id(), Ordering::SeqCst);
        let transactions = transactions(world, me);
        let mut session = session(world, me);
        try_acquire(&mut session, me, KEY, X).expect("free");
        world.number(2).store(1, Ordering::SeqCst);
        eventually(|| world.locks().rows(me).iter().any(|row| !row.granted));
        let mut watcher = GiveUp(Some(&transactions));
        let mut wait =
            Wait { lock_timeout: None, deadlock_timeout: Duration::from_millis(50), watcher: &mut watcher };
        let failure = transactions.wait_for_end(&session, xid, &mut wait).expect_err("a deadlock");
        let WaitFailure::Lock(LockError::Deadlock(deadlock)) = failure else { panic!("{failure:?}") };
        let text = deadlock.to_string();
        let first = format!("waits for ShareLock on transaction {expected_xid}; blocked by process ");
        assert!(text.contains(&first), "{text}");
        assert!(text.contains("waits for AccessExclusiveLock on advisory lock [5,0,1,1]"), "{text}");
        session.release_transaction(me);
        let fate = {
            let mut wait =
                Wait { lock_timeout: None, deadlock_timeout: Duration::from_secs(60), watcher: &mut watcher };
            transactions.wait_for_end(&session, xid, &mut wait)
        };
        assert_eq!(fate, Ok(Fate::Aborted));
    });
    assert_ne!(writer_pid, 0);
    [writer, other].into_iter().for_each(|worker| world.reap(worker));
    assert_nothing_locked(world, &me);
}

fn lock_holder_dies_at_every_point() -> std::result::Result<(), Skip> {
    need_stop_points()?;
    let cases = [
        (StopPoint::LockFastPathTaken, TABLE, R),
        (StopPoint::LockStrongCounted, TABLE, X),
        (StopPoint::LockGranted, TABLE, X),
        (StopPoint::LockGranted, KEY, R),
        (StopPoint::LwLockTaken, KEY, X),
        (StopPoint::LwLockHeld, TABLE, X),
        (StopPoint::LwLockWoken, KEY, X),
    ];
    for (point, tag, mode) in cases {
        let world = World::new();
        let me = world.join();
        world.ipc.stop_points().arm(point, Action::Kill, None, 0);
        let dead = world.fork(|me| {
            let mut session = session(world, me);
            let _ = try_acquire(&mut session, me, tag, mode);
            unreachable!("it was to die at {point:?}");
        });
        assert!(world.ipc.stop_points().wait_for_hit(point, soon(10)), "{point:?} was never passed");
        bury(world, &me, &dead);
        assert_nothing_locked(world, &me);
    }
    Ok(())
}

/// Behind the dead waiter, which wanted all of it, waits one who only wants to share.
fn a_waiter_dies_in_the_queue() -> std::result::Result<(), Skip> {
    need_stop_points()?;
    for tag in [TABLE, KEY] {
        let world = World::new();
        let me = world.join();
        let mut own = session(world, &me);
        try_acquire(&mut own, &me, tag, R).unwrap();
        world.ipc.stop_points().arm(StopPoint::LockQueued, Action::Kill, None, 0);
        let dead = passer(world, tag, X);
        assert!(world.ipc.stop_points().wait_for_hit(StopPoint::LockQueued, soon(10)));
        let reader = passer(world, tag, R);
        world.wait_until_waiting(&reader, tag.wait_event());
        bury(world, &me, &dead);
        world.reap(reader);
        own.release_transaction(&me);
        assert_nothing_locked(world, &me);
    }
    Ok(())
}

fn a_waiter_dies_with_the_lock() -> std::result::Result<(), Skip> {
    need_stop_points()?;
    let world = World::new();
    let me = world.join();
    let mut own = session(world, &me);
    try_acquire(&mut own, &me, KEY, X).unwrap();
    let dead = passer(world, KEY, X);
    world.wait_until_waiting(&dead, WaitEvent::LOCK_ADVISORY);
    let next = passer(world, KEY, X);
    world.wait_until_waiting(&next, WaitEvent::LOCK_ADVISORY);
    world.ipc.stop_points().arm(StopPoint::LockAfterSleep, Action::Kill, Some(dead.id.slot()), 0);
    own.release_transaction(&me);
    assert!(world.ipc.stop_points().wait_for_hit(StopPoint::LockAfterSleep, soon(10)));
    bury(world, &me, &dead);
    world.reap(next);
    assert_nothing_locked(world, &me);
    Ok(())
}

fn a_releaser_dies_before_it_wakes() -> std::result::Result<(), Skip> {
    need_stop_points()?;
    let world = World::new();
    let me = world.join();
    let dead = holder(world, KEY, X);
    wait_for_count(world, 1);
    // It looks for deadlocks never, so that only a wake-up can end its sleep.
    let next = world.fork(|me| {
        let mut session = session(world, me);
        let mut wait = Wait {
            lock_timeout: None,
            deadlock_timeout: Duration::from_secs(3600),
            watcher: &mut GiveUp(None),
        };
        session.acquire(me, KEY, X, Scope::Transaction(1), Some(&mut wait)).expect("nobody interrupts");
        session.release_transaction(me);
    });
    world.wait_until_waiting(&next, WaitEvent::LOCK_ADVISORY);
    world.ipc.stop_points().arm(StopPoint::LockReleasedBeforeWake, Action::Kill, Some(dead.id.slot()), 0);
    me.set_latch(dead.id.slot());
    assert!(world.ipc.stop_points().wait_for_hit(StopPoint::LockReleasedBeforeWake, soon(10)));
    bury(world, &me, &dead);
    world.reap(next);
    assert_nothing_locked(world, &me);
    Ok(())
}

fn a_transactions_owner_dies() {
    let world = World::new();
    let me = world.join();
    let (words, _) = world.transactions();
    words.start_at(Xid::FIRST);
    let writer = world.fork(|me| {
        let xid = transactions(world, me).assign().expect("room");
        world.number(1).store(xid.number(), Ordering::SeqCst);
        me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
    });
    eventually(|| world.number(1).load(Ordering::SeqCst) != 0);
    let xid = Xid::new(world.number(1).load(Ordering::SeqCst)).expect("an id");
    let waiter = world.fork(|me| {
        let transactions = transactions(world, me);
        let session = session(world, me);
        let mut wait = Wait {
            lock_timeout: None,
            deadlock_timeout: Duration::from_secs(3600),
            watcher: &mut GiveUp(None),
        };
        let fate = transactions.wait_for_end(&session, xid, &mut wait);
        assert_eq!(fate, Ok(Fate::Aborted));
    });
    world.wait_until_waiting(&waiter, WaitEvent::LOCK_TRANSACTION);
    writer.child.pidfd.send_signal(rustix::process::Signal::KILL).expect("our child");
    bury(world, &me, &writer);
    let dead = OwnerIndex::of_process(writer.id.slot());
    let transactions = transactions(world, &me);
    let mut log = Log(world);
    for expected in [Remains::Aborted(xid), Remains::Nothing] {
        assert_eq!(transactions.end_for_the_dead(&mut log, dead, 0), Ok(expected));
    }
    world.reap(waiter);
}

/// Workers take locks at random; some are killed at random. Who is alone is alone, and in the end nothing is locked.
fn random_kills_leave_nothing_locked() {
    const WORKERS: usize = 5;
    const KILLS: usize = 30;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut cleaned = 0;
    let mut kills = 0;
    while kills < KILLS {
        let world = World::new();
        let me = world.join();
        let workers = RefCell::new(Vec::new());
        let start = |seed| workers.borrow_mut().push(world.fork(|me| hammer(world, me, seed)));
        (0..WORKERS).for_each(|_| start(draw(u64::MAX)));
        let mut is_broken = false;
        while kills < KILLS && !is_broken {
            std::thread::sleep(Duration::from_micros(200 + draw(3000)));
            let victim = workers.borrow_mut().swap_remove(draw(WORKERS as u64) as usize);
            kills += 1;
            world.kill(&victim);
            match world.clean_up(&me, &victim) {
                Ok(_) => {
                    let tag = u64::from(victim.id.slot().tag());
                    for number in 0..3 {
                        let _ =
                            world.number(number).compare_exchange(tag, 0, Ordering::SeqCst, Ordering::SeqCst);
                    }
                    world.locks().release_all_of(&me, OwnerIndex::of_process(victim.id.slot()));
                    cleaned += 1;
                    start(draw(u64::MAX));
                }
                // What a crash restart is for; the next world is that.
                Err(CleanUpError::InCriticalSection) => is_broken = true,
                Err(error) => panic!("{error}"),
            }
        }
        if is_broken {
            for worker in workers.into_inner() {
                world.kill(&worker);
            }
            continue;
        }
        world.number(10).store(1, Ordering::SeqCst);
        workers.into_inner().into_iter().for_each(|worker| world.reap(worker));
        assert_nothing_locked(world, &me);
    }
    assert!(cleaned * 2 > KILLS, "only {cleaned} of {KILLS} deaths could be cleaned up after");
}

/// Takes and gives back locks until number 10 is set. Numbers 0 to 2 name who has a lock alone.
fn hammer(world: World, me: &Proc<'static>, seed: u64) {
    let mut session = session(world, me);
    let tag = u64::from(me.id().slot().tag());
    let mut random = seed | 1;
    while world.number(10).load(Ordering::SeqCst) == 0 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let which = (random >> 33) as usize % 3;
        let is_alone = random >> 60 < 6;
        let mode = if is_alone { X } else { R };
        match acquire(&mut session, me, [TABLE, KEY, OTHER][which], mode, None) {
            Ok(()) => {}
            Err(LockError::Deadlock(_)) => {
                session.release_transaction(me);
                continue;
            }
            Err(error) => panic!("{error:?}"),
        }
        if is_alone {
            let before = world.number(which).swap(tag, Ordering::SeqCst);
            assert!(before == 0 || before == tag, "slot tag {before} is here too");
            std::thread::yield_now();
            world.number(which).store(0, Ordering::SeqCst);
        } else {
            // Alone or with others who share; nobody but this process itself can have it alone.
            let holder = world.number(which).load(Ordering::SeqCst);
            assert!(holder == 0 || holder == tag, "slot tag {holder} has it alone");
        }
        if random >> 40 & 3 == 0 {
            session.release_transaction(me);
        }
    }
    session.release_transaction(me);
}
