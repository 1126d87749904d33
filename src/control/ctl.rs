//! Servers in the background: `tuskd start`, `stop`, `restart`, `reload`, `status`, `promote`, `logrotate`, `kill`, and
//! `pg_ctl` with that program's spelling, messages and exit codes.

mod arguments;
mod start;
mod stop;
mod watch;

use std::fs::File;
use std::path::Path;

use rustix::process::kill_process;

use super::data_directory::{self, reason};
use super::help;
use super::instance::{self, Found};
use super::pid_file::{self, PidFile};
use super::program::{Failure, Outcome, Program, Style, say};
use crate::os::pidfd::PidFd;
use crate::os::process::Pid;
use crate::os::signal::Signal;
use crate::postmaster::options_file;

pub use arguments::{CtlOptions, Spelling};
use arguments::{Operation, Request};

/// Exit code of `status` where nobody runs.
const NOT_RUNNING: u8 = 3;
/// Exit code of `status` without a data directory to look at.
const NO_DIRECTORY: u8 = 4;

/// The command, the operation being the first operand in `args`.
pub fn main(program: &Program, args: &[String], spelling: Spelling) -> Outcome {
    match arguments::read(args, spelling)? {
        Request::Help => {
            say(&if spelling == Spelling::PgCtl { help::pg_ctl() } else { help::tuskd() });
            Ok(0)
        }
        Request::Version => {
            say(&help::version(program.name));
            Ok(0)
        }
        Request::Kill { signal, pid } => kill(signal, pid),
        Request::Init { args } => init(program, &args),
        Request::Control(operation, options) => control(program, operation, &options),
    }
}

fn control(program: &Program, operation: Operation, options: &CtlOptions) -> Outcome {
    let checked = data_directory::check_is_cluster(&options.data_dir);
    match operation {
        Operation::Status => {
            checked.map_err(|failure| failure.with_code(NO_DIRECTORY))?;
            status(program, &options.data_dir)
        }
        _ => {
            checked?;
            match operation {
                Operation::Start => start::start(program, options),
                Operation::Stop => stop::stop(options),
                Operation::Restart => restart(program, options),
                Operation::Reload => reload(options),
                Operation::Promote => promote(options),
                Operation::LogRotate => log_rotate(options),
                Operation::Status => Ok(0),
            }
        }
    }
}

/// `pg_ctl init`: the same directory and silence, handed on in initdb's spelling.
fn init(program: &Program, args: &[String]) -> Outcome {
    let folder = Path::new(&program.argv0).parent().filter(|folder| !folder.as_os_str().is_empty());
    let argv0 =
        folder.map_or_else(|| "initdb".to_owned(), |folder| folder.join("initdb").display().to_string());
    let initdb = Program::new(&argv0, "initdb", "initdb", Style::Tagged);
    match super::init::main(&initdb, args, None) {
        Ok(0) => Ok(0),
        Ok(code) => Err(Failure::new("database system initialization failed").with_code(code)),
        Err(failure) => {
            super::program::complain(&initdb.render(&failure));
            Err(Failure::new("database system initialization failed"))
        }
    }
}

/// The running server, or a failure that says why there is none to be told anything.
fn running(data_dir: &Path, signal_name: &str) -> Result<(PidFile, PidFd), Failure> {
    match instance::find(data_dir)? {
        Found::Running(file, pidfd) => Ok((file, pidfd)),
        Found::NoPidFile => Err(no_pid_file(data_dir)),
        Found::Stale(file) => {
            let pid = file.pid.as_raw_nonzero();
            Err(Failure::new(format!("could not send {signal_name} signal (PID: {pid}): No such process")))
        }
    }
}

fn no_pid_file(data_dir: &Path) -> Failure {
    let path = pid_file::path(data_dir);
    Failure::new(format!("PID file \"{}\" does not exist", path.display())).with_hint("Is server running?")
}

fn send(pidfd: &PidFd, pid: Pid, signal: Signal, name: &str) -> Result<(), Failure> {
    pidfd.send_signal(signal).map_err(|error| {
        let pid = pid.as_raw_nonzero();
        Failure::new(format!("could not send {name} signal (PID: {pid}): {}", reason(&error)))
    })
}

