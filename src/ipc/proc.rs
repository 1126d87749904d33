//! A process as the primitives see it: its slot, and what it notes there before it changes anything that others share.
//!
//! A [`Proc`] is handed down by whoever runs the process (there is no static behind it), and is the only writer of its
//! slot's ledger. The order of those notes is what lets others clean up after a death; `shmem_layout::ledger` has it.

use std::cell::Cell;

use shmem_layout::{
    EntryState, LatchWord, LedgerEntry, Offset, ProcessId, ProcessSlot, ResourceKind, SlotIndex,
    process_slot::LEDGER_ENTRIES,
};

use super::interrupts::Interrupts;
use super::latch::Latch;
use super::stop_points::StopPoint;
use super::wait_event::WaitEvent;
use crate::sync::futex::{self, WaitOutcome};
use crate::sync::{AtomicU32, Monotonic, Ordering, fence};

/// Why an interruptible wait ended without what it waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitEnd {
    /// An interrupt is pending that the process does not hold off.
    Interrupted,
    /// The deadline passed.
    TimedOut,
}

/// How one sleep on a word ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sleep {
    /// Woken, or the word had moved, or for no reason: test again.
    TestAgain,
    /// The own latch is set.
    LatchSet,
    /// The deadline passed.
    TimedOut,
}

/// Ledger entries that only LWLocks may take, so that pins can't use up what a lock needs.
#[cfg(not(model))]
const RESERVED_FOR_LOCKS: u32 = 32;
#[cfg(model)]
const RESERVED_FOR_LOCKS: u32 = 0;

/// The ledger is full: the process holds as many resources as it can account for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many resources held at once (at most {LEDGER_ENTRIES})")]
pub struct LedgerFull;

/// A claimed ledger entry.
#[derive(Debug)]
pub struct Entry {
    index: u32,
    kind: ResourceKind,
    offset: Offset,
}

/// This process.
pub struct Proc<'s> {
    id: ProcessId,
    peers: &'s [ProcessSlot],
    slot: &'s ProcessSlot,
    /// Address of the segment's first byte here, so that references become offsets.
    base: usize,
    /// One bit per ledger entry in use; the slot holds the truth, this finds a free one without reading it.
    used_entries: Cell<u128>,
    held_off: Cell<Interrupts>,
    pub(super) surroundings: Surroundings<'s>,
}

#[cfg(model)]
pub(super) use super::model_surroundings::Surroundings;
#[cfg(not(model))]
pub(super) use super::surroundings::Surroundings;

impl<'s> Proc<'s> {
    /// The process `id` over its segment's slots; the caller makes sure that no other `Proc` of this id exists.
    pub(super) fn new(
        id: ProcessId,
        peers: &'s [ProcessSlot],
        base: usize,
        surroundings: Surroundings<'s>,
    ) -> Self {
        let slot = &peers[id.slot().index()];
        Self {
            id,
            peers,
            slot,
            base,
            used_entries: Cell::new(0),
            held_off: Cell::new(Interrupts::NONE),
            surroundings,
        }
    }

