//! What becomes of committed transactions, whoever dies: start, stop, crash restart, and start behind a crash; checkpoints;
//! and data directories that no server may use.

pub mod programs;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tuskd::access::control_file::{ControlFile, DbState, PATH};
use tuskd::os::file::Files;

use super::{TestServer, wait_until_gone};
use crate::harness::{Skip, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    an_orderly_stop_needs_no_recovery,
    what_was_committed_outlives_a_crash_restart,
    what_was_committed_outlives_the_postmaster,
    who_leaves_a_transaction_has_crashed,
    asynchronous_commits_are_on_disk_soon,
    kills_at_any_moment_lose_nothing: 120,
    a_checkpoint_can_be_asked_for,
    checkpoints_come_with_the_amount_of_log: 120,
    nothing_new_needs_no_checkpoint,
    a_checkpoint_comes_in_its_time: 120,
    an_immediate_stop_is_recovered_from,
    a_control_file_that_cannot_be_used_ends_the_start,
    a_missing_checkpoint_ends_the_start,
    a_data_directory_that_cannot_be_written_ends_the_start,
    a_full_disk_is_an_error_and_no_loss: 120,
];

const READY: &str = "database system is ready to accept connections";

/// A server with one worker that runs this scenario.
fn start(scenario: &str, settings: &str) -> TestServer {
    let mut server = TestServer::init(settings);
    server.launch_scenario(scenario);
    server.wait_for_log(READY, 1);
    server
}

fn restart(server: &mut TestServer, scenario: &str) {
    let times = server.log().matches(READY).count();
    server.launch_scenario(scenario);
    server.wait_for_log(READY, times + 1);
}

fn control(server: &TestServer) -> ControlFile {
    ControlFile::read(&server.dir, &Files::new()).expect("a good control file")
}