fn restart(program: &Program, options: &CtlOptions) -> Outcome {
    let mut options = options.clone();
    // The options of last time, with those of this time behind them.
    if let Some(line) = options_file::line(&options.data_dir) {
        let mut args = without_data_dir(options_file::arguments(&line));
        args.append(&mut options.server_args);
        options.server_args = args;
    }
    match instance::find(&options.data_dir)? {
        Found::Running(..) => {
            let stopped = CtlOptions { wait: true, ..options.clone() };
            stop::stop(&stopped)?;
        }
        Found::NoPidFile => {
            super::program::complain(&format!(
                "{}: {}Is server running?\ntrying to start server anyway\n",
                program.name,
                no_pid_file(&options.data_dir).message().to_owned() + "\n"
            ));
        }
        Found::Stale(file) => {
            let (name, pid) = (program.name, file.pid.as_raw_nonzero());
            super::program::complain(&format!(
                "{name}: old server process (PID: {pid}) seems to be gone\nstarting server anyway\n"
            ));
        }
    }
    start::start(program, &options)
}

fn without_data_dir(args: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "-D" {
            args.next();
        } else if !arg.starts_with("-D") {
            kept.push(arg);
        }
    }
    kept
}

fn reload(options: &CtlOptions) -> Outcome {
    let (file, pidfd) = running(&options.data_dir, "reload")?;
    send(&pidfd, file.pid, Signal::HUP, "reload")?;
    options.say("server signaled\n");
    Ok(0)
}

/// There are no standbys yet, so there is never one to promote.
fn promote(options: &CtlOptions) -> Outcome {
    running(&options.data_dir, "promote")?;
    Err(Failure::new("cannot promote server; server is not in standby mode"))
}

/// The postmaster looks for the file `logrotate` when it is sent SIGUSR1.
fn log_rotate(options: &CtlOptions) -> Outcome {
    let (file, pidfd) = running(&options.data_dir, "log rotation")?;
    let request = options.data_dir.join("logrotate");
    File::create(&request).map_err(|error| {
        let shown = request.display();
        Failure::new(format!("could not create log rotation signal file \"{shown}\": {}", reason(&error)))
    })?;
    if let Err(failure) = send(&pidfd, file.pid, Signal::USR1, "log rotation") {
        let _ = std::fs::remove_file(&request);
        return Err(failure);
    }
    options.say("server signaled to rotate log file\n");
    Ok(0)
}

fn kill(signal: Signal, pid: Pid) -> Outcome {
    kill_process(pid, signal).map_err(|errno| {
        let (number, pid) = (signal.as_raw(), pid.as_raw_nonzero());
        let reason = reason(&errno.into());
        Failure::new(format!("could not send signal {number} (PID: {pid}): {reason}"))
    })?;
    Ok(0)
}

fn status(program: &Program, data_dir: &Path) -> Outcome {
    if let Found::Running(file, _) = instance::find(data_dir)? {
        say(&format!("{}: server is running (PID: {})\n", program.name, file.pid.as_raw_nonzero()));
        if let Some(line) = options_file::line(data_dir) {
            say(&format!("{line}\n"));
        }
        return Ok(0);
    }
    say(&format!("{}: no server running\n", program.name));
    let orphans = instance::lock_holders(data_dir);
    if !orphans.is_empty() {
        say(&format!(
            "sessions of an earlier server still use the directory (PIDs {}); \
             \"start --end-orphans\" ends them\n",
            list(&orphans)
        ));
    }
    Ok(NOT_RUNNING)
}

fn list(pids: &[Pid]) -> String {
    let pids: Vec<_> = pids.iter().map(|pid| pid.as_raw_nonzero().to_string()).collect();
    pids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_last_time_is_left_out() {
        let args = ["-D", "/d", "-p", "5433", "-D/e", "-F"].map(str::to_owned).to_vec();
        assert_eq!(without_data_dir(args), ["-p", "5433", "-F"]);
    }
}
