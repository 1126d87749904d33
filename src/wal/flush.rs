//! Making the log durable: who leads, when, and what everybody else waits for.
//!
//! A process that needs an LSN durable finds it durable, or on its way (and waits), or takes the lead. The leader waits
//! until a flight may begin, takes everything that is copied by then, gives the lead back and carries the flight out.
//! *Overlap helps few committers and groups help many*: with up to [`OVERLAPPING`] processes waiting at once each may have a
//! flight of its own, with more there is one flight at a time and the others' records gather for the next.
//!
//! None of these waits ends by an interrupt: what has its place in the log is beyond recall. All of them end by the death of
//! whom they wait for, once somebody has called `Wal::clean_up_dead`.

use std::time::Duration;

use super::flights::{Failure, Flight, Pace};
use super::lsn::{Lsn, Position};
use super::session::WalSession;
use crate::ipc::WaitEvent;
use crate::ipc::stop_points::StopPoint;
use crate::report::{Report, Result, Severity, SqlState};
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{Monotonic, yield_now};

/// Committers up to which each may have a flight of its own.
pub const OVERLAPPING: u64 = 4;

/// How a session flushes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlushSettings {
    /// `wal_flush_depth`: flights at once; 0 adapts to how many wait.
    pub depth: u64,
    /// `commit_delay`.
    pub commit_delay: Duration,
    /// `commit_siblings`.
    pub commit_siblings: usize,
    /// `wal_init_zero`: new segments are filled with zeroes, and not with what only counts as that.
    pub init_zero: bool,
}

impl Default for FlushSettings {
    fn default() -> Self {
        Self { depth: 0, commit_delay: Duration::ZERO, commit_siblings: 5, init_zero: true }
    }
}

impl WalSession<'_, '_> {
    /// Makes everything up to `upto` durable.
    ///
    /// # Errors
    /// XX000 if the log does not reach so far, which is a bug or a broken page. PANIC if a write or sync failed, now or
    /// earlier, in any process: what was not durable then never will be for sure, and trying again would lie.
    pub fn flush(&mut self, upto: Lsn) -> Result<()> {
        self.flush_after(upto, Duration::ZERO)
    }

    /// The same for a commit, while so many other transactions are active: with enough of them the leader waits
    /// `commit_delay` for their records.
    pub fn flush_commit(&mut self, upto: Lsn, other_transactions: usize) -> Result<()> {
        let waits = other_transactions >= self.settings.commit_siblings;
        self.flush_after(upto, if waits { self.settings.commit_delay } else { Duration::ZERO })
    }

    /// Makes everything durable that is copied by now, for a WAL writer. Up to where.
    pub fn flush_copied(&mut self) -> Result<Lsn> {
        let copied = self.wal.reservations().copied().end_lsn();
        self.flush(copied)?;
        Ok(copied)
    }

    fn flush_after(&mut self, upto: Lsn, delay: Duration) -> Result<()> {
        if self.wal.durable() >= upto {
            return Ok(());
        }
        let inserted = self.wal.inserted();
        if upto > inserted {
            let message =
                format!("xlog flush request {upto} is not satisfied --- flushed only to {inserted}");
            return Err(Report::error(SqlState::INTERNAL_ERROR, message));
        }
        self.slot.flushing.store(upto.bytes(), SeqCst);
        let result = self.until_durable(upto, delay);
        self.slot.flushing.store(0, SeqCst);
        result
    }

    fn until_durable(&mut self, upto: Lsn, delay: Duration) -> Result<()> {
        let flights = self.wal.flights();
        loop {
            if flights.durable() >= upto {
                return Ok(());
            }
            if let Some(failure) = flights.failure() {
                return Err(self.report(failure));
            }
            if let Some(orphan) = flights.adopt(self.me.id()) {
                self.carry_out(orphan);
            } else if flights.taken() < upto && flights.try_lead(self.me.id()) {
                self.me.stop_point(StopPoint::WalLed);
                if let Some(flight) = self.lead(upto, delay) {
                    self.carry_out(flight);
                }
            } else {
                flights.wait_landing(self.me, upto);
            }
        }
    }

