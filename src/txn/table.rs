//! Who runs which transaction, and what became of each: ids given out, ends noted, ends waited for.
//!
//! The state of an id stands in the map ([`StateMap`]); while the transaction runs the map names its owner's slot, and the
//! slot's futex word is what others wait for. Every order of stores here is relied on by a reader without a lock:
//!
//! - an id is in the slot before the map names the slot, and leaves it after the map names the end. So who finds the slot
//!   in the map and another id in the slot looks at the map again, and if that still says the same, the state was left
//!   over from before a crash;
//! - COMMITTING is in the map before the record's place is reserved, the commit LSN is in the map before the record is
//!   copied. So what is durable is stamped, and who has seen a commit LSN and then meets a transaction that says
//!   `Running` knows that this one's LSN, if it ever gets one, is higher.

use shmem_layout::{TransactionShared, TransactionSlot};

use super::between_store_and_load;
use super::locks::OwnerIndex;
use super::lsn::Lsn;
use super::xid::{State, Xid};
use crate::ipc::{ConditionVariable, Interrupts, Proc, WaitEvent};
use crate::sync::Ordering::SeqCst;
use crate::sync::yield_now;

/// Where the states of ids are kept.
pub trait StateMap {
    /// What reading or writing a page of it can end with.
    type Error;

    /// The state of an id.
    fn load(&self, xid: Xid) -> Result<State, Self::Error>;

    /// Changes the state of an id; the log must be durable up to `lsn` before that is written to disk.
    fn store(&self, xid: Xid, state: State, lsn: Lsn) -> Result<(), Self::Error>;

    /// Keeps the state of an id in memory for `owner`, until its next call.
    fn pin(&self, xid: Xid, owner: OwnerIndex) -> Result<(), Self::Error>;

    /// The same as [`Self::store`] for what is pinned: it neither waits nor fails.
    fn store_pinned(&self, xid: Xid, state: State, lsn: Lsn);
}

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It runs, or is prepared.
    Running(OwnerIndex),
    /// It is about to have a commit LSN.
    Committing(OwnerIndex),
    /// Committed, by a record that ends here.
    Committed(Lsn),
    /// Committed, and visible to everybody.
    CommittedLongAgo,
    /// Rolled back, or ended by a crash.
    Aborted,
}

impl Fate {
    /// Whether it has not ended.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running(_) | Self::Committing(_))
    }
}

/// The words that all transactions share.
#[derive(Clone, Copy)]
pub struct TransactionWords<'s> {
    pub(super) shared: &'s TransactionShared,
    pub(super) slots: &'s [TransactionSlot],
}

/// Transactions, as one process sees them.
pub struct Transactions<'a, 's, M> {
    pub(super) me: &'a Proc<'s>,
    pub(super) words: TransactionWords<'s>,
    pub(super) map: M,
}

