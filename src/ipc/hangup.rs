//! Hang-up pipes: how the postmaster learns that a process *and all its I/O* are gone.
//!
//! What a ring has submitted outlives its process: the disk writes on after SIGKILL. So each child's ring registers, as
//! fixed files, the write end of a pipe made for that child, and the instance lock. The kernel lets go of a ring's files
//! only when no operation of the ring is in flight; the pipe's hang-up then means that nothing the child submitted is still
//! on its way: buffers may be used again, another server may start on the same data directory.
//!
//! It comes late for a process that was killed, since the kernel takes a ring apart some time after its process: 36 to 72
//! ms on the build machine. After an orderly exit it comes at once if the process dropped its wait set. A process without
//! a ring keeps the write end open as a plain descriptor, and its hang-up is its death.
//!
//! The pipe is made before the fork. The parent keeps the [`HangupWatch`] and drops the [`Lifeline`], the child does the
//! reverse; a lifeline that a third process still had would keep the pipe from hanging up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use shmem_layout::ProcessId;

use crate::os::pipe::{self, HangupPipe};
use crate::os::uring::Ring;
use crate::sync::Monotonic;

/// Both sides of a pipe for the child that is about to be forked.
pub fn hangup_pipe(child: ProcessId) -> io::Result<(HangupWatch, Lifeline)> {
    let HangupPipe { read, write } = HangupPipe::new()?;
    Ok((HangupWatch { process: child, read }, Lifeline { write: Some(write) }))
}

/// The parent's side.
#[derive(Debug)]
pub struct HangupWatch {
    process: ProcessId,
    read: OwnedFd,
}

impl HangupWatch {
    /// Whose I/O it is about.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Whether the process and all its I/O are gone.
    pub fn is_over(&self) -> io::Result<bool> {
        pipe::is_hung_up(self.read.as_fd())
    }

    /// Sleeps until they are gone (`true`) or `deadline` passes (`false`). No latch ends this: it is for a cleaner, and
    /// for the end of a crash.
    pub fn wait_over(&self, deadline: Option<Monotonic>) -> io::Result<bool> {
        pipe::wait_hangup(self.read.as_fd(), deadline)
    }
}

/// For whoever is to close it beside others.
impl From<HangupWatch> for OwnedFd {
    fn from(watch: HangupWatch) -> Self {
        watch.read
    }
}

/// For epoll, where the hang-up is reported whatever is asked for (ask for nothing), until it is removed.
impl AsFd for HangupWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// The child's side: what it holds until its I/O is gone. Dropping it hangs up, unless a ring has it.
#[derive(Debug)]
pub struct Lifeline {
    /// `None`: a ring has it.
    write: Option<OwnedFd>,
}

impl Lifeline {
    /// The same pipe for another ring of this process: it hangs up when both are over. Before a ring has this one.
    pub fn duplicate(&self) -> io::Result<Self> {
        let write = self.write.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { write: Some(write.try_clone()?) })
    }

    /// Makes it, and the instance lock, fixed files of the ring, and closes the plain write end, so that from here on only
    /// the ring holds the pipe. A ring takes fixed files once. Changes nothing if it fails.
    pub fn register(&mut self, ring: &mut Ring, instance_lock: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let Some(write) = &self.write else { return Ok(()) };
        let files: Vec<_> = std::iter::once(write.as_fd()).chain(instance_lock).collect();
        ring.register_files(&files)?;
        self.write = None;
        Ok(())
    }
}

/// The pipes of all children, as the postmaster keeps them.
#[derive(Debug, Default)]
pub struct Hangups {
    watches: Vec<HangupWatch>,
}

impl Hangups {
    /// Keeps the watch of a child that was forked.
    pub fn keep(&mut self, watch: HangupWatch) {
        self.watches.push(watch);
    }

    /// The watch of a process; `None`: it is over, and was taken.
    pub fn of(&self, process: ProcessId) -> Option<&HangupWatch> {
        self.watches.iter().find(|watch| watch.process == process)
    }

