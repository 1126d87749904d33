//! Removing relations' files.
//!
//! A relation's first segment keeps its name, empty, until the next checkpoint is over: its number must not be given to
//! another relation before, or redo of what was logged about the old one would fall upon the new one. Everything else goes
//! at once. Each file is cut off before it is removed, so that its space comes free although others have it open.

use std::io;

use super::RelationFiles;
use super::sync_table::{Noted, SyncKey};
use crate::report::{Report, Result, SqlState};
use crate::storage::errors::failed;
use crate::storage::ids::{Fork, RelFile, RelFork};
use crate::sync::Ordering::{AcqRel, Acquire};

impl RelationFiles<'_> {
    /// Removes all files of a relation, nothing of which is in the pool any more. Files that are not there are passed over.
    /// Gives back warnings: what could not be removed does no harm but takes room.
    pub fn remove(&self, file: RelFile, is_redo: bool) -> Vec<Report> {
        self.sync_table.forget(self.me, |key| key.fork.file == file);
        let mut warnings = Vec::new();
        for fork in Fork::ALL {
            let fork = RelFork { file, fork };
            // From the last one down: a crash in the middle leaves no gap.
            for segment in (0..self.segments(fork)).rev() {
                let key = SyncKey { fork, segment };
                let keeps_name = fork.fork == Fork::Main && segment == 0 && !is_redo;
                if let Err(report) = self.remove_segment(key, keeps_name) {
                    warnings.push(warning(&report));
                }
            }
        }
        warnings
    }

    /// Removes one fork at once, such as a map that is made anew.
    pub fn remove_fork(&self, fork: RelFork) -> Vec<Report> {
        self.sync_table.forget(self.me, |key| key.fork == fork);
        let removed = (0..self.segments(fork))
            .rev()
            .map(|segment| self.remove_segment(SyncKey { fork, segment }, false));
        removed.filter_map(|result| result.err().map(|report| warning(&report))).collect()
    }

    /// Segment files that there are, without a gap.
    fn segments(&self, fork: RelFork) -> u32 {
        (0..).take_while(|segment| self.full(&fork.file.path(fork.fork, *segment)).exists()).count() as u32
    }

    fn remove_segment(&self, key: SyncKey, keeps_name: bool) -> Result<()> {
        let path = key.fork.file.path(key.fork.fork, key.segment);
        if let Some(file) = self.open(key.fork, key.segment)? {
            self.settings.files.set_len(&file, 0).map_err(|e| failed("truncate file", &path, &e))?;
        }
        self.descriptors.borrow_mut().close(key);
        let checkpoint = self.shared.checkpoint.load(Acquire);
        if keeps_name && self.sync_table.note_removal(self.me, key, checkpoint) == Noted::InTable {
            return Ok(());
        }
        if keeps_name {
            // An empty file that keeps its number from being used again is better than one that does not.
            let message =
                format!("could not remove file \"{}\": too many files wait for a checkpoint", path.display());
            return Err(Report::error(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message));
        }
        self.unlink(key)
    }

    fn unlink(&self, key: SyncKey) -> Result<()> {
        let path = key.fork.file.path(key.fork.fork, key.segment);
        self.shared.removals.fetch_add(1, AcqRel);
        match self.settings.files.remove(&self.full(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove file", &path, &error))
            }
            _ => Ok(()),
        }
    }

    /// A checkpoint begins, its redo position being reserved: its number. What waits to be removed from here on waits for
    /// the next one.
    pub fn begin_checkpoint(&self) -> u64 {
        self.shared.checkpoint.fetch_add(1, AcqRel) + 1
    }

    /// The checkpoint of this number is on disk: removes what waited for it. Gives back warnings.
    pub fn end_checkpoint(&self, checkpoint: u64) -> Vec<Report> {
        let mut warnings = Vec::new();
        for waiting in self.sync_table.removable(self.me, checkpoint) {
            if let Err(report) = self.unlink(waiting.key) {
                warnings.push(warning(&report));
            }
            self.sync_table.done(self.me, &waiting);
        }
        warnings
    }
}

fn warning(report: &Report) -> Report {
    Report { severity: crate::report::Severity::Warning, ..report.clone() }
}
