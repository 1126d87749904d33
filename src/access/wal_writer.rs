//! Waking the WAL writer: by who commits without waiting, if it sleeps long or has much to do.

use shmem_layout::{Generation, ProcessId, shared_layout};

use crate::ipc::Proc;
use crate::shmem::{RegionSpec, Segment, SegmentError};
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicU32, AtomicU64};
use crate::wal::Wal;

const VERSION: u32 = 1;

/// The words, written by the WAL writer.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct WalWriterWords {
    /// Who it is; 0: nobody.
    process: AtomicU64,
    /// `wal_writer_flush_after` in bytes; 0: each commit wakes it.
    flush_after: AtomicU64,
    /// 1 while it sleeps longer than `wal_writer_delay`.
    sleeping: AtomicU32,
    reserved: [u8; 44],
}

shared_layout!(WalWriterWords, size 64, align 64, {
    0 => process: AtomicU64,
    8 => flush_after: AtomicU64,
    16 => sleeping: AtomicU32,
    20 => reserved: [u8; 44],
});

/// The WAL writer, as all processes see it.
#[derive(Clone, Copy)]
pub struct WalWriterBell<'s> {
    words: &'s WalWriterWords,
}

impl<'s> WalWriterBell<'s> {
    /// What the plan of a segment must hold.
    pub fn region_specs() -> Vec<RegionSpec> {
        vec![RegionSpec::of::<WalWriterWords>("wal writer", VERSION, 1)]
    }

    /// Finds the region of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment) -> Result<Self, SegmentError> {
        match segment.region::<WalWriterWords>("wal writer", VERSION)? {
            [words] => Ok(Self { words }),
            _ => Err(SegmentError::Region { name: "wal writer".into(), problem: "has a wrong size".into() }),
        }
    }

    /// This process is the WAL writer.
    pub fn begin(&self, me: &Proc<'_>, flush_after: u64) {
        self.words.flush_after.store(flush_after, Relaxed);
        self.words.process.store(me.id().to_word(), SeqCst);
    }

    /// Whether it sleeps long from now on. It looks for something to do behind this.
    pub fn set_sleeping(&self, sleeps: bool) {
        self.words.sleeping.store(sleeps.into(), SeqCst);
    }

    /// A commit was left to the WAL writer.
    pub fn ring(&self, me: &Proc<'_>, wal: &Wal<'_>) {
        let is_asleep = self.words.sleeping.load(SeqCst) == 1;
        if !is_asleep && wal.waiting_bytes() < self.words.flush_after.load(Relaxed) {
            return;
        }
        let Some(process) = ProcessId::from_word(self.words.process.load(SeqCst)) else { return };
        let slot = me.peers().get(process.slot().index());
        if slot.is_some_and(|slot| Generation(slot.generation.load(SeqCst)) == process.generation()) {
            // The first one wakes it.
            self.words.sleeping.store(0, SeqCst);
            me.set_latch(process.slot());
        }
    }
}
