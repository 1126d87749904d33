//! How fast CRC-32C is computed over a short log record and over a page.
mod support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("crc32c");
    for (size, bytes) in [("64B", 64), ("8KiB", 8192)] {
        let data = vec![0x5a_u8; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("crc32c_crate", size), |bencher| {
            bencher.iter(|| crc32c::crc32c(black_box(&data)));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = checksum }
criterion_main!(benches);
