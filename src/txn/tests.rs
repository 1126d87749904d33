//! Transactions in one process that plays several, one after the other: nothing here sleeps.

use std::cell::Cell;
use std::rc::Rc;

use super::cleanup::Remains;
use super::locks::OwnerIndex;
use super::log::{CommitLog, RecordKind};
use super::map::{NARROW_IDS, WIDE_IDS};
use super::record::EndRecord;
use super::serializable::{Granularity, ReadTag};
use super::session::{CommitOptions, Isolation, TransactionSession};
use super::snapshot::Durable;
use super::test_world::{MemoryLog, MemoryStore, Transacting, World};
use super::*;
use crate::ipc::Proc;
use crate::report::SqlState;
use crate::sync::Ordering::SeqCst;

type Session<'t, 'a> =
    TransactionSession<'t, 'a, 'static, map::PagedMap<'a, 'static, MemoryStore>, MemoryLog>;

fn session<'t, 'a>(world: &World, transactions: &'t Transacting<'a>) -> Session<'t, 'a> {
    let granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };
    TransactionSession::new(transactions, world.log.clone(), (world.serial, granularity))
}

fn synchronous() -> CommitOptions {
    CommitOptions { synchronous: true, ..CommitOptions::default() }
}

fn asynchronous() -> CommitOptions {
    CommitOptions::default()
}

/// Runs `f` with two processes' transactions.
fn with_two(f: impl FnOnce(&World, &Transacting<'_>, &Transacting<'_>)) {
    let world = World::new(16);
    let (first, second) = (world.proc(0), world.proc(1));
    f(&world, &world.transactions(&first), &world.transactions(&second));
}

#[test]
fn commits_are_visible_to_snapshots_taken_behind_them_and_to_no_others() {
    with_two(|world, first, second| {
        let (mut writer, mut reader) = (session(world, first), session(world, second));
        writer.begin(Isolation::ReadCommitted, false);
        let xid = writer.xid().unwrap();
        assert_eq!(xid, Xid::FIRST);
        reader.begin(Isolation::ReadCommitted, false);
        let before = reader.statement_snapshot().unwrap();
        assert_eq!(second.fate(xid), Ok(Fate::Running(OwnerIndex::new(0))));
        assert!(!second.shows(before, xid).unwrap());
        let lsn = writer.commit(synchronous()).unwrap().expect("it had an id");
        assert_eq!(second.fate(xid), Ok(Fate::Committed(lsn)));
        assert!(!second.shows(before, xid).unwrap(), "it committed behind the snapshot");
        let after = reader.statement_snapshot().unwrap();
        assert!(second.shows(after, xid).unwrap());
        assert!(world.words.horizon(&world.log) <= before.lsn(), "the old snapshot is in use");
        reader.drop_snapshot(before);
        assert_eq!(world.words.horizon(&world.log), after.lsn());
    });
}

#[test]
fn isolation_levels_keep_or_renew_their_snapshots() {
    for (isolation, is_kept) in [
        (Isolation::ReadCommitted, false),
        (Isolation::RepeatableRead, true),
        (Isolation::Serializable, true),
    ] {
        with_two(|world, first, second| {
            let (mut writer, mut reader) = (session(world, first), session(world, second));
            reader.begin(isolation, false);
            let one = reader.statement_snapshot().unwrap();
            reader.drop_snapshot(one);
            writer.begin(Isolation::ReadCommitted, false);
            writer.xid().unwrap();
            writer.commit(synchronous()).unwrap();
            assert_eq!(world.words.horizon(&world.log) < world.log.durable(), is_kept);
            let two = reader.statement_snapshot().unwrap();
            assert_eq!(one == two, is_kept, "{isolation:?}");
            reader.drop_snapshot(two);
            reader.commit(synchronous()).unwrap();
            assert_eq!(world.words.horizon(&world.log), world.log.durable(), "nothing is held back any more");
        });
    }
}

