//! Deaths at named stop points while a page is pinned, put in, read, written or added: afterwards every buffer is usable
//! again, every page is what it was, and nobody stays asleep.

use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::ipc::{Proc, WaitEvent};
use tuskd::storage::{ReadOptions, StorageSession};
use tuskd::sync::Ordering;

use super::{FORK, Pool, tag, word_at};
use crate::harness::{Skip, Test, tests};
use crate::world::{Worker, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_reader_dies_at_every_point: 120,
    a_writer_dies_at_every_point: 120,
    an_extender_dies_at_every_point: 120,
    a_reader_dies_under_one_who_waits_for_the_page,
    a_pin_s_death_wakes_who_waits_for_sole_use,
    a_pin_s_death_leaves_the_pins_of_others,
];

const BUFFERS: usize = 16;
const PAGES: u32 = 40;

fn need_stop_points() -> Result<(), Skip> {
    if cfg!(any(debug_assertions, feature = "stop-points")) {
        Ok(())
    } else {
        Err(Skip("this build has no stop points (--features stop-points)".into()))
    }
}

/// A pool the buffers of which are all in use, and a relation whose pages say their numbers.
fn full_pool(me: &Proc<'_>, pool: Pool) {
    let session = pool.session(me);
    Pool::make_relation(&session, PAGES, 1);
    for block in 0..PAGES {
        set_number(&session, block, 1000 + u64::from(block));
    }
}

fn set_number(session: &StorageSession<'_>, block: u32, number: u64) {
    let mut page = session.read(tag(block)).expect("it is there").lock_exclusive();
    page.mark_dirty();
    let at = word_at(page.page(), 0);
    page.page_mut().put_u64(at, number);
}

fn number(session: &StorageSession<'_>, block: u32) -> u64 {
    let page = session.read(tag(block)).expect("it is there").lock_shared();
    page.page().u64_at(word_at(page.page(), 0))
}

