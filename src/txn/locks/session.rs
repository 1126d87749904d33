//! One session's locks: how often it took each, for the session or at which savepoint, and how it waits.
//!
//! The shared table knows only that an owner holds a mode. The counts are here, so that a lock taken again costs nothing
//! shared, and so that going back to a savepoint gives back what was taken behind it.

use std::collections::HashMap;
use std::time::Duration;

use shmem_layout::LockOwner;

use super::deadlock::Deadlock;
use super::mode::LockMode;
use super::queue::Outcome;
use super::table::{Full, Locks, OwnerIndex};
use super::tag::LockTag;
use crate::ipc::stop_points::StopPoint;
use crate::ipc::{ConditionVariable, Interrupts, Proc, WaitEnd, WaitEvent};
use crate::sync::{Monotonic, Ordering};

/// For how long a lock is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Until it is given back, or the session ends.
    Session,
    /// Until the transaction ends, or goes back to before the savepoint of this depth; 1 is the transaction itself.
    Transaction(u32),
}

/// Why a lock was not got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LockError {
    /// The lock table is full.
    OutOfMemory,
    /// Somebody has it, and the caller would not wait.
    WouldBlock,
    /// `lock_timeout` passed.
    TimedOut,
    /// The watcher gave the wait up.
    GivenUp,
    /// Those who wait wait for each other.
    Deadlock(Deadlock),
}

/// What a waiting process still does.
pub trait Watcher {
    /// An interrupt is pending. `true` gives the wait up. What is left pending does not end this wait any more.
    fn interrupted(&mut self, me: &Proc<'_>) -> bool;

    /// `deadlock_timeout` has passed, and there is no deadlock.
    fn still_waiting(&mut self) {}

    /// Whether a transaction is still running, for deadlocks in which somebody waits for one.
    fn is_running(&self, xid: u64) -> bool;
}

/// How to wait.
pub struct Wait<'w> {
    /// `lock_timeout`.
    pub lock_timeout: Option<Duration>,
    /// `deadlock_timeout`.
    pub deadlock_timeout: Duration,
    /// What to do meanwhile.
    pub watcher: &'w mut dyn Watcher,
}

/// How often a lock was taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Taken {
    by_session: u32,
    /// Depths of savepoints, rising, and how often at each.
    by_level: Vec<(u32, u32)>,
}

impl Taken {
    fn is_none(&self) -> bool {
        self.by_session == 0 && self.by_level.is_empty()
    }

    fn add(&mut self, scope: Scope) {
        match (scope, self.by_level.last_mut()) {
            (Scope::Session, _) => self.by_session += 1,
            (Scope::Transaction(level), Some((last, count))) if *last >= level => *count += 1,
            (Scope::Transaction(level), _) => self.by_level.push((level, 1)),
        }
    }

    /// Takes one off; `false` if there is none in this scope.
    fn take_off(&mut self, scope: Scope) -> bool {
        match (scope, self.by_level.last_mut()) {
            (Scope::Session, _) if self.by_session > 0 => self.by_session -= 1,
            (Scope::Transaction(_), Some((_, count))) => {
                *count -= 1;
                if *count == 0 {
                    self.by_level.pop();
                }
            }
            _ => return false,
        }
        true
    }

    /// Hands what was taken at `level` or deeper to the level above it.
    fn merge(&mut self, level: u32) {
        let at = self.by_level.partition_point(|(l, _)| *l < level);
        let count: u32 = self.by_level.drain(at..).map(|(_, count)| count).sum();
        match self.by_level.last_mut() {
            _ if count == 0 => {}
            Some((last, before)) if *last + 1 == level => *before += count,
            _ => self.by_level.push((level - 1, count)),
        }
    }
}

/// A session's locks.
pub struct LockSession<'s> {
    locks: Locks<'s>,
    owner: OwnerIndex,
    taken: HashMap<(LockTag, LockMode), Taken>,
}

impl<'s> LockSession<'s> {
    /// The locks of the process `me`, which has none yet, connected to `database` (0: none).
    pub fn new(locks: Locks<'s>, me: &Proc<'s>, database: u32) -> Self {
        let owner = OwnerIndex::of_process(me.id().slot());
        locks.owner(owner).database.store(database, Ordering::SeqCst);
        Self { locks, owner, taken: HashMap::new() }
    }

