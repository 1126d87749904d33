//! Making changes again from the log.
//!
//! A page whose LSN is at or behind a record's end has the change already. A page that is not there, of a file that is gone
//! or shorter, belongs to something that a later record removes; such pages are remembered, and when recovery is done none
//! may be left ([`MissingPages`]).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::relation_files::MadeFiles;
use super::rmgr::ResourceManagers;
use crate::report::{Report, Result, SqlState};
use crate::storage::StorageSession;
use crate::storage::buffer::{ExclusivePage, ReadOptions};
use crate::storage::ids::{BlockNumber, BufferTag, Fork, RelFile, RelFork};
use crate::wal::decode::BlockReference;
use crate::wal::{BlockFlags, BlockTag, Record};

/// What redo finds of a block that a record names. Every page that is given out is locked.
pub enum RedoPage<'a, 's> {
    /// The change is to be made; then [`ExclusivePage::mark_dirty_at`] with the record's end.
    Apply(ExclusivePage<'a, 's>),
    /// The change is on the page: its image was restored, or it was written before the crash.
    Done(ExclusivePage<'a, 's>),
    /// The page is not there.
    Missing,
}

impl<'a, 's> RedoPage<'a, 's> {
    /// The page if the change is to be made.
    pub fn to_apply(self) -> Option<ExclusivePage<'a, 's>> {
        match self {
            Self::Apply(page) => Some(page),
            Self::Done(_) | Self::Missing => None,
        }
    }
}

/// Pages that records wanted to change and that were not there.
#[derive(Debug, Default)]
pub struct MissingPages(RefCell<BTreeSet<BufferTag>>);

impl MissingPages {
    /// A file was removed: what was missing of it is explained.
    pub fn forget(&self, file: RelFile) {
        self.0.borrow_mut().retain(|tag| tag.file != file);
    }

    /// A fork was cut off at `blocks`.
    pub fn forget_from(&self, fork: RelFork, blocks: u32) {
        self.0.borrow_mut().retain(|tag| tag.rel_fork() != fork || tag.block.get() < blocks);
    }

    /// A database was dropped.
    pub fn forget_database(&self, database: u32) {
        self.0.borrow_mut().retain(|tag| tag.file.database != database);
    }

    /// Recovery is done: all must be explained.
    ///
    /// # Errors
    /// XX001 naming the first that is not.
    pub fn check(&self) -> Result<()> {
        let missing = self.0.borrow();
        let Some(first) = missing.first() else { return Ok(()) };
        let message = format!(
            "WAL contains references to {} invalid pages, the first being block {} of relation \"{}\"",
            missing.len(),
            first.block,
            first.rel_fork()
        );
        Err(Report::fatal(SqlState::DATA_CORRUPTED, message))
    }

    fn add(&self, tag: BufferTag) {
        self.0.borrow_mut().insert(tag);
    }
}

/// Recovery's way to pages.
pub struct Redo<'a, 's> {
    storage: &'a StorageSession<'s>,
    managers: ResourceManagers<'a>,
    missing: MissingPages,
    made: MadeFiles,
    /// Forks known to have at least so many blocks: nobody else changes that meanwhile.
    lengths: RefCell<BTreeMap<RelFork, u32>>,
}

impl<'a, 's> Redo<'a, 's> {
    /// Through this session.
    pub fn new(storage: &'a StorageSession<'s>, managers: ResourceManagers<'a>) -> Self {
        Self {
            storage,
            managers,
            missing: MissingPages::default(),
            made: MadeFiles::default(),
            lengths: RefCell::default(),
        }
    }

    /// The pages and files.
    pub fn storage(&self) -> &'a StorageSession<'s> {
        self.storage
    }

    /// Pages that were not there.
    pub fn missing(&self) -> &MissingPages {
        &self.missing
    }

    /// A file was removed or cut off.
    pub fn forget_lengths(&self, file: RelFile) {
        self.lengths.borrow_mut().retain(|fork, _| fork.file != file);
    }

    /// Files of transactions whose end has not come yet.
    pub fn made(&self) -> &MadeFiles {
        &self.made
    }

    /// Makes a record's change again.
    pub fn replay(&self, record: &Record<'_>) -> Result<()> {
        self.managers.of(record)?.redo(self, record)
    }

