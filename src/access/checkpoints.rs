//! Asking for checkpoints, and what everybody knows of them.
//!
//! Who wants one ORs flags into the request word, which only ever add up, so that a stronger request is never weakened, and
//! wakes the checkpointer. Who waits takes a look at `failed` and `started` first, waits for `started` to move, so that the
//! checkpoint is one that began behind the request, then for `done` to reach that number, in the modulo sense, and looks
//! whether `failed` moved. The checkpointer tests the request word before each sleep.

use shmem_layout::{ConditionVariableWord, Generation, ProcessId, shared_layout};

use super::checkpoint_record::{FIRST_NORMAL_OID, NEXT_OID};
use super::shared_log::SharedLog;
use crate::ipc::{ConditionVariable, Proc, WaitEnd, WaitEvent};
use crate::os::process;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::shmem::{RegionSpec, Segment, SegmentError};
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicU32, AtomicU64, Monotonic};
use crate::wal::{Lsn, RmgrId};

const VERSION: u32 = 1;

/// OIDs that one record gives out, as in PostgreSQL.
const OIDS_LOGGED_AHEAD: u64 = 8192;

/// How long a requester sleeps before it looks whether there is a checkpointer still.
const SLICE: std::time::Duration = std::time::Duration::from_millis(500);

/// The words.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct CheckpointWords {
    /// [`Request`]s since the checkpointer looked.
    requests: AtomicU32,
    /// Checkpoints begun, ended, and ended by an error.
    started: AtomicU32,
    done: AtomicU32,
    failed: AtomicU32,
    /// Move when the counts do.
    start_moved: ConditionVariableWord,
    done_moved: ConditionVariableWord,
    /// 1 from when the log is written by this start.
    running: AtomicU32,
    reserved: [u8; 4],
    /// Who the checkpointer is; 0: nobody yet.
    checkpointer: AtomicU64,
    /// Segments behind that of the redo position that call for a checkpoint; 0: not known yet.
    trigger_segments: AtomicU64,
    /// The OID to give out next.
    next_oid: AtomicU64,
    /// The multi-locker id to give out next, and the oldest that a row may name.
    next_lockers: AtomicU64,
    oldest_lockers: AtomicU64,
    /// OIDs below this are in the log as given out.
    oid_limit: AtomicU64,
    counts: [AtomicU64; COUNTS],
    reserved_end: [u8; 32],
}

/// How many [`Count`]s there are.
const COUNTS: usize = 10;

shared_layout!(CheckpointWords, size 192, align 64, {
    0 => requests: AtomicU32,
    4 => started: AtomicU32,
    8 => done: AtomicU32,
    12 => failed: AtomicU32,
    16 => start_moved: ConditionVariableWord,
    20 => done_moved: ConditionVariableWord,
    24 => running: AtomicU32,
    28 => reserved: [u8; 4],
    32 => checkpointer: AtomicU64,
    40 => trigger_segments: AtomicU64,
    48 => next_oid: AtomicU64,
    56 => next_lockers: AtomicU64,
    64 => oldest_lockers: AtomicU64,
    72 => oid_limit: AtomicU64,
    80 => counts: [AtomicU64; COUNTS],
    160 => reserved_end: [u8; 32],
});

/// What `pg_stat_checkpointer` and `pg_stat_bgwriter` count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// Checkpoints whose time had come.
    Timed,
    /// Checkpoints asked for.
    Requested,
    /// Checkpoints done.
    Done,
    /// Microseconds of writing.
    WriteUs,
    /// Microseconds of syncing.
    SyncUs,
    /// Pages written by checkpoints.
    Written,
    /// Pages of the transaction map written by checkpoints.
    MapWritten,
    /// Pages written by the background writer.
    Cleaned,
    /// Rounds in which the background writer stopped since it had written enough.
    CleaningStopped,
    /// Not used yet.
    Reserved,
}

/// What kind of checkpoint is wanted, and why: flags.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Request(u32);

impl Request {
    /// None.
    pub const NONE: Self = Self(0);
    /// The last one of a server that stops.
    pub const SHUTDOWN: Self = Self(1);
    /// The first one behind a recovery.
    pub const END_OF_RECOVERY: Self = Self(1 << 1);
    /// As fast as it goes.
    pub const IMMEDIATE: Self = Self(1 << 2);
    /// Even if nothing happened.
    pub const FORCE: Self = Self(1 << 3);
    /// Pages of unlogged relations as well.
    pub const FLUSH_ALL: Self = Self(1 << 4);
    /// Somebody waits for it.
    pub const WAIT: Self = Self(1 << 5);
    /// There was a request: set by asking.
    const ASKED: Self = Self(1 << 6);
    /// Much log was written.
    pub const CAUSE_WAL: Self = Self(1 << 7);
    /// It is time.
    pub const CAUSE_TIME: Self = Self(1 << 8);

