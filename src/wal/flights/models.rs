//! Models of flushing: processes that insert and want their records durable, with deaths between any two steps.

use std::sync::Arc;

use super::*;
use crate::ipc::model_world::{World as Processes, spawn};
use crate::sync::{AtomicU64, Ordering, run_model};

/// What the processes of a model share: the log's words, where it ends, and how far the disk has it.
struct Log {
    shared: WalShared,
    inserted: AtomicU64,
    disk: AtomicU64,
}

const START: u64 = 10 * RECORD;
/// More than a word of waiters covers, so that nobody is woken by chance.
const RECORD: u64 = 2 * GRAIN;

/// Where a process dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Death {
    Never,
    Leading,
    BeforeWriting,
    BeforeLanding,
}

impl Log {
    fn new() -> Arc<Self> {
        let shared = WalShared::default();
        Flights { shared: &shared }.begin_at(Lsn::new(START));
        Arc::new(Self { shared, inserted: AtomicU64::new(START), disk: AtomicU64::new(START) })
    }

    fn flights(&self) -> Flights<'_> {
        Flights { shared: &self.shared }
    }

    fn insert(&self) -> Lsn {
        Lsn::new(self.inserted.fetch_add(RECORD, SeqCst) + RECORD)
    }

    /// `WalSession::until_durable`, with a word for a disk. `None`: the process died on the way.
    fn flush(&self, me: &Proc<'_>, upto: Lsn, depth: u64, death: Death) -> Option<()> {
        let flights = self.flights();
        let inserted = || Lsn::new(self.inserted.load(SeqCst));
        let pace = Pace { depth, sector: RECORD };
        loop {
            if flights.durable() >= upto {
                return Some(());
            }
            if let Some(orphan) = flights.adopt(me.id()) {
                self.carry_out(me, orphan, death)?;
            } else if flights.taken() < upto && flights.try_lead(me.id()) {
                if death == Death::Leading {
                    return None;
                }
                flights.wait_turn(me, upto, || pace);
                if flights.taken() >= upto || !flights.may_take(pace) {
                    flights.abdicate(me, inserted());
                    continue;
                }
                let flight = flights.take(me.id(), inserted());
                self.carry_out(me, flight, death)?;
            } else {
                flights.wait_landing(me, upto);
            }
        }
    }

    fn carry_out(&self, me: &Proc<'_>, flight: Flight, death: Death) -> Option<()> {
        if death == Death::BeforeWriting {
            return None;
        }
        // Only a flight with all before it on disk makes more of the log durable.
        self.disk.fetch_max(flight.end.bytes(), Ordering::SeqCst);
        if death == Death::BeforeLanding {
            return None;
        }
        self.flights().land(me, flight, || Lsn::new(self.inserted.load(SeqCst)));
        Some(())
    }
}

fn committers(name: &str, preemptions: usize, count: usize, depth: u64) {
    run_model(name, Some(preemptions), 20_000, move || {
        let (processes, log) = (Processes::new(count), Log::new());
        let others: Vec<_> = (1..count)
            .map(|slot| {
                let log = Arc::clone(&log);
                spawn(&processes, slot, move |_, me| {
                    let end = log.insert();
                    log.flush(me, end, depth, Death::Never).expect("it lives");
                    assert!(log.flights().durable() >= end);
                })
            })
            .collect();
        processes.run(0, |_, me| {
            let end = log.insert();
            log.flush(me, end, depth, Death::Never).expect("it lives");
        });
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(log.flights().durable().bytes(), START + count as u64 * RECORD);
        assert!(log.flights().is_leaderless());
        assert_eq!(log.disk.load(SeqCst), START + count as u64 * RECORD);
    });
}

/// One flight at a time: whoever found the lead taken, too late for its flight, is woken by its end.
#[test]
fn nobody_sleeps_beside_one_flight() {
    committers("wal::nobody_sleeps_beside_one_flight", 3, 2, 1);
}

/// Two flights at once, landing in any order.
#[test]
fn nobody_sleeps_beside_two_flights() {
    committers("wal::nobody_sleeps_beside_two_flights", 3, 2, 2);
}

/// Three, of whom two gather behind the first.
#[cfg(shuttle)]
#[test]
fn a_group_gathers() {
    committers("wal::a_group_gathers", 1, 3, 1);
}

/// Four with up to three flights.
#[cfg(shuttle)]
#[test]
fn flights_overlap() {
    committers("wal::flights_overlap", 1, 4, 3);
}

fn a_death(name: &str, death: Death, depth: u64) {
    run_model(name, Some(3), 20_000, move || {
        let (processes, log) = (Processes::new(3), Log::new());
        let waiter = {
            let log = Arc::clone(&log);
            spawn(&processes, 1, move |_, me| {
                let end = log.insert();
                log.flush(me, end, depth, Death::Never).expect("it lives");
            })
        };
        processes.run(2, |_, me| {
            let end = log.insert();
            // It may be through before it comes to where it is to die.
            let _ = log.flush(me, end, depth, death);
        });
        let dead = processes.process(2);
        processes.run(0, |_, me| {
            log.flights().clean_up_dead(me, dead);
            let inserted = Lsn::new(log.inserted.load(SeqCst));
            log.flush(me, inserted, depth, Death::Never).expect("it lives");
        });
        waiter.join().unwrap();
        assert_eq!(log.flights().durable().bytes(), START + 2 * RECORD);
        assert!(!log.flights().has_orphan() && log.flights().is_leaderless());
    });
}

/// The leader dies before it takes a flight.
#[test]
fn a_leader_dies() {
    a_death("wal::a_leader_dies", Death::Leading, 1);
}

/// It dies with its flight not written, or written and not said to be done: others fly it again.
#[test]
fn a_flyer_dies() {
    a_death("wal::a_flyer_dies", Death::BeforeWriting, 1);
    a_death("wal::a_flyer_dies_written", Death::BeforeLanding, 1);
}

/// The same with another flight beside it, which must not be durable before the dead one's.
#[cfg(shuttle)]
#[test]
fn a_flyer_dies_beside_another() {
    a_death("wal::a_flyer_dies_beside_another", Death::BeforeWriting, 2);
}
