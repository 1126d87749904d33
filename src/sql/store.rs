//! What statements ask of the store behind the session: the log, the transaction's id, locks, checkpoints.
//!
//! It is part of [`Host`](super::host::Host); without a store, as in tests of the layers above it, everything but the end
//! of a transaction is refused.

use super::tables::Access;
use super::types::Row;
use crate::report::{Report, Result};

/// What is done to tables; see [`with_tables`](super::tables::with_tables).
pub type TableWork<'w> = &'w mut dyn FnMut(&mut Access<'_, '_, '_>) -> Result<()>;

/// How far the log is, in bytes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogPositions {
    /// Places are given out up to here.
    pub inserted: u64,
    /// The kernel has it up to here.
    pub written: u64,
    /// It is durable up to here.
    pub flushed: u64,
}

/// A message for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogMessage<'m> {
    /// Whether it is part of the transaction, which gets an id by it.
    pub is_transactional: bool,
    /// Whose it is.
    pub prefix: &'m str,
    /// What it says.
    pub content: &'m [u8],
    /// Whether it is to be durable at once.
    pub flush: bool,
}

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionFate {
    /// It runs.
    InProgress,
    /// It was committed.
    Committed,
    /// It was rolled back.
    Aborted,
    /// So long ago that nobody knows any more.
    Forgotten,
    /// The id was not given out yet.
    Future,
}

/// The key of an advisory lock; one number never means the same as two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdvisoryKey {
    /// One number.
    One(i64),
    /// Two numbers.
    Two(i32, i32),
}

/// An advisory lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdvisoryLock {
    /// Which.
    pub key: AdvisoryKey,
    /// Whether others may have it too.
    pub shared: bool,
    /// Whether it lasts longer than the transaction.
    pub session: bool,
    /// Whether to wait for it.
    pub wait: bool,
}

/// A part of the control file, as the functions of these names show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlPart {
    /// `pg_control_system`.
    System,
    /// `pg_control_checkpoint`.
    Checkpoint,
    /// `pg_control_recovery`.
    Recovery,
    /// `pg_control_init`.
    Init,
}

/// Folders of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFolder {
    /// Segments.
    Segments,
    /// The archiver's marks.
    ArchiveStatus,
}

fn missing<T>() -> Result<T> {
    Err(Report::not_supported("there is no store behind this session"))
}

/// See the module.
pub trait StoreHost {
    /// Whether there are tables.
    fn has_tables(&self) -> bool {
        false
    }

    /// Does something to tables and catalog, in the transaction at hand.
    ///
    /// # Errors
    /// What `work` ends with.
    fn with_tables(&mut self, _work: TableWork<'_>) -> Result<()> {
        missing()
    }

    /// Commits what the transaction has written, before it is said to be over.
    ///
    /// # Errors
    /// It is to be rolled back then.
    fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    /// How far the log is.
    fn log_positions(&self) -> Result<LogPositions> {
        missing()
    }

    /// Name of the segment that a byte of the log is in, and where in it.
    fn segment_of(&self, _place: u64) -> Result<(String, u32)> {
        missing()
    }

    /// Fills the segment; where its last record ends.
    fn switch_log(&mut self) -> Result<u64> {
        missing()
    }

    /// Writes a message; where it ends.
    fn emit_message(&mut self, _message: LogMessage<'_>) -> Result<u64> {
        missing()
    }

    /// The transaction's id; `assign` gives it one if it has none.
    fn transaction_id(&mut self, _assign: bool) -> Result<Option<u64>> {
        missing()
    }

    /// What became of a transaction.
    fn transaction_fate(&mut self, _id: u64) -> Result<TransactionFate> {
        missing()
    }

    /// Takes an advisory lock; whether it was got.
    fn lock_advisory(&mut self, _lock: AdvisoryLock) -> Result<bool> {
        missing()
    }

    /// Gives a session's advisory lock back; whether it was held.
    fn unlock_advisory(&mut self, _key: AdvisoryKey, _shared: bool) -> Result<bool> {
        missing()
    }

    /// Gives all of the session's advisory locks back.
    fn unlock_all_advisory(&mut self) -> Result<()> {
        Ok(())
    }

    /// Who keeps a process from a lock; without a store there are no locks.
    fn blocking_pids(&mut self, _pid: i32) -> Result<Vec<i32>> {
        Ok(Vec::new())
    }

    /// Prepares the transaction for a commit in two phases, in place of committing it.
    ///
    /// # Errors
    /// It is to be rolled back then.
    fn prepare_transaction(&mut self, _gid: &str) -> Result<()> {
        missing()
    }

    /// `COMMIT PREPARED`, or `ROLLBACK PREPARED`.
    fn finish_prepared(&mut self, _gid: &str, _is_commit: bool) -> Result<()> {
        missing()
    }

    /// `CHECKPOINT`.
    fn checkpoint(&mut self) -> Result<()> {
        missing()
    }

    /// A part of the control file.
    fn control(&mut self, _part: ControlPart) -> Result<Row> {
        missing()
    }

    /// Names, sizes and times of a folder's files.
    fn log_folder(&mut self, _folder: LogFolder) -> Result<Vec<Row>> {
        missing()
    }
}
