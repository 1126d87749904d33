//! Random histories under snapshot isolation, with and without dependencies watched, and what of them is serializable.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::txn::test_world::{PREPARED, PROCESSES, READS_PER_OWNER, World};

const KEYS: usize = 3;
const SESSIONS: usize = 4;
const FINE: Granularity = Granularity { tuples_per_page: 100, reads_per_relation: 100 };
const COARSE: Granularity = Granularity { tuples_per_page: 1, reads_per_relation: 1 };

fn tuple(key: usize) -> ReadTag {
    // Two of them on one page.
    ReadTag::of_tuple(5, 1000, key as u32 / 2, key as u16 + 1)
}

/// One step of one session; a transaction begins by itself.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read(usize),
    ReadAll,
    Write(usize),
    Commit,
}

/// A committed or running transaction of a history.
#[derive(Clone, Debug, Default)]
struct Ran {
    snapshot: u64,
    commit: Option<u64>,
    /// Keys read, with the commit of the version seen (0: the first).
    read: Vec<(usize, u64)>,
    written: Vec<usize>,
}

/// A small database with versions, in which every transaction is one of `ran`; its id is its place there.
struct Database {
    ran: Vec<Ran>,
    clock: u64,
}

impl Database {
    /// The commit of the version of `key` that `own` sees, and those who have written a version that it does not see.
    fn look(&self, own: usize, key: usize) -> (u64, Vec<usize>) {
        let snapshot = self.ran[own].snapshot;
        let writers = self.ran.iter().enumerate().filter(|(i, t)| *i != own && t.written.contains(&key));
        let (seen, past): (Vec<_>, Vec<_>) =
            writers.partition(|(_, t)| t.commit.is_some_and(|commit| commit <= snapshot));
        let version = seen.into_iter().filter_map(|(_, t)| t.commit).max().unwrap_or(0);
        (version, past.into_iter().map(|(i, _)| i).collect())
    }

    /// Whether some order of the committed, one after the other, has the same reads and the same last versions.
    fn is_serializable(&self) -> bool {
        let committed: Vec<&Ran> = self.ran.iter().filter(|t| t.commit.is_some()).collect();
        let n = committed.len();
        let mut before = vec![vec![false; n]; n];
        for (i, first) in committed.iter().enumerate() {
            for (j, second) in committed.iter().enumerate().filter(|(j, _)| *j != i) {
                let (c1, c2) = (first.commit.unwrap(), second.commit.unwrap());
                let wrote_before = first.written.iter().any(|key| second.written.contains(key) && c1 < c2);
                let was_read =
                    second.read.iter().any(|(key, seen)| first.written.contains(key) && c1 <= *seen);
                let read_before =
                    first.read.iter().any(|(key, seen)| second.written.contains(key) && *seen < c2);
                before[i][j] = wrote_before || was_read || read_before;
            }
        }
        for via in 0..n {
            for i in 0..n {
                for j in 0..n {
                    before[i][j] |= before[i][via] && before[via][j];
                }
            }
        }
        (0..n).all(|i| !before[i][i])
    }
}

/// One session's running transaction.
struct Running {
    id: usize,
    serializable: Option<Serializable<'static>>,
}

struct History<'w> {
    world: &'w World,
    procs: Vec<Proc<'static>>,
    database: Database,
    running: BTreeMap<usize, Running>,
    granularity: Option<Granularity>,
    failures: usize,
}

fn xid(id: usize) -> Xid {
    Xid::new(id as u64 + 3).expect("an id")
}

impl<'w> History<'w> {
    fn new(world: &'w World, granularity: Option<Granularity>) -> Self {
        let procs = (0..SESSIONS).map(|i| world.proc(i)).collect();
        let database = Database { ran: Vec::new(), clock: 10 };
        Self { world, procs, database, running: BTreeMap::new(), granularity, failures: 0 }
    }

