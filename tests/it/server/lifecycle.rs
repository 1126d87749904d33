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
    children_have_no_descriptor_of_the_postmasters_loop,
    more_processes_than_can_be_numbered_are_refused,
    a_cluster_name_stands_in_every_title,
    titles_as_in_postgresql_18,
    metrics_are_served_without_a_connection_slot,
    the_logger_outlives_everybody,
    a_killed_logger_loses_nothing,
    systemd_is_told,
    a_bad_pg_hba_conf_ends_a_start_and_not_a_reload,
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
    let options = std::fs::read_to_string(server.dir.join("postmaster.opts")).expect("the server wrote it");
    assert_eq!(options, format!("{} \"-D\" \"{}\"\n", env!("CARGO_BIN_EXE_tuskd"), server.dir.display()));
    let mut second = tuskd();
    second.args(["run", "-c", "work_mem=1MB", "-D"]).arg(&server.dir);
    let output = second.output().expect("tuskd runs");
    assert_eq!(output.status.code(), Some(1));
    let after = std::fs::read_to_string(server.dir.join("postmaster.opts")).expect("it stays");
    assert_eq!(after, options, "it is about the server that runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("FATAL:  lock file \"postmaster.pid\" already exists"), "{text}");
    let hint = format!(
        "HINT:  Is another postmaster (PID {}) running in data directory \"{}\"?",
        server.postmaster().as_raw_nonzero(),
        server.dir.display()
    );
    assert!(text.contains(&hint), "{text}");
}

/// More than 65,535 process slots were a panic.
fn more_processes_than_can_be_numbered_are_refused() {
    for setting in ["max_connections", "max_worker_processes", "autovacuum_worker_slots"] {
        let server = TestServer::init(&format!("{setting} = 70000\n"));
        let output = tuskd().args(["run", "-D"]).arg(&server.dir).output().expect("tuskd runs");
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("FATAL:  too many server processes configured"), "{text}");
        assert!(text.contains(&format!("\"{setting}\" (70000)")), "{text}");
    }
}

