//! Flushes on their way, who may begin one, and who waits for which.
//!
//! A *flight* is a range of the log that one process makes durable. Flights are taken one behind the other, each from where
//! the last ended, by whoever has the *lead*: one word, won by compare-and-swap, given back when the flight is taken, long
//! before it is done. So while one flight is on its way the next may be taken and flown beside it, or wait for it, as the
//! leader decides. What is durable is the end of the last flight that is done with all before it done.
//!
//! Everything is arranged so that a death at any instruction leaves something that others can go on from:
//! - a flight is published by one store (`next_flight`), when its entry is complete;
//! - it is retired by whoever comes by, each step of which may be done twice;
//! - the lead and each flight name their process, and after a death (and the end of the dead process's I/O) are set free
//!   and orphaned; an orphan is flown again, with the same range, by whoever waits.
//!
//! Waiters sleep on one of 64 words chosen by their LSN, so that a flight wakes those it made durable. A waiter that found
//! the lead taken relies on the leader to take its record too; should the leader have looked too early for that, the end
//! of the leader's flight wakes whoever sleeps beyond it and finds nobody leading. So nobody is left asleep: every flight
//! that ends, and every leader that gives up, looks.

use shmem_layout::wal::{WAL_FLIGHTS, WAL_WAIT_WORDS};
use shmem_layout::{ConditionVariableWord, ProcessId, WalFlight, WalShared};

use super::lsn::Lsn;
use crate::ipc::{ConditionVariable, Interrupts, Proc, WaitEvent};
use crate::sync::Ordering::SeqCst;

/// Bytes of the log whose waiters share a word.
const GRAIN: u64 = 1024;

/// A flight that this process has to carry out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Flight {
    number: u64,
    /// Where it begins.
    pub start: Lsn,
    /// Where it ends.
    pub end: Lsn,
}

/// A write or a sync failed: what was not durable then never will be for sure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What the kernel said.
    pub errno: i32,
    /// A sync, not a write.
    pub in_sync: bool,
}

impl Failure {
    fn to_word(self) -> u64 {
        u64::from(self.errno as u32) | if self.in_sync { WalShared::FAILED_SYNC } else { 0 }
    }

    fn from_word(word: u64) -> Option<Self> {
        let in_sync = word & WalShared::FAILED_SYNC != 0;
        (word != 0).then_some(Self { errno: word as u32 as i32, in_sync })
    }
}

/// When a flight may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pace {
    /// Flights at once, this one included.
    pub depth: u64,
    /// Bytes of a sector: what two flights at once must not both write to.
    pub sector: u64,
}

/// The words of flushing.
#[derive(Clone, Copy)]
pub(super) struct Flights<'s> {
    pub shared: &'s WalShared,
}

impl<'s> Flights<'s> {
    /// LSN up to which all is durable.
    #[inline]
    pub fn durable(self) -> Lsn {
        Lsn::new(self.shared.durable.load(SeqCst))
    }

    /// LSN up to which flights have been taken.
    pub fn taken(self) -> Lsn {
        loop {
            let next = self.shared.next_flight.load(SeqCst);
            let end = self.entry(next.wrapping_sub(1)).end.load(SeqCst);
            // The entry is used again only after others were taken, and then there is a newer end to be read.
            if self.shared.next_flight.load(SeqCst) == next {
                return Lsn::new(end);
            }
        }
    }

    /// What went wrong for good.
    pub fn failure(self) -> Option<Failure> {
        Failure::from_word(self.shared.failure.load(SeqCst))
    }

