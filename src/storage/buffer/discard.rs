//! Taking a relation's pages out of the pool, or all of them to disk.

use super::mapping::BufferId;
use super::pinned::PinnedBuffer;
use super::state::{self, Use};
use super::write::Patience;
use crate::ipc::{ConditionVariable, Interrupts, WaitEvent};
use crate::report::Result;
use crate::storage::errors::too_many_pins;
use crate::storage::ids::{BufferTag, RelFile, RelFork};
use crate::storage::session::StorageSession;
use crate::sync::Ordering::{AcqRel, Acquire};
use crate::sync::yield_now;

impl<'s> StorageSession<'s> {
    /// Forgets all pages of a relation, changed or not. Nobody else uses it any more, but for whoever happens to write one
    /// of its pages, who is waited for. Before its files are removed.
    pub fn discard_relation(&self, file: RelFile) -> Result<()> {
        self.discard_where(|tag| tag.file == file)
    }

    /// Forgets the pages of a fork from a block on, before it is cut off there.
    pub fn discard_from(&self, fork: RelFork, first_block: u32) -> Result<()> {
        self.discard_where(|tag| tag.rel_fork() == fork && tag.block.get() >= first_block)
    }

    /// Forgets all pages of a database, before it is removed.
    pub fn discard_database(&self, database: u32) -> Result<()> {
        self.discard_where(|tag| tag.file.database == database)
    }

    fn discard_where(&self, is_wanted: impl Fn(BufferTag) -> bool) -> Result<()> {
        for buffer in self.buffers() {
            if let Some(pin) = self.pin_where(buffer, 0, &is_wanted)? {
                self.discard(&pin);
            }
        }
        Ok(())
    }

    fn discard(&self, pin: &PinnedBuffer<'_, 's>) {
        while !self.pool.mapping.evict(self.me, pin.buffer, true) {
            self.wait_io(pin);
            let descriptor = pin.descriptor();
            let is_alone = || state::pins(descriptor.state.fetch_or(state::PIN_WAITED, AcqRel)) == 1;
            self.me.hold_off(Interrupts::ALL, || {
                let moved = ConditionVariable::new(&descriptor.moved);
                let _ = moved.wait_until(self.me, None, WaitEvent::BUFFER_PIN, is_alone);
            });
        }
    }

    /// Writes all changed pages of a relation, which nobody changes meanwhile.
    pub fn flush_relation(&self, file: RelFile) -> Result<()> {
        self.flush_where(|tag| tag.file == file)
    }

    /// The same of a database.
    pub fn flush_database(&self, database: u32) -> Result<()> {
        self.flush_where(|tag| tag.file.database == database)
    }

    fn flush_where(&self, is_wanted: impl Fn(BufferTag) -> bool) -> Result<()> {
        for buffer in self.buffers() {
            if let Some(pin) = self.pin_where(buffer, state::DIRTY, &is_wanted)? {
                self.write_out(&pin, Patience::Wait)?;
            }
        }
        Ok(())
    }

    pub(super) fn buffers(&self) -> impl Iterator<Item = BufferId> + use<> {
        (0..self.pool.len() as u32).map(BufferId)
    }

    /// Pins a buffer if it has a tag that is wanted, and all of `flags`.
    pub(super) fn pin_where(
        &self,
        buffer: BufferId,
        flags: u64,
        is_wanted: impl Fn(BufferTag) -> bool,
    ) -> Result<Option<PinnedBuffer<'_, 's>>> {
        let descriptor = self.pool.mapping.descriptor(buffer);
        let wanted = flags | state::TAG_VALID;
        let matches = || {
            let has_flags = descriptor.state.load(Acquire) & wanted == wanted;
            has_flags && state::tag_of(descriptor).is_some_and(&is_wanted)
        };
        // Without a pin the tag may change between its words; so it is looked at again with one.
        while matches() {
            if self.holds(buffer) {
                return Ok(Some(PinnedBuffer::new(self, buffer, None)));
            }
            let pinned = state::pin_tagged(self.me, descriptor, Use::No).map_err(|_| too_many_pins())?;
            if let Some(pinned) = pinned {
                let pin = PinnedBuffer::new(self, buffer, Some(pinned));
                return Ok(matches().then_some(pin));
            }
            yield_now();
        }
        Ok(None)
    }
}
