//! Records as bytes: composed in a process's own buffer, sealed when their place is known.
//!
//! A record is a header, then its block references (each followed by its page image and its data), then its main data:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | length of all of it; bit 31: this is filler |
//! | 4..8 | CRC-32C of bytes 8.., then of bytes 0..4, the record's LSN and the incarnation |
//! | 8..16 | transaction id, 0: none |
//! | 16 | resource manager |
//! | 17 | what the record means to that |
//! | 18 | number of block references |
//! | 19 | zero |
//! | 20..24 | length of the main data |
//!
//! A block reference is 24 bytes, 28 with an image: number, flags, fork, zero (a byte each), tablespace, database,
//! relation, block (four each), length of data and of the image (two each), then the hole's offset and length (two each).
//! Pages are images without their hole, the unused middle of them.
//!
//! *Filler* covers bytes that nobody needs: the rest of a sector, or a reservation given up. It has the first eight bytes
//! only; their CRC covers length, LSN and incarnation.
//!
//! Place and incarnation come last into the CRC, so that all the rest is computed before they are known.

use super::block::Incarnation;
use super::lsn::{ALIGN, Lsn};
use super::reserve::Epoch;
use crate::report::{Report, Result, SqlState};

/// Bytes of a record's header.
pub const RECORD_HEADER: usize = 24;

/// Bytes of filler's header, and so of the shortest filler.
pub const FILLER_HEADER: usize = 8;

/// The bit in the length that marks filler.
pub const FILLER: u32 = 1 << 31;

/// The longest record, as PostgreSQL has it.
pub const MAX_RECORD: usize = 1020 << 20;

/// Block references in a record.
pub const MAX_BLOCKS: usize = 255;

/// Bytes of a page.
pub const PAGE: usize = 8192;

/// Bytes of a block reference without an image.
pub const BLOCK_REFERENCE: usize = 24;

/// Bytes that an image adds to it.
pub const IMAGE_REFERENCE: usize = 4;

/// Who a record belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct RmgrId(pub u8);

impl RmgrId {
    /// The log's own records ([`super::own`]).
    pub const WAL: Self = Self(0);
}

/// A block of a relation, as records name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockTag {
    /// Tablespace.
    pub tablespace: u32,
    /// Database, 0: shared.
    pub database: u32,
    /// Number of the relation's files.
    pub relation: u32,
    /// Fork.
    pub fork: u8,
    /// Block in the fork.
    pub block: u32,
}

/// What a block reference says besides its tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct BlockFlags(u8);

impl BlockFlags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Redo makes the page anew and reads nothing.
    pub const WILL_INIT: Self = Self(1);
    /// There is a page image.
    pub const HAS_IMAGE: Self = Self(2);
    /// Redo restores the image; without this it is there to be compared.
    pub const APPLY_IMAGE: Self = Self(4);
    /// All there are; others, a compressed image some day, are refused by this version.
    pub(super) const KNOWN: u8 = 7;

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

/// A page to be put into a record.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The page.
    pub page: &'a [u8; PAGE],
    /// Where its unused middle begins; that is zeroes after redo.
    pub hole_offset: u16,
    /// Bytes of it.
    pub hole_len: u16,
    /// Redo restores it.
    pub apply: bool,
}

/// A record while it is composed. The buffer is kept from one record to the next.
#[derive(Debug, Default)]
pub struct RecordBuilder {
    bytes: Vec<u8>,
    blocks: usize,
    images: u32,
    main_start: usize,
    /// Epoch that it was composed for, as it must still be when its place is reserved; `None`: it depends on none.
    pub(super) epoch: Option<u64>,
}

