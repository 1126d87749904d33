//! Memory with a descriptor: made, given a size, sealed in that size, and punched.
//!
//! A memfd rather than an anonymous mapping, because its holes can be punched, its size sealed (so that
//! nobody can turn a valid address into a SIGBUS by truncating), and the same memory mapped at an aligned
//! address. What the kernel can offer in huge pages is read here too; the choice is made elsewhere.

use std::fmt;
use std::fs::read_to_string;
use std::io;
use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};

use memfd::{HugetlbSize, MemfdOptions};
use rustix::fs::{FallocateFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate};

use super::sysinfo::{chosen_word, invalid, kilobytes_line, read_number};

/// The seals of a memfd, as `F_SEAL_*` bits.
pub use rustix::fs::SealFlags as Seals;

/// What a segment of fixed size is sealed with.
pub const SIZE_SEALS: Seals = Seals::SHRINK.union(Seals::GROW).union(Seals::SEAL);

/// The pages a memfd is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageKind {
    /// Pages of the usual size, which the kernel may join into huge ones.
    Ordinary,
    /// Pages from the reserved pool of `page_size` bytes.
    Huge {
        /// Bytes per page; a size the architecture knows, such as 2 MiB or 1 GiB.
        page_size: u64,
    },
}

/// Makes an empty memfd, closed on exec and open to sealing. `name` shows in /proc only.
///
/// Fails with `InvalidInput` for a huge page size that Linux does not know, `ENODEV` or `EINVAL` for one
/// that this machine lacks. Whether there are enough huge pages shows only when it is mapped.
pub fn create(name: &str, kind: PageKind) -> io::Result<OwnedFd> {
    let hugetlb = match kind {
        PageKind::Ordinary => None,
        PageKind::Huge { page_size } => Some(hugetlb_size(page_size)?),
    };
    let memfd =
        MemfdOptions::new().allow_sealing(true).close_on_exec(true).hugetlb(hugetlb).create(name).map_err(
            |error| match error {
                memfd::Error::Create(cause)
                | memfd::Error::AddSeals(cause)
                | memfd::Error::GetSeals(cause) => cause,
            },
        )?;
    Ok(memfd.into_file().into())
}

fn hugetlb_size(page_size: u64) -> io::Result<HugetlbSize> {
    Ok(match page_size >> 10 {
        64 => HugetlbSize::Huge64KB,
        512 => HugetlbSize::Huge512KB,
        1_024 => HugetlbSize::Huge1MB,
        2_048 => HugetlbSize::Huge2MB,
        8_192 => HugetlbSize::Huge8MB,
        16_384 => HugetlbSize::Huge16MB,
        262_144 => HugetlbSize::Huge256MB,
        1_048_576 => HugetlbSize::Huge1GB,
        2_097_152 => HugetlbSize::Huge2GB,
        16_777_216 => HugetlbSize::Huge16GB,
        _ => {
            let text = format!("Linux has no huge pages of {page_size} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
    })
}

/// Seals the size: from now on neither growing, shrinking nor further sealing is possible.
pub fn seal_size(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(fcntl_add_seals(fd, SIZE_SEALS)?)
}

/// The seals in force.
pub fn seals(fd: BorrowedFd<'_>) -> io::Result<Seals> {
    Ok(fcntl_get_seals(fd)?)
}

/// Sets the size in bytes; for huge pages a multiple of their size. Allocates nothing.
pub fn set_len(fd: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    Ok(ftruncate(fd, bytes)?)
}

/// The size in bytes.
pub fn len(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let size = fstat(fd)?.st_size;
    u64::try_from(size).map_err(|_| invalid(&size.to_string()))
}

/// Bytes for which there is memory; the rest is holes.
pub fn allocated(fd: BorrowedFd<'_>) -> io::Result<u64> {
    const BYTES_PER_BLOCK: u64 = 512;
    let blocks = fstat(fd)?.st_blocks;
    u64::try_from(blocks).map(|blocks| blocks * BYTES_PER_BLOCK).map_err(|_| invalid(&blocks.to_string()))
}

/// Gives the memory of `range` (bytes) back to the kernel. It reads as zeroes afterwards, in every
/// process that maps it. Pages only partly inside are zeroed in part and kept. The size seals permit it.
pub fn punch_hole(fd: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(fd, mode, range.start, range.end.saturating_sub(range.start))?)
}

/// The pool of reserved huge pages of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HugePageCounts {
    /// Bytes per page.
    pub page_size: u64,
    /// Pages in the pool (`nr_hugepages`, what the administrator sets).
    pub total: u64,
    /// Pages nobody uses yet.
    pub free: u64,
    /// Of the free ones, those promised to a mapping that has not touched them yet.
    pub reserved: u64,
}

