//! Who speaks: the process, its session and what it is doing, as far as the log tells it.

use std::cell::Cell;

use jiff::Timestamp;

use super::config::Destination;

/// Everything the log says besides the report itself. It only borrows, so it is made anew for each report.
#[derive(Clone, Debug)]
pub struct LogContext<'a> {
    /// Pid of the process.
    pub pid: u32,
    /// Kind of process, in `pg_stat_activity.backend_type`'s words.
    pub backend_type: &'a str,
    /// When the process, or its session, started.
    pub session_start: Timestamp,
    /// Counters of what this process has logged.
    pub lines: &'a LineNumbers,
    /// The other end, in processes that have one: only they are sessions to `%q`.
    pub client: Option<Client<'a>>,
    /// `application_name`.
    pub application_name: &'a str,
    /// What the process title says it does: a command tag, `idle`, `authentication` …
    pub activity: &'a str,
    /// Slot and local number of the virtual transaction.
    pub virtual_xid: Option<(u32, u32)>,
    /// Low half of the transaction id; zero for none.
    pub xid: u32,
    /// The statement that runs. Leave it out where the message shows it already, as `log_statement`'s does.
    pub query: Option<&'a str>,
    /// Hash of the statement's shape; zero if not computed.
    pub query_id: i64,
    /// In a parallel worker, the pid of the process it works for.
    pub leader_pid: Option<u32>,
    /// Stack at the error, where `backtrace_functions` asks for it.
    pub backtrace: Option<&'a str>,
}

/// The other end of a session's connection.
#[derive(Clone, Debug, Default)]
pub struct Client<'a> {
    /// User, once the startup packet is read.
    pub user: Option<&'a str>,
    /// Database, once the startup packet is read.
    pub database: Option<&'a str>,
    /// Host name or address; `[local]` on a Unix socket.
    pub remote_host: Option<&'a str>,
    /// Port; none on a Unix socket.
    pub remote_port: Option<u16>,
    /// Address that the client connected to; `[local]` on a Unix socket.
    pub local_host: Option<&'a str>,
}

impl<'a> LogContext<'a> {
    /// A process without a client.
    pub fn new(pid: u32, backend_type: &'a str, session_start: Timestamp, lines: &'a LineNumbers) -> Self {
        Self {
            pid,
            backend_type,
            session_start,
            lines,
            client: None,
            application_name: "",
            activity: "",
            virtual_xid: None,
            xid: 0,
            query: None,
            query_id: 0,
            leader_pid: None,
            backtrace: None,
        }
    }
}

/// A session's name in the log: its start and pid in hexadecimal.
pub fn session_id(session_start: Timestamp, pid: u32) -> String {
    format!("{:x}.{pid:x}", session_start.as_second())
}

/// How many lines a session has logged: text counts lines, the other forms count messages.
///
/// A process makes its own after the fork, a reused backend one per session, so that each session counts from 1.
#[derive(Debug, Default)]
pub struct LineNumbers([Cell<u64>; 3]);

impl LineNumbers {
    pub(super) fn next(&self, destination: Destination) -> u64 {
        let counter = &self.0[destination as usize];
        counter.set(counter.get() + 1);
        counter.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_as_postgresql_prints_them() {
        assert_eq!(session_id(Timestamp::from_second(1_795_201_362).unwrap(), 6079), "6b009952.17bf");
    }

    #[test]
    fn each_form_counts_for_itself() {
        let lines = LineNumbers::default();
        assert_eq!(lines.next(Destination::Stderr), 1);
        assert_eq!(lines.next(Destination::Stderr), 2);
        assert_eq!(lines.next(Destination::Csvlog), 1);
    }
}
