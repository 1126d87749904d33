//! Tables under several sessions: conflicts, uniqueness, and the known anomalies at each isolation level.
//!
//! The anomalies are those of Adya's thesis and of Hermitage, Kleppmann's collection of what databases do about them:
//! whether a level lets one happen is written down in [`ANOMALIES`], as PostgreSQL documents it.

use super::*;
use crate::access::btree::{IndexOptions, KeyOrder, KeyShape};
use crate::access::row::ColumnStorage;
use crate::access::tests::World;
use crate::storage::ids::RelFile;
use crate::txn::serializable::Granularity;
use crate::txn::session::{CommitOptions, Isolation};

const COLUMNS: [ColumnStorage; 2] = [ColumnStorage::Int64, ColumnStorage::Int64];

fn file(relation: u32) -> RelFile {
    RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: 5, relation }
}

fn table(store: &'static Store<'static>) -> Table<'static, 'static> {
    let options = IndexOptions {
        file: file(3001),
        is_logged: true,
        name: "test_pkey".into(),
        table: "test".into(),
        shape: KeyShape::new(&[(COLUMNS[0], KeyOrder::ASCENDING)], &[]),
        fillfactor: 90,
    };
    let index = Index::new(BTree::new(store, options), vec![0], Uniques::NullsDistinct);
    let options = HeapOptions { file: file(3000), relation: (5, 3000), is_logged: true, fillfactor: 100 };
    Table::new(options, RowLayout::of(&COLUMNS), vec![index])
}

/// Why a session's transaction cannot go on as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopped {
    /// It would wait for another.
    Blocked,
    /// It is to be rolled back, as 40001.
    Unserializable,
    /// The key is there.
    Duplicate,
}

/// A session with rows of a key and a value.
struct Client {
    session: StoreSession<'static, 'static>,
    table: Table<'static, 'static>,
    isolation: Isolation,
    command: u32,
}

impl Client {
    fn new(world: &World, index: usize) -> Self {
        let store: &'static Store<'static> = Box::leak(Box::new(world.store(index)));
        let granularity = Granularity { tuples_per_page: 2, reads_per_relation: 32 };
        let session = StoreSession::new(store, 5, granularity);
        Self { session, table: table(store), isolation: Isolation::ReadCommitted, command: 0 }
    }

    fn begin(&mut self, isolation: Isolation) {
        self.session.transaction.begin(isolation, false);
        (self.isolation, self.command) = (isolation, 0);
    }

    fn commit(&mut self) -> std::result::Result<(), Stopped> {
        let options = CommitOptions { synchronous: true, ..CommitOptions::default() };
        let done = stopped(self.session.transaction.commit(options));
        if done.is_err() {
            self.abort();
        }
        self.session.locks.release_transaction(self.session.store.me);
        done.map(|_| ())
    }

    fn abort(&mut self) {
        self.session.transaction.abort(0).expect("abort");
        self.session.locks.release_transaction(self.session.store.me);
    }

    fn view(&mut self) -> std::result::Result<ReadView, Stopped> {
        self.command += 1;
        let snapshot = stopped(self.session.transaction.statement_snapshot())?;
        Ok(ReadView { snapshot, command: self.command })
    }

    fn find(&mut self, key: i64) -> std::result::Result<Option<(Ctid, i64)>, Stopped> {
        let view = self.view()?;
        let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int64(key))];
        let Self { session, table, .. } = self;
        let found = stopped(table.lookup(session, 0, &keys, view, |row| pair(table.layout(), row).1));
        session.transaction.drop_snapshot(view.snapshot);
        found
    }

    fn read(&mut self, key: i64) -> std::result::Result<i64, Stopped> {
        Ok(self.find(key)?.map_or(0, |(_, value)| value))
    }

    /// Keys whose value is a multiple.
    fn multiples(&mut self, of: i64) -> std::result::Result<Vec<i64>, Stopped> {
        let view = self.view()?;
        let Self { session, table, .. } = self;
        let mut scan = stopped(table.scan(session, view, None))?;
        let mut keys = Vec::new();
        while let Some(row) = stopped(scan.next(session))? {
            let (key, value) = pair(table.layout(), row.bytes);
            keys.extend((value % of == 0).then_some(key));
        }
        session.transaction.drop_snapshot(view.snapshot);
        Ok(keys)
    }

    fn insert(&mut self, key: i64, value: i64) -> std::result::Result<(), Stopped> {
        self.command += 1;
        let mut writing = Writing::at_once(self.command);
        let values = [Datum::Int64(key), Datum::Int64(value)];
        let Self { session, table, .. } = self;
        match stopped(table.insert(session, &values, &mut Vec::new(), &mut writing))? {
            Written::Done(_) => Ok(()),
            Written::Duplicate { .. } => Err(Stopped::Duplicate),
            Written::Conflict(_) => Err(Stopped::Blocked),
        }
    }

    /// As an UPDATE by key: read committed goes on with what it finds behind a conflict.
    fn write(&mut self, key: i64, value: i64) -> std::result::Result<(), Stopped> {
        loop {
            let (ctid, _) = self.find(key)?.expect("the row is there");
            let mut writing = Writing::at_once(self.command);
            let values = [Datum::Int64(key), Datum::Int64(value)];
            let Self { session, table, .. } = self;
            match stopped(table.update(session, ctid, &values, &mut Vec::new(), &mut writing))? {
                Written::Done(_) => return Ok(()),
                Written::Conflict(Conflict::NotWaited(_)) => return Err(Stopped::Blocked),
                Written::Conflict(_) if self.isolation == Isolation::ReadCommitted => {}
                Written::Conflict(_) => return Err(Stopped::Unserializable),
                Written::Duplicate { .. } => return Err(Stopped::Duplicate),
            }
        }
    }
}