pub fn in_order(log: &str, lines: &[&str]) {
    let mut at = 0;
    for line in lines {
        let found = log[at..].find(line).unwrap_or_else(|| panic!("{line:?} is not there in order:\n{log}"));
        at += found + line.len();
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("it lives");
}

/// Kills the postmaster and waits until nobody is left.
fn kill_server(server: &mut TestServer) {
    let children: Vec<i32> = server.children().into_iter().map(|(pid, _)| pid).collect();
    server.signal(Signal::KILL);
    let _ = server.wait();
    for pid in children {
        // The workers' loop ends with the postmaster's death, as every child's does.
        wait_until_gone(Pid::from_raw(pid).expect("a pid"));
    }
}

fn never_wrong(server: &TestServer) {
    let log = server.log();
    assert!(!log.contains("WRONG") && !log.contains("PANIC"), "{log}");
}

fn an_orderly_stop_needs_no_recovery() {
    let mut server = start("committer:50", "");
    assert_eq!(control(&server).state, DbState::InProduction);
    server.wait_for_log("writer: wrote 50 transactions", 1);
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    let stopped = control(&server);
    assert_eq!(stopped.state, DbState::ShutDown);
    assert!(stopped.checkpoint > stopped.checkpoint_copy.redo);
    in_order(
        &server.log(),
        &[
            "database system was shut down at ",
            READY,
            "shutting down",
            "checkpoint starting: shutdown immediate",
            "checkpoint complete: wrote 0 buffers (0.0%), wrote 1 SLRU buffers; 0 WAL file(s) added, 0 removed, 0 recycled; ",
            "database system is shut down",
        ],
    );
    restart(&mut server, "committer:10");
    server.wait_for_log("writer: wrote 10 transactions", 1);
    let log = server.log();
    assert!(log.contains("writer: verified 51 ends"), "{log}");
    assert!(!log.contains("not properly shut down"), "{log}");
    never_wrong(&server);
}

fn what_was_committed_outlives_a_crash_restart() {
    let server = start("committer:50", "");
    server.wait_for_log("writer: wrote 50 transactions", 1);
    kill(server.wait_for_child("bgworker: committer"));
    server.wait_for_log("writer: wrote 50 transactions", 2);
    let log = server.log();
    in_order(
        &log,
        &[
            "was terminated by signal 9: Killed",
            "terminating any other active server processes",
            "all server processes terminated; reinitializing",
            "database system was interrupted; last known up at ",
            "database system was not properly shut down; automatic recovery in progress",
            "redo starts at 0/",
            "invalid record length at ",
            "expected at least 24, got 0",
            "redo done at ",
            "system usage: CPU: user: ",
            "last completed transaction was at log time 2000-01-01 00:00:01.25+00",
            "checkpoint starting: end-of-recovery immediate wait",
            "checkpoint complete: wrote ",
            READY,
            "writer: verified 51 ends",
        ],
    );
    never_wrong(&server);
    assert_eq!(control(&server).state, DbState::InProduction);
}

fn what_was_committed_outlives_the_postmaster() {
    let mut server = start("committer:20:3", "");
    server.wait_for_log("writer: wrote 20 transactions", 3);
    kill_server(&mut server);
    restart(&mut server, "committer:1");
    server.wait_for_log("writer: verified 63 ends", 1);
    in_order(
        &server.log(),
        &[
            "another server might be running; trying to start server anyway",
            "database system was interrupted; last known up at ",
            "redo starts at ",
            "redo done at ",
        ],
    );
    never_wrong(&server);
}

/// A process that says it ended in order, with a transaction that nobody else would ever end, is one that crashed.
fn who_leaves_a_transaction_has_crashed() {
    let server = start("leaver:5", "");
    server.wait_for_log("writer: wrote 5 transactions", 1);
    let leaver = Pid::from_raw(server.wait_for_child("bgworker: leaver")).expect("a pid");
    kill_process(leaver, Signal::TERM).expect("it lives");
    server.wait_for_log("writer: verified 6 ends", 1);
    in_order(
        &server.log(),
        &[
            "background worker \"leaver 0\" (PID",
            "exited with exit code 0",
            "terminating any other active server processes",
            READY,
        ],
    );
    never_wrong(&server);
}

/// Three times `wal_writer_delay` is the promise; a power failure cannot be had here, but what the log's durable end is can.
fn asynchronous_commits_are_on_disk_soon() {
    let mut server = start("asynchronous:50", "wal_writer_delay = 50ms\n");
    server.wait_for_log("writer: wrote 50 transactions", 1);
    std::thread::sleep(Duration::from_millis(500));
    kill_server(&mut server);
    restart(&mut server, "committer:1");
    server.wait_for_log("writer: verified 51 ends", 1);
    never_wrong(&server);
}

/// Whoever is killed, and whenever: the checkpointer, writers, the startup process, all at once.
fn kills_at_any_moment_lose_nothing() {
    let scenario = "committer:1000000:3";
    let mut server = start(scenario, "max_wal_size = 32MB\nmin_wal_size = 32MB\ncheckpoint_timeout = 30s\n");
    for (round, victim) in
        ["checkpointer", "committer 1", "wal writer", "postmaster", "startup", "writer process", "postmaster"]
            .into_iter()
            .enumerate()
    {
        std::thread::sleep(Duration::from_millis(150 + 90 * round as u64));
        let times = server.log().matches(READY).count();
        match victim {
            "postmaster" => {
                kill_server(&mut server);
                restart(&mut server, scenario);
            }
            "startup" => {
                kill_server(&mut server);
                server.launch_scenario(scenario);
                // It may be through already.
                let found = (0..200).find_map(|_| {
                    std::thread::sleep(Duration::from_millis(1));
                    server.child_titled("startup process")
                });
                if let Some(pid) = found {
                    let _ = kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL);
                    assert_eq!(server.wait(), Some(1), "{}", server.log());
                    server.launch_scenario(scenario);
                }
                server.wait_for_log(READY, times + 1);
            }
            title => {
                kill(server.wait_for_child(title));
                server.wait_for_log(READY, times + 1);
            }
        }
        never_wrong(&server);
    }
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    restart(&mut server, "committer:1");
    server.wait_for_log("writer: wrote 1 transactions", 1);
    never_wrong(&server);
}

/// Several ask at once, and each has one that began behind its request.
fn a_checkpoint_can_be_asked_for() {
    let server = start("requester:0:3", "");
    server.wait_for_log("writer: checkpoint is done", 6);
    let log = server.log();
    in_order(&log, &["checkpoint starting: immediate force wait", "checkpoint complete: "]);
    let control = control(&server);
    assert!(log.contains(&format!("lsn={}, redo lsn={}", control.checkpoint, control.checkpoint_copy.redo)));
}

