//! A process's way into the log: its slot, what it knows of the room left, and the insertion itself.
//!
//! Room is made sure of before the critical section, without a word that others would have to read: who finds that the
//! ring has room for what all processes may reserve after one look each (`Wal::headroom`) may reserve a small record. A
//! larger one is announced first, one at a time, and everybody leaves room for it. So no copy waits, but that of a record
//! longer than a quarter of the ring and of those just behind it, which flush as they go.

use shmem_layout::{ConditionVariableWord, WalSlot};

use super::block::BlockHeader;
use super::flush::FlushSettings;
use super::log::{Beginning, Wal};
use super::lsn::{BLOCK, BLOCK_HEADER, Lsn, Position, USABLE};
use super::own;
use super::record::{FILLER_HEADER, RecordBuilder, filler_header, usable_len};
use super::reserve::Epoch;
use super::sink::Sink;
use crate::ipc::stop_points::StopPoint;
use crate::ipc::{ConditionVariable, Interrupts, Proc, WaitEvent};
use crate::report::{Report, Result, SqlState};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::yield_now;

/// Where a record stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where it begins.
    pub start: Lsn,
    /// Where it ends: what a changed page gets as its LSN, and what is to be flushed.
    pub end: Lsn,
}

/// What came of an insertion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Inserted {
    /// It is in the log.
    At(Place),
    /// A checkpoint began meanwhile: compose it again, for this epoch, and insert that.
    Recompose(Epoch),
}

/// Room for one record in the ring and in segments; got before the critical section that inserts it.
pub struct Room<'w, 's> {
    wal: &'w Wal<'s>,
    me: &'w Proc<'s>,
    usable: u64,
    is_large: bool,
}

impl Drop for Room<'_, '_> {
    fn drop(&mut self) {
        if self.is_large {
            self.wal.shared.large_pending.store(0, SeqCst);
            self.wal.shared.large_inserter.store(0, SeqCst);
            ConditionVariable::new(&self.wal.shared.large_moved).broadcast(self.me);
        }
    }
}

/// A process's way into the log.
pub struct WalSession<'w, 's> {
    pub(super) wal: &'w Wal<'s>,
    pub(super) me: &'w Proc<'s>,
    pub(super) slot: &'s WalSlot,
    pub(super) sink: Box<dyn Sink + 'w>,
    pub(super) settings: FlushSettings,
    /// Usable position up to which there was room when last looked: what was durable then, and a ring more.
    room_until: u64,
    /// LSN up to which was durable when last looked.
    durable_seen: Lsn,
    /// It is in the middle of a copy, and its slot says how far.
    pub(super) is_copying: bool,
    /// Called when this process has made a segment.
    pub(super) on_segment: Option<Box<dyn Fn() + 'w>>,
}

impl<'w, 's> WalSession<'w, 's> {
    /// The way of the process `me`; flushes go through `sink`.
    pub fn new(
        wal: &'w Wal<'s>,
        me: &'w Proc<'s>,
        sink: Box<dyn Sink + 'w>,
        settings: FlushSettings,
    ) -> Self {
        let slot = &wal.slots[me.id().slot().index()];
        let durable_seen = Lsn::INVALID;
        Self {
            wal,
            me,
            slot,
            sink,
            settings,
            room_until: 0,
            durable_seen,
            is_copying: false,
            on_segment: None,
        }
    }

    /// The log.
    pub fn wal(&self) -> &'w Wal<'s> {
        self.wal
    }

    /// Has `f` called whenever this process has made a segment: it is told that the log grows.
    pub fn on_segment(&mut self, f: impl Fn() + 'w) {
        self.on_segment = Some(Box::new(f));
    }

    /// Whether a commit may wait for others' records before it is flushed.
    pub fn delays_commits(&self) -> bool {
        !self.settings.commit_delay.is_zero()
    }

    /// Flushes go through another sink from now on.
    pub fn set_sink(&mut self, sink: Box<dyn Sink + 'w>) {
        self.sink = sink;
    }

    /// Changes how it flushes.
    pub fn set_settings(&mut self, settings: FlushSettings) {
        self.settings = settings;
    }

