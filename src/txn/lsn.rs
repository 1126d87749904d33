//! Places in the log, as transactions know them: numbers that rise.

use std::fmt;

/// A byte position in the log. A commit's is that of its record's end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Lsn(u64);

impl Lsn {
    /// No position.
    pub const INVALID: Self = Self(0);
    /// Behind every position there will ever be; fits a state's word.
    pub const MAX: Self = Self((1 << 60) - 1);

    /// The position `bytes` from the log's beginning.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes from the log's beginning.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Whether this is a position at all.
    pub const fn is_valid(self) -> bool {
        self.0 != 0
    }
}

/// As PostgreSQL writes it: the upper and the lower half in hexadecimal.
impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 as u32)
    }
}
