//! Pages that are not in the pool, read ahead of who looks at them: by io_uring, by advice to the kernel, and not at all.
//!
//! Not by criterion: what is read once is in the kernel's page cache, so each round forgets it first (`cold`), or does not
//! (`cached`). Rounds go by turns; printed are medians. `scan` goes through the relation, `named` reads pages far from each
//! other that are known 200 places before, as redo knows them. Each page costs some work, as looking at its rows does.
mod support;

use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use rustix::fs::Advice;
use tuskd::os::file::{Files, Operation, Watcher};
use tuskd::storage::buffer::{RingKind, SequentialRead};
use tuskd::storage::{
    BlockNumber, BufferPool, BufferRing, FileSettings, Fork, NoLog, PAGE_SIZE, ReadOptions, RelFile, RelFork,
    StorageSession,
};

use support::world::World;

const FORK: RelFork =
    RelFork { file: RelFile { tablespace: 1663, database: 5, relation: 16384 }, fork: Fork::Main };
/// 128 MB.
const PAGES: u32 = 16 << 10;
const BUFFERS: usize = 4096;
const NAMED: u32 = 2000;
const ROUNDS: usize = 7;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    Ring,
    Advice,
    NotAtAll,
}

const ALL: [How; 3] = [How::Ring, How::Advice, How::NotAtAll];

/// Whose files a session does not read by a ring.
struct Onlooker;

impl Watcher for Onlooker {
    fn begin(&self, _: &Operation<'_>) -> io::Result<u64> {
        Ok(0)
    }

    fn end(&self, _: u64, _: &Operation<'_>) -> io::Result<()> {
        Ok(())
    }
}

struct Bench {
    pool: &'static BufferPool<'static>,
    /// Of a process each, with a ring and without.
    sessions: [StorageSession<'static>; 2],
    folder: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let mut world = World::new(2, &BufferPool::region_specs(BUFFERS, 2));
        let pool = BufferPool::open(world.segment()).expect("just planned");
        let pool: &'static BufferPool<'static> = Box::leak(Box::new(pool));
        let folder = std::env::temp_dir().join(format!("tuskd-bench-ahead-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("base/5")).expect("a new folder");
        let sessions = [Files::new(), Files::watched(Rc::new(Onlooker))].map(|files| {
            let me = world.claim();
            let settings = FileSettings { data_directory: folder.clone(), files, ..FileSettings::default() };
            StorageSession::new(pool, world.enter(me), Box::new(NoLog), settings)
        });
        sessions[0].files().create(FORK, false).expect("it is not there");
        sessions[0].files().extend(FORK.block(BlockNumber::ZERO), PAGES).expect("the disk has room");
        Self { pool, sessions, folder }
    }

    fn session(&self, how: How) -> &StorageSession<'static> {
        &self.sessions[usize::from(how == How::Advice)]
    }

    /// Nothing of the relation is in the pool any more, nor, if that is wanted, in the kernel's cache.
    fn forget(&self, is_cold: bool) {
        self.sessions[0].discard_relation(FORK.file).expect("nobody pins it");
        if is_cold {
            let file = std::fs::File::open(self.folder.join("base/5/16384")).expect("it is there");
            file.sync_all().expect("the disk works");
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).expect("advice");
        }
    }

    fn scan(&self, how: How) {
        let mut ring = BufferRing::new(RingKind::BulkRead, self.pool.len());
        let options = ReadOptions { ring: Some(&mut ring), is_permanent: true };
        let mut scan = SequentialRead::new(self.session(how), FORK, 0, PAGES, options);
        if how == How::NotAtAll {
            scan.set_distance(0);
        }
        while let Some(pin) = scan.next_page().expect("it is there") {
            work(&pin.lock_shared());
        }
    }

    fn named(&self, how: How) {
        const FAR: u32 = 200;
        let session = self.session(how);
        let block = |n: u32| n.wrapping_mul(2_654_435_761) % PAGES;
        let user = session.ahead_user();
        let mut asked = 0;
        for n in 0..NAMED {
            if n.is_multiple_of(16) && how != How::NotAtAll {
                user.passed(n.into());
                while asked < NAMED.min(n + FAR) {
                    if !user.ask(FORK, block(asked), 1, asked.into()).expect("it is there") {
                        break;
                    }
                    asked += 1;
                }
                user.submit();
            }
            let tag = FORK.block(BlockNumber::new(block(n)).expect("a block"));
            work(&session.read(tag).expect("it is there").lock_shared());
        }
    }
}

/// About what it costs to look at a page's rows.
fn work(page: &tuskd::storage::SharedPage<'_, '_>) {
    let bytes = page.page().slice(0, PAGE_SIZE);
    black_box(bytes.iter().fold(0_u32, |sum, byte| black_box(sum) + u32::from(*byte)));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let bench = Bench::new();
    type Run = fn(&Bench, How);
    let runs: [(&str, Run, u32); 2] = [("scan", Bench::scan, PAGES), ("named", Bench::named, NAMED)];
    for (name, run, pages) in runs {
        for is_cold in [true, false] {
            let mut rates = [const { Vec::new() }; 3];
            for _ in 0..ROUNDS {
                for (how, rates) in ALL.into_iter().zip(&mut rates) {
                    bench.forget(is_cold);
                    let started = Instant::now();
                    run(&bench, how);
                    let megabytes = f64::from(pages) * PAGE_SIZE as f64 / 1e6;
                    rates.push(megabytes / started.elapsed().as_secs_f64());
                }
            }
            let [ring, advice, none] = rates.each_mut().map(|rates| median(rates));
            let state = if is_cold { "cold" } else { "cached" };
            println!(
                "{name:<6}{state:<8} io_uring {ring:>6.0} MB/s, advice {advice:>6.0} MB/s, neither {none:>6.0} MB/s: \
                 {:.2} and {:.2} times",
                ring / advice,
                ring / none
            );
        }
    }
    std::fs::remove_dir_all(&bench.folder).expect("it is there");
}
