//! Models of the pool's table: a pinned buffer keeps its page, whatever evictors, other pinners and readers of the page do.

use std::sync::Arc;

use shmem_layout::{BufferBucket, BufferDescriptor, PaddedLock};

use super::*;
use crate::ipc::model_world::World;
use crate::ipc::{LwLock, Mode, WaitEvent};
use crate::storage::buffer::mapping::{BufferId, Found, Insert, Mapping};
use crate::storage::ids::{BlockNumber, Fork, RelFile};
use crate::sync::{AtomicU32, run_model, thread};

/// A pool of a few buffers: a "page" is one word.
struct Pool {
    descriptors: Vec<BufferDescriptor>,
    buckets: Vec<BufferBucket>,
    partitions: Vec<PaddedLock>,
    contents: Vec<AtomicU32>,
}

impl Pool {
    fn new(buffers: usize) -> Self {
        Self {
            descriptors: (0..buffers).map(|_| BufferDescriptor::default()).collect(),
            buckets: vec![BufferBucket::default()],
            partitions: vec![PaddedLock::default()],
            contents: (0..buffers).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    fn mapping(&self) -> Mapping<'_> {
        Mapping::new(&self.descriptors, &self.buckets, &self.partitions)
    }
}

fn tag(block: u32) -> BufferTag {
    let file = RelFile { tablespace: 1663, database: 5, relation: 16384 };
    BufferTag { file, fork: Fork::Main, block: BlockNumber::new(block).expect("a small one") }
}

const OPTIONS: Insert = Insert { how: Use::More, is_permanent: true };

/// What the page of a block says.
fn content(block: u32) -> u32 {
    block + 100
}

/// Puts the page of `block` into a buffer, evicting whatever is in it; `false` if it is not to be had now.
fn bring_in<'s>(pool: &'s Pool, me: &'s Proc<'s>, buffer: BufferId, block: u32) -> bool {
    let (mapping, descriptor) = (pool.mapping(), &pool.descriptors[buffer.index()]);
    let Ok(Some(pinned)) = pin_unused(me, descriptor, MAX_USAGE) else { return false };
    if !mapping.evict(me, buffer, false) {
        mapping.give_back(me, descriptor, pinned);
        return false;
    }
    match mapping.insert(me, tag(block), buffer, OPTIONS, |_| false).expect("the ledger has room") {
        Found::Missing => {
            pool.contents[buffer.index()].store(content(block), Relaxed);
            assert!(!end_io(me, descriptor, IoEnd::Read), "nobody waits");
            mapping.give_back(me, descriptor, pinned);
            true
        }
        Found::Pinned(other, pin) => {
            mapping.give_back(me, &pool.descriptors[other.index()], pin);
            mapping.give_back(me, descriptor, pinned);
            false
        }
        Found::Held(_) | Found::Blocked => unreachable!("nothing is held twice, and nobody recounts"),
    }
}

/// Pins the page of `block` without the lock, and looks at it.
fn look<'s>(pool: &'s Pool, me: &'s Proc<'s>, block: u32) {
    let mapping = pool.mapping();
    match mapping
        .find_optimistically(me, tag(block), Use::More, |_| false, |_| ())
        .expect("the ledger has room")
    {
        Found::Pinned(buffer, pinned) => {
            let descriptor = &pool.descriptors[buffer.index()];
            if descriptor.state.load(Acquire) & VALID != 0 {
                assert_eq!(
                    pool.contents[buffer.index()].load(Relaxed),
                    content(block),
                    "another page's content"
                );
                thread::yield_now();
                assert_eq!(
                    pool.contents[buffer.index()].load(Relaxed),
                    content(block),
                    "it went under the pin"
                );
            }
            mapping.give_back(me, descriptor, pinned);
        }
        Found::Missing => {}
        Found::Held(_) | Found::Blocked => unreachable!("nothing is held, and nobody recounts"),
    }
}

