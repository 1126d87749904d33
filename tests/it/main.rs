//! The integration tests: one binary that drives the real server and its process runtime.
//!
//! It carries a runner of its own (`harness`), because the runtime's fork refuses a process with
//! more than one thread, and libtest runs every test in a thread. A new module of tests exports
//! `pub const TESTS: &[Test] = tests![…];` and is named here twice: as `mod` and in the table.
mod control;
mod harness;
mod harness_selftest;
mod ipc;
mod seccomp;
mod server;
mod txn;
mod world;

use std::process::ExitCode;

use harness::Test;

/// Every module's tests, in the order in which they run.
const MODULES: &[&[Test]] = &[
    harness_selftest::TESTS,
    seccomp::TESTS,
    ipc::TESTS[0],
    ipc::TESTS[1],
    ipc::TESTS[2],
    ipc::TESTS[3],
    ipc::TESTS[4],
    txn::TESTS,
    server::TESTS[0],
    server::TESTS[1],
    server::TESTS[2],
    server::TESTS[3],
    server::TESTS[4],
    server::TESTS[5],
    control::TESTS,
];

fn main() -> ExitCode {
    harness::main(MODULES)
}
