//! Futexes, threads and time for the model checkers.
//!
//! The modelled futex is a queue behind one mutex, as the kernel's is a queue behind a hash bucket's lock: the word is
//! compared under it, and a wake-up takes it. The comparison is a plain load, weaker than the kernel's, so an algorithm
//! that needs the kernel's ordering fails here first. A waiter that nobody wakes is a deadlock, which both checkers report.

mod ring_bytes;

use std::time::Duration;

pub use ring_bytes::RingBytes;

#[cfg(loom)]
use loom::{lazy_static, sync::Condvar, sync::Mutex, sync::MutexGuard};
#[cfg(shuttle)]
use shuttle::{lazy_static, sync::Condvar, sync::Mutex, sync::MutexGuard};

#[cfg(loom)]
pub use loom::thread;
#[cfg(shuttle)]
pub use shuttle::thread;

/// Time, which does not pass in a model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Monotonic(u64);

impl Monotonic {
    /// Always the same instant.
    pub fn now() -> Self {
        Self(0)
    }

    /// Nanoseconds since the model began.
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// Later by `duration`; never reached.
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0 + duration.as_nanos() as u64)
    }
}

/// The modelled futex, with the real one's interface.
pub mod futex {
    use std::collections::VecDeque;
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use super::{Condvar, Monotonic, Mutex, MutexGuard, lazy_static};
    use crate::sync::{AtomicU32, Ordering};

