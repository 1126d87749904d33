//! Where flights go: from the ring to segment files.

use std::io;

use super::flights::Failure;
use super::log::Wal;
use super::lsn::{Lsn, SEGMENT, SegmentNumber};
use super::sink_io::{self, Piece};
use crate::os::file::{DataFile, How};
use crate::os::uring::Ring;
use crate::sync::Ordering::Relaxed;
use crate::sync::{Monotonic, Ordering};

/// What direct I/O wants its memory, offsets and lengths to be multiples of, on nearly all disks.
pub const SECTOR: u64 = 512;

/// Carries out flights.
pub trait Sink {
    /// Makes the log from `start` to `end` durable; the bytes stay in the ring until then.
    fn write(&mut self, wal: &Wal<'_>, start: Lsn, end: Lsn) -> Result<(), Failure>;

    /// Whether several of them at once are faster than one after the other.
    fn may_overlap(&self) -> bool;

    /// Bytes that are written at once or not at all, and that two flights must not both write to at once.
    fn sector(&self) -> u64 {
        SECTOR
    }
}

/// `wal_sync_method`, with what `io_method` makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncMethod {
    /// Direct writes that are their own syncs, through a ring (through `pwrite` where there is none).
    IoUringDsync,
    /// The same through `pwrite`.
    OpenDatasync,
    /// Writes and then `fdatasync`, through a ring if there is one.
    Fdatasync,
    /// Writes and then `fsync`.
    Fsync,
    /// `fsync = off`: writes only.
    None,
}

impl SyncMethod {
    /// Those that a setting can name.
    pub const ALL: [Self; 4] = [Self::IoUringDsync, Self::OpenDatasync, Self::Fdatasync, Self::Fsync];

    /// As the setting has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::IoUringDsync => "io_uring_dsync",
            Self::OpenDatasync => "open_datasync",
            Self::Fdatasync => "fdatasync",
            Self::Fsync => "fsync",
            Self::None => "none",
        }
    }

    /// The method of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    fn is_durable(self) -> bool {
        matches!(self, Self::IoUringDsync | Self::OpenDatasync)
    }
}

/// The sink that writes segment files.
pub struct FileSink {
    method: SyncMethod,
    ring: Option<Ring>,
    direct: bool,
    open: Vec<(SegmentNumber, DataFile)>,
}

/// Files kept open: a flight over two segments needs two.
const OPEN_FILES: usize = 2;

impl FileSink {
    /// A sink of this process. A ring must have the process's lifeline among its fixed files, so that its I/O is known to
    /// be over after its death.
    pub fn new(method: SyncMethod, ring: Option<Ring>) -> Self {
        Self { method, ring, direct: true, open: Vec::new() }
    }

    fn file(&mut self, wal: &Wal<'_>, segment: SegmentNumber) -> io::Result<&DataFile> {
        if let Some(at) = self.open.iter().position(|(number, _)| *number == segment) {
            return Ok(&self.open[at].1);
        }
        if self.open.len() == OPEN_FILES {
            self.open.remove(0);
        }
        let file = self.open_segment(wal, segment)?;
        self.open.push((segment, file));
        Ok(&self.open[self.open.len() - 1].1)
    }

