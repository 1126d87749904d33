//! Finding a buffer for a page that is not in the pool: the clock.
//!
//! The hand is a counter that everybody moves. It takes one use off each buffer that it passes, and stops at one that
//! nobody pins and nobody has used since it last came by. Nothing is taken out of any list; buffers that were never used, or
//! whose page was dropped, look like that from the start.

use super::mapping::BufferId;
use super::pinned::PinnedBuffer;
use super::ring::BufferRing;
use super::state;
use super::write::Patience;
use crate::report::{Report, Result, SqlState};
use crate::storage::errors::too_many_pins;
use crate::storage::session::StorageSession;
use crate::sync::Ordering::{Acquire, Relaxed, SeqCst};

/// Frames whose memory is made at once when the hand first comes to them: 2 MB.
const POPULATED: usize = 256;

impl<'s> StorageSession<'s> {
    /// A buffer of no page, pinned by this process alone, its content not valid.
    ///
    /// # Errors
    /// XX000 if all buffers are pinned; and whatever ends the writing of a dirty page that is in the way.
    pub(super) fn claim(&self, mut ring: Option<&mut BufferRing>) -> Result<PinnedBuffer<'_, 's>> {
        loop {
            let (pin, from_ring) = self.candidate(ring.as_deref_mut())?;
            if !self.clean(&pin, ring.as_deref().filter(|_| from_ring))? {
                if let Some(ring) = ring.as_deref_mut().filter(|_| from_ring) {
                    ring.forget();
                }
                continue;
            }
            let had_page = pin.descriptor().state.load(Acquire) & state::TAG_VALID != 0;
            if !self.pool.mapping.evict(self.me, pin.buffer, false) {
                continue;
            }
            self.pool.shared.claims.fetch_add(1, SeqCst);
            self.pool.wake_sleeper(self.me);
            if had_page {
                self.count(&self.counts.evictions, 1, |_| ());
            }
            if let Some(ring) = ring {
                ring.put(pin.buffer);
            }
            return Ok(pin);
        }
    }

    /// A buffer that only this process pins, and whether it comes from the ring.
    fn candidate(&self, ring: Option<&mut BufferRing>) -> Result<(PinnedBuffer<'_, 's>, bool)> {
        if let Some(buffer) = ring.and_then(BufferRing::advance)
            && self.pins.find(buffer).is_none()
            // More than one use: somebody else likes it too.
            && let Some(pin) = self.pin_unused(buffer, 1)?
        {
            return Ok((pin, true));
        }
        Ok((self.sweep()?, false))
    }

    fn pin_unused(&self, buffer: BufferId, most_usage: u64) -> Result<Option<PinnedBuffer<'_, 's>>> {
        let descriptor = self.pool.mapping.descriptor(buffer);
        let pinned = state::pin_unused(self.me, descriptor, most_usage).map_err(|_| too_many_pins())?;
        Ok(pinned.map(|pinned| PinnedBuffer::new(self, buffer, Some(pinned))))
    }

    fn sweep(&self) -> Result<PinnedBuffer<'_, 's>> {
        let len = self.pool.len();
        // Twice around without a buffer that is unpinned at all: there is none.
        let mut left = 2 * len;
        while left > 0 {
            left -= 1;
            let hand = self.pool.shared.clock.fetch_add(1, Relaxed);
            let buffer = BufferId((hand % len as u64) as u32);
            if hand < len as u64 && hand.is_multiple_of(POPULATED as u64) {
                self.pool.frames.populate(buffer, POPULATED);
            }
            let descriptor = self.pool.mapping.descriptor(buffer);
            let seen = descriptor.state.load(Acquire);
            if state::pins(seen) > 0 || seen & state::BLOCKED != 0 {
                continue;
            }
            if state::usage(seen) > 0 {
                let change = |state: u64| {
                    (state::pins(state) == 0 && state::usage(state) > 0).then(|| state - state::ONE_USE)
                };
                let _ = state::update(descriptor, change);
                left = 2 * len;
            } else if let Some(pin) = self.pin_unused(buffer, 0)? {
                return Ok(pin);
            }
        }
        Err(Report::error(SqlState::INTERNAL_ERROR, "no unpinned buffers available"))
    }

    /// Writes the candidate if it is dirty. `false`: look for another one.
    fn clean(&self, pin: &PinnedBuffer<'_, 's>, ring: Option<&BufferRing>) -> Result<bool> {
        let seen = pin.descriptor().state.load(Acquire);
        if seen & state::DIRTY == 0 {
            return Ok(true);
        }
        if ring.is_some_and(|ring| ring.avoids_flushes()) && seen & state::PERMANENT != 0 {
            let Some(page) = pin.try_lock_shared() else { return Ok(false) };
            if !self.log.borrow().is_durable(page.page().lsn()) {
                return Ok(false);
            }
        }
        self.write_out(pin, Patience::Try)
    }
}
