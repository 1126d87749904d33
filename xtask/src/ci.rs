//! `cargo xtask ci`: everything a change must pass, in the order in which failures are cheapest to find.
//!
//! Each step's output goes through unchanged. Two kinds of lines are remembered and repeated at the end,
//! where they can be found: the tests' `test result:` lines, and what was skipped. A test that cannot run
//! here says so by a line `skipped: WHAT: WHY` written to `std::io::stdout()` itself, since libtest hides
//! what `println!` prints.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::workspace;

/// One step: a call of cargo, or of ourselves.
struct Step {
    name: &'static str,
    program: Program,
    arguments: &'static [&'static str],
    /// A flags variable and what to add to it.
    flags: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy)]
enum Program {
    Cargo,
    Xtask,
}

const fn step(name: &'static str, program: Program, arguments: &'static [&'static str]) -> Step {
    Step { name, program, arguments, flags: None }
}

const STEPS: [Step; 9] = [
    step("format", Program::Cargo, &["fmt", "--all", "--check"]),
    step("clippy", Program::Cargo, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    step("tidy", Program::Xtask, &["tidy"]),
    step("tests", Program::Cargo, &["test", "--workspace"]),
    step(
        "integration tests, release",
        Program::Cargo,
        &["test", "--package", "tuskd", "--test", "it", "--release", "--features", "stop-points"],
    ),
    step("fuzzing the protocol for 60 s", Program::Xtask, &["fuzz-protocol", "--seconds", "60"]),
    step("models", Program::Xtask, &["models", "--bounded"]),
    Step {
        flags: Some(("RUSTDOCFLAGS", "-D warnings")),
        ..step("docs", Program::Cargo, &["doc", "--no-deps", "--workspace"])
    },
    step("benches build", Program::Cargo, &["bench", "--no-run"]),
];

/// Free huge pages of 2 MB that the tests on huge pages need.
const HUGE_PAGES: u64 = 64;

/// Programs some tests start, and those tests.
const PROGRAMS: [(&str, &str); 4] = [
    ("psql", "tests that speak to tuskd through psql"),
    ("pgbench", "tests under pgbench's load"),
    ("cc", "comparing the shared types with their C header"),
    ("strace", "counting system calls"),
];

/// What is repeated at the end.
#[derive(Default)]
struct Remembered {
    results: Vec<String>,
    skipped: Vec<String>,
}

/// Runs the steps until one fails, then sums up.
pub fn run() -> Result<()> {
    let mut remembered = Remembered::default();
    remembered.skipped.extend(lacking_huge_pages());
    remembered.skipped.extend(lacking_programs());
    for (passed, step) in STEPS.iter().enumerate() {
        if let Err(error) = run_step(step, &mut remembered) {
            remembered.print();
            bail!("ci: FAILED in step {} of {}, {} ({error:#})", passed + 1, STEPS.len(), step.name);
        }
    }
    remembered.print();
    println!("ci: {} steps passed", STEPS.len());
    Ok(())
}

fn run_step(step: &Step, remembered: &mut Remembered) -> Result<()> {
    println!("== {}", step.name);
    let start = Instant::now();
    let status = workspace::run_watched(&mut command(step), |line| remembered.see(line))?;
    let seconds = start.elapsed().as_secs_f64();
    if !status.success() {
        println!("== {}: failed after {seconds:.1} s", step.name);
        bail!("{status}");
    }
    println!("== {}: passed in {seconds:.1} s", step.name);
    Ok(())
}

fn command(step: &Step) -> Command {
    let mut command = match step.program {
        Program::Cargo => workspace::cargo(),
        // Not by path: a step before may have built us anew, and then no file is where we were started from.
        Program::Xtask => Command::new("/proc/self/exe"),
    };
    command.args(step.arguments);
    if let Some((variable, more)) = step.flags {
        command.env(variable, workspace::flags(variable, more));
    }
    command
}

impl Remembered {
    fn see(&mut self, line: &str) {
        if line.starts_with("test result: ") {
            self.results.push(line.to_owned());
        }
        // With one test thread libtest has begun the line: `test NAME ... skipped: …`.
        if let Some((before, what)) = line.split_once("skipped: ")
            && (before.is_empty() || before.ends_with("... "))
        {
            self.skipped.push(what.to_owned());
        }
    }

    fn print(&self) {
        println!("== summary");
        let mut skipped = self.skipped.clone();
        skipped.sort();
        skipped.dedup();
        for what in skipped {
            println!("skipped: {what}");
        }
        for result in &self.results {
            println!("{result}");
        }
        let (passed, failed) = (self.sum(" passed;"), self.sum(" failed;"));
        println!("{passed} passed, {failed} failed");
    }

    /// The sum of the numbers that stand before `what` in the result lines.
    fn sum(&self, what: &str) -> u64 {
        let numbers = self.results.iter().filter_map(|line| {
            let (before, _) = line.split_once(what)?;
            before.rsplit(' ').next()?.parse::<u64>().ok()
        });
        numbers.sum()
    }
}

fn lacking_huge_pages() -> Option<String> {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = free_huge_pages(&meminfo);
    (free < HUGE_PAGES).then(|| {
        format!(
            "tests on huge pages: {free} pages are free, {HUGE_PAGES} are needed (/proc/sys/vm/nr_hugepages)"
        )
    })
}

fn free_huge_pages(meminfo: &str) -> u64 {
    let mut counts = meminfo.lines().filter_map(|line| line.strip_prefix("HugePages_Free:"));
    counts.next().and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

fn lacking_programs() -> Vec<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| env::split_paths(&path).any(|folder| folder.join(program).exists());
    let lacking = PROGRAMS.iter().filter(|(program, _)| !is_there(program));
    lacking.map(|(program, tests)| format!("{tests}: {program} is not installed")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed_and_skips_found() {
        let mut remembered = Remembered::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test a ... skipped: huge pages: none",
            "skipped: psql: not there",
            "test what_is_skipped ... ok",
        ] {
            remembered.see(line);
        }
        assert_eq!((remembered.sum(" passed;"), remembered.sum(" failed;")), (15, 2));
        assert_eq!(remembered.skipped, ["huge pages: none", "psql: not there"]);
    }

    #[test]
    fn huge_pages_are_read_from_meminfo() {
        assert_eq!(free_huge_pages("HugePages_Total:      80\nHugePages_Free:       64\n"), 64);
        assert_eq!(free_huge_pages(""), 0);
    }
}
