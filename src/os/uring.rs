//! io_uring, as tuskd uses it: one ring per process, used by that process's only thread.
//!
//! `SINGLE_ISSUER` and `DEFER_TASKRUN` spare the kernel locking and interrupting, at a price: a ring works
//! in the process that made it only, and completions are posted only inside an `io_uring_enter` that asks
//! for them ([`Ring::submit_and_wait`] and [`Ring::get_events_nowait`] do, [`Ring::submit`] does not).
//! `SUBMIT_ALL` keeps one bad entry from holding back those behind it. The ring's own descriptor is
//! registered, which saves its look-up on each call.
//!
//! # Safety
//!
//! The queues borrow from an `IoUring` on the heap for as long as the `Ring` lives; a raw pointer owns it,
//! and `Drop` lets go of the queues first. What entries point at is the caller's promise, given in
//! [`Ring::push`].
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;

use io_uring::squeue::Entry;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter};

use super::clock::Monotonic;
use super::process;
use super::process::Pid;

mod support;

pub use support::{RingSupport, probe};

/// A ring. Not `Send`, as the kernel ties it to the thread that made it.
pub struct Ring {
    queues: ManuallyDrop<Queues>,
    memory: NonNull<IoUring>,
    owner: Pid,
}

/// The three halves of an `IoUring`. The submitter must be kept, and not made anew for each call, because
/// it is the one that knows the number under which the ring's descriptor is registered.
struct Queues {
    submitter: Submitter<'static>,
    submissions: SubmissionQueue<'static>,
    completions: CompletionQueue<'static>,
}

/// The submission queue has no room: [`Ring::submit`] first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the submission queue is full")]
pub struct QueueFull;

/// Why [`Ring::submit_and_wait`] came back. There may be completions in each case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum WaitEnd {
    /// As many completions as wanted are there.
    Completed,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran, or the kernel could not take all entries at once. Call again.
    Interrupted,
}

/// One finished operation (or one step of it, if `flags` has `IORING_CQE_F_MORE`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The number given with the entry.
    pub user_data: u64,
    /// As the operation's system call returns it; a negative number is an errno.
    pub result: i32,
    /// `IORING_CQE_F_*` bits.
    pub flags: u32,
}

impl Ring {
    /// Makes a ring for `entries` (rounded up to a power of two) submissions at a time and twice as many
    /// completions, for the calling process only: make it after the fork.
    ///
    /// Fails as [`probe`] describes, and with `EMFILE`, `ENFILE` or `ENOMEM`.
    pub fn new(entries: u32) -> io::Result<Self> {
        let memory = NonNull::from(Box::leak(Box::new(builder().build(entries)?)));
        // SAFETY: the box was leaked just now and nothing else refers to it. The references made here end
        // before `Drop` frees it, as the queues are dropped there first.
        let (submitter, submissions, completions) = unsafe { (*memory.as_ptr()).split() };
        let mut ring = Self {
            queues: ManuallyDrop::new(Queues { submitter, submissions, completions }),
            memory,
            owner: process::pid(),
        };
        ring.queues.submitter.register_ring_fd()?;
        Ok(ring)
    }

    /// Gives the ring its fixed files, numbered from 0, once. Besides saving look-ups, each operation in
    /// flight keeps them open, even past the death of this process.
    pub fn register_files(&mut self, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.check_owner();
        let files: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
        self.queues.submitter.register_files(&files)
    }

    /// Lets go of the fixed files, except for operations in flight that name them. An orderly exit with
    /// nothing in flight does this, so that the files close at once: the kernel takes a ring apart only
    /// some tens of milliseconds after its process is gone.
    pub fn unregister_files(&mut self) -> io::Result<()> {
        self.check_owner();
        self.queues.submitter.unregister_files()
    }

    /// Queues an entry; it reaches the kernel with the next submit.
    ///
    /// # Safety
    ///
    /// Whatever the entry points at, such as buffers, socket addresses and futex words, stays valid, and
    /// buffers that the kernel writes to stay unused, until its completion has been taken from
    /// [`Ring::completions`]. Dropping the ring is no substitute: it only begins to cancel.
    #[inline]
    pub unsafe fn push(&mut self, entry: Entry) -> Result<(), QueueFull> {
        self.check_owner();
        // SAFETY: passed on to the caller.
        unsafe { self.queues.submissions.push(&entry) }.map_err(|_| QueueFull)
    }

    /// Hands all queued entries to the kernel without waiting. Returns how many it took; the others stay
    /// queued. Posts no completions.
    #[inline]
    pub fn submit(&mut self) -> io::Result<usize> {
        self.enter(0, EnterFlags::empty())
    }

    /// Like [`Ring::submit`], and has the kernel post completions of what is done.
    #[inline]
    pub fn get_events_nowait(&mut self) -> io::Result<usize> {
        self.enter(0, EnterFlags::GETEVENTS)
    }

