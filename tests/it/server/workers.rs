//! Background workers, registered before the start and at run time, and the autovacuum launcher's workers.

pub mod programs;

use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tuskd::ipc::Ipc;
use tuskd::ipc::stop_points::{Action, StopPoint};
use tuskd::shmem::Segment;
use tuskd::sync::Monotonic;

use super::{TestServer, wait_until_gone};
use crate::harness::{Skip, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    workers_start_at_their_moments_and_end_with_the_server,
    a_workers_exit_code_says_whether_it_comes_again,
    a_killed_worker_is_a_crash_restart_and_comes_at_once,
    too_many_workers_are_left_out,
    a_worker_without_its_function_fails,
    workers_are_registered_at_run_time,
    workers_are_registered_without_io_uring,
    a_waiter_learns_of_the_postmasters_death,
    a_worker_shows_in_pg_stat_activity,
    no_worker_can_be_registered_where_there_is_no_slot,
    autovacuum_visits_every_database,
    autovacuum_workers_are_limited,
    the_launcher_hears_that_a_worker_could_not_be_forked,
];

const READY: &str = "database system is ready to accept connections";

fn start(scenario: &str, settings: &str) -> TestServer {
    let mut server = TestServer::init(&format!("log_min_messages = debug1\n{settings}"));
    server.launch_scenario(scenario);
    server.wait_for_log(READY, 1);
    server
}

fn position(log: &str, text: &str) -> usize {
    log.find(text).unwrap_or_else(|| panic!("{text:?} is not in {log}"))
}

