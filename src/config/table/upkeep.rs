//! Vacuuming, locks, and what happens on errors.

use super::settings;
use crate::config::definition::{Choice, Definition, Key, MAX_INT, MIN_INT, choice, int, real, switch};
use crate::config::units::Unit;

settings! {
    file upkeep;
    section "Vacuuming / Automatic Vacuuming" {
        AUTOVACUUM: bool = switch("autovacuum", true).sighup(),
            "Starts the autovacuum subprocess.";
        AUTOVACUUM_ANALYZE_SCALE_FACTOR: f64 = real("autovacuum_analyze_scale_factor", 0.1, 0.0, 100.0)
            .sighup(),
            "Number of tuple inserts, updates, or deletes prior to analyze as a fraction of reltuples.";
        AUTOVACUUM_ANALYZE_THRESHOLD: i64 = int("autovacuum_analyze_threshold", 50, 0, MAX_INT).sighup(),
            "Minimum number of tuple inserts, updates, or deletes prior to analyze.";
        AUTOVACUUM_FREEZE_MAX_AGE: i64 = int("autovacuum_freeze_max_age", 200_000_000, 100_000, 2_000_000_000)
            .postmaster(),
            "Age at which to autovacuum a table to prevent transaction ID wraparound.";
        AUTOVACUUM_MAX_WORKERS: i64 = int("autovacuum_max_workers", 3, 1, 262_143).sighup(),
            "Sets the maximum number of simultaneously running autovacuum worker processes.";
        AUTOVACUUM_MULTIXACT_FREEZE_MAX_AGE: i64 = int("autovacuum_multixact_freeze_max_age", 400_000_000, 10_000, 2_000_000_000)
            .postmaster(),
            "Multixact age at which to autovacuum a table to prevent multixact wraparound.";
        AUTOVACUUM_NAPTIME: i64 = int("autovacuum_naptime", 60, 1, 2_147_483).unit(Unit::Seconds).sighup(),
            "Time to sleep between autovacuum runs.";
        AUTOVACUUM_VACUUM_COST_DELAY: f64 = real("autovacuum_vacuum_cost_delay", 2.0, -1.0, 100.0)
            .unit(Unit::Milliseconds).sighup(),
            "Vacuum cost delay in milliseconds, for autovacuum.",
            "-1 means use \"vacuum_cost_delay\".";
        AUTOVACUUM_VACUUM_COST_LIMIT: i64 = int("autovacuum_vacuum_cost_limit", -1, -1, 10_000).sighup(),
            "Vacuum cost amount available before napping, for autovacuum.",
            "-1 means use \"vacuum_cost_limit\".";
        AUTOVACUUM_VACUUM_INSERT_SCALE_FACTOR: f64 = real("autovacuum_vacuum_insert_scale_factor", 0.2, 0.0, 100.0)
            .sighup(),
            "Number of tuple inserts prior to vacuum as a fraction of reltuples.";
        AUTOVACUUM_VACUUM_INSERT_THRESHOLD: i64 = int("autovacuum_vacuum_insert_threshold", 1000, -1, MAX_INT)
            .sighup(),
            "Minimum number of tuple inserts prior to vacuum.",
            "-1 disables insert vacuums.";
        AUTOVACUUM_VACUUM_MAX_THRESHOLD: i64 = int("autovacuum_vacuum_max_threshold", 100_000_000, -1, MAX_INT)
            .sighup(),
            "Maximum number of tuple updates or deletes prior to vacuum.",
            "-1 disables the maximum threshold.";
        AUTOVACUUM_VACUUM_SCALE_FACTOR: f64 = real("autovacuum_vacuum_scale_factor", 0.2, 0.0, 100.0).sighup(),
            "Number of tuple updates or deletes prior to vacuum as a fraction of reltuples.";
        AUTOVACUUM_VACUUM_THRESHOLD: i64 = int("autovacuum_vacuum_threshold", 50, 0, MAX_INT).sighup(),
            "Minimum number of tuple updates or deletes prior to vacuum.";
        AUTOVACUUM_WORKER_SLOTS: i64 = int("autovacuum_worker_slots", 16, 1, 262_143).postmaster(),
            "Sets the number of backend slots to allocate for autovacuum workers.";
    }
    section "Vacuuming / Cost-Based Vacuum Delay" {
        VACUUM_COST_DELAY: f64 = real("vacuum_cost_delay", 0.0, 0.0, 100.0).unit(Unit::Milliseconds),
            "Vacuum cost delay in milliseconds.";
        VACUUM_COST_LIMIT: i64 = int("vacuum_cost_limit", 200, 1, 10_000),
            "Vacuum cost amount available before napping.";
        VACUUM_COST_PAGE_DIRTY: i64 = int("vacuum_cost_page_dirty", 20, 0, 10_000),
            "Vacuum cost for a page dirtied by vacuum.";
        VACUUM_COST_PAGE_HIT: i64 = int("vacuum_cost_page_hit", 1, 0, 10_000),
            "Vacuum cost for a page found in the buffer cache.";
        VACUUM_COST_PAGE_MISS: i64 = int("vacuum_cost_page_miss", 2, 0, 10_000),
            "Vacuum cost for a page not found in the buffer cache.";
    }
    section "Vacuuming / Default Behavior" {
        VACUUM_TRUNCATE: bool = switch("vacuum_truncate", true),
            "Enables vacuum to truncate empty pages at the end of the table.";
    }
    section "Vacuuming / Freezing" {
        VACUUM_FAILSAFE_AGE: i64 = int("vacuum_failsafe_age", 1_600_000_000, 0, 2_100_000_000),
            "Age at which VACUUM should trigger failsafe to avoid a wraparound outage.";
        VACUUM_FREEZE_MIN_AGE: i64 = int("vacuum_freeze_min_age", 50_000_000, 0, 1_000_000_000),
            "Minimum age at which VACUUM should freeze a table row.";
        VACUUM_FREEZE_TABLE_AGE: i64 = int("vacuum_freeze_table_age", 150_000_000, 0, 2_000_000_000),
            "Age at which VACUUM should scan whole table to freeze tuples.";
        VACUUM_MAX_EAGER_FREEZE_FAILURE_RATE: f64 = real("vacuum_max_eager_freeze_failure_rate", 0.03, 0.0, 1.0),
            "Fraction of pages in a relation vacuum can scan and fail to freeze before disabling eager \
             scanning.",
            "A value of 0.0 disables eager scanning and a value of 1.0 will eagerly scan up to 100 percent of \
             the all-visible pages in the relation. If vacuum successfully freezes these pages, the cap is \
             lower than 100 percent, because the goal is to amortize page freezing across multiple vacuums.";
        VACUUM_MULTIXACT_FAILSAFE_AGE: i64 = int("vacuum_multixact_failsafe_age", 1_600_000_000, 0, 2_100_000_000),
            "Multixact age at which VACUUM should trigger failsafe to avoid a wraparound outage.";
        VACUUM_MULTIXACT_FREEZE_MIN_AGE: i64 = int("vacuum_multixact_freeze_min_age", 5_000_000, 0, 1_000_000_000),
            "Minimum age at which VACUUM should freeze a MultiXactId in a table row.";
        VACUUM_MULTIXACT_FREEZE_TABLE_AGE: i64 = int("vacuum_multixact_freeze_table_age", 150_000_000, 0, 2_000_000_000),
            "Multixact age at which VACUUM should scan whole table to freeze tuples.";
    }
    section "Lock Management" {
        DEADLOCK_TIMEOUT: i64 = int("deadlock_timeout", 1000, 1, MAX_INT).unit(Unit::Milliseconds).superuser(),
            "Sets the time to wait on a lock before checking for deadlock.";
        MAX_LOCKS_PER_TRANSACTION: i64 = int("max_locks_per_transaction", 64, 10, MAX_INT).postmaster(),
            "Sets the maximum number of locks per transaction.",
            "The shared lock table is sized on the assumption that at most \"max_locks_per_transaction\" \
             objects per server process or prepared transaction will need to be locked at any one time.";
        MAX_PRED_LOCKS_PER_PAGE: i64 = int("max_pred_locks_per_page", 2, 0, MAX_INT).sighup(),
            "Sets the maximum number of predicate-locked tuples per page.",
            "If more than this number of tuples on the same page are locked by a connection, those locks are \
             replaced by a page-level lock.";
        MAX_PRED_LOCKS_PER_RELATION: i64 = int("max_pred_locks_per_relation", -2, MIN_INT, MAX_INT).sighup(),
            "Sets the maximum number of predicate-locked pages and tuples per relation.",
            "If more than this total of pages and tuples in the same relation are locked by a connection, \
             those locks are replaced by a relation-level lock.";
        MAX_PRED_LOCKS_PER_TRANSACTION: i64 = int("max_pred_locks_per_transaction", 64, 10, MAX_INT)
            .postmaster(),
            "Sets the maximum number of predicate locks per transaction.",
            "The shared predicate lock table is sized on the assumption that at most \
             \"max_pred_locks_per_transaction\" objects per server process or prepared transaction will need to \
             be locked at any one time.";
    }
    section "Error Handling" {
        DATA_SYNC_RETRY: bool = switch("data_sync_retry", false).postmaster(),
            "Whether to continue running after a failure to sync data files.";
        EXIT_ON_ERROR: bool = switch("exit_on_error", false),
            "Terminate session on any error.";
        RECOVERY_INIT_SYNC_METHOD: Choice = choice("recovery_init_sync_method", "fsync", &["fsync", "syncfs"])
            .sighup(),
            "Sets the method for synchronizing the data directory before crash recovery.";
        RESTART_AFTER_CRASH: bool = switch("restart_after_crash", true).sighup(),
            "Reinitialize server after backend crash.";
    }
}
