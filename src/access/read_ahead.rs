//! The log, read ahead of its redo: pages that records name are fetched before their turn comes.
//!
//! Of a page in the pool, the processor is asked for what redo looks at first, since the next record's page is as good as
//! never in its cache. A page that is not there is asked for from its file, unless the record makes it anew.

use super::redo::buffer_tag;
use super::rmgr::HEAP;
use crate::report::Result;
use crate::storage::StorageSession;
use crate::storage::ids::PAGE_SIZE;
use crate::storage::page::{MAX_ITEMS, line_at};
use crate::wal::decode::BlockReference;
use crate::wal::{BlockFlags, Record, RecordQueue, RmgrId, WalReader};

/// Records ahead of redo whose pages the processor is asked for.
const WARM: usize = 12;

/// Records ahead of that for which it is asked where those pages are.
const MAPPED: usize = 12;

/// A log that is to be replayed.
pub struct ReadAhead {
    reader: WalReader,
    queue: RecordQueue,
    /// The next record of the queue.
    at: usize,
    /// The next one for which the processor has not been asked.
    warmed: usize,
}

impl ReadAhead {
    /// Of what this reader reads.
    pub fn new(reader: WalReader) -> Self {
        Self { reader, queue: RecordQueue::new(), at: 0, warmed: 0 }
    }

    /// The reader: only once the last record was given out it stands where they end.
    pub fn reader(&self) -> &WalReader {
        &self.reader
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// As [`WalReader::next`].
    pub fn next(&mut self, storage: &StorageSession<'_>) -> Result<Option<Record<'_>>> {
        if self.at == self.queue.len() {
            (self.at, self.warmed) = (0, 0);
            if !self.queue.fill(&mut self.reader)? {
                return Ok(None);
            }
        }
        self.look_ahead(storage);
        self.at += 1;
        Ok(self.queue.get(self.at - 1))
    }

    fn look_ahead(&mut self, storage: &StorageSession<'_>) {
        let until = self.queue.len().min(self.at + WARM);
        while self.warmed < until {
            if let Some(record) = self.queue.get(self.warmed + MAPPED) {
                record
                    .blocks()
                    .filter_map(|block| buffer_tag(block.tag))
                    .for_each(|tag| storage.warm_mapping(tag));
            }
            if let Some(record) = self.queue.get(self.warmed) {
                warm(storage, &record);
            }
            self.warmed += 1;
        }
    }
}

fn warm(storage: &StorageSession<'_>, record: &Record<'_>) {
    for block in record.blocks() {
        if let Some(tag) = buffer_tag(block.tag) {
            storage.warm(tag, first_look(record.rmgr(), &block));
        }
    }
}

/// Where redo looks at a page behind its head: at the line of a heap's version, with which its data begins, or at the special
/// area.
fn first_look(rmgr: RmgrId, block: &BlockReference<'_>) -> usize {
    let line = block.data.first_chunk().map_or(0, |line| u16::from_le_bytes(*line));
    let is_line = rmgr == HEAP && line > 0 && usize::from(line) <= MAX_ITEMS;
    if is_line { line_at(line) } else { PAGE_SIZE - 1 }
}

/// Whether redo of a block needs what stands in the file.
#[allow(dead_code)]
fn needs_file(block: &BlockReference<'_>) -> bool {
    !block.flags.contains(BlockFlags::APPLY_IMAGE) && !block.flags.contains(BlockFlags::WILL_INIT)
}
