//! Models of the LWLock: no double grant, no lost wake-up, bounded overtaking, and the count after a death.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64 as PlainI64, AtomicU64 as PlainU64, Ordering as PlainOrdering};

use super::*;
use crate::ipc::model_world::{World, spawn};
use crate::sync::{run_model, thread};

/// Holders as the model sees them, in atomics that the checker does not track: readers count up, a writer is -1.
#[derive(Default)]
struct Holders(PlainI64);

impl Holders {
    fn enter(&self, mode: Mode) {
        let before = match mode {
            Mode::Shared => self.0.fetch_add(1, PlainOrdering::SeqCst),
            Mode::Exclusive => self.0.swap(-1, PlainOrdering::SeqCst),
        };
        let allowed = if mode == Mode::Shared { before >= 0 } else { before == 0 };
        assert!(allowed, "{mode:?} granted beside {before}");
    }

    fn leave(&self, mode: Mode) {
        match mode {
            Mode::Shared => self.0.fetch_sub(1, PlainOrdering::SeqCst),
            Mode::Exclusive => self.0.swap(0, PlainOrdering::SeqCst),
        };
    }
}

fn use_lock(world: &World, me: &Proc<'_>, mode: Mode, holders: &Holders, rounds: usize) {
    for _ in 0..rounds {
        let guard = LwLock::new(&world.lock, WaitEvent::LWLOCK).acquire(me, mode);
        holders.enter(mode);
        if mode == Mode::Exclusive {
            // Racy unless the lock orders it: the checker's plain load and store must not lose an increment.
            let n = world.words[0].load(Ordering::Relaxed);
            world.words[0].store(n + 1, Ordering::Relaxed);
        }
        thread::yield_now();
        holders.leave(mode);
        drop(guard);
    }
}

fn contend(name: &str, preemptions: Option<usize>, modes: &'static [Mode], rounds: usize) {
    run_model(name, preemptions, 20_000, move || {
        let world = World::new(modes.len());
        let holders = Arc::new(Holders::default());
        let others: Vec<_> = (1..modes.len())
            .map(|slot| {
                let holders = Arc::clone(&holders);
                spawn(&world, slot, move |world, me| use_lock(world, me, modes[slot], &holders, rounds))
            })
            .collect();
        world.run(0, |world, me| use_lock(world, me, modes[0], &holders, rounds));
        others.into_iter().for_each(|t| t.join().unwrap());
        let writers = modes.iter().filter(|m| **m == Mode::Exclusive).count();
        assert_eq!(
            world.words[0].load(Ordering::Relaxed) as usize,
            writers * rounds,
            "an increment was lost"
        );
        let state = world.lock.state.load(Ordering::Relaxed);
        assert!(!is_held(state) && heir_of(state) == 0, "left behind: {state:#x}");
    });
}

#[test]
fn two_writers() {
    contend("lwlock::two_writers", None, &[Mode::Exclusive, Mode::Exclusive], 1);
}

#[test]
fn two_writers_again_and_again() {
    contend("lwlock::two_writers_again_and_again", Some(3), &[Mode::Exclusive, Mode::Exclusive], 2);
}

#[test]
fn three_writers() {
    contend("lwlock::three_writers", Some(2), &[Mode::Exclusive; 3], 1);
}

#[test]
fn readers_and_writer() {
    contend("lwlock::readers_and_writer", Some(2), &[Mode::Shared, Mode::Exclusive, Mode::Shared], 1);
}

#[test]
fn writers_and_reader() {
    contend("lwlock::writers_and_reader", Some(2), &[Mode::Exclusive, Mode::Shared, Mode::Exclusive], 1);
}

/// Only for random schedules: loom can't have so many threads.
#[cfg(shuttle)]
#[test]
fn a_crowd() {
    use Mode::{Exclusive as X, Shared as S};
    contend("lwlock::a_crowd", None, &[X, S, X, S, S, X], 3);
}

