//! The segment itself: one sealed memfd, its directory checked, its regions handed out as typed references.
//!
//! # Safety
//! References into the mapping live no longer than the [`Segment`] that owns it. They are given out for types only whose
//! every bit pattern is valid and which are changed through atomics (`SharedStruct`), at offsets that were checked
//! against the sealed length, which nobody can shrink any more. The directory is copied out before it is checked, so that
//! nobody can change it between check and use.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use bytemuck::Zeroable;
use shmem_layout::header::{MAGIC, MAX_REGIONS, REGION_ALIGN};
use shmem_layout::{LAYOUT_VERSION, Offset, QueueHeader, RegionEntry, SegmentHeader, SharedStruct};

use super::pages::{self, HugePages, PageReport, Pages};
use super::plan::Plan;
use super::ring_bytes::RingBytes;
use crate::os::memfd::{self, HugePageCounts};
use crate::os::mmap::Mapping;
use crate::sync::AtomicU32;

/// Why a segment could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The regions cannot be laid out.
    #[error("shared memory cannot be laid out: {0}")]
    BadPlan(String),
    /// `huge_pages = on` on a kernel that has none.
    #[error("huge_pages = on, but this kernel has no huge pages")]
    NoHugePages,
    /// There are no huge pages of this size.
    #[error("this machine has no huge pages of {} kB", .page_size / 1024)]
    UnknownHugePageSize {
        /// Bytes per page asked for.
        page_size: u64,
        /// What the kernel said.
        source: io::Error,
    },
    /// The pool is too small.
    #[error("{}", shortage(*.needed, .counts))]
    NotEnoughHugePages {
        /// Pages the segment needs.
        needed: u64,
        /// The pool.
        counts: HugePageCounts,
    },
    /// The descriptor is not a segment of this program.
    #[error("not a tuskd shared memory segment: {0}")]
    NotASegment(String),
    /// The segment was made by another version.
    #[error("shared memory has layout version {found}, this program has {LAYOUT_VERSION}")]
    WrongVersion {
        /// Version in the header.
        found: u32,
    },
    /// A region is not there, or not as this program knows it.
    #[error("shared memory region {name:?} {problem}")]
    Region {
        /// Name asked for, or found.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The kernel refused.
    #[error("shared memory: {0}")]
    Io(#[from] io::Error),
}

fn shortage(needed: u64, counts: &HugePageCounts) -> String {
    let kilobytes = counts.page_size / 1024;
    let missing = needed.saturating_sub(counts.available());
    let knob = match memfd::default_huge_page_size() {
        Ok(Some(size)) if size == counts.page_size => "sysctl vm.nr_hugepages=".to_string(),
        _ => format!("/sys/kernel/mm/hugepages/hugepages-{kilobytes}kB/nr_hugepages = "),
    };
    format!(
        "shared memory needs {needed} huge pages of {kilobytes} kB, but only {} of {} are free \
         (set {knob}{} or huge_pages = try)",
        counts.available(),
        counts.total,
        counts.total + missing
    )
}

/// A mapped segment.
pub struct Segment {
    mapping: Mapping,
    fd: OwnedFd,
    /// A private copy that was checked.
    header: Box<SegmentHeader>,
    pages: Pages,
}

impl Segment {
    /// Makes, maps and seals a segment after `plan`, zeroed. Children inherit the mapping by fork.
    pub fn create(
        plan: &Plan,
        huge_pages: HugePages,
        huge_page_size: Option<u64>,
    ) -> Result<Self, SegmentError> {
        let pages::Memory { fd, mapping, pages, page_size } =
            pages::allocate(plan.len(), huge_pages, huge_page_size)?;
        let mut instance = [0; 8];
        rustix::rand::getrandom(&mut instance, rustix::rand::GetRandomFlags::empty())
            .map_err(io::Error::from)?;
        let header = plan.header(mapping.len() as u64, page_size, u64::from_ne_bytes(instance));
        let header = Box::new(header);
        // SAFETY: the mapping is at least a header long (it is part of the plan), page-aligned, and nobody else has it.
        unsafe { mapping.as_ptr().cast::<SegmentHeader>().write(*header) };
        memfd::seal_size(fd.as_fd())?;
        Ok(Self { mapping, fd, header, pages })
    }

    /// Attaches to a segment that another process made. Checks the seals, the header and every region first.
    pub fn attach(fd: OwnedFd) -> Result<Self, SegmentError> {
        let foreign = |what: String| SegmentError::NotASegment(what);
        let seals = memfd::seals(fd.as_fd()).map_err(|e| foreign(format!("no seals: {e}")))?;
        if !seals.contains(memfd::SIZE_SEALS) {
            return Err(foreign("its size is not sealed, so that touching it could be a SIGBUS".into()));
        }
        let len = memfd::len(fd.as_fd())?;
        let header = read_header(fd.as_fd(), len)?;
        check_header(&header, len)?;
        let len = usize::try_from(len).map_err(|_| foreign(format!("{len} bytes do not fit")))?;
        let mapping = Mapping::shared(fd.as_fd(), len, header.page_size.max(4096) as usize)?;
        let is_huge = header.page_size > 4096;
        let pages = if is_huge { Pages::Huge { page_size: header.page_size } } else { Pages::Ordinary };
        Ok(Self { mapping, fd, header, pages })
    }

    /// The memfd, to be passed to another process.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "there is always a header")]
    pub fn len(&self) -> usize {
        self.mapping.len()
    }

    /// Random number that tells this segment from any other.
    pub fn instance(&self) -> u64 {
        self.header.instance
    }

    /// Address of its first byte in this process.
    pub fn base(&self) -> usize {
        self.mapping.as_ptr().addr()
    }

    /// What pages it is made of by now.
    pub fn page_report(&self) -> io::Result<PageReport> {
        PageReport::new(self.pages, &self.mapping)
    }

    /// Enters all of it into this process's page tables, so that nothing faults later.
    pub fn prefault(&self) -> io::Result<()> {
        self.mapping.populate_write()
    }

    /// The same for a part of it.
    pub fn prefault_part(&self, offset: usize, len: usize) -> io::Result<()> {
        self.mapping.populate_part(offset, len)
    }

    /// The directory.
    pub fn regions(&self) -> &[RegionEntry] {
        &self.header.regions[..self.header.region_count as usize]
    }

    /// The region of this name and version as an array of `T`.
    pub fn region<T: SharedStruct>(&self, name: &str, version: u32) -> Result<&[T], SegmentError> {
        let entry = self.entry(name, version)?;
        if entry.item_size as usize != size_of::<T>() || align_of::<T>() as u64 > REGION_ALIGN {
            let problem = format!("has items of {} bytes, not {}", entry.item_size, size_of::<T>());
            return Err(SegmentError::Region { name: name.to_string(), problem });
        }
        // SAFETY: the region lies within the mapping (checked), is aligned to a cache line, holds `item_count` items of
        // this size, and `T` allows any bits and concurrent change.
        Ok(unsafe { std::slice::from_raw_parts(self.start_of(entry).cast::<T>(), entry.item_count as usize) })
    }

    /// Item `index` of a region of plain bytes, as address and length; who may touch them when is its owner's protocol.
    pub fn item(&self, name: &str, version: u32, index: usize) -> Result<NonNull<[u8]>, SegmentError> {
        let entry = self.entry(name, version)?;
        if index as u64 >= entry.item_count {
            let problem = format!("has no item {index}");
            return Err(SegmentError::Region { name: name.to_string(), problem });
        }
        let len = entry.item_size as usize;
        let start = self.start_of(entry).wrapping_add(index * len);
        let start = NonNull::new(start).expect("within a mapping");
        Ok(NonNull::slice_from_raw_parts(start, len))
    }

    /// Queue `index` of a region of queues: its header, and the ring that fills the rest of the item.
    pub fn queue(
        &self,
        name: &str,
        version: u32,
        index: usize,
    ) -> Result<(&QueueHeader, &RingBytes), SegmentError> {
        let entry = self.entry(name, version)?;
        let region = |problem: String| SegmentError::Region { name: name.to_string(), problem };
        let head = size_of::<QueueHeader>();
        let item = entry.item_size as usize;
        if item <= head || !item.is_multiple_of(REGION_ALIGN as usize) {
            return Err(region(format!("has items of {item} bytes, no queues")));
        }
        if index as u64 >= entry.item_count {
            return Err(region(format!("has no item {index}")));
        }
        // SAFETY: the item lies within the region, which was checked; header and ring do not overlap.
        unsafe {
            let start = self.start_of(entry).add(index * item);
            Ok((&*start.cast::<QueueHeader>(), RingBytes::from_raw(start.add(head), item - head)))
        }
    }

    /// The one item of a region as a ring of `len` bytes that begins at a multiple of `align`, a page at most, in memory.
    pub fn ring(
        &self,
        name: &str,
        version: u32,
        len: usize,
        align: usize,
    ) -> Result<&RingBytes, SegmentError> {
        let item = self.item(name, version, 0)?;
        let start = item.cast::<u8>().as_ptr();
        let skip = start.addr().wrapping_neg() & (align - 1);
        if align > 4096 || !align.is_power_of_two() || skip + len > item.len() || len == 0 {
            let problem = format!("has no ring of {len} bytes");
            return Err(SegmentError::Region { name: name.to_string(), problem });
        }
        // SAFETY: within the item, as just checked; the segment is mapped at a page's beginning, so that the ring begins
        // at the same place in every process.
        Ok(unsafe { RingBytes::from_raw(start.add(skip), len) })
    }

    /// The `T` at an offset that some process noted; `None` if none fits there.
    ///
    /// That the offset belongs to a region of another type is possible if that process wrote garbage, and then the
    /// result is a wrong number somewhere, not a wild read.
    pub fn at<T: SharedStruct>(&self, offset: Offset) -> Option<&T> {
        // SAFETY: `place` checked bounds and alignment; `T` allows any bits and concurrent change.
        self.place(offset, size_of::<T>(), align_of::<T>()).map(|p| unsafe { &*p.cast::<T>() })
    }

    /// The futex word at an offset that some process noted.
    pub fn word_at(&self, offset: Offset) -> Option<&AtomicU32> {
        // SAFETY: as in `at`; a futex wake-up uses its address only.
        self.place(offset, 4, 4).map(|p| unsafe { &*p.cast::<AtomicU32>() })
    }

    fn place(&self, offset: Offset, size: usize, align: usize) -> Option<*mut u8> {
        let start = usize::try_from(offset.bytes()).ok()?;
        let end = start.checked_add(size)?;
        let fits = start >= size_of::<SegmentHeader>() && end <= self.len() && start.is_multiple_of(align);
        fits.then(|| self.mapping.as_ptr().wrapping_add(start))
    }

    fn entry(&self, name: &str, version: u32) -> Result<&RegionEntry, SegmentError> {
        let region = |problem: String| SegmentError::Region { name: name.to_string(), problem };
        let entry = self.regions().iter().find(|r| r.name() == name);
        let entry = entry.ok_or_else(|| region("does not exist".into()))?;
        if entry.version != version {
            return Err(region(format!("has version {}, not {version}", entry.version)));
        }
        Ok(entry)
    }

    fn start_of(&self, entry: &RegionEntry) -> *mut u8 {
        self.mapping.as_ptr().wrapping_add(entry.offset as usize)
    }
}

/// Reads the header without mapping anything.
fn read_header(fd: BorrowedFd<'_>, len: u64) -> Result<Box<SegmentHeader>, SegmentError> {
    if len < size_of::<SegmentHeader>() as u64 {
        return Err(SegmentError::NotASegment(format!("{len} bytes are too short for a header")));
    }
    let mut header = Box::new(SegmentHeader::zeroed());
    let bytes = bytemuck::bytes_of_mut(&mut *header);
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::pread(fd, &mut bytes[done..], done as u64).map_err(io::Error::from)? {
            0 => return Err(SegmentError::NotASegment("its header ends early".into())),
            n => done += n,
        }
    }
    Ok(header)
}

