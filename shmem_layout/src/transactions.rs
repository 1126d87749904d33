//! Transactions: who runs one, what it sees, and in which state each id is.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::primitives::{ConditionVariableWord, LwLockState};

/// Words of a page of the transaction map; the rest of 8 kB is the page's header, on disk and here.
#[cfg(not(model))]
pub const MAP_WORDS: usize = 1016;
/// Words of a page of the transaction map; few, so that models stay small.
#[cfg(model)]
pub const MAP_WORDS: usize = 4;

/// Frames of one set: a page has its place in one of these.
pub const MAP_WAYS: usize = 4;

/// What all transactions share.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct TransactionShared {
    /// The id that is given out next.
    pub next_xid: AtomicU64,
    /// The id that was next when this start began: a running state of an older one is left over from before.
    pub first_xid: AtomicU64,
    /// Zero; keeps the busiest line free of what is only read.
    pub reserved: [u8; 48],
    /// Commit LSN of the last acknowledged asynchronous commit.
    pub acknowledged: AtomicU64,
    /// States of ids below this are kept in two bits each.
    pub narrow_below: AtomicU64,
    /// States of ids below this are not kept: nothing that anybody can see names them.
    pub cut_below: AtomicU64,
    /// Greatest LSN of a synchronous commit: what covers one that is not durable has to wait before it is told.
    pub synchronous: AtomicU64,
    /// Zero.
    pub reserved_read: [u8; 32],
}

shared_layout!(TransactionShared, size 128, align 64, {
    0 => next_xid: AtomicU64,
    8 => first_xid: AtomicU64,
    16 => reserved: [u8; 48],
    64 => acknowledged: AtomicU64,
    72 => narrow_below: AtomicU64,
    80 => cut_below: AtomicU64,
    88 => synchronous: AtomicU64,
    96 => reserved_read: [u8; 32],
});

impl Default for TransactionShared {
    fn default() -> Self {
        Self {
            next_xid: AtomicU64::default(),
            first_xid: AtomicU64::default(),
            reserved: [0; 48],
            acknowledged: AtomicU64::default(),
            narrow_below: AtomicU64::default(),
            cut_below: AtomicU64::default(),
            synchronous: AtomicU64::default(),
            reserved_read: [0; 32],
        }
    }
}

/// A process's transaction, or, behind the processes, a prepared one. Written by its owner, or who handles its death.
///
/// `xid` is set before the map names this slot and cleared after the map names the transaction's end, so that whoever
/// finds the slot in the map and another id here looks at the map again.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct TransactionSlot {
    /// The running transaction's id, 0: none has been needed; with [`TransactionSlot::ASSIGNING`], a number below that of
    /// an id that is just being given out.
    pub xid: AtomicU64,
    /// LSN of the commit record, once it is reserved.
    pub commit_lsn: AtomicU64,
    /// Oldest LSN that a snapshot of this process needs, 0: none.
    pub snapshot: AtomicU64,
    /// The highest commit LSN met outside a snapshot.
    pub met: AtomicU64,
    /// Moved when the transaction, or a part of it, has ended.
    pub ended: ConditionVariableWord,
    /// Number of the map's frame that must stay where it is, 0: none.
    pub pinned: AtomicU32,
    /// Zero.
    pub reserved: [u8; 24],
}

shared_layout!(TransactionSlot, size 64, align 64, {
    0 => xid: AtomicU64,
    8 => commit_lsn: AtomicU64,
    16 => snapshot: AtomicU64,
    24 => met: AtomicU64,
    32 => ended: ConditionVariableWord,
    36 => pinned: AtomicU32,
    40 => reserved: [u8; 24],
});

impl TransactionSlot {
    /// See `xid`.
    pub const ASSIGNING: u64 = 1 << 63;
}

/// The lock of one set of frames.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct MapSet {
    /// Shared to change words of its frames, exclusive to change which pages they hold.
    pub lock: LwLockState,
    /// Moves with every page that is put in; chooses the next victim.
    pub turn: AtomicU32,
    /// Zero.
    pub reserved: [u8; 44],
}

shared_layout!(MapSet, size 64, align 64, {
    0 => lock: LwLockState,
    16 => turn: AtomicU32,
    20 => reserved: [u8; 44],
});

impl Default for MapSet {
    fn default() -> Self {
        Self { lock: LwLockState::default(), turn: AtomicU32::default(), reserved: [0; 44] }
    }
}

/// A page of the transaction map in memory.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct MapFrame {
    /// Which page, 0: none. Changed with the set's lock held exclusively; read without it, before and after a word.
    pub page: AtomicU64,
    /// The log must be durable up to here before the page is written.
    pub lsn: AtomicU64,
    /// 1: changed since it was read or written.
    pub dirty: AtomicU32,
    /// Zero.
    pub reserved: [u8; 44],
    /// The states.
    pub words: [AtomicU64; MAP_WORDS],
}

shared_layout!(MapFrame, size 8192, align 64, {
    0 => page: AtomicU64,
    8 => lsn: AtomicU64,
    16 => dirty: AtomicU32,
    20 => reserved: [u8; 44],
    64 => words: [AtomicU64; MAP_WORDS],
});

impl Default for MapFrame {
    fn default() -> Self {
        Self {
            page: AtomicU64::default(),
            lsn: AtomicU64::default(),
            dirty: AtomicU32::default(),
            reserved: [0; 44],
            words: core::array::from_fn(|_| AtomicU64::default()),
        }
    }
}
