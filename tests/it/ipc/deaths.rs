//! Deaths at named stop points: whatever the dead process had taken, was taking or giving back, is reported with slot and
//! generation, undone, and nobody stays asleep for it.

use std::os::fd::AsFd;

use shmem_layout::{EntryState, ResourceKind};
use tuskd::ipc::barrier::Barrier;
use tuskd::ipc::death::CleanUpError;
use tuskd::ipc::queue::QueueError;
use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::ipc::wait_set::IoMethod;
use tuskd::ipc::{LwLock, Mode, Proc, WaitEvent, WaitSet};
use tuskd::sync::Ordering;

use crate::harness::{Skip, Test, tests};
use crate::world::{Worker, World, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    lwlock_holder_dies_at_every_point,
    lwlock_waiter_dies_with_the_wake_up,
    lwlock_heir_dies,
    lwlock_releaser_dies_before_it_wakes,
    sharer_dies_while_others_share,
    semaphore_holder_dies_at_every_point,
    semaphore_waiter_dies_with_the_wake_up,
    condition_waiter_dies_with_the_signal,
    broadcaster_dies_before_it_wakes,
    latch_setter_dies_before_it_wakes,
    barrier_member_dies_at_every_point,
    queue_sender_dies_before_it_wakes,
    queue_receiver_dies,
    death_in_a_critical_section_is_not_cleaned_up,
    cleaning_up_can_be_repeated,
];

/// Stop points are compiled into this build, or the test is skipped.
fn need_stop_points() -> Result<(), Skip> {
    if cfg!(any(debug_assertions, feature = "stop-points")) {
        Ok(())
    } else {
        Err(Skip("this build has no stop points (--features stop-points)".into()))
    }
}

/// Arms a kill at `point` for the next worker that is forked with `work`, and returns it dead.
fn dies_at(world: World, point: StopPoint, work: impl FnOnce(&Proc<'static>)) -> Worker {
    world.ipc.stop_points().arm(point, Action::Kill, None, 0);
    let worker = world.fork(work);
    assert!(world.ipc.stop_points().wait_for_hit(point, soon(10)), "{point:?} was never passed");
    worker
}

fn lwlock_holder_dies_at_every_point() -> Result<(), Skip> {
    need_stop_points()?;
    for (point, state) in [
        (StopPoint::LwLockTaken, EntryState::Taking),
        (StopPoint::LwLockHeld, EntryState::Held),
        (StopPoint::LwLockWoken, EntryState::Releasing),
    ] {
        for (mode, kind) in
            [(Mode::Exclusive, ResourceKind::LwLockExclusive), (Mode::Shared, ResourceKind::LwLockShared)]
        {
            let world = World::new();
            let me = world.join();
            let dead = dies_at(world, point, |me| drop(world.lock().acquire(me, mode)));
            let report = world.bury(&dead);
            assert_eq!(report.resources.len(), 1, "{report:?}");
            assert_eq!((report.resources[0].kind, report.resources[0].state), (kind, state));
            assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
            assert_eq!((world.lock().owner(), world.lock().sharers()), (None, 0), "{point:?} {mode:?}");
            drop(world.lock().try_acquire(&me, Mode::Exclusive).expect("it is free"));
        }
    }
    Ok(())
}

/// Two writers wait; a release wakes one of them, which dies before it tries: the other must get the lock.
fn lwlock_waiter_dies_with_the_wake_up() -> Result<(), Skip> {
    need_stop_points()?;
    let world = World::new();
    let me = world.join();
    let guard = world.lock().acquire(&me, Mode::Exclusive);
    let work = |me: &Proc<'static>| drop(world.lock().acquire(me, Mode::Exclusive));
    let (first, second) = (world.fork(work), world.fork(work));
    world.wait_until_waiting(&first, WaitEvent::LWLOCK);
    world.wait_until_waiting(&second, WaitEvent::LWLOCK);
    world.ipc.stop_points().arm(StopPoint::LwLockAfterSleep, Action::Kill, None, 0);
    drop(guard);
    assert!(world.ipc.stop_points().wait_for_hit(StopPoint::LwLockAfterSleep, soon(10)));
    world.ipc.stop_points().release(StopPoint::LwLockAfterSleep);
    let (dead, survivor) = find_the_dead(first, second);
    world.bury(&dead);
    assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
    world.reap(survivor);
    Ok(())
}

/// Of two workers one is being killed: which. Reaps neither.
fn find_the_dead(first: Worker, second: Worker) -> (Worker, Worker) {
    loop {
        if is_killed(&first) {
            return (first, second);
        }
        if is_killed(&second) {
            return (second, first);
        }
        std::thread::yield_now();
    }
}

fn is_killed(worker: &Worker) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::PidFd(worker.child.pidfd.as_fd()), look).expect("our child");
    status.is_some_and(|s| s.killed())
}

