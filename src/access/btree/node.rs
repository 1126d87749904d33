//! A page of the tree: its special area, its entries, and what it takes to make one.
//!
//! The special area, little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | left sibling; of a deleted page, the next free one |
//! | 4..8 | right sibling |
//! | 8..10 | level, 0: leaf |
//! | 10..12 | flags |
//! | 12..14 | hint: bit 0, there may be entries marked dead |
//! | 14..16 | [`MAGIC`] |
//! | 16..24 | of a deleted page of an unlogged index: the log's end when it was deleted |
//!
//! A page that is not the last of its level has its high key at line 1; its other lines are its entries in order, all of
//! them below the high key. An *entry* of a leaf is a row's address (6 bytes), then the key row. An entry of an inner page, or a
//! high key, is a *pivot*: child (4 bytes) and an address's line (2), then, if that is not 0, the address's block (4), then
//! the key row, which may have fewer columns than keys have. What it has not is below all values: a pivot is a cut in the
//! order of the entries. The first entry of an inner page has no columns.
//!
//! Entries that are dead are marked so in their line pointer, as a hint.

use crate::access::ctid::Ctid;
use crate::storage::ids::{BlockNumber, PAGE_SIZE};
use crate::storage::page::{HEADER_SIZE, ItemState, LINE_POINTER_SIZE, PageBuf, PageMut, PageRef};

/// Marks pages of this format.
pub(super) const MAGIC: u16 = 0xb7e1;

/// No sibling.
pub(super) const NONE: u32 = u32::MAX;

/// Bytes of the special area.
pub(super) const SPECIAL_SIZE: usize = 24;

/// Bytes for lines and items.
pub(super) const CAPACITY: usize = PAGE_SIZE - HEADER_SIZE - SPECIAL_SIZE;

/// Highest level that a page can have; a tree of that height has more entries than there are rows.
pub(super) const MAX_LEVEL: u16 = 31;

const SPECIAL: usize = PAGE_SIZE - SPECIAL_SIZE;
const LEFT: usize = SPECIAL;
const RIGHT: usize = SPECIAL + 4;
const LEVEL: usize = SPECIAL + 8;
const FLAGS: usize = SPECIAL + 10;
const HINTS: usize = SPECIAL + 12;
const MAGIC_AT: usize = SPECIAL + 14;
const DELETED_AT: usize = SPECIAL + 16;

/// The bit of [`HINTS`].
const HAS_DEAD: u16 = 1;

/// Bits of a page's flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct NodeFlags(pub u16);

impl NodeFlags {
    /// A page of the tree whose level is 0.
    pub const LEAF: Self = Self(1);
    /// Not a page of the tree, but what says where that begins.
    pub const META: Self = Self(2);
    /// Not part of the tree any more.
    pub const DELETED: Self = Self(4);
    /// Its right sibling, made by a split of it, has no downlink yet.
    pub const INCOMPLETE_SPLIT: Self = Self(8);
    const KNOWN: u16 = 15;

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// What stands in the special area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Special {
    pub left: u32,
    pub right: u32,
    pub level: u16,
    pub flags: NodeFlags,
    pub deleted_at: u64,
}

impl Special {
    /// Bytes of one in a record.
    pub const ENCODED: usize = 20;

    pub fn encode(&self) -> [u8; Self::ENCODED] {
        let mut bytes = [0; Self::ENCODED];
        bytes[0..4].copy_from_slice(&self.left.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.right.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.level.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.flags.0.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.deleted_at.to_le_bytes());
        bytes
    }

    /// Back, and what follows; `None` for bytes that are none.
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (bytes, rest) = bytes.split_first_chunk::<{ Self::ENCODED }>()?;
        let special = Self {
            left: u32::from_le_bytes(*bytes[0..].first_chunk()?),
            right: u32::from_le_bytes(*bytes[4..].first_chunk()?),
            level: u16::from_le_bytes(*bytes[8..].first_chunk()?),
            flags: NodeFlags(u16::from_le_bytes(*bytes[10..].first_chunk()?)),
            deleted_at: u64::from_le_bytes(*bytes[12..].first_chunk()?),
        };
        special.is_sane().then_some((special, rest))
    }

    fn is_sane(&self) -> bool {
        let is_leaf = self.flags.contains(NodeFlags::LEAF);
        let is_meta = self.flags.contains(NodeFlags::META);
        let is_known = self.flags.0 & !NodeFlags::KNOWN == 0;
        is_known && self.level <= MAX_LEVEL && (is_meta || is_leaf == (self.level == 0))
    }

    /// Puts it on a page.
    pub fn put(&self, page: &mut PageMut<'_>) {
        page.put_u32(LEFT, self.left);
        page.put_u32(RIGHT, self.right);
        page.put_u16(LEVEL, self.level);
        page.put_u16(FLAGS, self.flags.0);
        page.put_u16(HINTS, 0);
        page.put_u16(MAGIC_AT, MAGIC);
        page.put_u64(DELETED_AT, self.deleted_at);
    }
}

/// Why a page is no page of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// All zeroes.
    Zero,
    /// Anything else.
    Corrupted,
}

