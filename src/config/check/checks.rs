//! Checks of single values: bounds that have exceptions, alphabets, words.

use super::{Refusal, text};
use crate::config::Settings;
use crate::config::value::Value;
use crate::report::SqlState;

type Checked = Result<(), Refusal>;

/// A cluster's name stands in process titles: what is not printable ASCII becomes question marks.
pub(in crate::config) fn title_ascii(value: &mut Value, _: &Settings) -> Checked {
    let clean: String =
        text(value).bytes().map(|b| if matches!(b, 0x20..=0x7e) { char::from(b) } else { '?' }).collect();
    *value = Value::Text(clean.into());
    Ok(())
}

/// Names that reach logs and process titles: other bytes than printable ASCII become `\x…`.
pub(in crate::config) fn printable_ascii(value: &mut Value, _: &Settings) -> Checked {
    let old = text(value);
    if old.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Ok(());
    }
    let clean: String = old
        .bytes()
        .map(|byte| match byte {
            0x20..=0x7e => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect();
    *value = Value::Text(clean.into());
    Ok(())
}

/// Names of something that must be there.
pub(in crate::config) fn not_empty(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "" => Err(Refusal::detail("\"default_table_access_method\" cannot be empty.")),
        _ => Ok(()),
    }
}

/// 0, or within 128 kB and 16 GB.
pub(in crate::config) fn vacuum_buffer_usage_limit(value: &mut Value, _: &Settings) -> Checked {
    match value {
        Value::Int(0 | 128..=16_777_216) => Ok(()),
        _ => {
            Err(Refusal::detail("\"vacuum_buffer_usage_limit\" must be 0 or between 128 kB and 16777216 kB."))
        }
    }
}

/// Less than 64 kB is raised to that; -1 takes another setting's value.
pub(in crate::config) fn autovacuum_work_mem(value: &mut Value, _: &Settings) -> Checked {
    if let Value::Int(kilobytes @ 0..64) = value {
        *kilobytes = 64;
    }
    Ok(())
}

/// Less than four pages are raised to that; -1 lets the server choose.
pub(in crate::config) fn wal_buffers(value: &mut Value, _: &Settings) -> Checked {
    if let Value::Int(pages @ 0..4) = value {
        *pages = 4;
    }
    Ok(())
}

/// The one target that has no setting of its own.
pub(in crate::config) fn recovery_target(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "" | "immediate" => Ok(()),
        _ => Err(Refusal::detail("The only allowed value is \"immediate\".")),
    }
}

/// A place in the WAL: two hexadecimal numbers with a slash between.
pub(in crate::config) fn lsn(value: &mut Value, _: &Settings) -> Checked {
    let is_half =
        |half: &str| (1..=8).contains(&half.len()) && half.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text(value).split_once('/') {
        Some((high, low)) if is_half(high) && is_half(low) => Ok(()),
        None if text(value).is_empty() => Ok(()),
        _ => Err(Refusal::plain()),
    }
}

/// The alphabet of replication slots.
pub(in crate::config) fn primary_slot_name(value: &mut Value, _: &Settings) -> Checked {
    let name = text(value);
    if name.len() > 63 {
        return Err(Refusal::detail(format!("replication slot name \"{name}\" is too long"))
            .of(SqlState::NAME_TOO_LONG));
    }
    if name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
        return Ok(());
    }
    Err(Refusal::detail(format!("replication slot name \"{name}\" contains invalid character"))
        .of(SqlState::INVALID_NAME)
        .with_hint(
            "Replication slot names may only contain lower case letters, numbers, and the underscore \
             character.",
        ))
}

/// The sets of abbreviations that PostgreSQL brings.
pub(in crate::config) fn timezone_abbreviations(value: &mut Value, _: &Settings) -> Checked {
    match text(value) {
        "" | "Default" | "Australia" | "India" => Ok(()),
        _ => Err(Refusal::plain()),
    }
}
