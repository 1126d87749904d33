//! `stop`: a signal to the postmaster, and waiting until it is gone.

use super::arguments::ShutdownMode;
use super::watch::{self, Seen};
use super::{CtlOptions, running, send};
use crate::control::program::{Failure, Outcome};
use crate::os::signal::Signal;

/// Stops the server, and waits for its end if that is wanted.
pub fn stop(options: &CtlOptions) -> Outcome {
    let (file, pidfd) = running(&options.data_dir, "stop")?;
    let signal = match options.mode {
        ShutdownMode::Smart => Signal::TERM,
        ShutdownMode::Fast => Signal::INT,
        ShutdownMode::Immediate => Signal::QUIT,
    };
    send(&pidfd, file.pid, signal, "stop")?;
    if !options.wait {
        options.say("server shutting down\n");
        return Ok(0);
    }
    options.say("waiting for server to shut down...");
    // The end of the process is what counts: its locks and sockets are free then, which its pid file cannot promise.
    if watch::wait(options, &pidfd, None, || false) == Seen::Ended {
        options.say(" done\nserver stopped\n");
        return Ok(0);
    }
    options.say(" failed\n");
    let failure = Failure::new("server does not shut down");
    Err(match options.mode {
        ShutdownMode::Smart => failure.with_hint(
            "HINT: The \"-m fast\" option immediately disconnects sessions rather than\n\
             waiting for session-initiated disconnection.",
        ),
        ShutdownMode::Fast | ShutdownMode::Immediate => failure,
    })
}
