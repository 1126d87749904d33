//! The fast path: weak locks on relations in words of the owner's own, so that the table is not touched for what never
//! conflicts.
//!
//! Weak modes exclude only strong ones. Who takes a weak lock writes its own word, then reads the relation's count of
//! strong locks; who takes a strong one raises the count, then reads everybody's words. All four are sequentially
//! consistent, so one of the two sees the other: the weak one takes its word back and goes to the table, or the strong one
//! moves the word into the table, where it then waits for it. If both see each other the word may be moved while it is
//! being taken back; then the weak lock is held, by way of the table.

use shmem_layout::LockOwner;
use shmem_layout::locks::{FAST_PATH_GROUP, FAST_PATH_GROUPS, STRONG_COUNTS};

use super::mode::{LockMode, ModeSet};
use super::table::{Full, Locks, OwnerIndex, get, set};
use super::tag::{LockTag, RawTag};
use crate::ipc::Proc;
use crate::ipc::stop_points::StopPoint;
use crate::sync::Ordering::SeqCst;
use crate::sync::{AtomicU32, AtomicU64};
use crate::txn::between_store_and_load;

const RELATION_SHIFT: u32 = 32;

fn relation_of(word: u64) -> u32 {
    (word >> RELATION_SHIFT) as u32
}

fn modes_of(word: u64) -> ModeSet {
    ModeSet::from_bits(word as u32 & 0b111)
}

fn word_of(relation: u32, modes: ModeSet) -> u64 {
    if modes.is_empty() { 0 } else { u64::from(relation) << RELATION_SHIFT | u64::from(modes.bits()) }
}

fn group(owner: &LockOwner, relation: u32) -> &[AtomicU64] {
    let hash = relation.wrapping_mul(0x9e37_79b9) >> 16;
    let start = hash as usize % FAST_PATH_GROUPS * FAST_PATH_GROUP;
    &owner.fast[start..start + FAST_PATH_GROUP]
}