    /// Takes the watches of those who are gone.
    pub fn take_over(&mut self) -> io::Result<Vec<HangupWatch>> {
        let mut over = Vec::new();
        for at in (0..self.watches.len()).rev() {
            if self.watches[at].is_over()? {
                over.push(self.watches.swap_remove(at));
            }
        }
        Ok(over)
    }

    /// Sleeps until all are gone, as a crash restart must before recovery begins. Gives back who was not when `deadline`
    /// passed; those stay.
    pub fn wait_all_over(&mut self, deadline: Option<Monotonic>) -> io::Result<Vec<ProcessId>> {
        for watch in &self.watches {
            // One after the other: all must be over anyway.
            if !watch.wait_over(deadline)? {
                break;
            }
        }
        self.take_over()?;
        Ok(self.watches.iter().map(HangupWatch::process).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shmem_layout::{Generation, SlotIndex};

    use super::*;
    use crate::os::uring::probe;

    fn child(slot: usize) -> ProcessId {
        ProcessId::new(SlotIndex::new(slot).unwrap(), Generation(1))
    }

    fn in_ms(ms: u64) -> Option<Monotonic> {
        Some(Monotonic::now().saturating_add(Duration::from_millis(ms)))
    }

    #[test]
    fn all_are_waited_for() {
        let mut hangups = Hangups::default();
        let mut lifelines = Vec::new();
        for slot in 0..3 {
            let (watch, lifeline) = hangup_pipe(child(slot)).unwrap();
            hangups.keep(watch);
            lifelines.push(lifeline);
        }
        let third = lifelines.pop();
        drop(lifelines);
        // Not at once: a process that another test is just starting has copies until its exec.
        while hangups.wait_all_over(in_ms(10)).unwrap() != [child(2)] {}
        assert!(hangups.of(child(0)).is_none() && hangups.of(child(2)).is_some());
        drop(third);
        assert_eq!(hangups.wait_all_over(in_ms(10_000)).unwrap(), []);
    }

    #[test]
    fn a_ring_holds_pipe_and_lock() {
        if !probe().is_full() {
            eprintln!("skipped: {}", probe());
            return;
        }
        let lock = HangupPipe::new().unwrap();
        let (watch, mut lifeline) = hangup_pipe(child(0)).unwrap();
        let mut ring = Ring::new(4).unwrap();
        lifeline.register(&mut ring, Some(lock.write.as_fd())).unwrap();
        lifeline.register(&mut ring, None).unwrap();
        drop((lifeline, lock.write));
        assert!(!watch.wait_over(in_ms(5)).unwrap());
        assert!(!pipe::is_hung_up(lock.read.as_fd()).unwrap());
        ring.unregister_files().unwrap();
        assert!(watch.wait_over(in_ms(10_000)).unwrap());
        assert!(pipe::wait_hangup(lock.read.as_fd(), in_ms(10_000)).unwrap());
    }

    #[test]
    fn a_second_ring_keeps_the_pipe_as_well() {
        if !probe().is_full() {
            return;
        }
        let (watch, mut lifeline) = hangup_pipe(child(0)).unwrap();
        let mut second = lifeline.duplicate().unwrap();
        let (mut ring, mut second_ring) = (Ring::new(4).unwrap(), Ring::new(4).unwrap());
        lifeline.register(&mut ring, None).unwrap();
        second.register(&mut second_ring, None).unwrap();
        assert!(lifeline.duplicate().is_err());
        drop((lifeline, second));
        ring.unregister_files().unwrap();
        assert!(!watch.wait_over(in_ms(5)).unwrap());
        second_ring.unregister_files().unwrap();
        assert!(watch.wait_over(in_ms(10_000)).unwrap());
    }

    #[test]
    fn a_failed_registration_keeps_the_pipe() {
        if !probe().is_full() {
            return;
        }
        let (watch, mut lifeline) = hangup_pipe(child(0)).unwrap();
        let mut ring = Ring::new(4).unwrap();
        ring.register_files(&[lifeline.write.as_ref().unwrap().as_fd()]).unwrap();
        assert!(lifeline.register(&mut ring, None).is_err());
        drop(ring);
        assert!(!watch.is_over().unwrap());
    }
}
