//! Segment files: made ahead, full length and filled with zeroes, so that writing to them changes nothing but data and
//! never lacks space; recycled by giving old ones new names; removed.
//!
//! A segment comes under its name only when all of it is on disk. Its number is claimed by one word in shared memory, so
//! that a crowd does not make the same segment many times over.

use std::io;
use std::path::Path;

use super::archive_status::ArchiveStatus;
use super::flush::{sqlstate_of, without_number};
use super::lsn::{Lsn, SEGMENT, SegmentNumber, Timeline};
use super::session::WalSession;
use super::sink::failure;
use crate::ipc::stop_points::StopPoint;
use crate::ipc::{ConditionVariable, WaitEvent};
use crate::os::file::{DataFile, How};
use crate::os::process;
use crate::report::{Report, Result, Severity};
use crate::sync::Ordering::SeqCst;

/// What new segments are called until they are whole; the maker's process id follows.
const TEMPORARY: &str = "xlogtemp.";

/// Bytes of zeroes written at once.
const ZEROES: usize = 1 << 20;

/// What [`WalSession::retire_segments`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retired {
    /// Files removed.
    pub removed: u64,
    /// Files that got the name of a segment to come.
    pub recycled: u64,
}

impl WalSession<'_, '_> {
    /// Makes sure that all segments before `until` exist.
    ///
    /// # Errors
    /// 53100 if the disk is full, 58030 and others as the kernel says. Nothing in the log depends on it yet.
    pub fn make_segments(&mut self, until: Lsn) -> Result<()> {
        let shared = self.wal.shared;
        let are_there = || shared.segments_until.load(SeqCst) >= until.bytes();
        let word = self.me.id().to_word();
        let claim = || are_there() || shared.segment_maker.compare_exchange(0, word, SeqCst, SeqCst).is_ok();
        self.wait_uninterrupted(&shared.segments_moved, WaitEvent::WAL_INIT, claim);
        if shared.segment_maker.load(SeqCst) != word {
            return Ok(());
        }
        let result = self.make_claimed(until);
        self.release_segments();
        if let Some(f) = &self.on_segment {
            f();
        }
        result
    }

    fn release_segments(&self) {
        self.wal.shared.segment_maker.store(0, SeqCst);
        ConditionVariable::new(&self.wal.shared.segments_moved).broadcast(self.me);
    }

    fn make_claimed(&self, until: Lsn) -> Result<()> {
        let made_until = &self.wal.shared.segments_until;
        while made_until.load(SeqCst) < until.bytes() {
            let segment = Lsn::new(made_until.load(SeqCst)).segment();
            let path = self.wal.path_of(segment);
            match length_of(&path) {
                // Its maker may have died before the name was on disk.
                Some(SEGMENT..) => self.sync_names()?,
                length => self.me.waiting(WaitEvent::WAL_INIT, || self.make(&path, length))?,
            }
            made_until.store(segment.plus(1).start().bytes(), SeqCst);
        }
        Ok(())
    }

    /// Makes a segment that is not there, or shorter than `SEGMENT` bytes.
    fn make(&self, path: &Path, length: Option<u64>) -> Result<()> {
        if let Some(length) = length {
            // Somebody cut it off. What is left of it may be what the next start recovers from.
            self.complete(path, length)?;
            return self.sync_names();
        }
        let temporary = self.wal.folder.join(format!("{TEMPORARY}{}", process::pid().as_raw_nonzero()));
        let made = self.fill_with_zeroes(&temporary).and_then(|()| {
            self.me.stop_point(StopPoint::WalSegmentMade);
            self.wal.files.rename(&temporary, path).map_err(|e| complaint("rename", &temporary, &e))?;
            self.me.stop_point(StopPoint::WalSegmentNamed);
            self.sync_names()
        });
        if made.is_err() {
            let _ = self.wal.files.remove(&temporary);
        }
        made
    }

    fn complete(&self, path: &Path, length: u64) -> Result<()> {
        let file = self.wal.files.open(path, How::Write).map_err(|e| complaint("open", path, &e))?;
        self.write_zeroes(&file, path, length)
    }

    /// Brings the folder to disk. A failure is never followed by another try that succeeds, as with any other sync: a name
    /// that is perhaps not on disk may take all the log with it that is written under it.
    fn sync_names(&self) -> Result<()> {
        let folder = &self.wal.folder;
        self.wal.files.sync_folder(folder).map_err(|error| {
            self.wal.flights().fail(self.me, failure(&error, true));
            let mut report = complaint("fsync", folder, &error);
            report.severity = Severity::Panic;
            report
        })
    }

    fn fill_with_zeroes(&self, path: &Path) -> Result<()> {
        let files = &self.wal.files;
        // One of a dead process with the same id.
        let _ = std::fs::remove_file(path);
        let file = files.open(path, How::Create).map_err(|e| complaint("create", path, &e))?;
        // Space it has either way; without zeroes written, a write to it changes more than data.
        if !self.settings.init_zero && files.allocate(&file, SEGMENT).is_ok() {
            return files.sync_all(&file).map_err(|e| complaint("fsync", path, &e));
        }
        self.write_zeroes(&file, path, 0)
    }

