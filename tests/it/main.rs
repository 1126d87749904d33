//! The integration tests: one binary that drives the real server and its process runtime.
//!
//! It carries a runner of its own (`harness`), because the runtime's fork refuses a process with
//! more than one thread, and libtest runs every test in a thread. A new module of tests exports
//! `pub const TESTS: &[Test] = tests![…];` and is named here twice: as `mod` and in the table.
mod access;
mod control;
mod harness;
mod harness_selftest;
mod heap;
mod ipc;
mod power;
mod seccomp;
mod server;
mod storage;
mod store;
mod txn;
mod wal;
mod world;

use std::process::ExitCode;

use harness::Test;

/// Every module's tests, in the order in which they run.
const MODULES: &[&[&[Test]]] = &[
    &[harness_selftest::TESTS, seccomp::TESTS],
    &ipc::TESTS,
    &wal::TESTS,
    &storage::TESTS,
    &store::TESTS,
    &[txn::TESTS, heap::TESTS],
    &access::TESTS,
    &server::TESTS,
    &[control::TESTS],
];

fn main() -> ExitCode {
    if let Some(code) = server::workers::programs::serve_if_asked() {
        return code;
    }
    harness::main(&MODULES.concat())
}
