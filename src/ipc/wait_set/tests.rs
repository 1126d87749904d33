//! Both implementations against the same tests. The peer and those who set the latch are threads; the wait set stays in
//! the test's own.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use super::*;
use crate::ipc::Ipc;
use crate::ipc::hangup::hangup_pipe;
use crate::ipc::slots::SlotTable;
use crate::os::pidfd::PidFd;
use crate::os::process::Pid;
use crate::os::uring::probe;
use crate::shmem::{HugePages, Plan, Segment};
use crate::sync::Ordering;

const EVENT: WaitEvent = WaitEvent::CLIENT_READ;

fn in_ms(ms: u64) -> Option<Monotonic> {
    Some(Monotonic::now().saturating_add(Duration::from_millis(ms)))
}

/// A process in the first slot of a segment of its own.
fn with_proc(test: impl FnOnce(&Ipc<'_>, &Proc<'_>)) {
    let plan = Plan::new(&Ipc::region_specs(8)).unwrap();
    let segment = Segment::create(&plan, HugePages::Off, None).unwrap();
    let ipc = Ipc::open(&segment).unwrap();
    let me = ipc.proc(SlotTable::new(ipc.slots()).claim(1).unwrap());
    test(&ipc, &me);
}

/// Which implementation a test is about.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Epoll,
    Ring,
    /// From epoll to a ring at the second exchange.
    Moves,
}

impl How {
    fn set<'s>(self, me: &Proc<'s>, postmaster: Option<BorrowedFd<'s>>) -> WaitSet<'s> {
        let method = if self == Self::Epoll { IoMethod::Sync } else { IoMethod::IoUring };
        let mut set = WaitSet::new(me, method.choose().unwrap(), postmaster).unwrap();
        match self {
            Self::Epoll => assert!(set.moves_after.is_none()),
            Self::Ring => assert!(set.ring().is_some()),
            Self::Moves => set.moves_after = Some(1),
        }
        set
    }
}

/// Runs the test with each implementation that this machine has.
fn with_each(test: impl Fn(&Ipc<'_>, &Proc<'_>, How)) {
    with_proc(|ipc, me| test(ipc, me, How::Epoll));
    match IoMethod::IoUring.choose() {
        Ok(_) => [How::Ring, How::Moves].into_iter().for_each(|how| with_proc(|ipc, me| test(ipc, me, how))),
        Err(error) => eprintln!("skipped: {error}"),
    }
}

/// A wait set with one end of a connection.
fn connected<'s>(me: &Proc<'s>, how: How) -> (WaitSet<'s>, Socket, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    let mut set = how.set(me, None);
    let socket = set.add(here).unwrap();
    (set, socket, there)
}

/// Sets the latch of the first slot, as another process does.
fn set_latch(ipc: &Ipc<'_>) {
    Latch::of(&ipc.slots()[0]).set();
}

fn counted(ipc: &Ipc<'_>) -> u64 {
    ipc.wait_stats().summary(EVENT).count
}

#[test]
fn choices_say_why() {
    assert_eq!(IoMethod::Sync.choose().unwrap().to_string(), "sync, as configured");
    let auto = IoMethod::Auto.choose().unwrap();
    assert_eq!(auto.uses_ring(), probe().is_full());
    assert!(auto.uses_ring() || auto.to_string().starts_with("sync, because io_uring"));
}

#[test]
fn requests_and_answers() {
    with_each(|_, me, how| {
        for nonblocking in [false, true] {
            let (mut set, socket, mut there) = connected(me, how);
            rustix::io::ioctl_fionbio(set.socket(&socket), nonblocking).unwrap();
            thread::scope(|scope| {
                scope.spawn(move || {
                    for round in 0..1000_u32 {
                        there.write_all(&round.to_ne_bytes()).unwrap();
                        let mut answer = [0; 4];
                        there.read_exact(&mut answer).unwrap();
                        assert_eq!(u32::from_ne_bytes(answer), round + 1);
                    }
                });
                let mut answer = Vec::new();
                for round in 0..1000_u32 {
                    let done = set.exchange(me, &socket, &answer, in_ms(10_000), EVENT).unwrap();
                    assert_eq!(done, Exchange { received: Some(4), ..Exchange::default() });
                    assert_eq!(set.received(&socket), round.to_ne_bytes());
                    answer = (round + 1).to_ne_bytes().to_vec();
                }
                let done = set.exchange(me, &socket, &answer, in_ms(10_000), EVENT).unwrap();
                assert_eq!(done.received, Some(0), "the peer is gone");
                assert_eq!(set.received(&socket), b"");
            });
        }
    });
}

