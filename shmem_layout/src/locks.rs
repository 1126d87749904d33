//! The heavyweight locks' shared tables: what is locked, who holds it, who waits, in which order.
//!
//! Everything is linked by numbers that are an index plus one, so that zero means nobody. All links, masks and counts of
//! an entry, and of the holders and waiters of it, change under the LWLock of the entry's partition only, inside a
//! critical section. The fast path's words and the counts of strong locks change without it.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::primitives::{ConditionVariableWord, LwLockState};

/// Partitions of the lock table.
#[cfg(not(model))]
pub const LOCK_PARTITIONS: usize = 16;
/// Partitions of the lock table; one, so that models stay small.
#[cfg(model)]
pub const LOCK_PARTITIONS: usize = 1;

/// Lock modes.
pub const LOCK_MODES: usize = 8;

/// Groups of the fast path; a relation belongs to one of them.
#[cfg(not(model))]
pub const FAST_PATH_GROUPS: usize = 8;
/// Groups of the fast path; one, so that models stay small.
#[cfg(model)]
pub const FAST_PATH_GROUPS: usize = 1;

/// Words of one group: a cache line, so that looking for a relation in somebody's fast path reads one.
#[cfg(not(model))]
pub const FAST_PATH_GROUP: usize = 8;
/// Words of one group; one, so that models stay small.
#[cfg(model)]
pub const FAST_PATH_GROUP: usize = 1;

/// Words of one owner's fast path.
pub const FAST_PATH_WORDS: usize = FAST_PATH_GROUPS * FAST_PATH_GROUP;

/// Counts of strong relation locks.
#[cfg(not(model))]
pub const STRONG_COUNTS: usize = 1024;
/// Counts of strong relation locks; one, so that models stay small.
#[cfg(model)]
pub const STRONG_COUNTS: usize = 1;

/// One partition's lock.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct LockPartition {
    /// Held while entries of this partition are read or changed.
    pub lock: LwLockState,
    /// Zero.
    pub reserved: [u8; 48],
}

shared_layout!(LockPartition, size 64, align 64, { 0 => lock: LwLockState, 16 => reserved: [u8; 48] });

impl Default for LockPartition {
    fn default() -> Self {
        Self { lock: LwLockState::default(), reserved: [0; 48] }
    }
}

/// What all users of the lock table share.
///
/// | bits of `free_entries`, `free_holders` | what |
/// | --- | --- |
/// | 0..32 | number of the first free one, 0: none was freed yet or all are taken again |
/// | 32..64 | moves with every change, so that a number that left and came back is noticed |
///
/// `strong[i]` is the number of holders with `counted` set, and of owners with `strong_pending = i + 1`, whose relation
/// has the count `i`. While it is not zero nobody takes a weak lock of such a relation by the fast path.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct LockShared {
    /// Entries given back.
    pub free_entries: AtomicU64,
    /// Entries that were never used begin here.
    pub fresh_entries: AtomicU32,
    /// Zero.
    pub reserved: [u8; 52],
    /// Holders given back.
    pub free_holders: AtomicU64,
    /// Holders that were never used begin here.
    pub fresh_holders: AtomicU32,
    /// Zero.
    pub reserved_holders: [u8; 52],
    /// Strong relation locks held or being taken.
    pub strong: [AtomicU32; STRONG_COUNTS],
}

shared_layout!(LockShared, size 4224, align 64, {
    0 => free_entries: AtomicU64,
    8 => fresh_entries: AtomicU32,
    12 => reserved: [u8; 52],
    64 => free_holders: AtomicU64,
    72 => fresh_holders: AtomicU32,
    76 => reserved_holders: [u8; 52],
    128 => strong: [AtomicU32; STRONG_COUNTS],
});

impl Default for LockShared {
    fn default() -> Self {
        Self {
            free_entries: AtomicU64::default(),
            fresh_entries: AtomicU32::default(),
            reserved: [0; 52],
            free_holders: AtomicU64::default(),
            fresh_holders: AtomicU32::default(),
            reserved_holders: [0; 52],
            strong: core::array::from_fn(|_| AtomicU32::default()),
        }
    }
}

/// Head of a chain of entries.
#[derive(Debug, Default)]
#[repr(C)]
pub struct LockBucket {
    /// Number of its first entry.
    pub first: AtomicU32,
}

shared_layout!(LockBucket, size 4, align 4, { 0 => first: AtomicU32 });

/// Something that is locked or waited for.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct LockEntry {
    /// Number of the next in the bucket, or of the next free one.
    pub next: AtomicU32,
    /// What kind of thing; 0: the entry is free.
    pub class: AtomicU32,
    /// Which one.
    pub fields: [AtomicU32; 4],
    /// Modes that somebody holds, by bit.
    pub granted_mask: AtomicU32,
    /// Modes that somebody waits for, by bit.
    pub waiting_mask: AtomicU32,
    /// Number of the first holder.
    pub first_holder: AtomicU32,
    /// Number of the owner that is first in the queue.
    pub first_waiter: AtomicU32,
    /// Number of the owner that is last in the queue.
    pub last_waiter: AtomicU32,
    /// Zero.
    pub reserved: [u8; 20],
    /// Holders by mode.
    pub granted: [AtomicU32; LOCK_MODES],
    /// Waiters by mode.
    pub waiting: [AtomicU32; LOCK_MODES],
}

