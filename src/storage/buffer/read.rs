//! A page's way in.
//!
//! It is read into private memory, verified there, and copied into its frame, so that nobody ever sees bytes that were not
//! verified. Who dies in the middle leaves a buffer that is not valid and whose I/O others end and begin anew; what the
//! kernel still writes, it writes to memory of the dead.

use super::mapping::{BufferId, Found, Insert};
use super::pinned::{ExclusivePage, PinnedBuffer};
use super::ring::BufferRing;
use super::state::{self, Io, IoEnd, Use};
use crate::ipc::Mode;
use crate::ipc::stop_points::StopPoint;
use crate::os::cpu;
use crate::report::Result;
use crate::storage::errors::too_many_pins;
use crate::storage::ids::{BufferTag, PAGE_SIZE};
use crate::storage::page::{PageBuf, check};
use crate::storage::session::StorageSession;
use crate::sync::Ordering::Acquire;
use crate::sync::{Monotonic, yield_now};

/// How to read.
pub struct ReadOptions<'r> {
    /// Use these buffers for what is not in the pool.
    pub ring: Option<&'r mut BufferRing>,
    /// The relation's changes are in the log. Not so: unlogged ones, but for their init forks.
    pub is_permanent: bool,
}

impl Default for ReadOptions<'_> {
    fn default() -> Self {
        Self { ring: None, is_permanent: true }
    }
}

impl ReadOptions<'_> {
    pub(super) fn use_of(&self) -> Use {
        if self.ring.is_some() { Use::Once } else { Use::More }
    }

    pub(super) fn insert(&self) -> Insert {
        Insert { how: self.use_of(), is_permanent: self.is_permanent }
    }
}

impl<'s> StorageSession<'s> {
    /// Pins a page of a permanent relation, which is read if it is not in the pool.
    ///
    /// # Errors
    /// XX001 `invalid page in block N of relation "PATH"` if it is not what was written there; 58P01 if its file is not
    /// there; 58030 and others as the kernel says.
    #[inline]
    pub fn read(&self, tag: BufferTag) -> Result<PinnedBuffer<'_, 's>> {
        self.read_to_look(tag, 0)
    }

    /// The same for who will look at the page's head and then at `offset`: both are on their way while this goes on.
    #[inline]
    pub fn read_to_look(&self, tag: BufferTag, offset: usize) -> Result<PinnedBuffer<'_, 's>> {
        let is_held = |buffer| self.holds(buffer);
        let fetch = |buffer| self.pool.frames.prefetch(buffer, offset);
        let found = self.pool.mapping.find_optimistically(self.me, tag, Use::More, is_held, fetch);
        let pin = match found {
            Ok(Found::Pinned(buffer, pinned)) => PinnedBuffer::new(self, buffer, Some(pinned)),
            Ok(Found::Held(buffer)) => PinnedBuffer::new(self, buffer, None),
            Ok(Found::Missing | Found::Blocked) => return self.read_with(tag, ReadOptions::default()),
            Err(_) => return Err(too_many_pins()),
        };
        if pin.descriptor().state.load(Acquire) & state::VALID == 0 {
            return self.finish_reading(pin);
        }
        self.count(&self.counts.hits, 1, |usage| usage.hits += 1);
        Ok(pin)
    }

    /// Has the processor fetch what [`Self::warm`] will need, some time before.
    #[inline]
    pub fn warm_mapping(&self, tag: BufferTag) {
        cpu::prefetch(self.pool.mapping.bucket_address(tag));
    }

    /// Has the processor fetch what [`Self::read_to_look`] and a look at the page's head and at `offset` will need, some time
    /// before.
    #[inline]
    pub fn warm(&self, tag: BufferTag, offset: usize) {
        if let Some(buffer) = self.pool.mapping.guess(tag) {
            cpu::prefetch(std::ptr::from_ref(self.pool.mapping.descriptor(buffer)).cast());
            self.pool.frames.prefetch(buffer, offset);
        }
    }

    /// The same with options.
    pub fn read_with(&self, tag: BufferTag, mut options: ReadOptions<'_>) -> Result<PinnedBuffer<'_, 's>> {
        let (pin, is_begun) = self.find_or_begin(tag, &mut options)?;
        if is_begun {
            self.read_begun(&pin)?;
            return Ok(pin);
        }
        if pin.descriptor().state.load(Acquire) & state::VALID == 0 {
            return self.finish_reading(pin);
        }
        self.count(&self.counts.hits, 1, |usage| usage.hits += 1);
        Ok(pin)
    }

    /// Pins and locks a page that will be made anew, so that what stands in the file does not matter: all zeroes if it was
    /// not in the pool, else as it is.
    pub fn read_to_init(&self, tag: BufferTag, options: ReadOptions<'_>) -> Result<ExclusivePage<'_, 's>> {
        Ok(self.read_to_replace(tag, options, |page| page.fill(0))?.0)
    }

