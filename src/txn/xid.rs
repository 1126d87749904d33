//! Transaction ids and the state of each, as one word.

use std::fmt;

use super::locks::OwnerIndex;
use super::lsn::Lsn;

/// A transaction's id, never given out twice. Clients see its lower half as `xid`, all of it as `xid8`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Xid(u64);

impl Xid {
    /// The first that is given out; those below are committed from the beginning, as in PostgreSQL.
    pub const FIRST: Self = Self(3);
    /// The largest that a state's word can name.
    pub const MAX: Self = Self((1 << 60) - 1);

    /// The id of this number, `None` for zero, which is nobody's, and for what is too large.
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number > Self::MAX.0 { None } else { Some(Self(number)) }
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// What clients see as `xid`.
    pub const fn short(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of an id as the map has it.
///
/// | bits | what |
/// | --- | --- |
/// | 0..60 | owner's place, commit LSN, or parent's id |
/// | 60..64 | kind: 0 never written, 1 `Running`, 2 `Committing`, 3 `Committed`, 4 `Aborted`, 5 `Child`, 6 `CommittedLongAgo` |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The id was never given out, or it was and a crash took what was written.
    Unknown,
    /// The owner of the slot runs it, if the slot still says so.
    Running(OwnerIndex),
    /// Its commit record is being given a place in the log.
    Committing(OwnerIndex),
    /// Committed, by a record that ends here.
    Committed(Lsn),
    /// Rolled back.
    Aborted,
    /// A subtransaction, which ends as its parent does.
    Child(Xid),
    /// Committed, and visible to everybody.
    CommittedLongAgo,
}

const KIND: u32 = 60;
const VALUE: u64 = (1 << KIND) - 1;

impl State {
    /// Packs it.
    pub fn to_word(self) -> u64 {
        let (kind, value) = match self {
            Self::Unknown => (0, 0),
            Self::Running(owner) => (1, owner.index() as u64),
            Self::Committing(owner) => (2, owner.index() as u64),
            Self::Committed(lsn) => (3, lsn.bytes()),
            Self::Aborted => (4, 0),
            Self::Child(parent) => (5, parent.number()),
            Self::CommittedLongAgo => (6, 0),
        };
        debug_assert!(value <= VALUE, "too large for a state: {value:#x}");
        (kind as u64) << KIND | value & VALUE
    }

    /// Unpacks a word; what no tuskd wrote is unknown.
    pub fn from_word(word: u64) -> Self {
        let value = word & VALUE;
        match word >> KIND {
            1 => Self::Running(OwnerIndex::new(value as u32)),
            2 => Self::Committing(OwnerIndex::new(value as u32)),
            3 => Self::Committed(Lsn::new(value)),
            4 => Self::Aborted,
            5 => Xid::new(value).map_or(Self::Unknown, Self::Child),
            6 => Self::CommittedLongAgo,
            _ => Self::Unknown,
        }
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn states_survive_packing() {
        for state in [
            State::Unknown,
            State::Running(OwnerIndex::new(65_534)),
            State::Committing(OwnerIndex::new(0)),
            State::Committed(Lsn::MAX),
            State::Aborted,
            State::Child(Xid::MAX),
            State::CommittedLongAgo,
        ] {
            assert_eq!(State::from_word(state.to_word()), state);
        }
        for word in [5 << 60, 7 << 60, u64::MAX] {
            assert_eq!(State::from_word(word), State::Unknown, "{word:#x}");
        }
    }
}
