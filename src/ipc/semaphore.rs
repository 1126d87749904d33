//! The semaphore: a number of permits, each taken and given back by the same process.
//!
//! It differs from an LWLock's shared side in having a limit, and in that waiting can be interrupted. A release wakes one
//! waiter; the woken one carries the baton: it takes a permit and, if there are more and others may sleep, wakes the next;
//! if it leaves without one it passes the baton on; if it dies, whoever handles its death wakes everybody. The waiter bit
//! is cleared by who wakes and set again by who was woken, because others may still sleep.

use shmem_layout::{EntryState, Offset, ResourceKind, SemaphoreState};

use super::lwlock::{Stuck, Survivors, quiet_for};
use super::proc::{Entry, LedgerFull, Proc, Sleep, WaitEnd};
use super::stop_points::StopPoint;
use super::wait_event::WaitEvent;
use crate::sync::{Monotonic, Ordering, futex};

const TAKEN: u32 = (1 << 30) - 1;
const WAIT: u32 = 1 << 30;
const BLOCKED: u32 = 1 << 31;

/// Why no permit was had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AcquireError {
    /// The wait ended first.
    #[error("the wait ended before a permit came: {0:?}")]
    Wait(WaitEnd),
    /// Nothing more can be accounted for.
    #[error(transparent)]
    Ledger(#[from] LedgerFull),
}

/// A semaphore in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Semaphore<'s> {
    state: &'s SemaphoreState,
    event: WaitEvent,
}

impl<'s> Semaphore<'s> {
    /// The semaphore over this state; waits for it show as `event`.
    pub fn new(state: &'s SemaphoreState, event: WaitEvent) -> Self {
        Self { state, event }
    }

    /// Sets the number of permits, once, before anybody takes one.
    pub fn set_capacity(self, permits: u32) {
        assert!(permits <= TAKEN, "a semaphore counts to {TAKEN}");
        self.state.capacity.store(permits, Ordering::Release);
    }

    /// Permits that are taken.
    pub fn taken(self) -> u32 {
        self.state.state.load(Ordering::Acquire) & TAKEN
    }

