//! The lock table's regions of the segment.

use shmem_layout::locks::LOCK_PARTITIONS;
use shmem_layout::{LockBucket, LockEntry, LockHolder, LockOwner, LockPartition, LockShared};

use super::table::Locks;
use crate::shmem::{RegionSpec, Segment, SegmentError};

/// Version of what these regions mean; their layout has its own.
const VERSION: u32 = 1;

/// Holders per entry, as PostgreSQL assumes it.
const HOLDERS_PER_ENTRY: usize = 2;

/// How large the lock table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockTableSize {
    /// Process slots.
    pub processes: usize,
    /// `max_prepared_transactions`.
    pub prepared: usize,
    /// `max_locks_per_transaction`.
    pub locks_per_transaction: usize,
}

impl LockTableSize {
    fn owners(self) -> usize {
        self.processes + self.prepared
    }

    fn entries(self) -> usize {
        self.owners().saturating_mul(self.locks_per_transaction).min(1 << 30)
    }

    fn buckets(self) -> usize {
        self.entries().next_power_of_two().max(LOCK_PARTITIONS)
    }
}

impl<'s> Locks<'s> {
    /// What the plan of a segment must hold.
    pub fn region_specs(size: LockTableSize) -> Vec<RegionSpec> {
        vec![
            RegionSpec::of::<LockShared>("lock table", VERSION, 1),
            RegionSpec::of::<LockPartition>("lock partitions", VERSION, LOCK_PARTITIONS),
            RegionSpec::of::<LockBucket>("lock buckets", VERSION, size.buckets()),
            RegionSpec::of::<LockEntry>("lock entries", VERSION, size.entries()),
            RegionSpec::of::<LockHolder>("lock holders", VERSION, size.entries() * HOLDERS_PER_ENTRY),
            RegionSpec::of::<LockOwner>("lock owners", VERSION, size.owners()),
        ]
    }

    /// Finds the regions of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment) -> Result<Self, SegmentError> {
        let partitions = segment.region::<LockPartition>("lock partitions", VERSION)?;
        let buckets = segment.region::<LockBucket>("lock buckets", VERSION)?;
        let shared = segment.region::<LockShared>("lock table", VERSION)?;
        let wrong =
            |name: &str| SegmentError::Region { name: name.into(), problem: "has a wrong size".into() };
        if partitions.len() != LOCK_PARTITIONS || shared.len() != 1 {
            return Err(wrong("lock partitions"));
        }
        if buckets.is_empty() || !buckets.len().is_multiple_of(LOCK_PARTITIONS) {
            return Err(wrong("lock buckets"));
        }
        Ok(Self {
            shared: &shared[0],
            partitions,
            buckets,
            entries: segment.region("lock entries", VERSION)?,
            holders: segment.region("lock holders", VERSION)?,
            owners: segment.region("lock owners", VERSION)?,
        })
    }
}
