//! The `postgresql.conf` that a new data directory gets.

use super::alter_system::quoted;
use super::state::Settings;
use super::table::{self, DEFINITIONS};
use super::value::parse_bool;

const OPENING: &str = "\
# -----------------------------
# PostgreSQL configuration file
# -----------------------------
#
# This file consists of lines of the form:
#
#   name = value
#
# (The \"=\" is optional.)  Whitespace may be used.  Comments are introduced with
# \"#\" anywhere on a line.
#
# The commented-out settings shown in this file represent the default values.
# Re-commenting a setting is NOT sufficient to revert it to the default value;
# you need to reload the server: \"tuskd reload\", or \"SELECT pg_reload_conf()\".
# Settings marked (restart) take effect at the next start.  \"SHOW ALL\" and the
# view pg_settings list all settings.
#
# Memory units:  B  = bytes            Time units:  us  = microseconds
#                kB = kilobytes                     ms  = milliseconds
#                MB = megabytes                     s   = seconds
#                GB = gigabytes                     min = minutes
#                TB = terabytes                     h   = hours
#                                                   d   = days
";

const CLOSING: &str = "

#------------------------------------------------------------------------------
# CONFIG FILE INCLUDES
#------------------------------------------------------------------------------

#include_dir = '...'            # include files ending in '.conf' from a directory
#include_if_exists = '...'      # include file only if it exists
#include = '...'                # include file


#------------------------------------------------------------------------------
# CUSTOMIZED OPTIONS
#------------------------------------------------------------------------------

# Add settings for extensions here
";

/// Sections, each with the settings that it mentions.
const SECTIONS: [(&str, &[&str]); 10] = [
    ("FILE LOCATIONS", &["data_directory", "hba_file", "ident_file", "external_pid_file"]),
    (
        "CONNECTIONS AND AUTHENTICATION",
        &[
            "listen_addresses",
            "port",
            "max_connections",
            "reserved_connections",
            "superuser_reserved_connections",
            "unix_socket_directories",
            "unix_socket_group",
            "unix_socket_permissions",
            "min_spare_backends",
            "max_spare_backends",
            "session_reuse",
            "tcp_keepalives_idle",
            "client_connection_check_interval",
            "authentication_timeout",
            "scram_iterations",
            "ssl",
            "ssl_ca_file",
            "ssl_cert_file",
            "ssl_key_file",
            "ssl_min_protocol_version",
            "metrics_port",
            "metrics_listen_addresses",
        ],
    ),
    (
        "RESOURCE USAGE (except WAL)",
        &[
            "shared_buffers",
            "huge_pages",
            "huge_page_size",
            "temp_buffers",
            "work_mem",
            "maintenance_work_mem",
            "dynamic_shared_memory_type",
            "temp_file_limit",
            "bgwriter_delay",
            "bgwriter_lru_maxpages",
            "io_method",
            "max_worker_processes",
        ],
    ),
    (
        "WRITE-AHEAD LOG",
        &[
            "wal_level",
            "fsync",
            "synchronous_commit",
            "wal_sync_method",
            "full_page_writes",
            "wal_buffers",
            "wal_writer_delay",
            "wal_writer_flush_after",
            "wal_flush_depth",
            "checkpoint_timeout",
            "checkpoint_completion_target",
            "checkpoint_warning",
            "max_wal_size",
            "min_wal_size",
            "archive_mode",
            "archive_command",
            "archive_timeout",
        ],
    ),
    ("REPLICATION", &["max_wal_senders", "max_replication_slots", "wal_keep_size", "wal_sender_timeout"]),
    (
        "QUERY TUNING",
        &["seq_page_cost", "random_page_cost", "effective_cache_size", "default_statistics_target"],
    ),
    (
        "REPORTING AND LOGGING",
        &[
            "log_destination",
            "logging_collector",
            "log_directory",
            "log_filename",
            "log_file_mode",
            "log_rotation_age",
            "log_rotation_size",
            "log_truncate_on_rotation",
            "log_min_messages",
            "log_min_error_statement",
            "log_min_duration_statement",
            "log_autovacuum_min_duration",
            "log_checkpoints",
            "log_connections",
            "log_disconnections",
            "log_duration",
            "log_error_verbosity",
            "log_line_prefix",
            "log_lock_waits",
            "log_statement",
            "log_timezone",
            "cluster_name",
            "update_process_title",
            "process_title_style",
        ],
    ),
    (
        "VACUUMING",
        &[
            "autovacuum",
            "autovacuum_max_workers",
            "autovacuum_naptime",
            "autovacuum_vacuum_threshold",
            "autovacuum_analyze_threshold",
            "autovacuum_vacuum_scale_factor",
            "autovacuum_analyze_scale_factor",
        ],
    ),
    (
        "CLIENT CONNECTION DEFAULTS",
        &[
            "client_min_messages",
            "search_path",
            "default_transaction_isolation",
            "default_transaction_read_only",
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
            "idle_session_timeout",
            "DateStyle",
            "IntervalStyle",
            "TimeZone",
            "lc_messages",
            "lc_monetary",
            "lc_numeric",
            "lc_time",
            "default_text_search_config",
        ],
    ),
    (
        "LOCKS AND ERROR HANDLING",
        &[
            "deadlock_timeout",
            "max_locks_per_transaction",
            "restart_after_crash",
            "crash_containment",
            "postmaster_death_sessions",
        ],
    ),
];

