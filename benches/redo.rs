//! How fast a crash is recovered from: pgbench's simple update, one row replaced and one inserted in each transaction.
//!
//! No loop that criterion could repeat. A process fills a data directory, makes a checkpoint and the transactions, and is
//! killed; another one recovers the directory, and that is timed. Alone it does both, and removes the directory;
//! `cargo xtask versus redo` has them done one by one, beside PostgreSQL:
//!
//! ```text
//! cargo bench --bench redo -- [--rows=N] [--transactions=N] [--make=DIR | --recover=DIR] [--cold]
//! ```
//!
//! `--cold`: nothing of the directory is in the kernel's page cache when recovery begins.
mod support;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::Advice;
use rustix::process::{Signal, WaitOptions, getpid, kill_process};
use tuskd::access::checkpoint::{KeepWal, perform};
use tuskd::access::checkpoints::Request;
use tuskd::os::process::{self, Fork};
use tuskd::storage::buffer::Unpaced;

use support::bank::Bank;
use support::store::{DataDirectory, Opened, recover};

const ROWS: i32 = 2_000_000;
const TRANSACTIONS: u64 = 300_000;
/// 512 MB: all of it, as `versus redo` gives PostgreSQL too.
const BUFFERS: usize = 64 << 10;

/// The value of `--name=`.
fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    let prefix = format!("--{name}=");
    std::env::args().find_map(|argument| argument.strip_prefix(&prefix)?.parse().ok())
}

fn is_given(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// Fills a directory in a process that is killed at the end: nothing is put in order.
fn make(folder: &Path, rows: i32, transactions: u64) {
    match process::fork().expect("one thread") {
        Fork::Parent(child) => {
            let status = rustix::process::waitpid(Some(child.pid), WaitOptions::empty()).expect("our child");
            let ended = status.and_then(|(_, status)| status.terminating_signal());
            assert_eq!(ended, Some(Signal::KILL.as_raw()), "the workload failed");
        }
        Fork::Child => {
            run(folder, rows, transactions);
        }
    }
}

/// The workload, and then the end of the process.
fn run(folder: &Path, rows: i32, transactions: u64) -> ! {
    let directory = DataDirectory::at(folder.to_owned());
    let store = Opened::new(&directory.0, BUFFERS).store();
    recover(store);
    let mut bank = Bank::new(store, rows);
    bank.fill();
    let keep = KeepWal { behind: 0, least: 2, most: 4, expected: 0, recycle: false };
    perform(store, Request::IMMEDIATE, &mut Unpaced, &keep, |_| false).expect("a checkpoint");
    let started = Instant::now();
    let mut random = 1_u64;
    for _ in 0..transactions {
        // Knuth's; the high bits are the random ones.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bank.jump(random >> 33);
        bank.simple_update();
    }
    let made = started.elapsed();
    store.log.make_durable(store.engine.wal.inserted()).expect("a flush");
    println!("made {transactions} transactions at {:.0}/s", transactions as f64 / made.as_secs_f64());
    kill_process(getpid(), Signal::KILL).expect("a signal there is");
    // What the directory is dropped by must not run.
    loop {
        std::thread::park();
    }
}

/// Has the kernel forget the contents of all files below a folder.
fn forget(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            forget(&path);
            continue;
        }
        let file = File::open(&path).expect("a file");
        file.sync_all().expect("the disk works");
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).expect("advice");
    }
}

fn cpu() -> Duration {
    let (user, system) = process::cpu_times();
    user + system
}

fn redo(folder: &Path, transactions: u64) {
    if is_given("--cold") {
        forget(folder);
    }
    let store = Opened::new(folder, BUFFERS).store();
    let (started, cpu_before) = (Instant::now(), cpu());
    let records = recover(store);
    let (took, cpu) = (started.elapsed().as_secs_f64(), (cpu() - cpu_before).as_secs_f64());
    println!(
        "redone {transactions} transactions ({records} records) in {took:.3} s, {:.0}/s, CPU {cpu:.3} s",
        transactions as f64 / took
    );
}

fn main() {
    if is_given("--test") || is_given("--list") {
        return;
    }
    let transactions = option("transactions").unwrap_or(TRANSACTIONS);
    let rows = option("rows").unwrap_or(ROWS);
    if let Some(folder) = option::<std::path::PathBuf>("make") {
        make(&folder, rows, transactions);
    } else if let Some(folder) = option::<std::path::PathBuf>("recover") {
        redo(&folder, transactions);
    } else {
        let folder = std::env::temp_dir().join(format!("tuskd-bench-redo-{}", std::process::id()));
        make(&folder, rows, transactions);
        redo(&folder, transactions);
        std::fs::remove_dir_all(&folder).expect("it is there");
    }
}
