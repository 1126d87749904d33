//! Named stop points: places at which a test's supervisor can pause or kill whoever comes by.
//!
//! One list; the words lie in shared memory (`shmem_layout::StopPointWord`). In release builds without the `stop-points`
//! feature passing one is nothing at all, else it is one load of a word that nobody writes.

#[cfg(not(model))]
use shmem_layout::SlotIndex;

use super::proc::Proc;

macro_rules! stop_points {
    ($($name:ident $doc:literal;)*) => {
        /// A place in the code.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        pub enum StopPoint {
            $(#[doc = $doc] $name),*
        }

        impl StopPoint {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

stop_points! {
    LwLockTaken "The lock's word has it, the ledger still says `Taking`.";
    LwLockHeld "The ledger says `Held`.";
    LwLockBeforeSleep "The waiter bit is set, the ledger says `Waiting`, not asleep yet.";
    LwLockAfterSleep "Woken, the lock not tried again yet: the wake-up may have been meant for one.";
    LwLockReleased "The lock's word is free, its waiters are not woken yet.";
    LwLockWoken "Released and waiters woken, the ledger still says `Releasing`.";
    SemaphoreTaken "The count has it, the ledger still says `Taking`.";
    SemaphoreAfterSleep "Woken, the permit not tried for again yet.";
    SemaphoreReleased "The count is back, no waiter is woken yet.";
    LatchSetBeforeWake "The latch is set, its owner not woken yet.";
    ConditionMovedBeforeWake "The sequence has moved, the waiters are not woken yet.";
    ConditionAfterSleep "Woken, the condition not tested yet.";
    BarrierArrived "Arrival is shown, the phase not looked at yet.";
    BarrierMoved "The phase has moved, the waiters are not told yet.";
    QueueWrittenBeforeWake "Bytes are published, the receiver is not woken yet.";
    AutovacuumWorkerStarted "An autovacuum worker has its place and its title, and has looked at no table yet.";
    WalReserved "A record has its place in the log, and is not copied yet; in a critical section.";
    WalInserted "A record is in the log, its inserter not told yet.";
    WalLed "The lead of the log's flushing is taken, no flight yet.";
    WalFlightTaken "A flush of the log is published, nothing of it written yet.";
    WalFlightWritten "A flush of the log is written, and not yet said to be done.";
    WalFlightDone "A flush of the log is said to be done, its waiters are not woken yet.";
    WalSegmentMade "A segment of the log is filled, and not yet under its name.";
    WalSegmentNamed "A segment of the log has its name, which is not on disk yet.";
    CommitMarked "A transaction is said to be committing, its record has no place yet; in a critical section.";
    CommitReleased "A commit is known to others, and not durable yet.";
    CommitDurable "A commit is durable, and nobody is told yet.";
    AbortLogged "The record of a rollback is in the log, the map does not say so yet.";
    MapPageWritten "A page of the transaction map is written, the set still locked.";
    MapNarrowed "Pages of the transaction map are narrow, the wide ones are still there.";
    CheckpointBegun "A checkpoint has its redo position, and has written nothing yet.";
    CheckpointMapWritten "A checkpoint has the transaction map on disk, no pages yet.";
    CheckpointWritten "A checkpoint has written all pages, and synced none.";
    CheckpointSynced "A checkpoint has all pages on disk, its record not in the log yet.";
    CheckpointLogged "A checkpoint's record is durable, the control file names the one before.";
    CheckpointNamed "The control file names a checkpoint, nothing is removed yet.";
    RowInserted "A version of a row is in the heap, and in no index.";
    VacuumIndexesCleaned "No index leads to dead rows any more, their lines are not free yet.";
    LockFastPathTaken "A word of the own fast path has the lock, the strong count is not looked at yet.";
    LockStrongCounted "The strong count is raised, fast paths are not looked through yet.";
    LockGranted "A heavyweight lock is in the table, the process does not know yet.";
    LockQueued "In the queue of a heavyweight lock, not asleep yet.";
    LockAfterSleep "Woken with a heavyweight lock or without, not noticed yet.";
    LockReleasedBeforeWake "A release has given the lock to waiters that are not woken yet.";
    BufferPinned "A buffer's word has the pin, the ledger still says `Taking`.";
    BufferUnpinned "A buffer's word has the pin no more, the ledger still says `Releasing`.";
    BufferClaimed "A free buffer is claimed for a page, and not in the table yet.";
    BufferLinked "A buffer is in the table's chain, its tag not valid yet.";
    BufferUntagged "A buffer's tag is not valid any more, it is still in the table's chain.";
    BufferReadBegun "A buffer's reading is announced, nothing read yet.";
    BufferReadDone "A page is in its buffer, the buffer not said to be valid yet.";
    BufferWriteBegun "A buffer's writing is announced, nothing written yet.";
    BufferWritten "A buffer is written, its file not noted to be synced yet.";
    BufferSyncNoted "A buffer's file is noted to be synced, the buffer still dirty.";
    FileExtended "A file is longer, the new pages' buffers not valid yet.";
    FileMade "A relation's file is made, the log has no word of it yet.";
    FileMadeLogged "A relation's file is made, and the log says so; no row does yet.";
    FilesDropped "A transaction that drops files is durable, and they are there still.";
    SyncEntryFilled "An entry of the table of files to be synced has its key, and is not in use yet.";
    FileSynced "A file is synced, and still noted to be.";
    BTreeSplit "A page of a B-tree is split, its right half has no downlink yet.";
    BTreeUnlinked "A leaf of a B-tree is deleted, the pages around it still locked.";
    BTreeParentLocked "The parent of a split page of a B-tree is locked, the downlink not put in yet.";
}

const _: () = assert!(StopPoint::ALL.len() <= shmem_layout::stop_points::STOP_POINTS);

/// What a supervisor does to who comes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Action {
    /// Nothing.
    Pass = 0,
    /// Stop until the supervisor says otherwise.
    Pause = 1,
    /// SIGKILL for the first who comes by.
    Kill = 2,
}

impl Proc<'_> {
    /// Passes a stop point.
    #[inline(always)]
    pub fn stop_point(&self, point: StopPoint) {
        #[cfg(all(not(model), any(debug_assertions, feature = "stop-points")))]
        self.surroundings.stop_point(self.id().slot(), point);
        let _ = point;
    }
}

/// A supervisor's hands on the stop points.
#[cfg(not(model))]
#[derive(Clone, Copy)]
pub struct StopPoints<'s> {
    words: &'s [shmem_layout::StopPointWord],
}

