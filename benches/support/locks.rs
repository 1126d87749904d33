//! Reader-writer locks, ours and others, and the two ways in which two parties contend for one.
//!
//! A contended operation is: both parties take and release the lock once. Critical sections are
//! empty, so this measures the lock's own cost at its worst.
//!
//! # Safety
//!
//! [`PthreadRwLock`] passes pthread a lock that it has initialized in a page which stays mapped,
//! at the same address in all processes that use it, for as long as the lock exists.
use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::{Duration, Instant};

use shmem_layout::{LwLockState, ProcessId};
use tuskd::ipc::{LwLock, Proc, WaitEvent, lwlock};
use tuskd::shmem::RegionSpec;

use super::Measured;
use super::eventfd::EventFd;
use super::peer::{ForkedPeer, Placement, pin_to_cpu};
use super::ping_pong::Doorbell;
use super::shared_page::{LINE, SharedPage};
use super::world::{VERSION, World};

/// A lock that can be shared.
pub trait Lock {
    /// Takes it shared, and releases it.
    fn lock_shared_once(&self);

    /// Takes it exclusively, and releases it.
    fn lock_exclusive_once(&self);

    /// Called by a forked peer before it uses its copy of this, for locks that know who takes them.
    fn become_peer(&mut self) {}
}

/// How contenders take the lock.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// All shared.
    Shared,
    /// All exclusively.
    Exclusive,
}

impl Mode {
    /// Takes and releases the lock so many times.
    fn take<L: Lock>(self, lock: &L, times: u64) {
        match self {
            Self::Shared => (0..times).for_each(|_| lock.lock_shared_once()),
            Self::Exclusive => (0..times).for_each(|_| lock.lock_exclusive_once()),
        }
    }
}

/// A process-shared pthread_rwlock_t at the start of a shared page.
pub struct PthreadRwLock {
    page: SharedPage,
}

impl PthreadRwLock {
    /// An unlocked one.
    pub fn new() -> Self {
        let page = SharedPage::new();
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are initialized before they are used, and the page has room for
        // the lock and is used for nothing else.
        let result = unsafe {
            libc::pthread_rwlockattr_init(attributes.as_mut_ptr());
            let shared = libc::PTHREAD_PROCESS_SHARED;
            libc::pthread_rwlockattr_setpshared(attributes.as_mut_ptr(), shared);
            libc::pthread_rwlock_init(page.as_ptr().cast(), attributes.as_ptr())
        };
        assert_eq!(result, 0, "pthread_rwlock_init");
        Self { page }
    }

    fn raw(&self) -> *mut libc::pthread_rwlock_t {
        self.page.as_ptr().cast()
    }
}

impl Lock for PthreadRwLock {
    fn lock_shared_once(&self) {
        // SAFETY: the lock is initialized, and this thread holds it between the two calls only.
        unsafe {
            assert_eq!(libc::pthread_rwlock_rdlock(self.raw()), 0);
            libc::pthread_rwlock_unlock(self.raw());
        }
    }

    fn lock_exclusive_once(&self) {
        // SAFETY: the lock is initialized, and this thread holds it between the two calls only.
        unsafe {
            assert_eq!(libc::pthread_rwlock_wrlock(self.raw()), 0);
            libc::pthread_rwlock_unlock(self.raw());
        }
    }
}

impl Lock for parking_lot::RwLock<()> {
    fn lock_shared_once(&self) {
        drop(self.read());
    }

    fn lock_exclusive_once(&self) {
        drop(self.write());
    }
}

/// tuskd's LWLock, as one process sees it.
pub struct TuskdLwLock {
    world: World,
    peer: ProcessId,
    me: &'static Proc<'static>,
    lock: LwLock<'static>,
}

impl TuskdLwLock {
    /// A free one in a segment of its own.
    pub fn new() -> Self {
        let mut world = World::new(2, &[RegionSpec::of::<LwLockState>("locks", VERSION, 1)]);
        let locks = world.segment().region::<LwLockState>("locks", VERSION).expect("the region is planned");
        let (me, peer) = (world.claim(), world.claim());
        Self { me: world.enter(me), peer, world, lock: LwLock::new(&locks[0], WaitEvent::LWLOCK) }
    }
}

