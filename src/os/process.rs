//! Fork, and what a process sets for itself.
//!
//! tuskd's processes are forked without exec: a child goes on with the memory, mappings and descriptors
//! of the postmaster. That is sound only from a process with a single thread, since the child has none of
//! the others but all the locks they held; so [`fork`] refuses otherwise, and names the threads.
//!
//! # Safety
//!
//! The fork itself is safe thanks to that check, which nothing can outdate: with one thread there is
//! nobody to start another. The other calls here change settings of the process, or end it.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};

use rustix::fs::stat;
use rustix::process::{Resource, Rlimit, Signal, WaitOptions, getrlimit, kill_process, setrlimit, waitpid};
use rustix::thread::CpuSet;

use super::eventfd::EventFd;
use super::pidfd::PidFd;

/// A process id, never 0.
pub use rustix::process::Pid;

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// The process that forked.
    Parent(Child),
    /// The new process.
    Child,
}

/// A forked child, as its parent holds it.
#[derive(Debug)]
pub struct Child {
    /// Its pid, not to be reused before it is waited for.
    pub pid: Pid,
    /// Its descriptor.
    pub pidfd: PidFd,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// The process has more than one thread, with these names. A bug: something started one. Workers of
    /// an io_uring instance count, and show as `iou-wrk-…`.
    #[error("cannot fork with more than one thread ({})", .0.join(", "))]
    Threads(Vec<String>),
    /// The kernel refused: too many processes or descriptors, too little memory.
    #[error("cannot fork: {0}")]
    System(#[from] io::Error),
}

/// Forks. The child returns too, with everything the parent has but its own pid; it must not return from
/// the caller's `main`, and should set its signals first.
///
/// Fails with [`ForkError::Threads`] if the process has other threads, and without leaving a child behind
/// in every case of failure.
pub fn fork() -> Result<Fork, ForkError> {
    check_single_threaded()?;
    // Holding a descriptor until after the fork makes EMFILE an error now, when there is no child yet.
    let reserved = EventFd::new()?;
    // SAFETY: this is the only thread, so no lock is held by a thread that the child lacks.
    let raw = unsafe { libc::fork() };
    if raw < 0 {
        return Err(io::Error::last_os_error().into());
    }
    drop(reserved);
    match Pid::from_raw(raw) {
        None => Ok(Fork::Child),
        Some(pid) => match PidFd::open(pid) {
            Ok(pidfd) => Ok(Fork::Parent(Child { pid, pidfd })),
            Err(error) => Err(abandon(pid, error)),
        },
    }
}

/// Ends a child that cannot be watched, before anybody has heard of it.
#[cold]
fn abandon(pid: Pid, error: io::Error) -> ForkError {
    // The pid is still the child's, since nobody has waited for it; so neither call can hit a stranger.
    let _ = kill_process(pid, Signal::KILL);
    let _ = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
    ForkError::System(error)
}

/// Succeeds if the caller is the only thread of its process, io_uring's workers aside.
///
/// One `stat` suffices: the link count of /proc/self/task is 2 and one for each thread.
pub fn check_single_threaded() -> Result<(), ForkError> {
    const LINKS_WITH_ONE_THREAD: u64 = 3;
    let links = stat("/proc/self/task").map_err(io::Error::from)?.st_nlink;
    if links == LINKS_WITH_ONE_THREAD {
        return Ok(());
    }
    // The names take a while to read; a thread that was about to end then may be gone by now.
    let names = thread_names()?;
    if names.len() == 1 {
        return Ok(());
    }
    Err(ForkError::Threads(names))
}

/// The names of all threads of this process that can run its code, the main thread's first.
///
/// The workers that the kernel makes for an io_uring, and lets linger after it is closed, are listed as threads too, but
/// never leave the kernel: they hold no lock of the program's and allocate nothing.
pub fn thread_names() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        match fs::read(entry?.path().join("stat")) {
            Ok(stat) => names.extend(name_of_user_thread(&String::from_utf8_lossy(&stat))),
            // The thread has ended since the directory was read: open fails, or the read does.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}

/// The name in a line of proc_pid_stat(5); `None` for an io_uring's worker. A line that can't be read is a thread's.
fn name_of_user_thread(stat: &str) -> Option<String> {
    /// `PF_IO_WORKER` of the kernel's `sched.h`.
    const IO_WORKER: u32 = 0x10;
    let (front, fields) = stat.rsplit_once(')').unwrap_or((stat, ""));
    // Field 9, where the one behind the name is the third.
    let flags = fields.split_ascii_whitespace().nth(9 - 3).and_then(|field| field.parse::<u32>().ok());
    let name = front.split_once('(').map_or(front, |(_, name)| name);
    (flags.unwrap_or(0) & IO_WORKER == 0).then(|| name.to_owned())
}

/// Ends the process at once with `code` (0 to 255): no destructors, no exit handlers, no flushing.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no requirements.
    unsafe { libc::_exit(code) }
}

/// Lets this process, and those that it forks, have as many descriptors as the administrator allows, not only as many as
/// programs that use `select` can bear.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused, it stays as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The most memory that the process ever had, in kB.
pub fn peak_memory_kb() -> u64 {
    usage().ru_maxrss as u64
}

fn usage() -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes a `rusage` there, and zeroes are one too.
    unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    }
}

