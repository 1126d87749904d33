//! A hot row: 32 sessions update the same one, each in transactions of its own that wait to be durable. Measured are row
//! locks that go when the commit's record has its place, against row locks that are kept until it is durable.
//!
//! Not by criterion, as in `wal`: rounds by turns, and the median of their ratios. The other way of committing is in no
//! server, so the bench has to be asked for: `cargo bench --bench hot_row --features late-release`.
mod support;

use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions};
use shmem_layout::{ProcessId, shared_layout};
use tuskd::access::heap::{Conflict, Writing};
use tuskd::access::table::Written;
use tuskd::access::visibility::ReadView;
use tuskd::access::{Ctid, Datum, RowReader};
use tuskd::ipc::Proc;
use tuskd::os::process::{self, Fork};
use tuskd::shmem::RegionSpec;
use tuskd::sync::{AtomicU64, Ordering};
use tuskd::txn::locks::{Wait, Watcher};
use tuskd::txn::session::{CommitOptions, Isolation};
use tuskd::wal::SyncMethod;

use support::bank::Bank;
use support::store::{DataDirectory, Opened, recover};
use support::world::VERSION;

const SESSIONS: usize = 32;
const ROUND: Duration = Duration::from_millis(1000);
const ROUNDS: usize = 7;
const AT_LEAST: f64 = 2.0;

/// The bench's own words.
#[repr(C, align(64))]
struct Words {
    go: AtomicU64,
    stop: AtomicU64,
    reserved: [u8; 48],
    counts: [AtomicU64; SESSIONS],
}

shared_layout!(Words, size 320, align 64, {
    0 => go: AtomicU64,
    8 => stop: AtomicU64,
    16 => reserved: [u8; 48],
    64 => counts: [AtomicU64; SESSIONS],
});

/// Never gives up, and sees no deadlock: there is one row.
struct Patient;

impl Watcher for Patient {
    fn interrupted(&mut self, _: &Proc<'_>) -> bool {
        false
    }

