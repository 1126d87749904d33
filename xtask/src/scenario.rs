//! Scenarios for `cargo xtask syscalls`: each performs one operation a given number of times, in processes
//! whose roles it announces, so that the calls each role makes per operation can be counted.

use std::fs::File;
use std::io::Write;
use std::process;

use anyhow::{Context, Result};

/// A name, what one operation is, and the function that performs it `count` times.
pub type Scenario = (&'static str, &'static str, fn(count: u64) -> Result<()>);

/// All scenarios, in the order in which they are reported.
pub const SCENARIOS: [Scenario; 1] = [(
    "write_one_byte",
    "write one byte to /dev/null: shows that the counting itself adds nothing",
    write_one_byte,
)];

/// Performs the scenario called `name` `count` times.
pub fn run(name: &str, count: u64) -> Result<()> {
    let (_, _, perform) = find(name)?;
    perform(count)
}

/// The scenario called `name`; an unknown name is answered with those there are.
pub fn find(name: &str) -> Result<Scenario> {
    let found = SCENARIOS.iter().find(|(known, _, _)| *known == name);
    found.copied().with_context(|| {
        let known: Vec<_> = SCENARIOS.iter().map(|(name, _, _)| *name).collect();
        format!("no scenario {name}; there are: {}", known.join(", "))
    })
}

/// Tells `syscalls` that process `pid` plays `role`; processes of one role are added up.
fn announce(role: &str, pid: u32) {
    println!("role {role} {pid}");
}

fn write_one_byte(count: u64) -> Result<()> {
    announce("writer", process::id());
    let mut null = File::options().write(true).open("/dev/null")?;
    for _ in 0..count {
        null.write_all(b"x")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = find("gone").unwrap_err().to_string();
        assert!(error.contains("no scenario gone") && error.contains("write_one_byte"));
    }

    #[test]
    fn names_are_unique() {
        for (name, _, _) in SCENARIOS {
            assert_eq!(SCENARIOS.iter().filter(|(other, _, _)| *other == name).count(), 1);
        }
    }
}