fn workers_start_at_their_moments_and_end_with_the_server() {
    let mut server = start("moments", "log_line_prefix = '%b|'\n");
    let early = server.wait_for_child("postgres: bgworker: early");
    server.wait_for_child("postgres: bgworker: consistent");
    server.wait_for_child("postgres: bgworker: late");
    let log = server.log();
    for name in ["early", "consistent", "late"] {
        let registered = position(&log, &format!("registering background worker \"{name}\""));
        let started = position(&log, &format!("starting background worker process \"{name}\""));
        assert!(registered < started, "{log}");
        assert_eq!(name == "early", started < position(&log, READY), "{name}: {log}");
    }
    server.signal(Signal::HUP);
    for name in ["early", "consistent", "late"] {
        server.wait_for_log(&format!("{name} has read its settings again"), 1);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    let fatal =
        "early type|FATAL:  terminating background worker \"early type\" due to administrator command";
    let ended =
        format!("postmaster|LOG:  background worker \"early type\" (PID {early}) exited with exit code 1");
    assert!(position(&log, fatal) < position(&log, &ended), "{log}");
    assert!(position(&log, &ended) < position(&log, "LOG:  shutting down"), "before the checkpoint: {log}");
}

fn a_workers_exit_code_says_whether_it_comes_again() {
    let server = start("ends", "");
    let began = Instant::now();
    server.wait_for_log("starting background worker process \"again\"", 3);
    let took = began.elapsed().as_secs_f64();
    assert!((1.5..10.0).contains(&took), "a second between two starts: {took} s");
    let log = server.log();
    assert_eq!(log.matches("starting background worker process \"done\"").count(), 1, "{log}");
    assert_eq!(log.matches("starting background worker process \"once\"").count(), 1, "{log}");
    assert!(log.contains("LOG:  background worker \"once\" (PID "), "{log}");
    assert!(log.contains("DEBUG:  unregistering background worker \"once\""), "{log}");
    assert!(log.contains("DEBUG:  background worker \"done\" (PID "), "exit code 0 is no news: {log}");
    assert!(log.contains("unregistering background worker \"done\""), "{log}");
    assert!(!log.contains("unregistering background worker \"again\""), "{log}");
    assert!(!log.contains("reinitializing"), "{log}");
}

fn a_killed_worker_is_a_crash_restart_and_comes_at_once() {
    let server = start("crash", "");
    let killed = server.wait_for_child("bgworker: comes again");
    server.wait_for_child("bgworker: does not");
    kill_process(Pid::from_raw(killed).expect("a pid"), Signal::KILL).expect("it lives");
    server.wait_for_log(READY, 2);
    assert_ne!(server.wait_for_child("bgworker: comes again"), killed, "an hour is not waited for");
    let log = server.log();
    let line = format!(
        "LOG:  background worker \"comes again type\" (PID {killed}) was terminated by signal 9: Killed"
    );
    assert!(position(&log, &line) < position(&log, "terminating any other active server processes"), "{log}");
    assert!(log.contains("unregistering background worker \"does not\""), "{log}");
    assert_eq!(log.matches("starting background worker process \"does not\"").count(), 1, "{log}");
}

fn too_many_workers_are_left_out() {
    let server = start("moments", "max_worker_processes = 1\n");
    server.wait_for_child("bgworker: late");
    let log = server.log();
    assert_eq!(log.matches("LOG:  too many background workers").count(), 2, "{log}");
    assert!(
        log.contains("DETAIL:  Up to 1 background worker can be registered with the current settings."),
        "{log}"
    );
    let hint = "HINT:  Consider increasing the configuration parameter \"max_worker_processes\".";
    assert!(log.contains(hint), "{log}");
    assert!(server.child_titled("bgworker: early").is_none());
}

fn a_worker_without_its_function_fails() {
    let server = start("unknown", "");
    server.wait_for_log("ERROR:  internal function \"no such function\" not found", 1);
    server.wait_for_log("background worker \"lost\" (PID ", 1);
    server.wait_for_log("unregistering background worker \"lost\"", 1);
}

fn workers_are_registered_at_run_time() {
    register_at_run_time("");
}

/// Where latches wake by signals.
fn workers_are_registered_without_io_uring() {
    register_at_run_time("io_method = sync\n");
}

fn register_at_run_time(settings: &str) {
    let server = start("supervisor", &format!("max_worker_processes = 5\n{settings}"));
    server.wait_for_log("unregistering background worker \"supervisor\"", 1);
    let log = server.log();
    for line in [
        "supervisor: started: true",
        "supervisor: ended: Ok(Stopped)",
        "supervisor: done by itself: Ok(Stopped)",
        "supervisor: free slots: 4",
        "supervisor: refused: background worker \"never\": cannot request database access if starting at postmaster start",
        "supervisor: all ended: true",
        "supervisor: slots again: true",
    ] {
        assert!(log.contains(line), "{line:?} is not in {log}");
    }
    server.wait_for_log("unregistering background worker \"last\"", 1);
    assert!(!log.contains("reinitializing"), "{log}");
}

fn a_waiter_learns_of_the_postmasters_death() {
    let mut server = start("orphan", "");
    server.wait_for_log("supervisor: started: true", 1);
    let children = server.children();
    server.signal(Signal::KILL);
    let _ = server.wait();
    server.wait_for_log("supervisor: found: Ok(PostmasterDied)", 1);
    for (pid, _) in children {
        wait_until_gone(Pid::from_raw(pid).expect("a pid"));
    }
}

fn select(server: &TestServer, sql: &str) -> String {
    let port = server.port.to_string();
    let args = ["-h", "/tmp", "-p", &port, "-d", "postgres", "-AtXc", sql];
    let output = std::process::Command::new("psql").args(args).output().expect("psql is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn a_worker_shows_in_pg_stat_activity() {
    let server = start("database", "");
    let pid = server.wait_for_child("bgworker: reader");
    let sql = "select pid, datname, usename, backend_type, wait_event from pg_stat_activity \
               where backend_type = 'reader'";
    let owner = super::connections::limits::owner();
    let expected = format!("{pid}|postgres|{owner}|reader|MainLoop");
    crate::world::eventually(|| select(&server, sql) == expected);
}

fn no_worker_can_be_registered_where_there_is_no_slot() {
    let server = start("moments", "max_worker_processes = 0\n");
    let log = server.log();
    assert_eq!(log.matches("LOG:  too many background workers").count(), 3, "{log}");
    assert!(log.contains("Up to 0 background workers can be registered"), "{log}");
    assert!(server.child_titled("bgworker").is_none());
}

fn autovacuum_visits_every_database() {
    let server = TestServer::start("log_min_messages = debug1\nautovacuum_naptime = 1s\n");
    let began = Instant::now();
    server.wait_for_log("autovacuum: processing database \"postgres\"", 3);
    server.wait_for_log("autovacuum: processing database \"template1\"", 2);
    let took = began.elapsed().as_secs_f64();
    assert!((1.5..10.0).contains(&took), "each once a second: {took} s");
    let log = server.log();
    assert!(!log.contains("database \"template0\""), "nobody can change it: {log}");
    assert!(!log.contains("too long to start") && !log.contains("reinitializing"), "{log}");
}

/// The server's shared memory, as `tuskd top` finds it.
fn attach(server: &TestServer) -> Segment {
    let text = std::fs::read_to_string(server.dir.join("postmaster.pid")).expect("it is there");
    let fd = text.lines().nth(6).and_then(|line| line.split_whitespace().next()).expect("line 7");
    let path = format!("/proc/{}/fd/{fd}", server.postmaster().as_raw_nonzero());
    let memfd = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("the memfd");
    Segment::attach(memfd.into()).expect("a segment")
}

fn autovacuum_workers_are_limited() -> Result<(), Skip> {
    if !cfg!(any(debug_assertions, feature = "stop-points")) {
        return Err(Skip("there are no stop points in this build".to_owned()));
    }
    let mut server =
        TestServer::init("autovacuum_naptime = 1s\nautovacuum_max_workers = 2\nautovacuum = off\n");
    server.launch();
    server.wait_for_log(READY, 1);
    let segment = attach(&server);
    let ipc = Ipc::open(&segment).expect("the runtime's regions");
    ipc.stop_points().arm(StopPoint::AutovacuumWorkerStarted, Action::Pause, None, 0);
    std::fs::write(server.dir.join("postgresql.auto.conf"), "autovacuum = on\n").expect("writable");
    server.signal(Signal::HUP);
    let workers = || -> Vec<String> {
        let titles = server.children().into_iter().map(|(_, title)| title);
        titles.filter(|title| title.contains("autovacuum worker process")).collect()
    };
    let wanted =
        ["postgres", "template1"].map(|name| format!("postgres: autovacuum worker process   {name}"));
    crate::world::eventually(|| {
        let mut titles = workers();
        titles.sort();
        titles == wanted
    });
    // Two more would have come by then.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(workers().len(), 2, "autovacuum_max_workers");
    ipc.stop_points().release(StopPoint::AutovacuumWorkerStarted);
    crate::world::eventually(|| workers().is_empty());
    ipc.stop_points().arm(StopPoint::AutovacuumWorkerStarted, Action::Pause, None, 0);
    let soon = Monotonic::now().saturating_add(Duration::from_secs(20));
    assert!(ipc.stop_points().wait_for_hit(StopPoint::AutovacuumWorkerStarted, soon), "the next ones come");
    ipc.stop_points().release(StopPoint::AutovacuumWorkerStarted);
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    assert!(!server.log().contains("terminated by signal"), "{}", server.log());
    Ok(())
}

fn the_launcher_hears_that_a_worker_could_not_be_forked() {
    let server = TestServer::start("log_min_messages = debug1\nautovacuum_naptime = 1s\n");
    server.wait_for_child("autovacuum launcher");
    // No descriptor is free any more, and a child needs some.
    let before = prlimit(
        Some(server.postmaster()),
        Resource::Nofile,
        Rlimit { current: Some(3), maximum: Some(4096) },
    );
    let failed = "could not fork autovacuum worker process: ";
    server.wait_for_log(failed, 1);
    server.wait_for_log(failed, 2);
    let current = before.expect("ours").current;
    let back = Rlimit { current: current.map(|n| n.min(4096)), maximum: Some(4096) };
    prlimit(Some(server.postmaster()), Resource::Nofile, back).expect("ours");
    let seen = server.log().matches("autovacuum: processing database").count();
    server.wait_for_log("autovacuum: processing database", seen + 2);
    assert!(!server.log().contains("reinitializing"), "{}", server.log());
}
