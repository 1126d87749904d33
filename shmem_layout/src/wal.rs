//! The write-ahead log's shared words: where records go, what is copied, what is on its way to disk, what is durable.
//!
//! Positions come in two units. An *LSN* is a byte position in the log, block headers included; a *usable position*
//! counts only bytes that records may fill. `tuskd::wal` converts. Zero is neither: the log begins at its second segment.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::primitives::ConditionVariableWord;

/// Words that waiters for durability sleep on.
pub const WAL_WAIT_WORDS: usize = 64;

/// Flushes that can be on their way at once.
pub const WAL_FLIGHTS: usize = 16;

/// A flush on its way.
///
/// | bits of `state` | what |
/// | --- | --- |
/// | 0..48 | `ProcessId` word of who carries it out |
/// | 62..64 | 0 never used, 1 on its way, 2 done, 3 orphaned: its process died and its I/O is over |
///
/// `start` and `end` are written by the leader before `WalShared::next_flight` covers the entry, and stay until
/// `WalShared::oldest_flight` has passed it. `state` then belongs to the process it names, until that dies.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct WalFlight {
    /// LSN at which the range begins.
    pub start: AtomicU64,
    /// LSN at which it ends.
    pub end: AtomicU64,
    /// See above.
    pub state: AtomicU64,
    /// Zero.
    pub reserved: [u8; 40],
}

shared_layout!(WalFlight, size 64, align 64, {
    0 => start: AtomicU64,
    8 => end: AtomicU64,
    16 => state: AtomicU64,
    24 => reserved: [u8; 40],
});

impl WalFlight {
    /// The process in `state`.
    pub const OWNER: u64 = (1 << 48) - 1;
    /// Somebody writes it.
    pub const IN_FLIGHT: u64 = 1 << 62;
    /// It is durable.
    pub const DONE: u64 = 2 << 62;
    /// Nobody writes it any more, and it is not durable.
    pub const ORPHANED: u64 = 3 << 62;
    /// The bits of the three above.
    pub const STATE: u64 = 3 << 62;
}

impl Default for WalFlight {
    fn default() -> Self {
        Self { start: AtomicU64::new(0), end: AtomicU64::new(0), state: AtomicU64::new(0), reserved: [0; 40] }
    }
}

/// The log's shared state.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct WalShared {
    /// Usable position at which the next record begins; moved by fetch-add.
    pub insert: AtomicU64,
    /// Zero; keeps others' writes off the busiest line.
    pub reserved_insert: [u8; 56],

    /// LSN up to which everything is durable.
    pub durable: AtomicU64,
    /// LSN up to which everything has been handed to the kernel, durable or not.
    pub written: AtomicU64,
    /// Number of the flight that will be taken next; written by the leader.
    pub next_flight: AtomicU64,
    /// Number of the oldest flight that is not known to be done.
    pub oldest_flight: AtomicU64,
    /// `ProcessId` word of who may take the next flight, 0: nobody.
    pub leader: AtomicU64,
    /// Not zero: a write or sync failed, the log takes no more; errno below, 1 << 32 for a sync.
    pub failure: AtomicU64,
    /// Moved when a flight is done or its process died.
    pub flights_moved: ConditionVariableWord,
    /// Moved when segments were made, or who makes them died.
    pub segments_moved: ConditionVariableWord,
    /// Largest number of flights that were on their way at once.
    pub most_flights: AtomicU64,

    /// Number of the checkpoint epoch, odd while a redo position is being reserved.
    pub epoch: AtomicU64,
    /// LSN from which redo would begin; pages older than this need a full image.
    pub redo: AtomicU64,
    /// The incarnation's random number.
    pub incarnation: AtomicU64,
    /// LSN at which the incarnation began.
    pub incarnation_start: AtomicU64,
    /// 1: pages get full images, by setting or because of a base backup.
    pub full_pages: AtomicU32,
    /// Timeline.
    pub timeline: AtomicU32,
    /// LSN up to which segment files exist, full length and zero-filled.
    pub segments_until: AtomicU64,
    /// `ProcessId` word of who makes segments, 0: nobody.
    pub segment_maker: AtomicU64,
    /// `ProcessId` word of who inserts a record too large for the room kept for everybody, 0: nobody.
    pub large_inserter: AtomicU64,

    /// Usable bytes of that record, 0: none.
    pub large_pending: AtomicU64,
    /// Moved when the large record is in, or its inserter died.
    pub large_moved: ConditionVariableWord,
    /// Times that an insertion had to wait for room in the ring.
    pub buffers_full: AtomicU32,
    /// Writes to segment files.
    pub writes: AtomicU64,
    /// Syncs, one for each write that is its own sync.
    pub syncs: AtomicU64,
    /// Nanoseconds in writes.
    pub write_ns: AtomicU64,
    /// Nanoseconds in syncs that are calls of their own.
    pub sync_ns: AtomicU64,
    /// Bytes written, with what was written twice.
    pub bytes_written: AtomicU64,
    /// Flights taken over from the dead.
    pub adopted: AtomicU64,

    /// Waiters for durability, by LSN.
    pub waiters: [ConditionVariableWord; WAL_WAIT_WORDS],
    /// Flushes on their way: number n at n mod [`WAL_FLIGHTS`].
    pub flights: [WalFlight; WAL_FLIGHTS],

    /// LSN at which the first segment begins that is not known to be complete; moved by whoever completes it.
    pub complete_until: AtomicU64,
    /// When the last segment was completed, in microseconds since 1970; 0: none was since the start.
    pub completed_at_us: AtomicU64,
    /// `ProcessId` word of who archives segments and is woken for one; 0: nobody yet.
    pub archiver: AtomicU64,
    /// 1: complete segments are marked for the archiver.
    pub archiving: AtomicU32,
    /// Zero.
    pub reserved_archive: [u8; 36],
}

