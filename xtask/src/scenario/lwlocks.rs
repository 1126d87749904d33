//! Scenarios of the LWLock.

use anyhow::Result;
use tuskd::ipc::WaitEvent;
use tuskd::ipc::lwlock::{LwLock, Mode};
use tuskd::sync::Ordering;

use super::world::{World, fork_role, play, spin_until};

/// Takes a lock that nobody else wants.
pub fn uncontended(count: u64) -> Result<()> {
    let mut world = World::new(1)?;
    let id = world.claim()?;
    let (me, lock) = (world.enter(id), LwLock::new(world.lock()?, WaitEvent::LWLOCK));
    play("holder");
    for _ in 0..count {
        drop(lock.acquire(me, Mode::Shared));
        drop(lock.acquire(me, Mode::Exclusive));
    }
    Ok(())
}

/// The holder releases the lock when a writer sleeps for it.
pub fn handoff(count: u64) -> Result<()> {
    let mut world = World::new(2)?;
    let (holder, writer) = (world.claim()?, world.claim()?);
    let lock = LwLock::new(world.lock()?, WaitEvent::LWLOCK);
    let [turns, _] = world.counters()?;
    let child = fork_role("writer", || {
        let me = world.enter(writer);
        for turn in 0..count as u32 {
            spin_until(|| turns.load(Ordering::Acquire) == 2 * turn + 1);
            drop(lock.acquire(me, Mode::Exclusive));
            turns.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    })?;
    play("holder");
    let me = world.enter(holder);
    for turn in 0..count as u32 {
        let guard = lock.acquire(me, Mode::Exclusive);
        turns.fetch_add(1, Ordering::AcqRel);
        spin_until(|| world.slot(writer).wait_event.load(Ordering::Acquire) != 0);
        drop(guard);
        spin_until(|| turns.load(Ordering::Acquire) == 2 * turn + 2);
    }
    child.finish()
}
