//! Processes die at random and at stop points. Outside critical sections the others go on after a clean-up; inside, all are
//! killed and the log is begun again behind its end.

use std::collections::HashMap;

use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::os::file::Files;
use tuskd::wal::SyncMethod;

use super::wal_world::{Before, Folder, Style, WalWorker, WalWorld, read, work};
use crate::harness::{Rng, Seed, Skip, Test, tests};
use crate::world::{eventually, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    nothing_acknowledged_is_lost_by_random_kills: 200,
    others_go_on_after_a_death_at_every_stop_point: 120,
    a_death_in_the_middle_of_an_insertion_needs_a_new_start: 120,
];

/// Overlapping and gathering, by rings and by calls.
const STYLES: [Style; 4] = [
    Style { method: SyncMethod::IoUringDsync, with_ring: true, depth: 0 },
    Style { method: SyncMethod::OpenDatasync, with_ring: false, depth: 4 },
    Style { method: SyncMethod::Fdatasync, with_ring: true, depth: 0 },
    Style { method: SyncMethod::Fsync, with_ring: false, depth: 0 },
];

/// What every worker that ever was had acknowledged.
#[derive(Default)]
struct Book {
    acknowledged: HashMap<u64, u64>,
    next_worker: u64,
}

impl Book {
    fn start(&mut self, world: WalWorld, rng: &mut Rng) -> WalWorker {
        self.next_worker += 1;
        let (number, mut own) = (self.next_worker, Seed(rng.next_u64()).rng());
        world.fork(number, move |session, _, told| work(number, session, told, &mut own, |_| ()))
    }

    fn close(&mut self, world: WalWorld, worker: &WalWorker) {
        self.acknowledged.insert(worker.number, world.acknowledged(worker));
    }

    /// Reads the log and compares.
    fn check(&self, folder: &Folder) -> Before {
        let (counts, before) = read(&folder.0);
        for (worker, acknowledged) in &self.acknowledged {
            let found = counts.get(worker).copied().unwrap_or(0);
            assert!(found >= *acknowledged, "worker {worker}: {acknowledged} acknowledged, {found} found");
        }
        before
    }
}

fn nothing_acknowledged_is_lost_by_random_kills() {
    let mut rng = Seed::current().rng();
    for style in STYLES {
        let folder = Folder::new("kills");
        let mut book = Book::default();
        let mut before = Before::default();
        let (mut restarts, mut kills) = (0, 0);
        while restarts < 4 {
            let world = WalWorld::new(&folder.0, style, Files::new());
            let me = world.join();
            world.begin(me, before, &mut rng);
            let mut crowd: Vec<_> = (0..6).map(|_| book.start(world, &mut rng)).collect();
            // Until one dies in a critical section, or for so many kills.
            for _ in 0..25 {
                std::thread::sleep(std::time::Duration::from_micros(rng.below(20_000)));
                let victim = crowd.swap_remove(rng.below(crowd.len() as u64) as usize);
                let report = world.kill(&victim);
                book.close(world, &victim);
                kills += 1;
                if report.critical_sections != 0 {
                    break;
                }
                world.clean_up(me, &victim);
                crowd.push(book.start(world, &mut rng));
            }
            for worker in &crowd {
                world.kill(worker);
                book.close(world, worker);
            }
            before = book.check(&folder);
            restarts += 1;
        }
        let durable: u64 = book.acknowledged.values().sum();
        println!("{style:?}: {kills} kills, {restarts} restarts, {durable} records acknowledged");
        assert!(durable > 0);
    }
}

/// Stop points outside critical sections.
const POINTS: [StopPoint; 6] = [
    StopPoint::WalInserted,
    StopPoint::WalLed,
    StopPoint::WalFlightTaken,
    StopPoint::WalFlightWritten,
    StopPoint::WalFlightDone,
    StopPoint::WalSegmentMade,
];

fn others_go_on_after_a_death_at_every_stop_point() -> Result<(), Skip> {
    if !cfg!(any(debug_assertions, feature = "stop-points")) {
        return Err(Skip("this build has no stop points (--features stop-points)".into()));
    }
    let mut rng = Seed::current().rng();
    for style in STYLES {
        for point in POINTS {
            let folder = Folder::new("points");
            let world = WalWorld::new(&folder.0, style, Files::new());
            let me = world.join();
            world.begin(me, Before::default(), &mut rng);
            let mut book = Book::default();
            let mut crowd: Vec<_> = (0..4).map(|_| book.start(world, &mut rng)).collect();
            let skip = if point == StopPoint::WalSegmentMade { 0 } else { rng.below(30) as u32 };
            world.ipc.stop_points().arm(point, Action::Kill, None, skip);
            let stopped = world.ipc.stop_points().wait_for_hit(point, soon(30));
            assert!(stopped, "{point:?} was never passed");
            let mut dead = None;
            eventually(|| crowd.iter().any(|worker| world.is_dead(worker)));
            if let Some(at) = crowd.iter().position(|worker| world.is_dead(worker)) {
                dead = Some(crowd.swap_remove(at));
            }
            let dead = dead.expect("somebody was killed");
            let report = world.bury(&dead);
            assert_eq!(report.critical_sections, 0, "{point:?}");
            book.close(world, &dead);
            world.clean_up(me, &dead);
            // Everybody gets on.
            let at_death: Vec<_> = crowd.iter().map(|worker| world.acknowledged(worker)).collect();
            eventually(|| {
                crowd.iter().zip(&at_death).all(|(worker, then)| world.acknowledged(worker) > *then + 3)
            });
            crowd.iter().for_each(|worker| world.stop(worker));
            for worker in crowd {
                book.close(world, &worker);
                world.reap(worker);
            }
            world.assert_nothing_is_left();
            book.check(&folder);
        }
    }
    Ok(())
}

/// Who dies with a place in the log and nothing in it leaves a hole that nothing behind it can be durable over. That is a
/// crash, which its slot tells; the next start's log goes over the hole.
fn a_death_in_the_middle_of_an_insertion_needs_a_new_start() -> Result<(), Skip> {
    if !cfg!(any(debug_assertions, feature = "stop-points")) {
        return Err(Skip("this build has no stop points (--features stop-points)".into()));
    }
    let mut rng = Seed::current().rng();
    for style in STYLES {
        let folder = Folder::new("hole");
        let (mut book, mut before) = (Book::default(), Before::default());
        for _ in 0..3 {
            let world = WalWorld::new(&folder.0, style, Files::new());
            let me = world.join();
            world.begin(me, before, &mut rng);
            let mut crowd: Vec<_> = (0..4).map(|_| book.start(world, &mut rng)).collect();
            world.ipc.stop_points().arm(StopPoint::WalReserved, Action::Kill, None, rng.below(60) as u32);
            assert!(world.ipc.stop_points().wait_for_hit(StopPoint::WalReserved, soon(30)));
            eventually(|| crowd.iter().any(|worker| world.is_dead(worker)));
            let at = crowd.iter().position(|worker| world.is_dead(worker)).expect("somebody was killed");
            let dead = crowd.swap_remove(at);
            assert_ne!(world.bury(&dead).critical_sections, 0);
            book.close(world, &dead);
            for worker in &crowd {
                world.kill(worker);
                book.close(world, worker);
            }
            before = book.check(&folder);
        }
    }
    Ok(())
}
