//! The pool's regions of the segment, found once.

use shmem_layout::{
    BufferBucket, BufferDescriptor, Generation, PaddedLock, ProcessId, StorageCounts, StorageShared,
    SyncEntry,
};

use super::frames::Frames;
use super::mapping::Mapping;
use crate::ipc::{LwLock, Proc, WaitEvent};
use crate::shmem::{RegionSpec, Segment, SegmentError};
use crate::storage::files::sync_table::SyncTable;
use crate::storage::ids::{BlockNumber, PAGE_SIZE, RelFork};
use crate::sync::Ordering::{Relaxed, SeqCst};

const VERSION: u32 = 1;
/// Partitions of the buffer table, and locks for relations being extended.
const PARTITIONS: usize = 128;
/// Fewest buffers of a pool, as PostgreSQL has it.
const MIN_BUFFERS: usize = 16;
/// Fewest entries of the table of files to be synced.
const MIN_SYNC_ENTRIES: usize = 1024;

/// The storage layer's part of a segment.
pub struct BufferPool<'s> {
    pub(super) mapping: Mapping<'s>,
    pub(super) frames: Frames<'s>,
    pub(in crate::storage) shared: &'s StorageShared,
    extension_locks: &'s [PaddedLock],
    sync_entries: &'s [SyncEntry],
    pub(in crate::storage) counts: &'s [StorageCounts],
    /// Address of the segment's first byte, for the ledger's offsets.
    pub(super) base: usize,
}

impl<'s> BufferPool<'s> {
    /// What the plan of a segment must hold for a pool of `buffers` pages and `max_processes` processes.
    ///
    /// # Panics
    /// If buffers cannot be numbered.
    pub fn region_specs(buffers: usize, max_processes: usize) -> Vec<RegionSpec> {
        let buffers = buffers.max(MIN_BUFFERS);
        assert!(buffers < u32::MAX as usize, "{buffers} buffers");
        let sync_entries = buffers.max(MIN_SYNC_ENTRIES);
        let buckets = buffers.next_power_of_two().max(PARTITIONS);
        vec![
            RegionSpec::of::<StorageShared>("storage", VERSION, 1),
            RegionSpec::of::<StorageCounts>("storage counts", VERSION, max_processes),
            RegionSpec::of::<BufferDescriptor>("buffer descriptors", VERSION, buffers),
            RegionSpec::of::<BufferBucket>("buffer buckets", VERSION, buckets),
            RegionSpec::of::<PaddedLock>("buffer partitions", VERSION, PARTITIONS),
            RegionSpec::of::<PaddedLock>("extension locks", VERSION, PARTITIONS),
            RegionSpec::of::<SyncEntry>("files to sync", VERSION, sync_entries),
            RegionSpec::sized("buffer frames", VERSION, PAGE_SIZE, buffers + 1),
        ]
    }

    /// Finds the regions of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment) -> Result<Self, SegmentError> {
        let region =
            |name: &str, problem: &str| SegmentError::Region { name: name.into(), problem: problem.into() };
        let shared = segment.region::<StorageShared>("storage", VERSION)?;
        let descriptors = segment.region::<BufferDescriptor>("buffer descriptors", VERSION)?;
        let buckets = segment.region::<BufferBucket>("buffer buckets", VERSION)?;
        let partitions = segment.region::<PaddedLock>("buffer partitions", VERSION)?;
        let extension_locks = segment.region::<PaddedLock>("extension locks", VERSION)?;
        let sync_entries = segment.region::<SyncEntry>("files to sync", VERSION)?;
        let counts = segment.region::<StorageCounts>("storage counts", VERSION)?;
        let is_empty = descriptors.is_empty() || extension_locks.is_empty() || sync_entries.is_empty();
        let is_odd = !buckets.len().is_power_of_two() || !partitions.len().is_power_of_two();
        if is_empty || is_odd || partitions.len() > buckets.len() {
            return Err(region("buffer descriptors", "does not fit the others"));
        }
        Ok(Self {
            mapping: Mapping::new(descriptors, buckets, partitions),
            frames: Frames::open(segment, "buffer frames", VERSION, descriptors.len())?,
            shared: shared.first().ok_or_else(|| region("storage", "is empty"))?,
            extension_locks,
            sync_entries,
            counts,
            base: segment.base(),
        })
    }

    /// Number of buffers.
    #[expect(clippy::len_without_is_empty, reason = "no pool is empty")]
    pub fn len(&self) -> usize {
        self.mapping.descriptors.len()
    }

    /// Buffers that were claimed for other pages since the segment was made.
    pub fn claims(&self) -> u64 {
        self.shared.claims.load(SeqCst)
    }

    /// This process is to be woken by the next claim of a buffer. It looks at [`Self::claims`] behind this.
    pub fn wake_at_claim(&self, me: &Proc<'_>) {
        self.shared.sleeper.store(me.id().to_word(), SeqCst);
    }

    /// Who claimed a buffer wakes whoever waits for that.
    pub(super) fn wake_sleeper(&self, me: &Proc<'_>) {
        if self.shared.sleeper.load(SeqCst) == 0 {
            return;
        }
        let Some(sleeper) = ProcessId::from_word(self.shared.sleeper.swap(0, SeqCst)) else { return };
        let slot = me.peers().get(sleeper.slot().index());
        if slot.is_some_and(|slot| Generation(slot.generation.load(SeqCst)) == sleeper.generation()) {
            me.set_latch(sleeper.slot());
        }
    }

    /// The table of files to be synced.
    pub fn sync_table(&self) -> SyncTable<'s> {
        SyncTable::new(&self.shared.sync_table, self.sync_entries)
    }

    /// The lock under which a fork is made longer.
    pub(super) fn extension_lock(&self, fork: RelFork) -> LwLock<'s> {
        let at = fork.block(BlockNumber::ZERO).hash() as usize % self.extension_locks.len();
        LwLock::new(&self.extension_locks[at].lock, WaitEvent::EXTEND)
    }

    /// What all processes together did since the segment was made.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for counts in self.counts {
            totals.hits += counts.hits.load(Relaxed);
            totals.reads += counts.reads.load(Relaxed);
            totals.writes += counts.writes.load(Relaxed);
            totals.evictions += counts.evictions.load(Relaxed);
            totals.extends += counts.extends.load(Relaxed);
            totals.dirtied += counts.dirtied.load(Relaxed);
            totals.read_ns += counts.read_ns.load(Relaxed);
            totals.write_ns += counts.write_ns.load(Relaxed);
        }
        totals.syncs_by_writers = self.shared.syncs_by_writers.load(Relaxed);
        totals
    }
}

/// Counts of pages since the segment was made; times in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Found in the pool.
    pub hits: u64,
    /// Read.
    pub reads: u64,
    /// Written.
    pub writes: u64,
    /// Put out to make room.
    pub evictions: u64,
    /// Added to relations.
    pub extends: u64,
    /// Made dirty that were clean.
    pub dirtied: u64,
    /// In reads.
    pub read_ns: u64,
    /// In writes.
    pub write_ns: u64,
    /// Syncs that writers did themselves.
    pub syncs_by_writers: u64,
}
