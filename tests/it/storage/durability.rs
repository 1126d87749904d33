//! What a checkpoint promises, read off a record of every write and sync of several processes: whatever stood in a page when
//! the checkpoint began is on disk when it is over, whoever wrote the page and whenever, and whichever process noted its file.
//!
//! A note that is made before the write instead of behind it, or a page that is said to be clean too early, fails here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tuskd::ipc::Proc;
use tuskd::os::file::Files;
use tuskd::os::file::recording::{self, Entry, Recorded, Recorder};
use tuskd::storage::buffer::{BackgroundWriter, Unpaced};
use tuskd::storage::{PAGE_SIZE, PageBuf, StorageSession};
use tuskd::sync::Ordering;

use super::{FORK, Pool, SEGMENT_BLOCKS, tag, word_at};
use crate::harness::{Seed, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![a_checkpoint_has_on_disk_what_stood_in_the_pages: 180];

const PAGES: u32 = 60;
const WORKERS: usize = 3;
const CHECKPOINTS: u64 = 40;

/// Number of the world that says that it is over; those of the pages stand behind the first.
const IS_OVER: usize = 0;

fn change(session: &StorageSession<'_>, pool: Pool, block: u32) {
    let mut page = session.read(tag(block)).expect("it is there").lock_exclusive();
    let at = word_at(page.page(), 0);
    let next = page.page().u64_at(at) + 1;
    page.mark_dirty();
    page.page_mut().put_u64(at, next);
    pool.world.number(1 + block as usize).store(next, Ordering::Release);
}

fn work(session: &StorageSession<'_>, pool: Pool, seed: u64) {
    let mut rng = Seed(seed).rng();
    let mut writer = BackgroundWriter::default();
    while pool.world.number(IS_OVER).load(Ordering::Acquire) == 0 {
        match rng.below(50) {
            0 => drop(writer.write_some(session, 20, 2.0).expect("the disk works")),
            1 => session.flush_relation(FORK.file).expect("the disk works"),
            _ => change(session, pool, rng.below(PAGES.into()) as u32),
        }
    }
}

fn checkpoint(session: &StorageSession<'_>, pool: Pool, recorder: &Recorder) {
    let numbers: Vec<u8> = (0..PAGES as usize)
        .flat_map(|block| pool.world.number(1 + block).load(Ordering::Acquire).to_le_bytes())
        .collect();
    session.checkpoint_write(false, &mut Unpaced).expect("the disk works");
    session.files().sync_all().expect("the disk works");
    recorder.note(&numbers).expect("the disk works");
}

fn a_checkpoint_has_on_disk_what_stood_in_the_pages() {
    let mut rng = Seed::current().rng();
    let pool = Pool::new(24, vec![]);
    let me: Proc<'_> = pool.world.join();
    let path = pool.folder().join("record");
    let recorder = Rc::new(Recorder::create(&path).expect("a new file"));
    let files = || Files::watched(Rc::clone(&recorder) as Rc<_>);
    let session = pool.session_with(&me, files());
    Pool::make_relation(&session, PAGES, 1);
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (seed, files) = (rng.next_u64(), files());
            pool.world.fork(move |me| work(&pool.session_with(me, files), pool, seed))
        })
        .collect();
    (0..CHECKPOINTS).for_each(|_| checkpoint(&session, pool, &recorder));
    pool.world.number(IS_OVER).store(1, Ordering::Release);
    workers.into_iter().for_each(|worker| pool.world.reap(worker));
    checkpoint(&session, pool, &recorder);
    drop(session);
    let entries = recording::read(&path).expect("just written");
    assert_eq!(check(&entries), CHECKPOINTS + 1);
    pool.remove();
}

/// What is on disk for certain.
#[derive(Default)]
struct Disk {
    /// Operations that have begun.
    begun: HashMap<u64, Recorded>,
    /// Numbers of the pages of each file, as last written.
    written: HashMap<PathBuf, HashMap<u32, u64>>,
    /// As they were when a sync began.
    at_sync: HashMap<u64, (PathBuf, HashMap<u32, u64>)>,
    durable: HashMap<u32, u64>,
}

impl Disk {
    fn begin(&mut self, number: u64, operation: &Recorded) {
        if let Recorded::Sync(path) = operation {
            let written = self.written.get(path).cloned().unwrap_or_default();
            self.at_sync.insert(number, (path.clone(), written));
        }
        self.begun.insert(number, operation.clone());
    }

    fn end(&mut self, number: u64) {
        match self.begun.remove(&number).expect("it has begun") {
            Recorded::Write { path, offset, bytes, .. } => {
                for (i, page) in bytes.chunks_exact(PAGE_SIZE).enumerate() {
                    let block = block_of(&path, offset) + i as u32;
                    self.written.entry(path.clone()).or_default().insert(block, number_on(page));
                }
            }
            Recorded::Sync(_) => {
                let (_, written) = self.at_sync.remove(&number).expect("it has begun");
                for (block, number) in written {
                    let durable = self.durable.entry(block).or_default();
                    *durable = number.max(*durable);
                }
            }
            _ => {}
        }
    }
}

fn block_of(path: &Path, offset: u64) -> u32 {
    let segment = path.extension().map_or(0, |n| n.to_string_lossy().parse().expect("a segment's number"));
    segment * SEGMENT_BLOCKS + (offset / PAGE_SIZE as u64) as u32
}

fn number_on(bytes: &[u8]) -> u64 {
    let mut page = PageBuf::zeroed();
    page.0.copy_from_slice(bytes);
    if page.view().is_new() { 0 } else { page.view().u64_at(word_at(page.view(), 0)) }
}

/// Goes through the record; how many checkpoints it has.
fn check(entries: &[Entry]) -> u64 {
    let (mut disk, mut checkpoints) = (Disk::default(), 0);
    for entry in entries {
        match entry {
            Entry::Begin { number, operation } => disk.begin(*number, operation),
            Entry::End { number } => disk.end(*number),
            Entry::Note(numbers) => {
                checkpoints += 1;
                for (block, number) in (0..).zip(numbers.chunks_exact(8)) {
                    let expected = u64::from_le_bytes(number.try_into().expect("eight bytes"));
                    let durable = disk.durable.get(&block).copied().unwrap_or(0);
                    assert!(
                        durable >= expected,
                        "checkpoint {checkpoints}, block {block}: {durable}, not {expected}"
                    );
                }
            }
        }
    }
    checkpoints
}
