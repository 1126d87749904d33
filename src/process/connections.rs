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

    /// Takes a place and tells how many were free with it; `None`: none was.
    pub fn take(self, process: ProcessId) -> Option<usize> {
        let free = self.places.iter().filter(|p| p.process.load(Ordering::Acquire) == 0).count();
        let took = self.places.iter().any(|place| {
            place.process.compare_exchange(0, process.to_word(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
        took.then_some(free.max(1))
    }

    /// Gives back the place of a process, if it has one.
    pub fn give_back(self, process: ProcessId) {
        for place in self.places {
            let _ = place.process.compare_exchange(process.to_word(), 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Whether there is no place.
    pub fn is_full(self) -> bool {
        self.count() == self.places.len()
    }

    /// Sessions there are.
    pub fn count(self) -> usize {
        self.places.iter().filter(|p| p.process.load(Ordering::Acquire) != 0).count()
    }
}
