//! All processes are killed at a random moment, or one at a stop point and the others somewhat later, while writes of the dead
//! are still landing; the store is recovered each time, and goes on over the same directory.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::os::file::Files;
use tuskd::sync::{AtomicU64, Monotonic, Ordering};
use tuskd::wal::SyncMethod;

use super::bank::Bank;
use super::late_disk::{LateDisk, Platter, WRITERS};
use super::store_world::{DataDirectory, StoreWorld, Style, WORDS, Worker};
use crate::harness::{Rng, Seed, Skip, Test, tests};
use crate::world::soon;

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    the_store_survives_kills: 600,
    a_death_at_each_stop_point_loses_nothing: 600,
];

/// Crashes; `TUSKD_KILLS` says otherwise.
const KILLS: u64 = 24;

const WORKERS: usize = 5;

/// Words of each worker for what was acknowledged to it.
const WORDS_EACH: usize = 10;

/// Where the words of the late disk's writers begin.
const LATE: usize = WORKERS * WORDS_EACH;

/// Where somebody is killed, in builds that have stop points.
const POINTS: [StopPoint; 37] = [
    StopPoint::WalReserved,
    StopPoint::WalInserted,
    StopPoint::WalLed,
    StopPoint::WalFlightTaken,
    StopPoint::WalFlightWritten,
    StopPoint::WalFlightDone,
    StopPoint::WalSegmentMade,
    StopPoint::WalSegmentNamed,
    StopPoint::CommitMarked,
    StopPoint::CommitReleased,
    StopPoint::CommitDurable,
    StopPoint::AbortLogged,
    StopPoint::MapPageWritten,
    StopPoint::MapNarrowed,
    StopPoint::CheckpointBegun,
    StopPoint::CheckpointMapWritten,
    StopPoint::CheckpointWritten,
    StopPoint::CheckpointSynced,
    StopPoint::CheckpointLogged,
    StopPoint::CheckpointNamed,
    StopPoint::RowInserted,
    StopPoint::VacuumIndexesCleaned,
    StopPoint::BufferClaimed,
    StopPoint::BufferLinked,
    StopPoint::BufferUntagged,
    StopPoint::BufferReadBegun,
    StopPoint::BufferReadDone,
    StopPoint::BufferWriteBegun,
    StopPoint::BufferWritten,
    StopPoint::BufferSyncNoted,
    StopPoint::FileExtended,
    StopPoint::SyncEntryFilled,
    StopPoint::FileSynced,
    StopPoint::BTreeSplit,
    StopPoint::BTreeParentLocked,
    StopPoint::LwLockHeld,
    StopPoint::LockReleasedBeforeWake,
];

/// Those that need not come by in a short life.
const RARE: [StopPoint; 2] = [StopPoint::WalSegmentMade, StopPoint::LockReleasedBeforeWake];

fn has_stop_points() -> bool {
    cfg!(any(debug_assertions, feature = "stop-points"))
}

/// A directory and what was acknowledged of it, from crash to crash.
struct Torture {
    directory: DataDirectory,
    acknowledged: HashMap<i64, Vec<i64>>,
    crashes: u64,
    /// A page of the transaction map is full when everybody begins, so that the next checkpoint makes it narrow.
    spends_ids: bool,
    rng: Rng,
}

/// One life of the store.
struct Life {
    world: StoreWorld,
    disk: Rc<LateDisk>,
    workers: Vec<Worker>,
    platter: Worker,
    first: i64,
}

impl Torture {
    fn new(name: &str) -> Self {
        Self {
            directory: DataDirectory::new(name),
            acknowledged: HashMap::new(),
            crashes: 0,
            spends_ids: false,
            rng: Seed::current().rng(),
        }
    }

    /// Recovers, checks, and sets everybody to work.
    fn start(&mut self, buffers: usize) -> Life {
        let rng = &mut self.rng;
        let (disk, platter) = LateDisk::new(Seed(rng.next_u64()).rng());
        let method = if rng.below(2) == 0 { SyncMethod::Fdatasync } else { SyncMethod::OpenDatasync };
        let files = Files::watched(disk.clone());
        let world = StoreWorld::new(&self.directory.0, Style { method, buffers }, files);
        let store = world.store(world.join());
        world.recover(store);
        let mut bank = Bank::new(store, world.session(store));
        if self.crashes == 0 {
            bank.open_for_business();
        }
        bank.audit(&self.acknowledged);
        if self.spends_ids {
            bank.spend_ids(1100);
        }
        drop(bank);
        const { assert!(LATE + WRITERS <= WORDS) };
        let words = &world.words[LATE..LATE + WRITERS];
        let platter = start_disk(world, platter, words);
        disk.begin(words);
        let first = self.crashes as i64 * 100_000;
        let workers = start(world, &disk, first, rng);
        Life { world, disk, workers, platter, first }
    }

