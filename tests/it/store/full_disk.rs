//! The disk is full for a while, again and again, while several processes work: whatever needs space is an error that says so
//! and rolls its transaction back, nothing is worse than that, and with space there all goes on.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tuskd::access::checkpoints::Request;
use tuskd::os::file::{Files, Operation, Watcher};
use tuskd::report::{Result, SqlState};
use tuskd::sync::{AtomicU64, Ordering};
use tuskd::wal::SyncMethod;

use super::bank::Bank;
use super::store_world::{DataDirectory, StoreWorld, Style, Worker};
use crate::harness::{Rng, Seed, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![a_full_disk_is_an_error_and_nothing_worse: 300];

const WORKERS: usize = 4;
const ROUNDS: u64 = 12;

/// Words of the world: whether the disk is full, whether it is over, how often something failed, and was done with space.
const IS_FULL: usize = 60;
const IS_OVER: usize = 61;
const FAILED: usize = 62;
const DONE: usize = 63;

/// Has space while a word says so.
#[derive(Default)]
struct SmallDisk {
    words: OnceCell<&'static [AtomicU64]>,
}

impl SmallDisk {
    fn is_full(&self) -> bool {
        self.words.get().is_some_and(|words| words[IS_FULL].load(Ordering::SeqCst) != 0)
    }
}

impl Watcher for SmallDisk {
    fn begin(&self, operation: &Operation<'_>) -> io::Result<u64> {
        let needs_space = match operation {
            Operation::Create(_) => true,
            Operation::SetLength { path, length } => *length > std::fs::metadata(path)?.len(),
            Operation::Write { path, offset, bytes, .. } => {
                offset + bytes.len() as u64 > std::fs::metadata(path)?.len()
            }
            _ => false,
        };
        if needs_space && self.is_full() { Err(io::Error::from_raw_os_error(libc::ENOSPC)) } else { Ok(0) }
    }

    fn end(&self, _: u64, _: &Operation<'_>) -> io::Result<()> {
        Ok(())
    }
}

fn a_full_disk_is_an_error_and_nothing_worse() {
    let mut rng = Seed::current().rng();
    let directory = DataDirectory::new("full");
    let style = Style { method: SyncMethod::OpenDatasync, buffers: 48 };
    let disk = Rc::new(SmallDisk::default());
    let world = StoreWorld::new(&directory.0, style, Files::watched(disk.clone()));
    assert!(disk.words.set(world.words).is_ok());
    let store = world.store(world.join());
    world.recover(store);
    Bank::new(store, world.session(store)).open_for_business();
    let workers = start(world, &mut rng);
    for round in 0..ROUNDS {
        std::thread::sleep(Duration::from_millis(20 + rng.below(60)));
        let failed = world.words[FAILED].load(Ordering::SeqCst);
        world.words[IS_FULL].store(1, Ordering::SeqCst);
        crate::world::eventually(|| world.words[FAILED].load(Ordering::SeqCst) > failed + 20);
        world.words[IS_FULL].store(0, Ordering::SeqCst);
        // Everybody gets on: rows, checkpoints, vacuums.
        let done = world.words[DONE].load(Ordering::SeqCst);
        crate::world::eventually(|| world.words[DONE].load(Ordering::SeqCst) > done + 20);
        assert!(round == 0 || failed > 0);
    }
    world.words[IS_OVER].store(1, Ordering::SeqCst);
    workers.into_iter().for_each(|worker| world.reap(worker));
    let acknowledged = acknowledged(world);
    let total: usize = acknowledged.values().map(Vec::len).sum();
    let failed = world.words[FAILED].load(Ordering::SeqCst);
    println!("{total} transfers acknowledged, {failed} errors");
    Bank::new(store, world.session(store)).audit(&acknowledged);
    // And so does a start that has only the disk.
    let world = StoreWorld::new(&directory.0, style, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    Bank::new(store, world.session(store)).audit(&acknowledged);
}

/// Does it until it is over; an error is one of a full disk, or of what depends on it.
fn go_on(world: StoreWorld, mut work: impl FnMut() -> Result<()>) {
    while world.words[IS_OVER].load(Ordering::SeqCst) == 0 {
        let counter = match work() {
            Ok(()) => DONE,
            Err(report) => {
                assert_eq!(report.sqlstate, SqlState::DISK_FULL, "{report}");
                assert_eq!(report.severity, tuskd::report::Severity::Error, "{report}");
                std::thread::sleep(Duration::from_millis(1));
                FAILED
            }
        };
        world.words[counter].fetch_add(1, Ordering::SeqCst);
    }
}

fn start(world: StoreWorld, rng: &mut Rng) -> Vec<Worker> {
    let mut workers: Vec<_> = (0..WORKERS)
        .map(|who| {
            let mut own = Seed(rng.next_u64()).rng();
            world.fork(move |store| {
                let mut bank = Bank::new(store, world.session(store));
                let mut number = 0;
                go_on(world, || {
                    number += 1;
                    if bank.try_transfer((who as i64, number), &mut own)? && number <= 640 {
                        let bit = number as usize - 1;
                        world.words[who * 10 + bit / 64].fetch_or(1 << (bit % 64), Ordering::SeqCst);
                    }
                    Ok(())
                });
            })
        })
        .collect();
    workers.push(world.fork(move |store| {
        go_on(world, || {
            // A segment that is not there yet, time and again.
            store.log.with(|log| log.switch_segment())?;
            world.try_checkpoint(store, Request::IMMEDIATE)
        });
    }));
    workers.push(world.fork(move |store| {
        let mut bank = Bank::new(store, world.session(store));
        go_on(world, || bank.try_vacuum());
    }));
    workers
}

fn acknowledged(world: StoreWorld) -> HashMap<i64, Vec<i64>> {
    let is_set = |who: usize, bit: usize| {
        world.words[who * 10 + bit / 64].load(Ordering::SeqCst) >> (bit % 64) & 1 != 0
    };
    (0..WORKERS)
        .map(|who| (who as i64, (0..640).filter(|bit| is_set(who, *bit)).map(|bit| bit as i64 + 1).collect()))
        .collect()
}
