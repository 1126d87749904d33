//! What a death leaves behind, and how the living are given it back.
//!
//! Whoever handles a death (a cleaner, later) first reads the dead process's slot into a [`DeathReport`], decides with it
//! whether cleaning up is safe at all, then calls [`clean_up`]: each ledger entry is undone by the primitive that it
//! names, and everybody is woken who may have missed a wake-up that the dead process took or did not get to give.
//!
//! All of it can be repeated from the start by somebody else: an entry is freed only when it is undone.

use shmem_layout::{
    BarrierState, LedgerEntry, LwLockState, Offset, Phase, ProcessId, QueueHeader, ResourceKind,
    SemaphoreState, SlotIndex,
};

use super::barrier::Barrier;
use super::latch::Latch;
use super::lwlock::{LwLock, Stuck, Survivors};
use super::proc::Proc;
use super::queue;
use super::regions::Ipc;
use super::semaphore::Semaphore;
use super::wait_event::WaitEvent;
use crate::sync::{Ordering, futex};

/// What a dead process's slot says.
#[derive(Clone, Debug)]
pub struct DeathReport {
    /// Slot and generation.
    pub process: ProcessId,
    /// Its kind, as its starter numbers them.
    pub kind: u32,
    /// Where in its life it was.
    pub phase: Phase,
    /// Depth of critical sections it was in; not 0: shared structures may be half changed.
    pub critical_sections: u32,
    /// What it waited for.
    pub wait_event: Option<WaitEvent>,
    /// What it held, took or waited for, oldest entry first.
    pub resources: Vec<LedgerEntry>,
}

/// Why cleaning up stopped; only a crash restart helps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CleanUpError {
    /// It died in a critical section.
    #[error("it died in a critical section")]
    InCriticalSection,
    /// A living process stands in the way.
    #[error(transparent)]
    Stuck(#[from] Stuck),
    /// A ledger entry names nothing that can be there.
    #[error("its ledger names {0:?}, which is not there")]
    NoSuchResource(LedgerEntry),
}

/// Reads a dead process's slot; `None` if it is somebody else's by now.
pub fn examine(ipc: &Ipc<'_>, dead: ProcessId) -> Option<DeathReport> {
    if !ipc.is_current(dead) {
        return None;
    }
    let slot = &ipc.slots()[dead.slot().index()];
    let entries = slot.ledger.iter().map(|word| word.load(Ordering::Acquire));
    Some(DeathReport {
        process: dead,
        kind: slot.kind.load(Ordering::Acquire),
        phase: Phase::from_word(slot.phase.load(Ordering::Acquire)),
        critical_sections: slot.critical_sections.load(Ordering::Acquire),
        wait_event: WaitEvent::from_number(slot.wait_event.load(Ordering::Acquire)),
        resources: entries.filter_map(LedgerEntry::from_word).collect(),
    })
}

/// Gives back what the dead process held and wakes whom it may have kept asleep. Returns the entries that are not the
/// runtime's to undo (pins, I/O in flight), which stay in the ledger.
///
/// `is_dead` tells which slots' processes are known to be dead, this one among them. The slot itself stays taken: its
/// owner frees it, after the hang-up of the dead process's ring.
pub fn clean_up(
    ipc: &Ipc<'_>,
    me: &Proc<'_>,
    dead: ProcessId,
    is_dead: &dyn Fn(SlotIndex) -> bool,
) -> Result<Vec<LedgerEntry>, CleanUpError> {
    let slot = &ipc.slots()[dead.slot().index()];
    if slot.critical_sections.load(Ordering::Acquire) != 0 {
        return Err(CleanUpError::InCriticalSection);
    }
    let survivors = Survivors { slots: ipc.slots(), is_dead };
    let mut left = Vec::new();
    for word in &slot.ledger {
        let Some(entry) = LedgerEntry::from_word(word.load(Ordering::Acquire)) else { continue };
        if undo(ipc, me, dead.slot(), entry, survivors)? {
            word.store(LedgerEntry::FREE, Ordering::Release);
        } else {
            left.push(entry);
        }
    }
    for word in [&slot.awaited, &slot.waking, &slot.waking_in_handler] {
        wake_all_at(ipc, word.swap(0, Ordering::AcqRel));
    }
    Ok(left)
}

fn wake_all_at(ipc: &Ipc<'_>, offset: u64) {
    let offset = (1..=Offset::MAX).contains(&offset).then(|| Offset::new(offset));
    if let Some(word) = offset.and_then(|offset| ipc.segment().word_at(offset)) {
        futex::wake_all(word);
        // An owner that sleeps in epoll hears no futex.
        if let Some(slot) = ipc.slots().iter().find(|slot| std::ptr::eq(&slot.latch.word, word)) {
            Latch::of(slot).wake_for_dead();
        }
    }
}

/// Undoes one entry; `false` if it is not the runtime's to undo.
fn undo(
    ipc: &Ipc<'_>,
    me: &Proc<'_>,
    dead: SlotIndex,
    entry: LedgerEntry,
    survivors: Survivors<'_>,
) -> Result<bool, CleanUpError> {
    let missing = || CleanUpError::NoSuchResource(entry);
    let segment = ipc.segment();
    match entry.kind {
        ResourceKind::LwLockShared | ResourceKind::LwLockExclusive => {
            let state = segment.at::<LwLockState>(entry.offset).ok_or_else(missing)?;
            let shared = entry.kind == ResourceKind::LwLockShared;
            LwLock::new(state, WaitEvent::LWLOCK).undo_dead(dead, shared, entry.offset, survivors)?;
        }
        ResourceKind::Semaphore => {
            let state = segment.at::<SemaphoreState>(entry.offset).ok_or_else(missing)?;
            Semaphore::new(state, WaitEvent::SEMAPHORE).undo_dead(entry.offset, survivors)?;
        }
        ResourceKind::Barrier => {
            let state = segment.at::<BarrierState>(entry.offset).ok_or_else(missing)?;
            Barrier::new(state).undo_dead(me, dead);
        }
        ResourceKind::QueueSender | ResourceKind::QueueReceiver => {
            let header = segment.at::<QueueHeader>(entry.offset).ok_or_else(missing)?;
            let is_sender = entry.kind == ResourceKind::QueueSender;
            queue::undo_dead(header, me, dead, is_sender);
        }
        ResourceKind::Pin | ResourceKind::Io => return Ok(false),
    }
    Ok(true)
}
