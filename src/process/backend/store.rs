//! The backend as statements use the store: the log, transaction ids, checkpoints. Locks are in `advisory`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::host::{Backend, EPOCH_2000_US, now};
use super::work::log_rollback;
use crate::access::checkpoints::Request;
use crate::access::control_file::{CATALOG_VERSION, CHECKSUM_VERSION, CONTROL_VERSION, ControlFile};
use crate::access::message::{self, Message};
use crate::ipc::Interrupts;
use crate::os::file::Files;
use crate::report::{Report, Result, Severity, SqlState};
use crate::sql::host::{Host, TransactionEvent};
use crate::sql::store::{
    AdvisoryKey, AdvisoryLock, ControlPart, LogFolder, LogMessage, LogPositions, StoreHost, TableWork,
    TransactionFate,
};
use crate::sql::types::{Datum, Row};
use crate::storage::files::SEGMENT_BLOCKS;
use crate::storage::ids::PAGE_SIZE;
use crate::txn::{Fate, Xid};
use crate::wal::Lsn;
use crate::wal::lsn::{BLOCK, SEGMENT};

impl Backend<'_, '_, '_> {
    /// What the store has to know of a transaction's or savepoint's beginning or end.
    pub fn tell_store(&mut self, event: TransactionEvent) {
        let told = self.state.work.event(self.ctx, event, now());
        log_rollback(self.ctx, told);
        self.log_missed_checkpoint();
    }

    /// The statement made the log so long that a checkpoint was due, and there was nobody to make it.
    fn log_missed_checkpoint(&self) {
        let missed = self.ctx.made_store().and_then(|store| store.take_missed_checkpoint());
        if let Some(missed) = missed {
            let report = missed.report();
            let (severity, sqlstate) = (Severity::Log, SqlState::SUCCESSFUL_COMPLETION);
            self.ctx.log(&Report { severity, sqlstate, ..*report });
        }
    }
}

impl StoreHost for Backend<'_, '_, '_> {
    fn has_tables(&self) -> bool {
        true
    }

    fn with_tables(&mut self, work: TableWork<'_>) -> Result<()> {
        let deadlines = (self.state.statement_deadline, self.state.transaction_deadline);
        self.state.work.with_tables(self.ctx, deadlines, work)
    }

    fn commit(&mut self) -> Result<()> {
        self.state.work.commit(self.ctx, now())
    }

    fn log_positions(&self) -> Result<LogPositions> {
        let wal = &self.ctx.server.engine.wal;
        // In this order, so that they agree with each other.
        let (flushed, written) = (wal.durable().bytes(), wal.written().bytes());
        Ok(LogPositions { inserted: wal.inserted().bytes(), written, flushed })
    }

    fn segment_of(&self, place: u64) -> Result<(String, u32)> {
        let place = Lsn::new(place);
        let timeline = self.ctx.server.engine.wal.timeline();
        Ok((place.segment().file_name(timeline), place.offset_in_segment() as u32))
    }

    fn switch_log(&mut self) -> Result<u64> {
        let end = self.ctx.kept_store().log.with(|log| log.switch_segment())?;
        Ok(end.bytes())
    }

    fn emit_message(&mut self, message: LogMessage<'_>) -> Result<u64> {
        let LogMessage { is_transactional, prefix, content, flush } = message;
        let record = Message { is_transactional, prefix, content }.encode();
        let (xid, log) = if is_transactional {
            let session = self.state.work.begin(self.ctx);
            (session.transaction.xid()?.number(), &session.store.log)
        } else {
            (0, &self.ctx.kept_store().log)
        };
        let end = log.log(message::RMGR, message::MESSAGE, xid, &record)?.end;
        // A transaction's is durable with its commit.
        if flush && !is_transactional {
            log.make_durable(end)?;
        }
        Ok(end.bytes())
    }

    fn transaction_id(&mut self, assign: bool) -> Result<Option<u64>> {
        if assign {
            return self.state.work.begin(self.ctx).transaction.assign_top().map(|xid| Some(xid.number()));
        }
        let session = self.state.work.begun();
        Ok(session.and_then(|session| session.transaction.top_xid()).map(Xid::number))
    }

    fn transaction_fate(&mut self, id: u64) -> Result<TransactionFate> {
        let words = self.ctx.server.engine.words;
        if id >= words.next_xid().number() {
            return Ok(TransactionFate::Future);
        }
        let Some(xid) = Xid::new(id).filter(|_| id >= words.map_bounds().1) else {
            return Ok(TransactionFate::Forgotten);
        };
        Ok(match self.ctx.kept_store().transactions.fate(xid)? {
            Fate::Running(_) | Fate::Committing(_) => TransactionFate::InProgress,
            Fate::Committed(_) | Fate::CommittedLongAgo => TransactionFate::Committed,
            Fate::Aborted => TransactionFate::Aborted,
        })
    }

    fn lock_advisory(&mut self, lock: AdvisoryLock) -> Result<bool> {
        self.take_advisory(lock)
    }

    fn unlock_advisory(&mut self, key: AdvisoryKey, shared: bool) -> Result<bool> {
        Ok(self.give_back_advisory(key, shared))
    }

    fn unlock_all_advisory(&mut self) -> Result<()> {
        let me = self.ctx.me;
        if let Some(session) = self.state.work.session() {
            session.locks.release_advisory(me);
        }
        Ok(())
    }

    fn blocking_pids(&mut self, pid: i32) -> Result<Vec<i32>> {
        Ok(self.blockers(pid))
    }

    fn prepare_transaction(&mut self, gid: &str) -> Result<()> {
        let finisher = self.finisher()?;
        self.state.work.prepare(self.ctx, gid, finisher, now())
    }

    fn finish_prepared(&mut self, gid: &str, is_commit: bool) -> Result<()> {
        self.end_prepared(gid, is_commit)
    }

    fn checkpoint(&mut self) -> Result<()> {
        let (me, server) = (self.ctx.me, self.ctx.server);
        let request = Request::IMMEDIATE.with(Request::FORCE);
        let ends = Interrupts::CANCEL | Interrupts::TERMINATE;
        loop {
            let asked = || server.engine.checkpoints.ask_and_wait(me, request, || server.postmaster_lives());
            match me.hold_off(Interrupts::ALL.without(ends), asked) {
                Ok(()) => return Ok(()),
                Err(Some(report)) => return Err(report),
                Err(None) => self.check_interrupts()?,
            }
        }
    }

    fn control(&mut self, part: ControlPart) -> Result<Row> {
        let control = ControlFile::read(Path::new(""), &Files::new()).map_err(|mut report| {
            report.severity = Severity::Error;
            report
        })?;
        Ok(match part {
            ControlPart::System => system(&control),
            ControlPart::Checkpoint => checkpoint(&control),
            ControlPart::Recovery => recovery(&control),
            ControlPart::Init => init(),
        })
    }

    fn log_folder(&mut self, folder: LogFolder) -> Result<Vec<Row>> {
        let path = match folder {
            LogFolder::Segments => "pg_wal",
            LogFolder::ArchiveStatus => "pg_wal/archive_status",
        };
        files_of(path).map_err(|error| {
            let text = error.to_string();
            let reason = text.split(" (os error").next().unwrap_or(&text);
            Report::error(SqlState::IO_ERROR, format!("could not open directory \"{path}\": {reason}"))
        })
    }
}

