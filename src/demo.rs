//! A demonstration of the runtime: a few forked processes over one segment, and how long they take to wake each other.
//!
//! It stands where the server will: it makes the segment, gives out slots, forks, and reaps.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use shmem_layout::{ConditionVariableWord, LwLockState, ProcessId, QueueHeader, SlotIndex, shared_layout};

use crate::ipc::slots::SlotTable;
use crate::ipc::{ConditionVariable, Ipc, LwLock, Mode, Proc, WaitEvent, queue::Queue};
use crate::os::process::{self, Child, Fork};
use crate::os::signal::Signal;
use crate::os::{pidfd::ExitStatus, uring};
use crate::shmem::{HugePages, Plan, RegionSpec, Segment};
use crate::sync::{AtomicU64, Monotonic, Ordering};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Processes in the demonstration, the first one included.
const PROCESSES: usize = 66;
const ROUND_TRIPS: u64 = 20_000;
const WAITERS: usize = 64;
const BROADCASTS: u64 = 200;
const MESSAGES: u64 = 100_000;
const RING: usize = 64 << 10;
const MESSAGE: usize = 64;

/// What the processes share beside the runtime's own regions.
struct Shared<'s> {
    ipc: &'s Ipc<'s>,
    locks: &'s [LwLockState],
    conditions: &'s [ConditionVariableWord],
    numbers: &'s Numbers,
    queue: Queue<'s>,
}

/// Numbers to count in.
#[repr(C)]
struct Numbers {
    broadcasts: AtomicU64,
    woken: AtomicU64,
}

shared_layout!(Numbers, size 16, align 8, { 0 => broadcasts: AtomicU64, 8 => woken: AtomicU64 });

/// A forked child and its slot.
struct Worker {
    id: ProcessId,
    child: Child,
}

/// Runs it and prints what it measures.
///
/// # Errors
/// If the segment cannot be made, a fork fails, or a child fails.
pub fn run() -> Outcome<()> {
    let mut specs = Ipc::region_specs(PROCESSES);
    specs.push(RegionSpec::of::<LwLockState>("demo locks", 1, 1));
    specs.push(RegionSpec::of::<ConditionVariableWord>("demo conditions", 1, 1));
    specs.push(RegionSpec::of::<Numbers>("demo numbers", 1, 1));
    specs.push(RegionSpec::sized("demo queues", 1, size_of::<QueueHeader>() + RING, 1));
    let segment = Segment::create(&Plan::new(&specs)?, HugePages::Try, None)?;
    let ipc = Ipc::open(&segment)?;
    let (header, ring) = segment.queue("demo queues", 1, 0)?;
    let shared = Shared {
        ipc: &ipc,
        locks: segment.region("demo locks", 1)?,
        conditions: segment.region("demo conditions", 1)?,
        numbers: &segment.region::<Numbers>("demo numbers", 1)?[0],
        queue: Queue::new(header, ring),
    };
    let mut table = SlotTable::new(ipc.slots());
    let id = table.claim(0).ok_or("no free slot")?;
    let me = ipc.proc(id);
    let cpus = std::thread::available_parallelism()?.get();
    println!("{}", segment.page_report()?);
    println!("io_uring: {}", uring::probe());
    uncontended(&me, &shared);
    round_trip(&me, &shared, &mut table, "the same core", [0, 0])?;
    if cpus > 1 {
        round_trip(&me, &shared, &mut table, "another core", [0, 1])?;
    }
    broadcast(&me, &shared, &mut table)?;
    messages(&me, &shared, &mut table)?;
    waits(&shared);
    Ok(())
}

/// Forks a child that does `work` and exits.
fn fork<'s>(shared: &Shared<'s>, table: &mut SlotTable<'_>, work: impl FnOnce(&Proc<'s>)) -> Outcome<Worker> {
    let id = table.claim(1).ok_or("no free slot")?;
    match process::fork()? {
        Fork::Parent(child) => Ok(Worker { id, child }),
        Fork::Child => {
            let is_watched = process::set_parent_death_signal(Some(Signal::KILL)).is_ok();
            let me = shared.ipc.proc(id);
            let worked = std::panic::catch_unwind(AssertUnwindSafe(|| work(&me)));
            process::exit_now(if is_watched && worked.is_ok() { 0 } else { 1 })
        }
    }
}

fn reap(table: &mut SlotTable<'_>, worker: Worker) -> Outcome<()> {
    match worker.child.pidfd.wait()? {
        ExitStatus::Exited(0) => {
            table.release(worker.id);
            Ok(())
        }
        status => Err(format!("a child process {status}").into()),
    }
}

fn print(what: &str, took: Duration, operations: u64) {
    let each = took.as_nanos() as f64 / operations as f64;
    let (number, unit) = if each < 1_000.0 { (each, "ns") } else { (each / 1_000.0, "µs") };
    println!("{what:<58} {number:>8.1} {unit}");
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Monotonic::now();
    work();
    Monotonic::now().saturating_since(started)
}