/// Early release: between the stamp and the end of the flush others learn how it ended, and do not see it yet; who then
/// meets it sees it, and may say nothing before it is durable.
#[test]
fn a_commit_is_known_before_it_is_durable_and_told_after() {
    let world: &'static World = Box::leak(Box::new(World::new(16)));
    let procs: &'static [Proc<'static>; 2] = Box::leak(Box::new([world.proc(0), world.proc(1)]));
    let first: &'static Transacting<'static> = Box::leak(Box::new(world.transactions(&procs[0])));
    let second: &'static Transacting<'static> = Box::leak(Box::new(world.transactions(&procs[1])));
    let mut writer = session(world, first);
    writer.begin(Isolation::ReadCommitted, false);
    let xid = writer.xid().unwrap();
    let passed = Rc::new(Cell::new(false));
    let seen = Rc::clone(&passed);
    world.log.during_flush(move || {
        let mut other = session(world, second);
        other.begin(Isolation::ReadCommitted, false);
        let Ok(Fate::Committed(lsn)) = second.fate(xid) else { panic!("it is stamped") };
        let snapshot = other.statement_snapshot().unwrap();
        assert!(!second.shows(snapshot, xid).unwrap(), "it is not durable");
        assert_eq!(other.durable_before_answer(), None);
        other.meet(lsn);
        assert_eq!(other.durable_before_answer(), Some(lsn));
        let younger = other.statement_snapshot().unwrap();
        assert!(second.shows(younger, xid).unwrap(), "who has met it sees it");
        assert!(world.words.horizon(&world.log) <= snapshot.lsn());
        other.make_answerable().unwrap();
        assert!(world.log.durable() >= lsn);
        assert_eq!(other.durable_before_answer(), None);
        other.abort(0).unwrap();
        seen.set(true);
    });
    writer.commit(synchronous()).unwrap();
    assert!(passed.get());
}

/// An asynchronous commit may be seen when it was acknowledged. A synchronous one before it in the log comes into the
/// same snapshots, and must be durable before they are told of.
#[test]
fn asynchronous_commits_are_visible_when_acknowledged() {
    with_two(|world, first, second| {
        let (mut writer, mut reader) = (session(world, first), session(world, second));
        writer.begin(Isolation::ReadCommitted, false);
        let xid = writer.xid().unwrap();
        let lsn = writer.commit(asynchronous()).unwrap().unwrap();
        assert!(world.log.durable() < lsn);
        reader.begin(Isolation::ReadCommitted, false);
        let snapshot = reader.statement_snapshot().unwrap();
        assert!(second.shows(snapshot, xid).unwrap());
        assert_eq!(reader.durable_before_answer(), None, "it was told to its client as it is");
        // As a synchronous commit below it that is still being flushed would.
        world.words.shared.synchronous.store(lsn.bytes() - 1, SeqCst);
        assert_eq!(reader.durable_before_answer(), Some(Lsn::new(lsn.bytes() - 1)));
    });
}

#[test]
fn parts_end_with_their_parents_or_alone() {
    with_two(|world, first, second| {
        let mut writer = session(world, first);
        writer.begin(Isolation::ReadCommitted, false);
        writer.savepoint();
        writer.savepoint();
        let inner = writer.xid().unwrap();
        let top = writer.top_xid().unwrap();
        assert_eq!(inner.number(), top.number() + 2, "those around it have ids too, and lower ones");
        writer.release_savepoint();
        assert!(writer.is_own(inner));
        let kept = writer.xid().unwrap();
        writer.savepoint();
        let undone = writer.xid().unwrap();
        writer.savepoint();
        let undone_too = writer.xid().unwrap();
        writer.release_savepoint();
        assert!(second.fate(undone_too).unwrap().is_open());
        writer.abort_savepoint().unwrap();
        assert!(!writer.is_own(undone) && !writer.is_own(undone_too));
        for part in [inner, kept] {
            assert_eq!(second.fate(part), Ok(Fate::Running(OwnerIndex::new(0))));
        }
        let lsn = writer.commit(synchronous()).unwrap().unwrap();
        for (xid, fate) in [
            (top, Fate::Committed(lsn)),
            (kept, Fate::Committed(lsn)),
            (inner, Fate::Committed(lsn)),
            (undone, Fate::Aborted),
            (undone_too, Fate::Aborted),
        ] {
            assert_eq!(second.fate(xid), Ok(fate), "{xid}");
        }
        let (kind, bytes) = world.log.records().pop().expect("a commit record");
        let record = EndRecord::decode(&bytes).unwrap();
        assert_eq!((kind, record.xid, record.children), (RecordKind::Commit, top, vec![kept, inner]));
    });
}

