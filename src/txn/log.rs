//! The log, as transactions need it.

use super::lsn::Lsn;
use super::snapshot::Durable;
use crate::report::Result;

/// The log, as one process writes it.
pub trait CommitLog: Durable {
    /// Makes sure that a record of `len` bytes can be inserted without waiting.
    fn prepare(&mut self, len: usize) -> Result<()>;

    /// Inserts a record that was prepared for. `note` is told its end before anybody can read or flush it; it neither
    /// waits nor allocates. Between what precedes this call in the same critical section and `note`'s return, a checkpoint
    /// that begins waits.
    fn insert(&mut self, kind: RecordKind, record: &[u8], note: &mut dyn FnMut(Lsn)) -> Lsn;

    /// Where the record begins that was inserted last, so that it can be read again; invalid if it cannot.
    fn last_start(&self) -> Lsn {
        Lsn::INVALID
    }

    /// Waits until the log is durable up to here.
    fn flush(&mut self, lsn: Lsn) -> Result<()>;

    /// Nobody waits for this commit: the WAL writer is to flush it.
    fn leave(&mut self, lsn: Lsn) {
        let _ = lsn;
    }
}

/// What a transaction record says; the log's info byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RecordKind {
    /// A transaction committed.
    Commit = 0x00,
    /// A transaction rolled back.
    Abort = 0x10,
    /// A transaction was prepared.
    Prepare = 0x20,
    /// A prepared transaction committed.
    CommitPrepared = 0x30,
    /// A prepared transaction rolled back.
    AbortPrepared = 0x40,
    /// A multi-locker id and its members.
    Lockers = 0x50,
}

impl RecordKind {
    /// The kind of an info byte.
    pub fn from_number(info: u8) -> Option<Self> {
        let all = [
            Self::Commit,
            Self::Abort,
            Self::Prepare,
            Self::CommitPrepared,
            Self::AbortPrepared,
            Self::Lockers,
        ];
        all.into_iter().find(|kind| *kind as u8 == info)
    }
}
