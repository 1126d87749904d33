//! The condition variable: any number of processes wait for something to become true.
//!
//! A sequence word (`shmem_layout::ConditionVariableWord` has its bits). A waiter sets the waiter bit, and with that
//! reads the sequence, before it tests its condition, and sleeps only while the word is as it read it; so a broadcast
//! behind the test moves the word under the sleeper. The waiter bit is set with a read-modify-write, so of a broadcast
//! and a ticket one comes first: behind a broadcast the condition is seen, before it the sleep is ended.
//!
//! A broadcast is one system call whatever the number of waiters, and none if there are none. The sequence wraps after
//! 2^31 steps; a waiter would have to be stopped between ticket and sleep for exactly so many.
//!
//! Who dies after it moved the sequence and before it woke the waiters is found by its slot's `waking` word. Who dies
//! after it changed the condition and before it broadcast is not: what it changed must be in its ledger, and the cleaning
//! up of that must broadcast.

use shmem_layout::ConditionVariableWord;

use super::proc::{Proc, WaitEnd};
use super::stop_points::StopPoint;
use super::wait_event::WaitEvent;
use crate::sync::{AtomicU32, Monotonic, Ordering, futex};

/// A condition variable in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct ConditionVariable<'s> {
    word: &'s AtomicU32,
}

impl<'s> ConditionVariable<'s> {
    /// The condition variable over this word.
    pub fn new(word: &'s ConditionVariableWord) -> Self {
        Self { word: &word.word }
    }

    /// Its futex word.
    pub fn word(self) -> &'s AtomicU32 {
        self.word
    }

    /// Waits until `condition` holds. What it tests must be changed before [`Self::broadcast`] is called.
    ///
    /// # Errors
    /// [`WaitEnd::Interrupted`] with an interrupt pending that is not held off, [`WaitEnd::TimedOut`] at the deadline.
    pub fn wait_until(
        self,
        me: &Proc<'_>,
        deadline: Option<Monotonic>,
        event: WaitEvent,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(), WaitEnd> {
        if condition() {
            return Ok(());
        }
        let waiters = ConditionVariableWord::WAITERS;
        let ticket = || self.word.fetch_or(waiters, Ordering::AcqRel) | waiters;
        me.wait_for_change(self.word, ticket, deadline, event, condition)
    }

    /// Wakes all waiters; one system call at most.
    pub fn broadcast(self, me: &Proc<'_>) {
        me.waking(self.word, || {
            let before = self
                .word
                .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                    Some(word.wrapping_add(ConditionVariableWord::STEP) & !ConditionVariableWord::WAITERS)
                })
                .unwrap_or_else(|word| word);
            me.stop_point(StopPoint::ConditionMovedBeforeWake);
            if before & ConditionVariableWord::WAITERS != 0 {
                futex::wake_all(self.word);
            }
        });
    }

    /// Wakes one waiter, for conditions that only one can use. It tests the condition whatever else ends its wait; if it
    /// dies, whoever handles its death wakes all.
    pub fn signal(self, me: &Proc<'_>) {
        me.waking(self.word, || {
            let before = self.word.fetch_add(ConditionVariableWord::STEP, Ordering::AcqRel);
            if before & ConditionVariableWord::WAITERS != 0 {
                futex::wake(self.word, 1);
            }
        });
    }
}

#[cfg(all(test, model))]
mod models {
    use super::*;
    use crate::ipc::Interrupts;
    use crate::ipc::model_world::{World, spawn};
    use crate::sync::run_model;

    /// Two waiters, one broadcast: both wake.
    #[test]
    fn broadcast_reaches_all() {
        run_model("condition_variable::broadcast_reaches_all", Some(3), 20_000, || {
            let world = World::new(3);
            let waiters: Vec<_> = [1, 2]
                .map(|slot| {
                    spawn(&world, slot, |world, me| {
                        ConditionVariable::new(&world.condition)
                            .wait_until(me, None, WaitEvent::CONDITION_VARIABLE, || {
                                world.words[0].load(Ordering::Relaxed) == 1
                            })
                            .expect("nobody interrupts");
                    })
                })
                .into();
            world.run(0, |world, me| {
                world.words[0].store(1, Ordering::Relaxed);
                ConditionVariable::new(&world.condition).broadcast(me);
            });
            waiters.into_iter().for_each(|w| w.join().unwrap());
        });
    }

    /// Two things to take, a signal for each, two takers: nobody stays asleep.
    #[test]
    fn signals_wake_one_each() {
        run_model("condition_variable::signals_wake_one_each", Some(2), 20_000, || {
            let world = World::new(3);
            let takers: Vec<_> = [1, 2]
                .map(|slot| {
                    spawn(&world, slot, |world, me| {
                        let things = &world.words[0];
                        ConditionVariable::new(&world.condition)
                            .wait_until(me, None, WaitEvent::CONDITION_VARIABLE, || {
                                things
                                    .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| n.checked_sub(1))
                                    .is_ok()
                            })
                            .expect("nobody interrupts");
                    })
                })
                .into();
            world.run(0, |world, me| {
                for _ in 0..2 {
                    world.words[0].fetch_add(1, Ordering::AcqRel);
                    ConditionVariable::new(&world.condition).signal(me);
                }
            });
            takers.into_iter().for_each(|t| t.join().unwrap());
        });
    }

    /// One thing, one signal, two takers of which one is cancelled: the signal must not be lost with it.
    #[test]
    fn a_signal_is_not_lost_with_a_cancelled_waiter() {
        run_model(
            "condition_variable::a_signal_is_not_lost_with_a_cancelled_waiter",
            Some(2),
            20_000,
            || {
                let world = World::new(3);
                let take = |world: &World, me: &Proc<'_>| {
                    let things = &world.words[0];
                    ConditionVariable::new(&world.condition).wait_until(
                        me,
                        None,
                        WaitEvent::CONDITION_VARIABLE,
                        || {
                            things
                                .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| n.checked_sub(1))
                                .is_ok()
                        },
                    )
                };
                let cancelled = spawn(&world, 1, move |world, me| {
                    if take(world, me).is_ok() {
                        // It came first after all: give it to the other.
                        world.words[0].fetch_add(1, Ordering::AcqRel);
                        ConditionVariable::new(&world.condition).signal(me);
                    }
                });
                let taker = spawn(&world, 2, move |world, me| take(world, me).expect("nobody interrupts"));
                world.run(0, |world, me| {
                    world.words[0].fetch_add(1, Ordering::AcqRel);
                    ConditionVariable::new(&world.condition).signal(me);
                    me.interrupt(world.slot(1), Interrupts::CANCEL);
                });
                cancelled.join().unwrap();
                taker.join().unwrap();
            },
        );
    }

    /// An interrupt ends a wait whose condition never comes.
    #[test]
    fn interrupt_ends_the_wait() {
        run_model("condition_variable::interrupt_ends_the_wait", None, 20_000, || {
            let world = World::new(2);
            let canceller = spawn(&world, 1, |world, me| me.interrupt(world.slot(0), Interrupts::CANCEL));
            world.run(0, |world, me| {
                let end = ConditionVariable::new(&world.condition).wait_until(
                    me,
                    None,
                    WaitEvent::CONDITION_VARIABLE,
                    || false,
                );
                assert_eq!(end, Err(WaitEnd::Interrupted));
            });
            canceller.join().unwrap();
        });
    }
}
