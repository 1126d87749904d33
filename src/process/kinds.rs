//! The one list of process kinds: number, names, titles, what a crash means, when it runs, when it is stopped, and its
//! entry point. Everything that treats kinds differently asks this list.
//!
//! The order is that of `SPEC.md`'s table, which is the list of what each kind is for.

use super::context::ProcessContext;

/// What follows if a process of a kind ends otherwise than it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnCrash {
    /// Everybody starts over.
    CrashRestart,
    /// It is started again; nobody else is touched.
    RestartAlone,
    /// Nothing.
    Nothing,
    /// The server ends: starting over would only fail again.
    EndServer,
}

/// In which step of an orderly stop a kind is asked to leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stops {
    /// With the sessions, before the shutdown checkpoint.
    WithBackends,
    /// Behind the shutdown checkpoint, when WAL is archived and sent.
    Archival,
    /// When it has written the shutdown checkpoint and archiving is over.
    Checkpointer,
    /// With the last ones.
    DeadEnd,
    /// By itself, at the end of its pipe.
    Last,
}

/// Which kinds of process there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum Kind {
    /// Writes the log files.
    Logger = 1,
    /// Replays WAL.
    Startup = 2,
    /// Writes checkpoints.
    Checkpointer = 3,
    /// Writes dirty buffers ahead of need.
    BackgroundWriter = 4,
    /// Flushes WAL that nobody waits for.
    WalWriter = 5,
    /// Asks for autovacuum workers.
    AutovacuumLauncher = 6,
    /// Vacuums and analyzes one database.
    AutovacuumWorker = 7,
    /// Archives finished segments.
    Archiver = 8,
    /// Keeps and saves the statistics.
    Statistics = 9,
    /// Serves a session.
    Backend = 10,
    /// Sends WAL to a standby.
    WalSender = 11,
    /// Receives WAL from a primary.
    WalReceiver = 12,
    /// Asks for logical replication workers.
    LogicalLauncher = 13,
    /// Applies a subscription.
    LogicalWorker = 14,
    /// Asks for undo workers.
    UndoLauncher = 15,
    /// Cleans an undo segment.
    UndoWorker = 16,
    /// Whatever was registered.
    BackgroundWorker = 17,
    /// Waits to become a backend.
    SpareBackend = 18,
    /// Says why a connection is refused.
    DeadEnd = 19,
    /// Cleans up after a contained death.
    Cleaner = 20,
    /// Serves counters to a monitor.
    Metrics = 21,
    /// Helps with a query.
    ParallelWorker = 22,
}

/// What is known of a kind.
pub struct KindInfo {
    /// Which.
    pub kind: Kind,
    /// `pg_stat_activity.backend_type`, and the name in log lines about its end.
    pub backend_type: &'static str,
    /// Its title behind `postgres: ` as the source documents have it.
    pub title: &'static str,
    /// Its title as PostgreSQL 18 has it.
    pub title_18: &'static str,
    /// What its crash means.
    pub on_crash: OnCrash,
    /// When it is asked to leave.
    pub stops: Stops,
    /// Where it begins; `None`: it is forked in a way of its own (the logger, sessions), or has no work to do yet and is
    /// not launched.
    pub main: Option<fn(ProcessContext<'_>) -> !>,
}

macro_rules! kinds {
    ($($kind:ident $backend_type:literal $title:literal $title_18:literal $on_crash:ident $stops:ident $main:expr;)*) => {
        /// The list.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            kind: Kind::$kind,
            backend_type: $backend_type,
            title: $title,
            title_18: $title_18,
            on_crash: OnCrash::$on_crash,
            stops: Stops::$stops,
            main: $main,
        }),*];
    };
}

kinds! {
    Logger "logger" "logger process" "logger " RestartAlone Last None;
    Startup "startup" "startup process" "startup " EndServer WithBackends Some(super::startup::main);
    Checkpointer "checkpointer" "checkpointer process" "checkpointer " CrashRestart Checkpointer Some(super::checkpointer::main);
    BackgroundWriter "background writer" "writer process" "background writer " CrashRestart WithBackends Some(super::background_writer::main);
    WalWriter "walwriter" "wal writer process" "walwriter " CrashRestart WithBackends Some(super::wal_writer::main);
    AutovacuumLauncher "autovacuum launcher" "autovacuum launcher process" "autovacuum launcher " CrashRestart WithBackends Some(super::autovacuum::launcher_main);
    AutovacuumWorker "autovacuum worker" "autovacuum worker process" "autovacuum worker " CrashRestart WithBackends Some(super::autovacuum::worker_main);
    Archiver "archiver" "archiver process" "archiver " RestartAlone Archival Some(super::archiver::main);
    Statistics "stats collector" "stats collector process" "stats collector " RestartAlone DeadEnd Some(super::statistics::main);
    Backend "client backend" "" "" CrashRestart WithBackends None;
    WalSender "walsender" "wal sender process" "walsender " CrashRestart Archival None;
    WalReceiver "walreceiver" "wal receiver process" "walreceiver " RestartAlone WithBackends None;
    LogicalLauncher "logical replication launcher" "logical replication launcher" "logical replication launcher " RestartAlone WithBackends None;
    LogicalWorker "logical replication worker" "logical replication worker" "logical replication worker " RestartAlone WithBackends None;
    UndoLauncher "undo launcher" "undo launcher process" "undo launcher " RestartAlone WithBackends None;
    UndoWorker "undo worker" "undo worker process" "undo worker " CrashRestart WithBackends None;
    BackgroundWorker "background worker" "bgworker:" "" CrashRestart WithBackends Some(super::background_worker::main);
    SpareBackend "spare backend" "spare backend process" "spare backend " CrashRestart WithBackends Some(super::spare::main);
    DeadEnd "dead-end client backend" "dead-end process" "dead-end client backend " Nothing DeadEnd None;
    Cleaner "crash cleaner" "crash cleaner process" "crash cleaner " CrashRestart WithBackends None;
    Metrics "metrics" "metrics process" "metrics " RestartAlone WithBackends Some(super::metrics::main);
    ParallelWorker "parallel worker" "bgworker: parallel worker" "parallel worker " CrashRestart WithBackends None;
}

impl Kind {
    /// What the list says of it.
    pub fn info(self) -> &'static KindInfo {
        &KINDS[self as usize - 1]
    }

    /// The kind of a number in shared memory.
    pub fn from_number(number: u32) -> Option<Self> {
        KINDS.get((number as usize).checked_sub(1)?).map(|info| info.kind)
    }

    /// Number in shared memory.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// How log lines about its end name it: sessions are `server process`, as in the documents.
    pub fn log_name(self) -> String {
        match self {
            Self::Backend | Self::SpareBackend => "server process".to_string(),
            Self::BackgroundWorker | Self::ParallelWorker => "background worker".to_string(),
            Self::DeadEnd => "dead-end client backend".to_string(),
            other => format!("{} process", other.info().backend_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_at_its_number() {
        for (i, info) in KINDS.iter().enumerate() {
            assert_eq!(info.kind.number() as usize, i + 1);
            assert_eq!(Kind::from_number(info.kind.number()), Some(info.kind));
            assert_eq!(info.kind.info().backend_type, info.backend_type);
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(KINDS.len() as u32 + 1), None);
    }
}
