//! `session_reuse`: processes that serve one client after the other, and what must not be left of the one before. And what
//! ten thousand sessions leave behind, however they are served.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::limits::owner;
use crate::harness::{Test, tests};
use crate::server::TestServer;

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    nothing_of_a_session_is_left_for_the_next: 60,
    who_did_not_leave_in_order_ends_the_process: 60,
    a_reload_ends_used_processes: 60,
    a_used_process_can_be_killed_and_stopped: 60,
    processes_that_came_back_leave_after_a_burst: 90,
    ten_thousand_sessions_leave_nothing: 400,
    ten_thousand_sessions_of_used_processes_leave_nothing: 400,
];

/// Few spares, which are used again: one of the next sessions has the same process.
const FEW: &str = "session_reuse = on\nmin_spare_backends = 1\nmax_spare_backends = 4\n";

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ask(client: &mut Client, sql: &str) -> Vec<String> {
    client.send(|out| out.query(sql));
    client.until_ready()
}

fn leave(mut client: Client) {
    client.send(|out| out.terminate());
    assert_eq!(client.until_eof(), ["EOF"]);
}

/// A session of the process `pid`: others may be served by a process that was forked meanwhile.
fn session_of(server: &TestServer, pid: i32) -> Client {
    let started = Instant::now();
    loop {
        let client = Client::session(server, &owner());
        if client.pid == pid {
            return client;
        }
        leave(client);
        assert!(started.elapsed() < Duration::from_secs(20), "process {pid} serves nobody again");
    }
}

fn nothing_of_a_session_is_left_for_the_next() {
    let server = TestServer::start(FEW);
    let mut first = Client::unix(&server);
    let user = owner();
    let parameters = [("user", user.as_str()), ("database", "postgres"), ("application_name", "first")];
    first.send(|out| out.startup(2, &parameters));
    assert_eq!(first.until_ready().last().map(String::as_str), Some("Z I"));
    let pid = first.pid;
    let before = ask(&mut first, "show work_mem");
    for sql in ["set work_mem = '77MB'", "prepare p as select 1", "set my.own = 'secret'", "begin"] {
        let got = ask(&mut first, sql);
        assert!(!got.iter().any(|line| line.starts_with("ERROR")), "{sql}: {got:?}");
    }
    assert_ne!(ask(&mut first, "show work_mem"), before);
    let old_key = first.secret.clone();
    leave(first);
    let mut second = session_of(&server, pid);
    assert_ne!(second.secret, old_key);
    let shown = ask(&mut second, "show work_mem");
    // The status byte too: the transaction that the first session left open is over.
    assert_eq!(shown, before);
    let refused = ask(&mut second, "execute p");
    assert!(refused[0].starts_with("ERROR 26000"), "{refused:?}");
    let unknown = ask(&mut second, "show my.own");
    assert!(unknown[0].starts_with("ERROR 42704"), "{unknown:?}");
    let named = ask(&mut second, "show application_name");
    assert!(
        !named.iter().any(|line| line.contains("first") || line.contains("102, 105, 114, 115, 116")),
        "{named:?}"
    );
    let mut canceller = Client::unix(&server);
    canceller.send(|out| out.cancel_request(pid, &old_key));
    assert_eq!(canceller.until_eof(), ["EOF"]);
    server.wait_for_log(&format!("wrong key in cancel request for process {pid}"), 1);
    assert_eq!(second.empty_query(), ["I", "Z I"]);
}

fn who_did_not_leave_in_order_ends_the_process() {
    let server = TestServer::start(FEW);
    let mut client = Client::session(&server, &owner());
    let pid = client.pid;
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::TERM).expect("it lives");
    let told = client.until_eof();
    assert!(told[0].starts_with("FATAL 57P01"), "{told:?}");
    wait_for("the end of the process", || !server.children().iter().any(|(child, _)| *child == pid));
    let refused = Client::unix(&server).start(0, "nobody at all", "postgres");
    assert!(refused.iter().any(|line| line.starts_with("FATAL 28000")), "{refused:?}");
    wait_for("its end too", || server.child_titled("[local]").is_none());
    assert_eq!(Client::session(&server, &owner()).empty_query(), ["I", "Z I"]);
}

