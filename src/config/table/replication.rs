//! Sending and receiving WAL.

use super::settings;
use crate::config::check::{checks, lists, missing};
use crate::config::definition::{Definition, Key, MAX_INT, int, switch, text};
use crate::config::units::Unit;

settings! {
    file replication;
    section "Replication / Primary Server" {
        SYNCHRONIZED_STANDBY_SLOTS: str = text("synchronized_standby_slots", "").sighup().list()
            .check(lists::names),
            "Lists streaming replication standby server replication slot names that logical WAL sender \
             processes will wait for.",
            "Logical WAL sender processes will send decoded changes to output plugins only after the specified \
             replication slots have confirmed receiving WAL.";
        SYNCHRONOUS_STANDBY_NAMES: str = text("synchronous_standby_names", "").sighup().list()
            .check(missing::synchronous_standby_names),
            "Number of synchronous standbys and list of names of potential synchronous ones.";
    }
    section "Replication / Sending Servers" {
        IDLE_REPLICATION_SLOT_TIMEOUT: i64 = int("idle_replication_slot_timeout", 0, 0, MAX_INT)
            .unit(Unit::Seconds).sighup(),
            "Sets the duration a replication slot can remain idle before it is invalidated.";
        MAX_REPLICATION_SLOTS: i64 = int("max_replication_slots", 10, 0, 262_143).postmaster(),
            "Sets the maximum number of simultaneously defined replication slots.";
        MAX_SLOT_WAL_KEEP_SIZE: i64 = int("max_slot_wal_keep_size", -1, -1, MAX_INT).unit(Unit::Megabytes)
            .sighup(),
            "Sets the maximum WAL size that can be reserved by replication slots.",
            "Replication slots will be marked as failed, and segments released for deletion or recycling, if \
             this much space is occupied by WAL on disk. -1 means no maximum.";
        MAX_WAL_SENDERS: i64 = int("max_wal_senders", 10, 0, 262_143).postmaster(),
            "Sets the maximum number of simultaneously running WAL sender processes.";
        TRACK_COMMIT_TIMESTAMP: bool = switch("track_commit_timestamp", false).postmaster(),
            "Collects transaction commit time.";
        WAL_KEEP_SIZE: i64 = int("wal_keep_size", 0, 0, MAX_INT).unit(Unit::Megabytes).sighup(),
            "Sets the size of WAL files held for standby servers.";
        WAL_SENDER_TIMEOUT: i64 = int("wal_sender_timeout", 60_000, 0, MAX_INT).unit(Unit::Milliseconds),
            "Sets the maximum time to wait for WAL replication.";
    }
    section "Replication / Standby Servers" {
        HOT_STANDBY: bool = switch("hot_standby", true).postmaster(),
            "Allows connections and queries during recovery.";
        HOT_STANDBY_FEEDBACK: bool = switch("hot_standby_feedback", false).sighup(),
            "Allows feedback from a hot standby to the primary that will avoid query conflicts.";
        MAX_STANDBY_ARCHIVE_DELAY: i64 = int("max_standby_archive_delay", 30_000, -1, MAX_INT)
            .unit(Unit::Milliseconds).sighup(),
            "Sets the maximum delay before canceling queries when a hot standby server is processing archived \
             WAL data.",
            "-1 means wait forever.";
        MAX_STANDBY_STREAMING_DELAY: i64 = int("max_standby_streaming_delay", 30_000, -1, MAX_INT)
            .unit(Unit::Milliseconds).sighup(),
            "Sets the maximum delay before canceling queries when a hot standby server is processing streamed \
             WAL data.",
            "-1 means wait forever.";
        PRIMARY_CONNINFO: str = text("primary_conninfo", "").sighup().superuser_only(),
            "Sets the connection string to be used to connect to the sending server.";
        PRIMARY_SLOT_NAME: str = text("primary_slot_name", "").sighup().check(checks::primary_slot_name),
            "Sets the name of the replication slot to use on the sending server.";
        RECOVERY_MIN_APPLY_DELAY: i64 = int("recovery_min_apply_delay", 0, 0, MAX_INT)
            .unit(Unit::Milliseconds).sighup(),
            "Sets the minimum delay for applying changes during recovery.";
        SYNC_REPLICATION_SLOTS: bool = switch("sync_replication_slots", false).sighup(),
            "Enables a physical standby to synchronize logical failover replication slots from the primary \
             server.";
        WAL_RECEIVER_CREATE_TEMP_SLOT: bool = switch("wal_receiver_create_temp_slot", false).sighup(),
            "Sets whether a WAL receiver should create a temporary replication slot if no permanent slot is \
             configured.";
        WAL_RECEIVER_STATUS_INTERVAL: i64 = int("wal_receiver_status_interval", 10, 0, 2_147_483)
            .unit(Unit::Seconds).sighup(),
            "Sets the maximum interval between WAL receiver status reports to the sending server.";
        WAL_RECEIVER_TIMEOUT: i64 = int("wal_receiver_timeout", 60_000, 0, MAX_INT).unit(Unit::Milliseconds)
            .sighup(),
            "Sets the maximum wait time to receive data from the sending server.",
            "0 disables the timeout.";
        WAL_RETRIEVE_RETRY_INTERVAL: i64 = int("wal_retrieve_retry_interval", 5000, 1, MAX_INT)
            .unit(Unit::Milliseconds).sighup(),
            "Sets the time to wait before retrying to retrieve WAL after a failed attempt.";
    }
    section "Replication / Subscribers" {
        MAX_ACTIVE_REPLICATION_ORIGINS: i64 = int("max_active_replication_origins", 10, 0, 262_143)
            .postmaster(),
            "Sets the maximum number of active replication origins.";
        MAX_LOGICAL_REPLICATION_WORKERS: i64 = int("max_logical_replication_workers", 4, 0, 262_143)
            .postmaster(),
            "Maximum number of logical replication worker processes.";
        MAX_PARALLEL_APPLY_WORKERS_PER_SUBSCRIPTION: i64 = int("max_parallel_apply_workers_per_subscription", 2, 0, 1024)
            .sighup(),
            "Maximum number of parallel apply workers per subscription.";
        MAX_SYNC_WORKERS_PER_SUBSCRIPTION: i64 = int("max_sync_workers_per_subscription", 2, 0, 262_143)
            .sighup(),
            "Maximum number of table synchronization workers per subscription.";
    }
}
