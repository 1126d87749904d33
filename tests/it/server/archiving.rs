//! The archiver: in which order files go, what becomes of failures, and what ends a command.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{TestServer, wait_until_gone};
use crate::harness::{Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    marked_files_go_in_their_turn,
    a_failing_command_is_tried_three_times,
    a_missing_command_ends_the_archiver,
    without_a_command_nothing_is_archived,
    marks_of_missing_files_are_removed,
    a_stop_archives_what_is_there,
    a_signal_ends_the_command_that_runs,
    an_emergency_ends_the_command_that_runs,
];

const SEGMENTS: [&str; 2] = ["0000000100000000000000A1", "0000000100000000000000A2"];

/// A server with a folder `archive` and this command.
fn server(command: &str) -> TestServer {
    let server = TestServer::init(&format!(
        "archive_mode = on\nlog_min_messages = debug1\narchive_command = '{command}'\n"
    ));
    fs::create_dir(server.dir.join("archive")).expect("a new folder");
    server
}

fn started(mut server: TestServer) -> TestServer {
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 1);
    server
}

fn status(server: &TestServer, name: &str) -> PathBuf {
    server.dir.join("pg_wal/archive_status").join(name)
}

/// A file in the log's folder that waits to be archived.
fn mark(server: &TestServer, name: &str) {
    fs::write(server.dir.join("pg_wal").join(name), name).expect("writable");
    fs::write(status(server, &format!("{name}.ready")), "").expect("writable");
}

/// Has the archiver look.
fn wake(server: &TestServer) {
    let archiver = server.wait_for_child("archiver process");
    kill_process(Pid::from_raw(archiver).unwrap(), Signal::USR1).expect("it lives");
}

