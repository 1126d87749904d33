//! Files made, dropped and cut off, and what redo makes of that.

use super::*;
use crate::access::heap::cleanup::CleanupRedo;
use crate::access::heap::redo::HeapRedo;
use crate::access::heap::vacuum::{NoIndexes, VacuumOptions};
use crate::access::heap::{HeapOptions, Scan, Writing};
use crate::access::redo::Redo;
use crate::access::rmgr::{ResourceManagers, TRANSACTION};
use crate::access::row::{ColumnStorage, Datum, RowLayout};
use crate::access::tests::{World, for_each_record};
use crate::access::twophase;
use crate::access::visibility::ReadView;
use crate::txn::log::RecordKind;
use crate::txn::prepared::{Finish, Finisher};
use crate::txn::record::EndRecord;
use crate::txn::serializable::Granularity;
use crate::txn::session::{CommitOptions, Isolation};

fn file(relation: u32) -> RelFile {
    RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: 5, relation }
}

fn session(world: &World, index: usize) -> StoreSession<'static, 'static> {
    let store: &'static Store<'static> = Box::leak(Box::new(world.store(index)));
    StoreSession::new(store, 5, Granularity { tuples_per_page: 2, reads_per_relation: 32 })
}

/// Which of these files have content or a name of their own: a dropped one keeps its name, empty, until a checkpoint.
fn there(store: &Store<'_>, files: &[u32]) -> Vec<bool> {
    let exists = |relation: &u32| {
        let fork = RelFork { file: file(*relation), fork: Fork::Main };
        store.storage.files().exists(fork).expect("a look")
            && store.storage.files().blocks(fork).expect("blocks") > 0
    };
    files.iter().map(exists).collect()
}

fn make(session: &mut StoreSession<'_, '_>, files: &mut TransactionFiles, relation: u32) {
    files.create(session, file(relation)).expect("a new file");
    let fork = RelFork { file: file(relation), fork: Fork::Main };
    drop(session.store.storage.extend(fork, Default::default()).expect("room"));
}

fn commit(session: &mut StoreSession<'_, '_>, files: &mut TransactionFiles) {
    let mut actions = Vec::new();
    files.add_to(&mut actions);
    let options = CommitOptions { synchronous: true, actions, ..CommitOptions::default() };
    session.transaction.commit(options).expect("commit");
    assert_eq!(files.committed(session.store), Ok(Vec::new()));
}

/// Redo of a world's log, with ends of transactions, in another world.
fn replay(world: &World) -> World {
    let store = world.store(0);
    store.log.make_durable(store.engine.wal.inserted()).expect("flush");
    let again = World::new(128);
    let target = again.store(0);
    let managers: [&dyn ResourceManager; 3] = [&HeapRedo, &CleanupRedo, &StorageRedo];
    let redo = Redo::new(&target.storage, ResourceManagers::new(&managers));
    for_each_record(&world.folder, |record| {
        if record.rmgr() != TRANSACTION {
            return redo.replay(record);
        }
        if record.info() == RecordKind::Prepare as u8 {
            return Ok(());
        }
        let end = EndRecord::decode(record.main())?;
        let is_commit = [RecordKind::Commit as u8, RecordKind::CommitPrepared as u8].contains(&record.info());
        redo.made().ended(&redo, end.children.into_iter().chain([end.xid]), is_commit)?;
        StorageRedo.transaction_ended(&redo, &end.actions, is_commit)
    })
    .expect("redo");
    redo.made().remove_leftovers(&redo, |_| false).expect("redo");
    redo.missing().check().expect("nothing is missing");
    again
}

#[test]
fn files_go_with_what_made_them_and_stay_with_what_did_not_drop_them() {
    let world = World::new(128);
    let mut one = session(&world, 1);
    let mut files = TransactionFiles::default();
    one.transaction.begin(Isolation::ReadCommitted, false);
    make(&mut one, &mut files, 1);
    let depth = one.transaction.savepoint();
    make(&mut one, &mut files, 2);
    files.drop_at_commit(&one, file(1));
    one.transaction.abort_savepoint().expect("abort");
    assert_eq!(files.savepoint_aborted(one.store, depth), Ok(Vec::new()));
    let depth = one.transaction.savepoint();
    make(&mut one, &mut files, 3);
    one.transaction.release_savepoint();
    files.savepoint_released(depth);
    commit(&mut one, &mut files);
    assert_eq!(there(one.store, &[1, 2, 3]), [true, false, true]);
    one.transaction.begin(Isolation::ReadCommitted, false);
    make(&mut one, &mut files, 4);
    files.drop_at_commit(&one, file(1));
    one.transaction.abort(0).expect("abort");
    assert_eq!(files.aborted(one.store), Ok(Vec::new()));
    assert_eq!(there(one.store, &[1, 4]), [true, false]);
    one.transaction.begin(Isolation::ReadCommitted, false);
    make(&mut one, &mut files, 5);
    files.drop_at_commit(&one, file(3));
    commit(&mut one, &mut files);
    assert_eq!(there(one.store, &[1, 2, 3, 4, 5]), [true, false, false, false, true]);
    let again = replay(&world);
    let names = |relation: u32| again.folder.join(file(relation).path(Fork::Main, 0)).exists();
    // Pages that nobody wrote are not in the log, so only names tell.
    assert_eq!([1, 2, 3, 4, 5].map(names), [true, false, false, false, true]);
}

#[test]
fn what_ran_at_the_crash_leaves_no_file() {
    let world = World::new(128);
    let mut one = session(&world, 1);
    let mut files = TransactionFiles::default();
    one.transaction.begin(Isolation::ReadCommitted, false);
    make(&mut one, &mut files, 7);
    let again = replay(&world);
    assert!(!again.folder.join(file(7).path(Fork::Main, 0)).exists());
}