    /// Begins the log of this start, before any other process uses it: segments, and the incarnation's first record, made
    /// durable. Gives back where that stands.
    pub fn begin(&mut self, beginning: &Beginning) -> Result<Place> {
        self.wal.set_beginning(beginning);
        let place = self.log(&mut own::incarnation_record(beginning))?;
        self.flush(place.end)?;
        Ok(place)
    }

    /// Makes sure of room for a record of at most `len` bytes, waiting for it if need be; no interrupt ends that.
    ///
    /// # Errors
    /// 53100 and what else making a segment can end with: nothing is lost by it. PANIC if the log is broken.
    pub fn prepare(&mut self, len: usize) -> Result<Room<'w, 's>> {
        RecordBuilder::check_len(len)?;
        let usable = usable_len(len);
        let mut room = Room { wal: self.wal, me: self.me, usable, is_large: false };
        if usable <= self.wal.small {
            while !self.has_room(self.wal.headroom) {
                self.make_room(self.wal.headroom, self.wal.headroom)?;
            }
            return Ok(room);
        }
        self.claim_large()?;
        room.is_large = true;
        // A longer one is copied piece by piece, flushing as it goes.
        let in_ring = usable.min(self.wal.headroom / 2);
        self.wal.shared.large_pending.store(in_ring, SeqCst);
        // Others' large record is this one, so it is not counted twice.
        let (ring, segments) = (self.wal.headroom, self.wal.headroom + usable - in_ring);
        while !self.has_room(ring) || self.needs_segments(segments) {
            self.make_room(ring, segments)?;
        }
        Ok(room)
    }

    /// Waits until nobody else has a large record under way.
    fn claim_large(&self) -> Result<()> {
        let (shared, word) = (self.wal.shared, self.me.id().to_word());
        if shared.large_inserter.load(SeqCst) == word {
            // It would wait for itself.
            return Err(Report::error(
                SqlState::INTERNAL_ERROR,
                "a process has one large WAL record at a time",
            ));
        }
        let claim = || shared.large_inserter.compare_exchange(0, word, SeqCst, SeqCst).is_ok();
        self.wait_uninterrupted(&shared.large_moved, WaitEvent::WAL_INSERT, claim);
        Ok(())
    }

    pub(super) fn wait_uninterrupted(
        &self,
        word: &ConditionVariableWord,
        event: WaitEvent,
        condition: impl FnMut() -> bool,
    ) {
        self.me.hold_off(Interrupts::ALL, || {
            let _ = ConditionVariable::new(word).wait_until(self.me, None, event, condition);
        });
    }

    /// Whether `usable` bytes more than what is announced fit, as far as this process knows.
    #[inline]
    fn has_room(&self, usable: u64) -> bool {
        // In this order: an announcement that this does not see was made before the announcer looked at the position.
        let announced = self.wal.shared.large_pending.load(SeqCst);
        let inserted = self.wal.shared.insert.load(SeqCst);
        inserted + announced + usable <= self.room_until
    }

    fn needs_segments(&self, usable: u64) -> bool {
        let announced = self.wal.shared.large_pending.load(SeqCst);
        let until = self.wal.reservations().insert_position().plus(announced + usable).end_lsn();
        until.bytes() > self.wal.shared.segments_until.load(SeqCst)
    }

    /// Looks again, then makes segments, then flushes.
    #[cold]
    fn make_room(&mut self, in_ring: u64, in_segments: u64) -> Result<()> {
        let announced = self.wal.shared.large_pending.load(SeqCst);
        let inserted = self.wal.reservations().insert_position();
        let ring_until = inserted.plus(announced + in_ring).end_lsn();
        let segments_until = inserted.plus(announced + in_segments).end_lsn();
        if segments_until.bytes() > self.wal.shared.segments_until.load(SeqCst) {
            self.make_segments(segments_until)?;
        }
        let needed = Lsn::new(ring_until.bytes().saturating_sub(self.wal.ring_len()));
        if needed > self.wal.durable() {
            self.wal.shared.buffers_full.fetch_add(1, Relaxed);
            self.flush(needed)?;
        }
        self.durable_seen = self.wal.durable();
        let ring = self.durable_seen.bytes() + self.wal.ring_len();
        let until = ring.min(self.wal.shared.segments_until.load(SeqCst));
        self.room_until = until / BLOCK * USABLE + (until % BLOCK).saturating_sub(BLOCK_HEADER);
        Ok(())
    }

