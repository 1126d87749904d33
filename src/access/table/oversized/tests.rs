//! Tables whose values are too long for a page.

use super::*;
use crate::access::btree::{KeyOrder, KeyShape, ScanKey, ScanOp};
use crate::access::heap::toast::CHUNK;
use crate::access::heap::{Conflict, Outcome, Writing};
use crate::access::row::{ColumnStorage, OwnedDatum, RowLayout, RowReader};
use crate::access::table::{Index, Uniques, Written};
use crate::access::tests::World;
use crate::access::visibility::ReadView;
use crate::storage::ids::{Fork, RelFork};
use crate::txn::serializable::Granularity;
use crate::txn::session::{CommitOptions, Isolation};

const COLUMNS: [ColumnStorage; 4] =
    [ColumnStorage::Int64, ColumnStorage::Variable, ColumnStorage::Variable, ColumnStorage::Int64];

fn file(relation: u32) -> RelFile {
    RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: 5, relation }
}

fn index(
    store: &'static Store<'static>,
    column: usize,
    relation: u32,
    uniques: Uniques,
) -> Index<'static, 'static> {
    let options = IndexOptions {
        file: file(relation),
        is_logged: true,
        name: format!("index_{relation}"),
        table: "test".into(),
        shape: KeyShape::new(&[(COLUMNS[column], KeyOrder::ASCENDING)], &[]),
        fillfactor: 90,
    };
    Index::new(BTree::new(store, options), vec![column], uniques)
}

fn heap(relation: u32) -> HeapOptions {
    HeapOptions { file: file(relation), relation: (5, relation), is_logged: true, fillfactor: 100 }
}

/// A key that is unique, two texts, the first of which has an index, and a number.
fn table(store: &'static Store<'static>) -> Table<'static, 'static> {
    let indexes =
        vec![index(store, 0, 3001, Uniques::NullsDistinct), index(store, 1, 3002, Uniques::Allowed)];
    let toast = ToastOptions {
        heap: heap(3003),
        index: file(3004),
        name: "pg_toast_3000".into(),
        strategies: Vec::new(),
    };
    Table::new(heap(3000), RowLayout::of(&COLUMNS), indexes).with_toast(Some(Toast::new(store, toast)))
}

struct Client {
    session: StoreSession<'static, 'static>,
    table: Table<'static, 'static>,
    command: u32,
}

type Stored = Vec<OwnedDatum>;

impl Client {
    fn new(world: &World, index: usize) -> Self {
        let store: &'static Store<'static> = Box::leak(Box::new(world.store(index)));
        let granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };
        Self { session: StoreSession::new(store, 5, granularity), table: table(store), command: 0 }
    }

    fn begin(&mut self, isolation: Isolation) {
        self.session.transaction.begin(isolation, false);
        self.command = 0;
    }

    fn commit(&mut self) {
        let options = CommitOptions { synchronous: true, ..CommitOptions::default() };
        self.session.transaction.commit(options).expect("a commit");
        self.session.locks.release_transaction(self.session.store.me);
    }

    fn abort(&mut self) {
        self.session.transaction.abort(0).expect("a rollback");
        self.session.locks.release_transaction(self.session.store.me);
    }

    fn view(&mut self) -> ReadView {
        self.command += 1;
        let snapshot = self.session.transaction.statement_snapshot().expect("a snapshot");
        ReadView { snapshot, command: self.command }
    }

    fn done(&mut self, view: ReadView) {
        self.session.transaction.drop_snapshot(view.snapshot);
    }

    fn insert(&mut self, key: i64, short: &[u8], long: &[u8]) -> Written<Ctid> {
        let view = self.view();
        let values = [Datum::Int64(key), Datum::Bytes(short), Datum::Bytes(long), Datum::Int64(0)];
        let mut writing = Writing::at_once(self.command);
        let written = self.table.insert(&mut self.session, &values, &mut Vec::new(), &mut writing);
        self.done(view);
        written.expect("room")
    }

    fn update(&mut self, ctid: Ctid, values: &[Datum<'_>]) -> Result<Written<Ctid>> {
        let view = self.view();
        let mut writing = Writing::at_once(self.command);
        let written = self.table.update(&mut self.session, ctid, values, &mut Vec::new(), &mut writing);
        self.done(view);
        written
    }

    fn delete(&mut self, ctid: Ctid) {
        let view = self.view();
        let mut writing = Writing::at_once(self.command);
        let deleted = self.table.delete(&mut self.session, ctid, &mut writing).expect("pages");
        self.done(view);
        assert_eq!(deleted, Outcome::Done(()));
    }

    /// A row by its key, as it is stored.
    fn stored(&mut self, key: i64, view: ReadView) -> Option<(Ctid, Stored)> {
        let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int64(key))];
        let Self { session, table, .. } = self;
        let read = |row: &[u8]| {
            let mut reader = RowReader::new(table.layout(), row).expect("a row");
            (0..COLUMNS.len()).map(|column| reader.get(column).expect("a value").to_owned()).collect()
        };
        table.lookup(session, 0, &keys, view, read).expect("pages")
    }

    fn value(&mut self, datum: Datum<'_>) -> Vec<u8> {
        self.table.value(&mut self.session, datum).expect("a value").into_owned()
    }

    /// The long text of a row by its key.
    fn long(&mut self, key: i64) -> Option<Vec<u8>> {
        let view = self.view();
        let found = self.stored(key, view);
        let long = found.map(|(_, stored)| self.value(stored[2].as_datum()));
        self.done(view);
        long
    }

    /// Pieces that this one sees. They go one command behind the one that they go with, since that may have made them.
    fn pieces(&mut self) -> usize {
        self.command += 1;
        let view = self.view();
        let Self { session, table, .. } = self;
        let mut scan = table.toast().expect("a place").heap().scan(session, view, None).expect("pages");
        let mut pieces = 0;
        while scan.next(session).expect("pages").is_some() {
            pieces += 1;
        }
        drop(scan);
        self.done(view);
        pieces
    }

    fn check(&mut self) -> u64 {
        self.begin(Isolation::ReadCommitted);
        let view = self.view();
        let rows = self.table.check(&mut self.session, view).unwrap_or_else(|e| panic!("{e}"));
        self.done(view);
        self.abort();
        rows
    }
}

