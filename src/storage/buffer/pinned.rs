//! What a session holds of a page: a pin, which keeps it in its buffer, and a lock of its content.
//!
//! | to | hold |
//! | --- | --- |
//! | keep a page from going | a [`PinnedBuffer`] |
//! | read it, set hints | a [`SharedPage`] |
//! | change it | an [`ExclusivePage`], from before the record of the change is made until it has its LSN |
//! | move items that others may point to | an [`ExclusivePage`] got by [`PinnedBuffer::lock_for_cleanup`]: nobody else has a pin |
//!
//! Locks of several pages are taken in an order that whoever builds on this fixes; waiting for one is not interruptible.

use super::frames::Content;
use super::mapping::BufferId;
use super::pins::PinSlot;
use super::state;
use crate::ipc::{ConditionVariable, Mode, WaitEnd, WaitEvent};
use crate::storage::ids::{BlockNumber, BufferTag};
use crate::storage::page::{PageMut, PageRef};
use crate::storage::session::StorageSession;
use crate::sync::Ordering::{AcqRel, Acquire};

/// A page that stays in its buffer. Cloning it is cheap: others see one pin of a process.
pub struct PinnedBuffer<'a, 's> {
    pub(super) session: &'a StorageSession<'s>,
    pub(super) buffer: BufferId,
    slot: PinSlot,
}

impl<'a, 's> PinnedBuffer<'a, 's> {
    /// A pin that was just taken, or one more of a buffer that is pinned already if `pinned` is `None`.
    #[inline]
    pub(super) fn new(
        session: &'a StorageSession<'s>,
        buffer: BufferId,
        pinned: Option<state::Pinned<'s>>,
    ) -> Self {
        let slot = match pinned {
            Some(pinned) => session.pins.add(buffer, pinned),
            None => {
                let slot = session.pins.find(buffer).expect("a held buffer is in the list");
                session.pins.again(slot);
                slot
            }
        };
        Self { session, buffer, slot }
    }

    #[inline]
    pub(super) fn descriptor(&self) -> &'s shmem_layout::BufferDescriptor {
        self.session.pool.mapping.descriptor(self.buffer)
    }

    /// Which page it is.
    pub fn tag(&self) -> BufferTag {
        state::tag_of(self.descriptor()).expect("a pinned buffer has a tag")
    }

    /// Its block.
    pub fn block(&self) -> BlockNumber {
        self.tag().block
    }

    /// Number of the buffer, from 1, as `pg_buffercache` counts.
    pub fn buffer_number(&self) -> u32 {
        self.buffer.0 + 1
    }

    /// Whether its content is newer than the file.
    pub fn is_dirty(&self) -> bool {
        self.descriptor().state.load(Acquire) & state::DIRTY != 0
    }

    #[inline]
    fn lock(&self, mode: Mode) -> Content<'s> {
        let StorageSession { pool, me, .. } = self.session;
        pool.frames.lock(me, self.descriptor(), self.buffer, mode)
    }

    /// Locks it to be read.
    #[inline]
    pub fn lock_shared(&self) -> SharedPage<'a, 's> {
        SharedPage { content: self.lock(Mode::Shared), pin: self.clone() }
    }

    /// The same for who needs the pin for nothing else.
    #[inline]
    pub fn into_shared(self) -> SharedPage<'a, 's> {
        SharedPage { content: self.lock(Mode::Shared), pin: self }
    }

    /// Locks it to be read if that needs no wait.
    pub fn try_lock_shared(&self) -> Option<SharedPage<'a, 's>> {
        let StorageSession { pool, me, .. } = self.session;
        let content = pool.frames.try_lock(me, self.descriptor(), self.buffer, Mode::Shared)?;
        Some(SharedPage { content, pin: self.clone() })
    }

    /// Locks it to be changed.
    #[inline]
    pub fn lock_exclusive(&self) -> ExclusivePage<'a, 's> {
        ExclusivePage { content: self.lock(Mode::Exclusive), pin: self.clone() }
    }

    /// Locks it to be changed if that needs no wait.
    pub fn try_lock_exclusive(&self) -> Option<ExclusivePage<'a, 's>> {
        let StorageSession { pool, me, .. } = self.session;
        let content = pool.frames.try_lock(me, self.descriptor(), self.buffer, Mode::Exclusive)?;
        Some(ExclusivePage { content, pin: self.clone() })
    }

    fn others_pin_it(&self) -> bool {
        state::pins(self.descriptor().state.load(Acquire)) != 1
    }

    /// Whether this is the session's only pin of it; else waiting for the only pin would be waiting for oneself.
    fn is_only_own_pin(&self) -> bool {
        self.session.pins.count(self.slot) == 1
    }

    /// Locks it to be changed with nobody else having a pin, if that needs no wait.
    pub fn try_lock_for_cleanup(&self) -> Option<ExclusivePage<'a, 's>> {
        let is_only = self.is_only_own_pin();
        let page = self.try_lock_exclusive()?;
        (is_only && !self.others_pin_it()).then_some(page)
    }

    /// The same, waiting for others to give their pins back.
    ///
    /// # Errors
    /// An interrupt that is not held off.
    ///
    /// # Panics
    /// If this session has pinned it more than once.
    pub fn lock_for_cleanup(&self) -> Result<ExclusivePage<'a, 's>, WaitEnd> {
        assert!(self.is_only_own_pin(), "the session itself pins it twice");
        loop {
            let page = self.lock_exclusive();
            if !self.others_pin_it() {
                return Ok(page);
            }
            drop(page);
            let descriptor = self.descriptor();
            let is_only = || state::pins(descriptor.state.fetch_or(state::PIN_WAITED, AcqRel)) == 1;
            let moved = ConditionVariable::new(&descriptor.moved);
            moved.wait_until(self.session.me, None, WaitEvent::BUFFER_PIN, is_only)?;
        }
    }
}