#[test]
fn a_set_latch_does_not_hide_data() {
    with_each(|ipc, me, how| {
        let (mut set, socket, mut there) = connected(me, how);
        set_latch(ipc);
        let done = set.exchange(me, &socket, b"", None, EVENT).unwrap();
        assert_eq!(done, Exchange { latch_set: true, ..Exchange::default() });
        there.write_all(b"abc").unwrap();
        let done = set.exchange(me, &socket, b"de", None, EVENT).unwrap();
        assert_eq!((done.received, done.latch_set, done.unsent), (Some(3), true, 0));
        assert_eq!(counted(ipc), 0, "it did not sleep");
        me.latch().reset();
        let mut answer = [0; 2];
        there.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"de");
        let done = set.exchange(me, &socket, b"", in_ms(5), EVENT).unwrap();
        assert_eq!(done, Exchange { timed_out: true, ..Exchange::default() });
        assert_ne!(counted(ipc), 0);
    });
}

#[test]
fn a_latch_ends_an_exchange_and_loses_nothing() {
    with_each(|ipc, me, how| {
        let (mut set, socket, mut there) = connected(me, how);
        for _ in 0..20 {
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(2));
                    set_latch(ipc);
                });
                let done = set.exchange(me, &socket, b"x", in_ms(10_000), EVENT).unwrap();
                assert_eq!(done, Exchange { latch_set: true, ..Exchange::default() });
            });
            me.latch().reset();
        }
        let mut answers = [0; 20];
        there.read_exact(&mut answers).unwrap();
        there.write_all(b"late").unwrap();
        let wakeup = set.wait(me, &[(&socket, Readiness::READABLE)], in_ms(10_000), EVENT).unwrap();
        assert!(wakeup.readable.contains(&socket) && !wakeup.timed_out);
        let done = set.exchange(me, &socket, b"", None, EVENT).unwrap();
        assert_eq!(done, Exchange { received: Some(4), ..Exchange::default() });
        assert_eq!(set.received(&socket), b"late");
    });
}

#[test]
fn waits_report_everything_that_is_true() {
    with_each(|ipc, me, how| {
        let (mut set, first, mut there) = connected(me, how);
        let (here, _other) = UnixStream::pair().unwrap();
        let second = set.add(here).unwrap();
        let both = [(&first, Readiness::READABLE), (&second, Readiness::READABLE | Readiness::WRITABLE)];
        let wakeup = set.wait(me, &both, None, EVENT).unwrap();
        assert!(wakeup.writable.contains(&second) && !wakeup.readable.contains(&second));
        assert!(!wakeup.latch_set && wakeup.readable.is_empty());
        there.write_all(b"x").unwrap();
        set_latch(ipc);
        for _ in 0..2 {
            let wakeup = set.wait(me, &both, None, EVENT).unwrap();
            assert!(
                wakeup.latch_set && wakeup.readable.contains(&first) && wakeup.writable.contains(&second)
            );
        }
        me.latch().reset();
        let deadline = in_ms(5);
        let only = [(&second, Readiness::READABLE)];
        let wakeup = set.wait(me, &only, deadline, EVENT).unwrap();
        assert_eq!(wakeup, Wakeup { timed_out: true, ..Wakeup::default() });
        assert!(Some(Monotonic::now()) >= deadline);
        let fd = set.remove(second).unwrap();
        drop(fd);
        let wakeup = set.wait(me, &[(&first, Readiness::READABLE)], None, EVENT).unwrap();
        assert!(wakeup.readable.contains(&first));
    });
}