impl<'s> TransactionWords<'s> {
    pub(super) fn slot(&self, owner: OwnerIndex) -> &'s TransactionSlot {
        &self.slots[owner.index()]
    }

    /// The id that an owner's transaction has.
    pub fn xid_of(&self, owner: OwnerIndex) -> Option<Xid> {
        // An id that is being given out has a bit that no id has.
        Xid::new(self.slot(owner).xid.load(SeqCst))
    }

    /// How many transactions have an id, beside one's own.
    pub fn running_beside(&self, owner: OwnerIndex) -> usize {
        let others = self.slots.iter().enumerate().filter(|(at, _)| *at != owner.index());
        others.filter(|(_, slot)| slot.xid.load(SeqCst) != 0).count()
    }

    /// The id that will be given out next.
    pub fn next_xid(&self) -> Xid {
        Xid::new(self.shared.next_xid.load(SeqCst)).unwrap_or(Xid::FIRST)
    }

    /// Sets what a start found: the id to go on with. Before anybody else uses these words.
    pub fn start_at(&self, next: Xid) {
        self.shared.next_xid.store(next.number(), SeqCst);
        self.shared.first_xid.store(next.number(), SeqCst);
    }

    /// Sets what a checkpoint knew of the map: ids below the first have two bits in it, ids below the second none. Before
    /// anybody looks at it.
    pub fn set_map_bounds(&self, narrow_below: u64, cut_below: u64) {
        self.shared.narrow_below.store(narrow_below, SeqCst);
        self.shared.cut_below.store(cut_below, SeqCst);
    }

    /// Ids below the first have two bits in the map, ids below the second none.
    pub fn map_bounds(&self) -> (u64, u64) {
        (self.shared.narrow_below.load(SeqCst), self.shared.cut_below.load(SeqCst))
    }

    /// All ids below this have ended.
    pub fn oldest_running(&self) -> Xid {
        // In this order: an id that is given out behind this load is not below it.
        let mut oldest = self.shared.next_xid.load(SeqCst);
        between_store_and_load();
        for slot in self.slots {
            let xid = slot.xid.load(SeqCst) & !TransactionSlot::ASSIGNING;
            if xid != 0 {
                oldest = oldest.min(xid);
            }
        }
        Xid::new(oldest).unwrap_or(Xid::FIRST)
    }

    pub(super) fn ended(&self, owner: OwnerIndex) -> ConditionVariable<'s> {
        ConditionVariable::new(&self.slot(owner).ended)
    }
}

impl<'a, 's, M: StateMap> Transactions<'a, 's, M> {
    /// Over these words and this map, for the process `me`.
    pub fn new(me: &'a Proc<'s>, words: TransactionWords<'s>, map: M) -> Self {
        Self { me, words, map }
    }

