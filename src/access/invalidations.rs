//! What sessions are told when something that they may have cached has changed: a ring of numbers in shared memory.
//!
//! Who commits a change puts a message into the ring before it gives its locks back. Who wants to use what it cached, having
//! got a lock on it, reads all messages since its last look. An entry is one word: the lap of the ring that it belongs to,
//! and what has changed. So nothing is ever read by halves, and nobody holds anything that a death could leave behind:
//!
//! - a reader that finds another lap than it expects forgets everything, and looks at that entry again next time, since its
//!   writer may be about to write it;
//! - a reader that is more than the ring behind forgets everything and begins at the end.
//!
//! What has changed is a number made of database and object; two may have the same one, which only costs a second look.

use shmem_layout::shared_layout;

use crate::shmem::{RegionSpec, Segment, SegmentError};
use crate::sync::AtomicU64;
use crate::sync::Ordering::SeqCst;

const VERSION: u32 = 1;

/// Entries of the ring.
const ENTRIES: usize = 4096;

const LAP_SHIFT: u32 = 48;
const WHAT: u64 = (1 << LAP_SHIFT) - 1;

/// The words.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct InvalidationWords {
    /// Entries given out since shared memory was made.
    next: AtomicU64,
    reserved: [u8; 56],
    entries: [AtomicU64; ENTRIES],
}

shared_layout!(InvalidationWords, size 32832, align 64, {
    0 => next: AtomicU64,
    8 => reserved: [u8; 56],
    64 => entries: [AtomicU64; ENTRIES],
});

/// What has changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Changed(u64);

impl Changed {
    /// Anything.
    pub const EVERYTHING: Self = Self(0);

    /// An object of a database; 0 for what is shared.
    pub fn object(database: u32, object: u32) -> Self {
        let key = u64::from(database) << 32 | u64::from(object);
        // Zero is everything.
        Self((key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - LAP_SHIFT)).max(1))
    }
}

/// What there was to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// These have changed; none, mostly.
    Changed(Vec<Changed>),
    /// Anything may have.
    TooMany,
}

/// Up to where a session has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position(u64);

/// The ring, as all processes see it.
#[derive(Clone, Copy)]
pub struct Invalidations<'s> {
    words: &'s InvalidationWords,
}

fn lap(position: u64) -> u64 {
    // Never zero, which an entry is before anybody wrote it.
    (position / ENTRIES as u64 % 0xffff) + 1
}

impl<'s> Invalidations<'s> {
    /// What the plan of a segment must hold.
    pub fn region_specs() -> Vec<RegionSpec> {
        vec![RegionSpec::of::<InvalidationWords>("invalidations", VERSION, 1)]
    }

    /// Finds the region of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment) -> Result<Self, SegmentError> {
        match segment.region::<InvalidationWords>("invalidations", VERSION)? {
            [words] => Ok(Self { words }),
            _ => {
                Err(SegmentError::Region { name: "invalidations".into(), problem: "has a wrong size".into() })
            }
        }
    }

    /// Where a session begins that has cached nothing yet.
    pub fn position(&self) -> Position {
        Position(self.words.next.load(SeqCst))
    }

    /// Tells everybody.
    pub fn send(&self, changed: impl IntoIterator<Item = Changed>) {
        for Changed(what) in changed {
            let position = self.words.next.fetch_add(1, SeqCst);
            let entry = &self.words.entries[position as usize % ENTRIES];
            entry.store(lap(position) << LAP_SHIFT | what, SeqCst);
        }
    }

    /// What has changed since a session's last look.
    #[inline]
    pub fn read(&self, position: &mut Position) -> News {
        if self.words.next.load(SeqCst) == position.0 {
            return News::Changed(Vec::new());
        }
        self.read_more(position)
    }

    #[cold]
    fn read_more(&self, position: &mut Position) -> News {
        let end = self.words.next.load(SeqCst);
        if end - position.0 > ENTRIES as u64 {
            position.0 = end;
            return News::TooMany;
        }
        let mut changed = Vec::new();
        while position.0 < end {
            let entry = self.words.entries[position.0 as usize % ENTRIES].load(SeqCst);
            if entry >> LAP_SHIFT != lap(position.0) {
                return News::TooMany;
            }
            changed.push(Changed(entry & WHAT));
            position.0 += 1;
        }
        News::Changed(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::World;

    #[test]
    fn readers_get_every_message_or_are_told_to_forget_everything() {
        let world = World::new(16);
        let ring = world.engine.invalidations;
        let mut position = ring.position();
        assert_eq!(ring.read(&mut position), News::Changed(Vec::new()));
        let some = [Changed::object(5, 16384), Changed::EVERYTHING, Changed::object(0, 16384)];
        ring.send(some);
        assert_eq!(ring.read(&mut position), News::Changed(some.to_vec()));
        assert_eq!(ring.read(&mut position), News::Changed(Vec::new()));
        let mut late = position;
        for round in 0..3 * ENTRIES as u32 {
            ring.send([Changed::object(5, round)]);
            assert_eq!(ring.read(&mut position), News::Changed(vec![Changed::object(5, round)]), "{round}");
        }
        assert_eq!(ring.read(&mut late), News::TooMany);
        assert_eq!(ring.read(&mut late), News::Changed(Vec::new()));
    }

    #[test]
    fn an_entry_that_is_not_written_yet_is_waited_for() {
        let world = World::new(16);
        let ring = world.engine.invalidations;
        let mut position = ring.position();
        let taken = ring.words.next.fetch_add(1, SeqCst);
        ring.send([Changed::object(5, 2)]);
        assert_eq!(ring.read(&mut position), News::TooMany);
        assert_eq!(ring.read(&mut position), News::TooMany, "its writer may be about to write it");
        ring.words.entries[taken as usize].store(lap(taken) << LAP_SHIFT | 7, SeqCst);
        assert_eq!(ring.read(&mut position), News::Changed(vec![Changed(7), Changed::object(5, 2)]));
    }
}
