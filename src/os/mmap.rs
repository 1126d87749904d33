//! Mappings that a process shares with those it forks.
//!
//! A [`Mapping`] owns address space, not the data in it: it hands out a raw pointer, and the layer above
//! decides what lies there and who may touch it.
//!
//! # Safety
//!
//! The calls that map and unmap only ever name address space that this file reserved itself, so no
//! foreign memory can disappear. Unmapping while pointers into a mapping are in use is the hazard left:
//! whoever turns [`Mapping::as_ptr`] into references must keep the `Mapping` alive for as long.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};

use rustix::io::retry_on_intr;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap as map_file, mmap_anonymous, munmap};
use rustix::param::page_size;

use super::sysinfo::kilobytes_line;

/// A readable and writable `MAP_SHARED` mapping, unmapped when dropped. A forked child has it at the same
/// address; dropping it there leaves the parent's alone.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<c_void>,
    len: usize,
}

// SAFETY: a `Mapping` is a range of addresses; no thread is special to the calls made on it.
unsafe impl Send for Mapping {}
// SAFETY: its methods read two fields that never change and make system calls that the kernel
// serialises; none reads or writes the mapped memory as Rust data.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `fd` at an address that is a multiple of `align`, so that huge pages
    /// can back it. Both are multiples of the page size (of the huge page size for a memfd of huge pages),
    /// `align` a power of two.
    ///
    /// Fails with `InvalidInput` for other numbers, and with `ENOMEM` if there is no address space, or if
    /// the pool of huge pages cannot promise enough of them.
    pub fn shared(fd: BorrowedFd<'_>, len: usize, align: usize) -> io::Result<Self> {
        let reserved = align.checked_add(len).filter(|_| {
            let page = page_size();
            len > 0 && len.is_multiple_of(page) && align.is_power_of_two() && align >= page
        });
        let reserved = Reservation::new(reserved.ok_or(io::ErrorKind::InvalidInput)?)?;
        let offset = reserved.base.addr().get().wrapping_neg() & (align - 1);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: `offset` < `align`, so the target lies within the reservation, which nobody else knows
        // of; replacing its pages takes nothing away from anyone.
        let base = unsafe { map_file(reserved.at(offset), len, access, flags, fd, 0)? };
        reserved.keep_only(offset, len)?;
        Ok(Self { base: non_null(base), len })
    }

    /// Maps `len` bytes of zeroes without a descriptor, rounded up to the page size.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        let len = len.next_multiple_of(page_size());
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: without FIXED the kernel chooses unused addresses.
        let base = unsafe { mmap_anonymous(null_mut(), len, access, MapFlags::SHARED)? };
        Ok(Self { base: non_null(base), len })
    }

    /// Allocates all memory now and enters it into this process's page tables, writable.
    ///
    /// After this no touch can fail for want of memory. A shortage is an error here (`ENOMEM`, or
    /// `EFAULT` where a touch would have been a SIGBUS) and so never a signal later. In a forked child it
    /// saves the page faults. Needs Linux 5.14 (`EINVAL` before).
    pub fn populate_write(&self) -> io::Result<()> {
        self.advise(Advice::LinuxPopulateWrite)
    }

    /// The same for the `len` bytes from `offset` on, whole pages of them.
    ///
    /// # Panics
    /// If they do not lie within the mapping.
    pub fn populate_part(&self, offset: usize, len: usize) -> io::Result<()> {
        assert!(offset <= self.len && len <= self.len - offset, "{len} bytes at {offset} of {}", self.len);
        let start = offset.next_multiple_of(page_size());
        let end = (offset + len) / page_size() * page_size();
        if start >= end {
            return Ok(());
        }
        // SAFETY: within this mapping, as just checked; no content changes.
        let call = || unsafe {
            madvise(self.base.as_ptr().byte_add(start), end - start, Advice::LinuxPopulateWrite)
        };
        Ok(retry_on_intr(call)?)
    }

    /// Asks for transparent huge pages. Whether they come shows in [`Mapping::pmd_mapped_bytes`] once the
    /// memory has been touched.
    pub fn advise_huge(&self) -> io::Result<()> {
        self.advise(Advice::LinuxHugepage)
    }

    fn advise(&self, advice: Advice) -> io::Result<()> {
        // SAFETY: the range is this mapping, whole; the two kinds of advice above change no content.
        let call = || unsafe { madvise(self.base.as_ptr(), self.len, advice) };
        Ok(retry_on_intr(call)?)
    }

    /// Bytes of this mapping that the calling process has behind huge entries of its page table, from
    /// transparent huge pages and from the reserved pool alike. Reads /proc/self/smaps, which is slow.
    pub fn pmd_mapped_bytes(&self) -> io::Result<u64> {
        let start = self.base.addr().get();
        huge_bytes_between(start, start + self.len)
    }

    /// The first byte. Aligned as asked for, to the page size at least.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr().cast()
    }

    /// Size in bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "no mapping is empty")]
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this process mapped (or inherited) exactly this range, and the owner of the `Mapping`
        // keeps no pointers into it.
        let result = unsafe { munmap(self.base.as_ptr(), self.len) };
        debug_assert_eq!(result, Ok(()));
    }
}

/// Addresses set aside, without memory and without access, returned when dropped.
struct Reservation {
    base: NonNull<c_void>,
    len: usize,
}

