//! A version of a row on its page: its header, and the row behind it.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..6 | `xmin`: who made it |
//! | 6..12 | `xmax`: who deleted, replaced or locked it, or a multi-locker id; 0: nobody |
//! | 12..18 | `ctid`: the next version, or its own address |
//! | 18..20 | [`Mask`]: what `xmax` means, and the version's place in a chain; changed under an exclusive lock, and logged |
//! | 20..22 | [`Hints`]: what became of `xmin` and `xmax`; may be lost, and is set under a shared lock |
//! | 22..26 | `cmin`: command that made it |
//! | 26..30 | `cmax`: command that deleted or replaced it |
//! | 30.. | the row |
//!
//! Commands matter to their own transaction only, so they are not in the log: after redo they are 0.

use crate::access::ctid::Ctid;
use crate::report::{Report, Result, SqlState};
use crate::storage::ids::{BufferTag, PAGE_SIZE};
use crate::storage::page::{HEADER_SIZE, ITEM_ALIGN, Item, ItemState, LINE_POINTER_SIZE, PageMut, PageRef};
use crate::txn::Xid;

/// Bytes of the header.
pub const TUPLE_HEADER: usize = 30;

/// Longest version, with its header.
pub const MAX_TUPLE: usize = (PAGE_SIZE - HEADER_SIZE - LINE_POINTER_SIZE) & !(ITEM_ALIGN - 1);

/// Most lines of a heap's page, so that lines without versions do not crowd it.
pub const MAX_LINES: u16 = 291;

const XMIN: usize = 0;
const XMAX: usize = 6;
const CTID: usize = 12;
const MASK: usize = 18;
const HINTS: usize = 20;
const CMIN: usize = 22;
const CMAX: usize = 26;

const ID_BITS: u64 = (1 << 48) - 1;

/// The four strengths of row locks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum RowLock {
    /// `FOR KEY SHARE`: the key stays.
    KeyShare = 0,
    /// `FOR SHARE`: the row stays.
    Share = 1,
    /// `FOR NO KEY UPDATE`: it may be changed, but not its key.
    NoKeyUpdate = 2,
    /// `FOR UPDATE`: it may be deleted, or its key changed.
    Update = 3,
}

impl RowLock {
    /// All, weakest first.
    pub const ALL: [Self; 4] = [Self::KeyShare, Self::Share, Self::NoKeyUpdate, Self::Update];

    /// From the lower two bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self::ALL[(bits & 3) as usize]
    }

    /// Whether two transactions cannot have both: PostgreSQL's table of conflicting row-level locks.
    pub const fn excludes(self, other: Self) -> bool {
        // Each excludes those that are as strong as what it leaves to others; the two sum up to more than three.
        self as u8 + other as u8 >= 3
    }
}

/// What a version's `xmax` means, and where it is in its chain.
///
/// | bit | what |
/// | --- | --- |
/// | 0 | a newer version is on this page, and no index knows it by itself |
/// | 1 | indexes know it by its chain's first line only |
/// | 2 | `xmax` locks only |
/// | 3 | `xmax` is a multi-locker id |
/// | 4, 5 | how strongly `xmax` locks; of an update or a delete too |
/// | 6 | `xmin` is committed and visible to everybody, for good |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mask(pub u16);

impl Mask {
    /// Bit 0.
    pub const HOT_UPDATED: Self = Self(1);
    /// Bit 1.
    pub const HEAP_ONLY: Self = Self(2);
    /// Bit 2.
    pub const LOCK_ONLY: Self = Self(4);
    /// Bit 3.
    pub const MULTI: Self = Self(8);
    /// Bit 6.
    pub const FROZEN: Self = Self(64);

    const LOCK_SHIFT: u16 = 4;
    const OF_XMAX: u16 = 1 | 4 | 8 | 3 << Self::LOCK_SHIFT;

    /// Whether it has all bits of `other`.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With this strength of lock.
    #[must_use]
    pub const fn with_lock(self, lock: RowLock) -> Self {
        Self(self.0 & !(3 << Self::LOCK_SHIFT) | (lock as u16) << Self::LOCK_SHIFT)
    }

    /// How strongly `xmax` locks.
    pub const fn lock(self) -> RowLock {
        RowLock::from_bits(self.0 >> Self::LOCK_SHIFT)
    }

    /// Without what is said about `xmax`.
    #[must_use]
    pub const fn without_xmax(self) -> Self {
        Self(self.0 & !Self::OF_XMAX)
    }
}

/// Bits of the hint word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hints(pub u16);

impl Hints {
    /// `xmin` is committed, durable, and below the horizon: everybody sees what it did.
    pub const XMIN_COMMITTED: Self = Self(1);
    /// `xmin` was rolled back.
    pub const XMIN_ABORTED: Self = Self(2);
    /// `xmax`, which is no multi-locker id and does not lock only, is committed, durable, and below the horizon.
    pub const XMAX_COMMITTED: Self = Self(4);
    /// `xmax`, which is no multi-locker id, was rolled back, or locked only and has ended.
    pub const XMAX_ABORTED: Self = Self(8);

