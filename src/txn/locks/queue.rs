//! Who waits behind whom, and who is next.
//!
//! The order is PostgreSQL's: first come, first served, but a process that already holds what a waiter needs goes before
//! that waiter, for it could otherwise never get its lock. A request waits if it conflicts with what others hold or with
//! what those who wait before it want.

use shmem_layout::LockOwner;

use super::mode::{LockMode, ModeSet};
use super::table::{Full, Hold, Locks, OwnerIndex, Part, get, set};
use super::tag::LockTag;
use crate::ipc::Proc;
use crate::sync::{Monotonic, Ordering};

/// What came of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It is held.
    Granted,
    /// It is waited for.
    Queued,
    /// It is neither, since the caller would not wait.
    WouldBlock,
    /// This waiter waits for the caller, and the caller would wait for it.
    Deadlock(OwnerIndex, LockMode),
}

impl<'s> Locks<'s> {
    /// Asks for a lock that the owner does not hold in this mode yet.
    pub(super) fn request(
        &self,
        me: &Proc<'s>,
        owner: OwnerIndex,
        tag: LockTag,
        mode: LockMode,
        may_wait: bool,
    ) -> Result<Outcome, Full> {
        let raw = tag.to_raw();
        let part = self.part_of(me, raw);
        let _section = me.critical_section();
        let hold = part.make_hold(raw, owner)?;
        let held = part.held(hold.holder);
        let wanted = ModeSet::from_bits(get(&part.entry(hold.entry).waiting_mask));
        let is_free = !mode.conflicts().meets(wanted) && !part.is_excluded(hold.entry, mode, held);
        let outcome = if is_free || held.has(mode) {
            Outcome::Granted
        } else {
            part.place(hold, mode, owner, may_wait)
        };
        match outcome {
            // A lock that came by way of the fast path while the request was on its way may be there already.
            Outcome::Granted if !held.has(mode) => part.grant(hold, mode),
            Outcome::Granted | Outcome::Queued => {}
            Outcome::WouldBlock | Outcome::Deadlock(..) => part.drop_if_idle(hold),
        }
        Ok(outcome)
    }

    /// Gives a lock back. `None`: the owner does not hold it in the table. Else who is to be woken.
    pub(super) fn release(
        &self,
        me: &Proc<'s>,
        owner: OwnerIndex,
        tag: LockTag,
        mode: LockMode,
    ) -> Option<Vec<OwnerIndex>> {
        let raw = tag.to_raw();
        let part = self.part_of(me, raw);
        let hold = part.find_hold(raw, owner).filter(|hold| part.held(hold.holder).has(mode))?;
        let mut woken = part.room_for_waiters(hold.entry);
        let _section = me.critical_section();
        part.ungrant(hold, mode);
        part.grant_waiters(hold.entry, &mut woken);
        part.drop_if_idle(hold);
        Some(woken)
    }

    /// Ends an owner's wait. `true`: it has the lock after all. The owner's own call, or that of whoever cleans up after
    /// its death.
    pub(super) fn withdraw(&self, me: &Proc<'s>, owner: OwnerIndex, tag: LockTag) -> bool {
        let raw = tag.to_raw();
        let part = self.part_of(me, raw);
        let status = &self.owner(owner).wait_status;
        if status.load(Ordering::Acquire) != LockOwner::WAITING {
            return status.load(Ordering::Acquire) == LockOwner::GRANTED;
        }
        let Some(hold) = part.find_hold(raw, owner) else { return false };
        let woken = part.leave_queue(me, hold, owner);
        drop(part);
        self.wake(me, &woken);
        false
    }
}

impl Part<'_, '_> {
    /// Where in the queue the owner's request belongs, or that it need not wait.
    fn place(&self, hold: Hold, mode: LockMode, owner: OwnerIndex, may_wait: bool) -> Outcome {
        let held = self.held(hold.holder);
        let mut wanted_before = ModeSet::NONE;
        let mut next = get(&self.entry(hold.entry).first_waiter);
        while let Some(waiter) = OwnerIndex::from_number(next).filter(|_| !held.is_empty()) {
            let wants = self.wanted_by(waiter);
            if wants.conflicts().meets(held) {
                // It waits for me, so I must go before it. Do I wait for it?
                let holds = self.find_holder(hold.entry, waiter).map_or(ModeSet::NONE, |h| self.held(h));
                if mode.conflicts().meets(holds) {
                    return Outcome::Deadlock(waiter, wants);
                }
                let is_free = !mode.conflicts().meets(wanted_before);
                if is_free && !self.is_excluded(hold.entry, mode, held) {
                    return Outcome::Granted;
                }
                break;
            }
            wanted_before = wanted_before.with(wants);
            next = get(&self.locks.owner(waiter).next_waiter);
        }
        if !may_wait {
            return Outcome::WouldBlock;
        }
        let before = if held.is_empty() { 0 } else { next };
        self.enter_queue(hold.entry, mode, owner, before);
        Outcome::Queued
    }

