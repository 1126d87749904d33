//! `global/pg_control`: what a start must know before it can read anything else.
//!
//! Everything that changes stands in the file's first 512 bytes, which a disk writes whole or not at all. So it is written
//! in place, by one write and one sync, which needs no space on a disk that may be full; only a new data directory's is made
//! whole. System identifier and version stand where PostgreSQL has them, so that each says of the other's file that it is of
//! another version, and not that it is damaged.

mod check;

use std::path::Path;

use super::checkpoint_record::CheckPoint;
use super::fields::{FieldReader, FieldWriter};
use crate::os::file::{Files, How};
use crate::report::{Report, Result};
use crate::storage::errors::{failed, failed_write};
use crate::wal::lsn::Timeline;
use crate::wal::{Lsn, SyncMethod};

/// Where it is, in the data directory.
pub const PATH: &str = "global/pg_control";

/// Its format. Below 65536, so that one of the other byte order is known by its lower half.
pub const CONTROL_VERSION: u32 = 18_001;

/// What the system's own tables are like.
pub const CATALOG_VERSION: u32 = 202_611_212;

/// Version of the pages' checksums, which are always on.
pub const CHECKSUM_VERSION: u32 = 1;

/// Bytes that count.
const USED: usize = 512;

/// Bytes of the file, as PostgreSQL has them.
const FILE: usize = 8192;

/// Times that a file is read again which does not make sense.
const READ_TRIES: u32 = 3;

const CRC_AT: usize = USED - 4;

/// How far the server is; numbers and names are PostgreSQL's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DbState {
    /// It starts for the first time.
    StartingUp = 0,
    /// It was stopped in order.
    ShutDown = 1,
    /// It was stopped in order while it followed a log.
    ShutDownInRecovery = 2,
    /// It is writing the shutdown checkpoint.
    ShuttingDown = 3,
    /// It makes changes again behind a crash.
    InCrashRecovery = 4,
    /// It makes changes again from an archive or a primary.
    InArchiveRecovery = 5,
    /// It runs.
    InProduction = 6,
}

impl DbState {
    const ALL: [Self; 7] = [
        Self::StartingUp,
        Self::ShutDown,
        Self::ShutDownInRecovery,
        Self::ShuttingDown,
        Self::InCrashRecovery,
        Self::InArchiveRecovery,
        Self::InProduction,
    ];

    /// As `pg_controldata` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::StartingUp => "starting up",
            Self::ShutDown => "shut down",
            Self::ShutDownInRecovery => "shut down in recovery",
            Self::ShuttingDown => "shutting down",
            Self::InCrashRecovery => "in crash recovery",
            Self::InArchiveRecovery => "in archive recovery",
            Self::InProduction => "in production",
        }
    }
}

/// `wal_level`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum WalLevel {
    /// What a crash needs.
    Minimal = 0,
    /// What archives and standbys need.
    Replica = 1,
    /// What subscriptions need.
    Logical = 2,
}

impl WalLevel {
    const ALL: [Self; 3] = [Self::Minimal, Self::Replica, Self::Logical];

    /// As the setting has it.
    pub fn name(self) -> &'static str {
        ["minimal", "replica", "logical"][self as usize]
    }

    /// By that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Settings that a standby must not have smaller than its primary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StandbySettings {
    /// `wal_level`.
    pub wal_level: WalLevel,
    /// `wal_log_hints`.
    pub wal_log_hints: bool,
    /// `max_connections`.
    pub max_connections: u32,
    /// `max_worker_processes`.
    pub max_worker_processes: u32,
    /// `max_wal_senders`.
    pub max_wal_senders: u32,
    /// `max_prepared_transactions`.
    pub max_prepared_transactions: u32,
    /// `max_locks_per_transaction`.
    pub max_locks_per_transaction: u32,
    /// `track_commit_timestamp`.
    pub track_commit_timestamp: bool,
}

