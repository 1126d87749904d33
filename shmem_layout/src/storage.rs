//! The buffer pool's shared words: which page is in which buffer, who uses it, and which files wait to be synced.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::primitives::{ConditionVariableWord, LwLockState};

/// A buffer's descriptor: one cache line.
///
/// | bits of `state` | name | set by | cleared by | while set |
/// | --- | --- | --- | --- | --- |
/// | 0..18 | pins | each process that pins it adds one, once | the same; recounted after a death | the tag does not change |
/// | 18..22 | usage | a pin adds one, up to 5 | the clock hand takes one | the hand passes by |
/// | 24 | `TAG_VALID` | who puts it into the table | who evicts or drops it, with the only pin | it may be pinned by its tag |
/// | 25 | `VALID` | who ends its reading | with `TAG_VALID` | the content is the page's |
/// | 26 | `DIRTY` | who changes the page, holding its content exclusively | who ends its writing, unless `REDIRTIED` | the content is newer than the file |
/// | 27 | `REDIRTIED` | with `DIRTY` | who begins its writing | it was changed since |
/// | 28 | `CHECKPOINT` | a checkpoint that begins | with `DIRTY` | this checkpoint has yet to write it |
/// | 29 | `PIN_WAITED` | who waits to have the only pin | who leaves one pin behind | that one broadcasts `moved` |
/// | 30 | `BLOCKED` | who recounts pins after a death | the same | nobody pins it |
/// | 31 | `PERMANENT` | who puts it into the table | with `TAG_VALID` | its changes are in the log, which must be durable first |
/// | 32 | `IO_WAITED` | who waits for the end of its I/O | who ends the I/O | that one broadcasts `moved` |
/// | 33 | `IO_WRITES` | who begins writing it | with the I/O owner | the I/O is a write |
/// | 48..64 | I/O owner | who begins I/O, as slot tag | the same, or who handles its death | nobody else begins I/O |
///
/// The tag's words change only while `TAG_VALID` is not set and the buffer has one pin, its owner's.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct BufferDescriptor {
    /// See above.
    pub state: AtomicU64,
    /// Tablespace above, database below.
    pub tag_place: AtomicU64,
    /// Relation above, block below.
    pub tag_block: AtomicU64,
    /// Fork.
    pub tag_fork: AtomicU32,
    /// Buffer plus one that follows in the table's chain, 0: none.
    pub next: AtomicU32,
    /// Bucket plus one in whose chain it is or may be, 0: none. Changed under the lock of the bucket's partition.
    pub linked: AtomicU32,
    /// Moves at the end of I/O and when one pin is left, if somebody waits.
    pub moved: ConditionVariableWord,
    /// Guards the content.
    pub content: LwLockState,
    /// Zero.
    pub reserved: [u8; 8],
}

shared_layout!(BufferDescriptor, size 64, align 64, {
    0 => state: AtomicU64,
    8 => tag_place: AtomicU64,
    16 => tag_block: AtomicU64,
    24 => tag_fork: AtomicU32,
    28 => next: AtomicU32,
    32 => linked: AtomicU32,
    36 => moved: ConditionVariableWord,
    40 => content: LwLockState,
    56 => reserved: [u8; 8],
});

/// First buffer of a chain of the table.
#[derive(Debug, Default)]
#[repr(C)]
pub struct BufferBucket {
    /// Buffer plus one, 0: the chain is empty.
    pub head: AtomicU32,
}

shared_layout!(BufferBucket, size 4, align 4, { 0 => head: AtomicU32 });

/// A lock with a cache line of its own: of a part of the buffer table, or of relations being extended.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct PaddedLock {
    /// The lock.
    pub lock: LwLockState,
    /// Zero.
    pub reserved: [u8; 48],
}

shared_layout!(PaddedLock, size 64, align 64, {
    0 => lock: LwLockState,
    16 => reserved: [u8; 48],
});

