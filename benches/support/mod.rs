//! What the benches share: placement, peers, shared memory, and what others do in place of ours.
//!
//! Each comparator is a type with the same trait as our own implementation has in the same bench,
//! so that both run through the same loop: `Doorbell` (latches), `Lock` (lwlocks), [`Measured`]
//! (the rest). Peers are processes, as in the server. criterion starts no thread without its
//! `rayon` feature, so a bench may fork; `ForkedPeer::spawn` asserts it.
#![allow(dead_code, reason = "every bench compiles all of this and uses a part")]
pub mod bank;
pub mod broadcast;
pub mod condition;
pub mod eventfd;
pub mod exchanges;
pub mod index;
pub mod latches;
pub mod locks;
pub mod pages;
pub mod peer;
pub mod pg_latch;
pub mod ping_pong;
pub mod queues;
pub mod shared_page;
pub mod store;
pub mod streams;
pub mod world;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};

/// Something that is set up once and can then time a number of its operations.
pub trait Measured {
    /// Does it `iterations` times; returns how long these took together.
    fn measure(&mut self, iterations: u64) -> Duration;
}

/// Measurements short enough for a small machine.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

/// Measures what `make` sets up. It is made only if the command line selects this id, and dropped,
/// with its peers, before the next one is made.
pub fn bench<M: Measured>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    mut make: impl FnMut() -> M,
) {
    let mut measured = None;
    let wants_least = std::env::var_os("TUSKD_LEAST").is_some();
    group.bench_function(id, |bencher| {
        let is_new = measured.is_none();
        let measured = measured.get_or_insert_with(&mut make);
        if wants_least && is_new {
            least(measured);
        }
        bencher.iter_custom(|iterations| measured.measure(iterations));
    });
}

/// Prints what one operation takes in the quietest moments, for a machine that has other things to do: slices of about a
/// millisecond, in some of which nothing else runs. By `TUSKD_LEAST=1 cargo bench --bench NAME -- --test`.
fn least(measured: &mut impl Measured) {
    const SLICES: usize = 3000;
    let mut iterations = 1;
    while measured.measure(iterations) < Duration::from_micros(800) {
        iterations *= 2;
    }
    let mut slices: Vec<_> = (0..SLICES).map(|_| measured.measure(iterations)).collect();
    slices.sort_unstable();
    let nanos = |at: usize| slices[at].as_nanos() as f64 / iterations as f64;
    let [least, tenth, median] = [0, SLICES / 10, SLICES / 2].map(nanos);
    println!("\nleast {least:.2} ns, tenth {tenth:.2} ns, median {median:.2} ns");
}
