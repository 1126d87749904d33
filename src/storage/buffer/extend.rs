//! New pages at a relation's end.
//!
//! Under the fork's extension lock: the file is made longer by zeroes, and the new pages' buffers are in the table before
//! that, so that nobody reads a page of the file that somebody else is just making.

use super::pinned::{ExclusivePage, PinnedBuffer};
use super::read::ReadOptions;
use super::state::{self, Io, IoEnd};
use crate::ipc::Mode;
use crate::ipc::stop_points::StopPoint;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::storage::ids::{BlockNumber, BufferTag, RelFork};
use crate::storage::page::PageBuf;
use crate::storage::session::StorageSession;
use crate::sync::Ordering::Acquire;

/// Most pages that one call adds.
pub const MAX_EXTEND: u32 = 64;

impl<'s> StorageSession<'s> {
    /// Adds a page, which is all zeroes, to a fork's end, and locks it before anybody else can.
    ///
    /// # Errors
    /// 53100 if the disk is full, 54000 if the fork has as many blocks as it can have.
    pub fn extend(&self, fork: RelFork, options: ReadOptions<'_>) -> Result<ExclusivePage<'_, 's>> {
        let mut first = None;
        self.extend_with(fork, 1, options, &mut |pin| first = Some(pin.lock_exclusive()))?;
        Ok(first.expect("one page was added"))
    }

    /// Adds up to `count` pages, at least one and at most `MAX_EXTEND` and an eighth of the pool.
    pub fn extend_by(
        &self,
        fork: RelFork,
        count: u32,
        options: ReadOptions<'_>,
    ) -> Result<Vec<PinnedBuffer<'_, 's>>> {
        self.extend_with(fork, count, options, &mut |_| ())
    }

    /// `before_valid` is told each new page's buffer while nobody else can look at it.
    fn extend_with<'a>(
        &'a self,
        fork: RelFork,
        count: u32,
        mut options: ReadOptions<'_>,
        before_valid: &mut dyn FnMut(&PinnedBuffer<'a, 's>),
    ) -> Result<Vec<PinnedBuffer<'a, 's>>> {
        let count = count.clamp(1, MAX_EXTEND).min((self.pool.len() / 8).max(1) as u32);
        // Before the lock: this may have to write others' pages.
        let mut claimed = Vec::new();
        for _ in 0..count {
            match self.claim(options.ring.as_deref_mut()) {
                Ok(pin) => claimed.push(pin),
                Err(_) if !claimed.is_empty() => break,
                Err(report) => return Err(report),
            }
        }
        let _guard = self.pool.extension_lock(fork).acquire(self.me, Mode::Exclusive);
        let first = self.files().blocks(fork)?;
        let tags = new_tags(fork, first, claimed.len() as u32)?;
        let mut pins = Vec::with_capacity(tags.len());
        for (claimed, tag) in claimed.into_iter().zip(&tags) {
            let put = self.put_in(claimed, *tag, options.insert());
            let begun = put.and_then(|(pin, is_begun)| {
                if !is_begun {
                    self.take_over(&pin)?;
                }
                Ok(pin)
            });
            match begun {
                Ok(pin) => pins.push(pin),
                Err(report) => {
                    self.give_up(pins);
                    return Err(report);
                }
            }
        }
        if let Err(report) = self.files().extend(tags[0], tags.len() as u32) {
            self.give_up(pins);
            return Err(report);
        }
        self.me.stop_point(StopPoint::FileExtended);
        self.count(&self.counts.extends, tags.len() as u64, |_| ());
        let zeroes = PageBuf::zeroed();
        for pin in &pins {
            self.pool.frames.fill(pin.buffer, &zeroes);
            before_valid(pin);
            self.end_io(pin, IoEnd::Read);
        }
        Ok(pins)
    }

    /// Begins the I/O of a buffer that was in the table for a page beyond the end, left by an extension that failed or died.
    fn take_over(&self, pin: &PinnedBuffer<'_, 's>) -> Result<()> {
        loop {
            match state::begin_read(self.me, pin.descriptor()) {
                Io::Begun => return Ok(()),
                Io::Busy => self.wait_io(pin),
                Io::NotNeeded => {
                    let (tag, page) = (pin.tag(), pin.lock_shared());
                    if !page.page().is_new() {
                        let relation = tag.rel_fork();
                        let message = format!(
                            "unexpected data beyond EOF in block {} of relation \"{relation}\"",
                            tag.block
                        );
                        return Err(Report::error(SqlState::INTERNAL_ERROR, message).with_hint(
                            "This has been seen to occur with buggy kernels; consider updating your system.",
                        ));
                    }
                    // All zeroes, as it is to be: read again, which the file's new end makes possible.
                    drop(page);
                    let _ = state::update(pin.descriptor(), |state| Some(state & !state::VALID));
                }
            }
        }
    }

    /// Ends the I/O of pages that do not come to be, and takes them out of the pool.
    fn give_up(&self, pins: Vec<PinnedBuffer<'_, 's>>) {
        for pin in pins {
            if state::does_io(self.me, pin.descriptor().state.load(Acquire)) {
                self.end_io(&pin, IoEnd::Failed);
            }
            // Somebody may pin it already; then it stays, not valid, and reading it is an error.
            self.pool.mapping.evict(self.me, pin.buffer, false);
        }
    }

    /// Makes a fork at least `blocks` long, as redo wants it.
    pub fn extend_to(&self, fork: RelFork, blocks: u32) -> Result<()> {
        loop {
            let now = self.files().blocks(fork)?;
            if now >= blocks {
                return Ok(());
            }
            // One page after another could be added by others meanwhile: then there is one more, which does no harm in redo.
            self.extend_by(fork, blocks - now, ReadOptions::default())?;
        }
    }
}

fn new_tags(fork: RelFork, first: u32, count: u32) -> Result<Vec<BufferTag>> {
    let tags: Option<Vec<_>> =
        (0..count).map(|i| Some(fork.block(BlockNumber::new(first.checked_add(i)?)?))).collect();
    tags.ok_or_else(|| {
        let limit = BlockNumber::LIMIT;
        let message = format!("cannot extend relation \"{fork}\" beyond {limit} blocks");
        Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
    })
}
