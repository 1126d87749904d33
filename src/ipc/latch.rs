//! The latch: one owner sleeps on it, anybody sets it.
//!
//! A setter first stores its news, then sets; the owner resets, then looks for news, then waits. All changes of the word
//! are read-modify-writes, so of a set and a reset one comes first: either the owner's look comes behind the news, or the
//! wait finds the latch set. A setter that only loaded the word and left it because it was set could let its own news
//! pass the owner's look; so it never does.
//!
//! Setting costs no system call when the latch is set or its owner is awake, else one futex wake of *all* waiters on the
//! word: its owner may be asleep in `futex_waitv` while its ring has a wait armed too. An owner that sleeps in epoll, where
//! a futex can't be waited for, is sent SIGURG instead, as PostgreSQL does it: to the thread it has named, which lets that
//! signal in while it sleeps and at no other time. One that comes late ends one sleep for nothing; one for a thread that is
//! gone reaches nobody, or somebody who ignores it, as is SIGURG's default.

use shmem_layout::{LatchWord, ProcessSlot};

use super::proc::{Proc, WaitEnd};
use super::wait_event::WaitEvent;
use crate::sync::futex::{self, WaitOutcome};
use crate::sync::{AtomicU32, Monotonic, Ordering};

/// The word of a latch whose owner sleeps.
pub(super) struct Waiting(u32);

/// A latch in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Latch<'s> {
    latch: &'s LatchWord,
}

impl<'s> Latch<'s> {
    /// The latch over this word.
    pub fn new(latch: &'s LatchWord) -> Self {
        Self { latch }
    }

    /// The latch of a process slot.
    pub fn of(slot: &'s ProcessSlot) -> Self {
        Self::new(&slot.latch)
    }

    /// Its futex word.
    pub fn word(self) -> &'s AtomicU32 {
        &self.latch.word
    }

    /// Sets it and wakes its owner if that sleeps. For those without a slot of their own, and for the owner
    /// itself; others use [`Proc::set_latch`].
    #[inline]
    pub fn set(self) {
        if let Some(waiting) = self.mark() {
            self.wake(waiting);
        }
    }

    /// Sets it; `Some` if its owner sleeps, which [`Self::wake`] must then end.
    #[inline]
    pub(super) fn mark(self) -> Option<Waiting> {
        let before = self.word().fetch_or(LatchWord::SET, Ordering::AcqRel);
        if before == 0 || before & LatchWord::SET != 0 { None } else { Some(Waiting(before)) }
    }

    #[cold]
    pub(super) fn wake(self, waiting: Waiting) {
        if waiting.0 & LatchWord::WAITING != 0 {
            futex::wake_all(self.word());
        }
        if waiting.0 & LatchWord::WAITING_IN_EPOLL != 0 {
            self.wake_in_epoll();
        }
    }

    /// Ends its owner's sleep in epoll, whether it is in one or not.
    #[cfg(not(model))]
    fn wake_in_epoll(self) {
        // Written before the bit that was seen.
        crate::os::signal::wake_thread(self.latch.sleeper.load(Ordering::Relaxed));
    }

    #[cfg(model)]
    fn wake_in_epoll(self) {
        unreachable!("no epoll in a model")
    }

    /// Wakes its owner if that sleeps, in place of a setter that died before it could.
    #[cfg(not(model))]
    pub(super) fn wake_for_dead(self) {
        self.wake(Waiting(self.word().load(Ordering::Acquire)));
    }

    /// Whether it is set.
    pub fn is_set(self) -> bool {
        self.word().load(Ordering::Acquire) & LatchWord::SET != 0
    }

    /// Clears it; the owner looks for news after this, never before.
    #[inline]
    pub fn reset(self) {
        self.word().fetch_and(!(LatchWord::SET | LatchWord::WAITING), Ordering::AcqRel);
    }

    /// Says that the owner is about to sleep on the word, expecting it to hold [`LatchWord::WAITING`]. `false`: it is
    /// set, do not sleep.
    #[inline]
    pub(super) fn announce(self) -> bool {
        self.word().fetch_or(LatchWord::WAITING, Ordering::AcqRel) & LatchWord::SET == 0
    }

    /// Takes [`Self::announce`] back; whether it is set.
    #[inline]
    pub(super) fn withdraw(self) -> bool {
        self.word().fetch_and(!LatchWord::WAITING, Ordering::AcqRel) & LatchWord::SET != 0
    }

    /// Says that the owner is about to sleep in epoll, as this thread. `false`: it is set, do not sleep.
    #[cfg(not(model))]
    pub(super) fn announce_in_epoll(self, thread: u32) -> bool {
        self.latch.sleeper.store(thread, Ordering::Relaxed);
        self.word().fetch_or(LatchWord::WAITING_IN_EPOLL, Ordering::AcqRel) & LatchWord::SET == 0
    }

    /// Takes [`Self::announce_in_epoll`] back; whether it is set.
    #[cfg(not(model))]
    pub(super) fn withdraw_in_epoll(self) -> bool {
        self.word().fetch_and(!LatchWord::WAITING_IN_EPOLL, Ordering::AcqRel) & LatchWord::SET != 0
    }

    /// The owner's wait until it is set; `Err(TimedOut)` if the deadline comes first. Interrupts need no result of their
    /// own: they come by the latch. Leaves it set.
    pub fn wait(self, me: &Proc<'_>, deadline: Option<Monotonic>, event: WaitEvent) -> Result<(), WaitEnd> {
        if self.is_set() {
            return Ok(());
        }
        me.waiting(event, || self.wait_on_word(deadline))
    }

    fn wait_on_word(self, deadline: Option<Monotonic>) -> Result<(), WaitEnd> {
        loop {
            if !self.announce() {
                return Ok(());
            }
            let outcome = futex::wait(self.word(), LatchWord::WAITING, deadline);
            if self.is_set() {
                return Ok(());
            }
            if outcome == WaitOutcome::TimedOut {
                return if self.withdraw() { Ok(()) } else { Err(WaitEnd::TimedOut) };
            }
        }
    }
}

