//! Rings: whoever goes through many pages uses few buffers for them again and again, and leaves the others to those who
//! come back to theirs.

use super::mapping::BufferId;

/// What for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RingKind {
    /// Scans of large tables: 256 kB, small enough for a processor's cache.
    BulkRead,
    /// `COPY`, table rewrites: 16 MB.
    BulkWrite,
    /// Vacuum: 2 MB.
    Vacuum,
}

impl RingKind {
    const fn buffers(self) -> usize {
        match self {
            Self::BulkRead => 32,
            Self::BulkWrite => 2048,
            Self::Vacuum => 256,
        }
    }
}

/// A ring of one user.
#[derive(Debug)]
pub struct BufferRing {
    kind: RingKind,
    buffers: Vec<Option<BufferId>>,
    at: usize,
}

impl BufferRing {
    /// An empty ring, of at most an eighth of a pool of `pool_len` buffers.
    pub fn new(kind: RingKind, pool_len: usize) -> Self {
        let len = kind.buffers().min(pool_len / 8).max(1);
        Self { kind, buffers: vec![None; len], at: 0 }
    }

    /// Number of buffers.
    #[expect(clippy::len_without_is_empty, reason = "no ring is empty")]
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// Moves on; the buffer that was there, if any.
    pub(super) fn advance(&mut self) -> Option<BufferId> {
        self.at = (self.at + 1) % self.buffers.len();
        self.buffers[self.at]
    }

    /// Puts a buffer where it is.
    pub(super) fn put(&mut self, buffer: BufferId) {
        self.buffers[self.at] = Some(buffer);
    }

    /// Leaves the buffer where it is to others.
    pub(super) fn forget(&mut self) {
        self.buffers[self.at] = None;
    }

    /// Whether a dirty buffer whose log is not durable yet leaves the ring rather than wait for that.
    pub(super) fn avoids_flushes(&self) -> bool {
        self.kind == RingKind::BulkRead
    }
}
