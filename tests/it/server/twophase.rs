//! Two-phase commit through SQL: what is prepared belongs to nobody's session, and outlives crashes and stops.

use rustix::process::Signal;

use super::TestServer;
use super::connections::{client::Client, limits::owner};
use super::store::crash;
use crate::harness::{Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    what_is_prepared_is_ended_by_whoever_names_it,
    what_makes_no_sense_is_refused_as_postgresql_does,
    without_places_nothing_is_prepared,
    what_is_prepared_outlives_crashes_and_stops: 60,
];

const PLACES: &str = "max_prepared_transactions = 2\n";

fn session(server: &TestServer) -> Client {
    Client::session(server, &owner())
}

/// What a script is answered, one line per message, without rows and their descriptions.
fn answers(client: &mut Client, sql: &str) -> Vec<String> {
    let is_wanted = |line: &String| !line.starts_with("T ") && !line.starts_with("D ");
    client.query(sql).into_iter().filter(is_wanted).collect()
}

fn what_is_prepared_is_ended_by_whoever_names_it() {
    let server = TestServer::start(PLACES);
    let (mut one, mut other) = (session(&server), session(&server));
    for (end, fate) in [("commit", "committed"), ("rollback", "aborted")] {
        one.query("begin");
        let id = one.value("select pg_current_xact_id()");
        one.query("savepoint a; select pg_advisory_xact_lock(7)");
        assert_eq!(answers(&mut one, "prepare transaction 'a'"), ["C PREPARE TRANSACTION", "Z I"]);
        assert_eq!(one.value("select pg_current_xact_id_if_assigned()"), "NULL", "it is over here");
        let shown = "select transaction || ' ' || gid || ' ' || owner || ' ' || database || ' ' \
                     || (now() - prepared < '1 min')::text from pg_prepared_xacts";
        let user = one.value("select current_user");
        let database = one.value("select current_database()");
        assert_eq!(other.value(shown), format!("{id} a {user} {database} true"));
        assert_eq!(other.value("select pg_try_advisory_lock(7)"), "f", "its locks are held");
        let held = "select count(*) from pg_locks where pid is null";
        assert_eq!(other.value(held), "2", "its id and its lock");
        assert_eq!(other.value(&format!("select pg_xact_status('{id}')")), "in progress");
        drop(std::mem::replace(&mut one, session(&server)));
        let done = answers(&mut other, &format!("{end} prepared 'a'"));
        assert_eq!(done, [format!("C {} PREPARED", end.to_uppercase()), "Z I".into()]);
        assert_eq!(other.value(&format!("select pg_xact_status('{id}')")), fate);
        assert_eq!(other.value("select count(*) from pg_prepared_xacts"), "0");
        assert_eq!(one.value("select pg_try_advisory_xact_lock(7)"), "t");
    }
}

