//! The 8 kB page: header, line pointers that grow upward, items that grow downward, a special area at the end.
//!
//! ```text
//! 0     8         12       14     16     18     20       22    24          32
//! LSN   checksum  version  flags  lower  upper  special  zero  prune hint  line pointers …lower  free  upper… items  special…
//! ```
//!
//! Numbers are little-endian. An all-zero page is *new*: a file was extended by it and nobody has used it yet. Nothing that
//! is read from disk is believed: [`check::verify`] looks at checksum and header before a page gets into the pool, and the
//! accessors here check every number that leads somewhere, so that a page that is wrong in its line pointers is an error of
//! who reads it, never a wild read.

pub mod check;
pub mod items;
pub mod view;

use super::ids::PAGE_SIZE;
pub use check::{Damage, PageError};
pub use items::{Compaction, Item, ItemState, MAX_ITEMS, line_at};
pub use view::{PageBuf, PageMut, PageRef};

/// Bytes of the header.
pub const HEADER_SIZE: usize = 32;

/// Bytes of a line pointer.
pub const LINE_POINTER_SIZE: usize = 4;

/// Version of this format.
pub const FORMAT_VERSION: u16 = 1;

/// Items begin at multiples of this.
pub const ITEM_ALIGN: usize = 8;

const LSN: usize = 0;
pub(super) const CHECKSUM: usize = 8;
const VERSION: usize = 12;
const FLAGS: usize = 14;
const LOWER: usize = 16;
const UPPER: usize = 18;
const SPECIAL: usize = 20;
const RESERVED: usize = 22;
const PRUNE_HINT: usize = 24;

/// Bits of a page's flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageFlags(pub u16);

impl PageFlags {
    /// There may be unused line pointers. A hint.
    pub const HAS_FREE_LINES: Self = Self(1);
    /// There was no room for a new version of a row: prune.
    pub const FULL: Self = Self(2);
    /// All items are visible to everybody.
    pub const ALL_VISIBLE: Self = Self(4);

    /// Whether it has all bits of `other`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl<'a> PageRef<'a> {
    /// LSN of the last record that changed it.
    #[inline]
    pub fn lsn(self) -> u64 {
        self.u64_at(LSN)
    }

    /// Flags.
    pub fn flags(self) -> PageFlags {
        PageFlags(self.u16_at(FLAGS))
    }

    /// Where the free space begins.
    #[inline]
    pub fn lower(self) -> usize {
        self.u16_at(LOWER).into()
    }

    /// Where it ends.
    #[inline]
    pub fn upper(self) -> usize {
        self.u16_at(UPPER).into()
    }

    /// Where the special area begins.
    #[inline]
    pub fn special_start(self) -> usize {
        self.u16_at(SPECIAL).into()
    }

    /// The special area; empty if the header is nonsense.
    #[inline]
    pub fn special(self) -> &'a [u8] {
        let start = self.special_start().min(PAGE_SIZE);
        self.slice(start, PAGE_SIZE - start)
    }

    /// Transaction id that may make pruning worth while, 0: none.
    pub fn prune_hint(self) -> u64 {
        self.u64_at(PRUNE_HINT)
    }

    /// Nobody has used it yet.
    #[inline]
    pub fn is_new(self) -> bool {
        self.upper() == 0
    }
}

impl PageMut<'_> {
    /// Makes it an empty page with a special area of `special_size` bytes, which are rounded up.
    ///
    /// # Panics
    /// If the special area does not fit.
    pub fn init(&mut self, special_size: usize) {
        let special = special_size.next_multiple_of(ITEM_ALIGN);
        assert!(special <= PAGE_SIZE - HEADER_SIZE, "a special area of {special} bytes");
        self.bytes_mut().fill(0);
        let end = (PAGE_SIZE - special) as u16;
        self.put_u16(VERSION, FORMAT_VERSION);
        self.put_u16(LOWER, HEADER_SIZE as u16);
        self.put_u16(UPPER, end);
        self.put_u16(SPECIAL, end);
    }

    /// Notes the record that changed it.
    #[inline]
    pub fn set_lsn(&mut self, lsn: u64) {
        self.put_u64(LSN, lsn);
    }

    /// Sets all flags.
    pub fn set_flags(&mut self, flags: PageFlags) {
        self.put_u16(FLAGS, flags.0);
    }

    /// Adds flags.
    pub fn add_flags(&mut self, flags: PageFlags) {
        self.set_flags(PageFlags(self.as_ref().flags().0 | flags.0));
    }

    /// Takes flags away.
    pub fn remove_flags(&mut self, flags: PageFlags) {
        self.set_flags(PageFlags(self.as_ref().flags().0 & !flags.0));
    }

    /// See [`PageRef::prune_hint`].
    pub fn set_prune_hint(&mut self, xid: u64) {
        self.put_u64(PRUNE_HINT, xid);
    }

    /// The special area.
    pub fn special_mut(&mut self) -> &mut [u8] {
        let start = self.as_ref().special_start().min(PAGE_SIZE);
        self.slice_mut(start, PAGE_SIZE - start)
    }

    fn set_lower(&mut self, lower: usize) {
        self.put_u16(LOWER, lower as u16);
    }

    fn set_upper(&mut self, upper: usize) {
        self.put_u16(UPPER, upper as u16);
    }
}
