//! Futexes: sleeping on a 32-bit word until another process changes it.
//!
//! The functions of this module work between processes, because nearly every word of tuskd lies in
//! shared memory; those of [`private`] are cheaper and find only waiters of the same process. A wait
//! and its wake must be of the same kind, or they miss each other.
//!
//! A wait ends early without being told why, so callers always look at the word again. Three ends are
//! worth knowing:
//!
//! - A handler installed with `SA_RESTART` does not end every wait: without a deadline, and in
//!   [`wait_any`] always, the kernel compares the words again and goes back to sleep. A handler that wants
//!   its process to wake must change the word and wake it.
//! - Waking reports how many sleepers it took off the queue, not how many will notice: one of them may
//!   be dying.
//! - An address the kernel cannot read, or flags it does not know, are bugs of ours and panic.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicU32;

use rustix::io::Errno;
use rustix::thread::ClockId;
use rustix::thread::futex::{self as sys, Flags, Wait, WaitFlags, WaitPtr, WaitvFlags};

use super::clock::Monotonic;

/// The most words [`wait_any`] accepts. The array lies on the stack, and no caller has more.
pub const MAX_WORDS: usize = 4;

/// The `futex_flags` of io_uring's `FUTEX_WAIT` and `FUTEX_WAKE` for a word in shared memory. They are
/// those of futex2, where a size is given and 0 would mean an 8-bit futex.
pub const RING_FUTEX_FLAGS_SHARED: u32 = WaitFlags::SIZE_U32.bits();

/// The bitset that meets every other.
const ANY: NonZeroU32 = NonZeroU32::MAX;

/// Why a wait ended. None of these promises anything about the word: look at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitOutcome {
    /// Somebody woke this waiter, maybe for an older reason.
    Woken,
    /// The word (or one of the words) was not as expected, so there was no sleep.
    ValueChanged,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
    /// `futex_waitv` is missing: a kernel before 5.16, or a seccomp filter. Only [`wait_any`] says this.
    Unsupported,
}

/// What [`requeue`] returns when the word was not as expected; nobody was woken or moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the futex word has changed")]
pub struct ValueChanged;

/// Sleeps while `word` is `expected`, until woken or until `deadline`.
#[inline]
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<Monotonic>) -> WaitOutcome {
    SHARED.wait(word, expected, ANY, deadline)
}

/// Like [`wait`], but woken only by wakes whose bitset has a bit in common with `bitset`.
#[inline]
pub fn wait_bitset(
    word: &AtomicU32,
    expected: u32,
    bitset: NonZeroU32,
    deadline: Option<Monotonic>,
) -> WaitOutcome {
    SHARED.wait(word, expected, bitset, deadline)
}

/// Wakes up to `count` (at least 1) waiters of `word`, the longest waiting first. Returns how many.
#[inline]
pub fn wake(word: &AtomicU32, count: u32) -> u32 {
    SHARED.wake(word, count)
}

/// Like [`wake`], for waiters whose bitset has a bit in common with `bitset`.
#[inline]
pub fn wake_bitset(word: &AtomicU32, count: u32, bitset: NonZeroU32) -> u32 {
    SHARED.wake_bitset(word, count, bitset)
}

/// Wakes every waiter of `word`. Returns how many.
#[inline]
pub fn wake_all(word: &AtomicU32) -> u32 {
    SHARED.wake(word, u32::MAX)
}

/// Sleeps while each word has its expected value, until one of them is woken or until `deadline`.
/// Takes between 1 and [`MAX_WORDS`] words.
#[inline]
pub fn wait_any(words: &[(&AtomicU32, u32)], deadline: Option<Monotonic>) -> WaitOutcome {
    SHARED.wait_any(words, deadline)
}

/// If `from` is `expected`, wakes up to `wake_count` of its waiters and moves up to `requeue_count` of
/// the others to the queue of `to`, where they sleep on. Returns how many were woken or moved.
#[inline]
pub fn requeue(
    from: &AtomicU32,
    expected: u32,
    to: &AtomicU32,
    wake_count: u32,
    requeue_count: u32,
) -> Result<u32, ValueChanged> {
    SHARED.requeue(from, expected, to, wake_count, requeue_count)
}

/// The same for words that only threads of one process use.
pub mod private {
    use super::{ANY, AtomicU32, Monotonic, NonZeroU32, PRIVATE, ValueChanged, WaitOutcome};

