//! Statements over the wire: both protocols, cancels, timeouts, what other sessions, titles and the log show of them.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tuskd::protocol::Format;
use tuskd::protocol::message::Target;

use super::client::Client;
use super::ends::kill;
use super::limits::owner;
use crate::harness::{Test, tests};
use crate::server::{TestServer, wait_until_gone};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    query_strings_answer_each_statement,
    an_error_ends_its_query_string_only,
    messages_are_pipelined_and_skipped_until_sync,
    portals_give_rows_piece_by_piece,
    parameters_travel_in_binary,
    settings_that_clients_know_are_reported,
    notices_come_before_their_result,
    a_cancel_request_ends_the_statement_only,
    one_session_cancels_and_ends_another,
    timeouts_end_statements_transactions_and_sessions,
    others_see_what_a_session_does,
    statements_are_logged_as_asked,
    big_results_reach_slow_readers,
    a_session_that_nobody_reads_can_be_ended,
];

fn session(server: &TestServer) -> Client {
    Client::session(server, &owner())
}

fn query_strings_answer_each_statement() {
    let server = TestServer::start("");
    let mut client = session(&server);
    assert_eq!(
        client.query("select 1 as a, null as b; show server_version"),
        ["T a:23 b:25", "D 1 NULL", "C SELECT 1", "T server_version:25", "D 18.4", "C SHOW", "Z I"]
    );
    assert_eq!(client.query(" ; -- nothing\n"), ["I", "Z I"]);
    assert_eq!(client.query("begin"), ["C BEGIN", "Z T"]);
    assert_eq!(client.query("select 1/0"), ["ERROR 22012: division by zero", "Z E"]);
    let refused =
        "ERROR 25P02: current transaction is aborted, commands ignored until end of transaction block";
    assert_eq!(client.query("select 1"), [refused, "Z E"]);
    assert_eq!(client.query("commit"), ["C ROLLBACK", "Z I"]);
}

fn an_error_ends_its_query_string_only() {
    let server = TestServer::start("");
    let mut client = session(&server);
    let unknown = "ERROR 42703: column \"frob\" does not exist";
    assert_eq!(
        client.query("select 1; select frob; select 2"),
        ["T ?column?:23", "D 1", "C SELECT 1", unknown, "Z I"]
    );
    let syntax = "ERROR 42601: syntax error at or near \"selct\"";
    assert_eq!(client.query("select 1; selct 2"), [syntax, "Z I"]);
    let copy = client.query("copy t from stdin; select 2");
    assert_eq!(copy, ["ERROR 42P01: relation \"t\" does not exist", "Z I"]);
    assert_eq!(client.query("select 3"), ["T ?column?:23", "D 3", "C SELECT 1", "Z I"]);
}

fn messages_are_pipelined_and_skipped_until_sync() {
    let server = TestServer::start("");
    let mut client = session(&server);
    client.send(|out| {
        out.parse("", "select 1", &[]);
        out.bind("", "", &[], &[], &[]);
        out.execute("", 0);
        out.parse("", "select nonsense", &[]);
        out.bind("", "", &[], &[], &[]);
        out.execute("", 0);
        out.sync();
        out.parse("s", "select $1::int4 + 1", &[]);
        out.describe(Target::Statement("s"));
        out.bind("", "s", &[], &[Some(b"41")], &[]);
        out.execute("", 0);
        out.close(Target::Statement("s"));
        out.sync();
    });
    let first = client.until_ready();
    assert_eq!(
        first,
        ["1", "2", "D 1", "C SELECT 1", "ERROR 42703: column \"nonsense\" does not exist", "Z I"]
    );
    assert_eq!(client.until_ready(), ["1", "t 23", "T ?column?:23", "2", "D 42", "C SELECT 1", "3", "Z I"]);
    client.send(|out| {
        out.bind("", "s", &[], &[Some(b"41")], &[]);
        out.sync();
    });
    assert_eq!(client.until_ready(), ["ERROR 26000: prepared statement \"s\" does not exist", "Z I"]);
}