impl Default for PaddedLock {
    fn default() -> Self {
        Self { lock: LwLockState::default(), reserved: [0; 48] }
    }
}

/// The storage layer's words that all processes share.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct StorageShared {
    /// Buffers that the clock hand has passed since the start; moved by fetch-add.
    pub clock: AtomicU64,
    /// Buffers claimed for a page since the start.
    pub claims: AtomicU64,
    /// The background writer, while it sleeps long: whoever claims a buffer wakes it. 0: nobody is to be woken.
    pub sleeper: AtomicU64,
    /// Zero; keeps others' writes off the hand's line.
    pub reserved_clock: [u64; 5],

    /// Relation files removed or cut off since the start: open descriptors may be of files that are no more.
    pub removals: AtomicU64,
    /// Number of the checkpoint, moved when one begins.
    pub checkpoint: AtomicU64,
    /// Not zero: a sync failed, with this errno; what was written may be lost, and no sync succeeds any more.
    pub sync_failure: AtomicU64,
    /// Syncs that writers did themselves because the table was full.
    pub syncs_by_writers: AtomicU64,
    /// Guards the table of files to be synced.
    pub sync_table: LwLockState,
    /// Writes to relations' files, extensions and cuts included, that were begun since the start.
    pub writes: AtomicU64,
    /// Zero.
    pub reserved: [u8; 8],
}

shared_layout!(StorageShared, size 128, align 64, {
    0 => clock: AtomicU64,
    8 => claims: AtomicU64,
    16 => sleeper: AtomicU64,
    24 => reserved_clock: [u64; 5],
    64 => removals: AtomicU64,
    72 => checkpoint: AtomicU64,
    80 => sync_failure: AtomicU64,
    88 => syncs_by_writers: AtomicU64,
    96 => sync_table: LwLockState,
    112 => writes: AtomicU64,
    120 => reserved: [u8; 8],
});

/// A file that waits to be synced, or to be removed after the next checkpoint.
///
/// | bits of `state` | what |
/// | --- | --- |
/// | 0..2 | 0 never used, 1 free again, 2 in use; stored last, so that who dies before leaves nothing half done |
/// | 2..32 | |
/// | 32..64 | requests, moved by each: a sync that began before the last one does not count for it |
#[derive(Debug, Default)]
#[repr(C)]
pub struct SyncEntry {
    /// See above.
    pub state: AtomicU64,
    /// Tablespace above, database below.
    pub place: AtomicU64,
    /// Relation above, segment below.
    pub segment: AtomicU64,
    /// Fork in bits 0..8; bit 8: its folder too; bit 9: to be removed; number of the checkpoint of the request above.
    pub what: AtomicU64,
}

shared_layout!(SyncEntry, size 32, align 8, {
    0 => state: AtomicU64,
    8 => place: AtomicU64,
    16 => segment: AtomicU64,
    24 => what: AtomicU64,
});

/// What the processes of one slot did with pages since the start; written by the one that has the slot.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct StorageCounts {
    /// Pages found in the pool.
    pub hits: AtomicU64,
    /// Pages read.
    pub reads: AtomicU64,
    /// Pages written.
    pub writes: AtomicU64,
    /// Pages put out of the pool to make room.
    pub evictions: AtomicU64,
    /// Pages that relations were extended by.
    pub extends: AtomicU64,
    /// Pages made dirty that were clean.
    pub dirtied: AtomicU64,
    /// Nanoseconds in reads.
    pub read_ns: AtomicU64,
    /// Nanoseconds in writes.
    pub write_ns: AtomicU64,
}

shared_layout!(StorageCounts, size 64, align 64, {
    0 => hits: AtomicU64,
    8 => reads: AtomicU64,
    16 => writes: AtomicU64,
    24 => evictions: AtomicU64,
    32 => extends: AtomicU64,
    40 => dirtied: AtomicU64,
    48 => read_ns: AtomicU64,
    56 => write_ns: AtomicU64,
});
