//! The transaction map: pages of states, the recent ones in shared memory, all of them in a store behind it.
//!
//! A *wide* page has a word per id. When every id of it has ended below the horizon, two bits per id are enough, and it
//! becomes a part of a *narrow* page. Pages sit in sets of four frames, by number. A word is read without a lock: the
//! frame's page before it and behind it, and if that is still the one looked for, the word was its. Words change with the
//! set's lock shared, pages come and go with it exclusive.
//!
//! A commit must not wait between reserving its place in the log and stamping its state. So it names the frame in its slot
//! beforehand (`pinned`), and who looks for a victim passes over frames that some slot names. There is no count of pins,
//! so a death leaves nothing that would have to be counted again.

use shmem_layout::transactions::{MAP_WAYS, MAP_WORDS};
use shmem_layout::{MapFrame, MapSet};

use super::locks::OwnerIndex;
use super::lsn::Lsn;
use super::table::{StateMap, TransactionWords};
use super::xid::{State, Xid};
use crate::ipc::stop_points::StopPoint;
use crate::ipc::{LwLock, LwLockGuard, Mode, Proc, WaitEvent};
use crate::report::{Report, Result};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicU64, yield_now};

/// Ids whose states fit a narrow page.
pub const NARROW_IDS: u64 = MAP_WORDS as u64 * IDS_PER_WORD;

/// Ids whose states fit a wide page.
pub const WIDE_IDS: u64 = MAP_WORDS as u64;

const IDS_PER_WORD: u64 = 32;
const COMMITTED: u64 = 1;
const ABORTED: u64 = 2;

/// The words of a page.
pub type Words = [u64; MAP_WORDS];

/// Which page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MapPage {
    /// A word per id.
    Wide(u64),
    /// Two bits per id.
    Narrow(u64),
}

/// The pages behind the map.
pub trait MapStore {
    /// Reads a page; `false`: it was never written, or it was dropped.
    fn read(&self, page: MapPage, words: &mut Words) -> Result<bool>;

    /// Writes a page, after the log is durable up to `lsn`.
    fn write(&self, page: MapPage, words: &Words, lsn: Lsn) -> Result<()>;

    /// The wide pages of ids below are not needed any more, once all that was written before this is durable.
    fn drop_wide_below(&self, xid: Xid) -> Result<()>;
}

impl MapPage {
    fn key(self) -> u64 {
        match self {
            Self::Wide(number) => number << 1 | 1,
            Self::Narrow(number) => (number + 1) << 1,
        }
    }

    fn from_key(key: u64) -> Option<Self> {
        match (key, key & 1) {
            (0, _) => None,
            (_, 1) => Some(Self::Wide(key >> 1)),
            _ => Some(Self::Narrow((key >> 1) - 1)),
        }
    }

    fn wide_of(xid: Xid) -> (Self, usize) {
        (Self::Wide(xid.number() / WIDE_IDS), (xid.number() % WIDE_IDS) as usize)
    }

    /// The narrow page of an id, the word in it, and by how many bits that is to be shifted.
    fn narrow_of(xid: Xid) -> (Self, usize, u32) {
        let within = xid.number() % NARROW_IDS;
        let (word, bits) = (within / IDS_PER_WORD, within % IDS_PER_WORD * 2);
        (Self::Narrow(xid.number() / NARROW_IDS), word as usize, bits as u32)
    }
}

/// The map's frames.
#[derive(Clone, Copy)]
pub struct MapFrames<'s> {
    pub(super) sets: &'s [MapSet],
    pub(super) frames: &'s [MapFrame],
}

/// The map, as one process sees it.
pub struct PagedMap<'a, 's, S> {
    me: &'a Proc<'s>,
    words: TransactionWords<'s>,
    frames: MapFrames<'s>,
    store: S,
}

/// A frame that holds a page, and the lock that keeps it there.
struct Here<'p, 's> {
    frame: &'s MapFrame,
    number: u32,
    _guard: LwLockGuard<'p, 's>,
}

impl<'a, 's, S: MapStore> PagedMap<'a, 's, S> {
    /// The map over these frames and this store, for the process `me`.
    pub fn new(me: &'a Proc<'s>, words: TransactionWords<'s>, frames: MapFrames<'s>, store: S) -> Self {
        Self { me, words, frames, store }
    }

    fn set_of(&self, page: MapPage) -> usize {
        // Neighbours in different sets, and narrow pages away from the wide ones that become them.
        let spread = match page {
            MapPage::Wide(number) => number,
            MapPage::Narrow(number) => number.wrapping_mul(0x9e37_79b9) >> 8,
        };
        (spread % self.frames.sets.len() as u64) as usize
    }

    fn lock(&self, set: usize, mode: Mode) -> LwLockGuard<'a, 's> {
        LwLock::new(&self.frames.sets[set].lock, WaitEvent::TRANSACTION_MAP).acquire(self.me, mode)
    }

