//! All processes are killed at a random moment, or one at a stop point and then the others; the store is recovered each time,
//! and goes on over the same directory.

use std::collections::HashMap;
use std::time::Duration;

use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::os::file::Files;
use tuskd::sync::Ordering;
use tuskd::wal::SyncMethod;

use super::bank::Bank;
use super::store_world::{DataDirectory, StoreWorld, Style, WORDS, Worker};
use crate::harness::{Rng, Seed, Test, tests};
use crate::world::soon;

/// The tests of this module.
pub const TESTS: &[Test] = tests![the_store_survives_kills: 600];

/// Crashes; `TUSKD_KILLS` says otherwise.
const KILLS: u64 = 24;

const WORKERS: usize = 5;

/// Where somebody is killed, in builds that have stop points.
const POINTS: [StopPoint; 6] = [
    StopPoint::WalReserved,
    StopPoint::WalInserted,
    StopPoint::WalLed,
    StopPoint::WalFlightTaken,
    StopPoint::WalFlightWritten,
    StopPoint::WalFlightDone,
];

fn the_store_survives_kills() {
    let kills = std::env::var("TUSKD_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let mut rng = Seed::current().rng();
    let directory = DataDirectory::new("kills");
    let mut acknowledged: HashMap<i64, Vec<i64>> = HashMap::new();
    for crash in 0..kills {
        let buffers = [24, 64, 512][rng.below(3) as usize];
        let world =
            StoreWorld::new(&directory.0, Style { method: SyncMethod::Fdatasync, buffers }, Files::new());
        let store = world.store(world.join());
        world.recover(store);
        let mut bank = Bank::new(store, world.session(store));
        if crash == 0 {
            bank.open_for_business();
        }
        bank.audit(&acknowledged);
        drop(bank);
        let first = crash as i64 * 100_000;
        let workers = start(world, first, &mut rng);
        if cfg!(any(debug_assertions, feature = "stop-points")) && rng.below(2) == 0 {
            let point = POINTS[rng.below(POINTS.len() as u64) as usize];
            world.ipc.stop_points().arm(point, Action::Kill, None, rng.below(200) as u32);
            world.ipc.stop_points().wait_for_hit(point, soon(2));
        } else {
            std::thread::sleep(Duration::from_micros(rng.below(150_000)));
        }
        workers.iter().for_each(|worker| world.kill(worker));
        // A worker's word says up to where it was acknowledged; what it tried and rolled back is not.
        for who in 0..WORKERS {
            let numbers = acknowledged.entry(who as i64).or_default();
            let bits = &world.words[who * 10..who * 10 + 10];
            for bit in 0..640 {
                if bits[bit / 64].load(Ordering::SeqCst) >> (bit % 64) & 1 != 0 {
                    numbers.push(first + 1 + bit as i64);
                }
            }
        }
    }
    let total: usize = acknowledged.values().map(Vec::len).sum();
    println!("{kills} crashes, {total} transfers acknowledged");
    assert!(total > 0);
}

fn start(world: StoreWorld, first: i64, rng: &mut Rng) -> Vec<Worker> {
    assert!(WORKERS * 10 <= WORDS);
    let mut workers: Vec<_> = (0..WORKERS)
        .map(|who| {
            let mut own = Seed(rng.next_u64()).rng();
            world.fork(move |store| {
                let mut bank = Bank::new(store, world.session(store));
                for bit in 0..640 {
                    if bank.transfer((who as i64, first + 1 + bit as i64), &mut own) {
                        world.words[who * 10 + bit / 64].fetch_or(1 << (bit % 64), Ordering::SeqCst);
                    }
                }
                // Others go on; this one waits to be killed.
                loop {
                    std::thread::park();
                }
            })
        })
        .collect();
    workers.push(world.fork(move |store| {
        loop {
            world.checkpoint(store);
        }
    }));
    workers.push(world.fork(move |store| {
        let mut bank = Bank::new(store, world.session(store));
        loop {
            bank.vacuum();
        }
    }));
    workers
}