fn portals_give_rows_piece_by_piece() {
    let server = TestServer::start("");
    let mut client = session(&server);
    client.send(|out| {
        out.parse("", "select * from generate_series(1, 3) x", &[]);
        out.bind("p", "", &[], &[], &[]);
        out.describe(Target::Portal("p"));
        out.execute("p", 2);
        out.execute("p", 2);
        out.execute("p", 2);
        out.flush();
    });
    let got: Vec<String> = (0..9).map(|_| client.next()).collect();
    assert_eq!(got, ["1", "2", "T x:23", "D 1", "D 2", "s", "D 3", "C SELECT 1", "C SELECT 0"]);
    client.send(|out| out.sync());
    assert_eq!(client.until_ready(), ["Z I"]);
    client.send(|out| {
        out.execute("p", 0);
        out.sync();
    });
    assert_eq!(client.until_ready(), ["ERROR 34000: portal \"p\" does not exist", "Z I"]);
}

fn parameters_travel_in_binary() {
    let server = TestServer::start("");
    let mut client = session(&server);
    client.send(|out| {
        out.parse("", "select $1 * 2, $2 || '!'", &[23, 25]);
        out.bind(
            "",
            "",
            &[Format::Binary, Format::Text],
            &[Some(&21i32.to_be_bytes()), Some("tusk".as_bytes())],
            &[Format::Binary, Format::Text],
        );
        out.execute("", 0);
        out.sync();
    });
    assert_eq!(client.until_ready(), ["1", "2", "D \\x0000002a tusk!", "C SELECT 1", "Z I"]);
    client.send(|out| {
        out.parse("", "select $1", &[23]);
        out.bind("", "", &[Format::Binary], &[Some(&[1, 2])], &[]);
        out.sync();
    });
    let wrong = "ERROR 08P01: insufficient data left in message";
    assert_eq!(client.until_ready(), ["1", wrong, "Z I"]);
}

fn settings_that_clients_know_are_reported() {
    let server = TestServer::start("");
    let mut client = session(&server);
    assert_eq!(client.query("set application_name = 'one'"), ["C SET", "S application_name=one", "Z I"]);
    assert_eq!(
        client.query("begin; set time zone 'Europe/Berlin'"),
        ["C BEGIN", "C SET", "S TimeZone=Europe/Berlin", "Z T"]
    );
    let back = client.query("rollback");
    assert!(back.len() == 3 && back[1].starts_with("S TimeZone="), "{back:?}");
    assert_eq!(client.query("set work_mem = '1MB'"), ["C SET", "Z I"]);
}

fn notices_come_before_their_result() {
    let server = TestServer::start("");
    let mut client = session(&server);
    let warned = "WARNING 25P01: there is no transaction in progress";
    assert_eq!(client.query("rollback"), [warned, "C ROLLBACK", "Z I"]);
    assert!(server.log().contains("WARNING:  there is no transaction in progress"));
    assert_eq!(client.query("set client_min_messages = error"), ["C SET", "Z I"]);
    assert_eq!(client.query("rollback"), ["C ROLLBACK", "Z I"]);
}

fn a_cancel_request_ends_the_statement_only() {
    let server = TestServer::start("");
    let mut client = session(&server);
    let cancelled = "ERROR 57014: canceling statement due to user request";
    for endless in ["select pg_sleep(60)", "select count(*) from generate_series(1, 100000000000)"] {
        client.send(|out| out.query(endless));
        server.wait_for_child("[local] SELECT");
        let (pid, secret) = (client.pid, client.secret.clone());
        Client::unix(&server).send(|out| out.cancel_request(pid, &secret));
        let got = client.until_ready();
        assert_eq!(got.last_chunk(), Some(&[cancelled.to_string(), "Z I".to_string()]), "{endless}");
        server.wait_for_child("[local] idle");
    }
    // A signal from outside is the same.
    client.send(|out| out.query("select pg_sleep(60)"));
    server.wait_for_child("[local] SELECT");
    kill(client.pid, Signal::INT);
    assert_eq!(client.until_ready().last_chunk(), Some(&[cancelled.to_string(), "Z I".to_string()]));
    client.send(|out| out.query("select pg_sleep(60)"));
    server.wait_for_child("[local] SELECT");
    kill(client.pid, Signal::FPE);
    let told = "ERROR 22P01: floating-point exception".to_string();
    assert_eq!(client.until_ready().last_chunk(), Some(&[told, "Z I".to_string()]));
    kill(client.pid, Signal::FPE);
    server.wait_for_log("ERROR:  floating-point exception", 2);
    assert_eq!(client.value("select 1"), "1");
}