/// Bytes that do not get shorter.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut random = seed;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn pieces_of(length: usize) -> usize {
    length.div_ceil(CHUNK)
}

fn two() -> (World, [Client; 2]) {
    let world = World::new(256);
    let mut clients = [1, 2].map(|number| Client::new(&world, number));
    let [one, _] = &mut clients;
    one.begin(Isolation::ReadCommitted);
    one.table.create(&mut one.session, &mut TransactionFiles::default()).expect("new files");
    one.commit();
    (world, clients)
}

#[test]
fn values_are_kept_replaced_and_removed_with_their_rows() {
    let (_world, [mut one, _]) = two();
    let (first, second) = (noise(20_000, 1), noise(7_000, 2));
    one.begin(Isolation::ReadCommitted);
    assert!(matches!(one.insert(1, b"short", &first), Written::Done(_)));
    assert!(matches!(one.insert(2, b"short", &vec![7; 100_000]), Written::Done(_)), "compressed");
    assert_eq!(one.pieces(), pieces_of(20_000), "the other fits its row");
    one.commit();
    one.begin(Isolation::ReadCommitted);
    assert_eq!(one.long(1).as_ref(), Some(&first));
    assert_eq!(one.long(2), Some(vec![7; 100_000]));
    // Kept: given as it is stored.
    let view = one.view();
    let (ctid, stored) = one.stored(1, view).expect("the row");
    one.done(view);
    let values = [stored[0].as_datum(), stored[1].as_datum(), stored[2].as_datum(), Datum::Int64(5)];
    let kept = one.update(ctid, &values).expect("room").done().expect("nobody else is there");
    assert_eq!(one.pieces(), pieces_of(20_000), "not copied");
    let view = one.view();
    assert_eq!(one.stored(1, view).expect("the row").1[2], stored[2], "its place is the same");
    one.done(view);
    // Replaced.
    let values = [Datum::Int64(1), Datum::Bytes(b"short"), Datum::Bytes(&second), Datum::Int64(6)];
    let ctid = one.update(kept, &values).expect("room").done().expect("nobody else is there");
    assert_eq!(one.pieces(), pieces_of(7_000));
    assert_eq!(one.long(1).as_ref(), Some(&second));
    one.commit();
    one.begin(Isolation::ReadCommitted);
    one.delete(ctid);
    assert_eq!(one.pieces(), 0);
    one.commit();
    assert_eq!(one.check(), 1);
}

#[test]
fn what_is_rolled_back_leaves_everything_as_it_was() {
    let (_world, [mut one, mut two]) = two();
    let (first, second) = (noise(20_000, 1), noise(7_000, 2));
    one.begin(Isolation::ReadCommitted);
    let ctid = one.insert(1, b"", &first).done().expect("a new key");
    one.commit();
    one.begin(Isolation::ReadCommitted);
    let values = [Datum::Int64(1), Datum::Bytes(b""), Datum::Bytes(&second), Datum::Int64(6)];
    assert!(one.update(ctid, &values).expect("room").done().is_some());
    assert!(one.insert(2, b"", &second).done().is_some());
    one.abort();
    one.begin(Isolation::ReadCommitted);
    one.delete(ctid);
    one.abort();
    two.begin(Isolation::ReadCommitted);
    assert_eq!((two.long(1), two.long(2), two.pieces()), (Some(first), None, pieces_of(20_000)));
    two.commit();
    assert_eq!(two.check(), 1);
}