#[test]
fn listeners_wake_for_connections() {
    with_each(|_, me, how| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut set = how.set(me, None);
        let mut own = set.add(listener.try_clone().unwrap()).unwrap();
        for _ in 0..3 {
            let wanted = Readiness::READABLE | Readiness::EXCLUSIVE;
            let wakeup = set.wait(me, &[(&own, wanted)], in_ms(2), EVENT).unwrap();
            assert!(wakeup.timed_out && wakeup.readable.is_empty());
            let mut client = TcpStream::connect(address).unwrap();
            let wakeup = set.wait(me, &[(&own, wanted)], in_ms(10_000), EVENT).unwrap();
            assert!(wakeup.readable.contains(&own));
            let session = set.add(listener.accept().unwrap().0).unwrap();
            client.write_all(b"hello").unwrap();
            let done = set.exchange(me, &session, b"", in_ms(10_000), EVENT).unwrap();
            assert_eq!(done.received, Some(5));
            set.remove(session).unwrap();
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 0, "closed at once");
            let fd = set.remove(own).unwrap();
            own = set.add(fd).unwrap();
        }
    });
}

/// The peer reads nothing at first, so that the message fills the socket's buffer, and the latch interrupts the rest.
#[test]
fn big_messages_survive_interruption() {
    let message: Vec<u8> = (0..4_000_000_u32).map(|i| (i / 7) as u8).collect();
    with_each(|ipc, me, how| {
        let (mut set, socket, mut there) = connected(me, how);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(2));
                set_latch(ipc);
            });
            let done = set.exchange(me, &socket, &message, in_ms(10_000), EVENT).unwrap();
            assert!(done.latch_set && done.unsent > 0 && done.received.is_none(), "{done:?}");
            me.latch().reset();
            let before = done.unsent;
            let done = set.send(me, &socket, b"tail", in_ms(2), EVENT).unwrap();
            assert!(done.timed_out && done.unsent == before + 4, "{done:?}");
            let message = &message;
            scope.spawn(move || {
                let mut got = vec![0; message.len() + 4];
                let (first, rest) = got.split_at_mut(1_000_000);
                there.read_exact(first).unwrap();
                set_latch(ipc);
                there.read_exact(rest).unwrap();
                assert!(got.starts_with(message) && got.ends_with(b"tail"));
                there.write_all(b"thanks").unwrap();
            });
            let mut sets = 0;
            let end = loop {
                let done = set.exchange(me, &socket, b"", in_ms(10_000), EVENT).unwrap();
                if done.latch_set {
                    me.latch().reset();
                    sets += 1;
                }
                if done.received.is_some() {
                    break done;
                }
                assert!(!done.timed_out);
            };
            assert_eq!((end.received, end.unsent, sets), (Some(6), 0, 1));
        });
    });
}

#[test]
fn a_peer_that_is_gone_is_an_error() {
    with_each(|_, me, how| {
        let (mut set, socket, there) = connected(me, how);
        drop(there);
        let error = set.exchange(me, &socket, b"x", None, EVENT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let done = set.exchange(me, &socket, b"", None, EVENT).unwrap();
        assert_eq!((done.received, done.unsent), (Some(0), 0));
        assert!(set.send(me, &socket, b"x", None, EVENT).is_err());
        let wakeup = set.wait(me, &[(&socket, Readiness::WRITABLE)], None, EVENT).unwrap();
        assert!(wakeup.writable.contains(&socket));
        // With bytes that the peer did not read, its end is a reset.
        let (mut set, socket, there) = connected(me, how);
        assert_eq!(set.send(me, &socket, b"x", None, EVENT).unwrap(), Exchange::default());
        drop(there);
        let error = set.exchange(me, &socket, b"", None, EVENT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

/// A client that has sent its next request already and does not read our answer to the last.
#[test]
fn nothing_is_received_before_everything_is_sent() {
    let answer = vec![7; 4_000_000];
    with_each(|_, me, how| {
        let (mut set, socket, mut there) = connected(me, how);
        let done = set.exchange(me, &socket, b"", in_ms(2), EVENT).unwrap();
        assert!(done.timed_out, "now the ring receives ahead");
        there.write_all(b"next").unwrap();
        let done = set.exchange(me, &socket, &answer, in_ms(5), EVENT).unwrap();
        assert!(done.received.is_none() && done.unsent > 0 && done.timed_out, "{done:?}");
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut got = vec![0; answer.len()];
                there.read_exact(&mut got).unwrap();
                assert!(got == answer);
            });
            let done = set.exchange(me, &socket, b"", in_ms(10_000), EVENT).unwrap();
            assert_eq!(done, Exchange { received: Some(4), ..Exchange::default() });
            assert_eq!(set.received(&socket), b"next");
        });
    });
}

/// Waits on the latch's word itself use up the wake-up that was meant for the ring's wait, and the other way round.
#[test]
fn other_waits_for_the_latch_do_no_harm() {
    with_each(|ipc, me, how| {
        let (mut set, socket, mut there) = connected(me, how);
        for _ in 0..50 {
            let done = set.exchange(me, &socket, b"", in_ms(1), EVENT).unwrap();
            assert_eq!(done, Exchange { timed_out: true, ..Exchange::default() });
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_micros(200));
                    set_latch(ipc);
                });
                me.latch().wait(me, in_ms(10_000), WaitEvent::LATCH).unwrap();
                me.latch().reset();
            });
            thread::scope(|scope| {
                scope.spawn(|| there.write_all(b"x").unwrap());
                let done = set.exchange(me, &socket, b"", in_ms(10_000), EVENT).unwrap();
                assert_eq!(done, Exchange { received: Some(1), ..Exchange::default() });
            });
        }
    });
}