/// The heir, which others make way for, dies asleep: a reader that had to wait for it must not wait for ever.
fn lwlock_heir_dies() {
    let world = World::new();
    let me = world.join();
    let guard = world.lock().acquire(&me, Mode::Shared);
    let heir = world.fork(|me| drop(world.lock().acquire(me, Mode::Exclusive)));
    world.wait_until_waiting(&heir, WaitEvent::LWLOCK);
    // Use up what may overtake it, so that the next reader has to sleep.
    for _ in 0..tuskd::ipc::lwlock::MAX_OVERTAKES {
        drop(world.lock().try_acquire(&me, Mode::Shared).expect("may overtake"));
    }
    assert!(world.lock().try_acquire(&me, Mode::Shared).is_none(), "overtaking is bounded");
    let reader = world.fork(|me| drop(world.lock().acquire(me, Mode::Shared)));
    world.wait_until_waiting(&reader, WaitEvent::LWLOCK);
    let report = world.kill(&heir);
    assert_eq!(report.wait_event, Some(WaitEvent::LWLOCK));
    assert_eq!(world.clean_up(&me, &heir), Ok(vec![]));
    world.reap(reader);
    drop(guard);
}

fn lwlock_releaser_dies_before_it_wakes() -> Result<(), Skip> {
    need_stop_points()?;
    for waiter_mode in [Mode::Exclusive, Mode::Shared] {
        let world = World::new();
        let me = world.join();
        let holder = world.fork(|me| {
            let guard = world.lock().acquire(me, Mode::Exclusive);
            world.number(0).store(1, Ordering::Release);
            while world.number(1).load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
            drop(guard);
        });
        crate::world::eventually(|| world.number(0).load(Ordering::Acquire) == 1);
        let waiter = world.fork(|me| drop(world.lock().acquire(me, waiter_mode)));
        world.wait_until_waiting(&waiter, WaitEvent::LWLOCK);
        world.ipc.stop_points().arm(StopPoint::LwLockReleased, Action::Kill, Some(holder.id.slot()), 0);
        world.number(1).store(1, Ordering::Release);
        let report = world.bury(&holder);
        assert_eq!(report.resources[0].state, EntryState::Releasing);
        assert_eq!(world.clean_up(&me, &holder), Ok(vec![]));
        world.reap(waiter);
    }
    Ok(())
}

/// The count of sharers names nobody; it is made right from the ledgers while others share the lock.
fn sharer_dies_while_others_share() -> Result<(), Skip> {
    need_stop_points()?;
    let world = World::new();
    let me = world.join();
    let guard = world.lock().acquire(&me, Mode::Shared);
    for point in [StopPoint::LwLockTaken, StopPoint::LwLockHeld, StopPoint::LwLockWoken] {
        let dead = dies_at(world, point, |me| drop(world.lock().acquire(me, Mode::Shared)));
        world.bury(&dead);
        assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
        assert_eq!(world.lock().sharers(), 1, "after a death at {point:?}");
    }
    drop(guard);
    assert_eq!(world.lock().sharers(), 0);
    Ok(())
}

fn semaphore_holder_dies_at_every_point() -> Result<(), Skip> {
    need_stop_points()?;
    for point in [StopPoint::SemaphoreTaken, StopPoint::SemaphoreReleased] {
        let world = World::new();
        let me = world.join();
        world.semaphore().set_capacity(2);
        let permit = world.semaphore().acquire(&me, None).expect("free");
        let dead = dies_at(world, point, |me| drop(world.semaphore().acquire(me, None)));
        let report = world.bury(&dead);
        assert_eq!(report.resources[0].kind, ResourceKind::Semaphore);
        assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
        assert_eq!(world.semaphore().taken(), 1, "after a death at {point:?}");
        drop(permit);
        assert_eq!(world.semaphore().taken(), 0);
    }
    Ok(())
}

fn semaphore_waiter_dies_with_the_wake_up() -> Result<(), Skip> {
    need_stop_points()?;
    let world = World::new();
    let me = world.join();
    world.semaphore().set_capacity(1);
    let permit = world.semaphore().acquire(&me, None).expect("free");
    let work = |me: &Proc<'static>| drop(world.semaphore().acquire(me, None).expect("no interrupt"));
    let (first, second) = (world.fork(work), world.fork(work));
    world.wait_until_waiting(&first, WaitEvent::SEMAPHORE);
    world.wait_until_waiting(&second, WaitEvent::SEMAPHORE);
    world.ipc.stop_points().arm(StopPoint::SemaphoreAfterSleep, Action::Kill, None, 0);
    drop(permit);
    assert!(world.ipc.stop_points().wait_for_hit(StopPoint::SemaphoreAfterSleep, soon(10)));
    world.ipc.stop_points().release(StopPoint::SemaphoreAfterSleep);
    let (dead, survivor) = find_the_dead(first, second);
    world.bury(&dead);
    assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
    world.reap(survivor);
    assert_eq!(world.semaphore().taken(), 0);
    Ok(())
}