    /// Inserts a record into its room. Call it, in the critical section in which the pages were changed and marked dirty,
    /// until it is in.
    pub fn insert(&mut self, builder: &mut RecordBuilder, room: &Room<'w, 's>) -> Inserted {
        self.insert_noting(builder, room, |_| ())
    }

    /// The same; `note` is told the place before anybody can read or flush the record, as a commit wants it.
    pub fn insert_noting(
        &mut self,
        builder: &mut RecordBuilder,
        room: &Room<'w, 's>,
        note: impl FnOnce(Place),
    ) -> Inserted {
        builder.finish();
        let content_crc = builder.content_crc();
        let usable = usable_len(builder.len());
        assert!(usable <= room.usable, "a record of {} bytes has room for {}", builder.len(), room.usable);
        let reservations = self.wal.reservations();
        let section = self.me.critical_section();
        let start = reservations.reserve(self.slot, usable);
        self.me.stop_point(StopPoint::WalReserved);
        if builder.epoch.is_some_and(|epoch| !reservations.is_current(epoch)) {
            self.fill(start, usable);
            reservations.clear(self.slot);
            drop(section);
            count(&self.slot.retries, 1);
            return Inserted::Recompose(reservations.epoch());
        }
        let place = Place { start: start.lsn(), end: start.plus(usable).end_lsn() };
        note(place);
        builder.seal(content_crc, place.start, self.wal.incarnation());
        self.copy(start, usable, builder.bytes());
        reservations.clear(self.slot);
        drop(section);
        self.me.stop_point(StopPoint::WalInserted);
        count(&self.slot.records, 1);
        count(&self.slot.full_images, builder.images().into());
        count(&self.slot.bytes, builder.len() as u64);
        Inserted::At(place)
    }

    /// Inserts a record that changes no page, all in one.
    pub fn log(&mut self, builder: &mut RecordBuilder) -> Result<Place> {
        builder.epoch = None;
        let room = self.prepare(builder.len())?;
        match self.insert(builder, &room) {
            Inserted::At(place) => Ok(place),
            Inserted::Recompose(_) => unreachable!("it was composed for no epoch"),
        }
    }

    /// Turns a reservation into filler.
    fn fill(&mut self, start: Position, usable: u64) {
        let header: [u8; FILLER_HEADER] = filler_header(usable, start.lsn(), self.wal.incarnation());
        self.copy(start, usable, &header);
    }

    /// Copies `bytes`, and zeroes behind them, to the `usable` bytes from `start`, and the headers of blocks that begin
    /// there.
    fn copy(&mut self, start: Position, usable: u64, bytes: &[u8]) {
        let end = start.plus(usable);
        let (mut position, mut rest) = (start, bytes);
        while position < end {
            let n = position.left_in_block().min(end.usable() - position.usable());
            self.wait_room(position, n);
            if position.usable().is_multiple_of(USABLE) {
                let continued = if position == start { 0 } else { end.usable() - position.usable() };
                self.write_header(position.end_lsn(), continued);
            }
            let (now, later) = rest.split_at(rest.len().min(n as usize));
            let at = position.lsn().bytes();
            self.wal.ring.write(at, now);
            if now.len() < n as usize {
                self.wal.ring.zero(at + now.len() as u64, n as usize - now.len());
            }
            (position, rest) = (position.plus(n), later);
        }
    }

    fn write_header(&self, lsn: Lsn, continued: u64) {
        let header = BlockHeader {
            timeline: self.wal.timeline(),
            incarnation: self.wal.incarnation(),
            lsn,
            continued: continued as u32,
        };
        self.wal.ring.write(lsn.bytes(), &header.encode());
    }

