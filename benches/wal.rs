//! How many commits a second the log takes, and how many records.
//!
//! Not by criterion: what counts is a ratio between two disciplines on a disk whose mood changes, so each is measured in
//! short rounds in turn, and the median of the rounds' ratios is printed. The disciplines are ours (flights overlap for few
//! committers and gather for many) and PostgreSQL's (one flush at a time; who finds the lock taken waits for its release and
//! looks again), over the same insertion, the same ring and the same writes.
mod support;

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions};
use shmem_layout::{LwLockState, ProcessId, shared_layout};
use tuskd::ipc::{LwLock, Mode, Proc, WaitEvent};
use tuskd::os::file::Files;
use tuskd::os::process::{self, Fork};
use tuskd::os::uring::{Ring, probe};
use tuskd::shmem::RegionSpec;
use tuskd::storage::PageBuf;
use tuskd::sync::{AtomicU64, Ordering};
use tuskd::wal::{
    Beginning, Failure, FileSink, FlushSettings, Incarnation, Lsn, RecordBuilder, RmgrId, Sink, SyncMethod,
    Timeline, Wal, WalSession,
};

use support::world::{VERSION, World};

const MAX_COMMITTERS: usize = 64;
const RING: usize = 16 << 20;
const ROUND: Duration = Duration::from_millis(700);
const ROUNDS: usize = 5;

/// What a commit writes: a row's change and the commit itself, about.
const COMMIT: usize = 300;

/// What bare writes write to, and what each of them writes.
const FILE: u64 = 16 << 20;
const BLOCK: u64 = 8192;

/// Records that two processes together are to insert in a second.
const INSERTS: f64 = 4e6;

/// The bench's own words.
#[repr(C, align(64))]
struct Words {
    go: AtomicU64,
    stop: AtomicU64,
    lock: LwLockState,
    reserved: [u8; 32],
    counts: [AtomicU64; MAX_COMMITTERS],
}

shared_layout!(Words, size 576, align 64, {
    0 => go: AtomicU64,
    8 => stop: AtomicU64,
    16 => lock: LwLockState,
    32 => reserved: [u8; 32],
    64 => counts: [AtomicU64; MAX_COMMITTERS],
});

/// A sink that writes nowhere.
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &Wal<'_>, _: Lsn, _: Lsn) -> Result<(), Failure> {
        Ok(())
    }

    fn may_overlap(&self) -> bool {
        false
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Discipline {
    /// Ours.
    Flights,
    /// PostgreSQL's.
    OneAtATime,
    /// Insertion alone.
    NoFlush,
}

/// A log in a fresh folder.
struct Bench {
    world: World,
    wal: &'static Wal<'static>,
    words: &'static Words,
    folder: PathBuf,
    ids: Vec<ProcessId>,
    method: SyncMethod,
    /// The bench's own way into the log.
    upkeep: RefCell<Option<WalSession<'static, 'static>>>,
}

/// What came of a round.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    /// The same by the processes' own time, for a machine that has other things to do.
    per_cpu_second: f64,
    per_write: f64,
}

