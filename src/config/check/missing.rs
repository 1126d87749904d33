//! Values that ask for something that tuskd does not have (yet): refused, so that nobody relies on it.

use super::{Refusal, text};
use crate::config::Settings;
use crate::config::value::Value;
use crate::report::SqlState;

type Checked = Result<(), Refusal>;

fn missing(detail: &str) -> Refusal {
    Refusal::detail(detail).of(SqlState::FEATURE_NOT_SUPPORTED)
}

fn only_empty(value: &Value, detail: &str) -> Checked {
    if text(value).trim().is_empty() { Ok(()) } else { Err(missing(detail)) }
}

/// Lists of libraries to load.
pub(in crate::config) fn library(value: &mut Value, _: &Settings) -> Checked {
    only_empty(value, "tuskd does not load libraries.")
}

/// Standbys that commits wait for.
pub(in crate::config) fn synchronous_standby_names(value: &mut Value, _: &Settings) -> Checked {
    only_empty(value, "Synchronous replication is not supported yet; commits would wait forever.")
}

/// Sessions as threads.
pub(in crate::config) fn threaded_execution(value: &mut Value, _: &Settings) -> Checked {
    match value {
        Value::Bool(true) => Err(Refusal::message("\"threaded_execution\" is not supported yet")
            .of(SqlState::FEATURE_NOT_SUPPORTED)
            .with_hint("Sessions are processes; leave it off.")),
        _ => Ok(()),
    }
}

/// Cleaning up after a killed process.
pub(in crate::config) fn crash_containment(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "on" => Err(Refusal::message("\"crash_containment\" is not supported yet")
            .of(SqlState::FEATURE_NOT_SUPPORTED)
            .with_hint("A crash restarts all server processes; leave it off.")),
        _ => Ok(()),
    }
}

/// Compressed page images.
pub(in crate::config) fn wal_compression(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "off" => Ok(()),
        _ => Err(missing("Page images in the write-ahead log are not compressed yet.")),
    }
}

/// Advertising the server.
pub(in crate::config) fn bonjour(value: &mut Value, _: &Settings) -> Checked {
    match value {
        Value::Bool(true) => Err(Refusal::message("Bonjour is not supported by this build")),
        _ => Ok(()),
    }
}

/// Methods to keep passwords.
pub(in crate::config) fn password_encryption(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "md5" => Err(missing("tuskd keeps SCRAM-SHA-256 verifiers only.")),
        _ => Ok(()),
    }
}

/// Where the shared memory comes from.
pub(in crate::config) fn shared_memory_type(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "sysv" => Err(missing("tuskd's shared memory is a memfd, mapped as \"mmap\" says.")),
        _ => Ok(()),
    }
}

/// Protocols before TLS 1.2.
pub(in crate::config) fn ssl_max_protocol_version(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "TLSv1" | "TLSv1.1" => Err(missing("tuskd speaks TLS 1.2 and 1.3 only.")),
        _ => Ok(()),
    }
}

/// Tables with object ids.
pub(in crate::config) fn default_with_oids(value: &mut Value, _: &Settings) -> Checked {
    match value {
        Value::Bool(true) => Err(Refusal::message("tables declared WITH OIDS are not supported")
            .of(SqlState::FEATURE_NOT_SUPPORTED)),
        _ => Ok(()),
    }
}

/// Whose rights a session has is decided by those who know the roles, and set by them.
pub(in crate::config) fn role(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "" | "none" => Ok(()),
        _ => Err(missing("Roles cannot be changed by a setting yet.")),
    }
}
