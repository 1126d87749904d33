//! The process at the other end: forked, pinned to a CPU, and gone when it is dropped.
//!
//! # Safety
//!
//! `fork` is sound because this process has one thread, which is asserted. The child leaves by
//! `_exit` only, so it neither returns into criterion nor runs the parent's exit handlers.
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Where the two ends of a measurement run.
#[derive(Clone, Copy, Debug)]
pub enum Placement {
    /// Both on CPU 0: a wake-up is a context switch.
    SameCore,
    /// On CPUs 0 and 1: a wake-up is an interrupt to an idle CPU.
    OtherCore,
}

impl Placement {
    /// Both, in the order in which they are reported.
    pub const ALL: [Self; 2] = [Self::SameCore, Self::OtherCore];

    /// As it stands in a benchmark's id.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameCore => "same_core",
            Self::OtherCore => "other_core",
        }
    }

    /// The peer's CPU; ours is 0.
    fn peer_cpu(self) -> usize {
        match self {
            Self::SameCore => 0,
            Self::OtherCore => 1,
        }
    }
}

/// Keeps the calling thread on one CPU.
pub fn pin_to_cpu(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("pinning to a CPU; these benches need two");
}

/// A child process that runs one function; killed and reaped on drop.
pub struct ForkedPeer {
    pid: Pid,
}

impl ForkedPeer {
    /// Pins us to CPU 0, and forks a peer that is placed beside us and runs `body`, which may
    /// borrow from us: the child has a copy of our stack, and never returns.
    pub fn spawn(placement: Placement, body: impl FnOnce()) -> Self {
        pin_to_cpu(0);
        Self::spawn_on(placement.peer_cpu(), body)
    }

    /// The same on a given CPU, leaving us where we are.
    pub fn spawn_on(cpu: usize, body: impl FnOnce()) -> Self {
        assert_single_threaded();
        // SAFETY: there is no other thread that could hold a lock the child needs.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => run_as_child(cpu, body),
            pid => Self { pid: Pid::from_raw(pid).expect("fork returns a process id") },
        }
    }
}

impl Drop for ForkedPeer {
    fn drop(&mut self) {
        rustix::process::kill_process(self.pid, Signal::KILL).expect("killing a peer");
        rustix::process::waitpid(Some(self.pid), WaitOptions::empty()).expect("reaping a peer");
    }
}

/// The child's whole life.
fn run_as_child(cpu: usize, body: impl FnOnce()) -> ! {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .expect("asking to die with the parent");
        pin_to_cpu(cpu);
        body();
    }));
    // SAFETY: `_exit` ends the process without running anything of it.
    unsafe { libc::_exit(i32::from(outcome.is_err())) }
}

/// Fails if this process has a second thread: criterion or a comparator has started one. A thread
/// that has just been joined may still be listed for a moment.
fn assert_single_threaded() {
    let threads = || fs::read_dir("/proc/self/task").expect("/proc is mounted").count();
    for _ in 0..1000 {
        if threads() == 1 {
            return;
        }
        sleep(Duration::from_millis(1));
    }
    panic!("a bench that forks must have one thread, and this one has {}", threads());
}