#[test]
fn empty_pages_at_the_end_are_cut_off() {
    let world = World::new(256);
    let mut one = session(&world, 1);
    let (mut files, heap) = (TransactionFiles::default(), {
        Heap::new(HeapOptions { file: file(9), relation: (5, 9), is_logged: true, fillfactor: 100 })
    });
    one.transaction.begin(Isolation::ReadCommitted, false);
    files.create(&mut one, file(9)).expect("a new file");
    let layout = RowLayout::of(&[ColumnStorage::Int32, ColumnStorage::Variable]);
    let mut rows = Vec::new();
    for key in 0..200 {
        let mut row = Vec::new();
        layout.encode(&[Datum::Int32(key), Datum::Bytes(&[7; 1000])], &mut row).expect("a row");
        rows.push(heap.insert(&mut one, &row, 1).expect("insert"));
    }
    commit(&mut one, &mut files);
    heap.vacuum(one.store, VacuumOptions { freezes_all: true, ..VacuumOptions::default() }, &mut NoIndexes)
        .expect("vacuum");
    one.transaction.begin(Isolation::ReadCommitted, false);
    for ctid in &rows[50..] {
        assert!(heap.delete(&mut one, *ctid, &mut Writing::at_once(1)).expect("delete").done().is_some());
    }
    commit(&mut one, &mut files);
    let mut stats = heap.vacuum(one.store, VacuumOptions::default(), &mut NoIndexes).expect("vacuum");
    let blocks = stats.pages;
    heap.truncate_end(one.store, &mut stats).expect("truncate");
    assert_eq!(stats.truncated_pages, blocks - stats.used_pages);
    assert_eq!(heap.blocks(one.store), Ok(stats.used_pages));
    let cut_off = BlockNumber::new(stats.used_pages).expect("a block");
    assert_eq!(heap.visibility(one.store, cut_off), Ok(Status::default()));
    one.transaction.begin(Isolation::ReadCommitted, false);
    let mut row = Vec::new();
    layout.encode(&[Datum::Int32(1), Datum::Bytes(&[7; 8000])], &mut row).expect("a row");
    let ctid = heap.insert(&mut one, &row, 1).expect("insert");
    assert_eq!(ctid.block, cut_off);
    commit(&mut one, &mut files);
    let again = replay(&world);
    let mut other = session(&again, 2);
    assert_eq!(heap.blocks(other.store), Ok(stats.used_pages + 1));
    // Who wrote them is not in this world's map: frozen rows are seen, the new one is not.
    other.transaction.begin(Isolation::ReadCommitted, false);
    let snapshot = other.transaction.statement_snapshot().expect("a snapshot");
    let mut scan: Scan<'_, '_, '_, '_> =
        heap.scan(&other, ReadView { snapshot, command: 1 }, None).expect("a scan");
    let mut count = 0;
    while scan.next(&mut other).expect("a row").is_some() {
        count += 1;
    }
    assert_eq!(count, 50);
}

#[test]
fn sections_of_others_are_passed_over_and_garbage_is_refused() {
    let mut actions = Vec::new();
    add_section(&mut actions, 9, b"others");
    add_section(&mut actions, DROPPED_FILES, &[file_bytes(file(3)), file_bytes(file(4))].concat());
    assert_eq!(removed_files(&actions, true), Ok(vec![file(3), file(4)]));
    for len in 1..actions.len() {
        if len != 11 {
            assert!(removed_files(&actions[..len], true).is_err(), "{len}");
        }
    }
}

#[test]
fn whoever_ends_a_prepared_transaction_removes_what_it_asks_for() {
    for (how, left) in [(Finish::Commit, [false, true]), (Finish::Rollback, [true, false])] {
        let world = World::new(128);
        let (mut one, other) = (session(&world, 1), session(&world, 2));
        let mut files = TransactionFiles::default();
        one.transaction.begin(Isolation::ReadCommitted, false);
        make(&mut one, &mut files, 1);
        commit(&mut one, &mut files);
        one.transaction.begin(Isolation::ReadCommitted, false);
        files.drop_at_commit(&one, file(1));
        make(&mut one, &mut files, 2);
        let mut actions = Vec::new();
        files.add_to_prepared(&mut actions);
        let prepared = world.engine.prepared;
        let by = Finisher { role: 10, is_superuser: true, database: 5 };
        let xid = one.transaction.prepare(&prepared, &mut one.locks, ("gid", by, 0), actions).expect("room");
        files.prepared();
        assert_eq!(files.aborted(one.store), Ok(Vec::new()));
        assert_eq!(there(one.store, &[1, 2]), [true, true], "nothing goes before the end");
        let (me, owner) = (other.store.me, other.owner());
        assert_eq!(prepared.claim(me, owner, "gid", by), Ok(xid));
        let record =
            prepared.record_of(me, owner, xid).expect("claimed").map(crate::access::shared_log::to_wal);
        let state = twophase::read(world.engine, xid, record).expect("its record");
        let mut log = other.store.log.clone();
        let ended = other.store.transactions.finish_prepared(&mut log, &prepared, &state, how, 0);
        assert!(ended.is_ok());
        let is_commit = how == Finish::Commit;
        assert_eq!(finish_prepared(other.store, &state.actions, is_commit), Ok(Vec::new()));
        assert_eq!(there(other.store, &[1, 2]), left, "{how:?}");
        let again = replay(&world);
        let names = |relation: u32| again.folder.join(file(relation).path(Fork::Main, 0)).exists();
        assert_eq!([1, 2].map(names), left, "{how:?}");
    }
}
