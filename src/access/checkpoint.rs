//! One checkpoint: everything that changed before its redo position is put where a start finds it without the log.
//!
//! In this order: the redo position, behind which records take whole pages along; the numbers given out by then; the
//! transaction map; pages; syncs of what was written; the record, durable; the control file that names it. Only then may
//! log and map pages go that nobody needs any more. A failure in between leaves the checkpoint before in force.

use std::path::Path;
use std::time::Duration;

use super::checkpoint_record::{CHECKPOINT_ONLINE, CHECKPOINT_SHUTDOWN, CheckPoint};
use super::checkpoints::{Count, Request};
use super::control_file::{ControlFile, DbState, now};
use super::engine::{LOG_FOLDER, Store};
use super::twophase;
use crate::ipc::stop_points::StopPoint;
use crate::report::{Report, Result, Severity, SqlState};
use crate::storage::buffer::{Pace, Written};
use crate::storage::files::Synced;
use crate::sync::Monotonic;
use crate::sync::Ordering::SeqCst;
use crate::txn::{State, StateMap, Xid};
use crate::wal::lsn::SEGMENT;
use crate::wal::segments::Retired;
use crate::wal::{Lsn, Place, RmgrId, Timeline};

/// Records that a checkpoint writes: the redo position's and its own.
pub const OWN_RECORDS: u64 = 2;

/// How much log is kept, in segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeepWal {
    /// `wal_keep_size`: behind the end of the log.
    pub behind: u64,
    /// `min_wal_size`.
    pub least: u64,
    /// `max_wal_size`.
    pub most: u64,
    /// Bytes of log that are expected until the next checkpoint is done.
    pub expected: u64,
    /// `wal_recycle`: old segments become new ones.
    pub recycle: bool,
}

/// What a checkpoint did.
#[derive(Clone, Copy, Debug)]
pub struct Performed {
    /// Pages.
    pub written: Written,
    /// Pages of the transaction map.
    pub map_written: u64,
    /// Segments made ahead.
    pub added: u64,
    /// Segments that went.
    pub retired: Retired,
    /// Files synced.
    pub synced: Synced,
    /// Time of writing, of syncing, and of everything.
    pub times: [Duration; 3],
    /// Where its record is.
    pub record: Place,
    /// Where redo begins.
    pub redo: Lsn,
}

/// Performs a checkpoint. `may_go` is asked of each segment that could be removed.
///
/// # Errors
/// What writing, syncing and logging may end with; PANIC if it is not known any more what is on disk.
pub fn perform(
    store: &Store<'_>,
    request: Request,
    pace: &mut dyn Pace,
    keep: &KeepWal,
    may_go: impl FnMut(&str) -> bool,
) -> Result<Performed> {
    let started = Monotonic::now();
    let (engine, files) = (store.engine, store.engine.files());
    let is_shutdown = request.has(Request::SHUTDOWN);
    if is_shutdown {
        ControlFile::update(engine.data_directory(), files, |control| control.state = DbState::ShuttingDown)?;
    }
    let redo = store.log.with(|log| log.begin_checkpoint())?.start;
    store.me.stop_point(StopPoint::CheckpointBegun);
    // What every snapshot shows, and a start too.
    let horizon = engine.words.horizon(&store.log).min(super::shared_log::to_txn(engine.wal.durable()));
    store.transactions.map().narrow(horizon)?;
    let checkpoint = gather(store, redo, is_shutdown);
    let map_written = write_map(store)?;
    store.me.stop_point(StopPoint::CheckpointMapWritten);
    let with_unlogged =
        request.has(Request::SHUTDOWN.with(Request::END_OF_RECOVERY).with(Request::FLUSH_ALL));
    write_prepared(store, redo)?;
    let written = store.storage.checkpoint_write(with_unlogged, pace)?;
    store.me.stop_point(StopPoint::CheckpointWritten);
    let write_time = since(started);
    let sync_started = Monotonic::now();
    let synced = store.storage.files().sync_all()?;
    let sync_time = since(sync_started);
    store.me.stop_point(StopPoint::CheckpointSynced);
    let record = insert(store, &checkpoint, request)?;
    store.me.stop_point(StopPoint::CheckpointLogged);
    ControlFile::update(engine.data_directory(), files, |control| {
        control.checkpoint = record.start;
        control.checkpoint_copy = checkpoint;
        // Behind a crash recovery ends where the log does.
        control.min_recovery_point = Lsn::INVALID;
        control.min_recovery_timeline = Timeline(0);
        if is_shutdown {
            control.state = DbState::ShutDown;
        }
    })?;
    store.me.stop_point(StopPoint::CheckpointNamed);
    twophase::remove_ended(engine.data_directory(), |xid| has_no_end(store, xid))?;
    store.transactions.map().pages().remove_wide_below(checkpoint.narrow_below)?;
    let (retired, added) = retire(store, redo, keep, is_shutdown, may_go)?;
    count(store, &written, map_written, [write_time, sync_time]);
    let times = [write_time, sync_time, since(started)];
    Ok(Performed { written, map_written, added, retired, synced, times, record, redo })
}

fn since(started: Monotonic) -> Duration {
    Monotonic::now().saturating_since(started)
}

