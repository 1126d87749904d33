//! Scenarios in which bytes go from one process to another.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use tuskd::ipc::wait_set::{IoMethod, WaitSet};
use tuskd::ipc::{Proc, WaitEvent};
use tuskd::sync::Ordering;

use super::world::{World, fork_role, play, spin_until, stay_on_one_cpu};

const MESSAGE: [u8; 64] = [0x5a; 64];

/// One call that is known beforehand.
pub fn write_one_byte(count: u64) -> Result<()> {
    play("writer");
    let mut null = File::options().write(true).open("/dev/null")?;
    for _ in 0..count {
        null.write_all(b"x")?;
    }
    Ok(())
}

/// Through a queue in shared memory; on one CPU, so that each side runs until it has to wait.
pub fn queue_64_bytes(count: u64) -> Result<()> {
    stay_on_one_cpu()?;
    let mut world = World::new(2)?;
    let (sender, receiver) = (world.claim()?, world.claim()?);
    let queue = world.queue()?;
    let child = fork_role("receiver", || {
        let mut end = queue.attach_receiver(world.enter(receiver))?;
        let mut message = Vec::new();
        (0..count).try_for_each(|_| Ok(end.receive(&mut message, None)?))
    })?;
    play("sender");
    let mut end = queue.attach_sender(world.enter(sender))?;
    for _ in 0..count {
        end.send(&MESSAGE, None)?;
    }
    child.finish()
}

/// The server sleeps in its ring.
pub fn exchange_by_ring(count: u64) -> Result<()> {
    exchange(World::new(1)?, IoMethod::IoUring, count)
}

/// The server sleeps in epoll.
pub fn exchange_by_epoll(count: u64) -> Result<()> {
    exchange(World::new(1)?, IoMethod::Sync, count)
}

fn exchange(mut world: World, method: IoMethod, count: u64) -> Result<()> {
    let choice = method.choose()?;
    let server = world.claim()?;
    let (mut client, servers_end) = UnixStream::pair()?;
    let child = fork_role("server", || {
        let me = world.enter(server);
        let mut wait_set = WaitSet::new(me, choice, None)?;
        // At once, not after some exchanges.
        ensure!(wait_set.ring().is_some() == (method == IoMethod::IoUring), "not the method that is counted");
        serve(me, wait_set, servers_end.try_clone()?, count)
    })?;
    play("client");
    let mut answer = MESSAGE;
    for _ in 0..count {
        // Else a request could be there before the server looks, which in epoll saves it a call.
        spin_until(|| world.slot(server).latch.word.load(Ordering::Acquire) != 0);
        client.write_all(&MESSAGE)?;
        client.read_exact(&mut answer)?;
    }
    child.finish()
}

/// Answers so many requests.
fn serve(me: &Proc<'_>, mut wait_set: WaitSet<'_>, connection: UnixStream, count: u64) -> Result<()> {
    let connection = wait_set.add(connection)?;
    let mut answer: &[u8] = &[];
    for _ in 0..count {
        let end = wait_set.exchange(me, &connection, answer, None, WaitEvent::CLIENT_READ)?;
        ensure!(end.received == Some(MESSAGE.len()), "the wait for a request ended with {end:?}");
        answer = &MESSAGE;
    }
    let end = wait_set.send(me, &connection, answer, None, WaitEvent::CLIENT_WRITE)?;
    ensure!(end.unsent == 0, "the last answer is not sent: {end:?}");
    Ok(())
}