/// What epoll has received and not sent is what the ring starts with; sockets keep their places.
#[test]
fn a_wait_set_moves_in_the_middle_of_traffic() {
    if IoMethod::IoUring.choose().is_err() {
        return;
    }
    let message: Vec<u8> = (0..4_000_000_u32).map(|i| (i / 11) as u8).collect();
    with_proc(|ipc, me| {
        let (watch, lifeline) = hangup_pipe(me.id()).unwrap();
        let lock = std::fs::File::open("/dev/null").unwrap();
        let mut set = How::Moves.set(me, None);
        set.hold(lifeline, Some(lock.as_fd())).unwrap();
        let pairs: Vec<_> = (0..3).map(|_| UnixStream::pair().unwrap()).collect();
        let (here, mut there): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let mut sockets: Vec<Socket> = here.into_iter().map(|here| set.add(here).unwrap()).collect();
        // A place in the middle is free.
        drop(set.remove(sockets.remove(1)).unwrap());
        drop(there.remove(1));
        there[1].write_all(b"early").unwrap();
        let done = set.exchange(me, &sockets[1], b"", None, EVENT).unwrap();
        assert_eq!(done.received, Some(5));
        let done = set.send(me, &sockets[0], &message, in_ms(2), EVENT).unwrap();
        assert!(done.timed_out && done.unsent > 0, "{done:?}");
        assert!(matches!(set.means, Means::Epoll(_)));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(2));
                set_latch(ipc);
                let mut got = vec![0; message.len()];
                there[0].read_exact(&mut got).unwrap();
                assert!(got == message);
                there[0].write_all(b"all of it").unwrap();
            });
            let done = set.exchange(me, &sockets[0], b"", in_ms(10_000), EVENT).unwrap();
            assert!(matches!(set.means, Means::Ring(_)));
            assert_eq!(set.received(&sockets[1]), b"early", "still");
            let mut end = done;
            while end.received.is_none() {
                assert!(end.latch_set && !end.timed_out, "{end:?}");
                me.latch().reset();
                end = set.exchange(me, &sockets[0], b"", in_ms(10_000), EVENT).unwrap();
            }
            assert_eq!(set.received(&sockets[0]), b"all of it");
        });
        there[1].write_all(b"late").unwrap();
        let wakeup = set.wait(me, &[(&sockets[1], Readiness::READABLE)], None, EVENT).unwrap();
        assert!(wakeup.readable.contains(&sockets[1]) && !wakeup.readable.contains(&sockets[0]));
        assert!(set.take_no_ring().is_none() && !watch.is_over().unwrap());
        drop(set);
        assert!(watch.wait_over(in_ms(10_000)).unwrap());
    });
}