    /// Slot and generation.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// The own slot.
    pub fn slot(&self) -> &'s ProcessSlot {
        self.slot
    }

    /// All slots of the segment.
    pub fn peers(&self) -> &'s [ProcessSlot] {
        self.peers
    }

    /// The own latch.
    pub fn latch(&self) -> Latch<'s> {
        Latch::of(self.slot)
    }

    /// Sets the latch of a process. If this process dies between setting and waking, whoever cleans up after it wakes.
    #[inline]
    pub fn set_latch(&self, target: SlotIndex) {
        let latch = Latch::of(&self.peers[target.index()]);
        self.waking(latch.word(), || {
            if let Some(waiting) = latch.mark() {
                self.stop_point(StopPoint::LatchSetBeforeWake);
                latch.wake(waiting);
            }
        });
    }

    /// Raises interrupts in a process and sets its latch.
    pub fn interrupt(&self, target: SlotIndex, interrupts: Interrupts) {
        self.peers[target.index()].interrupts.fetch_or(interrupts.bits(), Ordering::Release);
        self.set_latch(target);
    }

    /// Interrupts that are pending and not held off.
    #[inline]
    pub fn pending_interrupts(&self) -> Interrupts {
        let pending = Interrupts::from_bits(self.slot.interrupts.load(Ordering::Acquire));
        pending.without(self.held_off.get())
    }

    /// Takes those of `wanted` that are pending.
    pub fn take_interrupts(&self, wanted: Interrupts) -> Interrupts {
        let before = self.slot.interrupts.fetch_and(!wanted.bits(), Ordering::AcqRel);
        Interrupts::from_bits(before).intersection(wanted)
    }

    /// Runs `f` while `interrupts` do not end waits.
    pub fn hold_off<R>(&self, interrupts: Interrupts, f: impl FnOnce() -> R) -> R {
        let before = self.held_off.replace(self.held_off.get() | interrupts);
        let result = f();
        self.held_off.set(before);
        result
    }

    /// Offset in the segment of something in it.
    pub(super) fn offset_of<T>(&self, thing: &T) -> Offset {
        Offset::new((std::ptr::from_ref(thing) as usize - self.base) as u64)
    }

    /// Runs `f`, which changes a futex word and wakes its waiters, with that noted.
    #[inline]
    pub(super) fn waking<R>(&self, word: &AtomicU32, f: impl FnOnce() -> R) -> R {
        self.slot.waking.store(self.offset_of(word).bytes(), Ordering::Relaxed);
        fence(Ordering::Release);
        let result = f();
        self.slot.waking.store(0, Ordering::Release);
        result
    }

    /// Runs `f`, which waits, with the event shown and its time counted.
    #[inline]
    pub fn waiting<R>(&self, event: WaitEvent, f: impl FnOnce() -> R) -> R {
        let started = Monotonic::now();
        self.slot.wait_started_ns.store(started.as_nanos(), Ordering::Relaxed);
        self.slot.wait_event.store(event.number(), Ordering::Relaxed);
        let result = f();
        self.slot.wait_event.store(0, Ordering::Relaxed);
        self.surroundings.count_wait(event, started);
        result
    }

    /// Notes the awaited word, so that if this process dies having eaten a wake-up, somebody wakes the others. Until the
    /// awaited thing is had, not until the sleep ends: who dies between has eaten it too.
    pub(super) fn noting<R>(&self, word: &AtomicU32, f: impl FnOnce() -> R) -> R {
        self.slot.awaited.store(self.offset_of(word).bytes(), Ordering::Relaxed);
        fence(Ordering::Release);
        let result = f();
        self.slot.awaited.store(0, Ordering::Release);
        result
    }

    /// Sleeps on `word` while it holds `expected`. No interrupt ends this; a death handler's wake-up does.
    pub(super) fn sleep(
        &self,
        word: &AtomicU32,
        expected: u32,
        bitset: std::num::NonZeroU32,
        event: WaitEvent,
    ) {
        self.noting(word, || self.waiting(event, || futex::wait_bitset(word, expected, bitset, None)));
    }

    /// Sleeps on `word` while it holds `expected` and the own latch is not set. The caller notes the word.
    pub(super) fn sleep_or_latch(
        &self,
        word: &AtomicU32,
        expected: u32,
        deadline: Option<Monotonic>,
        event: WaitEvent,
    ) -> Sleep {
        let latch = self.latch();
        if !latch.announce() {
            latch.withdraw();
            return Sleep::LatchSet;
        }
        let words = [(word, expected), (latch.word(), LatchWord::WAITING)];
        let outcome = self.waiting(event, || self.wait_any(&words, deadline));
        match (latch.withdraw(), outcome) {
            (true, _) => Sleep::LatchSet,
            (false, WaitOutcome::TimedOut) => Sleep::TimedOut,
            (false, _) => Sleep::TestAgain,
        }
    }

    fn wait_any(&self, words: &[(&AtomicU32, u32); 2], deadline: Option<Monotonic>) -> WaitOutcome {
        if self.surroundings.has_waitv() {
            match futex::wait_any(words, deadline) {
                WaitOutcome::Unsupported => self.surroundings.lost_waitv(),
                outcome => return outcome,
            }
        }
        self.surroundings.wait_in_slices(words[0], deadline)
    }

    /// Waits until `condition` holds; `word` must move, and be woken, whenever it may have come to hold. `ticket` reads
    /// the word and says that somebody waits.
    pub(super) fn wait_for_change(
        &self,
        word: &AtomicU32,
        ticket: impl Fn() -> u32,
        deadline: Option<Monotonic>,
        event: WaitEvent,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(), WaitEnd> {
        let mut took_latch = false;
        // The condition is tested after every sleep and before any error, so a wake-up meant for one is never lost with a
        // wait that ends by an error: either the condition held, or somebody else has used it up.
        let result = self.noting(word, || {
            loop {
                let expected = ticket();
                if condition() {
                    break Ok(());
                }
                if !self.pending_interrupts().is_empty() {
                    break Err(WaitEnd::Interrupted);
                }
                let end = self.sleep_or_latch(word, expected, deadline, event);
                self.stop_point(StopPoint::ConditionAfterSleep);
                match end {
                    Sleep::TestAgain => {}
                    Sleep::LatchSet => {
                        self.latch().reset();
                        took_latch = true;
                    }
                    Sleep::TimedOut => break if condition() { Ok(()) } else { Err(WaitEnd::TimedOut) },
                }
            }
        });
        if took_latch {
            // Whoever set it may have meant something else than this wait.
            self.latch().set();
        }
        result
    }

    /// Claims a ledger entry and notes that `thing` is being taken.
    #[inline]
    pub(super) fn take<T>(&self, kind: ResourceKind, thing: &T) -> Result<Entry, LedgerFull> {
        let is_lock = matches!(kind, ResourceKind::LwLockShared | ResourceKind::LwLockExclusive);
        let limit = LEDGER_ENTRIES as u32 - if is_lock { 0 } else { RESERVED_FOR_LOCKS };
        let used = self.used_entries.get();
        let index = used.trailing_ones();
        if index >= limit {
            return Err(LedgerFull);
        }
        self.used_entries.set(used | 1 << index);
        let entry = Entry { index, kind, offset: self.offset_of(thing) };
        self.note(&entry, EntryState::Taking);
        Ok(entry)
    }

    /// Notes how far this process is with a resource. The release store keeps it behind the change before it; the
    /// change after it must be a release operation itself.
    #[inline]
    pub(super) fn note(&self, entry: &Entry, state: EntryState) {
        let word = LedgerEntry { kind: entry.kind, state, offset: entry.offset }.to_word();
        self.slot.ledger[entry.index as usize].store(word, Ordering::Release);
    }

    /// Frees a ledger entry: nothing of the resource is held any more.
    #[inline]
    pub(super) fn free(&self, entry: &Entry) {
        self.slot.ledger[entry.index as usize].store(LedgerEntry::FREE, Ordering::Release);
        self.used_entries.set(self.used_entries.get() & !(1 << entry.index));
    }

    /// Registers something that this process holds and that has no primitive here (a pin, I/O in flight): the entry
    /// says `Taking` until [`Registration::held`].
    pub fn register<T>(&self, kind: ResourceKind, thing: &T) -> Result<Registration<'_, 's>, LedgerFull> {
        Ok(Registration { me: self, entry: self.take(kind, thing)? })
    }

    /// Enters a critical section: until the guard is dropped, shared structures may be half changed, and a death here
    /// means a crash restart. Inside: no allocation, no waiting for I/O, and a panic aborts.
    #[inline]
    pub fn critical_section(&self) -> CriticalSection<'s> {
        let depth = &self.slot.critical_sections;
        depth.store(depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        // What is changed inside must not be seen without the count.
        fence(Ordering::Release);
        CriticalSection { slot: self.slot }
    }
}

/// A resource in the ledger; dropped when it is given back.
pub struct Registration<'p, 's> {
    me: &'p Proc<'s>,
    entry: Entry,
}

impl Registration<'_, '_> {
    /// It is held now.
    pub fn held(&self) {
        self.me.note(&self.entry, EntryState::Held);
    }

    /// It is being given back; drop this when it is.
    pub fn releasing(&self) {
        self.me.note(&self.entry, EntryState::Releasing);
    }
}

impl Drop for Registration<'_, '_> {
    fn drop(&mut self) {
        self.me.free(&self.entry);
    }
}

/// Guard of a critical section.
#[must_use = "the section ends when this is dropped"]
pub struct CriticalSection<'s> {
    slot: &'s ProcessSlot,
}

impl Drop for CriticalSection<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Unwinding would let others see what is half changed; an abort is told apart by the postmaster.
            std::process::abort();
        }
        let depth = &self.slot.critical_sections;
        depth.store(depth.load(Ordering::Relaxed) - 1, Ordering::Release);
    }
}