/// Children inherited the postmaster's epoll instance and signalfd, through which they could have changed what it watches.
fn children_have_no_descriptor_of_the_postmasters_loop() {
    let server = TestServer::start("logging_collector = off\n");
    server.wait_for_child("spare backend process");
    server.wait_for_child("autovacuum launcher");
    let links = |pid: i32| -> Vec<String> {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
        fds.filter_map(|fd| Some(std::fs::read_link(fd.path()).ok()?.display().to_string())).collect()
    };
    let own = links(server.postmaster().as_raw_nonzero().get());
    assert!(own.iter().any(|link| link.contains("eventpoll")) && own.iter().any(|l| l.contains("signalfd")));
    // One that was just forked still has them, and the postmaster's title.
    for (pid, title) in server.children().into_iter().filter(|(_, title)| title.starts_with("postgres:")) {
        let links = links(pid);
        assert!(!links.iter().any(|link| link.contains("signalfd")), "{title}: {links:?}");
        // Each begins with an epoll instance of its own.
        let polls = links.iter().filter(|link| link.contains("eventpoll")).count();
        assert!(polls <= 1, "{title}: {links:?}");
    }
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

fn get(port: u16, path: &str) -> String {
    use std::io::{Read, Write};
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    write!(client, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("text");
    answer
}

fn metrics_are_served_without_a_connection_slot() {
    let server = TestServer::start("metrics_port = $NEXT_PORT\n");
    let pid = server.wait_for_child("postgres: metrics process");
    let wait = format!("/proc/{pid}/wchan");
    crate::world::eventually(|| std::fs::read_to_string(&wait).is_ok_and(|w| w != "0" && !w.is_empty()));
    let answer = get(server.port + 1, "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in [
        "tuskd_processes{kind=\"checkpointer\"} 1",
        "tuskd_sessions 0",
        "tuskd_max_connections 100",
        "# TYPE tuskd_waits_total counter",
    ] {
        assert!(answer.contains(line), "{line} is not in {answer}");
    }
    assert!(get(server.port + 1, "/other").starts_with("HTTP/1.1 404"));
}

/// What the log files hold together.
fn log_files(server: &TestServer) -> String {
    let files = std::fs::read_dir(server.dir.join("log")).expect("the logger made it").flatten();
    files.map(|file| std::fs::read_to_string(file.path()).expect("text")).collect()
}

fn start_with_logger() -> TestServer {
    let mut server = TestServer::init("logging_collector = on\n");
    server.launch();
    server.wait_for_log("redirecting log output to logging collector process", 1);
    crate::world::eventually(|| {
        server.dir.join("log").exists() && log_files(&server).contains("ready to accept connections")
    });
    server
}

fn the_logger_outlives_everybody() {
    let mut server = start_with_logger();
    let logger = server.wait_for_child("postgres: logger process");
    let checkpointer = server.wait_for_child("checkpointer");
    kill_process(Pid::from_raw(checkpointer).unwrap(), Signal::KILL).expect("it lives");
    crate::world::eventually(|| log_files(&server).matches("ready to accept connections").count() == 2);
    assert_eq!(server.wait_for_child("logger"), logger, "a crash restart leaves it alone");
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        kill_process(Pid::from_raw(logger).unwrap(), signal).expect("it lives");
    }
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    wait_until_gone(Pid::from_raw(logger).unwrap());
    assert!(log_files(&server).contains("database system is shut down"), "{}", log_files(&server));
}

fn a_killed_logger_loses_nothing() {
    let server = start_with_logger();
    let logger = server.wait_for_child("postgres: logger process");
    kill_process(Pid::from_raw(logger).unwrap(), Signal::KILL).expect("it lives");
    wait_until_gone(Pid::from_raw(logger).unwrap());
    assert_ne!(server.wait_for_child("postgres: logger process"), logger);
    server.signal(Signal::HUP);
    crate::world::eventually(|| {
        log_files(&server).contains("received SIGHUP, reloading configuration files")
    });
    assert!(log_files(&server).contains("system logger process was terminated by signal 9: Killed"));
}

/// What a service manager hears over NOTIFY_SOCKET, in its order.
fn systemd_is_told() {
    let mut server = TestServer::init("");
    let path = server.dir.with_extension("notify");
    let _ = std::fs::remove_file(&path);
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a timeout");
    server.launch_with(&[("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", "400000".as_ref())]);
    let hear = |wanted: &str| {
        let mut bytes = [0; 4096];
        loop {
            let n = socket.recv(&mut bytes).unwrap_or_else(|e| panic!("{wanted} does not come: {e}"));
            if String::from_utf8_lossy(&bytes[..n]).contains(wanted) {
                return;
            }
        }
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    server.signal(Signal::HUP);
    hear("RELOADING=1");
    hear("READY=1");
    hear("WATCHDOG=1");
    server.signal(Signal::INT);
    hear("STOPPING=1");
    assert_eq!(server.wait(), Some(0));
    std::fs::remove_file(&path).expect("ours");
}

/// At first each session read the file for itself, so that a bad one let the server start and refused everybody.
fn a_bad_pg_hba_conf_ends_a_start_and_not_a_reload() {
    let mut server = TestServer::init("");
    let hba = server.dir.join("pg_hba.conf");
    let good = std::fs::read_to_string(&hba).expect("init wrote it");
    std::fs::write(&hba, "local all all nonsense\n").expect("writable");
    server.launch();
    assert_eq!(server.wait(), Some(1));
    let log = server.log();
    assert!(log.contains("invalid authentication method \"nonsense\""), "{log}");
    assert!(log.contains(&format!("FATAL:  could not load {}", hba.display())), "{log}");
    std::fs::write(&hba, good).expect("writable");
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 1);
    std::fs::write(&hba, "local all all nonsense\n").expect("writable");
    server.signal(Signal::HUP);
    server.wait_for_log("pg_hba.conf was not reloaded", 1);
    let psql = std::process::Command::new("psql")
        .args(["-h", "/tmp", "-p", &server.port.to_string(), "-d", "postgres", "-c", ";"])
        .output()
        .expect("psql is there");
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
}
