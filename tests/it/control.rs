//! The command line, as far as it needs no server: making data directories, the other programs' names, exit codes, the
//! doctor, and control of a stand-in for a postmaster.
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use shmem_layout::Phase;
use tuskd::ipc::slots::SlotTable;
use tuskd::ipc::{Ipc, WaitEvent};
use tuskd::os::pidfd::ExitStatus;
use tuskd::os::process::{self, Fork};
use tuskd::os::signal::{self, Signal, SignalSet};
use tuskd::shmem::{HugePages, Plan, Segment};
use tuskd::sync::Ordering;

use crate::harness::{Test, tests};
use crate::world::eventually;

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    init_lays_out_a_directory,
    init_refuses_what_is_not_empty,
    init_warns_of_trust,
    init_takes_away_what_failed,
    wrong_arguments_have_their_exit_codes,
    status_tells_no_server_from_no_directory,
    links_make_other_programs,
    isready_gets_no_response,
    isready_hears_the_answer,
    doctor_prints_json,
    a_postmaster_is_signalled,
    orphans_are_shown_and_ended,
    a_start_that_fails_is_told,
    top_reads_shared_memory,
];

/// A directory that is gone when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tuskd-it-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a place for temporary files");
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_remove("PGDATA").env_remove("PGHOST").env_remove("PGPORT").stdin(Stdio::null());
    command
}

fn tuskd(args: &[&str]) -> Output {
    run(command(env!("CARGO_BIN_EXE_tuskd"), args))
}