/// A signal wakes one waiter, which dies before it looks: another must be woken in its place. At first the awaited word was
/// noted for the time of the sleep only, so that one killed between waking and looking took the signal with it, and this
/// test hung.
fn condition_waiter_dies_with_the_signal() -> Result<(), Skip> {
    need_stop_points()?;
    let world = World::new();
    let me = world.join();
    let take_one = |me: &Proc<'static>| {
        let take = || {
            let things = world.number(0);
            things.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
        };
        world.condition().wait_until(me, None, WaitEvent::CONDITION_VARIABLE, take).expect("no interrupt");
    };
    let (first, second) = (world.fork(take_one), world.fork(take_one));
    world.wait_until_waiting(&first, WaitEvent::CONDITION_VARIABLE);
    world.wait_until_waiting(&second, WaitEvent::CONDITION_VARIABLE);
    world.ipc.stop_points().arm(StopPoint::ConditionAfterSleep, Action::Kill, None, 0);
    world.number(0).store(1, Ordering::Release);
    world.condition().signal(&me);
    assert!(world.ipc.stop_points().wait_for_hit(StopPoint::ConditionAfterSleep, soon(10)));
    world.ipc.stop_points().release(StopPoint::ConditionAfterSleep);
    let (dead, survivor) = find_the_dead(first, second);
    world.bury(&dead);
    assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
    world.reap(survivor);
    assert_eq!(world.number(0).load(Ordering::Acquire), 0);
    Ok(())
}

fn broadcaster_dies_before_it_wakes() -> Result<(), Skip> {
    need_stop_points()?;
    let world = World::new();
    let me = world.join();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            world.fork(|me| {
                let is_set = || world.number(0).load(Ordering::Acquire) == 1;
                world
                    .condition()
                    .wait_until(me, None, WaitEvent::CONDITION_VARIABLE, is_set)
                    .expect("no interrupt");
            })
        })
        .collect();
    waiters.iter().for_each(|w| world.wait_until_waiting(w, WaitEvent::CONDITION_VARIABLE));
    let dead = dies_at(world, StopPoint::ConditionMovedBeforeWake, |me| {
        world.number(0).store(1, Ordering::Release);
        world.condition().broadcast(me);
    });
    world.bury(&dead);
    assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
    waiters.into_iter().for_each(|w| world.reap(w));
    Ok(())
}

fn latch_setter_dies_before_it_wakes() -> Result<(), Skip> {
    need_stop_points()?;
    // The owner sleeps on the word, in epoll, in a ring.
    type Sleep = fn(&Proc<'static>);
    let sleeps: [Sleep; 3] = [
        |me| me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline"),
        |me| sleep_in_a_set(me, false),
        |me| sleep_in_a_set(me, true),
    ];
    for sleep in sleeps {
        let world = World::new();
        let me = world.join();
        let owner = world.fork(sleep);
        world.wait_until_waiting(&owner, WaitEvent::LATCH);
        let target = owner.id.slot();
        let dead = dies_at(world, StopPoint::LatchSetBeforeWake, |me| me.set_latch(target));
        world.bury(&dead);
        assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
        world.reap(owner);
    }
    Ok(())
}

fn sleep_in_a_set(me: &Proc<'static>, with_ring: bool) {
    let mut set = WaitSet::new(me, IoMethod::Auto.choose().expect("auto takes what there is"), None)
        .expect("a wait set");
    if with_ring {
        let _ = set.ring();
    }
    assert!(set.wait(me, &[], None, WaitEvent::LATCH).expect("no error").latch_set);
}

fn barrier_member_dies_at_every_point() -> Result<(), Skip> {
    need_stop_points()?;
    for point in [StopPoint::BarrierArrived, StopPoint::BarrierMoved] {
        let world = World::new();
        let me = world.join();
        let waiter = world.fork(|me| {
            let mut member = Barrier::new(&world.things.barrier).attach(me).expect("room");
            world.number(0).store(1, Ordering::Release);
            while world.number(1).load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
            member.arrive_and_wait(None).expect("no interrupt");
        });
        crate::world::eventually(|| world.number(0).load(Ordering::Acquire) == 1);
        // The one that moves the phase is the one that arrives last.
        let work = |me: &Proc<'static>| {
            let mut member = Barrier::new(&world.things.barrier).attach(me).expect("room");
            world.number(1).store(1, Ordering::Release);
            if point == StopPoint::BarrierMoved {
                world.wait_until_waiting(&waiter, WaitEvent::BARRIER);
            }
            member.arrive_and_wait(None).expect("no interrupt");
        };
        world.ipc.stop_points().arm(point, Action::Kill, None, 0);
        let dying = world.fork(work);
        let stopped = world.ipc.stop_points().wait_for_hit(point, soon(10));
        assert!(stopped, "{point:?} was never passed");
        // Either of the two may have come by first at `BarrierArrived`.
        let (dead, survivor) = find_the_dead(dying, waiter);
        world.bury(&dead);
        assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
        world.reap(survivor);
        assert_eq!(Barrier::new(&world.things.barrier).members(), 0);
    }
    Ok(())
}

