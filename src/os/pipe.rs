//! A pipe that is never written to.
//!
//! A child's ring registers the write end as a fixed file, and each operation in flight holds the ring.
//! So the kernel closes the last write end only when the child is gone *and* nothing it submitted is
//! still on its way; the parent sees that as the hang-up of the read end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::clock::Monotonic;

/// Both ends, non-blocking and closed on exec. After the fork the parent keeps `read` only, the child
/// `write` only, and no other child may have `write`: close it at once.
#[derive(Debug)]
pub struct HangupPipe {
    /// The parent's end.
    pub read: OwnedFd,
    /// The child's end.
    pub write: OwnedFd,
}

impl HangupPipe {
    /// Makes a pipe; `EMFILE` or `ENFILE` if there are too many descriptors.
    pub fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { read, write })
    }
}

/// Whether every write end is closed by now.
pub fn is_hung_up(read: BorrowedFd<'_>) -> io::Result<bool> {
    wait_hangup(read, Some(Monotonic::from_nanos(0)))
}

/// Sleeps until every write end is closed (`true`) or `deadline` is there (`false`). Signals do not end
/// it.
pub fn wait_hangup(read: BorrowedFd<'_>, deadline: Option<Monotonic>) -> io::Result<bool> {
    // No event is asked for: the hang-up is always reported.
    let mut fds = [PollFd::from_borrowed_fd(read.as_fd(), PollFlags::empty())];
    loop {
        let timeout = deadline.map(Monotonic::remaining);
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return hung_up(fds[0].revents()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Anything but a hang-up, such as `NVAL` for a closed descriptor, must not pass for one.
fn hung_up(found: PollFlags) -> io::Result<bool> {
    if found.contains(PollFlags::HUP) {
        return Ok(true);
    }
    Err(io::Error::other(format!("poll of a hang-up pipe found {found:?}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn hangs_up_with_the_last_writer() {
        let pipe = HangupPipe::new().unwrap();
        let second = pipe.write.try_clone().unwrap();
        assert!(!is_hung_up(pipe.read.as_fd()).unwrap());
        drop(pipe.write);
        assert!(!is_hung_up(pipe.read.as_fd()).unwrap());
        let deadline = Monotonic::now().saturating_add(Duration::from_millis(5));
        assert!(!wait_hangup(pipe.read.as_fd(), Some(deadline)).unwrap());
        assert!(Monotonic::now() >= deadline);
        drop(second);
        // Not at once: a process that another test is just starting has a copy until its exec.
        assert!(wait_hangup(pipe.read.as_fd(), None).unwrap());
        assert!(is_hung_up(pipe.read.as_fd()).unwrap());
    }

    #[test]
    fn other_findings_are_errors() {
        assert!(hung_up(PollFlags::NVAL).is_err());
    }
}
