//! The log is damaged somewhere behind the last checkpoint: a bit, a page, the rest of a segment, all of one. It ends there, as
//! PostgreSQL's does: what was committed before is there, nothing behind is, and what still stands behind in the files is never
//! taken for the log that begins anew there, however many starts and crashes follow.
//!
//! It found that a segment that was cut off was replaced by an empty one before the start's own log began: what was left of it
//! was gone, and a crash before the next checkpoint could not be recovered from.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tuskd::access::control_file::ControlFile;
use tuskd::access::engine::LOG_FOLDER;
use tuskd::os::file::Files;
use tuskd::os::pidfd::ExitStatus;
use tuskd::report::SqlState;
use tuskd::wal::{Lsn, SyncMethod, Timeline};

use super::bank::Bank;
use super::faults::status_of;
use super::store_world::{DataDirectory, StoreWorld, Style};
use crate::harness::{Rng, Seed, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_damaged_log_ends_there_and_never_comes_back: 300,
    a_log_that_ends_before_its_checkpoint_ends_the_start: 120,
];

/// So many pages that a checkpoint alone writes them: the files never know more than the log.
const STYLE: Style = Style { method: SyncMethod::Fdatasync, buffers: 2048 };
const TRANSFERS: i64 = 240;
const DAMAGES: u64 = 40;

/// Commits, each with where the log was durable when it was acknowledged, behind a checkpoint that begins and ends there.
struct History {
    directory: DataDirectory,
    redo: Lsn,
    checkpoint: Lsn,
    commits: Vec<(i64, Lsn)>,
}

impl History {
    fn new(seed: u64) -> Self {
        let directory = DataDirectory::new("history");
        let notes = directory.0.with_extension("notes");
        assert!(status_of(|| make_history(&directory.0, &notes, seed)).is_success());
        let text = std::fs::read_to_string(&notes).expect("just written");
        std::fs::remove_file(&notes).expect("just written");
        let commits = text.lines().map(|line| {
            let (number, end) = line.split_once(' ').expect("two numbers");
            (number.parse().expect("a number"), Lsn::new(end.parse().expect("a number")))
        });
        let commits = commits.collect();
        let control = ControlFile::read(&directory.0, &Files::new()).unwrap_or_else(|e| panic!("{e}"));
        let (redo, checkpoint) = (control.checkpoint_copy.redo, control.checkpoint);
        Self { directory, redo, checkpoint, commits }
    }

    fn end(&self) -> Lsn {
        self.commits.last().expect("some were committed").1
    }
}

fn make_history(directory: &Path, notes: &Path, seed: u64) -> i32 {
    let mut notes = File::create(notes).expect("the disk has room");
    let world = StoreWorld::new(directory, STYLE, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    let mut bank = Bank::new(store, world.session(store));
    bank.open_for_business();
    world.checkpoint(store);
    let mut rng = Seed(seed).rng();
    for number in 1..=TRANSFERS {
        if bank.transfer((1, number), &mut rng) {
            writeln!(notes, "{number} {}", store.engine.wal.durable().bytes()).expect("the disk has room");
        }
        if number % 80 == 0 {
            store.log.with(|log| log.switch_segment()).unwrap_or_else(|e| panic!("{e}"));
        }
    }
    0
}

/// What is done to the log.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Bit,
    Block,
    CutOff,
    Missing,
}

const DAMAGES_OF_A_KIND: [Damage; 4] = [Damage::Bit, Damage::Block, Damage::CutOff, Damage::Missing];

impl Damage {
    /// Does it at a place; where the first byte is that is not as it was.
    fn inflict(self, directory: &Path, at: Lsn, rng: &mut Rng) -> Lsn {
        let path = directory.join(LOG_FOLDER).join(at.segment().file_name(Timeline(1)));
        let file = File::options().read(true).write(true).open(&path).expect("it is there");
        let (offset, block) = (at.offset_in_segment(), at.offset_in_segment() / 8192 * 8192);
        match self {
            Self::Bit => {
                let mut byte = [0];
                file.read_exact_at(&mut byte, offset).expect("within the file");
                file.write_all_at(&[byte[0] ^ 1 << rng.below(8)], offset).expect("writable");
                at
            }
            Self::Block => {
                file.write_all_at(&[0; 8192], block).expect("writable");
                Lsn::new(at.bytes() - (offset - block))
            }
            Self::CutOff => {
                file.set_len(offset).expect("writable");
                // Less than a whole block is no block.
                Lsn::new(at.bytes() - (offset - block))
            }
            Self::Missing => {
                std::fs::remove_file(&path).expect("it is there");
                Lsn::new(at.bytes() - offset)
            }
        }
    }
}

