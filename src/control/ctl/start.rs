//! `start`: a server of its own session in the background, and waiting until it is ready.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};

use super::watch::{self, Changes, Seen};
use super::{CtlOptions, list};
use crate::control::data_directory::{absolute, reason};
use crate::control::instance::{self, Found};
use crate::control::pid_file::PidFile;
use crate::control::program::{Failure, Outcome, Program, complain, say};
use crate::control::user::drop_to;
use crate::os::process::{self, Child, Fork, ForkError};

/// How long sessions without a postmaster may take to leave before they are killed.
const PATIENCE_WITH_ORPHANS: Duration = Duration::from_secs(5);

/// Exit code of a child that could not become the server.
const CANNOT_EXEC: i32 = 127;

/// Starts a server, and waits for it if that is wanted.
pub fn start(program: &Program, options: &CtlOptions) -> Outcome {
    let data_dir = absolute(&options.data_dir);
    match instance::find(&data_dir)? {
        Found::NoPidFile => {}
        Found::Stale(_) | Found::Running(..) => {
            let name = program.name;
            complain(&format!("{name}: another server might be running; trying to start server anyway\n"));
        }
    }
    if options.end_orphans {
        end_orphans(&data_dir)?;
    }
    // Before the log file is made, so that it is the user's too.
    if let Some(user) = &options.user {
        drop_to(user, &data_dir)?;
    }
    let changes = Changes::of(&data_dir);
    let child = launch(program, options, &data_dir)?;
    if !options.wait {
        options.say("server starting\n");
        return Ok(0);
    }
    options.say("waiting for server to start...");
    let seen = watch::wait(options, &child.pidfd, Some(&changes), || is_ready(&data_dir, &child));
    match seen {
        Seen::Done => {
            options.say(" done\nserver started\n");
            Ok(0)
        }
        Seen::Ended => {
            options.say(" stopped waiting\n");
            Err(Failure::new("could not start server").with_hint("Examine the log output."))
        }
        Seen::TimedOut => {
            options.say(" stopped waiting\n");
            Err(Failure::new("server did not start in time"))
        }
    }
}

/// Whether the file is the child's and says so; a stale one is somebody else's.
fn is_ready(data_dir: &Path, child: &Child) -> bool {
    match PidFile::read(data_dir) {
        Ok(Some(file)) => file.pid == child.pid && file.is_ready(),
        // Half written, perhaps.
        Ok(None) | Err(_) => false,
    }
}

/// Ends sessions without a postmaster. With a postmaster there are none.
fn end_orphans(data_dir: &Path) -> Result<(), Failure> {
    if matches!(instance::find(data_dir)?, Found::Running(..)) {
        return Ok(());
    }
    let ended = instance::end_orphans(data_dir, PATIENCE_WITH_ORPHANS)?;
    let (killed, left): (Vec<_>, Vec<_>) = ended.into_iter().partition(|(_, needed_kill)| *needed_kill);
    let pids = |ended: Vec<(process::Pid, bool)>| ended.into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
    if !left.is_empty() {
        say(&format!("ended sessions of the earlier server (PIDs {})\n", list(&pids(left))));
    }
    if !killed.is_empty() {
        say(&format!("killed sessions of the earlier server (PIDs {})\n", list(&pids(killed))));
    }
    Ok(())
}

/// Forks a child that leaves this terminal and becomes the server.
fn launch(program: &Program, options: &CtlOptions, data_dir: &Path) -> Result<Child, Failure> {
    let cannot = |error: &io::Error| Failure::new(format!("could not start server: {}", reason(error)));
    // Everything that can fail is done before the fork, where it can still be told.
    let executable = std::env::current_exe().map_err(|error| cannot(&error))?;
    let log = options.log.as_deref().map(open_log).transpose()?;
    // The user may not reach the folder that this program lies in.
    let reachable = if options.user.is_some() { Path::new("/proc/self/exe") } else { &executable };
    let mut command = Command::new(reachable);
    command.arg0(server_name(program, &executable)).arg("-D").arg(data_dir).args(&options.server_args);
    command.stdin(Stdio::null());
    if let Some(log) = log {
        let copy = log.try_clone().map_err(|error| cannot(&error))?;
        command.stdout(log).stderr(copy);
    }
    if options.core_files {
        allow_core_files(program);
    }
    match process::fork() {
        Ok(Fork::Parent(child)) => Ok(child),
        Ok(Fork::Child) => {
            // A fresh child leads no group, so this cannot fail.
            let _ = setsid();
            let error = command.exec();
            complain(&format!("{}: could not execute \"{}\": {error}\n", program.name, executable.display()));
            process::exit_now(CANNOT_EXEC)
        }
        Err(ForkError::System(error)) => Err(cannot(&error)),
        Err(error @ ForkError::Threads(_)) => Err(Failure::new(error.to_string())),
    }
}

/// Under which name the server runs: `postgres`, in the folder of the program that starts it. It takes that program's
/// options, and `ps` shows it so.
fn server_name(program: &Program, executable: &Path) -> PathBuf {
    let folder = Path::new(&program.argv0).parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.or(executable.parent()).unwrap_or(Path::new("")).join("postgres")
}

fn open_log(path: &Path) -> Result<File, Failure> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| {
        Failure::new(format!("could not open log file \"{}\": {}", path.display(), reason(&error)))
    })
}

fn allow_core_files(program: &Program) {
    let limit = getrlimit(Resource::Core);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.maximum == Some(0) || setrlimit(Resource::Core, raised).is_err() {
        complain(&format!("{}: cannot set core file size limit; disallowed by hard limit\n", program.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::program::Style;

    #[test]
    fn the_server_is_called_postgres_where_it_is_started_from() {
        let name = |argv0: &str| {
            let program = Program::new(argv0, "pg_ctl", "pg_ctl", Style::Plain);
            server_name(&program, Path::new("/opt/tuskd/tuskd")).display().to_string()
        };
        assert_eq!(name("/usr/bin/pg_ctl"), "/usr/bin/postgres");
        assert_eq!(name("pg_ctl"), "/opt/tuskd/postgres");
        assert_eq!(name("./tuskd"), "./postgres");
    }
}
