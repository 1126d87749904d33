//! A table with a primary key under one session: rows looked up by their key, and how fast a crash is recovered from.
//!
//! `recovery` is no loop that criterion could repeat: it is timed once, by a run of its own at the end, and printed. Its
//! workload is pgbench's simple update: one row replaced and one inserted in each transaction. `TUSKD_REDO_TRANSACTIONS`
//! says how many.
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use tuskd::access::btree::{BTree, IndexOptions, KeyOrder, KeyShape, ScanKey, ScanOp};
use tuskd::access::checkpoint::{KeepWal, perform};
use tuskd::access::checkpoints::Request;
use tuskd::access::heap::{HeapOptions, Writing};
use tuskd::access::relation_files::TransactionFiles;
use tuskd::access::table::{Index, Table, Uniques, Written};
use tuskd::access::visibility::ReadView;
use tuskd::access::{ColumnStorage, Datum, RowLayout, RowReader, Store, StoreSession};
use tuskd::storage::RelFile;
use tuskd::storage::buffer::Unpaced;
use tuskd::txn::session::{CommitOptions, Isolation};

use support::Measured;
use support::peer::pin_to_cpu;
use support::store::{DataDirectory, Opened, recover, session};

const ROWS: i32 = 100_000;
const BUFFERS: usize = 48 << 10;
const TRANSACTIONS: u64 = 300_000;

/// pgbench's accounts and history, but for the types of times and the filler's padding.
struct Bank {
    session: StoreSession<'static, 'static>,
    accounts: Table<'static, 'static>,
    history: Table<'static, 'static>,
    row: Vec<u8>,
    at: i32,
}

fn file(relation: u32) -> RelFile {
    RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: 5, relation }
}

fn heap(relation: u32) -> HeapOptions {
    HeapOptions { file: file(relation), relation: (5, relation), is_logged: true, fillfactor: 100 }
}

impl Bank {
    fn new(store: &'static Store<'static>) -> Self {
        use ColumnStorage::{Int32, Int64, Variable};
        let options = IndexOptions {
            file: file(1001),
            is_logged: true,
            name: "accounts_pkey".into(),
            table: "accounts".into(),
            shape: KeyShape::new(&[(Int32, KeyOrder::ASCENDING)], &[]),
            fillfactor: 90,
        };
        let index = Index::new(BTree::new(store, options), vec![0], Uniques::NullsDistinct);
        Self {
            session: session(store),
            accounts: Table::new(heap(1000), RowLayout::of(&[Int32, Int32, Int32, Variable]), vec![index]),
            history: Table::new(heap(2000), RowLayout::of(&[Int32, Int32, Int32, Int32, Int64]), vec![]),
            row: Vec::new(),
            at: 0,
        }
    }

    fn fill(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        let mut files = TransactionFiles::default();
        for table in [&self.accounts, &self.history] {
            table.create(&mut self.session, &mut files).expect("new files");
        }
        for account in 0..ROWS {
            let values = [Datum::Int32(account), Datum::Int32(1), Datum::Int32(0), Datum::Bytes(&[b' '; 84])];
            let mut writing = Writing::at_once(1);
            let Self { accounts, session, row, .. } = self;
            let written = accounts.insert(session, &values, row, &mut writing).expect("room");
            assert!(matches!(written, Written::Done(_)));
        }
        self.session
            .transaction
            .commit(CommitOptions { synchronous: true, ..CommitOptions::default() })
            .expect("commit");
    }

    fn view(&mut self) -> ReadView {
        ReadView { snapshot: self.session.transaction.statement_snapshot().expect("a snapshot"), command: 1 }
    }

    fn next_account(&mut self) -> i32 {
        self.at = (self.at + 7919) % ROWS;
        self.at
    }

    fn lookup(&mut self, view: ReadView) -> (tuskd::access::Ctid, i32) {
        let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int32(self.next_account()))];
        let Self { accounts, session, .. } = self;
        let layout = accounts.layout();
        let balance = |row: &[u8]| match RowReader::new(layout, row).and_then(|mut row| row.get(2)) {
            Ok(Datum::Int32(balance)) => balance,
            other => panic!("{other:?}"),
        };
        accounts.lookup(session, 0, &keys, view, balance).expect("a look").expect("it is there")
    }

    /// One transaction, whose commit nobody waits for.
    fn simple_update(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        let view = self.view();
        let (ctid, balance) = self.lookup(view);
        let account = self.at;
        let values =
            [Datum::Int32(account), Datum::Int32(1), Datum::Int32(balance + 1), Datum::Bytes(&[b' '; 84])];
        let mut writing = Writing::at_once(1);
        let Self { accounts, history, session, row, .. } = self;
        let written = accounts.update(session, ctid, &values, row, &mut writing).expect("room");
        assert!(matches!(written, Written::Done(_)));
        let values =
            [Datum::Int32(1), Datum::Int32(1), Datum::Int32(account), Datum::Int32(1), Datum::Int64(0)];
        let written = history.insert(session, &values, row, &mut writing).expect("room");
        assert!(matches!(written, Written::Done(_)));
        session.transaction.commit(CommitOptions::default()).expect("commit");
    }
}

/// Rows in cached pages, by their key.
struct Lookups {
    bank: Bank,
    _directory: DataDirectory,
}

impl Lookups {
    fn new() -> Self {
        let directory = DataDirectory::new("table");
        let store = Opened::new(&directory.0, BUFFERS).store();
        recover(store);
        let mut bank = Bank::new(store);
        bank.fill();
        Self { bank, _directory: directory }
    }
}

impl Measured for Lookups {
    fn measure(&mut self, iterations: u64) -> Duration {
        pin_to_cpu(0);
        self.bank.session.transaction.begin(Isolation::ReadCommitted, true);
        let view = self.bank.view();
        let started = Instant::now();
        for _ in 0..iterations {
            black_box(self.bank.lookup(view));
        }
        let elapsed = started.elapsed();
        self.bank.session.transaction.commit(CommitOptions::default()).expect("commit");
        elapsed
    }
}

fn recovery() {
    let transactions = std::env::var("TUSKD_REDO_TRANSACTIONS").ok().and_then(|n| n.parse().ok());
    let transactions = transactions.unwrap_or(TRANSACTIONS);
    let directory = DataDirectory::new("redo");
    let store = Opened::new(&directory.0, BUFFERS).store();
    recover(store);
    let mut bank = Bank::new(store);
    bank.fill();
    let keep = KeepWal { behind: 0, least: 2, most: 4, expected: 0, recycle: false };
    perform(store, Request::IMMEDIATE, &mut Unpaced, &keep, |_| false).expect("a checkpoint");
    let started = Instant::now();
    for _ in 0..transactions {
        bank.simple_update();
    }
    let made = started.elapsed();
    store.log.make_durable(store.engine.wal.inserted()).expect("a flush");
    let store = Opened::new(&directory.0, BUFFERS).store();
    let started = Instant::now();
    let records = recover(store);
    let redone = started.elapsed();
    let rate = |time: Duration| transactions as f64 / time.as_secs_f64();
    println!(
        "recovery: {transactions} transactions ({records} records) made at {:.0}/s, recovered at {:.0}/s",
        rate(made),
        rate(redone)
    );
}

fn table(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table");
    support::bench(&mut group, BenchmarkId::new::<&str, &str>("lookup", "tuskd"), Lookups::new);
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = table }

fn main() {
    benches();
    // Only when asked for: `cargo bench --bench table`, not with a filter or `--list`.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        recovery();
    }
}
