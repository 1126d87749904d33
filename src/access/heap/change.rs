//! What records about heaps say, and how both who changes and redo make these changes.
//!
//! | kind | block 0 | block 1 |
//! | --- | --- | --- |
//! | `Insert` | version | |
//! | `Delete`, `Lock` | end | |
//! | `Update`, `HotUpdate` | end of the old version, and the new one if it is on the same page | new version |
//! | `Retract` | line | |
//!
//! A *version* is line, mask (two bytes each), `xmax` (six), row; `xmin` is the record's transaction. An *end* is line, mask,
//! `xmax`, `ctid` (six). Blocks 2 and 3 are pages of the visibility map in which the bits of blocks 0 and 1 are cleared.

use super::Heap;
use super::tuple::{Mask, NewTuple, NewXmax, set_xmax};
use super::visibility_map::{Status, map_block, set_status};
use crate::access::change::{BlockUse, Change, Changing};
use crate::access::ctid::Ctid;
use crate::access::engine::Store;
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::ids::BlockNumber;
use crate::storage::page::{PageFlags, PageMut};

/// What a record about a heap says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum HeapKind {
    /// A row was inserted.
    Insert = 0x00,
    /// A row was deleted.
    Delete = 0x10,
    /// A row was replaced, and indexes are told.
    Update = 0x20,
    /// A row was replaced on its page, and no index is told.
    HotUpdate = 0x30,
    /// A row was locked.
    Lock = 0x40,
    /// An insertion was taken back.
    Retract = 0x50,
}

impl HeapKind {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Insert, Self::Delete, Self::Update, Self::HotUpdate, Self::Lock, Self::Retract];

    /// As `tuskd waldump` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Delete => "DELETE",
            Self::Update => "UPDATE",
            Self::HotUpdate => "HOT_UPDATE",
            Self::Lock => "LOCK",
            Self::Retract => "RETRACT",
        }
    }

    /// The kind of a record's info.
    pub fn from_info(info: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == info)
    }
}

/// Appends a version as records have it.
pub(super) fn put_version(new: NewTuple, line: u16, row: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(&line.to_le_bytes());
    to.extend_from_slice(&new.mask.0.to_le_bytes());
    to.extend_from_slice(&new.xmax.to_le_bytes()[..6]);
    to.extend_from_slice(row);
}

/// Bytes of an end.
pub(super) const END: usize = 16;

