//! The transactions' regions of the segment.

use shmem_layout::transactions::MAP_WAYS;
use shmem_layout::{MapFrame, MapSet, TransactionShared, TransactionSlot};

use super::map::MapFrames;
use super::table::TransactionWords;
use crate::shmem::{RegionSpec, Segment, SegmentError};

/// Version of what these regions mean; their layout has its own.
const VERSION: u32 = 1;

/// How much of the transaction map is kept in memory, and for how many owners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransactionsSize {
    /// Process slots and prepared transactions together.
    pub owners: usize,
    /// Pages of the map, of 8 kB (`transaction_buffers`); a multiple of four.
    pub map_pages: usize,
}

impl TransactionWords<'_> {
    /// What the plan of a segment must hold, for these words and the map's frames.
    pub fn region_specs(size: TransactionsSize) -> Vec<RegionSpec> {
        let sets = size.map_pages.div_ceil(MAP_WAYS).max(1);
        vec![
            RegionSpec::of::<TransactionShared>("transactions", VERSION, 1),
            RegionSpec::of::<TransactionSlot>("transaction slots", VERSION, size.owners),
            RegionSpec::of::<MapSet>("transaction sets", VERSION, sets),
            RegionSpec::of::<MapFrame>("transaction map", VERSION, sets * MAP_WAYS),
        ]
    }
}

impl<'s> TransactionWords<'s> {
    /// Finds the regions of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment) -> Result<(Self, MapFrames<'s>), SegmentError> {
        let wrong =
            |name: &str| SegmentError::Region { name: name.into(), problem: "has a wrong size".into() };
        let shared = segment.region::<TransactionShared>("transactions", VERSION)?;
        let [shared] = shared else { return Err(wrong("transactions")) };
        let slots = segment.region::<TransactionSlot>("transaction slots", VERSION)?;
        let sets = segment.region::<MapSet>("transaction sets", VERSION)?;
        let frames = segment.region::<MapFrame>("transaction map", VERSION)?;
        if sets.is_empty() || frames.len() != sets.len() * MAP_WAYS {
            return Err(wrong("transaction map"));
        }
        Ok((Self { shared, slots }, MapFrames { sets, frames }))
    }
}
