//! An index of a million entries that is in the pool: looking up, inserting, scanning, and how long it took to build.
mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use support::index::{Index, What};

fn btree(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("btree");
    for (name, what) in [
        ("lookup", What::Lookup),
        ("lookup_hot", What::HotLookup),
        ("insert_ascending", What::InsertAscending),
        ("insert_random", What::InsertRandom),
        ("scan_entry", What::Scan),
        ("scan_entry_backward", What::ScanBackward),
    ] {
        support::bench(&mut group, BenchmarkId::new::<&str, &str>(name, "tuskd"), || Index::new(what));
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = btree }
criterion_main!(benches);
