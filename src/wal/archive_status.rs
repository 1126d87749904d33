//! Which segments are complete, and what of them is archived: files in `pg_wal/archive_status`.
//!
//! Whoever makes the last byte of a segment durable marks it: `NAME.ready` says that it may be archived, `NAME.done` that it
//! was, and only then may the segment be removed or recycled. A mark that a death or a full disk prevented is made up for by
//! [`ArchiveStatus::is_archived`], which is asked before a segment goes. What becomes of marks is the archiver's to log;
//! nothing in the log depends on them.

use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use shmem_layout::ProcessId;

use super::log::Wal;
use super::lsn::{Lsn, SEGMENT};
use super::session::WalSession;
use crate::sync::Ordering::SeqCst;

/// The folder of the marks, in the log's.
pub const FOLDER: &str = "archive_status";

const READY: &str = "ready";
const DONE: &str = "done";

/// Fewest and most characters of a name that is archived.
const NAME_LENGTHS: std::ops::RangeInclusive<usize> = 16..=40;

/// The marks of a log.
#[derive(Clone, Debug)]
pub struct ArchiveStatus {
    log: PathBuf,
    folder: PathBuf,
}

/// A name that waits, by its turn: histories of timelines first, as whoever recovers needs them first, then the oldest. The
/// greatest is the last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_segment: bool,
    name: String,
}

impl ArchiveStatus {
    /// Of the log in this folder.
    pub fn new(log: &Path) -> Self {
        Self { log: log.to_owned(), folder: log.join(FOLDER) }
    }

    /// The file of a mark.
    fn mark(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{name}.{kind}"))
    }

    /// The file that says that `name` waits.
    pub fn ready_file(&self, name: &str) -> PathBuf {
        self.mark(name, READY)
    }

    /// The file that says that `name` is archived.
    pub fn done_file(&self, name: &str) -> PathBuf {
        self.mark(name, DONE)
    }

    /// Marks a file that is complete, unless it is archived already.
    pub fn set_ready(&self, name: &str) -> io::Result<()> {
        if self.done_file(name).exists() {
            return Ok(());
        }
        fs::OpenOptions::new().write(true).create(true).truncate(true).open(self.ready_file(name)).map(drop)
    }

    /// A file is archived, also after a power failure.
    pub fn set_done(&self, name: &str) -> io::Result<()> {
        let done = self.done_file(name);
        fs::rename(self.ready_file(name), &done)?;
        fs::File::open(&done)?.sync_all()?;
        fs::File::open(&self.folder)?.sync_all()
    }

    /// Whether a file waits for the archiver.
    pub fn is_ready(&self, name: &str) -> bool {
        self.ready_file(name).exists()
    }

    /// Whether a complete file is archived, and may go. One that was never marked is marked now.
    pub fn is_archived(&self, name: &str) -> bool {
        if self.done_file(name).exists() {
            return true;
        }
        if self.is_ready(name) {
            return false;
        }
        // The archiver may have renamed it between the two looks.
        if self.done_file(name).exists() {
            return true;
        }
        let _ = self.set_ready(name);
        false
    }

    /// The marks of a file that is gone go too.
    pub fn forget(&self, name: &str) {
        for kind in [DONE, READY] {
            let _ = fs::remove_file(self.mark(name, kind));
        }
    }

    /// At most `most` of the files that wait, in their turn.
    pub fn waiting(&self, most: usize) -> io::Result<Vec<String>> {
        let mut first = BinaryHeap::with_capacity(most + 1);
        for entry in fs::read_dir(&self.folder)? {
            let file = entry?.file_name();
            let Some(name) = file.to_str().and_then(|file| name_of(file, READY)) else { continue };
            first.push(Turn { is_segment: !name.ends_with(".history"), name: name.to_owned() });
            if first.len() > most {
                first.pop();
            }
        }
        Ok(first.into_sorted_vec().into_iter().map(|turn| turn.name).collect())
    }

    /// Removes what says that a file is archived that is not there any more, as a crash between the two removals leaves it.
    /// How many.
    pub fn remove_orphans(&self) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let file = entry.file_name();
            let Some(name) = file.to_str().and_then(|file| name_of(file, DONE)) else { continue };
            if !self.log.join(name).exists() && fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// The file that a mark of this kind is about; `None` for what is no such mark.
fn name_of<'f>(mark: &'f str, kind: &str) -> Option<&'f str> {
    let name = mark.strip_suffix(kind)?.strip_suffix('.')?;
    let is_valid = |byte: u8| b"0123456789ABCDEF.history.backup.partial".contains(&byte);
    (NAME_LENGTHS.contains(&name.len()) && name.bytes().all(is_valid)).then_some(name)
}

