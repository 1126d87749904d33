//! The log's own records.

use super::block::Incarnation;
use super::decode::Record;
use super::log::Beginning;
use super::lsn::{Lsn, Timeline};
use super::record::{RecordBuilder, RmgrId};

/// The first record of an incarnation: which one was before, and where that ended.
pub const INCARNATION: u8 = 0x00;

/// Where a checkpoint's redo begins.
pub const REDO: u8 = 0x10;

/// Infos from here on belong to whoever writes checkpoints.
pub const FIRST_FREE_INFO: u8 = 0x80;

/// What an incarnation's first record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IncarnationRecord {
    /// Timeline of the incarnation.
    pub timeline: Timeline,
    /// The incarnation before and where its log ended; `None`: this is the first.
    pub before: Option<(Lsn, Incarnation)>,
}

const INCARNATION_LEN: usize = 20;

/// The record with which a start begins its log.
pub(super) fn incarnation_record(beginning: &Beginning) -> RecordBuilder {
    let (end, before) = beginning.before.unwrap_or((Lsn::INVALID, Incarnation(0)));
    let mut builder = RecordBuilder::new();
    builder.begin(RmgrId::WAL, INCARNATION, 0);
    builder.main(&before.0.to_le_bytes());
    builder.main(&end.bytes().to_le_bytes());
    builder.main(&beginning.timeline.0.to_le_bytes());
    builder
}

/// The record at a redo position.
pub(super) fn redo_record() -> RecordBuilder {
    let mut builder = RecordBuilder::new();
    builder.begin(RmgrId::WAL, REDO, 0);
    builder
}

impl IncarnationRecord {
    /// What `record` says, if it is an incarnation's first.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        if record.rmgr() != RmgrId::WAL || record.info() != INCARNATION {
            return None;
        }
        let bytes: &[u8; INCARNATION_LEN] = record.main().try_into().ok()?;
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let before = (long(0) != 0).then(|| (Lsn::new(long(8)), Incarnation(long(0))));
        Some(Self { timeline: Timeline(word(16)), before })
    }
}

/// What the log's own records say, for people.
pub fn describe(record: &Record<'_>) -> (&'static str, String) {
    match record.info() {
        INCARNATION => {
            let text = match IncarnationRecord::of(record) {
                Some(IncarnationRecord { timeline, before: Some((end, before)) }) => {
                    format!("timeline {}; follows {:016x}, which ended at {end}", timeline.0, before.0)
                }
                Some(IncarnationRecord { timeline, before: None }) => {
                    format!("timeline {}; the first", timeline.0)
                }
                None => "malformed".to_string(),
            };
            ("INCARNATION", text)
        }
        REDO => ("CHECKPOINT_REDO", String::new()),
        _ => ("UNKNOWN", format!("info {:02x}", record.info())),
    }
}
