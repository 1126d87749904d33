//! Interrupts: one bit each in a process's slot, set with its latch by whoever has something for it.
//!
//! A wait ends when a bit is pending that its process does not hold off; what to do about it is the caller's business.

use std::ops::BitOr;

/// A set of interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Interrupts(u32);

impl Interrupts {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self(u32::MAX);
    /// Cancel the running statement.
    pub const CANCEL: Self = Self(1);
    /// End the session, or the process.
    pub const TERMINATE: Self = Self(1 << 1);
    /// Read the configuration again.
    pub const RELOAD: Self = Self(1 << 2);
    /// The postmaster is dead.
    pub const POSTMASTER_DEATH: Self = Self(1 << 3);
    /// Everybody is to pass a point (a barrier over all processes).
    pub const BARRIER: Self = Self(1 << 4);
    /// A timeout of this process came due.
    pub const TIMEOUT: Self = Self(1 << 5);
    /// Messages from other processes are waiting.
    pub const MESSAGE: Self = Self(1 << 6);

    /// SIGFPE came.
    pub const FLOATING_POINT: Self = Self(1 << 8);
    /// Leave, for processes that outlive sessions in an orderly stop.
    pub const LEAVE: Self = Self(1 << 7);

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set of these bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether it has any.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has all of `other`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those in both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in this one only.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Interrupts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
