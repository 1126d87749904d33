//! How long a round trip between two processes takes: A wakes B, B wakes A, both asleep between.
//!
//! `latch`, `latch_waitv`, `latch_ring`: ours, its owner asleep on the latch alone, on a condition variable beside it, or
//! in its ring. `latch_set`: what setting costs while the owner runs.
mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use support::eventfd::EventFd;
use support::latches::{InRing, LatchRoundTrip, OnConditionAndLatch, OnLatch, SetOnly};
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
        support::bench(&mut group, id("latch"), || LatchRoundTrip::<OnLatch>::start(placement));
        support::bench(&mut group, id("latch_waitv"), || {
            LatchRoundTrip::<OnConditionAndLatch>::start(placement)
        });
        support::bench(&mut group, id("latch_ring"), || LatchRoundTrip::<InRing>::start(placement));
    }
    group.finish();
}

fn set(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("latch_set");
    support::bench(&mut group, BenchmarkId::from_parameter("already_set"), SetOnly::already_set);
    support::bench(&mut group, BenchmarkId::from_parameter("no_waiter"), SetOnly::no_waiter);
    group.finish();
}

criterion_group! { name = latch; config = support::criterion(); targets = round_trip, set }
criterion_main!(latch);
