//! The table of facts, in the order of the documents.

use anyhow::Result;

use super::{Stage, crashes, signals, statements, tree, workers};

/// One fact.
pub struct Fact {
    /// The number the document's file name begins with.
    pub document: u8,
    /// What it says.
    pub text: &'static str,
    /// Whether it can hold yet.
    pub due: Due,
}

/// Whether a fact can hold yet.
pub enum Due {
    /// It must.
    Check(fn(&Stage) -> Result<()>),
    /// It needs what is not there.
    Missing(&'static str),
}

use Due::{Check, Missing};

const fn fact(document: u8, text: &'static str, due: Due) -> Fact {
    Fact { document, text, due }
}

const STORAGE: &str = "needs storage and WAL";
const REPLICATION: &str = "needs replication";
const UNDO: &str = "needs undo segments";

/// All of them.
pub const FACTS: &[Fact] = &[
    fact(0, "when the startup process ends with 0 the server runs", Check(tree::ready_after_startup)),
    fact(0, "the child, not the postmaster, deals with its client", Check(tree::silent_client)),
    fact(
        0,
        "kill -9 of a backend ends the others; pids change, the postmaster's does not",
        Check(crashes::other_sessions),
    ),
    fact(0, "the logger survives a crash restart", Check(crashes::logger_survives)),
    fact(0, "kill ends one session and touches no other", Check(signals::terminate_one)),
    fact(0, "crash recovery brings the data to a consistent state", Missing(STORAGE)),
    fact(0, "a standby begins archive recovery, then hot standby", Missing(REPLICATION)),
    fact(0, "pg_terminate_backend() ends a session", Check(statements::terminate_backend)),
    fact(1, "postmaster.pid holds the pid and more; an orderly stop removes it", Check(signals::pid_file)),
    fact(1, "every process is the postmaster's child", Check(tree::no_grandchildren)),
    fact(1, "comm is postgres", Check(tree::comm)),
    fact(1, "title of the postmaster: its command line, without cluster_name", Check(tree::postmaster_title)),
    fact(1, "logger: title, and only with logging_collector = on", Check(tree::logger)),
    fact(
        1,
        "checkpointer, writer and stats collector always run, by their titles",
        Check(tree::always_running),
    ),
    fact(1, "title of the wal writer", Check(tree::wal_writer)),
    fact(1, "autovacuum launcher: title, and only with autovacuum = on", Check(tree::autovacuum_launcher)),
    fact(1, "archiver: title, and only with archive_mode = on", Check(tree::archiver)),
    fact(1, "local session: its title; the process ends with the session", Check(tree::local_session)),
    fact(1, "title of a remote session", Check(tree::remote_session)),
    fact(1, "update_process_title = off freezes the part that changes", Check(tree::frozen_title)),
    fact(1, "cluster_name stands in every child's title", Check(tree::cluster_name)),
    fact(1, "bytes of cluster_name that are not printable ASCII become ?", Check(tree::cluster_name_ascii)),
    fact(1, "archiver process last was SEGMENT", Missing(STORAGE)),
    fact(
        1,
        "title and life of the autovacuum worker; autovacuum_max_workers",
        Check(workers::autovacuum_workers),
    ),
    fact(1, "titles and lives of wal sender and wal receiver", Missing(REPLICATION)),
    fact(1, "startup process recovering SEGMENT, always there on a standby", Missing(REPLICATION)),
    fact(
        1,
        "title and life of background workers",
        Missing("the server registers none itself; tests/it/server/workers.rs has its own"),
    ),
    fact(1, "title and life of parallel workers", Missing("needs parallel query")),
    fact(
        1,
        "after SIGKILL of the postmaster, postmaster.pid stays and the next start works",
        Check(crashes::start_after_kill),
    ),
    fact(1, "log lines of the recovery after SIGKILL of the postmaster", Missing(STORAGE)),
    fact(1, "log lines after SIGKILL of a backend", Check(crashes::backend_log)),
    fact(1, "what other clients are told after SIGKILL of a backend", Check(crashes::warning)),
    fact(1, "the archiver's line in a crash restart", Check(crashes::archiver_line)),
    fact(1, "backend: SIGQUIT ends it at once", Check(crashes::sigquit)),
    fact(
        1,
        "backend: SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGCHLD, and SIGINT when idle, leave it alone",
        Check(signals::backend_ignores),
    ),
    fact(1, "backend: SIGINT cancels the running statement", Check(statements::sigint)),
    fact(1, "backend: SIGFPE is an ERROR", Check(statements::sigfpe)),
    fact(1, "postmaster: SIGHUP reloads, and children are told", Check(signals::reload)),
    fact(1, "postmaster: SIGINT is a fast shutdown", Check(signals::fast)),
    fact(1, "postmaster: SIGTERM is a smart shutdown", Check(signals::smart)),
    fact(1, "postmaster: SIGQUIT is an immediate shutdown", Check(signals::immediate)),
    fact(1, "postmaster: the other signals do nothing", Check(signals::ignored_by_postmaster)),
    fact(1, "postmaster: SIGCHLD, a process that ended is started again", Check(crashes::statistics_killed)),
    fact(1, "no slot left: sorry, too many clients already", Check(signals::too_many)),
    fact(
        1,
        "slots left for superusers only: remaining connection slots are reserved",
        Check(workers::reserved),
    ),
    fact(2, "each connection has a process of its own", Check(tree::own_process_per_session)),
    fact(2, "threaded_execution = on is refused until it is built", Check(signals::threads_refused)),
    fact(2, "sessions as threads", Missing("needs threads")),
    fact(2, "the WAL writer can stop at once", Check(signals::stops_quickly)),
    fact(2, "asynchronous commits are on disk within three times wal_writer_delay", Missing(STORAGE)),
    fact(2, "the background writer writes dirty buffers", Missing(STORAGE)),
    fact(2, "checkpoints by time, by WAL, by request, spread; checkpoint_warning", Missing(STORAGE)),
    fact(2, "full_page_writes; segments recycled behind a checkpoint", Missing(STORAGE)),
    fact(2, "autoanalyze: its launcher, workers, thresholds and settings", Missing(STORAGE)),
    fact(2, "logical replication launcher and workers", Missing(REPLICATION)),
    fact(2, "undo launcher and workers, recycle bin", Missing(UNDO)),
    fact(2, "pg_stat_activity: sessions and their states", Check(statements::activity)),
    fact(2, "pg_stat_database", Missing(STORAGE)),
    fact(2, "the archiver archives WAL segments", Missing(STORAGE)),
    fact(
        3,
        "kill -9 of the postmaster leaves sessions, which go on, and the logger; both leave with the last session",
        Check(crashes::orphans),
    ),
    fact(3, "a start while such a session lives is refused, naming it", Check(crashes::start_beside_orphans)),
    fact(3, "a second start beside a living postmaster is refused", Check(signals::second_start)),
    fact(
        3,
        "a start after all are gone says that another server might be running",
        Check(crashes::start_after_kill),
    ),
    fact(3, "restart_after_crash = off: the postmaster ends with 1", Check(crashes::no_restart)),
    fact(
        3,
        "kill -9 of the autovacuum launcher ends every session and starts another",
        Check(crashes::launcher_killed),
    ),
    fact(3, "kill -9 of the checkpointer does too", Check(crashes::checkpointer_killed)),
    fact(
        3,
        "an orphaned session writes rows, asynchronously and synchronously; they are there after the restart",
        Missing(STORAGE),
    ),
    fact(3, "an orphaned session's CHECKPOINT, VACUUM, bulk INSERT and pg_stat_all_tables", Missing(STORAGE)),
    fact(3, "csvlog lines with process, query and location", Check(statements::csvlog)),
    fact(
        4,
        "children inherit the postmaster's shared memory; nobody forks but the postmaster",
        Check(tree::shared_memory),
    ),
    fact(4, "RequestCheckpoint: flags, counters, CHECKPOINT_WAIT", Missing(STORAGE)),
    fact(
        4,
        "the autovacuum launcher asks the postmaster for a worker by PMSIGNAL",
        Check(workers::launcher_asks),
    ),
];