    /// As the leader, takes a flight that reaches `upto`, if one is needed still; gives back the lead either way.
    fn lead(&mut self, upto: Lsn, delay: Duration) -> Option<Flight> {
        let flights = self.wal.flights();
        flights.wait_turn(self.me, upto, || self.pace());
        let is_needed = flights.taken() < upto && flights.failure().is_none();
        if !is_needed || !flights.may_take(self.pace()) {
            flights.abdicate(self.me, self.wal.inserted());
            return None;
        }
        if !delay.is_zero() {
            self.me.waiting(WaitEvent::COMMIT_DELAY, || std::thread::sleep(delay));
        }
        let mut end = self.wait_copied(upto);
        let pace = self.pace();
        if pace.depth > 1 && !end.end_lsn().bytes().is_multiple_of(pace.sector) {
            end = self.pad(end, pace.sector).unwrap_or(end);
        }
        Some(flights.take(self.me.id(), end.end_lsn()))
    }

    /// Waits for the few instructions that insertions below `upto` still need; up to where everything is copied then.
    fn wait_copied(&self, upto: Lsn) -> Position {
        let taken = self.wal.flights().taken();
        loop {
            let copied = self.wal.reservations().copied();
            // A long record is copied only as fast as what is before it is flushed.
            let is_long_one_waiting =
                self.wal.shared.large_inserter.load(SeqCst) != 0 && copied.end_lsn() > taken;
            if copied.end_lsn() >= upto || is_long_one_waiting {
                return copied;
            }
            yield_now();
        }
    }

    fn pace(&self) -> Pace {
        let depth = match self.settings.depth {
            _ if !self.sink.may_overlap() => 1,
            0 => {
                let waits = |slot: &&shmem_layout::WalSlot| slot.flushing.load(Relaxed) != 0;
                let waiting = self.wal.slots.iter().filter(waits).count() as u64;
                if waiting <= OVERLAPPING { waiting } else { 1 }
            }
            fixed => fixed,
        };
        Pace { depth, sector: self.sink.sector() }
    }

    fn carry_out(&mut self, flight: Flight) {
        self.me.stop_point(StopPoint::WalFlightTaken);
        let (wal, sink, me) = (self.wal, &mut self.sink, self.me);
        let started = Monotonic::now();
        let result = me.waiting(WaitEvent::WAL_WRITE, || sink.write(wal, flight.start, flight.end));
        let ns = Monotonic::now().as_nanos().saturating_sub(started.as_nanos());
        wal.shared.write_ns.fetch_add(ns, Relaxed);
        me.stop_point(StopPoint::WalFlightWritten);
        match result {
            Ok(()) => {
                wal.flights().land(me, flight, || wal.inserted());
                self.mark_complete_segments();
            }
            Err(failure) => wal.flights().fail(me, failure),
        }
    }

    fn report(&self, failure: Failure) -> Box<Report> {
        let error = std::io::Error::from_raw_os_error(failure.errno);
        let durable = self.wal.durable();
        let file = durable.segment().file_name(self.wal.timeline());
        let message = match failure.in_sync {
            true => format!("could not fsync file \"pg_wal/{file}\": {}", without_number(&error)),
            false => {
                let offset = durable.offset_in_segment();
                format!(
                    "could not write to log file \"{file}\" at offset {offset}: {}",
                    without_number(&error)
                )
            }
        };
        Box::new(Report::new(Severity::Panic, sqlstate_of(&error), message))
    }
}

/// An error's text as C's `strerror` has it.
pub(super) fn without_number(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

/// The condition of an error of a file, as PostgreSQL has it.
pub(super) fn sqlstate_of(error: &std::io::Error) -> SqlState {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => SqlState::DISK_FULL,
        std::io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            SqlState::INSUFFICIENT_PRIVILEGE
        }
        _ => SqlState::IO_ERROR,
    }
}
