//! The real server as a child: started in a directory of its own, watched through its log, `ps` and `/proc`, and ended
//! with the test.

mod archiving;
mod connections;
mod drivers;
pub mod durability;
mod faults;
mod lifecycle;
mod store;
mod tables;
mod twophase;
mod users;
pub mod workers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::Test;

/// All tables of this folder.
pub const TESTS: [&[Test]; 19] = [
    lifecycle::TESTS,
    archiving::TESTS,
    store::TESTS,
    tables::TESTS,
    twophase::TESTS,
    connections::packets::TESTS,
    connections::limits::TESTS,
    connections::ends::TESTS,
    connections::moments::TESTS,
    connections::reuse::TESTS,
    connections::statements::TESTS,
    connections::differ::TESTS,
    connections::tcp::TESTS,
    durability::TESTS,
    faults::TESTS,
    workers::TESTS,
    users::TESTS,
    drivers::TESTS[0],
    drivers::TESTS[1],
];

/// A server with a data directory of its own.
pub struct TestServer {
    pub dir: PathBuf,
    pub port: u16,
    child: Option<Child>,
}

impl TestServer {
    /// Initialises a data directory with `trust` for everybody and this text behind the default settings, in which
    /// `$NEXT_PORT` is a port that nobody else has.
    pub fn init(settings: &str) -> Self {
        let name = format!("server-{}", std::process::id());
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&dir);
        let port = own_port();
        let output =
            tuskd().args(["init", "--no-sync", "-A", "trust", "-D"]).arg(&dir).output().expect("tuskd runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let conf = dir.join("postgresql.conf");
        let text = fs::read_to_string(&conf).expect("init wrote it");
        let own = format!("\nport = {port}\nlisten_addresses = ''\nunix_socket_directories = '{}'\n", "/tmp");
        let settings = settings.replace("$NEXT_PORT", &(port + 1).to_string());
        fs::write(&conf, text + &own + &settings).expect("writable");
        Self { dir, port, child: None }
    }

    /// Initialises and starts.
    pub fn start(settings: &str) -> Self {
        let mut server = Self::init(settings);
        server.launch();
        server.wait_for_log("database system is ready to accept connections", 1);
        server
    }

    /// Starts it; does not wait.
    pub fn launch(&mut self) {
        self.launch_with(&[]);
    }

    /// Starts it with something in its environment; does not wait.
    pub fn launch_with(&mut self, environment: &[(&str, &std::ffi::OsStr)]) {
        let mut command = tuskd();
        command.args(["run", "-D"]).arg(&self.dir).envs(environment.iter().copied());
        self.launch_command(command);
    }

    /// Starts one that this binary runs itself, with background workers; does not wait.
    pub fn launch_scenario(&mut self, scenario: &str) {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args([workers::programs::ARGUMENT, scenario]).arg(&self.dir);
        self.launch_command(command);
    }

    /// Starts what is or becomes the postmaster; does not wait.
    pub fn launch_command(&mut self, mut command: Command) {
        let log = fs::File::options().append(true).create(true).open(self.log_path()).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("tuskd starts"));
    }

    /// Its stderr.
    pub fn log_path(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until a text stands in the log so many times.
    pub fn wait_for_log(&self, text: &str, times: usize) {
        let started = Instant::now();
        while self.log().matches(text).count() < times {
            assert!(started.elapsed() < Duration::from_secs(20), "{text:?} does not come:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The postmaster.
    pub fn postmaster(&self) -> Pid {
        let id = self.child.as_ref().expect("it was started").id();
        Pid::from_raw(id as i32).expect("a pid")
    }

    /// Signals the postmaster.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.postmaster(), signal).expect("it lives");
    }

    /// Waits for the postmaster's end; its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.as_mut().expect("it was started").wait().expect("our child").code()
    }

    /// Its children with their command lines, as `ps` shows them.
    pub fn children(&self) -> Vec<(i32, String)> {
        children_of(self.postmaster().as_raw_nonzero().get())
    }

    /// The child whose title has this in it.
    pub fn child_titled(&self, title: &str) -> Option<i32> {
        self.children().into_iter().find(|(_, t)| t.contains(title)).map(|(pid, _)| pid)
    }

    /// Waits for such a child.
    pub fn wait_for_child(&self, title: &str) -> i32 {
        let started = Instant::now();
        loop {
            if let Some(pid) = self.child_titled(title) {
                return pid;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "no {title:?} among {:?}", self.children());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let pids: Vec<i32> = children_of(child.id() as i32).into_iter().map(|(pid, _)| pid).collect();
            let _ = child.kill();
            let _ = child.wait();
            for pid in pids.into_iter().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
                wait_until_gone(pid);
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_file(self.log_path());
        forget_socket(self.port);
    }
}

/// A port of this process's tests. A killed server's socket and lock file may lie there, and be another user's.
pub fn own_port() -> u16 {
    let port = 20_000 + (std::process::id() % 40_000) as u16;
    forget_socket(port);
    port
}

fn forget_socket(port: u16) {
    let _ = fs::remove_file(format!("/tmp/.s.PGSQL.{port}"));
    let _ = fs::remove_file(format!("/tmp/.s.PGSQL.{port}.lock"));
}

/// The server's program.
pub fn tuskd() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tuskd"))
}

/// Waits until a process is gone.
pub fn wait_until_gone(pid: Pid) {
    let started = Instant::now();
    while test_kill_process(pid).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(20), "{pid:?} does not go");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn children_of(parent: i32) -> Vec<(i32, String)> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let pids = fs::read_to_string(Path::new(&path)).unwrap_or_default();
    let title = |pid: &i32| {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    pids.split_whitespace().filter_map(|p| p.parse().ok()).map(|pid| (pid, title(&pid))).collect()
}