    /// In PostgreSQL's words and order.
    const NAMES: [(Self, &'static str); 8] = [
        (Self::SHUTDOWN, " shutdown"),
        (Self::END_OF_RECOVERY, " end-of-recovery"),
        (Self::IMMEDIATE, " immediate"),
        (Self::FORCE, " force"),
        (Self::WAIT, " wait"),
        (Self::CAUSE_WAL, " wal"),
        (Self::CAUSE_TIME, " time"),
        (Self::FLUSH_ALL, " flush-all"),
    ];

    /// With those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has any of `other`.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Self::NAMES.iter().filter(|(flag, _)| self.has(*flag)).try_for_each(|(_, name)| f.write_str(name))
    }
}

/// Checkpoints, as all processes share them.
#[derive(Clone, Copy)]
pub struct Checkpoints<'s> {
    words: &'s CheckpointWords,
}

/// There is no checkpointer to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoCheckpointer;

impl NoCheckpointer {
    /// As an ERROR for who waits; who does not, logs it.
    pub fn report(self) -> Box<Report> {
        Report::error(SqlState::INTERNAL_ERROR, "could not signal for checkpoint: No such process")
            .routine("RequestCheckpoint")
    }

    /// As a line for the log.
    pub fn log_line(self) -> Report {
        Report::log("could not signal for checkpoint: No such process").routine("RequestCheckpoint")
    }
}

impl<'s> Checkpoints<'s> {
    /// What the plan of a segment must hold.
    pub fn region_specs() -> Vec<RegionSpec> {
        vec![RegionSpec::of::<CheckpointWords>("checkpoints", VERSION, 1)]
    }

    /// Finds the region of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment) -> std::result::Result<Self, SegmentError> {
        match segment.region::<CheckpointWords>("checkpoints", VERSION)? {
            [words] => Ok(Self { words }),
            _ => Err(SegmentError::Region { name: "checkpoints".into(), problem: "has a wrong size".into() }),
        }
    }

    /// Asks for a checkpoint and goes on. Without a checkpointer the request stays for the next one.
    ///
    /// # Errors
    /// If there is none.
    pub fn ask(&self, me: &Proc<'_>, request: Request) -> std::result::Result<(), NoCheckpointer> {
        self.words.requests.fetch_or(request.with(Request::ASKED).0, SeqCst);
        let Some(checkpointer) = self.checkpointer(me) else { return Err(NoCheckpointer) };
        me.set_latch(checkpointer.slot());
        Ok(())
    }

    /// Asks for a checkpoint and waits until one that began behind this is done. `may_come` says whether there may be a
    /// checkpointer, if there is none now: not when nobody would start one.
    ///
    /// # Errors
    /// If there is none, and none will come; if the checkpoint failed; `None` inside if an interrupt is pending.
    pub fn ask_and_wait(
        &self,
        me: &Proc<'_>,
        request: Request,
        may_come: impl Fn() -> bool,
    ) -> std::result::Result<(), Option<Box<Report>>> {
        let words = self.words;
        // In this order: a checkpoint that fails behind this look is one that may be ours.
        let failed = words.failed.load(SeqCst);
        let started = words.started.load(SeqCst);
        let request = request.with(Request::WAIT);
        if self.ask(me, request).is_err() && !may_come() {
            return Err(Some(NoCheckpointer.report()));
        }
        let has_started = || words.started.load(SeqCst) != started;
        self.wait(me, &words.start_moved, WaitEvent::CHECKPOINT_START, &may_come, request, has_started)?;
        let ours = words.started.load(SeqCst);
        let is_done = || words.done.load(SeqCst).wrapping_sub(ours) as i32 >= 0;
        self.wait(me, &words.done_moved, WaitEvent::CHECKPOINT_DONE, &may_come, request, is_done)?;
        if words.failed.load(SeqCst) == failed {
            return Ok(());
        }
        let report = Report::error(SqlState::INTERNAL_ERROR, "checkpoint request failed");
        Err(Some(report.with_hint("Consult recent messages in the server log for details.")))
    }

    fn wait(
        &self,
        me: &Proc<'_>,
        moved: &ConditionVariableWord,
        event: WaitEvent,
        may_come: &impl Fn() -> bool,
        request: Request,
        condition: impl Fn() -> bool,
    ) -> std::result::Result<(), Option<Box<Report>>> {
        loop {
            let deadline = Some(Monotonic::now().saturating_add(SLICE));
            match ConditionVariable::new(moved).wait_until(me, deadline, event, &condition) {
                Ok(()) => return Ok(()),
                Err(WaitEnd::Interrupted) => return Err(None),
                Err(WaitEnd::TimedOut) if !may_come() && self.checkpointer(me).is_none() => {
                    return Err(Some(NoCheckpointer.report()));
                }
                // It may have come since.
                Err(WaitEnd::TimedOut) if event == WaitEvent::CHECKPOINT_START => {
                    let _ = self.ask(me, request);
                }
                Err(WaitEnd::TimedOut) => {}
            }
        }
    }

    /// The checkpointer, if there is one.
    fn checkpointer(&self, me: &Proc<'_>) -> Option<ProcessId> {
        let id = ProcessId::from_word(self.words.checkpointer.load(SeqCst))?;
        let slot = me.peers().get(id.slot().index())?;
        let is_its = Generation(slot.generation.load(SeqCst)) == id.generation();
        let pid = slot.pid.load(SeqCst);
        (is_its && process::exists(pid)).then_some(id)
    }

    /// Whether the log behind the redo position is long enough for a checkpoint.
    pub fn is_wal_volume_reached(&self, inserted: Lsn, redo: Lsn) -> bool {
        let trigger = self.words.trigger_segments.load(Relaxed);
        trigger > 0 && inserted.segment().number().saturating_sub(redo.segment().number()) >= trigger
    }

    /// Whether a checkpoint was asked for already because of that.
    pub fn is_wal_request_pending(&self) -> bool {
        Request(self.words.requests.load(SeqCst)).has(Request::CAUSE_WAL)
    }

    /// Whether this start has begun its log: before that only recovery changes pages.
    pub fn is_running(&self) -> bool {
        self.words.running.load(SeqCst) == 1
    }

    /// Recovery is done, and the log has begun.
    pub fn set_running(&self) {
        self.words.running.store(1, SeqCst);
    }

    /// The OID to give out next.
    pub fn next_oid(&self) -> u32 {
        self.words.next_oid.load(SeqCst) as u32
    }

    /// Gives out an OID. They come round at 2^32, and then those below 16384 are left out; who needs one that nobody has
    /// looks whether somebody has it.
    ///
    /// # Errors
    /// What logging may end with.
    pub fn new_oid(&self, log: &SharedLog<'_>) -> Result<u32> {
        loop {
            let count = self.words.next_oid.fetch_add(1, SeqCst);
            if count >= self.words.oid_limit.load(SeqCst) {
                // Several may do this at once, and the highest of their records holds.
                let limit = count + OIDS_LOGGED_AHEAD;
                log.log(RmgrId::WAL, NEXT_OID, 0, &(limit as u32).to_le_bytes())?;
                self.words.oid_limit.fetch_max(limit, SeqCst);
            }
            if count as u32 >= FIRST_NORMAL_OID {
                return Ok(count as u32);
            }
        }
    }

    /// OIDs before this may have been given out: from a checkpoint, or from a record.
    pub fn set_next_oid(&self, oid: u32) {
        self.words.next_oid.store(oid.into(), SeqCst);
        self.words.oid_limit.store(oid.into(), SeqCst);
    }

    /// The OID to go on with after a crash: one before which all have been logged.
    pub fn logged_oid(&self) -> u32 {
        self.words.next_oid.load(SeqCst).max(self.words.oid_limit.load(SeqCst)) as u32
    }

    /// The multi-locker id to give out next.
    pub fn next_lockers(&self) -> &'s AtomicU64 {
        &self.words.next_lockers
    }

    /// The oldest multi-locker id that a row may name.
    pub fn oldest_lockers(&self) -> &'s AtomicU64 {
        &self.words.oldest_lockers
    }

    /// What was counted since shared memory was made.
    pub fn count(&self, count: Count) -> u64 {
        self.words.counts[count as usize].load(Relaxed)
    }

    /// Counts.
    pub fn add(&self, count: Count, n: u64) {
        self.words.counts[count as usize].fetch_add(n, Relaxed);
    }
}

