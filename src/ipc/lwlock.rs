//! The lightweight lock: shared or exclusive, for short work on shared structures.
//!
//! One 64-bit word says who holds it (`shmem_layout::LwLockState` has its bits), one futex word counts wake-ups. The
//! kernel keeps the queue. Readers sleep under one bit of the futex's bitset, who waits for a mere release under another,
//! writers under one of the remaining thirty by slot, so that one writer can be woken and no other.
//!
//! Who finds the lock taken reads `wake`, sets its waiter bit in the very compare-and-swap that proves the lock taken,
//! and sleeps while `wake` is as it was read. Who frees the lock sees the bits in its own read-modify-write, moves `wake`
//! and wakes. A waiter that was woken carries the baton: it takes the lock (and wakes others when it releases it), or
//! finds it taken by somebody who will, or dies, and then whoever handles its death wakes everybody on that word.
//!
//! The first writer to wait is the *heir*. Others may overtake it, because handing the lock to a sleeper leaves it idle
//! for a wake-up's time, but at most [`MAX_OVERTAKES`] of them; then only the heir gets it.
//!
//! Waiting is not interruptible: locks are held for microseconds. A holder that dies is found by its slot's ledger and by
//! the owner tag in the word; `recovery` undoes it.

mod recovery;

use std::num::NonZeroU32;

use shmem_layout::{EntryState, LwLockState, ResourceKind, SlotIndex};

pub use recovery::Stuck;
pub(in crate::ipc) use recovery::{Survivors, quiet_for};

use super::proc::{Entry, Proc};
use super::stop_points::StopPoint;
use super::wait_event::WaitEvent;
use crate::sync::{Ordering, futex};

/// How many may get the lock past a waiting writer.
#[cfg(not(model))]
pub const MAX_OVERTAKES: u64 = 32;
/// How many may get the lock past a waiting writer; few, so that models reach the bound.
#[cfg(model)]
pub const MAX_OVERTAKES: u64 = 1;

const SHARERS: u64 = 0xffff;
const OWNER_SHIFT: u32 = 16;
const OWNER: u64 = 0xffff << OWNER_SHIFT;
const HEIR_SHIFT: u32 = 32;
const HEIR: u64 = 0xffff << HEIR_SHIFT;
const OVERTAKE: u64 = 1 << 48;
const OVERTAKES: u64 = 0xff << 48;
const READERS_WAIT: u64 = 1 << 56;
const WRITERS_WAIT: u64 = 1 << 57;
const FREE_WAIT: u64 = 1 << 58;
const BLOCKED: u64 = 1 << 59;
/// Whatever makes a release look for somebody to wake.
const ANY_WAIT: u64 = HEIR | READERS_WAIT | WRITERS_WAIT | FREE_WAIT;

/// The bits of the futex's bitset.
const READERS: u32 = 1;
const UNTIL_FREE: u32 = 1 << 1;
const ALL_WRITERS: u32 = !(READERS | UNTIL_FREE);

/// How to hold it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// With other sharers.
    Shared,
    /// Alone.
    Exclusive,
}

impl Mode {
    const fn kind(self) -> ResourceKind {
        match self {
            Self::Shared => ResourceKind::LwLockShared,
            Self::Exclusive => ResourceKind::LwLockExclusive,
        }
    }
}

const fn owner_of(state: u64) -> u16 {
    (state >> OWNER_SHIFT) as u16
}

const fn heir_of(state: u64) -> u16 {
    (state >> HEIR_SHIFT) as u16
}

const fn is_held(state: u64) -> bool {
    state & (SHARERS | OWNER) != 0
}

fn writer_bit(tag: u16) -> u32 {
    1 << (2 + u32::from(tag) % 30)
}

/// What a process that wants the lock does about the state it sees.
enum Step {
    Take(u64),
    Wait(u64),
}

/// An LWLock in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct LwLock<'s> {
    lock: &'s LwLockState,
    event: WaitEvent,
}

impl<'s> LwLock<'s> {
    /// The lock over this state; waits for it show as `event`.
    pub fn new(lock: &'s LwLockState, event: WaitEvent) -> Self {
        Self { lock, event }
    }