    /// The mode that a waiter wants.
    pub fn wanted_by(&self, waiter: OwnerIndex) -> LockMode {
        let mode = LockMode::from_number(get(&self.locks.owner(waiter).wait_mode));
        mode.expect("a waiter's mode was written under this lock")
    }

    /// Puts an owner into the queue before the one of number `next`, 0: at its end.
    fn enter_queue(&self, entry: u32, mode: LockMode, owner: OwnerIndex, next: u32) {
        let (words, waits) = (self.entry(entry), self.locks.owner(owner));
        let before_of = |number: u32| match OwnerIndex::from_number(number) {
            Some(next) => &self.locks.owner(next).before_waiter,
            None => &words.last_waiter,
        };
        let before = get(before_of(next));
        set(&waits.next_waiter, next);
        set(&waits.before_waiter, before);
        set(before_of(next), owner.number());
        match OwnerIndex::from_number(before) {
            Some(before) => set(&self.locks.owner(before).next_waiter, owner.number()),
            None => set(&words.first_waiter, owner.number()),
        }
        let count = &words.waiting[mode.index()];
        set(count, get(count) + 1);
        set(&words.waiting_mask, get(&words.waiting_mask) | ModeSet::one(mode).bits());
        set(&waits.wait_entry, entry);
        set(&waits.wait_mode, mode.number());
        waits.wait_started_ns.store(Monotonic::now().as_nanos(), Ordering::Relaxed);
        waits.wait_sequence.fetch_add(1, Ordering::Relaxed);
        waits.wait_status.store(LockOwner::WAITING, Ordering::Release);
    }

    /// Takes an owner out of the queue, with what it has become.
    fn unlink_waiter(&self, entry: u32, owner: OwnerIndex, status: u32) {
        let (words, waits) = (self.entry(entry), self.locks.owner(owner));
        let (next, before) = (get(&waits.next_waiter), get(&waits.before_waiter));
        match OwnerIndex::from_number(before) {
            Some(before) => set(&self.locks.owner(before).next_waiter, next),
            None => set(&words.first_waiter, next),
        }
        match OwnerIndex::from_number(next) {
            Some(next) => set(&self.locks.owner(next).before_waiter, before),
            None => set(&words.last_waiter, before),
        }
        let mode = self.wanted_by(owner);
        let count = &words.waiting[mode.index()];
        set(count, get(count) - 1);
        if get(count) == 0 {
            set(&words.waiting_mask, get(&words.waiting_mask) & !ModeSet::one(mode).bits());
        }
        set(&waits.wait_entry, 0);
        set(&waits.next_waiter, 0);
        set(&waits.before_waiter, 0);
        // Behind everything that the owner reads when it sees that its wait is over.
        waits.wait_status.store(status, Ordering::Release);
    }

    /// Room for all waiters of an entry, made before the critical section in which they are granted their locks.
    pub fn room_for_waiters(&self, entry: u32) -> Vec<OwnerIndex> {
        let waiting: u32 = self.entry(entry).waiting.iter().map(get).sum();
        Vec::with_capacity(waiting as usize)
    }

    /// Grants, in order, what can be granted now. Within a critical section.
    pub fn grant_waiters(&self, entry: u32, woken: &mut Vec<OwnerIndex>) {
        let mut wanted_before = ModeSet::NONE;
        let mut next = get(&self.entry(entry).first_waiter);
        while let Some(waiter) = OwnerIndex::from_number(next) {
            next = get(&self.locks.owner(waiter).next_waiter);
            let mode = self.wanted_by(waiter);
            let holder = self.find_holder(entry, waiter).expect("a waiter is a holder");
            let hold = Hold { entry, holder };
            let is_free = !mode.conflicts().meets(wanted_before);
            if is_free && !self.is_excluded(entry, mode, self.held(holder)) {
                self.grant(hold, mode);
                self.unlink_waiter(entry, waiter, LockOwner::GRANTED);
                woken.push(waiter);
            } else {
                wanted_before = wanted_before.with(mode);
            }
        }
    }

    /// Takes a waiting owner out of its queue without the lock; who is to be woken because of that.
    pub fn leave_queue(&self, me: &Proc<'_>, hold: Hold, owner: OwnerIndex) -> Vec<OwnerIndex> {
        let mut woken = self.room_for_waiters(hold.entry);
        let _section = me.critical_section();
        self.unlink_waiter(hold.entry, owner, LockOwner::IDLE);
        self.grant_waiters(hold.entry, &mut woken);
        self.drop_if_idle(hold);
        woken
    }
}
