//! The words of the synchronisation primitives. What each bit means, who sets it and who clears it, stands here; the
//! algorithms are in `tuskd::ipc`.

use crate::atomic::{AtomicU32, AtomicU64};

/// A latch: something its one owner sleeps on and anybody sets.
///
/// | bit | name | set by | cleared by | while set |
/// | --- | --- | --- | --- | --- |
/// | 0 | `SET` | whoever has news for the owner | the owner, before it looks for news | the owner will not sleep |
/// | 1 | `WAITING` | the owner, before it sleeps on this word | the owner, when it runs again | who sets `SET` first calls futex wake |
/// | 2 | `WAITING_IN_EPOLL` | the owner, before it sleeps in epoll | the owner, when it runs again | `sleeper` is its thread; who sets `SET` first sends that SIGURG |
#[derive(Debug, Default)]
#[repr(C)]
pub struct LatchWord {
    /// The word, a futex.
    pub word: AtomicU32,
    /// The thread that last slept in epoll, as the kernel numbers threads; written by the owner.
    pub sleeper: AtomicU32,
}

shared_layout!(LatchWord, size 8, align 4, { 0 => word: AtomicU32, 4 => sleeper: AtomicU32 });

impl LatchWord {
    /// There is news.
    pub const SET: u32 = 1;
    /// The owner sleeps, or is about to, on this word.
    pub const WAITING: u32 = 2;
    /// The owner sleeps, or is about to, in epoll.
    pub const WAITING_IN_EPOLL: u32 = 4;
}

/// A condition variable.
///
/// | bits | name | set by | cleared by | while set |
/// | --- | --- | --- | --- | --- |
/// | 0 | `WAITERS` | a waiter, before it tests its condition | who broadcasts | broadcast and signal call futex wake |
/// | 1..32 | sequence | moved on by every broadcast and signal | never | |
#[derive(Debug, Default)]
#[repr(C)]
pub struct ConditionVariableWord {
    /// The word, a futex.
    pub word: AtomicU32,
}

shared_layout!(ConditionVariableWord, size 4, align 4, { 0 => word: AtomicU32 });

impl ConditionVariableWord {
    /// Somebody may sleep.
    pub const WAITERS: u32 = 1;
    /// One step of the sequence.
    pub const STEP: u32 = 2;
}

/// A lightweight lock: shared or exclusive, its waiters queued by the kernel on `wake`.
///
/// | bits of `state` | name | set by | cleared by | while set |
/// | --- | --- | --- | --- | --- |
/// | 0..16 | sharers | each shared holder adds one | the same takes it off; recounted after a death | nobody holds it exclusively |
/// | 16..32 | owner tag | the exclusive holder | the same, or who handles its death | nobody else holds it |
/// | 32..48 | heir tag | a writer that found it held, if there is no heir yet | the same when it has the lock, or who handles its death | at most `MAX_OVERTAKES` others get it first |
/// | 48..56 | overtakes | each who gets it past an heir adds one | with the heir | |
/// | 56 | `READERS_WAIT` | a reader, before it sleeps | whoever wakes all readers | a release wakes |
/// | 57 | `WRITERS_WAIT` | a writer, before it sleeps or when it got the lock after sleeping | whoever wakes one writer | a release wakes |
/// | 58 | `FREE_WAIT` | who waits for a release without wanting the lock | whoever wakes all those | a release wakes |
/// | 59 | `BLOCKED` | who recounts after a death | the same | nobody new gets it |
///
/// `wake` is a futex and only counts: it moves before every wake-up, so that who read it before it saw the lock taken does
/// not sleep through the release.
#[derive(Debug, Default)]
#[repr(C)]
pub struct LwLockState {
    /// Holders, heir and waiter bits.
    pub state: AtomicU64,
    /// The futex that waiters sleep on.
    pub wake: AtomicU32,
    /// Zero.
    pub reserved: [u8; 4],
}

shared_layout!(LwLockState, size 16, align 8, {
    0 => state: AtomicU64,
    8 => wake: AtomicU32,
    12 => reserved: [u8; 4],
});

/// A counting semaphore whose permits are given back by who took them.
///
/// | bits of `state` | name | set by | cleared by | while set |
/// | --- | --- | --- | --- | --- |
/// | 0..30 | taken | each holder adds one | the same takes it off; recounted after a death | |
/// | 30 | `WAIT` | before sleeping, or on getting a permit after sleeping | who wakes one waiter | a release wakes one |
/// | 31 | `BLOCKED` | who recounts after a death | the same | nobody gets a permit |
#[derive(Debug, Default)]
#[repr(C)]
pub struct SemaphoreState {
    /// Permits taken and flags.
    pub state: AtomicU32,
    /// The futex that waiters sleep on; moves before every wake-up.
    pub wake: AtomicU32,
    /// Number of permits in all; set once, before anybody takes one.
    pub capacity: AtomicU32,
    /// Zero.
    pub reserved: [u8; 4],
}