impl RecordBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for a record of `len` bytes, so that composing it does not allocate.
    pub fn make_room(&mut self, len: usize) {
        self.bytes.reserve(len.saturating_sub(self.bytes.len()));
    }

    /// Begins a record and forgets the one before.
    pub fn begin(&mut self, rmgr: RmgrId, info: u8, xid: u64) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0; RECORD_HEADER]);
        self.bytes[8..16].copy_from_slice(&xid.to_le_bytes());
        self.bytes[16] = rmgr.0;
        self.bytes[17] = info;
        (self.blocks, self.images, self.main_start) = (0, 0, RECORD_HEADER);
        self.epoch = None;
    }

    /// Says that whether it has page images was decided by this epoch.
    pub fn for_epoch(&mut self, epoch: Epoch) {
        self.epoch = Some(epoch.number);
    }

    /// Adds a reference to a block, with data that redo needs if it does not restore the image. Blocks come before main
    /// data; `id` is what the resource manager calls the block.
    pub fn block(&mut self, id: u8, tag: BlockTag, flags: BlockFlags, image: Option<Image<'_>>, data: &[u8]) {
        assert_eq!(self.main_start, self.bytes.len(), "blocks come before main data");
        assert!(self.blocks < MAX_BLOCKS && data.len() <= usize::from(u16::MAX), "too much for one record");
        let mut flags = BlockFlags(flags.0 & BlockFlags::WILL_INIT.0);
        let mut image_len = 0;
        if let Some(image) = image {
            flags = flags.with(BlockFlags::HAS_IMAGE);
            if image.apply {
                flags = flags.with(BlockFlags::APPLY_IMAGE);
            }
            image_len = PAGE - usize::from(image.hole_len);
        }
        self.bytes.extend_from_slice(&[id, flags.0, tag.fork, 0]);
        for number in [tag.tablespace, tag.database, tag.relation, tag.block] {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.bytes.extend_from_slice(&(data.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(&(image_len as u16).to_le_bytes());
        if let Some(image) = image {
            let hole =
                usize::from(image.hole_offset)..usize::from(image.hole_offset) + usize::from(image.hole_len);
            self.bytes.extend_from_slice(&image.hole_offset.to_le_bytes());
            self.bytes.extend_from_slice(&image.hole_len.to_le_bytes());
            self.bytes.extend_from_slice(&image.page[..hole.start]);
            self.bytes.extend_from_slice(&image.page[hole.end..]);
            self.images += 1;
        }
        self.bytes.extend_from_slice(data);
        self.blocks += 1;
        self.main_start = self.bytes.len();
    }

    /// Adds to the main data.
    pub fn main(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// Bytes so far.
    #[expect(clippy::len_without_is_empty, reason = "there is always a header")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Full page images in it.
    pub fn images(&self) -> u32 {
        self.images
    }

    /// Refuses a record that is too long for the log.
    pub(super) fn check_len(len: usize) -> Result<()> {
        if len <= MAX_RECORD {
            return Ok(());
        }
        let message = format!("oversized WAL record: {len} bytes, at most {MAX_RECORD}");
        Err(Report::error(SqlState::INTERNAL_ERROR, message))
    }

    /// Writes the header; what is left is [`Self::seal`].
    pub(super) fn finish(&mut self) {
        let main_len = (self.bytes.len() - self.main_start) as u32;
        let len = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&len.to_le_bytes());
        self.bytes[18] = self.blocks as u8;
        self.bytes[20..24].copy_from_slice(&main_len.to_le_bytes());
    }

    /// CRC of all that does not depend on its place.
    pub(super) fn content_crc(&self) -> u32 {
        crc32c::crc32c(&self.bytes[8..])
    }

    /// Writes the CRC of a finished record whose place is known.
    pub(super) fn seal(&mut self, content_crc: u32, lsn: Lsn, incarnation: Incarnation) {
        let length = [self.bytes[0], self.bytes[1], self.bytes[2], self.bytes[3]];
        let crc = place_crc(content_crc, length, lsn, incarnation);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// The record.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that a record of `len` bytes takes from the log.
pub const fn usable_len(len: usize) -> u64 {
    (len as u64).next_multiple_of(ALIGN)
}

/// The CRC of a record or filler, from that of its content (0 for filler).
pub(super) fn place_crc(content_crc: u32, length: [u8; 4], lsn: Lsn, incarnation: Incarnation) -> u32 {
    let mut place = [0; 20];
    place[0..4].copy_from_slice(&length);
    place[4..12].copy_from_slice(&lsn.bytes().to_le_bytes());
    place[12..20].copy_from_slice(&incarnation.0.to_le_bytes());
    crc32c::crc32c_append(content_crc, &place)
}

/// The header of filler that covers `usable` bytes, a multiple of [`ALIGN`].
pub(super) fn filler_header(usable: u64, lsn: Lsn, incarnation: Incarnation) -> [u8; FILLER_HEADER] {
    let length = (usable as u32 | FILLER).to_le_bytes();
    let crc = place_crc(0, length, lsn, incarnation).to_le_bytes();
    [length[0], length[1], length[2], length[3], crc[0], crc[1], crc[2], crc[3]]
}