impl Bench {
    fn new(method: SyncMethod) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-wal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the disk has room");
        let mut specs = Wal::region_specs(MAX_COMMITTERS + 1, RING);
        specs.push(RegionSpec::of::<Words>("words", VERSION, 1));
        let mut world = World::new(MAX_COMMITTERS + 1, &specs);
        let wal = Wal::open(world.segment(), &folder, Files::new()).expect("opening what was planned");
        let words = &world.segment().region::<Words>("words", VERSION).expect("planned")[0];
        let ids = (0..=MAX_COMMITTERS).map(|_| world.claim()).collect();
        let wal = Box::leak(Box::new(wal));
        let bench = Self { world, wal, words, folder, ids, method, upkeep: RefCell::default() };
        let me = bench.world.enter(bench.ids[MAX_COMMITTERS]);
        // Without a ring: the kernel may carry out its writes by a thread of this process, which is to fork.
        let sink = Box::new(FileSink::new(SyncMethod::OpenDatasync, None));
        let mut session = WalSession::new(bench.wal, me, sink, FlushSettings::default());
        let beginning = Beginning {
            timeline: Timeline(1),
            incarnation: Incarnation(1),
            before: None,
            redo: Lsn::FIRST,
            full_pages: true,
        };
        session.begin(&beginning).expect("the disk has room");
        bench.upkeep.replace(Some(session));
        bench
    }

    fn session(&self, me: &'static Proc<'static>, discipline: Discipline) -> WalSession<'static, 'static> {
        if discipline == Discipline::NoFlush {
            return WalSession::new(self.wal, me, Box::new(Nowhere), FlushSettings::default());
        }
        let ring = probe().is_full().then(|| Ring::new(8).expect("probed"));
        let depth = if discipline == Discipline::OneAtATime { 1 } else { 0 };
        let settings = FlushSettings { depth, ..FlushSettings::default() };
        WalSession::new(self.wal, me, Box::new(FileSink::new(self.method, ring)), settings)
    }

    /// What WAL writer and checkpointer do: so that no committer has to make a segment.
    fn keep_up(&self) {
        if let Some(session) = self.upkeep.borrow_mut().as_mut() {
            session.retire_segments(self.wal.durable(), 8, |_| true).expect("the disk works");
            while session.make_ahead(8).expect("the disk has room") {}
        }
    }

    /// Lets `processes` of them do what `discipline` says for a round.
    fn round(&self, processes: usize, discipline: Discipline) -> Round {
        self.keep_up();
        let (cpu_before, writes_before) = (children_cpu_seconds(), self.wal.statistics().writes);
        for word in [&self.words.go, &self.words.stop].into_iter().chain(&self.words.counts) {
            word.store(0, Ordering::SeqCst);
        }
        let children: Vec<_> = (0..processes)
            .map(|at| match process::fork().expect("one thread") {
                Fork::Parent(child) => child,
                Fork::Child => {
                    process::set_parent_death_signal(Some(Signal::KILL)).expect("a signal there is");
                    let me = self.world.enter(self.ids[at]);
                    if discipline == Discipline::NoFlush {
                        process::pin_to_cpu(at % 2).expect("two CPUs");
                    }
                    self.work(me, at, discipline);
                    process::exit_now(0)
                }
            })
            .collect();
        // Rings are being made.
        std::thread::sleep(Duration::from_millis(60));
        let started = Instant::now();
        self.words.go.store(1, Ordering::SeqCst);
        std::thread::sleep(ROUND);
        let done: u64 = self.words.counts.iter().map(|count| count.load(Ordering::SeqCst)).sum();
        let elapsed = started.elapsed();
        self.words.stop.store(1, Ordering::SeqCst);
        for child in children {
            rustix::process::waitpid(Some(child.pid), WaitOptions::empty()).expect("our child");
        }
        let writes = self.wal.statistics().writes - writes_before;
        Round {
            per_second: done as f64 / elapsed.as_secs_f64(),
            per_cpu_second: done as f64 / (children_cpu_seconds() - cpu_before).max(0.01),
            per_write: done as f64 / writes.max(1) as f64,
        }
    }

    /// What the disk takes at most, as fio would find: so many processes write blocks of a file of zeroes, each write its own
    /// sync (O_DIRECT, O_DSYNC), so that as many are in flight; no log about it. Writes per second.
    fn bare_in_flight(&self, writers: usize) -> f64 {
        let path = self.folder.join("in-flight");
        make_zeroes(&path);
        for word in [&self.words.go, &self.words.stop].into_iter().chain(&self.words.counts) {
            word.store(0, Ordering::SeqCst);
        }
        let write = |at: usize| {
            let flags = rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC;
            let file = OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(&path);
            let (file, page) = (file.expect("just written"), PageBuf::zeroed());
            let mut count = 0;
            while self.words.stop.load(Ordering::Relaxed) == 0 {
                let block = (count * writers + at) as u64 % (FILE / BLOCK);
                file.write_all_at(&page.0, block * BLOCK).expect("the disk works");
                count += 1;
                self.words.counts[at].store(count as u64, Ordering::Relaxed);
            }
        };
        let children: Vec<_> = (0..writers)
            .map(|at| match process::fork().expect("one thread") {
                Fork::Parent(child) => child,
                Fork::Child => {
                    process::set_parent_death_signal(Some(Signal::KILL)).expect("a signal there is");
                    write(at);
                    process::exit_now(0)
                }
            })
            .collect();
        let written = || self.words.counts.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>();
        let (started, before) = (Instant::now(), written());
        std::thread::sleep(ROUND);
        let rate = (written() - before) as f64 / started.elapsed().as_secs_f64();
        self.words.stop.store(1, Ordering::SeqCst);
        for child in children {
            rustix::process::waitpid(Some(child.pid), WaitOptions::empty()).expect("our child");
        }
        rate
    }

    fn work(&self, me: &'static Proc<'static>, at: usize, discipline: Discipline) {
        let mut session = self.session(me, discipline);
        let mut builder = RecordBuilder::new();
        let len = if discipline == Discipline::NoFlush { 100 } else { COMMIT };
        let payload = vec![7; len - 24];
        let lock = LwLock::new(&self.words.lock, WaitEvent::LWLOCK);
        while self.words.go.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let mut count = 0;
        while self.words.stop.load(Ordering::Relaxed) == 0 {
            builder.begin(RmgrId(9), 0, 1);
            builder.main(&payload);
            let place = session.log(&mut builder).expect("the disk has room");
            match discipline {
                Discipline::NoFlush => {}
                Discipline::Flights => session.flush(place.end).expect("the disk works"),
                Discipline::OneAtATime => one_at_a_time(&mut session, me, lock, place.end),
            }
            count += 1;
            self.words.counts[at].store(count, Ordering::Relaxed);
        }
    }
}

