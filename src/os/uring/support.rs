//! Whether io_uring can be used here, and if not, why.
//!
//! Kernels before 6.7 lack what tuskd needs, and many containers forbid io_uring altogether. The server
//! then uses epoll instead, and its log says which of the reasons below it was.

use std::fmt;
use std::io;

use io_uring::{Probe, opcode};
use rustix::io::Errno;

use super::builder;
use crate::os::sysinfo::read_number;

/// What io_uring is good for here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RingSupport {
    /// Everything tuskd uses.
    Full,
    /// The kernel has no io_uring (`ENOSYS`), or a seccomp filter says so.
    Missing,
    /// The sysctl `kernel.io_uring_disabled` forbids it, with this value.
    Disabled(u64),
    /// A seccomp filter or a security module forbids it (`EPERM`, `EACCES`).
    Forbidden,
    /// The kernel is too old for `SINGLE_ISSUER` and `DEFER_TASKRUN`: before 6.1.
    NoFlags,
    /// The kernel is too old for the operation `FUTEX_WAIT`: before 6.7.
    NoFutexWait,
    /// Something else, such as `EMFILE` or `ENOMEM` (perhaps of `RLIMIT_MEMLOCK`).
    Failed(Errno),
}

impl RingSupport {
    /// Whether [`Ring::new`](super::Ring::new) can be expected to work, and a ring to wait for futexes.
    pub fn is_full(self) -> bool {
        self == Self::Full
    }
}

/// Why not, as the rest of a sentence.
impl fmt::Display for RingSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("io_uring is available"),
            Self::Missing => f.write_str(
                "io_uring is missing (an old kernel, or a seccomp filter such as Docker's default one)",
            ),
            Self::Disabled(value) => {
                write!(f, "io_uring is disabled (sysctl kernel.io_uring_disabled is {value})")
            }
            Self::Forbidden => f.write_str(
                "io_uring is forbidden (a security module, or a seccomp filter such as Docker's default one)",
            ),
            Self::NoFlags => f.write_str("io_uring lacks DEFER_TASKRUN (needs Linux 6.1)"),
            Self::NoFutexWait => f.write_str("io_uring lacks FUTEX_WAIT (needs Linux 6.7)"),
            Self::Failed(errno) => write!(f, "io_uring cannot be set up: {errno}"),
        }
    }
}

/// Makes a small ring, looks at it, and closes it again. Good in any process, before forks too: it starts
/// no thread.
pub fn probe() -> RingSupport {
    let ring = match builder().build(1) {
        Ok(ring) => ring,
        Err(error) => return refusal(&error),
    };
    let mut operations = Probe::new();
    match ring.submitter().register_probe(&mut operations) {
        Err(error) => refusal(&error),
        Ok(()) if operations.is_supported(opcode::FutexWait::CODE) => RingSupport::Full,
        Ok(()) => RingSupport::NoFutexWait,
    }
}

fn refusal(error: &io::Error) -> RingSupport {
    match Errno::from_io_error(error) {
        Some(Errno::NOSYS) => RingSupport::Missing,
        Some(Errno::INVAL) => RingSupport::NoFlags,
        Some(Errno::PERM | Errno::ACCESS) => match disabled_by_sysctl() {
            0 => RingSupport::Forbidden,
            value => RingSupport::Disabled(value),
        },
        Some(errno) => RingSupport::Failed(errno),
        None => RingSupport::Failed(Errno::IO),
    }
}

/// 0 where the sysctl is missing (before Linux 6.6) or cannot be read.
fn disabled_by_sysctl() -> u64 {
    read_number("/proc/sys/kernel/io_uring_disabled").unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_reason() {
        let reason = |errno: i32| refusal(&io::Error::from_raw_os_error(errno));
        assert_eq!(reason(libc::ENOSYS), RingSupport::Missing);
        assert_eq!(reason(libc::EINVAL), RingSupport::NoFlags);
        assert_eq!(reason(libc::EMFILE), RingSupport::Failed(Errno::MFILE));
        if disabled_by_sysctl() == 0 {
            assert_eq!(reason(libc::EPERM), RingSupport::Forbidden);
        }
        let text = RingSupport::Disabled(2).to_string();
        assert!(text.contains("kernel.io_uring_disabled is 2"));
    }
}