fn uncontended(me: &Proc<'_>, shared: &Shared<'_>) {
    const TIMES: u64 = 1_000_000;
    let lock = LwLock::new(&shared.locks[0], WaitEvent::LWLOCK);
    let took = timed(|| (0..TIMES).for_each(|_| me.set_latch(me.id().slot())));
    print("set a latch that is set", took, TIMES);
    me.latch().reset();
    let took = timed(|| (0..TIMES).for_each(|_| drop(lock.acquire(me, Mode::Exclusive))));
    print("acquire and release an LWLock that nobody else wants", took, TIMES);
}

/// Sets the other's latch and waits for the own one, or the other way round.
fn volley(me: &Proc<'_>, other: SlotIndex, begins: bool) {
    for _ in 0..ROUND_TRIPS {
        if begins {
            me.set_latch(other);
        }
        me.latch().wait(me, None, WaitEvent::LATCH).expect("there is no deadline");
        me.latch().reset();
        if !begins {
            me.set_latch(other);
        }
    }
}

fn round_trip(
    me: &Proc<'_>,
    shared: &Shared<'_>,
    table: &mut SlotTable<'_>,
    place: &str,
    cpus: [usize; 2],
) -> Outcome<()> {
    process::pin_to_cpu(cpus[0])?;
    let mine = me.id().slot();
    let pong = fork(shared, table, |me| {
        process::pin_to_cpu(cpus[1]).expect("the CPU is there");
        volley(me, mine, false);
    })?;
    let took = timed(|| volley(me, pong.id.slot(), true));
    print(&format!("wake a process on {place} by its latch and be woken"), took, ROUND_TRIPS);
    reap(table, pong)
}

fn broadcast(me: &Proc<'_>, shared: &Shared<'_>, table: &mut SlotTable<'_>) -> Outcome<()> {
    let condition = ConditionVariable::new(&shared.conditions[0]);
    let wait_for = |me: &Proc<'_>, number: &AtomicU64, least: u64| {
        let is_there = || number.load(Ordering::Acquire) >= least;
        condition.wait_until(me, None, WaitEvent::CONDITION_VARIABLE, is_there).expect("no interrupt");
    };
    let mine = me.id().slot();
    let mut waiters = Vec::new();
    for _ in 0..WAITERS {
        waiters.push(fork(shared, table, |me| {
            for round in 1..=BROADCASTS {
                wait_for(me, &shared.numbers.broadcasts, round);
                if shared.numbers.woken.fetch_add(1, Ordering::AcqRel) + 1 == round * WAITERS as u64 {
                    me.set_latch(mine);
                }
            }
        })?);
    }
    let took = timed(|| {
        for round in 1..=BROADCASTS {
            shared.numbers.broadcasts.store(round, Ordering::Release);
            condition.broadcast(me);
            while shared.numbers.woken.load(Ordering::Acquire) < round * WAITERS as u64 {
                me.latch().wait(me, None, WaitEvent::LATCH).expect("there is no deadline");
                me.latch().reset();
            }
        }
    });
    print(&format!("wake {WAITERS} processes by one broadcast until the last ran"), took, BROADCASTS);
    waiters.into_iter().try_for_each(|waiter| reap(table, waiter))
}

fn messages(me: &Proc<'_>, shared: &Shared<'_>, table: &mut SlotTable<'_>) -> Outcome<()> {
    let sender = fork(shared, table, |me| {
        let mut sender = shared.queue.attach_sender(me).expect("nobody else sends");
        (0..MESSAGES).for_each(|_| sender.send(&[7; MESSAGE], None).expect("the receiver reads"));
    })?;
    let queue = shared.queue;
    let mut message = Vec::new();
    let mut receiver = queue.attach_receiver(me)?;
    let took = timed(|| {
        (0..MESSAGES).for_each(|_| receiver.receive(&mut message, None).expect("the sender has more"));
    });
    print(&format!("pass a message of {MESSAGE} bytes through a queue"), took, MESSAGES);
    reap(table, sender)
}

fn waits(shared: &Shared<'_>) {
    println!("\n{:<20} {:>8} {:>12} {:>12} {:>12}", "wait event", "count", "total ms", "p50 µs", "p99 µs");
    for event in WaitEvent::ALL {
        let summary = shared.ipc.wait_stats().summary(*event);
        let (Some(p50), Some(p99)) = (summary.quantile(0.5), summary.quantile(0.99)) else { continue };
        println!(
            "{:<20} {:>8} {:>12.1} {:>12.1} {:>12.1}",
            event.name(),
            summary.count,
            summary.total.as_secs_f64() * 1e3,
            p50.as_secs_f64() * 1e6,
            p99.as_secs_f64() * 1e6
        );
    }
}
