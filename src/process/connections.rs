//! Connection slots: at most `max_connections` sessions, whoever accepted them.
//!
//! Each place holds the process id of its session, so that a place is freed for a dead session by whoever knows the id,
//! and nothing is counted that a death could falsify. Spare backends take a place when they take a client.

use shmem_layout::{ProcessId, shared_layout};

use crate::sync::{AtomicU64, Ordering};

/// One place.
#[repr(C)]
pub struct ConnectionPlace {
    /// Whose it is, 0: nobody's.
    process: AtomicU64,
}

shared_layout!(ConnectionPlace, size 8, align 8, { 0 => process: AtomicU64 });

impl ConnectionPlace {
    fn is_taken_by(&self, process: ProcessId) -> bool {
        // Looked at first: an exchange that fails takes the cache line from everybody else too.
        self.process.load(Ordering::Relaxed) == 0
            && self
                .process
                .compare_exchange(0, process.to_word(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }
}

/// What became of the wish for a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// The process has one.
    Place,
    /// The free ones are reserved.
    Reserved,
    /// None is free.
    Full,
}

/// The places.
#[derive(Clone, Copy)]
pub struct Connections<'s> {
    places: &'s [ConnectionPlace],
}

impl<'s> Connections<'s> {
    /// Over one word per place.
    pub fn new(places: &'s [ConnectionPlace]) -> Self {
        Self { places }
    }

    /// Takes a place, if more are free than are `reserved` for others.
    ///
    /// Who may not take the reserved ones looks for a place in front of the last `reserved` only, so that a burst of such
    /// processes gets exactly the rest: two that count at the same moment cannot both have the last place. Whoever is
    /// refused never held one, and so drives nobody else away.
    pub fn take(self, process: ProcessId, reserved: usize) -> Taken {
        let free = self.free();
        if free == 0 {
            return Taken::Full;
        }
        let open = self.places.len().saturating_sub(reserved);
        let took = free > reserved && self.places[..open].iter().any(|place| place.is_taken_by(process));
        match took {
            true => Taken::Place,
            false if reserved == 0 => Taken::Full,
            false => Taken::Reserved,
        }
    }

    /// Gives back the place of a process, if it has one.
    pub fn give_back(self, process: ProcessId) {
        let is_own = |place: &&ConnectionPlace| place.process.load(Ordering::Relaxed) == process.to_word();
        for place in self.places.iter().filter(is_own) {
            let _ = place.process.compare_exchange(process.to_word(), 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Whether there is no place.
    pub fn is_full(self) -> bool {
        self.count() == self.places.len()
    }

    /// Places that nobody has.
    pub fn free(self) -> usize {
        self.places.len() - self.count()
    }

    /// Sessions there are.
    pub fn count(self) -> usize {
        self.places.iter().filter(|p| p.process.load(Ordering::Acquire) != 0).count()
    }
}

#[cfg(test)]
mod tests {
    use shmem_layout::{Generation, SlotIndex};

    use super::*;

    #[test]
    fn the_last_places_are_kept() {
        let places: Vec<_> = (0..5).map(|_| ConnectionPlace { process: AtomicU64::new(0) }).collect();
        let connections = Connections::new(&places);
        let process = |slot| ProcessId::new(SlotIndex::new(slot).unwrap(), Generation(1));
        for (slot, reserved, taken) in [
            (0, 0, Taken::Place),
            (1, 2, Taken::Place),
            (2, 2, Taken::Place),
            (3, 2, Taken::Reserved),
            (4, 0, Taken::Place),
            (5, 0, Taken::Place),
            (6, 2, Taken::Full),
            (6, 0, Taken::Full),
        ] {
            assert_eq!(connections.take(process(slot), reserved), taken, "{slot}");
        }
        assert!(connections.is_full());
        connections.give_back(process(1));
        assert_eq!(connections.take(process(7), 2), Taken::Reserved, "only the superusers' is free");
        assert_eq!(connections.take(process(7), 0), Taken::Place);
        assert_eq!(connections.count(), 5);
    }
}
