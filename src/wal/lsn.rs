//! Places in the log: [`Lsn`], a byte position, and [`Position`], which counts only bytes that records may fill.
//!
//! Every block of [`BLOCK`] bytes begins with a header, so a record that goes on in the next block is longer in LSNs than
//! in usable bytes. Reservations are made in usable bytes, since only those can be added without knowing where one is.
//! The place between two blocks has two LSNs: where something ends there, it is the end of the block before; where
//! something begins there, it is behind the next block's header.

use std::fmt;
use std::str::FromStr;

/// Bytes of a block.
pub const BLOCK: u64 = 8192;

/// Bytes of a block's header.
pub const BLOCK_HEADER: u64 = 32;

/// Bytes of a block that records may fill.
pub const USABLE: u64 = BLOCK - BLOCK_HEADER;

/// Bytes of a segment file.
pub const SEGMENT: u64 = 16 << 20;

/// Usable bytes of a segment.
pub const USABLE_OF_SEGMENT: u64 = SEGMENT / BLOCK * USABLE;

/// Records begin at multiples of this.
pub const ALIGN: u64 = 8;

/// A byte position in the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Lsn(u64);

impl Lsn {
    /// No position: the log begins at [`Lsn::FIRST`].
    pub const INVALID: Self = Self(0);

    /// Where the log of a new data directory begins: segment 0 stays unused, so that no position is zero.
    pub const FIRST: Self = Self(SEGMENT);

    /// The position `bytes` from the log's beginning.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes from the log's beginning.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Whether this is a position at all.
    pub const fn is_valid(self) -> bool {
        self.0 != 0
    }

    /// The segment that this byte lies in.
    pub const fn segment(self) -> SegmentNumber {
        SegmentNumber(self.0 / SEGMENT)
    }

    /// Bytes from the segment's beginning.
    pub const fn offset_in_segment(self) -> u64 {
        self.0 % SEGMENT
    }

    /// Where the block that this byte lies in begins.
    pub const fn block_start(self) -> Self {
        Self(self.0 - self.0 % BLOCK)
    }

    /// The position of a record that begins here: behind the header at a block's beginning. `None` within a header.
    pub const fn position(self) -> Option<Position> {
        let (block, offset) = (self.0 / BLOCK, self.0 % BLOCK);
        if offset == 0 {
            return Some(Position(block * USABLE));
        }
        if offset < BLOCK_HEADER { None } else { Some(Position(block * USABLE + offset - BLOCK_HEADER)) }
    }

    /// The next multiple of `align`, this one included.
    pub const fn align_up(self, align: u64) -> Self {
        Self(self.0.next_multiple_of(align))
    }

    /// The multiple of `align` before, this one included.
    pub const fn align_down(self, align: u64) -> Self {
        Self(self.0 - self.0 % align)
    }
}

/// As PostgreSQL writes it: the upper and the lower half in hexadecimal.
impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 as u32)
    }
}

