//! Where a new version goes: the page that the last one went to, one that the free space map knows, or a new one.

use super::Heap;
use super::tuple::MAX_LINES;
use crate::access::engine::Store;
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::{BlockNumber, Fork, PAGE_SIZE};
use crate::storage::page::{HEADER_SIZE, ITEM_ALIGN, LINE_POINTER_SIZE, PageFlags, PageMut, PageRef};

/// The line that the next version on a page gets.
pub(super) fn next_line(page: PageRef<'_>) -> u16 {
    let has_free = !page.is_new() && page.flags().contains(PageFlags::HAS_FREE_LINES);
    let unused = if has_free { page.first_unused() } else { None };
    unused.unwrap_or_else(|| if page.is_new() { 1 } else { page.lines() + 1 })
}

/// Bytes that a page has for one more version.
pub(super) fn room(page: PageRef<'_>) -> usize {
    if page.is_new() {
        return (PAGE_SIZE - HEADER_SIZE - LINE_POINTER_SIZE) & !(ITEM_ALIGN - 1);
    }
    let line = next_line(page);
    if line > MAX_LINES {
        return 0;
    }
    let pointer = if line > page.lines() { LINE_POINTER_SIZE } else { 0 };
    page.free_space().saturating_sub(pointer) & !(ITEM_ALIGN - 1)
}

/// Puts a version on a page, at the line that [`next_line`] gave. `false` if it does not fit there.
pub(super) fn put(page: &mut PageMut<'_>, line: u16, tuple: &[u8]) -> bool {
    if page.as_ref().is_new() {
        page.init(0);
    }
    if line > page.as_ref().lines() {
        // Whoever chose the line found no unused one.
        page.remove_flags(PageFlags::HAS_FREE_LINES);
    }
    page.insert(tuple, Some(line)).is_some()
}

impl Heap {
    /// Bytes that insertion leaves free for later versions.
    fn reserve(&self) -> usize {
        PAGE_SIZE * usize::from(100 - self.options.fillfactor.clamp(10, 100)) / 100
    }

    fn fits(&self, page: PageRef<'_>, length: usize) -> bool {
        let room = room(page);
        let is_empty = page.is_new() || page.lines() == 0;
        length.next_multiple_of(ITEM_ALIGN) + if is_empty { 0 } else { self.reserve() } <= room
    }

    /// A page with room for a version of `length` bytes, locked; not the block `without`.
    pub(super) fn page_for<'t, 's>(
        &self,
        store: &'t Store<'s>,
        length: usize,
        without: Option<BlockNumber>,
    ) -> Result<ExclusivePage<'t, 's>> {
        let needed = length.next_multiple_of(ITEM_ALIGN) + self.reserve();
        let mut candidate = match self.target.get() {
            Some(block) => Some(block),
            None => self.find_or_last(store, needed)?,
        };
        // A map that is wrong is corrected by each look; but it may be wrong for long.
        for _ in 0..100 {
            let Some(block) = candidate else { break };
            if Some(block) == without {
                let pin = self.pin(store, block)?;
                let left = room(pin.lock_shared().page());
                candidate = self.note_and_find(store, block, left, needed)?;
                continue;
            }
            let pin = match self.pin(store, block) {
                Ok(pin) => pin,
                // Somebody has cut the heap off since this session, or the free space map, came to know of the block.
                Err(_) if self.blocks(store)? <= block.get() => {
                    self.forget_target();
                    candidate = self.note_and_find(store, block, 0, needed)?;
                    continue;
                }
                Err(report) => return Err(report),
            };
            let page = pin.lock_exclusive();
            if self.fits(page.page(), length) {
                self.target.set(Some(block));
                return Ok(page);
            }
            let left = room(page.page());
            drop(page);
            candidate = self.note_and_find(store, block, left, needed)?;
        }
        self.extend(store)
    }

    fn find_or_last(&self, store: &Store<'_>, needed: usize) -> Result<Option<BlockNumber>> {
        let found = self.find_room(store, needed)?;
        let last = || Ok(self.blocks(store)?.checked_sub(1).and_then(BlockNumber::new));
        found.map_or_else(last, |block| Ok(Some(block)))
    }

    /// Adds a page; a few at once if the heap has some already, of which others are told.
    fn extend<'t, 's>(&self, store: &'t Store<'s>) -> Result<ExclusivePage<'t, 's>> {
        /// A page in so many is added ahead.
        const AHEAD: u32 = 32;
        const MOST: u32 = 16;
        let fork = self.fork(Fork::Main);
        let count = (self.blocks(store)? / AHEAD).clamp(1, MOST);
        if count > 1 {
            let pins = store.storage.extend_by(fork, count - 1, self.read_options())?;
            for pin in &pins {
                let free = room(pin.lock_shared().page());
                self.note_room(store, pin.block(), free)?;
            }
        }
        let page = store.storage.extend(fork, self.read_options())?;
        self.target.set(Some(page.pin().block()));
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::page::PageBuf;

    #[test]
    fn lines_are_used_again_before_new_ones_are_made() {
        let mut page = PageBuf::zeroed();
        let mut view = page.view_mut();
        assert_eq!((next_line(view.as_ref()), room(view.as_ref())), (1, 8152));
        for line in 1..=3 {
            assert!(put(&mut view, line, &[7; 40]));
        }
        view.set_unused(2);
        assert_eq!((next_line(view.as_ref()), room(view.as_ref())), (2, (8192 - 32 - 12 - 120) & !7));
        assert!(put(&mut view, 2, &[7; 40]));
        assert_eq!(next_line(view.as_ref()), 4);
        assert!(view.as_ref().flags().contains(PageFlags::HAS_FREE_LINES), "until somebody finds none");
        assert!(put(&mut view, 4, &[7; 40]));
        assert!(!view.as_ref().flags().contains(PageFlags::HAS_FREE_LINES));
        assert!(!put(&mut view, 5, &[7; 8100]));
    }
}