/// A checkpoint that nobody insists on is made if there is anything new only.
fn nothing_new_needs_no_checkpoint() {
    let server = start("requester:0", "");
    server.wait_for_log("writer: checkpoint is done", 2);
    let log = server.log();
    assert_eq!(log.matches("checkpoint starting").count(), 1, "{log}");
}

/// With `max_wal_size` of two segments a checkpoint comes with each; they are recycled, and it is complained of.
fn checkpoints_come_with_the_amount_of_log() {
    let server = start(
        "asynchronous:20000",
        "max_wal_size = 32MB\nmin_wal_size = 32MB\ncheckpoint_completion_target = 0\n",
    );
    server.wait_for_log("writer: wrote 20000 transactions", 1);
    server.wait_for_log("checkpoint starting: wal", 2);
    server.wait_for_log("checkpoint complete: ", 2);
    let log = server.log();
    in_order(
        &log,
        &[
            "checkpoints are occurring too frequently (",
            "Consider increasing the configuration parameter \"max_wal_size\".",
            "checkpoint starting: wal",
        ],
    );
    let segments = fs::read_dir(server.dir.join("pg_wal")).expect("a folder").flatten();
    let count = segments.filter(|entry| entry.file_name().len() == 24).count();
    assert!(count <= 6, "{count} segments of 100 MB of log stay");
    never_wrong(&server);
}

fn a_checkpoint_comes_in_its_time() {
    let server = start("committer:1", "checkpoint_timeout = 30s\n");
    std::thread::sleep(Duration::from_secs(25));
    assert!(!server.log().contains("checkpoint starting"), "{}", server.log());
    server.wait_for_log("checkpoint starting: time", 1);
    server.wait_for_log("checkpoint complete: ", 1);
}

fn an_immediate_stop_is_recovered_from() {
    let mut server = start("committer:20", "");
    server.wait_for_log("writer: wrote 20 transactions", 1);
    server.signal(Signal::QUIT);
    assert_eq!(server.wait(), Some(0));
    assert_eq!(control(&server).state, DbState::InProduction, "no checkpoint was made");
    restart(&mut server, "committer:1");
    server.wait_for_log("writer: verified 21 ends", 1);
    never_wrong(&server);
}

/// The start of a server in this directory ends with this, and changes nothing in it.
pub fn is_refused(server: &mut TestServer, expected: &[&str]) {
    let before = snapshot(&server.dir);
    server.launch();
    assert_eq!(server.wait(), Some(1), "{}", server.log());
    in_order(&server.log(), expected);
    assert_eq!(snapshot(&server.dir), before);
    fs::remove_file(server.log_path()).expect("it was there");
}

/// Names, lengths, modes and contents of everything.
pub fn snapshot(dir: &PathBuf) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        let mode = fs::symlink_metadata(&path).expect("it is there").mode();
        if path.is_dir() {
            found.push((path.clone(), mode, Vec::new()));
            found.extend(snapshot(&path));
        } else {
            found.push((path.clone(), mode, fs::read(&path).expect("readable")));
        }
    }
    found.sort();
    found
}

fn a_control_file_that_cannot_be_used_ends_the_start() {
    let mut server = TestServer::init("");
    let path = server.dir.join(PATH);
    let good = fs::read(&path).expect("init wrote it");
    let with = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        let crc = crc32c::crc32c(&bytes[..508]);
        bytes[508..512].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    let incompatible = "FATAL:  database files are incompatible with server";
    let mut damaged = good.clone();
    damaged[200] ^= 1;
    for (bytes, expected) in [
        (
            with(8, &1800_u32.to_le_bytes()),
            [
                incompatible,
                "initialized with PG_CONTROL_VERSION 1800, but the server was compiled with PG_CONTROL_VERSION",
            ],
        ),
        (
            with(8, &18_001_u32.to_be_bytes()),
            [incompatible, "This could be a problem of mismatched byte ordering."],
        ),
        (with(16, &0x0403_0201_u32.to_ne_bytes()), [incompatible, "of another byte order"]),
        (
            with(24, &16_384_u32.to_le_bytes()),
            [incompatible, "initialized with BLCKSZ 16384, but the server was compiled with BLCKSZ 8192."],
        ),
        (damaged, ["FATAL:  incorrect checksum", " in control file"]),
        (good[..100].to_vec(), ["FATAL:  could not read file \"global/pg_control\": ", "read 100 of 8192"]),
    ] {
        fs::write(&path, bytes).expect("writable");
        is_refused(&mut server, &expected);
    }
    fs::remove_file(&path).expect("ours");
    let missing = "FATAL:  could not open file \"global/pg_control\": No such file or directory";
    is_refused(&mut server, &[missing, "It looks like you need to initdb."]);
    fs::write(&path, good).expect("writable");
    server.launch();
    server.wait_for_log(READY, 1);
}