#[test]
fn a_row_without_a_place_leaves_no_values() {
    let (_world, [mut one, mut two]) = two();
    let (first, second) = (noise(20_000, 1), noise(7_000, 2));
    one.begin(Isolation::ReadCommitted);
    let ctid = one.insert(1, b"", &first).done().expect("a new key");
    one.commit();
    one.begin(Isolation::ReadCommitted);
    assert!(matches!(one.insert(1, b"", &second), Written::Duplicate { index: 0, .. }));
    assert_eq!(one.pieces(), pieces_of(20_000), "a duplicate's are gone");
    // Another holds the row: neither what is new stays, nor what is kept goes.
    two.begin(Isolation::ReadCommitted);
    let view = two.view();
    let (_, stored) = two.stored(1, view).expect("the row");
    two.done(view);
    let mut values: Vec<_> = stored.iter().map(OwnedDatum::as_datum).collect();
    one.delete(ctid);
    values[1] = Datum::Bytes(&second);
    let blocked = two.update(ctid, &values).expect("room");
    assert!(matches!(blocked, Written::Conflict(Conflict::NotWaited(_))), "{blocked:?}");
    one.abort();
    assert_eq!(two.pieces(), pieces_of(20_000));
    assert_eq!(two.long(1), Some(first));
    two.commit();
    assert_eq!(two.check(), 1);
}

#[test]
fn a_value_stored_with_one_row_is_not_another_rows() {
    let (_world, [mut one, _]) = two();
    one.begin(Isolation::ReadCommitted);
    one.insert(1, b"", &noise(20_000, 1)).done().expect("a new key");
    let other = one.insert(2, b"", b"").done().expect("a new key");
    let view = one.view();
    let (_, stored) = one.stored(1, view).expect("the row");
    let stolen = [Datum::Int64(3), Datum::Bytes(b""), stored[2].as_datum(), Datum::Int64(0)];
    let mut writing = Writing::at_once(one.command);
    let inserted = one.table.insert(&mut one.session, &stolen, &mut Vec::new(), &mut writing);
    one.done(view);
    for refused in [inserted, one.update(other, &stolen)] {
        assert_eq!(refused.expect_err("not its own").sqlstate.code(), "XX000");
    }
    one.abort();
}

#[test]
fn an_old_snapshot_reads_what_was_replaced_and_vacuum_waits_for_it() {
    let (_world, [mut one, mut two]) = two();
    let (first, second) = (noise(30_000, 1), noise(9_000, 2));
    one.begin(Isolation::ReadCommitted);
    let ctid = one.insert(1, b"", &first).done().expect("a new key");
    one.commit();
    two.begin(Isolation::RepeatableRead);
    let view = two.view();
    one.begin(Isolation::ReadCommitted);
    let values = [Datum::Int64(1), Datum::Bytes(b""), Datum::Bytes(&second), Datum::Int64(0)];
    one.update(ctid, &values).expect("room").done().expect("nobody else is there");
    one.commit();
    let left_by_vacuum = |one: &Client| {
        one.table.vacuum(one.session.store, VacuumOptions::default()).expect("pages");
        let mut entries = 0;
        one.table.toast().expect("a place").tree().check(|_, _| entries += 1).expect("in order");
        entries
    };
    let all = pieces_of(30_000) + pieces_of(9_000);
    assert_eq!(left_by_vacuum(&one), all, "somebody may read them");
    let (_, stored) = two.stored(1, view).expect("the row");
    assert_eq!(two.value(stored[2].as_datum()), first);
    two.done(view);
    two.commit();
    assert_eq!(left_by_vacuum(&one), pieces_of(9_000));
    assert_eq!(one.check(), 1);
    // Room is used again.
    let fork = RelFork { file: file(3003), fork: Fork::Main };
    let blocks = |one: &Client| one.session.store.storage.files().blocks(fork).expect("a file");
    let before = blocks(&one);
    one.begin(Isolation::ReadCommitted);
    one.insert(2, b"", &noise(25_000, 3)).done().expect("a new key");
    one.commit();
    assert_eq!(blocks(&one), before);
}

#[test]
fn indexes_have_all_of_a_value_however_its_row_stores_it() {
    let (_world, [mut one, _]) = two();
    one.begin(Isolation::ReadCommitted);
    // The indexed one is shortened after the other, as the row does not fit even then.
    let (key, long) = (vec![9; 2600], noise(1990, 1));
    let ctid = one.insert(1, &key, &long).done().expect("a new key");
    let view = one.view();
    let (_, stored) = one.stored(1, view).expect("the row");
    one.done(view);
    assert!(matches!(stored[1], OwnedDatum::Compressed(_)), "{:?}", stored[1]);
    // Not heap-only, as its number goes with it: it enters the index from what is stored.
    let mut values: Vec<_> = stored.iter().map(OwnedDatum::as_datum).collect();
    values[0] = Datum::Int64(4);
    one.update(ctid, &values).expect("room").done().expect("nobody else is there");
    let view = one.view();
    let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Bytes(&key))];
    let Client { session, table, .. } = &mut one;
    let found = table.lookup(session, 1, &keys, view, |_| ()).expect("pages");
    assert!(found.is_some(), "found by all of it");
    one.done(view);
    one.commit();
    assert_eq!(one.check(), 1);
}
