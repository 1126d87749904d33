//! Startup packets and what is answered to them, authentication, cancel requests, garbage.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::client::Client;
use super::limits::owner;
use crate::harness::{Test, tests};
use crate::server::{TestServer, tuskd};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_session_begins_in_order,
    the_minor_version_is_negotiated,
    encryption_is_refused_by_a_byte,
    tcp_sessions_have_their_address_in_the_title,
    old_protocols_are_refused,
    pg_hba_conf_refuses,
    names_are_checked,
    passwords_are_checked,
    cancel_requests_tell_nobody_anything,
    silence_and_slowness_end,
    garbage_ends_its_connection_alone,
];

const END: &str = "EOF";

fn a_session_begins_in_order() {
    let server = TestServer::start("");
    let mut client = Client::unix(&server);
    let got = client.start(0, &owner(), "postgres");
    assert_eq!(got.first().map(String::as_str), Some("R ok"));
    assert_eq!(got[got.len() - 2..], ["K 4", "Z I"]);
    for setting in ["client_encoding=", "server_version=", "standard_conforming_strings=on", "DateStyle="] {
        assert!(got.iter().any(|line| line.starts_with(&format!("S {setting}"))), "{setting}: {got:?}");
    }
    assert_eq!(server.wait_for_child(&format!("postgres: {} postgres [local] idle", owner())), client.pid);
    assert_eq!(client.empty_query(), ["I", "Z I"]);
    client.send(|out| out.terminate());
    assert_eq!(client.until_eof(), [END]);
    crate::server::wait_until_gone(rustix::process::Pid::from_raw(client.pid).expect("a pid"));
}

fn the_minor_version_is_negotiated() {
    let server = TestServer::start("");
    let mut client = Client::unix(&server);
    let got = client.start(2, &owner(), "postgres");
    assert_eq!(got[got.len() - 2..], ["K 32", "Z I"]);
    let got = Client::unix(&server).start(9, &owner(), "postgres");
    assert!(got.contains(&"v 2 []".to_string()), "{got:?}");
    assert_eq!(got.last().map(String::as_str), Some("Z I"));
}

fn encryption_is_refused_by_a_byte() {
    let server = TestServer::start("");
    let mut client = Client::unix(&server);
    client.send(|out| out.gss_request());
    assert_eq!(client.byte(), b'N');
    client.send(|out| out.ssl_request());
    assert_eq!(client.byte(), b'N');
    assert_eq!(client.start(0, &owner(), "postgres").last().map(String::as_str), Some("Z I"));
}

fn tcp_sessions_have_their_address_in_the_title() {
    let server = TestServer::start("listen_addresses = '127.0.0.1, ::1'\n");
    for host in ["127.0.0.1", "::1"] {
        let mut client = Client::tcp(&server, host);
        assert_eq!(client.start(0, &owner(), "postgres").last().map(String::as_str), Some("Z I"));
        let pid = server.wait_for_child(&format!("postgres: {} postgres {host}(", owner()));
        assert_eq!(pid, client.pid);
    }
}

fn old_protocols_are_refused() {
    let server = TestServer::start("");
    let mut client = Client::unix(&server);
    client.send_bytes(&[0, 0, 0, 8, 0, 2, 0, 0]);
    let text = b"EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.2\n\0";
    let got: Vec<u8> = text.iter().map(|_| client.byte()).collect();
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(text));
    assert_eq!(client.until_eof(), [END]);
}

fn with_hba(text: &str) -> TestServer {
    let mut server = TestServer::init("");
    fs::write(server.dir.join("pg_hba.conf"), text).expect("writable");
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 1);
    server
}

fn pg_hba_conf_refuses() {
    let server = with_hba("local template1 all reject\nlocal postgres all trust\n");
    let user = owner();
    for (database, what) in [
        ("template1", "pg_hba.conf rejects connection for host"),
        ("nothing", "no pg_hba.conf entry for host"),
    ] {
        let told = format!(
            "FATAL 28000: {what} \"[local]\", user \"{user}\", database \"{database}\", no encryption"
        );
        assert_eq!(Client::unix(&server).start(0, &user, database), [&*told, END]);
    }
}