/// A text that is no LSN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid log sequence number")]
pub struct ParseLsnError;

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, ParseLsnError> {
        let half = |digits: &str| {
            let is_fine = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if !is_fine {
                return Err(ParseLsnError);
            }
            u32::from_str_radix(digits, 16).map_err(|_| ParseLsnError)
        };
        let (high, low) = text.split_once('/').ok_or(ParseLsnError)?;
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

/// A number of usable bytes from the log's beginning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Position(u64);

impl Position {
    /// So many usable bytes from the beginning.
    pub const fn new(usable: u64) -> Self {
        Self(usable)
    }

    /// Usable bytes from the beginning.
    pub const fn usable(self) -> u64 {
        self.0
    }

    /// Further by `usable` bytes.
    pub const fn plus(self, usable: u64) -> Self {
        Self(self.0 + usable)
    }

    /// LSN of the byte that stands here; behind the header at a block's beginning.
    pub const fn lsn(self) -> Lsn {
        Lsn(self.0 / USABLE * BLOCK + BLOCK_HEADER + self.0 % USABLE)
    }

    /// LSN behind the byte before here; the end of the block before at a block's beginning.
    pub const fn end_lsn(self) -> Lsn {
        if self.0.is_multiple_of(USABLE) { Lsn(self.0 / USABLE * BLOCK) } else { self.lsn() }
    }

    /// Usable bytes from here to the end of the block.
    pub const fn left_in_block(self) -> u64 {
        USABLE - self.0 % USABLE
    }

    /// Usable bytes from here to the end of the segment; 0 at its beginning.
    pub const fn left_in_segment(self) -> u64 {
        (USABLE_OF_SEGMENT - self.0 % USABLE_OF_SEGMENT) % USABLE_OF_SEGMENT
    }
}

/// Number of a segment file, from the log's beginning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct SegmentNumber(u64);

impl SegmentNumber {
    /// The segment of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Where it begins.
    pub const fn start(self) -> Lsn {
        Lsn(self.0 * SEGMENT)
    }

    /// The one `count` further.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// Its file's name, as PostgreSQL makes it of timeline and number.
    pub fn file_name(self, timeline: Timeline) -> String {
        let per_id = (1_u64 << 32) / SEGMENT;
        format!("{:08X}{:08X}{:08X}", timeline.0, self.0 / per_id, self.0 % per_id)
    }

    /// Timeline and number of a file name; `None` if it is not a segment's.
    pub fn parse_file_name(name: &str) -> Option<(Timeline, Self)> {
        let is_fine = name.len() == 24 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
        if !is_fine {
            return None;
        }
        let part = |at: usize| u32::from_str_radix(&name[at..at + 8], 16).ok();
        let (timeline, id, number) = (part(0)?, u64::from(part(8)?), u64::from(part(16)?));
        let per_id = (1_u64 << 32) / SEGMENT;
        (number < per_id && timeline > 0).then(|| (Timeline(timeline), Self(id * per_id + number)))
    }
}

/// A timeline, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Timeline(pub u32);

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn lsns_are_written_as_postgresql_does() {
        for (bytes, text) in [
            (0, "0/0"),
            (SEGMENT, "0/1000000"),
            (0x16_B374_D848, "16/B374D848"),
            (u64::MAX, "FFFFFFFF/FFFFFFFF"),
        ] {
            assert_eq!(Lsn(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Lsn(bytes)));
            assert_eq!(text.to_lowercase().parse(), Ok(Lsn(bytes)));
        }
        for text in ["", "/", "0", "0/", "/0", "G/0", "0/123456789", "0/0/0", "+1/0", " 0/0", "0/-1"] {
            assert_eq!(text.parse::<Lsn>(), Err(ParseLsnError), "{text:?}");
        }
    }

    #[test]
    fn usable_positions_and_lsns_agree() {
        let cases = [
            // usable, begins at, ends at
            (0, BLOCK_HEADER, 0),
            (8, BLOCK_HEADER + 8, BLOCK_HEADER + 8),
            (USABLE - 8, BLOCK - 8, BLOCK - 8),
            (USABLE, BLOCK + BLOCK_HEADER, BLOCK),
            (USABLE_OF_SEGMENT, SEGMENT + BLOCK_HEADER, SEGMENT),
        ];
        for (usable, begins, ends) in cases {
            let position = Position(usable);
            assert_eq!((position.lsn(), position.end_lsn()), (Lsn(begins), Lsn(ends)), "{usable}");
            assert_eq!(position.lsn().position(), Some(position));
            assert_eq!(position.end_lsn().position(), Some(position));
        }
        assert_eq!(Lsn(BLOCK + 8).position(), None, "within a header");
        assert_eq!(Position(USABLE_OF_SEGMENT - 8).left_in_segment(), 8);
        assert_eq!(Position(USABLE_OF_SEGMENT).left_in_segment(), 0);
        assert_eq!(Position(USABLE + 16).left_in_block(), USABLE - 16);
    }

    #[test]
    fn file_names_are_postgresqls() {
        for (timeline, segment, name) in [
            (1, 1, "000000010000000000000001"),
            (1, 255, "0000000100000000000000FF"),
            (1, 256, "000000010000000100000000"),
            (0x2a, 0x1_2345, "0000002A0000012300000045"),
        ] {
            let segment = SegmentNumber(segment);
            assert_eq!(segment.file_name(Timeline(timeline)), name);
            assert_eq!(SegmentNumber::parse_file_name(name), Some((Timeline(timeline), segment)));
        }
        for name in [
            "",
            "00000001000000000000000",
            "000000010000000000000100",
            "00000001000000000000000a",
            "000000000000000000000001",
            "000000010000000000000001.partial",
        ] {
            assert_eq!(SegmentNumber::parse_file_name(name), None, "{name}");
        }
    }
}