fn check_header(header: &SegmentHeader, len: u64) -> Result<(), SegmentError> {
    if header.magic != MAGIC {
        return Err(SegmentError::NotASegment(format!("its first bytes are {:#018x}", header.magic)));
    }
    if header.layout_version != LAYOUT_VERSION {
        return Err(SegmentError::WrongVersion { found: header.layout_version });
    }
    if header.segment_len != len {
        let problem = format!("its header says {} bytes, it has {len}", header.segment_len);
        return Err(SegmentError::NotASegment(problem));
    }
    if !header.page_size.is_power_of_two() || header.page_size > len.next_power_of_two() {
        return Err(SegmentError::NotASegment(format!("pages of {} bytes", header.page_size)));
    }
    if header.region_count as usize > MAX_REGIONS {
        return Err(SegmentError::NotASegment(format!("{} regions", header.region_count)));
    }
    let mut end = size_of::<SegmentHeader>() as u64;
    for region in &header.regions[..header.region_count as usize] {
        end = check_region(region, end, len)?;
    }
    Ok(())
}

/// Checks a region that may begin at `start` and must end by `len`; returns its end.
fn check_region(region: &RegionEntry, start: u64, len: u64) -> Result<u64, SegmentError> {
    let bad = |problem: &str| {
        let (name, problem) = (region.name().to_string(), problem.to_string());
        Err(SegmentError::Region { name, problem })
    };
    if region.name().is_empty() {
        return bad("has no name");
    }
    if u64::from(region.item_size).checked_mul(region.item_count) != Some(region.len) {
        return bad("has a length that is not its items'");
    }
    if region.offset < start || !region.offset.is_multiple_of(REGION_ALIGN) {
        return bad("overlaps what stands before it, or is not aligned");
    }
    match region.offset.checked_add(region.len) {
        Some(end) if end <= len => Ok(end),
        _ => bad("does not fit the segment"),
    }
}

#[cfg(test)]
mod tests;