    /// See [`super::wait`].
    #[inline]
    pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<Monotonic>) -> WaitOutcome {
        PRIVATE.wait(word, expected, ANY, deadline)
    }

    /// See [`super::wait_bitset`].
    #[inline]
    pub fn wait_bitset(
        word: &AtomicU32,
        expected: u32,
        bitset: NonZeroU32,
        deadline: Option<Monotonic>,
    ) -> WaitOutcome {
        PRIVATE.wait(word, expected, bitset, deadline)
    }

    /// See [`super::wake`].
    #[inline]
    pub fn wake(word: &AtomicU32, count: u32) -> u32 {
        PRIVATE.wake(word, count)
    }

    /// See [`super::wake_bitset`].
    #[inline]
    pub fn wake_bitset(word: &AtomicU32, count: u32, bitset: NonZeroU32) -> u32 {
        PRIVATE.wake_bitset(word, count, bitset)
    }

    /// See [`super::wake_all`].
    #[inline]
    pub fn wake_all(word: &AtomicU32) -> u32 {
        PRIVATE.wake(word, u32::MAX)
    }

    /// See [`super::wait_any`].
    #[inline]
    pub fn wait_any(words: &[(&AtomicU32, u32)], deadline: Option<Monotonic>) -> WaitOutcome {
        PRIVATE.wait_any(words, deadline)
    }

    /// See [`super::requeue`].
    #[inline]
    pub fn requeue(
        from: &AtomicU32,
        expected: u32,
        to: &AtomicU32,
        wake_count: u32,
        requeue_count: u32,
    ) -> Result<u32, ValueChanged> {
        PRIVATE.requeue(from, expected, to, wake_count, requeue_count)
    }
}

/// The flags that make a futex shared or private: the old call's, and those of futex2.
struct Scope {
    flags: Flags,
    flags2: WaitFlags,
}

const SHARED: Scope = Scope { flags: Flags::empty(), flags2: WaitFlags::SIZE_U32 };

const PRIVATE: Scope = Scope { flags: Flags::PRIVATE, flags2: WaitFlags::SIZE_U32.union(WaitFlags::PRIVATE) };

impl Scope {
    /// FUTEX_WAIT_BITSET even where any bit will do: plain FUTEX_WAIT has relative timeouts only.
    #[inline]
    fn wait(
        &self,
        word: &AtomicU32,
        expected: u32,
        bitset: NonZeroU32,
        deadline: Option<Monotonic>,
    ) -> WaitOutcome {
        let timeout = deadline.map(Monotonic::to_timespec);
        match sys::wait_bitset(word, self.flags, expected, timeout.as_ref(), bitset) {
            Ok(()) => WaitOutcome::Woken,
            Err(errno) => wait_failed("FUTEX_WAIT_BITSET", errno),
        }
    }

    #[inline]
    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        match sys::wake(word, self.flags, kernel_count(count)) {
            Ok(woken) => woken as u32,
            Err(errno) => bug("FUTEX_WAKE", errno),
        }
    }

    #[inline]
    fn wake_bitset(&self, word: &AtomicU32, count: u32, bitset: NonZeroU32) -> u32 {
        match sys::wake_bitset(word, self.flags, kernel_count(count), bitset) {
            Ok(woken) => woken as u32,
            Err(errno) => bug("FUTEX_WAKE_BITSET", errno),
        }
    }

    #[inline]
    fn wait_any(&self, words: &[(&AtomicU32, u32)], deadline: Option<Monotonic>) -> WaitOutcome {
        assert!((1..=MAX_WORDS).contains(&words.len()), "wait_any takes 1 to {MAX_WORDS} words");
        let mut waiters = [Wait::new(); MAX_WORDS];
        for (waiter, (word, expected)) in waiters.iter_mut().zip(words) {
            waiter.val = u64::from(*expected);
            waiter.uaddr = WaitPtr::new(word.as_ptr().cast());
            waiter.flags = self.flags2;
        }
        let timeout = deadline.map(Monotonic::to_timespec);
        let waiters = &waiters[..words.len()];
        match sys::waitv(waiters, WaitvFlags::empty(), timeout.as_ref(), ClockId::Monotonic) {
            Ok(_) => WaitOutcome::Woken,
            // A missing call is ENOSYS; some seccomp filters, older Docker's among them, say EPERM.
            Err(Errno::NOSYS | Errno::PERM) => WaitOutcome::Unsupported,
            Err(errno) => wait_failed("futex_waitv", errno),
        }
    }

    #[inline]
    fn requeue(
        &self,
        from: &AtomicU32,
        expected: u32,
        to: &AtomicU32,
        wake_count: u32,
        requeue_count: u32,
    ) -> Result<u32, ValueChanged> {
        let (wake, requeue) = (clamp_count(wake_count), clamp_count(requeue_count));
        match sys::cmp_requeue(from, self.flags, wake, requeue, to, expected) {
            Ok(count) => Ok(count as u32),
            Err(Errno::AGAIN) => Err(ValueChanged),
            Err(errno) => bug("FUTEX_CMP_REQUEUE", errno),
        }
    }
}

/// The kernel's counts are signed.
#[inline]
fn clamp_count(count: u32) -> u32 {
    count.min(i32::MAX as u32)
}

