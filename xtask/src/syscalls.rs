//! `cargo xtask syscalls`: how many system calls one operation costs, per process role.
//!
//! Each scenario runs twice under strace, in a process of its own, with different counts; the difference of
//! the two, divided by the difference of the counts, leaves out what start and end cost. strace slows every
//! call down, so a scenario whose processes race each other may sleep more often here than it does alone.
//!
//! Scenarios run in a release build, since debug builds make calls of their own to check themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::scenario::{self, SCENARIOS};
use crate::workspace;

const FEW: u64 = 1000;
const MANY: u64 = 3000;

/// The role of threads and processes that the scenario did not announce.
const UNANNOUNCED: &str = "other";

/// Below this a difference is chance: one call more or less in a whole run.
const NEGLIGIBLE: f64 = 1.5 / (MANY - FEW) as f64;

/// Calls by role and name.
type Counts = BTreeMap<(String, String), u64>;

/// Runs the named scenarios, or all, and prints the calls per operation.
pub fn run(names: &[String]) -> Result<()> {
    let scenarios = if names.is_empty() {
        SCENARIOS.to_vec()
    } else {
        names.iter().map(|name| scenario::find(name)).collect::<Result<_>>()?
    };
    let xtask = build_for_release()?;
    for (name, description, _) in scenarios {
        println!("{name}: {description}");
        let (few, many) = (trace(&xtask, name, FEW)?, trace(&xtask, name, MANY)?);
        print_table(&per_operation(&few, &many));
    }
    Ok(())
}

/// Builds ourselves once more, and the server. Returns where our program is.
fn build_for_release() -> Result<PathBuf> {
    let status = workspace::cargo()
        .args(["build", "--quiet", "--release", "--package", "xtask", "--package", "tuskd"])
        .status()?;
    if !status.success() {
        bail!("building xtask for release failed ({status})");
    }
    Ok(workspace::target_dir()?.join("release").join("xtask"))
}

/// Runs the scenario under strace and counts its calls.
fn trace(xtask: &Path, name: &str, count: u64) -> Result<Counts> {
    let folder = workspace::target_dir()?.join("syscalls").join(format!("{name}-{count}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).context("removing old traces")?;
    }
    fs::create_dir_all(&folder)?;
    let output = Command::new("strace")
        .args(["-f", "-ff", "-qq", "-s0", "-o"])
        .arg(folder.join("trace"))
        .arg(xtask)
        .args(["scenario", name, &count.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("starting strace (Debian: apt-get install strace)")?;
    if !output.status.success() {
        bail!("the scenario {name} under strace failed ({})", output.status);
    }
    count_calls(&folder, &roles(&String::from_utf8_lossy(&output.stdout)))
}

/// The lines `role NAME PID` among what a scenario printed, as roles by process id.
fn roles(printed: &str) -> BTreeMap<String, String> {
    let announcements = printed.lines().filter_map(|line| {
        let (role, pid) = line.strip_prefix("role ")?.rsplit_once(' ')?;
        Some((pid.to_owned(), role.to_owned()))
    });
    announcements.collect()
}

/// Adds up the traces in `folder`, which strace names `trace.PID`.
fn count_calls(folder: &Path, roles: &BTreeMap<String, String>) -> Result<Counts> {
    let mut counts = Counts::new();
    for path in traces(folder)? {
        let pid = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let role = roles.get(&pid).map_or(UNANNOUNCED, String::as_str);
        let trace = fs::read(&path)?;
        for call in String::from_utf8_lossy(&trace).lines().filter_map(call_name) {
            *counts.entry((role.to_owned(), call)).or_default() += 1;
        }
    }
    Ok(counts)
}

fn traces(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// The call that a line of a trace begins, for a futex with what it does; signals, exits and the ends of
/// interrupted calls begin none.
fn call_name(line: &str) -> Option<String> {
    let (name, arguments) = line.split_once('(')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let operation = arguments.split(", ").find_map(|argument| argument.strip_prefix("FUTEX_"));
    match operation.and_then(|operation| operation.split(|c| !is_name(c)).next()) {
        Some(operation) if name == "futex" => Some(format!("futex {operation}")),
        _ => Some(name.to_owned()),
    }
}

/// Calls per operation, without what both runs have in common.
fn per_operation(few: &Counts, many: &Counts) -> Vec<(String, String, f64)> {
    let mut table = Vec::new();
    let mut keys: Vec<_> = few.keys().chain(many.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let count = |counts: &Counts| counts.get(key).copied().unwrap_or(0) as f64;
        let calls = (count(many) - count(few)) / (MANY - FEW) as f64;
        if calls.abs() > NEGLIGIBLE {
            table.push((key.0.clone(), key.1.clone(), calls));
        }
    }
    table
}

/// One line per call, those of one role together, with the role's sum.
fn print_table(table: &[(String, String, f64)]) {
    for role in table.chunk_by(|(a, _, _), (b, _, _)| a == b) {
        let sum: f64 = role.iter().map(|(_, _, calls)| calls).sum();
        println!("  {:<24} {sum:>8.3} calls per operation", role[0].0);
        for (_, call, calls) in role {
            println!("    {call:<22} {calls:>8.3}");
        }
    }
    if table.is_empty() {
        println!("  no system call per operation");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(entries: &[(&str, &str, u64)]) -> Counts {
        let keyed = entries.iter().map(|(role, call, n)| (((*role).into(), (*call).into()), *n));
        keyed.collect()
    }

    #[test]
    fn what_both_runs_need_cancels_out() {
        let few = counts(&[("a", "write", 1003), ("a", "mmap", 20), ("b", "read", 500)]);
        let many = counts(&[("a", "write", 3003), ("a", "mmap", 21), ("b", "read", 1500)]);
        assert_eq!(
            per_operation(&few, &many),
            [("a".into(), "write".into(), 1.0), ("b".into(), "read".into(), 0.5)]
        );
    }

    #[test]
    fn only_beginnings_of_calls_count() {
        let name = |line| call_name(line).unwrap_or_default();
        assert_eq!(name("write(3, \"\"..., 1) = 1"), "write");
        assert_eq!(name("futex(0x7f, FUTEX_WAIT <unfinished ...>"), "futex WAIT");
        assert_eq!(name("futex(0x7f, FUTEX_WAKE_BITSET|FUTEX_CLOCK_REALTIME, 1) = 0"), "futex WAKE_BITSET");
        assert_eq!(call_name("<... futex resumed>) = 0"), None);
        assert_eq!(call_name("--- SIGUSR1 {si_signo=SIGUSR1, (x)} ---"), None);
        assert_eq!(call_name("+++ exited with 0 +++"), None);
    }

    #[test]
    fn roles_are_read_from_what_the_scenario_printed() {
        let found = roles("role the server 12\nhello\nrole client 13\n");
        assert_eq!(found["12"], "the server");
        assert_eq!(found["13"], "client");
    }
}
