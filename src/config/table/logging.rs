//! What is logged, when and where; statistics.

use super::aliases::{DEBUG_IS_DEBUG2, ON_OFF};
use super::settings;
use crate::config::check::{checks, lists, time_zone};
use crate::config::definition::{Choice, Definition, Key, MAX_INT, choice, int, real, switch, text};
use crate::config::show;
use crate::config::units::Unit;

settings! {
    file logging;
    section "Reporting and Logging / Process Title" {
        CLUSTER_NAME: str = text("cluster_name", "").postmaster().check(checks::title_ascii),
            "Sets the name of the cluster, which is included in the process title.";
        UPDATE_PROCESS_TITLE: bool = switch("update_process_title", true).superuser(),
            "Updates the process title to show the active SQL command.",
            "Enables updating of the process title every time a new SQL command is received by the server.";
    }
    section "Reporting and Logging / What to Log" {
        APPLICATION_NAME: str = text("application_name", "").report().name_length().not_in_sample()
            .check(checks::printable_ascii),
            "Sets the application name to be reported in statistics and logs.";
        DEBUG_PRETTY_PRINT: bool = switch("debug_pretty_print", true),
            "Indents parse and plan tree displays.";
        DEBUG_PRINT_PARSE: bool = switch("debug_print_parse", false),
            "Logs each query's parse tree.";
        DEBUG_PRINT_PLAN: bool = switch("debug_print_plan", false),
            "Logs each query's execution plan.";
        DEBUG_PRINT_REWRITTEN: bool = switch("debug_print_rewritten", false),
            "Logs each query's rewritten parse tree.";
        LOG_AUTOVACUUM_MIN_DURATION: i64 = int("log_autovacuum_min_duration", 600_000, -1, MAX_INT)
            .unit(Unit::Milliseconds).sighup(),
            "Sets the minimum execution time above which autovacuum actions will be logged.",
            "-1 disables logging autovacuum actions. 0 means log all autovacuum actions.";
        LOG_CHECKPOINTS: bool = switch("log_checkpoints", true).sighup(),
            "Logs each checkpoint.";
        LOG_CONNECTIONS: str = text("log_connections", "").superuser_backend().list()
            .check(lists::log_connections),
            "Logs specified aspects of connection establishment and setup.";
        LOG_DISCONNECTIONS: bool = switch("log_disconnections", false).superuser_backend(),
            "Logs end of a session, including duration.";
        LOG_DURATION: bool = switch("log_duration", false).superuser(),
            "Logs the duration of each completed SQL statement.";
        LOG_ERROR_VERBOSITY: Choice = choice("log_error_verbosity", "default", &["terse", "default", "verbose"])
            .superuser(),
            "Sets the verbosity of logged messages.";
        LOG_HOSTNAME: bool = switch("log_hostname", false).sighup(),
            "Logs the host name in the connection logs.",
            "By default, connection logs only show the IP address of the connecting host. If you want them to \
             show the host name you can turn this on, but depending on your host name resolution setup it might \
             impose a non-negligible performance penalty.";
        LOG_LINE_PREFIX: str = text("log_line_prefix", "%m [%p] ").sighup(),
            "Controls information prefixed to each log line.",
            "An empty string means no prefix.";
        LOG_LOCK_FAILURES: bool = switch("log_lock_failures", false).superuser(),
            "Logs lock failures.";
        LOG_LOCK_WAITS: bool = switch("log_lock_waits", false).superuser(),
            "Logs long lock waits.";
        LOG_PARAMETER_MAX_LENGTH: i64 = int("log_parameter_max_length", -1, -1, 1_073_741_823)
            .unit(Unit::Bytes).superuser(),
            "Sets the maximum length in bytes of data logged for bind parameter values when logging statements.",
            "-1 means log values in full.";
        LOG_PARAMETER_MAX_LENGTH_ON_ERROR: i64 = int("log_parameter_max_length_on_error", 0, -1, 1_073_741_823)
            .unit(Unit::Bytes),
            "Sets the maximum length in bytes of data logged for bind parameter values when logging \
             statements, on error.",
            "-1 means log values in full.";
        LOG_RECOVERY_CONFLICT_WAITS: bool = switch("log_recovery_conflict_waits", false).sighup(),
            "Logs standby recovery conflict waits.";
        LOG_REPLICATION_COMMANDS: bool = switch("log_replication_commands", false).superuser(),
            "Logs each replication command.";
        LOG_STATEMENT: Choice = choice("log_statement", "none", &["none", "ddl", "mod", "all"]).superuser(),
            "Sets the type of statements logged.";
        LOG_TEMP_FILES: i64 = int("log_temp_files", -1, -1, MAX_INT).unit(Unit::Kilobytes).superuser(),
            "Log the use of temporary files larger than this number of kilobytes.",
            "-1 disables logging temporary files. 0 means log all temporary files.";
        LOG_TIMEZONE: str = text("log_timezone", "GMT").sighup().check(time_zone::check),
            "Sets the time zone to use in log messages.";
    }
    section "Reporting and Logging / When to Log" {
        LOG_MIN_DURATION_SAMPLE: i64 = int("log_min_duration_sample", -1, -1, MAX_INT)
            .unit(Unit::Milliseconds).superuser(),
            "Sets the minimum execution time above which a sample of statements will be logged. Sampling is \
             determined by \"log_statement_sample_rate\".",
            "-1 disables sampling. 0 means sample all statements.";
        LOG_MIN_DURATION_STATEMENT: i64 = int("log_min_duration_statement", -1, -1, MAX_INT)
            .unit(Unit::Milliseconds).superuser(),
            "Sets the minimum execution time above which all statements will be logged.",
            "-1 disables logging statement durations. 0 means log all statement durations.";
        LOG_MIN_ERROR_STATEMENT: Choice = choice("log_min_error_statement", "error", &["debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"])
            .aliases(DEBUG_IS_DEBUG2).superuser(),
            "Causes all statements generating error at or above this level to be logged.",
            "Each level includes all the levels that follow it. The later the level, the fewer messages are \
             sent.";
        LOG_MIN_MESSAGES: Choice = choice("log_min_messages", "warning", &["debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"])
            .aliases(DEBUG_IS_DEBUG2).superuser(),
            "Sets the message levels that are logged.",
            "Each level includes all the levels that follow it. The later the level, the fewer messages are \
             sent.";
        LOG_STARTUP_PROGRESS_INTERVAL: i64 = int("log_startup_progress_interval", 10_000, 0, MAX_INT)
            .unit(Unit::Milliseconds).sighup(),
            "Time between progress updates for long-running startup operations.",
            "0 disables progress updates.";
        LOG_STATEMENT_SAMPLE_RATE: f64 = real("log_statement_sample_rate", 1.0, 0.0, 1.0).superuser(),
            "Fraction of statements exceeding \"log_min_duration_sample\" to be logged.",
            "Use a value between 0.0 (never log) and 1.0 (always log).";
        LOG_TRANSACTION_SAMPLE_RATE: f64 = real("log_transaction_sample_rate", 0.0, 0.0, 1.0).superuser(),
            "Sets the fraction of transactions from which to log all statements.",
            "Use a value between 0.0 (never log) and 1.0 (log all statements for all transactions).";
    }
    section "Reporting and Logging / Where to Log" {
        EVENT_SOURCE: str = text("event_source", "PostgreSQL").postmaster(),
            "Sets the application name used to identify PostgreSQL messages in the event log.";
        LOG_DESTINATION: str = text("log_destination", "stderr").sighup().list().check(lists::log_destination),
            "Sets the destination for server log output.",
            "Valid values are combinations of \"stderr\", \"syslog\", \"csvlog\", \"jsonlog\", and \
             \"eventlog\", depending on the platform.";
        LOG_DIRECTORY: str = text("log_directory", "log").sighup().superuser_only(),
            "Sets the destination directory for log files.",
            "Can be specified as relative to the data directory or as absolute path.";
        LOG_FILE_MODE: i64 = int("log_file_mode", 0o600, 0, 0o777).sighup().show(show::octal),
            "Sets the file permissions for log files.",
            "The parameter value is expected to be a numeric mode specification in the form accepted by the \
             chmod and umask system calls. (To use the customary octal format the number must start with a 0 \
             (zero).)";
        LOG_FILENAME: str = text("log_filename", "postgresql-%Y-%m-%d_%H%M%S.log").sighup().superuser_only(),
            "Sets the file name pattern for log files.";
        LOG_ROTATION_AGE: i64 = int("log_rotation_age", 1440, 0, 35_791_394).unit(Unit::Minutes).sighup(),
            "Sets the amount of time to wait before forcing log file rotation.",
            "0 disables time-based creation of new log files.";
        LOG_ROTATION_SIZE: i64 = int("log_rotation_size", 10_240, 0, MAX_INT).unit(Unit::Kilobytes).sighup(),
            "Sets the maximum size a log file can reach before being rotated.",
            "0 disables size-based creation of new log files.";
        LOG_TRUNCATE_ON_ROTATION: bool = switch("log_truncate_on_rotation", false).sighup(),
            "Truncate existing log files of same name during log rotation.";
        LOGGING_COLLECTOR: bool = switch("logging_collector", false).postmaster(),
            "Start a subprocess to capture stderr, csvlog and/or jsonlog into log files.";
        SYSLOG_FACILITY: Choice = choice("syslog_facility", "local0", &["local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"])
            .sighup(),
            "Sets the syslog \"facility\" to be used when syslog enabled.";
        SYSLOG_IDENT: str = text("syslog_ident", "postgres").sighup(),
            "Sets the program name used to identify PostgreSQL messages in syslog.";
        SYSLOG_SEQUENCE_NUMBERS: bool = switch("syslog_sequence_numbers", true).sighup(),
            "Add sequence number to syslog messages to avoid duplicate suppression.";
        SYSLOG_SPLIT_MESSAGES: bool = switch("syslog_split_messages", true).sighup(),
            "Split messages sent to syslog by lines and to fit into 1024 bytes.";
    }
    section "Statistics / Cumulative Query and Index Statistics" {
        STATS_FETCH_CONSISTENCY: Choice = choice("stats_fetch_consistency", "cache", &["none", "cache", "snapshot"]),
            "Sets the consistency of accesses to statistics data.";
        TRACK_ACTIVITIES: bool = switch("track_activities", true).superuser(),
            "Collects information about executing commands.",
            "Enables the collection of information on the currently executing command of each session, along \
             with the time at which that command began execution.";
        TRACK_ACTIVITY_QUERY_SIZE: i64 = int("track_activity_query_size", 1024, 100, 1_048_576)
            .unit(Unit::Bytes).postmaster(),
            "Sets the size reserved for pg_stat_activity.query, in bytes.";
        TRACK_COST_DELAY_TIMING: bool = switch("track_cost_delay_timing", false).superuser(),
            "Collects timing statistics for cost-based vacuum delay.";
        TRACK_COUNTS: bool = switch("track_counts", true).superuser(),
            "Collects statistics on database activity.";
        TRACK_FUNCTIONS: Choice = choice("track_functions", "none", &["none", "pl", "all"]).superuser(),
            "Collects function-level statistics on database activity.";
        TRACK_IO_TIMING: bool = switch("track_io_timing", false).superuser(),
            "Collects timing statistics for database I/O activity.";
        TRACK_WAL_IO_TIMING: bool = switch("track_wal_io_timing", false).superuser(),
            "Collects timing statistics for WAL I/O activity.";
    }
    section "Statistics / Monitoring" {
        COMPUTE_QUERY_ID: Choice = choice("compute_query_id", "auto", &["auto", "regress", "on", "off"])
            .aliases(ON_OFF).superuser(),
            "Enables in-core computation of query identifiers.";
        LOG_EXECUTOR_STATS: bool = switch("log_executor_stats", false).superuser(),
            "Writes executor performance statistics to the server log.";
        LOG_PARSER_STATS: bool = switch("log_parser_stats", false).superuser(),
            "Writes parser performance statistics to the server log.";
        LOG_PLANNER_STATS: bool = switch("log_planner_stats", false).superuser(),
            "Writes planner performance statistics to the server log.";
        LOG_STATEMENT_STATS: bool = switch("log_statement_stats", false).superuser(),
            "Writes cumulative performance statistics to the server log.";
    }
}