fn one_session_cancels_and_ends_another() {
    let server = TestServer::start("");
    let (mut client, mut other) = (session(&server), session(&server));
    other.send(|out| out.query("begin; select pg_sleep(60)"));
    server.wait_for_child("[local] SELECT");
    let pid = other.pid;
    assert_eq!(client.value(&format!("select pg_cancel_backend({pid})")), "t");
    let cancelled = "ERROR 57014: canceling statement due to user request";
    assert!(other.until_ready().ends_with(&[cancelled.to_string(), "Z E".to_string()]));
    assert_eq!(client.value(&format!("select pg_terminate_backend({pid}, 5000)")), "t");
    assert_eq!(
        other.until_eof(),
        ["FATAL 57P01: terminating connection due to administrator command", "EOF"]
    );
    wait_until_gone(Pid::from_raw(pid).expect("a pid"));
    // The process is gone; its slot is when the postmaster has seen that.
    let warned = format!("WARNING 01000: PID {pid} is not a PostgreSQL backend process");
    let started = Instant::now();
    let mut answer = client.query(&format!("select pg_terminate_backend({pid})"));
    while !answer.contains(&warned) && started.elapsed() < Duration::from_secs(10) {
        answer = client.query(&format!("select pg_terminate_backend({pid})"));
    }
    assert!(answer.contains(&warned), "{answer:?}");
}

fn timeouts_end_statements_transactions_and_sessions() {
    let server = TestServer::start("");
    let mut client = session(&server);
    client.query("set statement_timeout = '80ms'");
    let timed_out = "ERROR 57014: canceling statement due to statement timeout";
    for endless in ["select pg_sleep(60)", "select count(*) from generate_series(1, 100000000000)"] {
        let started = Instant::now();
        let got = client.query(endless);
        assert!(got.ends_with(&[timed_out.to_string(), "Z I".to_string()]), "{got:?}");
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(79) && took < Duration::from_secs(10), "{took:?}");
    }
    client.query("set statement_timeout = 0");
    for (setting, begin, told) in [
        ("idle_session_timeout", "select 1", "57P05: terminating connection due to idle-session timeout"),
        (
            "idle_in_transaction_session_timeout",
            "begin",
            "25P03: terminating connection due to idle-in-transaction timeout",
        ),
        ("transaction_timeout", "begin", "25P04: terminating connection due to transaction timeout"),
        (
            "transaction_timeout",
            "begin; select pg_sleep(60)",
            "25P04: terminating connection due to transaction timeout",
        ),
    ] {
        let mut client = session(&server);
        client.query(&format!("set {setting} = '80ms'"));
        client.send(|out| out.query(begin));
        let got = client.until_eof();
        assert!(got.ends_with(&[format!("FATAL {told}"), "EOF".to_string()]), "{setting}: {got:?}");
    }
    assert_eq!(client.value("select 1"), "1");
}