    const OF_XMAX: u16 = 4 | 8;

    /// Whether it has all bits of `other`.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A version of a row, on a page whose content is locked or private.
#[derive(Clone, Copy)]
pub struct TupleRef<'a> {
    page: PageRef<'a>,
    offset: usize,
    length: usize,
}

impl<'a> TupleRef<'a> {
    /// The item of a line, if it is long enough to be a version of a row.
    #[inline]
    pub fn new(page: PageRef<'a>, item: &Item<'_>) -> Option<Self> {
        let (offset, length) = (item.offset, item.bytes.len());
        (item.state == ItemState::Normal && length > TUPLE_HEADER).then_some(Self { page, offset, length })
    }

    /// Who made it; 0: nobody any more.
    #[inline]
    pub fn xmin(self) -> u64 {
        self.page.u64_at(self.offset + XMIN) & ID_BITS
    }

    /// Who deleted, replaced or locked it, or a multi-locker id.
    #[inline]
    pub fn xmax(self) -> u64 {
        self.page.u64_at(self.offset + XMAX) & ID_BITS
    }

    /// The next version, or its own address; `None` if that makes no sense.
    pub fn ctid(self) -> Option<Ctid> {
        let bytes = self.page.slice(self.offset + CTID, Ctid::SIZE).first_chunk()?;
        Ctid::from_bytes(*bytes)
    }

    /// See [`Mask`].
    #[inline]
    pub fn mask(self) -> Mask {
        Mask(self.page.u16_at(self.offset + MASK))
    }

    /// See [`Hints`].
    #[inline]
    pub fn hints(self) -> Hints {
        Hints(self.page.u16_at(self.offset + HINTS))
    }

    /// Offset of the hint word on the page.
    #[inline]
    pub fn hints_at(self) -> usize {
        self.offset + HINTS
    }

    /// Command that made it.
    pub fn cmin(self) -> u32 {
        self.page.u32_at(self.offset + CMIN)
    }

    /// Command that deleted or replaced it.
    pub fn cmax(self) -> u32 {
        self.page.u32_at(self.offset + CMAX)
    }

    /// Where the row is on the page, and its length.
    #[inline]
    pub fn row_place(self) -> (u16, u16) {
        ((self.offset + TUPLE_HEADER) as u16, (self.length - TUPLE_HEADER) as u16)
    }

    /// The row.
    #[inline]
    pub fn row(self) -> &'a [u8] {
        self.page.slice(self.offset + TUPLE_HEADER, self.length - TUPLE_HEADER)
    }

    /// Bytes of all of it.
    #[expect(clippy::len_without_is_empty, reason = "there is always a header")]
    pub fn len(self) -> usize {
        self.length
    }

    /// Whether a chain goes on behind it on the same page.
    pub fn is_hot_updated(self) -> bool {
        self.mask().has(Mask::HOT_UPDATED)
    }

    /// Whether it can only be reached by its chain.
    pub fn is_heap_only(self) -> bool {
        self.mask().has(Mask::HEAP_ONLY)
    }
}

/// What the header of a new version says.
#[derive(Clone, Copy, Debug)]
pub struct NewTuple {
    /// Who makes it.
    pub xmin: u64,
    /// Who locks it from the beginning; 0: nobody.
    pub xmax: u64,
    /// Its place, and what `xmax` means.
    pub mask: Mask,
    /// Command that makes it.
    pub cmin: u32,
}

impl NewTuple {
    /// Appends header and row to `to`.
    pub fn encode(self, own: Ctid, row: &[u8], to: &mut Vec<u8>) {
        let header = to.len();
        to.extend_from_slice(&[0; TUPLE_HEADER]);
        let bytes = &mut to[header..];
        bytes[XMIN..XMIN + 6].copy_from_slice(&self.xmin.to_le_bytes()[..6]);
        bytes[XMAX..XMAX + 6].copy_from_slice(&self.xmax.to_le_bytes()[..6]);
        bytes[CTID..CTID + 6].copy_from_slice(&own.to_bytes());
        bytes[MASK..MASK + 2].copy_from_slice(&self.mask.0.to_le_bytes());
        bytes[CMIN..CMIN + 4].copy_from_slice(&self.cmin.to_le_bytes());
        to.extend_from_slice(row);
    }
}

/// What is said about a version when it is deleted, replaced or locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewXmax {
    /// Who does it.
    pub xmax: u64,
    /// All bits.
    pub mask: Mask,
    /// The next version; `None`: as it was.
    pub next: Option<Ctid>,
    /// Command that does it.
    pub cmax: u32,
}

/// Offset of a line's version on the page; `None` if it has none.
pub fn offset_of(page: PageRef<'_>, line: u16) -> Option<usize> {
    let item = page.item(line).ok()?;
    TupleRef::new(page, &item).map(|tuple| tuple.offset)
}

fn put_id(page: &mut PageMut<'_>, at: usize, id: u64) {
    page.slice_mut(at, 6).copy_from_slice(&id.to_le_bytes()[..6]);
}

