//! The free space map: how much room a heap's pages have, in a fork of its own.
//!
//! Each page of the map is a binary tree of bytes in an array: a leaf says how much room a page of the heap (or the best page
//! below a page of the map) has, in steps of 32 bytes; an inner node has the greater of its two children. Three levels of
//! pages are enough for any heap:
//!
//! ```text
//! block 0: root   block 1: first inner page   block 2: first leaf page   …   block 2 + LEAVES: second inner page   …
//! ```
//!
//! It is not logged, and nothing in it is believed: who is led to a page without room says so and looks again; a page that
//! cannot be read, or leads nowhere, is made anew.

use super::Heap;
use crate::access::engine::Store;
use crate::report::{Result, SqlState};
use crate::storage::buffer::{ExclusivePage, ReadOptions};
use crate::storage::ids::{BlockNumber, BufferTag, Fork, PAGE_SIZE};
use crate::storage::page::{HEADER_SIZE, PageMut, PageRef};

/// Bytes of room that a step stands for.
const STEP: usize = 32;

const NODES: usize = PAGE_SIZE - HEADER_SIZE;
const INNER: usize = 4095;

/// Leaves of a page of the map.
const LEAVES: u32 = (NODES - INNER) as u32;

/// Looks before a new page is made instead.
const MOST_LOOKS: usize = 50;

fn category(room: usize) -> u8 {
    (room / STEP).min(254) as u8
}

fn needed_category(needed: usize) -> u8 {
    needed.div_ceil(STEP).min(254) as u8
}

/// A page of the map: its level, 0 for leaves, and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    level: u32,
    number: u32,
}

const ROOT: Place = Place { level: 2, number: 0 };

impl Place {
    fn block(self) -> BlockNumber {
        let number = u64::from(self.number);
        let leaves = u64::from(LEAVES);
        let block = match self.level {
            0 => number + number / leaves + 2,
            1 => number * (leaves + 1) + 1,
            _ => 0,
        };
        u32::try_from(block).ok().and_then(BlockNumber::new).unwrap_or(BlockNumber::ZERO)
    }

    /// The page below a leaf; `None`: the leaf is a page of the heap.
    fn below(self, leaf: u32) -> Option<Self> {
        let level = self.level.checked_sub(1)?;
        Some(Self { level, number: self.number.checked_mul(LEAVES)?.checked_add(leaf)? })
    }

    /// The page above, and which leaf of that this is.
    fn above(self) -> Option<(Self, u32)> {
        let above = Self { level: self.level + 1, number: self.number / LEAVES };
        (self.level < ROOT.level).then_some((above, self.number % LEAVES))
    }
}

fn node(page: PageRef<'_>, index: usize) -> u8 {
    page.special().get(index).copied().unwrap_or(0)
}

/// The greatest of a page's leaves.
fn top(page: PageRef<'_>) -> u8 {
    node(page, 0)
}

fn children(page: PageRef<'_>, index: usize) -> (u8, u8) {
    (node(page, 2 * index + 1), node(page, 2 * index + 2))
}

/// A leaf with at least so much. `choice` spreads those who look at once.
fn find(page: PageRef<'_>, wanted: u8, choice: u32) -> Option<u32> {
    let (mut index, mut bits) = (0, choice);
    if top(page) < wanted {
        return None;
    }
    while index < INNER {
        let (left, right) = children(page, index);
        index = match (left >= wanted, right >= wanted) {
            (true, true) => 2 * index + 1 + (bits & 1) as usize,
            (true, false) => 2 * index + 1,
            (false, true) => 2 * index + 2,
            // Left by a crash in the middle of a change.
            (false, false) => return None,
        };
        bits >>= 1;
    }
    Some((index - INNER) as u32)
}

/// Changes a leaf, and the nodes above it.
fn set(page: &mut PageMut<'_>, leaf: u32, value: u8) {
    let mut index = INNER + leaf as usize;
    if let Some(node) = page.special_mut().get_mut(index) {
        *node = value;
    }
    while index > 0 {
        index = (index - 1) / 2;
        let (left, right) = children(page.as_ref(), index);
        if let Some(node) = page.special_mut().get_mut(index) {
            *node = left.max(right);
        }
    }
}

impl Heap {
    /// Says how much room a page of the heap has.
    pub fn note_room(&self, store: &Store<'_>, block: BlockNumber, room: usize) -> Result<()> {
        let place = Place { level: 0, number: block.get() / LEAVES };
        self.note(store, place, block.get() % LEAVES, category(room))
    }

    fn note(&self, store: &Store<'_>, place: Place, leaf: u32, value: u8) -> Result<()> {
        let (mut place, mut leaf, mut value) = (place, leaf, value);
        loop {
            let Some(page) = self.space_page(store, place, value != 0)? else { return Ok(()) };
            let Some(top) = change(store, page, leaf, value) else { return Ok(()) };
            let Some((above, of_above)) = place.above() else { return Ok(()) };
            (place, leaf, value) = (above, of_above, top);
        }
    }

