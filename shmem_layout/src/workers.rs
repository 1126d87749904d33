//! Workers that others ask the postmaster for: registered background workers, and the autovacuum launcher's.

use crate::atomic::{AtomicU32, AtomicU64};

/// Words of a worker's name, of its type and of its function's name: 96 bytes, the last of which is 0.
pub const WORKER_NAME_WORDS: usize = 12;
/// Words that a registration may hand to its worker beside the argument: 128 bytes.
pub const WORKER_EXTRA_WORDS: usize = 16;

/// One background worker's registration, and what became of it.
///
/// | word | who sets it | what it says |
/// | --- | --- | --- |
/// | `claim` | who registers, from 0; the postmaster back to 0 | whose the slot is: a process, or [`WorkerSlot::BY_POSTMASTER`] |
/// | `registered` | who registers, to 1 behind all the rest; the postmaster to 0 | the text words may be read |
/// | `generation` | who registers, one more than it was | which registration a handle is about |
/// | `terminate` | anybody, to 1 | it is to end, and not to come again |
/// | `pid` | the postmaster, once registered | [`WorkerSlot::NOT_STARTED`], a process, or 0 for stopped |
///
/// So a slot is free if `claim` is 0; one that is claimed but not registered belongs to a process that writes it, or died
/// in doing so, which its `claim` names.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct WorkerSlot {
    /// `ProcessId` word of who registered it, 0: free.
    pub claim: AtomicU64,
    /// `ProcessId` word of who is woken when `pid` changes, 0: nobody.
    pub notify: AtomicU64,
    /// Handed to the worker.
    pub argument: AtomicU64,
    /// How often the slot was given out.
    pub generation: AtomicU32,
    /// 1: complete.
    pub registered: AtomicU32,
    /// 1: end it.
    pub terminate: AtomicU32,
    /// Its process id.
    pub pid: AtomicU32,
    /// When it is started first; its meaning belongs to who runs the processes.
    pub start: AtomicU32,
    /// Seconds to the next start after a failure, [`WorkerSlot::NEVER`]: none.
    pub restart_s: AtomicU32,
    /// Bits; their meaning belongs to who runs the processes.
    pub flags: AtomicU32,
    /// Bytes of `extra`.
    pub extra_len: AtomicU32,
    /// Zero.
    pub reserved: [u8; 8],
    /// Its name.
    pub name: [AtomicU64; WORKER_NAME_WORDS],
    /// Its type, for `pg_stat_activity`.
    pub worker_type: [AtomicU64; WORKER_NAME_WORDS],
    /// The function that it runs.
    pub function: [AtomicU64; WORKER_NAME_WORDS],
    /// More that is handed to it.
    pub extra: [AtomicU64; WORKER_EXTRA_WORDS],
    /// Zero.
    pub tail: [u8; 32],
}

shared_layout!(WorkerSlot, size 512, align 64, {
    0 => claim: AtomicU64,
    8 => notify: AtomicU64,
    16 => argument: AtomicU64,
    24 => generation: AtomicU32,
    28 => registered: AtomicU32,
    32 => terminate: AtomicU32,
    36 => pid: AtomicU32,
    40 => start: AtomicU32,
    44 => restart_s: AtomicU32,
    48 => flags: AtomicU32,
    52 => extra_len: AtomicU32,
    56 => reserved: [u8; 8],
    64 => name: [AtomicU64; WORKER_NAME_WORDS],
    160 => worker_type: [AtomicU64; WORKER_NAME_WORDS],
    256 => function: [AtomicU64; WORKER_NAME_WORDS],
    352 => extra: [AtomicU64; WORKER_EXTRA_WORDS],
    480 => tail: [u8; 32],
});

impl WorkerSlot {
    /// `claim` of what the postmaster registered; no process's word.
    pub const BY_POSTMASTER: u64 = u64::MAX << 16;
    /// `pid` of one that was not started yet.
    pub const NOT_STARTED: u32 = u32::MAX;
    /// `restart_s` of one that is not started again.
    pub const NEVER: u32 = u32::MAX;
}

/// What the autovacuum launcher and the postmaster tell each other.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct AutovacuumBoard {
    /// `ProcessId` word of the launcher, 0: there is none.
    pub launcher: AtomicU64,
    /// Monotonic nanoseconds of the request in `starting`.
    pub asked_at_ns: AtomicU64,
    /// Index plus one of the place whose worker is asked for, 0: none. Set by the launcher, taken by the worker.
    pub starting: AtomicU32,
    /// 1: the postmaster could not fork the worker that was asked for; taken by the launcher.
    pub fork_failed: AtomicU32,
    /// Zero.
    pub reserved: [u8; 40],
}

shared_layout!(AutovacuumBoard, size 64, align 64, {
    0 => launcher: AtomicU64,
    8 => asked_at_ns: AtomicU64,
    16 => starting: AtomicU32,
    20 => fork_failed: AtomicU32,
    24 => reserved: [u8; 40],
});

/// One autovacuum worker at most.
#[derive(Debug)]
#[repr(C)]
pub struct AutovacuumPlace {
    /// `ProcessId` word of its worker, 0: none has taken it.
    pub worker: AtomicU64,
    /// Number of the database that it is for, 0: the place is free.
    pub database: AtomicU32,
    /// Zero.
    pub reserved: [u8; 4],
}

shared_layout!(AutovacuumPlace, size 16, align 8, {
    0 => worker: AtomicU64,
    8 => database: AtomicU32,
    12 => reserved: [u8; 4],
});
