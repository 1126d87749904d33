//! What it costs to take and release a reader-writer lock, alone and with one contender.
//!
//! `uncontended`: once shared and once exclusively. `shared_2`, `exclusive_2`: two parties on two
//! CPUs, once each; parties are processes, but threads for parking_lot, which is private to one.
mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use support::locks::{Mode, PthreadRwLock, TuskdLwLock, TwoProcesses, TwoThreads, Uncontended};

type ParkingLot = parking_lot::RwLock<()>;

fn lwlock(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lwlock");
    let id = BenchmarkId::new::<&str, &str>;
    support::bench(&mut group, id("uncontended", "parking_lot"), || Uncontended(ParkingLot::new(())));
    support::bench(&mut group, id("uncontended", "pthread"), || Uncontended(PthreadRwLock::new()));
    support::bench(&mut group, id("uncontended", "tuskd"), || Uncontended(TuskdLwLock::new()));
    for (name, mode) in [("shared_2", Mode::Shared), ("exclusive_2", Mode::Exclusive)] {
        let threads = || TwoThreads { lock: ParkingLot::new(()), mode };
        support::bench(&mut group, id(name, "parking_lot"), threads);
        let processes = || TwoProcesses::start(PthreadRwLock::new(), mode);
        support::bench(&mut group, id(name, "pthread"), processes);
        let processes = || TwoProcesses::start(TuskdLwLock::new(), mode);
        support::bench(&mut group, id(name, "tuskd"), processes);
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = lwlock }
criterion_main!(benches);
