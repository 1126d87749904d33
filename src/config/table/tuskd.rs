//! Settings that PostgreSQL does not have, and those of its own that it hides.

use super::settings;
use crate::config::check::missing;
use crate::config::definition::{Choice, Definition, Key, choice, int, real, switch, text, text_unset};
use crate::config::show;

settings! {
    file tuskd;
    section "Connections and Authentication / Connection Settings" {
        MAX_SPARE_BACKENDS: i64 = int("max_spare_backends", 16, 0, 4096).sighup(),
            "Sets the most spare backends that a burst of connections may bring.";
        METRICS_LISTEN_ADDRESSES: str = text("metrics_listen_addresses", "127.0.0.1").postmaster().list(),
            "Sets the addresses on which metrics are served.";
        METRICS_PORT: i64 = int("metrics_port", 0, 0, 65_535).postmaster(),
            "Sets the TCP port on which metrics are served in Prometheus's format.",
            "0 serves none.";
        MIN_SPARE_BACKENDS: i64 = int("min_spare_backends", 8, 0, 4096).sighup(),
            "Sets the number of backends that wait for connections.",
            "0 forks a backend for each connection, as PostgreSQL does.";
        SESSION_REUSE: bool = switch("session_reuse", false).sighup(),
            "Lets a backend serve another session when its client has left.";
        THREADED_EXECUTION: bool = switch("threaded_execution", false).postmaster()
            .check(missing::threaded_execution),
            "Runs sessions as threads.";
    }
    section "Reporting and Logging / Process Title" {
        PROCESS_TITLE_STYLE: Choice = choice("process_title_style", "documents", &["documents", "postgres18"])
            .postmaster(),
            "Sets whose words name a process in ps.";
    }
    section "Write-Ahead Log / Settings" {
        WAL_FLUSH_DEPTH: i64 = int("wal_flush_depth", 0, 0, 64).sighup(),
            "Sets how many flushes of the write-ahead log may overlap.",
            "0 adapts to how many wait.";
    }
    section "Error Handling" {
        CONTAINMENT_LIMIT: i64 = int("containment_limit", 10, 0, 10_000).sighup(),
            "Sets how many contained deaths in a minute are too many.",
            "One more is answered by a crash restart.";
        CRASH_CONTAINMENT: Choice = choice("crash_containment", "off", &["on", "off"])
            .aliases(super::aliases::ON_OFF).postmaster().check(missing::crash_containment),
            "Cleans up after a killed process instead of restarting all others.";
        POSTMASTER_DEATH_SESSIONS: Choice =
            choice("postmaster_death_sessions", "continue", &["continue", "exit"]).sighup(),
            "Sets what sessions do when the postmaster has died.";
    }
    section "Version and Platform Compatibility / Previous PostgreSQL Versions" {
        DEFAULT_WITH_OIDS: bool = switch("default_with_oids", false).hidden().not_in_sample()
            .check(missing::default_with_oids),
            "WITH OIDS is no longer supported; this can only be false.";
        SSL_RENEGOTIATION_LIMIT: i64 = int("ssl_renegotiation_limit", 0, 0, 0).hidden().not_in_sample()
            .not_in_auto_file(),
            "SSL renegotiation is no longer supported; this can only be 0.";
    }
    section "Client Connection Defaults / Statement Behavior" {
        IS_SUPERUSER: bool = switch("is_superuser", false).internal().report().hidden().no_reset_all()
            .not_in_sample(),
            "Shows whether the current user is a superuser.";
        ROLE: str = text("role", "none").hidden().no_reset_all().not_in_sample().not_in_auto_file()
            .name_length().check(missing::role),
            "Sets the current role.";
        SEED: f64 = real("seed", 0.0, -1.0, 1.0).hidden().no_reset().not_in_sample()
            .not_in_auto_file().show(show::unavailable),
            "Sets the seed for random-number generation.";
        SESSION_AUTHORIZATION: str = text_unset("session_authorization").report().hidden().no_reset_all()
            .not_in_sample().not_in_auto_file().name_length().check(missing::role),
            "Sets the session user name.";
    }
}