impl Clone for PinnedBuffer<'_, '_> {
    #[inline]
    fn clone(&self) -> Self {
        self.session.pins.again(self.slot);
        Self { session: self.session, buffer: self.buffer, slot: self.slot }
    }
}

impl Drop for PinnedBuffer<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(pinned) = self.session.pins.release(self.slot) {
            self.session.pool.mapping.give_back(self.session.me, self.descriptor(), pinned);
        }
    }
}

/// A page locked to be read.
#[must_use = "the lock is released when this is dropped"]
pub struct SharedPage<'a, 's> {
    // Before the pin: dropped first.
    content: Content<'s>,
    pin: PinnedBuffer<'a, 's>,
}

impl<'a, 's> SharedPage<'a, 's> {
    /// The page.
    #[inline]
    pub fn page(&self) -> PageRef<'_> {
        self.content.view()
    }

    /// The pin.
    pub fn pin(&self) -> &PinnedBuffer<'a, 's> {
        &self.pin
    }

    /// Sets bits of a hint word, which begins at an even offset. A clean page stays clean, so that the hint may be lost.
    ///
    /// # Panics
    /// If there is no such word.
    #[inline]
    pub fn set_hint(&self, offset: usize, bits: u16) {
        self.content.set_hint(offset, bits);
    }

    /// Unlocks it and keeps the pin.
    pub fn unlock(self) -> PinnedBuffer<'a, 's> {
        self.pin
    }
}

/// A page locked to be changed.
#[must_use = "the lock is released when this is dropped"]
pub struct ExclusivePage<'a, 's> {
    content: Content<'s>,
    pin: PinnedBuffer<'a, 's>,
}

impl<'a, 's> ExclusivePage<'a, 's> {
    /// A page whose content was locked already.
    pub(super) fn new(content: Content<'s>, pin: PinnedBuffer<'a, 's>) -> Self {
        Self { content, pin }
    }

    /// The page.
    #[inline]
    pub fn page(&self) -> PageRef<'_> {
        self.content.view()
    }

    /// The page, to be changed: in a critical section, once [`Self::mark_dirty`] was called.
    #[inline]
    pub fn page_mut(&mut self) -> PageMut<'_> {
        self.content.view_mut()
    }

    /// The pin.
    pub fn pin(&self) -> &PinnedBuffer<'a, 's> {
        &self.pin
    }

    /// Says that the page is, or is about to be, newer than the file: in the critical section that changes it, before its
    /// record is inserted, so that a checkpoint whose redo begins behind that record writes the page.
    #[inline]
    pub fn mark_dirty(&self) {
        if state::make_dirty(self.pin.descriptor()) {
            let session = self.pin.session;
            session.count(&session.counts.dirtied, 1, |usage| usage.dirtied += 1);
        }
    }

    /// Notes the LSN of the record of the change.
    #[inline]
    pub fn set_lsn(&mut self, lsn: u64) {
        self.page_mut().set_lsn(lsn);
    }

    /// Both, where a page is changed after a record, as redo does.
    pub fn mark_dirty_at(&mut self, lsn: u64) {
        self.mark_dirty();
        self.set_lsn(lsn);
    }

    /// Unlocks it and keeps the pin.
    pub fn unlock(self) -> PinnedBuffer<'a, 's> {
        self.pin
    }
}
