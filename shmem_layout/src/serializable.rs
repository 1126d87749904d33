//! Serializable transactions: who read what, and who depends on whom. All of it changes under one lock, inside critical
//! sections.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::primitives::LwLockState;

/// Words of a set of transactions.
pub const SERIAL_WORDS: usize = 16;

/// Serializable transactions that can be remembered at once.
pub const SERIAL_TRANSACTIONS: usize = SERIAL_WORDS * 64;

/// What serializable transactions share.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SerialShared {
    /// Guards all the rest.
    pub lock: LwLockState,
    /// Number of the last decision to commit, or end of a commit.
    pub sequence: AtomicU64,
    /// Number of the first free read entry.
    pub free_reads: AtomicU32,
    /// Read entries that were never used begin here.
    pub fresh_reads: AtomicU32,
    /// Zero.
    pub reserved: [u8; 32],
}

shared_layout!(SerialShared, size 64, align 64, {
    0 => lock: LwLockState,
    16 => sequence: AtomicU64,
    24 => free_reads: AtomicU32,
    28 => fresh_reads: AtomicU32,
    32 => reserved: [u8; 32],
});

/// A serializable transaction, running, or committed and still remembered.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct SerialTransaction {
    /// `FREE` and its kin.
    pub state: AtomicU32,
    /// `READ_ONLY`, `DOOMED`.
    pub flags: AtomicU32,
    /// Number of its owner.
    pub owner: AtomicU32,
    /// Number of its first read entry.
    pub first_read: AtomicU32,
    /// Its id, 0: none yet.
    pub xid: AtomicU64,
    /// LSN of its snapshot.
    pub snapshot: AtomicU64,
    /// LSN of its commit, 0: not yet.
    pub commit_lsn: AtomicU64,
    /// Sequence number of its decision to commit, 0: not yet.
    pub prepared: AtomicU64,
    /// Sequence number at which its commit was over, 0: not yet.
    pub committed: AtomicU64,
    /// Lowest `prepared` of those that it depended on and that are forgotten, 0: none.
    pub earliest_out: AtomicU64,
    /// Those who read what this one has written over, by bit.
    pub readers: [AtomicU64; SERIAL_WORDS],
    /// Those who have written over what this one read, by bit.
    pub writers: [AtomicU64; SERIAL_WORDS],
}

shared_layout!(SerialTransaction, size 320, align 64, {
    0 => state: AtomicU32,
    4 => flags: AtomicU32,
    8 => owner: AtomicU32,
    12 => first_read: AtomicU32,
    16 => xid: AtomicU64,
    24 => snapshot: AtomicU64,
    32 => commit_lsn: AtomicU64,
    40 => prepared: AtomicU64,
    48 => committed: AtomicU64,
    56 => earliest_out: AtomicU64,
    64 => readers: [AtomicU64; SERIAL_WORDS],
    192 => writers: [AtomicU64; SERIAL_WORDS],
});

impl SerialTransaction {
    /// Nobody's.
    pub const FREE: u32 = 0;
    /// Running.
    pub const ACTIVE: u32 = 1;
    /// It has been decided that it may commit.
    pub const PREPARED: u32 = 2;
    /// Committed.
    pub const COMMITTED: u32 = 3;
    /// It was declared to write nothing.
    pub const READ_ONLY: u32 = 1;
    /// It must not commit.
    pub const DOOMED: u32 = 2;
}

impl Default for SerialTransaction {
    fn default() -> Self {
        Self {
            state: AtomicU32::default(),
            flags: AtomicU32::default(),
            owner: AtomicU32::default(),
            first_read: AtomicU32::default(),
            xid: AtomicU64::default(),
            snapshot: AtomicU64::default(),
            commit_lsn: AtomicU64::default(),
            prepared: AtomicU64::default(),
            committed: AtomicU64::default(),
            earliest_out: AtomicU64::default(),
            readers: core::array::from_fn(|_| AtomicU64::default()),
            writers: core::array::from_fn(|_| AtomicU64::default()),
        }
    }
}

/// Something that a serializable transaction has read (a SIREAD lock).
#[derive(Debug, Default)]
#[repr(C, align(32))]
pub struct SerialRead {
    /// Number of the next in the bucket, or of the next free one.
    pub next: AtomicU32,
    /// Number of the transaction, 0: the entry is free.
    pub transaction: AtomicU32,
    /// Number of the next of the transaction.
    pub next_of_transaction: AtomicU32,
    /// Database.
    pub database: AtomicU32,
    /// Relation.
    pub relation: AtomicU32,
    /// Block plus one, 0: the whole relation.
    pub page: AtomicU32,
    /// Line pointer, 0: the whole page.
    pub offset: AtomicU32,
    /// Zero.
    pub reserved: [u8; 4],
}

shared_layout!(SerialRead, size 32, align 32, {
    0 => next: AtomicU32,
    4 => transaction: AtomicU32,
    8 => next_of_transaction: AtomicU32,
    12 => database: AtomicU32,
    16 => relation: AtomicU32,
    20 => page: AtomicU32,
    24 => offset: AtomicU32,
    28 => reserved: [u8; 4],
});
