//! The write-ahead log: settings, checkpoints, archiving, recovery.

use super::aliases::{OLD_WAL_LEVELS, ON_OFF, PGLZ_OR_OFF};
use super::settings;
use crate::config::check::{checks, missing};
use crate::config::definition::{Choice, Definition, Key, MAX_INT, choice, int, real, switch, text};
use crate::config::show;
use crate::config::units::Unit;

settings! {
    file wal;
    section "Write-Ahead Log / Archive Recovery" {
        ARCHIVE_CLEANUP_COMMAND: str = text("archive_cleanup_command", "").sighup(),
            "Sets the shell command that will be executed at every restart point.";
        RECOVERY_END_COMMAND: str = text("recovery_end_command", "").sighup(),
            "Sets the shell command that will be executed once at the end of recovery.";
        RESTORE_COMMAND: str = text("restore_command", "").sighup(),
            "Sets the shell command that will be called to retrieve an archived WAL file.";
    }
    section "Write-Ahead Log / Archiving" {
        ARCHIVE_COMMAND: str = text("archive_command", "").sighup().show(show::disabled_if_empty),
            "Sets the shell command that will be called to archive a WAL file.",
            "An empty string means use \"archive_library\".";
        ARCHIVE_LIBRARY: str = text("archive_library", "").sighup().check(missing::library),
            "Sets the library that will be called to archive a WAL file.",
            "An empty string means use \"archive_command\".";
        ARCHIVE_MODE: Choice = choice("archive_mode", "off", &["always", "on", "off"]).aliases(ON_OFF)
            .postmaster(),
            "Allows archiving of WAL files using \"archive_command\".";
        ARCHIVE_TIMEOUT: i64 = int("archive_timeout", 0, 0, 1_073_741_823).unit(Unit::Seconds).sighup(),
            "Sets the amount of time to wait before forcing a switch to the next WAL file.",
            "0 disables the timeout.";
    }
    section "Write-Ahead Log / Checkpoints" {
        CHECKPOINT_COMPLETION_TARGET: f64 = real("checkpoint_completion_target", 0.9, 0.0, 1.0).sighup(),
            "Time spent flushing dirty buffers during checkpoint, as fraction of checkpoint interval.";
        CHECKPOINT_FLUSH_AFTER: i64 = int("checkpoint_flush_after", 32, 0, 256).unit(Unit::Pages).sighup(),
            "Number of pages after which previously performed writes are flushed to disk.",
            "0 disables forced writeback.";
        CHECKPOINT_TIMEOUT: i64 = int("checkpoint_timeout", 300, 30, 86_400).unit(Unit::Seconds).sighup(),
            "Sets the maximum time between automatic WAL checkpoints.";
        CHECKPOINT_WARNING: i64 = int("checkpoint_warning", 30, 0, MAX_INT).unit(Unit::Seconds).sighup(),
            "Sets the maximum time before warning if checkpoints triggered by WAL volume happen too frequently.",
            "Write a message to the server log if checkpoints caused by the filling of WAL segment files \
             happen more frequently than this amount of time. 0 disables the warning.";
        MAX_WAL_SIZE: i64 = int("max_wal_size", 1024, 2, MAX_INT).unit(Unit::Megabytes).sighup(),
            "Sets the WAL size that triggers a checkpoint.";
        MIN_WAL_SIZE: i64 = int("min_wal_size", 80, 2, MAX_INT).unit(Unit::Megabytes).sighup(),
            "Sets the minimum size to shrink the WAL to.";
    }
    section "Write-Ahead Log / Recovery" {
        RECOVERY_PREFETCH: Choice = choice("recovery_prefetch", "try", &["off", "on", "try"]).aliases(ON_OFF)
            .sighup(),
            "Prefetch referenced blocks during recovery.",
            "Look ahead in the WAL to find references to uncached data.";
        WAL_DECODE_BUFFER_SIZE: i64 = int("wal_decode_buffer_size", 524_288, 65_536, 1_073_741_823)
            .unit(Unit::Bytes).postmaster(),
            "Buffer size for reading ahead in the WAL during recovery.",
            "Maximum distance to read ahead in the WAL to prefetch referenced data blocks.";
    }
    section "Write-Ahead Log / Recovery Target" {
        RECOVERY_TARGET: str = text("recovery_target", "").postmaster().check(checks::recovery_target),
            "Set to \"immediate\" to end recovery as soon as a consistent state is reached.";
        RECOVERY_TARGET_ACTION: Choice = choice("recovery_target_action", "pause", &["pause", "promote", "shutdown"])
            .postmaster(),
            "Sets the action to perform upon reaching the recovery target.";
        RECOVERY_TARGET_INCLUSIVE: bool = switch("recovery_target_inclusive", true).postmaster(),
            "Sets whether to include or exclude transaction with recovery target.";
        RECOVERY_TARGET_LSN: str = text("recovery_target_lsn", "").postmaster().check(checks::lsn),
            "Sets the LSN of the write-ahead log location up to which recovery will proceed.";
        RECOVERY_TARGET_NAME: str = text("recovery_target_name", "").postmaster(),
            "Sets the named restore point up to which recovery will proceed.";
        RECOVERY_TARGET_TIME: str = text("recovery_target_time", "").postmaster(),
            "Sets the time stamp up to which recovery will proceed.";
        RECOVERY_TARGET_TIMELINE: str = text("recovery_target_timeline", "latest").postmaster(),
            "Specifies the timeline to recover into.";
        RECOVERY_TARGET_XID: str = text("recovery_target_xid", "").postmaster(),
            "Sets the transaction ID up to which recovery will proceed.";
    }
    section "Write-Ahead Log / Settings" {
        COMMIT_DELAY: i64 = int("commit_delay", 0, 0, 100_000).superuser(),
            "Sets the delay in microseconds between transaction commit and flushing WAL to disk.";
        COMMIT_SIBLINGS: i64 = int("commit_siblings", 5, 0, 1000),
            "Sets the minimum number of concurrent open transactions required before performing \
             \"commit_delay\".";
        FSYNC: bool = switch("fsync", true).sighup(),
            "Forces synchronization of updates to disk.",
            "The server will use the fsync() system call in several places to make sure that updates are \
             physically written to disk. This ensures that a database cluster will recover to a consistent \
             state after an operating system or hardware crash.";
        FULL_PAGE_WRITES: bool = switch("full_page_writes", true).sighup(),
            "Writes full pages to WAL when first modified after a checkpoint.",
            "A page write in process during an operating system crash might be only partially written to disk. \
             During recovery, the row changes stored in WAL are not enough to recover.  This option writes \
             pages when first modified after a checkpoint to WAL so full recovery is possible.";
        SYNCHRONOUS_COMMIT: Choice = choice("synchronous_commit", "on", &["local", "remote_write", "remote_apply", "on", "off"])
            .aliases(ON_OFF),
            "Sets the current transaction's synchronization level.";
        WAL_BUFFERS: i64 = int("wal_buffers", -1, -1, 262_143).unit(Unit::Pages).postmaster()
            .check(checks::wal_buffers),
            "Sets the number of disk-page buffers in shared memory for WAL.",
            "-1 means use a fraction of \"shared_buffers\".";
        WAL_COMPRESSION: Choice = choice("wal_compression", "off", &["pglz", "on", "off"])
            .aliases(PGLZ_OR_OFF).superuser().check(missing::wal_compression),
            "Compresses full-page writes written in WAL file with specified method.";
        WAL_INIT_ZERO: bool = switch("wal_init_zero", true).superuser(),
            "Writes zeroes to new WAL files before first use.";
        WAL_LEVEL: Choice = choice("wal_level", "replica", &["minimal", "replica", "logical"])
            .aliases(OLD_WAL_LEVELS).postmaster(),
            "Sets the level of information written to the WAL.";
        WAL_LOG_HINTS: bool = switch("wal_log_hints", false).postmaster(),
            "Writes full pages to WAL when first modified after a checkpoint, even for a non-critical \
             modification.";
        WAL_RECYCLE: bool = switch("wal_recycle", true).superuser(),
            "Recycles WAL files by renaming them.";
        WAL_SKIP_THRESHOLD: i64 = int("wal_skip_threshold", 2048, 0, MAX_INT).unit(Unit::Kilobytes),
            "Minimum size of new file to fsync instead of writing WAL.";
        WAL_SYNC_METHOD: Choice = choice("wal_sync_method", "fdatasync", &["io_uring_dsync", "open_datasync", "fdatasync", "fsync", "open_sync"])
            .sighup().computed(),
            "Selects the method used for forcing WAL updates to disk.",
            "The default is what the data directory's making found to be fastest.";
        WAL_WRITER_DELAY: i64 = int("wal_writer_delay", 200, 1, 10_000).unit(Unit::Milliseconds).sighup(),
            "Time between WAL flushes performed in the WAL writer.";
        WAL_WRITER_FLUSH_AFTER: i64 = int("wal_writer_flush_after", 128, 0, MAX_INT).unit(Unit::Pages)
            .sighup(),
            "Amount of WAL written out by WAL writer that triggers a flush.";
    }
    section "Write-Ahead Log / Summarization" {
        SUMMARIZE_WAL: bool = switch("summarize_wal", false).sighup(),
            "Starts the WAL summarizer process to enable incremental backup.";
        WAL_SUMMARY_KEEP_TIME: i64 = int("wal_summary_keep_time", 14_400, 0, 35_791_394).unit(Unit::Minutes)
            .sighup(),
            "Time for which WAL summary files should be kept.",
            "0 disables automatic summary file deletion.";
    }
}