    /// Hands all queued entries to the kernel and sleeps until `want` completions can be taken, counting
    /// those not taken yet, or until `deadline`: one system call.
    ///
    /// The kernel does not report a signal or a timeout if it took entries in the same call; then the end
    /// is told from the queue and the clock. Either way, look at the completions and at the latch, and
    /// call again.
    #[inline]
    pub fn submit_and_wait(&mut self, want: usize, deadline: Option<Monotonic>) -> io::Result<WaitEnd> {
        let result = match deadline {
            None => self.enter(want as u32, EnterFlags::GETEVENTS),
            Some(deadline) => self.enter_until(want as u32, deadline),
        };
        let timed_out = match result {
            Ok(_) => false,
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME) => true,
                Some(libc::EINTR) => false,
                _ => return Err(error),
            },
        };
        if self.queues.completions.len() >= want {
            return Ok(WaitEnd::Completed);
        }
        let passed = || deadline.is_some_and(|deadline| Monotonic::now() >= deadline);
        if timed_out || passed() {
            return Ok(WaitEnd::TimedOut);
        }
        Ok(WaitEnd::Interrupted)
    }

    /// Takes the completions posted so far, oldest first; no system call. Those the iterator does not reach
    /// stay for the next.
    #[inline]
    pub fn completions(&mut self) -> Completions<'_> {
        self.check_owner();
        Completions(&mut self.queues.completions)
    }

    /// Whether the calling process made the ring: a forked child can do nothing with it but drop it.
    pub fn is_own(&self) -> bool {
        self.owner == process::pid()
    }

    /// Whether entries pushed have not reached the kernel yet.
    #[inline]
    pub fn has_queued(&self) -> bool {
        !self.queues.submissions.is_empty()
    }

    /// Entries that fit before the next submit.
    pub fn room(&self) -> usize {
        let submissions = &self.queues.submissions;
        submissions.capacity() - submissions.len()
    }

    #[inline]
    fn enter(&mut self, want: u32, flags: EnterFlags) -> io::Result<usize> {
        self.check_owner();
        let count = self.begin_enter();
        // SAFETY: the flags ask for no argument, and none is given.
        let result = unsafe { self.queues.submitter.enter::<()>(count, want, flags.bits(), None) };
        self.end_enter();
        result
    }

    #[inline]
    fn enter_until(&mut self, want: u32, deadline: Monotonic) -> io::Result<usize> {
        self.check_owner();
        let count = self.begin_enter();
        // Relative, since the kernel learned absolute timeouts here only in 6.12.
        let timeout = Timespec::from(deadline.saturating_since(Monotonic::now()));
        let args = SubmitArgs::new().timespec(&timeout);
        let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        // SAFETY: EXT_ARG announces this argument, which lives until the call has returned, as does the
        // timeout it points at.
        let result = unsafe { self.queues.submitter.enter(count, want, flags.bits(), Some(&args)) };
        self.end_enter();
        result
    }

    /// Shows the kernel the entries pushed and the completions taken. Returns how many entries wait.
    #[inline]
    fn begin_enter(&mut self) -> u32 {
        self.queues.submissions.sync();
        self.queues.submissions.len() as u32
    }

    /// Learns what the kernel took and posted.
    #[inline]
    fn end_enter(&mut self) {
        self.queues.submissions.sync();
        self.queues.completions.sync();
    }

    #[inline]
    fn check_owner(&self) {
        debug_assert_eq!(self.owner, process::pid(), "a ring works only where it was made");
    }
}

impl Drop for Ring {
    /// Begins to cancel what is in flight; its memory must live on until the kernel is done, see
    /// [`Ring::push`].
    fn drop(&mut self) {
        // The queues write to memory shared with the process that made the ring, so a forked child leaks
        // the little it inherited.
        if self.owner != process::pid() {
            return;
        }
        // A registered ring would outlive its descriptor until the process ends.
        let _ = self.queues.submitter.unregister_ring_fd();
        // SAFETY: neither is used after this, and the queues, which borrow from the box, go first.
        unsafe {
            ManuallyDrop::drop(&mut self.queues);
            drop(Box::from_raw(self.memory.as_ptr()));
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("owner", &self.owner)
            .field("queued", &self.queues.submissions.len())
            .field("completed", &self.queues.completions.len())
            .finish()
    }
}

/// The iterator of [`Ring::completions`].
pub struct Completions<'a>(&'a mut CompletionQueue<'static>);

impl Iterator for Completions<'_> {
    type Item = Completion;

    #[inline]
    fn next(&mut self) -> Option<Completion> {
        self.0.next().map(|entry| Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        })
    }
}

impl Drop for Completions<'_> {
    /// Tells the kernel that the places of what was taken are free.
    #[inline]
    fn drop(&mut self) {
        self.0.sync();
    }
}