shared_layout!(WalShared, size 1600, align 64, {
    0 => insert: AtomicU64,
    8 => reserved_insert: [u8; 56],
    64 => durable: AtomicU64,
    72 => written: AtomicU64,
    80 => next_flight: AtomicU64,
    88 => oldest_flight: AtomicU64,
    96 => leader: AtomicU64,
    104 => failure: AtomicU64,
    112 => flights_moved: ConditionVariableWord,
    116 => segments_moved: ConditionVariableWord,
    120 => most_flights: AtomicU64,
    128 => epoch: AtomicU64,
    136 => redo: AtomicU64,
    144 => incarnation: AtomicU64,
    152 => incarnation_start: AtomicU64,
    160 => full_pages: AtomicU32,
    164 => timeline: AtomicU32,
    168 => segments_until: AtomicU64,
    176 => segment_maker: AtomicU64,
    184 => large_inserter: AtomicU64,
    192 => large_pending: AtomicU64,
    200 => large_moved: ConditionVariableWord,
    204 => buffers_full: AtomicU32,
    208 => writes: AtomicU64,
    216 => syncs: AtomicU64,
    224 => write_ns: AtomicU64,
    232 => sync_ns: AtomicU64,
    240 => bytes_written: AtomicU64,
    248 => adopted: AtomicU64,
    256 => waiters: [ConditionVariableWord; WAL_WAIT_WORDS],
    512 => flights: [WalFlight; WAL_FLIGHTS],
    1536 => complete_until: AtomicU64,
    1544 => completed_at_us: AtomicU64,
    1552 => archiver: AtomicU64,
    1560 => archiving: AtomicU32,
    1564 => reserved_archive: [u8; 36],
});

impl WalShared {
    /// A sync failed, not a write.
    pub const FAILED_SYNC: u64 = 1 << 32;
}

impl Default for WalShared {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            insert: zero(),
            reserved_insert: [0; 56],
            durable: zero(),
            written: zero(),
            next_flight: zero(),
            oldest_flight: zero(),
            leader: zero(),
            failure: zero(),
            flights_moved: ConditionVariableWord::default(),
            segments_moved: ConditionVariableWord::default(),
            most_flights: zero(),
            epoch: zero(),
            redo: zero(),
            incarnation: zero(),
            incarnation_start: zero(),
            full_pages: AtomicU32::new(0),
            timeline: AtomicU32::new(0),
            segments_until: zero(),
            segment_maker: zero(),
            large_inserter: zero(),
            large_pending: zero(),
            large_moved: ConditionVariableWord::default(),
            buffers_full: AtomicU32::new(0),
            writes: zero(),
            syncs: zero(),
            write_ns: zero(),
            sync_ns: zero(),
            bytes_written: zero(),
            adopted: zero(),
            waiters: core::array::from_fn(|_| ConditionVariableWord::default()),
            flights: core::array::from_fn(|_| WalFlight::default()),
            complete_until: zero(),
            completed_at_us: zero(),
            archiver: zero(),
            archiving: AtomicU32::new(0),
            reserved_archive: [0; 36],
        }
    }
}

/// What a process does with the log; written by it alone. One for each process slot.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct WalSlot {
    /// Usable position: nothing that this process inserts lies below it, and what lies from it on may not be copied yet.
    /// 0: it inserts nothing. First a lower bound, then exact, then moving on with a record longer than the ring.
    pub inserting: AtomicU64,
    /// LSN that it waits to be durable, 0: none.
    pub flushing: AtomicU64,
    /// Usable position: its commit in progress has, or will have, its record at or above this. 0: none.
    pub committing: AtomicU64,
    /// Zero.
    pub reserved: [u8; 40],

    /// Records inserted, since the segment was made, by all who had this slot.
    pub records: AtomicU64,
    /// Full page images in them.
    pub full_images: AtomicU64,
    /// Bytes of them, without block headers.
    pub bytes: AtomicU64,
    /// Reservations given up because a checkpoint began.
    pub retries: AtomicU64,
    /// Zero.
    pub reserved_counters: [u8; 32],
}

shared_layout!(WalSlot, size 128, align 64, {
    0 => inserting: AtomicU64,
    8 => flushing: AtomicU64,
    16 => committing: AtomicU64,
    24 => reserved: [u8; 40],
    64 => records: AtomicU64,
    72 => full_images: AtomicU64,
    80 => bytes: AtomicU64,
    88 => retries: AtomicU64,
    96 => reserved_counters: [u8; 32],
});

impl Default for WalSlot {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            inserting: zero(),
            flushing: zero(),
            committing: zero(),
            reserved: [0; 40],
            records: zero(),
            full_images: zero(),
            bytes: zero(),
            retries: zero(),
            reserved_counters: [0; 32],
        }
    }
}