/// What was found on a page, or why it cannot be believed.
pub(super) type Looked<T> = Result<T, Broken>;

/// A page of the tree, looked at.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    page: PageRef<'a>,
    lines: u16,
}

impl<'a> Node<'a> {
    /// Looks at a page.
    #[inline]
    pub fn new(page: PageRef<'a>) -> Looked<Self> {
        if page.is_new() {
            return Err(Broken::Zero);
        }
        let is_ours = page.special_start() == SPECIAL && page.u16_at(MAGIC_AT) == MAGIC;
        let node = Self { page, lines: page.lines() };
        let has_room = page.lower() <= page.upper() && page.upper() <= SPECIAL;
        if !is_ours || !has_room || page.u16_at(LEVEL) > MAX_LEVEL {
            return Err(Broken::Corrupted);
        }
        let flags = node.flags();
        let is_whole = flags.contains(NodeFlags::DELETED) || node.is_rightmost() || node.lines > 0;
        let is_tree = !flags.contains(NodeFlags::META) && flags.contains(NodeFlags::LEAF) == node.is_leaf();
        if is_whole && is_tree { Ok(node) } else { Err(Broken::Corrupted) }
    }

    pub fn page(self) -> PageRef<'a> {
        self.page
    }

    #[inline]
    pub fn left(self) -> u32 {
        self.page.u32_at(LEFT)
    }

    #[inline]
    pub fn right(self) -> u32 {
        self.page.u32_at(RIGHT)
    }

    #[inline]
    pub fn level(self) -> u16 {
        self.page.u16_at(LEVEL)
    }

    #[inline]
    pub fn flags(self) -> NodeFlags {
        NodeFlags(self.page.u16_at(FLAGS))
    }

    pub fn special(self) -> Special {
        Special {
            left: self.left(),
            right: self.right(),
            level: self.level(),
            flags: self.flags(),
            deleted_at: self.page.u64_at(DELETED_AT),
        }
    }

    #[inline]
    pub fn is_leaf(self) -> bool {
        self.level() == 0
    }

    #[inline]
    pub fn is_rightmost(self) -> bool {
        self.right() == NONE
    }

    pub fn is_leftmost(self) -> bool {
        self.left() == NONE
    }

    #[inline]
    pub fn is_deleted(self) -> bool {
        self.flags().contains(NodeFlags::DELETED)
    }

    pub fn is_split_incompletely(self) -> bool {
        self.flags().contains(NodeFlags::INCOMPLETE_SPLIT)
    }

    /// Whether there may be entries marked dead.
    pub fn may_have_dead(self) -> bool {
        self.page.u16_at(HINTS) & HAS_DEAD != 0
    }

    /// When a page was deleted: nobody whose snapshot is younger has a link to it.
    pub fn deleted_at(self) -> u64 {
        self.page.lsn().max(self.page.u64_at(DELETED_AT))
    }

    /// Line of the first entry.
    #[inline]
    pub fn first(self) -> u16 {
        if self.is_rightmost() { 1 } else { 2 }
    }

    /// Line of the last entry; below the first if there is none.
    #[inline]
    pub fn last(self) -> u16 {
        self.lines
    }

    /// Number of entries.
    pub fn count(self) -> usize {
        usize::from((self.lines + 1).saturating_sub(self.first()))
    }

    /// The high key; `None` on the last page of a level.
    #[inline]
    pub fn high_key(self) -> Option<Looked<Entry<'a>>> {
        (!self.is_rightmost()).then(|| self.read(1, true))
    }

    /// The entry at a line from [`Self::first`] to [`Self::last`].
    #[inline]
    pub fn entry(self, line: u16) -> Looked<Entry<'a>> {
        self.read(line, !self.is_leaf())
    }

    #[inline]
    fn read(self, line: u16, is_pivot: bool) -> Looked<Entry<'a>> {
        let item = self.page.item(line).map_err(|_| Broken::Corrupted)?;
        let is_dead = item.state == ItemState::Dead;
        if !is_dead && item.state != ItemState::Normal {
            return Err(Broken::Corrupted);
        }
        Entry::new(item.bytes, is_pivot).ok_or(Broken::Corrupted)
    }

    /// Whether the entry at a line is marked dead.
    pub fn is_dead(self, line: u16) -> bool {
        self.page.item(line).is_ok_and(|item| item.state == ItemState::Dead)
    }

    /// The entries' bytes, in order.
    pub fn entries(self) -> Looked<Vec<&'a [u8]>> {
        (self.first()..=self.last()).map(|line| Ok(self.entry(line)?.bytes)).collect()
    }

    /// Lines of the entries that are marked dead.
    pub fn dead_lines(self) -> Vec<u16> {
        (self.first()..=self.last()).filter(|line| self.is_dead(*line)).collect()
    }
}

/// Whether a page says that it is an index's first block.
pub(super) fn is_first_block(page: PageRef<'_>) -> bool {
    page.special_start() == SPECIAL
        && page.u16_at(MAGIC_AT) == MAGIC
        && page.u16_at(FLAGS) == NodeFlags::META.0
}

