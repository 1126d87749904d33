//! Power failures: from a record of what several processes wrote and synced, states of the disk are built as a failure at
//! any moment could have left them. In each, what was acknowledged by then is there, nothing is there by half, and a start
//! goes on from it.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use tuskd::os::file::Files;
use tuskd::os::file::recording::{self, Entry, Recorder};
use tuskd::wal::SyncMethod;

use super::wal_world::{Folder, Style, WalWorld, compose, read, work};
use crate::harness::{Rng, Seed, Test, tests};
use crate::power::Disk;

/// The tests of this module.
pub const TESTS: &[Test] = tests![the_log_survives_power_failures: 300];

/// States tried for each style; `TUSKD_CRASH_STATES` says otherwise.
const STATES: u64 = 250;

const STYLES: [Style; 4] = [
    Style { method: SyncMethod::OpenDatasync, with_ring: false, depth: 0 },
    Style { method: SyncMethod::IoUringDsync, with_ring: true, depth: 8 },
    Style { method: SyncMethod::Fdatasync, with_ring: true, depth: 0 },
    Style { method: SyncMethod::Fsync, with_ring: false, depth: 0 },
];

fn the_log_survives_power_failures() {
    let states = std::env::var("TUSKD_CRASH_STATES").ok().and_then(|n| n.parse().ok()).unwrap_or(STATES);
    let mut rng = Seed::current().rng();
    for style in STYLES {
        let (folder, scratch) = (Folder::new("power"), Folder::new("power-record"));
        let path = scratch.0.join("record");
        let entries = record_a_run(&folder, &path, style, &mut rng);
        let mut cuts: Vec<u64> = (0..states).map(|_| rng.below(entries.len() as u64 + 1)).collect();
        cuts.sort_unstable();
        let (mut disk, mut acknowledged, mut at) = (Disk::default(), HashMap::new(), 0);
        for cut in cuts {
            for entry in &entries[at..cut as usize] {
                disk.apply(entry);
                if let Entry::Note(note) = entry {
                    let (worker, count) = note.split_at(8);
                    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                    acknowledged.insert(number(worker), number(count));
                }
            }
            at = cut as usize;
            check(&disk, &folder.0, &acknowledged, style, &mut rng);
        }
        let total: u64 = acknowledged.values().sum();
        println!(
            "{style:?}: {states} states of {} entries, {total} records acknowledged at the end",
            entries.len()
        );
    }
}

/// Runs workers for a while with a recorder beneath them.
fn record_a_run(folder: &Folder, path: &Path, style: Style, rng: &mut Rng) -> Vec<Entry> {
    let recorder = Rc::new(Recorder::create(path).expect("the disk has room"));
    let world = WalWorld::new(&folder.0, style, Files::watched(recorder.clone()));
    let me = world.join();
    world.begin(me, super::wal_world::Before::default(), rng);
    let workers: Vec<_> = (1..=5)
        .map(|number: u64| {
            let (mut own, recorder) = (Seed(rng.next_u64()).rng(), recorder.clone());
            world.fork(number, move |session, _, told| {
                work(number, session, told, &mut own, |count| {
                    let note = [number.to_le_bytes(), count.to_le_bytes()].concat();
                    recorder.note(&note).expect("the disk has room");
                });
            })
        })
        .collect();
    std::thread::sleep(std::time::Duration::from_millis(300));
    for worker in workers {
        world.stop(&worker);
        world.reap(worker);
    }
    recording::read(path).expect("just written")
}

/// One failure: what is read, and that a start behind it is read too.
fn check(disk: &Disk, root: &Path, acknowledged: &HashMap<u64, u64>, style: Style, rng: &mut Rng) {
    let folder = Folder::new("power-state");
    disk.write_failed(root, &folder.0, rng);
    let (counts, before) = read(&folder.0);
    for (worker, acknowledged) in acknowledged {
        let found = counts.get(worker).copied().unwrap_or(0);
        assert!(found >= *acknowledged, "worker {worker}: {acknowledged} acknowledged, {found} found");
    }
    // What comes next need not outlive another failure.
    let world = WalWorld::new(&folder.0, Style { method: SyncMethod::None, ..style }, Files::new());
    let me = world.join();
    world.begin(me, before, rng);
    let mut session = world.session(me, None);
    let number = 1000;
    let mut expected = counts;
    for count in 1..=3 {
        let place = session.log(&mut compose(number, count)).unwrap_or_else(|e| panic!("{e}"));
        session.flush(place.end).unwrap_or_else(|e| panic!("{e}"));
    }
    expected.insert(number, 3);
    assert_eq!(read(&folder.0).0, expected, "a start goes on behind the end");
}
