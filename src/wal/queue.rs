//! Records read ahead of who works with them, so that what they need can be on its way.

use std::ops::Range;

use super::block::Incarnation;
use super::decode::Record;
use super::lsn::Lsn;
use super::reader::WalReader;
use crate::report::{Report, Result};

/// Bytes of records that are read at once.
const BYTES: usize = 512 << 10;

struct Placed {
    start: Lsn,
    end: Lsn,
    incarnation: Incarnation,
    bytes: Range<usize>,
    main: Range<usize>,
}

/// Some records that follow each other, copied.
#[derive(Default)]
pub struct RecordQueue {
    bytes: Vec<u8>,
    records: Vec<Placed>,
    /// What ended the reading behind them.
    failure: Option<Box<Report>>,
}

impl RecordQueue {
    /// Without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces its records by the next ones. `false`: there is none.
    ///
    /// # Errors
    /// As [`WalReader::next`], once all records before are out of the queue.
    pub fn fill(&mut self, reader: &mut WalReader) -> Result<bool> {
        self.bytes.clear();
        self.records.clear();
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        while self.bytes.len() < BYTES {
            match reader.next() {
                Ok(Some(record)) => self.push(&record),
                Ok(None) => break,
                Err(failure) if self.records.is_empty() => return Err(failure),
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        Ok(!self.records.is_empty())
    }

    fn push(&mut self, record: &Record<'_>) {
        let (bytes, main) = record.parts();
        let at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let Record { start, end, incarnation, .. } = *record;
        self.records.push(Placed { start, end, incarnation, bytes: at..self.bytes.len(), main });
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// A record by its place, from 0.
    pub fn get(&self, at: usize) -> Option<Record<'_>> {
        let placed = self.records.get(at)?;
        let bytes = &self.bytes[placed.bytes.clone()];
        Some(Record::from_parts(bytes, placed.main.clone(), (placed.start, placed.end), placed.incarnation))
    }
}
