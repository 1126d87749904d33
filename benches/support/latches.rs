//! tuskd's latch: round trips between two processes, by how the owner sleeps.
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use shmem_layout::{ConditionVariableWord, SlotIndex};
use tuskd::ipc::wait_set::{IoMethod, WaitSet};
use tuskd::ipc::{ConditionVariable, Latch, Proc, WaitEvent};
use tuskd::shmem::RegionSpec;

use super::Measured;
use super::peer::{ForkedPeer, Placement, pin_to_cpu};
use super::shared_page::{LINE, SharedPage};
use super::world::{VERSION, World};

/// One side of a round trip: a process with a way to sleep until its latch is set.
pub trait Side: Sized {
    /// Made by the process itself, after the fork.
    fn new(me: &'static Proc<'static>, shared: &Shared) -> Self;

    /// Sets the peer's latch.
    fn ring(&mut self, peer: SlotIndex);

    /// Sleeps until the own latch is set, and resets it.
    fn wait(&mut self);
}

/// What the sides share beside their slots.
pub struct Shared {
    world: World,
    /// A word of news for each side, on lines of their own.
    news: &'static SharedPage,
}

/// Condition variables this far apart have lines of their own.
const CONDITIONS_PER_LINE: usize = 64 / size_of::<ConditionVariableWord>();

impl Shared {
    fn new() -> Self {
        let conditions =
            RegionSpec::of::<ConditionVariableWord>("conditions", VERSION, 2 * CONDITIONS_PER_LINE);
        Self { world: World::new(2, &[conditions]), news: Box::leak(Box::new(SharedPage::new())) }
    }

    fn condition_of(&self, slot: SlotIndex) -> ConditionVariable<'static> {
        let words = self.world.segment().region::<ConditionVariableWord>("conditions", VERSION);
        let words = words.expect("the region is planned");
        ConditionVariable::new(&words[slot.index() * CONDITIONS_PER_LINE])
    }
}

/// Sleeps in `futex_wait` on its latch alone.
pub struct OnLatch(&'static Proc<'static>);

impl Side for OnLatch {
    fn new(me: &'static Proc<'static>, _shared: &Shared) -> Self {
        Self(me)
    }

    fn ring(&mut self, peer: SlotIndex) {
        self.0.set_latch(peer);
    }

    fn wait(&mut self) {
        self.0.latch().wait(self.0, None, WaitEvent::LATCH).expect("there is no deadline");
        self.0.latch().reset();
    }
}

/// Sleeps in `futex_waitv` on a condition variable and its latch. The condition comes true with the latch alone, as it
/// does for who waits for something that can be interrupted.
pub struct OnConditionAndLatch {
    me: &'static Proc<'static>,
    condition: ConditionVariable<'static>,
    news: &'static SharedPage,
}

impl OnConditionAndLatch {
    fn news_of(&self, slot: SlotIndex) -> &'static AtomicU32 {
        &self.news[slot.index() * LINE]
    }
}

impl Side for OnConditionAndLatch {
    fn new(me: &'static Proc<'static>, shared: &Shared) -> Self {
        Self { me, condition: shared.condition_of(me.id().slot()), news: shared.news }
    }

    fn ring(&mut self, peer: SlotIndex) {
        self.news_of(peer).store(1, Release);
        self.me.set_latch(peer);
    }

    fn wait(&mut self) {
        let news = self.news_of(self.me.id().slot());
        let is_there = || news.load(Acquire) != 0;
        let result = self.condition.wait_until(self.me, None, WaitEvent::LATCH, is_there);
        result.expect("nobody interrupts");
        news.store(0, Release);
        // `wait_until` leaves it set.
        self.me.latch().reset();
    }
}

/// Sleeps in its ring, which waits for its latch.
pub struct InRing {
    me: &'static Proc<'static>,
    wait_set: WaitSet<'static>,
}

impl Side for InRing {
    fn new(me: &'static Proc<'static>, _shared: &Shared) -> Self {
        let choice = IoMethod::IoUring.choose().expect("this bench needs io_uring");
        let mut wait_set = WaitSet::new(me, choice, None).expect("making a wait set");
        assert!(wait_set.ring().is_some(), "not what is measured");
        Self { me, wait_set }
    }

    fn ring(&mut self, peer: SlotIndex) {
        self.me.set_latch(peer);
    }

    fn wait(&mut self) {
        let wakeup = self.wait_set.wait(self.me, &[], None, WaitEvent::LATCH).expect("waiting in a ring");
        assert!(wakeup.latch_set);
        self.me.latch().reset();
    }
}

/// Two processes that set each other's latch in turn.
pub struct LatchRoundTrip<S> {
    // Dropped first, before what it uses.
    _peer: ForkedPeer,
    us: S,
    to: SlotIndex,
}

impl<S: Side> LatchRoundTrip<S> {
    /// Starts the peer and waits until it is ready.
    pub fn start(placement: Placement) -> Self {
        let mut shared = Shared::new();
        let (we, they) = (shared.world.claim(), shared.world.claim());
        let peer = ForkedPeer::spawn(placement, || {
            let mut side = S::new(shared.world.enter(they), &shared);
            loop {
                side.ring(we.slot());
                side.wait();
            }
        });
        let mut us = S::new(shared.world.enter(we), &shared);
        us.wait();
        Self { _peer: peer, us, to: they.slot() }
    }
}

impl<S: Side> Measured for LatchRoundTrip<S> {
    fn measure(&mut self, iterations: u64) -> Duration {
        let started = Instant::now();
        for _ in 0..iterations {
            self.us.ring(self.to);
            self.us.wait();
        }
        started.elapsed()
    }
}

/// Setting latches whose owners run: no system call.
pub struct SetOnly {
    me: &'static Proc<'static>,
    targets: Vec<SlotIndex>,
    /// Whether each latch is reset before it is set again; not timed.
    resets: bool,
}

/// Latches set one after the other, each on a line of its own; few enough for the first-level cache.
const TARGETS: usize = 64;

impl SetOnly {
    /// Latches that are set already.
    pub fn already_set() -> Self {
        Self::new(false)
    }

    /// Latches that are not set, and whose owners do not wait.
    pub fn no_waiter() -> Self {
        Self::new(true)
    }

    fn new(resets: bool) -> Self {
        let mut world = World::new(1 + TARGETS, &[]);
        let me = world.claim();
        let targets = (0..TARGETS).map(|_| world.claim().slot()).collect();
        Self { me: world.enter(me), targets, resets }
    }
}

impl Measured for SetOnly {
    fn measure(&mut self, iterations: u64) -> Duration {
        pin_to_cpu(0);
        let (mut left, mut spent) = (iterations as usize, Duration::ZERO);
        while left > 0 {
            let targets = &self.targets[..left.min(TARGETS)];
            if self.resets {
                targets.iter().for_each(|slot| Latch::of(&self.me.peers()[slot.index()]).reset());
            }
            let started = Instant::now();
            targets.iter().for_each(|slot| self.me.set_latch(*slot));
            spent += started.elapsed();
            left -= targets.len();
        }
        spent
    }
}
