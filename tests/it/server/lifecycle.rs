//! Start, stop, crash: who runs when, under which title, what the log says, and what each signal does.

use rustix::process::{Pid, Signal, kill_process};

use super::{TestServer, tuskd, wait_until_gone};
use crate::harness::{Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    the_tree_has_its_titles,
    postmaster_pid_has_eight_lines,
    a_fast_stop_is_orderly,
    a_smart_stop_is_orderly,
    an_immediate_stop_ends_with_it,
    a_killed_checkpointer_is_a_crash_restart,
    a_killed_statistics_process_is_started_again_alone,
    without_restart_after_crash_the_server_ends,
    stopped_children_are_killed_after_five_seconds: 60,
    children_notice_the_postmasters_death,
    a_second_start_is_refused,
    a_cluster_name_stands_in_every_title,
    titles_as_in_postgresql_18,
];

fn the_tree_has_its_titles() {
    let server = TestServer::start("");
    for title in [
        "postgres: checkpointer process",
        "postgres: writer process",
        "postgres: wal writer process",
        "postgres: stats collector process",
        "postgres: autovacuum launcher process",
    ] {
        let pid = server.wait_for_child(title);
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("it lives");
        assert_eq!(comm.trim(), "postgres");
    }
    assert!(server.child_titled("startup process").is_none(), "recovery is done");
    assert!(server.child_titled("archiver process").is_none(), "archive_mode is off");
}

fn postmaster_pid_has_eight_lines() {
    let server = TestServer::start("");
    let text = std::fs::read_to_string(server.dir.join("postmaster.pid")).expect("it is there");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 8, "{text}");
    assert_eq!(lines[0], server.postmaster().as_raw_nonzero().to_string());
    assert_eq!(lines[1], server.dir.display().to_string());
    assert!(lines[2].parse::<i64>().expect("seconds") > 1_700_000_000);
    assert_eq!(lines[3], server.port.to_string());
    assert_eq!(lines[4], "/tmp");
    assert_eq!(lines[7], "ready   ");
}

fn stops(signal: Signal, request: &str) {
    let mut server = TestServer::start("");
    server.signal(signal);
    assert_eq!(server.wait(), Some(0));
    let log = server.log();
    assert!(log.contains(request), "{log}");
    assert!(log.contains("database system is shut down"), "{log}");
    assert!(!server.dir.join("postmaster.pid").exists());
    assert!(!log.contains("terminated by signal"), "{log}");
}

fn a_fast_stop_is_orderly() {
    stops(Signal::INT, "received fast shutdown request");
}

fn a_smart_stop_is_orderly() {
    stops(Signal::TERM, "received smart shutdown request");
}

fn an_immediate_stop_ends_with_it() {
    stops(Signal::QUIT, "received immediate shutdown request");
}

fn a_killed_checkpointer_is_a_crash_restart() {
    let mut server = TestServer::start("");
    let before = server.wait_for_child("checkpointer");
    server.wait_for_child("autovacuum launcher");
    kill_process(Pid::from_raw(before).unwrap(), Signal::KILL).expect("it lives");
    server.wait_for_log("database system is ready to accept connections", 2);
    let log = server.log();
    let lines = [
        format!("checkpointer process (PID {before}) was terminated by signal 9: Killed"),
        "terminating any other active server processes".to_string(),
        "all server processes terminated; reinitializing".to_string(),
    ];
    let mut at = 0;
    for line in lines {
        let found = log[at..].find(&line).unwrap_or_else(|| panic!("{line:?} is not there in order:\n{log}"));
        at += found;
    }
    assert_ne!(server.wait_for_child("checkpointer"), before);
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
}

fn a_killed_statistics_process_is_started_again_alone() {
    let server = TestServer::start("");
    let before = server.wait_for_child("stats collector");
    let checkpointer = server.wait_for_child("checkpointer");
    kill_process(Pid::from_raw(before).unwrap(), Signal::KILL).expect("it lives");
    wait_until_gone(Pid::from_raw(before).unwrap());
    assert_ne!(server.wait_for_child("stats collector"), before);
    assert_eq!(server.wait_for_child("checkpointer"), checkpointer, "nobody else is touched");
}

fn without_restart_after_crash_the_server_ends() {
    let mut server = TestServer::start("restart_after_crash = off\n");
    let victim = server.wait_for_child("checkpointer");
    kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).expect("it lives");
    assert_eq!(server.wait(), Some(1));
    assert!(
        server.log().contains("shutting down because \"restart_after_crash\" is off"),
        "{}",
        server.log()
    );
}

/// A stopped process does not hear SIGQUIT.
fn stopped_children_are_killed_after_five_seconds() {
    let mut server = TestServer::start("");
    let stopped = server.wait_for_child("writer process");
    kill_process(Pid::from_raw(stopped).unwrap(), Signal::STOP).expect("it lives");
    let started = std::time::Instant::now();
    server.signal(Signal::QUIT);
    assert_eq!(server.wait(), Some(0));
    let took = started.elapsed().as_secs_f64();
    assert!((4.5..10.0).contains(&took), "{took} s");
    assert!(server.log().contains("issuing SIGKILL to recalcitrant children"), "{}", server.log());
}

fn children_notice_the_postmasters_death() {
    let mut server = TestServer::start("");
    server.wait_for_child("autovacuum launcher");
    let children = server.children();
    server.signal(Signal::KILL);
    let _ = server.wait();
    let started = std::time::Instant::now();
    for (pid, _) in children {
        wait_until_gone(Pid::from_raw(pid).unwrap());
    }
    assert!(started.elapsed().as_secs_f64() < 1.0, "within a second");
    assert!(server.dir.join("postmaster.pid").exists(), "nobody was left to remove it");
    server.launch();
    server.wait_for_log("another server might be running; trying to start server anyway", 1);
    server.wait_for_log("database system is ready to accept connections", 2);
}

fn a_second_start_is_refused() {
    let server = TestServer::start("");
    let output = tuskd().args(["run", "-D"]).arg(&server.dir).output().expect("tuskd runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("FATAL:  lock file \"postmaster.pid\" already exists"), "{text}");
    let hint = format!(
        "HINT:  Is another postmaster (PID {}) running in data directory \"{}\"?",
        server.postmaster().as_raw_nonzero(),
        server.dir.display()
    );
    assert!(text.contains(&hint), "{text}");
}

fn a_cluster_name_stands_in_every_title() {
    let server = TestServer::start("cluster_name = 'cluster1'\n");
    server.wait_for_child("postgres: cluster1: checkpointer process");
    server.wait_for_child("postgres: cluster1: autovacuum launcher process");
}

fn titles_as_in_postgresql_18() {
    let server = TestServer::start("process_title_style = postgres18\n");
    server.wait_for_child("postgres: checkpointer ");
    server.wait_for_child("postgres: background writer ");
    server.wait_for_child("postgres: walwriter ");
}
