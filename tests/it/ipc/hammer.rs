//! Many processes hammer each primitive while the supervisor kills some of them at random, cleans up, and starts others
//! in their place. What they count must come out right, and nobody may be left asleep.

use tuskd::ipc::barrier::Barrier;
use tuskd::ipc::{Mode, Proc, WaitEvent};
use tuskd::sync::{Monotonic, Ordering};

use crate::harness::{Rng, Seed, Test, tests};
use crate::world::{Worker, World, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    lwlock_counts_come_out_right,
    lwlock_survives_random_kills: 120,
    semaphore_survives_random_kills: 120,
    condition_variable_survives_random_kills: 120,
    latch_loses_no_news,
    latch_setters_survive_random_kills,
    barrier_keeps_everybody_in_step,
    queue_passes_every_byte,
    queue_survives_kills_of_both_ends: 120,
    interrupts_reach_every_wait,
    waits_are_counted,
];

/// Numbers in the world that the tests use.
const STOP: usize = 0;
const COUNT: usize = 1;
const FIRST_OWN: usize = 16;

/// Kills and replaces random workers for `kills` rounds, then tells the rest to stop and waits for them.
fn kill_at_random(
    world: World,
    me: &Proc<'_>,
    workers: usize,
    kills: u64,
    work: impl Fn(&Proc<'static>, Rng),
) {
    let mut rng = Seed::current().rng();
    let start = |rng: &mut Rng| {
        let seed = Seed(rng.next_u64());
        world.fork(|me| work(me, seed.rng()))
    };
    let mut crowd: Vec<Worker> = (0..workers).map(|_| start(&mut rng)).collect();
    for _ in 0..kills {
        pause_us(rng.below(1500));
        let victim = crowd.swap_remove(rng.below(crowd.len() as u64) as usize);
        let report = world.kill(&victim);
        assert_eq!(report.critical_sections, 0);
        world.clean_up(me, &victim).unwrap_or_else(|e| panic!("{e}: {report:?}"));
        crowd.push(start(&mut rng));
    }
    world.number(STOP).store(1, Ordering::Release);
    crowd.into_iter().for_each(|worker| world.reap(worker));
}

/// A pause between kills, so that they fall anywhere.
fn pause_us(us: u64) {
    std::thread::sleep(std::time::Duration::from_micros(us));
}

fn is_running(world: World) -> bool {
    world.number(STOP).load(Ordering::Acquire) == 0
}

/// Plain load and store, which only a lock makes an increment.
fn increment(world: World, number: usize) {
    let count = world.number(number);
    let n = count.load(Ordering::Relaxed);
    std::hint::spin_loop();
    count.store(n + 1, Ordering::Relaxed);
}

fn lwlock_counts_come_out_right() {
    let world = World::new();
    const ROUNDS: u64 = 20_000;
    let workers: Vec<_> = (0..6)
        .map(|worker| {
            world.fork(move |me| {
                for round in 0..ROUNDS {
                    if (round + worker) % 3 == 0 {
                        let _guard = world.lock().acquire(me, Mode::Shared);
                        let before = world.number(COUNT).load(Ordering::Relaxed);
                        std::hint::spin_loop();
                        assert_eq!(
                            world.number(COUNT).load(Ordering::Relaxed),
                            before,
                            "changed under a sharer"
                        );
                    } else {
                        let _guard = world.lock().acquire(me, Mode::Exclusive);
                        increment(world, COUNT);
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|w| world.reap(w));
    assert_eq!(world.number(COUNT).load(Ordering::Acquire), 6 * ROUNDS * 2 / 3);
    assert_eq!((world.lock().owner(), world.lock().sharers()), (None, 0));
}

/// A worker says in a number of its own that it is about to add one, so that an increment cut short by its death is known
/// to be in doubt by at most one.
fn lwlock_survives_random_kills() {
    let world = World::new();
    let me = world.join();
    kill_at_random(world, &me, 6, 400, |me, mut rng| {
        let own = FIRST_OWN + me.id().slot().index();
        while is_running(world) {
            if rng.below(3) == 0 {
                let _guard = world.lock().acquire(me, Mode::Shared);
                let before = world.number(COUNT).load(Ordering::Relaxed);
                std::hint::spin_loop();
                assert_eq!(world.number(COUNT).load(Ordering::Relaxed), before, "changed under a sharer");
            } else if let Some(_guard) = match rng.below(4) {
                0 => world.lock().try_acquire(me, Mode::Exclusive),
                1 => world.lock().acquire_or_wait(me, Mode::Exclusive),
                _ => Some(world.lock().acquire(me, Mode::Exclusive)),
            } {
                increment(world, COUNT);
                world.number(own).fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let own: u64 = (FIRST_OWN..64).map(|i| world.number(i).load(Ordering::Acquire)).sum();
    let count = world.number(COUNT).load(Ordering::Acquire);
    assert!((own..=own + 400).contains(&count), "{count} increments, {own} acknowledged");
    assert_eq!((world.lock().owner(), world.lock().sharers()), (None, 0));
    drop(world.lock().try_acquire(&me, Mode::Exclusive).expect("everybody is gone"));
}

fn semaphore_survives_random_kills() {
    let world = World::new();
    let me = world.join();
    world.semaphore().set_capacity(2);
    kill_at_random(world, &me, 6, 300, |me, mut rng| {
        while is_running(world) {
            let deadline = (rng.below(4) == 0)
                .then(|| Monotonic::now().saturating_add(std::time::Duration::from_micros(50)));
            if let Ok(permit) = world.semaphore().acquire(me, deadline) {
                assert!(world.semaphore().taken() <= 2);
                std::thread::yield_now();
                drop(permit);
            }
        }
    });
    assert_eq!(world.semaphore().taken(), 0);
}

/// Producers and consumers of a number; the consumer side is woken by signals, the end by a broadcast.
fn condition_variable_survives_random_kills() {
    let world = World::new();
    let me = world.join();
    let mut rng = Seed::current().rng();
    let consume = |me: &Proc<'static>| {
        while is_running(world) {
            let take = || {
                let n = world.number(COUNT);
                n.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
                    || !is_running(world)
            };
            world
                .condition()
                .wait_until(me, None, WaitEvent::CONDITION_VARIABLE, take)
                .expect("no interrupt");
        }
    };
    let mut consumers: Vec<Worker> = (0..5).map(|_| world.fork(consume)).collect();
    for _ in 0..300 {
        for _ in 0..rng.below(20) {
            world.number(COUNT).fetch_add(1, Ordering::AcqRel);
            world.condition().signal(&me);
        }
        let victim = consumers.swap_remove(rng.below(5) as usize);
        world.kill(&victim);
        world.clean_up(&me, &victim).expect("nothing is held");
        consumers.push(world.fork(consume));
        // Whatever the dead ate, the living finish the rest.
        crate::world::eventually(|| world.number(COUNT).load(Ordering::Acquire) == 0);
    }
    world.number(STOP).store(1, Ordering::Release);
    world.condition().broadcast(&me);
    consumers.into_iter().for_each(|c| world.reap(c));
}

/// Setters leave news in numbers of their own; the owner must see all of it, however the sets fall together.
fn latch_loses_no_news() {
    const NEWS: u64 = 20_000;
    let world = World::new();
    let me = world.join();
    let owner = me.id().slot();
    let setters: Vec<_> = (0..4)
        .map(|setter| {
            world.fork(move |me| {
                for _ in 0..NEWS {
                    world.number(FIRST_OWN + setter).fetch_add(1, Ordering::Relaxed);
                    me.set_latch(owner);
                }
            })
        })
        .collect();
    loop {
        me.latch().reset();
        let seen: u64 = (0..4).map(|s| world.number(FIRST_OWN + s).load(Ordering::Relaxed)).sum();
        if seen == 4 * NEWS {
            break;
        }
        me.latch().wait(&me, Some(soon(20)), WaitEvent::LATCH).expect("a set was lost");
    }
    setters.into_iter().for_each(|s| world.reap(s));
}

fn latch_setters_survive_random_kills() {
    let world = World::new();
    let me = world.join();
    let owner = world.fork(|me| {
        let mut seen = 0;
        while is_running(world) {
            me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
            me.latch().reset();
            seen = world.number(COUNT).load(Ordering::Acquire).max(seen);
            world.number(FIRST_OWN).store(seen, Ordering::Release);
        }
    });
    let target = owner.id.slot();
    kill_at_random(world, &me, 3, 200, |me, _| {
        while is_running(world) {
            world.number(COUNT).fetch_add(1, Ordering::AcqRel);
            me.set_latch(target);
        }
    });
    me.set_latch(target);
    world.reap(owner);
}

fn barrier_keeps_everybody_in_step() {
    const PHASES: u64 = 2_000;
    const MEMBERS: usize = 5;
    let world = World::new();
    let workers: Vec<_> = (0..MEMBERS)
        .map(|worker| {
            world.fork(move |me| {
                let mut member = Barrier::new(&world.things.barrier).attach(me).expect("room");
                world.number(COUNT).fetch_add(1, Ordering::AcqRel);
                crate::world::eventually(|| world.number(COUNT).load(Ordering::Acquire) == MEMBERS as u64);
                for phase in 1..=PHASES {
                    world.number(FIRST_OWN + worker).store(phase, Ordering::Release);
                    member.arrive_and_wait(Some(soon(20))).expect("everybody comes");
                    for other in 0..MEMBERS {
                        let theirs = world.number(FIRST_OWN + other).load(Ordering::Acquire);
                        assert!((phase..=phase + 1).contains(&theirs), "{theirs} beside {phase}");
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|w| world.reap(w));
    assert_eq!(Barrier::new(&world.things.barrier).members(), 0);
}

/// A message of a random length, mostly short, that says what its bytes must be.
fn message(rng: &mut Rng) -> Vec<u8> {
    let longest = if rng.below(20) == 0 { 3 * crate::world::RING as u64 } else { 300 };
    (0..rng.below(longest)).map(|_| rng.next_u64() as u8).collect()
}

fn queue_passes_every_byte() {
    const MESSAGES: usize = 20_000;
    let world = World::new();
    let me = world.join();
    let seed = Seed::current();
    let sender = world.fork(|me| {
        let mut rng = seed.rng();
        let mut sender = world.queue(0).attach_sender(me).expect("free");
        for _ in 0..MESSAGES {
            sender.send(&message(&mut rng), Some(soon(20))).expect("the receiver reads");
        }
    });
    let mut rng = seed.rng();
    let mut receiver = world.queue(0).attach_receiver(&me).expect("free");
    let mut received = Vec::new();
    for i in 0..MESSAGES {
        receiver.receive(&mut received, Some(soon(20))).expect("the sender has more");
        assert!(received == message(&mut rng), "message {i} is not what was sent");
    }
    world.reap(sender);
}

/// Each round a fresh queue, of which one end is killed at a random moment: the other end learns of it, and what it got
/// was whole.
fn queue_survives_kills_of_both_ends() {
    let mut rng = Seed::current().rng();
    for round in 0..60 {
        let world = World::new();
        let me = world.join();
        let seed = Seed(rng.next_u64());
        let sender = world.fork(|me| {
            let mut rng = seed.rng();
            let mut sender = world.queue(0).attach_sender(me).expect("free");
            while sender.send(&message(&mut rng), None).is_ok() {}
        });
        let receiver = world.fork(|me| {
            let mut rng = seed.rng();
            let mut receiver = world.queue(0).attach_receiver(me).expect("free");
            let mut received = Vec::new();
            while receiver.receive(&mut received, None).is_ok() {
                assert!(received == message(&mut rng), "a message is not what was sent");
            }
        });
        pause_us(rng.below(3000));
        let (victim, survivor) = if round % 2 == 0 { (sender, receiver) } else { (receiver, sender) };
        world.kill(&victim);
        let _ = world.clean_up(&me, &victim).expect("a queue end at most");
        if world.ipc.is_current(victim.id) && round < 2 {
            // The slot is free, its generation still the dead one's; a newcomer gets another.
            assert_ne!(world.join().id(), victim.id);
        }
        // One that dies before it attached is not known to the queue; the other waits for who attaches next.
        let is_known = tuskd::ipc::death::examine(world.ipc, survivor.id).is_some();
        assert!(is_known);
        world.end_or_kill(&me, survivor);
    }
}

/// An interrupt ends every interruptible wait, and holding it off keeps it from doing so.
fn interrupts_reach_every_wait() {
    use tuskd::ipc::{Interrupts, WaitEnd};
    let world = World::new();
    let me = world.join();
    world.semaphore().set_capacity(0);
    type Wait = fn(World, &Proc<'static>) -> Result<(), WaitEnd>;
    let waits: [(WaitEvent, Wait); 4] = [
        (WaitEvent::CONDITION_VARIABLE, |world, me| {
            world.condition().wait_until(me, None, WaitEvent::CONDITION_VARIABLE, || false)
        }),
        (WaitEvent::SEMAPHORE, |world, me| match world.semaphore().acquire(me, None) {
            Err(tuskd::ipc::semaphore::AcquireError::Wait(end)) => Err(end),
            _ => Ok(()),
        }),
        (WaitEvent::MESSAGE_QUEUE_RECEIVE, |world, me| {
            let mut receiver = world.queue(1).attach_receiver(me).expect("free");
            match receiver.receive(&mut Vec::new(), None) {
                Err(tuskd::ipc::queue::QueueError::Wait(end)) => Err(end),
                _ => Ok(()),
            }
        }),
        (WaitEvent::BARRIER, |world, me| {
            let mut member = Barrier::new(&world.things.barrier).attach(me).expect("room");
            member.arrive_and_wait(None)
        }),
    ];
    // Somebody who never arrives.
    let _absent = Barrier::new(&world.things.barrier).attach(&me).expect("room");
    for (event, wait) in waits {
        let worker = world.fork(|me| assert_eq!(wait(world, me), Err(WaitEnd::Interrupted), "{event:?}"));
        world.wait_until_waiting(&worker, event);
        me.interrupt(worker.id.slot(), Interrupts::CANCEL);
        world.reap(worker);
    }
}

/// Counts, times and percentiles of waits.
fn waits_are_counted() {
    let world = World::new();
    let me = world.join();
    let deadline = Monotonic::now().saturating_add(std::time::Duration::from_millis(20));
    let end = me.latch().wait(&me, Some(deadline), WaitEvent::LATCH);
    assert_eq!(end, Err(tuskd::ipc::WaitEnd::TimedOut));
    let summary = world.ipc.wait_stats().summary(WaitEvent::LATCH);
    assert_eq!(summary.count, 1);
    assert!(summary.total.as_millis() >= 19, "{:?}", summary.total);
    assert!(summary.quantile(0.5).expect("one wait").as_millis() >= 20);
}
