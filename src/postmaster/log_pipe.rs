//! The logger's pipe and process, as the postmaster keeps them: made once, before anything else, and across crash restarts.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};

use super::children::Source;
use super::start::{Inheritance, Postmaster};
use crate::config;
use crate::log::Output;
use crate::os::epoll::Interest;
use crate::os::pidfd::PidFd;
use crate::os::process::{self, Fork};
use crate::os::signal::Signal;
use crate::process::kinds::Kind;
use crate::process::logger::{self, Start};
use crate::report::{self, Report, SqlState};

/// The pipe, both ends, and the stderr that the server was started with.
pub struct LogPipe {
    read: File,
    write: File,
    stderr: File,
}

/// The logger that runs.
pub struct RunningLogger {
    pidfd: PidFd,
}

fn failed(what: &str) -> impl Fn(io::Error) -> Box<Report> {
    move |e| Report::fatal(SqlState::SYSTEM_ERROR, format!("could not {what}: {e}"))
}

impl Postmaster {
    /// Starts the logger if `logging_collector` is on; from here on everything goes down its pipe, whatever becomes of it.
    pub(super) fn start_logger(&mut self, data_dir: &Path) -> report::Result<()> {
        if !self.settings.get(config::LOGGING_COLLECTOR) {
            // One that an earlier server left would be taken for this one's.
            let _ = std::fs::remove_file(data_dir.join("current_logfiles"));
            return Ok(());
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)
            .map_err(io::Error::from)
            .map_err(failed("create pipe for syslog"))?;
        let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(failed("duplicate stderr"))?;
        self.log(&Report::log("redirecting log output to logging collector process").with_hint(format!(
            "Future log output will appear in directory \"{}\".",
            self.settings.get(config::LOG_DIRECTORY)
        )));
        self.log_pipe = Some(LogPipe { read: read.into(), write: write.into(), stderr: stderr.into() });
        self.launch_logger()
    }

    fn launch_logger(&mut self) -> report::Result<()> {
        let Some(pipe) = &self.log_pipe else { return Ok(()) };
        let write = pipe.write.try_clone().map_err(failed("duplicate the log pipe"))?;
        let forked = process::fork();
        match forked {
            Ok(Fork::Parent(child)) => {
                let _ = self.epoll.add(child.pidfd.as_fd(), Source::Logger.to_word(), Interest::IN);
                self.logger = Some(RunningLogger { pidfd: child.pidfd });
                self.log.redirect(Output::collector(write));
                let Some(pipe) = &self.log_pipe else { return Ok(()) };
                // What does not come by way of the log, such as a panic's words, goes there too.
                rustix::stdio::dup2_stderr(&pipe.write)
                    .map_err(io::Error::from)
                    .map_err(failed("redirect stderr"))
            }
            Ok(Fork::Child) => {
                drop(write);
                self.become_logger()
            }
            Err(e) => {
                Err(Report::fatal(SqlState::SYSTEM_ERROR, format!("could not fork system logger: {e}")))
            }
        }
    }

    /// The rest of the logger's life.
    fn become_logger(&mut self) -> ! {
        let Some(pipe) = self.log_pipe.take() else { process::exit_now(1) };
        let _ = process::set_comm("postgres");
        let Inheritance { title, settings, log, .. } = self.leave_to_child(Kind::Logger);
        let settings = settings.clone();
        // Whoever holds a write end keeps the pipe from ending, the logger itself among them.
        log.redirect(Output::Stderr);
        let LogPipe { read, write, stderr } = pipe;
        drop(write);
        let _ = rustix::stdio::dup2_stderr(&stderr);
        let data_dir = settings.data_directory().to_path_buf();
        logger::main(Start { pipe: read, stderr, settings, data_dir, title })
    }

    pub(super) fn signal_logger(&self, signal: Signal) {
        if let Some(logger) = &self.logger {
            let _ = logger.pidfd.send_signal(signal);
        }
    }

    /// `pg_rotate_logfile` and its kin.
    pub(super) fn rotate_log(&self) {
        self.signal_logger(Signal::USR1);
    }

    /// It is started again; nobody else is touched, and the pipe keeps what is written meanwhile.
    pub(super) fn on_logger_end(&mut self) {
        let Some(logger) = &self.logger else { return };
        let Ok(Some(status)) = logger.pidfd.try_wait() else { return };
        let _ = self.epoll.remove(logger.pidfd.as_fd());
        self.logger = None;
        self.log(&Report::log(format!("system logger process {status}")));
        if let Err(report) = self.launch_logger() {
            self.log(&report);
        }
    }
}