/// A log that looks, while an abort record is inserted, at what the map says of whom it is about.
struct Looking<'l, 'a> {
    log: MemoryLog,
    by: &'l Transacting<'a>,
    seen: Rc<std::cell::RefCell<Vec<Fate>>>,
}

impl Durable for Looking<'_, '_> {
    fn durable(&self) -> Lsn {
        self.log.durable()
    }
}

impl CommitLog for Looking<'_, '_> {
    fn prepare(&mut self, len: usize) -> crate::report::Result<()> {
        self.log.prepare(len)
    }

    fn insert(&mut self, kind: RecordKind, record: &[u8], note: &mut dyn FnMut(Lsn)) -> Lsn {
        if kind == RecordKind::Abort {
            let ended = EndRecord::decode(record).expect("a record");
            let parts = ended.children.into_iter().chain([ended.xid]);
            self.seen.borrow_mut().extend(parts.map(|xid| self.by.fate(xid).expect("a map")));
        }
        self.log.insert(kind, record, note)
    }

    fn flush(&mut self, lsn: Lsn) -> crate::report::Result<()> {
        self.log.flush(lsn)
    }
}

/// The disk was full when a savepoint was to be rolled back: a warning was logged, the savepoint's level stayed, and the next
/// COMMIT committed it.
#[test]
fn what_could_not_be_rolled_back_alone_is_never_committed() {
    with_two(|world, first, second| {
        let mut writer = session(world, first);
        writer.begin(Isolation::ReadCommitted, false);
        let top = writer.xid().unwrap();
        writer.savepoint();
        let part = writer.xid().unwrap();
        world.log.set_full(true);
        assert_eq!(writer.abort_savepoint().unwrap_err().sqlstate, SqlState::DISK_FULL);
        assert_eq!(writer.depth(), 1, "the level is gone for the caller");
        world.log.set_full(false);
        // What it wrote is its own still, so nothing may be read or written.
        assert_eq!(writer.statement_snapshot().unwrap_err().sqlstate, SqlState::DISK_FULL);
        assert_eq!(writer.xid().unwrap_err().sqlstate, SqlState::DISK_FULL);
        assert_eq!(writer.commit(synchronous()).unwrap_err().sqlstate, SqlState::DISK_FULL);
        writer.abort(0).unwrap();
        assert_eq!([top, part].map(|xid| second.fate(xid)), [Ok(Fate::Aborted), Ok(Fate::Aborted)]);
        let (_, record) = world.log.records().pop().expect("an abort record");
        assert_eq!(EndRecord::decode(&record).unwrap().children, [part]);
        writer.begin(Isolation::ReadCommitted, false);
        let next = writer.xid().unwrap();
        assert!(matches!(writer.commit(synchronous()), Ok(Some(_))), "the next one is whole");
        assert!(matches!(second.fate(next), Ok(Fate::Committed(_))));
    });
}

/// A page of the map could not be read when a transaction was to be rolled back: it stayed with its session, others waited for
/// it for ever, and the session's next COMMIT would have committed it.
#[test]
fn a_rollback_that_cannot_be_written_to_the_map_is_one() {
    with_two(|world, first, second| {
        let mut writer = session(world, first);
        writer.begin(Isolation::ReadCommitted, false);
        let xid = writer.xid().unwrap();
        // Its page leaves its frame.
        for page in 1..20 {
            second.map().load(Xid::new(page * WIDE_IDS).unwrap()).unwrap();
        }
        world.store.set_broken(true);
        assert_eq!(writer.abort(0).unwrap_err().sqlstate, SqlState::IO_ERROR);
        world.store.set_broken(false);
        assert_eq!(second.fate(xid), Ok(Fate::Aborted));
        assert!(!second.is_running(xid.number()));
        writer.begin(Isolation::ReadCommitted, false);
        assert_eq!(writer.top_xid(), None, "the next transaction begins anew");
        writer.abort(0).unwrap();
    });
}

