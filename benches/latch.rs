//! How long a round trip between two processes takes: A wakes B, B wakes A, both asleep between.
mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use support::eventfd::EventFd;
use support::peer::Placement;
use support::pg_latch::PgLatch;
use support::ping_pong::{PingPong, Pipe};

fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("latch_round_trip");
    for placement in Placement::ALL {
        let id = |name| BenchmarkId::new(name, placement.name());
        support::bench(&mut group, id("eventfd"), || PingPong::<EventFd>::start(placement));
        support::bench(&mut group, id("pipe"), || PingPong::<Pipe>::start(placement));
        support::bench(&mut group, id("signal"), || PingPong::<PgLatch>::start(placement));
    }
    group.finish();
}

criterion_group! { name = latch; config = support::criterion(); targets = round_trip }
criterion_main!(latch);