impl Default for StandbySettings {
    fn default() -> Self {
        Self {
            wal_level: WalLevel::Replica,
            wal_log_hints: false,
            max_connections: 100,
            max_worker_processes: 8,
            max_wal_senders: 10,
            max_prepared_transactions: 0,
            max_locks_per_transaction: 64,
            track_commit_timestamp: false,
        }
    }
}

/// The file's content, but for what is the same in every file that this program can use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlFile {
    /// Whose log and pages these are: a number that no other data directory has but copies of this one.
    pub system_identifier: u64,
    /// How far the server is.
    pub state: DbState,
    /// When this was written, in seconds since 1970.
    pub time: i64,
    /// The last checkpoint's record.
    pub checkpoint: Lsn,
    /// What that says.
    pub checkpoint_copy: CheckPoint,
    /// How far redo must come before pages agree with each other; invalid behind a crash, where that is the log's end.
    pub min_recovery_point: Lsn,
    /// Timeline of that.
    pub min_recovery_timeline: Timeline,
    /// Where the backup began that this directory is made of; invalid: of none.
    pub backup_start: Lsn,
    /// Where a backup of a standby ended; invalid: none.
    pub backup_end: Lsn,
    /// Whether redo must come to the backup's end.
    pub backup_end_required: bool,
    /// Counts instead of LSNs where nothing is logged.
    pub unlogged_lsn: Lsn,
    /// What a standby compares.
    pub settings: StandbySettings,
    /// `wal_sync_method` where nobody chose another: what `init` found to be fastest.
    pub sync_method: SyncMethod,
    /// What users that do not exist are asked with.
    pub mock_nonce: [u8; 32],
}

impl ControlFile {
    /// As the file's first bytes.
    fn encode(&self) -> [u8; USED] {
        let mut fields = FieldWriter::default();
        fields.u64(self.system_identifier);
        fields.u32(CONTROL_VERSION);
        fields.u32(CATALOG_VERSION);
        check::put_formats(&mut fields);
        fields.u8(self.state as u8);
        fields.i64(self.time);
        fields.u64(self.checkpoint.bytes());
        self.checkpoint_copy.put(&mut fields);
        fields.u64(self.min_recovery_point.bytes());
        fields.u32(self.min_recovery_timeline.0);
        fields.u64(self.backup_start.bytes());
        fields.u64(self.backup_end.bytes());
        fields.bool(self.backup_end_required);
        fields.u64(self.unlogged_lsn.bytes());
        let settings = &self.settings;
        fields.u8(settings.wal_level as u8);
        fields.bool(settings.wal_log_hints);
        fields.u32(settings.max_connections);
        fields.u32(settings.max_worker_processes);
        fields.u32(settings.max_wal_senders);
        fields.u32(settings.max_prepared_transactions);
        fields.u32(settings.max_locks_per_transaction);
        fields.bool(settings.track_commit_timestamp);
        fields.u8(SyncMethod::ALL.iter().position(|m| *m == self.sync_method).unwrap_or(3) as u8);
        fields.raw(&self.mock_nonce);
        let fields = fields.finish();
        let mut bytes = [0; USED];
        bytes[..fields.len()].copy_from_slice(&fields);
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Behind the checks; `None`: a number that has no meaning.
    fn take(fields: &mut FieldReader<'_>, system_identifier: u64) -> Option<Self> {
        let state = fields.u8()?;
        Some(Self {
            system_identifier,
            state: DbState::ALL.get(usize::from(state)).copied()?,
            time: fields.i64()?,
            checkpoint: Lsn::new(fields.u64()?),
            checkpoint_copy: CheckPoint::take(fields)?,
            min_recovery_point: Lsn::new(fields.u64()?),
            min_recovery_timeline: Timeline(fields.u32()?),
            backup_start: Lsn::new(fields.u64()?),
            backup_end: Lsn::new(fields.u64()?),
            backup_end_required: fields.bool()?,
            unlogged_lsn: Lsn::new(fields.u64()?),
            settings: StandbySettings {
                wal_level: WalLevel::ALL.get(usize::from(fields.u8()?)).copied()?,
                wal_log_hints: fields.bool()?,
                max_connections: fields.u32()?,
                max_worker_processes: fields.u32()?,
                max_wal_senders: fields.u32()?,
                max_prepared_transactions: fields.u32()?,
                max_locks_per_transaction: fields.u32()?,
                track_commit_timestamp: fields.bool()?,
            },
            sync_method: SyncMethod::ALL.get(usize::from(fields.u8()?)).copied()?,
            mock_nonce: fields.array()?,
        })
    }

    /// From the file's bytes.
    ///
    /// # Errors
    /// FATAL in PostgreSQL's words: another version, byte order or page size, a wrong checksum, half a file.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (system_identifier, mut fields) = check::check(bytes)?;
        Self::take(&mut fields, system_identifier).ok_or_else(check::senseless)
    }

