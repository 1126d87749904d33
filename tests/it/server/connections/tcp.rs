//! What the kernel is asked for of a connection, and clients that leave in the middle of a statement.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::client::Client;
use super::limits::owner;
use crate::harness::{Test, tests};
use crate::server::{TestServer, wait_until_gone};
use crate::world::eventually;

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    keepalives_are_the_kernels,
    a_unix_socket_has_no_keepalives,
    settings_of_the_start_and_of_a_reload_reach_the_socket,
    a_long_statement_notices_that_its_client_left,
];

const TCP: &str = "listen_addresses = '127.0.0.1'\n";

fn tcp_session(server: &TestServer) -> Client {
    let mut client = Client::tcp(server, "127.0.0.1");
    let got = client.start(0, &owner(), "postgres");
    assert_eq!(got.last().map(String::as_str), Some("Z I"), "{got:?}");
    client
}

/// The one value that a statement gives.
fn value(client: &mut Client, sql: &str) -> String {
    let got = client.query(sql);
    let row = got.iter().find_map(|line| line.strip_prefix("D "));
    row.unwrap_or_else(|| panic!("{sql}: {got:?}")).to_owned()
}

/// The kernel's default for a kind of probe.
fn kernel(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).expect("Linux has it").trim().to_owned()
}

fn keepalives_are_the_kernels() {
    let server = TestServer::start(TCP);
    let mut client = tcp_session(&server);
    let idle = kernel("tcp_keepalive_time");
    for (setting, default) in [
        ("tcp_keepalives_idle", idle.clone()),
        ("tcp_keepalives_interval", kernel("tcp_keepalive_intvl")),
        ("tcp_keepalives_count", kernel("tcp_keepalive_probes")),
        ("tcp_user_timeout", "0".to_owned()),
    ] {
        let show = format!("show {setting}");
        assert_eq!(value(&mut client, &show), default, "{setting}");
        assert_eq!(client.query(&format!("set {setting} = 55")), ["C SET", "Z I"]);
        assert_eq!(value(&mut client, &show), "55", "{setting}");
        let select = format!("select setting from pg_settings where name = '{setting}'");
        assert_eq!(value(&mut client, &select), "55", "{setting}");
        client.query(&format!("begin; set local {setting} = 44"));
        assert_eq!(value(&mut client, &show), "44", "{setting}");
        client.query("rollback");
        assert_eq!(value(&mut client, &show), "55", "{setting}");
        client.query(&format!("reset {setting}"));
        assert_eq!(value(&mut client, &show), default, "{setting}");
    }
    assert_eq!(client.query("set tcp_keepalives_idle = 100000"), ["C SET", "Z I"], "the kernel is not asked");
    assert_eq!(value(&mut client, "show tcp_keepalives_idle"), idle, "it has not changed");
    server.wait_for_log("LOG:  setsockopt(TCP_KEEPIDLE) failed: Invalid argument", 1);
}

fn a_unix_socket_has_no_keepalives() {
    let server = TestServer::start("tcp_keepalives_idle = 77\n");
    let mut client = Client::session(&server, &owner());
    assert_eq!(value(&mut client, "show tcp_keepalives_idle"), "0");
    assert_eq!(client.query("set tcp_keepalives_count = 3"), ["C SET", "Z I"]);
    assert_eq!(value(&mut client, "show tcp_keepalives_count"), "0");
    assert!(!server.log().contains("setsockopt"), "{}", server.log());
}

fn settings_of_the_start_and_of_a_reload_reach_the_socket() {
    let server = TestServer::start(&format!("{TCP}tcp_keepalives_idle = 77\n"));
    let mut client = tcp_session(&server);
    assert_eq!(value(&mut client, "show tcp_keepalives_idle"), "77");
    fs::write(server.dir.join("postgresql.auto.conf"), "tcp_keepalives_idle = 88\n").expect("writable");
    server.signal(Signal::HUP);
    let client = std::cell::RefCell::new(client);
    eventually(|| value(&mut client.borrow_mut(), "show tcp_keepalives_idle") == "88");
}

fn a_long_statement_notices_that_its_client_left() {
    let server = TestServer::start("client_connection_check_interval = 100ms\n");
    let mut client = Client::session(&server, &owner());
    let pid = client.pid;
    client.send(|out| out.query("select pg_sleep(100)"));
    server.wait_for_child("SELECT");
    let began = Instant::now();
    drop(client);
    wait_until_gone(Pid::from_raw(pid).expect("a pid"));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    server.wait_for_log("FATAL:  connection to client lost", 1);
    assert!(!server.log().contains("reinitializing"), "{}", server.log());
}
