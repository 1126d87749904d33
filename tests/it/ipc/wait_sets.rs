//! Wait sets between real processes, with io_uring, with epoll, and where a seccomp filter refuses io_uring: clients and
//! an echo server over socket pairs, latches set from other processes in between, signals, the postmaster's death.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use tuskd::ipc::wait_set::{Choice, IoMethod, Readiness};
use tuskd::ipc::{Interrupts, Proc, WaitEvent, WaitSet, signals};
use tuskd::os::pidfd::PidFd;
use tuskd::os::process;
use tuskd::sync::Ordering;

use crate::harness::{Skip, Test, tests};
use crate::seccomp::Denied;
use crate::world::{World, eventually, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    echo_by_io_uring,
    echo_by_epoll,
    echo_where_io_uring_is_refused,
    echo_where_no_ring_can_be_made,
    a_signal_ends_every_kind_of_wait,
    the_postmasters_death_ends_a_wait,
    a_pmsignal_reaches_the_postmaster,
    a_forked_child_has_a_title_of_its_own,
];

const EVENT: WaitEvent = WaitEvent::CLIENT_READ;

/// The method, or a skip where it is not to be had.
fn choose(method: IoMethod) -> Result<Choice, Skip> {
    method.choose().map_err(|e| Skip(e.to_string()))
}

/// Sends requests of many lengths and checks the answers, while two others set both sides' latches all the time.
fn echo(choice: Choice) {
    const ROUNDS: usize = 3_000;
    let world = World::new();
    let me = world.join();
    let (here, there) = UnixStream::pair().expect("a socket pair");
    let server = world.fork(|me| serve(me, choice, there.into()));
    let targets = [me.id().slot(), server.id.slot()];
    let noise: Vec<_> = targets
        .map(|target| {
            world.fork(move |me| {
                while world.number(0).load(Ordering::Acquire) == 0 {
                    world.number(1).fetch_add(1, Ordering::Relaxed);
                    me.set_latch(target);
                    std::thread::yield_now();
                }
            })
        })
        .into();
    let mut set = WaitSet::new(&me, choice, None).expect("a wait set");
    let socket = set.add(OwnedFd::from(here)).expect("room");
    for round in 0..ROUNDS {
        let request: Vec<u8> = (0..=round * 37 % 9_000).map(|i| (i + round) as u8).collect();
        let mut answer = Vec::new();
        let mut unsent = &request[..];
        while answer.len() < request.len() {
            let end = set.exchange(&me, &socket, unsent, Some(soon(20)), EVENT).expect("the server lives");
            unsent = &[];
            assert!(!end.timed_out, "round {round}: {} of {} bytes came back", answer.len(), request.len());
            if end.latch_set {
                me.latch().reset();
            }
            if end.received.is_some() {
                answer.extend_from_slice(set.received(&socket));
            }
        }
        assert!(answer == request, "round {round}");
    }
    // The other children have copies of both ends.
    rustix::net::shutdown(set.socket(&socket), rustix::net::Shutdown::Both).expect("connected");
    drop(set.remove(socket).expect("it was added"));
    world.number(0).store(1, Ordering::Release);
    noise.into_iter().for_each(|n| world.reap(n));
    world.reap(server);
}

/// Sends back whatever comes until the client leaves.
fn serve(me: &Proc<'static>, choice: Choice, socket: OwnedFd) {
    let mut set = WaitSet::new(me, choice, None).expect("a wait set");
    let socket = set.add(socket).expect("room");
    let mut answer = Vec::new();
    loop {
        let end = set.exchange(me, &socket, &answer, Some(soon(20)), EVENT).expect("the client lives");
        assert!(!end.timed_out);
        answer.clear();
        if end.latch_set {
            me.latch().reset();
        }
        match end.received {
            Some(0) => return,
            Some(_) => answer.extend_from_slice(set.received(&socket)),
            None => {}
        }
    }
}

fn echo_by_io_uring() -> Result<(), Skip> {
    echo(choose(IoMethod::IoUring)?);
    Ok(())
}

fn echo_by_epoll() -> Result<(), Skip> {
    echo(choose(IoMethod::Sync)?);
    Ok(())
}

fn echo_where_io_uring_is_refused() -> Result<(), Skip> {
    Denied::IoUring.install().expect("installing a filter");
    let choice = choose(IoMethod::Auto)?;
    assert!(!choice.uses_ring());
    assert!(choice.to_string().starts_with("sync, because "), "{choice}");
    assert!(IoMethod::IoUring.choose().is_err(), "an explicit wish is not overruled");
    echo(choice);
    Ok(())
}

/// A process that has no descriptor left goes on with epoll, and says why, once.
fn echo_where_no_ring_can_be_made() -> Result<(), Skip> {
    const ROUNDS: u32 = 500;
    let choice = choose(IoMethod::IoUring)?;
    let world = World::new();
    let (mut here, there) = UnixStream::pair().expect("a socket pair");
    let server = world.fork(|me| {
        let mut set = WaitSet::new(me, choice, None).expect("a wait set");
        let limit = Rlimit { current: Some(3), maximum: Some(3) };
        setrlimit(Resource::Nofile, limit).expect("lowering is allowed");
        let socket = set.add(OwnedFd::from(there)).expect("room");
        let mut answer = Vec::new();
        let mut complaints = 0;
        loop {
            let end = set.exchange(me, &socket, &answer, Some(soon(20)), EVENT).expect("the client lives");
            if let Some(error) = set.take_no_ring() {
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                complaints += 1;
            }
            answer.clear();
            match end.received {
                Some(0) => break,
                Some(_) => answer.extend_from_slice(set.received(&socket)),
                None => panic!("{end:?}"),
            }
        }
        assert_eq!(complaints, 1);
        assert!(set.ring().is_none());
    });
    for round in 0..ROUNDS {
        here.write_all(&round.to_ne_bytes()).expect("the server lives");
        let mut answer = [0; 4];
        here.read_exact(&mut answer).expect("the server lives");
        assert_eq!(u32::from_ne_bytes(answer), round);
    }
    // The child has a copy of this end.
    here.shutdown(std::net::Shutdown::Both).expect("connected");
    world.reap(server);
    Ok(())
}