/// Says about a version that it is deleted, replaced or locked. `false` if the line has none.
pub fn set_xmax(page: &mut PageMut<'_>, line: u16, new: NewXmax) -> bool {
    let Some(at) = offset_of(page.as_ref(), line) else { return false };
    put_id(page, at + XMAX, new.xmax);
    page.put_u16(at + MASK, new.mask.0);
    page.put_u32(at + CMAX, new.cmax);
    if let Some(next) = new.next {
        page.slice_mut(at + CTID, Ctid::SIZE).copy_from_slice(&next.to_bytes());
    }
    // What the hints said was about another `xmax`.
    let hints = page.as_ref().u16_at(at + HINTS);
    page.put_u16(at + HINTS, hints & !Hints::OF_XMAX);
    true
}

/// Says about a version that everybody sees it, for good, or that nobody has deleted or locked it.
pub fn freeze(page: &mut PageMut<'_>, line: u16, xmin: bool, xmax: bool) -> bool {
    let Some(at) = offset_of(page.as_ref(), line) else { return false };
    let mut mask = Mask(page.as_ref().u16_at(at + MASK));
    if xmin {
        mask = mask.with(Mask::FROZEN);
    }
    if xmax {
        mask = mask.without_xmax();
        put_id(page, at + XMAX, 0);
        let hints = page.as_ref().u16_at(at + HINTS);
        page.put_u16(at + HINTS, hints & !Hints::OF_XMAX);
    }
    page.put_u16(at + MASK, mask.0);
    true
}

/// Takes a version back that its own transaction inserted: nobody will ever see it.
pub fn retract(page: &mut PageMut<'_>, line: u16) -> bool {
    let Some(at) = offset_of(page.as_ref(), line) else { return false };
    put_id(page, at + XMIN, 0);
    true
}

/// The number as a transaction's id.
pub fn xid(number: u64) -> Option<Xid> {
    Xid::new(number)
}

/// A version, or its place, that cannot be.
#[cold]
pub fn damaged(tag: BufferTag, line: u16) -> Box<Report> {
    let message = format!("invalid tuple {line} in block {} of relation \"{}\"", tag.block, tag.rel_fork());
    Report::error(SqlState::DATA_CORRUPTED, message)
}

/// Refuses ids that a header has no room for.
pub fn check_id(number: u64) -> Result<u64> {
    if number <= ID_BITS {
        return Ok(number);
    }
    Err(Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, "out of transaction identifiers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::ids::BlockNumber;
    use crate::storage::page::PageBuf;

    fn ctid(block: u32, line: u16) -> Ctid {
        Ctid::new(BlockNumber::new(block).expect("a block"), line)
    }

    #[test]
    fn locks_exclude_as_documented() {
        // The table of the documentation, "Conflicting Row-Level Locks".
        let rows = ["...X", "..XX", ".XXX", "XXXX"];
        for (one, row) in RowLock::ALL.into_iter().zip(rows) {
            for (other, mark) in RowLock::ALL.into_iter().zip(row.chars()) {
                assert_eq!(one.excludes(other), mark == 'X', "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn headers_say_what_they_were_told() {
        let mut page = PageBuf::zeroed();
        let mut view = page.view_mut();
        view.init(0);
        let new = NewTuple { xmin: ID_BITS, xmax: 5, mask: Mask::HEAP_ONLY, cmin: 7 };
        let mut bytes = Vec::new();
        new.encode(ctid(9, 1), b"row", &mut bytes);
        assert_eq!(view.insert(&bytes, None), Some(1));
        let tuple = |page: PageRef<'_>| {
            let tuple = TupleRef::new(page, &page.item(1).expect("a line")).expect("a version");
            (
                tuple.xmin(),
                tuple.xmax(),
                tuple.ctid(),
                tuple.mask(),
                tuple.hints(),
                tuple.cmin(),
                tuple.cmax(),
            )
        };
        let expected = (ID_BITS, 5, Some(ctid(9, 1)), Mask::HEAP_ONLY, Hints(0), 7, 0);
        assert_eq!(tuple(view.as_ref()), expected);
        let at = offset_of(view.as_ref(), 1).expect("a version");
        view.put_u16(at + HINTS, 0xf);
        let mask = Mask::HEAP_ONLY.with(Mask::LOCK_ONLY).with_lock(RowLock::Share);
        let xmax = NewXmax { xmax: 1 << 47, mask, next: Some(ctid(3, 4)), cmax: 8 };
        assert!(set_xmax(&mut view, 1, xmax));
        let expected = (ID_BITS, 1 << 47, Some(ctid(3, 4)), mask, Hints(3), 7, 8);
        assert_eq!(tuple(view.as_ref()), expected);
        assert!(freeze(&mut view, 1, true, true));
        let frozen = Mask::HEAP_ONLY.with(Mask::FROZEN);
        assert_eq!(tuple(view.as_ref()), (ID_BITS, 0, Some(ctid(3, 4)), frozen, Hints(3), 7, 8));
        assert_eq!(mask.lock(), RowLock::Share);
        let page = view.as_ref();
        assert_eq!(TupleRef::new(page, &page.item(1).expect("a line")).expect("a version").row(), b"row");
    }
}
