//! What pages a segment is made of: what was asked for, what was got, and which knob would change it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::segment::SegmentError;
use crate::os::memfd::{self, HugePageCounts, PageKind, ShmemHugePages};
use crate::os::mmap::Mapping;

/// The setting `huge_pages`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HugePages {
    /// Reserved huge pages if there are enough, else ordinary ones, which the kernel may join.
    #[default]
    Try,
    /// Reserved huge pages or an error.
    On,
    /// Ordinary pages.
    Off,
}

/// The pages that a segment got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pages {
    /// From the reserved pool.
    Huge {
        /// Bytes per page.
        page_size: u64,
    },
    /// Ordinary ones that the kernel was asked to join, which it may do at any time.
    Advised,
    /// Ordinary ones.
    Ordinary,
}

/// Memory of `len` bytes or a little more, mapped, not sealed yet.
pub(super) struct Memory {
    pub fd: OwnedFd,
    pub mapping: Mapping,
    pub pages: Pages,
    pub page_size: u64,
}

const ORDINARY_PAGE: u64 = 4096;

/// Makes memory for a segment. `huge_page_size` of `None` takes the kernel's default.
pub(super) fn allocate(
    len: u64,
    huge_pages: HugePages,
    huge_page_size: Option<u64>,
) -> Result<Memory, SegmentError> {
    let wanted = match huge_page_size {
        Some(size) => Some(size),
        None => memfd::default_huge_page_size()?,
    };
    match (huge_pages, wanted) {
        (HugePages::On, None) => Err(SegmentError::NoHugePages),
        (HugePages::On, Some(page_size)) => allocate_huge(len, page_size),
        (HugePages::Try, Some(page_size)) => {
            allocate_huge(len, page_size).or_else(|_| allocate_ordinary(len, true))
        }
        (HugePages::Try, None) => allocate_ordinary(len, true),
        (HugePages::Off, _) => allocate_ordinary(len, false),
    }
}

fn allocate_huge(len: u64, page_size: u64) -> Result<Memory, SegmentError> {
    let counts = HugePageCounts::read(page_size)
        .map_err(|source| SegmentError::UnknownHugePageSize { page_size, source })?;
    let len = len.next_multiple_of(page_size);
    let needed = len / page_size;
    let shortage = || SegmentError::NotEnoughHugePages { needed, counts };
    if counts.available() < needed {
        return Err(shortage());
    }
    let fd = memfd::create("tuskd", PageKind::Huge { page_size })?;
    memfd::set_len(fd.as_fd(), len)?;
    // Others may have taken pages since they were counted. Touching all of them now makes that an error here rather
    // than a SIGBUS later.
    let mapping = Mapping::shared(fd.as_fd(), len as usize, page_size as usize).map_err(|_| shortage())?;
    mapping.populate_write().map_err(|_| shortage())?;
    Ok(Memory { fd, mapping, pages: Pages::Huge { page_size }, page_size })
}

fn allocate_ordinary(len: u64, may_join: bool) -> Result<Memory, SegmentError> {
    let joined_size = memfd::default_huge_page_size()?.unwrap_or(ORDINARY_PAGE);
    let join = may_join && ShmemHugePages::read().is_ok_and(ShmemHugePages::allows_advised);
    // The kernel joins pages only where a whole huge one lies within the file.
    let unit = if join { joined_size } else { ORDINARY_PAGE };
    let len = len.next_multiple_of(unit);
    let fd = memfd::create("tuskd", PageKind::Ordinary)?;
    memfd::set_len(fd.as_fd(), len)?;
    let mapping = Mapping::shared(fd.as_fd(), len as usize, unit as usize)?;
    if join {
        mapping.advise_huge()?;
    }
    let pages = if join { Pages::Advised } else { Pages::Ordinary };
    Ok(Memory { fd, mapping, pages, page_size: ORDINARY_PAGE })
}

/// What was really got, for the log.
#[derive(Clone, Copy, Debug)]
pub struct PageReport {
    pages: Pages,
    len: u64,
    joined: u64,
}

impl PageReport {
    pub(super) fn new(pages: Pages, mapping: &Mapping) -> io::Result<Self> {
        Ok(Self { pages, len: mapping.len() as u64, joined: mapping.pmd_mapped_bytes()? })
    }

    /// Bytes behind huge entries of this process's page table, so far: memory that nobody has touched is not there yet.
    pub fn huge_bytes(&self) -> u64 {
        self.joined
    }
}

impl fmt::Display for PageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, joined) = (self.len / 1024, self.joined / 1024);
        match self.pages {
            Pages::Huge { page_size } => {
                write!(f, "{len} kB of shared memory in reserved huge pages of {} kB", page_size / 1024)
            }
            Pages::Advised => write!(
                f,
                "{len} kB of shared memory in ordinary pages, {joined} kB of it joined to huge ones so far; \
                 vm.nr_hugepages would reserve huge pages"
            ),
            Pages::Ordinary => write!(
                f,
                "{len} kB of shared memory in ordinary pages; vm.nr_hugepages would reserve huge ones, \
                 or \"advise\" in {} let the kernel join them",
                ShmemHugePages::PATH
            ),
        }
    }
}