    /// Kills everybody and waits for what is still on its way; then notes what was acknowledged.
    fn crash(&mut self, life: Life) {
        let Life { world, disk, workers, platter, first } = life;
        workers.iter().for_each(|worker| world.kill(worker));
        disk.settle();
        world.kill(&platter);
        // A worker's word says up to where it was acknowledged; what it tried and rolled back is not.
        for who in 0..WORKERS {
            let numbers = self.acknowledged.entry(who as i64).or_default();
            let bits = &world.words[who * WORDS_EACH..(who + 1) * WORDS_EACH];
            let is_set = |bit: &usize| bits[bit / 64].load(Ordering::SeqCst) >> (bit % 64) & 1 != 0;
            numbers.extend((0..640).filter(is_set).map(|bit| first + 1 + bit as i64));
        }
        self.crashes += 1;
    }

    fn total(&self) -> usize {
        self.acknowledged.values().map(Vec::len).sum()
    }
}

fn the_store_survives_kills() {
    let kills = std::env::var("TUSKD_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let mut torture = Torture::new("kills");
    for crash in 0..kills {
        torture.spends_ids = crash % 8 == 5;
        let buffers = [24, 64, 512][torture.rng.below(3) as usize];
        let mut life = torture.start(buffers);
        let rng = &mut torture.rng;
        if has_stop_points() && rng.below(2) == 0 {
            let point = POINTS[rng.below(POINTS.len() as u64) as usize];
            life.world.ipc.stop_points().arm(point, Action::Kill, None, rng.below(100) as u32);
            if life.world.ipc.stop_points().wait_for_hit(point, soon(1)) {
                // The others learn of it a little later.
                std::thread::sleep(Duration::from_micros(rng.below(90_000)));
            }
        } else {
            std::thread::sleep(Duration::from_micros(rng.below(150_000)));
            // One first, which leaves something on its way.
            let victim = rng.below(life.workers.len() as u64) as usize;
            let victim = life.workers.swap_remove(victim);
            life.world.kill(&victim);
            std::thread::sleep(Duration::from_micros(rng.below(90_000)));
        }
        torture.crash(life);
    }
    // What the last crash left is looked at, too.
    let life = torture.start(64);
    torture.crash(life);
    println!("{kills} crashes, {} transfers acknowledged", torture.total());
    assert!(torture.total() > 0);
}

/// Each point once, early and late.
fn a_death_at_each_stop_point_loses_nothing() -> Result<(), Skip> {
    if !has_stop_points() {
        return Err(Skip("this build has no stop points (--features stop-points)".into()));
    }
    let mut torture = Torture::new("points");
    let mut missed = Vec::new();
    for point in POINTS {
        torture.spends_ids = point == StopPoint::MapNarrowed;
        let life = torture.start(24);
        let skip = if torture.spends_ids { 0 } else { torture.rng.below(3) as u32 };
        life.world.ipc.stop_points().arm(point, Action::Kill, None, skip);
        let deadline = Monotonic::now().saturating_add(Duration::from_millis(if RARE.contains(&point) {
            300
        } else {
            15_000
        }));
        if life.world.ipc.stop_points().wait_for_hit(point, deadline) {
            std::thread::sleep(Duration::from_micros(torture.rng.below(30_000)));
        } else {
            missed.push(point);
        }
        torture.crash(life);
    }
    let life = torture.start(64);
    torture.crash(life);
    println!("{} transfers acknowledged, nobody came by {missed:?}", torture.total());
    assert!(missed.iter().all(|point| RARE.contains(point)), "{missed:?}");
    assert!(torture.total() > 0);
    Ok(())
}

fn start_disk(world: StoreWorld, platter: Platter, words: &'static [AtomicU64]) -> Worker {
    world.fork(move |_| platter.serve(words))
}

fn start(world: StoreWorld, disk: &Rc<LateDisk>, first: i64, rng: &mut Rng) -> Vec<Worker> {
    let mut workers: Vec<_> = (0..WORKERS)
        .map(|who| {
            let (mut own, moments) = (Seed(rng.next_u64()).rng(), Seed(rng.next_u64()).rng());
            world.fork(move |store| {
                disk.be(who, moments);
                let mut bank = Bank::new(store, world.session(store));
                for bit in 0..640 {
                    if bank.transfer((who as i64, first + 1 + bit as i64), &mut own) {
                        let word = &world.words[who * WORDS_EACH + bit / 64];
                        word.fetch_or(1 << (bit % 64), Ordering::SeqCst);
                    }
                }
                // Others go on; this one waits to be killed.
                loop {
                    std::thread::park();
                }
            })
        })
        .collect();
    let moments = [rng.next_u64(), rng.next_u64()].map(|seed| Seed(seed).rng());
    let [of_checkpoints, of_vacuum] = moments;
    workers.push(world.fork(move |store| {
        disk.be(WORKERS, of_checkpoints);
        for number in 0_u64.. {
            world.checkpoint(store);
            if number % 4 == 0 {
                store.log.with(|log| log.switch_segment()).unwrap_or_else(|e| panic!("{e}"));
            }
        }
    }));
    workers.push(world.fork(move |store| {
        disk.be(WORKERS + 1, of_vacuum);
        let mut bank = Bank::new(store, world.session(store));
        loop {
            bank.vacuum();
        }
    }));
    workers
}
