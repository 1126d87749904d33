//! Reading the wait statistics: shards added up, percentiles from the histogram.

use std::time::Duration;

use shmem_layout::WaitEventStats;
use shmem_layout::wait_stats::{BUCKETS, EVENTS, bucket_floor_ns};

use super::wait_event::WaitEvent;
use crate::sync::Ordering;

/// The statistics region.
#[derive(Clone, Copy)]
pub struct WaitStats<'s> {
    shards: &'s [WaitEventStats],
}

/// What is known of one event's waits.
#[derive(Clone, Debug)]
pub struct WaitSummary {
    /// Waits that ended.
    pub count: u64,
    /// Time spent in them.
    pub total: Duration,
    buckets: [u64; BUCKETS],
}

impl<'s> WaitStats<'s> {
    pub(super) fn new(shards: &'s [WaitEventStats]) -> Self {
        Self { shards }
    }

    /// All shards of one event; counts that go on while this reads may miss the last few.
    pub fn summary(self, event: WaitEvent) -> WaitSummary {
        let mut summary = WaitSummary { count: 0, total: Duration::ZERO, buckets: [0; BUCKETS] };
        for shard in self.shards.chunks_exact(EVENTS) {
            let stats = &shard[event.number() as usize];
            summary.count += stats.count.load(Ordering::Relaxed);
            summary.total += Duration::from_nanos(stats.total_ns.load(Ordering::Relaxed));
            for (sum, bucket) in summary.buckets.iter_mut().zip(&stats.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
        }
        summary
    }
}

impl WaitSummary {
    /// The shortest time that `fraction` of the waits did not exceed, to half a power of two; `None` without waits.
    pub fn quantile(&self, fraction: f64) -> Option<Duration> {
        let all: u64 = self.buckets.iter().sum();
        let wanted = ((all as f64 * fraction).ceil() as u64).clamp(1, all.max(1));
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|n| {
            seen += n;
            seen >= wanted
        })?;
        let ceiling = if bucket + 1 < BUCKETS { bucket_floor_ns(bucket + 1) } else { u64::MAX };
        // No wait was longer than all of them together, which bounds the open bucket.
        Some(Duration::from_nanos(ceiling).min(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_from_the_right_bucket() {
        let mut summary = WaitSummary { count: 0, total: Duration::ZERO, buckets: [0; BUCKETS] };
        assert_eq!(summary.quantile(0.5), None);
        summary.total = Duration::from_secs(60);
        summary.buckets[1] = 98;
        summary.buckets[11] = 2;
        assert_eq!(summary.quantile(0.5), Some(Duration::from_nanos(bucket_floor_ns(2))));
        assert_eq!(summary.quantile(0.99), Some(Duration::from_nanos(bucket_floor_ns(12))));
        // A spare that waited for a minute once was shown with 584 years.
        summary.buckets[BUCKETS - 1] = 2;
        assert_eq!(summary.quantile(0.99), Some(Duration::from_secs(60)));
    }
}