/// The caller's pid. A system call each time, so that it is right after a fork too.
pub fn pid() -> Pid {
    rustix::process::getpid()
}

/// Whether there is a process of this id, be it one that has ended and is not reaped yet.
pub fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Time that this process has used: in user mode, and in the kernel for it.
pub fn cpu_times() -> (std::time::Duration, std::time::Duration) {
    let usage = usage();
    let time = |time: libc::timeval| std::time::Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    (time(usage.ru_utime), time(usage.ru_stime))
}

/// The parent's pid; `None` if the parent is in another pid namespace. Becomes that of a reaper when the
/// parent dies.
pub fn parent_pid() -> Option<Pid> {
    rustix::process::getppid()
}

/// Lets the calling thread run on CPU `cpu` only. Fails with `InvalidInput` if the machine lacks it, or a
/// cpuset forbids it.
pub fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &cpus)?)
}

/// Ends the process as `kill -9` does: nothing of it runs any more.
pub fn kill_self() -> ! {
    loop {
        // SIGKILL can't be blocked; the loop is for the type.
        let _ = rustix::process::kill_process(pid(), rustix::process::Signal::KILL);
    }
}

/// Lets other threads and processes of this CPU run first, if any is ready.
#[inline]
pub fn yield_cpu() {
    rustix::thread::sched_yield();
}

/// Has the kernel send `signal` to this process when its parent dies (`None`: no more). Not inherited.
///
/// The parent may be dead already, and then nothing comes: compare [`parent_pid`] with the pid expected
/// afterwards.
pub fn set_parent_death_signal(signal: Option<Signal>) -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(signal)?)
}

/// Sets the name that `top` and /proc/PID/comm show: the first 15 bytes of `name`, which must not hold
/// NUL. For the whole command line see [`ProcessTitle`](super::proctitle::ProcessTitle).
pub fn set_comm(name: &str) -> io::Result<()> {
    Ok(rustix::thread::set_name(&CString::new(name)?)?)
}

/// Closes descriptors as [`drop`] would, in one system call for each run of neighbouring numbers: for a forked child that has
/// many of its parent's.
pub fn close_together(descriptors: impl IntoIterator<Item = OwnedFd>) {
    const USUAL: usize = 64;
    let mut numbers: Vec<RawFd> = Vec::with_capacity(USUAL);
    numbers.extend(descriptors.into_iter().map(IntoRawFd::into_raw_fd));
    numbers.sort_unstable();
    for run in numbers.chunk_by(|before, next| before + 1 == *next) {
        // SAFETY: each number of the run was an owner's, who gave it up above.
        let _ = unsafe { close_range(run[0], run[run.len() - 1]) };
    }
}

