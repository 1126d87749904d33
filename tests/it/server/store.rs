//! The store through SQL: ids, ends, the log's functions, advisory locks between sessions, checkpoints, and what is left of
//! all that after a crash.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::connections::{client::Client, limits::owner};
use super::{TestServer, tuskd};
use crate::harness::{Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    ids_are_given_out_when_they_are_asked_for,
    ends_are_known_after_a_crash,
    asynchronous_commits_are_durable_when_the_session_has_left,
    the_log_has_its_functions,
    functions_with_several_results_are_tables_too,
    segments_are_archived_when_they_are_switched,
    a_stop_archives_what_was_written,
    a_segment_that_is_not_full_is_archived_after_a_while,
    advisory_locks_exclude,
    a_lock_is_waited_for_and_the_wait_ends,
    a_deadlock_is_found: 60,
    locks_end_with_transactions_and_sessions,
    a_checkpoint_is_made_on_request,
    offline_tools_read_the_directory,
    the_log_is_flushed_by_every_method,
    a_log_that_cannot_be_written_is_a_panic,
    changed_settings_reach_running_sessions,
];

fn session(server: &TestServer) -> Client {
    Client::session(server, &owner())
}

/// Waits until a query answers this.
pub fn wait_for(client: &mut Client, sql: &str, expected: &str) {
    let started = Instant::now();
    loop {
        let value = client.value(sql);
        if value == expected {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{sql}: {value}, not {expected}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An answer without the description of the rows that do not come.
fn outcome(answer: Vec<String>) -> Vec<String> {
    answer.into_iter().filter(|line| !line.starts_with("T ")).collect()
}

pub fn crash(mut server: TestServer) -> TestServer {
    let postmaster = server.postmaster();
    let children = server.children();
    kill_process(postmaster, Signal::KILL).expect("it lives");
    let _ = server.wait();
    for (pid, _) in children {
        let pid = Pid::from_raw(pid).expect("a pid");
        let _ = kill_process(pid, Signal::KILL);
        super::wait_until_gone(pid);
    }
    let starts = server.log().matches("ready to accept connections").count();
    server.launch();
    server.wait_for_log("ready to accept connections", starts + 1);
    server
}

fn ids_are_given_out_when_they_are_asked_for() {
    let server = TestServer::start("");
    let mut client = session(&server);
    client.query("begin");
    assert_eq!(client.value("select pg_current_xact_id_if_assigned()"), "NULL");
    client.query("savepoint a");
    let id = client.value("select pg_current_xact_id()");
    assert_eq!(client.value("select txid_current()"), id, "a savepoint is part of it");
    assert_eq!(client.value(&format!("select pg_xact_status('{id}')")), "in progress");
    let mut other = session(&server);
    assert_eq!(other.value(&format!("select pg_xact_status('{id}')")), "in progress");
    let held = "select count(*) from pg_locks where locktype = 'transactionid' and mode = 'ExclusiveLock'";
    assert_eq!(other.value(held), "1");
    client.query("rollback to a");
    client.query("commit");
    assert_eq!(other.value(&format!("select pg_xact_status('{id}')")), "committed");
    assert_eq!(other.value(held), "0");
    client.query("begin; select txid_current()");
    client.query("select 1/0");
    let aborted = (id.parse::<u64>().expect("an id") + 1).to_string();
    assert_eq!(other.value(&format!("select txid_status({aborted})")), "aborted");
    let future = "ERROR 22023: transaction ID 4000000000 is in the future";
    assert_eq!(outcome(other.query("select txid_status(4000000000)")), [future, "Z I"]);
}

fn ends_are_known_after_a_crash() {
    let server = TestServer::start("");
    let mut client = session(&server);
    let committed = client.value("select pg_current_xact_id()");
    client.query("begin");
    let open = client.value("select pg_current_xact_id()");
    client.query("savepoint a; select pg_logical_emit_message(true, 'tests', 'in a savepoint')");
    // What another session commits takes that to the disk.
    session(&server).query("select pg_current_xact_id()");
    let server = crash(server);
    let log = server.log();
    assert!(log.contains("automatic recovery in progress"), "{log}");
    let mut client = session(&server);
    assert_eq!(client.value(&format!("select pg_xact_status('{committed}')")), "committed");
    assert_eq!(client.value(&format!("select pg_xact_status('{open}')")), "aborted");
    let next: u64 = client.value("select pg_current_xact_id()").parse().expect("an id");
    assert!(next > open.parse().expect("an id"), "ids are given out once");
}

fn asynchronous_commits_are_durable_when_the_session_has_left() {
    let server = TestServer::start("wal_writer_delay = 10s\n");
    let mut client = session(&server);
    client.query("set synchronous_commit = off");
    let before = client.value("select pg_current_wal_flush_lsn()");
    let id = client.value("select pg_current_xact_id()");
    assert_eq!(client.value("select pg_current_wal_flush_lsn()"), before, "nobody waits for it");
    let mut other = session(&server);
    drop(client);
    let is_flushed = "select (pg_current_wal_flush_lsn() = pg_current_wal_insert_lsn())::text";
    wait_for(&mut other, is_flushed, "true");
    let server = crash(server);
    assert_eq!(session(&server).value(&format!("select pg_xact_status('{id}')")), "committed");
}

fn the_log_has_its_functions() {
    let server = TestServer::start("");
    let mut client = session(&server);
    let end = client.value("select pg_logical_emit_message(false, 'tests', 'hello', true)");
    let durable = format!("select ('{end}'::pg_lsn <= pg_current_wal_flush_lsn())::text");
    assert_eq!(client.value(&durable), "true");
    for (sql, expected) in [
        ("select pg_current_wal_flush_lsn() <= pg_current_wal_insert_lsn()", "t"),
        ("select pg_current_wal_lsn() <= pg_current_wal_insert_lsn()", "t"),
        ("select pg_walfile_name('0/2000000')", "000000010000000000000002"),
        ("select pg_walfile_name_offset('1/FF000010')", "(0000000100000001000000FF,16)"),
        ("select pg_split_walfile_name('00000001000000010000000A')", "(266,1)"),
        ("select pg_wal_lsn_diff('0/2000000', '0/1000000')", "16777216"),
        ("select '0/20'::pg_lsn + 16", "0/30"),
        ("select 16 + '0/20'::pg_lsn", "0/30"),
        ("select '0/20'::pg_lsn - 16", "0/10"),
        ("select pg_last_wal_replay_lsn()", "NULL"),
        ("select data_page_checksum_version from pg_control_init()", "1"),
        ("show data_checksums", "on"),
    ] {
        assert_eq!(client.value(sql), expected, "{sql}");
    }
    for (sql, expected) in [
        ("select '0/0'::pg_lsn - 1", "ERROR 22023: pg_lsn out of range"),
        ("select '0/0'::pg_lsn + 'NaN'", "ERROR 0A000: cannot add NaN to pg_lsn"),
        ("select pg_split_walfile_name('x')", "ERROR 22023: invalid WAL file name \"x\""),
    ] {
        assert_eq!(outcome(client.query(sql)), [expected, "Z I"], "{sql}");
    }
    let dump =
        tuskd().args(["waldump", "-D"]).arg(&server.dir).args(["-r", "LogicalMessage"]).output().unwrap();
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    let message = "desc: MESSAGE non-transactional, prefix \"tests\"; payload (5 bytes): 68 65 6C 6C 6F";
    assert!(dump.contains(message), "{dump}");
}

fn functions_with_several_results_are_tables_too() {
    let server = TestServer::start("");
    let mut client = session(&server);
    let answer = client.query("select * from pg_walfile_name_offset('0/2000010') with ordinality");
    let columns = "T file_name:25 file_offset:23 ordinality:20";
    assert_eq!(answer, [columns, "D 000000010000000000000002 16 1", "C SELECT 1", "Z I"]);
    let answer =
        client.query("select b, a from pg_split_walfile_name('000000020000000000000003') as f(a, b)");
    assert_eq!(answer, ["T b:20 a:1700", "D 2 3", "C SELECT 1", "Z I"]);
    let sizes = "select count(*) > 0 and min(size) = 16777216 and max(size) = 16777216 from pg_ls_waldir()";
    assert_eq!(client.value(sizes), "t");
}

fn archiving(more: &str) -> TestServer {
    let settings = format!("archive_mode = on\narchive_command = 'cp %p archive/%f'\n{more}");
    let mut server = TestServer::init(&settings);
    std::fs::create_dir(server.dir.join("archive")).expect("a new folder");
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 1);
    server
}

fn segments_are_archived_when_they_are_switched() {
    let server = archiving("");
    let mut client = session(&server);
    let name = client.value("select pg_walfile_name(pg_current_wal_insert_lsn())");
    client.query("select pg_logical_emit_message(false, 'a', 'b')");
    client.query("select pg_switch_wal()");
    wait_for(&mut client, "select last_archived_wal from pg_stat_archiver", &name);
    assert_eq!(client.value("select archived_count from pg_stat_archiver"), "1");
    assert_eq!(client.value("select name from pg_ls_archive_statusdir()"), format!("{name}.done"));
    assert_eq!(std::fs::metadata(server.dir.join("archive").join(&name)).unwrap().len(), 16 << 20);
    assert_ne!(client.value("select pg_walfile_name(pg_current_wal_insert_lsn())"), name);
}

fn a_stop_archives_what_was_written() {
    let mut server = archiving("");
    let mut client = session(&server);
    let name = client.value("select pg_walfile_name(pg_current_wal_insert_lsn())");
    client.query("select pg_logical_emit_message(true, 'tests', 'the last one')");
    drop(client);
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    assert!(server.dir.join("archive").join(&name).exists(), "{}", server.log());
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 2);
    assert!(!server.log().contains("automatic recovery"), "{}", server.log());
}

fn a_segment_that_is_not_full_is_archived_after_a_while() {
    let server = archiving("archive_timeout = 1s\n");
    let mut client = session(&server);
    client.query("select pg_logical_emit_message(false, 'a', 'b')");
    wait_for(&mut client, "select (archived_count > 0)::text from pg_stat_archiver", "true");
    // Nothing is written any more, so nothing is switched any more, but for what a checkpoint may have written.
    client.query("checkpoint");
    std::thread::sleep(Duration::from_millis(2500));
    let count = client.value("select archived_count from pg_stat_archiver");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(client.value("select archived_count from pg_stat_archiver"), count);
}

fn advisory_locks_exclude() {
    let server = TestServer::start("");
    let (mut one, mut two) = (session(&server), session(&server));
    assert_eq!(one.value("select pg_advisory_lock(1)"), "");
    for (sql, expected) in [
        ("select pg_try_advisory_lock(1)", "f"),
        ("select pg_try_advisory_lock_shared(1)", "f"),
        ("select pg_try_advisory_xact_lock(1)", "f"),
        ("select pg_try_advisory_lock(0, 1)", "t"),
        ("select pg_try_advisory_lock_shared(7)", "t"),
    ] {
        assert_eq!(two.value(sql), expected, "{sql}");
    }
    assert_eq!(one.value("select pg_try_advisory_lock_shared(7)"), "t");
    assert_eq!(one.value("select pg_try_advisory_lock(7)"), "f");
    let not_owned = |mode| format!("WARNING 01000: you don't own a lock of type {mode}");
    let answer = two.query("select pg_advisory_unlock(1), pg_advisory_unlock_shared(2)");
    assert!(
        answer.contains(&not_owned("ExclusiveLock")) && answer.contains(&not_owned("ShareLock")),
        "{answer:?}"
    );
    assert!(answer.contains(&"D f f".to_owned()), "{answer:?}");
    let shown = "select classid, objid, objsubid, mode, granted from pg_locks where locktype = 'advisory' and \
                 mode = 'ExclusiveLock' order by objsubid";
    assert_eq!(two.query(shown)[1..3], ["D 0 1 1 ExclusiveLock t", "D 0 1 2 ExclusiveLock t"]);
    // As often as it was taken.
    assert_eq!(one.value("select pg_try_advisory_lock(1)"), "t");
    assert_eq!(one.value("select pg_advisory_unlock(1)"), "t");
    assert_eq!(two.value("select pg_try_advisory_lock(1)"), "f");
    assert_eq!(one.value("select pg_advisory_unlock(1)"), "t");
    assert_eq!(two.value("select pg_try_advisory_lock(1)"), "t");
    two.query("select pg_advisory_unlock_all()");
    assert_eq!(one.value("select pg_try_advisory_lock(0, 1)"), "t");
}

/// Sends a query and does not wait for its answer.
fn ask(client: &mut Client, sql: &str) {
    client.send(|out| out.query(sql));
}

fn a_lock_is_waited_for_and_the_wait_ends() {
    let server = TestServer::start("log_lock_waits = on\ndeadlock_timeout = 50ms\n");
    let (mut one, mut two, mut third) = (session(&server), session(&server), session(&server));
    let (first, second) = (one.value("select pg_backend_pid()"), two.value("select pg_backend_pid()"));
    one.query("select pg_advisory_lock(1)");
    ask(&mut two, "select pg_advisory_lock(1)");
    let blockers = format!("select pg_blocking_pids({second})");
    wait_for(&mut third, &blockers, &format!("{{{first}}}"));
    let waits =
        format!("select wait_event_type || ' ' || wait_event from pg_stat_activity where pid = {second}");
    assert_eq!(third.value(&waits), "Lock advisory");
    assert_eq!(third.value("select count(*) from pg_locks where not granted and waitstart is not null"), "1");
    server.wait_for_child("SELECT waiting");
    server.wait_for_log(&format!("process {second} still waiting for ExclusiveLock on advisory lock ["), 1);
    let queue = format!("Process holding the lock: {first}. Wait queue: {second}.");
    assert!(server.log().contains(&queue), "{}", server.log());
    one.query("select pg_advisory_unlock(1)");
    assert_eq!(two.until_ready().last().map(String::as_str), Some("Z I"));
    server.wait_for_log(&format!("process {second} acquired ExclusiveLock on advisory lock ["), 1);
    assert_eq!(third.value(&blockers), "{}");
    // A time limit, a cancel request, an end of the session.
    for (settings, expected) in [
        ("lock_timeout = 20", "ERROR 55P03: canceling statement due to lock timeout"),
        ("statement_timeout = 20", "ERROR 57014: canceling statement due to statement timeout"),
    ] {
        one.query(&format!("set {settings}"));
        assert_eq!(outcome(one.query("select pg_advisory_lock(1)")), [expected, "Z I"]);
        one.query("reset all");
    }
    ask(&mut one, "select pg_advisory_lock(1)");
    wait_for(&mut third, &format!("select pg_blocking_pids({first})"), &format!("{{{second}}}"));
    third.query(&format!("select pg_cancel_backend({first})"));
    assert_eq!(outcome(one.until_ready()), ["ERROR 57014: canceling statement due to user request", "Z I"]);
    ask(&mut one, "select pg_advisory_lock(1)");
    wait_for(&mut third, &format!("select pg_blocking_pids({first})"), &format!("{{{second}}}"));
    third.query(&format!("select pg_terminate_backend({first}, 5000)"));
    let fatal = "FATAL 57P01: terminating connection due to administrator command";
    assert!(one.until_eof().contains(&fatal.to_owned()));
    assert_eq!(third.value("select count(*) from pg_locks where not granted"), "0");
}

fn a_deadlock_is_found() {
    let server = TestServer::start("deadlock_timeout = 100ms\n");
    let (mut one, mut two) = (session(&server), session(&server));
    let (first, second) = (one.value("select pg_backend_pid()"), two.value("select pg_backend_pid()"));
    one.query("begin; select pg_advisory_xact_lock(1)");
    two.query("begin; select pg_advisory_xact_lock(2)");
    ask(&mut one, "select pg_advisory_xact_lock(2)");
    let mut third = session(&server);
    wait_for(&mut third, &format!("select pg_blocking_pids({first})"), &format!("{{{second}}}"));
    ask(&mut two, "select pg_advisory_xact_lock(1)");
    // Either of them may find it; the other one gets its lock when that has rolled back.
    server.wait_for_log("ERROR:  deadlock detected", 1);
    let log = server.log();
    let link = |waits: &str, key: u32, blocker: &str| {
        let database = third_database(&log);
        format!(
            "Process {waits} waits for ExclusiveLock on advisory lock [{database},0,{key},1]; blocked by process \
             {blocker}."
        )
    };
    for line in [link(&first, 2, &second), link(&second, 1, &first)] {
        assert!(log.contains(&line), "{line}\n{log}");
    }
    for line in [
        "HINT:  See server log for query details.".to_owned(),
        format!("Process {first}: select pg_advisory_xact_lock(2)"),
        format!("Process {second}: select pg_advisory_xact_lock(1)"),
    ] {
        assert!(log.contains(&line), "{line}\n{log}");
    }
    let answers = [one.until_ready(), two.until_ready()].concat();
    let told = |what: &str| answers.iter().filter(|answer| answer.contains(what)).count();
    assert_eq!((told("ERROR 40P01: deadlock detected"), told("C SELECT 1")), (1, 1), "{answers:?}");
    assert_eq!((told("Z E"), told("Z T")), (1, 1), "{answers:?}");
}

/// The database's number, as the log's lines about locks have it.
fn third_database(log: &str) -> String {
    let from = log.find("advisory lock [").expect("a line about a lock") + "advisory lock [".len();
    log[from..].split(',').next().unwrap_or_default().to_owned()
}

fn locks_end_with_transactions_and_sessions() {
    let server = TestServer::start("");
    let (mut one, mut two) = (session(&server), session(&server));
    one.query("begin; select pg_advisory_xact_lock(1); savepoint a; select pg_advisory_xact_lock(2)");
    one.query("savepoint b; select pg_advisory_xact_lock(3); release b; select pg_advisory_lock(4)");
    let free =
        |client: &mut Client, key: u32| client.value(&format!("select pg_try_advisory_xact_lock({key})"));
    assert_eq!([1, 2, 3, 4].map(|key| free(&mut two, key)), ["f", "f", "f", "f"]);
    one.query("rollback to a");
    assert_eq!([1, 2, 3, 4].map(|key| free(&mut two, key)), ["f", "t", "t", "f"]);
    one.query("commit");
    assert_eq!([1, 4].map(|key| free(&mut two, key)), ["t", "f"]);
    // A failed transaction holds nothing.
    one.query("begin; select pg_advisory_xact_lock(5); select 1/0");
    assert_eq!(free(&mut two, 5), "t");
    drop(one);
    wait_for(&mut two, "select pg_try_advisory_xact_lock(4)", "t");
}

fn a_checkpoint_is_made_on_request() {
    let server = TestServer::start("");
    let mut client = session(&server);
    client.query("select pg_logical_emit_message(false, 'a', 'b')");
    let before = client.value("select checkpoint_lsn from pg_control_checkpoint()");
    let done: u32 = client.value("select num_requested from pg_stat_checkpointer").parse().expect("a number");
    assert_eq!(client.query("checkpoint"), ["C CHECKPOINT", "Z I"]);
    assert_ne!(client.value("select checkpoint_lsn from pg_control_checkpoint()"), before);
    let now: u32 = client.value("select num_requested from pg_stat_checkpointer").parse().expect("a number");
    assert!(now > done);
    assert_eq!(client.query("begin; checkpoint; commit").last().map(String::as_str), Some("Z I"));
    let checkpointer = Pid::from_raw(server.wait_for_child("checkpointer process")).unwrap();
    kill_process(checkpointer, Signal::STOP).expect("it lives");
    client.query("set statement_timeout = 50");
    let timeout = "ERROR 57014: canceling statement due to user request";
    let mut other = session(&server);
    let pid = client.value("select pg_backend_pid()");
    ask(&mut client, "checkpoint");
    let waits = format!("select wait_event from pg_stat_activity where pid = {pid}");
    wait_for(&mut other, &waits, "CheckpointStart");
    other.query(&format!("select pg_cancel_backend({pid})"));
    assert_eq!(client.until_ready(), [timeout, "Z I"]);
    kill_process(checkpointer, Signal::CONT).expect("it lives");
}

fn offline_tools_read_the_directory() {
    let mut server = TestServer::start("");
    let run = |server: &TestServer, command: &str, args: &[&str]| {
        let output = tuskd().arg(command).args(args).arg("-D").arg(&server.dir).output().expect("tuskd runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, text, _) = run(&server, "controldata", &[]);
    assert_eq!(code, Some(0));
    assert!(text.contains("Database cluster state:               in production\n"), "{text}");
    let (code, _, complaint) = run(&server, "checksums", &[]);
    assert_eq!((code, complaint.as_str()), (Some(1), "tuskd: error: cluster must be shut down\n"));
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    let (_, text, _) = run(&server, "controldata", &[]);
    assert!(text.contains("Database cluster state:               shut down\n"), "{text}");
    let (code, text, _) = run(&server, "checksums", &["--check"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("Checksum operation completed\nFiles scanned:   "), "{text}");
    assert!(text.ends_with("Bad checksums:  0\nData checksum version: 1\n"), "{text}");
    let (code, _, complaint) = run(&server, "checksums", &["--enable"]);
    let expected = "tuskd: error: data checksums are already enabled in cluster\n";
    assert_eq!((code, complaint.as_str()), (Some(1), expected));
}

fn the_log_is_flushed_by_every_method() {
    for method in ["io_uring_dsync", "open_datasync", "fdatasync", "fsync", "open_sync"] {
        let server = TestServer::start(&format!("wal_sync_method = {method}\n"));
        assert!(server.log().contains(&format!("WAL sync method: {method}, as configured")));
        let mut client = session(&server);
        assert_eq!(client.value("show wal_sync_method"), method);
        let id = client.value("select pg_current_xact_id()");
        let server = crash(server);
        let status = session(&server).value(&format!("select pg_xact_status('{id}')"));
        assert_eq!(status, "committed", "{method}");
    }
}

/// Nobody says that a commit is durable when its write failed: the server starts over from what is on disk.
fn a_log_that_cannot_be_written_is_a_panic() {
    let mut server = TestServer::start("restart_after_crash = off\n");
    let committed = session(&server).value("select pg_current_xact_id()");
    let mut client = session(&server);
    let segment =
        server.dir.join("pg_wal").join(client.value("select pg_walfile_name(pg_current_wal_lsn())"));
    let aside = server.dir.join("aside");
    std::fs::rename(&segment, &aside).expect("it is there");
    let answer = client.query("select pg_current_xact_id()");
    let panic = "PANIC 58P01: could not write to log file \"000000010000000000000001\" at offset ";
    assert!(answer.iter().any(|line| line.starts_with(panic)), "{answer:?}");
    assert!(!answer.iter().any(|line| line.starts_with("C ")), "{answer:?}");
    assert_eq!(server.wait(), Some(1));
    server.wait_for_log("was terminated by signal 6: Aborted", 1);
    std::fs::rename(&aside, &segment).expect("nobody made another");
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 2);
    let status = session(&server).value(&format!("select pg_xact_status('{committed}')"));
    assert_eq!(status, "committed");
}

/// A session that has used the log flushes by a new method, and waits for others, when the settings say so.
fn changed_settings_reach_running_sessions() {
    let server = TestServer::start("wal_sync_method = fsync\n");
    let mut client = session(&server);
    client.query("select pg_current_xact_id()");
    let conf = server.dir.join("postgresql.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, text + "wal_sync_method = open_datasync\n").unwrap();
    server.signal(Signal::HUP);
    wait_for(&mut client, "show wal_sync_method", "open_datasync");
    let opened = |client: &mut Client| {
        let pid = client.value("select pg_backend_pid()");
        client.query("select pg_current_xact_id()");
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
        let of_log = files.filter_map(|entry| {
            let entry = entry.ok()?;
            let target = std::fs::read_link(entry.path()).ok()?;
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?))
                .ok()?;
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim().to_owned();
            target.to_str()?.contains("/pg_wal/").then(|| u32::from_str_radix(&flags, 8).unwrap_or(0))
        });
        of_log.max().unwrap_or(0)
    };
    /// `O_DSYNC`.
    const DSYNC: u32 = 0o10_000;
    assert_ne!(opened(&mut client) & DSYNC, 0, "each write is its own sync now");
    // With a delay and others that write, a commit takes as long.
    let mut other = session(&server);
    other.query("begin; select pg_current_xact_id()");
    client.query("set commit_siblings = 1; set commit_delay = 100000");
    let started = Instant::now();
    client.query("select pg_current_xact_id()");
    assert!(started.elapsed() >= Duration::from_millis(100));
    other.query("rollback");
    let started = Instant::now();
    client.query("select pg_current_xact_id()");
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
}