    /// Reads it.
    ///
    /// # Errors
    /// The same, and what opening and reading may end with.
    pub fn read(data_directory: &Path, files: &Files) -> Result<Self> {
        Self::read_again(data_directory, files, READ_TRIES)
    }

    fn read_again(data_directory: &Path, files: &Files, tries: u32) -> Result<Self> {
        let shown = Path::new(PATH);
        let path = data_directory.join(PATH);
        let file = files.open(&path, How::Read).map_err(|e| check::not_opened(shown, &e))?;
        let mut bytes = [0; FILE + 1];
        let read =
            files.read_at(&file, &mut bytes, 0).map_err(|e| check::fatal(failed("read file", shown, &e)))?;
        if read != FILE {
            return Err(check::half_written(shown, read, FILE));
        }
        let decoded = Self::decode(&bytes[..read]);
        if decoded.is_ok() || tries == 0 {
            return decoded;
        }
        // Somebody may have been in the middle of writing it: memory is not written at once as disks are.
        std::thread::yield_now();
        Self::read_again(data_directory, files, tries - 1)
    }

    /// Writes it anew over the one that is there; durable when this is over.
    ///
    /// # Errors
    /// PANIC: what is on disk is unknown then.
    pub fn write(&self, data_directory: &Path, files: &Files) -> Result<()> {
        let shown = Path::new(PATH);
        let panic = |what: &str, error: &std::io::Error| check::panic(failed_write(what, shown, error));
        let path = data_directory.join(PATH);
        let file = files.open(&path, How::ReadWrite).map_err(|e| panic("open file", &e))?;
        files.write_all_at(&file, &self.encode(), 0).map_err(|e| panic("write to file", &e))?;
        files.sync_data(&file).map_err(|e| panic("fsync file", &e))
    }

    /// Reads it, changes it, and writes it. One process at a time does this: recovery, and behind that the checkpointer.
    ///
    /// # Errors
    /// As reading and writing; a PANIC for all of them, since what is said of it is told to others already.
    pub fn update(data_directory: &Path, files: &Files, change: impl FnOnce(&mut Self)) -> Result<Self> {
        let mut control = Self::read(data_directory, files).map_err(check::panic)?;
        control.time = now();
        change(&mut control);
        control.write(data_directory, files)?;
        Ok(control)
    }

    /// Makes a new data directory's; its folder is to be synced behind this.
    ///
    /// # Errors
    /// What writing a file may end with.
    pub fn create(&self, data_directory: &Path, files: &Files) -> std::result::Result<(), Box<Report>> {
        let shown = Path::new(PATH);
        let path = data_directory.join(PATH);
        let file = files.open(&path, How::Create).map_err(|e| failed_write("create file", shown, &e))?;
        let mut bytes = vec![0; FILE];
        bytes[..USED].copy_from_slice(&self.encode());
        files.write_all_at(&file, &bytes, 0).map_err(|e| failed_write("write to file", shown, &e))
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_secs() as i64
}

/// A system identifier, made as PostgreSQL does: when, and by which process, in ways that do not repeat.
pub fn new_system_identifier(seconds: u64, microseconds: u32, pid: u32) -> u64 {
    seconds << 32 | u64::from(microseconds) << 12 | u64::from(pid & 0xFFF)
}

#[cfg(test)]
mod tests;
