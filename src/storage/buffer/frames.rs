//! The frames: the pages' bytes in shared memory, reached through the buffers' content locks.
//!
//! # Safety
//! No reference to a frame's bytes is made but through the views of `storage::page`, which only [`Content`] gives out, while
//! it holds the buffer's content lock, and which do not outlive it. Beside these, a frame is written by whoever does the
//! I/O of a buffer that is not valid ([`Frames::fill`], [`Frames::make`]): then nobody looks at its content, because every reader makes sure
//! first that the buffer is valid, and the compare-and-swap that makes it so is a release operation behind the copy.
//! Frames lie in the segment, which is mapped for `'s`.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use shmem_layout::BufferDescriptor;

use super::mapping::BufferId;
use crate::ipc::lwlock::LwLockGuard;
use crate::ipc::{LwLock, Mode, Proc, WaitEvent};
use crate::os::cpu;
use crate::shmem::{Segment, SegmentError};
use crate::storage::ids::PAGE_SIZE;
use crate::storage::page::{PageBuf, PageMut, PageRef, view};

/// All frames of the segment.
#[derive(Clone, Copy)]
pub(super) struct Frames<'s> {
    start: NonNull<u8>,
    count: usize,
    segment: &'s Segment,
}

impl<'s> Frames<'s> {
    /// Finds `count` frames in a region of one more, since the first is moved up to a multiple of its size.
    pub fn open(segment: &'s Segment, name: &str, version: u32, count: usize) -> Result<Self, SegmentError> {
        let first = segment.item(name, version, 0)?;
        let last = segment.item(name, version, count)?;
        let place = first.cast::<u8>().as_ptr().addr();
        let end = last.cast::<u8>().as_ptr().addr() + last.len();
        // By offset and not by address, so that every process finds the same place.
        let offset = (place - segment.base()).next_multiple_of(PAGE_SIZE);
        let skip = offset - (place - segment.base());
        if first.len() != PAGE_SIZE || place + skip + count * PAGE_SIZE > end {
            let problem = format!("has no {count} frames");
            return Err(SegmentError::Region { name: name.to_string(), problem });
        }
        // SAFETY: within the region, as just checked.
        let start = unsafe { first.cast::<u8>().add(skip) };
        Ok(Self { start, count, segment })
    }

    fn frame(self, buffer: BufferId) -> NonNull<u8> {
        assert!(buffer.index() < self.count, "no frame {}", buffer.0);
        // SAFETY: `open` found room for so many frames.
        unsafe { self.start.add(buffer.index() * PAGE_SIZE) }
    }

    /// Copies a page in. The caller does the buffer's I/O, and it is not valid: see the module.
    pub fn fill(self, buffer: BufferId, page: &PageBuf) {
        let frame = self.frame(buffer).as_ptr();
        // SAFETY: both have a page's bytes, and private memory is elsewhere; see the module.
        unsafe { std::ptr::copy_nonoverlapping(page.0.as_ptr(), frame, PAGE_SIZE) };
    }

    /// Has `make` write a page in its place. The caller does the buffer's I/O, and it is not valid: see the module. What
    /// stands there before is any page's.
    pub fn make(self, buffer: BufferId, make: impl FnOnce(&mut [u8; PAGE_SIZE])) {
        // SAFETY: the frame has a page's bytes, and any bytes are some; nobody else looks, see the module.
        make(unsafe { self.frame(buffer).cast::<[u8; PAGE_SIZE]>().as_mut() });
    }

    /// Has the processor fetch what a page begins with, and what stands at `offset`, while its buffer is pinned and locked:
    /// those are read-modify-writes, behind which it fetches nothing by itself. Nothing comes of a wrong guess.
    #[inline]
    pub fn prefetch(self, buffer: BufferId, offset: usize) {
        debug_assert!(offset < PAGE_SIZE, "{offset} is outside of the page");
        let frame = self.frame(buffer).as_ptr().cast_const();
        cpu::prefetch(frame);
        cpu::prefetch(frame.wrapping_add(offset));
    }

    /// Has the kernel make the memory of `count` frames from `buffer` on, as far as there are so many: at once that costs
    /// half of what it costs one fault at a time. What cannot be done now shows when a frame is touched.
    #[cold]
    pub fn populate(self, buffer: BufferId, count: usize) {
        let count = count.min(self.count - buffer.index());
        let offset = self.frame(buffer).as_ptr().addr() - self.segment.base();
        let _ = self.segment.prefault_part(offset, count * PAGE_SIZE);
    }

    /// Locks a buffer's content, waiting if need be.
    #[inline]
    pub fn lock(
        self,
        me: &'s Proc<'s>,
        descriptor: &'s BufferDescriptor,
        buffer: BufferId,
        mode: Mode,
    ) -> Content<'s> {
        let guard = LwLock::new(&descriptor.content, WaitEvent::BUFFER_CONTENT).acquire(me, mode);
        Content { guard, frame: self.frame(buffer) }
    }

    /// The same if that needs no wait.
    pub fn try_lock(
        self,
        me: &'s Proc<'s>,
        descriptor: &'s BufferDescriptor,
        buffer: BufferId,
        mode: Mode,
    ) -> Option<Content<'s>> {
        let guard = LwLock::new(&descriptor.content, WaitEvent::BUFFER_CONTENT).try_acquire(me, mode)?;
        Some(Content { guard, frame: self.frame(buffer) })
    }
}

/// A buffer's content, locked.
pub(super) struct Content<'s> {
    guard: LwLockGuard<'s, 's>,
    frame: NonNull<u8>,
}

impl Content<'_> {
    /// To be read.
    #[inline]
    pub fn view(&self) -> PageRef<'_> {
        // SAFETY: locked, for as long as the view lives.
        unsafe { PageRef::from_raw(self.frame) }
    }

    /// To be changed.
    #[inline]
    pub fn view_mut(&mut self) -> PageMut<'_> {
        assert!(self.guard.mode() == Mode::Exclusive, "a page is changed under an exclusive lock");
        // SAFETY: locked exclusively, for as long as the view lives, which is the only one.
        unsafe { PageMut::from_raw(self.frame) }
    }

    /// See [`view::set_hint`].
    #[inline]
    pub fn set_hint(&self, offset: usize, bits: u16) {
        // SAFETY: locked.
        unsafe { view::set_hint(self.frame, offset, bits) };
    }
}
