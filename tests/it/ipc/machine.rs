//! The same primitives on poorer machines: with huge pages and without, without io_uring, without futex_waitv; a segment
//! passed to a stranger; a fork that must not be.

use std::os::fd::AsRawFd;
use std::process::Command;

use tuskd::ipc::{Interrupts, Mode, Proc, WaitEnd, WaitEvent};
use tuskd::os::memfd::HugePageCounts;
use tuskd::os::process;
use tuskd::shmem::{HugePages, Segment};
use tuskd::sync::{Monotonic, Ordering};

use crate::harness::{Skip, Test, tests};
use crate::seccomp::Denied;
use crate::world::{Things, World, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    everything_holds_in_ordinary_pages,
    everything_holds_in_reserved_huge_pages,
    everything_holds_without_io_uring,
    everything_holds_without_futex_waitv,
    interrupts_get_through_without_futex_waitv,
    a_stranger_attaches_by_descriptor,
    fork_with_a_second_thread_is_refused,
    a_deadline_ends_a_futex_wait,
];

/// A little of everything between six processes.
fn exercise(world: World) {
    const ROUNDS: u64 = 2_000;
    let me = world.join();
    world.semaphore().set_capacity(2);
    let work = |me: &Proc<'static>| {
        for _ in 0..ROUNDS {
            let permit = world.semaphore().acquire(me, Some(soon(20))).expect("others give theirs back");
            let guard = world.lock().acquire(me, Mode::Exclusive);
            let n = world.number(0).load(Ordering::Relaxed);
            world.number(0).store(n + 1, Ordering::Relaxed);
            drop((guard, permit));
        }
        world.condition().broadcast(me);
    };
    let workers: Vec<_> = (0..6).map(|_| world.fork(work)).collect();
    let all_done = || world.number(0).load(Ordering::Acquire) == 6 * ROUNDS;
    let waited = world.condition().wait_until(&me, Some(soon(20)), WaitEvent::CONDITION_VARIABLE, all_done);
    assert_eq!(waited, Ok(()));
    workers.into_iter().for_each(|w| world.reap(w));
    let echo = world.fork(|me| {
        let mut sender = world.queue(1).attach_sender(me).expect("free");
        let mut receiver = world.queue(0).attach_receiver(me).expect("free");
        let mut message = Vec::new();
        while receiver.receive(&mut message, Some(soon(20))).is_ok() {
            sender.send(&message, Some(soon(20))).expect("the other side reads");
        }
    });
    let mut receiver = world.queue(1).attach_receiver(&me).expect("free");
    let mut sender = world.queue(0).attach_sender(&me).expect("free");
    let mut answer = Vec::new();
    for round in 0..ROUNDS {
        let question = vec![round as u8; (round * 7 % 5000) as usize];
        sender.send(&question, Some(soon(20))).expect("the echo reads");
        receiver.receive(&mut answer, Some(soon(20))).expect("the echo answers");
        assert!(answer == question, "round {round}");
    }
    drop(sender);
    world.reap(echo);
}

fn everything_holds_in_ordinary_pages() {
    exercise(World::with_pages(HugePages::Off));
}

fn everything_holds_in_reserved_huge_pages() -> Result<(), Skip> {
    let page_size = tuskd::os::memfd::default_huge_page_size().ok().flatten();
    let available = page_size.and_then(|size| HugePageCounts::read(size).ok()).map_or(0, |c| c.available());
    if available < 2 {
        return Err(Skip("no huge pages are reserved (sysctl vm.nr_hugepages=64)".into()));
    }
    let world = World::with_pages(HugePages::On);
    let report = world.ipc.segment().page_report().expect("smaps is readable");
    assert_eq!(report.huge_bytes(), world.ipc.segment().len() as u64, "{report}");
    exercise(world);
    Ok(())
}

fn everything_holds_without_io_uring() {
    Denied::IoUring.install().expect("installing a filter");
    exercise(World::new());
}

fn everything_holds_without_futex_waitv() {
    Denied::IoUringAndFutexWaitv.install().expect("installing a filter");
    exercise(World::new());
}

fn interrupts_get_through_without_futex_waitv() {
    Denied::IoUringAndFutexWaitv.install().expect("installing a filter");
    let world = World::new();
    let me = world.join();
    let worker = world.fork(|me| {
        let end = world.condition().wait_until(me, None, WaitEvent::CONDITION_VARIABLE, || false);
        assert_eq!(end, Err(WaitEnd::Interrupted));
    });
    world.wait_until_waiting(&worker, WaitEvent::CONDITION_VARIABLE);
    me.interrupt(worker.id.slot(), Interrupts::CANCEL);
    world.reap(worker);
}

/// Says in the stranger's environment where the segment's descriptor is.
const SEGMENT: &str = "TUSKD_TEST_SEGMENT";

/// A process that shares nothing but the name of a descriptor maps the segment and sees what is in it.
fn a_stranger_attaches_by_descriptor() {
    if let Ok(path) = std::env::var(SEGMENT) {
        return attach_as_a_stranger(&path);
    }
    let world = World::new();
    world.number(5).store(41, Ordering::Release);
    let path = format!("/proc/{}/fd/{}", std::process::id(), world.ipc.segment().fd().as_raw_fd());
    let status = Command::new(std::env::current_exe().expect("our path"))
        .args(["--exact", "ipc::machine::a_stranger_attaches_by_descriptor", "--in-process"])
        .env(SEGMENT, path)
        .status()
        .expect("starting ourselves");
    assert!(status.success(), "{status}");
    assert_eq!(world.number(5).load(Ordering::Acquire), 42);
}

fn attach_as_a_stranger(path: &str) {
    let file = std::fs::File::options().read(true).write(true).open(path).expect("the parent lives");
    let segment = Segment::attach(file.into()).expect("a good segment");
    let things = &segment.region::<Things>("things", 1).expect("the parent's region")[0];
    assert_eq!(things.numbers[5].fetch_add(1, Ordering::AcqRel), 41);
    assert!(segment.region::<Things>("things", 2).is_err());
}

fn fork_with_a_second_thread_is_refused() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread =
        std::thread::Builder::new().name("busybody".into()).spawn(move || stopped.recv()).expect("a thread");
    // A new thread names itself.
    crate::world::eventually(|| process::thread_names().is_ok_and(|n| n.iter().any(|n| n == "busybody")));
    let error = process::fork().expect_err("two threads").to_string();
    assert!(error.contains("busybody"), "{error}");
    drop(stop);
    let _ = thread.join().expect("it ends");
    crate::world::eventually(|| process::check_single_threaded().is_ok());
    let world = World::new();
    let worker = world.fork(|_| {});
    world.reap(worker);
}

fn a_deadline_ends_a_futex_wait() {
    use tuskd::os::futex::{self, WaitOutcome};
    let (word, other) = (tuskd::sync::AtomicU32::new(3), tuskd::sync::AtomicU32::new(4));
    let deadline = Monotonic::now().saturating_add(std::time::Duration::from_millis(10));
    assert_eq!(futex::wait(&word, 3, Some(deadline)), WaitOutcome::TimedOut);
    assert!(Monotonic::now() >= deadline);
    assert_eq!(futex::wait_any(&[(&word, 3), (&other, 4)], Some(deadline)), WaitOutcome::TimedOut);
    assert_eq!(futex::wait(&word, 4, None), WaitOutcome::ValueChanged);
}