    /// A block that the record names, locked.
    ///
    /// # Errors
    /// XX001 if the record does not name it, and if the page is damaged and the record has no image of it.
    pub fn block(&self, record: &Record<'_>, id: u8) -> Result<RedoPage<'a, 's>> {
        let block = record.block(id).ok_or_else(|| self.malformed(record))?;
        self.block_of(record, &block)
    }

    /// The same for a reference that was looked up already.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn block_of(&self, record: &Record<'_>, block: &BlockReference<'_>) -> Result<RedoPage<'a, 's>> {
        let tag = self.tag(record, block)?;
        if block.flags.contains(BlockFlags::APPLY_IMAGE) {
            return self.restore(record, block, tag).map(RedoPage::Done);
        }
        if block.flags.contains(BlockFlags::WILL_INIT) {
            self.make_long_enough(tag)?;
            return Ok(RedoPage::Apply(self.storage.read_to_init(tag, ReadOptions::default())?));
        }
        let page = match self.storage.read(tag) {
            Ok(page) => page.lock_exclusive(),
            // Files are asked only now, since most pages are there, and in the pool.
            Err(_) if !self.is_there(tag)? => {
                self.missing.add(tag);
                return Ok(RedoPage::Missing);
            }
            Err(report) => return Err(report),
        };
        if page.page().is_new() && page.page().lsn() == 0 {
            self.missing.add(tag);
            return Ok(RedoPage::Missing);
        }
        let is_done = page.page().lsn() >= record.end.bytes();
        Ok(if is_done { RedoPage::Done(page) } else { RedoPage::Apply(page) })
    }

    /// A page that may be made up from nothing, as a fork's map can: it is added, all zeroes, if it is not there.
    pub fn map_page(&self, fork: RelFork, block: BlockNumber) -> Result<ExclusivePage<'a, 's>> {
        let tag = fork.block(block);
        self.make_long_enough(tag)?;
        Ok(self.storage.read(tag)?.lock_exclusive())
    }

    fn restore(
        &self,
        record: &Record<'_>,
        block: &BlockReference<'_>,
        tag: BufferTag,
    ) -> Result<ExclusivePage<'a, 's>> {
        self.make_long_enough(tag)?;
        let end = record.end.bytes();
        let restore = |page: &mut _| {
            block.restore(page);
        };
        let (mut page, is_made) = self.storage.read_to_replace(tag, ReadOptions::default(), restore)?;
        if is_made {
            page.mark_dirty_at(end);
        } else if page.page().lsn() < end {
            page.mark_dirty();
            let mut view = page.page_mut();
            let bytes = view.bytes_mut().first_chunk_mut().expect("a page has as many bytes");
            block.restore(bytes);
            page.set_lsn(end);
        }
        Ok(page)
    }

    fn is_there(&self, tag: BufferTag) -> Result<bool> {
        let files = self.storage.files();
        Ok(files.exists(tag.rel_fork())? && files.blocks(tag.rel_fork())? > tag.block.get())
    }

    /// A file may have been removed, or cut off, behind this record; then it comes back for a while.
    fn make_long_enough(&self, tag: BufferTag) -> Result<()> {
        let (files, fork, wanted) = (self.storage.files(), tag.rel_fork(), tag.block.get() + 1);
        if self.lengths.borrow().get(&fork).is_some_and(|blocks| *blocks >= wanted) {
            return Ok(());
        }
        if !files.exists(fork)? {
            files.create_folder(tag.file)?;
            files.create(fork, true)?;
        }
        self.storage.extend_to(fork, wanted)?;
        self.lengths.borrow_mut().insert(fork, files.blocks(fork)?);
        Ok(())
    }

    fn tag(&self, record: &Record<'_>, block: &BlockReference<'_>) -> Result<BufferTag> {
        buffer_tag(block.tag).ok_or_else(|| self.malformed(record))
    }

    /// A record that makes no sense.
    pub fn malformed(&self, record: &Record<'_>) -> Box<Report> {
        let name = self.managers.of(record).map_or("unknown", |manager| manager.name());
        let message = format!("invalid record of resource manager {name} at {}", record.start);
        Report::error(SqlState::DATA_CORRUPTED, message)
    }
}

/// A page's name from the log's words.
pub fn buffer_tag(tag: BlockTag) -> Option<BufferTag> {
    let file = RelFile { tablespace: tag.tablespace, database: tag.database, relation: tag.relation };
    Some(BufferTag { file, fork: Fork::from_number(tag.fork)?, block: BlockNumber::new(tag.block)? })
}