    /// The same; what it is if it was not in the pool, `make` says, which finds anything there. Whether that was so.
    pub fn read_to_replace(
        &self,
        tag: BufferTag,
        mut options: ReadOptions<'_>,
        make: impl FnOnce(&mut [u8; PAGE_SIZE]),
    ) -> Result<(ExclusivePage<'_, 's>, bool)> {
        let (pin, mut is_begun) = self.find_or_begin(tag, &mut options)?;
        loop {
            if is_begun {
                let content = self.pool.frames.lock(self.me, pin.descriptor(), pin.buffer, Mode::Exclusive);
                self.pool.frames.make(pin.buffer, make);
                self.end_io(&pin, IoEnd::Read);
                return Ok((ExclusivePage::new(content, pin), true));
            }
            match state::begin_read(self.me, pin.descriptor()) {
                Io::NotNeeded => return Ok((pin.lock_exclusive(), false)),
                Io::Begun => is_begun = true,
                Io::Busy => self.wait_io(&pin),
            }
        }
    }

    /// Pins a page if it is in the pool, valid or not.
    pub(super) fn find(&self, tag: BufferTag, how: Use) -> Result<Option<PinnedBuffer<'_, 's>>> {
        loop {
            match self.pool.mapping.find(self.me, tag, how, |buffer| self.holds(buffer)) {
                Ok(Found::Pinned(buffer, pinned)) => {
                    return Ok(Some(PinnedBuffer::new(self, buffer, Some(pinned))));
                }
                Ok(Found::Held(buffer)) => return Ok(Some(PinnedBuffer::new(self, buffer, None))),
                Ok(Found::Missing) => return Ok(None),
                Ok(Found::Blocked) => yield_now(),
                Err(_) => return Err(too_many_pins()),
            }
        }
    }

    #[inline]
    pub(super) fn holds(&self, buffer: BufferId) -> bool {
        self.pins.find(buffer).is_some()
    }

    /// Pins a page's buffer, put into the table if it was not there: then (`true`) its reading is begun.
    pub(super) fn find_or_begin(
        &self,
        tag: BufferTag,
        options: &mut ReadOptions<'_>,
    ) -> Result<(PinnedBuffer<'_, 's>, bool)> {
        if let Some(pin) = self.find(tag, options.use_of())? {
            return Ok((pin, false));
        }
        let claimed = self.claim(options.ring.as_deref_mut())?;
        self.put_in(claimed, tag, options.insert())
    }

    /// Makes a claimed buffer the page's, unless the page has got one meanwhile (`false`).
    pub(super) fn put_in<'a>(
        &'a self,
        claimed: PinnedBuffer<'a, 's>,
        tag: BufferTag,
        insert: Insert,
    ) -> Result<(PinnedBuffer<'a, 's>, bool)> {
        loop {
            let is_held = |buffer| self.holds(buffer);
            match self.pool.mapping.insert(self.me, tag, claimed.buffer, insert, is_held) {
                Ok(Found::Missing) => return Ok((claimed, true)),
                Ok(Found::Pinned(buffer, pinned)) => {
                    return Ok((PinnedBuffer::new(self, buffer, Some(pinned)), false));
                }
                Ok(Found::Held(buffer)) => return Ok((PinnedBuffer::new(self, buffer, None), false)),
                Ok(Found::Blocked) => yield_now(),
                Err(_) => return Err(too_many_pins()),
            }
        }
    }

    /// Reads a page that is in the table and was not valid, or waits until somebody has.
    #[cold]
    pub(super) fn finish_reading<'a>(&'a self, pin: PinnedBuffer<'a, 's>) -> Result<PinnedBuffer<'a, 's>> {
        loop {
            match state::begin_read(self.me, pin.descriptor()) {
                Io::NotNeeded => {
                    self.count(&self.counts.hits, 1, |usage| usage.hits += 1);
                    return Ok(pin);
                }
                Io::Begun => {
                    self.read_begun(&pin)?;
                    return Ok(pin);
                }
                Io::Busy => self.wait_io(&pin),
            }
        }
    }

    /// Reads a page the reading of which is begun.
    fn read_begun(&self, pin: &PinnedBuffer<'_, 's>) -> Result<()> {
        self.me.stop_point(StopPoint::BufferReadBegun);
        let tag = pin.tag();
        let is_taken = self.take_ahead(tag, |pages| {
            let good = pages.first().filter(|page| check::verify(page, tag).is_ok());
            if let Some(page) = good {
                self.end_reading(pin, page, true);
            }
            good.map_or(0, |_| 1)
        });
        let started = Monotonic::now();
        if is_taken > 0 {
            self.count_reads(1, started);
            return Ok(());
        }
        let mut page = self.scratch.borrow_mut();
        let read = self.files().read(tag, &mut page);
        self.count_reads(1, started);
        let result = read.and_then(|()| check::verify(&page, tag).map_err(|error| error.report()));
        self.end_reading(pin, &page, result.is_ok());
        result
    }

    pub(super) fn end_reading(&self, pin: &PinnedBuffer<'_, 's>, page: &PageBuf, is_good: bool) {
        if is_good {
            self.pool.frames.fill(pin.buffer, page);
            self.me.stop_point(StopPoint::BufferReadDone);
        }
        self.end_io(pin, if is_good { IoEnd::Read } else { IoEnd::Failed });
    }

    pub(super) fn count_reads(&self, pages: u64, started: Monotonic) {
        let took = Monotonic::now().as_nanos().saturating_sub(started.as_nanos());
        self.count(&self.counts.read_ns, took, |usage| usage.read_ns += took);
        self.count(&self.counts.reads, pages, |usage| usage.reads += pages);
    }
}