fn a_missing_checkpoint_ends_the_start() {
    let mut server = TestServer::init("");
    let segment = server.dir.join("pg_wal/000000010000000000000001");
    let checkpoint = control(&server).checkpoint;
    let file = fs::File::options().write(true).open(&segment).expect("init wrote it");
    // Within the checkpoint's record.
    file.write_all_at(&[0xFF; 8], checkpoint.bytes() % (16 << 20) + 30).expect("writable");
    server.launch();
    assert_eq!(server.wait(), Some(1), "{}", server.log());
    let missing = format!("PANIC:  could not locate a valid checkpoint record at {checkpoint}");
    in_order(&server.log(), &[&missing, "aborting startup due to startup process failure"]);
}

fn a_data_directory_that_cannot_be_written_ends_the_start() -> Result<(), Skip> {
    let Some(mount) = Mount::of_tmpfs("ro", "64m")? else { return Ok(()) };
    let mut server = TestServer::init("");
    let copied =
        std::process::Command::new("cp").arg("-a").arg(&server.dir).arg(mount.path.join("data")).status();
    assert!(copied.expect("cp runs").success());
    assert!(mount.run(&["-o", "remount,ro"]), "a remount");
    let own = std::mem::replace(&mut server.dir, mount.path.join("data"));
    let log = mount.path.with_extension("out");
    let output = super::tuskd().args(["run", "-D"]).arg(&server.dir).output().expect("tuskd runs");
    server.dir = own;
    let _ = fs::remove_file(log);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    in_order(&text, &["FATAL:  could not open lock file \"tuskd.lock\": Read-only file system"]);
    Ok(())
}

/// The log's disk is full: transactions end by an error, and when there is space again everything goes on.
fn a_full_disk_is_an_error_and_no_loss() -> Result<(), Skip> {
    let Some(mount) = Mount::of_tmpfs("full", "40m")? else { return Ok(()) };
    let mut server = TestServer::init("max_wal_size = 1GB\n");
    let (log, there) = (server.dir.join("pg_wal"), mount.path.join("pg_wal"));
    let copied = std::process::Command::new("cp").arg("-a").arg(&log).arg(&there).status();
    assert!(copied.expect("cp runs").success());
    fs::remove_dir_all(&log).expect("ours");
    std::os::unix::fs::symlink(&there, &log).expect("a link");
    // 40 MB have room for two segments, not for the 100 MB that it wants to write.
    server.launch_scenario("committer:20000");
    server.wait_for_log("No space left on device", 1);
    kill_server(&mut server);
    assert!(mount.run(&["-o", "remount,size=400m"]), "a remount");
    server.launch_scenario("committer:10");
    server.wait_for_log("writer: wrote 10 transactions", 1);
    let text = server.log();
    assert!(!text.contains("WRONG"), "{text}");
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    Ok(())
}

/// A file system of a test's own, unmounted with it.
pub struct Mount {
    pub path: PathBuf,
}

impl Mount {
    pub fn of_tmpfs(name: &str, size: &str) -> Result<Option<Self>, Skip> {
        if !rustix::process::geteuid().is_root() {
            return Err(Skip("only root can mount a small file system".to_owned()));
        }
        let path = std::env::temp_dir().join(format!("tuskd-mount-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        let mount = Self { path };
        let options = format!("size={size},mode=700");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&mount.path)
            .stderr(std::process::Stdio::null())
            .status();
        match mounted {
            Ok(status) if status.success() => Ok(Some(mount)),
            _ => Err(Skip("nothing can be mounted here".to_owned())),
        }
    }

    pub fn run(&self, args: &[&str]) -> bool {
        let status = std::process::Command::new("mount").args(args).arg(&self.path).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.path).status();
        let _ = fs::remove_dir(&self.path);
    }
}