/// From the moment a writer is heir, at most MAX_OVERTAKES others get the lock before it does.
#[test]
fn heir_is_overtaken_by_a_bounded_number() {
    run_model("lwlock::heir_is_overtaken_by_a_bounded_number", Some(2), 20_000, || {
        let world = World::new(3);
        let overtook = Arc::new(PlainU64::new(0));
        let readers: Vec<_> = [1, 2]
            .map(|slot| {
                let overtook = Arc::clone(&overtook);
                spawn(&world, slot, move |world, me| {
                    for _ in 0..2 {
                        let guard = LwLock::new(&world.lock, WaitEvent::LWLOCK).acquire(me, Mode::Shared);
                        let state = world.lock.state.load(Ordering::Relaxed);
                        overtook.fetch_max((state & OVERTAKES) / OVERTAKE, PlainOrdering::SeqCst);
                        drop(guard);
                    }
                })
            })
            .into();
        world.run(0, |world, me| {
            drop(LwLock::new(&world.lock, WaitEvent::LWLOCK).acquire(me, Mode::Exclusive));
        });
        readers.into_iter().for_each(|t| t.join().unwrap());
        assert!(overtook.load(PlainOrdering::SeqCst) <= MAX_OVERTAKES);
        assert_eq!(
            world.lock.state.load(Ordering::Relaxed) & OVERTAKES,
            0,
            "the heir took its count with it"
        );
    });
}

/// Who waits for a release without wanting the lock is woken by it, and keeps nobody else asleep.
#[test]
fn acquire_or_wait_returns_on_release() {
    run_model("lwlock::acquire_or_wait_returns_on_release", Some(2), 20_000, || {
        let world = World::new(3);
        let holders = Arc::new(Holders::default());
        let follower = spawn(&world, 1, |world, me| {
            drop(LwLock::new(&world.lock, WaitEvent::LWLOCK).acquire_or_wait(me, Mode::Exclusive));
        });
        let writer = {
            let holders = Arc::clone(&holders);
            spawn(&world, 2, move |world, me| use_lock(world, me, Mode::Exclusive, &holders, 1))
        };
        world.run(0, |world, me| {
            drop(LwLock::new(&world.lock, WaitEvent::LWLOCK).acquire(me, Mode::Exclusive));
        });
        follower.join().unwrap();
        writer.join().unwrap();
    });
}

/// A sharer dies at any point of taking the lock (it stops there and never runs again); the recount puts the lock right
/// while another shares it, and a writer then gets it.
#[test]
fn recount_after_a_sharers_death() {
    for dies_after_count in [false, true] {
        run_model("lwlock::recount_after_a_sharers_death", Some(2), 20_000, move || {
            let world = World::new(3);
            // The dead one: its note says that it was taking the lock; the count may or may not have it.
            world.run(2, |world, me| {
                let lock = LwLock::new(&world.lock, WaitEvent::LWLOCK);
                std::mem::forget(me.register(ResourceKind::LwLockShared, &world.lock).unwrap());
                if dies_after_count {
                    assert!(lock.try_fast(me, Mode::Shared));
                }
            });
            let sharer = spawn(&world, 1, |world, me| {
                drop(LwLock::new(&world.lock, WaitEvent::LWLOCK).acquire(me, Mode::Shared));
            });
            world.run(0, |world, me| {
                let lock = LwLock::new(&world.lock, WaitEvent::LWLOCK);
                let dead = world.slot(2);
                let survivors = recovery::Survivors { slots: world.slots(), is_dead: &|slot| slot == dead };
                lock.undo_dead(dead, true, me.offset_of(&world.lock), survivors).expect("nobody is stuck");
                drop(lock.acquire(me, Mode::Exclusive));
            });
            sharer.join().unwrap();
            assert!(!is_held(world.lock.state.load(Ordering::Relaxed)));
        });
    }
}
