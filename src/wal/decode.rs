//! Records read back. Nothing in them is believed: every length is checked against what is there before it is used, so
//! that any bytes at all give a record or an error, never a panic.

use std::ops::Range;

use super::block::Incarnation;
use super::lsn::Lsn;
use super::record::{
    BLOCK_REFERENCE, BlockFlags, BlockTag, FILLER, FILLER_HEADER, IMAGE_REFERENCE, MAX_RECORD, PAGE,
    RECORD_HEADER, RmgrId, place_crc,
};

/// What stands where a record should begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Head {
    /// A record of this length.
    Record(usize),
    /// Filler over this many usable bytes.
    Filler(u64),
    /// Zero: nothing was written here.
    Nothing,
    /// A length that no record has.
    BadLength(u32),
    /// Filler whose CRC is wrong.
    BadFiller,
}

/// Reads the first eight bytes of a record.
pub(super) fn head(bytes: [u8; FILLER_HEADER], lsn: Lsn, incarnation: Incarnation) -> Head {
    let length = [bytes[0], bytes[1], bytes[2], bytes[3]];
    let crc = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let word = u32::from_le_bytes(length);
    if word & FILLER != 0 {
        let usable = word & !FILLER;
        let is_sane = usable as usize >= FILLER_HEADER && usable.is_multiple_of(8);
        let is_ours = is_sane && place_crc(0, length, lsn, incarnation) == crc;
        return if is_ours { Head::Filler(usable.into()) } else { Head::BadFiller };
    }
    match word as usize {
        0 => Head::Nothing,
        len if (RECORD_HEADER..=MAX_RECORD).contains(&len) => Head::Record(len),
        _ => Head::BadLength(word),
    }
}

/// Whether the CRC of a whole record is right for this place.
pub(super) fn has_good_crc(bytes: &[u8], lsn: Lsn, incarnation: Incarnation) -> bool {
    let length = [bytes[0], bytes[1], bytes[2], bytes[3]];
    let stored = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    place_crc(crc32c::crc32c(&bytes[8..]), length, lsn, incarnation) == stored
}

/// Why bytes with a good CRC are no record; a bug of who wrote it, or a later version's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// A block reference, its image or its data goes beyond the record.
    #[error("block reference {0} does not fit the record")]
    BlockTooLong(u8),
    /// A flag that this version does not know.
    #[error("block reference {0} has unknown flags")]
    UnknownFlags(u8),
    /// The image is not a page without its hole.
    #[error("the image of block reference {0} is no page")]
    BadImage(u8),
    /// Lengths do not add up.
    #[error("main data has {found} bytes, the header says {said}")]
    MainLength {
        /// Bytes behind the blocks.
        found: usize,
        /// As the header has it.
        said: u32,
    },
    /// A reserved byte is not zero.
    #[error("a reserved byte is not zero")]
    Reserved,
}

/// A record, decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Where it begins.
    pub start: Lsn,
    /// Where it ends; a page changed by it has this as its LSN.
    pub end: Lsn,
    /// Whose it is.
    pub incarnation: Incarnation,
    bytes: &'a [u8],
    main: Range<usize>,
}

impl<'a> Record<'a> {
    /// Checks everything in a record whose CRC is right.
    pub(super) fn decode(
        bytes: &'a [u8],
        start: Lsn,
        end: Lsn,
        incarnation: Incarnation,
    ) -> Result<Self, Malformed> {
        if bytes[19] != 0 {
            return Err(Malformed::Reserved);
        }
        let mut at = RECORD_HEADER;
        for number in 0..bytes[18] {
            at = read_block(bytes, at, number)?.1;
        }
        let said = u32::from_le_bytes([bytes[20], bytes[21], bytes[22], bytes[23]]);
        let found = bytes.len() - at;
        if found != said as usize {
            return Err(Malformed::MainLength { found, said });
        }
        Ok(Self { start, end, incarnation, bytes, main: at..bytes.len() })
    }

    /// All its bytes, and where in them its main data is.
    pub(super) fn parts(&self) -> (&'a [u8], Range<usize>) {
        (self.bytes, self.main.clone())
    }

    /// A record of the parts of one that was checked.
    pub(super) fn from_parts(
        bytes: &'a [u8],
        main: Range<usize>,
        (start, end): (Lsn, Lsn),
        incarnation: Incarnation,
    ) -> Self {
        Self { start, end, incarnation, bytes, main }
    }

    /// Transaction, 0: none.
    pub fn xid(&self) -> u64 {
        let mut xid = [0; 8];
        xid.copy_from_slice(&self.bytes[8..16]);
        u64::from_le_bytes(xid)
    }

    /// Resource manager.
    pub fn rmgr(&self) -> RmgrId {
        RmgrId(self.bytes[16])
    }

    /// What it means to that.
    pub fn info(&self) -> u8 {
        self.bytes[17]
    }