impl<'s> Locks<'s> {
    /// The count of strong locks that a relation belongs to.
    pub(super) fn strong_count(&self, raw: RawTag) -> &'s AtomicU32 {
        &self.shared.strong[raw.hash() as usize % STRONG_COUNTS]
    }

    /// Takes a weak lock by the fast path. `false`: it needs the table.
    pub(super) fn take_fast(&self, me: &Proc<'s>, owner: OwnerIndex, tag: LockTag, mode: LockMode) -> bool {
        let Some((database, relation)) = tag.as_local_relation().filter(|_| mode.is_weak()) else {
            return false;
        };
        let own = self.owner(owner);
        let strong = self.strong_count(tag.to_raw());
        if get(&own.database) != database || strong.load(SeqCst) != 0 {
            return false;
        }
        let Some(word) = set_fast(own, relation, mode) else { return false };
        me.stop_point(StopPoint::LockFastPathTaken);
        between_store_and_load();
        if strong.load(SeqCst) == 0 {
            return true;
        }
        // Taken back; if it is gone it was moved into the table, and so it is held.
        !clear_fast(word, relation, mode)
    }

    /// Gives a weak lock back. `false`: it is not there, but in the table.
    pub(super) fn release_fast(&self, owner: OwnerIndex, tag: LockTag, mode: LockMode) -> bool {
        let Some((database, relation)) = tag.as_local_relation().filter(|_| mode.is_weak()) else {
            return false;
        };
        let own = self.owner(owner);
        get(&own.database) == database
            && group(own, relation).iter().any(|word| clear_fast(word, relation, mode))
    }

    /// Raises the count of strong locks for a lock that is about to be taken.
    pub(super) fn begin_strong(&self, me: &Proc<'s>, owner: OwnerIndex, raw: RawTag) {
        let _section = me.critical_section();
        self.owner(owner).strong_pending.store((raw.hash() as usize % STRONG_COUNTS) as u32 + 1, SeqCst);
        self.strong_count(raw).fetch_add(1, SeqCst);
        between_store_and_load();
    }

    /// Hands the count over to the lock that is held now, if that is not counted yet; else takes it back.
    pub(super) fn end_strong(&self, me: &Proc<'s>, owner: OwnerIndex, tag: LockTag) {
        let raw = tag.to_raw();
        let part = self.part_of(me, raw);
        let holder = part.find_hold(raw, owner).map(|hold| part.holder(hold.holder));
        let uncounted =
            holder.filter(|h| ModeSet::from_bits(get(&h.held)).has_strong() && get(&h.counted) == 0);
        let _section = me.critical_section();
        match uncounted {
            Some(holder) => {
                set(&holder.counted, 1);
                self.owner(owner).strong_pending.store(0, SeqCst);
            }
            None => self.drop_pending(owner),
        }
    }

    /// Takes back a count that was raised for a lock that is not held. Within a critical section.
    pub(super) fn drop_pending(&self, owner: OwnerIndex) {
        let pending = self.owner(owner).strong_pending.swap(0, SeqCst);
        if let Some(index) = pending.checked_sub(1) {
            self.shared.strong[index as usize % STRONG_COUNTS].fetch_sub(1, SeqCst);
        }
    }

    /// Moves every owner's fast-path locks on a relation into the table, so that they can be waited for.
    pub(super) fn move_all_fast(&self, me: &Proc<'s>, tag: LockTag) -> Result<(), Full> {
        let Some((database, relation)) = tag.as_local_relation() else { return Ok(()) };
        for index in 0..self.owners.len() as u32 {
            let owner = OwnerIndex::new(index);
            if get(&self.owner(owner).database) == database {
                self.move_fast(me, owner, tag, relation)?;
            }
        }
        Ok(())
    }

    /// Moves one owner's fast-path locks on a relation into the table.
    pub(super) fn move_fast(
        &self,
        me: &Proc<'s>,
        owner: OwnerIndex,
        tag: LockTag,
        relation: u32,
    ) -> Result<(), Full> {
        for word in group(self.owner(owner), relation) {
            let is_here = |seen: u64| seen != 0 && relation_of(seen) == relation;
            if !is_here(word.load(SeqCst)) {
                continue;
            }
            // Whoever finds its word gone comes to the table next, and waits for this lock until it is in there.
            let part = self.part_of(me, tag.to_raw());
            let _section = me.critical_section();
            let hold = part.make_hold(tag.to_raw(), owner)?;
            if let Ok(moved) = word.fetch_update(SeqCst, SeqCst, |seen| is_here(seen).then_some(0)) {
                let held = part.held(hold.holder);
                modes_of(moved)
                    .iter()
                    .filter(|mode| !held.has(*mode))
                    .for_each(|mode| part.grant(hold, mode));
            }
            part.drop_if_idle(hold);
        }
        Ok(())
    }

    /// What an owner holds by the fast path.
    pub(super) fn fast_locks(
        &self,
        owner: OwnerIndex,
    ) -> impl Iterator<Item = (LockTag, LockMode)> + use<'s> {
        let own = self.owner(owner);
        let database = get(&own.database);
        own.fast.iter().map(|word| word.load(SeqCst)).flat_map(move |word| {
            let tag = LockTag::Relation { database, relation: relation_of(word) };
            modes_of(word).iter().map(move |mode| (tag, mode))
        })
    }
}

/// Adds a mode to the relation's word of the own fast path, or to a free one. Only the owner fills free words.
fn set_fast(own: &LockOwner, relation: u32, mode: LockMode) -> Option<&AtomicU64> {
    let group = group(own, relation);
    let add = |seen: u64| {
        (seen != 0 && relation_of(seen) == relation).then(|| word_of(relation, modes_of(seen).with(mode)))
    };
    if let Some(word) = group.iter().find(|word| word.fetch_update(SeqCst, SeqCst, add).is_ok()) {
        return Some(word);
    }
    let free = group.iter().find(|word| word.load(SeqCst) == 0)?;
    free.store(word_of(relation, ModeSet::one(mode)), SeqCst);
    Some(free)
}

/// Takes a mode out of a word; `false` if it is not there.
fn clear_fast(word: &AtomicU64, relation: u32, mode: LockMode) -> bool {
    let clear = |seen: u64| {
        let is_here = relation_of(seen) == relation && modes_of(seen).has(mode);
        is_here.then(|| word_of(relation, modes_of(seen).without(mode)))
    };
    word.fetch_update(SeqCst, SeqCst, clear).is_ok()
}
