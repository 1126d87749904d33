//! Pages that are in the pool: pinning, looking up, scanning, by one process and by two.
mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use support::locks::{Mode, TwoProcesses};
use support::pages::{Pages, What};

fn buffer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("buffer");
    for (name, what) in [
        ("pin_unpin", What::SamePage),
        ("pin_unpin_locked", What::SamePageLocked),
        ("pin_again", What::PinnedPage),
        ("lookup", What::AnyPage),
        ("scan_page", What::Scan),
    ] {
        support::bench(&mut group, BenchmarkId::new::<&str, &str>(name, "tuskd"), || Pages::new(what));
    }
    for (name, what) in [
        ("pin_unpin_same_page_2", What::SamePage),
        ("pin_unpin_own_page_2", What::OwnPage),
        ("lookup_2", What::AnyPage),
    ] {
        let two = || TwoProcesses::start(Pages::new(what), Mode::Shared);
        support::bench(&mut group, BenchmarkId::new::<&str, &str>(name, "tuskd"), two);
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = buffer }
criterion_main!(benches);