/// The numbers given out by now: behind the redo position, so that records behind it may name higher ones only.
fn gather(store: &Store<'_>, redo: Lsn, is_shutdown: bool) -> CheckPoint {
    let (wal, words, checkpoints) = (&store.engine.wal, store.engine.words, store.engine.checkpoints);
    let (narrow_below, cut_below) = words.map_bounds();
    CheckPoint {
        redo,
        timeline: wal.timeline(),
        prev_timeline: wal.timeline(),
        incarnation: wal.incarnation(),
        full_page_writes: wal.epoch().full_pages,
        next_xid: words.next_xid().number(),
        narrow_below,
        cut_below,
        oldest_active_xid: if is_shutdown { 0 } else { words.oldest_running().number() },
        next_oid: if is_shutdown { checkpoints.next_oid() } else { checkpoints.logged_oid() },
        next_lockers: checkpoints.next_lockers().load(SeqCst).max(1),
        oldest_lockers: checkpoints.oldest_lockers().load(SeqCst).max(1),
        time: now(),
    }
}

fn write_map(store: &Store<'_>) -> Result<u64> {
    let map = store.transactions.map();
    let written = map.write_all()?;
    map.pages().sync_all()?;
    Ok(written)
}

/// Files for those that are prepared and whose record lies before the redo position. Who prepares has a place before the
/// record.
fn write_prepared(store: &Store<'_>, redo: Lsn) -> Result<()> {
    let engine = store.engine;
    if engine.prepared.is_unused() {
        return Ok(());
    }
    let before = ControlFile::read(engine.data_directory(), engine.files())?.checkpoint_copy;
    let from = (before.redo, before.incarnation, before.timeline);
    let range = twophase::Range { from, until: redo };
    let has_no_end = |xid| has_no_end(store, xid);
    twophase::write_new(engine.data_directory(), Path::new(LOG_FOLDER), range, has_no_end).map(|_| ())
}

fn has_no_end(store: &Store<'_>, xid: Xid) -> Result<bool> {
    let state = store.transactions.map().load(xid)?;
    Ok(!matches!(state, State::Committed(_) | State::Aborted | State::CommittedLongAgo))
}

fn insert(store: &Store<'_>, checkpoint: &CheckPoint, request: Request) -> Result<Place> {
    let is_alone = request.has(Request::SHUTDOWN.with(Request::END_OF_RECOVERY));
    let info = if is_alone { CHECKPOINT_SHUTDOWN } else { CHECKPOINT_ONLINE };
    let records = store.engine.wal.statistics().records;
    let place = store.log.log(RmgrId::WAL, info, 0, &checkpoint.encode())?;
    store.log.make_durable(place.end)?;
    if request.has(Request::SHUTDOWN) && store.engine.wal.statistics().records > records + 1 {
        let message = "concurrent write-ahead log activity while database system is shutting down";
        return Err(Box::new(Report::new(Severity::Panic, SqlState::INTERNAL_ERROR, message)));
    }
    Ok(place)
}

/// Old segments go or become new ones; and one is made ahead if the present one is nearly full.
fn retire(
    store: &Store<'_>,
    redo: Lsn,
    keep: &KeepWal,
    is_shutdown: bool,
    may_go: impl FnMut(&str) -> bool,
) -> Result<(Retired, u64)> {
    let wal = &store.engine.wal;
    let present = wal.inserted();
    let oldest = present.bytes().saturating_sub(keep.behind.saturating_mul(SEGMENT));
    let keep_from = redo.min(Lsn::new(oldest));
    let ahead = if keep.recycle { segments_ahead(present, redo, keep) } else { 0 };
    let retired = store.log.with(|log| log.retire_segments(keep_from, ahead, may_go))?;
    let mut added = 0;
    if !is_shutdown && wal.inserted().offset_in_segment() >= SEGMENT / 4 * 3 {
        while store.log.with(|log| log.make_ahead(1))? {
            added += 1;
        }
    }
    Ok((retired, added))
}

/// How many segments behind the present one are worth having: what is expected until the next checkpoint is done, a tenth
/// more, but not below `min_wal_size` nor beyond `max_wal_size`.
fn segments_ahead(present: Lsn, redo: Lsn, keep: &KeepWal) -> u64 {
    let redo_segment = redo.bytes() / SEGMENT;
    let expected = (redo.bytes() + keep.expected + keep.expected / 10).div_ceil(SEGMENT);
    let least = (redo_segment + keep.least).saturating_sub(1);
    let most = (redo_segment + keep.most).saturating_sub(1);
    expected.clamp(least, most.max(least)).saturating_sub(present.bytes() / SEGMENT)
}

fn count(store: &Store<'_>, written: &Written, map_written: u64, [write, sync]: [Duration; 2]) {
    let checkpoints = store.engine.checkpoints;
    checkpoints.add(Count::Done, 1);
    checkpoints.add(Count::Written, written.written);
    checkpoints.add(Count::MapWritten, map_written);
    checkpoints.add(Count::WriteUs, write.as_micros() as u64);
    checkpoints.add(Count::SyncUs, sync.as_micros() as u64);
}

#[cfg(test)]
mod tests;