fn run(name: &str, preemptions: Option<usize>, parts: &'static [fn(&Pool, &Proc<'_>)]) {
    run_model(name, preemptions, 20_000, move || {
        let (world, pool) = (World::new(parts.len()), Arc::new(Pool::new(2)));
        world.run(0, |_, me| {
            assert!(bring_in(&pool, me, BufferId(0), 1));
        });
        let others: Vec<_> = (1..parts.len())
            .map(|slot| {
                let pool = Arc::clone(&pool);
                crate::ipc::model_world::spawn(&world, slot, move |_, me| parts[slot](&pool, me))
            })
            .collect();
        world.run(0, |_, me| parts[0](&pool, me));
        others.into_iter().for_each(|thread| thread.join().unwrap());
        for descriptor in &pool.descriptors {
            assert_eq!(pins(descriptor.state.load(Relaxed)), 0, "a pin was left");
        }
        let linked = pool.mapping().linked();
        let tagged = |b: &BufferId| pool.descriptors[b.index()].state.load(Relaxed) & TAG_VALID != 0;
        assert!(linked.iter().all(tagged), "left in the table without a tag");
        let mut tags: Vec<_> = linked.iter().map(|b| tag_of(&pool.descriptors[b.index()])).collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), linked.len(), "a page in two buffers");
    });
}

/// One looks at page 1 while another puts page 2 into its buffer.
#[test]
fn a_pinned_page_is_not_evicted() {
    run(
        "buffer::a_pinned_page_is_not_evicted",
        None,
        &[
            |pool, me| look(pool, me, 1),
            |pool, me| {
                bring_in(pool, me, BufferId(0), 2);
            },
        ],
    );
}

/// The page goes and comes back, in the same buffer, under one who looks for it.
#[test]
fn a_page_that_goes_and_comes_back() {
    run(
        "buffer::a_page_that_goes_and_comes_back",
        Some(2),
        &[
            |pool, me| look(pool, me, 1),
            |pool, me| {
                bring_in(pool, me, BufferId(0), 2);
                bring_in(pool, me, BufferId(0), 1);
            },
        ],
    );
}

/// Two want the same page, each in a buffer of its own: one of them gets it in.
#[test]
fn a_page_comes_in_once() {
    run(
        "buffer::a_page_comes_in_once",
        Some(2),
        &[
            |pool, me| {
                bring_in(pool, me, BufferId(0), 2);
            },
            |pool, me| {
                bring_in(pool, me, BufferId(1), 2);
            },
        ],
    );
}

/// Two look while a third evicts.
#[test]
fn two_lookers_and_an_evictor() {
    run(
        "buffer::two_lookers_and_an_evictor",
        Some(2),
        &[
            |pool, me| look(pool, me, 1),
            |pool, me| {
                bring_in(pool, me, BufferId(0), 2);
            },
            |pool, me| look(pool, me, 2),
        ],
    );
}

/// A page is changed while it is written: either the file has the change, or the buffer is dirty.
#[test]
fn a_page_changed_while_it_is_written_stays_dirty() {
    const FILE: usize = 1;
    run(
        "buffer::a_page_changed_while_it_is_written_stays_dirty",
        Some(3),
        &[
            |pool, me| {
                let descriptor = &pool.descriptors[0];
                let guard = content_lock(descriptor).acquire(me, Mode::Shared);
                let is_begun = begin_write(me, descriptor) == Io::Begun;
                let copy = pool.contents[0].load(Relaxed);
                drop(guard);
                if is_begun {
                    pool.contents[FILE].store(copy, Relaxed);
                    assert!(!end_io(me, descriptor, IoEnd::Written), "nobody waits");
                }
                check_file(pool, me);
            },
            |pool, me| {
                let descriptor = &pool.descriptors[0];
                for _ in 0..2 {
                    let guard = content_lock(descriptor).acquire(me, Mode::Exclusive);
                    make_dirty(descriptor);
                    pool.contents[0].store(pool.contents[0].load(Relaxed) + 1, Relaxed);
                    drop(guard);
                }
                check_file(pool, me);
            },
        ],
    );

    fn content_lock(descriptor: &BufferDescriptor) -> LwLock<'_> {
        LwLock::new(&descriptor.content, WaitEvent::BUFFER_CONTENT)
    }

    fn check_file(pool: &Pool, me: &Proc<'_>) {
        let descriptor = &pool.descriptors[0];
        let guard = content_lock(descriptor).acquire(me, Mode::Shared);
        let seen = descriptor.state.load(Acquire);
        if seen & DIRTY == 0 && pool.contents[FILE].load(Relaxed) != 0 {
            assert_eq!(
                pool.contents[FILE].load(Relaxed),
                pool.contents[0].load(Relaxed),
                "clean, and not in the file"
            );
        }
        drop(guard);
    }
}
