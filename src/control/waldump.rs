//! `tuskd waldump`: the write-ahead log as text, from its files alone.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::data_directory;
use super::getopt::{self, Opt, flag, long_flag, short_value, value};
use super::help;
use super::program::{Failure, Outcome, complain, say};
use crate::wal::dump::{self, Format, Options, Rmgr};
use crate::wal::segments::segments_of;
use crate::wal::{Lsn, RmgrId, SegmentNumber, StopReason, Timeline, WalReader};

const OPTIONS: &[Opt] = &[
    value('D', "pgdata"),
    value('s', "start"),
    value('e', "end"),
    value('n', "limit"),
    value('r', "rmgr"),
    value('x', "xid"),
    short_value('t', "timeline"),
    long_flag("json"),
    flag('?', "help"),
];

/// The command. `rmgrs` tells what records mean.
pub fn main(args: &[String], rmgrs: &[Rmgr]) -> Outcome {
    let parsed = getopt::parse(OPTIONS, false, args).map_err(Failure::getopt)?;
    if parsed.has("help") {
        say(&help::tuskd());
        return Ok(0);
    }
    if parsed.operands.len() > 1 {
        let operand = &parsed.operands[1];
        return Err(Failure::usage(format!("too many command-line arguments (first is \"{operand}\")")));
    }
    let number = |id: &str| -> Result<Option<u64>, Failure> {
        let wrong = |text: &str| Failure::usage(format!("invalid value \"{text}\" for option --{id}"));
        parsed.last(id).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    };
    let lsn = |id: &str| -> Result<Option<Lsn>, Failure> {
        let wrong = |text: &str| Failure::usage(format!("invalid WAL location: \"{text}\""));
        parsed.last(id).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    };
    let format = if parsed.has("json") { Format::Json } else { Format::Human };
    let options = Options {
        until: lsn("end")?,
        limit: number("limit")?,
        xid: number("xid")?,
        rmgr: parsed.last("rmgr").map(|name| rmgr(name, rmgrs)).transpose()?,
        ..Options::new(format)
    };
    let timeline = u32::try_from(number("timeline")?.unwrap_or(1)).unwrap_or(1);
    let folder = folder(parsed.last("pgdata"), parsed.operands.first());
    let (timeline, start) = beginning(&folder, Timeline(timeline), parsed.operands.first(), lsn("start")?)?;
    write(&mut WalReader::new(&folder, timeline, start), &options, rmgrs)
}

fn rmgr(name: &str, rmgrs: &[Rmgr]) -> Result<RmgrId, Failure> {
    let found = rmgrs.iter().find(|rmgr| rmgr.name.eq_ignore_ascii_case(name));
    found
        .map(|rmgr| rmgr.id)
        .ok_or_else(|| Failure::usage(format!("resource manager \"{name}\" does not exist")))
}

/// Where the segments are: beside the file that was named, or in the data directory.
fn folder(data_dir: Option<&str>, segment: Option<&String>) -> PathBuf {
    let beside =
        segment.and_then(|path| Path::new(path).parent()).filter(|parent| !parent.as_os_str().is_empty());
    if let Some(folder) = beside {
        return folder.to_owned();
    }
    let data_dir = data_directory::named(data_dir, Some(data_directory::DEFAULT));
    data_dir.unwrap_or_else(|| PathBuf::from(data_directory::DEFAULT)).join("pg_wal")
}

/// The timeline and LSN to begin at: what was asked for, the segment that was named, or the oldest.
fn beginning(
    folder: &Path,
    timeline: Timeline,
    segment: Option<&String>,
    start: Option<Lsn>,
) -> Result<(Timeline, Lsn), Failure> {
    if let Some(path) = segment {
        let name = Path::new(path).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let Some((timeline, segment)) = SegmentNumber::parse_file_name(&name) else {
            return Err(Failure::new(format!("invalid WAL segment name: \"{name}\"")));
        };
        return Ok((timeline, start.unwrap_or(segment.start())));
    }
    if let Some(start) = start {
        return Ok((timeline, start));
    }
    let wrong =
        |e: io::Error| Failure::new(format!("could not open directory \"{}\": {e}", folder.display()));
    let segments = segments_of(folder, timeline).map_err(wrong)?;
    let nothing = || Failure::new(format!("could not find any WAL file in \"{}\"", folder.display()));
    segments.first().map(|oldest| (timeline, oldest.start())).ok_or_else(nothing)
}

fn write(reader: &mut WalReader, options: &Options, rmgrs: &[Rmgr]) -> Outcome {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let stop = dump::dump(reader, options, rmgrs, &mut out).map_err(|report| Failure::new(report.message))?;
    // A reader that has seen enough (`head`) is no failure.
    let _ = out.flush();
    match stop {
        Some(stop) if stop.reason != StopReason::EndOfLog => {
            complain(&format!("tuskd waldump: error: no more records: {stop}\n"));
            Ok(1)
        }
        _ => Ok(0),
    }
}