fn others_see_what_a_session_does() {
    let server = TestServer::start("");
    let (mut client, mut other) = (session(&server), session(&server));
    other.query("set application_name = 'seen'");
    let columns = "state, wait_event_type, wait_event, query, xact_start is not null";
    let look = format!("select {columns} from pg_stat_activity where application_name = 'seen'");
    // A session says that it is idle before it waits.
    let sees = |client: &mut Client, wanted: &str| {
        let started = Instant::now();
        let mut seen = client.query(&look)[1].clone();
        while seen != wanted && started.elapsed() < Duration::from_secs(10) {
            seen = client.query(&look)[1].clone();
        }
        assert_eq!(seen, wanted);
    };
    let waits = "Client ClientRead";
    sees(&mut client, &format!("D idle {waits} set application_name = 'seen' f"));
    other.query("begin");
    sees(&mut client, &format!("D idle in transaction {waits} begin t"));
    server.wait_for_child("[local] idle in transaction");
    other.query("select 1/0");
    sees(&mut client, &format!("D idle in transaction (aborted) {waits} select 1/0 f"));
    other.query("rollback");
    other.send(|out| out.query("select pg_sleep(60)"));
    server.wait_for_child("[local] SELECT");
    sees(&mut client, "D active Timeout PgSleep select pg_sleep(60) t");
    let pid = other.pid;
    assert_eq!(
        client.value(&format!("select backend_type from pg_stat_activity where pid = {pid}")),
        "client backend"
    );
}

fn statements_are_logged_as_asked() {
    let prefix = "log_line_prefix = '%q%u@%d/%a '\nlog_statement = all\nlog_min_duration_statement = 0\n";
    let server = TestServer::start(prefix);
    let mut client = session(&server);
    client.query("set application_name = app");
    client.query("select 1; select 2");
    client.query("select 1/0");
    client.send(|out| {
        out.parse("s", "select $1::text", &[]);
        out.bind("p", "s", &[], &[Some(b"it's")], &[]);
        out.execute("p", 0);
        out.sync();
    });
    client.until_ready();
    let log = server.log();
    let who = format!("{}@postgres/app", owner());
    let place = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text:?} is not in the log:\n{log}"));
    place(&format!("{who} LOG:  statement: select 1; select 2\n{who} LOG:  duration: "));
    place(&format!("{who} ERROR:  division by zero\n{who} STATEMENT:  select 1/0\n"));
    place(&format!("{who} LOG:  execute s/p: select $1::text\n{who} DETAIL:  Parameters: $1 = 'it''s'\n"));
    let timed = |what: &str| {
        let mut lines = log.lines().filter(|line| line.contains("LOG:  duration: "));
        assert!(lines.any(|line| line.ends_with(what)), "no duration of {what:?}:\n{log}");
    };
    timed(" ms  parse s: select $1::text");
    timed(" ms  bind s/p: select $1::text");
    timed(" ms");
}

/// Rows are sent while they are made: a result of many times the buffer arrives whole, in order.
fn big_results_reach_slow_readers() {
    let server = TestServer::start("");
    let mut client = session(&server);
    client.send(|out| out.query("select x, repeat('y', 1000) from generate_series(1, 20000) x"));
    server.wait_for_child("[local] SELECT");
    std::thread::sleep(Duration::from_millis(100));
    assert!(client.next().starts_with("T "));
    for row in 1..=20_000 {
        let got = client.next();
        assert!(got.starts_with(&format!("D {row} y")) && got.len() > 1000, "{got}");
    }
    assert_eq!(client.until_ready(), ["C SELECT 20000", "Z I"]);
}

/// Its socket full, a backend sleeps in ClientWrite; the end gets through all the same.
fn a_session_that_nobody_reads_can_be_ended() {
    let server = TestServer::start("");
    let (mut client, mut other) = (session(&server), session(&server));
    other.send(|out| out.query("select repeat('y', 1000) from generate_series(1, 1000000) x"));
    let look = format!("select wait_event from pg_stat_activity where pid = {}", other.pid);
    let started = Instant::now();
    while client.value(&look) != "ClientWrite" {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", client.value(&look));
    }
    kill(other.pid, Signal::TERM);
    wait_until_gone(Pid::from_raw(other.pid).expect("a pid"));
    assert_eq!(client.value("select 1"), "1");
}
