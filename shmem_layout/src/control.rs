//! The few words that the postmaster and its children share: flags that can be read without a lock.

use crate::atomic::{AtomicU32, AtomicU64};

/// The postmaster's words.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct ControlBlock {
    /// One bit per PMSIGNAL: set by children, taken by the postmaster when its eventfd says look.
    pub pmsignals: AtomicU32,
    /// The postmaster's process id.
    pub postmaster_pid: AtomicU32,
    /// The postmaster's state; written by it alone, its meaning belongs to it.
    pub postmaster_state: AtomicU32,
    /// 1 once somebody has seen the postmaster dead.
    pub postmaster_dead: AtomicU32,
    /// Start of the postmaster, microseconds since 1970.
    pub started_at_us: AtomicU64,
    /// Zero.
    pub reserved: [u8; 40],
}

shared_layout!(ControlBlock, size 64, align 64, {
    0 => pmsignals: AtomicU32,
    4 => postmaster_pid: AtomicU32,
    8 => postmaster_state: AtomicU32,
    12 => postmaster_dead: AtomicU32,
    16 => started_at_us: AtomicU64,
    24 => reserved: [u8; 40],
});
