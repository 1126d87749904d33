//! The runtime's own regions of the segment, found once and handed out.

use shmem_layout::wait_stats::{EVENTS, SHARDS};
use shmem_layout::{
    ControlBlock, ProcessId, ProcessSlot, SlotIndex, StopPointWord, WaitEventStats, stop_points::STOP_POINTS,
};

use super::pmsignal::PmSignals;
use super::proc::Proc;
use super::stop_points::StopPoints;
use super::surroundings::Surroundings;
use super::wait_stats::WaitStats;
use crate::shmem::{RegionSpec, Segment, SegmentError};

/// Version of what these regions mean; their layout has its own.
const VERSION: u32 = 1;

/// The runtime's part of a segment.
pub struct Ipc<'s> {
    segment: &'s Segment,
    control: &'s ControlBlock,
    slots: &'s [ProcessSlot],
    wait_stats: &'s [WaitEventStats],
    stop_points: &'s [StopPointWord],
}

impl<'s> Ipc<'s> {
    /// What the plan of a segment for `max_processes` processes must hold.
    ///
    /// # Panics
    /// If that is more than slots can be numbered.
    pub fn region_specs(max_processes: usize) -> Vec<RegionSpec> {
        assert!(max_processes <= SlotIndex::MAX_SLOTS, "at most {} processes", SlotIndex::MAX_SLOTS);
        vec![
            RegionSpec::of::<ControlBlock>("control", VERSION, 1),
            RegionSpec::of::<ProcessSlot>("process slots", VERSION, max_processes),
            RegionSpec::of::<WaitEventStats>("wait events", VERSION, EVENTS * SHARDS),
            RegionSpec::of::<StopPointWord>("stop points", VERSION, STOP_POINTS),
        ]
    }

    /// Finds the regions of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment) -> Result<Self, SegmentError> {
        let expect = |name: &str, found: usize, wanted: usize| {
            let problem = format!("has {found} items, not {wanted}");
            if found == wanted { Ok(()) } else { Err(SegmentError::Region { name: name.into(), problem }) }
        };
        let controls = segment.region::<ControlBlock>("control", VERSION)?;
        let wait_stats = segment.region::<WaitEventStats>("wait events", VERSION)?;
        let stop_points = segment.region::<StopPointWord>("stop points", VERSION)?;
        let slots = segment.region::<ProcessSlot>("process slots", VERSION)?;
        expect("control", controls.len(), 1)?;
        expect("wait events", wait_stats.len(), EVENTS * SHARDS)?;
        expect("stop points", stop_points.len(), STOP_POINTS)?;
        expect("process slots", slots.len(), slots.len().min(SlotIndex::MAX_SLOTS))?;
        Ok(Self { segment, control: &controls[0], slots, wait_stats, stop_points })
    }

    /// The segment.
    pub fn segment(&self) -> &'s Segment {
        self.segment
    }

    /// The postmaster's words.
    pub fn control(&self) -> &'s ControlBlock {
        self.control
    }

    /// All process slots.
    pub fn slots(&self) -> &'s [ProcessSlot] {
        self.slots
    }

    /// Counts of waits.
    pub fn wait_stats(&self) -> WaitStats<'s> {
        WaitStats::new(self.wait_stats)
    }

    /// A supervisor's hands on the stop points.
    pub fn stop_points(&self) -> StopPoints<'s> {
        StopPoints::new(self.stop_points)
    }

    /// The flags that children leave for the postmaster.
    pub fn pmsignals(&self) -> PmSignals<'s> {
        PmSignals::new(&self.control.pmsignals)
    }

    /// Whether the slot is this process's still, or somebody else's already.
    pub fn is_current(&self, process: ProcessId) -> bool {
        let slot = &self.slots[process.slot().index()];
        slot.generation.load(crate::sync::Ordering::Acquire) == process.generation().0
    }
}

impl<'s> Ipc<'s> {
    /// This process as the primitives see it. There must be one `Proc` per process id at a time, made by the process
    /// that has the slot (`slots::SlotTable` gives them out).
    pub fn proc<'a: 's>(&'a self, id: ProcessId) -> Proc<'s> {
        let shard = id.slot().index() % SHARDS;
        let own_latch = &self.slots[id.slot().index()].latch;
        let surroundings = Surroundings::new(
            &self.wait_stats[shard * EVENTS..(shard + 1) * EVENTS],
            self.stop_points,
            own_latch,
        );
        Proc::new(id, self.slots, self.segment.base(), surroundings)
    }
}
