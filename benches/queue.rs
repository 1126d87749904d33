//! How fast messages go from one process to another: writer on CPU 0, reader on CPU 1.
mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use support::queues::ShmQueue;
use support::streams::Stream;

fn queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    for (size, bytes) in [("64B", 64), ("8KiB", 8192)] {
        group.throughput(Throughput::Bytes(bytes as u64));
        support::bench(&mut group, BenchmarkId::new("pipe", size), || Stream::pipe(bytes));
        support::bench(&mut group, BenchmarkId::new("unix_socket", size), || Stream::unix_socket(bytes));
        support::bench(&mut group, BenchmarkId::new("shm_queue", size), || ShmQueue::start(bytes));
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = queue }
criterion_main!(benches);