/// A power failure found a rolled-back savepoint committed: a checkpoint had begun behind its abort record, and had written the
/// map before that said so. Then the commit of the transaction was replayed, and the map still had the part as its own.
#[test]
fn a_savepoint_is_rolled_back_in_the_map_before_its_record_is_in_the_log() {
    with_two(|world, first, second| {
        let seen = Rc::default();
        let log = Looking { log: world.log.clone(), by: second, seen: Rc::clone(&seen) };
        let granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };
        let mut writer = TransactionSession::new(first, log, (world.serial, granularity));
        writer.begin(Isolation::ReadCommitted, false);
        writer.savepoint();
        writer.xid().unwrap();
        writer.savepoint();
        writer.xid().unwrap();
        writer.release_savepoint();
        writer.abort_savepoint().unwrap();
        assert_eq!(*seen.borrow(), [Fate::Aborted, Fate::Aborted]);
        writer.abort(0).unwrap();
    });
}

#[test]
fn rolled_back_is_rolled_back_also_with_a_full_disk() {
    for is_full in [false, true] {
        with_two(|world, first, second| {
            let mut writer = session(world, first);
            writer.begin(Isolation::ReadCommitted, false);
            writer.savepoint();
            let part = writer.xid().unwrap();
            let top = writer.top_xid().unwrap();
            world.log.set_full(is_full);
            if is_full {
                let report = writer.commit(synchronous()).unwrap_err();
                assert_eq!(report.sqlstate.code(), "53100");
                assert!(second.fate(part).unwrap().is_open(), "it is as it was");
            }
            writer.abort(0).unwrap();
            assert_eq!((second.fate(top), second.fate(part)), (Ok(Fate::Aborted), Ok(Fate::Aborted)));
            assert_eq!(world.words.xid_of(OwnerIndex::new(0)), None);
        });
    }
}

#[test]
fn transactions_of_the_dead_are_ended_once() {
    with_two(|world, first, cleaner| {
        let dead = OwnerIndex::new(0);
        let mut log = world.log.clone();
        assert_eq!(cleaner.end_for_the_dead(&mut log, dead, 0), Ok(Remains::Nothing));
        // It died running.
        let xid = first.assign().unwrap();
        let child = first.assign_child(xid).unwrap();
        for expected in [Remains::Aborted(xid), Remains::Nothing] {
            assert_eq!(cleaner.end_for_the_dead(&mut log, dead, 0), Ok(expected));
            assert_eq!((cleaner.fate(xid), cleaner.fate(child)), (Ok(Fate::Aborted), Ok(Fate::Aborted)));
        }
        // It died with its commit record written.
        let xid = first.assign().unwrap();
        first.map().pin(xid, dead).unwrap();
        first.mark_committing(xid);
        assert_eq!(cleaner.fate(xid), Ok(Fate::Committing(dead)));
        let report = cleaner.end_for_the_dead(&mut log, dead, 0).unwrap_err();
        assert_eq!(report.message, format!("transaction {xid} was left in the middle of its commit"));
        let lsn = log.insert(RecordKind::Commit, &[], &mut |lsn| first.stamp(xid, lsn, true));
        for _ in 0..2 {
            assert_eq!(cleaner.end_for_the_dead(&mut log, dead, 0), Ok(Remains::ToComplete(xid, lsn)));
        }
        cleaner.bury(dead);
        assert_eq!(cleaner.end_for_the_dead(&mut log, dead, 0), Ok(Remains::Nothing));
        assert_eq!(cleaner.fate(xid), Ok(Fate::Committed(lsn)));
    });
}

