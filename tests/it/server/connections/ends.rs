//! How sessions end: signals, crashes of others, immediate stops, the postmaster's death.

use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::limits::owner;
use crate::harness::{Test, tests};
use crate::server::{TestServer, tuskd, wait_until_gone};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    sigterm_tells_the_client,
    sigint_does_nothing_to_an_idle_session,
    sigquit_to_one_session_is_a_crash_restart,
    a_killed_session_ends_the_others_with_a_warning,
    an_immediate_stop_warns,
    a_session_outlives_the_postmaster,
];

const READY: &str = "database system is ready to accept connections";

/// Signals a session.
pub fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("it lives");
}

fn sigterm_tells_the_client() {
    let server = TestServer::start("");
    let (mut client, mut other) = (Client::session(&server, &owner()), Client::session(&server, &owner()));
    kill(client.pid, Signal::TERM);
    let told = "FATAL 57P01: terminating connection due to administrator command";
    assert_eq!(client.until_eof(), [told, "EOF"]);
    wait_until_gone(Pid::from_raw(client.pid).expect("a pid"));
    assert_eq!(other.empty_query(), ["I", "Z I"]);
    assert!(!server.log().contains("reinitializing"), "{}", server.log());
}

fn sigint_does_nothing_to_an_idle_session() {
    let server = TestServer::start("");
    let mut client = Client::session(&server, &owner());
    kill(client.pid, Signal::INT);
    assert_eq!(client.empty_query(), ["I", "Z I"]);
}

fn sigquit_to_one_session_is_a_crash_restart() {
    let server = TestServer::start("");
    let mut client = Client::session(&server, &owner());
    kill(client.pid, Signal::QUIT);
    let told = "WARNING 57P01: terminating connection because of unexpected SIGQUIT signal";
    assert_eq!(client.until_eof(), [told, "EOF"]);
    server.wait_for_log(READY, 2);
    let line = format!("server process (PID {}) exited with exit code 2", client.pid);
    assert!(server.log().contains(&line), "{}", server.log());
}

fn a_killed_session_ends_the_others_with_a_warning() {
    let server = TestServer::start("");
    let mut victim = Client::session(&server, &owner());
    victim.send(|out| out.query("select 1"));
    victim.until_ready();
    let mut others: Vec<Client> = (0..5).map(|_| Client::session(&server, &owner())).collect();
    kill(victim.pid, Signal::KILL);
    assert!(matches!(&*victim.next(), "EOF" | "RESET"));
    let told = "WARNING 57P02: terminating connection because of crash of another server process";
    for other in &mut others {
        assert_eq!(other.until_eof(), [told, "EOF"]);
    }
    server.wait_for_log(READY, 2);
    let log = server.log();
    let mut at = 0;
    for line in [
        &*format!("LOG:  server process (PID {}) was terminated by signal 9: Killed", victim.pid),
        "DETAIL:  Failed process was running: select 1",
        "LOG:  terminating any other active server processes",
        "LOG:  all server processes terminated; reinitializing",
        READY,
    ] {
        at += log[at..].find(line).unwrap_or_else(|| panic!("{line:?} is not there in order:\n{log}"));
    }
    assert_eq!(Client::session(&server, &owner()).empty_query(), ["I", "Z I"]);
}

fn an_immediate_stop_warns() {
    let mut server = TestServer::start("");
    let mut client = Client::session(&server, &owner());
    server.signal(Signal::QUIT);
    let told = "WARNING 57P01: terminating connection due to immediate shutdown command";
    assert_eq!(client.until_eof(), [told, "EOF"]);
    assert_eq!(server.wait(), Some(0));
}

fn a_session_outlives_the_postmaster() {
    let mut server = TestServer::start("");
    let mut client = Client::session(&server, &owner());
    server.wait_for_child("autovacuum launcher");
    server.wait_for_child("spare backend process");
    let children = server.children();
    server.signal(Signal::KILL);
    let _ = server.wait();
    let started = Instant::now();
    for (pid, _) in children.iter().filter(|(pid, _)| *pid != client.pid) {
        wait_until_gone(Pid::from_raw(*pid).expect("a pid"));
    }
    assert!(started.elapsed().as_secs_f64() < 1.0, "within a second");
    assert_eq!(client.empty_query(), ["I", "Z I"]);
    assert!(UnixStream::connect(format!("/tmp/.s.PGSQL.{}", server.port)).is_err(), "nobody listens");
    let output = tuskd().args(["run", "-D"]).arg(&server.dir).output().expect("tuskd runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("pre-existing shared memory block") && text.contains("is still in use"), "{text}");
    assert!(text.contains(&format!("(PIDs: {})", client.pid)), "{text}");
    client.send(|out| out.terminate());
    assert_eq!(client.until_eof(), ["EOF"]);
    wait_until_gone(Pid::from_raw(client.pid).expect("a pid"));
    server.launch();
    server.wait_for_log(READY, 2);
}
