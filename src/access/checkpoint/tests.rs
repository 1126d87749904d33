//! Checkpoints and what a start makes of them: nothing that was committed is lost, whenever the crash comes.

use super::*;
use crate::access::StoreSession;
use crate::access::control_file::StandbySettings;
use crate::access::managers::managers;
use crate::access::recovery::Recovery;
use crate::access::tests::{INCARNATION, World};
use crate::os::file::Files;
use crate::storage::buffer::Unpaced;
use crate::txn::Fate;
use crate::txn::map::WIDE_IDS;
use crate::txn::prepared::{Finish, Finisher};
use crate::txn::serializable::Granularity;
use crate::txn::session::{CommitOptions, Isolation};
use crate::wal::{Incarnation, SyncMethod, WalReader};

const KEEP: KeepWal = KeepWal { behind: 0, least: 1, most: 2, expected: 0, recycle: true };

fn world() -> World {
    let world = World::new(64);
    std::fs::create_dir(world.folder.join(twophase::FOLDER)).expect("a new folder");
    let control = ControlFile {
        system_identifier: 1,
        state: DbState::InProduction,
        time: 0,
        checkpoint: Lsn::FIRST,
        checkpoint_copy: CheckPoint::first(Lsn::FIRST, INCARNATION, 0),
        min_recovery_point: Lsn::INVALID,
        min_recovery_timeline: Timeline(0),
        backup_start: Lsn::INVALID,
        backup_end: Lsn::INVALID,
        backup_end_required: false,
        unlogged_lsn: Lsn::new(1000),
        settings: StandbySettings::default(),
        sync_method: SyncMethod::Fdatasync,
        mock_nonce: [0; 32],
    };
    control.create(&world.folder, &Files::new()).expect("a new file");
    world
}

fn session<'t>(store: &'t Store<'static>) -> StoreSession<'t, 'static> {
    StoreSession::new(store, 5, Granularity { tuples_per_page: 2, reads_per_relation: 32 })
}

/// Commits `count` transactions, every third rolled back: who ended how.
fn transact(store: &Store<'static>, count: u64, ends: &mut Vec<(Xid, bool)>) {
    let mut session = session(store);
    for number in 0..count {
        session.transaction.begin(Isolation::ReadCommitted, false);
        let xid = session.transaction.xid().expect("an id");
        let commits = number % 3 != 0;
        if commits {
            let synchronous = number + 2 >= count;
            session
                .transaction
                .commit(CommitOptions { synchronous, ..CommitOptions::default() })
                .expect("committed");
        } else {
            session.transaction.abort(0).expect("rolled back");
        }
        ends.push((xid, commits));
    }
    store.log.make_durable(store.engine.wal.inserted()).expect("the disk works");
}

fn checkpoint(store: &Store<'_>) -> Performed {
    perform(store, Request::IMMEDIATE, &mut Unpaced, &KEEP, |_| true).expect("a checkpoint")
}

/// A start over what the files are now; its log has begun.
fn start(world: &World, incarnation: u64) -> World {
    let again = world.crashed();
    let store = again.store(0);
    let control = ControlFile::read(&again.folder, &Files::new()).expect("a control file");
    let copy = control.checkpoint_copy;
    let mut recovery = Recovery::new(&store, managers(), &copy);
    twophase::read_all(&again.folder).expect("files").into_iter().for_each(|s| recovery.add_prepared(s));
    let folder = again.folder.join(LOG_FOLDER);
    let mut reader = WalReader::of_incarnation(&folder, copy.timeline, copy.redo, copy.incarnation);
    while let Some(record) = reader.next().expect("readable") {
        recovery.replay(&record).expect("redo");
    }
    recovery.finish().expect("all is explained");
    let beginning = crate::wal::Beginning {
        timeline: Timeline(1),
        incarnation: Incarnation(incarnation),
        before: Some((reader.end(), reader.incarnation().expect("records"))),
        redo: copy.redo,
        full_pages: true,
    };
    store.log.with(|log| log.begin(&beginning)).expect("a log begins");
    again
}

fn check(world: &World, ends: &[(Xid, bool)]) {
    let store = world.store(1);
    for (xid, is_committed) in ends {
        let fate = store.transactions.fate(*xid).expect("readable");
        let found = matches!(fate, Fate::Committed(_) | Fate::CommittedLongAgo);
        assert_eq!(found, *is_committed, "{xid}: {fate:?}");
    }
    assert!(ends.iter().all(|(xid, _)| *xid < world.engine.words.next_xid()));
}

