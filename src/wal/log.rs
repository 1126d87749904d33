//! The log as all processes share it: its words, its ring, its folder; and how it begins.

use std::path::{Path, PathBuf};

use shmem_layout::{ProcessId, WalShared, WalSlot};

use super::block::Incarnation;
use super::flights::Flights;
use super::lsn::{BLOCK, Lsn, Position, SegmentNumber, Timeline, USABLE};
use super::reserve::{Epoch, Reservations};
use crate::ipc::{ConditionVariable, Proc};
use crate::os::file::Files;
use crate::shmem::{RegionSpec, RingBytes, Segment, SegmentError};
use crate::sync::Ordering::SeqCst;

const VERSION: u32 = 1;

/// The ring begins at a multiple of this in memory, as direct I/O wants it.
const RING_ALIGN: usize = 4096;

/// The fewest bytes that a ring has.
pub const MIN_RING: usize = 8 * BLOCK as usize;

/// The log.
pub struct Wal<'s> {
    pub(super) shared: &'s WalShared,
    pub(super) slots: &'s [WalSlot],
    pub(super) ring: &'s RingBytes,
    pub(super) folder: PathBuf,
    pub(super) files: Files,
    /// Usable bytes kept free of large records, so that everybody who has looked for room has it.
    pub(super) headroom: u64,
    /// Usable bytes that each process may reserve after one look.
    pub(super) small: u64,
}

/// Where the log of this start begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beginning {
    /// Its timeline.
    pub timeline: Timeline,
    /// Its incarnation, a random number that no other start has had.
    pub incarnation: Incarnation,
    /// Where the log ended, and whose that was; `None` for a new data directory, whose log begins at [`Lsn::FIRST`].
    pub before: Option<(Lsn, Incarnation)>,
    /// LSN from which redo would begin.
    pub redo: Lsn,
    /// `full_page_writes`.
    pub full_pages: bool,
}

impl Beginning {
    /// LSN of the first block, and so of the incarnation.
    pub fn start(&self) -> Lsn {
        match self.before {
            None => Lsn::FIRST,
            // A block has one incarnation.
            Some((end, _)) => end.align_up(BLOCK),
        }
    }
}

impl<'s> Wal<'s> {
    /// What the plan of a segment must hold: `wal_buffers` bytes of ring, and a slot for each process.
    pub fn region_specs(max_processes: usize, wal_buffers: usize) -> Vec<RegionSpec> {
        let ring = wal_buffers.max(MIN_RING).next_multiple_of(BLOCK as usize);
        vec![
            RegionSpec::of::<WalShared>("wal", VERSION, 1),
            RegionSpec::of::<WalSlot>("wal slots", VERSION, max_processes),
            RegionSpec::sized("wal buffers", VERSION, ring + RING_ALIGN, 1),
        ]
    }

    /// Finds the regions of a segment; `folder` is `pg_wal`.
    pub fn open(segment: &'s Segment, folder: &Path, files: Files) -> Result<Self, SegmentError> {
        let shared = segment.region::<WalShared>("wal", VERSION)?;
        let slots = segment.region::<WalSlot>("wal slots", VERSION)?;
        let ring_len = segment.item("wal buffers", VERSION, 0)?.len().saturating_sub(RING_ALIGN);
        let ring_len = ring_len - ring_len % BLOCK as usize;
        let ring = segment.ring("wal buffers", VERSION, ring_len, RING_ALIGN)?;
        let missing = |name: &str| {
            let problem = "is empty".to_string();
            SegmentError::Region { name: name.to_string(), problem }
        };
        let shared = shared.first().ok_or_else(|| missing("wal"))?;
        let headroom = ring_len as u64 / BLOCK * USABLE / 2;
        // Beside its record each process may pad a sector.
        let small = (headroom / slots.len().max(1) as u64).saturating_sub(512);
        Ok(Self { shared, slots, ring, folder: folder.to_owned(), files, headroom, small })
    }