fn builder() -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
    builder
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use io_uring::opcode;
    use io_uring::types::Fixed;

    use super::*;
    use crate::os::futex;
    use crate::os::pipe::{HangupPipe, is_hung_up, wait_hangup};

    /// A ring, or `None` (and a word on why) where this machine has none.
    fn ring() -> Option<Ring> {
        let support = probe();
        if !support.is_full() {
            eprintln!("skipped: {support}");
            return None;
        }
        Some(Ring::new(8).unwrap())
    }

    fn soon() -> Option<Monotonic> {
        Some(Monotonic::now().saturating_add(Duration::from_millis(20)))
    }

    fn within_ten_seconds() -> Option<Monotonic> {
        Some(Monotonic::now().saturating_add(Duration::from_secs(10)))
    }

    fn futex_wait(word: &AtomicU32, expected: u32) -> Entry {
        let any = u64::from(NonZeroU32::MAX.get());
        opcode::FutexWait::new(word.as_ptr(), expected.into(), any, futex::RING_FUTEX_FLAGS_SHARED)
            .build()
            .user_data(42)
    }

    #[test]
    fn completions_carry_the_number_given() {
        let Some(mut ring) = ring() else { return };
        for number in 0..8 {
            // SAFETY: a no-op points at nothing.
            unsafe { ring.push(opcode::Nop::new().build().user_data(number)) }.unwrap();
        }
        // SAFETY: as above.
        let full = unsafe { ring.push(opcode::Nop::new().build()) };
        assert_eq!((full, ring.room()), (Err(QueueFull), 0));
        assert_eq!(ring.submit_and_wait(8, None).unwrap(), WaitEnd::Completed);
        assert_eq!(ring.room(), 8);
        assert_eq!(ring.completions().next().unwrap().user_data, 0);
        let rest: Vec<u64> = ring.completions().map(|done| done.user_data).collect();
        assert_eq!(rest, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let Some(mut ring) = ring() else { return };
        let deadline = soon();
        assert_eq!(ring.submit_and_wait(1, deadline).unwrap(), WaitEnd::TimedOut);
        assert!(Some(Monotonic::now()) >= deadline);
        assert_eq!(ring.completions().next(), None);
    }

    #[test]
    fn a_futex_wake_completes_the_entry() {
        let Some(mut ring) = ring() else { return };
        let word = AtomicU32::new(0);
        // SAFETY: the word lives until the completion below.
        unsafe { ring.push(futex_wait(&word, 0)) }.unwrap();
        // The timeout comes in the same call as the submission, and is told nevertheless.
        assert_eq!(ring.submit_and_wait(1, soon()).unwrap(), WaitEnd::TimedOut);
        word.store(1, SeqCst);
        assert_eq!(futex::wake_all(&word), 1);
        assert_eq!(ring.completions().next(), None, "posted inside enter only");
        ring.get_events_nowait().unwrap();
        let done = ring.completions().next().unwrap();
        assert_eq!((done.user_data, done.result), (42, 0));
    }

    #[test]
    fn a_changed_word_completes_at_once() {
        let Some(mut ring) = ring() else { return };
        let word = AtomicU32::new(1);
        // SAFETY: the word lives until the completion below.
        unsafe { ring.push(futex_wait(&word, 0)) }.unwrap();
        assert_eq!(ring.submit().unwrap(), 1);
        assert_eq!(ring.submit_and_wait(1, None).unwrap(), WaitEnd::Completed);
        assert_eq!(ring.completions().next().unwrap().result, -libc::EAGAIN);
    }

    #[test]
    fn a_registered_pipe_end_lives_as_long_as_the_ring() {
        let Some(mut ring) = ring() else { return };
        let pipe = HangupPipe::new().unwrap();
        ring.register_files(&[pipe.write.as_fd()]).unwrap();
        drop(pipe.write);
        assert!(!is_hung_up(pipe.read.as_fd()).unwrap());
        // SAFETY: a poll points at nothing.
        unsafe { ring.push(opcode::PollAdd::new(Fixed(0), libc::POLLOUT as u32).build()) }.unwrap();
        assert_eq!(ring.submit_and_wait(1, soon()).unwrap(), WaitEnd::Completed);
        drop(ring);
        assert!(wait_hangup(pipe.read.as_fd(), within_ten_seconds()).unwrap());
    }

    #[test]
    fn unregistered_files_close() {
        let Some(mut ring) = ring() else { return };
        let pipe = HangupPipe::new().unwrap();
        ring.register_files(&[pipe.write.as_fd()]).unwrap();
        drop(pipe.write);
        ring.unregister_files().unwrap();
        assert!(wait_hangup(pipe.read.as_fd(), within_ten_seconds()).unwrap());
    }
}
