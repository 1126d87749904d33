//! Reading the log back: record after record, along the chain of incarnations, to where it ends, and why there.
//!
//! A block belongs to the log if its header says so: format, its own LSN, the timeline and the incarnation that is being
//! read. A record does if its CRC, which covers its LSN and the incarnation, is right. Whatever else lies in segment files
//! (zeroes, recycled segments, what was written before a crash and lost its beginning) ends the reading, unless the next
//! block begins a new incarnation whose first record names this one and says that it ended just here.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::block::{BadHeader, BlockHeader, Incarnation};
use super::decode::{Head, Record, has_good_crc, head};
use super::flush::{sqlstate_of, without_number};
use super::lsn::{ALIGN, BLOCK, BLOCK_HEADER, Lsn, Position, SegmentNumber, Timeline, USABLE};
use super::own::IncarnationRecord;
use super::record::{FILLER_HEADER, usable_len};
use crate::report::{Report, ReportExt, Result, SqlState};

/// Bytes read from a segment at once.
const READ: usize = 256 << 10;

/// Why a block is not one of the log that is being read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadBlock {
    /// Its segment does not exist, or is too short.
    #[error("its segment is missing or too short")]
    Missing,
    /// Nothing was ever written there.
    #[error("it is empty")]
    Empty,
    /// Another format.
    #[error("its format is {0:08x}")]
    Format(u32),
    /// Its header's checksum is wrong.
    #[error("its header has a wrong checksum")]
    Checksum,
    /// It was a block of another place, in a segment that was recycled.
    #[error("it belongs to {0}")]
    Elsewhere(Lsn),
    /// It is of another timeline.
    #[error("it is of timeline {}", .0.0)]
    Timeline(Timeline),
    /// It is of another incarnation.
    #[error("it is of incarnation {:016x}", .0.0)]
    Incarnation(Incarnation),
    /// It does not continue what it should.
    #[error("it continues {found} bytes of a record, not {expected}")]
    Continued {
        /// Bytes that are left of the record.
        expected: u32,
        /// As its header has it.
        found: u32,
    },
}

/// Why reading stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StopReason {
    /// Nothing was written here: an orderly end.
    #[error("end of log")]
    EndOfLog,
    /// The block in which the next record would begin is not one of this log: an end too, or a loss.
    #[error("the block at {block} is not of this log: {why}")]
    Block {
        /// Where it begins.
        block: Lsn,
        /// What is wrong with it.
        why: BadBlock,
    },
    /// A record begins and does not go on.
    #[error("the record goes on in the block at {block}, which is not of this log: {why}")]
    Torn {
        /// The block.
        block: Lsn,
        /// What is wrong with it.
        why: BadBlock,
    },
    /// A record's CRC is wrong: torn within a block, or what was there before.
    #[error("the record has a wrong checksum")]
    BadCrc,
    /// No record has this length.
    #[error("a record cannot be {0} bytes long")]
    BadLength(u32),
    /// Filler whose CRC is wrong.
    #[error("filler has a wrong checksum")]
    BadFiller,
}

/// Where and why reading stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason} at {at}")]
pub struct Stop {
    /// Where the next record would have begun; where the log ends.
    pub at: Lsn,
    /// Why.
    pub reason: StopReason,
}

/// Where the bytes of a record are.
enum Found {
    /// In the block buffer, from this byte of it on.
    InBlock(usize),
    /// Put together.
    Assembled,
}

/// Reads the log.
pub struct WalReader {
    folder: PathBuf,
    timeline: Timeline,
    incarnation: Option<Incarnation>,
    /// Where the next record would begin.
    next: Position,
    file: Option<(SegmentNumber, File)>,
    /// Bytes of the file from `buffer_start` on.
    buffer: Vec<u8>,
    buffer_start: Lsn,
    buffer_len: usize,
    /// The header of the block that was looked at last, if that is in the buffer: most records begin in the same one.
    header: Option<BlockHeader>,
    /// A record that lies in several blocks.
    assembled: Vec<u8>,
    stop: Option<Stop>,
}

impl WalReader {
    /// Reads the log in `folder` from `start` on: from the record that begins there, or, if it is the beginning of a block,
    /// from the first record that begins in that block or behind it. Whose log it is, the block says.
    pub fn new(folder: &Path, timeline: Timeline, start: Lsn) -> Self {
        let next = start.position().unwrap_or_else(|| Position::new(start.bytes() / BLOCK * USABLE));
        Self {
            folder: folder.to_owned(),
            timeline,
            incarnation: None,
            next,
            file: None,
            buffer: vec![0; READ],
            buffer_start: Lsn::INVALID,
            buffer_len: 0,
            header: None,
            assembled: Vec::new(),
            stop: None,
        }
    }

