//! Reserving a place in the log, knowing what is copied, and the epoch that checkpoints begin.
//!
//! An insertion stores a lower bound in its slot, adds to the insert position, stores the exact place, looks whether the
//! epoch is still the one that the record was composed for, copies, and clears its slot. Who wants to know up to where
//! everything is copied loads the insert position first and then takes the minimum over the slots: a reservation that the
//! load has seen was announced before it was made, so its slot shows it, or shows that it is over.
//!
//! A checkpoint makes the epoch odd, reserves its redo position, stores it, and makes the epoch even again. A reservation
//! behind the redo position was made behind the change of epoch and so sees it; one before the redo position is seen by
//! the checkpointer, which waits it out. All of these are sequentially consistent (acquire and release would do, since
//! each reservation is a read-modify-write of the same word; the models below show it).

use shmem_layout::{WalShared, WalSlot};

use super::lsn::{Lsn, Position};
use crate::sync::Ordering::SeqCst;
use crate::sync::yield_now;

/// What a record must be composed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// Its number; even.
    pub number: u64,
    /// A page whose LSN is at or below this needs a full image, if `full_pages`.
    pub redo: Lsn,
    /// Pages need full images at all.
    pub full_pages: bool,
}

/// The words of insertion.
#[derive(Clone, Copy)]
pub(super) struct Reservations<'s> {
    pub shared: &'s WalShared,
    pub slots: &'s [WalSlot],
}

impl Reservations<'_> {
    /// Reserves `usable` bytes for `slot`, which shows them until [`Self::clear`].
    #[inline]
    pub fn reserve(self, slot: &WalSlot, usable: u64) -> Position {
        let lower_bound = self.shared.insert.load(SeqCst);
        slot.inserting.store(lower_bound, SeqCst);
        let start = self.shared.insert.fetch_add(usable, SeqCst);
        slot.inserting.store(start, SeqCst);
        Position::new(start)
    }

    /// Reserves from `from` up to `until` if nobody has reserved anything since `from` was where the log ended.
    pub fn reserve_exactly(self, slot: &WalSlot, from: Position, until: Position) -> bool {
        slot.inserting.store(from.usable(), SeqCst);
        let reserved =
            self.shared.insert.compare_exchange(from.usable(), until.usable(), SeqCst, SeqCst).is_ok();
        if !reserved {
            slot.inserting.store(0, SeqCst);
        }
        reserved
    }

    /// Everything of the reservation that lies below `position` is copied.
    pub fn progress(self, slot: &WalSlot, position: Position) {
        slot.inserting.store(position.usable(), SeqCst);
    }

    /// All of the reservation is copied.
    #[inline]
    pub fn clear(self, slot: &WalSlot) {
        slot.inserting.store(0, SeqCst);
    }

    /// Where the next record will begin.
    pub fn insert_position(self) -> Position {
        Position::new(self.shared.insert.load(SeqCst))
    }

    /// Everything below is copied.
    pub fn copied(self) -> Position {
        let inserted = self.shared.insert.load(SeqCst);
        let oldest = self.slots.iter().map(|slot| slot.inserting.load(SeqCst)).filter(|p| *p != 0).min();
        Position::new(oldest.map_or(inserted, |oldest| oldest.min(inserted)))
    }

    /// The present epoch; waits while a redo position is being reserved, which takes some instructions.
    pub fn epoch(self) -> Epoch {
        loop {
            let number = self.shared.epoch.load(SeqCst);
            if number.is_multiple_of(2) {
                // If these belong to a later epoch, the number is out of date, and the insertion will notice.
                let redo = Lsn::new(self.shared.redo.load(SeqCst));
                let full_pages = self.shared.full_pages.load(SeqCst) != 0;
                return Epoch { number, redo, full_pages };
            }
            yield_now();
        }
    }

    /// Whether an epoch is the present one still.
    #[inline]
    pub fn is_current(self, number: u64) -> bool {
        self.shared.epoch.load(SeqCst) == number
    }

    /// Announces a new redo position: until [`Self::redo_reserved`], no record is composed, and none that was composed
    /// before gets a place. Only one process does this at a time.
    pub fn announce_redo(self) {
        self.shared.epoch.fetch_add(1, SeqCst);
    }

    /// The redo position is reserved; records are composed for it from here on.
    pub fn redo_reserved(self, redo: Lsn) {
        self.shared.redo.store(redo.bytes(), SeqCst);
        self.shared.epoch.fetch_add(1, SeqCst);
    }

    /// Whether no insertion and no commit in progress can be below `position` any more.
    pub fn is_over_below(self, position: Position) -> bool {
        let is_over = |word: u64| word == 0 || word >= position.usable();
        self.slots
            .iter()
            .all(|slot| is_over(slot.inserting.load(SeqCst)) && is_over(slot.committing.load(SeqCst)))
    }
}

