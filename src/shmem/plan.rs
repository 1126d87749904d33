//! Where each region goes: the plan of a segment, made before there is any memory.

use std::fmt;

use bytemuck::Zeroable;
use shmem_layout::header::{MAGIC, MAX_REGIONS, REGION_ALIGN, REGION_NAME_LEN};
use shmem_layout::{LAYOUT_VERSION, RegionEntry, SegmentHeader, SharedStruct};

use super::segment::SegmentError;

/// A region that somebody wants: `count` items of `item_size` bytes.
#[derive(Clone, Copy, Debug)]
pub struct RegionSpec {
    name: &'static str,
    version: u32,
    item_size: usize,
    count: usize,
}

impl RegionSpec {
    /// An array of shared structs.
    pub fn of<T: SharedStruct>(name: &'static str, version: u32, count: usize) -> Self {
        Self { name, version, item_size: size_of::<T>(), count }
    }

    /// Items of a size known at run time, each beginning at a multiple of a cache line.
    pub fn sized(name: &'static str, version: u32, item_size: usize, count: usize) -> Self {
        Self { name, version, item_size: item_size.next_multiple_of(REGION_ALIGN as usize), count }
    }
}

/// A segment's directory and length.
pub struct Plan {
    regions: Vec<RegionEntry>,
    len: u64,
}

impl Plan {
    /// Lays the regions out one behind the other, behind the header.
    ///
    /// # Errors
    /// [`SegmentError::BadPlan`]: too many regions, a name that is taken, empty or too long, or more bytes than an
    /// offset can count.
    pub fn new(specs: &[RegionSpec]) -> Result<Self, SegmentError> {
        if specs.len() > MAX_REGIONS {
            return Err(SegmentError::BadPlan(format!("{} regions, at most {MAX_REGIONS}", specs.len())));
        }
        let mut plan = Self { regions: Vec::new(), len: size_of::<SegmentHeader>() as u64 };
        for spec in specs {
            plan.add(spec)?;
        }
        Ok(plan)
    }

    fn add(&mut self, spec: &RegionSpec) -> Result<(), SegmentError> {
        let bad = |what: &str| SegmentError::BadPlan(format!("region {:?} {what}", spec.name));
        if spec.name.is_empty() || spec.name.len() > REGION_NAME_LEN {
            return Err(bad("has an empty or too long name"));
        }
        if self.regions.iter().any(|r| r.name() == spec.name) {
            return Err(bad("is there twice"));
        }
        let len = (spec.item_size as u64).checked_mul(spec.count as u64);
        let offset = self.len.next_multiple_of(REGION_ALIGN);
        let end = len.and_then(|len| offset.checked_add(len)).filter(|end| *end <= shmem_layout::Offset::MAX);
        let (Some(len), Some(end), Ok(item_size)) = (len, end, u32::try_from(spec.item_size)) else {
            return Err(bad("is too large"));
        };
        let mut name = [0; REGION_NAME_LEN];
        name[..spec.name.len()].copy_from_slice(spec.name.as_bytes());
        let (item_count, version) = (spec.count as u64, spec.version);
        self.regions.push(RegionEntry { name, offset, len, item_count, item_size, version });
        self.len = end;
        Ok(())
    }

    /// Bytes that the segment needs, before rounding to pages.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: there is always a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The header of a segment of `segment_len` bytes.
    pub(super) fn header(&self, segment_len: u64, page_size: u64, instance: u64) -> SegmentHeader {
        let mut header = SegmentHeader {
            magic: MAGIC,
            layout_version: LAYOUT_VERSION,
            region_count: self.regions.len() as u32,
            segment_len,
            page_size,
            instance,
            ..SegmentHeader::zeroed()
        };
        header.regions[..self.regions.len()].copy_from_slice(&self.regions);
        header
    }
}

/// The map: a line per region.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<16} {:>12} {:>12} {:>10} {:>10} {:>7}",
            "region", "offset", "bytes", "items", "item size", "version"
        )?;
        let header = size_of::<SegmentHeader>();
        writeln!(f, "{:<16} {:>12} {header:>12} {:>10} {header:>10} {LAYOUT_VERSION:>7}", "header", 0, 1)?;
        for r in &self.regions {
            writeln!(
                f,
                "{:<16} {:>12} {:>12} {:>10} {:>10} {:>7}",
                r.name(),
                r.offset,
                r.len,
                r.item_count,
                r.item_size,
                r.version
            )?;
        }
        write!(f, "{:<16} {:>12} {:>12}", "total", "", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &'static str, item_size: usize, count: usize) -> RegionSpec {
        RegionSpec { name, version: 1, item_size, count }
    }

    #[test]
    fn regions_follow_each_other_on_cache_lines() {
        let plan = Plan::new(&[spec("a", 10, 3), spec("b", 64, 1)]).unwrap();
        assert_eq!(plan.regions[0].offset, 4096);
        assert_eq!(plan.regions[1].offset, 4096 + 64);
        assert_eq!(plan.len(), 4096 + 128);
    }

    #[test]
    fn bad_plans_are_refused_with_the_regions_name() {
        let too_many: Vec<_> = (0..=MAX_REGIONS).map(|_| spec("a", 1, 1)).collect();
        let cases: [(&[RegionSpec], &str); 6] = [
            (&too_many, "64 regions, at most 63"),
            (&[spec("a", 1, 1), spec("a", 1, 1)], "\"a\" is there twice"),
            (&[spec("", 1, 1)], "empty or too long"),
            (&[spec("a name that is longer than 32 bytes", 1, 1)], "empty or too long"),
            (&[spec("a", usize::MAX, 2)], "is too large"),
            (&[spec("a", 1 << 20, 1 << 30)], "is too large"),
        ];
        for (specs, expected) in cases {
            let Err(error) = Plan::new(specs) else { panic!("accepted: {expected}") };
            assert!(error.to_string().contains(expected), "{error} does not say {expected}");
        }
    }
}
