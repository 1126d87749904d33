//! The test process: calls one test function and exits with what came of it.
//!
//! A panic is not caught. It ends the process with code 101, after the usual message, and leaves
//! nothing of the test's state to be cleaned up by anyone but the kernel.
use std::process::ExitCode;

use rustix::thread::set_name;

use super::args::Args;
use super::{EXIT_SKIPPED, Skip, Test};

/// The line by which a test process tells the runner, and the reader, why it skipped.
pub fn skip_prefix(name: &str) -> String {
    format!("skipped: {name}: ")
}

/// Runs the test on this, the only thread.
pub fn run(test: &'static Test, args: &Args) -> ExitCode {
    args.seed.make_current();
    name_this_process(test);
    let pid = std::process::id();
    let result = (test.run)();
    if std::process::id() != pid {
        eprintln!("a process forked by {} returned from the test function", test.name());
        std::process::abort();
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Skip(reason)) => {
            println!("{}{reason}", skip_prefix(test.name()));
            ExitCode::from(EXIT_SKIPPED)
        }
    }
}

/// Shows the function's name in `ps` and in timeout reports; started through /proc/self/exe, it
/// would be called `exe`.
fn name_this_process(test: &Test) {
    let function = test.name().rsplit("::").next().unwrap_or_default();
    let comm = std::ffi::CString::new(&function[..function.len().min(15)])
        .expect("a function's name contains no zero byte");
    set_name(&comm).expect("naming this thread");
}
