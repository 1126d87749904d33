//! The first block: where the tree begins, and which pages are free.
//!
//! Deleted pages form a queue by their left links: the oldest is given out first, when nobody can come to it by a link any
//! more. The first block is locked behind all pages of the tree; of others, only free ones are locked behind it.

use super::node::{self, CAPACITY, MAX_LEVEL, NONE, NodeFlags, Special};
use crate::storage::page::{PageMut, PageRef};

/// Marks the first block of an index, `TBT` and the format's version.
const MAGIC: u32 = u32::from_le_bytes(*b"TBT\x01");

/// What the first block says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Meta {
    pub root: u32,
    pub level: u16,
    /// The lowest page that is alone on its level: searches begin there.
    pub fast_root: u32,
    pub fast_level: u16,
    /// The deleted page that is to be used first.
    pub free_first: u32,
    pub free_last: u32,
    pub free_count: u32,
}

impl Meta {
    /// Bytes of one.
    pub const ENCODED: usize = 32;

    /// Of a tree whose root is a leaf.
    pub const fn of_root(root: u32, level: u16) -> Self {
        Self {
            root,
            level,
            fast_root: root,
            fast_level: level,
            free_first: NONE,
            free_last: NONE,
            free_count: 0,
        }
    }

    pub fn encode(&self) -> [u8; Self::ENCODED] {
        let levels = u32::from(self.level) | u32::from(self.fast_level) << 16;
        let words =
            [MAGIC, self.root, levels, self.fast_root, self.free_first, self.free_last, self.free_count, 0];
        let mut bytes = [0; Self::ENCODED];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Back; `None` for what cannot be.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::ENCODED] = bytes.try_into().ok()?;
        let word = |at: usize| {
            let at = at * 4;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let meta = Self {
            root: word(1),
            level: word(2) as u16,
            fast_root: word(3),
            fast_level: (word(2) >> 16) as u16,
            free_first: word(4),
            free_last: word(5),
            free_count: word(6),
        };
        let is_page = |block: u32| block != 0 && block != NONE;
        let is_sane = meta.level <= MAX_LEVEL && meta.fast_level <= meta.level;
        let has_roots = is_page(meta.root) && is_page(meta.fast_root);
        let has_queue = (meta.free_first == NONE) == (meta.free_last == NONE);
        (word(0) == MAGIC && is_sane && has_roots && has_queue && meta.free_first != 0).then_some(meta)
    }

    /// From the first block.
    pub fn read(page: PageRef<'_>) -> Option<Self> {
        if !node::is_first_block(page) {
            return None;
        }
        Self::decode(page.item(1).ok()?.bytes)
    }

    /// Makes a page the first block; its LSN stays.
    pub fn write(&self, page: &mut PageMut<'_>) {
        const { assert!(Self::ENCODED < CAPACITY) };
        let lsn = page.as_ref().lsn();
        let special = Special { left: NONE, right: NONE, level: 0, flags: NodeFlags::META, deleted_at: 0 };
        node::build(page, &special, [&self.encode()[..]].into_iter());
        page.set_lsn(lsn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::page::PageBuf;

    #[test]
    fn it_survives_its_page_and_nonsense_is_none() {
        let meta = Meta {
            root: 7,
            level: 3,
            fast_root: 5,
            fast_level: 1,
            free_first: 9,
            free_last: 11,
            free_count: 2,
        };
        let mut page = PageBuf::zeroed();
        meta.write(&mut page.view_mut());
        assert_eq!(Meta::read(page.view()), Some(meta));
        assert_eq!(Meta::read(PageBuf::zeroed().view()), None);
        for (at, byte) in [(0, 0), (4, 0), (8, 0xff), (10, 4), (12, 0), (23, 0xff), (16, 0)] {
            let mut bytes = meta.encode();
            if at == 4 || at == 12 || at == 16 {
                bytes[at..at + 4].fill(byte);
            } else if at == 23 {
                bytes[20..24].fill(byte);
            } else {
                bytes[at] = byte;
            }
            assert_eq!(Meta::decode(&bytes), None, "{byte} at {at}");
        }
    }
}
