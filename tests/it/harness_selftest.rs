//! The harness, tested by ordinary tests: what it promises to each of them.
//!
//! That failing, hanging, crashing and leaking tests are reported as such cannot stand here, since
//! such tests fail.
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgid, getpid, kill_process};

use crate::harness::{Rng, Seed, Skip, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_skip_is_counted_as_ignored,
    a_test_has_one_thread,
    a_child_joins_the_tests_group,
    an_orphan_is_reaped,
    a_timeout_may_be_given: 5,
    the_generator_is_splitmix64,
    the_seed_repeats_the_same_choices,
];

fn a_skip_is_counted_as_ignored() -> Result<(), Skip> {
    Err(Skip("this test shows what a skip looks like".to_owned()))
}

fn a_test_has_one_thread() {
    let threads = fs::read_dir("/proc/self/task").expect("/proc is mounted").count();
    assert_eq!(threads, 1, "a test must be able to fork");
}

/// The group is what a test signals to reach all its processes; it must not contain the runner.
fn a_child_joins_the_tests_group() {
    assert_eq!(getpgid(None), Ok(getpid()), "a test leads its own group");
    let mut child = Command::new("sleep").arg("1000").spawn().expect("starting sleep");
    assert_eq!(getpgid(Some(Pid::from_child(&child))), Ok(getpid()));
    child.kill().expect("killing the child");
    child.wait().expect("reaping the child");
}

/// A test that kills a server waits until the server's children are gone. They are orphans then,
/// and would stay zombies for ever if the supervisor reaped only at the end of the test.
fn an_orphan_is_reaped() {
    let shell = Command::new("sh")
        .args(["-c", "sleep 1000 > /dev/null 2>&1 & echo $!"])
        .stdin(Stdio::null())
        .output()
        .expect("running a shell that leaves an orphan");
    let orphan = String::from_utf8_lossy(&shell.stdout).trim().parse().expect("a process id");
    let orphan = Pid::from_raw(orphan).expect("a process id");
    kill_process(orphan, Signal::KILL).expect("killing the orphan");
    while rustix::process::test_kill_process(orphan).is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn a_timeout_may_be_given() {}

/// The first outputs for seed 1234567, as other implementations give them.
fn the_generator_is_splitmix64() {
    let mut rng: Rng = Seed(1_234_567).rng();
    assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
    assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
}

fn the_seed_repeats_the_same_choices() {
    let choices = || {
        let mut rng = Seed::current().rng();
        (0..100).map(|_| rng.below(6)).collect::<Vec<_>>()
    };
    assert_eq!(choices(), choices());
    assert!(choices().iter().all(|&choice| choice < 6));
}
