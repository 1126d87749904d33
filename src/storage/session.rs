//! One process's way to the pool and to files.

use std::cell::{Cell, RefCell};

use shmem_layout::StorageCounts;

use super::buffer::{BufferPool, Pins, Reads};
use super::files::{FileSettings, RelationFiles};
use super::page::PageBuf;
use crate::ipc::Proc;
use crate::report::Result;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// What the storage layer needs of the log. Nothing here may use the session that calls it.
pub trait LogBarrier {
    /// Makes the log durable up to `lsn`.
    fn flush_to(&mut self, lsn: u64) -> Result<()>;

    /// Whether it is already, as far as is known without waiting.
    fn is_durable(&self, lsn: u64) -> bool;
}

/// No log: of a process that changes no page, or where nothing is logged.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl LogBarrier for NoLog {
    fn flush_to(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn is_durable(&self, _: u64) -> bool {
        true
    }
}

/// What a session did with pages, for `EXPLAIN (BUFFERS)`: take it before and after.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BufferUsage {
    /// Pages found in the pool.
    pub hits: u64,
    /// Pages read.
    pub reads: u64,
    /// Pages made dirty that were clean.
    pub dirtied: u64,
    /// Pages written.
    pub writes: u64,
    /// Nanoseconds in reads.
    pub read_ns: u64,
    /// Nanoseconds in writes.
    pub write_ns: u64,
}

impl BufferUsage {
    /// What came since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            hits: self.hits - before.hits,
            reads: self.reads - before.reads,
            dirtied: self.dirtied - before.dirtied,
            writes: self.writes - before.writes,
            read_ns: self.read_ns - before.read_ns,
            write_ns: self.write_ns - before.write_ns,
        }
    }
}

/// One process's way to the pool and to files. Pins and locks that it gives out borrow from it; it has one user, so what it
/// keeps is in cells.
pub struct StorageSession<'s> {
    pub(super) pool: &'s BufferPool<'s>,
    pub(super) me: &'s Proc<'s>,
    files: RelationFiles<'s>,
    pub(super) log: RefCell<Box<dyn LogBarrier + 's>>,
    pub(super) pins: Pins<'s>,
    /// Where a page is between file and frame.
    pub(super) scratch: RefCell<Box<PageBuf>>,
    /// Pages that are read ahead.
    pub(super) reads: RefCell<Reads>,
    pub(super) usage: Cell<BufferUsage>,
    pub(super) counts: &'s StorageCounts,
}

impl<'s> StorageSession<'s> {
    /// The way of the process `me`.
    ///
    /// # Panics
    /// If the pool was made for fewer processes.
    pub fn new(
        pool: &'s BufferPool<'s>,
        me: &'s Proc<'s>,
        log: Box<dyn LogBarrier + 's>,
        settings: FileSettings,
    ) -> Self {
        let counts = &pool.counts[me.id().slot().index()];
        Self {
            pool,
            me,
            files: RelationFiles::new(me, pool.shared, pool.sync_table(), settings),
            log: RefCell::new(log),
            pins: Pins::new(),
            scratch: RefCell::new(PageBuf::zeroed()),
            reads: RefCell::default(),
            usage: Cell::default(),
            counts,
        }
    }

    /// The pool.
    pub fn pool(&self) -> &'s BufferPool<'s> {
        self.pool
    }

    /// The files.
    pub fn files(&self) -> &RelationFiles<'s> {
        &self.files
    }

    /// The process.
    pub fn process(&self) -> &'s Proc<'s> {
        self.me
    }

    /// What this session did with pages so far.
    pub fn usage(&self) -> BufferUsage {
        self.usage.get()
    }

    /// Buffers that it has pinned: 0 between statements.
    pub fn pinned(&self) -> u32 {
        self.pins.len()
    }

    #[inline]
    pub(super) fn count(&self, counter: &AtomicU64, n: u64, own: impl FnOnce(&mut BufferUsage)) {
        // The counter has one writer, so this needs no read-modify-write.
        counter.store(counter.load(Relaxed) + n, Relaxed);
        let mut usage = self.usage.get();
        own(&mut usage);
        self.usage.set(usage);
    }
}
