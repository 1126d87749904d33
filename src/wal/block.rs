//! The header that every block of the log begins with.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | [`FORMAT`] |
//! | 4..8 | timeline |
//! | 8..16 | incarnation |
//! | 16..24 | the block's own LSN |
//! | 24..28 | usable bytes, from this block on, that continue a record from before |
//! | 28..32 | CRC-32C of the bytes before |
//!
//! All numbers are little-endian. So a reader can start at any block, and a block of a recycled segment, or one from
//! before a crash, is known for what it is.

use super::lsn::{BLOCK_HEADER, Lsn, Timeline};

/// `TWL` and the version of the log's format.
pub const FORMAT: u32 = u32::from_le_bytes(*b"TWL\x01");

/// A random number drawn at each start of a primary and at each promotion; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct Incarnation(pub u64);

/// A block's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockHeader {
    /// Timeline of the log.
    pub timeline: Timeline,
    /// Who wrote it.
    pub incarnation: Incarnation,
    /// Where the block begins.
    pub lsn: Lsn,
    /// Usable bytes, from this block on, of a record that began before.
    pub continued: u32,
}

/// Why bytes are no block header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadHeader {
    /// Nothing was ever written there.
    Zero,
    /// Not this format.
    Format(u32),
    /// Its checksum is wrong.
    Checksum,
}

impl BlockHeader {
    /// Its bytes.
    pub fn encode(&self) -> [u8; BLOCK_HEADER as usize] {
        let mut bytes = [0; BLOCK_HEADER as usize];
        bytes[0..4].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.timeline.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.incarnation.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.lsn.bytes().to_le_bytes());
        bytes[24..28].copy_from_slice(&self.continued.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads it back. That it is the header of the block wanted is for the reader to check.
    pub fn decode(bytes: &[u8; BLOCK_HEADER as usize]) -> Result<Self, BadHeader> {
        if bytes.iter().all(|b| *b == 0) {
            return Err(BadHeader::Zero);
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if word(0) != FORMAT {
            return Err(BadHeader::Format(word(0)));
        }
        if crc32c::crc32c(&bytes[..28]) != word(28) {
            return Err(BadHeader::Checksum);
        }
        Ok(Self {
            timeline: Timeline(word(4)),
            incarnation: Incarnation(long(8)),
            lsn: Lsn::new(long(16)),
            continued: word(24),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: BlockHeader = BlockHeader {
        timeline: Timeline(3),
        incarnation: Incarnation(0x0123_4567_89ab_cdef),
        lsn: Lsn::new(0x1_0000_2000),
        continued: 77,
    };

    #[test]
    fn a_header_survives_encoding() {
        assert_eq!(BlockHeader::decode(&HEADER.encode()), Ok(HEADER));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        for bit in 0..BLOCK_HEADER as usize * 8 {
            let mut bytes = HEADER.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(BlockHeader::decode(&bytes).is_err(), "bit {bit}");
        }
        assert_eq!(BlockHeader::decode(&[0; BLOCK_HEADER as usize]), Err(BadHeader::Zero));
    }
}