/// What archiving needs of the log.
impl Wal<'_> {
    /// Whether complete segments are marked (`archive_mode`); before anybody else uses the log.
    pub fn set_archiving(&self, archiving: bool) {
        self.shared.archiving.store(archiving.into(), SeqCst);
    }

    /// Whether complete segments are marked.
    pub fn is_archiving(&self) -> bool {
        self.shared.archiving.load(SeqCst) != 0
    }

    /// Who archives, and is woken when there is something to archive.
    pub fn set_archiver(&self, archiver: ProcessId) {
        self.shared.archiver.store(archiver.to_word(), SeqCst);
    }

    /// When the last segment was completed, in microseconds since 1970; `None`: none was since the start.
    pub fn completed_at_us(&self) -> Option<i64> {
        Some(self.shared.completed_at_us.load(SeqCst) as i64).filter(|us| *us != 0)
    }

    /// The marks of this log.
    pub fn archive_status(&self) -> ArchiveStatus {
        ArchiveStatus::new(&self.folder)
    }
}

impl WalSession<'_, '_> {
    /// Marks the segments that are durable to their last byte and were not before; each has one process that does it.
    pub(super) fn mark_complete_segments(&self) {
        let complete = &self.wal.shared.complete_until;
        let mut marked = false;
        loop {
            let segment = complete.load(SeqCst);
            if self.wal.durable().bytes() < segment + SEGMENT {
                break;
            }
            if complete.compare_exchange(segment, segment + SEGMENT, SeqCst, SeqCst).is_err() {
                continue;
            }
            let now = jiff::Timestamp::now().as_microsecond();
            self.wal.shared.completed_at_us.store(now as u64, SeqCst);
            if self.wal.is_archiving() {
                let name = Lsn::new(segment).segment().file_name(self.wal.timeline());
                // A failure is made up for before the segment goes; a commit must not fail by it.
                let _ = self.wal.archive_status().set_ready(&name);
                marked = true;
            }
        }
        let archiver = ProcessId::from_word(self.wal.shared.archiver.load(SeqCst));
        if let (true, Some(archiver)) = (marked, archiver) {
            self.me.set_latch(archiver.slot());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_status(name: &str, test: impl FnOnce(&Path, &ArchiveStatus)) {
        let folder = std::env::temp_dir().join(format!("tuskd-marks-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join(FOLDER)).unwrap();
        test(&folder, &ArchiveStatus::new(&folder));
        fs::remove_dir_all(&folder).unwrap();
    }

    fn segment(number: u32) -> String {
        format!("0000000100000000{number:08X}")
    }

    #[test]
    fn histories_come_first_and_then_the_oldest() {
        with_status("order", |folder, status| {
            for number in [7, 3, 12, 5] {
                status.set_ready(&segment(number)).unwrap();
            }
            status.set_ready("00000002.history").unwrap();
            for stranger in ["tooshort.ready", "00000001000000000000000x.ready", "0000000100000000000000AB"] {
                fs::write(folder.join(FOLDER).join(stranger), "").unwrap();
            }
            let expected = ["00000002.history".to_owned(), segment(3), segment(5), segment(7), segment(12)];
            assert_eq!(status.waiting(64).unwrap(), expected);
            assert_eq!(status.waiting(2).unwrap(), expected[..2]);
        });
    }

    #[test]
    fn a_segment_goes_when_it_is_done_and_not_before() {
        with_status("done", |_, status| {
            let name = segment(9);
            assert!(!status.is_archived(&name), "nobody marked it");
            assert!(status.is_ready(&name), "so it is marked now");
            assert!(!status.is_archived(&name));
            status.set_done(&name).unwrap();
            assert!(status.is_archived(&name) && !status.is_ready(&name));
            status.set_ready(&name).unwrap();
            assert!(!status.is_ready(&name), "what is archived is not archived again");
            assert!(status.set_done(&segment(10)).is_err());
            status.forget(&name);
            assert!(!status.done_file(&name).exists());
        });
    }

    #[test]
    fn marks_without_their_files_are_removed() {
        with_status("orphans", |folder, status| {
            for number in [1, 2] {
                status.set_ready(&segment(number)).unwrap();
                status.set_done(&segment(number)).unwrap();
            }
            fs::write(folder.join(segment(2)), "").unwrap();
            assert_eq!(status.remove_orphans().unwrap(), 1);
            assert!(!status.done_file(&segment(1)).exists() && status.done_file(&segment(2)).exists());
        });
    }
}
