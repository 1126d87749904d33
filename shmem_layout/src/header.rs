//! The first page of a segment: who made it and which regions it has.
//!
//! Plain data: written once by the postmaster before the segment is published, only read afterwards.

use bytemuck::{Pod, Zeroable};

/// `TUSKDSHM`, little-endian: a segment of another byte order or another program does not match.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TUSKDSHM");

/// Version of everything in this crate; any change of layout raises it.
pub const LAYOUT_VERSION: u32 = 1;

/// Regions in a directory.
pub const MAX_REGIONS: usize = 63;

/// Bytes of a region's name, NUL-padded.
pub const REGION_NAME_LEN: usize = 32;

/// Regions begin at multiples of this, a cache line.
pub const REGION_ALIGN: u64 = 64;

/// One region: an array of `item_count` items of `item_size` bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct RegionEntry {
    /// Name, NUL-padded UTF-8.
    pub name: [u8; REGION_NAME_LEN],
    /// Bytes from the start of the segment.
    pub offset: u64,
    /// Length in bytes, `item_size * item_count`.
    pub len: u64,
    /// Number of items.
    pub item_count: u64,
    /// Bytes of one item.
    pub item_size: u32,
    /// Version of the item's meaning, decided by its owner.
    pub version: u32,
}

shared_layout!(RegionEntry, size 64, align 8, {
    0 => name: [u8; REGION_NAME_LEN],
    32 => offset: u64,
    40 => len: u64,
    48 => item_count: u64,
    56 => item_size: u32,
    60 => version: u32,
});

impl RegionEntry {
    /// The name without padding; empty if it is not UTF-8.
    pub fn name(&self) -> &str {
        let end = self.name.iter().position(|&b| b == 0).unwrap_or(REGION_NAME_LEN);
        core::str::from_utf8(&self.name[..end]).unwrap_or("")
    }
}

/// The segment's header and region directory, one 4 kB page at offset 0.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct SegmentHeader {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`LAYOUT_VERSION`].
    pub layout_version: u32,
    /// Number of used entries of `regions`.
    pub region_count: u32,
    /// Length of the whole segment in bytes, as the memfd's size.
    pub segment_len: u64,
    /// Bytes of the pages it was made of.
    pub page_size: u64,
    /// Random, so that two segments are told apart.
    pub instance: u64,
    /// Zero.
    pub reserved: [u8; 24],
    /// The directory.
    pub regions: [RegionEntry; MAX_REGIONS],
}

shared_layout!(SegmentHeader, size 4096, align 64, {
    0 => magic: u64,
    8 => layout_version: u32,
    12 => region_count: u32,
    16 => segment_len: u64,
    24 => page_size: u64,
    32 => instance: u64,
    40 => reserved: [u8; 24],
    64 => regions: [RegionEntry; MAX_REGIONS],
});