/// More ids than the frames hold, then narrowed, then cut: each id keeps its fate.
#[test]
fn the_map_keeps_every_fate_through_eviction_narrowing_and_cutting() {
    with_two(|world, first, second| {
        let mut writer = session(world, first);
        let mut expected = Vec::new();
        let mut run = |writer: &mut Session<'_, '_>, count: u64| {
            for i in 0..count {
                writer.begin(Isolation::ReadCommitted, false);
                let xid = writer.xid().unwrap();
                if i % 3 == 0 {
                    writer.abort(0).unwrap();
                    expected.push((xid, None));
                } else {
                    expected.push((xid, writer.commit(asynchronous()).unwrap()));
                }
            }
        };
        run(&mut writer, 12 * WIDE_IDS);
        // A transaction that stays open keeps the pages from its own on wide.
        let open = second.assign().unwrap();
        run(&mut writer, 3 * WIDE_IDS);
        for (xid, lsn) in &expected {
            assert_eq!(second.fate(*xid), Ok(lsn.map_or(Fate::Aborted, Fate::Committed)), "{xid}");
        }
        let horizon = world.words.horizon(&world.log);
        let wide = second.map().narrow(horizon).unwrap();
        assert_eq!(wide.number(), open.number() / WIDE_IDS * WIDE_IDS);
        for (xid, lsn) in &expected {
            let fate = match lsn {
                None => Fate::Aborted,
                Some(_) if *xid < wide => Fate::CommittedLongAgo,
                Some(lsn) => Fate::Committed(*lsn),
            };
            assert_eq!(second.fate(*xid), Ok(fate), "{xid}");
        }
        assert_eq!(second.fate(open), Ok(Fate::Running(OwnerIndex::new(1))));
        assert!(second.map().cut_below(Xid::new(wide.number() + 1).unwrap()).is_err());
        second.map().cut_below(wide).unwrap();
        assert_eq!(second.fate(Xid::FIRST), Ok(Fate::CommittedLongAgo), "frozen, or nobody would ask");
        assert!(wide.number() < NARROW_IDS);
    });
}

/// What ran when the server crashed is rolled back, though its state says that it runs: no slot has it.
#[test]
fn states_left_over_from_a_crash_are_rolled_back() {
    with_two(|_, first, second| {
        let running = first.assign().unwrap();
        let child = first.assign_child(running).unwrap();
        first.map().write_all().unwrap();
        first.forget();
        let next = second.assign().unwrap();
        assert_eq!((second.fate(running), second.fate(child)), (Ok(Fate::Aborted), Ok(Fate::Aborted)));
        assert!(second.fate(next).unwrap().is_open());
        // A prepared transaction once got its part's id for its own, and its part then itself for a parent: looking for
        // the end of that never ended.
        first.map().store(child, State::Child(child), Lsn::INVALID).unwrap();
        assert_eq!(second.fate(child), Ok(Fate::Aborted));
        assert_eq!(second.fate(Xid::new(1 << 50).unwrap()), Ok(Fate::Aborted), "never given out");
        assert_eq!(second.fate(Xid::new(1).unwrap()), Ok(Fate::CommittedLongAgo));
    });
}

/// Write skew, through sessions: each reads what the other writes. The one that commits first does, and the other is
/// told why it does not, and rolls back.
#[test]
fn serializable_sessions_watch_dependencies() {
    for (isolation, is_watched) in [(Isolation::RepeatableRead, false), (Isolation::Serializable, true)] {
        with_two(|world, first, second| {
            let mut sessions = [session(world, first), session(world, second)];
            let rows = [1, 2].map(|offset| ReadTag::of_tuple(5, 1000, 0, offset));
            for (i, (session, transactions)) in sessions.iter_mut().zip([first, second]).enumerate() {
                session.begin(isolation, false);
                session.statement_snapshot().unwrap();
                session.xid().unwrap();
                if let Some(serializable) = session.serializable() {
                    serializable.read(transactions.me, rows[i]).unwrap();
                }
            }
            for (i, (session, transactions)) in sessions.iter_mut().zip([first, second]).enumerate() {
                if let Some(serializable) = session.serializable() {
                    serializable.write(transactions.me, rows[1 - i]).unwrap();
                }
            }
            let [one, two] = &mut sessions;
            one.commit(synchronous()).unwrap();
            match two.commit(synchronous()) {
                Ok(_) => assert!(!is_watched),
                Err(report) => {
                    assert!(is_watched && report.sqlstate.code() == "40001", "{report}");
                    two.abort(0).unwrap();
                }
            }
            assert_eq!(world.words.horizon(&world.log), world.log.durable());
        });
    }
}
