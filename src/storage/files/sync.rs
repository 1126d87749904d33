//! Syncing what is noted, for who checkpoints.
//!
//! A sync that fails is never tried again as if nothing had happened: the kernel may have thrown the written pages away and
//! marked them clean, and then the next sync succeeds and the data are gone. So the failure is kept in shared memory, and
//! every sync from there on is a PANIC: only recovery from the log brings the data back.

use std::collections::BTreeSet;
use std::io;

use super::RelationFiles;
use super::sync_table::SyncKey;
use crate::ipc::WaitEvent;
use crate::ipc::stop_points::StopPoint;
use crate::os::file::{DataFile, How};
use crate::report::{Result, Severity};
use crate::storage::errors::failed;
use crate::sync::Monotonic;
use crate::sync::Ordering::{AcqRel, Acquire};

/// What [`RelationFiles::sync_all`] did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Synced {
    /// Files synced.
    pub files: u64,
    /// Nanoseconds of the longest sync.
    pub longest_ns: u64,
    /// Nanoseconds of all.
    pub total_ns: u64,
}

impl RelationFiles<'_> {
    /// Syncs every file that was noted before this was called, and the folders of new ones.
    ///
    /// # Errors
    /// PANIC if a sync failed, now or before.
    pub fn sync_all(&self) -> Result<Synced> {
        self.check_failure()?;
        let mut synced = Synced::default();
        let waiting = self.sync_table.waiting(self.me);
        // A folder after its files, so that a name never leads to less than there was when it was noted.
        for waiting in &waiting {
            let Some(file) = self.open_noted(waiting.key, || self.sync_table.still_waits(waiting))? else {
                continue;
            };
            let started = Monotonic::now();
            self.sync_file(waiting.key, &file)?;
            let took = Monotonic::now().as_nanos().saturating_sub(started.as_nanos());
            synced.files += 1;
            synced.longest_ns = synced.longest_ns.max(took);
            synced.total_ns += took;
        }
        let folders = waiting.iter().filter(|w| w.is_new).map(|w| w.key.fork.file.folder());
        for folder in folders.collect::<BTreeSet<_>>() {
            self.sync_folder(&folder)?;
        }
        for waiting in &waiting {
            self.me.stop_point(StopPoint::FileSynced);
            self.sync_table.done(self.me, waiting);
        }
        Ok(synced)
    }

    /// A noted file, to be synced; `None` if it was removed meanwhile, and the note with it.
    fn open_noted(&self, key: SyncKey, is_still_noted: impl Fn() -> bool) -> Result<Option<DataFile>> {
        let path = key.fork.file.path(key.fork.fork, key.segment);
        match self.settings.files.open(&self.full(&path), How::ReadWrite) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_still_noted() => Ok(None),
            Err(error) => Err(self.broken("open file", &path, &error)),
        }
    }

    /// Syncs one file for which there is no room in the table.
    pub(super) fn sync_now(&self, key: SyncKey, is_new: bool, file: &DataFile) -> Result<()> {
        self.check_failure()?;
        self.sync_file(key, file)?;
        if is_new { self.sync_folder(&key.fork.file.folder()) } else { Ok(()) }
    }

    fn sync_file(&self, key: SyncKey, file: &DataFile) -> Result<()> {
        let sync = || self.settings.files.sync_all(file);
        let path = || key.fork.file.path(key.fork.fork, key.segment);
        self.me.waiting(WaitEvent::DATA_FILE_SYNC, sync).map_err(|e| self.broken("fsync file", &path(), &e))
    }

    fn sync_folder(&self, folder: &std::path::Path) -> Result<()> {
        let sync = || self.settings.files.sync_folder(&self.full(folder));
        self.me.waiting(WaitEvent::DATA_FILE_SYNC, sync).map_err(|e| self.broken("fsync file", folder, &e))
    }

    /// Notes the failure for everybody.
    fn broken(&self, what: &str, path: &std::path::Path, error: &io::Error) -> Box<crate::report::Report> {
        let errno = error.raw_os_error().unwrap_or(libc::EIO) as u64;
        let _ = self.shared.sync_failure.compare_exchange(0, errno, AcqRel, Acquire);
        let mut report = failed(what, path, error);
        report.severity = Severity::Panic;
        report
    }

    fn check_failure(&self) -> Result<()> {
        match self.shared.sync_failure.load(Acquire) {
            0 => Ok(()),
            errno => {
                let error = io::Error::from_raw_os_error(errno as i32);
                Err(self.broken("fsync file", std::path::Path::new("base"), &error))
            }
        }
    }
}
