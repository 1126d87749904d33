//! Files of prepared transactions that are older than the last checkpoint's redo position: `pg_twophase/XID`.
//!
//! A checkpoint looks for their records between the redo position before and its own, and writes what is prepared still. Who
//! was prepared earlier has a file already. One that has ended keeps its file until the next checkpoint is done; a start finds
//! in the map that it has ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::engine::{Engine, LOG_FOLDER};
use super::rmgr::TRANSACTION;
use crate::os::file::{Files, How};
use crate::report::{Report, ReportExt, Result, Severity, SqlState};
use crate::storage::errors::{failed, failed_write};
use crate::txn::Xid;
use crate::txn::log::RecordKind;
use crate::txn::prepared::PreparedState;
use crate::wal::{Incarnation, Lsn, Record, Timeline, WalReader};

/// Folder of the files, in the data directory.
pub const FOLDER: &str = "pg_twophase";

fn path_of(xid: Xid) -> PathBuf {
    Path::new(FOLDER).join(format!("{:016X}", xid.number()))
}

/// What stands in a data directory's files.
///
/// # Errors
/// XX001 for a file that is not as it was written.
pub fn read_all(data_directory: &Path) -> Result<Vec<PreparedState>> {
    let mut states = Vec::new();
    for xid in xids(data_directory)? {
        let path = path_of(xid);
        let bytes = fs::read(data_directory.join(&path)).map_err(|e| failed("read file", &path, &e))?;
        states.push(decode(&bytes, xid).ok_or_else(|| corrupted(&path))?);
    }
    Ok(states)
}

/// The state of one that is prepared: from its record, which begins at `record` in the log that is written now, or from the
/// file that a checkpoint made of it.
///
/// # Errors
/// XX001 if neither is there as it was written.
pub fn read(engine: &Engine<'_>, xid: Xid, record: Option<Lsn>) -> Result<PreparedState> {
    let (directory, path) = (engine.data_directory(), path_of(xid));
    let from_file = || match fs::read(directory.join(&path)) {
        Ok(bytes) => decode(&bytes, xid).map(Some).ok_or_else(|| error(corrupted(&path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read file", &path, &error)),
    };
    if let Some(state) = from_file()? {
        return Ok(state);
    }
    if let Some(start) = record
        && let Some(state) = from_log(engine, xid, start)?
    {
        return Ok(state);
    }
    // A checkpoint may have made the file, and removed that part of the log, meanwhile.
    from_file()?.ok_or_else(|| {
        let message = format!("could not find the state of prepared transaction {xid}");
        Report::error(SqlState::DATA_CORRUPTED, message)
    })
}

fn from_log(engine: &Engine<'_>, xid: Xid, start: Lsn) -> Result<Option<PreparedState>> {
    let (folder, wal) = (engine.data_directory().join(LOG_FOLDER), &engine.wal);
    let mut reader = WalReader::of_incarnation(&folder, wal.timeline(), start, wal.incarnation());
    let is_it = |record: &Record<'_>| {
        record.start == start && record.rmgr() == TRANSACTION && record.info() == RecordKind::Prepare as u8
    };
    let Some(record) = reader.next()?.filter(is_it) else { return Ok(None) };
    PreparedState::decode(record.main()).map(|state| Some(state).filter(|state| state.xid == xid))
}

/// What ends a start is an error of a statement.
fn error(mut report: Box<Report>) -> Box<Report> {
    report.severity = Severity::Error;
    report
}

fn corrupted(path: &Path) -> Box<Report> {
    let message = format!("corrupted two-phase state file \"{}\"", path.display());
    Report::fatal(SqlState::DATA_CORRUPTED, message).with_detail("Its checksum or its content is wrong.")
}

fn decode(bytes: &[u8], xid: Xid) -> Option<PreparedState> {
    let (content, crc) = bytes.split_last_chunk()?;
    let is_right = crc32c::crc32c(content) == u32::from_le_bytes(*crc);
    PreparedState::decode(content).ok().filter(|state| is_right && state.xid == xid)
}

/// Ids of files in the folder; what else lies there is nobody's.
fn xids(data_directory: &Path) -> Result<Vec<Xid>> {
    let folder = data_directory.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| failed("open directory", Path::new(FOLDER), &e))?,
    };
    let mut xids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed("read directory", Path::new(FOLDER), &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = (name.len() == 16).then(|| u64::from_str_radix(&name, 16).ok()).flatten();
        xids.extend(number.and_then(Xid::new));
    }
    xids.sort_unstable();
    Ok(xids)
}

/// Which part of the log a checkpoint looks through.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Where the redo position before was, whose log it was, and on which timeline.
    pub from: (Lsn, Incarnation, Timeline),
    /// The redo position now.
    pub until: Lsn,
}

/// Writes the files of those that are prepared, since `has_no_end` says so, and whose record is in the range. Durable when this
/// is over.
///
/// # Errors
/// What reading the log and writing files may end with.
pub fn write_new(
    data_directory: &Path,
    log_folder: &Path,
    range: Range,
    has_no_end: impl Fn(Xid) -> Result<bool>,
) -> Result<u64> {
    let ((from, incarnation, timeline), files) = (range.from, Files::new());
    let mut reader = WalReader::of_incarnation(&data_directory.join(log_folder), timeline, from, incarnation);
    let mut written = 0;
    while let Some(record) = reader.next()? {
        if record.start >= range.until {
            break;
        }
        if record.rmgr() == TRANSACTION && record.info() == RecordKind::Prepare as u8 {
            let state = PreparedState::decode(record.main())?;
            if has_no_end(state.xid)? {
                write(data_directory, &files, state.xid, record.main())?;
                written += 1;
            }
        }
    }
    if written > 0 {
        let folder = data_directory.join(FOLDER);
        files.sync_folder(&folder).map_err(|e| failed_write("fsync directory", Path::new(FOLDER), &e))?;
    }
    Ok(written)
}

fn write(data_directory: &Path, files: &Files, xid: Xid, content: &[u8]) -> Result<()> {
    let shown = path_of(xid);
    let path = data_directory.join(&shown);
    // One that a checkpoint wrote which then failed.
    let _ = files.remove(&path);
    let file = files.open(&path, How::Create).map_err(|e| failed_write("create file", &shown, &e))?;
    let bytes = [content, &crc32c::crc32c(content).to_le_bytes()].concat();
    files.write_all_at(&file, &bytes, 0).map_err(|e| failed_write("write to file", &shown, &e))?;
    files.sync_all(&file).map_err(|e| failed_write("fsync file", &shown, &e))
}

/// Removes the files of those that are prepared no more. Behind a checkpoint, whose map says how they ended.
///
/// # Errors
/// What removing files may end with.
pub fn remove_ended(data_directory: &Path, has_no_end: impl Fn(Xid) -> Result<bool>) -> Result<()> {
    for xid in xids(data_directory)? {
        if has_no_end(xid)? {
            continue;
        }
        let path = path_of(xid);
        let removed = Files::new().remove(&data_directory.join(&path));
        removed.map_err(|e| failed_write("remove file", &path, &e))?;
    }
    Ok(())
}
