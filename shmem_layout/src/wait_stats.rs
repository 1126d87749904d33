//! Counts, times and histograms of waits, one record per wait event and shard.

use crate::atomic::AtomicU64;

/// Buckets of a histogram: two per power of two, from below 512 ns to above 2 s.
pub const BUCKETS: usize = 46;

/// Wait events that can be told apart.
pub const EVENTS: usize = 128;

/// Copies of the table, so that processes waiting at once rarely write the same line; a slot uses `index % SHARDS`.
pub const SHARDS: usize = 8;

/// How often and how long processes waited for one event.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct WaitEventStats {
    /// Waits that ended.
    pub count: AtomicU64,
    /// Nanoseconds in all.
    pub total_ns: AtomicU64,
    /// Waits by duration, see [`bucket_of`].
    pub buckets: [AtomicU64; BUCKETS],
}

shared_layout!(WaitEventStats, size 384, align 64, {
    0 => count: AtomicU64,
    8 => total_ns: AtomicU64,
    16 => buckets: [AtomicU64; BUCKETS],
});

/// Smallest power of two that has buckets of its own: 2^9 = 512 ns.
const FIRST_POWER: u32 = 9;

/// The bucket of a wait of `ns` nanoseconds: bucket 0 is below 512 ns, then each power of two has a lower and an upper
/// half, and the last bucket takes the rest.
pub const fn bucket_of(ns: u64) -> usize {
    if ns < 1 << FIRST_POWER {
        return 0;
    }
    let power = ns.ilog2();
    let upper_half = (ns >> (power - 1)) & 1;
    let bucket = 1 + 2 * (power - FIRST_POWER) as usize + upper_half as usize;
    if bucket < BUCKETS { bucket } else { BUCKETS - 1 }
}

/// The smallest wait in nanoseconds that falls in `bucket`.
pub const fn bucket_floor_ns(bucket: usize) -> u64 {
    if bucket == 0 {
        return 0;
    }
    let power = FIRST_POWER + (bucket as u32 - 1) / 2;
    let half = if (bucket - 1).is_multiple_of(2) { 0 } else { 1 << (power - 1) };
    (1 << power) + half
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_where_their_floors_say() {
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(bucket_floor_ns(bucket)), bucket);
            if bucket > 0 {
                assert_eq!(bucket_of(bucket_floor_ns(bucket) - 1), bucket - 1);
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert!(bucket_floor_ns(BUCKETS - 1) > 2_000_000_000);
    }
}
