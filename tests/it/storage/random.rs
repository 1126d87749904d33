//! Several processes do random things to pages, beside a plain model of what each page must say; then the same while they
//! are killed at random moments.
//!
//! Each page has a number per worker, which only that worker moves, under an exclusive lock and by one store. What it must be
//! stands in shared memory beside the pool: a worker that dies between the page's store and the model's is one ahead.

use shmem_layout::shared_layout;
use tuskd::ipc::Proc;
use tuskd::shmem::RegionSpec;
use tuskd::storage::buffer::{BackgroundWriter, SequentialRead, Unpaced};
use tuskd::storage::{BufferRing, ReadOptions, RingKind, StorageSession};
use tuskd::sync::{AtomicU64, Monotonic, Ordering};

use super::{FORK, Pool, tag, word_at};
use crate::harness::{Rng, Seed, Test, tests};
use crate::world::Worker;

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    pages_are_what_the_model_says: 180,
    pages_are_what_the_model_says_after_kills: 240,
];

const BUFFERS: usize = 24;
const PAGES: u32 = 100;
const WORKERS: usize = 5;

/// What the pages must say, and whether it is over.
#[repr(C, align(64))]
struct Words {
    words: [AtomicU64; 504],
}

shared_layout!(Words, size 4032, align 64, { 0 => words: [AtomicU64; 504] });

const IS_OVER: usize = PAGES as usize * WORKERS;
const _: () = assert!(IS_OVER < 504);

#[derive(Clone, Copy)]
struct Expected(&'static [AtomicU64; 504]);

impl Expected {
    fn of(self, block: u32, worker: usize) -> &'static AtomicU64 {
        &self.0[block as usize * WORKERS + worker]
    }

    fn is_over(self) -> &'static AtomicU64 {
        &self.0[IS_OVER]
    }
}

fn new_pool() -> (Pool, Expected) {
    let pool = Pool::new(BUFFERS, vec![RegionSpec::of::<Words>("model", 1, 1)]);
    let words = &pool.world.ipc.segment().region::<Words>("model", 1).expect("just made")[0];
    (pool, Expected(&words.words))
}

/// One random thing.
fn step(session: &StorageSession<'_>, model: Expected, worker: usize, rng: &mut Rng) {
    let block = rng.below(u64::from(PAGES)) as u32;
    match rng.below(100) {
        0 => session.flush_relation(FORK.file).expect("the disk works"),
        1 => scan(session, model, worker, rng),
        2..30 => look(session, model, worker, block),
        _ => change(session, model, worker, block),
    }
}

fn look(session: &StorageSession<'_>, model: Expected, worker: usize, block: u32) {
    let page = session.read(tag(block)).expect("it is there").lock_shared();
    let found = page.page().u64_at(word_at(page.page(), worker));
    assert_eq!(found, model.of(block, worker).load(Ordering::Acquire), "block {block}, worker {worker}");
}

fn change(session: &StorageSession<'_>, model: Expected, worker: usize, block: u32) {
    let pin = session.read(tag(block)).expect("it is there");
    let mut page = pin.lock_exclusive();
    let at = word_at(page.page(), worker);
    let next = page.page().u64_at(at) + 1;
    page.mark_dirty();
    page.page_mut().put_u64(at, next);
    // With the lock held, so that nobody sees one without the other.
    let before = model.of(block, worker).swap(next, Ordering::AcqRel);
    assert_eq!(before + 1, next, "block {block}, worker {worker}");
}

fn scan(session: &StorageSession<'_>, model: Expected, worker: usize, rng: &mut Rng) {
    let first = rng.below(u64::from(PAGES)) as u32;
    let mut ring = BufferRing::new(RingKind::BulkRead, BUFFERS);
    let options = ReadOptions { ring: Some(&mut ring), is_permanent: true };
    let mut scan = SequentialRead::new(session, FORK, first, (first + 10).min(PAGES), options);
    while let Some(pin) = scan.next_page().expect("it is there") {
        let (block, page) = (pin.block().get(), pin.lock_shared());
        let found = page.page().u64_at(word_at(page.page(), worker));
        assert_eq!(found, model.of(block, worker).load(Ordering::Acquire), "block {block}, worker {worker}");
    }
}

