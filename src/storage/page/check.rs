//! Whether a page is what was written there: checksum, address, header.

use std::fmt;

use super::{CHECKSUM, FORMAT_VERSION, HEADER_SIZE, LINE_POINTER_SIZE, PageBuf, PageFlags, PageRef};
use super::{ITEM_ALIGN, RESERVED, VERSION};
use crate::report::{Report, ReportExt, SqlState};
use crate::storage::ids::{BufferTag, PAGE_SIZE};

/// What is wrong with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Its bytes, or its place, are not those that were written.
    Checksum {
        /// As it stands on the page.
        stored: u32,
        /// As it follows from bytes and place.
        computed: u32,
    },
    /// Of another version.
    Version(u16),
    /// A number of the header cannot be.
    Header(&'static str),
    /// A line pointer, counted from 1, leads nowhere, or two items overlap.
    Line(u16),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { stored, computed } => {
                write!(f, "Checksum {stored:08x} on the page, {computed:08x} computed.")
            }
            Self::Version(version) => write!(f, "Page format version {version}, expected {FORMAT_VERSION}."),
            Self::Header(what) => write!(f, "Impossible {what} in the page header."),
            Self::Line(line) => write!(f, "Impossible line pointer {line}."),
        }
    }
}

/// A page that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageError {
    /// Which.
    pub tag: BufferTag,
    /// Why.
    pub damage: Damage,
}

impl PageError {
    /// As clients see it, in PostgreSQL's words.
    pub fn report(&self) -> Box<Report> {
        let message =
            format!("invalid page in block {} of relation \"{}\"", self.tag.block, self.tag.rel_fork());
        Report::error(SqlState::DATA_CORRUPTED, message).with_detail(self.damage.to_string())
    }
}

/// The checksum of a page at its place: what stands in the checksum's own bytes does not count.
pub fn checksum(page: &PageBuf, tag: BufferTag) -> u32 {
    let crc = crc32c::crc32c(&tag.to_bytes());
    let crc = crc32c::crc32c_append(crc, &page.0[..CHECKSUM]);
    crc32c::crc32c_append(crc, &page.0[CHECKSUM + 4..])
}

/// Puts the checksum in; a new page has none. For private copies only: in the pool, others may be setting hints.
pub fn seal(page: &mut PageBuf, tag: BufferTag) {
    if is_all_zero(page) {
        return;
    }
    let checksum = checksum(page, tag);
    page.view_mut().put_u32(CHECKSUM, checksum);
}

fn is_all_zero(page: &PageBuf) -> bool {
    page.view().is_new() && page.0.iter().all(|byte| *byte == 0)
}

/// Looks at a page that was just read: all zeroes, or its own checksum and a header that can be.
pub fn verify(page: &PageBuf, tag: BufferTag) -> Result<(), PageError> {
    let failed = |damage| Err(PageError { tag, damage });
    if is_all_zero(page) {
        return Ok(());
    }
    let (stored, computed) = (page.view().u32_at(CHECKSUM), checksum(page, tag));
    if stored != computed {
        return failed(Damage::Checksum { stored, computed });
    }
    header(page.view()).or_else(failed)
}

/// Whether the header's numbers can be.
pub fn header(page: PageRef<'_>) -> Result<(), Damage> {
    let known = PageFlags::HAS_FREE_LINES.0 | PageFlags::FULL.0 | PageFlags::ALL_VISIBLE.0;
    let (lower, upper, special) = (page.lower(), page.upper(), page.special_start());
    if page.u16_at(VERSION) != FORMAT_VERSION {
        return Err(Damage::Version(page.u16_at(VERSION)));
    }
    let checks = [
        (page.flags().0 & !known == 0, "flags"),
        (page.u16_at(RESERVED) == 0, "reserved bytes"),
        (lower >= HEADER_SIZE && (lower - HEADER_SIZE).is_multiple_of(LINE_POINTER_SIZE), "lower"),
        (lower <= upper, "lower"),
        (upper <= special, "upper"),
        (special <= PAGE_SIZE && special.is_multiple_of(ITEM_ALIGN), "special"),
    ];
    match checks.iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, what)) => Err(Damage::Header(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::ids::{BlockNumber, Fork, RelFile};
    use crate::storage::page::items::Item;

    fn tag(block: u32) -> BufferTag {
        let file = RelFile { tablespace: 1663, database: 5, relation: 16384 };
        BufferTag { file, fork: Fork::Main, block: BlockNumber::new(block).unwrap() }
    }

    fn sealed() -> Box<PageBuf> {
        let mut page = PageBuf::zeroed();
        page.view_mut().init(16);
        page.view_mut().insert(b"hello", None).unwrap();
        seal(&mut page, tag(7));
        page
    }

    #[test]
    fn a_sealed_page_and_a_new_one_are_fine() {
        assert_eq!(verify(&sealed(), tag(7)), Ok(()));
        let mut new = PageBuf::zeroed();
        seal(&mut new, tag(7));
        assert_eq!(verify(&new, tag(7)), Ok(()));
        assert!(matches!(sealed().view().item(1), Ok(Item { bytes: b"hello", .. })));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut page = sealed();
        for byte in 0..PAGE_SIZE {
            for bit in [1, 0x80] {
                page.0[byte] ^= bit;
                assert!(verify(&page, tag(7)).is_err(), "bit {bit:#x} of byte {byte}");
                page.0[byte] ^= bit;
            }
        }
    }

    #[test]
    fn a_zeroed_header_is_not_a_new_page() {
        let mut page = sealed();
        page.0[..HEADER_SIZE].fill(0);
        assert!(verify(&page, tag(7)).is_err());
    }

    #[test]
    fn a_misplaced_page_is_found_and_named() {
        let error = verify(&sealed(), tag(8)).unwrap_err();
        let report = error.report();
        assert_eq!(report.sqlstate, SqlState::DATA_CORRUPTED);
        assert_eq!(report.message, "invalid page in block 8 of relation \"base/5/16384\"");
        assert!(report.detail.unwrap().starts_with("Checksum "));
        for fork in [Fork::FreeSpaceMap, Fork::VisibilityMap, Fork::Init] {
            assert!(verify(&sealed(), BufferTag { fork, ..tag(7) }).is_err());
        }
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        let cases: [(usize, u16, Damage); 8] = [
            (12, 2, Damage::Version(2)),
            (14, 8, Damage::Header("flags")),
            (16, 31, Damage::Header("lower")),
            (16, 38, Damage::Header("lower")),
            (16, 8192, Damage::Header("lower")),
            (18, 8190, Damage::Header("upper")),
            (20, 8196, Damage::Header("special")),
            (22, 1, Damage::Header("reserved bytes")),
        ];
        for (offset, value, damage) in cases {
            let mut page = sealed();
            page.view_mut().put_u16(offset, value);
            seal(&mut page, tag(7));
            assert_eq!(verify(&page, tag(7)), Err(PageError { tag: tag(7), damage }), "{value} at {offset}");
        }
    }
}
