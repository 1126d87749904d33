//! `cargo xtask torture`: the tests of power failures and kills again and again, with new seeds, for as long as one likes.
//!
//! Each round is a run of the test as CI has it, of a release build with stop points; the first failure ends it and names
//! the seed that repeats it.

use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::workspace;

/// What is tortured.
#[derive(clap::Subcommand)]
pub enum Torture {
    /// States of a disk, as power failures leave it, are recovered and checked.
    Power {
        /// States of the store, at least.
        #[arg(long, default_value_t = 10_000)]
        states: u64,
    },
    /// All processes are killed, and what they leave is recovered and checked.
    Kill {
        /// Kills, at least.
        #[arg(long, default_value_t = 500)]
        kills: u64,
    },
}

/// States, or kills, of one round: few enough for the test's time.
const STATES_PER_ROUND: u64 = 2000;
const KILLS_PER_ROUND: u64 = 60;

/// Styles of the store's power failure test; each has so many states.
const STYLES: u64 = 3;

/// Runs it.
pub fn run(torture: &Torture) -> Result<()> {
    let (what, test, variable, goal, per_round, per_test) = match *torture {
        Torture::Power { states } => (
            "states",
            "store::power_failure::the_store_survives_power_failures",
            "TUSKD_CRASH_STATES",
            states,
            STATES_PER_ROUND,
            STATES_PER_ROUND / STYLES,
        ),
        Torture::Kill { kills } => (
            "kills",
            "store::kills::the_store_survives_kills",
            "TUSKD_KILLS",
            kills,
            KILLS_PER_ROUND,
            KILLS_PER_ROUND,
        ),
    };
    let started = Instant::now();
    let mut done = 0;
    while done < goal {
        let mut command = workspace::cargo();
        command
            .args(["test", "--quiet", "--package", "tuskd", "--test", "it", "--release"])
            .args(["--features", "stop-points", "--", "--exact", test])
            .env(variable, per_test.to_string());
        let mut passed = false;
        let status = workspace::run_watched(&mut command, |line| {
            passed |= line.starts_with("test result: ok. 1 passed");
        })?;
        if !status.success() {
            bail!("torture: FAILED behind {done} {what} ({status})");
        }
        ensure!(passed, "the test {test} did not run");
        done += per_round;
        println!("torture: {done} {what} survived in {:.0} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}
