//! The log as text: a line per record for people, a JSON object per record for programs.
//!
//! What records mean is told by a table of functions that the layers above hand in; the log knows its own only.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::decode::{BlockReference, Record};
use super::lsn::Lsn;
use super::own;
use super::reader::{Stop, WalReader};
use super::record::{BlockFlags, RmgrId};
use crate::report::{Report, Result, SqlState};

/// How a resource manager's records are told.
#[derive(Clone, Copy)]
pub struct Rmgr {
    /// Which.
    pub id: RmgrId,
    /// Its name.
    pub name: &'static str,
    /// A record's kind and what it says.
    pub describe: fn(&Record<'_>) -> (&'static str, String),
}

/// The log's own records.
pub const OWN: Rmgr = Rmgr { id: RmgrId::WAL, name: "XLOG", describe: own::describe };

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A line each, as `pg_waldump` has it.
    Human,
    /// A JSON object each, in a line.
    Json,
}

/// Which records are written, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How.
    pub format: Format,
    /// Those that begin before here; `None`: all.
    pub until: Option<Lsn>,
    /// So many at most.
    pub limit: Option<u64>,
    /// Those of one resource manager.
    pub rmgr: Option<RmgrId>,
    /// Those of one transaction.
    pub xid: Option<u64>,
}

impl Options {
    /// All records.
    pub fn new(format: Format) -> Self {
        Self { format, until: None, limit: None, rmgr: None, xid: None }
    }

    fn selects(&self, record: &Record<'_>) -> bool {
        self.rmgr.is_none_or(|rmgr| rmgr == record.rmgr()) && self.xid.is_none_or(|xid| xid == record.xid())
    }
}

/// Writes records from where `reader` stands. Why there were no more, or `None` if the options ended it.
pub fn dump(
    reader: &mut WalReader,
    options: &Options,
    rmgrs: &[Rmgr],
    out: &mut impl Write,
) -> Result<Option<Stop>> {
    let mut left = options.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(record) = reader.next()? else { return Ok(reader.stop()) };
        if options.until.is_some_and(|until| record.start >= until) {
            return Ok(None);
        }
        if options.selects(&record) {
            left -= 1;
            let line = match options.format {
                Format::Human => human(&record, rmgrs),
                Format::Json => json(&record, rmgrs),
            };
            out.write_all(line.as_bytes()).map_err(|e| complaint(&e))?;
        }
    }
    Ok(None)
}

fn complaint(error: &io::Error) -> Box<Report> {
    Report::error(SqlState::IO_ERROR, format!("could not write output: {error}"))
}

/// Name of the resource manager, kind of the record, and what it says.
fn describe(record: &Record<'_>, rmgrs: &[Rmgr]) -> (String, &'static str, String) {
    match rmgrs.iter().find(|rmgr| rmgr.id == record.rmgr()) {
        Some(rmgr) => {
            let (kind, text) = (rmgr.describe)(record);
            (rmgr.name.to_string(), kind, text)
        }
        None => (format!("custom{:03}", record.rmgr().0), "UNKNOWN", format!("info {:02x}", record.info())),
    }
}

fn image_bytes(record: &Record<'_>) -> usize {
    record.blocks().filter_map(|block| block.image_len()).sum()
}

fn human(record: &Record<'_>, rmgrs: &[Rmgr]) -> String {
    let (name, kind, text) = describe(record, rmgrs);
    let (total, xid) = (record.len(), record.xid());
    let own = total - image_bytes(record);
    let mut line = format!(
        "rmgr: {name:<11} len (rec/tot): {own:>6}/{total:>6}, tx: {xid:>10}, lsn: {}, desc: {kind}",
        record.start
    );
    if !text.is_empty() {
        let _ = write!(line, " {text}");
    }
    for block in record.blocks() {
        let tag = block.tag;
        let _ =
            write!(line, ", blkref #{}: rel {}/{}/{}", block.id, tag.tablespace, tag.database, tag.relation);
        if tag.fork != 0 {
            let _ = write!(line, " fork {}", tag.fork);
        }
        let _ = write!(line, " blk {}{}", tag.block, image_note(&block));
    }
    line.push('\n');
    line
}