    fn open_segment(&mut self, wal: &Wal<'_>, segment: SegmentNumber) -> io::Result<DataFile> {
        let path = wal.path_of(segment);
        if !self.method.is_durable() {
            return wal.files.open(&path, How::Write);
        }
        // What is watched is written from a copy, which lies anywhere.
        if self.direct && !wal.files.is_watched() {
            match wal.files.open(&path, How::WriteDurably { direct: true }) {
                // Some file systems (tmpfs, before 6.6) have no direct I/O.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                    self.direct = false;
                }
                opened => return opened,
            }
        }
        wal.files.open(&path, How::WriteDurably { direct: false })
    }

    fn try_write(&mut self, wal: &Wal<'_>, start: Lsn, end: Lsn) -> Result<(), Failure> {
        let (mut at, end) = (start.align_down(SECTOR), end.align_up(SECTOR));
        while at < end {
            let segment = at.segment();
            let until = end.min(segment.plus(1).start());
            self.write_in_segment(wal, segment, at, until)?;
            at = until;
        }
        wal.shared.bytes_written.fetch_add(end.bytes() - start.align_down(SECTOR).bytes(), Relaxed);
        Ok(())
    }

    fn write_in_segment(
        &mut self,
        wal: &Wal<'_>,
        segment: SegmentNumber,
        start: Lsn,
        end: Lsn,
    ) -> Result<(), Failure> {
        let in_write = |error: io::Error| failure(&error, false);
        let method = self.method;
        self.file(wal, segment).map_err(in_write)?;
        let Some((_, file)) = self.open.iter().find(|(number, _)| *number == segment) else {
            return Err(in_write(io::ErrorKind::NotFound.into()));
        };
        let pieces = pieces(wal, start, end);
        wal.shared.writes.fetch_add(pieces.len() as u64, Relaxed);
        if wal.files.is_watched() {
            let mut copy = vec![0; (end.bytes() - start.bytes()) as usize];
            wal.ring.read(start.bytes(), &mut copy);
            wal.files.write_all_at(file, &copy, start.offset_in_segment()).map_err(in_write)?;
            return sync(wal, method, file);
        }
        match (&mut self.ring, method) {
            (Some(ring), SyncMethod::IoUringDsync) => {
                wal.shared.syncs.fetch_add(1, Relaxed);
                sink_io::write_by_ring(wal, ring, file, &pieces, false)
            }
            (Some(ring), SyncMethod::Fdatasync) => {
                wal.shared.syncs.fetch_add(1, Relaxed);
                sink_io::write_by_ring(wal, ring, file, &pieces, true)
            }
            _ => {
                for piece in &pieces {
                    sink_io::write_blocking(wal, file, piece).map_err(in_write)?;
                }
                sync(wal, method, file)
            }
        }
    }
}

impl Sink for FileSink {
    fn write(&mut self, wal: &Wal<'_>, start: Lsn, end: Lsn) -> Result<(), Failure> {
        let result = self.try_write(wal, start, end);
        // A segment that is full is not written to again.
        self.open.retain(|(number, _)| number.start().bytes() + SEGMENT > end.bytes());
        result
    }

    fn may_overlap(&self) -> bool {
        self.method.is_durable()
    }
}

/// The parts of the ring that hold the log from `start` to `end`.
fn pieces(wal: &Wal<'_>, start: Lsn, end: Lsn) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(2);
    let mut at = start;
    while at < end {
        let left = wal.ring_len() - at.bytes() % wal.ring_len();
        let len = left.min(end.bytes() - at.bytes());
        pieces.push(Piece { lsn: at, len: len as usize });
        at = Lsn::new(at.bytes() + len);
    }
    pieces
}

/// What a method needs behind its writes.
fn sync(wal: &Wal<'_>, method: SyncMethod, file: &DataFile) -> Result<(), Failure> {
    let started = Monotonic::now();
    match method {
        SyncMethod::None => return Ok(()),
        SyncMethod::IoUringDsync | SyncMethod::OpenDatasync => {}
        SyncMethod::Fdatasync => wal.files.sync_data(file).map_err(|e| failure(&e, true))?,
        SyncMethod::Fsync => wal.files.sync_all(file).map_err(|e| failure(&e, true))?,
    }
    if !method.is_durable() {
        let ns = Monotonic::now().as_nanos().saturating_sub(started.as_nanos());
        wal.shared.sync_ns.fetch_add(ns, Ordering::Relaxed);
    }
    wal.shared.syncs.fetch_add(1, Relaxed);
    Ok(())
}

/// A failure of the log.
pub(super) fn failure(error: &io::Error, in_sync: bool) -> Failure {
    let errno = error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error());
    Failure { errno, in_sync }
}