    /// Takes it, waiting if need be.
    ///
    /// # Panics
    /// If this process holds more locks than its ledger has room for, or holds this one already exclusively.
    #[inline]
    pub fn acquire<'p>(self, me: &'p Proc<'s>, mode: Mode) -> LwLockGuard<'p, 's> {
        let entry = self.claim(me, mode);
        if !self.try_fast(me, mode) {
            self.acquire_slow(me, mode, &entry);
        }
        self.granted(me, mode, entry)
    }

    /// Takes it if that needs no wait.
    #[inline]
    pub fn try_acquire<'p>(self, me: &'p Proc<'s>, mode: Mode) -> Option<LwLockGuard<'p, 's>> {
        let entry = self.claim(me, mode);
        if self.try_fast(me, mode) || self.try_slow(me, mode) {
            return Some(self.granted(me, mode, entry));
        }
        me.free(&entry);
        None
    }

    /// Takes it, or, if it is taken, waits until somebody releases it and returns without it: for work that whoever had
    /// the lock may have done already.
    pub fn acquire_or_wait<'p>(self, me: &'p Proc<'s>, mode: Mode) -> Option<LwLockGuard<'p, 's>> {
        let entry = self.claim(me, mode);
        if self.try_fast(me, mode) || self.take_or_wait_for_release(me, mode, &entry) {
            return Some(self.granted(me, mode, entry));
        }
        me.free(&entry);
        None
    }

    /// Slot of the exclusive holder.
    pub fn owner(self) -> Option<SlotIndex> {
        SlotIndex::from_tag(owner_of(self.lock.state.load(Ordering::Acquire)))
    }

    /// Number of shared holders.
    pub fn sharers(self) -> u64 {
        self.lock.state.load(Ordering::Acquire) & SHARERS
    }

    #[inline]
    fn claim(self, me: &Proc<'_>, mode: Mode) -> Entry {
        me.take(mode.kind(), self.lock).expect("an LWLock nests no deeper than the ledger")
    }

    #[inline]
    fn granted<'p>(self, me: &'p Proc<'s>, mode: Mode, entry: Entry) -> LwLockGuard<'p, 's> {
        me.stop_point(StopPoint::LwLockTaken);
        me.note(&entry, EntryState::Held);
        me.stop_point(StopPoint::LwLockHeld);
        LwLockGuard { lock: self, me, mode, entry }
    }

    /// Nobody holds it, nobody waits: one compare-and-swap.
    #[inline]
    fn try_fast(self, me: &Proc<'_>, mode: Mode) -> bool {
        let wanted = match mode {
            Mode::Shared => 1,
            Mode::Exclusive => u64::from(me.id().slot().tag()) << OWNER_SHIFT,
        };
        self.lock.state.compare_exchange(0, wanted, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn try_slow(self, me: &Proc<'_>, mode: Mode) -> bool {
        let mut state = self.lock.state.load(Ordering::Acquire);
        while let Step::Take(next) = self.next(me, state, mode, false) {
            match self.lock.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    #[cold]
    fn acquire_slow(self, me: &Proc<'_>, mode: Mode, entry: &Entry) {
        let tag = me.id().slot().tag();
        let bitset = if mode == Mode::Shared { READERS } else { writer_bit(tag) };
        let bitset = NonZeroU32::new(bitset).expect("one bit");
        let mut was_woken_as_one_writer = false;
        loop {
            let seen = self.lock.wake.load(Ordering::Acquire);
            let state = self.lock.state.load(Ordering::Acquire);
            assert!(owner_of(state) != tag, "LWLock taken again by its exclusive holder");
            let (next, takes) = match self.next(me, state, mode, was_woken_as_one_writer) {
                Step::Take(next) => (next, true),
                Step::Wait(next) => (next, false),
            };
            let is_as_wanted = next == state && !takes;
            if !is_as_wanted
                && self
                    .lock
                    .state
                    .compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed)
                    .is_err()
            {
                continue;
            }
            if takes {
                return;
            }
            me.note(entry, EntryState::Waiting);
            me.stop_point(StopPoint::LwLockBeforeSleep);
            me.sleep(&self.lock.wake, seen, bitset, self.event);
            me.stop_point(StopPoint::LwLockAfterSleep);
            me.note(entry, EntryState::Taking);
            was_woken_as_one_writer = mode == Mode::Exclusive && heir_of(next) != tag;
        }
    }

    /// The state that follows `state` for a process that wants the lock. `woken_as_one`: it slept as a writer among
    /// others, and the bit that stands for them was cleared to wake it, so it sets that again.
    fn next(self, me: &Proc<'_>, state: u64, mode: Mode, woken_as_one: bool) -> Step {
        let tag = me.id().slot().tag();
        let heir = heir_of(state);
        let is_heir = heir == tag;
        let base = if woken_as_one { state | WRITERS_WAIT } else { state };
        let is_free_for_me = match mode {
            Mode::Shared => state & OWNER == 0 && state & SHARERS != SHARERS,
            Mode::Exclusive => !is_held(state),
        };
        let is_my_turn = heir == 0 || is_heir || (state & OVERTAKES) / OVERTAKE < MAX_OVERTAKES;
        if state & BLOCKED == 0 && is_free_for_me && is_my_turn {
            let held = match mode {
                Mode::Shared => base + 1,
                Mode::Exclusive => base | u64::from(tag) << OWNER_SHIFT,
            };
            return Step::Take(match (heir, is_heir) {
                (0, _) => held,
                (_, true) => held & !(HEIR | OVERTAKES),
                (_, false) => held + OVERTAKE,
            });
        }
        Step::Wait(match mode {
            Mode::Shared => base | READERS_WAIT,
            Mode::Exclusive if heir == 0 => base | u64::from(tag) << HEIR_SHIFT,
            Mode::Exclusive if is_heir => base,
            Mode::Exclusive => base | WRITERS_WAIT,
        })
    }

    /// `true`: taken. `false`: it was released since this was called.
    #[cold]
    fn take_or_wait_for_release(self, me: &Proc<'_>, mode: Mode, entry: &Entry) -> bool {
        let bitset = NonZeroU32::new(UNTIL_FREE).expect("one bit");
        let mut slept_on = None;
        loop {
            let seen = self.lock.wake.load(Ordering::Acquire);
            if slept_on.is_some_and(|before| before != seen) {
                return false;
            }
            let state = self.lock.state.load(Ordering::Acquire);
            if let Step::Take(_) = self.next(me, state, mode, false) {
                if self.try_slow(me, mode) {
                    return true;
                }
                continue;
            }
            let next = state | FREE_WAIT;
            let set = self.lock.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed);
            if set.is_err() {
                continue;
            }
            slept_on = Some(seen);
            me.note(entry, EntryState::Waiting);
            me.sleep(&self.lock.wake, seen, bitset, self.event);
            me.note(entry, EntryState::Taking);
        }
    }

    #[inline]
    fn release(self, me: &Proc<'_>, mode: Mode) {
        let held = match mode {
            Mode::Shared => 1,
            Mode::Exclusive => u64::from(me.id().slot().tag()) << OWNER_SHIFT,
        };
        let before = self.lock.state.fetch_sub(held, Ordering::AcqRel);
        if before & ANY_WAIT != 0 && !is_held(before - held) {
            me.stop_point(StopPoint::LwLockReleased);
            self.wake_after_release();
        }
    }

    /// Wakes who can take the lock now. If somebody holds it again, that holder has seen the same bits and will do this
    /// in turn; so there is nothing to do then, except to let readers join a reader.
    #[cold]
    fn wake_after_release(self) {
        while self.lock.state.load(Ordering::Acquire) & FREE_WAIT != 0 {
            self.wake_class(FREE_WAIT, u32::MAX, UNTIL_FREE);
        }
        loop {
            let state = self.lock.state.load(Ordering::Acquire);
            if heir_of(state) != 0 {
                if !is_held(state) {
                    self.wake(u32::MAX, writer_bit(heir_of(state)));
                }
                return;
            }
            let owned = state & OWNER != 0;
            let writer_may_try = !is_held(state) && state & WRITERS_WAIT != 0;
            if !owned && state & READERS_WAIT != 0 {
                // And then a writer too: it becomes heir, or readers that keep coming could keep it asleep.
                self.wake_class(READERS_WAIT, u32::MAX, READERS);
            } else if !writer_may_try || self.wake_class(WRITERS_WAIT, 1, ALL_WRITERS) > 0 {
                return;
            }
        }
    }

    /// Clears the bit that stands for a class of waiters, then wakes `count` of them. 0 also if the state has moved.
    fn wake_class(self, class: u64, count: u32, bits: u32) -> u32 {
        let state = self.lock.state.load(Ordering::Acquire);
        let cleared =
            self.lock.state.compare_exchange(state, state & !class, Ordering::AcqRel, Ordering::Relaxed);
        if state & class == 0 || cleared.is_err() {
            return 0;
        }
        self.wake(count, bits)
    }

    fn wake(self, count: u32, bits: u32) -> u32 {
        self.lock.wake.fetch_add(1, Ordering::AcqRel);
        futex::wake_bitset(&self.lock.wake, count, NonZeroU32::new(bits).expect("classes have bits"))
    }
}

/// A lock held; dropping it releases it.
#[must_use = "the lock is released when this is dropped"]
pub struct LwLockGuard<'p, 's> {
    lock: LwLock<'s>,
    me: &'p Proc<'s>,
    mode: Mode,
    entry: Entry,
}

impl LwLockGuard<'_, '_> {
    /// How it is held.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

impl Drop for LwLockGuard<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.me.note(&self.entry, EntryState::Releasing);
        self.lock.release(self.me, self.mode);
        self.me.stop_point(StopPoint::LwLockWoken);
        self.me.free(&self.entry);
    }
}

#[cfg(all(test, model))]
mod models;