    /// Bytes of all of it.
    #[expect(clippy::len_without_is_empty, reason = "there is always a header")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Main data.
    pub fn main(&self) -> &'a [u8] {
        &self.bytes[self.main.clone()]
    }

    /// Number of block references.
    pub fn block_count(&self) -> usize {
        self.bytes[18].into()
    }

    /// Block references in order.
    pub fn blocks(&self) -> Blocks<'a> {
        Blocks { bytes: self.bytes, at: RECORD_HEADER, number: 0 }
    }

    /// The block reference that its resource manager calls `id`.
    pub fn block(&self, id: u8) -> Option<BlockReference<'a>> {
        self.blocks().find(|block| block.id == id)
    }
}

/// The iterator of [`Record::blocks`].
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    bytes: &'a [u8],
    at: usize,
    number: u8,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = BlockReference<'a>;

    fn next(&mut self) -> Option<BlockReference<'a>> {
        if self.number >= self.bytes[18] {
            return None;
        }
        // It was checked when the record was decoded.
        let (block, end) = read_block(self.bytes, self.at, self.number).ok()?;
        self.at = end;
        self.number += 1;
        Some(block)
    }
}

/// A block reference, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockReference<'a> {
    /// What its resource manager calls it.
    pub id: u8,
    /// Which block.
    pub tag: BlockTag,
    /// What else is known of it.
    pub flags: BlockFlags,
    /// Data for redo.
    pub data: &'a [u8],
    image: &'a [u8],
    hole_offset: u16,
    hole_len: u16,
}

impl BlockReference<'_> {
    /// Bytes of the image without its hole; `None` if there is none.
    pub fn image_len(&self) -> Option<usize> {
        self.flags.contains(BlockFlags::HAS_IMAGE).then_some(self.image.len())
    }

    /// Writes the image to `page`, zeroes in its hole; `false` if there is none.
    pub fn restore(&self, page: &mut [u8; PAGE]) -> bool {
        if !self.flags.contains(BlockFlags::HAS_IMAGE) {
            return false;
        }
        let start = usize::from(self.hole_offset);
        let end = start + usize::from(self.hole_len);
        page[..start].copy_from_slice(&self.image[..start]);
        page[start..end].fill(0);
        page[end..].copy_from_slice(&self.image[start..]);
        true
    }
}

/// Reads the block reference at `at`; also where the next thing begins.
fn read_block(bytes: &[u8], at: usize, number: u8) -> Result<(BlockReference<'_>, usize), Malformed> {
    let too_long = Malformed::BlockTooLong(number);
    let fixed = bytes.get(at..at + BLOCK_REFERENCE).ok_or(too_long)?;
    let long = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let short = |bytes: &[u8], at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    if fixed[1] & !BlockFlags::KNOWN != 0 || fixed[3] != 0 {
        return Err(Malformed::UnknownFlags(number));
    }
    let flags = BlockFlags::from_bits(fixed[1]);
    let mut at = at + BLOCK_REFERENCE;
    let image_len = usize::from(short(fixed, 22));
    let (mut hole_offset, mut hole_len) = (0, 0);
    if flags.contains(BlockFlags::HAS_IMAGE) {
        let hole = bytes.get(at..at + IMAGE_REFERENCE).ok_or(too_long)?;
        (hole_offset, hole_len) = (short(hole, 0), short(hole, 2));
        let is_page = image_len + usize::from(hole_len) == PAGE
            && usize::from(hole_offset) + usize::from(hole_len) <= PAGE;
        if !is_page {
            return Err(Malformed::BadImage(number));
        }
        at += IMAGE_REFERENCE;
    } else if image_len != 0 || flags.contains(BlockFlags::APPLY_IMAGE) {
        return Err(Malformed::BadImage(number));
    }
    let image = bytes.get(at..at + image_len).ok_or(too_long)?;
    at += image_len;
    let data = bytes.get(at..at + usize::from(short(fixed, 20))).ok_or(too_long)?;
    let tag = BlockTag {
        tablespace: long(4),
        database: long(8),
        relation: long(12),
        fork: fixed[2],
        block: long(16),
    };
    Ok((BlockReference { id: fixed[0], tag, flags, data, image, hole_offset, hole_len }, at + data.len()))
}