/// The receiver gets every message that was complete, then learns that nothing more comes.
fn queue_sender_dies_before_it_wakes() -> Result<(), Skip> {
    need_stop_points()?;
    let world = World::new();
    let me = world.join();
    let receiver = world.fork(|me| {
        let mut receiver = world.queue(0).attach_receiver(me).expect("free");
        let mut message = Vec::new();
        receiver.receive(&mut message, None).expect("it was complete");
        assert_eq!(message, b"complete");
        assert_eq!(receiver.receive(&mut message, None), Err(QueueError::Gone));
    });
    world.wait_until_waiting(&receiver, WaitEvent::MESSAGE_QUEUE_RECEIVE);
    let dead = dies_at(world, StopPoint::QueueWrittenBeforeWake, |me| {
        let mut sender = world.queue(0).attach_sender(me).expect("free");
        sender.send(b"complete", None).expect("the receiver stays");
    });
    let report = world.bury(&dead);
    assert_eq!(report.resources[0].kind, ResourceKind::QueueSender);
    assert_eq!(world.clean_up(&me, &dead), Ok(vec![]));
    world.reap(receiver);
    Ok(())
}

/// The sender, which waits for room, learns that nobody will make any.
fn queue_receiver_dies() {
    let world = World::new();
    let me = world.join();
    let receiver = world.fork(|me| {
        let _receiver = world.queue(0).attach_receiver(me).expect("free");
        world.number(0).store(1, Ordering::Release);
        me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
    });
    crate::world::eventually(|| world.number(0).load(Ordering::Acquire) == 1);
    let sender = world.fork(|me| {
        let mut sender = world.queue(0).attach_sender(me).expect("free");
        let message = vec![7; 3 * crate::world::RING];
        assert_eq!(sender.send(&message, None), Err(QueueError::Gone));
    });
    world.wait_until_waiting(&sender, WaitEvent::MESSAGE_QUEUE_SEND);
    let report = world.kill(&receiver);
    assert_eq!(report.resources[0].kind, ResourceKind::QueueReceiver);
    assert_eq!(world.clean_up(&me, &receiver), Ok(vec![]));
    world.reap(sender);
}

fn death_in_a_critical_section_is_not_cleaned_up() {
    let world = World::new();
    let me = world.join();
    let worker = world.fork(|me| {
        let _section = me.critical_section();
        world.number(0).store(1, Ordering::Release);
        loop {
            std::thread::yield_now();
        }
    });
    crate::world::eventually(|| world.number(0).load(Ordering::Acquire) == 1);
    let report = world.kill(&worker);
    assert_eq!(report.critical_sections, 1);
    assert_eq!(world.clean_up(&me, &worker), Err(CleanUpError::InCriticalSection));
}

/// The cleaner itself may die and another begin anew.
fn cleaning_up_can_be_repeated() {
    let world = World::new();
    let me = world.join();
    world.semaphore().set_capacity(3);
    let worker = world.fork(|me| {
        let _lock = world.lock().acquire(me, Mode::Shared);
        let _permit = world.semaphore().acquire(me, None).expect("free");
        world.number(0).store(1, Ordering::Release);
        me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
    });
    crate::world::eventually(|| world.number(0).load(Ordering::Acquire) == 1);
    let _guard = LwLock::acquire(world.lock(), &me, Mode::Shared);
    world.kill(&worker);
    let is_dead = |slot| slot == worker.id.slot();
    for _ in 0..3 {
        let left = tuskd::ipc::death::clean_up(world.ipc, &me, worker.id, &is_dead);
        assert_eq!(left, Ok(vec![]));
        assert_eq!((world.lock().sharers(), world.semaphore().taken()), (1, 0));
    }
}