#[test]
fn a_crash_at_any_time_around_checkpoints_loses_no_end() {
    let world = world();
    let store = world.store(2);
    let mut ends = Vec::new();
    transact(&store, 40, &mut ends);
    check(&start(&world, 2), &ends);
    checkpoint(&store);
    check(&start(&world, 3), &ends);
    transact(&store, 40, &mut ends);
    let again = start(&world, 4);
    check(&again, &ends);
    // And once more, from the log of that start.
    transact(&again.store(2), 5, &mut ends);
    check(&start(&again, 5), &ends);
}

/// Narrow pages count from the checkpoint that knows of them, and wide ones go behind it.
#[test]
fn the_map_is_narrowed_with_checkpoints() {
    let world = world();
    let store = world.store(2);
    let mut ends = Vec::new();
    transact(&store, 3 * WIDE_IDS + 100, &mut ends);
    // Nobody's horizon yet.
    store.transactions.map().narrow(crate::txn::Lsn::INVALID).expect("nothing to do");
    assert_eq!(store.engine.words.map_bounds().0, 0);
    checkpoint(&store);
    assert_eq!(store.engine.words.map_bounds().0, 3 * WIDE_IDS);
    check(&start(&world, 2), &ends);
    // A narrowing whose checkpoint never came.
    transact(&store, WIDE_IDS, &mut ends);
    let horizon = crate::access::shared_log::to_txn(store.engine.wal.durable());
    store.transactions.map().narrow(horizon).expect("the disk works");
    assert_eq!(store.engine.words.map_bounds().0, 4 * WIDE_IDS);
    check(&start(&world, 3), &ends);
    checkpoint(&store);
    check(&start(&world, 4), &ends);
}

#[test]
fn a_prepared_transaction_outlives_checkpoints_and_crashes() {
    let world = world();
    let store = world.store(2);
    let finisher = Finisher { role: 10, is_superuser: true, database: 5 };
    let mut session = session(&store);
    session.transaction.begin(Isolation::ReadCommitted, false);
    let prepared = &store.engine.prepared;
    // A section of somebody's, empty.
    let mut actions = Vec::new();
    crate::access::relation_files::add_section(&mut actions, 200, &[]);
    let xid = session
        .transaction
        .prepare(prepared, &mut session.locks, ("one", finisher, 7), actions)
        .expect("prepared");
    let is_there = |world: &World| {
        let rows = world.engine.prepared.rows(world.proc(3));
        rows.iter().map(|row| (row.xid, row.gid.clone())).collect::<Vec<_>>() == [(xid, "one".to_owned())]
    };
    assert!(is_there(&start(&world, 2)), "by its record");
    checkpoint(&store);
    let file = world.folder.join(twophase::FOLDER).join(format!("{:016X}", xid.number()));
    assert!(file.exists());
    assert!(is_there(&start(&world, 3)), "by its file");
    checkpoint(&store);
    assert!(is_there(&start(&world, 4)), "by the file of a checkpoint before");
    let states = twophase::read_all(&world.folder).expect("readable");
    prepared.claim(store.me, session.owner(), "one", finisher).expect("it is there");
    store
        .transactions
        .finish_prepared(&mut store.log.clone(), prepared, &states[0], Finish::Commit, 0)
        .expect("committed");
    let again = start(&world, 5);
    assert_eq!(again.engine.prepared.rows(again.proc(3)), []);
    check(&again, &[(xid, true)]);
    checkpoint(&store);
    assert!(!file.exists());
    check(&start(&world, 6), &[(xid, true)]);
    std::fs::write(&file, b"garbage").expect("writable");
    let report = twophase::read_all(&world.folder).expect_err("garbage");
    assert!(
        report.message.starts_with("corrupted two-phase state file \"pg_twophase/"),
        "{}",
        report.message
    );
}

#[test]
fn segments_are_kept_between_two_bounds() {
    let keep = |expected| KeepWal { behind: 0, least: 5, most: 64, expected, recycle: true };
    let at = |segment: u64| Lsn::new(segment * SEGMENT + 100);
    for (present, redo, expected, ahead) in
        [(10, 10, 0, 4), (10, 10, 10 * SEGMENT, 12), (10, 10, 1000 * SEGMENT, 63), (30, 10, 0, 0)]
    {
        assert_eq!(segments_ahead(at(present), at(redo), &keep(expected)), ahead);
    }
}
