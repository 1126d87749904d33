//! What records say, for `tuskd waldump`: names and kinds from the resource managers, and the text of those records that
//! belong to no access method.

use std::fmt::Write as _;

use super::checkpoint_record::{CHECKPOINT_ONLINE, CheckPoint};
use super::managers::managers;
use super::message::{self, Message};
use super::rmgr::TRANSACTION;
use crate::txn::log::RecordKind;
use crate::txn::record::EndRecord;
use crate::wal::dump::Rmgr;
use crate::wal::{Record, RmgrId, own};

/// Microseconds from 1970 to 2000.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// Those that a server has.
pub fn rmgrs() -> Vec<Rmgr> {
    managers().iter().map(|manager| Rmgr { id: manager.id(), name: manager.name(), describe }).collect()
}

/// A record's kind, and what it says.
pub fn describe(record: &Record<'_>) -> (&'static str, String) {
    let manager = managers().of(record).ok();
    let Some(kind) = manager.and_then(|manager| manager.kind(record.info())) else {
        return ("UNKNOWN", format!("info {:02x}", record.info()));
    };
    let text = match record.rmgr() {
        RmgrId::WAL => log_record(record),
        TRANSACTION => transaction(record),
        message::RMGR => message_text(record),
        _ => String::new(),
    };
    (kind, text)
}

fn log_record(record: &Record<'_>) -> String {
    let checkpoint = match CheckPoint::of(record) {
        Ok(Some(checkpoint)) => checkpoint,
        Ok(None) => return own::describe(record).1,
        Err(_) => return "malformed".to_owned(),
    };
    let CheckPoint { redo, timeline, prev_timeline, full_page_writes, next_xid, .. } = checkpoint;
    let CheckPoint { next_oid, next_lockers, cut_below, oldest_lockers, oldest_active_xid, .. } = checkpoint;
    let how = if record.info() == CHECKPOINT_ONLINE { "online" } else { "shutdown" };
    format!(
        "redo {redo}; tli {}; prev tli {}; fpw {full_page_writes}; xid {next_xid}; oid {next_oid}; multi {next_lockers}; \
         oldest xid {cut_below}; oldest multi {oldest_lockers}; oldest running xid {oldest_active_xid}; {how}",
        timeline.0, prev_timeline.0
    )
}

fn transaction(record: &Record<'_>) -> String {
    let kind = RecordKind::from_number(record.info());
    if !matches!(kind, Some(RecordKind::Commit | RecordKind::Abort)) {
        return String::new();
    }
    let Ok(end) = EndRecord::decode(record.main()) else { return "malformed".to_owned() };
    let time = jiff::Timestamp::from_microsecond(end.time.saturating_add(EPOCH_2000_US));
    let mut text = time.map_or_else(
        |_| end.time.to_string(),
        |time| format!("{} UTC", time.strftime("%Y-%m-%d %H:%M:%S%.6f")),
    );
    if !end.children.is_empty() {
        text.push_str("; subxacts:");
        for child in &end.children {
            // Writing to a string cannot fail.
            let _ = write!(text, " {}", child.number());
        }
    }
    if !end.actions.is_empty() {
        let _ = write!(text, "; {} bytes of actions", end.actions.len());
    }
    text
}

fn message_text(record: &Record<'_>) -> String {
    let Some(message) = Message::decode(record.main()) else { return "malformed".to_owned() };
    let kind = if message.is_transactional { "transactional" } else { "non-transactional" };
    let mut text = format!(
        "{kind}, prefix \"{}\"; payload ({} bytes):",
        message.prefix.escape_debug(),
        message.content.len()
    );
    for byte in message.content {
        let _ = write!(text, " {byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::Xid;
    use crate::wal::{Incarnation, Lsn, RecordBuilder};

    fn described(rmgr: RmgrId, info: u8, main: &[u8]) -> (&'static str, String) {
        let mut builder = RecordBuilder::new();
        builder.begin(rmgr, info, 7);
        builder.main(main);
        let mut described = None;
        crate::wal::decode::with_decoded(&mut builder, |record| described = Some(describe(record)));
        described.unwrap()
    }

    #[test]
    fn records_say_what_they_are() {
        let mut checkpoint = CheckPoint::first(Lsn::new(0x100_0028), Incarnation(1), 0);
        checkpoint.next_xid = 3;
        let end = EndRecord {
            xid: Xid::new(7).unwrap(),
            time: 0,
            children: vec![Xid::new(8).unwrap(), Xid::new(9).unwrap()],
            actions: vec![1],
        };
        let message = Message { is_transactional: true, prefix: "a\"b", content: b"\x01\xff" };
        for (rmgr, info, main, expected) in [
            (
                RmgrId::WAL,
                CHECKPOINT_ONLINE,
                checkpoint.encode(),
                (
                    "CHECKPOINT_ONLINE",
                    "redo 0/1000028; tli 1; prev tli 1; fpw true; xid 3; oid 16384; multi 1; oldest xid 0; oldest \
                     multi 1; oldest running xid 0; online",
                ),
            ),
            (RmgrId::WAL, CHECKPOINT_ONLINE, vec![1, 2], ("CHECKPOINT_ONLINE", "malformed")),
            (RmgrId::WAL, own::REDO, vec![], ("CHECKPOINT_REDO", "")),
            (
                TRANSACTION,
                RecordKind::Commit as u8,
                end.encode(),
                ("COMMIT", "2000-01-01 00:00:00.000000 UTC; subxacts: 8 9; 1 bytes of actions"),
            ),
            (TRANSACTION, RecordKind::Abort as u8, vec![], ("ABORT", "malformed")),
            (
                message::RMGR,
                message::MESSAGE,
                message.encode(),
                ("MESSAGE", "transactional, prefix \"a\\\"b\"; payload (2 bytes): 01 FF"),
            ),
            (message::RMGR, 0x70, vec![], ("UNKNOWN", "info 70")),
            (RmgrId(250), 3, vec![], ("UNKNOWN", "info 03")),
        ] {
            let (kind, text) = described(rmgr, info, &main);
            assert_eq!((kind, text.as_str()), expected);
        }
    }
}