    /// A page of the heap that should have `needed` bytes of room.
    pub fn find_room(&self, store: &Store<'_>, needed: usize) -> Result<Option<BlockNumber>> {
        let wanted = needed_category(needed);
        let choice = store.me.id().slot().index() as u32;
        let blocks = self.blocks(store)?;
        let mut place = ROOT;
        for _ in 0..MOST_LOOKS {
            let Some(page) = self.space_page(store, place, false)? else { return Ok(None) };
            let (found, top) = (find(page.page(), wanted, choice), top(page.page()));
            drop(page);
            match (found.and_then(|leaf| place.below(leaf)), found) {
                (Some(below), _) => place = below,
                (None, Some(leaf)) => {
                    let block = place.number.saturating_mul(LEAVES).saturating_add(leaf);
                    match BlockNumber::new(block).filter(|block| block.get() < blocks) {
                        Some(block) => return Ok(Some(block)),
                        // Cut off since.
                        None => self.note(store, place, leaf, 0)?,
                    }
                    place = ROOT;
                }
                (None, None) => match place.above() {
                    None => return Ok(None),
                    // The page above promised more.
                    Some((above, leaf)) => {
                        let is_sound = top < wanted;
                        self.note(store, above, leaf, if is_sound { top } else { 0 })?;
                        place = ROOT;
                    }
                },
            }
        }
        Ok(None)
    }

    /// The page that was found has `room` only: where to look next.
    pub(super) fn note_and_find(
        &self,
        store: &Store<'_>,
        block: BlockNumber,
        room: usize,
        needed: usize,
    ) -> Result<Option<BlockNumber>> {
        self.note_room(store, block, room)?;
        Ok(self.find_room(store, needed)?.filter(|found| *found != block))
    }

    /// A page of the map, locked. `None` if it is not there, unless it `may_be_made`.
    fn space_page<'t, 's>(
        &self,
        store: &'t Store<'s>,
        place: Place,
        may_be_made: bool,
    ) -> Result<Option<ExclusivePage<'t, 's>>> {
        let (fork, files, block) = (self.fork(Fork::FreeSpaceMap), store.storage.files(), place.block());
        let is_there = files.exists(fork)? && files.blocks(fork)? > block.get();
        if !is_there && !may_be_made {
            return Ok(None);
        }
        if !is_there {
            files.create(fork, true)?;
            store.storage.extend_to(fork, block.get() + 1)?;
        }
        read(store, fork.block(block)).map(Some)
    }
}

/// Reads a page of the map, or makes it anew.
fn read<'t, 's>(store: &'t Store<'s>, tag: BufferTag) -> Result<ExclusivePage<'t, 's>> {
    let mut page = match store.storage.read(tag) {
        Ok(pin) => pin.lock_exclusive(),
        Err(report) if report.sqlstate == SqlState::DATA_CORRUPTED => {
            store.storage.read_to_init(tag, ReadOptions::default())?
        }
        Err(report) => return Err(report),
    };
    if page.page().special().len() != NODES || page.page().is_new() {
        let _section = store.me.critical_section();
        page.mark_dirty();
        page.page_mut().init(NODES);
    }
    Ok(page)
}

/// Changes a leaf: the page's greatest one, if that is another now.
fn change(store: &Store<'_>, mut page: ExclusivePage<'_, '_>, leaf: u32, value: u8) -> Option<u8> {
    let before = top(page.page());
    if node(page.page(), INNER + leaf as usize) == value {
        return None;
    }
    let _section = store.me.critical_section();
    page.mark_dirty();
    set(&mut page.page_mut(), leaf, value);
    let after = top(page.page());
    (after != before).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::page::PageBuf;

    #[test]
    fn places_do_not_meet() {
        let mut blocks = std::collections::BTreeSet::new();
        assert!(blocks.insert(ROOT.block().get()));
        for inner in 0..3 {
            let inner = Place { level: 1, number: inner };
            assert!(blocks.insert(inner.block().get()), "{inner:?}");
            for leaf in 0..LEAVES {
                let below = inner.below(leaf).expect("leaf pages");
                assert!(blocks.insert(below.block().get()), "{below:?}");
                assert_eq!(below.above(), Some((inner, leaf)));
            }
        }
        assert_eq!(blocks.last(), Some(&(blocks.len() as u32 - 1)), "without a gap");
    }

    #[test]
    fn the_greatest_is_found_whatever_was_noted() {
        let mut page = PageBuf::zeroed();
        let mut view = page.view_mut();
        view.init(NODES);
        assert_eq!(find(view.as_ref(), 1, 0), None);
        let mut model = vec![0; LEAVES as usize];
        let mut random = 12_345_u32;
        for _ in 0..3000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (leaf, value) = (random >> 8 & 0xfff, (random >> 24) as u8);
            let leaf = leaf % LEAVES;
            set(&mut view, leaf, value);
            model[leaf as usize] = value;
            assert_eq!(Some(&top(view.as_ref())), model.iter().max());
            let found = find(view.as_ref(), value, random).expect("there is one");
            assert!(model[found as usize] >= value);
        }
    }

    #[test]
    fn a_page_that_contradicts_itself_leads_nowhere() {
        let mut page = PageBuf::zeroed();
        let mut view = page.view_mut();
        view.init(NODES);
        view.special_mut()[0] = 200;
        assert_eq!(find(view.as_ref(), 100, 7), None);
        set(&mut view, 77, 90);
        assert_eq!(find(view.as_ref(), 80, 0), Some(77));
    }
}
