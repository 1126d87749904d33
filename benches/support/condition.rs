//! Waking N waiters by one broadcast of tuskd's condition variable, and hearing from all of them.
//!
//! The same operation as in `broadcast`: each waiter wakes and counts itself, and the last one to do so wakes the waker.
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::{Duration, Instant};

use shmem_layout::{ConditionVariableWord, SlotIndex};
use tuskd::ipc::{ConditionVariable, Proc, WaitEvent};
use tuskd::shmem::RegionSpec;

use super::Measured;
use super::peer::{ForkedPeer, pin_to_cpu};
use super::shared_page::{LINE, SharedPage};
use super::world::{VERSION, World};

/// N processes waiting on one condition variable.
pub struct Broadcast {
    // Dropped first, before what they use.
    _waiters: Vec<ForkedPeer>,
    me: &'static Proc<'static>,
    condition: ConditionVariable<'static>,
    page: SharedPage,
}

/// How often there was news.
fn news(page: &SharedPage) -> &AtomicU32 {
    &page[0]
}

/// How many answers there were.
fn answers(page: &SharedPage) -> &AtomicU32 {
    &page[LINE]
}

impl Broadcast {
    /// Starts the waiters, placed as in `OneBellEach`.
    pub fn start(waiters: u32) -> Self {
        assert!(waiters.is_power_of_two(), "see `answer`");
        pin_to_cpu(0);
        let conditions = RegionSpec::of::<ConditionVariableWord>("conditions", VERSION, 1);
        let mut world = World::new(1 + waiters as usize, &[conditions]);
        let words = world.segment().region::<ConditionVariableWord>("conditions", VERSION);
        let condition = ConditionVariable::new(&words.expect("the region is planned")[0]);
        let (we, page) = (world.claim(), SharedPage::new());
        let mut peers = Vec::new();
        for cpu in [1, 0].into_iter().cycle().take(waiters as usize) {
            let id = world.claim();
            peers.push(ForkedPeer::spawn_on(cpu, || {
                answer(world.enter(id), condition, &page, waiters, we.slot());
            }));
        }
        let broadcast = Self { _waiters: peers, me: world.enter(we), condition, page };
        broadcast.wait_for_answers();
        broadcast
    }

    fn wait_for_answers(&self) {
        self.me.latch().wait(self.me, None, WaitEvent::LATCH).expect("there is no deadline");
        self.me.latch().reset();
    }
}

/// The waiter's loop. The first answer says that it is there.
fn answer(
    me: &Proc<'_>,
    condition: ConditionVariable<'_>,
    page: &SharedPage,
    waiters: u32,
    waker: SlotIndex,
) {
    let mut seen = 0;
    loop {
        if (answers(page).fetch_add(1, AcqRel) + 1).is_multiple_of(waiters) {
            me.set_latch(waker);
        }
        let is_new = || news(page).load(Acquire) != seen;
        condition.wait_until(me, None, WaitEvent::CONDITION_VARIABLE, is_new).expect("nobody interrupts");
        seen = seen.wrapping_add(1);
    }
}

impl Measured for Broadcast {
    fn measure(&mut self, iterations: u64) -> Duration {
        let started = Instant::now();
        for _ in 0..iterations {
            news(&self.page).fetch_add(1, Release);
            self.condition.broadcast(self.me);
            self.wait_for_answers();
        }
        started.elapsed()
    }
}