    /// The same for a log that must be this incarnation's at `start`.
    pub fn of_incarnation(folder: &Path, timeline: Timeline, start: Lsn, incarnation: Incarnation) -> Self {
        let mut reader = Self::new(folder, timeline, start);
        reader.incarnation = Some(incarnation);
        reader
    }

    /// Where the last record ended, and the log if reading has stopped.
    pub fn end(&self) -> Lsn {
        self.next.end_lsn()
    }

    /// Whose log it is where reading has come to; `None` before the first record.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.incarnation
    }

    /// Why there are no more records.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Forgets that and what was read ahead, for a log that is being written.
    pub fn resume(&mut self) {
        self.stop = None;
        self.buffer_len = 0;
        self.header = None;
    }

    /// The next record; `None` when there is none, see [`Self::stop`].
    ///
    /// # Errors
    /// 58030 and others if a segment cannot be read; XX001 for a record with a good CRC that is none.
    #[expect(clippy::should_implement_trait, reason = "records borrow from the reader")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        if self.stop.is_some() {
            return Ok(None);
        }
        loop {
            match self.step()? {
                Step::Record { start, len, found } => return self.decode(start, len, &found).map(Some),
                Step::Again => {}
                Step::Stop(reason) => {
                    if !self.follow_chain()? {
                        self.stop = Some(Stop { at: self.end(), reason });
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn decode(&self, start: Position, len: usize, found: &Found) -> Result<Record<'_>> {
        let bytes = match *found {
            Found::InBlock(at) => &self.buffer[at..at + len],
            Found::Assembled => &self.assembled[..len],
        };
        let end = start.plus(usable_len(len)).end_lsn();
        let incarnation = self.incarnation.unwrap_or(Incarnation(0));
        Record::decode(bytes, start.lsn(), end, incarnation).map_err(|malformed| {
            let message = format!("invalid record in the write-ahead log at {}", start.lsn());
            Report::error(SqlState::DATA_CORRUPTED, message).with_detail(format!("{malformed}."))
        })
    }

    /// Looks at what stands at the next position.
    fn step(&mut self) -> Result<Step> {
        let start = self.next;
        let block = start.lsn().block_start();
        let header = match self.load(block, self.incarnation)? {
            Ok(header) => header,
            Err(BadBlock::Empty) => return Ok(Step::Stop(StopReason::EndOfLog)),
            Err(why) => return Ok(Step::Stop(StopReason::Block { block, why })),
        };
        let is_first = self.incarnation.replace(header.incarnation).is_none();
        let continued = u64::from(header.continued).next_multiple_of(ALIGN);
        if continued > 0 && start.usable().is_multiple_of(USABLE) {
            if !is_first {
                let why = BadBlock::Continued { expected: 0, found: header.continued };
                return Ok(Step::Stop(StopReason::Block { block, why }));
            }
            // Reading begins in the middle of a record.
            self.next = start.plus(continued);
            return Ok(Step::Again);
        }
        let at = self.index(start.lsn());
        let mut first = [0; FILLER_HEADER];
        first.copy_from_slice(&self.buffer[at..at + FILLER_HEADER]);
        match head(first, start.lsn(), header.incarnation) {
            Head::Record(len) => self.find_record(start, len, header.incarnation),
            Head::Filler(usable) => {
                self.next = start.plus(usable);
                Ok(Step::Again)
            }
            Head::Nothing => Ok(Step::Stop(StopReason::EndOfLog)),
            Head::BadLength(length) => Ok(Step::Stop(StopReason::BadLength(length))),
            Head::BadFiller => Ok(Step::Stop(StopReason::BadFiller)),
        }
    }

    /// Brings a record together and checks its CRC.
    fn find_record(&mut self, start: Position, len: usize, incarnation: Incarnation) -> Result<Step> {
        let lsn = start.lsn();
        let found = if len as u64 <= start.left_in_block() {
            Found::InBlock(self.index(lsn))
        } else {
            if let Err(torn) = self.assemble(start, len, incarnation)? {
                return Ok(Step::Stop(torn));
            }
            Found::Assembled
        };
        let bytes = match found {
            Found::InBlock(at) => &self.buffer[at..at + len],
            Found::Assembled => &self.assembled[..],
        };
        if !has_good_crc(bytes, lsn, incarnation) {
            return Ok(Step::Stop(StopReason::BadCrc));
        }
        self.next = start.plus(usable_len(len));
        Ok(Step::Record { start, len, found })
    }

    /// Copies a record from its blocks. Its length is believed only as far as blocks follow that continue it.
    fn assemble(
        &mut self,
        start: Position,
        len: usize,
        incarnation: Incarnation,
    ) -> Result<std::result::Result<(), StopReason>> {
        self.assembled.clear();
        let end = start.plus(usable_len(len));
        let mut position = start;
        while self.assembled.len() < len {
            let block = position.lsn().block_start();
            let expected = (end.usable() - position.usable()) as u32;
            let loaded = self.load(block, Some(incarnation))?;
            let why = match loaded {
                Err(why) => Some(why),
                Ok(header) if position != start && header.continued != expected => {
                    Some(BadBlock::Continued { expected, found: header.continued })
                }
                Ok(_) => None,
            };
            if let Some(why) = why {
                return Ok(Err(StopReason::Torn { block, why }));
            }
            let n = (len - self.assembled.len()).min(position.left_in_block() as usize);
            let at = self.index(position.lsn());
            self.assembled.extend_from_slice(&self.buffer[at..at + n]);
            position = position.plus(n as u64);
        }
        Ok(Ok(()))
    }

    /// Goes over to the incarnation that follows the one that ends here, if there is one.
    fn follow_chain(&mut self) -> Result<bool> {
        let Some(present) = self.incarnation else { return Ok(false) };
        let end = self.end();
        let block = end.align_up(BLOCK);
        let Ok(header) = self.load(block, None)? else { return Ok(false) };
        if header.incarnation == present || header.continued != 0 {
            return Ok(false);
        }
        let start = Position::new(block.bytes() / BLOCK * USABLE);
        let (next, timeline) = (self.next, self.timeline);
        self.incarnation = Some(header.incarnation);
        self.next = start;
        let follows = match self.step()? {
            Step::Record { start, len, found } => {
                let record = self.decode(start, len, &found)?;
                let first = IncarnationRecord::of(&record);
                first == Some(IncarnationRecord { timeline, before: Some((end, present)) })
            }
            Step::Again | Step::Stop(_) => false,
        };
        (self.next, self.incarnation) =
            if follows { (start, Some(header.incarnation)) } else { (next, Some(present)) };
        Ok(follows)
    }

    /// Place of a byte in the buffer; its block is loaded.
    fn index(&self, lsn: Lsn) -> usize {
        (lsn.bytes() - self.buffer_start.bytes()) as usize
    }

    /// Brings a block into the buffer and checks its header.
    fn load(
        &mut self,
        block: Lsn,
        incarnation: Option<Incarnation>,
    ) -> Result<std::result::Result<BlockHeader, BadBlock>> {
        if let Some(header) = self.header.filter(|header| header.lsn == block) {
            let is_wanted = incarnation.is_none_or(|wanted| wanted == header.incarnation);
            return Ok(if is_wanted { Ok(header) } else { Err(BadBlock::Incarnation(header.incarnation)) });
        }
        self.header = None;
        let is_there = block >= self.buffer_start
            && block.bytes() + BLOCK <= self.buffer_start.bytes() + self.buffer_len as u64;
        if !is_there && !self.read(block)? {
            return Ok(Err(BadBlock::Missing));
        }
        let at = self.index(block);
        let mut bytes = [0; BLOCK_HEADER as usize];
        bytes.copy_from_slice(&self.buffer[at..at + BLOCK_HEADER as usize]);
        Ok(match BlockHeader::decode(&bytes) {
            Err(BadHeader::Zero) => Err(BadBlock::Empty),
            Err(BadHeader::Format(format)) => Err(BadBlock::Format(format)),
            Err(BadHeader::Checksum) => Err(BadBlock::Checksum),
            Ok(header) if header.lsn != block => Err(BadBlock::Elsewhere(header.lsn)),
            Ok(header) if header.timeline != self.timeline => Err(BadBlock::Timeline(header.timeline)),
            Ok(header) if incarnation.is_some_and(|wanted| wanted != header.incarnation) => {
                Err(BadBlock::Incarnation(header.incarnation))
            }
            Ok(header) => {
                self.header = Some(header);
                Ok(header)
            }
        })
    }

    /// Reads ahead from `block` on, within its segment; `false` if not even the block is there.
    fn read(&mut self, block: Lsn) -> Result<bool> {
        (self.buffer_start, self.buffer_len) = (block, 0);
        let segment = block.segment();
        let file = match self.file.take() {
            Some((number, file)) if number == segment => file,
            _ => match File::open(self.folder.join(segment.file_name(self.timeline))) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(self.complaint("open", segment, &error)),
            },
        };
        while self.buffer_len < READ {
            let offset = block.offset_in_segment() + self.buffer_len as u64;
            match file.read_at(&mut self.buffer[self.buffer_len..], offset) {
                Ok(0) => break,
                Ok(n) => self.buffer_len += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.complaint("read", segment, &error)),
            }
        }
        self.file = Some((segment, file));
        Ok(self.buffer_len >= BLOCK as usize)
    }

    fn complaint(&self, what: &str, segment: SegmentNumber, error: &io::Error) -> Box<Report> {
        let name = segment.file_name(self.timeline);
        let message = format!("could not {what} file \"pg_wal/{name}\": {}", without_number(error));
        Report::error(sqlstate_of(error), message)
    }
}

/// What stood at a position.
enum Step {
    Record { start: Position, len: usize, found: Found },
    Again,
    Stop(StopReason),
}
