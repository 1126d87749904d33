//! `cargo xtask fuzz-protocol`: a mutation fuzzer over the wire codec's decoders.
//!
//! Each execution has a seed of its own, the run's seed plus its number, and makes everything it does of it: a valid
//! stream, changes to it, the pieces it is fed in. So `--seed S --executions 1` repeats an execution that failed; only
//! TLS's own random numbers differ. A debug build, as xtask is, also traps overflows.
//!
//! Nothing may panic, and the decoders may not ask for memory by lengths they were merely told: the process's address
//! space must not grow by more than a bound.

mod random;
mod targets;

use std::fs;
use std::panic;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use random::Random;
use targets::{TARGETS, Target, Tls};

/// Options of `fuzz-protocol`.
#[derive(clap::Args)]
pub struct Arguments {
    /// How long to run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The seed of the first execution; drawn from the clock if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Stop after so many executions, however long they take.
    #[arg(long)]
    executions: Option<u64>,
}

/// kB by which the address space may grow: far below the 1 GB that one message may claim to have.
const MAX_GROWTH_KB: u64 = 64 * 1024;
/// Executions between two looks at the clock and the memory.
const ROUND: u64 = 500;

/// Runs until time or executions are up, or one fails.
pub fn run(arguments: &Arguments) -> Result<()> {
    let seed = arguments.seed.unwrap_or_else(seed_from_clock);
    println!("fuzz-protocol: seed {seed}");
    let tls = Tls::new()?;
    let start = Instant::now();
    let end = start + Duration::from_secs(arguments.seconds);
    let mut counts = [0_u64; TARGETS.len()];
    let memory_before = peak_address_space_kb()?;
    let mut executions = 0;
    loop {
        if executions % ROUND == 0 && executions > 0 {
            check_memory(memory_before, seed, executions)?;
            if arguments.executions.is_none() && Instant::now() >= end {
                break;
            }
        }
        if arguments.executions.is_some_and(|most| executions >= most) {
            break;
        }
        counts[execute(seed.wrapping_add(executions), &tls)?] += 1;
        executions += 1;
    }
    print_summary(executions, &counts, start.elapsed());
    Ok(())
}

/// Runs one execution; returns its target's index.
fn execute(seed: u64, tls: &Tls) -> Result<usize> {
    let mut random = Random::new(seed);
    let chosen = choose(&mut random);
    let Target { name, run, .. } = TARGETS[chosen];
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| run(&mut random, tls)));
    let why = match outcome {
        Ok(Ok(())) => return Ok(chosen),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "panicked".to_owned(),
    };
    bail!("{name}: {why}; repeat it by: cargo xtask fuzz-protocol --seed {seed} --executions 1")
}

fn choose(random: &mut Random) -> usize {
    let mut ticket = random.below(TARGETS.iter().map(|target| target.weight).sum());
    TARGETS
        .iter()
        .position(|target| match ticket.checked_sub(target.weight) {
            Some(rest) => {
                ticket = rest;
                false
            }
            None => true,
        })
        .unwrap_or(0)
}

fn check_memory(before: u64, seed: u64, executions: u64) -> Result<()> {
    let now = peak_address_space_kb()?;
    ensure!(
        now <= before + MAX_GROWTH_KB,
        "the address space grew from {before} kB to {now} kB within the executions of seeds {} to {}",
        seed.wrapping_add(executions - ROUND),
        seed.wrapping_add(executions - 1)
    );
    Ok(())
}

/// The most address space this process ever had. Memory that is asked for and never touched counts too.
fn peak_address_space_kb() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let number =
        line.and_then(|line| line.split_whitespace().next()).context("no VmPeak in /proc/self/status")?;
    Ok(number.parse()?)
}

fn print_summary(executions: u64, counts: &[u64], elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    println!(
        "fuzz-protocol: {executions} executions in {seconds:.1} s, {:.0} per second, none failed",
        executions as f64 / seconds
    );
    for (target, count) in TARGETS.iter().zip(counts) {
        println!("  {}: {count}", target.name);
    }
}

fn seed_from_clock() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Its lower bits are the ones that differ.
    since.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_of_a_seed_repeat() {
        for seed in 0..100 {
            let (mut one, mut other) = (Random::new(seed), Random::new(seed));
            assert_eq!(choose(&mut one), choose(&mut other));
            assert_eq!(one.bytes(40), other.bytes(40));
        }
    }

    #[test]
    fn all_targets_are_reached_and_pass() {
        let tls = Tls::new().unwrap();
        let mut counts = [0; TARGETS.len()];
        for seed in 0..2000 {
            counts[execute(seed, &tls).unwrap()] += 1;
        }
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    }
}