fn run(mut command: Command) -> Output {
    command.output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn expect_code(output: &Output, code: i32) {
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(code), "\n{out}\n{err}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A data directory without anybody in it.
fn cluster(scratch: &Scratch) -> PathBuf {
    let dir = scratch.join("data");
    expect_code(&tuskd(&["init", "-N", "-D", text(&dir)]), 0);
    dir
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn init_lays_out_a_directory() {
    let scratch = Scratch::new("layout");
    let dir = scratch.join("data");
    let output = tuskd(&["init", "-D", text(&dir), "-U", "me", "-c", "port=5555"]);
    expect_code(&output, 0);
    assert!(stdout(&output).contains("Success. You can now start the database server using:"));
    assert_eq!(fs::read_to_string(dir.join("PG_VERSION")).expect("written"), "18\n");
    assert_eq!(mode(&dir), 0o700);
    for name in ["base", "global", "pg_wal", "pg_stat", "log", "pg_wal/archive_status"] {
        assert_eq!(mode(&dir.join(name)), 0o700, "{name}");
    }
    for name in [
        "PG_VERSION",
        "tuskd_version",
        "postgresql.conf",
        "postgresql.auto.conf",
        "pg_hba.conf",
        "pg_ident.conf",
    ] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
    let config = fs::read_to_string(dir.join("postgresql.conf")).expect("written");
    assert!(config.contains("port = '5555'"), "{config}");
    let hba = fs::read_to_string(dir.join("pg_hba.conf")).expect("written");
    let first = hba.lines().find(|line| line.starts_with("local")).expect("a line for the socket");
    assert_eq!(first.split_whitespace().collect::<Vec<_>>(), ["local", "all", "\"me\"", "peer"]);
}

fn init_refuses_what_is_not_empty() {
    let scratch = Scratch::new("filled");
    let dir = scratch.join("data");
    fs::create_dir(&dir).expect("new");
    fs::write(dir.join("mine"), "x").expect("new");
    let output = tuskd(&["init", "-D", text(&dir)]);
    expect_code(&output, 1);
    let problem = format!("directory \"{}\" exists but is not empty", dir.display());
    assert!(stderr(&output).contains(&problem), "{}", stderr(&output));
    assert_eq!(fs::read_dir(&dir).expect("there").count(), 1, "nothing was added or removed");
}

fn init_warns_of_trust() {
    let scratch = Scratch::new("trust");
    let output = tuskd(&["init", "-N", "-A", "trust", "-D", text(&scratch.join("data"))]);
    expect_code(&output, 0);
    assert!(stderr(&output).contains("warning: enabling \"trust\" authentication for local connections"));
    let hba = fs::read_to_string(scratch.join("data/pg_hba.conf")).expect("written");
    assert!(hba.lines().filter(|line| line.starts_with("host")).all(|line| line.ends_with("trust")), "{hba}");
}

/// Ctrl-C in the middle of a long sync must not leave half a directory, which the next start would stumble over.
fn init_takes_away_what_failed() {
    let scratch = Scratch::new("interrupted");
    let dir = scratch.join("data");
    let child = match process::fork().expect("the test has one thread") {
        Fork::Parent(child) => child,
        Fork::Child => {
            // A signal that is pending stays so over the exec, and is there when init looks.
            signal::block(&SignalSet::empty().with(Signal::TERM));
            rustix::process::kill_process(process::pid(), Signal::TERM).expect("ourselves");
            let error = command(env!("CARGO_BIN_EXE_tuskd"), &["init", "-D", text(&dir)]).exec();
            panic!("{error}");
        }
    };
    assert_eq!(child.pidfd.wait().expect("our child"), ExitStatus::Exited(1));
    assert!(!dir.exists());
}

fn wrong_arguments_have_their_exit_codes() {
    for (args, code) in [
        (&["bogus"][..], 1),
        (&[], 1),
        (&["run", "-Z"], 1),
        (&["start", "--bogus"], 1),
        (&["stop", "-m", "never"], 1),
        (&["kill", "TERM"], 1),
        (&["kill", "TERM", "999999999"], 1),
        (&["isready", "--bogus"], 3),
        (&["top", "-n", "0"], 1),
        (&["doctor", "x"], 1),
        (&["--version"], 0),
        (&["--help"], 0),
        (&["single"], 1),
    ] {
        let output = tuskd(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    }
}

fn status_tells_no_server_from_no_directory() {
    let scratch = Scratch::new("status");
    let output = tuskd(&["status", "-D", text(&scratch.join("nowhere"))]);
    expect_code(&output, 4);
    assert!(stderr(&output).contains("does not exist"));
    expect_code(&tuskd(&["status", "-D", text(&scratch.0)]), 4);
    let dir = cluster(&scratch);
    let output = tuskd(&["status", "-D", text(&dir)]);
    expect_code(&output, 3);
    assert_eq!(stdout(&output), "tuskd: no server running\n");
    // A pid that is somebody else's by now: this test's.
    fs::write(dir.join("postmaster.pid"), format!("{}\n", std::process::id())).expect("written");
    expect_code(&tuskd(&["status", "-D", text(&dir)]), 3);
    fs::write(dir.join("postmaster.pid"), "").expect("written");
    let output = tuskd(&["status", "-D", text(&dir)]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("is empty"));
    let output = tuskd(&["stop", "-D", text(&scratch.join("nowhere"))]);
    expect_code(&output, 1);
}

fn links_make_other_programs() {
    let scratch = Scratch::new("links");
    expect_code(&tuskd(&["install-links", text(&scratch.0)]), 0);
    expect_code(&tuskd(&["install-links", text(&scratch.0)]), 0);
    for (name, printed) in [
        ("postgres", "postgres (PostgreSQL) 18."),
        ("postmaster", "postgres (PostgreSQL) 18."),
        ("pg_ctl", "pg_ctl (PostgreSQL) 18."),
        ("initdb", "initdb (PostgreSQL) 18."),
        ("pg_isready", "pg_isready (PostgreSQL) 18."),
    ] {
        let program = scratch.join(name);
        for option in ["--version", "-V"] {
            let output = run(command(&program, &[option]));
            expect_code(&output, 0);
            assert!(stdout(&output).starts_with(printed), "{}", stdout(&output));
        }
        let output = run(command(&program, &["--help"]));
        expect_code(&output, 0);
        assert!(stdout(&output).contains("Usage:"), "{name}");
    }
    let dir = scratch.join("data");
    let output =
        run(command(scratch.join("pg_ctl"), &["init", "-s", "-D", text(&dir), "-o", "-N -U 'some one'"]));
    expect_code(&output, 0);
    let hba = fs::read_to_string(dir.join("pg_hba.conf")).expect("written");
    assert!(hba.contains("\"some one\""));
    let output = run(command(scratch.join("pg_ctl"), &["status", "-D", text(&dir)]));
    expect_code(&output, 3);
    assert_eq!(stdout(&output), "pg_ctl: no server running\n");
    let output = run(command(scratch.join("pg_ctl"), &["status"]));
    expect_code(&output, 1);
    assert!(
        stderr(&output).contains("no database directory specified and environment variable PGDATA unset")
    );
    let output = run(command(scratch.join("postgres"), &["-D", text(&dir), "-C", "port", "-p", "77"]));
    assert_eq!(stdout(&output), "77\n");
    expect_code(&run(command(scratch.join("postgres"), &["--single"])), 1);
    expect_code(&run(command(scratch.join("postgres"), &[])), 2);
    let nowhere = scratch.join("nowhere");
    expect_code(&run(command(scratch.join("postgres"), &["-D", text(&nowhere)])), 2);
}

fn isready_gets_no_response() {
    let scratch = Scratch::new("isready");
    let output = tuskd(&["isready", "-h", text(&scratch.0), "-p", "5431"]);
    expect_code(&output, 2);
    assert_eq!(stdout(&output), format!("{}:5431 - no response\n", scratch.0.display()));
    let output = tuskd(&["isready", "-q", "-h", text(&scratch.0)]);
    expect_code(&output, 2);
    assert_eq!(stdout(&output), "");
}

fn isready_hears_the_answer() {
    use std::io::{Read, Write};
    let scratch = Scratch::new("answers");
    let listener = std::os::unix::net::UnixListener::bind(scratch.join(".s.PGSQL.7")).expect("a new socket");
    let starting = b"E\0\0\0\x1bSFATAL\0C57P03\0Mlater\0\0\0";
    for (answer, code, words) in [
        (&b"R\0\0\0\x08\0\0\0\0"[..], 0, "accepting connections"),
        (starting, 1, "rejecting connections"),
        (b"", 2, "no response"),
    ] {
        let mut asking =
            command(env!("CARGO_BIN_EXE_tuskd"), &["isready", "-p", "7", "-h", text(&scratch.0)]);
        let child = asking.stdout(Stdio::piped()).spawn().expect("it starts");
        let (mut stream, _) = listener.accept().expect("it connects");
        let mut head = [0; 8];
        stream.read_exact(&mut head).expect("a startup packet");
        assert_eq!(head[4..], [0, 3, 0, 0]);
        let mut rest = vec![0; head[3] as usize - 8];
        stream.read_exact(&mut rest).expect("the whole packet");
        stream.write_all(answer).expect("it listens");
        drop(stream);
        let output = child.wait_with_output().expect("our child");
        expect_code(&output, code);
        assert!(
            stdout(&output).ends_with(&format!("/{}:7 - {words}\n", name_of(&scratch))),
            "{}",
            stdout(&output)
        );
    }
}

fn name_of(scratch: &Scratch) -> String {
    scratch.0.file_name().expect("it has a name").to_string_lossy().into_owned()
}

fn doctor_prints_json() {
    let scratch = Scratch::new("doctor");
    let output = tuskd(&["doctor", "--json", "-D", text(&scratch.0)]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("a list");
    assert!(checks.len() > 12, "{checks:?}");
    for check in checks {
        let verdict = check["verdict"].as_str().expect("a word");
        assert!(["ok", "warn", "bad"].contains(&verdict));
        assert_eq!(check["costs"].is_null(), verdict == "ok", "{check}");
    }
    let is_bad = report["verdict"] == "bad";
    expect_code(&output, i32::from(is_bad));
    assert_eq!(fs::read_dir(&scratch.0).expect("there").count(), 0, "it leaves nothing behind");
    let output = tuskd(&["doctor", "-D", text(&scratch.0)]);
    assert!(stdout(&output).contains("to be improved"));
}

/// A stand-in for a postmaster: it holds the instance lock's file, and notes each signal.
fn stand_in(dir: &Path) -> Child {
    let script = "exec 9>>tuskd.lock; rm -f started
        trap 'echo HUP >> signals' HUP; trap 'echo USR1 >> signals' USR1
        trap 'echo INT >> signals; exit 0' INT; trap 'echo TERM >> signals; exit 0' TERM
        echo $$ > postmaster.pid; : > started
        while :; do sleep 0.05 9>&-; done";
    let child = command("sh", &["-c", script]).current_dir(dir).spawn().expect("a shell");
    eventually(|| dir.join("started").exists());
    child
}

fn signals(dir: &Path) -> String {
    fs::read_to_string(dir.join("signals")).unwrap_or_default()
}

fn a_postmaster_is_signalled() {
    let scratch = Scratch::new("signals");
    let dir = cluster(&scratch);
    let data = text(&dir);
    let mut postmaster = stand_in(&dir);
    let output = tuskd(&["status", "-D", data]);
    expect_code(&output, 0);
    assert!(stdout(&output).starts_with(&format!("tuskd: server is running (PID: {})\n", postmaster.id())));
    let output = tuskd(&["reload", "-D", data]);
    assert_eq!(stdout(&output), "server signaled\n");
    eventually(|| signals(&dir) == "HUP\n");
    let output = tuskd(&["logrotate", "-D", data]);
    assert_eq!(stdout(&output), "server signaled to rotate log file\n");
    eventually(|| signals(&dir) == "HUP\nUSR1\n");
    assert!(dir.join("logrotate").exists());
    let output = tuskd(&["promote", "-D", data]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("cannot promote server; server is not in standby mode"));
    let output = tuskd(&["stop", "-D", data, "-t", "20"]);
    expect_code(&output, 0);
    assert!(stdout(&output).starts_with("waiting for server to shut down..."), "{}", stdout(&output));
    assert!(stdout(&output).ends_with(" done\nserver stopped\n"));
    assert!(postmaster.wait().expect("our child").success());
    assert!(signals(&dir).ends_with("INT\n"));
    let output = tuskd(&["stop", "-D", data]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("No such process"), "{}", stderr(&output));
}

fn orphans_are_shown_and_ended() {
    let scratch = Scratch::new("orphans");
    let dir = cluster(&scratch);
    let mut session = stand_in(&dir);
    // Nobody but a session is left; the postmaster's pid is gone.
    fs::write(dir.join("postmaster.pid"), "999999999\n").expect("written");
    let output = tuskd(&["status", "-D", text(&dir)]);
    expect_code(&output, 3);
    assert!(stdout(&output).contains(&format!("PIDs {}", session.id())), "{}", stdout(&output));
    let log = scratch.join("log");
    let args = ["start", "-W", "--end-orphans", "-D", text(&dir), "-l", text(&log), "-c", "port=x"];
    let output = tuskd(&args);
    let ended = format!("ended sessions of the earlier server (PIDs {})", session.id());
    assert!(stdout(&output).contains(&ended), "{}", stdout(&output));
    assert!(session.wait().expect("our child").success());
    assert_eq!(signals(&dir), "TERM\n");
    // The server that was started cannot live with such a port.
    eventually(|| !fs::read_to_string(&log).unwrap_or_default().is_empty());
}

fn a_start_that_fails_is_told() {
    let scratch = Scratch::new("start");
    let dir = cluster(&scratch);
    let log = scratch.join("log");
    let output = tuskd(&["start", "-D", text(&dir), "-l", text(&log), "-c", "no_such_setting=1", "-t", "30"]);
    expect_code(&output, 1);
    assert!(stdout(&output).ends_with(" stopped waiting\n"), "{}", stdout(&output));
    assert!(stderr(&output).ends_with("could not start server\nExamine the log output.\n"));
    assert!(!fs::read_to_string(&log).expect("the server's output").is_empty());
    assert_eq!(mode(&log), 0o600);
    let output = tuskd(&["start", "-D", text(&dir), "-l", text(&scratch.join("no/log"))]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("could not open log file"));
}

fn top_reads_shared_memory() {
    let scratch = Scratch::new("top");
    let dir = cluster(&scratch);
    let data = text(&dir);
    let output = tuskd(&["top", "-n", "1", "-D", data]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("no server running"));
    let plan = Plan::new(&Ipc::region_specs(8)).expect("the regions fit");
    let segment = Segment::create(&plan, HugePages::Off, None).expect("memory");
    let ipc = Ipc::open(&segment).expect("just made");
    let id = SlotTable::new(ipc.slots()).claim(3).expect("a free slot");
    let slot = &ipc.slots()[id.slot().index()];
    slot.pid.store(4242, Ordering::Relaxed);
    slot.phase.store(Phase::Running as u32, Ordering::Relaxed);
    slot.wait_event.store(WaitEvent::CLIENT_READ.number(), Ordering::Relaxed);
    let pid = std::process::id();
    let write = |instance: u64| {
        let fd = segment.fd().as_raw_fd();
        let text = format!("{pid}\n{data}\n1\n5432\n/tmp\nlocalhost\n{fd} {instance}\nready   \n");
        fs::write(dir.join("postmaster.pid"), text).expect("written");
    };
    write(segment.instance());
    let output = tuskd(&["top", "-n", "2", "-d", "0.1", "-D", data]);
    expect_code(&output, 0);
    let page = stdout(&output);
    assert_eq!(page.matches(&format!("postmaster {pid} (ready), port 5432;")).count(), 2, "{page}");
    let line = page.lines().find(|line| line.contains("4242")).expect("the process");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert!(words.contains(&"Client:ClientRead") && words.contains(&"running"), "{line}");
    assert!(!page.contains('\x1b'), "no escapes without a terminal");
    write(segment.instance() ^ 1);
    let output = tuskd(&["top", "-n", "1", "-D", data]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("not the one that postmaster.pid speaks of"));
}
