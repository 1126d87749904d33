//! What the launcher, the postmaster and the workers tell each other, in words of shared memory.
//!
//! The launcher reserves a place, notes the database there, and names the place in `starting`; whoever swaps that word to
//! 0, the worker or a launcher that has waited too long, owns the place. The postmaster only ever sets `fork_failed`.

use shmem_layout::{AutovacuumBoard, AutovacuumPlace, ProcessId};

use crate::sync::{Monotonic, Ordering};

/// See the module.
#[derive(Clone, Copy)]
pub struct Board<'s> {
    board: &'s AutovacuumBoard,
    places: &'s [AutovacuumPlace],
}

/// A worker's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(usize);

impl<'s> Board<'s> {
    /// Over as many places as `autovacuum_worker_slots`.
    pub fn new(board: &'s AutovacuumBoard, places: &'s [AutovacuumPlace]) -> Self {
        Self { board, places }
    }

    /// Says who the launcher is.
    pub fn set_launcher(self, launcher: ProcessId) {
        self.board.launcher.store(launcher.to_word(), Ordering::Release);
    }

    /// Who the launcher is.
    pub fn launcher(self) -> Option<ProcessId> {
        ProcessId::from_word(self.board.launcher.load(Ordering::Acquire))
    }

    /// The launcher asks for a worker for a database; `false` if `most` are busy, or all places are.
    pub fn ask(self, database: u32, most: usize, now: Monotonic) -> bool {
        let is_taken = |place: &&AutovacuumPlace| place.database.load(Ordering::Acquire) != 0;
        if self.places.iter().filter(is_taken).count() >= most {
            return false;
        }
        let Some(free) = self.places.iter().position(|place| !is_taken(&place)) else { return false };
        self.places[free].worker.store(0, Ordering::Relaxed);
        self.places[free].database.store(database, Ordering::Relaxed);
        self.board.asked_at_ns.store(now.as_nanos(), Ordering::Relaxed);
        self.board.starting.store(free as u32 + 1, Ordering::Release);
        true
    }

    /// The launcher's request stands, and its time begins anew.
    pub fn ask_again(self, now: Monotonic) {
        self.board.asked_at_ns.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// When the worker was asked for that has not taken its request yet, in the launcher's eyes.
    pub fn asked_at(self) -> Option<Monotonic> {
        let is_open = self.board.starting.load(Ordering::Acquire) != 0;
        is_open.then(|| Monotonic::from_nanos(self.board.asked_at_ns.load(Ordering::Relaxed)))
    }

    /// The launcher takes its request back; `false` if a worker was faster.
    pub fn cancel_request(self) -> bool {
        let place = self.take();
        if let Some(place) = place {
            self.free(place);
        }
        place.is_some()
    }

    /// A worker takes the request, if there is one still.
    pub fn take_request(self, worker: ProcessId) -> Option<Place> {
        let place = self.take()?;
        self.places[place.0].worker.store(worker.to_word(), Ordering::Release);
        Some(place)
    }

    fn take(self) -> Option<Place> {
        let index = self.board.starting.swap(0, Ordering::AcqRel).checked_sub(1)? as usize;
        (index < self.places.len()).then_some(Place(index))
    }

    /// The database of a place.
    pub fn database_of(self, place: Place) -> u32 {
        self.places[place.0].database.load(Ordering::Acquire)
    }

    /// A worker has done its work.
    pub fn free(self, place: Place) {
        self.places[place.0].worker.store(0, Ordering::Relaxed);
        self.places[place.0].database.store(0, Ordering::Release);
    }

    /// The postmaster could not fork what was asked for.
    pub fn set_fork_failed(self) {
        self.board.fork_failed.store(1, Ordering::Release);
    }

    /// The launcher hears of it.
    pub fn take_fork_failure(self) -> bool {
        self.board.fork_failed.swap(0, Ordering::AcqRel) != 0
    }
}

#[cfg(test)]
mod tests {
    use shmem_layout::{Generation, SlotIndex};

    use super::*;

    fn with_places(count: usize, test: impl FnOnce(Board<'_>)) {
        let board = AutovacuumBoard {
            launcher: Default::default(),
            asked_at_ns: Default::default(),
            starting: Default::default(),
            fork_failed: Default::default(),
            reserved: [0; 40],
        };
        let place =
            || AutovacuumPlace { worker: Default::default(), database: Default::default(), reserved: [0; 4] };
        let places: Vec<_> = (0..count).map(|_| place()).collect();
        test(Board::new(&board, &places));
    }

    fn worker() -> ProcessId {
        ProcessId::new(SlotIndex::new(4).unwrap(), Generation(1))
    }

    #[test]
    fn no_more_are_asked_for_than_may_be() {
        with_places(3, |board| {
            let now = Monotonic::now();
            for (database, most, expected) in
                [(5, 2, true), (1, 2, true), (5, 2, false), (5, 9, true), (1, 9, false)]
            {
                assert_eq!(board.ask(database, most, now), expected, "{database} {most}");
                if expected {
                    let place = board.take_request(worker()).unwrap();
                    assert_eq!(board.database_of(place), database);
                }
            }
            board.free(Place(1));
            assert!(board.ask(1, 9, now));
        });
    }

    #[test]
    fn a_request_is_had_by_one() {
        with_places(1, |board| {
            let now = Monotonic::now();
            assert!(board.ask(5, 1, now));
            assert_eq!(board.asked_at(), Some(now));
            assert!(board.cancel_request());
            assert_eq!(board.take_request(worker()), None, "it was taken back");
            assert!(board.ask(5, 1, now), "and its place is free");
            assert_eq!(board.take_request(worker()), Some(Place(0)));
            assert!(!board.cancel_request(), "it was taken");
            assert!(!board.ask(5, 1, now), "and its place is not free");
        });
    }
}
