//! Where randomness in tests comes from: one seed per run, and a small generator.
//!
//! Every run draws a fresh seed unless `--seed` or `TUSKD_SEED` gives one; a failure prints it, so
//! that the same choices can be made again. Every test starts from the same seed, so that running
//! one test alone repeats what it did within the whole suite.
use std::fmt;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// This test process's seed, set before the test starts.
static CURRENT: OnceLock<Seed> = OnceLock::new();

/// What a run's random choices start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the running test.
    pub fn current() -> Self {
        *CURRENT.get().expect("a seed is set before a test starts")
    }

    /// A generator that starts from this seed.
    pub fn rng(self) -> Rng {
        Rng { state: self.0 }
    }

    /// A seed nobody chose, short enough to be typed.
    pub(super) fn fresh() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock = Self(since_1970.as_nanos() as u64 ^ u64::from(std::process::id()) << 40);
        Self(clock.rng().next_u64() & 0xffff_ffff)
    }

    /// Makes this the seed of the test that is about to run.
    pub(super) fn make_current(self) {
        CURRENT.set(self).expect("a test process runs one test");
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound - 1`. Its bias, at most `bound` in 2^64, is of no account here.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}