/// A worker that dies at `point` in `work`.
fn dies_at(pool: Pool, point: StopPoint, work: impl FnOnce(&StorageSession<'_>)) -> Worker {
    pool.world.ipc.stop_points().arm(point, Action::Kill, None, 0);
    let worker = pool.world.fork(|me| work(&pool.session(me)));
    assert!(pool.world.ipc.stop_points().wait_for_hit(point, soon(10)), "{point:?} was never passed");
    pool.world.bury(&worker);
    worker
}

/// Every page can be read, and all buffers can be pinned at once, each by itself.
fn check(session: &StorageSession<'_>, what: impl Fn(u32) -> u64, context: &str) {
    for status in session.buffer_statuses() {
        assert_eq!(status.pins, 0, "{context}: {status:?}");
    }
    for block in 0..PAGES {
        assert_eq!(number(session, block), what(block), "{context}: block {block}");
    }
    let pins: Vec<_> = (0..BUFFERS as u32).map(|block| session.read(tag(block))).collect();
    assert!(pins.iter().all(Result::is_ok), "{context}: not all buffers are usable");
    let sole = pins.into_iter().flatten().all(|pin| pin.try_lock_for_cleanup().is_some());
    assert!(sole, "{context}: a pin or a lock was left");
}

fn a_reader_dies_at_every_point() -> Result<(), Skip> {
    need_stop_points()?;
    for point in [
        StopPoint::BufferPinned,
        StopPoint::BufferUnpinned,
        StopPoint::BufferUntagged,
        StopPoint::BufferClaimed,
        StopPoint::BufferLinked,
        StopPoint::BufferReadBegun,
        StopPoint::BufferReadDone,
    ] {
        let pool = Pool::new(BUFFERS, vec![]);
        let me = pool.world.join();
        full_pool(&me, pool);
        for _ in 0..3 {
            let dead = dies_at(pool, point, |session| {
                for block in (0..PAGES).rev() {
                    number(session, block);
                }
            });
            pool.clean_up(&me, &dead);
        }
        check(&pool.session(&me), |block| 1000 + u64::from(block), &format!("{point:?}"));
        pool.remove();
    }
    Ok(())
}

fn a_writer_dies_at_every_point() -> Result<(), Skip> {
    need_stop_points()?;
    for point in [
        StopPoint::BufferWriteBegun,
        StopPoint::BufferWritten,
        StopPoint::SyncEntryFilled,
        StopPoint::BufferSyncNoted,
        StopPoint::FileSynced,
    ] {
        let pool = Pool::new(BUFFERS, vec![]);
        let me = pool.world.join();
        full_pool(&me, pool);
        {
            // What is dirty from here on is what the worker changes.
            let session = pool.session(&me);
            session.flush_relation(FORK.file).expect("the disk works");
            session.files().sync_all().expect("the disk works");
        }
        let dead = dies_at(pool, point, |session| {
            set_number(session, 3, 7);
            session.flush_relation(FORK.file).expect("the disk works");
            session.files().sync_all().expect("the disk works");
        });
        pool.clean_up(&me, &dead);
        let session = pool.session(&me);
        // Whatever was not said to be clean is written again, and what is written waits to be synced.
        session.flush_relation(FORK.file).expect("the disk works");
        let is_synced = point == StopPoint::FileSynced;
        assert!(is_synced || session.files().sync_all().expect("the disk works").files > 0, "{point:?}");
        session.discard_relation(FORK.file).expect("nobody uses it");
        check(&session, |block| if block == 3 { 7 } else { 1000 + u64::from(block) }, &format!("{point:?}"));
        pool.remove();
    }
    Ok(())
}

fn an_extender_dies_at_every_point() -> Result<(), Skip> {
    need_stop_points()?;
    for (point, added) in
        [(StopPoint::BufferClaimed, 0), (StopPoint::BufferLinked, 0), (StopPoint::FileExtended, 2)]
    {
        let pool = Pool::new(BUFFERS, vec![]);
        let me = pool.world.join();
        full_pool(&me, pool);
        let dead = dies_at(pool, point, |session| {
            session.extend_by(FORK, 2, ReadOptions::default()).expect("the disk has room");
        });
        pool.clean_up(&me, &dead);
        let session = pool.session(&me);
        check(&session, |block| 1000 + u64::from(block), &format!("{point:?}"));
        assert_eq!(session.files().blocks(FORK).expect("it is there"), PAGES + added, "{point:?}");
        for block in PAGES..PAGES + added {
            assert!(session.read(tag(block)).expect("it is there").lock_shared().page().is_new());
        }
        let next = session.extend(FORK, ReadOptions::default()).expect("the disk has room");
        assert_eq!(next.pin().block().get(), PAGES + added, "{point:?}");
        assert!(next.page().is_new());
        drop(next);
        pool.remove();
    }
    Ok(())
}

fn a_reader_dies_under_one_who_waits_for_the_page() -> Result<(), Skip> {
    need_stop_points()?;
    for point in [StopPoint::BufferReadBegun, StopPoint::BufferReadDone] {
        let pool = Pool::new(BUFFERS, vec![]);
        let me = pool.world.join();
        full_pool(&me, pool);
        {
            let session = pool.session(&me);
            session.flush_relation(FORK.file).expect("the disk works");
            session.discard_relation(FORK.file).expect("nobody uses it");
        }
        pool.world.ipc.stop_points().arm(point, Action::Pause, None, 0);
        let reader = pool.world.fork(|me| {
            number(&pool.session(me), 5);
        });
        assert!(pool.world.ipc.stop_points().wait_for_hit(point, soon(10)));
        let waiters: Vec<_> =
            (0..2).map(|_| pool.world.fork(|me| assert_eq!(number(&pool.session(me), 5), 1005))).collect();
        waiters.iter().for_each(|waiter| pool.world.wait_until_waiting(waiter, WaitEvent::BUFFER_IO));
        pool.world.kill(&reader);
        pool.world.ipc.stop_points().release(point);
        pool.clean_up(&me, &reader);
        waiters.into_iter().for_each(|waiter| pool.world.reap(waiter));
        check(&pool.session(&me), |block| 1000 + u64::from(block), &format!("{point:?}"));
        pool.remove();
    }
    Ok(())
}

fn a_pin_s_death_wakes_who_waits_for_sole_use() {
    let pool = Pool::new(BUFFERS, vec![]);
    let me = pool.world.join();
    full_pool(&me, pool);
    let holder = pool.world.fork(|me| {
        let session = pool.session(me);
        let _pin = session.read(tag(5)).expect("it is there");
        pool.world.number(0).store(1, Ordering::Release);
        me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
    });
    crate::world::eventually(|| pool.world.number(0).load(Ordering::Acquire) == 1);
    let waiter = pool.world.fork(|me| {
        let session = pool.session(me);
        let page = session.read(tag(5)).expect("it is there").lock_for_cleanup().expect("nobody interrupts");
        drop(page);
    });
    pool.world.wait_until_waiting(&waiter, WaitEvent::BUFFER_PIN);
    pool.world.kill(&holder);
    pool.clean_up(&me, &holder);
    pool.world.reap(waiter);
    check(&pool.session(&me), |block| 1000 + u64::from(block), "sole use");
    pool.remove();
}

fn a_pin_s_death_leaves_the_pins_of_others() -> Result<(), Skip> {
    need_stop_points()?;
    for point in [StopPoint::BufferPinned, StopPoint::BufferUnpinned] {
        let pool = Pool::new(BUFFERS, vec![]);
        let me = pool.world.join();
        full_pool(&me, pool);
        let session = pool.session(&me);
        let pin = session.read(tag(5)).expect("it is there");
        let dead = dies_at(pool, point, |session| {
            number(session, 5);
        });
        pool.clean_up(&me, &dead);
        let pins = |session: &StorageSession<'_>| {
            let statuses = session.buffer_statuses();
            statuses.iter().map(|status| status.pins).collect::<Vec<_>>()
        };
        assert_eq!(pins(&session).iter().sum::<u64>(), 1, "{point:?}: {:?}", pins(&session));
        assert!(pin.try_lock_for_cleanup().is_some());
        drop(pin);
        assert_eq!(pins(&session).iter().sum::<u64>(), 0);
        drop(session);
        pool.remove();
    }
    Ok(())
}
