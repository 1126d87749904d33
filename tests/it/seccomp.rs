//! Takes system calls away from a process, as container runtimes and hardened kernels do.
//!
//! tuskd must run where io_uring is forbidden (Docker's default profile, since 2023) and where
//! futex_waitv is missing (kernels before 5.16, sandboxes that behave like one). This installs a seccomp filter under which
//! these calls fail as they do there, in a test's own process or in one that it starts; whatever
//! that process starts inherits it.
//!
//! # Safety
//!
//! The unsafe calls are `prctl`, with a filter that outlives the call, `syscall`, with arguments
//! the kernel rejects before it looks at memory, and `pre_exec`, whose closure runs between fork
//! and exec and so must not allocate or take locks: [`Denied::install`] keeps its filter on the
//! stack and makes nothing but system calls.
use std::fs;
use std::io;
use std::mem::offset_of;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{c_long, c_ulong, seccomp_data, sock_filter, sock_fprog};

use crate::harness::{Skip, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![io_uring_fails, io_uring_and_futex_waitv_fail, a_child_inherits];

/// AUDIT_ARCH_X86_64: EM_X86_64, 64-bit, little-endian. System call numbers mean what we think
/// they mean only under this.
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;

/// AUDIT_ARCH_AARCH64: EM_AARCH64, 64-bit, little-endian.
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// The io_uring calls; the same numbers on all architectures.
const IO_URING_CALLS: [u32; 3] =
    [libc::SYS_io_uring_setup as u32, libc::SYS_io_uring_enter as u32, libc::SYS_io_uring_register as u32];

/// Which system calls shall fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// io_uring's three calls, with EPERM.
    IoUring,
    /// These, and futex_waitv, with ENOSYS.
    IoUringAndFutexWaitv,
}

impl Denied {
    /// Denies the calls to this process, for good, and to all it starts from now on.
    pub fn install(self) -> io::Result<()> {
        let program = self.program();
        let filter = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
        // prctl reads words, whatever the type of what it is passed.
        let (yes, no): (c_ulong, c_ulong) = (1, 0);
        // SAFETY: this call takes plain numbers.
        check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, no, no, no) })?;
        // SAFETY: `filter` points to `program`, whose length it gives; both live until the call
        // has copied them.
        check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) })
    }

    /// Makes the command deny the calls to itself before it execs.
    pub fn apply_to(self, command: &mut Command) -> &mut Command {
        // SAFETY: `install` allocates nothing and takes no lock; see the module comment.
        unsafe { command.pre_exec(move || self.install()) }
    }

    /// The filter. Each comparison skips the return behind it unless it matches.
    fn program(self) -> [sock_filter; 13] {
        let futex_waitv = match self {
            Self::IoUring => allow(),
            Self::IoUringAndFutexWaitv => fail_with(libc::ENOSYS),
        };
        let [setup, enter, register] = IO_URING_CALLS;
        [
            load(offset_of!(seccomp_data, arch)),
            jump_if_equal(AUDIT_ARCH, 1, 0),
            return_value(libc::SECCOMP_RET_KILL_PROCESS),
            load(offset_of!(seccomp_data, nr)),
            jump_if_equal(setup, 0, 1),
            fail_with(libc::EPERM),
            jump_if_equal(enter, 0, 1),
            fail_with(libc::EPERM),
            jump_if_equal(register, 0, 1),
            fail_with(libc::EPERM),
            jump_if_equal(libc::SYS_futex_waitv as u32, 0, 1),
            futex_waitv,
            allow(),
        ]
    }
}

/// Loads the 32 bits at this offset of `seccomp_data`.
const fn load(offset: usize) -> sock_filter {
    let code = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    sock_filter { code, jt: 0, jf: 0, k: offset as u32 }
}

/// Skips `jt` instructions if what was loaded equals `value`, else `jf`.
const fn jump_if_equal(value: u32, jt: u8, jf: u8) -> sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    sock_filter { code, jt, jf, k: value }
}

const fn return_value(value: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: value }
}

const fn fail_with(errno: i32) -> sock_filter {
    return_value(libc::SECCOMP_RET_ERRNO | errno as u32)
}

const fn allow() -> sock_filter {
    return_value(libc::SECCOMP_RET_ALLOW)
}

fn check(result: i32) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The error of a call whose arguments are all zero, which none of those here accepts.
fn errno_of(call: c_long) -> i32 {
    let zero: c_long = 0;
    // SAFETY: with a null pointer and counts of zero, the kernel reads and writes no memory.
    let result = unsafe { libc::syscall(call, zero, zero, zero, zero, zero, zero) };
    assert_eq!(result, -1, "system call {call} accepted arguments that are all zero");
    io::Error::last_os_error().raw_os_error().expect("an error number")
}

/// Skips where the calls are denied already, and the filter could prove nothing.
fn skip_if_denied_already() -> Result<(), Skip> {
    if errno_of(libc::SYS_io_uring_setup) == libc::EPERM {
        return Err(Skip("io_uring is already denied on this machine".to_owned()));
    }
    if errno_of(libc::SYS_futex_waitv) == libc::ENOSYS {
        return Err(Skip("futex_waitv is already missing on this machine".to_owned()));
    }
    Ok(())
}

/// The harness gives each test a process, so a test may take calls away from itself.
fn io_uring_fails() -> Result<(), Skip> {
    skip_if_denied_already()?;
    Denied::IoUring.install().expect("installing the filter");
    for call in IO_URING_CALLS {
        assert_eq!(errno_of(call.into()), libc::EPERM, "system call {call}");
    }
    assert_eq!(errno_of(libc::SYS_futex_waitv), libc::EINVAL, "futex_waitv is left alone");
    Ok(())
}

fn io_uring_and_futex_waitv_fail() -> Result<(), Skip> {
    skip_if_denied_already()?;
    Denied::IoUringAndFutexWaitv.install().expect("installing the filter");
    for call in IO_URING_CALLS {
        assert_eq!(errno_of(call.into()), libc::EPERM, "system call {call}");
    }
    assert_eq!(errno_of(libc::SYS_futex_waitv), libc::ENOSYS);
    Ok(())
}

/// `apply_to` filters the child, survives its exec, and leaves the parent alone.
fn a_child_inherits() {
    let mut command = Command::new("cat");
    command.arg("/proc/self/status");
    let output = Denied::IoUring.apply_to(&mut command).output().expect("running cat");
    let child = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let filters = |status: &str| -> u32 {
        let line = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"));
        line.and_then(|count| count.trim().parse().ok()).expect("a count of filters")
    };
    assert_eq!(filters(&child), filters(&ours) + 1);
}