impl Lock for TuskdLwLock {
    fn lock_shared_once(&self) {
        drop(self.lock.acquire(self.me, lwlock::Mode::Shared));
    }

    fn lock_exclusive_once(&self) {
        drop(self.lock.acquire(self.me, lwlock::Mode::Exclusive));
    }

    fn become_peer(&mut self) {
        self.me = self.world.enter(self.peer);
    }
}

/// Lets two parties start together, and one of them learn when both are done.
struct Gate<'a> {
    ready: &'a AtomicU32,
    go: &'a AtomicU32,
    done: &'a AtomicU32,
}

impl<'a> Gate<'a> {
    /// Three words, all zero, on cache lines of their own.
    fn on(words: &'a [AtomicU32; 1024]) -> Self {
        Self { ready: &words[0], go: &words[LINE], done: &words[2 * LINE] }
    }

    /// The measuring party: returns how long the work of both took.
    fn lead(&self, work: impl FnOnce()) -> Duration {
        take_when_set(self.ready);
        let started = Instant::now();
        self.go.store(1, Release);
        work();
        take_when_set(self.done);
        started.elapsed()
    }

    /// The other party.
    fn follow(&self, work: impl FnOnce()) {
        self.ready.store(1, Release);
        take_when_set(self.go);
        work();
        self.done.store(1, Release);
    }
}

/// Spins, since sleeping would blur the start: each party has a CPU.
fn take_when_set(flag: &AtomicU32) {
    while flag.load(Acquire) == 0 {
        spin_loop();
    }
    flag.store(0, Release);
}

/// Two processes, on CPUs 0 and 1, contending for a lock in shared memory.
pub struct TwoProcesses<L> {
    // Dropped first, before what it uses.
    _peer: ForkedPeer,
    lock: L,
    mode: Mode,
    page: SharedPage,
    start: EventFd,
}

impl<L: Lock> TwoProcesses<L> {
    /// Starts the peer, which sleeps between measurements.
    pub fn start(mut lock: L, mode: Mode) -> Self {
        let (page, start) = (SharedPage::new(), EventFd::new());
        let peer = ForkedPeer::spawn(Placement::OtherCore, || {
            lock.become_peer();
            loop {
                let iterations = start.take();
                Gate::on(&page).follow(|| mode.take(&lock, iterations));
            }
        });
        Self { _peer: peer, lock, mode, page, start }
    }
}

impl<L: Lock> Measured for TwoProcesses<L> {
    fn measure(&mut self, iterations: u64) -> Duration {
        self.start.add(iterations);
        Gate::on(&self.page).lead(|| self.mode.take(&self.lock, iterations))
    }
}

/// Two threads of this process doing the same; the second lives for one measurement only.
pub struct TwoThreads<L> {
    /// What they contend for.
    pub lock: L,
    /// How they take it.
    pub mode: Mode,
}

impl<L: Lock + Sync> Measured for TwoThreads<L> {
    fn measure(&mut self, iterations: u64) -> Duration {
        let words = [const { AtomicU32::new(0) }; 1024];
        let (gate, lock, mode) = (Gate::on(&words), &self.lock, self.mode);
        pin_to_cpu(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                pin_to_cpu(1);
                gate.follow(|| mode.take(lock, iterations));
            });
            gate.lead(|| mode.take(lock, iterations))
        })
    }
}

/// One party alone: takes the lock once shared and once exclusively.
pub struct Uncontended<L>(pub L);

impl<L: Lock> Measured for Uncontended<L> {
    fn measure(&mut self, iterations: u64) -> Duration {
        pin_to_cpu(0);
        let started = Instant::now();
        for _ in 0..iterations {
            self.0.lock_shared_once();
            self.0.lock_exclusive_once();
        }
        started.elapsed()
    }
}