/// Names, sizes and times of the plain files in a folder.
fn files_of(path: &str) -> std::io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // One that is gone meanwhile is not shown.
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_file() || name.starts_with('.') {
            continue;
        }
        let modified = seconds(metadata.mtime());
        rows.push((name.clone(), vec![Datum::text(name), Datum::Int8(metadata.len() as i64), modified]));
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// A time in seconds since 1970.
fn seconds(seconds: i64) -> Datum {
    Datum::Timestamptz(seconds.saturating_mul(1_000_000) - EPOCH_2000_US)
}

fn system(control: &ControlFile) -> Row {
    vec![
        Datum::Int4(CONTROL_VERSION as i32),
        Datum::Int4(CATALOG_VERSION as i32),
        Datum::Int8(control.system_identifier as i64),
        seconds(control.time),
    ]
}

fn checkpoint(control: &ControlFile) -> Row {
    let copy = &control.checkpoint_copy;
    let xid = |xid: u64| Datum::Oid(xid as u32);
    vec![
        Datum::U64(control.checkpoint.bytes()),
        Datum::U64(copy.redo.bytes()),
        Datum::text(copy.redo.segment().file_name(copy.timeline)),
        Datum::Int4(copy.timeline.0 as i32),
        Datum::Int4(copy.prev_timeline.0 as i32),
        Datum::Bool(copy.full_page_writes),
        Datum::text(format!("{}:{}", copy.next_xid >> 32, copy.next_xid as u32)),
        Datum::Oid(copy.next_oid),
        xid(copy.next_lockers),
        xid(0),
        xid(copy.cut_below),
        Datum::Oid(1),
        xid(copy.oldest_active_xid),
        xid(copy.oldest_lockers),
        Datum::Oid(1),
        xid(0),
        xid(0),
        seconds(copy.time),
    ]
}

fn recovery(control: &ControlFile) -> Row {
    vec![
        Datum::U64(control.min_recovery_point.bytes()),
        Datum::Int4(control.min_recovery_timeline.0 as i32),
        Datum::U64(control.backup_start.bytes()),
        Datum::U64(control.backup_end.bytes()),
        Datum::Bool(control.backup_end_required),
    ]
}

fn init() -> Row {
    let numbers =
        [8, PAGE_SIZE as i32, SEGMENT_BLOCKS as i32, BLOCK as i32, SEGMENT as i32, 64, 32, 1996, 2048];
    let mut row: Row = numbers.into_iter().map(Datum::Int4).collect();
    row.extend([Datum::Bool(true), Datum::Int4(CHECKSUM_VERSION as i32), Datum::Bool(true)]);
    row
}
