//! One entry of the ledger: what a process holds, takes or waits for, in one word, so that whoever reads it after the
//! owner's death, at whichever instruction that came, reads one thing or the other and never half of it.
//!
//! Order of the owner's stores around a resource's own word, all to the same entry:
//!
//! ```text
//! Taking  → the resource's word changes → Held → Releasing → the word changes back → (free)
//! Taking  → Waiting (asleep, the word shows nothing of it but waiter bits) → Taking → …
//! ```
//!
//! So `Held` means held and `Waiting` means not held, while `Taking` and `Releasing` mean: ask the resource's word, or,
//! where that counts without naming, recount it from all slots.

use crate::ids::Offset;

/// Kinds of resource that a ledger entry can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ResourceKind {
    /// An LWLock, shared. Offset of its `LwLockState`.
    LwLockShared = 1,
    /// An LWLock, exclusive. Offset of its `LwLockState`.
    LwLockExclusive = 2,
    /// One permit of a semaphore. Offset of its `SemaphoreState`.
    Semaphore = 3,
    /// A member of a barrier. Offset of its `BarrierState`.
    Barrier = 4,
    /// The sending end of a message queue. Offset of its `QueueHeader`.
    QueueSender = 5,
    /// The receiving end of a message queue. Offset of its `QueueHeader`.
    QueueReceiver = 6,
    /// A pin on a buffer. Offset of the buffer's descriptor.
    Pin = 7,
    /// Input or output that the process's ring has in flight. Offset of the memory that it reads or writes.
    Io = 8,
}

impl ResourceKind {
    const ALL: [Self; 8] = [
        Self::LwLockShared,
        Self::LwLockExclusive,
        Self::Semaphore,
        Self::Barrier,
        Self::QueueSender,
        Self::QueueReceiver,
        Self::Pin,
        Self::Io,
    ];
}

/// How far its owner is with a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum EntryState {
    /// About to change the resource's word, or just did.
    Taking = 1,
    /// Asleep until it can be taken; not held.
    Waiting = 2,
    /// Held.
    Held = 3,
    /// About to change the resource's word back, or just did, or about to wake waiters.
    Releasing = 4,
}

impl EntryState {
    const ALL: [Self; 4] = [Self::Taking, Self::Waiting, Self::Held, Self::Releasing];
}

/// A ledger entry, unpacked.
///
/// | bits | what |
/// | --- | --- |
/// | 0..48 | offset of the resource in the segment |
/// | 48..56 | [`ResourceKind`], 0: the entry is free |
/// | 56..64 | [`EntryState`] |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerEntry {
    /// What kind of thing.
    pub kind: ResourceKind,
    /// How far.
    pub state: EntryState,
    /// Which one.
    pub offset: Offset,
}

impl LedgerEntry {
    /// The word of a free entry.
    pub const FREE: u64 = 0;

    /// Packs it.
    pub const fn to_word(self) -> u64 {
        self.offset.bytes() | (self.kind as u64) << 48 | (self.state as u64) << 56
    }

    /// Unpacks a word; `None` if it is free or was never written by tuskd.
    pub fn from_word(word: u64) -> Option<Self> {
        let kind = (word >> 48) as u8;
        let state = (word >> 56) as u8;
        Some(Self {
            kind: *ResourceKind::ALL.get(usize::from(kind).checked_sub(1)?)?,
            state: *EntryState::ALL.get(usize::from(state).checked_sub(1)?)?,
            offset: Offset::new(word & Offset::MAX),
        })
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn every_entry_survives_packing() {
        for kind in ResourceKind::ALL {
            for state in EntryState::ALL {
                for bytes in [0, 64, Offset::MAX] {
                    let entry = LedgerEntry { kind, state, offset: Offset::new(bytes) };
                    assert_eq!(LedgerEntry::from_word(entry.to_word()), Some(entry));
                }
            }
        }
    }

    #[test]
    fn foreign_words_are_no_entries() {
        for word in [LedgerEntry::FREE, 9 << 48 | 1 << 56, 1 << 48, 1 << 48 | 5 << 56, u64::MAX] {
            assert_eq!(LedgerEntry::from_word(word), None, "{word:#x}");
        }
    }
}