    pub(super) fn reservations(&self) -> Reservations<'s> {
        Reservations { shared: self.shared, slots: self.slots }
    }

    pub(super) fn flights(&self) -> Flights<'s> {
        Flights { shared: self.shared }
    }

    pub(super) fn ring_len(&self) -> u64 {
        self.ring.len() as u64
    }

    /// Sets the words for a start, before anybody else uses the log. What is left is to make segments and to insert the
    /// incarnation's first record: `WalSession::begin`.
    pub(super) fn set_beginning(&self, beginning: &Beginning) {
        let start = beginning.start();
        let position = Position::new(start.bytes() / BLOCK * USABLE);
        self.shared.insert.store(position.usable(), SeqCst);
        self.flights().begin_at(start);
        self.shared.redo.store(beginning.redo.bytes(), SeqCst);
        self.shared.incarnation.store(beginning.incarnation.0, SeqCst);
        self.shared.incarnation_start.store(start.bytes(), SeqCst);
        self.shared.timeline.store(beginning.timeline.0, SeqCst);
        self.shared.full_pages.store(beginning.full_pages.into(), SeqCst);
        self.shared.segments_until.store(start.segment().start().bytes(), SeqCst);
        // The segment in which the log ended may have been complete before it was marked.
        let last = beginning.before.map_or(start, |(end, _)| end).bytes().saturating_sub(1);
        let last = Lsn::new(last).segment().start().max(Lsn::FIRST);
        self.shared.complete_until.store(last.bytes(), SeqCst);
    }

    /// Recovery begins: what it makes again is in the log and on disk, however far that goes, so that pages may be written.
    /// Ends with the beginning of this start's own log.
    pub fn set_recovering(&self) {
        self.flights().begin_at(Lsn::new(1 << 62));
    }

    /// LSN up to which everything is durable (`pg_current_wal_flush_lsn`).
    #[inline]
    pub fn durable(&self) -> Lsn {
        self.flights().durable()
    }

    /// LSN up to which everything was handed to the kernel (`pg_current_wal_lsn`).
    pub fn written(&self) -> Lsn {
        Lsn::new(self.shared.written.load(SeqCst)).max(self.durable())
    }

    /// LSN up to which places were given out (`pg_current_wal_insert_lsn`).
    pub fn inserted(&self) -> Lsn {
        self.reservations().insert_position().end_lsn()
    }

    /// What records must be composed for now.
    pub fn epoch(&self) -> Epoch {
        self.reservations().epoch()
    }

    /// Timeline.
    pub fn timeline(&self) -> Timeline {
        Timeline(self.shared.timeline.load(SeqCst))
    }

    /// Incarnation.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.shared.incarnation.load(SeqCst))
    }

    /// LSN from which redo would begin.
    pub fn redo(&self) -> Lsn {
        Lsn::new(self.shared.redo.load(SeqCst))
    }

    /// Bytes that are copied and not yet taken by a flush: what a WAL writer has to do.
    pub fn waiting_bytes(&self) -> u64 {
        let copied = self.reservations().copied().end_lsn();
        copied.bytes().saturating_sub(self.flights().taken().bytes())
    }

    /// Name of the segment file that holds the byte before `lsn` (`pg_walfile_name`).
    pub fn file_name_before(&self, lsn: Lsn) -> String {
        Lsn::new(lsn.bytes().saturating_sub(1)).segment().file_name(self.timeline())
    }

    pub(super) fn path_of(&self, segment: SegmentNumber) -> PathBuf {
        self.folder.join(segment.file_name(self.timeline()))
    }

    /// Turns full page images on or off; records composed before are composed again.
    pub fn set_full_pages(&self, full_pages: bool) {
        self.shared.full_pages.store(full_pages.into(), SeqCst);
        self.shared.epoch.fetch_add(2, SeqCst);
    }

    /// Gives others what a dead process led, flew and claimed. The caller makes sure that the process died outside critical
    /// sections, and that its I/O is over: the kernel may still write what it submitted before, and not only where others
    /// would write the same, but where a sector has got more since.
    pub fn clean_up_dead(&self, me: &Proc<'_>, dead: ProcessId) {
        let slot = &self.slots[dead.slot().index()];
        slot.flushing.store(0, SeqCst);
        slot.committing.store(0, SeqCst);
        let word = dead.to_word();
        if self.shared.large_inserter.load(SeqCst) == word {
            self.shared.large_pending.store(0, SeqCst);
            let _ = self.shared.large_inserter.compare_exchange(word, 0, SeqCst, SeqCst);
        }
        let _ = self.shared.segment_maker.compare_exchange(word, 0, SeqCst, SeqCst);
        for moved in [&self.shared.large_moved, &self.shared.segments_moved] {
            ConditionVariable::new(moved).broadcast(me);
        }
        self.flights().clean_up_dead(me, dead);
    }
}
