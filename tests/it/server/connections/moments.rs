//! Connections that come at a bad moment: while the server stops, crashes, has no descriptor left, or has just lost the
//! spare that was to take them.

use std::fs;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::client::Client;
use super::ends::kill;
use super::limits::owner;
use crate::harness::{Test, tests};
use crate::server::TestServer;

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    who_comes_while_the_server_stops_is_told_or_turned_away: 60,
    who_comes_while_the_server_crashes_is_served_in_the_end: 90,
    who_waits_for_a_spare_that_is_killed_is_answered: 60,
    without_descriptors_the_server_waits_for_some: 60,
];

const READY: &str = "database system is ready to accept connections";

/// Whether somebody listens.
fn listens(server: &TestServer) -> bool {
    UnixStream::connect(format!("/tmp/.s.PGSQL.{}", server.port)).is_ok()
}

/// Connects over and over until told to end; the last message of each try. A try that hangs fails the test by the
/// client's patience.
fn come_and_go(server: &TestServer, is_over: &AtomicBool) -> Vec<String> {
    let mut ends = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let Some(mut client) = Client::try_unix(server) else {
            ends.push("refused".to_string());
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let mut got = client.start(0, &owner(), "postgres");
        got.retain(|line| line != "EOF" && line != "RESET");
        ends.push(got.pop().unwrap_or_else(|| "closed".to_string()));
    }
    ends
}

/// Four clients come and go while `act` runs; how their tries ended.
fn with_clients(server: &TestServer, act: impl FnOnce()) -> Vec<String> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| come_and_go(server, &is_over))).collect();
        std::thread::sleep(Duration::from_millis(200));
        act();
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().expect("no try hangs")).collect()
    })
}

fn expect_only(ends: &[String], wanted: &[&str]) {
    let odd: Vec<_> = ends.iter().filter(|end| !wanted.contains(&end.as_str())).collect();
    assert!(odd.is_empty(), "{odd:?}");
    assert!(ends.iter().any(|end| end == "Z I"), "nobody was served");
}

/// Found so: clients that kept coming kept the server from its end for as long as they did, each told by a dead-end child
/// that the postmaster, waiting for the last of those, then waited for too.
fn who_comes_while_the_server_stops_is_told_or_turned_away() {
    let mut server = TestServer::start("");
    let ends = with_clients(&server, || {
        server.signal(Signal::INT);
        let started = Instant::now();
        while listens(&server) {
            assert!(started.elapsed() < Duration::from_secs(20), "it goes on listening:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let told = "FATAL 57P03: the database system is shutting down";
    let ended = "FATAL 57P01: terminating connection due to administrator command";
    expect_only(&ends, &["Z I", told, ended, "refused", "closed"]);
    assert_eq!(server.wait(), Some(0));
}

/// Found so: a dead-end child forked just before the server was ready again told its client that there were too many.
fn who_comes_while_the_server_crashes_is_served_in_the_end() {
    let server = TestServer::start("");
    let checkpointer = server.wait_for_child("checkpointer");
    let ends = with_clients(&server, || {
        kill(checkpointer, Signal::KILL);
        server.wait_for_log(READY, 2);
    });
    let crash = "WARNING 57P02: terminating connection because of crash of another server process";
    expect_only(
        &ends,
        &[
            "Z I",
            crash,
            "FATAL 57P03: the database system is in recovery mode",
            "FATAL 57P03: the database system is starting up",
            "FATAL 57P03: the database system is not yet accepting connections",
            "refused",
            "closed",
        ],
    );
    assert_eq!(Client::session(&server, &owner()).empty_query(), ["I", "Z I"]);
}

/// All spares are stopped, so that the client's connection waits for one of them when that one dies. Until containment
/// comes this is a crash restart: who waits is told so, or waits it out in the listening socket's queue.
fn who_waits_for_a_spare_that_is_killed_is_answered() {
    let server = TestServer::start("min_spare_backends = 2\nmax_spare_backends = 2\n");
    let spares = || {
        let children = server.children().into_iter();
        children.filter(|(_, title)| title.contains("spare backend")).map(|(pid, _)| pid).collect::<Vec<_>>()
    };
    let started = Instant::now();
    while spares().len() < 2 {
        assert!(started.elapsed() < Duration::from_secs(20), "no spares");
    }
    let stopped = spares();
    stopped.iter().for_each(|pid| kill(*pid, Signal::STOP));
    let mut client = Client::unix(&server);
    kill(stopped[0], Signal::KILL);
    let got = client.start(0, &owner(), "postgres");
    let told = "FATAL 57P03: the database system is in recovery mode";
    let is_answered = got.last().is_some_and(|last| last == "Z I") || got == [told, "EOF"];
    assert!(is_answered, "{got:?}\n{}", server.log());
    server.wait_for_log(READY, 2);
    assert_eq!(Client::session(&server, &owner()).empty_query(), ["I", "Z I"]);
    for pid in stopped.into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process(pid, Signal::CONT);
    }
}

/// The postmaster cannot fork without descriptors for the child's pipe. It says so, serves with the spares it has, and
/// goes on when there are descriptors again.
fn without_descriptors_the_server_waits_for_some() {
    let server = TestServer::start("min_spare_backends = 2\nmax_spare_backends = 2\n");
    server.wait_for_child("spare backend");
    let postmaster = server.postmaster();
    let fds =
        fs::read_dir(format!("/proc/{}/fd", postmaster.as_raw_nonzero())).expect("it lives").count() as u64;
    let limit = |current: u64| {
        let whole = rustix::process::getrlimit(Resource::Nofile);
        let new = Rlimit { current: Some(current), maximum: whole.maximum };
        prlimit(Some(postmaster), Resource::Nofile, new).expect("it is ours")
    };
    let before = limit(fds.saturating_sub(2));
    let first = Client::try_unix(&server).map(|mut client| client.start(0, &owner(), "postgres"));
    assert!(first.is_some_and(|got| got.last().is_some_and(|last| last == "Z I")), "{}", server.log());
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.extend(Client::try_unix(&server));
    }
    let started = Instant::now();
    while !server.log().contains("could not fork") {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", server.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    limit(before.current.expect("it has a limit"));
    for mut client in waiting {
        let got = client.start(0, &owner(), "postgres");
        assert_eq!(got.last().map(String::as_str), Some("Z I"), "{got:?}\n{}", server.log());
    }
    assert!(!server.log().contains("reinitializing"), "{}", server.log());
}
