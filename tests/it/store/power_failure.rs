//! Power failures: from a record of what workers, a checkpointer and a vacuum wrote and synced, data directories are built as
//! a failure at any moment could have left them, and recovered.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use tuskd::os::file::Files;
use tuskd::os::file::recording::{self, Entry, Recorder};
use tuskd::os::process::{self, Fork};
use tuskd::sync::Ordering;
use tuskd::wal::SyncMethod;

use super::bank::Bank;
use super::store_world::{DataDirectory, StoreWorld, Style};
use crate::harness::{Rng, Seed, Test, tests};
use crate::power::Disk;

/// The tests of this module.
pub const TESTS: &[Test] = tests![the_store_survives_power_failures: 600];

/// Says how many states are tried for each style.
const STATES: &str = "TUSKD_CRASH_STATES";

/// Unless it says so: above a thousand in all, and fewer where the program is slow.
const STATES_IN_CI: u64 = if cfg!(debug_assertions) { 60 } else { 350 };

/// Runs that states are taken from, for each style.
const RUNS: u64 = 6;

const STYLES: [Style; 3] = [
    Style { method: SyncMethod::OpenDatasync, buffers: 48 },
    Style { method: SyncMethod::Fdatasync, buffers: 24 },
    Style { method: SyncMethod::Fsync, buffers: 256 },
];

const WORKERS: i64 = 4;

fn the_store_survives_power_failures() {
    let asked = std::env::var(STATES).ok().and_then(|n| n.parse::<u64>().ok());
    let states = asked.unwrap_or(STATES_IN_CI);
    let mut rng = Seed::current().rng();
    for style in STYLES {
        let mut acknowledged_in_all = 0;
        for _ in 0..RUNS {
            acknowledged_in_all += run(style, states / RUNS, &mut rng);
        }
        println!("{style:?}: {states} states, {acknowledged_in_all} transfers acknowledged");
        assert!(acknowledged_in_all > 0);
    }
}

fn run(style: Style, states: u64, rng: &mut Rng) -> usize {
    let directory = DataDirectory::new("power");
    let mut disk = Disk::default();
    disk.add_durable(&directory.0);
    let record = directory.0.join("record");
    let entries = record_a_run(&directory.0, &record, style, rng);
    let mut cuts: Vec<u64> = (0..states).map(|_| rng.below(entries.len() as u64 + 1)).collect();
    cuts.sort_unstable();
    let (mut acknowledged, mut at, mut is_open) = (HashMap::<i64, Vec<i64>>::new(), 0, false);
    for cut in cuts {
        for entry in &entries[at..cut as usize] {
            disk.apply(entry);
            if let Entry::Note(note) = entry {
                let numbers: Vec<i64> = note
                    .chunks_exact(8)
                    .map(|bytes| i64::from_le_bytes(bytes.try_into().expect("eight bytes")))
                    .collect();
                match numbers[..] {
                    [who, number] => acknowledged.entry(who).or_default().push(number),
                    _ => is_open = true,
                }
            }
        }
        at = cut as usize;
        let state = DataDirectory::empty("power-state");
        let as_before = rng.clone();
        disk.write_failed(&directory.0, &state.0, rng);
        if !in_a_child(|| check(&state.0, style, &acknowledged, is_open)) {
            keep(&disk, &directory, as_before, cut);
        }
    }
    acknowledged.values().map(Vec::len).sum()
}

/// Leaves the state, as it was before anybody recovered it, and the record for whoever wants to know why.
fn keep(disk: &Disk, directory: &DataDirectory, mut rng: Rng, cut: u64) -> ! {
    let kept = DataDirectory::empty("power-kept");
    disk.write_failed(&directory.0, &kept.0, &mut rng);
    std::fs::copy(directory.0.join("record"), kept.0.join("record")).expect("the disk has room");
    let path = kept.0.clone();
    std::mem::forget(kept);
    panic!(
        "a state is not what it should be: {}, from the first {cut} entries of its record",
        path.display()
    );
}

/// Whatever a recovery leaves in memory goes with its process. Whether all was well.
fn in_a_child(work: impl FnOnce()) -> bool {
    match process::fork().expect("the test has one thread") {
        Fork::Parent(child) => child.pidfd.wait().expect("our child").is_success(),
        Fork::Child => {
            let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            process::exit_now(if lived.is_ok() { 0 } else { 101 })
        }
    }
}

/// Recovers, twice, and checks; then business goes on.
pub(super) fn check(directory: &Path, style: Style, acknowledged: &HashMap<i64, Vec<i64>>, is_open: bool) {
    // What comes next need not outlive another failure.
    let style = Style { method: SyncMethod::None, ..style };
    let mut found = None;
    // A second recovery, of what the first one has written, comes to the same.
    for _ in 0..2 {
        let world = StoreWorld::new(directory, style, Files::new());
        let store = world.store(world.join());
        world.recover(store);
        if !is_open {
            return;
        }
        let now = Bank::new(store, world.session(store)).audit(acknowledged);
        assert!(found.is_none_or(|before| before == now), "a second recovery changes something");
        found = Some(now);
        store.log.make_durable(store.engine.wal.inserted()).unwrap_or_else(|e| panic!("{e}"));
    }
    // And business goes on.
    let world = StoreWorld::new(directory, style, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    let mut bank = Bank::new(store, world.session(store));
    let (mut rng, mut acknowledged) = (Seed(7).rng(), acknowledged.clone());
    for number in 1..=5 {
        if bank.transfer((1000, number), &mut rng) {
            acknowledged.entry(1000).or_default().push(number);
        }
    }
    bank.vacuum();
    world.checkpoint(store);
    bank.audit(&acknowledged);
}

/// Runs workers for a while with a recorder beneath them.
fn record_a_run(directory: &Path, path: &Path, style: Style, rng: &mut Rng) -> Vec<Entry> {
    let recorder = Rc::new(Recorder::create(path).expect("the disk has room"));
    let world = StoreWorld::new(directory, style, Files::watched(recorder.clone()));
    let store = world.store(world.join());
    world.recover(store);
    Bank::new(store, world.session(store)).open_for_business();
    recorder.note(&[0; 24]).expect("the disk has room");
    let is_over = &world.words[0];
    let mut workers: Vec<_> = (1..=WORKERS)
        .map(|who| {
            let (mut own, recorder) = (Seed(rng.next_u64()).rng(), recorder.clone());
            world.fork(move |store| {
                let mut bank = Bank::new(store, world.session(store));
                let mut number = 0;
                while is_over.load(Ordering::SeqCst) == 0 {
                    number += 1;
                    if bank.transfer((who, number), &mut own) {
                        let note = [who.to_le_bytes(), number.to_le_bytes()].concat();
                        recorder.note(&note).expect("the disk has room");
                    }
                }
            })
        })
        .collect();
    workers.push(world.fork(move |store| {
        while is_over.load(Ordering::SeqCst) == 0 {
            world.checkpoint(store);
        }
    }));
    workers.push(world.fork(move |store| {
        let mut bank = Bank::new(store, world.session(store));
        while is_over.load(Ordering::SeqCst) == 0 {
            bank.vacuum();
        }
    }));
    std::thread::sleep(std::time::Duration::from_millis(200));
    is_over.store(1, Ordering::SeqCst);
    workers.into_iter().for_each(|worker| world.reap(worker));
    // What goes wrong without any failure must not be blamed on one.
    Bank::new(store, world.session(store)).audit(&HashMap::new());
    recording::read(path).expect("just written")
}
