//! Values that are lists: split as PostgreSQL splits them, and their words looked at.

use super::{Refusal, text};
use crate::config::Settings;
use crate::config::list;
use crate::config::value::{Value, parse_bool};

type Checked = Result<(), Refusal>;

const BAD_SYNTAX: &str = "List syntax is invalid.";

fn items(value: &Value) -> Result<Vec<String>, Refusal> {
    list::identifiers(text(value)).ok_or_else(|| Refusal::detail(BAD_SYNTAX))
}

fn only_words(value: &Value, words: &[&str]) -> Checked {
    for item in items(value)? {
        if !words.iter().any(|word| word.eq_ignore_ascii_case(&item)) {
            return Err(Refusal::detail(format!("Unrecognized key word: \"{item}\".")));
        }
    }
    Ok(())
}

/// Where the log goes; nothing here speaks syslog.
pub(in crate::config) fn log_destination(value: &mut Value, _: &Settings) -> Checked {
    if items(value)?.iter().any(|item| item.eq_ignore_ascii_case("syslog")) {
        return Err(Refusal::detail("tuskd does not log to syslog."));
    }
    only_words(value, &["stderr", "csvlog", "jsonlog"])
}

/// What is logged of a connection's start, or a boolean as in earlier versions.
pub(in crate::config) fn log_connections(value: &mut Value, _: &Settings) -> Checked {
    const ASPECTS: [&str; 5] = ["receipt", "authentication", "authorization", "setup_durations", "all"];
    let is_boolean = |item: &str| item.len() > 1 && parse_bool(item).is_some() || item == "0" || item == "1";
    let items = items(value)?;
    for item in &items {
        if is_boolean(item) {
            if items.len() == 1 {
                continue;
            }
            return Err(Refusal::detail(format!(
                "Cannot specify log_connections option \"{item}\" in a list with other options."
            )));
        }
        if !ASPECTS.iter().any(|aspect| aspect.eq_ignore_ascii_case(item)) {
            return Err(Refusal::detail(format!("Invalid option \"{item}\".")));
        }
    }
    Ok(())
}

/// What the creator of a role may do with it.
pub(in crate::config) fn createrole_self_grant(value: &mut Value, _: &Settings) -> Checked {
    only_words(value, &["set", "inherit"])
}

/// Kinds of relations.
pub(in crate::config) fn restrict_nonsystem_relation_kind(value: &mut Value, _: &Settings) -> Checked {
    only_words(value, &["view", "foreign-table"])
}

/// Resource managers, as the WAL names them.
pub(in crate::config) fn wal_consistency_checking(value: &mut Value, _: &Settings) -> Checked {
    only_words(
        value,
        &["all", "heap2", "heap", "btree", "hash", "gin", "gist", "sequence", "spgist", "brin", "generic"],
    )
}

/// Files that are opened with O_DIRECT.
pub(in crate::config) fn debug_io_direct(value: &mut Value, _: &Settings) -> Checked {
    for item in items(value)? {
        if !["data", "wal", "wal_init"].iter().any(|word| word.eq_ignore_ascii_case(&item)) {
            return Err(Refusal::detail(format!("Invalid option \"{item}\".")));
        }
    }
    Ok(())
}

/// Addresses; PostgreSQL finds a bad list only when it starts to listen.
pub(in crate::config) fn listen_addresses(value: &mut Value, _: &Settings) -> Checked {
    match list::words(text(value)) {
        Some(_) => Ok(()),
        None => Err(Refusal::message("invalid list syntax in parameter \"listen_addresses\"")),
    }
}

/// Directories; the same.
pub(in crate::config) fn directories(value: &mut Value, _: &Settings) -> Checked {
    match list::directories(text(value)) {
        Some(_) => Ok(()),
        None => Err(Refusal::message("invalid list syntax in parameter \"unix_socket_directories\"")),
    }
}

/// Names of any kind.
pub(in crate::config) fn names(value: &mut Value, _: &Settings) -> Checked {
    items(value).map(drop)
}
