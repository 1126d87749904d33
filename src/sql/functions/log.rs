//! Functions about the write-ahead log and the control file.

use crate::report::{Report, Result, SqlState};
use crate::sql::store::{ControlPart, LogFolder, LogMessage};
use crate::sql::types::{Datum, Numeric, Row, Type};

use super::strings::text;
use super::{Call, Function, SetRows, function, set};

const LSN: Type = Type::PG_LSN;

fn place(datum: &Datum) -> u64 {
    if let Datum::U64(place) = datum { *place } else { 0 }
}

/// Functions that only superusers may call until rights can be given.
pub(super) fn superusers_only(call: &Call<'_, '_>, name: &str) -> Result<()> {
    if call.ctx.host.facts().superuser {
        return Ok(());
    }
    let message = format!("permission denied for function {name}");
    Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message))
}

fn current_insert(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::U64(call.ctx.host.log_positions()?.inserted))
}

fn current_written(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::U64(call.ctx.host.log_positions()?.written))
}

fn current_flushed(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::U64(call.ctx.host.log_positions()?.flushed))
}

/// Nothing is received or replayed on a primary.
fn none(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Null)
}

fn switch(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    superusers_only(call, "pg_switch_wal")?;
    call.ctx.host.switch_log().map(Datum::U64)
}

fn file_name(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (name, _) = call.ctx.host.segment_of(place(&args[0]))?;
    Ok(Datum::text(name))
}

fn file_name_offset(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (name, offset) = call.ctx.host.segment_of(place(&args[0]))?;
    Ok(Datum::Record([(Type::TEXT, Datum::text(name)), (Type::INT4, Datum::Int4(offset as i32))].into()))
}

/// Segment number and timeline of a file's name: 8 hexadecimal digits of timeline, 8 of the higher half, 8 of the segment
/// in that.
fn split_file_name(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    const SEGMENTS: u64 = (1 << 32) / (16 << 20);
    let name = text(&args[0]);
    let upper = name.to_ascii_uppercase();
    let is_name = upper.len() == 24 && upper.bytes().all(|byte| byte.is_ascii_hexdigit());
    let part = |from: usize| u64::from_str_radix(upper.get(from..from + 8)?, 16).ok();
    let (true, Some(timeline), Some(high), Some(low)) = (is_name, part(0), part(8), part(16)) else {
        let message = format!("invalid WAL file name \"{name}\"");
        return Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, message));
    };
    let number = Numeric::from_int(i128::from(high * SEGMENTS + low));
    let timeline = Datum::Int8(timeline as i64);
    Ok(Datum::Record([(Type::NUMERIC, Datum::numeric(number)), (Type::INT8, timeline)].into()))
}

fn emit_message(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let content: &[u8] = match &args[2] {
        Datum::Bytea(bytes) => bytes,
        other => text(other).as_bytes(),
    };
    let message = LogMessage {
        is_transactional: args[0] == Datum::Bool(true),
        prefix: text(&args[1]),
        content,
        flush: args[3] == Datum::Bool(true),
    };
    call.ctx.host.emit_message(message).map(Datum::U64)
}

fn record(row: Row, columns: &[(&str, Type)]) -> Datum {
    Datum::Record(columns.iter().map(|(_, ty)| *ty).zip(row).collect())
}

fn control_system(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(record(call.ctx.host.control(ControlPart::System)?, SYSTEM))
}

fn control_checkpoint(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(record(call.ctx.host.control(ControlPart::Checkpoint)?, CHECKPOINT))
}

fn control_recovery(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(record(call.ctx.host.control(ControlPart::Recovery)?, RECOVERY))
}

fn control_init(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(record(call.ctx.host.control(ControlPart::Init)?, INIT))
}

fn folder(call: &mut Call<'_, '_>, folder: LogFolder, name: &str) -> Result<SetRows> {
    superusers_only(call, name)?;
    let rows = call.ctx.host.log_folder(folder)?;
    Ok(Box::new(rows.into_iter().map(|row| Ok(record(row, FILES)))))
}

