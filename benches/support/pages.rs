//! A buffer pool with a relation that is all in it, as two processes see it.
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use shmem_layout::ProcessId;
use tuskd::os::file::Files;
use tuskd::storage::buffer::SequentialRead;
use tuskd::storage::{
    BlockNumber, BufferPool, BufferTag, FileSettings, Fork, NoLog, ReadOptions, RelFile, RelFork,
    StorageSession,
};

use super::Measured;
use super::locks::Lock;
use super::peer::pin_to_cpu;
use super::world::World;

const FORK: RelFork =
    RelFork { file: RelFile { tablespace: 1663, database: 5, relation: 16384 }, fork: Fork::Main };

/// Pages of the relation: 32 MB.
pub const PAGES: u32 = 4096;

fn tag(block: u32) -> BufferTag {
    FORK.block(BlockNumber::new(block).expect("a small one"))
}

/// The pool, and one of two processes that use it.
pub struct Pages {
    world: World,
    pool: &'static BufferPool<'static>,
    peer: ProcessId,
    session: StorageSession<'static>,
    folder: PathBuf,
    what: What,
    block: std::cell::Cell<u32>,
}

/// What one operation is.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// One page, pinned and unpinned again and again.
    SamePage,
    /// The same with its content locked shared between.
    SamePageLocked,
    /// A page that the process has pinned already.
    PinnedPage,
    /// Pages of all the relation, far from each other.
    AnyPage,
    /// Pages that only this process uses.
    OwnPage,
    /// The next page of a scan.
    Scan,
}

impl Pages {
    /// Everything in the pool.
    pub fn new(what: What) -> Self {
        let specs = BufferPool::region_specs(PAGES as usize + 1024, 2);
        let mut world = World::new(2, &specs);
        let pool = BufferPool::open(world.segment()).expect("just planned");
        let pool: &'static BufferPool<'static> = Box::leak(Box::new(pool));
        let (me, peer) = (world.claim(), world.claim());
        let folder = std::env::temp_dir().join(format!("tuskd-bench-pages-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("base/5")).expect("a new folder");
        let session = session(pool, &world, me, &folder);
        session.files().create(FORK, false).expect("it is not there");
        session.extend_to(FORK, PAGES).expect("the disk has room");
        (0..PAGES).for_each(|block| drop(session.read(tag(block)).expect("it is there")));
        Self { world, pool, peer, session, folder, what, block: std::cell::Cell::new(0) }
    }

    fn once(&self) {
        let block = match self.what {
            What::SamePage | What::SamePageLocked | What::PinnedPage => 7,
            // A step that visits all pages, never one near the last.
            What::AnyPage | What::Scan => (self.block.get() + 1201) % PAGES,
            What::OwnPage => 8 + 16 * self.block.get(),
        };
        if let What::AnyPage = self.what {
            self.block.set(block);
        }
        let pin = self.session.read(tag(block)).expect("it is there");
        if let What::SamePageLocked = self.what {
            black_box(pin.lock_shared().page().lsn());
        }
    }

    fn scan(&self, pages: u64) {
        let mut left = pages;
        while left > 0 {
            let end = left.min(PAGES.into()) as u32;
            let mut scan = SequentialRead::new(&self.session, FORK, 0, end, ReadOptions::default());
            while let Some(pin) = scan.next_page().expect("it is there") {
                black_box(pin.lock_shared().page().lsn());
            }
            left -= u64::from(end);
        }
    }
}

fn session(
    pool: &'static BufferPool<'static>,
    world: &World,
    id: ProcessId,
    folder: &std::path::Path,
) -> StorageSession<'static> {
    let settings =
        FileSettings { data_directory: folder.into(), files: Files::new(), ..FileSettings::default() };
    StorageSession::new(pool, world.enter(id), Box::new(NoLog), settings)
}

impl Measured for Pages {
    fn measure(&mut self, iterations: u64) -> Duration {
        pin_to_cpu(0);
        let pin =
            matches!(self.what, What::PinnedPage).then(|| self.session.read(tag(7)).expect("it is there"));
        let started = Instant::now();
        match self.what {
            What::Scan => self.scan(iterations),
            _ => (0..iterations).for_each(|_| self.once()),
        }
        let took = started.elapsed();
        drop(pin);
        took
    }
}

/// For two processes at once: an operation is a pin and an unpin by each.
impl Lock for Pages {
    fn lock_shared_once(&self) {
        self.once();
    }

    fn lock_exclusive_once(&self) {
        self.once();
    }

    fn become_peer(&mut self) {
        self.session = session(self.pool, &self.world, self.peer, &self.folder);
        self.block.set(1);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