/// A short `postgresql.conf`: the usual settings as comments with their defaults, and those of `chosen` with their
/// values, whether it mentions them otherwise or not.
pub fn sample(chosen: &[(&str, &str)]) -> String {
    let defaults = Settings::default();
    let mut text = OPENING.to_owned();
    let line = "-".repeat(78);
    let value_of = |at: usize| {
        chosen.iter().rev().find(|(name, _)| table::find(name) == Some(at)).map(|(_, value)| *value)
    };
    let mut mentioned = Vec::new();
    for (title, names) in SECTIONS {
        text += &format!("\n\n#{line}\n# {title}\n#{line}\n\n");
        for at in names.iter().filter_map(|name| table::find(name)) {
            mentioned.push(at);
            text += &setting_line(&defaults, at, value_of(at));
        }
    }
    text += CLOSING;
    for (name, value) in chosen {
        if !table::find(name).is_some_and(|at| mentioned.contains(&at)) {
            text += &format!("{name} = {}\n", written(value));
        }
    }
    text
}

fn setting_line(defaults: &Settings, at: usize, chosen: Option<&str>) -> String {
    let definition = &DEFINITIONS[at];
    let (comment, value) = match chosen {
        Some(value) => ("", written(value)),
        None => ("#", written(&defaults.slots[at].now.value.with_unit(definition.unit))),
    };
    let value = match definition.show {
        Some(_) if chosen.is_none() => written(&defaults.in_file(at)),
        _ => value,
    };
    let name = definition.name.to_ascii_lowercase();
    let setting = format!("{comment}{name} = {value}");
    match definition.context {
        super::Context::Postmaster => format!("{setting:<39} # (restart)\n"),
        _ => setting + "\n",
    }
}

impl Settings {
    /// The value as a file says it, which is not how it is shown where that is special.
    fn in_file(&self, at: usize) -> String {
        match &self.slots[at].now.value {
            super::Value::Int(_) => self.shown(at),
            value => value.plain(),
        }
    }
}

/// Without quotes where the file needs none.
fn written(value: &str) -> String {
    let is_number = value.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && value.chars().skip(1).all(|c| c.is_ascii_alphanumeric());
    let is_fraction = value.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number || is_fraction || value.len() > 1 && parse_bool(value).is_some() {
        return value.to_owned();
    }
    format!("'{}'", quoted(value))
}
