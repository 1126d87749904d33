//! The server log: what PostgreSQL's users and their tools expect to find on stderr, in CSV and in JSON files.
//!
//! A process holds one [`Log`] and hands it down; whoever handles a report calls [`Log::emit`] with it and with a
//! [`LogContext`] that says who speaks. Without a logger process the text goes to stderr, a whole message in one write.
//! With one it goes down its pipe in chunks that cannot be torn (`chunk`), and the logger's [`Collector`] puts the
//! chunks of each process together again and writes the files.
//!
//! Nothing here knows where settings come from: callers fill a [`LogConfig`].

mod chunk;
mod collector;
mod config;
mod context;
mod csv;
mod json;
mod message;
mod output;
mod panic;
mod prefix;
pub mod stamp;
mod text;

use jiff::Timestamp;

use crate::report::{Report, Severity};

pub use collector::{Collector, Input};
pub use config::{Destination, Destinations, LogConfig, Verbosity, is_level_output};
pub use context::{Client, LineNumbers, LogContext, session_id};
pub use output::Output;
pub use panic::panic_report;

use message::Message;

/// A process's way to the server log.
#[derive(Debug)]
pub struct Log {
    config: LogConfig,
    output: Output,
}

impl Log {
    /// A log with these settings that writes there.
    pub const fn new(config: LogConfig, output: Output) -> Self {
        Self { config, output }
    }

    /// The settings in force.
    pub const fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Puts other settings into force.
    pub fn reload(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// Writes elsewhere from now on: to the logger's pipe when it runs, to stderr if it could not be started.
    pub fn redirect(&mut self, output: Output) {
        self.output = output;
    }

    /// Whether a report of this severity is logged, for callers that would rather not make it otherwise.
    pub const fn is_logged(&self, severity: Severity) -> bool {
        is_level_output(severity, self.config.log_min_messages)
    }

    /// Logs the report, if its severity is to be logged.
    ///
    /// Nobody could be told that this failed, so a log that cannot be written is given up on in silence.
    pub fn emit(&self, report: &Report, context: &LogContext<'_>) {
        if !self.is_logged(report.severity) {
            return;
        }
        let message = Message { config: &self.config, report, context, now: Timestamp::now() };
        for (destination, text) in message.rendered(self.output.is_collected()) {
            self.output.write(context.pid, destination, &text);
        }
    }
}

#[cfg(test)]
mod tests;