fn names_are_checked() {
    let server = TestServer::start("");
    for (user, database, told) in [
        ("nobody here", "postgres", "FATAL 28000: role \"nobody here\" does not exist"),
        (&*owner(), "nowhere", "FATAL 3D000: database \"nowhere\" does not exist"),
        (
            &*owner(),
            "template0",
            "FATAL 55000: database \"template0\" is not currently accepting connections",
        ),
    ] {
        let got = Client::unix(&server).start(0, user, database);
        assert_eq!(got[got.len() - 2..], [told, END]);
    }
}

fn passwords_are_checked() {
    let mut server = TestServer::init("");
    let file = server.dir.with_extension("pw");
    fs::write(&file, "sesame\n").expect("writable");
    let conf = fs::read_to_string(server.dir.join("postgresql.conf")).expect("init wrote it");
    fs::remove_dir_all(&server.dir).expect("ours");
    let mut init = tuskd();
    init.args(["init", "-A", "scram-sha-256", "--pwfile"]).arg(&file).arg("-D").arg(&server.dir);
    assert!(init.output().expect("tuskd runs").status.success());
    fs::write(server.dir.join("postgresql.conf"), conf).expect("writable");
    let _ = fs::remove_file(&file);
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 1);
    let user = owner();
    for (name, password, told) in [
        (&*user, "wrong", format!("password authentication failed for user \"{user}\"")),
        ("stranger", "sesame", "password authentication failed for user \"stranger\"".to_string()),
        (&*user, "sesame", "(1 row)".to_string()),
    ] {
        let mut psql = Command::new("psql");
        psql.env("PGPASSWORD", password).args(["-X", "-h", "/tmp", "-p", &server.port.to_string()]);
        let output = psql.args(["-U", name, "-c", "select 1", "postgres"]).output().expect("psql runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains(&told), "{name} {password}: {text}");
    }
}

fn cancel_requests_tell_nobody_anything() {
    let server = TestServer::start("");
    let mut session = Client::session(&server, &owner());
    let (pid, secret) = (session.pid, session.secret.clone());
    for (pid, secret) in [(pid, vec![0; 4]), (1, secret.clone()), (pid, secret)] {
        let mut client = Client::unix(&server);
        client.send(|out| out.cancel_request(pid, &secret));
        assert_eq!(client.until_eof(), [END]);
    }
    server.wait_for_log(&format!("LOG:  wrong key in cancel request for process {pid}"), 1);
    server.wait_for_log("LOG:  PID 1 in cancel request did not match any process", 1);
    assert_eq!(session.empty_query(), ["I", "Z I"]);
}

fn silence_and_slowness_end() {
    let server = TestServer::start("authentication_timeout = 1s\n");
    let started = Instant::now();
    let (mut silent, mut slow) = (Client::unix(&server), Client::unix(&server));
    let mut packet = Vec::new();
    tuskd::protocol::client::FrontendEncoder::new(&mut packet).startup(0, &[("user", "x")]);
    for byte in packet.iter().take(6) {
        slow.send_bytes(&[*byte]);
        std::thread::sleep(Duration::from_millis(300));
    }
    for client in [&mut silent, &mut slow] {
        let got = client.until_eof();
        assert!(got == [END] || got == ["RESET"], "{got:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn garbage_ends_its_connection_alone() {
    let server = TestServer::start("");
    let mut session = Client::session(&server, &owner());
    for bytes in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0xff; 8], &[0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0], &[0; 64]]
    {
        let mut client = Client::unix(&server);
        client.send_bytes(bytes);
        assert!(matches!(client.until_eof().last().map(String::as_str), Some("EOF" | "RESET")));
    }
    let mut truncated = Client::unix(&server);
    truncated.send_bytes(&[0, 0, 0, 100, 0, 3, 0, 0, b'u']);
    drop(truncated);
    assert_eq!(session.empty_query(), ["I", "Z I"]);
    assert!(!server.log().contains("terminated by signal"), "{}", server.log());
}
