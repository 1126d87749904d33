//! `--user NAME`, and whose a data directory must be.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use super::connections::client::Client;
use super::{TestServer, own_port, tuskd};
use crate::harness::{Skip, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_server_runs_as_a_user,
    a_server_starts_in_the_background_as_a_user,
    a_thousand_sessions_need_no_locked_memory: 120,
    a_filled_directory_is_not_given_away,
    a_directory_of_somebody_else_or_for_everybody_is_refused,
];

const USER: &str = "nobody";

/// A folder that everybody can reach, and the user's number.
struct Place {
    dir: PathBuf,
    uid: u32,
}

impl Place {
    fn new(name: &str) -> Result<Self, Skip> {
        if !rustix::process::geteuid().is_root() {
            return Err(Skip("only root can become another user".to_owned()));
        }
        let user = tuskd::os::credentials::find_user(USER).expect("/etc/passwd is readable");
        let Some(user) = user else { return Err(Skip(format!("there is no user {USER}"))) };
        let dir = std::env::temp_dir().join(format!("tuskd-user-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a place for temporary files");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("ours");
        Ok(Self { dir, uid: user.uid })
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn server(&self) -> TestServer {
        TestServer { dir: self.data(), port: own_port(), child: None }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn run(args: &[&str], data: &Path) -> Output {
    let (first, rest) = args.split_first().expect("a command");
    tuskd().arg(first).arg("-D").arg(data).args(rest).output().expect("tuskd runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Real, effective, saved and file system's user of a process, and how many other groups it has.
fn users_of(pid: i32) -> (Vec<u32>, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let words = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    (words("Uid:"), words("Groups:").iter().filter(|gid| **gid == 0).count())
}

fn owners(dir: &Path) -> Vec<u32> {
    let mut found = vec![fs::metadata(dir).expect("it is there").uid()];
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => found.extend(owners(&entry.path())),
            Ok(metadata) => found.push(metadata.uid()),
            // A file that is replaced while we look.
            Err(_) => {}
        }
    }
    found
}

fn a_server_runs_as_a_user() -> Result<(), Skip> {
    let place = Place::new("run")?;
    let mut server = place.server();
    let mut command = tuskd();
    command.args(["run", "--user", USER, "-k", "/tmp", "-c", "listen_addresses=", "-p"]);
    command.arg(server.port.to_string()).arg("-D").arg(&server.dir);
    server.launch_command(command);
    server.wait_for_log("database system is ready to accept connections", 1);
    server.wait_for_child("checkpointer");
    let mut pids: Vec<i32> = server.children().into_iter().map(|(pid, _)| pid).collect();
    pids.push(server.postmaster().as_raw_nonzero().get());
    for pid in pids {
        assert_eq!(users_of(pid), (vec![place.uid; 4], 0));
    }
    assert!(owners(&server.dir).iter().all(|uid| *uid == place.uid));
    let log = server.log();
    assert!(!log.contains("running as root"), "{log}");
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    let again = run(&["run"], &server.dir);
    assert_eq!(again.status.code(), Some(1));
    let text = stderr(&again);
    assert!(text.contains("warning: running as root"), "{text}");
    let fatal = format!("FATAL:  data directory \"{}\" has wrong ownership", server.dir.display());
    assert!(text.contains(&fatal), "{text}");
    let hint = "HINT:  The server must be started by the user that owns the data directory.";
    assert!(text.contains(hint), "{text}");
    assert!(owners(&server.dir).iter().all(|uid| *uid == place.uid), "nothing of root's is left there");
    Ok(())
}

/// Each session made an io_uring, whose pages count against the user's RLIMIT_MEMLOCK unless root pays: with the usual 8 MB
/// the thousandth session died of "cannot make a wait set: Cannot allocate memory", and its client was told nothing. Now
/// only busy ones make one, and those that can't go on without.
fn a_thousand_sessions_need_no_locked_memory() -> Result<(), Skip> {
    const SESSIONS: usize = 1100;
    /// Enough for a few rings.
    const LIMIT: u64 = 64 * 1024;
    let place = Place::new("sessions")?;
    tuskd::os::process::raise_descriptor_limit();
    setrlimit(Resource::Memlock, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) }).expect("lower");
    let made = run(&["init", "--user", USER, "-A", "trust", "-N"], &place.data());
    assert!(made.status.success(), "{}", stderr(&made));
    let mut server = place.server();
    let mut command = tuskd();
    command.args(["run", "--user", USER, "-k", "/tmp", "-c", "listen_addresses=", "-p"]);
    command.arg(server.port.to_string()).arg("-D").arg(&server.dir);
    for setting in ["max_connections=1200", "log_min_messages=debug1", "shared_buffers=1MB"] {
        command.args(["-c", setting]);
    }
    server.launch_command(command);
    server.wait_for_log("database system is ready to accept connections", 1);
    assert!(server.log().contains("I/O method: io_uring"), "{}", server.log());
    let mut clients: Vec<Client> = (0..SESSIONS).map(|_| Client::session(&server, USER)).collect();
    for client in clients.iter_mut().take(40) {
        for round in 0..40 {
            client.send(|out| out.query("select 42"));
            let got = client.until_ready();
            assert_eq!(got.last().map(String::as_str), Some("Z I"), "round {round}: {got:?}");
        }
    }
    let said = "session goes on without io_uring: Cannot allocate memory";
    let log = server.log();
    let without = log.matches(said).count();
    assert!((1..40).contains(&without), "{without} of 40 busy sessions have no ring:\n{log}");
    assert!(!log.contains("FATAL"), "{log}");
    drop(clients);
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    Ok(())
}

fn a_server_starts_in_the_background_as_a_user() -> Result<(), Skip> {
    let place = Place::new("start")?;
    let (data, log) = (place.data(), place.dir.join("log"));
    let made = run(&["init", "--user", USER, "-N"], &data);
    assert!(made.status.success(), "{}", stderr(&made));
    assert!(!stderr(&made).contains("root"), "{}", stderr(&made));
    let roles = tuskd::auth::roles::RolesFile::read(&data).expect("init wrote it");
    assert!(roles.by_name(USER).is_some_and(|role| role.superuser), "the owner of the cluster");
    let port = own_port().to_string();
    let log_text = log.display().to_string();
    let options =
        ["start", "--user", USER, "-p", &port, "-k", "/tmp", "-c", "listen_addresses=", "-l", &log_text];
    let mut command = tuskd();
    command.args(options).arg("-D").arg(&data);
    // A pipe would stay open in the server.
    let output = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status();
    let text = || fs::read_to_string(&log).unwrap_or_default();
    assert!(output.expect("tuskd runs").success(), "{}", text());
    assert!(owners(&data).iter().all(|uid| *uid == place.uid));
    assert_eq!(fs::metadata(&log).expect("it is there").uid(), place.uid);
    assert!(!text().contains("running as root"), "{}", text());
    let stopped = run(&["stop"], &data);
    assert!(stopped.status.success(), "{}", stderr(&stopped));
    Ok(())
}

/// `tuskd run --user nobody -D /etc` once gave /etc to nobody before it saw that there was no cluster in it.
fn a_filled_directory_is_not_given_away() -> Result<(), Skip> {
    let place = Place::new("filled")?;
    let data = place.data();
    fs::create_dir(&data).expect("writable");
    fs::write(data.join("precious"), "root's").expect("writable");
    for command in ["run", "init", "start"] {
        if command == "start" {
            fs::write(data.join("PG_VERSION"), "18\n").expect("writable");
        }
        let output = run(&[command, "--user", USER], &data);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let text = stderr(&output);
        assert!(
            text.contains(&format!("data directory \"{}\" has wrong ownership", data.display())),
            "{text}"
        );
        assert!(owners(&data).iter().all(|uid| *uid == 0), "{command}");
    }
    Ok(())
}

fn a_directory_of_somebody_else_or_for_everybody_is_refused() {
    let server = TestServer::init("");
    fs::set_permissions(&server.dir, fs::Permissions::from_mode(0o755)).expect("ours");
    let output = run(&["run"], &server.dir);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let fatal = format!("FATAL:  data directory \"{}\" has invalid permissions", server.dir.display());
    assert!(text.contains(&fatal), "{text}");
    assert!(text.contains("DETAIL:  Permissions should be u=rwx (0700) or u=rwx,g=rx (0750)."), "{text}");
    fs::set_permissions(&server.dir, fs::Permissions::from_mode(0o750)).expect("ours");
    let mut server = server;
    server.launch();
    server.wait_for_log("database system is ready to accept connections", 1);
}
