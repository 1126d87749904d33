//! The transaction map's pages in files: `pg_xact/w…` has wide pages, `pg_xact/n…` narrow ones, a file every 256 pages.
//!
//! Pages have no LSN of their own: each word changes for itself, at a time, and redo stamps every transaction that ended
//! behind the redo position again. What is older was durable before a checkpoint said so. Each sector has its own check
//! (`sectors.rs`): a flipped bit would turn a rolled-back transaction into a committed one.

mod sectors;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::shared_log::{SharedLog, to_wal};
use crate::os::file::{DataFile, Files, How};
use crate::report::{Report, ReportExt, Result, Severity, SqlState};
use crate::storage::errors::failed_write;
use crate::txn::map::{MapPage, MapStore, WIDE_IDS, Words};
use crate::txn::{Lsn, Xid};

/// Folder of the map, in the data directory.
pub const FOLDER: &str = "pg_xact";

const PAGES_PER_FILE: u64 = 256;
/// Files kept open.
const OPEN_FILES: usize = 8;

/// One process's way to the files.
pub struct MapFiles<'s> {
    folder: PathBuf,
    files: Files,
    log: SharedLog<'s>,
    open: RefCell<HashMap<String, DataFile>>,
}

impl<'s> MapFiles<'s> {
    /// In this data directory.
    pub fn new(data_directory: &Path, files: Files, log: SharedLog<'s>) -> Self {
        Self { folder: data_directory.join(FOLDER), files, log, open: RefCell::default() }
    }

    fn name(page: MapPage) -> (String, u64) {
        let (kind, number) = match page {
            MapPage::Wide(number) => ('w', number),
            MapPage::Narrow(number) => ('n', number),
        };
        (format!("{kind}{:012X}", number / PAGES_PER_FILE), number % PAGES_PER_FILE * sectors::PAGE as u64)
    }

    /// Does something with the file of a page; `None`: there is none, and it was not to be made.
    fn with<R>(
        &self,
        name: &str,
        makes: bool,
        f: impl FnOnce(&DataFile) -> io::Result<R>,
    ) -> io::Result<Option<R>> {
        let mut open = self.open.borrow_mut();
        if !open.contains_key(name) {
            if open.len() >= OPEN_FILES {
                open.clear();
            }
            let Some(file) = self.open_file(name, makes)? else { return Ok(None) };
            open.insert(name.to_owned(), file);
        }
        f(&open[name]).map(Some)
    }

    fn open_file(&self, name: &str, makes: bool) -> io::Result<Option<DataFile>> {
        let path = self.folder.join(name);
        loop {
            match self.files.open(&path, How::ReadWrite) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !makes => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => return opened.map(Some),
            }
            // Whoever makes it, this process or another one just now, it is there then, and is opened for both.
            match self.files.open(&path, How::Create) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
    }

    /// Makes all that was written durable: part of a checkpoint.
    ///
    /// # Errors
    /// PANIC if a sync failed: what the kernel has dropped it says once, and the next sync would succeed.
    pub fn sync_all(&self) -> Result<()> {
        let panic = |what: &str, name: &str, error: &io::Error| {
            let mut report = self.failed(what, name, error);
            report.severity = Severity::Panic;
            report
        };
        for name in self.names()? {
            let synced = self.with(&name, false, |file| self.files.sync_data(file));
            synced.map_err(|e| panic("fsync file", &name, &e))?;
        }
        self.files.sync_folder(&self.folder).map_err(|e| panic("fsync directory", "", &e))
    }

    fn names(&self) -> Result<Vec<String>> {
        let names = std::fs::read_dir(&self.folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        });
        let mut names: Vec<String> = names.map_err(|e| self.failed("read directory", "", &e))?;
        names.retain(|name| name.starts_with(['w', 'n']));
        Ok(names)
    }

    fn failed(&self, what: &str, name: &str, error: &io::Error) -> Box<Report> {
        failed_write(what, &Path::new(FOLDER).join(name), error)
    }
}

