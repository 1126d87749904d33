//! A page of the map as its file has it: sectors that each have their own check.
//!
//! A disk writes a sector whole or not at all, and a page of the map may be half an older one after a power failure, which
//! does no harm: redo stamps again whatever ended since. So it is the sector that is checked, and not the page. A sector of
//! zeroes was never written.

use crate::txn::map::{MapPage, Words};

/// What a disk writes whole.
const SECTOR: usize = 512;

/// Words of a sector, without its check.
const WORDS: usize = SECTOR / 8 - 1;

/// Sectors of a page.
const SECTORS: usize = size_of::<Words>() / 8 / WORDS + 1;

/// Bytes of a page in its file.
pub const PAGE: usize = SECTORS * SECTOR;

/// Set in every check, so that a sector of zeroes is one that was never written.
const WRITTEN: u64 = 1 << 32;

fn check(page: MapPage, sector: usize, words: &[u8]) -> u64 {
    let (kind, number) = match page {
        MapPage::Wide(number) => (0_u8, number),
        MapPage::Narrow(number) => (1, number),
    };
    let crc = crc32c::crc32c(&[kind, sector as u8]);
    let crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
    u64::from(crc32c::crc32c_append(crc, words)) | WRITTEN
}

/// The bytes of a page.
pub fn encode(page: MapPage, words: &Words) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PAGE);
    for (sector, words) in words.chunks(WORDS).enumerate() {
        let start = bytes.len();
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        bytes.resize(start + WORDS * 8, 0);
        let check = check(page, sector, &bytes[start..]);
        bytes.extend_from_slice(&check.to_le_bytes());
    }
    bytes
}

/// The words of a page's bytes; `None`: one of its sectors is not as it was written.
pub fn decode(page: MapPage, bytes: &[u8; PAGE], words: &mut Words) -> Option<()> {
    for (sector, (bytes, words)) in bytes.chunks_exact(SECTOR).zip(words.chunks_mut(WORDS)).enumerate() {
        let (content, stored) = bytes.split_last_chunk()?;
        let is_written = bytes.iter().any(|byte| *byte != 0);
        if is_written && u64::from_le_bytes(*stored) != check(page, sector, content) {
            return None;
        }
        for (word, bytes) in words.iter_mut().zip(content.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().ok()?);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        std::array::from_fn(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn read(page: MapPage, bytes: &[u8]) -> Option<Words> {
        let mut words = [1; size_of::<Words>() / 8];
        decode(page, bytes.first_chunk()?, &mut words).map(|()| words)
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let page = MapPage::Wide(7);
        let bytes = encode(page, &words());
        assert_eq!(bytes.len(), PAGE);
        assert_eq!(read(page, &bytes), Some(words()));
        for other in [MapPage::Wide(8), MapPage::Narrow(7)] {
            assert_eq!(read(other, &bytes), None, "{other:?}");
        }
        for bit in 0..PAGE * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(page, &flipped), None, "bit {bit}");
        }
    }

    /// Sectors of two writes, and of none, go together; sectors in each other's place do not.
    #[test]
    fn a_torn_page_is_read_as_what_is_there() {
        let page = MapPage::Narrow(0);
        let (old, new) = (encode(page, &[5; size_of::<Words>() / 8]), encode(page, &words()));
        let torn = [&vec![0; SECTOR], &old[SECTOR..3 * SECTOR], &new[3 * SECTOR..]].concat();
        let read_back = read(page, &torn).expect("each sector is whole");
        assert_eq!(read_back[..WORDS], [0; WORDS]);
        assert_eq!(read_back[WORDS..3 * WORDS], [5; 2 * WORDS]);
        assert_eq!(read_back[3 * WORDS..], words()[3 * WORDS..]);
        let exchanged = [&new[SECTOR..2 * SECTOR], &new[..SECTOR], &new[2 * SECTOR..]].concat();
        assert_eq!(read(page, &exchanged), None);
    }
}