/// Writes as checkpointer and background writer do, until it is over.
fn write_on(session: &StorageSession<'_>, model: Expected) {
    let mut writer = BackgroundWriter::default();
    while model.is_over().load(Ordering::Acquire) == 0 {
        session.checkpoint_write(true, &mut Unpaced).expect("the disk works");
        session.files().sync_all().expect("the disk works");
        for _ in 0..20 {
            writer.write_some(session, 10, 2.0).expect("the disk works");
        }
    }
}

/// What an earlier holder of the worker's number may have left one ahead is put right.
fn take_over(session: &StorageSession<'_>, model: Expected, worker: usize) {
    for block in 0..PAGES {
        let page = session.read(tag(block)).expect("it is there").lock_shared();
        let found = page.page().u64_at(word_at(page.page(), worker));
        let expected = model.of(block, worker).load(Ordering::Acquire);
        assert!(
            found == expected || found == expected + 1,
            "block {block}, worker {worker}: {found}, not {expected}"
        );
        model.of(block, worker).store(found, Ordering::Release);
    }
}

fn fork_worker(pool: Pool, model: Expected, worker: usize, seed: u64, steps: Option<u64>) -> Worker {
    pool.world.fork(move |me: &Proc<'static>| {
        let session = pool.session(me);
        if worker == WORKERS {
            return write_on(&session, model);
        }
        take_over(&session, model, worker);
        let mut rng = Seed(seed).rng();
        let mut left = steps.unwrap_or(u64::MAX);
        while left > 0 && model.is_over().load(Ordering::Acquire) == 0 {
            step(&session, model, worker, &mut rng);
            left -= 1;
        }
        assert_eq!(session.pinned(), 0);
    })
}

/// In the pool, and from disk.
fn check(pool: Pool, me: &Proc<'_>, model: Expected) {
    let session = pool.session(me);
    for from_disk in [false, true] {
        for worker in 0..WORKERS {
            for block in 0..PAGES {
                look(&session, model, worker, block);
            }
        }
        if !from_disk {
            session.flush_relation(FORK.file).expect("the disk works");
            session.discard_relation(FORK.file).expect("nobody uses it");
        }
    }
    assert!(session.buffer_statuses().iter().all(|status| status.pins == 0 && !status.is_dirty));
}

fn pages_are_what_the_model_says() {
    let mut rng = Seed::current().rng();
    let (pool, model) = new_pool();
    let me = pool.world.join();
    Pool::make_relation(&pool.session(&me), PAGES, WORKERS);
    let mut workers: Vec<_> =
        (0..=WORKERS).map(|worker| fork_worker(pool, model, worker, rng.next_u64(), Some(4000))).collect();
    let writer = workers.pop().expect("the last one");
    workers.into_iter().for_each(|worker| pool.world.reap(worker));
    model.is_over().store(1, Ordering::Release);
    pool.world.reap(writer);
    check(pool, &me, model);
    pool.remove();
}

fn pages_are_what_the_model_says_after_kills() {
    const KILLS: usize = 150;
    let mut rng = Seed::current().rng();
    let (pool, model) = new_pool();
    let me = pool.world.join();
    Pool::make_relation(&pool.session(&me), PAGES, WORKERS);
    let mut workers: Vec<_> =
        (0..=WORKERS).map(|worker| fork_worker(pool, model, worker, rng.next_u64(), None)).collect();
    for _ in 0..KILLS {
        let victim = rng.below(workers.len() as u64) as usize;
        std::thread::sleep(std::time::Duration::from_micros(rng.below(20_000)));
        pool.world.kill(&workers[victim]);
        pool.clean_up(&me, &workers[victim]);
        workers[victim] = fork_worker(pool, model, victim, rng.next_u64(), None);
    }
    model.is_over().store(1, Ordering::Release);
    let over = Monotonic::now();
    workers.into_iter().for_each(|worker| pool.world.reap(worker));
    let took = Monotonic::now().saturating_since(over);
    assert!(took.as_secs() < 20, "somebody was asleep");
    // The last ones to die may have left a number one ahead.
    let session = pool.session(&me);
    (0..WORKERS).for_each(|worker| take_over(&session, model, worker));
    drop(session);
    check(pool, &me, model);
    pool.remove();
}