    /// How a wait ended.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum WaitOutcome {
        /// Woken, or for no reason.
        Woken,
        /// The word did not hold the expected value.
        ValueChanged,
        /// The deadline passed; never in a model.
        TimedOut,
        /// A signal came; never in a model.
        Interrupted,
        /// The kernel lacks the call; never in a model.
        Unsupported,
    }

    struct Waiter {
        words: Vec<usize>,
        bitset: u32,
        woken: bool,
        sleeper: Arc<Condvar>,
    }

    #[derive(Default)]
    struct Queue {
        next_id: u64,
        waiters: VecDeque<(u64, Waiter)>,
    }

    impl Queue {
        fn push(&mut self, words: Vec<usize>, bitset: u32) -> (u64, Arc<Condvar>) {
            let (id, sleeper) = (self.next_id, Arc::new(Condvar::new()));
            self.next_id += 1;
            self.waiters
                .push_back((id, Waiter { words, bitset, woken: false, sleeper: Arc::clone(&sleeper) }));
            (id, sleeper)
        }

        fn is_woken(&self, id: u64) -> bool {
            self.waiters.iter().any(|(i, w)| *i == id && w.woken)
        }

        fn wake(&mut self, count: u32, matches: impl Fn(&Waiter) -> bool) -> u32 {
            let mut woken = 0;
            for (_, waiter) in self.waiters.iter_mut().filter(|(_, w)| !w.woken && matches(w)) {
                if woken == count {
                    break;
                }
                waiter.woken = true;
                waiter.sleeper.notify_one();
                woken += 1;
            }
            woken
        }
    }

    lazy_static! {
        static ref QUEUE: Mutex<Queue> = Mutex::new(Queue::default());
    }

    fn queue() -> MutexGuard<'static, Queue> {
        QUEUE.lock().expect("no thread panics with the queue locked")
    }

    fn address(word: &AtomicU32) -> usize {
        std::ptr::from_ref(word) as usize
    }

    /// Whether this wait returns for no reason: random under shuttle; loom's cases have a thread that calls [`wake_all`].
    fn is_spurious() -> bool {
        #[cfg(shuttle)]
        {
            use shuttle::rand::Rng;
            shuttle::rand::thread_rng().gen_range(0..8) == 0
        }
        #[cfg(loom)]
        false
    }

    fn sleep(words: &[(&AtomicU32, u32)], bitset: u32) -> WaitOutcome {
        if is_spurious() {
            return WaitOutcome::Woken;
        }
        let mut locked = queue();
        if words.iter().any(|(word, expected)| word.load(Ordering::SeqCst) != *expected) {
            return WaitOutcome::ValueChanged;
        }
        let (id, sleeper) = locked.push(words.iter().map(|(w, _)| address(w)).collect(), bitset);
        while !locked.is_woken(id) {
            locked = sleeper.wait(locked).expect("no thread panics with the queue locked");
        }
        locked.waiters.retain(|(i, _)| *i != id);
        WaitOutcome::Woken
    }

    /// Sleeps while `word` holds `expected`.
    pub fn wait(word: &AtomicU32, expected: u32, _deadline: Option<Monotonic>) -> WaitOutcome {
        sleep(&[(word, expected)], u32::MAX)
    }

    /// The same, woken by wake-ups that share a bit only.
    pub fn wait_bitset(
        word: &AtomicU32,
        expected: u32,
        bitset: NonZeroU32,
        _deadline: Option<Monotonic>,
    ) -> WaitOutcome {
        sleep(&[(word, expected)], bitset.get())
    }

    /// Sleeps while every word holds its expected value.
    pub fn wait_any(words: &[(&AtomicU32, u32)], _deadline: Option<Monotonic>) -> WaitOutcome {
        sleep(words, u32::MAX)
    }

    /// Wakes up to `count` waiters, first come first.
    pub fn wake(word: &AtomicU32, count: u32) -> u32 {
        wake_bitset(word, count, NonZeroU32::MAX)
    }

    /// The same, of those that share a bit.
    pub fn wake_bitset(word: &AtomicU32, count: u32, bitset: NonZeroU32) -> u32 {
        let word = address(word);
        queue().wake(count, |w| w.words.contains(&word) && w.bitset & bitset.get() != 0)
    }

    /// Wakes all.
    pub fn wake_all(word: &AtomicU32) -> u32 {
        wake(word, u32::MAX)
    }

    /// A wait that stays armed while its owner does something else, as one in a ring does.
    pub struct Armed(u64);

    /// Arms a wait; `None` if the word does not hold `expected`.
    pub fn arm(word: &AtomicU32, expected: u32) -> Option<Armed> {
        let mut locked = queue();
        if word.load(Ordering::SeqCst) != expected {
            return None;
        }
        Some(Armed(locked.push(vec![address(word)], u32::MAX).0))
    }

    impl Armed {
        /// Whether it was woken.
        pub fn has_fired(&self) -> bool {
            queue().is_woken(self.0)
        }
    }

    /// Wakes everybody in the model for no reason.
    pub fn wake_spuriously() -> u32 {
        queue().wake(u32::MAX, |_| true)
    }
}

/// Runs `case` under the checker and prints how many executions it took.
///
/// Under loom every interleaving is tried with at most `preemptions` preemptions (`None`: all of them, exhaustive). Under
/// shuttle `schedules` random ones. With `TUSKD_MODEL_BOUNDED` set the numbers are cut, for CI.
pub fn run_model(
    name: &str,
    preemptions: Option<usize>,
    schedules: usize,
    case: impl Fn() + Send + Sync + 'static,
) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let bounded = std::env::var_os("TUSKD_MODEL_BOUNDED").is_some();
    let executions = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&executions);
    let counted = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        case();
    };
    #[cfg(loom)]
    {
        let _ = schedules;
        let mut builder = loom::model::Builder::new();
        builder.max_branches = 100_000;
        builder.preemption_bound = match (preemptions, bounded) {
            (None, true) => Some(3),
            (Some(n), true) => Some(n.min(2)),
            (n, false) => n,
        };
        builder.check(counted);
    }
    #[cfg(shuttle)]
    {
        let _ = preemptions;
        shuttle::check_random(counted, if bounded { schedules / 20 } else { schedules });
    }
    println!("model {name}: {} executions", executions.load(Ordering::Relaxed));
}