fn segments(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<SetRows> {
    folder(call, LogFolder::Segments, "pg_ls_waldir")
}

fn archive_status(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<SetRows> {
    folder(call, LogFolder::ArchiveStatus, "pg_ls_archive_statusdir")
}

const FILES: &[(&str, Type)] =
    &[("name", Type::TEXT), ("size", Type::INT8), ("modification", Type::TIMESTAMPTZ)];

const SYSTEM: &[(&str, Type)] = &[
    ("pg_control_version", Type::INT4),
    ("catalog_version_no", Type::INT4),
    ("system_identifier", Type::INT8),
    ("pg_control_last_modified", Type::TIMESTAMPTZ),
];

const CHECKPOINT: &[(&str, Type)] = &[
    ("checkpoint_lsn", LSN),
    ("redo_lsn", LSN),
    ("redo_wal_file", Type::TEXT),
    ("timeline_id", Type::INT4),
    ("prev_timeline_id", Type::INT4),
    ("full_page_writes", Type::BOOL),
    ("next_xid", Type::TEXT),
    ("next_oid", Type::OID),
    ("next_multixact_id", Type::XID),
    ("next_multi_offset", Type::XID),
    ("oldest_xid", Type::XID),
    ("oldest_xid_dbid", Type::OID),
    ("oldest_active_xid", Type::XID),
    ("oldest_multi_xid", Type::XID),
    ("oldest_multi_dbid", Type::OID),
    ("oldest_commit_ts_xid", Type::XID),
    ("newest_commit_ts_xid", Type::XID),
    ("checkpoint_time", Type::TIMESTAMPTZ),
];

const RECOVERY: &[(&str, Type)] = &[
    ("min_recovery_end_lsn", LSN),
    ("min_recovery_end_timeline", Type::INT4),
    ("backup_start_lsn", LSN),
    ("backup_end_lsn", LSN),
    ("end_of_backup_record_required", Type::BOOL),
];

const INIT: &[(&str, Type)] = &[
    ("max_data_alignment", Type::INT4),
    ("database_block_size", Type::INT4),
    ("blocks_per_segment", Type::INT4),
    ("wal_block_size", Type::INT4),
    ("bytes_per_wal_segment", Type::INT4),
    ("max_identifier_length", Type::INT4),
    ("max_index_columns", Type::INT4),
    ("max_toast_chunk_size", Type::INT4),
    ("large_object_chunk_size", Type::INT4),
    ("float8_pass_by_value", Type::BOOL),
    ("data_page_checksum_version", Type::INT4),
    ("default_char_signedness", Type::BOOL),
];

const MESSAGE: &[Type] = &[Type::BOOL, Type::TEXT, Type::TEXT, Type::BOOL];
const BINARY_MESSAGE: &[Type] = &[Type::BOOL, Type::TEXT, Type::BYTEA, Type::BOOL];

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("pg_current_wal_lsn", 2849, &[], LSN, current_written).volatile(),
    function("pg_current_wal_insert_lsn", 2852, &[], LSN, current_insert).volatile(),
    function("pg_current_wal_flush_lsn", 3330, &[], LSN, current_flushed).volatile(),
    function("pg_last_wal_receive_lsn", 3820, &[], LSN, none).volatile(),
    function("pg_last_wal_replay_lsn", 3821, &[], LSN, none).volatile(),
    function("pg_wal_lsn_diff", 3165, &[LSN, LSN], Type::NUMERIC, super::arithmetic::lsn_minus),
    function("pg_switch_wal", 2848, &[], LSN, switch).volatile(),
    // Of the timeline at hand, so that planning must not compute it once and for all.
    function("pg_walfile_name", 2851, &[LSN], Type::TEXT, file_name).stable(),
    function("pg_walfile_name_offset", 2850, &[LSN], Type::RECORD, file_name_offset)
        .stable()
        .outs(&[("file_name", Type::TEXT), ("file_offset", Type::INT4)]),
    function("pg_split_walfile_name", 6213, &[Type::TEXT], Type::RECORD, split_file_name)
        .stable()
        .outs(&[("segment_number", Type::NUMERIC), ("timeline_id", Type::INT8)]),
    function("pg_logical_emit_message", 3577, MESSAGE, LSN, emit_message).volatile().defaults(1),
    function("pg_logical_emit_message", 3578, BINARY_MESSAGE, LSN, emit_message).volatile().defaults(1),
    function("pg_control_system", 3441, &[], Type::RECORD, control_system).volatile().outs(SYSTEM),
    function("pg_control_checkpoint", 3442, &[], Type::RECORD, control_checkpoint)
        .volatile()
        .outs(CHECKPOINT),
    function("pg_control_recovery", 3443, &[], Type::RECORD, control_recovery).volatile().outs(RECOVERY),
    function("pg_control_init", 3444, &[], Type::RECORD, control_init).volatile().outs(INIT),
    set("pg_ls_waldir", 3354, &[], Type::RECORD, segments).volatile().outs(FILES),
    set("pg_ls_archive_statusdir", 5031, &[], Type::RECORD, archive_status).volatile().outs(FILES),
];
