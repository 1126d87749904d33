//! Waiting for a server: dots once a second, and no delay between what happens and its being seen.
//!
//! A postmaster's end shows at its pidfd. That it is ready shows in `postmaster.pid`, and inotify tells of changes in the
//! data directory; where that is not to be had (a network file system, no watches left), the file is looked at with
//! each dot.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify;

use super::CtlOptions;
use crate::control::instance::wait_readable;
use crate::os::clock::Monotonic;
use crate::os::pidfd::PidFd;

const DOT: Duration = Duration::from_secs(1);

/// Changes in a directory.
pub struct Changes(Option<OwnedFd>);

impl Changes {
    /// From now on.
    pub fn of(directory: &Path) -> Self {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let events = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO;
        let watched =
            inotify::init(flags).and_then(|fd| inotify::add_watch(&fd, directory, events).map(|_| fd));
        Self(watched.ok())
    }

    /// Forgets those that came so far: the caller looks at the files now.
    fn drain(&self) {
        let mut buffer = [0; 4096];
        if let Some(fd) = &self.0 {
            while rustix::io::read(fd, &mut buffer).is_ok_and(|read| read > 0) {}
        }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// What was waited for.
    Done,
    /// The process ended.
    Ended,
    /// Neither in time.
    TimedOut,
}

/// Waits until `is_done`, asked after each change, or until the process ends; prints dots meanwhile.
pub fn wait(
    options: &CtlOptions,
    process: &PidFd,
    changes: Option<&Changes>,
    mut is_done: impl FnMut() -> bool,
) -> Seen {
    let begun = Monotonic::now();
    let deadline = begun.saturating_add(options.timeout);
    let mut next_dot = begun;
    loop {
        if let Some(changes) = changes {
            changes.drain();
        }
        if is_done() {
            return Seen::Done;
        }
        let now = Monotonic::now();
        if now >= deadline {
            return Seen::TimedOut;
        }
        if now >= next_dot {
            options.say(".");
            next_dot = next_dot.saturating_add(DOT);
        }
        let mut fds: Vec<BorrowedFd<'_>> = vec![process.as_fd()];
        fds.extend(changes.and_then(|changes| changes.0.as_ref()).map(AsFd::as_fd));
        if wait_readable(&fds, Some(next_dot.min(deadline)))[0] {
            // It may have done what was waited for with its last breath.
            return if is_done() { Seen::Done } else { Seen::Ended };
        }
    }
}
