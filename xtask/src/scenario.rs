//! Scenarios for `cargo xtask syscalls`: each performs one operation a given number of times, in processes
//! whose roles it announces, so that the calls each role makes per operation can be counted.
//!
//! To make the counts exact, whoever wakes somebody first waits, without system calls, until that one has said
//! that it sleeps. Without this, some sleeps and wake-ups would be saved by chance.

use anyhow::{Context, Result};

mod latches;
mod lwlocks;
mod messages;
mod statements;
mod world;

/// A name, what one operation is, and the function that performs it `count` times.
pub type Scenario = (&'static str, &'static str, fn(count: u64) -> Result<()>);

/// All scenarios, in the order in which they are reported.
pub const SCENARIOS: [Scenario; 13] = [
    (
        "write_one_byte",
        "write one byte to /dev/null: the counting itself adds nothing",
        messages::write_one_byte,
    ),
    ("latch_set_idle", "set the latch of a process that runs, and reset it", latches::set_idle),
    ("latch_round_trip", "ping wakes pong, pong wakes ping, both asleep between", latches::round_trip),
    ("condvar_broadcast_64", "one broadcast that wakes 64 waiters", latches::broadcast_to_64),
    ("lwlock_uncontended", "take a free LWLock shared, then exclusively", lwlocks::uncontended),
    ("lwlock_handoff", "release an LWLock that a writer sleeps for, and take it again", lwlocks::handoff),
    ("queue_64B", "send and receive 64 bytes through a queue of 64 KiB", messages::queue_64_bytes),
    ("wait_set_round_trip", "a request and its answer; the server in io_uring", messages::exchange_by_ring),
    (
        "wait_set_round_trip_epoll",
        "a request and its answer; the server in epoll",
        messages::exchange_by_epoll,
    ),
    (
        "select",
        "a constant select by the simple protocol, in a session of a server",
        statements::constant_select,
    ),
    ("select_prepared", "the same, prepared", statements::prepared_select),
    (
        "commit",
        "a transaction that writes a record and commits, in a session of a server",
        statements::commit,
    ),
    ("commit_async", "the same with synchronous_commit = off", statements::commit_asynchronously),
];

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
