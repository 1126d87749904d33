//! How long it takes to wake 1, 8 and 64 waiting processes and to hear from all of them.
mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use support::broadcast::OneBellEach;
use support::condition::Broadcast;
use support::pg_latch::PgLatch;

fn broadcast(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("condvar_broadcast");
    for waiters in [1, 8, 64] {
        let id = BenchmarkId::new("one_signal_each", waiters);
        support::bench(&mut group, id, || OneBellEach::<PgLatch>::start(waiters));
        support::bench(&mut group, BenchmarkId::new("broadcast", waiters), || Broadcast::start(waiters));
    }
    group.finish();
}

criterion_group! { name = condvar; config = support::criterion(); targets = broadcast }
criterion_main!(condvar);