shared_layout!(LockEntry, size 128, align 64, {
    0 => next: AtomicU32,
    4 => class: AtomicU32,
    8 => fields: [AtomicU32; 4],
    24 => granted_mask: AtomicU32,
    28 => waiting_mask: AtomicU32,
    32 => first_holder: AtomicU32,
    36 => first_waiter: AtomicU32,
    40 => last_waiter: AtomicU32,
    44 => reserved: [u8; 20],
    64 => granted: [AtomicU32; LOCK_MODES],
    96 => waiting: [AtomicU32; LOCK_MODES],
});

/// One owner's part in one entry: what it holds of it. There is one while it waits, too.
#[derive(Debug, Default)]
#[repr(C, align(32))]
pub struct LockHolder {
    /// Number of the entry, 0: the holder is free.
    pub entry: AtomicU32,
    /// Number of the owner.
    pub owner: AtomicU32,
    /// Modes held, by bit.
    pub held: AtomicU32,
    /// 1: this holder is counted in `LockShared::strong`.
    pub counted: AtomicU32,
    /// Next holder of the entry, or next free one.
    pub next_of_entry: AtomicU32,
    /// The holder of the entry before.
    pub before_of_entry: AtomicU32,
    /// Next holder of the owner in this partition.
    pub next_of_owner: AtomicU32,
    /// The holder of the owner before.
    pub before_of_owner: AtomicU32,
}

shared_layout!(LockHolder, size 32, align 32, {
    0 => entry: AtomicU32,
    4 => owner: AtomicU32,
    8 => held: AtomicU32,
    12 => counted: AtomicU32,
    16 => next_of_entry: AtomicU32,
    20 => before_of_entry: AtomicU32,
    24 => next_of_owner: AtomicU32,
    28 => before_of_owner: AtomicU32,
});

/// Who can hold locks: a process, by its slot, or, behind those, a prepared transaction.
///
/// | bits of a word of `fast` | what |
/// | --- | --- |
/// | 0..3 | modes 1 to 3 held, by bit; none: the word is free |
/// | 32..64 | the relation, of the owner's database |
///
/// The owner sets and clears words of `fast` by compare-and-swap; whoever takes a strong lock, or handles the owner's
/// death, clears them.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct LockOwner {
    /// [`LockOwner::WAITING`] and its kin.
    pub wait_status: AtomicU32,
    /// Moved when `wait_status` has changed.
    pub wait_word: ConditionVariableWord,
    /// Number of the entry that it waits for, 0: none.
    pub wait_entry: AtomicU32,
    /// Mode that it waits for.
    pub wait_mode: AtomicU32,
    /// Number of the owner behind it in the queue.
    pub next_waiter: AtomicU32,
    /// Number of the owner before it in the queue.
    pub before_waiter: AtomicU32,
    /// Moves with every wait that begins.
    pub wait_sequence: AtomicU32,
    /// One more than the index of the count in `LockShared::strong` that it has raised for a lock it does not hold yet.
    pub strong_pending: AtomicU32,
    /// Monotonic nanoseconds at which the wait began.
    pub wait_started_ns: AtomicU64,
    /// Transaction that it waits for, 0: none.
    pub wait_xid: AtomicU64,
    /// Number of the owner of that.
    pub wait_xid_owner: AtomicU32,
    /// Database, to which its fast path belongs.
    pub database: AtomicU32,
    /// Zero.
    pub reserved: [u8; 8],

    /// Number of its first holder in each partition.
    pub holders: [AtomicU32; LOCK_PARTITIONS],

    /// Its fast path.
    pub fast: [AtomicU64; FAST_PATH_WORDS],
}

shared_layout!(LockOwner, size 640, align 64, {
    0 => wait_status: AtomicU32,
    4 => wait_word: ConditionVariableWord,
    8 => wait_entry: AtomicU32,
    12 => wait_mode: AtomicU32,
    16 => next_waiter: AtomicU32,
    20 => before_waiter: AtomicU32,
    24 => wait_sequence: AtomicU32,
    28 => strong_pending: AtomicU32,
    32 => wait_started_ns: AtomicU64,
    40 => wait_xid: AtomicU64,
    48 => wait_xid_owner: AtomicU32,
    52 => database: AtomicU32,
    56 => reserved: [u8; 8],
    64 => holders: [AtomicU32; LOCK_PARTITIONS],
    128 => fast: [AtomicU64; FAST_PATH_WORDS],
});

impl LockOwner {
    /// It waits for no lock.
    pub const IDLE: u32 = 0;
    /// It is in a queue.
    pub const WAITING: u32 = 1;
    /// It has left the queue with the lock, and has perhaps not noticed yet.
    pub const GRANTED: u32 = 2;
}

impl Default for LockOwner {
    fn default() -> Self {
        Self {
            wait_status: AtomicU32::default(),
            wait_word: ConditionVariableWord::default(),
            wait_entry: AtomicU32::default(),
            wait_mode: AtomicU32::default(),
            next_waiter: AtomicU32::default(),
            before_waiter: AtomicU32::default(),
            wait_sequence: AtomicU32::default(),
            strong_pending: AtomicU32::default(),
            wait_started_ns: AtomicU64::default(),
            wait_xid: AtomicU64::default(),
            wait_xid_owner: AtomicU32::default(),
            database: AtomicU32::default(),
            reserved: [0; 8],
            holders: core::array::from_fn(|_| AtomicU32::default()),
            fast: core::array::from_fn(|_| AtomicU64::default()),
        }
    }
}