/// Waits in a wait set for a socket on which nothing comes.
fn wait_in_a_set(me: &Proc<'static>, method: IoMethod) {
    let Ok(choice) = method.choose() else { return };
    let (here, _there) = UnixStream::pair().expect("a socket pair");
    let mut set = WaitSet::new(me, choice, None).expect("a wait set");
    let socket = set.add(OwnedFd::from(here)).expect("room");
    let end = set.wait(me, &[(&socket, Readiness::READABLE)], Some(soon(20)), EVENT).expect("no error");
    assert!(end.latch_set && !end.timed_out);
    set.remove(socket).expect("it was added");
}

/// SIGTERM in the middle of a latch wait, a condition variable, a wait set of either kind.
fn a_signal_ends_every_kind_of_wait() {
    type Wait = fn(World, &Proc<'static>);
    let waits: [(WaitEvent, Wait); 4] = [
        (WaitEvent::LATCH, |_, me| {
            me.latch().wait(me, Some(soon(20)), WaitEvent::LATCH).expect("the signal came first");
        }),
        (WaitEvent::CONDITION_VARIABLE, |world, me| {
            let event = WaitEvent::CONDITION_VARIABLE;
            let end = world.condition().wait_until(me, Some(soon(20)), event, || false);
            assert_eq!(end, Err(tuskd::ipc::WaitEnd::Interrupted));
        }),
        (EVENT, |_, me| wait_in_a_set(me, IoMethod::Auto)),
        (EVENT, |_, me| wait_in_a_set(me, IoMethod::Sync)),
    ];
    for (event, wait) in waits {
        let world = World::new();
        let worker = world.fork(|me| {
            let map = [(Signal::TERM, Interrupts::TERMINATE)];
            signals::with_handlers(me, &map, || wait(world, me)).expect("handlers");
            assert!(me.pending_interrupts().contains(Interrupts::TERMINATE));
        });
        world.wait_until_waiting(&worker, event);
        worker.child.pidfd.send_signal(Signal::TERM).expect("our child");
        world.reap(worker);
    }
}

/// The pidfd of a process that is not even the waiter's parent.
fn the_postmasters_death_ends_a_wait() -> Result<(), Skip> {
    for method in [IoMethod::Auto, IoMethod::Sync] {
        let choice = choose(method)?;
        let world = World::new();
        let postmaster = world.fork(|me| {
            me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
        });
        let pid = postmaster.child.pid;
        let child = world.fork(|me| {
            use std::os::fd::AsFd;
            let postmaster = PidFd::open(pid).expect("it lives");
            let mut set = WaitSet::new(me, choice, Some(postmaster.as_fd())).expect("a wait set");
            let end = set.wait(me, &[], Some(soon(20)), WaitEvent::MAIN_LOOP).expect("no error");
            assert!(end.postmaster_dead && !end.timed_out);
        });
        world.wait_until_waiting(&child, WaitEvent::MAIN_LOOP);
        world.kill(&postmaster);
        world.reap(child);
    }
    Ok(())
}

/// A child leaves its flag; the postmaster, which sleeps in epoll on its eventfd, finds it.
fn a_pmsignal_reaches_the_postmaster() {
    use std::os::fd::AsFd;
    use tuskd::ipc::pmsignal::PmSignal;
    use tuskd::os::epoll::{Epoll, Interest};
    use tuskd::os::eventfd::EventFd;
    const WANTED: PmSignal = PmSignal::new(3);
    let world = World::new();
    let eventfd = EventFd::new().expect("a descriptor");
    let mut epoll = Epoll::new().expect("a descriptor");
    epoll.add(eventfd.as_fd(), 7, Interest::IN).expect("added");
    let child = world.fork(|_| world.ipc.pmsignals().send(WANTED, &eventfd));
    let ready: Vec<u64> = epoll.wait(Some(soon(20))).expect("no error").map(|r| r.data).collect();
    assert_eq!(ready, [7]);
    assert!(eventfd.drain());
    assert!(world.ipc.pmsignals().take().contains(WANTED));
    world.reap(child);
}

/// `ps` shows each process's title in full, and comm as set.
fn a_forked_child_has_a_title_of_its_own() {
    use tuskd::os::proctitle::ProcessTitle;
    let world = World::new();
    let mut title = ProcessTitle::init(512);
    let long = format!("postgres: {} [local] idle", "x".repeat(300));
    title.set("tuskd test, the parent");
    let ps = |pid: i32, field: &str| {
        let output = std::process::Command::new("ps")
            .args(["-ww", "-o", field, "-p", &pid.to_string()])
            .output()
            .expect("ps is there");
        String::from_utf8_lossy(&output.stdout).trim_end().to_string()
    };
    let child = world.fork(|me| {
        process::set_comm("postgres").expect("short enough");
        title.set(&long);
        world.number(0).store(1, Ordering::Release);
        me.latch().wait(me, None, WaitEvent::LATCH).expect("no deadline");
    });
    eventually(|| world.number(0).load(Ordering::Acquire) == 1);
    let pid = child.child.pid.as_raw_nonzero().get();
    assert_eq!(ps(pid, "args="), long);
    assert_eq!(ps(pid, "comm="), "postgres");
    assert_eq!(ps(std::process::id() as i32, "args="), "tuskd test, the parent");
    world.kill(&child);
}