fn wait_for(what: &str, server: &TestServer, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_until_done(server: &TestServer, name: &str) {
    wait_for(name, server, || status(server, &format!("{name}.done")).exists());
}

/// Process id that a command has written there.
fn pid_in(server: &TestServer, file: &str) -> Pid {
    let path = server.dir.join(file);
    let mut pid = None;
    wait_for(file, server, || {
        pid = fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
        pid.is_some()
    });
    Pid::from_raw(pid.unwrap().trim().parse().expect("a number")).expect("a pid")
}

fn marked_files_go_in_their_turn() {
    let server = server("echo %f >> archive/order && cp %p archive/%f");
    let history = "00000002.history";
    for name in [SEGMENTS[1], history, SEGMENTS[0]] {
        mark(&server, name);
    }
    let server = started(server);
    wait_until_done(&server, SEGMENTS[1]);
    let order = fs::read_to_string(server.dir.join("archive/order")).expect("it archived");
    let ours: Vec<&str> = order.lines().filter(|name| *name == history || SEGMENTS.contains(name)).collect();
    assert_eq!(ours, [history, SEGMENTS[0], SEGMENTS[1]]);
    let copy = fs::read_to_string(server.dir.join("archive").join(SEGMENTS[0])).expect("it is archived");
    assert_eq!(copy, SEGMENTS[0]);
    assert!(!status(&server, &format!("{}.ready", SEGMENTS[1])).exists());
    server.wait_for_child(&format!("postgres: archiver process   last was {}", SEGMENTS[1]));
    let line = format!("DEBUG:  archived write-ahead log file \"{}\"", SEGMENTS[1]);
    assert!(server.log().contains(&line), "{}", server.log());
}

fn a_failing_command_is_tried_three_times() {
    let server = server("echo try >> archive/tries; exit 3");
    mark(&server, SEGMENTS[0]);
    let server = started(server);
    let warning = format!(
        "WARNING:  archiving write-ahead log file \"{}\" failed too many times, will try again later",
        SEGMENTS[0]
    );
    server.wait_for_log(&warning, 1);
    let log = server.log();
    assert_eq!(log.matches("LOG:  archive command failed with exit code 3").count(), 3, "{log}");
    let detail = "DETAIL:  The failed archive command was: echo try >> archive/tries; exit 3";
    assert_eq!(log.matches(detail).count(), 3, "{log}");
    server.wait_for_child(&format!("postgres: archiver process   failed on {}", SEGMENTS[0]));
    assert_eq!(fs::read_to_string(server.dir.join("archive/tries")).unwrap(), "try\ntry\ntry\n");
    assert!(status(&server, &format!("{}.ready", SEGMENTS[0])).exists());
}

fn a_missing_command_ends_the_archiver() {
    let server = server("no_such_command %p");
    mark(&server, SEGMENTS[0]);
    let server = started(server);
    server.wait_for_log("FATAL:  archive command failed with exit code 127", 1);
    wait_for("it ends", &server, || server.child_titled("archiver process").is_none());
    // It is not started again in a loop, and nobody else is touched.
    std::thread::sleep(Duration::from_millis(300));
    let log = server.log();
    assert_eq!(log.matches("FATAL:  archive command failed").count(), 1, "{log}");
    assert!(!log.contains("terminating any other active server processes"), "{log}");
    assert!(!log.contains("archiver process (PID"), "it has said why: {log}");
    server.wait_for_log("FATAL:  archive command failed with exit code 127", 2);
}

fn without_a_command_nothing_is_archived() {
    let server = server("");
    mark(&server, SEGMENTS[0]);
    let server = started(server);
    server.wait_for_log("WARNING:  \"archive_mode\" enabled, yet archiving is not configured", 1);
    server.wait_for_log("DETAIL:  \"archive_command\" is not set.", 1);
    let conf = server.dir.join("postgresql.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, text + "archive_command = 'cp %p archive/%f'\n").unwrap();
    server.signal(Signal::HUP);
    wait_until_done(&server, SEGMENTS[0]);
    // A letter that means nothing is told, and tried again like any failure.
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, text + "archive_command = 'cp %p archive/%f %r'\n").unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("parameter \"archive_command\" changed to \"cp %p archive/%f %r\"", 1);
    mark(&server, SEGMENTS[1]);
    wake(&server);
    let error = "ERROR:  invalid value for parameter \"archive_command\": \"cp %p archive/%f %r\"";
    server.wait_for_log(error, 3);
    server.wait_for_log("DETAIL:  String contains unexpected placeholder \"%r\".", 3);
}

fn marks_of_missing_files_are_removed() {
    let server = server("cp %p archive/%f");
    fs::write(status(&server, &format!("{}.ready", SEGMENTS[0])), "").unwrap();
    fs::write(status(&server, &format!("{}.done", SEGMENTS[1])), "").unwrap();
    mark(&server, "0000000100000000000000A3");
    let server = started(server);
    wait_until_done(&server, "0000000100000000000000A3");
    let warning = format!(
        "WARNING:  removed orphan archive status file \"pg_wal/archive_status/{}.ready\"",
        SEGMENTS[0]
    );
    server.wait_for_log(&warning, 1);
    assert!(!status(&server, &format!("{}.ready", SEGMENTS[0])).exists());
    assert!(!status(&server, &format!("{}.done", SEGMENTS[1])).exists());
}

fn a_stop_archives_what_is_there() {
    let mut server = started(server("sleep 0.2; cp %p archive/%f"));
    server.wait_for_child("archiver process");
    for name in SEGMENTS {
        mark(&server, name);
    }
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    for name in SEGMENTS {
        assert!(status(&server, &format!("{name}.done")).exists(), "{}", server.log());
        assert!(server.dir.join("archive").join(name).exists());
    }
}

const SLOW: &str = "sleep 600 & echo $! > child; wait";

fn a_signal_ends_the_command_that_runs() {
    let server = server(SLOW);
    mark(&server, SEGMENTS[0]);
    let server = started(server);
    let child = pid_in(&server, "child");
    let archiver = Pid::from_raw(server.wait_for_child("archiver process")).unwrap();
    kill_process(archiver, Signal::TERM).expect("it lives");
    wait_until_gone(archiver);
    wait_until_gone(child);
    assert!(!server.log().contains("archiver process (PID"), "an orderly end: {}", server.log());
}

/// The command's own children are in its group, which the postmaster ends with the archiver.
fn an_emergency_ends_the_command_that_runs() {
    let mut server = server("trap : TERM; sleep 600 & echo $! > child; wait; wait");
    mark(&server, SEGMENTS[0]);
    let server = &mut server;
    server.launch();
    let child = pid_in(server, "child");
    assert!(test_kill_process(child).is_ok());
    server.signal(Signal::QUIT);
    assert_eq!(server.wait(), Some(0));
    wait_until_gone(child);
}