/// Closes all descriptors from `first` to `last`, both included; `RawFd::MAX` reaches the end.
///
/// # Safety
///
/// Nobody owns any of them any more: whoever drops an `OwnedFd` later would close a stranger's.
pub unsafe fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    let (Ok(first), Ok(last)) = (u32::try_from(first), u32::try_from(last)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: passed on to the caller.
    match unsafe { libc::close_range(first, last, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From now on exec gives this process and its children no privileges they do not have: set-uid bits and
/// file capabilities lose their effect. Cannot be undone.
pub fn set_no_new_privs() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;
    use std::thread;

    use super::*;

    #[test]
    fn fork_refuses_a_second_thread_by_name() {
        thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            let wait = move || {
                let _ = receiver.recv();
            };
            let name = "culprit".to_owned();
            thread::Builder::new().name(name).spawn_scoped(scope, wait).unwrap();
            // The new thread sets its name itself, so it takes a moment to show.
            while !thread_names().unwrap().contains(&"culprit".to_owned()) {
                thread::yield_now();
            }
            let error = fork().unwrap_err();
            assert!(matches!(&error, ForkError::Threads(names) if names.len() > 1));
            assert!(error.to_string().contains("culprit"), "{error}");
            drop(sender);
        });
    }

    #[test]
    fn the_link_count_counts_threads() {
        thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                let _ = receiver.recv();
            });
            // Other tests start and end threads, so only a lower bound is certain.
            assert!(stat("/proc/self/task").unwrap().st_nlink >= 2 + 2);
            drop(sender);
        });
    }

    /// `tuskd run` of a new data directory first times the ways of syncing, one of them through an io_uring. The kernel's
    /// worker was still there when the postmaster counted its threads, so it went without process titles.
    #[test]
    fn workers_of_an_io_uring_are_no_threads() {
        let worker = "913 (iou-wrk-912) S 1 1 1 0 -1 4210768 0 0 0 0";
        assert_eq!(name_of_user_thread(worker), None);
        let named_like_one = "912 (iou-wrk-) 1) S 1 1 1 0 -1 4194304 0 0 0 0";
        assert_eq!(name_of_user_thread(named_like_one).as_deref(), Some("iou-wrk-) 1"));
        assert!(name_of_user_thread("?").is_some());
    }

    #[test]
    fn memory_once_had_is_remembered() {
        let before = peak_memory_kb();
        drop(std::hint::black_box(vec![1_u8; (before as usize + 4096) * 1024]));
        assert!(peak_memory_kb() >= before + 4096);
    }

    #[test]
    fn names_and_cpus_belong_to_the_thread() {
        thread::spawn(|| {
            set_comm("a-name-longer-than-15").unwrap();
            assert!(thread_names().unwrap().contains(&"a-name-longer-t".to_owned()));
            pin_to_cpu(rustix::thread::sched_getcpu()).unwrap();
            assert_eq!(rustix::thread::sched_getaffinity(None).unwrap().count(), 1);
            assert!(pin_to_cpu(usize::MAX).is_err());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn neighbours_are_closed_together_and_nobody_else() {
        let event = crate::os::eventfd::EventFd::new().unwrap();
        let path = |raw: RawFd| format!("/proc/self/fd/{raw}");
        // Numbers far from those other tests open and close meanwhile.
        let copies: Vec<OwnedFd> =
            (0..6).map(|_| rustix::io::fcntl_dupfd_cloexec(&event, 800).unwrap()).collect();
        let numbers: Vec<RawFd> = copies.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
        let mut copies: Vec<Option<OwnedFd>> = copies.into_iter().map(Some).collect();
        let kept = copies[2].take().unwrap();
        close_together(copies.into_iter().rev().flatten());
        let is_open: Vec<bool> = numbers.iter().map(|raw| fs::symlink_metadata(path(*raw)).is_ok()).collect();
        assert_eq!(is_open, [false, false, true, false, false, false]);
        drop(kept);
    }

    #[test]
    fn close_range_closes() {
        let event = crate::os::eventfd::EventFd::new().unwrap();
        // A number far from those other tests open and close meanwhile.
        let copy = rustix::io::fcntl_dupfd_cloexec(&event, 700).unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
        let raw = copy.into_raw_fd();
        assert!(fs::symlink_metadata(&path).is_ok());
        // SAFETY: the only descriptor in the range was given up one line above.
        unsafe { close_range(raw, raw) }.unwrap();
        assert!(fs::symlink_metadata(&path).is_err());
    }
}
