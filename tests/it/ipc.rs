//! The runtime's primitives between real processes: they hammer them, die in the middle, and the survivors are checked.

mod deaths;
mod hammer;
mod io_outlives;
mod machine;
mod wait_sets;

use crate::harness::Test;

/// All tables of this folder.
pub const TESTS: [&[Test]; 5] =
    [deaths::TESTS, hammer::TESTS, io_outlives::TESTS, machine::TESTS, wait_sets::TESTS];