    /// The shared table.
    pub fn table(&self) -> Locks<'s> {
        self.locks
    }

    /// This session as others know it.
    pub fn owner(&self) -> OwnerIndex {
        self.owner
    }

    /// Whether it holds the lock in this very mode.
    pub fn holds(&self, tag: LockTag, mode: LockMode) -> bool {
        self.taken.contains_key(&(tag, mode))
    }

    /// Locks it holds, as pairs of tag and mode, and whether by transaction and by session.
    pub fn held(&self) -> impl Iterator<Item = (LockTag, LockMode, bool, bool)> {
        let by = |taken: &Taken| (!taken.by_level.is_empty(), taken.by_session > 0);
        self.taken.iter().map(move |((tag, mode), taken)| (*tag, *mode, by(taken).0, by(taken).1))
    }

    /// Takes a lock, waiting for it if need be. `wait` of `None` does not wait.
    ///
    /// # Errors
    /// See [`LockError`]; nothing is held or waited for then.
    pub fn acquire(
        &mut self,
        me: &Proc<'s>,
        tag: LockTag,
        mode: LockMode,
        scope: Scope,
        wait: Option<&mut Wait<'_>>,
    ) -> Result<(), LockError> {
        if let Some(taken) = self.taken.get_mut(&(tag, mode)) {
            taken.add(scope);
            return Ok(());
        }
        if !self.locks.take_fast(me, self.owner, tag, mode) {
            self.take_by_table(me, tag, mode, wait)?;
        }
        self.taken.entry((tag, mode)).or_default().add(scope);
        Ok(())
    }

    fn take_by_table(
        &self,
        me: &Proc<'s>,
        tag: LockTag,
        mode: LockMode,
        wait: Option<&mut Wait<'_>>,
    ) -> Result<(), LockError> {
        let is_counted = mode.is_strong() && tag.as_local_relation().is_some();
        if !is_counted {
            return self.request(me, tag, mode, wait);
        }
        self.locks.begin_strong(me, self.owner, tag.to_raw());
        me.stop_point(StopPoint::LockStrongCounted);
        let moved = self.locks.move_all_fast(me, tag).map_err(|Full| LockError::OutOfMemory);
        let result = moved.and_then(|()| self.request(me, tag, mode, wait));
        // If this failed, an earlier strong lock of the same relation has its own count.
        self.locks.end_strong(me, self.owner, tag);
        result
    }

    fn request(
        &self,
        me: &Proc<'s>,
        tag: LockTag,
        mode: LockMode,
        wait: Option<&mut Wait<'_>>,
    ) -> Result<(), LockError> {
        match self.locks.request(me, self.owner, tag, mode, wait.is_some()) {
            Err(Full) => Err(LockError::OutOfMemory),
            Ok(Outcome::Granted) => {
                me.stop_point(StopPoint::LockGranted);
                Ok(())
            }
            Ok(Outcome::WouldBlock) => Err(LockError::WouldBlock),
            Ok(Outcome::Deadlock(other, wants)) if wait.is_some() => {
                Err(LockError::Deadlock(Deadlock::of_two(me, tag, (self.owner, mode), (other, wants))))
            }
            Ok(Outcome::Deadlock(..)) => Err(LockError::WouldBlock),
            Ok(Outcome::Queued) => {
                me.stop_point(StopPoint::LockQueued);
                self.wait(me, tag, wait.expect("only a request that may wait is queued"))
            }
        }
    }

    /// Waits in the queue, and leaves it with the lock or without.
    fn wait(&self, me: &Proc<'s>, tag: LockTag, wait: &mut Wait<'_>) -> Result<(), LockError> {
        let own = self.locks.owner(self.owner);
        let is_over = || own.wait_status.load(Ordering::Acquire) != LockOwner::WAITING;
        let word = self.locks.wait_word(self.owner);
        let waited = self.wait_on(me, word, tag.wait_event(), wait, is_over);
        me.stop_point(StopPoint::LockAfterSleep);
        let is_granted = match &waited {
            Ok(()) => true,
            // It may have come just now; then it is kept, and the interrupt is seen at the next look.
            Err(_) => self.locks.withdraw(me, self.owner, tag),
        };
        own.wait_status.store(LockOwner::IDLE, Ordering::Release);
        if is_granted { Ok(()) } else { waited }
    }

    /// Waits until `is_over`, looking for deadlocks after `deadlock_timeout`. The caller's slot says what it waits for.
    pub(in crate::txn) fn wait_on(
        &self,
        me: &Proc<'s>,
        word: ConditionVariable<'s>,
        event: WaitEvent,
        wait: &mut Wait<'_>,
        is_over: impl Fn() -> bool,
    ) -> Result<(), LockError> {
        let now = Monotonic::now();
        let give_up = wait.lock_timeout.map(|timeout| now.saturating_add(timeout));
        let mut look = Some(now.saturating_add(wait.deadlock_timeout));
        let mut held_off = Interrupts::NONE;
        loop {
            let deadline = give_up.into_iter().chain(look).min();
            match me.hold_off(held_off, || word.wait_until(me, deadline, event, &is_over)) {
                Ok(()) => return Ok(()),
                Err(WaitEnd::Interrupted) if wait.watcher.interrupted(me) => return Err(LockError::GivenUp),
                Err(WaitEnd::Interrupted) => held_off = held_off | me.pending_interrupts(),
                Err(WaitEnd::TimedOut) if give_up.is_some_and(|at| Monotonic::now() >= at) => {
                    return Err(LockError::TimedOut);
                }
                Err(WaitEnd::TimedOut) => {
                    look = None;
                    let is_running = |xid| wait.watcher.is_running(xid);
                    if let Some(deadlock) = self.locks.find_deadlock(me, self.owner, &is_running) {
                        return Err(LockError::Deadlock(deadlock));
                    }
                    wait.watcher.still_waiting();
                }
            }
        }
    }

    /// Gives one taking of a lock back; `false` if it is not held in this scope.
    pub fn release(&mut self, me: &Proc<'s>, tag: LockTag, mode: LockMode, scope: Scope) -> bool {
        let Some(taken) = self.taken.get_mut(&(tag, mode)) else { return false };
        if !taken.take_off(scope) {
            return false;
        }
        if taken.is_none() {
            self.taken.remove(&(tag, mode));
            self.give_back(me, tag, mode);
        }
        true
    }

    /// The savepoint of this depth is rolled back to: what was taken since is given back.
    pub fn abort_level(&mut self, me: &Proc<'s>, level: u32) {
        self.thin_out(me, |taken| taken.by_level.retain(|(l, _)| *l < level));
    }

    /// The savepoint of this depth is released: what was taken since belongs to the level above.
    pub fn commit_level(&mut self, level: u32) {
        self.taken.values_mut().for_each(|taken| taken.merge(level));
    }

    /// The transaction is over.
    pub fn release_transaction(&mut self, me: &Proc<'s>) {
        self.thin_out(me, |taken| taken.by_level.clear());
    }

    /// All advisory locks that were taken for the session are given back (`pg_advisory_unlock_all`).
    pub fn release_advisory(&mut self, me: &Proc<'s>) {
        let is_advisory =
            |tag: &LockTag| matches!(tag, LockTag::Advisory { .. } | LockTag::AdvisoryPair { .. });
        self.thin_out_where(me, |tag, taken| {
            if is_advisory(tag) {
                taken.by_session = 0;
            }
        });
    }

    /// The session is over.
    pub fn release_all(&mut self, me: &Proc<'s>) {
        self.thin_out(me, |taken| *taken = Taken::default());
    }

    /// Forgets the transaction's locks without giving them back: they have another owner now.
    pub(super) fn forget_transaction(&mut self) {
        self.taken.values_mut().for_each(|taken| taken.by_level.clear());
        self.taken.retain(|_, taken| !taken.is_none());
    }

    fn thin_out(&mut self, me: &Proc<'s>, mut change: impl FnMut(&mut Taken)) {
        self.thin_out_where(me, |_, taken| change(taken));
    }

    fn thin_out_where(&mut self, me: &Proc<'s>, mut change: impl FnMut(&LockTag, &mut Taken)) {
        let (locks, owner) = (self.locks, self.owner);
        self.taken.retain(|(tag, mode), taken| {
            change(tag, taken);
            let is_kept = !taken.is_none();
            if !is_kept {
                give_back(locks, me, owner, *tag, *mode);
            }
            is_kept
        });
    }

    fn give_back(&self, me: &Proc<'s>, tag: LockTag, mode: LockMode) {
        give_back(self.locks, me, self.owner, tag, mode);
    }
}

