//! How many sessions there are, and who waits for them: slots, spares, descriptors.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use crate::harness::{Test, tests};
use crate::server::TestServer;

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_burst_gets_every_slot_but_the_reserved: 120,
    spares_are_kept_in_number,
    without_spares_the_postmaster_forks,
    a_burst_makes_more_spares,
    a_spare_that_leaves_takes_no_wake_up_with_it,
    a_killed_spare_is_a_crash_restart,
    reserved_slots_are_for_members_and_superusers,
    a_role_has_as_many_sessions_as_it_may,
];

const RESERVED: &str =
    "FATAL 53300: remaining connection slots are reserved for roles with the SUPERUSER attribute";
const FULL: &str = "FATAL 53300: sorry, too many clients already";

/// Definitions of roles, by the owner.
fn define(server: &TestServer, statements: &[&str]) {
    let mut session = Client::session(server, &owner());
    for statement in statements {
        let answer = session.query(statement);
        assert!(answer[0].starts_with("C "), "{statement}: {answer:?}");
    }
    let pid = Pid::from_raw(session.pid).expect("a pid");
    drop(session);
    crate::server::wait_until_gone(pid);
}

fn descriptors(server: &TestServer) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.postmaster().as_raw_nonzero())).expect("it lives").count()
}

fn spares(server: &TestServer) -> usize {
    server.children().iter().filter(|(_, title)| title.contains("spare backend process")).count()
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn a_burst_gets_every_slot_but_the_reserved() {
    let server = TestServer::start("max_spare_backends = 8\n");
    define(&server, &["create role ordinary login"]);
    wait_for("eight spares", || spares(&server) == 8);
    let (fds, children) = (descriptors(&server), server.children().len());
    for _ in 0..3 {
        burst(&server);
        wait_for("the end of all sessions", || server.children().len() == children && spares(&server) == 8);
        wait_for("the old number of descriptors", || descriptors(&server) == fds);
    }
    assert!(!server.log().contains("no process slot"), "{}", server.log());
}

fn burst(server: &TestServer) {
    let mut clients: Vec<Client> = (0..200).map(|_| Client::unix(server)).collect();
    for client in &mut clients {
        client.send(|out| out.startup(0, &[("user", "ordinary"), ("database", "postgres")]));
    }
    let mut served = Vec::new();
    for mut client in clients {
        let got = client.until_ready();
        if got.last().is_some_and(|last| last == "Z I") {
            served.push(client);
            continue;
        }
        let refusal = got.iter().find(|line| line.starts_with("FATAL"));
        assert!(refusal.is_some_and(|text| text == RESERVED || text == FULL), "{got:?}");
        assert_eq!(got.last().map(String::as_str), Some("EOF"));
    }
    assert_eq!(served.len(), 97);
    let mut superuser = Client::session(server, &owner());
    assert_eq!(superuser.empty_query(), ["I", "Z I"]);
}

/// The user that `tuskd init` made the superuser.
pub fn owner() -> String {
    let output = std::process::Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// What a newcomer is told; `None`: it is let in, and stays.
fn come(server: &TestServer, user: &str, stay: &mut Vec<Client>) -> Option<String> {
    let mut client = Client::unix(server);
    let got = client.start(0, user, "postgres");
    if got.last().is_some_and(|last| last == "Z I") {
        stay.push(client);
        return None;
    }
    got.into_iter().find(|line| line.starts_with("FATAL"))
}

fn reserved_slots_are_for_members_and_superusers() {
    const FOR_MEMBERS: &str = "FATAL 53300: remaining connection slots are reserved for roles with privileges of the \
                               \"pg_use_reserved_connections\" role";
    let server = TestServer::start(
        "max_connections = 8\nsuperuser_reserved_connections = 3\nreserved_connections = 2\n",
    );
    define(
        &server,
        &[
            "create role ordinary login",
            "create role operators login",
            "create role member login",
            "create role distant login noinherit",
            "grant pg_use_reserved_connections to operators",
            "grant operators to member",
            "grant operators to distant",
        ],
    );
    let mut clients = Vec::new();
    for (user, told) in [
        ("ordinary", None),
        ("ordinary", None),
        ("distant", None),
        ("ordinary", Some(FOR_MEMBERS)),
        ("distant", Some(FOR_MEMBERS)),
        ("member", None),
        ("ordinary", Some(FOR_MEMBERS)),
        ("member", None),
        ("member", Some(RESERVED)),
        ("ordinary", Some(RESERVED)),
        (&*owner(), None),
        (&*owner(), None),
        (&*owner(), None),
        (&*owner(), Some(FULL)),
    ] {
        assert_eq!(come(&server, user, &mut clients).as_deref(), told, "{user}, {} are there", clients.len());
    }
}

fn a_role_has_as_many_sessions_as_it_may() {
    let server = TestServer::start("");
    define(
        &server,
        &[
            "create role limited login connection limit 2",
            "create role nil login connection limit 0",
            "create role boss login superuser connection limit 0",
        ],
    );
    let mut clients = Vec::new();
    let told = "FATAL 53300: too many connections for role \"limited\"";
    for (user, told) in [
        ("limited", None),
        ("limited", None),
        ("limited", Some(told)),
        ("limited", Some(told)),
        ("nil", Some("FATAL 53300: too many connections for role \"nil\"")),
        ("boss", None),
    ] {
        assert_eq!(come(&server, user, &mut clients).as_deref(), told, "{user}");
    }
    let first = clients.remove(0);
    let pid = Pid::from_raw(first.pid).expect("a pid");
    drop(first);
    crate::server::wait_until_gone(pid);
    assert_eq!(come(&server, "limited", &mut clients), None, "who has left is not counted");
}

fn spares_are_kept_in_number() {
    let server = TestServer::start("min_spare_backends = 3\n");
    wait_for("three spares", || spares(&server) == 3);
    let client = Client::session(&server, &owner());
    wait_for("three spares beside a session", || {
        spares(&server) == 3 && server.child_titled("idle").is_some()
    });
    drop(client);
    wait_for("the session's end", || server.child_titled("idle").is_none());
    assert_eq!(spares(&server), 3);
}

fn without_spares_the_postmaster_forks() {
    let server = TestServer::start("min_spare_backends = 0\nmax_spare_backends = 0\n");
    let mut clients: Vec<Client> = (0..5).map(|_| Client::session(&server, &owner())).collect();
    assert_eq!(spares(&server), 0);
    assert!(clients.iter_mut().all(|client| client.empty_query() == ["I", "Z I"]));
}

fn a_burst_makes_more_spares() {
    let server = TestServer::start("min_spare_backends = 2\nmax_spare_backends = 6\n");
    wait_for("two spares", || spares(&server) == 2);
    let started = Instant::now();
    while spares(&server) <= 2 {
        let clients: Vec<Client> = (0..40).map(|_| Client::unix(&server)).collect();
        wait_for("all clients' processes", || {
            server.children().iter().filter(|(_, title)| title.ends_with("[local] initializing")).count()
                == 40
        });
        drop(clients);
        wait_for("their end", || !server.children().iter().any(|(_, title)| title.contains("[local]")));
        assert!(started.elapsed() < Duration::from_secs(20), "no burst makes more spares");
    }
    let calm = Instant::now();
    assert!(spares(&server) <= 6, "{:?}", server.children());
    wait_for("calm", || spares(&server) == 2);
    assert!(calm.elapsed() > Duration::from_secs(5), "spares leave long after the burst");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(spares(&server), 2);
    assert!(!server.log().contains("reinitializing"), "{}", server.log());
}

/// A spare that was one too many left with its poll of the listening socket armed. The kernel takes a ring apart tens of
/// milliseconds after its process; a client that came meanwhile woke the dead ring and nobody else, and waited for the next
/// client to wake a spare. The postmaster is stopped here, since it would help in other cases.
fn a_spare_that_leaves_takes_no_wake_up_with_it() {
    let server = TestServer::start("min_spare_backends = 4\n");
    for _ in 0..20 {
        wait_for("four spares", || spares(&server) == 4);
        // The kernel wakes the one that has waited longest, which is the oldest.
        let oldest =
            server.children().iter().filter(|(_, t)| t.contains("spare backend process")).map(|c| c.0).min();
        let oldest = Pid::from_raw(oldest.expect("four")).expect("a pid");
        server.signal(Signal::STOP);
        kill_process(oldest, Signal::USR2).expect("it lives");
        let stat = format!("/proc/{}/stat", oldest.as_raw_nonzero());
        // Without sleeping: the ring is gone soon.
        while !fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")) {}
        let mut client = Client::session(&server, &owner());
        assert_eq!(client.empty_query(), ["I", "Z I"]);
        server.signal(Signal::CONT);
    }
}

fn a_killed_spare_is_a_crash_restart() {
    let server = TestServer::start("min_spare_backends = 1\n");
    let spare = server.wait_for_child("spare backend process");
    kill_process(Pid::from_raw(spare).expect("a pid"), Signal::KILL).expect("it lives");
    server.wait_for_log("database system is ready to accept connections", 2);
    let line = format!("server process (PID {spare}) was terminated by signal 9: Killed");
    assert!(server.log().contains(&line), "{}", server.log());
    assert_eq!(Client::session(&server, &owner()).empty_query(), ["I", "Z I"]);
}