shared_layout!(SemaphoreState, size 16, align 4, {
    0 => state: AtomicU32,
    4 => wake: AtomicU32,
    8 => capacity: AtomicU32,
    12 => reserved: [u8; 4],
});

/// Members that a barrier can have at once.
#[cfg(not(model))]
pub const BARRIER_MEMBERS: usize = 62;
/// Members that a barrier can have at once; few, so that models stay small.
#[cfg(model)]
pub const BARRIER_MEMBERS: usize = 3;

/// A barrier whose members come and go.
///
/// | bits of `state` | what |
/// | --- | --- |
/// | 0..32 | changes: moves with every arrival, attachment and detachment |
/// | 32..64 | phase: moves when all members have arrived |
///
/// | bits of a member | what |
/// | --- | --- |
/// | 0..16 | tag of the slot, 0: nobody |
/// | 32..64 | the last phase it arrived in |
#[derive(Debug)]
#[repr(C)]
pub struct BarrierState {
    /// Phase and changes.
    pub state: AtomicU64,
    /// Members that have arrived sleep here until the phase moves.
    pub moved: ConditionVariableWord,
    /// Zero.
    pub reserved: [u8; 4],
    /// The members; each word is written by its member, or by who handles its death.
    pub members: [AtomicU64; BARRIER_MEMBERS],
}

shared_layout!(BarrierState, size 512, align 8, {
    0 => state: AtomicU64,
    8 => moved: ConditionVariableWord,
    12 => reserved: [u8; 4],
    16 => members: [AtomicU64; BARRIER_MEMBERS],
});

impl Default for BarrierState {
    fn default() -> Self {
        Self {
            state: AtomicU64::default(),
            moved: ConditionVariableWord::default(),
            reserved: [0; 4],
            members: core::array::from_fn(|_| AtomicU64::default()),
        }
    }
}

/// Head of a message queue with one sender and one receiver; `capacity` bytes of ring follow it.
///
/// `written` and `read` count bytes since the queue was made; their difference is what lies in the ring.
///
/// | bit | name | set by | cleared by | while set |
/// | --- | --- | --- | --- | --- |
/// | 63 of `written` | `WAIT` | the receiver, before it sleeps | the same, when it runs again | the sender sets the receiver's latch |
/// | 63 of `read` | `WAIT` | the sender, before it sleeps | the same, when it runs again | the receiver sets the sender's latch |
#[derive(Debug)]
#[repr(C, align(64))]
pub struct QueueHeader {
    /// The sender as a `ProcessId` word; 0: not attached yet.
    pub sender: AtomicU64,
    /// The receiver as a `ProcessId` word; 0: not attached yet.
    pub receiver: AtomicU64,
    /// Bytes of the ring, a power of two; set once.
    pub capacity: AtomicU32,
    /// `SENDER_GONE`, `RECEIVER_GONE`; never cleared.
    pub gone: AtomicU32,
    /// Zero.
    pub reserved: [u8; 40],
    /// Bytes written; only the sender moves it.
    pub written: AtomicU64,
    /// Zero.
    pub reserved_written: [u8; 56],
    /// Bytes read; only the receiver moves it.
    pub read: AtomicU64,
    /// Zero.
    pub reserved_read: [u8; 56],
}

shared_layout!(QueueHeader, size 192, align 64, {
    0 => sender: AtomicU64,
    8 => receiver: AtomicU64,
    16 => capacity: AtomicU32,
    20 => gone: AtomicU32,
    24 => reserved: [u8; 40],
    64 => written: AtomicU64,
    72 => reserved_written: [u8; 56],
    128 => read: AtomicU64,
    136 => reserved_read: [u8; 56],
});

impl Default for QueueHeader {
    fn default() -> Self {
        Self {
            sender: AtomicU64::default(),
            receiver: AtomicU64::default(),
            capacity: AtomicU32::default(),
            gone: AtomicU32::default(),
            reserved: [0; 40],
            written: AtomicU64::default(),
            reserved_written: [0; 56],
            read: AtomicU64::default(),
            reserved_read: [0; 56],
        }
    }
}

impl QueueHeader {
    /// The other side sleeps, or is about to.
    pub const WAIT: u64 = 1 << 63;
    /// The sender detached or died.
    pub const SENDER_GONE: u32 = 1;
    /// The receiver detached or died.
    pub const RECEIVER_GONE: u32 = 2;
}
