//! The table of files that wait to be synced, or to be removed after the next checkpoint, in shared memory: whoever
//! checkpoints can die and be replaced, and nothing is forgotten.
//!
//! A file has its place among the `PROBES` entries from its hash on, or none: then there is no room, and who wanted to note
//! it syncs it. An entry that comes into use gets its key first and its state last, and one that goes out of use loses its
//! state only, so that a death in the middle leaves an entry that is or is not, never half of one.

use shmem_layout::{LwLockState, SyncEntry};

use crate::ipc::stop_points::StopPoint;
use crate::ipc::{LwLock, Mode, Proc, WaitEvent};
use crate::storage::ids::{BlockNumber, BufferTag, Fork, RelFile, RelFork};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Entries in which a file can stand.
const PROBES: usize = 32;

const NEVER_USED: u64 = 0;
const FREE: u64 = 1;
const IN_USE: u64 = 2;
const STATE: u64 = 3;
const REQUEST: u64 = 1 << 32;

const FOLDER: u64 = 1 << 8;
const REMOVE: u64 = 1 << 9;
const CHECKPOINT_SHIFT: u32 = 16;

/// A segment of a relation's fork.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SyncKey {
    /// Whose.
    pub fork: RelFork,
    /// Which.
    pub segment: u32,
}

impl SyncKey {
    fn words(self) -> (u64, u64, u64) {
        let RelFile { tablespace, database, relation } = self.fork.file;
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        (pair(tablespace, database), pair(relation, self.segment), self.fork.fork as u64)
    }

    fn hash(self) -> u64 {
        let block = BlockNumber::new(self.segment).unwrap_or(BlockNumber::ZERO);
        BufferTag { file: self.fork.file, fork: self.fork.fork, block }.hash()
    }
}

/// Whether there was room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Noted {
    /// It is noted.
    InTable,
    /// There is no room.
    NoRoom,
}

/// A file that waits, as found by [`SyncTable::waiting`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Which.
    pub key: SyncKey,
    /// Its folder is to be synced as well.
    pub is_new: bool,
    entry: usize,
    state: u64,
}

/// See the module.
#[derive(Clone, Copy)]
pub struct SyncTable<'s> {
    lock: LwLock<'s>,
    entries: &'s [SyncEntry],
}

impl<'s> SyncTable<'s> {
    /// Over the segment's words.
    pub fn new(lock: &'s LwLockState, entries: &'s [SyncEntry]) -> Self {
        assert!(!entries.is_empty(), "a table without entries");
        Self { lock: LwLock::new(lock, WaitEvent::SYNC_TABLE), entries }
    }

    fn places(&self, key: SyncKey) -> impl Iterator<Item = usize> + use<> {
        let (start, len) = (key.hash() as usize % self.entries.len(), self.entries.len());
        (0..PROBES.min(len)).map(move |i| (start + i) % len)
    }

    /// The entry of a key and kind.
    fn find(&self, key: SyncKey, kind: u64) -> Option<usize> {
        let (place, segment, fork) = key.words();
        for at in self.places(key) {
            let entry = &self.entries[at];
            let state = entry.state.load(Acquire) & STATE;
            if state == NEVER_USED {
                return None;
            }
            let what = entry.what.load(Relaxed);
            let is_same = (entry.place.load(Relaxed), entry.segment.load(Relaxed)) == (place, segment);
            if state == IN_USE && is_same && what & 0xff == fork && what & REMOVE == kind {
                return Some(at);
            }
        }
        None
    }

    /// Notes that a file is to be synced, and its folder too if it is new.
    pub fn note(&self, me: &Proc<'s>, key: SyncKey, is_new: bool) -> Noted {
        let extra = if is_new { FOLDER } else { 0 };
        {
            let _guard = self.lock.acquire(me, Mode::Shared);
            if let Some(at) = self.find(key, 0) {
                let entry = &self.entries[at];
                if is_new {
                    entry.what.fetch_or(FOLDER, AcqRel);
                }
                entry.state.fetch_add(REQUEST, AcqRel);
                return Noted::InTable;
            }
        }
        self.insert(me, key, 0, extra)
    }

    /// Notes that a file is to be removed once the checkpoint after `checkpoint` is over.
    pub fn note_removal(&self, me: &Proc<'s>, key: SyncKey, checkpoint: u64) -> Noted {
        self.insert(me, key, REMOVE, REMOVE | checkpoint << CHECKPOINT_SHIFT)
    }

