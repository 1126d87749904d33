//! What the log has done since shared memory was made: `pg_stat_wal`.

use std::time::Duration;

use super::log::Wal;
use crate::sync::Ordering::Relaxed;

/// The counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WalStatistics {
    /// Records inserted.
    pub records: u64,
    /// Full page images in them.
    pub full_images: u64,
    /// Bytes of them, without block headers and padding.
    pub bytes: u64,
    /// Times that an insertion waited for room in the ring.
    pub buffers_full: u64,
    /// Writes to segments.
    pub writes: u64,
    /// Syncs of segments, writes that are their own among them.
    pub syncs: u64,
    /// Time of flushes, syncs included.
    pub write_time: Duration,
    /// Time of syncs that are calls of their own.
    pub sync_time: Duration,
    /// Bytes written to segments, those written again among them.
    pub bytes_written: u64,
    /// Largest number of flushes that were on their way at once.
    pub most_flights: u64,
    /// Flushes taken over from processes that died.
    pub adopted_flights: u64,
    /// Records composed again because a checkpoint began.
    pub recomposed: u64,
}

impl Wal<'_> {
    /// The counts by now.
    pub fn statistics(&self) -> WalStatistics {
        let shared = self.shared;
        let mut counts = WalStatistics {
            buffers_full: shared.buffers_full.load(Relaxed).into(),
            writes: shared.writes.load(Relaxed),
            syncs: shared.syncs.load(Relaxed),
            write_time: Duration::from_nanos(shared.write_ns.load(Relaxed)),
            sync_time: Duration::from_nanos(shared.sync_ns.load(Relaxed)),
            bytes_written: shared.bytes_written.load(Relaxed),
            most_flights: shared.most_flights.load(Relaxed),
            adopted_flights: shared.adopted.load(Relaxed),
            ..WalStatistics::default()
        };
        for slot in self.slots {
            counts.records += slot.records.load(Relaxed);
            counts.full_images += slot.full_images.load(Relaxed);
            counts.bytes += slot.bytes.load(Relaxed);
            counts.recomposed += slot.retries.load(Relaxed);
        }
        counts
    }
}
