//! Relations' files: segments of 1 GB under PostgreSQL's names, opened as needed, and what has to be synced of them.
//!
//! A [`RelationFiles`] is one process's way to them. Every write is noted in a table in shared memory ([`SyncTable`]) behind
//! the write itself; who checkpoints syncs what stands there. The note must come before whatever makes a later checkpoint
//! think that the page is clean: a sync between note and write would take the note away and not have the write.

mod descriptors;
mod remove;
mod sync;
pub mod sync_table;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use shmem_layout::StorageShared;

use self::descriptors::{Descriptors, Opened};
use self::sync_table::{Noted, SyncKey, SyncTable};
use super::errors::{failed, failed_write};
use super::ids::{BlockNumber, BufferTag, PAGE_SIZE, RelFile, RelFork};
use super::page::PageBuf;
use crate::ipc::{Proc, WaitEvent};
use crate::os::file::{DataFile, Files, How};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sync::Ordering::{Acquire, Relaxed, SeqCst};

pub use sync::Synced;

/// Blocks of a segment: 1 GB.
pub const SEGMENT_BLOCKS: u32 = 131_072;

/// Most pages that one extension writes at once.
const EXTEND_AT_ONCE: u32 = 64;

/// How a process uses files.
#[derive(Clone)]
pub struct FileSettings {
    /// The data directory; empty: the working directory.
    pub data_directory: PathBuf,
    /// The way to files: watched in tests.
    pub files: Files,
    /// Descriptors that it may keep open.
    pub max_open: usize,
    /// Blocks of a segment; other than [`SEGMENT_BLOCKS`] in tests only.
    pub segment_blocks: u32,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            data_directory: PathBuf::new(),
            files: Files::new(),
            max_open: 1000,
            segment_blocks: SEGMENT_BLOCKS,
        }
    }
}

/// One process's way to relations' files.
pub struct RelationFiles<'s> {
    me: &'s Proc<'s>,
    shared: &'s StorageShared,
    sync_table: SyncTable<'s>,
    settings: FileSettings,
    descriptors: RefCell<Descriptors>,
    /// [`StorageShared::removals`] when the descriptors were last looked at.
    removals_seen: Cell<u64>,
}

impl<'s> RelationFiles<'s> {
    /// The way of the process `me`.
    pub fn new(
        me: &'s Proc<'s>,
        shared: &'s StorageShared,
        sync_table: SyncTable<'s>,
        settings: FileSettings,
    ) -> Self {
        let descriptors = RefCell::new(Descriptors::new(settings.max_open));
        let removals_seen = Cell::new(shared.removals.load(Acquire));
        Self { me, shared, sync_table, settings, descriptors, removals_seen }
    }