fn image_note(block: &BlockReference<'_>) -> &'static str {
    match block.image_len() {
        None => "",
        Some(_) if block.flags.contains(BlockFlags::APPLY_IMAGE) => " FPW",
        Some(_) => " FPW for WAL verification",
    }
}

fn json(record: &Record<'_>, rmgrs: &[Rmgr]) -> String {
    let (name, kind, text) = describe(record, rmgrs);
    let mut line = format!(
        "{{\"lsn\":\"{}\",\"end\":\"{}\",\"incarnation\":\"{:016x}\",\"rmgr\":{},\"kind\":{},\"info\":{},\"xid\":{},\
         \"length\":{},\"main_length\":{},\"description\":{},\"blocks\":[",
        record.start,
        record.end,
        record.incarnation.0,
        quoted(&name),
        quoted(kind),
        record.info(),
        record.xid(),
        record.len(),
        record.main().len(),
        quoted(&text),
    );
    for (at, block) in record.blocks().enumerate() {
        let tag = block.tag;
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(
            line,
            "{comma}{{\"id\":{},\"tablespace\":{},\"database\":{},\"relation\":{},\"fork\":{},\"block\":{},\
             \"data_length\":{},\"image_length\":{},\"apply_image\":{},\"will_init\":{}}}",
            block.id,
            tag.tablespace,
            tag.database,
            tag.relation,
            tag.fork,
            tag.block,
            block.data.len(),
            block.image_len().map_or("null".to_string(), |len| len.to_string()),
            block.flags.contains(BlockFlags::APPLY_IMAGE),
            block.flags.contains(BlockFlags::WILL_INIT),
        );
    }
    line.push_str("]}\n");
    line
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::block::Incarnation;
    use super::super::record::{BlockTag, Image, PAGE, RecordBuilder};
    use super::*;

    const HEAP: Rmgr =
        Rmgr { id: RmgrId(4), name: "Heap", describe: |_| ("INSERT", "off: 1 \"x\"\n".into()) };

    fn with_record(compose: impl FnOnce(&mut RecordBuilder), check: impl FnOnce(&Record<'_>)) {
        let mut builder = RecordBuilder::new();
        builder.begin(RmgrId(4), 3, 731);
        compose(&mut builder);
        builder.finish();
        let (start, end) = (Lsn::new(0x100_0020), Lsn::new(0x100_0060));
        check(&Record::decode(builder.bytes(), start, end, Incarnation(0xabc)).unwrap());
    }

    fn compose(builder: &mut RecordBuilder) {
        let tag = BlockTag { tablespace: 1663, database: 5, relation: 16_384, fork: 1, block: 9 };
        let page = [0; PAGE];
        let image = Image { page: &page, hole_offset: 24, hole_len: 8000, apply: true };
        builder.block(2, tag, BlockFlags::NONE, Some(image), b"abc");
        builder.main(b"main");
    }

    #[test]
    fn a_line_for_people() {
        with_record(compose, |record| {
            let expected = "rmgr: Heap        len (rec/tot):     59/   251, tx:        731, lsn: 0/1000020, desc: INSERT \
                            off: 1 \"x\"\n, blkref #2: rel 1663/5/16384 fork 1 blk 9 FPW\n";
            assert_eq!(human(record, &[OWN, HEAP]), expected);
            assert!(human(record, &[OWN]).contains("rmgr: custom004   "));
        });
    }

    #[test]
    fn a_line_for_programs() {
        with_record(compose, |record| {
            let line = json(record, &[HEAP]);
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(parsed["lsn"], "0/1000020");
            assert_eq!(parsed["description"], "off: 1 \"x\"\n");
            assert_eq!(parsed["blocks"][0]["image_length"], 192);
            assert_eq!((line.matches('\n').count(), parsed["xid"].as_u64()), (1, Some(731)));
        });
    }
}
