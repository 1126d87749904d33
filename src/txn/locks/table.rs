//! The lock table in shared memory: entries by tag, holders by owner; what may be granted beside what.
//!
//! A [`Part`] is a partition whose LWLock is held; all that reads or changes entries goes through one. Changes are made
//! inside critical sections, which the callers enter, because a death between two links cannot be undone.

use shmem_layout::{
    LockBucket, LockEntry, LockHolder, LockOwner, LockPartition, LockShared, SlotIndex,
    locks::LOCK_PARTITIONS,
};

use super::mode::{LockMode, ModeSet};
use super::pool::Pool;
use super::tag::{LockTag, RawTag};
use crate::ipc::{ConditionVariable, LwLock, LwLockGuard, Mode, Proc, WaitEvent};
use crate::sync::{AtomicU32, Ordering};

/// Who holds locks: a process slot, or, behind those, a prepared transaction's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OwnerIndex(u32);

impl OwnerIndex {
    /// The owner at this place of the array of owners.
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The owner of a process's locks.
    pub fn of_process(slot: SlotIndex) -> Self {
        Self(slot.index() as u32)
    }

    /// Its place.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// One more than its place, for words in which zero means nobody.
    pub const fn number(self) -> u32 {
        self.0 + 1
    }

    /// The owner of such a number, `None` for nobody.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number.checked_sub(1) {
            Some(index) => Some(Self(index)),
            None => None,
        }
    }
}

/// The lock table is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

/// The lock table, as all processes share it.
#[derive(Clone, Copy)]
pub struct Locks<'s> {
    pub(super) shared: &'s LockShared,
    pub(super) partitions: &'s [LockPartition],
    pub(super) buckets: &'s [LockBucket],
    pub(super) entries: &'s [LockEntry],
    pub(super) holders: &'s [LockHolder],
    pub(super) owners: &'s [LockOwner],
}

/// Loads a word that the partition's lock guards.
pub(super) fn get(word: &AtomicU32) -> u32 {
    word.load(Ordering::Relaxed)
}

/// Stores one.
pub(super) fn set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Relaxed);
}

impl<'s> Locks<'s> {
    /// Owners there are: processes, then prepared transactions.
    pub fn owners(&self) -> usize {
        self.owners.len()
    }

    pub(in crate::txn) fn owner(&self, owner: OwnerIndex) -> &'s LockOwner {
        &self.owners[owner.index()]
    }

    pub(super) fn wait_word(&self, owner: OwnerIndex) -> ConditionVariable<'s> {
        ConditionVariable::new(&self.owner(owner).wait_word)
    }

    /// Locks the partition that a tag belongs to.
    pub(super) fn part_of<'p>(&self, me: &'p Proc<'s>, raw: RawTag) -> Part<'p, 's> {
        self.part(me, raw.hash() as usize % LOCK_PARTITIONS)
    }

    pub(super) fn part<'p>(&self, me: &'p Proc<'s>, partition: usize) -> Part<'p, 's> {
        self.part_in(me, partition, Mode::Exclusive)
    }

    pub(super) fn part_in<'p>(&self, me: &'p Proc<'s>, partition: usize, mode: Mode) -> Part<'p, 's> {
        let lock = LwLock::new(&self.partitions[partition].lock, WaitEvent::LOCK_MANAGER);
        Part { locks: *self, partition, _guard: lock.acquire(me, mode) }
    }

    /// Wakes owners whose lock was granted.
    pub(super) fn wake(&self, me: &Proc<'_>, woken: &[OwnerIndex]) {
        woken.iter().for_each(|owner| self.wait_word(*owner).broadcast(me));
    }

    fn free_entries(&self) -> Pool<'s, LockEntry> {
        Pool {
            head: &self.shared.free_entries,
            fresh: &self.shared.fresh_entries,
            items: self.entries,
            next: |entry| &entry.next,
        }
    }

    fn free_holders(&self) -> Pool<'s, LockHolder> {
        Pool {
            head: &self.shared.free_holders,
            fresh: &self.shared.fresh_holders,
            items: self.holders,
            next: |holder| &holder.next_of_entry,
        }
    }
}

