//! The runner: selects tests, keeps `--test-threads` supervisors going, and reports as libtest does.
//!
//! The form of each line is libtest's, since cargo, nextest and editors read it. A skipped test
//! counts as ignored, which is what libtest calls the tests it did not run.
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::args::Args;
use super::in_process::skip_prefix;
use super::{EXIT_FAILED, EXIT_SKIPPED, Test};

/// Prints the names of the selected tests.
pub fn list(tests: &[&'static Test], args: &Args, terse: bool) -> ExitCode {
    let selected = select(tests, args);
    for test in &selected {
        println!("{}: test", test.name());
    }
    if !terse {
        println!("\n{}, 0 benchmarks", count_of_tests(selected.len()));
    }
    ExitCode::SUCCESS
}

/// Runs the selected tests and reports on them.
pub fn run(tests: &[&'static Test], args: &Args) -> ExitCode {
    let started = Instant::now();
    let selected = select(tests, args);
    println!("\nrunning {}", count_of_tests(selected.len()));
    let mut report = Report { filtered_out: tests.len() - selected.len(), ..Report::default() };
    let mut waiting = selected.into_iter();
    let mut running: Vec<Job> = Vec::new();
    loop {
        while running.len() < args.test_threads
            && let Some(test) = waiting.next()
        {
            running.push(Job::start(test, args));
        }
        if running.is_empty() {
            break;
        }
        let (job, status) = next_to_end(&mut running);
        report.add(job, status, args);
    }
    report.print_failures(args);
    report.print_result(started);
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }
}

fn select(tests: &[&'static Test], args: &Args) -> Vec<&'static Test> {
    tests.iter().copied().filter(|test| args.selects(test.name())).collect()
}

fn count_of_tests(count: usize) -> String {
    format!("{count} test{}", if count == 1 { "" } else { "s" })
}

/// A test under way.
struct Job {
    test: &'static Test,
    /// The supervisor. Its standard input tells it that we are alive; see `supervisor`.
    supervisor: Child,
    /// What the test and its supervisor print; none if they print to our own output.
    captured: Option<File>,
}

impl Job {
    fn start(test: &'static Test, args: &Args) -> Self {
        if args.test_threads == 1 {
            print!("test {} ... ", test.name());
            io::stdout().flush().expect("writing to standard output");
        }
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["--exact", test.name(), "--supervise", "--seed", &args.seed.to_string()])
            .process_group(0)
            .stdin(Stdio::piped());
        if let Some(timeout) = args.timeout {
            command.args(["--timeout", &timeout.as_secs().to_string()]);
        }
        let captured = (!args.nocapture).then(|| capture_into_file(&mut command));
        let supervisor = command.spawn().expect("starting a supervisor");
        Self { test, supervisor, captured }
    }

    /// Everything captured, as text.
    fn output(self) -> String {
        let mut bytes = Vec::new();
        if let Some(mut file) = self.captured {
            file.rewind().expect("rewinding the captured output");
            file.read_to_end(&mut bytes).expect("reading the captured output");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Sends the command's output to a file without a name, which cannot be left behind.
fn capture_into_file(command: &mut Command) -> File {
    let mut open = || -> io::Result<File> {
        let path = env::temp_dir().join(format!("tuskd-it.{}", std::process::id()));
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path)?;
        fs::remove_file(path)?;
        command.stdout(file.try_clone()?).stderr(file.try_clone()?);
        Ok(file)
    };
    open().expect("making a temporary file for a test's output")
}

/// Waits until one of the supervisors ends, and takes its job out of the list.
fn next_to_end(running: &mut Vec<Job>) -> (Job, WaitStatus) {
    loop {
        let (pid, status) = match wait(WaitOptions::empty()) {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(error) => panic!("waiting for a supervisor: {error}"),
        };
        if let Some(at) = running.iter().position(|job| Pid::from_child(&job.supervisor) == pid) {
            return (running.swap_remove(at), status);
        }
    }
}

/// What has come of the tests so far.
#[derive(Default)]
struct Report {
    passed: usize,
    skipped: usize,
    filtered_out: usize,
    /// Name and output of each failed test.
    failures: Vec<(&'static str, String)>,
}

impl Report {
    /// Counts a test that has ended, and prints its line.
    fn add(&mut self, job: Job, status: WaitStatus, args: &Args) {
        let name = job.test.name();
        if args.test_threads > 1 {
            print!("test {name} ... ");
        }
        match status.exit_status() {
            Some(0) => {
                println!("ok");
                self.passed += 1;
            }
            Some(code) if code == i32::from(EXIT_SKIPPED) => {
                println!("ignored");
                let output = job.output();
                let reason = output.lines().rfind(|line| line.starts_with(&skip_prefix(name)));
                // Without capture, the line has reached the reader already.
                reason.inspect(|line| println!("{line}"));
                self.skipped += 1;
            }
            _ => {
                println!("FAILED");
                self.failures.push((name, job.output()));
            }
        }
    }

    /// Shows what failed tests printed, and how to run each once more.
    fn print_failures(&self, args: &Args) {
        if self.failures.is_empty() {
            return;
        }
        println!("\nfailures:");
        for (name, output) in &self.failures {
            println!("\n---- {name} stdout ----\n{}", output.trim_end());
            println!("to repeat: cargo test --test it -- --exact {name} --seed {}", args.seed);
        }
        println!("\n\nfailures:");
        for (name, _) in &self.failures {
            println!("    {name}");
        }
    }

    fn print_result(&self, started: Instant) {
        println!(
            "\ntest result: {}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out; \
             finished in {:.2}s\n",
            if self.failures.is_empty() { "ok" } else { "FAILED" },
            self.passed,
            self.failures.len(),
            self.skipped,
            self.filtered_out,
            started.elapsed().as_secs_f64(),
        );
    }
}
