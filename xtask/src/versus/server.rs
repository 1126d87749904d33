//! Servers in temporary folders: a tuskd or a PostgreSQL of our own, with its log in a file, gone when dropped.
//!
//! PostgreSQL refuses to run as root, so if we are root everything here runs as `nobody`, out of copies of the programs
//! that `nobody` can read. The clients stay as they are: both servers trust whoever comes.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tuskd::os::pidfd::PidFd;
use tuskd::os::process::Pid;
use tuskd::os::signal::Signal;

use crate::workspace;

/// The superuser that both servers are initialised with.
pub const USER: &str = "postgres";
/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(20);
const READY: &str = "database system is ready to accept connections";

/// A folder for one run of a command, and whom its servers run as.
pub struct Workplace {
    dir: PathBuf,
    user: Option<(u32, u32)>,
}

impl Workplace {
    /// Makes the folder, which is removed again when this is dropped.
    pub fn new(name: &str) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("tuskd-{name}-{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        let workplace = Self { dir, user: if is_root { Some(nobody()?) } else { None } };
        fs::set_permissions(&workplace.dir, fs::Permissions::from_mode(0o755))?;
        workplace.give(&workplace.dir)?;
        Ok(workplace)
    }

    /// Where things may be put.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn give(&self, path: &Path) -> Result<()> {
        if let Some((uid, gid)) = self.user {
            chown(path, Some(uid), Some(gid)).with_context(|| format!("chown {}", path.display()))?;
        }
        Ok(())
    }

    /// A folder inside that the servers may write to.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.dir.join(name);
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        self.give(&folder)?;
        Ok(folder)
    }

    /// A call of a program as the servers' user.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).env("HOME", &self.dir).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Copies a file or folder in, following links.
    fn copy(&self, from: &Path, name: &str) -> Result<PathBuf> {
        let to = self.dir.join(name);
        succeed(Command::new("cp").arg("-rL").arg(from).arg(&to))?;
        succeed(Command::new("chmod").args(["-R", "a+rX"]).arg(&to))?;
        Ok(to)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The numbers of the user and group `nobody`.
fn nobody() -> Result<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    let line = passwd.lines().find(|line| line.starts_with("nobody:"));
    let fields: Vec<&str> = line.context("there is no user nobody")?.split(':').collect();
    ensure!(fields.len() >= 4, "the line of nobody in /etc/passwd is too short");
    Ok((fields[2].parse()?, fields[3].parse()?))
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| command.get_program().display().to_string())?;
    ensure!(
        output.status.success(),
        "{} failed ({}): {}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Whose programs.
#[derive(Clone, Debug)]
pub enum Programs {
    /// The folder with `initdb` and `postgres`.
    Postgres(PathBuf),
    /// The program.
    Tuskd(PathBuf),
}

impl Programs {
    /// PostgreSQL's: the folder from the environment, or whatever the script beside the workspace prints.
    pub fn postgres(workplace: &Workplace) -> Result<Self> {
        let bin = match std::env::var_os("TUSKD_POSTGRES_BIN") {
            Some(bin) => PathBuf::from(bin),
            None => postgres_from_script()?,
        };
        let whole = bin.parent().with_context(|| format!("{} has no parent", bin.display()))?;
        let name = bin.file_name().with_context(|| format!("{} has no name", bin.display()))?;
        Ok(Self::Postgres(workplace.copy(whole, "postgres18")?.join(name)))
    }

    /// Ours, built now.
    pub fn tuskd(workplace: &Workplace, is_release: bool) -> Result<Self> {
        let mut build = workspace::cargo();
        // `rustc` and not `build`, so that the option below concerns the program alone.
        build.args(["rustc", "--quiet", "--package", "tuskd", "--bin", "tuskd"]);
        if is_release {
            // As it is to be installed: without shared libraries, whose mappings each fork copies.
            build.args(["--release", "--", "-C", "target-feature=+crt-static"]);
        }
        ensure!(build.status().context("cargo build")?.success(), "tuskd does not build");
        Self::built_tuskd(workplace, is_release)
    }

    /// Ours as it was built before.
    pub fn built_tuskd(workplace: &Workplace, is_release: bool) -> Result<Self> {
        let folder = if is_release { "release" } else { "debug" };
        let built = workspace::target_dir()?.join(folder).join("tuskd");
        Ok(Self::Tuskd(workplace.copy(&built, "tuskd")?))
    }

    fn init(&self, workplace: &Workplace, data_dir: &Path) -> Result<()> {
        let mut command = match self {
            Self::Postgres(bin) => workplace.command(&bin.join("initdb")),
            Self::Tuskd(program) => {
                let mut command = workplace.command(program);
                command.arg("init");
                command
            }
        };
        succeed(command.args(["-A", "trust", "-U", USER, "-D"]).arg(data_dir))
    }

    /// The call that runs a server in the foreground.
    fn run(&self, workplace: &Workplace) -> Command {
        match self {
            Self::Postgres(bin) => workplace.command(&bin.join("postgres")),
            Self::Tuskd(program) => {
                let mut command = workplace.command(program);
                command.arg("run");
                command
            }
        }
    }
}

fn postgres_from_script() -> Result<PathBuf> {
    let script = workspace::root().join("../shared/tools/postgres18");
    let beside_main = main_worktree().map(|root| root.join("../shared/tools/postgres18"));
    let script = [Some(script), beside_main].into_iter().flatten().find(|path| path.exists());
    let script =
        script.context("set TUSKD_POSTGRES_BIN to the folder with PostgreSQL 18's initdb and postgres")?;
    let output = Command::new(&script).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{} failed ({})", script.display(), output.status);
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// The main worktree's root, if git knows: in another one the script does not stand beside us.
fn main_worktree() -> Option<PathBuf> {
    let git = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
    let output = Command::new("git").args(git).current_dir(workspace::root()).output().ok()?;
    let common = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    Some(common.parent()?.to_path_buf())
}

/// A running server.
pub struct Server {
    child: Child,
    programs: Programs,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// The folder of its socket.
    pub socket_dir: PathBuf,
    /// Its port.
    pub port: u16,
    log: PathBuf,
}

impl Server {
    /// Initialises a data directory in a folder of this name and starts a server on it, which listens on TCP only if
    /// a setting says so.
    pub fn start(workplace: &Workplace, programs: &Programs, name: &str, settings: &[&str]) -> Result<Self> {
        let folder = workplace.folder(name)?;
        let data_dir = folder.join("data");
        programs.init(workplace, &data_dir)?;
        let port = free_port()?;
        let log = folder.join("log");
        let child = spawn(workplace, programs, &folder, port, settings)?;
        let server = Self { child, programs: programs.clone(), data_dir, socket_dir: folder, port, log };
        server.wait_for_log(READY)?;
        Ok(server)
    }

    /// Starts another postmaster on the same directory, whose log goes behind what is there.
    pub fn start_again(&mut self, workplace: &Workplace, settings: &[&str]) -> Result<()> {
        let before = self.log_text().matches(READY).count();
        self.child = spawn(workplace, &self.programs, &self.socket_dir, self.port, settings)?;
        self.wait_until("the server to be ready again", |server| {
            server.log_text().matches(READY).count() > before
        })
    }

    /// A second start beside this one: its exit code and what it said.
    pub fn start_beside(&self, workplace: &Workplace, settings: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new("timeout");
        command.arg(PATIENCE.as_secs().to_string());
        let run = self.programs.run(workplace);
        command.arg(run.get_program()).args(run.get_args());
        if let Some((uid, gid)) = workplace.user {
            command.uid(uid).gid(gid);
        }
        command
            .arg("-D")
            .arg(&self.data_dir)
            .args(["-p", &free_port()?.to_string(), "-k"])
            .arg(&self.socket_dir);
        for setting in ["listen_addresses="].iter().chain(settings) {
            command.args(["-c", setting]);
        }
        let output = command.output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// The postmaster.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Path of its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.socket_dir.join(format!(".s.PGSQL.{}", self.port))
    }

    /// All it has logged, to stderr and by its logger.
    pub fn log_text(&self) -> String {
        let written = fs::read_dir(self.data_dir.join("log")).into_iter().flatten().flatten();
        let files = std::iter::once(self.log.clone()).chain(written.map(|entry| entry.path()));
        let texts = files.map(|file| fs::read(file).unwrap_or_default());
        texts.map(|text| String::from_utf8_lossy(&text).into_owned()).collect()
    }

    /// The last lines it has logged, to go with an error.
    pub fn log_tail(&self) -> String {
        const LINES: usize = 10;
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        format!("the log's end: {}", lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }

    /// Waits until the log has a text.
    pub fn wait_for_log(&self, text: &str) -> Result<()> {
        self.wait_until(&format!("{text:?} in the log"), |server| server.log_text().contains(text))
    }

    /// Waits until something is so; a server that ended meanwhile will not make it so.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            if Instant::now() > end {
                bail!("waited in vain for {what}; the log: {}", self.log_text().trim());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Sends the postmaster a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send_signal(self.pid(), signal)
    }

    /// Waits for the postmaster's end; its exit code, `None` if a signal ended it.
    pub fn wait(&mut self) -> Result<Option<i32>> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(Instant::now() < end, "the postmaster did not end; the log: {}", self.log_text().trim());
            sleep(Duration::from_millis(5));
        }
    }

    /// The postmaster's children with their titles.
    pub fn children(&self) -> Vec<(i32, String)> {
        let pid = self.pid();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.map(|pid: i32| (pid, title(pid))).collect()
    }

    /// The first child whose title has this in it. A child just forked still shows the postmaster's command line.
    pub fn child(&self, title: &str) -> Option<i32> {
        self.children()
            .into_iter()
            .find(|(_, shown)| shown.starts_with("postgres: ") && shown.contains(title))
            .map(|(pid, _)| pid)
    }

    /// Every process that holds the data directory's lock, children of a dead postmaster too.
    pub fn holders(&self) -> Vec<i32> {
        tuskd::postmaster::lock_files::holders_of(&self.data_dir.join("tuskd.lock"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal(Signal::INT);
            if self.wait().is_err() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        for pid in self.holders() {
            let _ = send_signal(pid, Signal::KILL);
        }
    }
}

fn spawn(
    workplace: &Workplace,
    programs: &Programs,
    folder: &Path,
    port: u16,
    settings: &[&str],
) -> Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = programs.run(workplace);
    command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string(), "-k"]).arg(folder);
    for setting in ["listen_addresses="].iter().chain(settings) {
        command.args(["-c", setting]);
    }
    command.stdout(log.try_clone()?).stderr(log);
    command.spawn().context("starting a server")
}

/// What `ps` shows of a process.
pub fn title(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    String::from_utf8_lossy(&bytes[..end]).replace('\0', " ")
}

/// Sends a process a signal.
pub fn send_signal(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).context("no such process")?;
    Ok(PidFd::open(pid)?.send_signal(signal)?)
}

/// A TCP port that nobody listens on.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_command_lines_without_their_nuls() {
        let own = title(std::process::id() as i32);
        assert!(own.contains("xtask") && !own.contains('\0'), "{own:?}");
        assert_eq!(title(-1), "");
    }
}
