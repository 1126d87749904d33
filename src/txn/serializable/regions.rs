//! The serializable transactions' regions of the segment.

use shmem_layout::serializable::SERIAL_TRANSACTIONS;
use shmem_layout::{LockBucket, SerialRead, SerialShared, SerialTransaction};

use super::SerialTables;
use crate::shmem::{RegionSpec, Segment, SegmentError};

/// Version of what these regions mean; their layout has its own.
const VERSION: u32 = 1;

/// Transactions remembered for each owner, as PostgreSQL has it.
const PER_OWNER: usize = 10;

impl<'s> SerialTables<'s> {
    /// What the plan of a segment must hold for so many owners with so many reads each
    /// (`max_pred_locks_per_transaction`).
    pub fn region_specs(owners: usize, reads_per_owner: usize) -> Vec<RegionSpec> {
        let transactions = (owners * PER_OWNER).clamp(1, SERIAL_TRANSACTIONS);
        let reads = owners.saturating_mul(reads_per_owner).clamp(1, 1 << 30);
        vec![
            RegionSpec::of::<SerialShared>("serializable", VERSION, 1),
            RegionSpec::of::<SerialTransaction>("serial transactions", VERSION, transactions),
            RegionSpec::of::<LockBucket>("serial buckets", VERSION, reads.next_power_of_two()),
            RegionSpec::of::<SerialRead>("serial reads", VERSION, reads),
        ]
    }

    /// Finds the regions of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment) -> Result<Self, SegmentError> {
        let wrong =
            |name: &str| SegmentError::Region { name: name.into(), problem: "has a wrong size".into() };
        let [shared] = segment.region::<SerialShared>("serializable", VERSION)? else {
            return Err(wrong("serializable"));
        };
        let transactions = segment.region::<SerialTransaction>("serial transactions", VERSION)?;
        let buckets = segment.region::<LockBucket>("serial buckets", VERSION)?;
        if transactions.is_empty() || transactions.len() > SERIAL_TRANSACTIONS || buckets.is_empty() {
            return Err(wrong("serial transactions"));
        }
        let reads = segment.region::<SerialRead>("serial reads", VERSION)?;
        Ok(Self { shared, transactions, buckets, reads })
    }
}
