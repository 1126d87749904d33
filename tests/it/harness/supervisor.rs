//! The supervisor: starts one test process, and answers for everything that comes of it.
//!
//! It is the subreaper of all that the test starts, so it reaps the test's orphans as init would,
//! and still finds those that have left the test's process group. Its standard input is a pipe
//! held open by the runner: end of file means that the runner is gone, however it went, and that
//! the test has to go too. A process group of its own keeps terminal signals away from it.
//!
//! It may use threads, unlike the test: it starts the test by exec, never by a bare fork.
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, wait,
};
use rustix::thread::set_name;

use super::args::Args;
use super::processes::{Process, descendants};
use super::{EXIT_FAILED, EXIT_SKIPPED, Test};

/// How long a test's processes may take to vanish after it ended. A child that the kernel has just
/// killed for its parent's death needs a moment, and is not left behind.
const GRACE: Duration = Duration::from_millis(300);

/// How long killed processes may take to vanish before we give up on them.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the test; exits as it did, or with [`EXIT_FAILED`] after saying on stderr what was wrong.
pub fn supervise(test: &'static Test, args: &Args) -> ExitCode {
    set_child_subreaper(Some(getpid())).expect("becoming a subreaper");
    set_name(c"it-supervisor").expect("naming this thread");
    let timeout = args.timeout.unwrap_or(test.timeout);
    let (ended, end_of_test) = mpsc::channel();
    let test_pid = start_test(test, args);
    thread::spawn(kill_all_when_the_runner_is_gone);
    let watcher = thread::spawn(move || enforce_timeout(timeout, &end_of_test));
    let status = reap_until(test_pid);
    drop(ended);
    let timed_out = watcher.join().expect("the watcher does not panic");
    let left_behind = if timed_out { 0 } else { report_leftovers() };
    kill_descendants();
    if timed_out || left_behind > 0 { ExitCode::from(EXIT_FAILED) } else { verdict(status) }
}

/// Starts the test process. /proc/self/exe is this very binary, even if cargo has replaced the
/// file meanwhile.
#[expect(clippy::zombie_processes, reason = "the main thread reaps whichever child ends")]
fn start_test(test: &Test, args: &Args) -> Pid {
    let child = Command::new("/proc/self/exe")
        .args(["--exact", test.name(), "--in-process", "--seed", &args.seed.to_string()])
        .process_group(0)
        .stdin(Stdio::null())
        .spawn()
        .expect("starting the test process");
    Pid::from_child(&child)
}

/// Waits for a lifeline that never carries data, only its end.
fn kill_all_when_the_runner_is_gone() {
    // An error means as little runner as an end of file does.
    let _ = io::stdin().read(&mut [0]);
    kill_descendants();
    std::process::exit(EXIT_FAILED.into());
}

/// Kills everything if the test has not ended in time; returns whether it had to.
fn enforce_timeout(timeout: Duration, end_of_test: &Receiver<()>) -> bool {
    if end_of_test.recv_timeout(timeout) != Err(RecvTimeoutError::Timeout) {
        return false;
    }
    eprintln!("timed out after {} s; its processes were:", timeout.as_secs());
    print_each(&descendants());
    // The main thread reaps them, and so learns of the test's end.
    kill_each(&descendants());
    if end_of_test.recv_timeout(KILL_PATIENCE) == Err(RecvTimeoutError::Timeout) {
        eprintln!("the test process could not be killed");
        std::process::exit(EXIT_FAILED.into());
    }
    true
}

/// Reaps every child, orphans included, until the test itself has ended.
fn reap_until(test_pid: Pid) -> WaitStatus {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == test_pid => return status,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("waiting for the test process: {error}"),
        }
    }
}

/// Counts and describes what still runs after the grace period.
fn report_leftovers() -> usize {
    let leftovers = wait_for_descendants_to_end(GRACE);
    if !leftovers.is_empty() {
        let plural = if leftovers.len() == 1 { "" } else { "es" };
        eprintln!("left {} process{plural} behind:", leftovers.len());
        print_each(&leftovers);
    }
    leftovers.len()
}

/// Kills every descendant, again and again in case one forks meanwhile.
fn kill_descendants() {
    let give_up = Instant::now() + KILL_PATIENCE;
    loop {
        kill_each(&descendants());
        if wait_for_descendants_to_end(Duration::from_millis(50)).is_empty() {
            return;
        }
        if Instant::now() > give_up {
            eprintln!("these processes could not be killed:");
            return print_each(&descendants());
        }
    }
}

/// Reaps until nobody is left or the time is up; returns those who are left.
fn wait_for_descendants_to_end(patience: Duration) -> Vec<Process> {
    let deadline = Instant::now() + patience;
    loop {
        let running = descendants();
        // Behind the look at /proc, so that none who had ended by then stays a zombie for init.
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if running.is_empty() || Instant::now() >= deadline {
            return running;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn kill_each(processes: &[Process]) {
    for process in processes {
        // It may have ended by itself since we saw it.
        let _ = kill_process(process.pid, Signal::KILL);
    }
}

fn print_each(processes: &[Process]) {
    for process in processes {
        eprintln!("{process}");
    }
}

/// What the test's own end says about it.
fn verdict(status: WaitStatus) -> ExitCode {
    if let Some(signal) = status.terminating_signal() {
        let name = Signal::from_named_raw(signal).map(|name| format!("{name:?}")).unwrap_or_default();
        eprintln!("killed by signal {signal} {}", name.trim_matches('"').replace("Signal::", "SIG"));
        return ExitCode::from(EXIT_FAILED);
    }
    match status.exit_status().and_then(|code| u8::try_from(code).ok()) {
        Some(code @ (0 | EXIT_SKIPPED | EXIT_FAILED)) => ExitCode::from(code),
        other => {
            eprintln!("exited with unexpected status {other:?}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