    fn frames_of(&self, set: usize) -> impl Iterator<Item = (usize, &'s MapFrame)> + use<'s, S> {
        let first = set * MAP_WAYS;
        self.frames.frames[first..first + MAP_WAYS].iter().enumerate().map(move |(i, f)| (first + i, f))
    }

    /// A word of a page that is in memory, without a lock.
    fn peek(&self, page: MapPage, index: usize) -> Option<u64> {
        let key = page.key();
        let (_, frame) = self.frames_of(self.set_of(page)).find(|(_, f)| f.page.load(Acquire) == key)?;
        let word = frame.words[index].load(Acquire);
        (frame.page.load(Acquire) == key).then_some(word)
    }

    fn word(&self, page: MapPage, index: usize) -> Result<u64> {
        match self.peek(page, index) {
            Some(word) => Ok(word),
            None => Ok(self.here(page)?.frame.words[index].load(Acquire)),
        }
    }

    /// The frame of a page, read into memory if need be, and kept there while the result lives.
    fn here(&self, page: MapPage) -> Result<Here<'a, 's>> {
        let (set, key) = (self.set_of(page), page.key());
        loop {
            let guard = self.lock(set, Mode::Shared);
            let found = self.frames_of(set).find(|(_, frame)| frame.page.load(Acquire) == key);
            if let Some((index, frame)) = found {
                return Ok(Here { frame, number: index as u32 + 1, _guard: guard });
            }
            drop(guard);
            self.bring(page, set)?;
        }
    }

    /// Puts a page into a frame of its set, if it is not there yet.
    #[cold]
    fn bring(&self, page: MapPage, set: usize) -> Result<()> {
        let guard = self.lock(set, Mode::Exclusive);
        if self.frames_of(set).any(|(_, frame)| frame.page.load(Acquire) == page.key()) {
            return Ok(());
        }
        let Some(frame) = self.victim(set) else {
            // Four commits of ids far apart are on their way; none of them waits for this.
            drop(guard);
            yield_now();
            return Ok(());
        };
        self.write_back(frame)?;
        let mut words = [0; MAP_WORDS];
        self.store.read(page, &mut words)?;
        frame.page.store(0, Release);
        // Who reads one of these behind the old page's number looks at that again, and finds it gone.
        frame.words.iter().zip(words).for_each(|(word, value)| word.store(value, Release));
        frame.lsn.store(0, Relaxed);
        frame.page.store(page.key(), Release);
        Ok(())
    }

    /// A frame of the set that may have another page: an empty one, else the next in turn that nobody has pinned.
    fn victim(&self, set: usize) -> Option<&'s MapFrame> {
        let turn = self.frames.sets[set].turn.fetch_add(1, Relaxed) as usize;
        let is_pinned = |index: usize| {
            let number = index as u32 + 1;
            self.words.slots.iter().any(|slot| slot.pinned.load(SeqCst) == number)
        };
        let empty = self.frames_of(set).find(|(_, frame)| frame.page.load(Relaxed) == 0);
        let in_turn = || {
            let by_turn = (0..MAP_WAYS).map(|i| set * MAP_WAYS + (turn + i) % MAP_WAYS);
            by_turn.map(|index| (index, &self.frames.frames[index])).find(|(index, _)| !is_pinned(*index))
        };
        empty.or_else(in_turn).map(|(_, frame)| frame)
    }

    /// Writes a changed page to the store. With the set's lock held.
    fn write_back(&self, frame: &MapFrame) -> Result<bool> {
        let Some(page) = MapPage::from_key(frame.page.load(Relaxed)) else { return Ok(false) };
        // A change behind this makes it dirty again.
        if frame.dirty.swap(0, AcqRel) == 0 {
            return Ok(false);
        }
        let words: Words = std::array::from_fn(|i| frame.words[i].load(Acquire));
        let written = self.store.write(page, &words, Lsn::new(frame.lsn.load(Acquire)));
        self.me.stop_point(StopPoint::MapPageWritten);
        if written.is_err() {
            frame.dirty.store(1, Release);
        }
        written.map(|()| true)
    }

    /// Writes all changed pages to the store: a checkpoint's part. How many.
    pub fn write_all(&self) -> Result<u64> {
        let mut written = 0;
        for set in 0..self.frames.sets.len() {
            let _guard = self.lock(set, Mode::Shared);
            for (_, frame) in self.frames_of(set) {
                written += u64::from(self.write_back(frame)?);
            }
        }
        Ok(written)
    }

    /// The pages behind the map.
    pub fn pages(&self) -> &S {
        &self.store
    }

    /// Turns wide pages into parts of narrow ones, as far as every id of them has ended below the horizon. Returns the
    /// first id that is still kept wide. One process at a time does this.
    pub fn narrow(&self, horizon: Lsn) -> Result<Xid> {
        let before = self.words.shared.narrow_below.load(SeqCst);
        loop {
            let start = self.words.shared.narrow_below.load(SeqCst);
            let end = start / WIDE_IDS * WIDE_IDS + WIDE_IDS;
            if end > self.words.oldest_running().number() || !self.narrow_page(start, end, horizon)? {
                let wide = Xid::new(start).unwrap_or(Xid::FIRST);
                if start > before {
                    // The two bits first, or a crash in between would leave neither.
                    self.write_all()?;
                    self.me.stop_point(StopPoint::MapNarrowed);
                    self.store.drop_wide_below(wide)?;
                }
                return Ok(wide);
            }
            // Behind the narrow page's write: who still reads wide words from here on finds them as they were, and
            // looks again.
            self.words.shared.narrow_below.store(end, SeqCst);
            self.forget_page(MapPage::Wide(start / WIDE_IDS))?;
        }
    }

