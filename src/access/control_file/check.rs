//! Whether a control file is one that this program can use, and if not, why not.

use std::io;
use std::path::Path;

use super::{CATALOG_VERSION, CHECKSUM_VERSION, CONTROL_VERSION, CRC_AT, USED};
use crate::access::fields::{FieldReader, FieldWriter};
use crate::report::{Report, ReportExt, Result, Severity, SqlState};
use crate::storage::errors::failed;
use crate::storage::files::SEGMENT_BLOCKS;
use crate::storage::ids::PAGE_SIZE;
use crate::wal::lsn::{BLOCK, SEGMENT};

/// The byte order's mark, as a number of the host: pages hold the host's numbers.
const ORDER: u32 = 0x0102_0304;

/// Where the numbers begin that must be ours, behind system identifier and two versions.
const HINT: &str = "It looks like you need to initdb.";
const OTHER_HINT: &str = "It looks like you need to recompile or initdb.";

/// What must be the same in file and program: PostgreSQL's name of it, and the value here.
fn formats() -> [(&'static str, u32); 6] {
    [
        ("MAXALIGN", 8),
        ("BLCKSZ", PAGE_SIZE as u32),
        ("RELSEG_SIZE", SEGMENT_BLOCKS),
        ("XLOG_BLCKSZ", BLOCK as u32),
        ("XLOG_SEG_SIZE", SEGMENT as u32),
        ("DATA_CHECKSUM_VERSION", CHECKSUM_VERSION),
    ]
}

pub(super) fn put_formats(fields: &mut FieldWriter) {
    fields.raw(&ORDER.to_ne_bytes());
    formats().iter().for_each(|(_, value)| fields.u32(*value));
}

/// The system identifier, and the fields behind what was checked.
pub(super) fn check(bytes: &[u8]) -> Result<(u64, FieldReader<'_>)> {
    let bytes = bytes.first_chunk::<USED>().ok_or_else(senseless)?;
    let mut fields = FieldReader::new(&bytes[..CRC_AT]);
    let system_identifier = fields.u64().ok_or_else(senseless)?;
    let version = fields.u32().ok_or_else(senseless)?;
    // Before the checksum, which stands elsewhere in other versions.
    check_version(version)?;
    let stored = FieldReader::new(&bytes[CRC_AT..]).u32();
    if stored != Some(crc32c::crc32c(&bytes[..CRC_AT])) {
        return Err(Report::fatal(SqlState::INTERNAL_ERROR, "incorrect checksum in control file"));
    }
    let catalog = fields.u32().ok_or_else(senseless)?;
    if catalog != CATALOG_VERSION {
        return Err(other_number("CATALOG_VERSION_NO", catalog, CATALOG_VERSION, HINT));
    }
    if fields.array() != Some(ORDER.to_ne_bytes()) {
        let detail = "The database cluster was initialized on a machine of another byte order.";
        return Err(incompatible(detail.to_owned(), HINT));
    }
    for (name, expected) in formats() {
        let found = fields.u32().ok_or_else(senseless)?;
        if found != expected {
            return Err(other_number(name, found, expected, OTHER_HINT));
        }
    }
    Ok((system_identifier, fields))
}

fn check_version(version: u32) -> Result<()> {
    if version == CONTROL_VERSION {
        return Ok(());
    }
    if version.is_multiple_of(65_536) && version != 0 {
        let detail = format!(
            "The database cluster was initialized with PG_CONTROL_VERSION {} (0x{version:08x}), but the server was \
             compiled with PG_CONTROL_VERSION {CONTROL_VERSION} (0x{CONTROL_VERSION:08x}).",
            version as i32
        );
        let hint = "This could be a problem of mismatched byte ordering.  It looks like you need to initdb.";
        return Err(incompatible(detail, hint));
    }
    Err(other_number("PG_CONTROL_VERSION", version, CONTROL_VERSION, HINT))
}

fn other_number(name: &str, found: u32, expected: u32, hint: &str) -> Box<Report> {
    let detail = format!(
        "The database cluster was initialized with {name} {found}, but the server was compiled with {name} {expected}."
    );
    incompatible(detail, hint)
}

fn incompatible(detail: String, hint: &str) -> Box<Report> {
    let message = "database files are incompatible with server";
    Report::fatal(SqlState::INVALID_PARAMETER_VALUE, message).with_detail(detail).with_hint(hint)
}

/// It has a good checksum, and numbers that mean nothing.
pub(super) fn senseless() -> Box<Report> {
    Report::fatal(SqlState::DATA_CORRUPTED, "control file contains invalid data")
}

/// It has not the length that it was made with.
pub(super) fn half_written(path: &Path, found: usize, expected: usize) -> Box<Report> {
    let shown = path.display();
    let message = if found > expected {
        format!("file \"{shown}\" is longer than {expected} bytes")
    } else {
        format!("could not read file \"{shown}\": read {found} of {expected}")
    };
    Report::fatal(SqlState::DATA_CORRUPTED, message)
}

pub(super) fn not_opened(path: &Path, error: &io::Error) -> Box<Report> {
    let report = fatal(failed("open file", path, error));
    if error.kind() != io::ErrorKind::NotFound {
        return report;
    }
    report
        .with_detail("The data directory was made by a tuskd that had no storage yet, or the file was lost.")
        .with_hint(HINT)
}

pub(super) fn fatal(mut report: Box<Report>) -> Box<Report> {
    report.severity = Severity::Fatal;
    report
}

pub(super) fn panic(mut report: Box<Report>) -> Box<Report> {
    report.severity = Severity::Panic;
    report
}