#[cfg(all(test, model))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::sync::{AtomicU64, Ordering, RingBytes, run_model, thread};

    struct World {
        shared: WalShared,
        slots: Vec<WalSlot>,
        log: RingBytes,
        pages: Vec<AtomicU64>,
    }

    impl World {
        fn new(slots: usize) -> Arc<Self> {
            let shared = WalShared::default();
            shared.insert.store(1, Ordering::Relaxed);
            shared.full_pages.store(1, Ordering::Relaxed);
            Arc::new(Self {
                shared,
                slots: (0..slots).map(|_| WalSlot::default()).collect(),
                log: RingBytes::new(16),
                pages: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            })
        }

        fn reservations(&self) -> Reservations<'_> {
            Reservations { shared: &self.shared, slots: &self.slots }
        }

        /// Inserts a record of two bytes, composed for `epoch`; its position, or `None` if the epoch was over.
        fn insert(&self, slot: usize, epoch: u64) -> Option<Position> {
            let (reservations, slot) = (self.reservations(), &self.slots[slot]);
            let start = reservations.reserve(slot, 2);
            let is_current = reservations.is_current(epoch);
            self.log.write(start.usable(), if is_current { b"rr" } else { b"ff" });
            reservations.clear(slot);
            is_current.then_some(start)
        }
    }

    /// Whatever a flush takes is copied: no byte of it is written after, or beside, the reading of it.
    #[test]
    fn what_is_flushed_is_copied() {
        run_model("wal::what_is_flushed_is_copied", Some(3), 20_000, || {
            let world = World::new(2);
            let inserters: Vec<_> = (0..2)
                .map(|slot| {
                    let world = Arc::clone(&world);
                    thread::spawn(move || world.insert(slot, 0).map(|_| ()))
                })
                .collect();
            let copied = world.reservations().copied().usable();
            let mut bytes = vec![0; (copied - 1) as usize];
            world.log.read(1, &mut bytes);
            assert!(bytes.iter().all(|b| *b == b'r'), "{bytes:?}");
            inserters.into_iter().for_each(|i| drop(i.join().unwrap()));
            assert_eq!(world.reservations().copied().usable(), 5);
        });
    }

    /// A sector is padded beside an insertion: either it gets its place, and nobody else's bytes lie in it, or it is given up.
    #[test]
    fn padding_takes_no_place_that_is_taken() {
        run_model("wal::padding_takes_no_place_that_is_taken", None, 20_000, || {
            let world = World::new(2);
            let inserter = {
                let world = Arc::clone(&world);
                thread::spawn(move || drop(world.insert(0, 0)))
            };
            let reservations = world.reservations();
            let end = reservations.copied();
            if reservations.reserve_exactly(&world.slots[1], end, end.plus(3)) {
                world.log.write(end.usable(), b"ppp");
                reservations.clear(&world.slots[1]);
            }
            let copied = reservations.copied().usable();
            let mut bytes = vec![0; (copied - 1) as usize];
            world.log.read(1, &mut bytes);
            assert!(bytes.iter().all(|b| *b != 0), "{bytes:?}");
            inserter.join().unwrap();
        });
    }

    /// A record without an image is before the redo position, and then the checkpointer sees the page it changed; one behind
    /// the redo position has an image.
    #[test]
    fn a_checkpoint_misses_no_change() {
        run_model("wal::a_checkpoint_misses_no_change", Some(3), 20_000, || {
            let world = World::new(2);
            let inserter = {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let reservations = world.reservations();
                    loop {
                        let epoch = reservations.epoch();
                        // The buffer is marked dirty before the record gets its place.
                        world.pages[0].store(1, Ordering::Relaxed);
                        if let Some(start) = world.insert(0, epoch.number) {
                            break (start, epoch);
                        }
                    }
                })
            };
            let reservations = world.reservations();
            reservations.announce_redo();
            let redo = reservations.reserve(&world.slots[1], 2);
            world.log.write(redo.usable(), b"rr");
            reservations.clear(&world.slots[1]);
            reservations.redo_reserved(redo.lsn());
            while !reservations.is_over_below(redo) {
                yield_now();
            }
            let is_dirty = world.pages[0].load(Ordering::Relaxed) == 1;
            let (start, epoch) = inserter.join().unwrap();
            if start < redo {
                assert!(is_dirty, "redo begins behind a change that the checkpoint did not write");
            } else {
                assert_eq!(
                    epoch.redo,
                    redo.lsn(),
                    "a record behind redo was composed for the old redo position"
                );
            }
        });
    }

    /// A commit whose record lies before the redo position has its fate where the checkpointer finds it; redo begins behind
    /// its record.
    #[test]
    fn a_checkpoint_misses_no_commit() {
        run_model("wal::a_checkpoint_misses_no_commit", Some(3), 20_000, || {
            let world = World::new(2);
            let committer = {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let (reservations, slot) = (world.reservations(), &world.slots[0]);
                    slot.committing.store(reservations.insert_position().usable(), SeqCst);
                    let start = reservations.reserve(slot, 2);
                    world.log.write(start.usable(), b"cc");
                    reservations.clear(slot);
                    world.pages[0].store(1, Ordering::Relaxed);
                    slot.committing.store(0, SeqCst);
                    start
                })
            };
            let reservations = world.reservations();
            let redo = reservations.reserve(&world.slots[1], 2);
            world.log.write(redo.usable(), b"rr");
            reservations.clear(&world.slots[1]);
            while !reservations.is_over_below(redo) {
                yield_now();
            }
            let is_stamped = world.pages[0].load(Ordering::Relaxed) == 1;
            let start = committer.join().unwrap();
            assert!(is_stamped || start >= redo, "redo begins behind a commit that the map does not have");
        });
    }
}
