//! What a checkpoint knows: where redo begins, and what numbers were given out by then. It stands in the log as the
//! checkpoint's record, and as a copy in the control file.

use super::fields::{FieldReader, FieldWriter};
use crate::report::{Report, Result, SqlState};
use crate::txn::Xid;
use crate::wal::lsn::Timeline;
use crate::wal::{Incarnation, Lsn, Record, RmgrId, own};

/// Info of the record of a checkpoint behind which nothing was written: the server was stopped, or has recovered.
pub const CHECKPOINT_SHUTDOWN: u8 = own::FIRST_FREE_INFO;

/// Info of the record of a checkpoint beside which others wrote.
pub const CHECKPOINT_ONLINE: u8 = own::FIRST_FREE_INFO + 0x10;

/// Info of the record that OIDs below the one in it may have been given out.
pub const NEXT_OID: u8 = own::FIRST_FREE_INFO + 0x20;

/// The first OID that is not the system's own.
pub const FIRST_NORMAL_OID: u32 = 16_384;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckPoint {
    /// Where redo begins: at a record of its own, before this one.
    pub redo: Lsn,
    /// Timeline of the log.
    pub timeline: Timeline,
    /// Timeline before this one; the same if this checkpoint begins none.
    pub prev_timeline: Timeline,
    /// Incarnation of the log at the redo position and at the record.
    pub incarnation: Incarnation,
    /// `full_page_writes`.
    pub full_page_writes: bool,
    /// The id to give out next.
    pub next_xid: u64,
    /// Ids below have two bits in the transaction map.
    pub narrow_below: u64,
    /// Nothing names ids below.
    pub cut_below: u64,
    /// The oldest id that ran; 0 if none could, as in a shutdown's checkpoint.
    pub oldest_active_xid: u64,
    /// The OID to give out next.
    pub next_oid: u32,
    /// The multi-locker id to give out next.
    pub next_lockers: u64,
    /// The oldest multi-locker id that a row may name.
    pub oldest_lockers: u64,
    /// When it began, in seconds since 1970.
    pub time: i64,
}

impl CheckPoint {
    /// What a new data directory begins with.
    pub fn first(redo: Lsn, incarnation: Incarnation, time: i64) -> Self {
        Self {
            redo,
            timeline: Timeline(1),
            prev_timeline: Timeline(1),
            incarnation,
            full_page_writes: true,
            next_xid: Xid::FIRST.number(),
            narrow_below: 0,
            cut_below: 0,
            oldest_active_xid: 0,
            next_oid: FIRST_NORMAL_OID,
            next_lockers: 1,
            oldest_lockers: 1,
            time,
        }
    }

    /// As the main data of its record.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        self.put(&mut fields);
        fields.finish()
    }

    pub(super) fn put(&self, fields: &mut FieldWriter) {
        fields.u64(self.redo.bytes());
        fields.u32(self.timeline.0);
        fields.u32(self.prev_timeline.0);
        fields.u64(self.incarnation.0);
        fields.bool(self.full_page_writes);
        fields.u64(self.next_xid);
        fields.u64(self.narrow_below);
        fields.u64(self.cut_below);
        fields.u64(self.oldest_active_xid);
        fields.u32(self.next_oid);
        fields.u64(self.next_lockers);
        fields.u64(self.oldest_lockers);
        fields.i64(self.time);
    }

    pub(super) fn take(fields: &mut FieldReader<'_>) -> Option<Self> {
        Some(Self {
            redo: Lsn::new(fields.u64()?),
            timeline: Timeline(fields.u32()?),
            prev_timeline: Timeline(fields.u32()?),
            incarnation: Incarnation(fields.u64()?),
            full_page_writes: fields.bool()?,
            next_xid: fields.u64()?,
            narrow_below: fields.u64()?,
            cut_below: fields.u64()?,
            oldest_active_xid: fields.u64()?,
            next_oid: fields.u32()?,
            next_lockers: fields.u64()?,
            oldest_lockers: fields.u64()?,
            time: fields.i64()?,
        })
    }

    /// From a record; `None` if it is not a checkpoint's.
    ///
    /// # Errors
    /// XX001 if it is, and makes no sense.
    pub fn of(record: &Record<'_>) -> Result<Option<Self>> {
        if record.rmgr() != RmgrId::WAL || !matches!(record.info(), CHECKPOINT_SHUTDOWN | CHECKPOINT_ONLINE) {
            return Ok(None);
        }
        let mut fields = FieldReader::new(record.main());
        match Self::take(&mut fields) {
            Some(checkpoint) if fields.rest().is_empty() => Ok(Some(checkpoint)),
            _ => {
                let message = format!("invalid checkpoint record at {}", record.start);
                Err(Report::error(SqlState::DATA_CORRUPTED, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_being_written() {
        let mut checkpoint = CheckPoint::first(Lsn::new(0x0102_0304_0506), Incarnation(7), -3);
        checkpoint.next_xid = 1 << 50;
        checkpoint.oldest_active_xid = 5;
        let bytes = checkpoint.encode();
        assert_eq!(CheckPoint::take(&mut FieldReader::new(&bytes)), Some(checkpoint));
        for len in 0..bytes.len() {
            assert_eq!(CheckPoint::take(&mut FieldReader::new(&bytes[..len])), None, "{len}");
        }
    }
}
