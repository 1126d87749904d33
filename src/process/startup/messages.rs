//! What the log is told of a recovery, in PostgreSQL's words.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::access::control_file::{ControlFile, DbState};
use crate::config::{self, Settings};
use crate::log::stamp::{with_offset, with_seconds};
use crate::report::{Report, Result, SqlState};
use crate::wal::lsn::{BLOCK, Timeline};
use crate::wal::{BadBlock, Lsn, Stop, StopReason};

/// The server did not end in order.
pub const NOT_PROPERLY_SHUT_DOWN: &str =
    "database system was not properly shut down; automatic recovery in progress";

/// Seconds from 1970 to 2000.
const EPOCH_2000: i64 = 946_684_800;

/// The fewest bytes of a record, as PostgreSQL counts them.
const SHORTEST: u64 = 24;

/// How the server ended, by the control file.
///
/// # Errors
/// FATAL if that says nothing that could be.
pub fn found(settings: &Settings, control: &ControlFile) -> Result<Report> {
    let zone = TimeZone::get(settings.get(config::LOG_TIMEZONE)).unwrap_or(TimeZone::UTC);
    let time = with_seconds(Timestamp::from_second(control.time).unwrap_or_default(), &zone);
    let text = match control.state {
        DbState::ShutDown => format!("database system was shut down at {time}"),
        DbState::ShutDownInRecovery => format!("database system was shut down in recovery at {time}"),
        DbState::ShuttingDown => {
            format!("database system shutdown was interrupted; last known up at {time}")
        }
        DbState::InCrashRecovery | DbState::InArchiveRecovery => {
            let text = format!("database system was interrupted while in recovery at {time}");
            return Ok(Report::log(text).with_hint(
                "This probably means that some data is corrupted and you will have to use the last backup for recovery.",
            ));
        }
        DbState::InProduction => format!("database system was interrupted; last known up at {time}"),
        DbState::StartingUp => {
            let text = "control file contains invalid database cluster state";
            return Err(Report::fatal(SqlState::INTERNAL_ERROR, text));
        }
    };
    Ok(Report::log(text))
}

/// It takes long.
pub fn progress(elapsed: Duration, at: Lsn) -> Report {
    let (seconds, hundredths) = (elapsed.as_secs(), elapsed.subsec_millis() / 10);
    Report::log(format!("redo in progress, elapsed time: {seconds}.{hundredths:02} s, current LSN: {at}"))
}

/// Why there are no more records.
pub fn stop(stop: Stop, timeline: Timeline) -> Report {
    let at = stop.at;
    let place = |block: Lsn| {
        let segment = block.segment().file_name(timeline);
        format!("in WAL segment {segment}, LSN {block}, offset {}", block.offset_in_segment() / BLOCK * BLOCK)
    };
    Report::log(match stop.reason {
        StopReason::EndOfLog => {
            format!("invalid record length at {at}: expected at least {SHORTEST}, got 0")
        }
        StopReason::BadLength(length) => {
            format!("invalid record length at {at}: expected at least {SHORTEST}, got {length}")
        }
        StopReason::BadCrc => format!("incorrect resource manager data checksum in record at {at}"),
        StopReason::Block { block, why: BadBlock::Elsewhere(lsn) } => {
            format!("unexpected pageaddr {lsn} {}", place(block))
        }
        StopReason::Block { block, why: BadBlock::Empty } => {
            format!("invalid magic number 0000 {}", place(block))
        }
        StopReason::Block { .. } | StopReason::Torn { .. } | StopReason::BadFiller => stop.to_string(),
    })
}

/// All is made again.
pub fn redo_done(at: Lsn, (user, system): (Duration, Duration), elapsed: Duration) -> Report {
    let time = |time: Duration| format!("{}.{:02} s", time.as_secs(), time.subsec_millis() / 10);
    let (user, system, elapsed) = (time(user), time(system), time(elapsed));
    Report::log(format!(
        "redo done at {at} system usage: CPU: user: {user}, system: {system}, elapsed: {elapsed}"
    ))
}

/// What the last transaction was, by its time in microseconds since 2000.
pub fn last_completed(settings: &Settings, micros: i64) -> Report {
    let zone = TimeZone::get(settings.get(config::TIMEZONE)).unwrap_or(TimeZone::UTC);
    let time = micros.saturating_add(EPOCH_2000 * 1_000_000);
    let time = with_offset(Timestamp::from_microsecond(time).unwrap_or_default(), &zone);
    Report::log(format!("last completed transaction was at log time {time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_as_postgresql_does() {
        let at = Lsn::new(0x5A5_C050);
        let block = Lsn::new(0x5A5_C000);
        for (reason, expected) in [
            (StopReason::EndOfLog, "invalid record length at 0/5A5C050: expected at least 24, got 0"),
            (StopReason::BadLength(9), "invalid record length at 0/5A5C050: expected at least 24, got 9"),
            (StopReason::BadCrc, "incorrect resource manager data checksum in record at 0/5A5C050"),
            (
                StopReason::Block { block, why: BadBlock::Elsewhere(Lsn::new(0x1A5_C000)) },
                "unexpected pageaddr 0/1A5C000 in WAL segment 000000010000000000000005, LSN 0/5A5C000, offset 10862592",
            ),
            (
                StopReason::Block { block, why: BadBlock::Empty },
                "invalid magic number 0000 in WAL segment 000000010000000000000005, LSN 0/5A5C000, offset 10862592",
            ),
        ] {
            assert_eq!(stop(Stop { at, reason }, Timeline(1)).message, expected);
        }
    }

    #[test]
    fn usage_is_told_in_hundredths() {
        let report =
            redo_done(Lsn::new(16), (Duration::from_millis(1239), Duration::ZERO), Duration::from_secs(2));
        let expected = "redo done at 0/10 system usage: CPU: user: 1.23 s, system: 0.00 s, elapsed: 2.00 s";
        assert_eq!(report.message, expected);
    }
}