/// The checkpointer's side.
impl Checkpoints<'_> {
    /// This process is the checkpointer.
    pub fn set_checkpointer(&self, me: &Proc<'_>) {
        self.words.checkpointer.store(me.id().to_word(), SeqCst);
    }

    /// How many segments of log call for a checkpoint.
    pub fn set_trigger(&self, segments: u64) {
        self.words.trigger_segments.store(segments, Relaxed);
    }

    /// The same.
    pub fn trigger(&self) -> u64 {
        self.words.trigger_segments.load(Relaxed)
    }

    /// Whether somebody asks.
    pub fn is_asked(&self) -> bool {
        self.words.requests.load(SeqCst) != 0
    }

    /// Whether somebody asks for one that is not to be spread.
    pub fn is_hurried(&self) -> bool {
        Request(self.words.requests.load(SeqCst)).has(Request::IMMEDIATE)
    }

    /// Takes the requests; a checkpoint that begins behind this answers them. Its number.
    pub fn begin(&self, me: &Proc<'_>) -> Request {
        let taken = Request(self.words.requests.swap(0, SeqCst));
        self.words.started.fetch_add(1, SeqCst);
        ConditionVariable::new(&self.words.start_moved).broadcast(me);
        taken
    }

    /// The checkpoint that began last is over.
    pub fn end(&self, me: &Proc<'_>, result: Result<()>) {
        if result.is_err() {
            self.words.failed.fetch_add(1, SeqCst);
        }
        self.words.done.store(self.words.started.load(SeqCst), SeqCst);
        ConditionVariable::new(&self.words.done_moved).broadcast(me);
    }
}