    fn begin(&mut self, session: usize) {
        if self.running.contains_key(&session) {
            return;
        }
        let (id, snapshot) = (self.database.ran.len(), self.database.clock);
        self.database.ran.push(Ran { snapshot, ..Ran::default() });
        let me = &self.procs[session];
        let serializable = self.granularity.map(|granularity| {
            let owner = OwnerIndex::of_process(me.id().slot());
            let take = || Snapshot::at(Lsn::new(snapshot));
            let begun = self.world.serial.begin(me, owner, false, granularity, take);
            let (serializable, _) = begun.expect("room");
            serializable.set_xid(me, xid(id));
            serializable
        });
        self.running.insert(session, Running { id, serializable });
    }

    fn step(&mut self, session: usize, step: Step) {
        self.begin(session);
        let mut running = self.running.remove(&session).expect("begun");
        let result = match step {
            Step::Read(key) => self.read(session, &mut running, &[key], tuple(key)),
            Step::ReadAll => self.read(session, &mut running, &[0, 1, 2], ReadTag::of_relation(5, 1000)),
            Step::Write(key) => self.write(session, &mut running, key),
            Step::Commit => return self.commit(session, running),
        };
        match result {
            Ok(()) => drop(self.running.insert(session, running)),
            Err(()) => self.abort(session, running),
        }
    }

    fn read(
        &mut self,
        session: usize,
        running: &mut Running,
        keys: &[usize],
        tag: ReadTag,
    ) -> std::result::Result<(), ()> {
        let me = &self.procs[session];
        let fail = |report: Box<Report>| assert_eq!(report.sqlstate.code(), "40001");
        if let Some(serializable) = &mut running.serializable {
            serializable.read(me, tag).map_err(fail)?;
        }
        for key in keys {
            let (seen, past) = self.database.look(running.id, *key);
            if let Some(serializable) = &running.serializable {
                let mut writers = past.into_iter().map(xid);
                writers.try_for_each(|writer| serializable.read_past(me, writer)).map_err(fail)?;
            }
            if !self.database.ran[running.id].written.contains(key) {
                self.database.ran[running.id].read.push((*key, seen));
            }
        }
        Ok(())
    }

    /// First updater wins: who would write over what it does not see is rolled back.
    fn write(&mut self, session: usize, running: &mut Running, key: usize) -> std::result::Result<(), ()> {
        if !self.database.look(running.id, key).1.is_empty() {
            return Err(());
        }
        if let Some(serializable) = &running.serializable {
            serializable.write(&self.procs[session], tuple(key)).map_err(drop)?;
        }
        self.database.ran[running.id].written.push(key);
        Ok(())
    }

    fn commit(&mut self, session: usize, running: Running) {
        let me = &self.procs[session];
        if let Some(serializable) = &running.serializable
            && serializable.decide(me).is_err()
        {
            return self.abort(session, running);
        }
        let ran = &mut self.database.ran[running.id];
        let lsn = if ran.written.is_empty() {
            ran.snapshot
        } else {
            self.database.clock += 1;
            self.database.clock
        };
        ran.commit = Some(lsn);
        running.serializable.into_iter().for_each(|s| s.committed(me, Lsn::new(lsn)));
    }

    fn abort(&mut self, session: usize, running: Running) {
        self.failures += 1;
        self.database.ran[running.id] = Ran::default();
        running.serializable.into_iter().for_each(|s| s.aborted(&self.procs[session]));
    }

    fn run(mut self, steps: &[(usize, Step)]) -> Self {
        steps.iter().for_each(|(session, step)| self.step(*session, *step));
        for session in 0..SESSIONS {
            if self.running.contains_key(&session) {
                self.step(session, Step::Commit);
            }
        }
        self
    }
}

fn assert_nothing_remembered(world: &World) {
    assert!(world.serial.transactions.iter().all(|t| t.state.load(Relaxed) == SerialTransaction::FREE));
    assert!(world.serial.reads.iter().all(|read| read.transaction.load(Relaxed) == 0));
}

