//! The shared memory segment: planned, made, sealed, mapped, attached to, and handed out as typed references.
//!
//! One memfd, sealed in its size, mapped before the first fork; `shmem_layout` says what lies in it. Whoever attaches by
//! descriptor checks everything it reads before it believes it: a wrong segment is an error, never a wild read.
//!
//! Architecture invariant: nothing here knows what a region means; regions are arrays of items with a name and a version.

mod pages;
mod plan;
mod ring_bytes;
mod segment;

pub use pages::{HugePages, PageReport, Pages};
pub use plan::{Plan, RegionSpec};
pub use ring_bytes::RingBytes;
pub use segment::{Segment, SegmentError};
