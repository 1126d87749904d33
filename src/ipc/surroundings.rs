//! What surrounds a process's primitives outside a model: wait statistics, stop points, and what to do where `futex_waitv`
//! is missing.

use std::cell::Cell;
use std::time::Duration;

use shmem_layout::wait_stats::{EVENTS, bucket_of};
use shmem_layout::{LatchWord, StopPointWord, WaitEventStats};

use super::wait_event::WaitEvent;
use crate::sync::futex::{self, WaitOutcome};
use crate::sync::{AtomicU32, Monotonic, Ordering};

/// How long a wait on two words sleeps on the one before it looks at the other, where the kernel can't wait for both.
const SLICE: Duration = Duration::from_millis(10);

/// See the module.
pub struct Surroundings<'s> {
    /// This process's shard.
    wait_stats: &'s [WaitEventStats],
    #[cfg_attr(not(any(debug_assertions, feature = "stop-points")), expect(dead_code))]
    stop_points: &'s [StopPointWord],
    own_latch: &'s LatchWord,
    has_waitv: Cell<bool>,
}

impl<'s> Surroundings<'s> {
    pub(super) fn new(
        wait_stats: &'s [WaitEventStats],
        stop_points: &'s [StopPointWord],
        own_latch: &'s LatchWord,
    ) -> Self {
        assert_eq!(wait_stats.len(), EVENTS);
        Self { wait_stats, stop_points, own_latch, has_waitv: Cell::new(true) }
    }

    pub(super) fn count_wait(&self, event: WaitEvent, started: Monotonic) {
        let ns = Monotonic::now().as_nanos().saturating_sub(started.as_nanos());
        let stats = &self.wait_stats[event.number() as usize];
        stats.count.fetch_add(1, Ordering::Relaxed);
        stats.total_ns.fetch_add(ns, Ordering::Relaxed);
        stats.buckets[bucket_of(ns)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn has_waitv(&self) -> bool {
        self.has_waitv.get()
    }

    /// The kernel, or a seccomp filter, turned out not to have `futex_waitv`.
    #[cold]
    pub(super) fn lost_waitv(&self) {
        self.has_waitv.set(false);
    }

    /// A wait on `word` and the own latch without `futex_waitv`: a wake-up of the word is immediate, the latch is looked
    /// at every [`SLICE`].
    #[cold]
    pub(super) fn wait_in_slices(
        &self,
        (word, expected): (&AtomicU32, u32),
        deadline: Option<Monotonic>,
    ) -> WaitOutcome {
        loop {
            let slice_end = Monotonic::now().saturating_add(SLICE);
            let is_last = deadline.is_some_and(|d| d <= slice_end);
            let until = if is_last { deadline } else { Some(slice_end) };
            match futex::wait(word, expected, until) {
                WaitOutcome::TimedOut if is_last => return WaitOutcome::TimedOut,
                WaitOutcome::TimedOut => {}
                outcome => return outcome,
            }
            if self.own_latch.word.load(Ordering::Acquire) & LatchWord::SET != 0 {
                return WaitOutcome::Woken;
            }
        }
    }

    #[cfg(any(debug_assertions, feature = "stop-points"))]
    #[inline]
    pub(super) fn stop_point(&self, slot: shmem_layout::SlotIndex, point: super::stop_points::StopPoint) {
        let word = &self.stop_points[point as usize];
        if word.action.load(Ordering::Relaxed) != 0 {
            super::stop_points::stop(slot, word);
        }
    }
}
