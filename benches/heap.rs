//! Rows in cached pages: scanned, fetched by address, inserted, updated. Times are per row; a scan's rows are decoded.
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tuskd::access::heap::vacuum::{NoIndexes, VacuumOptions};
use tuskd::access::heap::{Heap, HeapOptions, Indexed, Outcome, Writing};
use tuskd::access::visibility::{Fates, ReadView};
use tuskd::access::{ColumnStorage, Ctid, Datum, RowLayout, RowReader, StoreSession};
use tuskd::storage::{Fork, RelFile, RelFork};
use tuskd::txn::session::{CommitOptions, Isolation};

use support::Measured;
use support::peer::pin_to_cpu;
use support::store::{DataDirectory, Opened, recover, session};

const ROWS: i32 = 400_000;

const FILE: RelFile = RelFile { tablespace: 1663, database: 5, relation: 16384 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Rows of a transaction that everybody sees, and hints that say so.
    ScanHinted,
    /// Rows that everybody sees, as their pages say.
    ScanVisible,
    /// Rows whose transaction has to be looked up, since an older snapshot is in use.
    ScanRecent,
    Fetch,
    Insert,
    HotUpdate,
}

struct Rows {
    _directory: DataDirectory,
    session: StoreSession<'static, 'static>,
    other: StoreSession<'static, 'static>,
    heap: Heap,
    layout: RowLayout,
    what: What,
    addresses: Vec<Ctid>,
    at: usize,
}

impl Rows {
    fn new(what: What) -> Self {
        let directory = DataDirectory::new("heap");
        let mut opened = Opened::new(&directory.0, 16_384);
        let (store, another) = (opened.store(), opened.store());
        recover(store);
        let (session, other) = (session(store), session(another));
        session
            .store
            .storage
            .files()
            .create(RelFork { file: FILE, fork: Fork::Main }, false)
            .expect("a file");
        let heap =
            Heap::new(HeapOptions { file: FILE, relation: (5, 16384), is_logged: true, fillfactor: 90 });
        let layout = RowLayout::of(&[ColumnStorage::Int32; 3]);
        let mut rows =
            Self { _directory: directory, session, other, heap, layout, what, addresses: Vec::new(), at: 0 };
        rows.fill();
        rows
    }

    fn fill(&mut self) {
        if self.what == What::ScanRecent {
            self.other.transaction.begin(Isolation::RepeatableRead, true);
            self.other.transaction.statement_snapshot().expect("a snapshot");
        }
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        let rows = if self.what == What::Insert { 0 } else { ROWS };
        for key in 0..rows {
            let row = self.row(key, 0);
            self.addresses.push(self.heap.insert(&mut self.session, &row, 1).expect("insert"));
        }
        self.commit();
        if self.what == What::ScanVisible {
            self.heap.vacuum(self.session.store, VacuumOptions::default(), &mut NoIndexes).expect("vacuum");
        }
        if !matches!(self.what, What::Insert | What::HotUpdate) {
            self.scan(rows as u64);
        }
    }

    fn row(&self, key: i32, value: i32) -> Vec<u8> {
        let mut row = Vec::with_capacity(32);
        let values = [Datum::Int32(key), Datum::Int32(value), Datum::Int32(key % 100)];
        self.layout.encode(&values, &mut row).expect("a row");
        row
    }

    fn commit(&mut self) {
        let options = CommitOptions { synchronous: true, ..CommitOptions::default() };
        self.session.transaction.commit(options).expect("commit");
    }

    fn begin(&mut self) -> ReadView {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        ReadView { snapshot: self.session.transaction.statement_snapshot().expect("a snapshot"), command: 1 }
    }

    fn scan(&mut self, rows: u64) {
        let view = self.begin();
        let (mut left, mut sum) = (rows, 0_i64);
        while left > 0 {
            let mut scan = self.heap.scan(&self.session, view, None).expect("a scan");
            while let Some(row) = scan.next(&mut self.session).expect("a row") {
                let mut reader = RowReader::new(&self.layout, row.bytes).expect("a row");
                for column in 0..3 {
                    if let Datum::Int32(value) = reader.get(column).expect("a value") {
                        sum += i64::from(value);
                    }
                }
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        black_box(sum);
        self.commit();
    }

    fn fetch(&mut self, rows: u64) {
        let view = self.begin();
        let fates = Fates::new(self.session.store);
        for _ in 0..rows {
            self.at = (self.at + 7919) % self.addresses.len();
            let read = |tuple: tuskd::access::heap::tuple::TupleRef<'_>| {
                let mut reader = RowReader::new(&self.layout, tuple.row()).expect("a row");
                matches!(reader.get(1), Ok(Datum::Int32(0)))
            };
            let found = self.heap.fetch_with(&mut self.session, &fates, view, self.addresses[self.at], read);
            assert_eq!(found.expect("a page").row(), Some(true));
        }
        self.commit();
    }

    fn insert(&mut self, rows: u64) {
        self.begin();
        for key in 0..rows {
            let row = self.row(key as i32, 0);
            self.heap.insert(&mut self.session, &row, 1).expect("insert");
        }
        self.commit();
    }

    /// Each row in a transaction of its own, whose commit nobody waits for.
    fn update(&mut self, rows: u64) {
        for _ in 0..rows {
            self.at = (self.at + 7919) % self.addresses.len();
            let view = self.begin();
            let found = self.heap.fetch(&mut self.session, view, self.addresses[self.at], |_| ());
            let tuskd::access::heap::Fetched::Row(ctid, ()) = found.expect("a page") else {
                panic!("no row");
            };
            let row = self.row(self.at as i32, 0);
            let indexed = Indexed { layout: &self.layout, columns: &[0], key: &[0] };
            let mut writing = Writing::at_once(1);
            match self.heap.update(&mut self.session, ctid, &row, &indexed, &mut writing).expect("update") {
                Outcome::Done(updated) if updated.is_hot => {}
                Outcome::Done(updated) => self.addresses[self.at] = updated.ctid,
                Outcome::Conflict(conflict) => panic!("{conflict:?}"),
            }
            self.session.transaction.commit(CommitOptions::default()).expect("commit");
        }
    }
}

impl Measured for Rows {
    fn measure(&mut self, iterations: u64) -> Duration {
        pin_to_cpu(0);
        let started = Instant::now();
        match self.what {
            What::ScanHinted | What::ScanVisible | What::ScanRecent => self.scan(iterations),
            What::Fetch => self.fetch(iterations),
            What::Insert => self.insert(iterations),
            What::HotUpdate => self.update(iterations),
        }
        started.elapsed()
    }
}

fn heap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("heap");
    for (name, what) in [
        ("scan_hinted", What::ScanHinted),
        ("scan_all_visible", What::ScanVisible),
        ("scan_recent", What::ScanRecent),
        ("fetch", What::Fetch),
        ("insert", What::Insert),
        ("update_transaction", What::HotUpdate),
    ] {
        support::bench(&mut group, BenchmarkId::new::<&str, &str>(name, "tuskd"), || Rows::new(what));
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = heap }
criterion_main!(benches);
