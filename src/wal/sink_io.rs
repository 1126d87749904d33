//! Writing the ring's memory itself, without a copy.
//!
//! # Safety
//!
//! The kernel reads the ring while other processes write to other bytes of it, and to those of the last sector that belong
//! to the next flight; no reference to its bytes is made. The segment that the ring lies in is mapped for as long as the
//! process lives, and ring space is not used again before the flight that covers it has landed, so what is in flight has
//! its memory even when this process is dead.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use io_uring::squeue::Flags;
use io_uring::{opcode, types};

use super::flights::Failure;
use super::log::Wal;
use super::lsn::Lsn;
use super::sink::failure;
use crate::os::file::DataFile;
use crate::os::uring::Ring;

/// A part of the log that lies in one piece in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub lsn: Lsn,
    pub len: usize,
}

/// What a completion belongs to if it is the sync's; pieces are numbered from 0.
const SYNC: u64 = u64::MAX;

/// Writes a piece and waits for it.
pub(super) fn write_blocking(wal: &Wal<'_>, file: &DataFile, piece: &Piece) -> io::Result<()> {
    let mut done = 0;
    while done < piece.len {
        let (start, until_end) = wal.ring.place_for_io(piece.lsn.bytes() + done as u64);
        let len = (piece.len - done).min(until_end);
        let offset = piece.lsn.offset_in_segment() + done as u64;
        // SAFETY: within the ring, see the module.
        match unsafe { wal.files.write_raw(file, start, len, offset)? } {
            0 => return Err(io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error())),
            n => done += n,
        }
    }
    Ok(())
}

/// Writes all pieces at once, with an `fdatasync` linked behind them if `syncs`, and waits for all of it.
pub(super) fn write_by_ring(
    wal: &Wal<'_>,
    ring: &mut Ring,
    file: &DataFile,
    pieces: &[Piece],
    syncs: bool,
) -> Result<(), Failure> {
    let in_write = |error: &io::Error| failure(error, false);
    let fd = types::Fd(file.as_fd().as_raw_fd());
    for (number, piece) in pieces.iter().enumerate() {
        let (start, until_end) = wal.ring.place_for_io(piece.lsn.bytes());
        debug_assert!(piece.len <= until_end);
        let write = opcode::Write::new(fd, start, piece.len as u32).offset(piece.lsn.offset_in_segment());
        let flags = if syncs { Flags::IO_LINK } else { Flags::empty() };
        // SAFETY: within the ring, see the module; all completions are waited for below.
        unsafe { ring.push(write.build().user_data(number as u64).flags(flags)) }
            .map_err(|_| in_write(&io::ErrorKind::ResourceBusy.into()))?;
    }
    if syncs {
        let sync = opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build().user_data(SYNC);
        // SAFETY: a sync points at no memory.
        unsafe { ring.push(sync) }.map_err(|_| in_write(&io::ErrorKind::ResourceBusy.into()))?;
    }
    let mut left = pieces.len() + usize::from(syncs);
    let mut ended = Ended::default();
    while left > 0 {
        let _ = ring.submit_and_wait(1, None).map_err(|e| in_write(&e))?;
        for done in ring.completions() {
            left -= 1;
            ended.note(pieces, done.user_data, done.result);
        }
    }
    ended.finish(wal, file, pieces, syncs)
}

/// What the completions said.
#[derive(Default)]
struct Ended {
    failure: Option<Failure>,
    /// Piece and bytes written of it.
    short: Vec<(usize, usize)>,
    /// The sync was cancelled, as it is behind a short write.
    unsynced: bool,
}

impl Ended {
    fn note(&mut self, pieces: &[Piece], number: u64, result: i32) {
        const CANCELLED: i32 = -125;
        let failed = |in_sync| Failure { errno: -result, in_sync };
        if number == SYNC {
            match result {
                0 => {}
                CANCELLED => self.unsynced = true,
                _ => self.failure = Some(failed(true)),
            }
            return;
        }
        let piece = number as usize;
        match usize::try_from(result) {
            Ok(written) if written == pieces[piece].len => {}
            Ok(written) => self.short.push((piece, written)),
            Err(_) if result == CANCELLED => self.short.push((piece, 0)),
            // Taken back without anything written; the blocking write says what is the matter.
            Err(_) if matches!(-result, 4 | 11) => self.short.push((piece, 0)),
            Err(_) => self.failure = Some(failed(false)),
        }
    }

    /// Writes what is left, and syncs if the linked sync did not come to it.
    fn finish(self, wal: &Wal<'_>, file: &DataFile, pieces: &[Piece], syncs: bool) -> Result<(), Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        for (number, written) in &self.short {
            let piece = pieces[*number];
            // Direct I/O takes whole sectors; what was written of one is written again.
            let written = *written - *written % super::sink::SECTOR as usize;
            let rest = Piece { lsn: Lsn::new(piece.lsn.bytes() + written as u64), len: piece.len - written };
            write_blocking(wal, file, &rest).map_err(|e| failure(&e, false))?;
        }
        if syncs && (self.unsynced || !self.short.is_empty()) {
            wal.files.sync_data(file).map_err(|e| failure(&e, true))?;
        }
        Ok(())
    }
}