/// Numbers of an entry and of one owner's holder of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hold {
    pub entry: u32,
    pub holder: u32,
}

/// A partition whose lock is held.
pub(super) struct Part<'p, 's> {
    pub locks: Locks<'s>,
    pub partition: usize,
    _guard: LwLockGuard<'p, 's>,
}

impl<'s> Part<'_, 's> {
    pub fn entry(&self, number: u32) -> &'s LockEntry {
        &self.locks.entries[number as usize - 1]
    }

    pub fn holder(&self, number: u32) -> &'s LockHolder {
        &self.locks.holders[number as usize - 1]
    }

    pub fn tag(&self, entry: u32) -> Option<LockTag> {
        LockTag::from_raw(self.raw_tag(entry))
    }

    pub fn raw_tag(&self, entry: u32) -> RawTag {
        let entry = self.entry(entry);
        RawTag { class: get(&entry.class), fields: std::array::from_fn(|i| get(&entry.fields[i])) }
    }

    fn bucket(&self, raw: RawTag) -> &'s AtomicU32 {
        // Buckets of one partition are those congruent to it, so that the partition's lock guards their chains.
        &self.locks.buckets[raw.hash() as usize % self.locks.buckets.len()].first
    }

    /// Number of a tag's entry.
    pub fn find(&self, raw: RawTag) -> Option<u32> {
        let mut number = get(self.bucket(raw));
        while number != 0 && self.raw_tag(number) != raw {
            number = get(&self.entry(number).next);
        }
        (number != 0).then_some(number)
    }

    /// An owner's holder of an entry. Walks the entry's holders and the owner's in step, and ends with the shorter list.
    pub fn find_holder(&self, entry: u32, owner: OwnerIndex) -> Option<u32> {
        let mut of_entry = get(&self.entry(entry).first_holder);
        let mut of_owner = get(&self.locks.owner(owner).holders[self.partition]);
        while of_entry != 0 && of_owner != 0 {
            if get(&self.holder(of_entry).owner) == owner.number() {
                return Some(of_entry);
            }
            if get(&self.holder(of_owner).entry) == entry {
                return Some(of_owner);
            }
            of_entry = get(&self.holder(of_entry).next_of_entry);
            of_owner = get(&self.holder(of_owner).next_of_owner);
        }
        None
    }

    /// The entry and the owner's holder, if there are both.
    pub fn find_hold(&self, raw: RawTag, owner: OwnerIndex) -> Option<Hold> {
        let entry = self.find(raw)?;
        Some(Hold { entry, holder: self.find_holder(entry, owner)? })
    }

    /// The entry and the owner's holder, made if need be. Within a critical section.
    pub fn make_hold(&self, raw: RawTag, owner: OwnerIndex) -> Result<Hold, Full> {
        let entry = match self.find(raw) {
            Some(entry) => entry,
            None => self.make_entry(raw)?,
        };
        if let Some(holder) = self.find_holder(entry, owner) {
            return Ok(Hold { entry, holder });
        }
        match self.make_holder(entry, owner) {
            Ok(holder) => Ok(Hold { entry, holder }),
            Err(Full) => {
                self.drop_entry_if_idle(entry);
                Err(Full)
            }
        }
    }

    fn make_entry(&self, raw: RawTag) -> Result<u32, Full> {
        let number = self.locks.free_entries().take().ok_or(Full)?;
        let (entry, bucket) = (self.entry(number), self.bucket(raw));
        set(&entry.class, raw.class);
        entry.fields.iter().zip(raw.fields).for_each(|(word, field)| set(word, field));
        set(&entry.next, get(bucket));
        set(bucket, number);
        Ok(number)
    }

    fn make_holder(&self, entry: u32, owner: OwnerIndex) -> Result<u32, Full> {
        let number = self.locks.free_holders().take().ok_or(Full)?;
        let holder = self.holder(number);
        set(&holder.entry, entry);
        set(&holder.owner, owner.number());
        let of_entry = &self.entry(entry).first_holder;
        let of_owner = &self.locks.owner(owner).holders[self.partition];
        set(&holder.next_of_entry, get(of_entry));
        set(&holder.next_of_owner, get(of_owner));
        set(&holder.before_of_entry, 0);
        set(&holder.before_of_owner, 0);
        if get(of_entry) != 0 {
            set(&self.holder(get(of_entry)).before_of_entry, number);
        }
        if get(of_owner) != 0 {
            set(&self.holder(get(of_owner)).before_of_owner, number);
        }
        set(of_entry, number);
        set(of_owner, number);
        Ok(number)
    }

    /// Modes that a holder has.
    pub fn held(&self, holder: u32) -> ModeSet {
        ModeSet::from_bits(get(&self.holder(holder).held))
    }

    /// Whether somebody else holds what excludes `mode`; `own` is what the asking owner holds.
    pub fn is_excluded(&self, entry: u32, mode: LockMode, own: ModeSet) -> bool {
        let entry = self.entry(entry);
        let granted = ModeSet::from_bits(get(&entry.granted_mask));
        let of_others = |mode: LockMode| get(&entry.granted[mode.index()]) > u32::from(own.has(mode));
        granted.and(mode.conflicts()).iter().any(of_others)
    }

    /// Enters a mode into the table. Within a critical section.
    pub fn grant(&self, hold: Hold, mode: LockMode) {
        let (entry, holder) = (self.entry(hold.entry), self.holder(hold.holder));
        let held = self.held(hold.holder);
        debug_assert!(!held.has(mode), "{mode:?} granted twice");
        set(&holder.held, held.with(mode).bits());
        let count = &entry.granted[mode.index()];
        set(count, get(count) + 1);
        set(&entry.granted_mask, get(&entry.granted_mask) | ModeSet::one(mode).bits());
    }

    /// Takes a mode out of the table. Within a critical section.
    pub fn ungrant(&self, hold: Hold, mode: LockMode) {
        let (entry, holder) = (self.entry(hold.entry), self.holder(hold.holder));
        let held = self.held(hold.holder).without(mode);
        set(&holder.held, held.bits());
        let count = &entry.granted[mode.index()];
        set(count, get(count) - 1);
        if get(count) == 0 {
            set(&entry.granted_mask, get(&entry.granted_mask) & !ModeSet::one(mode).bits());
        }
        if !held.has_strong() && get(&holder.counted) != 0 {
            set(&holder.counted, 0);
            self.locks.strong_count(self.raw_tag(hold.entry)).fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Frees the holder if it has nothing and its owner does not wait here, and then the entry if nobody is left. Within
    /// a critical section.
    pub fn drop_if_idle(&self, hold: Hold) {
        let holder = self.holder(hold.holder);
        let Some(owner) = OwnerIndex::from_number(get(&holder.owner)) else { return };
        let waits = self.locks.owner(owner);
        let is_waiting =
            get(&waits.wait_status) == LockOwner::WAITING && get(&waits.wait_entry) == hold.entry;
        if is_waiting || !self.held(hold.holder).is_empty() {
            return;
        }
        let (next, before) = (get(&holder.next_of_entry), get(&holder.before_of_entry));
        match before {
            0 => set(&self.entry(hold.entry).first_holder, next),
            _ => set(&self.holder(before).next_of_entry, next),
        }
        if next != 0 {
            set(&self.holder(next).before_of_entry, before);
        }
        let (next, before) = (get(&holder.next_of_owner), get(&holder.before_of_owner));
        match before {
            0 => set(&waits.holders[self.partition], next),
            _ => set(&self.holder(before).next_of_owner, next),
        }
        if next != 0 {
            set(&self.holder(next).before_of_owner, before);
        }
        set(&holder.entry, 0);
        self.locks.free_holders().give(hold.holder);
        self.drop_entry_if_idle(hold.entry);
    }

    /// Frees an entry without holders; waiters are holders too.
    fn drop_entry_if_idle(&self, number: u32) {
        let entry = self.entry(number);
        if get(&entry.first_holder) != 0 {
            return;
        }
        let mut link = self.bucket(self.raw_tag(number));
        while get(link) != number {
            link = &self.entry(get(link)).next;
        }
        set(link, get(&entry.next));
        set(&entry.class, 0);
        self.locks.free_entries().give(number);
    }
}
