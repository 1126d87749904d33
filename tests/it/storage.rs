//! The buffer pool between real processes: they read, change, write and extend, die in the middle, and the survivors find
//! every page as it should be and every buffer usable.

mod deaths;
mod durability;
mod random;

use std::path::PathBuf;

use tuskd::ipc::Proc;
use tuskd::os::file::Files;
use tuskd::shmem::RegionSpec;
use tuskd::storage::{
    BlockNumber, BufferPool, BufferTag, FileSettings, Fork, NoLog, PageRef, ReadOptions, RelFile, RelFork,
    StorageSession,
};

use crate::harness::Test;
use crate::world::{MAX_PROCESSES, Worker, World};

/// All tables of this folder.
pub const TESTS: [&[Test]; 3] = [deaths::TESTS, random::TESTS, durability::TESTS];

/// Blocks of a segment, so that the relation has several.
pub const SEGMENT_BLOCKS: u32 = 32;

/// The relation that everything is about.
pub const FORK: RelFork =
    RelFork { file: RelFile { tablespace: 1663, database: 5, relation: 16384 }, fork: Fork::Main };

/// Name of its block.
pub fn tag(block: u32) -> BufferTag {
    FORK.block(BlockNumber::new(block).expect("a small one"))
}

/// A world with a buffer pool and a data directory.
#[derive(Clone, Copy)]
pub struct Pool {
    pub world: World,
    pub pool: &'static BufferPool<'static>,
    folder: &'static PathBuf,
}

impl Pool {
    /// With so many buffers, and more regions.
    pub fn new(buffers: usize, mut more: Vec<RegionSpec>) -> Self {
        more.extend(BufferPool::region_specs(buffers, MAX_PROCESSES));
        let world = World::with_regions(more);
        let pool = BufferPool::open(world.ipc.segment()).expect("just made");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pool-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("base/5")).expect("a new folder");
        Self { world, pool: Box::leak(Box::new(pool)), folder: Box::leak(Box::new(folder)) }
    }

    /// A session of a process; `me` lives as long.
    pub fn session<'s>(self, me: &'s Proc<'s>) -> StorageSession<'s> {
        self.session_with(me, Files::new())
    }

    /// The same with files that somebody watches.
    pub fn session_with<'s>(self, me: &'s Proc<'s>, files: Files) -> StorageSession<'s> {
        let settings = FileSettings {
            data_directory: self.folder.clone(),
            files,
            max_open: 4,
            segment_blocks: SEGMENT_BLOCKS,
        };
        StorageSession::new(self.pool, me, Box::new(NoLog), settings)
    }

    /// Makes the relation, with so many pages, each of which has `words` numbers, all 0.
    pub fn make_relation(session: &StorageSession<'_>, pages: u32, words: usize) {
        session.files().create(FORK, false).expect("it is not there");
        for block in 0..pages {
            let mut page = session.extend(FORK, ReadOptions::default()).expect("the disk has room");
            assert_eq!(page.pin().block().get(), block);
            page.mark_dirty();
            page.page_mut().init(0);
            page.page_mut().insert(&vec![0; 8 * words], None).expect("it is empty");
        }
    }

    /// The data directory.
    pub fn folder(self) -> &'static PathBuf {
        self.folder
    }

    /// Cleans up after a dead worker, and frees its slot.
    pub fn clean_up(self, me: &Proc<'_>, dead: &Worker) {
        self.world
            .clean_up_with(me, dead, |is_dead| {
                self.pool.clean_up(me, dead.id, is_dead).expect("everybody else moves");
            })
            .expect("outside critical sections");
    }

    /// Removes the data directory; for a test that has succeeded.
    pub fn remove(self) {
        let _ = std::fs::remove_dir_all(self.folder);
    }
}

/// Offset of the n-th number of a page's item.
pub fn word_at(page: PageRef<'_>, n: usize) -> usize {
    page.item(1).expect("every page has it").offset + 8 * n
}