/// A version's end as records have it. `next` is given.
pub(super) fn end_bytes(line: u16, new: NewXmax, next: Ctid) -> [u8; END] {
    let mut bytes = [0; END];
    bytes[0..2].copy_from_slice(&line.to_le_bytes());
    bytes[2..4].copy_from_slice(&new.mask.0.to_le_bytes());
    bytes[4..10].copy_from_slice(&new.xmax.to_le_bytes()[..6]);
    bytes[10..16].copy_from_slice(&next.to_bytes());
    bytes
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// An end from a record: the line, and what is said about its version.
pub(super) fn read_end(bytes: &[u8]) -> Option<(u16, NewXmax)> {
    let bytes: &[u8; END] = bytes.first_chunk()?;
    let next = Ctid::from_bytes(*bytes[10..].first_chunk()?)?;
    let mask = Mask(number(&bytes[2..4]) as u16);
    Some((
        number(&bytes[0..2]) as u16,
        NewXmax { xmax: number(&bytes[4..10]), mask, next: Some(next), cmax: 0 },
    ))
}

/// A version from a record: its line, its header, its row.
pub(super) fn read_version(bytes: &[u8], xmin: u64) -> Option<(u16, NewTuple, &[u8])> {
    let (head, row) = bytes.split_at_checked(10)?;
    let mask = Mask(number(&head[2..4]) as u16);
    Some((number(&head[0..2]) as u16, NewTuple { xmin, xmax: number(&head[4..]), mask, cmin: 0 }, row))
}

/// Ends a version: it is deleted, replaced or locked.
pub(super) fn end(page: &mut PageMut<'_>, line: u16, new: NewXmax, xid: u64) -> bool {
    if !new.mask.has(Mask::LOCK_ONLY) {
        note_prunable(page, xid);
    }
    set_xmax(page, line, new)
}

/// Says that pruning may be worth while once `xid` has ended.
pub(super) fn note_prunable(page: &mut PageMut<'_>, xid: u64) {
    let hint = page.as_ref().prune_hint();
    if hint == 0 || xid < hint {
        page.set_prune_hint(xid);
    }
}

/// Not everybody sees all of a page any more.
pub(super) fn not_all_visible(page: &mut PageMut<'_>) {
    page.remove_flags(PageFlags::ALL_VISIBLE);
}

/// Takes the bits of blocks of the heap away, as far as they are on this page of the map.
pub(super) fn clear_map(page: &mut PageMut<'_>, map: BlockNumber, blocks: [Option<BlockNumber>; 2]) {
    for block in blocks.into_iter().flatten().filter(|block| map_block(*block) == map) {
        set_status(page, block, Status::default());
    }
}

/// Pages of the visibility map that a change makes wrong, locked: at most two.
pub(super) struct Maps<'t, 's>(Vec<ExclusivePage<'t, 's>>);

/// What of them is to be cleared.
pub(super) struct Cleared {
    maps: [Option<BlockNumber>; 2],
    blocks: [Option<BlockNumber>; 2],
}

impl<'t, 's> Maps<'t, 's> {
    /// Those for the pages that are all visible so far.
    pub fn of(heap: &Heap, store: &'t Store<'s>, pages: &[&ExclusivePage<'t, 's>]) -> Result<Self> {
        let is_visible = |page: &ExclusivePage<'_, '_>| {
            !page.page().is_new() && page.page().flags().contains(PageFlags::ALL_VISIBLE)
        };
        let visible = pages.iter().filter(|page| is_visible(page));
        let mut blocks: Vec<_> = visible.map(|page| map_block(page.pin().block())).collect();
        blocks.sort_unstable();
        blocks.dedup();
        Ok(Self(blocks.into_iter().map(|block| heap.map_page(store, block)).collect::<Result<_>>()?))
    }

    /// Adds them to a change of these blocks.
    pub fn add_to<'c>(
        &'c mut self,
        change: Change<'c, 't, 's>,
        blocks: [Option<BlockNumber>; 2],
    ) -> (Change<'c, 't, 's>, Cleared) {
        let (mut change, mut maps) = (change, [None, None]);
        for ((id, page), map) in (2..).zip(&mut self.0).zip(&mut maps) {
            *map = Some(page.pin().block());
            let used = if page.page().is_new() { BlockUse::Init } else { BlockUse::Modify };
            change = change.block(id, page, used, &[]);
        }
        (change, Cleared { maps, blocks })
    }
}

impl Cleared {
    /// Clears heap pages' flags and the map's bits; the heap's pages come first in the change, `heap_pages` of them.
    pub fn clear(&self, pages: &mut Changing<'_, '_, '_, '_>, heap_pages: usize) {
        (0..heap_pages).for_each(|index| not_all_visible(&mut pages.page(index)));
        for (index, map) in self.maps.iter().flatten().enumerate() {
            clear_map(&mut pages.page(heap_pages + index), *map, self.blocks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_say_what_was_done() {
        let block = |number| BlockNumber::new(number).expect("a block");
        let mask = Mask::HEAP_ONLY.with(Mask::MULTI);
        let new = NewTuple { xmin: 77, xmax: 0x0102_0304_0506, mask, cmin: 0 };
        let mut bytes = Vec::new();
        put_version(new, 9, b"row", &mut bytes);
        let (line, read, row) = read_version(&bytes, 77).expect("a version");
        assert_eq!((line, read.xmin, read.xmax, read.mask, row), (9, 77, new.xmax, mask, &b"row"[..]));
        let next = Ctid::new(block(70_000), 3);
        let ended = NewXmax { xmax: 0xa0b0_c0d0_e0f0, mask, next: Some(next), cmax: 0 };
        assert_eq!(read_end(&end_bytes(9, ended, next)), Some((9, ended)));
        assert_eq!(read_end(&[0; END]), None);
        assert!(read_version(&[0; 9], 1).is_none());
        for kind in HeapKind::ALL {
            assert_eq!(HeapKind::from_info(kind as u8), Some(kind));
        }
    }
}
