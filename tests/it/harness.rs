//! A test runner that gives every test a process, and lets none leave one behind.
//!
//! Three roles of the same binary, each started by the one above it:
//!
//! - the *runner* reads the command line (libtest's, as far as `cargo test` and nextest use it),
//!   starts a supervisor per selected test, and prints the report;
//! - a *supervisor* (`--supervise`) watches one test: it reaps whatever the test orphans, enforces
//!   the timeout, and finds and kills what the test left running;
//! - a *test process* (`--in-process`) calls one test function on its main thread, with no other
//!   thread beside it, in a process group of its own. Start one by hand to use gdb or strace.
//!
//! A test passes by returning, fails by panicking, dying, outliving its timeout or leaving a
//! process behind, and is skipped by returning [`Skip`].
mod args;
mod in_process;
mod processes;
mod runner;
mod seed;
mod supervisor;

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Role};
pub use seed::{Rng, Seed};

/// How long a test may take unless its table says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Exit code of a test process, and of its supervisor, for a test that returned [`Skip`].
const EXIT_SKIPPED: u8 = 77;

/// Exit code for a failure: what a panic in `main` gives, and what libtest gives.
const EXIT_FAILED: u8 = 101;

/// Returned by a test that cannot run here; says why.
#[derive(Debug)]
pub struct Skip(pub String);

/// What a test function may return.
pub trait Outcome {
    /// Turns it into the form the table holds.
    fn into_result(self) -> Result<(), Skip>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), Skip> {
        Ok(())
    }
}

impl Outcome for Result<(), Skip> {
    fn into_result(self) -> Result<(), Skip> {
        self
    }
}

/// One row of a module's table of tests; made by [`tests!`].
pub struct Test {
    path: &'static str,
    run: fn() -> Result<(), Skip>,
    timeout: Duration,
}

impl Test {
    /// A test with its path, crate name included, and the default timeout.
    pub const fn new(path: &'static str, run: fn() -> Result<(), Skip>) -> Self {
        Self { path, run, timeout: DEFAULT_TIMEOUT }
    }

    /// The same test with a timeout of its own, in seconds.
    pub const fn with_timeout_s(mut self, timeout_s: u64) -> Self {
        self.timeout = Duration::from_secs(timeout_s);
        self
    }

    /// The name as it is printed and matched: `module::function`, without the crate's name.
    fn name(&self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_, name)| name)
    }
}

/// A module's table: `tests![checks_a, checks_b, takes_long: 300]`, the number being the test's
/// timeout in seconds.
macro_rules! tests {
    ($($function:ident $(: $timeout_s:literal)?),+ $(,)?) => {
        &[$(
            $crate::harness::Test::new(
                concat!(module_path!(), "::", stringify!($function)),
                || $crate::harness::Outcome::into_result($function()),
            )$(.with_timeout_s($timeout_s))?
        ),+]
    };
}
pub(crate) use tests;

/// Does what the command line asks, in whichever role it names.
pub fn main(modules: &[&'static [Test]]) -> ExitCode {
    let tests: Vec<&'static Test> = modules.iter().copied().flatten().collect();
    assert_names_are_unique(&tests);
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    match args.role {
        Role::Run => runner::run(&tests, &args),
        Role::List { terse } => runner::list(&tests, &args, terse),
        Role::Supervise => supervisor::supervise(the_selected_test(&tests, &args), &args),
        Role::InProcess => in_process::run(the_selected_test(&tests, &args), &args),
    }
}

/// Two tests of one name could not be told apart by `--exact`.
fn assert_names_are_unique(tests: &[&'static Test]) {
    let mut seen = HashSet::new();
    for test in tests {
        assert!(seen.insert(test.name()), "two tests are named `{}`", test.name());
    }
}

/// The one test that `--supervise` or `--in-process` is for.
fn the_selected_test(tests: &[&'static Test], args: &Args) -> &'static Test {
    let selected: Vec<&'static Test> =
        tests.iter().copied().filter(|test| args.selects(test.name())).collect();
    match selected[..] {
        [test] => test,
        _ => panic!("this role runs one test, but {} are selected", selected.len()),
    }
}