/// PostgreSQL's `XLogFlush`: with the lock everything copied is flushed; who finds it taken waits until it is free and looks
/// again.
fn one_at_a_time(
    session: &mut WalSession<'static, 'static>,
    me: &Proc<'static>,
    lock: LwLock<'static>,
    upto: Lsn,
) {
    while session.wal().durable() < upto {
        let guard = lock.acquire_or_wait(me, Mode::Exclusive);
        if guard.is_some() && session.wal().durable() < upto {
            session.flush_copied().expect("the disk works");
        }
        drop(guard);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Processor time of the children that have ended, in hundredths.
fn children_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| -> f64 { fields[at].parse().expect("a number") };
    (ticks(13) + ticks(14)) / 100.0
}

fn make_zeroes(path: &Path) {
    std::fs::write(path, vec![0; FILE as usize]).expect("the disk has room");
    File::open(path).and_then(|file| file.sync_all()).expect("the disk works");
}

/// Writes and syncs one after the other, in a file as the log's: per second.
fn bare(folder: &Path, sync: bool) -> f64 {
    let path = folder.join("bare");
    make_zeroes(&path);
    let file = OpenOptions::new().write(true).open(&path).expect("just written");
    let block = vec![7; 8192];
    let started = Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < ROUND {
        file.write_all_at(&block, count * BLOCK % FILE).expect("the disk has room");
        if sync {
            rustix::fs::fdatasync(&file).expect("the disk works");
        }
        count += 1;
    }
    count as f64 / started.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures two things in turn and prints the median of the ratios of the first to the second; `at_least` 0: for information.
fn versus(name: &str, mut ours: impl FnMut() -> f64, mut theirs: impl FnMut() -> f64, at_least: f64) {
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (ours(), theirs())).collect();
    let ratio = median(rounds.iter().map(|(a, b)| a / b).collect());
    let (a, b) = rounds.iter().copied().unzip::<f64, f64, Vec<_>, Vec<_>>();
    let verdict = match at_least {
        0.0 => "",
        _ if ratio >= at_least => "ok",
        _ => "MISSED",
    };
    println!(
        "{verdict:<7} {name:<44} {:>10.0}/s against {:>10.0}/s: {ratio:.2}, at least {at_least:.2}",
        median(a),
        median(b)
    );
}

fn main() {
    // `cargo test --benches` asks for a quick look whether it runs; a filter names a part,
    // `--method=` a `wal_sync_method`.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let wanted = |part: &str| {
        let filters: Vec<_> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
        filters.is_empty() || filters.iter().any(|filter| part.contains(filter.as_str()))
    };
    let named = arguments.iter().find_map(|a| a.strip_prefix("--method=")).map(SyncMethod::from_name);
    let method = named.flatten().unwrap_or(SyncMethod::OpenDatasync);
    if wanted("insert") {
        let bench = Bench::new(method);
        for processes in [1, 2] {
            let rounds: Vec<_> = (0..ROUNDS).map(|_| bench.round(processes, Discipline::NoFlush)).collect();
            let rate = median(rounds.iter().map(|round| round.per_second).collect()) / 1e6;
            let own =
                median(rounds.iter().map(|round| round.per_cpu_second).collect()) / 1e6 * processes as f64;
            let verdict = match processes {
                1 => "",
                _ if rate * 1e6 >= INSERTS => "ok",
                _ => "MISSED",
            };
            println!(
                "{verdict:<7} insert, {processes} processes, 100 bytes: {rate:.2} million/s, by their own time {own:.2}"
            );
        }
    }
    if wanted("commit") {
        println!("        wal_sync_method = {}", method.name());
        let bench = Bench::new(method);
        let folder = bench.folder.clone();
        let one = || bench.round(1, Discipline::Flights).per_second;
        versus("commit, 1 committer, against bare pwrite + fdatasync", one, || bare(&folder, true), 0.85);
        for (committers, writers) in [(1, 1), (8, 8)] {
            let ours = || bench.round(committers, Discipline::Flights).per_second;
            let name = format!("commit, {committers} committers, against {writers} bare writes in flight");
            versus(&name, ours, || bench.bare_in_flight(writers), 0.0);
        }
        for (committers, at_least) in [(1, 0.95), (2, 1.25), (4, 0.95), (8, 0.95), (32, 0.95), (64, 0.95)] {
            let group = Cell::new((0.0, 0.0));
            let ours = || {
                let round = bench.round(committers, Discipline::Flights);
                group.set((round.per_write, group.get().1));
                round.per_second
            };
            let theirs = || {
                let round = bench.round(committers, Discipline::OneAtATime);
                group.set((group.get().0, round.per_write));
                round.per_second
            };
            versus(
                &format!("commit, {committers} committers, against one flush at a time"),
                ours,
                theirs,
                at_least,
            );
            let (ours, theirs) = group.get();
            println!("        commits per write, last round: {ours:.1} against {theirs:.1}");
        }
        println!("        most flights at once: {}", bench.wal.statistics().most_flights);
    }
}