    /// Zeroes from an offset to the segment's end, on disk.
    fn write_zeroes(&self, file: &DataFile, path: &Path, from: u64) -> Result<()> {
        let (files, zeroes) = (&self.wal.files, vec![0; ZEROES]);
        for offset in (from..SEGMENT).step_by(ZEROES) {
            let len = (SEGMENT - offset).min(ZEROES as u64) as usize;
            files.write_all_at(file, &zeroes[..len], offset).map_err(|e| complaint("write to", path, &e))?;
        }
        files.sync_all(file).map_err(|e| complaint("fsync", path, &e))
    }

    /// Makes segments ahead of the insert position, for a WAL writer; one at a time, `true` if there is one to make yet.
    pub fn make_ahead(&mut self, segments: u64) -> Result<bool> {
        let wanted = self.wal.inserted().segment().plus(segments).plus(1).start();
        let made = Lsn::new(self.wal.shared.segments_until.load(SeqCst));
        if made >= wanted {
            return Ok(false);
        }
        self.make_segments(made.segment().plus(1).start())?;
        Ok(made.segment().plus(1).start() < wanted)
    }

    /// Takes segments out of use that end at or before `keep_from`: up to `ahead` of them, counted from the insert position,
    /// get the names of segments to come, the others are removed. `may_go` is asked for each, as the archiver may need it.
    pub fn retire_segments(
        &mut self,
        keep_from: Lsn,
        ahead: u64,
        mut may_go: impl FnMut(&str) -> bool,
    ) -> Result<Retired> {
        let wal = self.wal;
        let old = segments_of(&wal.folder, wal.timeline()).map_err(|e| complaint("open", &wal.folder, &e))?;
        let old = old.into_iter().filter(|segment| *segment < keep_from.segment());
        let mut retired = Retired::default();
        let status = ArchiveStatus::new(&wal.folder);
        for segment in old.filter(|segment| may_go(&segment.file_name(wal.timeline()))) {
            let path = wal.path_of(segment);
            if self.recycle(&path, ahead)? {
                retired.recycled += 1;
            } else {
                wal.files.remove(&path).map_err(|e| complaint("remove", &path, &e))?;
                retired.removed += 1;
            }
            status.forget(&segment.file_name(wal.timeline()));
        }
        if retired != Retired::default() {
            self.sync_names()?;
        }
        Ok(retired)
    }

    /// Makes an old segment the next to come, if that is at most `ahead` segments away.
    fn recycle(&mut self, path: &Path, ahead: u64) -> Result<bool> {
        let (wal, shared, word) = (self.wal, self.wal.shared, self.me.id().to_word());
        let claim = || shared.segment_maker.compare_exchange(0, word, SeqCst, SeqCst).is_ok();
        self.wait_uninterrupted(&shared.segments_moved, WaitEvent::WAL_INIT, claim);
        let next = Lsn::new(shared.segments_until.load(SeqCst)).segment();
        let is_wanted = next <= wal.inserted().segment().plus(ahead) && is_whole(path);
        let result = if is_wanted { self.rename_to(path, next) } else { Ok(false) };
        self.release_segments();
        result
    }

    fn rename_to(&self, path: &Path, next: SegmentNumber) -> Result<bool> {
        let wal = self.wal;
        let to = wal.path_of(next);
        match wal.files.rename_new(path, &to) {
            Ok(()) => {}
            // Already there: it counts as made from the next claim on, and this one is in excess.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(complaint("rename", path, &error)),
        }
        // The log must not be written to a name that a power failure takes away.
        self.me.stop_point(StopPoint::WalSegmentNamed);
        self.sync_names()?;
        wal.shared.segments_until.store(next.plus(1).start().bytes(), SeqCst);
        Ok(true)
    }
}

/// Removes what makers that died left; before anybody uses the log.
pub fn remove_temporaries(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The segments of a timeline in a folder, in order.
pub fn segments_of(folder: &Path, timeline: Timeline) -> io::Result<Vec<SegmentNumber>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        match SegmentNumber::parse_file_name(&name.to_string_lossy()) {
            Some((found, segment)) if found == timeline => segments.push(segment),
            _ => {}
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

fn is_whole(path: &Path) -> bool {
    length_of(path) == Some(SEGMENT)
}

/// `None`: there is no such file.
fn length_of(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

fn complaint(what: &str, path: &Path, error: &io::Error) -> Box<Report> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let path = if name == "pg_wal" { name.to_string() } else { format!("pg_wal/{name}") };
    let is_folder = name == "pg_wal" && matches!(what, "open" | "fsync");
    let noun = if is_folder { "directory" } else { "file" };
    let message = format!("could not {what} {noun} \"{path}\": {}", without_number(error));
    Report::error(sqlstate_of(error), message)
}
