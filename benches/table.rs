//! A table with a primary key under one session: rows looked up by their key.
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tuskd::txn::session::{CommitOptions, Isolation};

use support::Measured;
use support::bank::Bank;
use support::peer::pin_to_cpu;
use support::store::{DataDirectory, Opened, recover};

const ROWS: i32 = 100_000;
const BUFFERS: usize = 48 << 10;

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
        let mut bank = Bank::new(store, ROWS);
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

fn table(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table");
    support::bench(&mut group, BenchmarkId::new::<&str, &str>("lookup", "tuskd"), Lookups::new);
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = table }

criterion_main!(benches);