    /// The table of files to be synced.
    pub fn sync_table(&self) -> SyncTable<'s> {
        self.sync_table
    }

    /// Closes everything that is open.
    pub fn close_all(&self) {
        self.descriptors.borrow_mut().clear();
    }

    /// Makes the first segment of a fork, empty. `may_exist`: as redo wants it.
    ///
    /// # Errors
    /// 58P02 if it is there already.
    pub fn create(&self, fork: RelFork, may_exist: bool) -> Result<()> {
        self.create_segment(fork, 0, may_exist)
    }

    fn create_segment(&self, fork: RelFork, segment: u32, may_exist: bool) -> Result<()> {
        let path = fork.file.path(fork.fork, segment);
        let made = self.settings.files.open(&self.full(&path), How::Create);
        match made {
            Err(error) if may_exist && error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(failed("create file", &path, &error)),
            Ok(file) => self.note(fork, segment, true, &file),
        }
    }

    /// Makes the folder of a database in a tablespace, and those above it.
    pub fn create_folder(&self, file: RelFile) -> Result<()> {
        let folder = file.folder();
        std::fs::create_dir_all(self.full(&folder)).map_err(|e| failed("create directory", &folder, &e))
    }

    /// Whether a fork's first segment is there.
    pub fn exists(&self, fork: RelFork) -> Result<bool> {
        Ok(self.open(fork, 0)?.is_some())
    }

    /// Number of blocks.
    ///
    /// # Errors
    /// 58P01 if the fork is not there.
    pub fn blocks(&self, fork: RelFork) -> Result<u32> {
        let mut segment = 0;
        loop {
            let Some(file) = self.open(fork, segment)? else {
                return if segment == 0 {
                    Err(self.missing(fork, 0))
                } else {
                    Ok(segment * self.settings.segment_blocks)
                };
            };
            let blocks = self.blocks_of(fork, segment, &file)?;
            if blocks < self.settings.segment_blocks {
                return Ok(segment * self.settings.segment_blocks + blocks);
            }
            segment += 1;
        }
    }

    fn blocks_of(&self, fork: RelFork, segment: u32, file: &DataFile) -> Result<u32> {
        let path = || fork.file.path(fork.fork, segment);
        let length = file.length().map_err(|e| failed("seek to end of file", &path(), &e))?;
        Ok((length / PAGE_SIZE as u64).min(self.settings.segment_blocks.into()) as u32)
    }

    /// Reads a block as it stands in the file.
    ///
    /// # Errors
    /// XX001 if the file ends before it.
    pub fn read(&self, tag: BufferTag, page: &mut PageBuf) -> Result<()> {
        self.read_pages(tag, std::slice::from_mut(page)).map(|_| ())
    }

    /// Reads blocks that follow each other, at least one and at most to the end of the segment: how many.
    pub fn read_pages(&self, tag: BufferTag, pages: &mut [PageBuf]) -> Result<usize> {
        let (segment, within) = self.place(tag.block);
        let file = self.must_open(tag.rel_fork(), segment)?;
        let count = pages.len().min((self.settings.segment_blocks - within) as usize);
        let bytes = PageBuf::bytes_of(&mut pages[..count]);
        let offset = u64::from(within) * PAGE_SIZE as u64;
        let read =
            self.me.waiting(WaitEvent::DATA_FILE_READ, || self.settings.files.read_at(&file, bytes, offset));
        let path = tag.file.path(tag.fork, segment);
        let blocks = format!("read blocks {}..{} in file", tag.block, tag.block.get() as usize + count - 1);
        let read = read.map_err(|e| failed(&blocks, &path, &e))?;
        if read < PAGE_SIZE {
            let wanted = count * PAGE_SIZE;
            let message =
                format!("could not {blocks} \"{}\": read only {read} of {wanted} bytes", path.display());
            return Err(Report::error(SqlState::DATA_CORRUPTED, message));
        }
        Ok(read / PAGE_SIZE)
    }

    /// The file of blocks that follow each other, where in it they begin, and how many of them it has room for; `None`: it is
    /// not there.
    pub(in crate::storage) fn file_of(
        &self,
        tag: BufferTag,
        count: u32,
    ) -> Result<Option<(Rc<DataFile>, u64, u32)>> {
        let (segment, within) = self.place(tag.block);
        let Some(file) = self.open(tag.rel_fork(), segment)? else { return Ok(None) };
        let count = count.min(self.settings.segment_blocks - within);
        Ok(Some((file, u64::from(within) * PAGE_SIZE as u64, count)))
    }

    /// Whether somebody watches what is done to files.
    pub(in crate::storage) fn are_watched(&self) -> bool {
        self.settings.files.is_watched()
    }

    /// Says that a file is about to be written: what was read ahead of that is not to be believed.
    fn about_to_write(&self) {
        self.shared.writes.fetch_add(1, SeqCst);
    }

    /// Asks the kernel to read blocks ahead.
    pub fn will_need(&self, tag: BufferTag, count: u32) -> Result<()> {
        let (segment, within) = self.place(tag.block);
        let Some(file) = self.open(tag.rel_fork(), segment)? else { return Ok(()) };
        let count = u64::from(count.min(self.settings.segment_blocks - within));
        // Advice only: what fails here fails again when it matters.
        let _ = file.will_need(u64::from(within) * PAGE_SIZE as u64, count * PAGE_SIZE as u64);
        Ok(())
    }

    /// Overwrites a block, and notes that its file is to be synced: see the module. `between` runs between the two.
    pub fn write(&self, tag: BufferTag, page: &PageBuf, between: impl FnOnce()) -> Result<()> {
        let (segment, within) = self.place(tag.block);
        let file = self.must_open(tag.rel_fork(), segment)?;
        let offset = u64::from(within) * PAGE_SIZE as u64;
        let write = || self.settings.files.write_all_at(&file, &page.0, offset);
        self.about_to_write();
        self.me.waiting(WaitEvent::DATA_FILE_WRITE, write).map_err(|e| {
            let what = format!("write blocks {}..{} in file", tag.block, tag.block);
            failed_write(&what, &tag.file.path(tag.fork, segment), &e)
        })?;
        between();
        self.note(tag.rel_fork(), segment, false, &file)
    }

    /// Makes a fork longer: `count` blocks of zeroes from `tag` on, which is its end. What was written before an error
    /// stays.
    pub fn extend(&self, tag: BufferTag, count: u32) -> Result<()> {
        let zeroes = vec![0; count.min(EXTEND_AT_ONCE) as usize * PAGE_SIZE];
        let (fork, mut block, mut left) = (tag.rel_fork(), tag.block.get(), count);
        while left > 0 {
            let (segment, within) = self.place_of(block);
            let now = left.min(EXTEND_AT_ONCE).min(self.settings.segment_blocks - within);
            if within == 0 && segment > 0 {
                self.create_segment(fork, segment, true)?;
            }
            let file = self.must_open(fork, segment)?;
            let (offset, bytes) = (u64::from(within) * PAGE_SIZE as u64, &zeroes[..now as usize * PAGE_SIZE]);
            let extend = || self.settings.files.write_all_at(&file, bytes, offset);
            self.about_to_write();
            let extended = self.me.waiting(WaitEvent::DATA_FILE_EXTEND, extend);
            self.note(fork, segment, false, &file)?;
            extended.map_err(|e| failed_write("extend file", &fork.file.path(fork.fork, segment), &e))?;
            block += now;
            left -= now;
        }
        Ok(())
    }

    /// Cuts a fork off behind its first `blocks` blocks. Nothing happens if it is no longer than that.
    pub fn truncate(&self, fork: RelFork, blocks: u32) -> Result<()> {
        let now = self.blocks(fork)?;
        if now <= blocks {
            return Ok(());
        }
        // From the last one down, so that what is left of it after a crash is a relation again. Segments behind the new
        // end stay, empty, as others may have them open.
        for segment in (blocks / self.settings.segment_blocks..=now / self.settings.segment_blocks).rev() {
            let Some(file) = self.open(fork, segment)? else { continue };
            let kept = blocks.saturating_sub(segment * self.settings.segment_blocks);
            self.cut(fork, segment, &file, kept)?;
        }
        Ok(())
    }

    fn cut(&self, fork: RelFork, segment: u32, file: &DataFile, blocks: u32) -> Result<()> {
        let cut = || self.settings.files.set_len(file, u64::from(blocks) * PAGE_SIZE as u64);
        let path = || fork.file.path(fork.fork, segment);
        self.about_to_write();
        let is_cut = self.me.waiting(WaitEvent::DATA_FILE_TRUNCATE, cut);
        is_cut.map_err(|e| failed("truncate file", &path(), &e))?;
        self.note(fork, segment, false, file)
    }

    /// Notes that a segment is to be synced, or syncs it if there is no room to note it.
    fn note(&self, fork: RelFork, segment: u32, is_new: bool, file: &DataFile) -> Result<()> {
        let key = SyncKey { fork, segment };
        if self.sync_table.note(self.me, key, is_new) == Noted::InTable {
            return Ok(());
        }
        self.shared.syncs_by_writers.fetch_add(1, Relaxed);
        self.sync_now(key, is_new, file)
    }

    fn place(&self, block: BlockNumber) -> (u32, u32) {
        self.place_of(block.get())
    }

    /// Segment of a block, and its place there.
    fn place_of(&self, block: u32) -> (u32, u32) {
        (block / self.settings.segment_blocks, block % self.settings.segment_blocks)
    }

    fn full(&self, path: &Path) -> PathBuf {
        self.settings.data_directory.join(path)
    }

    /// Opens a segment; `None` if there is none.
    fn open(&self, fork: RelFork, segment: u32) -> Result<Option<Rc<DataFile>>> {
        let removals = self.shared.removals.load(Acquire);
        if removals != self.removals_seen.replace(removals) {
            // Somebody removed files: what is open may be one of those, while another has its name.
            self.close_all();
        }
        let key = SyncKey { fork, segment };
        let path = || self.full(&fork.file.path(fork.fork, segment));
        match self.descriptors.borrow_mut().get(key, || self.settings.files.open(&path(), How::ReadWrite)) {
            Ok(Opened::There(file)) => Ok(Some(file)),
            Ok(Opened::Missing) => Ok(None),
            Err(error) => Err(failed("open file", &fork.file.path(fork.fork, segment), &error)),
        }
    }

    fn must_open(&self, fork: RelFork, segment: u32) -> Result<Rc<DataFile>> {
        self.open(fork, segment)?.ok_or_else(|| self.missing(fork, segment))
    }

    fn missing(&self, fork: RelFork, segment: u32) -> Box<Report> {
        let error = io::Error::from_raw_os_error(libc::ENOENT);
        failed("open file", &fork.file.path(fork.fork, segment), &error).routine("mdopenfork")
    }
}

#[cfg(test)]
mod tests;
