//! Files, the table of those to be synced, and descriptors.

use super::*;
use crate::storage::buffer::tests::{FORK, TestPool};
use crate::storage::ids::Fork;

fn key(segment: u32) -> SyncKey {
    SyncKey { fork: FORK, segment }
}

#[test]
fn what_is_noted_waits_until_it_is_done_and_again_if_noted_again() {
    let pool = TestPool::new(16);
    let (session, me) = (pool.session(), pool.process());
    let table = session.files().sync_table();
    for (segment, is_new) in [(0, false), (1, true), (0, false), (0, true), (0, false)] {
        assert_eq!(table.note(me, key(segment), is_new), Noted::InTable);
    }
    let mut waiting = table.waiting(me);
    waiting.sort_by_key(|w| w.key);
    let found: Vec<_> = waiting.iter().map(|w| (w.key.segment, w.is_new)).collect();
    assert_eq!(found, [(0, true), (1, true)]);
    assert_eq!(table.note(me, key(1), false), Noted::InTable);
    assert!(table.done(me, &waiting[0]) && !table.still_waits(&waiting[0]));
    assert!(!table.done(me, &waiting[1]), "it was noted again while it was synced");
    assert_eq!(table.waiting(me).len(), 1);
    table.forget(me, |key| key.fork == FORK);
    assert_eq!(table.waiting(me), []);
}

#[test]
fn a_place_is_used_again_and_an_old_finding_does_not_free_it() {
    let pool = TestPool::new(16);
    let (session, me) = (pool.session(), pool.process());
    let table = session.files().sync_table();
    assert_eq!(table.note(me, key(0), false), Noted::InTable);
    let old = table.waiting(me)[0];
    assert!(table.done(me, &old));
    assert_eq!(table.note(me, key(0), false), Noted::InTable);
    assert!(!table.done(me, &old), "that was another request");
    assert_eq!(table.waiting(me).len(), 1);
}

#[test]
fn a_full_table_leaves_syncing_to_the_writer() {
    let pool = TestPool::new(16);
    let (session, me) = (pool.session(), pool.process());
    let table = session.files().sync_table();
    let file = |relation| RelFork { file: RelFile { relation, ..FORK.file }, fork: Fork::Main };
    let mut noted = 0;
    while table.note(me, SyncKey { fork: file(noted), segment: 0 }, false) == Noted::InTable {
        noted += 1;
        assert!(noted <= 1024);
    }
    assert!(noted > 500, "full after {noted} of 1024");
    // One for which there is no room is synced at once, and nothing is said to wait.
    session.files().create(file(noted), false).unwrap();
    assert_eq!(session.pool().totals().syncs_by_writers, 1);
    assert_eq!(table.waiting(me).len(), noted as usize);
}

#[test]
fn a_noted_file_that_is_gone_is_an_error_unless_the_note_went_with_it() {
    let pool = TestPool::new(16);
    let session = pool.session();
    session.files().create(FORK, false).unwrap();
    std::fs::remove_file(pool.folder.join("base/5/16384")).unwrap();
    let report = session.files().sync_all().unwrap_err();
    assert_eq!(report.severity, crate::report::Severity::Panic);
    assert_eq!(report.message, "could not open file \"base/5/16384\": No such file or directory");
}

#[test]
fn few_files_are_open_at_a_time() {
    let pool = TestPool::new(16);
    let session = pool.session();
    let forks: Vec<_> = (1..20)
        .map(|relation| RelFork { file: RelFile { relation, ..FORK.file }, fork: Fork::Main })
        .collect();
    for fork in &forks {
        session.files().create(*fork, false).unwrap();
        session.files().extend(fork.block(BlockNumber::ZERO), fork.file.relation).unwrap();
    }
    for fork in forks.iter().chain(&forks) {
        assert_eq!(session.files().blocks(*fork).unwrap(), fork.file.relation);
        assert!(session.files().descriptors.borrow().len() <= 3);
    }
}

#[test]
fn folders_are_made_on_the_way() {
    let pool = TestPool::new(16);
    let session = pool.session();
    let file = RelFile { tablespace: 16500, database: 7, relation: 1 };
    session.files().create_folder(file).unwrap();
    session.files().create(RelFork { file, fork: Fork::Init }, false).unwrap();
    assert!(pool.folder.join("pg_tblspc/16500/TUSKD_18_1/7/1_init").exists());
}
