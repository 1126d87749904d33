//! Scenarios of the latch and the condition variable.

use anyhow::Result;
use tuskd::ipc::{ConditionVariable, Proc, WaitEvent};
use tuskd::sync::Ordering;

use super::world::{World, fork_role, play, spin_until, spin_until_asleep};

/// Sets a latch whose owner does not wait.
pub fn set_idle(count: u64) -> Result<()> {
    let mut world = World::new(2)?;
    let (we, target) = (world.claim()?, world.claim()?);
    let (me, peer) = (world.enter(we), world.enter(target));
    play("setter");
    for _ in 0..count {
        me.set_latch(target.slot());
        peer.latch().reset();
    }
    Ok(())
}

/// Two processes wake each other in turn.
pub fn round_trip(count: u64) -> Result<()> {
    let mut world = World::new(2)?;
    let (ping, pong) = (world.claim()?, world.claim()?);
    let child = fork_role("pong", || {
        let me = world.enter(pong);
        for _ in 0..count {
            wait(me);
            spin_until_asleep(world.slot(ping));
            me.set_latch(ping.slot());
        }
        Ok(())
    })?;
    play("ping");
    let me = world.enter(ping);
    for _ in 0..count {
        spin_until_asleep(world.slot(pong));
        me.set_latch(pong.slot());
        wait(me);
    }
    child.finish()
}

fn wait(me: &Proc<'_>) {
    me.latch().wait(me, None, WaitEvent::LATCH).expect("there is no deadline");
    me.latch().reset();
}

/// One process wakes 64 others, and begins anew when all of them sleep again.
pub fn broadcast_to_64(count: u64) -> Result<()> {
    const WAITERS: u32 = 64;
    let mut world = World::new(1 + WAITERS as usize)?;
    let condition = ConditionVariable::new(world.condition()?);
    let [news, answers] = world.counters()?;
    let waker = world.claim()?;
    let (mut waiters, mut children) = (Vec::new(), Vec::new());
    for _ in 0..WAITERS {
        let id = world.claim()?;
        waiters.push(world.slot(id));
        children.push(fork_role("64 waiters", || {
            let me = world.enter(id);
            for seen in 0..count as u32 {
                let is_new = || news.load(Ordering::Acquire) != seen;
                condition.wait_until(me, None, WaitEvent::CONDITION_VARIABLE, is_new).expect("no interrupt");
                answers.fetch_add(1, Ordering::AcqRel);
            }
            Ok(())
        })?);
    }
    play("waker");
    let me = world.enter(waker);
    for done in 0..count as u32 {
        spin_until(|| answers.load(Ordering::Acquire) == done * WAITERS);
        waiters.iter().for_each(|slot| spin_until_asleep(slot));
        news.store(done + 1, Ordering::Release);
        condition.broadcast(me);
    }
    children.into_iter().try_for_each(|child| child.finish())
}