    fn insert(&self, me: &Proc<'s>, key: SyncKey, kind: u64, extra: u64) -> Noted {
        let _guard = self.lock.acquire(me, Mode::Exclusive);
        if let Some(at) = self.find(key, kind) {
            let entry = &self.entries[at];
            let (_, _, fork) = key.words();
            let kept = if kind == REMOVE { 0 } else { entry.what.load(Relaxed) & FOLDER };
            entry.what.store(fork | extra | kept, Relaxed);
            entry.state.fetch_add(REQUEST, AcqRel);
            return Noted::InTable;
        }
        let free = self.places(key).find(|at| self.entries[*at].state.load(Acquire) & STATE != IN_USE);
        let Some(free) = free else { return Noted::NoRoom };
        let (entry, (place, segment, fork)) = (&self.entries[free], key.words());
        entry.place.store(place, Relaxed);
        entry.segment.store(segment, Relaxed);
        entry.what.store(fork | extra, Relaxed);
        me.stop_point(StopPoint::SyncEntryFilled);
        let requests = entry.state.load(Relaxed) & !STATE;
        entry.state.store(requests.wrapping_add(REQUEST) | IN_USE, Release);
        Noted::InTable
    }

    /// The files that wait to be synced now.
    pub fn waiting(&self, me: &Proc<'s>) -> Vec<Waiting> {
        self.collect(me, |what| what & REMOVE == 0)
    }

    /// The files that wait to be removed and were noted before checkpoint `checkpoint` began.
    pub fn removable(&self, me: &Proc<'s>, checkpoint: u64) -> Vec<Waiting> {
        self.collect(me, |what| what & REMOVE != 0 && what >> CHECKPOINT_SHIFT < checkpoint)
    }

    fn collect(&self, me: &Proc<'s>, is_wanted: impl Fn(u64) -> bool) -> Vec<Waiting> {
        let _guard = self.lock.acquire(me, Mode::Shared);
        let mut found = Vec::new();
        for (entry, words) in self.entries.iter().enumerate() {
            let (state, what) = (words.state.load(Acquire), words.what.load(Relaxed));
            if state & STATE != IN_USE || !is_wanted(what) {
                continue;
            }
            let (place, segment) = (words.place.load(Relaxed), words.segment.load(Relaxed));
            let high = |word: u64| (word >> 32) as u32;
            let file = RelFile { tablespace: high(place), database: place as u32, relation: high(segment) };
            // Nobody stores another fork's number; a word that has one would be of no file.
            let Some(fork) = Fork::from_number(what as u8) else { continue };
            let key = SyncKey { fork: RelFork { file, fork }, segment: segment as u32 };
            found.push(Waiting { key, is_new: what & FOLDER != 0, entry, state });
        }
        found
    }

    /// What waited is done. `false` if it was asked for again since, and so stays.
    pub fn done(&self, me: &Proc<'s>, waiting: &Waiting) -> bool {
        let _guard = self.lock.acquire(me, Mode::Exclusive);
        let entry = &self.entries[waiting.entry];
        if entry.state.load(Acquire) != waiting.state {
            return false;
        }
        entry.state.store(waiting.state & !STATE | FREE, Release);
        true
    }

    /// Whether it still waits as it was found.
    pub fn still_waits(&self, waiting: &Waiting) -> bool {
        self.entries[waiting.entry].state.load(Acquire) == waiting.state
    }

    /// Nothing of these files needs to be synced any more.
    pub fn forget(&self, me: &Proc<'s>, is_forgotten: impl Fn(SyncKey) -> bool) {
        for waiting in self.waiting(me) {
            if is_forgotten(waiting.key) {
                let _guard = self.lock.acquire(me, Mode::Exclusive);
                let entry = &self.entries[waiting.entry];
                // Asked for again meanwhile or not: the files are going.
                let state = entry.state.load(Acquire);
                let is_same = entry.place.load(Relaxed) == waiting.key.words().0
                    && entry.segment.load(Relaxed) == waiting.key.words().1
                    && entry.what.load(Relaxed) & (0xff | REMOVE) == waiting.key.words().2;
                if is_same && state & STATE == IN_USE {
                    entry.state.store(state & !STATE | FREE, Release);
                }
            }
        }
    }
}
