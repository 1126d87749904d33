//! Many pages in a row: read by few system calls, and asked for ahead of that, by io_uring where there is one.

use std::collections::VecDeque;

use super::pinned::PinnedBuffer;
use super::read::ReadOptions;
use super::read_ahead::AheadUser;
use super::ring::BufferRing;
use super::state;
use crate::report::Result;
use crate::storage::ids::{BlockNumber, PAGE_SIZE, RelFork};
use crate::storage::page::{PageBuf, check};
use crate::storage::session::StorageSession;
use crate::sync::Monotonic;
use crate::sync::Ordering::Acquire;

/// Most pages that one system call reads (`io_combine_limit`'s default).
pub const MAX_COMBINED: usize = 16;

/// Reads blocks of a fork in order, a few ahead of who asks for them; those are pinned.
pub struct SequentialRead<'a, 's, 'r> {
    session: &'a StorageSession<'s>,
    fork: RelFork,
    /// The next block to be fetched.
    next: u32,
    end: u32,
    ring: Option<&'r mut BufferRing>,
    is_permanent: bool,
    /// Fetched, not given out yet; and whether it was read for this.
    ready: VecDeque<(PinnedBuffer<'a, 's>, bool)>,
    /// Blocks before this were asked for.
    asked: u32,
    /// Something was not there when its turn came.
    has_waited: bool,
    user: Option<AheadUser<'a, 's>>,
    distance: u32,
    /// Pages fetched at once next: few at first, as a scan may end soon.
    at_once: usize,
    pages: Vec<PageBuf>,
}

impl<'a, 's, 'r> SequentialRead<'a, 's, 'r> {
    /// Over the blocks from `first` to before `end`, which exist.
    pub fn new(
        session: &'a StorageSession<'s>,
        fork: RelFork,
        first: u32,
        end: u32,
        options: ReadOptions<'r>,
    ) -> Self {
        let ReadOptions { ring, is_permanent } = options;
        Self {
            session,
            fork,
            next: first,
            end,
            ring,
            is_permanent,
            ready: VecDeque::new(),
            asked: first,
            has_waited: false,
            user: None,
            distance: 8 * MAX_COMBINED as u32,
            at_once: 1,
            pages: Vec::new(),
        }
    }

    /// How many blocks are asked for ahead; 0: none.
    pub fn set_distance(&mut self, blocks: u32) {
        self.distance = blocks;
    }

    /// Pins the next block; `None` at the end.
    ///
    /// # Errors
    /// As [`StorageSession::read`], for this block; the ones behind it can be read nevertheless.
    pub fn next_page(&mut self) -> Result<Option<PinnedBuffer<'a, 's>>> {
        if self.ready.is_empty() {
            self.fetch()?;
        }
        let Some((pin, was_read)) = self.ready.pop_front() else { return Ok(None) };
        if pin.descriptor().state.load(Acquire) & state::VALID == 0 {
            // Another reads it, or it could not be read: the error names it.
            return self.session.finish_reading(pin).map(Some);
        }
        if !was_read {
            self.session.count(&self.session.counts.hits, 1, |usage| usage.hits += 1);
        }
        Ok(Some(pin))
    }

    /// Pins the next few blocks and reads what is missing of them.
    fn fetch(&mut self) -> Result<()> {
        let in_ring = self.ring.as_ref().map_or(MAX_COMBINED, |ring| ring.len() / 2).max(1);
        let count = self.at_once.min(in_ring).min((self.end - self.next) as usize);
        self.advise()?;
        let mut run = Vec::with_capacity(count);
        for i in 0..count {
            let Some(block) = BlockNumber::new(self.next) else { break };
            let mut options = ReadOptions { ring: self.ring.as_deref_mut(), is_permanent: self.is_permanent };
            match self.session.find_or_begin(self.fork.block(block), &mut options) {
                Ok((pin, true)) => run.push(pin),
                Ok((pin, false)) => {
                    self.read_run(&mut run);
                    self.ready.push_back((pin, false));
                }
                // No more pins, or no buffer free: less at once.
                Err(_) if i > 0 => break,
                Err(report) => return Err(report),
            }
            self.next += 1;
        }
        self.read_run(&mut run);
        self.at_once = (self.at_once * 2).min(MAX_COMBINED);
        Ok(())
    }

    /// Reads pages that follow each other, whose reading is begun. What is wrong with one shows when it is asked for.
    fn read_run(&mut self, run: &mut Vec<PinnedBuffer<'a, 's>>) {
        if run.is_empty() {
            return;
        }
        let taken = self.take_run(run);
        self.ready.extend(run.drain(..taken).map(|pin| (pin, true)));
        let Some(first) = run.first() else { return };
        self.has_waited = true;
        while self.pages.len() < run.len() {
            self.pages.push(PageBuf([0; PAGE_SIZE]));
        }
        let started = Monotonic::now();
        let read = self.session.files().read_pages(first.tag(), &mut self.pages[..run.len()]).unwrap_or(0);
        self.session.count_reads(read as u64, started);
        for (i, (pin, page)) in run.drain(..).zip(&self.pages).enumerate() {
            let is_good = i < read && check::verify(page, pin.tag()).is_ok();
            self.session.end_reading(&pin, page, is_good);
            self.ready.push_back((pin, true));
        }
    }

    /// Takes what was read ahead of a run; how many of its pages are there now.
    fn take_run(&self, run: &[PinnedBuffer<'a, 's>]) -> usize {
        let mut taken = 0;
        while let Some(pin) = run.get(taken) {
            let started = Monotonic::now();
            let now = self.session.take_ahead(pin.tag(), |pages| {
                let good = run[taken..].iter().zip(pages).take_while(|(pin, page)| {
                    let is_good = check::verify(page, pin.tag()).is_ok();
                    if is_good {
                        self.session.end_reading(pin, page, true);
                    }
                    is_good
                });
                good.count()
            });
            if now == 0 {
                break;
            }
            self.session.count_reads(now as u64, started);
            taken += now;
        }
        taken
    }

    /// Asks for what comes next, once something had to be waited for: what is in the pool needs no asking.
    fn advise(&mut self) -> Result<()> {
        // Not for the first block or two, of which there may be no more.
        if self.at_once < 4 || !self.has_waited || self.distance == 0 {
            return Ok(());
        }
        let session = self.session;
        let user = self.user.get_or_insert_with(|| session.ahead_user());
        user.passed(self.next.into());
        let until = self.next.saturating_add(self.distance).min(self.end);
        self.asked = self.asked.max(self.next);
        while self.asked < until {
            let count = (MAX_COMBINED as u32).min(self.end - self.asked);
            let last = u64::from(self.asked + count - 1);
            if !user.ask(self.fork, self.asked, count, last)? {
                break;
            }
            self.asked += count;
        }
        user.submit();
        Ok(())
    }
}

impl StorageSession<'_> {
    /// Has the kernel read a block ahead if it is not in the pool; for readers that know where they go next.
    pub fn prefetch(&self, tag: crate::storage::ids::BufferTag) -> Result<()> {
        let is_there = self.find(tag, state::Use::No)?.is_some();
        if is_there { Ok(()) } else { self.files().will_need(tag, 1) }
    }
}
