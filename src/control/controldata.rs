//! `tuskd controldata`, `pg_controldata`: the control file as text, with PostgreSQL's labels in PostgreSQL's order, since
//! scripts cut values out of its lines. What is tuskd's own stands behind them.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::data_directory;
use super::getopt::{self, Opt, flag, value};
use super::help;
use super::program::{Failure, Outcome, Program, say};
use crate::access::control_file::{CATALOG_VERSION, CHECKSUM_VERSION, CONTROL_VERSION, ControlFile};
use crate::os::file::Files;
use crate::storage::files::SEGMENT_BLOCKS;
use crate::storage::ids::PAGE_SIZE;
use crate::wal::lsn::{BLOCK, SEGMENT};

const OPTIONS: &[Opt] = &[value('D', "pgdata"), flag('V', "version"), flag('?', "help")];

/// Columns of a label and the blanks behind it.
const LABEL: usize = 38;

/// The command; `fallback` is where it looks if nobody says.
pub fn main(program: &Program, args: &[String], fallback: Option<&str>) -> Outcome {
    let parsed = getopt::parse(OPTIONS, false, args).map_err(Failure::getopt)?;
    if parsed.has("help") {
        say(&help::controldata(program));
        return Ok(0);
    }
    if parsed.has("version") {
        say(&help::version(program.name));
        return Ok(0);
    }
    let mut operands = parsed.operands.iter();
    let option = parsed.last("pgdata").or_else(|| operands.next().map(String::as_str));
    if let Some(operand) = operands.next() {
        return Err(Failure::usage(format!("too many command-line arguments (first is \"{operand}\")")));
    }
    let data_dir = data_directory::named(option, fallback)
        .ok_or_else(|| Failure::usage("no data directory specified"))?;
    say(&text(&read(&data_dir)?));
    Ok(0)
}

/// The control file of a data directory.
pub fn read(data_dir: &Path) -> Result<ControlFile, Failure> {
    ControlFile::read(data_dir, &Files::new()).map_err(|report| {
        let failure = Failure::new(report.message);
        let failure = match report.detail {
            Some(detail) => failure.with_detail(detail),
            None => failure,
        };
        match report.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })
}

/// As C's `%c` has it in the C locale.
fn time(seconds: i64) -> String {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    match Timestamp::from_second(seconds) {
        Ok(time) => time.to_zoned(zone).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => seconds.to_string(),
    }
}

fn on_off(value: bool) -> String {
    if value { "on".to_owned() } else { "off".to_owned() }
}

fn text(control: &ControlFile) -> String {
    let mut text = String::new();
    let rows =
        [cluster(control), checkpoint(control), recovery(control), settings(control), formats(control)];
    for (label, value) in rows.into_iter().flatten() {
        let label = format!("{label}:");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<LABEL$}{value}");
    }
    text
}