    /// Takes a permit, waiting for one if need be.
    ///
    /// # Errors
    /// [`AcquireError::Wait`] if an interrupt or the deadline came first.
    pub fn acquire<'p>(
        self,
        me: &'p Proc<'s>,
        deadline: Option<Monotonic>,
    ) -> Result<Permit<'p, 's>, AcquireError> {
        let entry = me.take(ResourceKind::Semaphore, self.state)?;
        let taken = me.noting(&self.state.wake, || self.acquire_claimed(me, deadline, &entry));
        match taken {
            Ok(()) => Ok(self.granted(me, entry)),
            Err(end) => {
                // This process may have been the one that a release woke, clearing the bit that stands for the others.
                self.state.state.fetch_or(WAIT, Ordering::AcqRel);
                self.pass_on();
                me.free(&entry);
                Err(AcquireError::Wait(end))
            }
        }
    }

    /// Takes a permit if there is one.
    pub fn try_acquire<'p>(self, me: &'p Proc<'s>) -> Result<Option<Permit<'p, 's>>, LedgerFull> {
        let entry = me.take(ResourceKind::Semaphore, self.state)?;
        if self.try_take(false) {
            return Ok(Some(self.granted(me, entry)));
        }
        me.free(&entry);
        Ok(None)
    }

    fn granted<'p>(self, me: &'p Proc<'s>, entry: Entry) -> Permit<'p, 's> {
        me.stop_point(StopPoint::SemaphoreTaken);
        me.note(&entry, EntryState::Held);
        Permit { semaphore: self, me, entry }
    }

    fn is_available(self, state: u32) -> bool {
        state & BLOCKED == 0 && state & TAKEN < self.state.capacity.load(Ordering::Acquire)
    }

    /// `after_sleep`: others may sleep whose bit was cleared to wake this process.
    fn try_take(self, after_sleep: bool) -> bool {
        let bits = if after_sleep { WAIT } else { 0 };
        let take = |state| self.is_available(state).then_some((state + 1) | bits);
        self.state.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    fn acquire_claimed(
        self,
        me: &Proc<'_>,
        deadline: Option<Monotonic>,
        entry: &Entry,
    ) -> Result<(), WaitEnd> {
        let mut took_latch = false;
        let mut slept = false;
        let result = loop {
            let seen = self.state.wake.load(Ordering::Acquire);
            if self.try_take(slept) {
                if slept {
                    self.pass_on();
                }
                break Ok(());
            }
            if !me.pending_interrupts().is_empty() {
                break Err(WaitEnd::Interrupted);
            }
            let wait = |state| (!self.is_available(state)).then_some(state | WAIT);
            if self.state.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, wait).is_err() {
                continue;
            }
            me.note(entry, EntryState::Waiting);
            let end = me.sleep_or_latch(&self.state.wake, seen, deadline, self.event);
            me.stop_point(StopPoint::SemaphoreAfterSleep);
            me.note(entry, EntryState::Taking);
            slept = true;
            match end {
                Sleep::TestAgain => {}
                Sleep::LatchSet => {
                    me.latch().reset();
                    took_latch = true;
                }
                Sleep::TimedOut => break if self.try_take(true) { Ok(()) } else { Err(WaitEnd::TimedOut) },
            }
        };
        if took_latch {
            me.latch().set();
        }
        result
    }

    /// Wakes one waiter if there is a permit for it.
    fn pass_on(self) {
        let clear = |state| (state & WAIT != 0 && self.is_available(state)).then_some(state & !WAIT);
        if self.state.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, clear).is_ok() {
            self.state.wake.fetch_add(1, Ordering::AcqRel);
            futex::wake(&self.state.wake, 1);
        }
    }

    fn release(self, me: &Proc<'_>) {
        let before = self.state.state.fetch_sub(1, Ordering::AcqRel);
        me.stop_point(StopPoint::SemaphoreReleased);
        if before & WAIT != 0 {
            self.pass_on();
        }
    }

    /// Gives back what a dead process had, by counting the ledgers of the living, and wakes everybody who waits.
    /// `true` if the count was wrong. Can be repeated.
    pub(super) fn undo_dead(self, offset: Offset, survivors: Survivors<'_>) -> Result<bool, Stuck> {
        let word = &self.state.state;
        word.fetch_or(BLOCKED, Ordering::AcqRel);
        let result = loop {
            let read = || word.load(Ordering::Acquire);
            match quiet_for(survivors, ResourceKind::Semaphore, offset, read) {
                Err(stuck) => {
                    word.fetch_and(!BLOCKED, Ordering::AcqRel);
                    break Err(stuck);
                }
                Ok((held, seen)) => {
                    let next = seen & WAIT | held;
                    if word.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                        break Ok(seen & TAKEN != held);
                    }
                }
            }
        };
        self.state.wake.fetch_add(1, Ordering::AcqRel);
        futex::wake_all(&self.state.wake);
        result
    }
}

/// A permit; dropping it gives it back.
#[must_use = "the permit is given back when this is dropped"]
pub struct Permit<'p, 's> {
    semaphore: Semaphore<'s>,
    me: &'p Proc<'s>,
    entry: Entry,
}

impl Drop for Permit<'_, '_> {
    fn drop(&mut self) {
        self.me.note(&self.entry, EntryState::Releasing);
        self.semaphore.release(self.me);
        self.me.free(&self.entry);
    }
}