    /// Writes the two bits of the ids from `start` on; `false`: one of them is needed wide.
    fn narrow_page(&self, start: u64, end: u64, horizon: Lsn) -> Result<bool> {
        let ids = (start.max(1)..end).filter_map(Xid::new);
        let mut ends = Vec::new();
        for xid in ids {
            ends.push((
                xid,
                match self.load_top(xid)? {
                    State::Committed(lsn) if lsn > horizon => return Ok(false),
                    State::Committed(_) | State::CommittedLongAgo => COMMITTED,
                    // Nobody runs it any more, so nobody will ever say how it ended.
                    _ => ABORTED,
                },
            ));
        }
        for (xid, bits) in ends {
            let (page, word, shift) = MapPage::narrow_of(xid);
            let here = self.here(page)?;
            here.change(word, |old| old & !(0b11 << shift) | bits << shift, Lsn::INVALID);
        }
        Ok(true)
    }

    fn load_top(&self, xid: Xid) -> Result<State> {
        let (mut top, mut state) = (xid, self.load(xid)?);
        while let State::Child(parent) = state
            && parent < top
        {
            (top, state) = (parent, self.load(parent)?);
        }
        Ok(state)
    }

    /// Empties the frame of a page that is not needed any more.
    fn forget_page(&self, page: MapPage) -> Result<()> {
        let set = self.set_of(page);
        let _guard = self.lock(set, Mode::Exclusive);
        if let Some((_, frame)) = self.frames_of(set).find(|(_, f)| f.page.load(Acquire) == page.key()) {
            frame.dirty.store(0, Release);
            frame.page.store(0, Release);
        }
        Ok(())
    }

    /// Says that nothing names ids below `xid` any more: vacuum has frozen what they left. Never goes back, and never
    /// beyond what is narrow.
    pub fn cut_below(&self, xid: Xid) -> Result<()> {
        let narrow = self.words.shared.narrow_below.load(SeqCst);
        if xid.number() > narrow {
            let message =
                format!("transaction map cut at {xid}, but states from {narrow} on are still needed");
            return Err(Report::error(crate::report::SqlState::INTERNAL_ERROR, message));
        }
        self.words.shared.cut_below.fetch_max(xid.number(), SeqCst);
        Ok(())
    }
}

impl Here<'_, '_> {
    fn change(&self, index: usize, new: impl Fn(u64) -> u64, lsn: Lsn) {
        change(self.frame, index, new, lsn);
    }
}

fn change(frame: &MapFrame, index: usize, new: impl Fn(u64) -> u64, lsn: Lsn) {
    let word: &AtomicU64 = &frame.words[index];
    frame.lsn.fetch_max(lsn.bytes(), AcqRel);
    // Two ids can share a narrow word.
    let _ = word.fetch_update(SeqCst, SeqCst, |old| Some(new(old)));
    frame.dirty.store(1, Release);
}

impl<S: MapStore> StateMap for PagedMap<'_, '_, S> {
    type Error = Box<Report>;

    fn load(&self, xid: Xid) -> Result<State> {
        let narrow_below = &self.words.shared.narrow_below;
        if xid.number() >= narrow_below.load(SeqCst) {
            let (page, index) = MapPage::wide_of(xid);
            let word = self.word(page, index)?;
            // A page that became narrow meanwhile may have been read as empty.
            if xid.number() >= narrow_below.load(SeqCst) {
                return Ok(State::from_word(word));
            }
        }
        let (page, index, shift) = MapPage::narrow_of(xid);
        Ok(match self.word(page, index)? >> shift & 0b11 {
            COMMITTED => State::CommittedLongAgo,
            _ => State::Aborted,
        })
    }

    fn store(&self, xid: Xid, state: State, lsn: Lsn) -> Result<()> {
        let (page, index) = MapPage::wide_of(xid);
        self.here(page)?.change(index, |_| state.to_word(), lsn);
        Ok(())
    }

    fn pin(&self, xid: Xid, owner: OwnerIndex) -> Result<()> {
        let (page, _) = MapPage::wide_of(xid);
        let here = self.here(page)?;
        self.words.slot(owner).pinned.store(here.number, SeqCst);
        Ok(())
    }

    fn store_pinned(&self, xid: Xid, state: State, lsn: Lsn) {
        let (page, index) = MapPage::wide_of(xid);
        let found = self.frames_of(self.set_of(page)).find(|(_, f)| f.page.load(Acquire) == page.key());
        let (_, frame) = found.expect("a pinned page stays in its frame");
        change(frame, index, |_| state.to_word(), lsn);
    }
}
