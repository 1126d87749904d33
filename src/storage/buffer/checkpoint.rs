//! Writing for the checkpointer, which must, and for the background writer, which saves others the trouble.

use super::mapping::BufferId;
use super::state;
use super::write::Patience;
use crate::report::Result;
use crate::storage::ids::BufferTag;
use crate::storage::session::StorageSession;
use crate::sync::Ordering::{Acquire, Relaxed};

/// How fast a checkpoint writes.
pub trait Pace {
    /// Called after each page: `written` of `total` are. It may wait, and end the checkpoint by an error.
    fn wrote(&mut self, written: u64, total: u64) -> Result<()>;
}

/// As fast as it goes.
#[derive(Clone, Copy, Debug)]
pub struct Unpaced;

impl Pace for Unpaced {
    fn wrote(&mut self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
}

/// What a checkpoint wrote.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Written {
    /// Pages that were dirty when it began.
    pub total: u64,
    /// Of those, written by this call; the others were by somebody else, or dropped.
    pub written: u64,
}

impl StorageSession<'_> {
    /// Writes every page that is dirty now, sorted by file and block. `with_unlogged`: those of unlogged relations as well,
    /// as at a shutdown. Behind this, [`RelationFiles::sync_all`](crate::storage::RelationFiles::sync_all) makes them
    /// durable.
    pub fn checkpoint_write(&self, with_unlogged: bool, pace: &mut dyn Pace) -> Result<Written> {
        let mut dirty = self.mark_dirty_ones(with_unlogged);
        dirty.sort_unstable();
        let mut result = Written { total: dirty.len() as u64, written: 0 };
        for (done, (tag, buffer)) in (1..).zip(dirty) {
            if let Some(pin) = self.pin_where(buffer, state::CHECKPOINT, |at| at == tag)? {
                let before = self.usage().writes;
                self.write_out(&pin, Patience::Wait)?;
                result.written += self.usage().writes - before;
            }
            pace.wrote(done, result.total)?;
        }
        Ok(result)
    }

    /// Marks what is dirty, so that what others write meanwhile is not written twice, and lists it.
    fn mark_dirty_ones(&self, with_unlogged: bool) -> Vec<(BufferTag, BufferId)> {
        let mut dirty = Vec::new();
        for buffer in self.buffers() {
            let descriptor = self.pool.mapping.descriptor(buffer);
            if descriptor.state.load(Acquire) & state::DIRTY == 0 {
                continue;
            }
            let change = |state: u64| {
                let is_logged = state & state::PERMANENT != 0;
                (state & state::DIRTY != 0 && (is_logged || with_unlogged))
                    .then_some(state | state::CHECKPOINT)
            };
            // A dirty buffer keeps its tag until it is written, and then needs no writing; a tag read halfway through
            // such a change is of another page, and is passed over later.
            if state::update(descriptor, change).is_ok()
                && let Some(tag) = state::tag_of(descriptor)
            {
                dirty.push((tag, buffer));
            }
        }
        dirty
    }
}

/// The background writer's memory between rounds: it goes ahead of the clock's hand and cleans what the hand will want next.
#[derive(Debug, Default)]
pub struct BackgroundWriter {
    /// Buffer behind the last one looked at, counted as the hand is.
    next: u64,
    last_claims: u64,
    /// Buffers claimed per round, smoothed.
    claims_per_round: f64,
}

impl BackgroundWriter {
    /// One round: writes at most `max_pages` (`bgwriter_lru_maxpages`) of the dirty buffers ahead of the hand, until as many
    /// are clean as will be wanted in the next round, times `multiplier` (`bgwriter_lru_multiplier`). How many it wrote.
    pub fn write_some(
        &mut self,
        session: &StorageSession<'_>,
        max_pages: u64,
        multiplier: f64,
    ) -> Result<u64> {
        let (shared, len) = (session.pool.shared, session.pool.len() as u64);
        let hand = shared.clock.load(Relaxed);
        let claims = shared.claims.load(Relaxed);
        let recent = claims.saturating_sub(self.last_claims) as f64;
        self.last_claims = claims;
        // Up at once, down slowly, as demand comes in bursts.
        let smoothed = self.claims_per_round + (recent - self.claims_per_round) / 16.0;
        self.claims_per_round = if recent > smoothed { recent } else { smoothed };
        let wanted = (self.claims_per_round * multiplier) as u64;
        // What lies between the hand and where the last round ended is clean, or was in use.
        self.next = self.next.clamp(hand, hand + len);
        let mut clean = self.next - hand;
        let mut written = 0;
        while self.next < hand + len && clean < wanted && written < max_pages {
            let buffer = BufferId((self.next % len) as u32);
            self.next += 1;
            let seen = session.pool.mapping.descriptor(buffer).state.load(Acquire);
            if state::pins(seen) > 0 || state::usage(seen) > 0 {
                continue;
            }
            clean += 1;
            if seen & state::DIRTY != 0
                && let Some(pin) = session.pin_where(buffer, state::DIRTY, |_| true)?
            {
                let before = session.usage().writes;
                session.write_out(&pin, Patience::Try)?;
                written += session.usage().writes - before;
            }
        }
        Ok(written)
    }
}

/// A buffer as `pg_buffercache` and `pg_stat_io` want to see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferStatus {
    /// Its page; `None`: it has none.
    pub tag: Option<BufferTag>,
    /// Content newer than the file.
    pub is_dirty: bool,
    /// Uses since the hand came by, up to 5.
    pub usage: u64,
    /// Processes that pin it.
    pub pins: u64,
}

impl StorageSession<'_> {
    /// What stands in each buffer, looked at one after the other while others go on.
    pub fn buffer_statuses(&self) -> Vec<BufferStatus> {
        let status = |buffer| {
            let descriptor = self.pool.mapping.descriptor(buffer);
            let seen = descriptor.state.load(Acquire);
            let tag = if seen & state::TAG_VALID != 0 { state::tag_of(descriptor) } else { None };
            let is_dirty = seen & state::DIRTY != 0;
            BufferStatus { tag, is_dirty, usage: state::usage(seen), pins: state::pins(seen) }
        };
        self.buffers().map(status).collect()
    }
}
