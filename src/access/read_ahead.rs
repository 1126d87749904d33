//! The log, read ahead of its redo: pages that records name are fetched before their turn comes.
//!
//! Of a page in the pool, the processor is asked for what redo looks at first, since the next record's page is as good as
//! never in its cache. A page that is not there is asked for from its file, unless the record makes it anew.

use std::collections::HashSet;

use super::redo::buffer_tag;
use super::rmgr::HEAP;
use crate::report::Result;
use crate::storage::StorageSession;
use crate::storage::buffer::AheadUser;
use crate::storage::ids::{BufferTag, PAGE_SIZE};
use crate::storage::page::{MAX_ITEMS, line_at};
use crate::wal::decode::BlockReference;
use crate::wal::{BlockFlags, Record, RecordQueue, RmgrId, WalReader};

/// Records ahead of redo whose pages the processor is asked for.
const WARM: usize = 12;

/// Records ahead of that for which it is asked where those pages are.
const MAPPED: usize = 12;

/// Records between two looks at what is to be asked for.
const AT_ONCE: usize = 32;

/// Records ahead of redo whose pages are asked for from their files.
const FAR: usize = 200;

/// A log that is to be replayed.
pub struct ReadAhead<'a, 's> {
    storage: &'a StorageSession<'s>,
    reader: WalReader,
    queue: RecordQueue,
    /// The next record of the queue.
    at: usize,
    /// Records that were in the queue before.
    before: u64,
    /// The next one for which the processor has not been asked.
    warmed: usize,
    /// Records of the queue before this one were asked for.
    asked: usize,
    /// Pages that those make anew: later ones find them there.
    made: HashSet<BufferTag>,
    user: Option<AheadUser<'a, 's>>,
    /// Pages that had been read when the queue was filled.
    reads: u64,
}

impl<'a, 's> ReadAhead<'a, 's> {
    /// Of what this reader reads, into this pool.
    pub fn new(reader: WalReader, storage: &'a StorageSession<'s>) -> Self {
        let reads = storage.usage().reads;
        let (queue, made, user) = (RecordQueue::new(), HashSet::new(), None);
        Self { storage, reader, queue, at: 0, before: 0, warmed: 0, asked: 0, made, user, reads }
    }

    /// The reader: only once the last record was given out it stands where they end.
    pub fn reader(&self) -> &WalReader {
        &self.reader
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// As [`WalReader::next`].
    #[expect(clippy::should_implement_trait, reason = "records borrow from the queue")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        if self.at == self.queue.len() && !self.fill()? {
            return Ok(None);
        }
        // Where nothing had to be read of late there is most likely nothing to be asked for.
        if self.at.is_multiple_of(AT_ONCE) && self.storage.usage().reads > self.reads {
            self.ask()?;
        }
        self.warm_next();
        self.at += 1;
        Ok(self.queue.get(self.at - 1))
    }

    fn fill(&mut self) -> Result<bool> {
        self.before += self.queue.len() as u64;
        (self.at, self.asked, self.warmed) = (0, 0, 0);
        self.made.clear();
        self.reads = self.storage.usage().reads.max(self.reads);
        self.queue.fill(&mut self.reader)
    }

    /// Asks for what the records ahead will read, as far as it is not in the pool.
    fn ask(&mut self) -> Result<()> {
        let Self { storage, user, .. } = self;
        let user = user.get_or_insert_with(|| storage.ahead_user());
        user.passed(self.before + self.at as u64);
        self.asked = self.asked.max(self.at);
        let until = self.queue.len().min(self.at + FAR);
        while self.asked < until {
            let Some(record) = self.queue.get(self.asked) else { break };
            let place = self.before + self.asked as u64;
            for block in record.blocks() {
                let Some(tag) = buffer_tag(block.tag) else { continue };
                if !needs_file(&block) {
                    self.made.insert(tag);
                } else if !storage.is_cached(tag)
                    && !self.made.contains(&tag)
                    && !user.ask(tag.rel_fork(), tag.block.get(), 1, place)?
                {
                    user.submit();
                    return Ok(());
                }
            }
            self.asked += 1;
        }
        user.submit();
        Ok(())
    }

    fn warm_next(&mut self) {
        let storage = self.storage;
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
fn needs_file(block: &BlockReference<'_>) -> bool {
    !block.flags.contains(BlockFlags::APPLY_IMAGE) && !block.flags.contains(BlockFlags::WILL_INIT)
}