type Rows = Vec<(&'static str, String)>;

fn cluster(control: &ControlFile) -> Rows {
    vec![
        ("pg_control version number", CONTROL_VERSION.to_string()),
        ("Catalog version number", CATALOG_VERSION.to_string()),
        ("Database system identifier", control.system_identifier.to_string()),
        ("Database cluster state", control.state.name().to_owned()),
        ("pg_control last modified", time(control.time)),
    ]
}

fn checkpoint(control: &ControlFile) -> Rows {
    let copy = &control.checkpoint_copy;
    let epoch_and_xid = format!("{}:{}", copy.next_xid >> 32, copy.next_xid & 0xFFFF_FFFF);
    let low = |xid: u64| (xid & 0xFFFF_FFFF).to_string();
    vec![
        ("Latest checkpoint location", control.checkpoint.to_string()),
        ("Latest checkpoint's REDO location", copy.redo.to_string()),
        ("Latest checkpoint's REDO WAL file", copy.redo.segment().file_name(copy.timeline)),
        ("Latest checkpoint's TimeLineID", copy.timeline.0.to_string()),
        ("Latest checkpoint's PrevTimeLineID", copy.prev_timeline.0.to_string()),
        ("Latest checkpoint's full_page_writes", on_off(copy.full_page_writes)),
        ("Latest checkpoint's NextXID", epoch_and_xid),
        ("Latest checkpoint's NextOID", copy.next_oid.to_string()),
        ("Latest checkpoint's NextMultiXactId", copy.next_lockers.to_string()),
        ("Latest checkpoint's NextMultiOffset", "0".to_owned()),
        ("Latest checkpoint's oldestXID", low(copy.cut_below)),
        ("Latest checkpoint's oldestXID's DB", "1".to_owned()),
        ("Latest checkpoint's oldestActiveXID", low(copy.oldest_active_xid)),
        ("Latest checkpoint's oldestMultiXid", copy.oldest_lockers.to_string()),
        ("Latest checkpoint's oldestMulti's DB", "1".to_owned()),
        ("Latest checkpoint's oldestCommitTsXid", "0".to_owned()),
        ("Latest checkpoint's newestCommitTsXid", "0".to_owned()),
        ("Time of latest checkpoint", time(copy.time)),
    ]
}

fn recovery(control: &ControlFile) -> Rows {
    let required = if control.backup_end_required { "yes" } else { "no" };
    vec![
        ("Fake LSN counter for unlogged rels", control.unlogged_lsn.to_string()),
        ("Minimum recovery ending location", control.min_recovery_point.to_string()),
        ("Min recovery ending loc's timeline", control.min_recovery_timeline.0.to_string()),
        ("Backup start location", control.backup_start.to_string()),
        ("Backup end location", control.backup_end.to_string()),
        ("End-of-backup record required", required.to_owned()),
    ]
}

fn settings(control: &ControlFile) -> Rows {
    let settings = &control.settings;
    vec![
        ("wal_level setting", settings.wal_level.name().to_owned()),
        ("wal_log_hints setting", on_off(settings.wal_log_hints)),
        ("max_connections setting", settings.max_connections.to_string()),
        ("max_worker_processes setting", settings.max_worker_processes.to_string()),
        ("max_wal_senders setting", settings.max_wal_senders.to_string()),
        ("max_prepared_xacts setting", settings.max_prepared_transactions.to_string()),
        ("max_locks_per_xact setting", settings.max_locks_per_transaction.to_string()),
        ("track_commit_timestamp setting", on_off(settings.track_commit_timestamp)),
    ]
}

fn formats(control: &ControlFile) -> Rows {
    let nonce = control.mock_nonce.iter().fold(String::new(), |nonce, byte| format!("{nonce}{byte:02x}"));
    let copy = &control.checkpoint_copy;
    vec![
        ("Maximum data alignment", "8".to_owned()),
        ("Database block size", PAGE_SIZE.to_string()),
        ("Blocks per segment of large relation", SEGMENT_BLOCKS.to_string()),
        ("WAL block size", BLOCK.to_string()),
        ("Bytes per WAL segment", SEGMENT.to_string()),
        ("Maximum length of identifiers", "64".to_owned()),
        ("Maximum columns in an index", "32".to_owned()),
        ("Maximum size of a TOAST chunk", "1996".to_owned()),
        ("Size of a large-object chunk", "2048".to_owned()),
        ("Date/time type storage", "64-bit integers".to_owned()),
        ("Float8 argument passing", "by value".to_owned()),
        ("Data page checksum version", CHECKSUM_VERSION.to_string()),
        ("Default char data signedness", "signed".to_owned()),
        ("Mock authentication nonce", nonce),
        ("Latest checkpoint's incarnation", format!("{:016x}", copy.incarnation.0)),
        ("Latest checkpoint's NextXID, in full", copy.next_xid.to_string()),
        ("Default wal_sync_method", control.sync_method.name().to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_leave_room_for_values() {
        // One of PostgreSQL's own fills the column to its end, as does one of ours.
        let long = ["Latest checkpoint's oldestCommitTsXid", "Latest checkpoint's newestCommitTsXid"];
        for label in long {
            assert_eq!(label.len() + 1, LABEL);
        }
    }

    #[test]
    fn times_read_as_in_c() {
        // Whatever the zone, at noon of UTC the date is the same nearly everywhere.
        let text = time(1_800_014_400);
        assert!(text.starts_with("Fri Jan 15 ") && text.ends_with(" 2027"), "{text}");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
    }
}
