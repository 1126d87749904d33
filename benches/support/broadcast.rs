//! Waking N waiters, each by its own doorbell, and hearing from all of them.
//!
//! One operation is: the waker rings N bells; each waiter wakes and counts itself in shared
//! memory; the last one to do so rings the waker, who has been asleep.
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::AcqRel;
use std::time::{Duration, Instant};

use super::Measured;
use super::peer::{ForkedPeer, pin_to_cpu};
use super::ping_pong::Doorbell;
use super::shared_page::SharedPage;

/// N processes waiting on one doorbell each.
pub struct OneBellEach<D> {
    // Dropped first, before what they use.
    _waiters: Vec<ForkedPeer>,
    bells: Vec<D>,
    to_us: D,
    _page: SharedPage,
}

impl<D: Doorbell> OneBellEach<D> {
    /// Starts the waiters, the first on CPU 1, the second with us on CPU 0, and so on in turn.
    pub fn start(waiters: u32) -> Self {
        assert!(waiters.is_power_of_two(), "see `answer`");
        pin_to_cpu(0);
        let page = SharedPage::new();
        let mut to_us = D::new();
        to_us.own();
        let mut bells: Vec<D> = (0..waiters).map(|_| D::new()).collect();
        let mut peers = Vec::new();
        for (bell, cpu) in bells.iter_mut().zip([1, 0].into_iter().cycle()) {
            peers.push(ForkedPeer::spawn_on(cpu, || answer(bell, &page[0], waiters, &to_us)));
        }
        // All have counted themselves once, to say that they own their bells.
        to_us.wait();
        Self { _waiters: peers, bells, to_us, _page: page }
    }
}

/// The waiter's loop. The count only grows, so nobody has to reset it; it may wrap around, since
/// the number of waiters is a power of two.
fn answer<D: Doorbell>(bell: &mut D, answered: &AtomicU32, waiters: u32, waker: &D) {
    bell.own();
    loop {
        if (answered.fetch_add(1, AcqRel) + 1).is_multiple_of(waiters) {
            waker.ring();
        }
        bell.wait();
    }
}

impl<D: Doorbell> Measured for OneBellEach<D> {
    fn measure(&mut self, iterations: u64) -> Duration {
        let started = Instant::now();
        for _ in 0..iterations {
            for bell in &self.bells {
                bell.ring();
            }
            self.to_us.wait();
        }
        started.elapsed()
    }
}