    fn entry(self, number: u64) -> &'s WalFlight {
        &self.shared.flights[(number % WAL_FLIGHTS as u64) as usize]
    }

    /// Where flights begin, before anybody else sees the log.
    pub fn begin_at(self, start: Lsn) {
        let first = WAL_FLIGHTS as u64;
        let before = self.entry(first - 1);
        before.start.store(start.bytes(), SeqCst);
        before.end.store(start.bytes(), SeqCst);
        before.state.store(WalFlight::DONE, SeqCst);
        self.shared.oldest_flight.store(first, SeqCst);
        self.shared.next_flight.store(first, SeqCst);
        self.shared.written.store(start.bytes(), SeqCst);
        self.shared.durable.store(start.bytes(), SeqCst);
    }

    /// Takes the lead if nobody has it.
    pub fn try_lead(self, me: ProcessId) -> bool {
        self.shared.leader.compare_exchange(0, me.to_word(), SeqCst, SeqCst).is_ok()
    }

    /// Whether nobody leads.
    pub fn is_leaderless(self) -> bool {
        self.shared.leader.load(SeqCst) == 0
    }

    /// Whether the leader may take a flight now. No other may end in the middle of the sector that it would begin with.
    pub fn may_take(self, pace: Pace) -> bool {
        let next = self.shared.next_flight.load(SeqCst);
        let in_flight = next.saturating_sub(self.shared.oldest_flight.load(SeqCst));
        let limit = pace.depth.clamp(1, WAL_FLIGHTS as u64 - 1);
        in_flight == 0 || (in_flight < limit && self.taken().bytes().is_multiple_of(pace.sector))
    }

    /// Takes the flight up to `end` and gives the lead back. The caller has the lead, and [`Self::may_take`] held.
    pub fn take(self, me: ProcessId, end: Lsn) -> Flight {
        let number = self.shared.next_flight.load(SeqCst);
        let start = self.taken();
        let entry = self.entry(number);
        entry.start.store(start.bytes(), SeqCst);
        entry.end.store(end.bytes(), SeqCst);
        entry.state.store(WalFlight::IN_FLIGHT | me.to_word(), SeqCst);
        self.shared.next_flight.store(number + 1, SeqCst);
        let in_flight = number + 1 - self.shared.oldest_flight.load(SeqCst).min(number);
        if in_flight > self.shared.most_flights.load(SeqCst) {
            self.shared.most_flights.fetch_max(in_flight, SeqCst);
        }
        self.shared.leader.store(0, SeqCst);
        Flight { number, start, end }
    }

    /// Gives the lead back without a flight.
    pub fn abdicate(self, me: &Proc<'_>, inserted: Lsn) {
        self.shared.leader.store(0, SeqCst);
        self.wake_leaderless(me, inserted);
    }

    /// The flight is durable. Wakes whom it concerns; `inserted` is where the log ends by now.
    pub fn land(self, me: &Proc<'_>, flight: Flight, inserted: impl FnOnce() -> Lsn) {
        self.entry(flight.number).state.store(WalFlight::DONE, SeqCst);
        me.stop_point(crate::ipc::stop_points::StopPoint::WalFlightDone);
        self.shared.written.fetch_max(flight.end.bytes(), SeqCst);
        let before = self.durable();
        self.retire();
        ConditionVariable::new(&self.shared.flights_moved).broadcast(me);
        self.wake(me, before.min(flight.start), self.durable());
        self.wake_leaderless(me, inserted());
    }

    /// Passes the flights that are done. Anybody may do this at any time.
    fn retire(self) {
        loop {
            let oldest = self.shared.oldest_flight.load(SeqCst);
            if oldest == self.shared.next_flight.load(SeqCst) {
                return;
            }
            let entry = self.entry(oldest);
            let is_done = entry.state.load(SeqCst) & WalFlight::STATE == WalFlight::DONE;
            let end = entry.end.load(SeqCst);
            if self.shared.oldest_flight.load(SeqCst) != oldest {
                // Somebody passed it meanwhile, and what was read may be of a later flight.
                continue;
            }
            if !is_done {
                return;
            }
            // First this: whoever dies between the two leaves them to be done again.
            self.shared.durable.fetch_max(end, SeqCst);
            let _ = self.shared.oldest_flight.compare_exchange(oldest, oldest + 1, SeqCst, SeqCst);
        }
    }

    /// Takes over a flight whose process died.
    pub fn adopt(self, me: ProcessId) -> Option<Flight> {
        let next = self.shared.next_flight.load(SeqCst);
        for number in self.shared.oldest_flight.load(SeqCst)..next {
            let entry = self.entry(number);
            let adopted = WalFlight::IN_FLIGHT | me.to_word();
            if entry.state.compare_exchange(WalFlight::ORPHANED, adopted, SeqCst, SeqCst).is_ok() {
                // It is ours now, and stays as it is until it lands.
                self.shared.adopted.fetch_add(1, SeqCst);
                let (start, end) = (Lsn::new(entry.start.load(SeqCst)), Lsn::new(entry.end.load(SeqCst)));
                return Some(Flight { number, start, end });
            }
        }
        None
    }

    /// Whether a flight waits to be adopted.
    pub fn has_orphan(self) -> bool {
        let next = self.shared.next_flight.load(SeqCst);
        let mut numbers = self.shared.oldest_flight.load(SeqCst)..next;
        numbers.any(|number| self.entry(number).state.load(SeqCst) == WalFlight::ORPHANED)
    }

    /// Nothing more is on its way from the dead process: what it led and flew is others' now.
    pub fn clean_up_dead(self, me: &Proc<'_>, dead: ProcessId) {
        let _ = self.shared.leader.compare_exchange(dead.to_word(), 0, SeqCst, SeqCst);
        for entry in &self.shared.flights {
            let flown = WalFlight::IN_FLIGHT | dead.to_word();
            let _ = entry.state.compare_exchange(flown, WalFlight::ORPHANED, SeqCst, SeqCst);
        }
        self.retire();
        self.wake_everybody(me);
    }

    /// Nothing will be durable any more.
    pub fn fail(self, me: &Proc<'_>, failure: Failure) {
        let _ = self.shared.failure.compare_exchange(0, failure.to_word(), SeqCst, SeqCst);
        self.wake_everybody(me);
    }

    fn wake_everybody(self, me: &Proc<'_>) {
        for word in &self.shared.waiters {
            ConditionVariable::new(word).broadcast(me);
        }
        ConditionVariable::new(&self.shared.flights_moved).broadcast(me);
    }

    /// Wakes those who wait for more than was taken, if nobody leads who would take it.
    fn wake_leaderless(self, me: &Proc<'_>, inserted: Lsn) {
        let taken = self.taken();
        if self.is_leaderless() && taken < inserted {
            self.wake(me, taken, inserted);
        }
    }

    /// Wakes the waiters for LSNs above `from`, up to `until`.
    fn wake(self, me: &Proc<'_>, from: Lsn, until: Lsn) {
        if until <= from {
            return;
        }
        let (first, last) = (from.bytes() / GRAIN, (until.bytes() - 1) / GRAIN);
        let count = (last - first + 1).min(WAL_WAIT_WORDS as u64);
        for grain in first..first + count {
            // Without a look whether anybody waits: a load could come before the change that it waits for.
            let word = &self.shared.waiters[(grain % WAL_WAIT_WORDS as u64) as usize];
            ConditionVariable::new(word).broadcast(me);
        }
    }

    /// Waits until `upto` is durable, or there is something to do about it.
    pub fn wait_landing(self, me: &Proc<'_>, upto: Lsn) {
        let word = &self.shared.waiters[((upto.bytes() - 1) / GRAIN % WAL_WAIT_WORDS as u64) as usize];
        self.wait(me, word, || {
            self.durable() >= upto
                || self.failure().is_some()
                || self.has_orphan()
                || (self.is_leaderless() && self.taken() < upto)
        });
    }

    /// As the leader, waits until a flight may be taken, or none is needed, or there is something else to do first.
    pub fn wait_turn(self, me: &Proc<'_>, upto: Lsn, pace: impl Fn() -> Pace) {
        self.wait(me, &self.shared.flights_moved, || {
            self.may_take(pace()) || self.durable() >= upto || self.failure().is_some() || self.has_orphan()
        });
    }

    /// A wait that no interrupt ends.
    fn wait(self, me: &Proc<'_>, word: &ConditionVariableWord, condition: impl FnMut() -> bool) {
        me.hold_off(Interrupts::ALL, || {
            let _ = ConditionVariable::new(word).wait_until(me, None, WaitEvent::WAL_FLUSH, condition);
        });
    }
}

#[cfg(all(test, model))]
mod models;
