//! One operation on a file fails, each kind of it at several moments: of a start, of transactions, a checkpoint or a vacuum.
//! What an error says of itself is true: behind an ERROR all goes on with nothing lost, behind a PANIC a start finds all.
//!
//! It found two syncs whose failure was an ERROR, and the next one's success was believed: of the log's folder, when a segment
//! had got its name, and of the transaction map, when its pages had become narrow.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

use tuskd::access::checkpoints::Request;
use tuskd::os::file::Files;
use tuskd::os::pidfd::ExitStatus;
use tuskd::os::process::{self, Fork};
use tuskd::report::{Report, Result, Severity, SqlState};
use tuskd::wal::SyncMethod;

use super::bank::Bank;
use super::faulty_disk::{Class, Fault, FaultyDisk};
use super::power_failure::check;
use super::store_world::{DataDirectory, StoreWorld, Style};
use crate::harness::{Rng, Seed, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![a_fault_is_an_error_or_a_panic_and_no_loss: 600];

const STYLES: [Style; 2] = [
    Style { method: SyncMethod::Fdatasync, buffers: 24 },
    Style { method: SyncMethod::OpenDatasync, buffers: 256 },
];

use Severity::{Error, Panic};

/// How bad it is that an operation fails, while the server runs.
const KINDS: [(Class, Severity); 22] = [
    (("write", "log"), Panic),
    (("sync", "log"), Panic),
    (("create", "new segment"), Error),
    (("write", "new segment"), Error),
    (("sync", "new segment"), Error),
    (("rename", "new segment"), Error),
    (("rename", "log"), Error),
    (("remove", "log"), Error),
    // A name that is not on disk may be lost with all that stands under it.
    (("sync folder", "log"), Panic),
    (("create", "relation"), Error),
    (("write", "relation"), Error),
    (("read", "relation"), Error),
    (("sync", "relation"), Panic),
    (("sync folder", "relation"), Panic),
    (("create", "map"), Error),
    (("write", "map"), Error),
    (("read", "map"), Error),
    (("sync", "map"), Panic),
    (("sync folder", "map"), Panic),
    (("read", "control file"), Panic),
    (("write", "control file"), Panic),
    (("sync", "control file"), Panic),
];

/// Not in every style.
const RARE: [Class; 1] = [("sync", "log")];

fn a_fault_is_an_error_or_a_panic_and_no_loss() {
    let (mut rng, mut wrong) = (Seed::current().rng(), Vec::new());
    for style in STYLES {
        let template = DataDirectory::new("faults");
        let seed = rng.next_u64();
        in_a_child(|| crash_in_the_middle(&template.0, style, seed));
        for (class, severity) in KINDS {
            let mut tries = Tries::default();
            for skip in [0, 1, 3, 8, 30, 150] {
                let errno = if skip % 2 == 1 && is_growth(class) { libc::ENOSPC } else { libc::EIO };
                if !tries.one(&template.0, style, Fault { class, skip, errno }, severity, rng.next_u64()) {
                    break;
                }
            }
            println!("{style:?} {class:?}: {tries:?}");
            if tries.0.is_empty() && !RARE.contains(&class) {
                wrong.push(format!("{class:?} never happened: a test that cannot fail"));
            }
            wrong.append(&mut tries.1);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_growth((what, _): Class) -> bool {
    matches!(what, "create" | "write" | "rename")
}

/// What faults of a kind came to, and how often; and what should not have come.
#[derive(Default, Debug)]
struct Tries(BTreeMap<String, u32>, Vec<String>);

impl Tries {
    /// One fault in a copy of a directory; `false`: the operation did not come so often.
    fn one(&mut self, template: &Path, style: Style, fault: Fault, severity: Severity, seed: u64) -> bool {
        let directory = DataDirectory::copy_of("fault", template);
        let notes = directory.0.with_extension("notes");
        let status = status_of(|| meet(&directory.0, style, fault, &notes, seed));
        let text = std::fs::read_to_string(&notes).expect("it was made");
        std::fs::remove_file(&notes).expect("it is there");
        let told = text.lines().filter(|line| line.starts_with("fault: ")).collect::<Vec<_>>().join("; ");
        let context = || format!("{style:?} {fault:?} seed {seed}: {status}; {told}");
        if status == ExitStatus::Exited(NOT_MET) {
            return false;
        }
        // In the middle of a long record nothing can be handed up.
        let is_abort = matches!(status, ExitStatus::Signaled { signal: libc::SIGABRT, .. });
        let is_expected = match status {
            _ if is_abort => matches!(fault.class, ("write" | "sync", "log")),
            ExitStatus::Exited(PANICKED) => severity == Panic,
            ExitStatus::Exited(WENT_ON) => severity == Error,
            status => status == ExitStatus::Exited(NOT_STARTED),
        };
        if !is_expected {
            self.1.push(context());
        }
        let acknowledged = acknowledged_in(&text);
        let checked = status_of(|| {
            check(&directory.0, style, &acknowledged, true);
            0
        });
        if !checked.is_success() {
            self.1.push(format!("the check {checked}: {}", context()));
        }
        let outcome = text.lines().find_map(|line| line.strip_prefix("fault: ")).unwrap_or("unnoticed");
        let outcome: String = outcome.chars().filter(|c| !c.is_ascii_digit()).collect();
        *self.0.entry(outcome).or_default() += 1;
        true
    }
}

/// How a process ends that met a fault.
const WENT_ON: i32 = 10;
const PANICKED: i32 = 11;
const NOT_STARTED: i32 = 12;
const NOT_MET: i32 = 13;

/// Money is moved, some of it behind a checkpoint.
fn crash_in_the_middle(directory: &Path, style: Style, seed: u64) {
    let world = StoreWorld::new(directory, style, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    let mut bank = Bank::new(store, world.session(store));
    bank.open_for_business();
    let mut rng = Seed(seed).rng();
    for number in 1..=60 {
        bank.transfer((500, number), &mut rng);
        if number == 40 {
            world.checkpoint(store);
            // A page of the map is full: the next checkpoint makes it narrow.
            bank.spend_ids(1000);
        }
    }
}

/// One process's work until the end or a PANIC. Notes what was acknowledged to it, and errors.
fn meet(directory: &Path, style: Style, fault: Fault, notes: &Path, seed: u64) -> i32 {
    let mut notes = File::create(notes).expect("the disk has room");
    let disk = Rc::new(FaultyDisk::new(fault));
    let world = StoreWorld::new(directory, style, Files::watched(disk.clone()));
    let store = world.store(world.join());
    if let Err(report) = world.try_recover(store) {
        note(&mut notes, &report, fault);
        return NOT_STARTED;
    }
    let mut bank = Bank::new(store, world.session(store));
    let mut rng = Seed(seed).rng();
    for number in 1..=60 {
        for work in 0..5 {
            let done = step(work, number, world, &mut bank, &mut rng);
            match done {
                Ok(true) => writeln!(notes, "acknowledged: {number}").expect("the disk has room"),
                Ok(false) => {}
                Err(report) => {
                    note(&mut notes, &report, fault);
                    if report.severity >= Panic {
                        return PANICKED;
                    }
                }
            }
        }
    }
    if !disk.has_failed() {
        return NOT_MET;
    }
    bank.audit(&HashMap::new());
    WENT_ON
}

/// One of five works, each at its times; whether a transfer was committed by it.
fn step(work: u32, number: i64, world: StoreWorld, bank: &mut Bank, rng: &mut Rng) -> Result<bool> {
    match work {
        0 => return bank.try_transfer((1, number), rng),
        1 if number % 12 == 0 => bank.try_vacuum()?,
        2 if number % 4 == 0 => drop(bank.store.log.with(|log| log.switch_segment())?),
        3 if number % 10 == 0 => world.try_checkpoint(bank.store, Request::IMMEDIATE)?,
        // What every process does that writes a page out to have its buffer.
        4 if number % 15 == 0 => drop(bank.store.storage.files().sync_all()?),
        _ => {}
    }
    Ok(false)
}

fn note(notes: &mut File, report: &Report, fault: Fault) {
    let text = format!("{} {}: {}", report.severity.name(), report.sqlstate, report.message);
    writeln!(notes, "fault: {text}").expect("the disk has room");
    let expected = if fault.errno == libc::ENOSPC { SqlState::DISK_FULL } else { SqlState::IO_ERROR };
    let is_consequence = report.message.contains("checkpoint");
    assert!(report.sqlstate == expected || is_consequence, "{text}");
}

fn acknowledged_in(text: &str) -> HashMap<i64, Vec<i64>> {
    let numbers = text.lines().filter_map(|line| line.strip_prefix("acknowledged: "));
    HashMap::from([(1, numbers.map(|number| number.parse().expect("a number")).collect())])
}

/// Whatever it leaves in memory goes with its process.
pub(super) fn status_of(work: impl FnOnce() -> i32) -> ExitStatus {
    match process::fork().expect("the test has one thread") {
        Fork::Parent(child) => child.pidfd.wait().expect("our child"),
        Fork::Child => {
            let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            process::exit_now(lived.unwrap_or(101))
        }
    }
}

fn in_a_child(work: impl FnOnce()) {
    let status = status_of(|| {
        work();
        0
    });
    assert!(status.is_success(), "it {status}");
}