fn give_back<'s>(locks: Locks<'s>, me: &Proc<'s>, owner: OwnerIndex, tag: LockTag, mode: LockMode) {
    if locks.release_fast(owner, tag, mode) {
        return;
    }
    let woken = locks.release(me, owner, tag, mode);
    debug_assert!(woken.is_some(), "{mode:?} on {tag} was counted as held");
    me.stop_point(StopPoint::LockReleasedBeforeWake);
    locks.wake(me, &woken.unwrap_or_default());
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn counts_belong_to_savepoints() {
        let mut taken = Taken::default();
        for scope in [Scope::Transaction(1), Scope::Transaction(3), Scope::Session, Scope::Transaction(3)] {
            taken.add(scope);
        }
        assert_eq!(taken, Taken { by_session: 1, by_level: vec![(1, 1), (3, 2)] });
        taken.merge(3);
        assert_eq!(taken.by_level, [(1, 1), (2, 2)]);
        taken.merge(2);
        assert_eq!(taken.by_level, [(1, 3)]);
        assert!(taken.take_off(Scope::Session) && !taken.take_off(Scope::Session));
        for _ in 0..3 {
            assert!(taken.take_off(Scope::Transaction(1)));
        }
        assert!(taken.is_none() && !taken.take_off(Scope::Transaction(1)));
    }
}