#[cfg(not(model))]
impl<'s> StopPoints<'s> {
    /// Over the segment's words.
    pub fn new(words: &'s [shmem_layout::StopPointWord]) -> Self {
        Self { words }
    }

    /// Arms a point for `slot`, or for whoever comes first, after `skip` passes.
    pub fn arm(self, point: StopPoint, action: Action, slot: Option<SlotIndex>, skip: u32) {
        use crate::sync::Ordering::Release;
        let word = &self.words[point as usize];
        word.hits.store(0, Release);
        word.skip.store(skip, Release);
        word.slot.store(slot.map_or(0, |s| u32::from(s.tag())), Release);
        word.action.store(action as u32, Release);
    }

    /// Disarms a point and lets go whoever is paused there.
    pub fn release(self, point: StopPoint) {
        let word = &self.words[point as usize];
        word.action.store(Action::Pass as u32, crate::sync::Ordering::Release);
        crate::sync::futex::wake_all(&word.action);
    }

    /// Waits until somebody was stopped at the point; `false` at the deadline.
    pub fn wait_for_hit(self, point: StopPoint, deadline: crate::sync::Monotonic) -> bool {
        use crate::sync::{Ordering, futex};
        let hits = &self.words[point as usize].hits;
        while hits.load(Ordering::Acquire) == 0 {
            if futex::wait(hits, 0, Some(deadline)) == futex::WaitOutcome::TimedOut {
                return hits.load(Ordering::Acquire) != 0;
            }
        }
        true
    }
}

/// Does to the caller what the word says.
#[cfg(all(not(model), any(debug_assertions, feature = "stop-points")))]
#[cold]
pub(super) fn stop(slot: SlotIndex, word: &shmem_layout::StopPointWord) {
    use crate::sync::{Ordering, futex};
    let wanted = word.slot.load(Ordering::Acquire);
    if wanted != 0 && wanted != u32::from(slot.tag()) {
        return;
    }
    let passes_left = |skip: u32| skip.checked_sub(1);
    if word.skip.fetch_update(Ordering::AcqRel, Ordering::Acquire, passes_left).is_ok() {
        return;
    }
    let is_killed = word
        .action
        .compare_exchange(Action::Kill as u32, Action::Pass as u32, Ordering::AcqRel, Ordering::Acquire)
        .is_ok();
    if !is_killed && word.action.load(Ordering::Acquire) != Action::Pause as u32 {
        return;
    }
    word.hits.fetch_add(1, Ordering::AcqRel);
    futex::wake_all(&word.hits);
    if is_killed {
        crate::os::process::kill_self();
    }
    while word.action.load(Ordering::Acquire) == Action::Pause as u32 {
        futex::wait(&word.action, Action::Pause as u32, None);
    }
}
