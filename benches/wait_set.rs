//! How long a client waits for the answer to a short request, by how the server sleeps and sends.
mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use support::exchanges::Exchanges;
use support::peer::Placement;

fn wait_set(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wait_set");
    for placement in Placement::ALL {
        let id = |name| BenchmarkId::new(name, placement.name());
        support::bench(&mut group, id("epoll"), || Exchanges::by_epoll(placement));
        support::bench(&mut group, id("io_uring"), || Exchanges::by_ring(placement));
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = wait_set }
criterion_main!(benches);
