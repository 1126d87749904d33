//! Words by which a test's supervisor stops or kills a process at a named place.

use crate::atomic::AtomicU32;

/// Stop points that a segment has room for.
pub const STOP_POINTS: usize = 64;

/// One stop point.
#[derive(Debug)]
#[repr(C)]
pub struct StopPointWord {
    /// What to do to who comes by: 0 nothing, 1 pause until this is no longer 1, 2 SIGKILL. A futex.
    pub action: AtomicU32,
    /// Tag of the only slot that it concerns, 0: whoever comes first.
    pub slot: AtomicU32,
    /// Processes that were stopped here. A futex.
    pub hits: AtomicU32,
    /// Passes to let through before acting.
    pub skip: AtomicU32,
}

shared_layout!(StopPointWord, size 16, align 4, {
    0 => action: AtomicU32,
    4 => slot: AtomicU32,
    8 => hits: AtomicU32,
    12 => skip: AtomicU32,
});