/// FUTEX_WAKE with a count of 0 wakes one all the same, which nobody can want.
#[inline]
fn kernel_count(count: u32) -> u32 {
    debug_assert!(count > 0, "a wake of 0 waiters wakes one");
    clamp_count(count)
}

/// The ways in which a wait that entered the kernel may fail without a bug of ours.
#[inline]
fn wait_failed(call: &str, errno: Errno) -> WaitOutcome {
    match errno {
        Errno::AGAIN => WaitOutcome::ValueChanged,
        Errno::TIMEDOUT => WaitOutcome::TimedOut,
        Errno::INTR => WaitOutcome::Interrupted,
        _ => bug(call, errno),
    }
}

#[cold]
#[inline(never)]
fn bug(call: &str, errno: Errno) -> ! {
    panic!("{call} on a valid word failed: {errno}")
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn soon() -> Option<Monotonic> {
        Some(Monotonic::now().saturating_add(Duration::from_millis(20)))
    }

    /// Repeats `attempt` until it reports somebody, since a thread takes a while to fall asleep.
    fn until_found(mut attempt: impl FnMut() -> u32) -> u32 {
        loop {
            match attempt() {
                0 => thread::sleep(Duration::from_millis(1)),
                found => return found,
            }
        }
    }

    #[test]
    fn a_changed_word_is_not_slept_on() {
        let word = AtomicU32::new(1);
        assert_eq!(wait(&word, 0, None), WaitOutcome::ValueChanged);
        assert_eq!(private::wait(&word, 0, None), WaitOutcome::ValueChanged);
        assert_eq!(wait_any(&[(&word, 0)], None), WaitOutcome::ValueChanged);
    }

    #[test]
    fn deadlines_are_absolute() {
        let word = AtomicU32::new(0);
        let past = Some(Monotonic::from_nanos(1));
        assert_eq!(wait(&word, 0, past), WaitOutcome::TimedOut);
        let deadline = soon();
        assert_eq!(wait(&word, 0, deadline), WaitOutcome::TimedOut);
        assert_eq!(wait_any(&[(&word, 0), (&word, 0)], deadline), WaitOutcome::TimedOut);
        assert!(Some(Monotonic::now()) >= deadline);
    }

    #[test]
    fn wake_finds_the_waiter() {
        let word = AtomicU32::new(0);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| wait(&word, 0, None));
            assert_eq!(until_found(|| wake(&word, u32::MAX)), 1);
            assert_eq!(waiter.join().unwrap(), WaitOutcome::Woken);
        });
    }

    #[test]
    fn private_and_shared_do_not_meet() {
        let word = AtomicU32::new(0);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| private::wait(&word, 0, None));
            thread::sleep(Duration::from_millis(20));
            assert_eq!(wake_all(&word), 0);
            assert_eq!(until_found(|| private::wake_all(&word)), 1);
            assert_eq!(waiter.join().unwrap(), WaitOutcome::Woken);
        });
    }

    #[test]
    fn bitsets_choose_waiters() {
        let word = AtomicU32::new(0);
        let bit = |bit: u32| NonZeroU32::new(1 << bit).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| wait_bitset(&word, 0, bit(0), None));
            thread::sleep(Duration::from_millis(20));
            assert_eq!(wake_bitset(&word, 1, bit(1)), 0);
            assert_eq!(until_found(|| wake_bitset(&word, 1, bit(0))), 1);
            assert_eq!(waiter.join().unwrap(), WaitOutcome::Woken);
        });
    }

    #[test]
    fn any_of_several_words_wakes() {
        let words = [const { AtomicU32::new(0) }; MAX_WORDS];
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let pairs = [0, 1, 2, 3].map(|i| (&words[i], 0));
                wait_any(&pairs, None)
            });
            assert_eq!(until_found(|| wake(&words[3], 1)), 1);
            assert_eq!(waiter.join().unwrap(), WaitOutcome::Woken);
        });
    }

    #[test]
    fn requeued_waiters_answer_to_the_other_word() {
        let (from, to) = (AtomicU32::new(0), AtomicU32::new(0));
        assert_eq!(requeue(&from, 1, &to, 0, 1), Err(ValueChanged));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| wait(&from, 0, None));
            assert_eq!(until_found(|| requeue(&from, 0, &to, 0, u32::MAX).unwrap()), 1);
            assert_eq!(wake_all(&from), 0);
            assert_eq!(wake_all(&to), 1);
            assert_eq!(waiter.join().unwrap(), WaitOutcome::Woken);
        });
    }

    #[test]
    #[should_panic(expected = "1 to 4 words")]
    fn five_words_are_too_many() {
        let word = AtomicU32::new(0);
        wait_any(&[(&word, 0); 5], None);
    }
}
