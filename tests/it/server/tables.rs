//! Tables through the wire: sessions beside each other, crashes, COPY.

use rustix::process::Signal;

use super::TestServer;
use super::connections::client::Client;
use super::connections::limits::owner;
use crate::harness::{Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_row_that_another_changes_is_waited_for_and_looked_at_again,
    definitions_of_one_session_are_seen_by_others_when_they_commit,
    rows_and_tables_outlive_a_crash,
    tables_and_passwords_are_their_owners,
    temporary_tables_go_with_their_session,
];

fn session(server: &TestServer) -> Client {
    Client::session(server, &owner())
}

fn rows(client: &mut Client, statement: &str) -> Vec<String> {
    client
        .query(statement)
        .into_iter()
        .filter(|line| line.starts_with("D ") || line.starts_with("ERROR"))
        .collect()
}

/// Read committed: the second update goes on with what the first one left, and with what its condition says of that.
fn a_row_that_another_changes_is_waited_for_and_looked_at_again() {
    let server = TestServer::start("");
    let (mut one, mut two) = (session(&server), session(&server));
    one.query("create table t (id int primary key, v int)");
    one.query("insert into t values (1, 1), (2, 2)");
    one.query("begin");
    one.query("update t set v = 10 where id = 1");
    two.send(|encoder| encoder.query("update t set v = v + 1 where v > 5 or id = 1"));
    one.query("commit");
    assert_eq!(two.until_ready(), ["C UPDATE 1", "Z I"]);
    assert_eq!(rows(&mut one, "select v from t order by id"), ["D 11", "D 2"]);
    two.query("begin isolation level repeatable read");
    assert_eq!(rows(&mut two, "select sum(v) from t"), ["D 13"]);
    one.query("update t set v = 0 where id = 2");
    let refused = "ERROR 40001: could not serialize access due to concurrent update";
    assert_eq!(two.query("update t set v = v + 1 where id = 2"), [refused, "Z E"]);
}

fn definitions_of_one_session_are_seen_by_others_when_they_commit() {
    let server = TestServer::start("");
    let (mut one, mut two) = (session(&server), session(&server));
    one.query("begin; create table d (a int); insert into d values (1)");
    assert_eq!(rows(&mut two, "select * from d"), ["ERROR 42P01: relation \"d\" does not exist"]);
    one.query("commit");
    assert_eq!(rows(&mut two, "select * from d"), ["D 1"]);
    two.query("prepare p as select * from d");
    one.query("alter table d add column b int default 5");
    assert_eq!(rows(&mut two, "select * from d"), ["D 1 5"]);
    assert_eq!(rows(&mut two, "execute p"), ["ERROR 0A000: cached plan must not change result type"]);
}

fn rows_and_tables_outlive_a_crash() {
    let mut server = TestServer::start("");
    let mut one = session(&server);
    one.query("create table k (a int primary key, b text)");
    one.query("insert into k select g, 'row ' || g from generate_series(1, 1000) g");
    one.query("begin; delete from k; create table gone (a int)");
    server.signal(Signal::QUIT);
    server.wait();
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 2);
    let mut two = session(&server);
    assert_eq!(rows(&mut two, "select count(*), min(b) from k"), ["D 1000 row 1"]);
    assert_eq!(rows(&mut two, "select b from k where a = 500"), ["D row 500"]);
    assert_eq!(rows(&mut two, "select * from gone"), ["ERROR 42P01: relation \"gone\" does not exist"]);
}

/// Who is neither superuser nor owner sees no password and no table of somebody else's, and removes none: the catalog's first
/// days let everybody do it all.
fn tables_and_passwords_are_their_owners() {
    let server = TestServer::start("");
    let mut one = session(&server);
    one.query("create role joe login");
    one.query("create role kim login password 'x'; create table secret (a int); create view shown as select 1 as one");
    let mut joe = Client::session(&server, "joe");
    for (statement, told) in [
        ("select rolpassword from pg_authid", "permission denied for table pg_authid"),
        ("select * from secret", "permission denied for table secret"),
        ("select * from shown", "permission denied for view shown"),
        ("insert into secret values (1)", "permission denied for table secret"),
        ("copy secret to stdout", "permission denied for table secret"),
        ("drop table secret", "must be owner of table secret"),
        ("alter table secret add b int", "must be owner of table secret"),
        ("truncate secret", "must be owner of table secret"),
        ("drop schema public cascade", "must be owner of schema public"),
    ] {
        assert_eq!(rows(&mut joe, statement), [format!("ERROR 42501: {told}")], "{statement}");
    }
    assert_eq!(rows(&mut joe, "select count(*) > 0 from pg_class"), ["D t"]);
    joe.query("create table own (a int); insert into own values (1)");
    assert_eq!(rows(&mut joe, "select * from own"), ["D 1"]);
    assert_eq!(rows(&mut one, "select * from own"), ["D 1"]);
}

/// Temporary tables outlived their session in the catalog and on disk.
fn temporary_tables_go_with_their_session() {
    let server = TestServer::start("");
    let mut one = session(&server);
    one.query("create temp table passing (a serial primary key); insert into passing default values");
    one.query("begin; create temp table open (a int)");
    let mut two = session(&server);
    let count = "select count(*) from pg_class where relname ~ '^passing'";
    assert_eq!(rows(&mut two, count), ["D 3"]);
    drop(one);
    let started = std::time::Instant::now();
    while rows(&mut two, count) != ["D 0"] {
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", rows(&mut two, count));
    }
    assert_eq!(rows(&mut two, "select nspname from pg_namespace where nspname ~ '^pg_temp'"), [""; 0]);
}