fn a_damaged_log_ends_there_and_never_comes_back() {
    let mut rng = Seed::current().rng();
    let history = History::new(rng.next_u64());
    let mut kept: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let behind = history.checkpoint.bytes() + 256;
    for n in 0..DAMAGES {
        let damage = DAMAGES_OF_A_KIND[(n % 4) as usize];
        let copy = DataDirectory::copy_of("log-damaged", &history.directory.0);
        // Behind a commit, so that where switched segments have nothing but filler is not met more than all else.
        let commit = history.commits[rng.below(history.commits.len() as u64) as usize].1.bytes();
        let at = Lsn::new((commit - rng.below(400)).max(behind));
        let damaged = damage.inflict(&copy.0, at, &mut rng);
        if damaged < history.checkpoint {
            // The only segment with a checkpoint: another test's.
            continue;
        }
        let found = copy.0.join("found");
        let seed = rng.next_u64();
        // Two crashes more, each with something new behind the end; what is found of the old is the same each time.
        let mut first = None;
        for start in 0..3 {
            let status = status_of(|| start_again(&copy.0, &found, start, seed));
            assert!(status.is_success(), "{damage:?} at {at}, start {start}: {status}");
            let numbers = numbers_in(&found);
            let before = first.get_or_insert_with(|| numbers.clone());
            assert_eq!(*before, numbers, "{damage:?} at {at}, start {start}");
        }
        let numbers = first.expect("three starts");
        let is_prefix =
            history.commits.iter().map(|(number, _)| *number).take(numbers.len()).eq(numbers.clone());
        assert!(is_prefix, "{damage:?} at {at}: {numbers:?}");
        let undamaged = history.commits.iter().filter(|(_, end)| *end <= damaged).count();
        assert!(numbers.len() >= undamaged, "{damage:?} at {at}: {} of {undamaged}", numbers.len());
        let is_exact = !matches!(damage, Damage::Bit);
        assert!(!is_exact || numbers.len() == undamaged, "{damage:?} at {at}: more than is whole");
        kept.entry(["bit", "block", "cut off", "missing"][damage as usize]).or_default().push(numbers.len());
    }
    println!("{} commits to {}; kept: {kept:?}", history.commits.len(), history.end());
    let all = history.commits.len();
    assert!(kept.values().all(|kept| kept.iter().any(|kept| *kept < all)), "each kind took something");
}

/// Recovers, checks, writes what is there of the first teller, goes on a little, and crashes.
fn start_again(directory: &Path, found: &Path, start: i64, seed: u64) -> i32 {
    let world = StoreWorld::new(directory, STYLE, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    let mut bank = Bank::new(store, world.session(store));
    let transfers = bank.audit(&HashMap::new());
    // What was acknowledged behind the damage is there as well.
    let acknowledged = &found.with_extension("later");
    let later = if start == 0 { Vec::new() } else { numbers_in(acknowledged) };
    assert!(later.iter().all(|number| transfers.contains(&(2, *number))), "{later:?} of {transfers:?}");
    let old = transfers.iter().filter(|(who, _)| *who == 1).map(|(_, number)| *number);
    write_numbers(found, old);
    let mut rng = Seed(seed + start as u64).rng();
    // A different amount each time, so that the new log ends anywhere within the old.
    let first = start * 100 + 1;
    let more = (first..first + rng.below(8) as i64).filter(|number| bank.transfer((2, *number), &mut rng));
    write_numbers(acknowledged, later.into_iter().chain(more.collect::<Vec<_>>()));
    if rng.below(2) == 0 {
        world.checkpoint(store);
    }
    0
}

fn numbers_in(path: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(path).expect("just written");
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

fn write_numbers(path: &Path, numbers: impl Iterator<Item = i64>) {
    let lines: String = numbers.map(|number| format!("{number}\n")).collect();
    std::fs::write(path, lines).expect("the disk has room");
}

/// Between the redo position and the checkpoint's record nothing may be missing: pages may be newer than what is left.
fn a_log_that_ends_before_its_checkpoint_ends_the_start() {
    let mut rng = Seed::current().rng();
    let history = History::new(rng.next_u64());
    let (redo, length) = (history.redo.bytes(), history.checkpoint.bytes() + 100 - history.redo.bytes());
    let anywhere: Vec<_> = (0..6).map(|_| rng.below(length)).collect();
    for at in [0, 10, length - 95, length - 60].into_iter().chain(anywhere) {
        let copy = DataDirectory::copy_of("log-lost", &history.directory.0);
        let at = Lsn::new(redo + at);
        Damage::Bit.inflict(&copy.0, at, &mut rng);
        let status = status_of(|| {
            let world = StoreWorld::new(&copy.0, STYLE, Files::new());
            let store = world.store(world.join());
            let report = world.try_recover(store).expect_err("it cannot be recovered");
            assert_eq!(report.sqlstate, SqlState::DATA_CORRUPTED, "{report}");
            0
        });
        assert_eq!(
            status,
            ExitStatus::Exited(0),
            "damage at {at}, checkpoint from {} on",
            history.checkpoint
        );
    }
}
