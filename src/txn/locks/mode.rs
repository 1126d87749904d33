//! The eight lock modes and which of them exclude each other.

/// A lock mode, by PostgreSQL's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u32)]
pub enum LockMode {
    /// `SELECT`.
    AccessShare = 1,
    /// `SELECT … FOR UPDATE` and its kin.
    RowShare = 2,
    /// `INSERT`, `UPDATE`, `DELETE`.
    RowExclusive = 3,
    /// `VACUUM`, `CREATE INDEX CONCURRENTLY`.
    ShareUpdateExclusive = 4,
    /// `CREATE INDEX`.
    Share = 5,
    /// Like exclusive, but beside row share.
    ShareRowExclusive = 6,
    /// Beside readers only.
    Exclusive = 7,
    /// Beside nobody.
    AccessExclusive = 8,
}

/// A set of lock modes; bit `n - 1` is mode `n`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ModeSet(u32);

use LockMode::*;

/// For each mode the modes that it excludes: PostgreSQL's table of conflicting lock modes.
const CONFLICTS: [ModeSet; 8] = [
    ModeSet::of(&[AccessExclusive]),
    ModeSet::of(&[Exclusive, AccessExclusive]),
    ModeSet::of(&[Share, ShareRowExclusive, Exclusive, AccessExclusive]),
    ModeSet::of(&[ShareUpdateExclusive, Share, ShareRowExclusive, Exclusive, AccessExclusive]),
    ModeSet::of(&[RowExclusive, ShareUpdateExclusive, ShareRowExclusive, Exclusive, AccessExclusive]),
    ModeSet::of(&[RowExclusive, ShareUpdateExclusive, Share, ShareRowExclusive, Exclusive, AccessExclusive]),
    ModeSet::of(&[
        RowShare,
        RowExclusive,
        ShareUpdateExclusive,
        Share,
        ShareRowExclusive,
        Exclusive,
        AccessExclusive,
    ]),
    ModeSet::ALL,
];

impl LockMode {
    /// All of them, weakest first.
    pub const ALL: [Self; 8] = [
        AccessShare,
        RowShare,
        RowExclusive,
        ShareUpdateExclusive,
        Share,
        ShareRowExclusive,
        Exclusive,
        AccessExclusive,
    ];

    /// The mode of PostgreSQL's number; `None` if there is none.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get((number as usize).checked_sub(1)?).copied()
    }

    /// PostgreSQL's number.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its place in arrays by mode.
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// The modes that exclude it.
    pub const fn conflicts(self) -> ModeSet {
        CONFLICTS[self.index()]
    }

    /// Name in `pg_locks` and messages.
    pub const fn name(self) -> &'static str {
        match self {
            AccessShare => "AccessShareLock",
            RowShare => "RowShareLock",
            RowExclusive => "RowExclusiveLock",
            ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Share => "ShareLock",
            ShareRowExclusive => "ShareRowExclusiveLock",
            Exclusive => "ExclusiveLock",
            AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// Modes that never exclude each other, and so may be held by the fast path.
    pub const fn is_weak(self) -> bool {
        (self as u32) < ShareUpdateExclusive as u32
    }

    /// Modes that exclude a weak one, so that fast paths have to be looked through first.
    pub const fn is_strong(self) -> bool {
        self as u32 > ShareUpdateExclusive as u32
    }
}

impl ModeSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// All eight.
    pub const ALL: Self = Self(0xff);

    /// The set of these.
    pub const fn of(modes: &[LockMode]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < modes.len() {
            bits |= 1 << modes[i].index();
            i += 1;
        }
        Self(bits)
    }

    /// The set of one.
    pub const fn one(mode: LockMode) -> Self {
        Self(1 << mode.index())
    }

    /// The set of these bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0xff)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has this one.
    pub const fn has(self, mode: LockMode) -> bool {
        self.0 & 1 << mode.index() != 0
    }

    /// These and that.
    #[must_use]
    pub const fn with(self, mode: LockMode) -> Self {
        Self(self.0 | 1 << mode.index())
    }

    /// These without that.
    #[must_use]
    pub const fn without(self, mode: LockMode) -> Self {
        Self(self.0 & !(1 << mode.index()))
    }

    /// Whether both have one.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of them is strong.
    pub const fn has_strong(self) -> bool {
        self.0 >> ShareUpdateExclusive as u32 != 0
    }

    /// Its modes, weakest first.
    pub fn iter(self) -> impl Iterator<Item = LockMode> {
        LockMode::ALL.into_iter().filter(move |mode| self.has(*mode))
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    /// The table of the documentation, "Conflicting Lock Modes", row by row: X where two exclude each other.
    const DOCUMENTED: [&str; 8] =
        [".......X", "......XX", "....XXXX", "...XXXXX", "..XX.XXX", "..XXXXXX", ".XXXXXXX", "XXXXXXXX"];

    #[test]
    fn conflicts_are_the_documented_ones() {
        for (mode, row) in LockMode::ALL.into_iter().zip(DOCUMENTED) {
            for (other, mark) in LockMode::ALL.into_iter().zip(row.chars()) {
                assert_eq!(mode.conflicts().has(other), mark == 'X', "{mode:?} {other:?}");
                assert_eq!(mode.conflicts().has(other), other.conflicts().has(mode), "it is symmetric");
            }
        }
    }

    #[test]
    fn weak_modes_conflict_with_strong_ones_only() {
        for mode in LockMode::ALL {
            assert_eq!(LockMode::from_number(mode.number()), Some(mode));
            for other in mode.conflicts().iter().filter(|_| mode.is_weak()) {
                assert!(other.is_strong(), "{mode:?} {other:?}");
            }
            assert_eq!(ModeSet::one(mode).has_strong(), mode.is_strong());
        }
        assert_eq!((LockMode::from_number(0), LockMode::from_number(9)), (None, None));
    }
}