    /// The words.
    pub fn words(&self) -> TransactionWords<'s> {
        self.words
    }

    /// The map.
    pub fn map(&self) -> &M {
        &self.map
    }

    /// This process as an owner.
    pub fn owner(&self) -> OwnerIndex {
        OwnerIndex::of_process(self.me.id().slot())
    }

    /// Gives this process's transaction an id.
    pub fn assign(&self) -> Result<Xid, M::Error> {
        let (owner, slot) = (self.owner(), self.words.slot(self.owner()));
        let next = &self.words.shared.next_xid;
        // Whoever looks for the oldest running id while this one is nowhere to be seen must not pass it.
        slot.xid.store(next.load(SeqCst) | TransactionSlot::ASSIGNING, SeqCst);
        between_store_and_load();
        let xid = Xid::new(next.fetch_add(1, SeqCst)).unwrap_or(Xid::FIRST);
        slot.commit_lsn.store(0, SeqCst);
        slot.xid.store(xid.number(), SeqCst);
        self.map.store(xid, State::Running(owner), Lsn::INVALID)?;
        Ok(xid)
    }

    /// Gives a subtransaction an id. Its parent has one, and so a lower one.
    pub fn assign_child(&self, parent: Xid) -> Result<Xid, M::Error> {
        let xid = Xid::new(self.words.shared.next_xid.fetch_add(1, SeqCst)).unwrap_or(Xid::FIRST);
        debug_assert!(parent < xid, "a parent is older than its child");
        self.map.store(xid, State::Child(parent), Lsn::INVALID)?;
        Ok(xid)
    }

    /// What became of a transaction, or will of the one that it is a part of. Takes no lock that anybody holds for long.
    pub fn fate(&self, xid: Xid) -> Result<Fate, M::Error> {
        loop {
            if xid < Xid::FIRST || xid.number() < self.words.shared.cut_below.load(SeqCst) {
                return Ok(Fate::CommittedLongAgo);
            }
            let own = self.map.load(xid)?;
            let (mut top, mut state) = (xid, own);
            // A parent is older than its child; a map that says otherwise is damaged, and must not lead in a circle.
            while let State::Child(parent) = state
                && parent < top
            {
                (top, state) = (parent, self.map.load(parent)?);
            }
            let fate = match state {
                State::Child(_) | State::Unknown | State::Aborted => Fate::Aborted,
                State::Committed(lsn) => Fate::Committed(lsn),
                State::CommittedLongAgo => Fate::CommittedLongAgo,
                State::Running(owner) if self.has(owner, top) => Fate::Running(owner),
                State::Committing(owner) if self.has(owner, top) => Fate::Committing(owner),
                State::Running(_) | State::Committing(_) if self.map.load(top)? == state => Fate::Aborted,
                State::Running(_) | State::Committing(_) => continue,
            };
            // A part that was rolled back between the two looks did not end as the whole did.
            if top == xid || self.map.load(xid)? == own {
                return Ok(fate);
            }
        }
    }

    fn has(&self, owner: OwnerIndex, xid: Xid) -> bool {
        let slot = self.words.slots.get(owner.index());
        slot.is_some_and(|slot| slot.xid.load(SeqCst) == xid.number())
    }

    /// The same, with the few instructions waited out in which a transaction is about to have its commit LSN.
    pub fn settled_fate(&self, xid: Xid) -> Result<Fate, M::Error> {
        /// Looks before sleeping: the window is shorter than a wake-up, unless its process is not running.
        const LOOKS: usize = if cfg!(model) { 1 } else { 50 };
        for _ in 0..LOOKS {
            match self.fate(xid)? {
                Fate::Committing(_) => yield_now(),
                fate => return Ok(fate),
            }
        }
        loop {
            match self.fate(xid)? {
                Fate::Committing(owner) => self.sleep_until_changed(owner, xid),
                fate => return Ok(fate),
            }
        }
    }

    fn sleep_until_changed(&self, owner: OwnerIndex, xid: Xid) {
        let is_over = || !matches!(self.fate(xid), Ok(Fate::Committing(by)) if by == owner);
        self.me.hold_off(Interrupts::ALL, || {
            let _ = self.words.ended(owner).wait_until(self.me, None, WaitEvent::LOCK_TRANSACTION, is_over);
        });
    }

    /// The commit record of this process's transaction is about to be reserved. Within the critical section that ends
    /// behind [`Self::stamp`]; the state is pinned.
    pub fn mark_committing(&self, xid: Xid) {
        self.mark_committing_of(self.owner(), xid);
    }

    pub(super) fn mark_committing_of(&self, owner: OwnerIndex, xid: Xid) {
        self.map.store_pinned(xid, State::Committing(owner), Lsn::INVALID);
    }

    /// The commit record has its place and is not copied yet.
    pub fn stamp(&self, xid: Xid, lsn: Lsn, is_synchronous: bool) {
        self.stamp_of(self.owner(), xid, lsn, is_synchronous);
    }

    pub(super) fn stamp_of(&self, owner: OwnerIndex, xid: Xid, lsn: Lsn, is_synchronous: bool) {
        if is_synchronous {
            self.words.shared.synchronous.fetch_max(lsn.bytes(), SeqCst);
        }
        self.words.slot(owner).commit_lsn.store(lsn.bytes(), SeqCst);
        self.map.store_pinned(xid, State::Committed(lsn), lsn);
    }

    /// Parts of a transaction have ended, as `state` says. A part's own parts stand behind it in `children`, and are
    /// stamped first.
    pub fn stamp_children(&self, children: &[Xid], state: State, lsn: Lsn) -> Result<(), M::Error> {
        children.iter().rev().try_for_each(|child| self.map.store(*child, state, lsn))
    }

    /// Wakes those who wait for this process's transaction, or for a part of it.
    pub fn announce_end(&self) {
        self.announce_end_of(self.owner());
    }

    pub(super) fn announce_end_of(&self, owner: OwnerIndex) {
        self.words.ended(owner).broadcast(self.me);
    }

    /// This process's transaction has ended in every respect.
    pub fn forget(&self) {
        self.forget_of(self.owner());
    }

    pub(super) fn forget_of(&self, owner: OwnerIndex) {
        let slot = self.words.slot(owner);
        slot.xid.store(0, SeqCst);
        slot.commit_lsn.store(0, SeqCst);
        slot.pinned.store(0, SeqCst);
    }
}