fn what_makes_no_sense_is_refused_as_postgresql_does() {
    let server = TestServer::start(PLACES);
    let mut client = session(&server);
    let long = "x".repeat(200);
    let nothing = "WARNING 25P01: there is no transaction in progress";
    let cases: &[(&str, &[&str])] = &[
        ("prepare transaction 'x'", &[nothing, "C ROLLBACK", "Z I"]),
        ("begin", &["C BEGIN", "Z T"]),
        (
            "commit prepared 'x'",
            &["ERROR 25001: COMMIT PREPARED cannot run inside a transaction block", "Z E"],
        ),
        ("prepare transaction 'x'", &["C ROLLBACK", "Z I"]),
        (
            "commit prepared 'x'",
            &["ERROR 42704: prepared transaction with identifier \"x\" does not exist", "Z I"],
        ),
        ("begin; select pg_advisory_lock(1), pg_advisory_xact_lock(1)", &["C BEGIN", "C SELECT 1", "Z T"]),
        (
            "prepare transaction 'x'",
            &[
                "ERROR 0A000: cannot PREPARE while holding both session-level and transaction-level locks on \
                 the same object",
                "Z I",
            ],
        ),
        ("begin", &["C BEGIN", "Z T"]),
        // What the session holds stays with it.
        ("prepare transaction 'x'", &["C PREPARE TRANSACTION", "Z I"]),
        ("select pg_advisory_unlock(1)", &["C SELECT 1", "Z I"]),
        ("begin", &["C BEGIN", "Z T"]),
        ("prepare transaction 'x'", &["ERROR 42710: transaction identifier \"x\" is already in use", "Z I"]),
        (
            "select 1; rollback prepared 'x'",
            &["C SELECT 1", "ERROR 25001: ROLLBACK PREPARED cannot run inside a transaction block", "Z I"],
        ),
        ("select 1; prepare transaction 'y'", &["C SELECT 1", nothing, "C PREPARE TRANSACTION", "Z I"]),
        ("begin", &["C BEGIN", "Z T"]),
        ("prepare transaction 'z'", &["ERROR 53200: maximum number of prepared transactions reached", "Z I"]),
        ("rollback prepared 'x'", &["C ROLLBACK PREPARED", "Z I"]),
        ("rollback prepared 'y'", &["C ROLLBACK PREPARED", "Z I"]),
        (
            "begin; savepoint a; select 1/0",
            &["C BEGIN", "C SAVEPOINT", "ERROR 22012: division by zero", "Z E"],
        ),
        ("prepare transaction 'x'", &["C ROLLBACK", "Z I"]),
        ("begin", &["C BEGIN", "Z T"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(answers(&mut client, sql), *expected, "{sql}");
    }
    let refused = answers(&mut client, &format!("prepare transaction '{long}'"));
    assert_eq!(
        refused,
        [format!("ERROR 22023: transaction identifier \"{long}\" is too long"), "Z I".into()]
    );
    assert_eq!(client.value("select count(*) from pg_prepared_xacts"), "0");
}

fn without_places_nothing_is_prepared() {
    let server = TestServer::start("");
    let mut client = session(&server);
    client.query("begin");
    let id = client.value("select pg_current_xact_id()");
    let refused = answers(&mut client, "prepare transaction 'x'");
    assert_eq!(refused, ["ERROR 55000: prepared transactions are disabled", "Z I"]);
    assert_eq!(client.value(&format!("select pg_xact_status('{id}')")), "aborted");
    assert_eq!(client.value("show max_prepared_transactions"), "0");
}

/// Its row, its lock, its id.
fn is_prepared(client: &mut Client, gid: &str, id: &str, lock: u32) {
    let row = format!("select count(*) from pg_prepared_xacts where gid = '{gid}'");
    assert_eq!(client.value(&row), "1", "{gid}");
    assert_eq!(client.value(&format!("select pg_try_advisory_lock({lock})")), "f", "{gid}");
    assert_eq!(client.value(&format!("select pg_xact_status('{id}')")), "in progress");
}

fn what_is_prepared_outlives_crashes_and_stops() {
    let server = TestServer::start(PLACES);
    let mut client = session(&server);
    let mut prepare = |gid: &str, lock: u32| {
        client.query("begin");
        let id = client.value("select pg_current_xact_id()");
        client.query(&format!("select pg_advisory_xact_lock({lock})"));
        assert_eq!(answers(&mut client, &format!("prepare transaction '{gid}'"))[0], "C PREPARE TRANSACTION");
        id
    };
    let first = prepare("first", 1);
    let server = crash(server);
    let mut client = session(&server);
    is_prepared(&mut client, "first", &first, 1);
    // This one's state is in the log, the other's in a file.
    client.query("begin");
    let second = client.value("select pg_current_xact_id()");
    client.query("select pg_advisory_xact_lock(2)");
    client.query("prepare transaction 'second'");
    let mut server = crash(server);
    let mut client = session(&server);
    is_prepared(&mut client, "first", &first, 1);
    is_prepared(&mut client, "second", &second, 2);
    assert_eq!(answers(&mut client, "commit prepared 'first'"), ["C COMMIT PREPARED", "Z I"]);
    drop(client);
    let starts = server.log().matches("ready to accept connections").count();
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    server.launch();
    server.wait_for_log("ready to accept connections", starts + 1);
    let mut client = session(&server);
    is_prepared(&mut client, "second", &second, 2);
    assert_eq!(client.value("select pg_try_advisory_lock(1)"), "t");
    assert_eq!(answers(&mut client, "rollback prepared 'second'"), ["C ROLLBACK PREPARED", "Z I"]);
    let server = crash(server);
    let mut client = session(&server);
    assert_eq!(client.value("select count(*) from pg_prepared_xacts"), "0");
    assert_eq!(client.value(&format!("select pg_xact_status('{first}')")), "committed");
    assert_eq!(client.value(&format!("select pg_xact_status('{second}')")), "aborted");
    client.query("checkpoint");
    let files = std::fs::read_dir(server.dir.join("pg_twophase")).expect("a folder").count();
    assert_eq!(files, 0, "nobody needs them any more");
}
