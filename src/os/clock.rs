//! Points in time of `CLOCK_MONOTONIC`.
//!
//! All waits in tuskd take an absolute deadline on this clock, so that a wait repeated after a signal
//! or a spurious wake-up does not start its time anew. Reading it goes through the vDSO and enters no
//! kernel.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds of `CLOCK_MONOTONIC`: the same clock in every process of the machine, starting near
/// boot, never set back, standing still during suspend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Monotonic(u64);

impl Monotonic {
    /// Now.
    #[inline]
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        // Neither field of this clock is ever negative.
        Self(time.tv_sec as u64 * NANOS_PER_SECOND + time.tv_nsec as u64)
    }

    /// Nanoseconds since the clock's start.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The inverse of [`Monotonic::as_nanos`], for times kept in shared memory.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// This time plus `duration`, or the end of the clock (in 584 years) if that is later.
    #[inline]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// Time passed since `earlier`; zero if `earlier` is in fact later.
    #[inline]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The form in which absolute timeouts enter the kernel.
    #[inline]
    pub(super) const fn to_timespec(self) -> Timespec {
        Timespec { tv_sec: (self.0 / NANOS_PER_SECOND) as i64, tv_nsec: (self.0 % NANOS_PER_SECOND) as i64 }
    }

    /// What remains until this time, as relative timeouts enter the kernel; zero if it has passed.
    #[inline]
    pub(super) fn remaining(self) -> Timespec {
        Self(self.0.saturating_sub(Self::now().0)).to_timespec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back() {
        let first = Monotonic::now();
        assert!(Monotonic::now() >= first);
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Monotonic::from_nanos(u64::MAX);
        assert_eq!(end.saturating_add(Duration::from_secs(1)), end);
        assert_eq!(Monotonic::from_nanos(1).saturating_add(Duration::MAX), end);
        assert_eq!(Monotonic::from_nanos(5).saturating_since(end), Duration::ZERO);
        assert_eq!(end.remaining().tv_nsec / 1_000_000_000, 0);
    }

    #[test]
    fn splits_into_seconds() {
        let time = Monotonic::from_nanos(3_000_000_007).to_timespec();
        assert_eq!((time.tv_sec, time.tv_nsec), (3, 7));
    }
}
