//! A bit of a file is another than was written: of a heap, an index, a map of them, or the transaction map. Whoever needs that
//! page is told which it is; nobody gets a wrong answer.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tuskd::access::Store;
use tuskd::access::checkpoints::Request;
use tuskd::os::file::Files;
use tuskd::report::{Report, Result, SqlState};
use tuskd::storage::PAGE_SIZE;
use tuskd::txn::{Fate, Xid};
use tuskd::wal::SyncMethod;

use super::bank::Bank;
use super::faults::status_of;
use super::store_world::{DataDirectory, SEGMENT_BLOCKS, StoreWorld, Style};
use crate::harness::{Rng, Seed, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![a_flipped_bit_is_an_error_and_never_a_wrong_answer: 300];

const STYLE: Style = Style { method: SyncMethod::Fdatasync, buffers: 64 };
const TRANSFERS: i64 = 400;

/// Bits of each file.
const BITS: u64 = 6;

fn a_flipped_bit_is_an_error_and_never_a_wrong_answer() {
    let mut rng = Seed::current().rng();
    let template = DataDirectory::new("damage");
    let seed = rng.next_u64();
    let acknowledged = template.0.with_extension("acknowledged");
    assert!(status_of(|| business(&template.0, &acknowledged, seed)).is_success());
    let known = Known::read(&acknowledged);
    let mut outcomes: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for file in files(&template.0) {
        for _ in 0..BITS {
            let directory = DataDirectory::copy_of("damaged", &template.0);
            let flipped = Flipped::new(&directory.0, &file, &mut rng);
            let status = status_of(|| meet(&directory.0, &known, &flipped));
            let told = status == tuskd::os::pidfd::ExitStatus::Exited(TOLD);
            assert!(told || status.is_success(), "{flipped:?}: {status}");
            // Nobody answers from a page of rows or keys that is damaged.
            assert!(told || !flipped.must_be_told(), "{flipped:?} was not noticed");
            outcomes.entry(file.display().to_string()).or_default()[usize::from(told)] += 1;
        }
    }
    println!("unnoticed and told: {outcomes:?}");
    assert!(outcomes.len() >= 8, "heaps, indexes, their maps, and the transaction map");
}

/// How a process ends that was told of the damage.
const TOLD: i32 = 10;

/// A directory in which all pages are on disk, and redo needs none of them.
fn business(directory: &Path, acknowledged: &Path, seed: u64) -> i32 {
    let world = StoreWorld::new(directory, STYLE, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    let mut bank = Bank::new(store, world.session(store));
    bank.open_for_business();
    // Pages of the map of both kinds.
    bank.spend_ids(1100);
    let mut rng = Seed(seed).rng();
    let done: Vec<_> = (1..=TRANSFERS).filter(|number| bank.transfer((1, *number), &mut rng)).collect();
    bank.vacuum();
    world.checkpoint(store);
    world.checkpoint(store);
    let lines: String = done.iter().map(|number| format!("{number}\n")).collect();
    let fates = fates(store).unwrap_or_else(|e| panic!("{e}"));
    std::fs::write(acknowledged, format!("{fates}\n{lines}")).expect("the disk has room");
    0
}

/// What is right.
struct Known {
    acknowledged: HashMap<i64, Vec<i64>>,
    fates: String,
}

impl Known {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("just written");
        std::fs::remove_file(path).expect("just written");
        let mut lines = text.lines();
        let fates = lines.next().expect("the first line").to_owned();
        let numbers = lines.map(|line| line.parse().expect("a number")).collect();
        Self { acknowledged: HashMap::from([(1, numbers)]), fates }
    }
}

/// How each of the ids ended that were given out first.
fn fates(store: &Store<'_>) -> Result<String> {
    let ids = (Xid::FIRST.number()..1500).filter_map(Xid::new);
    ids.map(|xid| Ok(if store.transactions.fate(xid)? == Fate::Aborted { 'a' } else { 'c' })).collect()
}

/// Relations' files and those of the transaction map.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["base/5", "pg_xact"] {
        for entry in std::fs::read_dir(directory.join(folder)).expect("a folder").flatten() {
            if entry.metadata().expect("it is there").len() > 0 {
                files.push(Path::new(folder).join(entry.file_name()));
            }
        }
    }
    files.sort();
    files
}

