//! Rows of `pg_hba_file_rules`: the file as it stands on disk now, with what is wrong in it.

use std::path::Path;

use crate::auth::lines;
use crate::auth::names::NamePattern;
use crate::report::{self, ReportExt, Severity};

use super::{Record, options, record};

/// One row; what cannot be told is `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleRow {
    /// Place among the good records, from 1.
    pub rule_number: Option<i32>,
    /// File.
    pub file_name: String,
    /// Line there.
    pub line_number: i32,
    /// Connection type (the column is called `type`).
    pub kind: Option<&'static str>,
    /// Databases.
    pub database: Option<Vec<String>>,
    /// Roles.
    pub user_name: Option<Vec<String>>,
    /// Clients.
    pub address: Option<String>,
    /// Their mask.
    pub netmask: Option<String>,
    /// Method.
    pub auth_method: Option<&'static str>,
    /// Options, none rather than an empty array.
    pub options: Option<Vec<String>>,
    /// What is wrong.
    pub error: Option<String>,
}

/// Reads the file anew. The error: it cannot be opened.
pub fn rules(path: &Path, ssl: bool) -> report::Result<Vec<RuleRow>> {
    let lines = lines::read(path)
        .map_err(|report| report.change(|report| report::Report { severity: Severity::Error, ..report }))?;
    let mut number = 0;
    let mut rows = Vec::with_capacity(lines.lines.len());
    for line in lines.lines {
        let parsed = record::parse(&line, ssl);
        let error = line.error.or(parsed.error).or(parsed.warning);
        number += i32::from(error.is_none());
        let rule_number = error.is_none().then_some(number);
        let line_number = i32::try_from(line.number).unwrap_or(i32::MAX);
        rows.push(row(rule_number, line.file, line_number, parsed.record.as_ref(), error));
    }
    Ok(rows)
}

fn row(
    rule_number: Option<i32>,
    file_name: String,
    line_number: i32,
    record: Option<&Record>,
    error: Option<String>,
) -> RuleRow {
    let texts = |names: &[NamePattern]| names.iter().map(|name| name.text().to_owned()).collect();
    let (address, netmask) = match record.and_then(|record| record.address.as_ref()) {
        Some(address) => {
            let (address, netmask) = address.shown();
            (Some(address), netmask)
        }
        None => (None, None),
    };
    RuleRow {
        rule_number,
        file_name,
        line_number,
        kind: record.map(|record| record.connection.name()),
        database: record.map(|record| texts(&record.databases)),
        user_name: record.map(|record| texts(&record.users)),
        address,
        netmask,
        auth_method: record.map(|record| record.method.name()),
        options: record.map(options::shown).filter(|options| !options.is_empty()),
        error,
    }
}