/// The textbook anomalies: with dependencies watched one of each is rolled back, without them they happen.
#[test]
fn anomalies_happen_without_and_not_with() {
    use Step::*;
    let write_skew = [(0, Read(0)), (0, Read(1)), (1, Read(0)), (1, Read(1)), (0, Write(0)), (1, Write(1))];
    let on_predicates = [(0, ReadAll), (1, ReadAll), (0, Write(0)), (1, Write(2))];
    // The reader sees the second's deposit and not the first's, which the second did not see either.
    let read_only_anomaly = [
        (0, Read(0)),
        (0, Read(1)),
        (1, Read(1)),
        (1, Write(1)),
        (1, Commit),
        (2, Read(0)),
        (2, Read(1)),
        (2, Commit),
        (0, Write(0)),
    ];
    for steps in [&write_skew[..], &on_predicates, &read_only_anomaly] {
        let world = World::new(4);
        let without = History::new(&world, None).run(steps);
        assert!(!without.database.is_serializable(), "{steps:?}");
        for granularity in [FINE, COARSE] {
            let with = History::new(&world, Some(granularity)).run(steps);
            assert!(with.database.is_serializable() && with.failures == 1, "{steps:?}");
            assert_nothing_remembered(&world);
        }
    }
}

#[test]
fn what_does_no_harm_commits() {
    use Step::*;
    let one_dependency = [(0, Read(0)), (1, Write(0)), (1, Commit), (0, Write(2))];
    let one_after_the_other = [(0, Read(0)), (0, Write(1)), (0, Commit), (1, Read(1)), (1, Write(0))];
    let readers = [(0, ReadAll), (1, ReadAll), (2, ReadAll), (3, Write(1))];
    for steps in [&one_dependency[..], &one_after_the_other, &readers] {
        let world = World::new(4);
        let history = History::new(&world, Some(FINE)).run(steps);
        assert_eq!(history.failures, 0, "{steps:?}");
        assert!(history.database.is_serializable());
        assert_nothing_remembered(&world);
    }
}

#[test]
fn the_dead_are_forgotten_and_a_full_table_is_an_error() {
    let world = World::new(4);
    let me = world.proc(0);
    let owner = OwnerIndex::of_process(me.id().slot());
    let snapshot = || Snapshot::at(Lsn::new(10));
    let (mut reader, _) = world.serial.begin(&me, owner, false, FINE, snapshot).unwrap();
    let limit = (PROCESSES + PREPARED) * READS_PER_OWNER;
    for block in 0..limit as u32 {
        reader.granularity.reads_per_relation = u32::MAX;
        reader.read(&me, ReadTag::of_page(5, 1000, block)).unwrap();
    }
    let report = reader.read(&me, ReadTag::of_page(5, 1000, limit as u32)).unwrap_err();
    assert_eq!((report.sqlstate.code(), &*report.message), ("53200", "out of shared memory"));
    for _ in 0..2 {
        world.serial.end_for_the_dead(&me, owner, None);
        assert_nothing_remembered(&world);
    }
}

#[test]
fn failures_read_as_postgresqls() {
    let report = Danger::Reading(742).report();
    let message = "could not serialize access due to read/write dependencies among transactions";
    assert_eq!((report.sqlstate.code(), &*report.message), ("40001", message));
    let detail = "Reason code: Canceled on conflict out to pivot 742, during read.";
    assert_eq!(report.detail.as_deref(), Some(detail));
    assert_eq!(report.hint.as_deref(), Some("The transaction might succeed if retried."));
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        4 => (0..KEYS).prop_map(Step::Read),
        1 => Just(Step::ReadAll),
        3 => (0..KEYS).prop_map(Step::Write),
        2 => Just(Step::Commit),
    ];
    prop::collection::vec((0..SESSIONS, step), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn what_commits_is_serializable(steps in steps(), is_coarse in any::<bool>()) {
        let world = World::new(2);
        let granularity = if is_coarse { COARSE } else { FINE };
        let history = History::new(&world, Some(granularity)).run(&steps);
        prop_assert!(history.database.is_serializable(), "{:?}", history.database.ran);
        assert_nothing_remembered(&world);
    }
}