impl Reservation {
    fn new(len: usize) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: without FIXED the kernel chooses unused addresses.
        let base = unsafe { mmap_anonymous(null_mut(), len, ProtFlags::empty(), flags)? };
        Ok(Self { base: non_null(base), len })
    }

    fn at(&self, offset: usize) -> *mut c_void {
        self.base.as_ptr().wrapping_byte_add(offset)
    }

    /// Returns what lies before `offset` and behind `offset + len`, and forgets the part between.
    fn keep_only(self, offset: usize, len: usize) -> io::Result<()> {
        let end = offset + len;
        for (start, slack) in [(0, offset), (end, self.len - end)] {
            if slack > 0 {
                // SAFETY: the slack is still the untouched reservation.
                unsafe { munmap(self.at(start), slack)? };
            }
        }
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: on this path nothing in the range was given to anybody.
        let _ = unsafe { munmap(self.base.as_ptr(), self.len) };
    }
}

fn non_null(base: *mut c_void) -> NonNull<c_void> {
    NonNull::new(base).expect("the kernel maps nothing at address 0 unless asked to")
}

/// Bytes of the mappings that begin between two addresses which the calling process has behind huge entries.
pub(super) fn huge_bytes_between(start: usize, end: usize) -> io::Result<u64> {
    huge_bytes_within(BufReader::new(File::open("/proc/self/smaps")?), start, end)
}

/// Sums up the huge mappings that a smaps file shows for areas between `start` and `end`. The kernel may
/// show one mapping as several areas, for instance where only a part was advised.
fn huge_bytes_within(smaps: impl BufRead, start: usize, end: usize) -> io::Result<u64> {
    const FIELDS: [&str; 4] = ["ShmemPmdMapped", "AnonHugePages", "Shared_Hugetlb", "Private_Hugetlb"];
    let mut inside = false;
    let mut bytes = 0;
    for line in smaps.lines() {
        let line = line?;
        if let Some(area) = area_start(&line) {
            inside = (start..end).contains(&area);
        } else if inside {
            let field = |name: &&str| kilobytes_line(&line, name);
            bytes += FIELDS.iter().find_map(field).unwrap_or(0);
        }
    }
    Ok(bytes)
}

/// The first address, if `line` is the head of an area: `7f00-7f80 rw-s ...`. Field lines have a colon
/// where the head has hexadecimal digits and a dash.
fn area_start(line: &str) -> Option<usize> {
    let (range, _) = line.split_once(' ')?;
    let (start, _) = range.split_once('-')?;
    usize::from_str_radix(start, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::os::memfd::{self, PageKind};

    const ALIGN: usize = 2 << 20;

    #[test]
    fn the_base_is_aligned_and_the_memory_shared() {
        let fd = memfd::create("test", PageKind::Ordinary).unwrap();
        memfd::set_len(fd.as_fd(), 12288).unwrap();
        let one = Mapping::shared(fd.as_fd(), 12288, ALIGN).unwrap();
        let two = Mapping::shared(fd.as_fd(), 12288, 4096).unwrap();
        assert_eq!(one.as_ptr().addr() % ALIGN, 0);
        assert_eq!(one.len(), 12288);
        one.populate_write().unwrap();
        assert_eq!(memfd::allocated(fd.as_fd()).unwrap(), 12288);
        // SAFETY: both mappings live to the end of the test, and no reference into them exists.
        unsafe {
            one.as_ptr().add(5000).write_volatile(7);
            assert_eq!(two.as_ptr().add(5000).read_volatile(), 7);
        }
    }

    #[test]
    fn odd_numbers_are_refused() {
        let fd = memfd::create("test", PageKind::Ordinary).unwrap();
        for (len, align) in [(0, 4096), (100, 4096), (4096, 100), (4096, 12288), (4096, 8)] {
            let error = Mapping::shared(fd.as_fd(), len, align).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{len} {align}");
        }
    }

    #[test]
    fn a_shortage_is_an_error_when_populating() {
        let fd = memfd::create("test", PageKind::Ordinary).unwrap();
        // Beyond the end of the file a touch would be a SIGBUS, as with a shortage of huge pages.
        memfd::set_len(fd.as_fd(), 4096).unwrap();
        let mapping = Mapping::shared(fd.as_fd(), 8192, 4096).unwrap();
        let error = mapping.populate_write().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
    }

    #[test]
    fn missing_huge_pages_show_when_mapping() {
        let Ok(Some(page_size)) = memfd::default_huge_page_size() else {
            return;
        };
        let counts = memfd::HugePageCounts::read(page_size).unwrap();
        // So many that surplus pages, where they are allowed, do not help.
        let len = (counts.total + (1 << 20)) * page_size;
        let fd = memfd::create("test", PageKind::Huge { page_size }).unwrap();
        memfd::set_len(fd.as_fd(), len).unwrap();
        let result = Mapping::shared(fd.as_fd(), len as usize, page_size as usize);
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ENOMEM));
    }

    #[test]
    fn anonymous_memory_is_ours_alone() {
        let mapping = Mapping::anonymous(1).unwrap();
        assert_eq!(mapping.len(), page_size());
        mapping.populate_write().unwrap();
        // Without shmem huge pages the advice is taken all the same, and has no effect.
        mapping.advise_huge().unwrap();
        assert_eq!(mapping.pmd_mapped_bytes().unwrap(), 0);
    }

    #[test]
    fn smaps_are_summed_within_the_range() {
        let smaps = "\
1000-2000 rw-s 00000000 00:01 1 /memfd:x (deleted)
Rss:                   4 kB
ShmemPmdMapped:     2048 kB
2000-3000 rw-s 00000000 00:01 1 /memfd:x (deleted)
Shared_Hugetlb:        6 kB
Private_Hugetlb:       4 kB
VmFlags: rd wr sh
3000-4000 rw-s 00000000 00:01 1
ShmemPmdMapped:     9999 kB
";
        let bytes = huge_bytes_within(smaps.as_bytes(), 0x1000, 0x3000).unwrap();
        assert_eq!(bytes, (2048 + 6 + 4) * 1024);
    }
}