impl HugePageCounts {
    /// Reads the pool for pages of `page_size` bytes; `NotFound` if this machine has no such pages.
    pub fn read(page_size: u64) -> io::Result<Self> {
        let file = |name: &str| {
            let kilobytes = page_size / 1024;
            format!("/sys/kernel/mm/hugepages/hugepages-{kilobytes}kB/{name}_hugepages")
        };
        Ok(Self {
            page_size,
            total: read_number(file("nr"))?,
            free: read_number(file("free"))?,
            reserved: read_number(file("resv"))?,
        })
    }

    /// Pages that a new mapping could still have, leaving aside surplus pages made on demand.
    pub fn available(&self) -> u64 {
        self.free.saturating_sub(self.reserved)
    }
}

/// Bytes of the huge pages used when no size is asked for; `None` for a kernel without them.
pub fn default_huge_page_size() -> io::Result<Option<u64>> {
    let text = read_to_string("/proc/meminfo")?;
    Ok(text.lines().find_map(|line| kilobytes_line(line, "Hugepagesize")))
}

/// When the kernel makes huge pages for shared memory of ordinary pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShmemHugePages {
    /// Always, even where that grows the file's memory.
    Always,
    /// Where the page lies wholly within the file's size.
    WithinSize,
    /// Where `madvise(MADV_HUGEPAGE)` was called.
    Advise,
    /// Not for a memfd.
    Never,
    /// Nowhere, whatever a mount asks for.
    Deny,
    /// Everywhere; meant for tests of the kernel.
    Force,
}

impl ShmemHugePages {
    /// The file that [`ShmemHugePages::read`] reads and an administrator writes.
    pub const PATH: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

    /// Reads the setting; `NotFound` for a kernel without transparent huge pages.
    pub fn read() -> io::Result<Self> {
        let text = read_to_string(Self::PATH)?;
        Self::parse(&text).ok_or_else(|| invalid(&text))
    }

    /// Whether a memfd whose mapping is advised can get huge pages.
    pub fn allows_advised(self) -> bool {
        match self {
            Self::Always | Self::WithinSize | Self::Advise | Self::Force => true,
            Self::Never | Self::Deny => false,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match chosen_word(text)? {
            "always" => Self::Always,
            "within_size" => Self::WithinSize,
            "advise" => Self::Advise,
            "never" => Self::Never,
            "deny" => Self::Deny,
            "force" => Self::Force,
            _ => return None,
        })
    }
}

/// The word that the kernel uses.
impl fmt::Display for ShmemHugePages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::WithinSize => "within_size",
            Self::Advise => "advise",
            Self::Never => "never",
            Self::Deny => "deny",
            Self::Force => "force",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn sealed_size_stays() {
        let fd = create("test", PageKind::Ordinary).unwrap();
        let fd = fd.as_fd();
        assert_eq!(seals(fd).unwrap(), Seals::empty());
        set_len(fd, 8192).unwrap();
        seal_size(fd).unwrap();
        assert_eq!(seals(fd).unwrap(), SIZE_SEALS);
        assert_eq!(set_len(fd, 4096).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(set_len(fd, 16384).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(len(fd).unwrap(), 8192);
    }

    #[test]
    fn a_hole_gives_memory_back() {
        let fd = create("test", PageKind::Ordinary).unwrap();
        let fd = fd.as_fd();
        set_len(fd, 8192).unwrap();
        seal_size(fd).unwrap();
        assert_eq!(rustix::io::pwrite(fd, &[1; 8192], 0).unwrap(), 8192);
        assert_eq!(allocated(fd).unwrap(), 8192);
        punch_hole(fd, 0..4096).unwrap();
        assert_eq!(allocated(fd).unwrap(), 4096);
        let mut byte = [9];
        rustix::io::pread(fd, &mut byte, 0).unwrap();
        assert_eq!(byte, [0]);
    }

    #[test]
    fn odd_huge_page_sizes_are_refused() {
        let error = create("test", PageKind::Huge { page_size: 3 << 20 }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_pool_can_be_read() {
        let Some(page_size) = default_huge_page_size().unwrap() else {
            return;
        };
        let counts = HugePageCounts::read(page_size).unwrap();
        assert!(counts.available() <= counts.total);
        assert!(HugePageCounts::read(3 << 10).is_err());
        create("test", PageKind::Huge { page_size }).unwrap();
    }

    #[test]
    fn the_setting_is_the_word_in_brackets() {
        let parse = ShmemHugePages::parse;
        let text = "always within_size advise [never] deny force\n";
        assert_eq!(parse(text), Some(ShmemHugePages::Never));
        let text = "always [within_size] advise never deny force\n";
        assert_eq!(parse(text), Some(ShmemHugePages::WithinSize));
        assert_eq!(parse("always"), None);
        if let Ok(setting) = ShmemHugePages::read() {
            assert_eq!(parse(&format!("[{setting}]")), Some(setting));
        }
    }
}