    fn is_running(&self, _: u64) -> bool {
        true
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Release {
    Early,
    Late,
}

struct Bench {
    opened: Opened,
    words: &'static Words,
    ids: Vec<ProcessId>,
    /// The bench's own process: what a WAL writer would do.
    upkeep: &'static tuskd::access::Store<'static>,
    _directory: DataDirectory,
}

/// One session.
struct Session {
    bank: Bank,
    release: Release,
}

impl Session {
    fn view(&mut self) -> ReadView {
        self.bank.view()
    }

    /// One transaction that adds 1 to the row.
    fn update(&mut self) {
        self.bank.session.transaction.begin(Isolation::ReadCommitted, false);
        let mut wanted = None;
        loop {
            let (ctid, balance) = wanted.take().unwrap_or_else(|| {
                let view = self.view();
                let found = self.bank.lookup(view);
                self.bank.session.transaction.drop_snapshot(view.snapshot);
                found
            });
            match self.write(ctid, balance + 1) {
                Written::Done(_) => break,
                // As `UPDATE` does at this level: the version that came is the one to be changed.
                Written::Conflict(Conflict::Updated { next, .. }) => wanted = self.version(next),
                // It went on meanwhile: looked up again.
                Written::Conflict(Conflict::Deleted { .. } | Conflict::Invisible) => {}
                other => panic!("{other:?}"),
            }
        }
        let transaction = &mut self.bank.session.transaction;
        match self.release {
            Release::Early => {
                transaction.commit(CommitOptions { synchronous: true, ..CommitOptions::default() })
            }
            Release::Late => transaction.commit_with_late_release(1),
        }
        .expect("commit");
        self.bank.session.locks.release_transaction(self.bank.session.store.me);
    }

    fn write(&mut self, ctid: Ctid, balance: i32) -> Written<Ctid> {
        let values = [Datum::Int32(0), Datum::Int32(1), Datum::Int32(balance), Datum::Bytes(&[b' '; 84])];
        let mut watcher = Patient;
        let mut wait =
            Wait { lock_timeout: None, deadlock_timeout: Duration::from_secs(1), watcher: &mut watcher };
        let mut writing = Writing { command: 1, wait: Some(&mut wait) };
        let Bank { accounts, session, row, .. } = &mut self.bank;
        accounts.update(session, ctid, &values, row, &mut writing).expect("room")
    }

    /// The balance of a version, if that is still there.
    fn version(&self, ctid: Ctid) -> Option<(Ctid, i32)> {
        let Bank { accounts, session, .. } = &self.bank;
        let read = |row: &[u8]| match RowReader::new(accounts.layout(), row).and_then(|mut row| row.get(2)) {
            Ok(Datum::Int32(balance)) => balance,
            other => panic!("{other:?}"),
        };
        let found = accounts.heap().fetch_version(session, ctid, |tuple| read(tuple.row())).expect("a page");
        found.map(|balance| (ctid, balance))
    }
}

impl Bench {
    fn new() -> Self {
        let directory = DataDirectory::new("hot-row");
        let specs = [RegionSpec::of::<Words>("words", VERSION, 1)];
        let mut opened = Opened::with(&directory.0, 4096, SESSIONS + 1, &specs);
        let words = &opened.world.segment().region::<Words>("words", VERSION).expect("planned")[0];
        let upkeep = opened.store();
        recover(upkeep);
        Bank::new(upkeep, 1).fill();
        let ids = (0..SESSIONS).map(|_| opened.world.claim()).collect();
        Self { opened, words, ids, upkeep, _directory: directory }
    }

    /// Commits per second of a round.
    fn round(&self, release: Release) -> f64 {
        self.upkeep.log.with(|log| while log.make_ahead(8).expect("the disk has room") {});
        for word in [&self.words.go, &self.words.stop].into_iter().chain(&self.words.counts) {
            word.store(0, Ordering::SeqCst);
        }
        let children: Vec<_> = (0..SESSIONS)
            .map(|at| match process::fork().expect("one thread") {
                Fork::Parent(child) => child,
                Fork::Child => {
                    process::set_parent_death_signal(Some(Signal::KILL)).expect("a signal there is");
                    self.work(at, release);
                    process::exit_now(0)
                }
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        let started = Instant::now();
        self.words.go.store(1, Ordering::SeqCst);
        std::thread::sleep(ROUND);
        let done: u64 = self.words.counts.iter().map(|count| count.load(Ordering::SeqCst)).sum();
        let elapsed = started.elapsed();
        self.words.stop.store(1, Ordering::SeqCst);
        for child in children {
            rustix::process::waitpid(Some(child.pid), WaitOptions::empty()).expect("our child");
        }
        done as f64 / elapsed.as_secs_f64()
    }

    fn work(&self, at: usize, release: Release) {
        let store = self.opened.store_of(self.ids[at], SyncMethod::OpenDatasync);
        let mut session = Session { bank: Bank::new(store, 1), release };
        while self.words.go.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut count = 0;
        while self.words.stop.load(Ordering::Relaxed) == 0 {
            session.update();
            count += 1;
            self.words.counts[at].store(count, Ordering::Relaxed);
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let bench = Bench::new();
    let rounds: Vec<_> =
        (0..ROUNDS).map(|_| (bench.round(Release::Early), bench.round(Release::Late))).collect();
    let ratio = median(rounds.iter().map(|(early, late)| early / late).collect());
    let (early, late) = rounds.iter().copied().unzip::<f64, f64, Vec<_>, Vec<_>>();
    let verdict = if ratio >= AT_LEAST { "ok" } else { "MISSED" };
    println!(
        "{verdict:<7} a row that {SESSIONS} sessions update: {:.0}/s, locks kept until durable {:.0}/s: {ratio:.2}, at \
         least {AT_LEAST:.2}",
        median(early),
        median(late)
    );
}
