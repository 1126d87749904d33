//! The visibility map: two bits for each of a heap's pages, in a fork of its own.
//!
//! | bit | what |
//! | --- | --- |
//! | 0 | everybody sees every version on the page |
//! | 1 | and none of them names a transaction that has to be looked up |
//!
//! The bits are set by vacuum, and taken away by the change that makes them wrong, in the same record. Bit 0 stands on the
//! heap's page too (`PageFlags::ALL_VISIBLE`), so that most changes need not look here.

use super::Heap;
use crate::access::engine::Store;
use crate::report::Result;
use crate::storage::buffer::{ExclusivePage, ReadOptions};
use crate::storage::ids::{BlockNumber, Fork, PAGE_SIZE};
use crate::storage::page::{HEADER_SIZE, PageMut, PageRef};

const HEAP_BLOCKS_PER_BYTE: u32 = 4;

/// Pages of a heap that one page of its map covers.
pub const BLOCKS_PER_PAGE: u32 = (PAGE_SIZE - HEADER_SIZE) as u32 * HEAP_BLOCKS_PER_BYTE;

/// What the map says about a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Everybody sees every version on it.
    pub all_visible: bool,
    /// And none of them names a transaction that has to be looked up.
    pub all_frozen: bool,
}

impl Status {
    fn bits(self) -> u8 {
        u8::from(self.all_visible) | u8::from(self.all_visible && self.all_frozen) << 1
    }
}

/// The map's block for a block of the heap.
pub fn map_block(block: BlockNumber) -> BlockNumber {
    BlockNumber::new(block.get() / BLOCKS_PER_PAGE).unwrap_or(BlockNumber::ZERO)
}

fn place(block: BlockNumber) -> (usize, u32) {
    let within = block.get() % BLOCKS_PER_PAGE;
    ((within / HEAP_BLOCKS_PER_BYTE) as usize, within % HEAP_BLOCKS_PER_BYTE * 2)
}

/// What a page of the map says.
pub fn status(page: PageRef<'_>, block: BlockNumber) -> Status {
    let (byte, shift) = place(block);
    let bits = page.special().get(byte).map_or(0, |byte| byte >> shift & 3);
    Status { all_visible: bits & 1 != 0, all_frozen: bits == 3 }
}

/// Changes what a page of the map says, which is made one if it is new.
pub fn set_status(page: &mut PageMut<'_>, block: BlockNumber, status: Status) {
    if page.as_ref().is_new() {
        page.init(PAGE_SIZE - HEADER_SIZE);
    }
    let (byte, shift) = place(block);
    if let Some(byte) = page.special_mut().get_mut(byte) {
        *byte = *byte & !(3 << shift) | status.bits() << shift;
    }
}

impl Heap {
    /// What the map says about a page of the heap; it may be wrong by the time that the caller looks at it.
    pub fn visibility(&self, store: &Store<'_>, block: BlockNumber) -> Result<Status> {
        let (fork, map) = (self.fork(Fork::VisibilityMap), map_block(block));
        let files = store.storage.files();
        if !files.exists(fork)? || files.blocks(fork)? <= map.get() {
            return Ok(Status::default());
        }
        let page = store.storage.read_with(fork.block(map), self.read_options())?.lock_shared();
        Ok(status(page.page(), block))
    }

    /// The map's page for a page of the heap, locked; added if it is not there.
    pub(super) fn map_page<'t, 's>(
        &self,
        store: &'t Store<'s>,
        map: BlockNumber,
    ) -> Result<ExclusivePage<'t, 's>> {
        let (fork, files) = (self.fork(Fork::VisibilityMap), store.storage.files());
        if !files.exists(fork)? {
            files.create(fork, true)?;
        }
        if files.blocks(fork)? <= map.get() {
            store.storage.extend_to(fork, map.get() + 1)?;
        }
        let options = ReadOptions { ring: None, is_permanent: self.options().is_logged };
        Ok(store.storage.read_with(fork.block(map), options)?.lock_exclusive())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::page::PageBuf;

    #[test]
    fn each_page_has_its_own_bits() {
        let mut page = PageBuf::zeroed();
        let mut view = page.view_mut();
        let block = |number| BlockNumber::new(number).expect("a block");
        let all = Status { all_visible: true, all_frozen: true };
        let seen = Status { all_visible: true, all_frozen: false };
        for (number, set) in [(0, all), (5, seen), (6, all), (BLOCKS_PER_PAGE - 1, seen)] {
            set_status(&mut view, block(number), set);
        }
        set_status(&mut view, block(6), Status::default());
        for (number, expected) in [(0, all), (1, Status::default()), (5, seen), (6, Status::default())] {
            assert_eq!(status(view.as_ref(), block(number)), expected, "{number}");
        }
        assert_eq!(status(view.as_ref(), block(BLOCKS_PER_PAGE - 1)), seen);
        assert_eq!(
            (map_block(block(BLOCKS_PER_PAGE - 1)).get(), map_block(block(BLOCKS_PER_PAGE)).get()),
            (0, 1)
        );
    }
}
