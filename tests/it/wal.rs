//! The write-ahead log between real processes: they insert and flush, die anywhere, lose power; what was acknowledged is
//! there afterwards, and nothing is there by half.

mod dump;
mod kills;
mod power_failure;
mod wal_world;

use crate::harness::Test;

/// All tables of this folder.
pub const TESTS: [&[Test]; 3] = [dump::TESTS, kills::TESTS, power_failure::TESTS];
