//! The store as a whole, under processes: rows, indexes, transactions, checkpoints, vacuum; power failures and kills.

mod bank;
mod damage;
mod definitions;
mod faults;
mod faulty_disk;
mod full_disk;
mod kills;
mod late_disk;
mod log_damage;
mod power_failure;
mod protocols;
mod random_rows;
mod store_world;

use crate::harness::Test;

/// All tests of the store.
pub const TESTS: [&[Test]; 9] = [
    power_failure::TESTS,
    kills::TESTS,
    definitions::TESTS,
    faults::TESTS,
    full_disk::TESTS,
    damage::TESTS,
    log_damage::TESTS,
    protocols::TESTS,
    random_rows::TESTS,
];
