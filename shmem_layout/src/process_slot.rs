//! What one process shows the others: who it is, what it waits for, what it holds.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::primitives::LatchWord;

/// Resources that one process can hold or take at once.
#[cfg(not(model))]
pub const LEDGER_ENTRIES: usize = 128;
/// Resources that one process can hold or take at once; few, so that models stay small.
#[cfg(model)]
pub const LEDGER_ENTRIES: usize = 3;

/// Where a process is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Phase {
    /// Nobody has the slot.
    Free = 0,
    /// Given to a child that is not ready yet.
    Starting = 1,
    /// In its main loop.
    Running = 2,
    /// On its orderly way out.
    Exiting = 3,
}

impl Phase {
    /// The phase of a word; `Running` for a word nobody wrote, the phase of which least is assumed.
    pub const fn from_word(word: u32) -> Self {
        match word {
            0 => Self::Free,
            1 => Self::Starting,
            3 => Self::Exiting,
            _ => Self::Running,
        }
    }
}

/// A process's slot. The first cache line is written by everybody, the rest by the owner alone (the postmaster writes
/// identity and phase while there is no owner).
#[derive(Debug)]
#[repr(C, align(64))]
pub struct ProcessSlot {
    /// Set by whoever has news for this process.
    pub latch: LatchWord,
    /// One bit per pending interrupt (`tuskd::ipc::interrupts`): set by anybody, cleared by the owner.
    pub interrupts: AtomicU32,
    /// Zero; keeps others' writes off the owner's line.
    pub reserved_shared: [u8; 52],

    /// How often the slot was given out.
    pub generation: AtomicU32,
    /// Process id, 0 while there is none.
    pub pid: AtomicU32,
    /// The process's kind; its meaning belongs to who runs the processes.
    pub kind: AtomicU32,
    /// [`Phase`].
    pub phase: AtomicU32,
    /// Depth of critical sections; not zero in a dead process: shared structures may be half changed.
    pub critical_sections: AtomicU32,
    /// Wait event, 0: runs.
    pub wait_event: AtomicU32,
    /// Monotonic nanoseconds at which the wait began.
    pub wait_started_ns: AtomicU64,
    /// Offset of the futex word slept on beside the own latch, 0: none. A dead process may have eaten a wake-up there.
    pub awaited: AtomicU64,
    /// Offset of a futex word that this process has changed and not yet woken the waiters of, 0: none.
    pub waking: AtomicU64,
    /// The same for the signal handler, which may come between.
    pub waking_in_handler: AtomicU64,
    /// Process group of the shell command that it runs, 0: none. Cleared before the command is waited for, so that the
    /// number is nobody else's.
    pub command_group: AtomicU32,
    /// Zero.
    pub reserved: [u8; 4],

    /// What it holds, as `LedgerEntry` words.
    pub ledger: [AtomicU64; LEDGER_ENTRIES],
}

shared_layout!(ProcessSlot, size 1152, align 64, {
    0 => latch: LatchWord,
    8 => interrupts: AtomicU32,
    12 => reserved_shared: [u8; 52],
    64 => generation: AtomicU32,
    68 => pid: AtomicU32,
    72 => kind: AtomicU32,
    76 => phase: AtomicU32,
    80 => critical_sections: AtomicU32,
    84 => wait_event: AtomicU32,
    88 => wait_started_ns: AtomicU64,
    96 => awaited: AtomicU64,
    104 => waking: AtomicU64,
    112 => waking_in_handler: AtomicU64,
    120 => command_group: AtomicU32,
    124 => reserved: [u8; 4],
    128 => ledger: [AtomicU64; LEDGER_ENTRIES],
});

impl Default for ProcessSlot {
    fn default() -> Self {
        Self {
            latch: LatchWord::default(),
            interrupts: AtomicU32::default(),
            reserved_shared: [0; 52],
            generation: AtomicU32::default(),
            pid: AtomicU32::default(),
            kind: AtomicU32::default(),
            phase: AtomicU32::default(),
            critical_sections: AtomicU32::default(),
            wait_event: AtomicU32::default(),
            wait_started_ns: AtomicU64::default(),
            awaited: AtomicU64::default(),
            waking: AtomicU64::default(),
            waking_in_handler: AtomicU64::default(),
            command_group: AtomicU32::default(),
            reserved: [0; 4],
            ledger: core::array::from_fn(|_| AtomicU64::default()),
        }
    }
}
