//! Prepared transactions: which there are, under which names.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::primitives::LwLockState;

/// Words of a name; it has at most 199 bytes.
pub const GID_WORDS: usize = 25;

/// What prepared transactions share.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct PreparedShared {
    /// Guards the array.
    pub lock: LwLockState,
    /// Zero.
    pub reserved: [u8; 48],
}

shared_layout!(PreparedShared, size 64, align 64, { 0 => lock: LwLockState, 16 => reserved: [u8; 48] });

impl Default for PreparedShared {
    fn default() -> Self {
        Self { lock: LwLockState::default(), reserved: [0; 48] }
    }
}

/// A prepared transaction, or one that is being prepared or finished.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct PreparedTransaction {
    /// `FREE` and its kin.
    pub state: AtomicU32,
    /// Number of the owner that prepares or finishes it, 0: nobody does.
    pub worker: AtomicU32,
    /// Role that prepared it.
    pub role: AtomicU32,
    /// Database it belongs to.
    pub database: AtomicU32,
    /// Its id.
    pub xid: AtomicU64,
    /// When it was prepared, in microseconds since 2000-01-01.
    pub time: AtomicU64,
    /// Bytes of its name.
    pub gid_len: AtomicU32,
    /// Zero.
    pub reserved: [u8; 4],
    /// Its name.
    pub gid: [AtomicU64; GID_WORDS],
    /// Where its record begins in the log; 0: it is from before the server's start, and has a file.
    pub record: AtomicU64,
    /// Zero.
    pub reserved_end: [u8; 8],
}

shared_layout!(PreparedTransaction, size 256, align 64, {
    0 => state: AtomicU32,
    4 => worker: AtomicU32,
    8 => role: AtomicU32,
    12 => database: AtomicU32,
    16 => xid: AtomicU64,
    24 => time: AtomicU64,
    32 => gid_len: AtomicU32,
    36 => reserved: [u8; 4],
    40 => gid: [AtomicU64; GID_WORDS],
    240 => record: AtomicU64,
    248 => reserved_end: [u8; 8],
});

impl PreparedTransaction {
    /// Nobody's.
    pub const FREE: u32 = 0;
    /// Its name is taken, its state not durable yet.
    pub const PREPARING: u32 = 1;
    /// Prepared.
    pub const PREPARED: u32 = 2;
}

impl Default for PreparedTransaction {
    fn default() -> Self {
        Self {
            state: AtomicU32::default(),
            worker: AtomicU32::default(),
            role: AtomicU32::default(),
            database: AtomicU32::default(),
            xid: AtomicU64::default(),
            time: AtomicU64::default(),
            gid_len: AtomicU32::default(),
            reserved: [0; 4],
            gid: core::array::from_fn(|_| AtomicU64::default()),
            record: AtomicU64::default(),
            reserved_end: [0; 8],
        }
    }
}