    /// Makes sure that what stood in the ring before is durable. After [`Self::prepare`] it is, but for records of more than
    /// a quarter of the ring and what stands just behind them.
    #[inline]
    fn wait_room(&mut self, position: Position, n: u64) {
        let end = position.lsn().bytes() + n;
        if end <= self.durable_seen.bytes() + self.wal.ring_len() {
            return;
        }
        self.durable_seen = self.wal.durable();
        while end > self.durable_seen.bytes() + self.wal.ring_len() {
            self.wal.reservations().progress(self.slot, position);
            self.is_copying = true;
            let flushed = self.flush(Lsn::new(end - self.wal.ring_len()));
            self.is_copying = false;
            self.durable_seen = self.wal.durable();
            if let Err(report) = flushed {
                // Neither can the record be finished nor its place given back: in a critical section this aborts.
                panic!("in the middle of a long record: {report}");
            }
        }
    }

    /// Pads the sector in which `end` lies, where the log must end, so that the next flush begins with one of its own;
    /// where the padding ends.
    pub(super) fn pad(&mut self, end: Position, sector: u64) -> Option<Position> {
        let padded = end.end_lsn().align_up(sector);
        let until = padded.position()?;
        let has_room = padded.bytes() <= self.wal.durable().bytes() + self.wal.ring_len()
            && padded.bytes() <= self.wal.shared.segments_until.load(SeqCst);
        if !has_room || self.is_copying || until <= end {
            return None;
        }
        let reservations = self.wal.reservations();
        let section = self.me.critical_section();
        let reserved = reservations.reserve_exactly(self.slot, end, until);
        if reserved {
            self.fill(end, until.usable() - end.usable());
            reservations.clear(self.slot);
        }
        drop(section);
        reserved.then_some(until)
    }

    /// Fills the rest of the segment, so that the next record begins a new one (`pg_switch_wal`). Where the segment's last
    /// record ends; nothing happens at a segment's beginning.
    pub fn switch_segment(&mut self) -> Result<Lsn> {
        loop {
            let end = self.wal.reservations().insert_position();
            let left = end.left_in_segment();
            // The incarnation's first record may stand behind a block that was left unfinished, and alone.
            if left == 0 {
                return Ok(end.end_lsn());
            }
            let room = self.prepare(left as usize)?;
            let reservations = self.wal.reservations();
            let section = self.me.critical_section();
            let reserved = reservations.reserve_exactly(self.slot, end, end.plus(left));
            if reserved {
                self.fill(end, left);
                reservations.clear(self.slot);
            }
            drop(section);
            drop(room);
            if reserved {
                self.flush(end.plus(left).end_lsn())?;
                return Ok(end.end_lsn());
            }
            yield_now();
        }
    }

    /// Announces that this process's commit record will stand at or above here, so that a checkpoint waits until
    /// [`Self::end_commit`]: between the two, the record is inserted and the transaction's fate stored.
    pub fn begin_commit(&self) {
        let position = self.wal.reservations().insert_position();
        self.slot.committing.store(position.usable(), SeqCst);
    }

    /// The transaction's fate is where a checkpoint finds it.
    pub fn end_commit(&self) {
        self.slot.committing.store(0, SeqCst);
    }

    /// Begins a checkpoint: reserves the redo position with a record that says so, and waits out everybody whose insertion or
    /// commit could be below it and not yet be where the checkpoint finds it. One process at a time.
    pub fn begin_checkpoint(&mut self) -> Result<Place> {
        let mut record = own::redo_record();
        let room = self.prepare(record.len())?;
        let reservations = self.wal.reservations();
        // Until the redo position is stored nobody composes: who dies in between must not be cleaned up after.
        let section = self.me.critical_section();
        reservations.announce_redo();
        let inserted =
            self.insert_noting(&mut record, &room, |place| reservations.redo_reserved(place.start));
        drop(section);
        drop(room);
        let Inserted::At(place) = inserted else { unreachable!("it was composed for no epoch") };
        let redo = place.start.position().unwrap_or_default();
        self.me.waiting(WaitEvent::WAL_INSERT, || {
            while !reservations.is_over_below(redo) {
                yield_now();
            }
        });
        Ok(place)
    }
}

/// Counters have one writer each, so this needs no read-modify-write.
#[inline]
fn count(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed) + n, Relaxed);
}