#[cfg(all(test, model))]
mod models {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64 as PlainU64, Ordering as PlainOrdering};

    use super::*;
    use crate::ipc::model_world::{World, spawn};
    use crate::ipc::{ConditionVariable, Interrupts};
    use crate::sync::{run_model, thread};

    fn contend(name: &str, preemptions: Option<usize>, processes: usize, permits: u32, rounds: usize) {
        run_model(name, preemptions, 20_000, move || {
            let world = World::new(processes);
            Semaphore::new(&world.semaphore, WaitEvent::SEMAPHORE).set_capacity(permits);
            let inside = Arc::new(PlainU64::new(0));
            let work = move |world: &World, me: &Proc<'_>| {
                for _ in 0..rounds {
                    let permit = Semaphore::new(&world.semaphore, WaitEvent::SEMAPHORE).acquire(me, None);
                    let others = inside.fetch_add(1, PlainOrdering::SeqCst);
                    assert!(others < u64::from(permits), "granted more than there are");
                    thread::yield_now();
                    inside.fetch_sub(1, PlainOrdering::SeqCst);
                    drop(permit.expect("nobody interrupts"));
                }
            };
            let others: Vec<_> = (1..processes).map(|slot| spawn(&world, slot, work.clone())).collect();
            world.run(0, work);
            others.into_iter().for_each(|t| t.join().unwrap());
            assert_eq!(world.semaphore.state.load(Ordering::Relaxed) & TAKEN, 0);
        });
    }

    #[test]
    fn one_permit_for_two() {
        contend("semaphore::one_permit_for_two", Some(3), 2, 1, 1);
    }

    #[test]
    fn one_permit_for_three() {
        contend("semaphore::one_permit_for_three", Some(2), 3, 1, 1);
    }

    #[test]
    fn two_permits_for_three() {
        contend("semaphore::two_permits_for_three", Some(2), 3, 2, 1);
    }

    /// Only for random schedules: loom can't have so many threads.
    #[cfg(shuttle)]
    #[test]
    fn a_crowd() {
        contend("semaphore::a_crowd", None, 6, 2, 3);
    }

    /// Two permits come back together, and only one waiter is woken, because the first wake-up clears the bit that the second
    /// release looks at: the woken one must wake the other before it goes on, or they never meet.
    #[test]
    fn two_permits_serve_two_waiters_at_once() {
        run_model("semaphore::two_permits_serve_two_waiters_at_once", Some(2), 20_000, || {
            let world = World::new(3);
            Semaphore::new(&world.semaphore, WaitEvent::SEMAPHORE).set_capacity(2);
            let meet = |world: &World, me: &Proc<'_>| {
                let permit = Semaphore::new(&world.semaphore, WaitEvent::SEMAPHORE).acquire(me, None);
                let slot = me.id().slot().index();
                world.words[slot].store(1, Ordering::Release);
                let condition = ConditionVariable::new(&world.condition);
                condition.broadcast(me);
                let has_come = || world.words[3 - slot].load(Ordering::Acquire) == 1;
                let met = condition.wait_until(me, None, WaitEvent::CONDITION_VARIABLE, has_come);
                assert_eq!(met, Ok(()));
                drop(permit);
            };
            let waiters = world.run(0, |inside, me| {
                let semaphore = Semaphore::new(&inside.semaphore, WaitEvent::SEMAPHORE);
                // Both are taken before anybody waits.
                let permits = [semaphore.acquire(me, None), semaphore.acquire(me, None)];
                let waiters = [1, 2].map(|slot| spawn(&world, slot, meet));
                drop(permits);
                waiters
            });
            waiters.into_iter().for_each(|t| t.join().unwrap());
        });
    }

    /// A waiter that a release woke is cancelled and finds the permit taken again by somebody who did not sleep: the other
    /// waiter must still be woken by the next release. At first the cancelled one left without setting the bit again that
    /// its wake-up had cleared.
    #[test]
    fn interrupted_waiter_passes_the_baton() {
        run_model("semaphore::interrupted_waiter_passes_the_baton", Some(2), 20_000, || {
            let world = World::new(3);
            Semaphore::new(&world.semaphore, WaitEvent::SEMAPHORE).set_capacity(1);
            let waiters: Vec<_> = [1, 2]
                .map(|slot| {
                    spawn(&world, slot, |world, me| {
                        drop(Semaphore::new(&world.semaphore, WaitEvent::SEMAPHORE).acquire(me, None));
                    })
                })
                .into();
            world.run(0, |world, me| {
                let semaphore = Semaphore::new(&world.semaphore, WaitEvent::SEMAPHORE);
                let permit = semaphore.acquire(me, None);
                me.interrupt(world.slot(1), Interrupts::CANCEL);
                drop(permit);
                drop(semaphore.acquire(me, None));
            });
            waiters.into_iter().for_each(|t| t.join().unwrap());
            assert_eq!(world.semaphore.state.load(Ordering::Relaxed) & TAKEN, 0);
        });
    }
}