/// Offset of the hint word that says of a line that it is dead, and the bits that say so.
///
/// A line pointer's state is in bits 15 and 16: normal is 1, dead 3.
pub(super) fn dead_hint(line: u16) -> (usize, u16) {
    (HEADER_SIZE + (usize::from(line) - 1) * LINE_POINTER_SIZE + 2, 1)
}

/// Offset and bits of the hint that there are dead lines.
pub(super) const PAGE_HAS_DEAD: (usize, u16) = (HINTS, HAS_DEAD);

/// An entry or a pivot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// Where the key row begins.
    row: usize,
    is_pivot: bool,
}

impl<'a> Entry<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8], is_pivot: bool) -> Option<Self> {
        let row = if is_pivot && bytes.len() > 6 && (bytes[4] | bytes[5]) != 0 { 10 } else { 6 };
        (bytes.len() >= row + 2).then_some(Self { bytes, row, is_pivot })
    }

    /// The key row.
    #[inline]
    pub fn row(self) -> &'a [u8] {
        &self.bytes[self.row..]
    }

    /// A leaf's row address, or what a pivot has of it.
    #[inline]
    pub fn ctid(self) -> Option<Ctid> {
        let [a, b, c, d, e, f] = *self.bytes.first_chunk()?;
        match (self.is_pivot, self.row) {
            (false, _) => Ctid::from_bytes([a, b, c, d, e, f]),
            (true, 6) => None,
            (true, _) => {
                let [a, b, c, d] = *self.bytes[6..].first_chunk()?;
                Ctid::from_bytes([a, b, c, d, e, f])
            }
        }
    }

    /// The page that an inner page's entry leads to; never the first block, which is no page of the tree.
    #[inline]
    pub fn child(self) -> Option<BlockNumber> {
        let child = u32::from_le_bytes(*self.bytes.first_chunk()?);
        BlockNumber::new(child).filter(|_| child != 0)
    }
}

/// Appends a leaf's entry.
pub(super) fn put_entry(to: &mut Vec<u8>, ctid: Ctid, row: &[u8]) {
    to.extend_from_slice(&ctid.to_bytes());
    to.extend_from_slice(row);
}

/// Appends a pivot.
pub(super) fn put_pivot(to: &mut Vec<u8>, child: u32, ctid: Option<Ctid>, row: &[u8]) {
    to.extend_from_slice(&child.to_le_bytes());
    match ctid {
        None => to.extend_from_slice(&[0; 2]),
        Some(ctid) => {
            to.extend_from_slice(&ctid.line.to_le_bytes());
            to.extend_from_slice(&ctid.block.get().to_le_bytes());
        }
    }
    to.extend_from_slice(row);
}

/// The first entry of an inner page: below all keys.
pub(super) fn lowest_pivot(child: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&child.to_le_bytes());
    bytes
}

/// A pivot with another child.
pub(super) fn with_child(pivot: &[u8], child: u32) -> Vec<u8> {
    let mut bytes = pivot.to_vec();
    bytes[..4].copy_from_slice(&child.to_le_bytes());
    bytes
}

/// Bytes that an item takes on a page, with its line.
pub(super) fn space(len: usize) -> usize {
    len.next_multiple_of(8) + LINE_POINTER_SIZE
}

/// Makes a page of the tree. `false` if the items do not fit.
pub(super) fn build<'i>(
    page: &mut PageMut<'_>,
    special: &Special,
    items: impl Iterator<Item = &'i [u8]>,
) -> bool {
    page.init(SPECIAL_SIZE);
    special.put(page);
    items.zip(1..).all(|(item, line)| page.insert(item, Some(line)).is_some())
}

/// The same in private memory.
pub(super) fn built<'i>(special: &Special, items: impl Iterator<Item = &'i [u8]>) -> Option<Box<PageBuf>> {
    let mut page = PageBuf::zeroed();
    build(&mut page.view_mut(), special, items).then_some(page)
}

/// Replaces what a page has by what another has, but for its LSN, which says until its new one is known whether the record
/// of the change needs an image.
pub(super) fn overwrite(page: &mut PageMut<'_>, by: &PageBuf) {
    let lsn = page.as_ref().lsn();
    page.bytes_mut().copy_from_slice(&by.0);
    page.set_lsn(lsn);
}

/// Changes a page's flags.
pub(super) fn set_flags(page: &mut PageMut<'_>, flags: NodeFlags) {
    page.put_u16(FLAGS, flags.0);
}

/// Takes a flag away; whatever the page is.
pub(super) fn clear_flag(page: &mut PageMut<'_>, flag: NodeFlags) {
    let flags = NodeFlags(page.as_ref().u16_at(FLAGS));
    set_flags(page, flags.without(flag));
}

/// Changes the link to the left sibling, or to the next free page.
pub(super) fn set_left(page: &mut PageMut<'_>, left: u32) {
    page.put_u32(LEFT, left);
}

/// Changes the link to the right sibling.
pub(super) fn set_right(page: &mut PageMut<'_>, right: u32) {
    page.put_u32(RIGHT, right);
}

/// Says that no entry is marked dead.
pub(super) fn clear_has_dead(page: &mut PageMut<'_>) {
    page.put_u16(HINTS, 0);
}