fn a_reload_ends_used_processes() {
    let server = TestServer::start(FEW);
    let client = Client::session(&server, &owner());
    let pid = client.pid;
    leave(client);
    let client = session_of(&server, pid);
    server.signal(Signal::HUP);
    server.wait_for_log("reloading configuration files", 1);
    leave(client);
    wait_for("the end of the process", || !server.children().iter().any(|(child, _)| *child == pid));
}

fn a_used_process_can_be_killed_and_stopped() {
    let mut server = TestServer::start(FEW);
    let client = Client::session(&server, &owner());
    let pid = client.pid;
    leave(client);
    wait_for("its title as a spare", || {
        server
            .children()
            .iter()
            .any(|(child, title)| *child == pid && title.contains("spare backend process"))
    });
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("it lives");
    server.wait_for_log("database system is ready to accept connections", 2);
    let client = Client::session(&server, &owner());
    let pid = client.pid;
    leave(client);
    let client = session_of(&server, pid);
    // A smart stop waits for the session, and the process does not become a spare behind it.
    server.signal(Signal::TERM);
    server.wait_for_log("received smart shutdown request", 1);
    leave(client);
    assert_eq!(server.wait(), Some(0));
}

fn spares(server: &TestServer) -> usize {
    server.children().iter().filter(|(_, title)| title.contains("spare backend process")).count()
}

fn processes_that_came_back_leave_after_a_burst() {
    let server = TestServer::start("session_reuse = on\nmin_spare_backends = 2\nmax_spare_backends = 8\n");
    let clients: Vec<Client> = (0..20).map(|_| Client::session(&server, &owner())).collect();
    clients.into_iter().for_each(leave);
    wait_for("no more than eight", || spares(&server) <= 8 && server.child_titled("idle").is_none());
    wait_for("calm", || spares(&server) == 2);
    assert!(!server.log().contains("reinitializing"), "{}", server.log());
}

fn ten_thousand_sessions_leave_nothing() {
    many_sessions_leave_nothing("session_reuse = off\n");
}

fn ten_thousand_sessions_of_used_processes_leave_nothing() {
    many_sessions_leave_nothing("session_reuse = on\n");
}

fn many_sessions_leave_nothing(setting: &str) {
    const SESSIONS: usize = 10_000;
    let server = TestServer::start(setting);
    let user = owner();
    let serve = |count: usize| {
        for _ in 0..count {
            leave(Client::session(&server, &user));
        }
    };
    // What is only allocated once is there after some. Who is counted right behind them may count the dying.
    serve(500);
    let mut children = usize::MAX;
    let mut since = Instant::now();
    wait_for("the end of the first sessions", || {
        let now = lasting_children(&server);
        if std::mem::replace(&mut children, now) != now || server.child_titled("[local]").is_some() {
            since = Instant::now();
        }
        since.elapsed() > Duration::from_secs(1)
    });
    let settled = || lasting_children(&server) == children && server.child_titled("[local]").is_none();
    let (fds, kb) = (descriptors(&server), memory_kb(&server));
    serve(SESSIONS);
    wait_for("the end of all sessions", settled);
    wait_for("the old number of descriptors", || descriptors(&server) == fds);
    let grown = memory_kb(&server).saturating_sub(kb);
    assert!(grown <= 256, "the postmaster has grown by {grown} kB");
    // Each connection slot can be had, so none was lost.
    let clients: Vec<Client> = (0..100).map(|_| Client::session(&server, &user)).collect();
    assert_eq!(clients.len(), 100);
    assert!(!server.log().contains("reinitializing"), "{}", server.log());
}

/// All children but autovacuum's workers, which come and go.
fn lasting_children(server: &TestServer) -> usize {
    server.children().iter().filter(|(_, title)| !title.contains("autovacuum worker")).count()
}

fn descriptors(server: &TestServer) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.postmaster().as_raw_nonzero())).expect("it lives").count()
}

/// Its proportional set size but for what it shares with children: their number may differ.
fn memory_kb(server: &TestServer) -> u64 {
    let path = format!("/proc/{}/status", server.postmaster().as_raw_nonzero());
    let status = fs::read_to_string(path).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the kernel says so");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}