/// A bit that is wrong.
#[derive(Debug)]
struct Flipped {
    file: PathBuf,
    offset: u64,
}

impl Flipped {
    fn new(directory: &Path, file: &Path, rng: &mut Rng) -> Self {
        let open = File::options().read(true).write(true).open(directory.join(file)).expect("it is there");
        let length = open.metadata().expect("it is there").len();
        loop {
            let offset = rng.below(length);
            let mut byte = [0];
            open.read_exact_at(&mut byte, offset).expect("within the file");
            // In a part that was written: a page or sector of zeroes is as good as one that never was.
            let mut page = vec![0; 512];
            let start = offset / 512 * 512;
            open.read_exact_at(&mut page, start.min(length.saturating_sub(512))).expect("within the file");
            if page.iter().all(|byte| *byte == 0) {
                continue;
            }
            byte[0] ^= 1 << rng.below(8);
            open.write_all_at(&byte, offset).expect("writable");
            return Self { file: file.to_owned(), offset };
        }
    }

    fn name(&self) -> String {
        self.file.display().to_string()
    }

    fn must_be_told(&self) -> bool {
        let name = self.name();
        // Where free space is need not be right, and is made anew; and of oversized values that are gone nobody reads.
        let is_toast = ["1003", "1004", "2003", "2004"].iter().any(|file| name.contains(file));
        !name.contains("_fsm") && !is_toast
    }

    /// The page as an error names it.
    fn expected(&self) -> String {
        let (relation, segment) = match self.name().rsplit_once('.') {
            Some((relation, segment)) => (relation.to_owned(), segment.parse().expect("a number")),
            None => (self.name(), 0),
        };
        if relation.starts_with("pg_xact") {
            return format!("of relation \"{relation}\"");
        }
        let block = segment * u64::from(SEGMENT_BLOCKS) + self.offset / PAGE_SIZE as u64;
        format!("invalid page in block {block} of relation \"{relation}\"")
    }

    fn judge<T>(&self, result: Result<T>) -> i32 {
        let Err(report) = result else { return 0 };
        let Report { sqlstate, message, .. } = &*report;
        let is_right = *sqlstate == SqlState::DATA_CORRUPTED && message.contains(&self.expected());
        assert!(is_right && message.starts_with("invalid page in block "), "{self:?}: {report}");
        TOLD
    }
}

/// Reads everything, changes some, cleans, reads again; each of which may be told of the damage.
fn meet(directory: &Path, known: &Known, flipped: &Flipped) -> i32 {
    let world = StoreWorld::new(directory, STYLE, Files::new());
    let store = world.store(world.join());
    let mut told = flipped.judge(world.try_recover(store));
    if told != 0 {
        return told;
    }
    let mut bank = Bank::new(store, world.session(store));
    let (mut rng, mut acknowledged) = (Seed(7).rng(), known.acknowledged.clone());
    let fates = fates(store);
    assert!(fates.as_ref().is_err() || fates.as_ref() == Ok(&known.fates), "{flipped:?}");
    told |= flipped.judge(fates);
    told |= flipped.judge(bank.try_audit(&acknowledged));
    for number in 1..=10 {
        match bank.try_transfer((2, number), &mut rng) {
            Ok(true) => acknowledged.entry(2).or_default().push(number),
            failed => told |= flipped.judge(failed),
        }
    }
    told |= flipped.judge(bank.try_vacuum());
    told |= flipped.judge(world.try_checkpoint(store, Request::IMMEDIATE));
    told | flipped.judge(bank.try_audit(&acknowledged))
}