/// A record as if it had been read, for other modules' tests.
#[cfg(test)]
pub(crate) fn with_decoded(builder: &mut super::RecordBuilder, check: impl FnOnce(&Record<'_>)) {
    builder.finish();
    let (start, end) = (Lsn::new(0x100_0020), Lsn::new(0x100_0200));
    check(&Record::decode(builder.bytes(), start, end, super::Incarnation(1)).expect("a record"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::{Image, RecordBuilder};
    use super::*;

    const TAG: BlockTag = BlockTag { tablespace: 1663, database: 5, relation: 16_384, fork: 0, block: 7 };
    const PLACE: (Lsn, Incarnation) = (Lsn::new(0x100_0020), Incarnation(99));

    fn sealed(compose: impl FnOnce(&mut RecordBuilder)) -> Vec<u8> {
        let mut builder = RecordBuilder::new();
        builder.begin(RmgrId(7), 0x20, 1234);
        compose(&mut builder);
        builder.finish();
        let crc = builder.content_crc();
        builder.seal(crc, PLACE.0, PLACE.1);
        builder.bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Record<'_>, Malformed> {
        Record::decode(bytes, PLACE.0, Lsn::new(PLACE.0.bytes() + bytes.len() as u64), PLACE.1)
    }

    #[test]
    fn a_record_survives() {
        let mut page = [0; PAGE];
        page[..100].fill(3);
        page[8000..].fill(4);
        let image = Image { page: &page, hole_offset: 100, hole_len: 7900, apply: true };
        let bytes = sealed(|builder| {
            builder.block(0, TAG, BlockFlags::WILL_INIT, None, b"data");
            builder.block(3, TAG, BlockFlags::NONE, Some(image), b"");
            builder.main(b"main ");
            builder.main(b"data");
        });
        assert!(has_good_crc(&bytes, PLACE.0, PLACE.1));
        let record = decode(&bytes).unwrap();
        assert_eq!((record.rmgr(), record.info(), record.xid()), (RmgrId(7), 0x20, 1234));
        assert_eq!((record.main(), record.block_count()), (&b"main data"[..], 2));
        let first = record.block(0).unwrap();
        assert_eq!((first.tag, first.data, first.image_len()), (TAG, &b"data"[..], None));
        assert!(first.flags.contains(BlockFlags::WILL_INIT));
        let second = record.block(3).unwrap();
        assert_eq!((second.image_len(), second.data), (Some(292), &b""[..]));
        let mut restored = [9; PAGE];
        assert!(second.restore(&mut restored) && restored == page);
        assert!(!first.restore(&mut restored));
        assert_eq!(record.block(1), None);
    }

    #[test]
    fn a_record_is_good_in_its_place_only() {
        let bytes = sealed(|builder| builder.main(b"x"));
        assert!(!has_good_crc(&bytes, Lsn::new(PLACE.0.bytes() + 8), PLACE.1), "another place");
        assert!(!has_good_crc(&bytes, PLACE.0, Incarnation(98)), "another incarnation");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!has_good_crc(&flipped, PLACE.0, PLACE.1), "bit {bit}");
        }
    }

    #[test]
    fn heads() {
        let (lsn, incarnation) = PLACE;
        let filler = super::super::record::filler_header(512, lsn, incarnation);
        let with_length = |length: u32| {
            let mut bytes = [0; 8];
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            bytes
        };
        for (bytes, expected) in [
            ([0; 8], Head::Nothing),
            (with_length(24), Head::Record(24)),
            (with_length(23), Head::BadLength(23)),
            (with_length(MAX_RECORD as u32 + 1), Head::BadLength(MAX_RECORD as u32 + 1)),
            (filler, Head::Filler(512)),
            (with_length(FILLER | 512), Head::BadFiller),
            (with_length(FILLER), Head::BadFiller),
        ] {
            assert_eq!(head(bytes, lsn, incarnation), expected);
        }
        assert_eq!(head(filler, Lsn::new(lsn.bytes() + 8), incarnation), Head::BadFiller);
    }

    #[test]
    fn malformed_records_are_told_apart() {
        let block = |b: &mut RecordBuilder| b.block(0, TAG, BlockFlags::NONE, None, b"abc");
        let cases: [(&str, usize, u8, Malformed); 5] = [
            ("reserved byte", 19, 1, Malformed::Reserved),
            ("data length", RECORD_HEADER + 20, 200, Malformed::BlockTooLong(0)),
            ("flags", RECORD_HEADER + 1, 0x80, Malformed::UnknownFlags(0)),
            ("image length without image", RECORD_HEADER + 22, 1, Malformed::BadImage(0)),
            ("block count", 18, 0, Malformed::MainLength { found: 27, said: 0 }),
        ];
        for (what, at, byte, expected) in cases {
            let mut bytes = sealed(block);
            bytes[at] = byte;
            assert_eq!(decode(&bytes), Err(expected), "{what}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), RECORD_HEADER..400)) {
            bytes[19] = 0;
            if let Ok(record) = decode(&bytes) {
                let mut page = [0; PAGE];
                for block in record.blocks() {
                    block.restore(&mut page);
                }
            }
        }

        #[test]
        fn a_changed_byte_never_panics(at in 8_usize..200, byte: u8) {
            let page = [1; PAGE];
            let image = Image { page: &page, hole_offset: 10, hole_len: 8100, apply: false };
            let mut bytes = sealed(|builder| {
                builder.block(0, TAG, BlockFlags::NONE, Some(image), b"abc");
                builder.block(1, TAG, BlockFlags::NONE, None, b"abc");
            });
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            if let Ok(record) = decode(&bytes) {
                let mut page = [0; PAGE];
                for block in record.blocks() {
                    block.restore(&mut page);
                }
            }
        }
    }
}