#[cfg(all(test, model))]
mod models {
    use shmem_layout::LatchWord;

    use crate::ipc::model_world::{World, spawn};
    use crate::ipc::{Latch, WaitEvent};
    use crate::sync::{AtomicU32, Ordering, futex, run_model};

    /// Two setters with news each; the owner resets, looks, waits, until it has seen both. A lost wake-up is a deadlock.
    #[test]
    fn no_news_is_lost() {
        run_model("latch::no_news_is_lost", None, 20_000, || {
            let world = World::new(3);
            let setters: Vec<_> = [1, 2]
                .map(|setter| {
                    spawn(&world, setter, move |world, me| {
                        world.words[setter].store(1, Ordering::Relaxed);
                        me.set_latch(world.slot(0));
                    })
                })
                .into();
            world.run(0, |world, me| {
                let latch = me.latch();
                loop {
                    latch.reset();
                    let seen = |word: &AtomicU32| word.load(Ordering::Relaxed) == 1;
                    if seen(&world.words[1]) && seen(&world.words[2]) {
                        break;
                    }
                    latch.wait(me, None, WaitEvent::LATCH).expect("no deadline");
                }
            });
            setters.into_iter().for_each(|s| s.join().unwrap());
        });
    }

    /// The same with somebody who wakes for no reason (loom has no random wake-ups of its own).
    #[test]
    fn spurious_wakes_do_no_harm() {
        run_model("latch::spurious_wakes_do_no_harm", None, 20_000, || {
            let world = World::new(3);
            let setter = spawn(&world, 1, |world, me| {
                world.words[1].store(1, Ordering::Relaxed);
                me.set_latch(world.slot(0));
            });
            let noise = spawn(&world, 2, |_, _| {
                futex::wake_spuriously();
            });
            world.run(0, |world, me| {
                me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
                assert_eq!(world.words[1].load(Ordering::Relaxed), 1, "woke without news");
            });
            setter.join().unwrap();
            noise.join().unwrap();
        });
    }

    /// The owner's ring has a wait armed on the word while the owner sleeps on it itself: one set must end both.
    #[test]
    fn armed_wait_and_sleeper_both_wake() {
        run_model("latch::armed_wait_and_sleeper_both_wake", None, 20_000, || {
            let world = World::new(2);
            let setter = spawn(&world, 1, |world, me| me.set_latch(world.slot(0)));
            world.run(0, |_, me| {
                let latch: Latch<'_> = me.latch();
                let armed =
                    if latch.announce() { futex::arm(latch.word(), LatchWord::WAITING) } else { None };
                latch.wait(me, None, WaitEvent::LATCH).expect("no deadline");
                // The wake comes behind the bit: who is awake already may look before it.
                if let Some(armed) = armed {
                    while !armed.has_fired() {
                        crate::sync::yield_now();
                    }
                }
            });
            setter.join().unwrap();
        });
    }
}