#[test]
fn the_postmasters_death_is_noticed() {
    with_each(|_, me, how| {
        let mut postmaster = Command::new("sleep").arg("1000").spawn().unwrap();
        let pidfd = PidFd::open(Pid::from_child(&postmaster)).unwrap();
        let (here, _there) = UnixStream::pair().unwrap();
        let mut set = how.set(me, Some(pidfd.as_fd()));
        let socket = set.add(here).unwrap();
        let wakeup = set.wait(me, &[], in_ms(5), EVENT).unwrap();
        assert!(wakeup.timed_out && !wakeup.postmaster_dead);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(2));
                postmaster.kill().unwrap();
            });
            let done = set.exchange(me, &socket, b"x", None, EVENT).unwrap();
            assert!(done.postmaster_dead && done.received.is_none() && done.unsent == 0);
        });
        assert!(set.wait(me, &[], None, EVENT).unwrap().postmaster_dead, "still");
        postmaster.wait().unwrap();
    });
}

#[test]
fn the_last_breath_is_a_hangup() {
    with_each(|_, me, how| {
        let (watch, lifeline) = hangup_pipe(me.id()).unwrap();
        let (mut set, socket, _there) = connected(me, how);
        set.hold(lifeline, None).unwrap();
        let done = set.exchange(me, &socket, b"x", in_ms(2), EVENT).unwrap();
        assert!(done.timed_out, "now a receive is in flight");
        assert!(!watch.is_over().unwrap());
        let started = Monotonic::now();
        drop(set);
        assert!(watch.wait_over(in_ms(10_000)).unwrap());
        let took = Monotonic::now().saturating_since(started);
        assert!(took < PATIENCE_OF_DROP, "dropping took {took:?}");
    });
}

/// Dropping gives up waiting after a second; it must not come to that.
const PATIENCE_OF_DROP: Duration = Duration::from_millis(900);

/// Sets are counted by the news they come with; the peer's bytes have an order that shows losses.
#[test]
fn many_exchanges_among_many_sets() {
    const ROUNDS: u32 = 20_000;
    const NEWS: u64 = 20_000;
    with_each(|ipc, me, how| {
        let (mut set, socket, mut there) = connected(me, how);
        let news = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..NEWS {
                    news.fetch_add(1, Ordering::Relaxed);
                    set_latch(ipc);
                    if i % 3 == 0 {
                        thread::yield_now();
                    }
                }
            });
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    there.write_all(&round.to_ne_bytes()).unwrap();
                    let mut answer = [0; 4];
                    there.read_exact(&mut answer).unwrap();
                    assert_eq!(u32::from_ne_bytes(answer), round);
                }
            });
            let (mut seen, mut rounds, mut answer) = (0, 0, Vec::new());
            while rounds < ROUNDS {
                let done = set.exchange(me, &socket, &answer, in_ms(30_000), EVENT).unwrap();
                assert!(!done.timed_out, "stuck after {rounds} rounds and {seen} news");
                answer.clear();
                if done.latch_set {
                    me.latch().reset();
                    seen = news.load(Ordering::Relaxed);
                }
                if done.received.is_some() {
                    assert_eq!(set.received(&socket), rounds.to_ne_bytes());
                    answer.extend(rounds.to_ne_bytes());
                    rounds += 1;
                }
            }
            let done = set.send(me, &socket, &answer, in_ms(10_000), EVENT).unwrap();
            assert_eq!(done.unsent, 0);
            while seen < NEWS {
                let wakeup = set.wait(me, &[], in_ms(30_000), EVENT).unwrap();
                assert!(wakeup.latch_set && !wakeup.timed_out, "stuck at {seen} news");
                me.latch().reset();
                seen = news.load(Ordering::Relaxed);
            }
        });
        // Sleeps were sleeps: a wait that comes back at once, over and over, would be right too.
        assert!(counted(ipc) < 4 * (u64::from(ROUNDS) + NEWS), "{} waits", counted(ipc));
        // No wake-up is left that would end the next wait.
        me.latch().reset();
        let wakeup = set.wait(me, &[], in_ms(2), EVENT).unwrap();
        assert_eq!(wakeup, Wakeup { timed_out: true, ..Wakeup::default() });
    });
}