fn pair(layout: &RowLayout, row: &[u8]) -> (i64, i64) {
    let mut reader = RowReader::new(layout, row).expect("a row");
    match (reader.get(0).expect("a key"), reader.get(1).expect("a value")) {
        (Datum::Int64(key), Datum::Int64(value)) => (key, value),
        other => panic!("{other:?}"),
    }
}

fn stopped<T>(result: Result<T>) -> std::result::Result<T, Stopped> {
    result.map_err(|report| {
        assert_eq!(report.sqlstate.code(), "40001", "{report}");
        Stopped::Unserializable
    })
}

/// Three sessions over the rows (1, 10) and (2, 20).
fn three() -> (World, [Client; 3]) {
    let world = World::new(128);
    let mut clients = [1, 2, 3].map(|index| Client::new(&world, index));
    let [first, ..] = &mut clients;
    first.begin(Isolation::ReadCommitted);
    let mut files = TransactionFiles::default();
    first.table.create(&mut first.session, &mut files).expect("new files");
    first.insert(1, 10).expect("a new key");
    first.insert(2, 20).expect("a new key");
    first.commit().expect("nobody else is there");
    (world, clients)
}

/// Whether the anomaly came to be; an error: the level prevented it.
type Attempt = fn(Isolation, &mut [Client; 3]) -> std::result::Result<bool, Stopped>;

fn dirty_write(level: Isolation, [one, two, _]: &mut [Client; 3]) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    one.write(1, 11)?;
    two.write(1, 12)?;
    Ok(true)
}

fn dirty_read(level: Isolation, [one, two, _]: &mut [Client; 3]) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    one.write(1, 101)?;
    Ok(two.read(1)? != 10)
}

fn aborted_read(level: Isolation, [one, two, _]: &mut [Client; 3]) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    one.write(1, 101)?;
    let before = two.read(1)?;
    one.abort();
    let behind = two.read(1)?;
    two.commit()?;
    Ok(before == 101 || behind == 101)
}

fn intermediate_read(
    level: Isolation,
    [one, two, _]: &mut [Client; 3],
) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    one.write(1, 101)?;
    let before = two.read(1)?;
    one.write(1, 11)?;
    one.commit()?;
    let behind = two.read(1)?;
    two.commit()?;
    Ok(before == 101 || behind == 101)
}

fn circular_flow(level: Isolation, [one, two, _]: &mut [Client; 3]) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    one.write(1, 11)?;
    two.write(2, 22)?;
    let (seen_by_one, seen_by_two) = (one.read(2)?, two.read(1)?);
    one.commit()?;
    two.commit()?;
    Ok(seen_by_one == 22 && seen_by_two == 11)
}

fn vanishing_transaction(
    level: Isolation,
    [one, two, three]: &mut [Client; 3],
) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    three.begin(level);
    one.write(1, 11)?;
    one.write(2, 19)?;
    assert_eq!(two.write(1, 12), Err(Stopped::Blocked));
    one.commit()?;
    two.write(1, 12)?;
    let first = three.read(1)?;
    two.write(2, 18)?;
    two.commit()?;
    let (second, third) = (three.read(2)?, three.read(1)?);
    three.commit()?;
    Ok(first == 11 && second == 18 && third == 11)
}

fn predicate_changes(
    level: Isolation,
    [one, two, _]: &mut [Client; 3],
) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    assert!(one.multiples(3)?.is_empty());
    two.insert(3, 30)?;
    two.commit()?;
    let found = one.multiples(3)?;
    one.commit()?;
    Ok(!found.is_empty())
}

fn lost_update(level: Isolation, [one, two, _]: &mut [Client; 3]) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    assert_eq!((one.read(1)?, two.read(1)?), (10, 10));
    one.write(1, 11)?;
    assert_eq!(two.write(1, 12), Err(Stopped::Blocked));
    one.commit()?;
    two.write(1, 12)?;
    two.commit()?;
    Ok(true)
}

fn read_skew(level: Isolation, [one, two, _]: &mut [Client; 3]) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    let first = one.read(1)?;
    two.write(1, 12)?;
    two.write(2, 18)?;
    two.commit()?;
    let second = one.read(2)?;
    one.commit()?;
    Ok(first == 10 && second == 18)
}