impl MapStore for MapFiles<'_> {
    fn read(&self, page: MapPage, words: &mut Words) -> Result<bool> {
        let (name, offset) = Self::name(page);
        // A hole, and what was cut off, is zeroes: no id of such a page has ended.
        let mut bytes = [0; sectors::PAGE];
        let read = self.with(&name, false, |file| self.files.read_at(file, &mut bytes, offset));
        let read = read.map_err(|e| self.failed("read file", &name, &e))?;
        words.fill(0);
        sectors::decode(page, &bytes, words).ok_or_else(|| invalid(&name, offset))?;
        Ok(read.is_some_and(|length| length > 0))
    }

    fn write(&self, page: MapPage, words: &Words, lsn: Lsn) -> Result<()> {
        self.log.make_durable(to_wal(lsn))?;
        let (name, offset) = Self::name(page);
        let bytes = sectors::encode(page, words);
        let written = self.with(&name, true, |file| self.files.write_all_at(file, &bytes, offset));
        written.map_err(|e| self.failed("write file", &name, &e))?;
        Ok(())
    }

    /// The pages go when a checkpoint says so that knows of the narrow ones ([`MapFiles::remove_wide_below`]): a start that
    /// does not would look for them.
    fn drop_wide_below(&self, _: Xid) -> Result<()> {
        self.sync_all()
    }
}

impl MapFiles<'_> {
    /// Removes the files of wide pages of ids below, which the last checkpoint knew to be narrow.
    pub fn remove_wide_below(&self, xid: u64) -> Result<()> {
        let first = xid / WIDE_IDS / PAGES_PER_FILE;
        for name in self.names()? {
            let Some(number) = name.strip_prefix('w') else { continue };
            if u64::from_str_radix(number, 16).is_ok_and(|number| number < first) {
                self.open.borrow_mut().remove(&name);
                let removed = self.files.remove(&self.folder.join(&name));
                removed.map_err(|e| self.failed("remove file", &name, &e))?;
            }
        }
        Ok(())
    }
}

/// As for a page of a relation.
fn invalid(name: &str, offset: u64) -> Box<Report> {
    let block = offset / sectors::PAGE as u64;
    let message = format!("invalid page in block {block} of relation \"{FOLDER}/{name}\"");
    let detail = "A sector of the transaction map has a wrong checksum.";
    Report::error(SqlState::DATA_CORRUPTED, message).with_detail(detail.to_owned())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::access::tests::World;
    use crate::os::file::{Operation, Watcher};

    /// Somebody else makes each file at the last moment.
    #[derive(Debug)]
    struct Rival;

    impl Watcher for Rival {
        fn begin(&self, operation: &Operation<'_>) -> io::Result<u64> {
            if let Operation::Create(path) = operation {
                std::fs::File::create_new(path)?;
            }
            Ok(0)
        }

        fn end(&self, _: u64, _: &Operation<'_>) -> io::Result<()> {
            Ok(())
        }
    }

    /// Two processes wrote the first pages of a file at once: who found it neither missing nor its own wrote nothing and said
    /// nothing, and the states of a page were gone. A power failure's check found an update that its transaction's end did
    /// not have.
    #[test]
    fn who_is_second_to_make_a_file_writes_to_it_too() {
        let world = World::new(16);
        let store = world.store(0);
        let files = MapFiles::new(&world.folder, Files::watched(Rc::new(Rival)), store.log.clone());
        let mut words = [0; shmem_layout::transactions::MAP_WORDS];
        words[3] = 77;
        files.write(MapPage::Wide(5), &words, Lsn::INVALID).expect("a new file");
        let mut read = [1; shmem_layout::transactions::MAP_WORDS];
        assert_eq!(files.read(MapPage::Wide(5), &mut read), Ok(true));
        assert_eq!(read, words);
    }

    /// A file that a process had made was kept open to be written only: the first page that it read from there later, when
    /// more transactions had come than the map has frames for, was an error (found by the bench of heaps).
    #[test]
    fn what_was_just_made_can_be_read() {
        let world = World::new(16);
        let store = world.store(0);
        let files = MapFiles::new(&world.folder, Files::new(), store.log.clone());
        let mut words = [0; shmem_layout::transactions::MAP_WORDS];
        words[3] = 77;
        files.write(MapPage::Wide(5), &words, Lsn::INVALID).expect("a new file");
        let mut read = [1; shmem_layout::transactions::MAP_WORDS];
        assert_eq!(files.read(MapPage::Wide(5), &mut read), Ok(true));
        assert_eq!(read, words);
        assert_eq!(files.read(MapPage::Wide(6), &mut read), Ok(false));
    }
}
