//! Preparing, ending, restoring, and every refusal.

use super::*;
use crate::txn::Fate;
use crate::txn::locks::{LockError, LockMode, LockTag, Scope};
use crate::txn::record::EndRecord;
use crate::txn::serializable::Granularity;
use crate::txn::session::Isolation;
use crate::txn::test_world::{PREPARED, World};

const TABLE: LockTag = LockTag::Relation { database: 5, relation: 1000 };
const ME: Finisher = Finisher { role: 10, is_superuser: false, database: 5 };
const FINE: Granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };

/// Prepares a transaction with one part and a lock; its state, as the record has it.
fn prepare(world: &World, gid: &str, isolation: Isolation) -> Result<PreparedState> {
    let (me, mut locks) = world.session(0);
    let transactions = world.transactions(&me);
    let mut session = TransactionSession::new(&transactions, world.log.clone(), (world.serial, FINE));
    session.begin(isolation, false);
    session.savepoint();
    session.xid()?;
    locks.acquire(&me, TABLE, LockMode::RowExclusive, Scope::Transaction(2), None).expect("free");
    let result = session.prepare(&world.prepared, &mut locks, (gid, ME, 77), vec![1, 2]);
    if result.is_err() {
        session.abort(0)?;
        locks.release_transaction(&me);
    }
    result?;
    let (_, bytes) = world.log.records().pop().expect("a record");
    PreparedState::decode(&bytes)
}

fn can_lock(world: &World) -> bool {
    let (me, mut locks) = world.session(1);
    let got = locks.acquire(&me, TABLE, LockMode::Share, Scope::Session, None);
    assert!(matches!(got, Ok(()) | Err(LockError::WouldBlock)));
    locks.release_all(&me);
    got.is_ok()
}

#[test]
fn a_prepared_transaction_is_ended_by_another_session() {
    for how in [Finish::Commit, Finish::Rollback] {
        let world = World::new(16);
        let state = prepare(&world, "a name", Isolation::ReadCommitted).unwrap();
        assert_eq!((&*state.gid, state.time, state.children.len()), ("a name", 77, 1));
        assert_eq!(state.locks, [(TABLE, LockMode::RowExclusive)]);
        let me = world.proc(2);
        let transactions = world.transactions(&me);
        let owner = world.prepared.owner_of(0);
        assert_eq!(transactions.fate(state.children[0]), Ok(Fate::Running(owner)));
        assert!(!can_lock(&world));
        let rows = world.prepared.rows(&me);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].xid, &*rows[0].gid, rows[0].prepared), (state.xid, "a name", 77));
        let xid = world.prepared.claim(&me, transactions.owner(), "a name", ME).unwrap();
        assert_eq!(xid, state.xid);
        let mut log = world.log.clone();
        world.log.set_full(true);
        assert!(transactions.finish_prepared(&mut log, &world.prepared, &state, how, 78).is_err());
        world.log.set_full(false);
        world.prepared.claim(&me, transactions.owner(), "a name", ME).expect("it is still prepared");
        let lsn = transactions.finish_prepared(&mut log, &world.prepared, &state, how, 78).unwrap();
        let fate = if how == Finish::Commit { Fate::Committed(lsn) } else { Fate::Aborted };
        assert_eq!((transactions.fate(xid), transactions.fate(state.children[0])), (Ok(fate), Ok(fate)));
        assert!(can_lock(&world) && world.prepared.rows(&me).is_empty());
        let (_, bytes) = world.log.records().pop().expect("a record");
        assert_eq!(EndRecord::decode(&bytes).unwrap().actions, [1, 2]);
    }
}

#[test]
fn prepared_transactions_survive_a_start() {
    let state = prepare(&World::new(16), "x", Isolation::ReadCommitted).unwrap();
    let world = World::new(16);
    let me = world.proc(0);
    let transactions = world.transactions(&me);
    world.words.start_at(Xid::new(100).unwrap());
    transactions.restore_prepared(&world.prepared, &state).unwrap();
    assert_eq!(transactions.fate(state.children[0]), Ok(Fate::Running(world.prepared.owner_of(0))));
    assert!(!can_lock(&world));
    assert_eq!(world.words.oldest_running(), state.xid);
    world.prepared.claim(&me, transactions.owner(), "x", ME).unwrap();
    let mut log = world.log.clone();
    transactions.finish_prepared(&mut log, &world.prepared, &state, Finish::Commit, 0).unwrap();
    assert!(can_lock(&world));
}

#[test]
fn refusals_are_postgresqls() {
    let world = World::new(16);
    let me = world.proc(2);
    let code = |result: Result<PreparedState>| {
        let report = result.expect_err("refused");
        (report.sqlstate.code().to_string(), report.message)
    };
    let long = "g".repeat(200);
    let (state, message) = code(prepare(&world, &long, Isolation::ReadCommitted));
    assert_eq!((&*state, message), ("22023", format!("transaction identifier \"{long}\" is too long")));
    let refused = code(prepare(&world, "g", Isolation::Serializable));
    assert_eq!(refused.0, "0A000");
    prepare(&world, "0", Isolation::ReadCommitted).unwrap();
    let (state, message) = code(prepare(&world, "0", Isolation::ReadCommitted));
    assert_eq!((&*state, &*message), ("42710", "transaction identifier \"0\" is already in use"));
    for gid in 1..PREPARED {
        prepare(&world, &gid.to_string(), Isolation::ReadCommitted).unwrap();
    }
    let (state, message) = code(prepare(&world, "more", Isolation::ReadCommitted));
    assert_eq!((&*state, &*message), ("53200", "maximum number of prepared transactions reached"));
    let worker = OwnerIndex::new(2);
    let other = OwnerIndex::new(3);
    let cases = [
        ("none", ME, "42704", "prepared transaction with identifier \"none\" does not exist"),
        ("0", Finisher { role: 11, ..ME }, "42501", "permission denied to finish prepared transaction"),
        ("0", Finisher { database: 6, ..ME }, "0A000", "prepared transaction belongs to another database"),
    ];
    for (gid, by, code, message) in cases {
        let report = world.prepared.claim(&me, worker, gid, by).unwrap_err();
        assert_eq!((report.sqlstate.code(), &*report.message), (code, message));
    }
    world.prepared.claim(&me, worker, "0", Finisher { role: 11, is_superuser: true, ..ME }).unwrap();
    let report = world.prepared.claim(&me, other, "0", ME).unwrap_err();
    assert_eq!(report.message, "prepared transaction with identifier \"0\" is busy");
}

#[test]
fn garbage_is_no_state() {
    let state = prepare(&World::new(16), "name", Isolation::ReadCommitted).unwrap();
    let bytes = state.encode();
    assert_eq!(PreparedState::decode(&bytes), Ok(state));
    for len in 0..bytes.len() {
        assert_eq!(PreparedState::decode(&bytes[..len]).unwrap_err().sqlstate.code(), "XX001");
    }
    for at in 16..40 {
        let mut bytes = bytes.clone();
        bytes[at] = 0xff;
        // Role and database are any numbers; lengths must fit.
        assert_eq!(PreparedState::decode(&bytes).is_ok(), at < 24, "byte {at}");
    }
}
