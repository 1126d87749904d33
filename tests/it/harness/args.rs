//! The command line: libtest's options, as far as `cargo test` and nextest use them, and our own.
//!
//! Ours are `--seed N`, `--timeout SECONDS` (for all tests), and the two inner roles
//! `--supervise` and `--in-process`. Options of libtest that cannot matter here are accepted and
//! ignored; unknown ones are errors, so that a misspelt option does not run the whole suite.
use std::env;
use std::time::Duration;

use super::Seed;

/// What this process is to do; see the module comment of `harness`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Run the selected tests and report.
    Run,
    /// Print the selected tests' names.
    List {
        /// Without the closing count.
        terse: bool,
    },
    /// Watch one test.
    Supervise,
    /// Be one test.
    InProcess,
}

/// The command line, read.
#[derive(Debug)]
pub struct Args {
    /// What to do.
    pub role: Role,
    /// Let tests write to our own output, as they go.
    pub nocapture: bool,
    /// How many tests may run at the same time.
    pub test_threads: usize,
    /// What random tests start from.
    pub seed: Seed,
    /// Replaces every test's own timeout.
    pub timeout: Option<Duration>,
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    only_ignored: bool,
    terse: bool,
}

impl Args {
    /// Reads the arguments that follow the program's name, and the environment beside them.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::from_environment()?;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            if !argument.starts_with('-') {
                args.filters.push(argument);
                continue;
            }
            let (option, inline) = match argument.split_once('=') {
                Some((option, value)) => (option, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value = || inline.clone().or_else(|| arguments.next());
            args.apply(option, &mut value)?;
        }
        if let Role::List { terse } = &mut args.role {
            *terse = args.terse;
        }
        Ok(args)
    }

    /// Whether the command line asks for the test of this name.
    pub fn selects(&self, name: &str) -> bool {
        let matches = |pattern: &String| {
            if self.exact { name == pattern } else { name.contains(pattern.as_str()) }
        };
        let wanted = self.filters.is_empty() || self.filters.iter().any(matches);
        // No test is marked ignored in the table, so `--ignored` selects none.
        wanted && !self.only_ignored && !self.skip.iter().any(matches)
    }

    /// The defaults. One test at a time, since many of them measure time.
    fn from_environment() -> Result<Self, String> {
        let threads = env::var("RUST_TEST_THREADS").unwrap_or_else(|_| "1".to_owned());
        let seed = match env::var("TUSKD_SEED") {
            Ok(seed) => Seed(number("TUSKD_SEED", Some(seed))?),
            Err(_) => Seed::fresh(),
        };
        Ok(Self {
            role: Role::Run,
            nocapture: env::var("RUST_TEST_NOCAPTURE").is_ok_and(|value| value != "0"),
            test_threads: number("RUST_TEST_THREADS", Some(threads))?,
            seed,
            timeout: None,
            filters: Vec::new(),
            skip: Vec::new(),
            exact: false,
            only_ignored: false,
            terse: false,
        })
    }

    /// Takes one option, and its value from `value` if it has one.
    fn apply(&mut self, option: &str, value: &mut dyn FnMut() -> Option<String>) -> Result<(), String> {
        match option {
            "--list" => self.role = Role::List { terse: false },
            "--supervise" => self.role = Role::Supervise,
            "--in-process" => self.role = Role::InProcess,
            "--exact" => self.exact = true,
            "--nocapture" | "--no-capture" => self.nocapture = true,
            "--ignored" => self.only_ignored = true,
            "--skip" => self.skip.push(text(option, value())?),
            "--test-threads" => self.test_threads = number::<usize>(option, value())?.max(1),
            "--seed" => self.seed = Seed(number(option, value())?),
            "--timeout" => self.timeout = Some(Duration::from_secs(number(option, value())?)),
            "--format" => self.terse = text(option, value())? == "terse",
            "--color" => drop(text(option, value())?),
            "--include-ignored" | "--show-output" | "--test" | "--quiet" | "-q" => {}
            unknown => return Err(format!("unrecognized option `{unknown}`")),
        }
        Ok(())
    }
}

/// The value of an option that must have one.
fn text(option: &str, value: Option<String>) -> Result<String, String> {
    value.ok_or_else(|| format!("{option} needs a value"))
}

/// The same, as a number.
fn number<N: std::str::FromStr>(option: &str, value: Option<String>) -> Result<N, String> {
    let text = text(option, value)?;
    text.parse().map_err(|_| format!("{option}: `{text}` is not a number"))
}