fn read_skew_on_predicates(
    level: Isolation,
    [one, two, _]: &mut [Client; 3],
) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    assert_eq!(one.multiples(5)?, [1, 2]);
    two.write(1, 12)?;
    two.commit()?;
    let found = one.multiples(3)?;
    one.commit()?;
    Ok(!found.is_empty())
}

fn write_skew(level: Isolation, [one, two, _]: &mut [Client; 3]) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    for client in [&mut *one, &mut *two] {
        assert_eq!((client.read(1)?, client.read(2)?), (10, 20));
    }
    one.write(1, 11)?;
    two.write(2, 21)?;
    one.commit()?;
    two.commit()?;
    Ok(true)
}

fn write_skew_on_predicates(
    level: Isolation,
    [one, two, _]: &mut [Client; 3],
) -> std::result::Result<bool, Stopped> {
    one.begin(level);
    two.begin(level);
    assert_eq!((one.multiples(3)?, two.multiples(3)?), (vec![], vec![]));
    one.insert(3, 30)?;
    two.insert(4, 42)?;
    one.commit()?;
    two.commit()?;
    Ok(true)
}

/// Each anomaly, and the first level that prevents it.
const ANOMALIES: [(&str, Attempt, Isolation); 12] = [
    ("dirty write", dirty_write, Isolation::ReadCommitted),
    ("dirty read", dirty_read, Isolation::ReadCommitted),
    ("aborted read", aborted_read, Isolation::ReadCommitted),
    ("intermediate read", intermediate_read, Isolation::ReadCommitted),
    ("circular information flow", circular_flow, Isolation::ReadCommitted),
    ("observed transaction vanishes", vanishing_transaction, Isolation::ReadCommitted),
    ("predicate-many-preceders", predicate_changes, Isolation::RepeatableRead),
    ("lost update", lost_update, Isolation::RepeatableRead),
    ("read skew", read_skew, Isolation::RepeatableRead),
    ("read skew on predicates", read_skew_on_predicates, Isolation::RepeatableRead),
    ("write skew", write_skew, Isolation::Serializable),
    ("write skew on predicates", write_skew_on_predicates, Isolation::Serializable),
];

#[test]
fn each_level_prevents_what_it_says() {
    for level in [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable] {
        for (name, attempt, prevented_from) in ANOMALIES {
            let (_world, mut clients) = three();
            let happened = attempt(level, &mut clients).unwrap_or(false);
            assert_eq!(happened, level < prevented_from, "{name} at {level:?}");
        }
    }
}

#[test]
fn a_key_is_one_rows_only_once_it_is_known_whose() {
    let (_world, [mut one, mut two, _]) = three();
    one.begin(Isolation::ReadCommitted);
    two.begin(Isolation::ReadCommitted);
    assert_eq!(one.insert(1, 99), Err(Stopped::Duplicate), "what was inserted is taken back");
    assert_eq!(one.multiples(99), Ok(vec![]));
    one.insert(5, 50).expect("a new key");
    assert_eq!(two.insert(5, 51), Err(Stopped::Blocked));
    one.abort();
    two.insert(5, 52).expect("nobody has it");
    two.commit().expect("nothing is in its way");
    one.begin(Isolation::ReadCommitted);
    assert_eq!((one.insert(5, 53), one.read(5)), (Err(Stopped::Duplicate), Ok(52)));
    let view = one.view().expect("a snapshot");
    assert_eq!(one.table.check(&mut one.session, view), Ok(3));
}

#[test]
fn rows_are_found_in_order_both_ways_after_vacuum() {
    let (_world, [mut one, mut two, _]) = three();
    one.begin(Isolation::ReadCommitted);
    for key in 3..200 {
        one.insert(key, key * 10).expect("a new key");
    }
    one.commit().expect("nobody else is there");
    one.begin(Isolation::ReadCommitted);
    for key in (1..200).filter(|key| key % 3 != 0) {
        let (ctid, _) = one.find(key).expect("a look").expect("it is there");
        let deleted = one.table.delete(&mut one.session, ctid, &mut Writing::at_once(one.command));
        assert_eq!(deleted, Ok(Outcome::Done(())));
    }
    one.commit().expect("nobody else is there");
    let store = one.session.store;
    let stats = one.table.vacuum(store, VacuumOptions::default()).expect("vacuum");
    assert_eq!((stats.removed, stats.remaining), (133, 66));
    two.begin(Isolation::RepeatableRead);
    let view = two.view().expect("a snapshot");
    let Client { session, table, .. } = &mut two;
    assert_eq!(table.check(session, view), Ok(66));
    let keys = [
        ScanKey::new(0, ScanOp::GreaterEqual, Datum::Int64(30)),
        ScanKey::new(0, ScanOp::Less, Datum::Int64(60)),
    ];
    for (direction, expected) in
        [(Direction::Forward, [30, 33, 36, 39]), (Direction::Backward, [57, 54, 51, 48])]
    {
        let mut scan = table.index_scan(session, 0, &keys, view);
        let mut found = Vec::new();
        while let Some(row) = scan.next(session, direction).expect("a row") {
            found.push(pair(table.layout(), row.bytes).0);
        }
        assert_eq!((found.len(), &found[..4]), (10, &expected[..]));
    }
}
