//! An index of a million numbers that is all in the pool, with a log behind it.
use std::hint::black_box;
use std::time::{Duration, Instant};

use tuskd::access::btree::{
    BTree, BuildOptions, Direction, IndexOptions, KeyOrder, KeyShape, ScanKey, ScanOp, ScanOptions,
};
use tuskd::access::{ColumnStorage, Ctid, Datum};
use tuskd::storage::{BlockNumber, Fork, RelFile, RelFork};

use super::Measured;
use super::peer::pin_to_cpu;
use super::store::{DataDirectory, Opened, recover};

/// Entries that the index has to begin with: even numbers.
pub const ENTRIES: u64 = 1_000_000;

const BUFFERS: usize = 48 << 10;
const FILE: RelFile = RelFile { tablespace: 1663, database: 5, relation: 16384 };

/// What one operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// An entry by its key, anywhere.
    Lookup,
    /// The same of four keys near each other in turn: all that there is of it is in the processor's cache.
    HotLookup,
    /// An entry behind all others.
    InsertAscending,
    /// An entry anywhere.
    InsertRandom,
    /// The next entry of a scan.
    Scan,
    /// The same, backward.
    ScanBackward,
}

/// The index.
pub struct Index {
    tree: BTree<'static, 'static>,
    directory: DataDirectory,
    what: What,
    seed: u64,
    next: u64,
}

fn ctid(number: u64) -> Ctid {
    Ctid::new(BlockNumber::new((number / 200) as u32).expect("few"), (number % 200 + 1) as u16)
}

impl Index {
    /// All of it in the pool.
    pub fn new(what: What) -> Self {
        let directory = DataDirectory::new("index");
        let store = Opened::new(&directory.0, BUFFERS).store();
        recover(store);
        let options = IndexOptions {
            file: FILE,
            is_logged: true,
            name: "t_pkey".into(),
            table: "t".into(),
            shape: KeyShape::new(&[(ColumnStorage::Int64, KeyOrder::ASCENDING)], &[]),
            fillfactor: 90,
        };
        store.storage.files().create(RelFork { file: FILE, fork: Fork::Main }, false).expect("a new file");
        let tree = BTree::new(store, options);
        let index = Self { tree, directory, what, seed: 1, next: ENTRIES };
        let started = Instant::now();
        index.build(ENTRIES);
        // Once for all operations: a build is no thing to be repeated by the thousand.
        println!("built of {ENTRIES} entries in {:?}", started.elapsed());
        index
    }

    fn build(&self, entries: u64) {
        let mut build = self.tree.build(BuildOptions { memory: 64 << 20, folder: &self.directory.0 });
        for number in 0..entries {
            // A step that visits all, never one near the last.
            let number = number * 618_041 % entries;
            build.add(&[Datum::Int64((number * 2) as i64)], ctid(number)).expect("room");
        }
        build.finish(false, true, |_| Ok(true)).expect("room");
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.seed) * u128::from(below)) >> 64) as u64
    }

    fn once(&mut self) {
        let number = match self.what {
            What::Lookup => self.random(ENTRIES),
            What::HotLookup => 500_000 + self.random(4) * 3,
            _ => {
                self.next += 1;
                let key = match self.what {
                    What::InsertAscending => self.next * 2,
                    _ => self.random(ENTRIES) * 2 + 1,
                };
                self.tree.insert(&[Datum::Int64(key as i64)], ctid(self.next)).expect("room");
                return;
            }
        };
        let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int64((number * 2) as i64))];
        let mut scan = self.tree.scan(&keys, ScanOptions::default());
        let found = scan.next(Direction::Forward).expect("a good tree");
        assert_eq!(found, Some(ctid(number)));
    }

    fn scan(&self, entries: u64, direction: Direction) {
        let mut left = entries;
        while left > 0 {
            let mut scan = self.tree.scan(&[], ScanOptions::default());
            while left > 0
                && let Some(ctid) = scan.next(direction).expect("a good tree")
            {
                black_box(ctid);
                left -= 1;
            }
        }
    }
}

impl Measured for Index {
    fn measure(&mut self, iterations: u64) -> Duration {
        pin_to_cpu(0);
        let started = processor_time();
        match self.what {
            What::Scan => self.scan(iterations, Direction::Forward),
            What::ScanBackward => self.scan(iterations, Direction::Backward),
            _ => (0..iterations).for_each(|_| self.once()),
        }
        processor_time().saturating_sub(started)
    }
}

/// What this thread has used of its processor: nothing here waits, so what others do meanwhile is not counted.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
