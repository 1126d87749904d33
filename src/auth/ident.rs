//! pg_ident.conf: which system users may be which roles.

use std::path::Path;

use crate::report::{self, Report, ReportExt, Severity, SqlState};

use super::complaint::Complaint;
use super::hba::Loaded;
use super::lines::{self, Line};
use super::names::NamePattern;
use super::roles::RoleSource;
use super::tokens::{Field, Token};

/// The maps in force.
#[derive(Clone, Default, Debug)]
pub struct Ident {
    mappings: Vec<Mapping>,
}

/// One line.
#[derive(Clone, Debug)]
struct Mapping {
    map: String,
    system_user: NamePattern,
    role: NamePattern,
}

/// Reads pg_ident.conf. A server starts without a good one; then no map has any lines.
pub fn load(path: &Path) -> Loaded<Ident> {
    let lines = match lines::read(path) {
        Ok(lines) => lines,
        Err(report) => return Loaded { contents: None, log: vec![*report] },
    };
    let mut log = lines.log;
    let mut mappings = Vec::new();
    let mut is_good = true;
    for line in &lines.lines {
        match (&line.error, parse(line)) {
            (None, Ok(mapping)) => mappings.push(mapping),
            (None, Err(complaint)) => {
                is_good = false;
                log.push(complaint.into_report(line.context()));
            }
            // The log has the error already.
            (Some(_), _) => is_good = false,
        }
    }
    Loaded { contents: is_good.then_some(Ident { mappings }), log }
}

fn parse(line: &Line) -> Result<Mapping, Complaint> {
    let mut rest = line.fields.iter();
    let map = single(rest.next())?;
    let system_user = single(rest.next())?;
    let role = single(rest.next())?;
    Ok(Mapping {
        map: map.text.clone(),
        system_user: NamePattern::compile(system_user)?,
        role: NamePattern::compile(role)?,
    })
}

fn single(field: Option<&Field>) -> Result<&Token, Complaint> {
    match field.map(Vec::as_slice) {
        None => Err(Complaint::new("missing entry at end of line")),
        Some([token]) => Ok(token),
        Some(_) => Err(Complaint::new("multiple values in ident field")),
    }
}

impl Ident {
    /// Whether `system_user` may be `role` by `map`, or without a map by having its name. The log is told why not.
    pub fn allows(
        &self,
        map: Option<&str>,
        system_user: &str,
        role: &str,
        roles: &dyn RoleSource,
        log: &mut Vec<Report>,
    ) -> bool {
        let Some(map) = map.filter(|map| !map.is_empty()) else {
            let same = system_user == role;
            if !same {
                log.push(Report::log(format!(
                    "provided user name ({role}) and authenticated user name ({system_user}) do not match"
                )));
            }
            return same;
        };
        for mapping in self.mappings.iter().filter(|mapping| mapping.map == map) {
            match mapping.takes(system_user, role, roles) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(report) => {
                    log.push(*report);
                    return false;
                }
            }
        }
        log.push(Report::log(format!(
            "no match in usermap \"{map}\" for user \"{role}\" authenticated as \"{system_user}\""
        )));
        false
    }
}

impl Mapping {
    fn takes(&self, system_user: &str, role: &str, roles: &dyn RoleSource) -> report::Result<bool> {
        let Some(regex) = self.system_user.regex() else {
            return Ok(self.system_user.text() == system_user && self.role.matches_role(role, roles));
        };
        let Some(captures) = regex.captures(system_user) else {
            return Ok(false);
        };
        if !self.role.takes_capture() {
            return Ok(self.role.matches_role(role, roles));
        }
        let captured = captures.get(1).ok_or_else(|| self.captures_nothing(regex.as_str()))?;
        // Only the first `\1` is replaced, and the result is a name and nothing else.
        let name = self.role.text().replacen("\\1", captured.as_str(), 1);
        Ok(NamePattern::literal(name).matches_role(role, roles))
    }

    fn captures_nothing(&self, regex: &str) -> Box<Report> {
        let role = self.role.text();
        let message = format!(
            "regular expression \"{regex}\" has no subexpressions as requested by backreference in \"{role}\""
        );
        Box::new(Report::new(Severity::Log, SqlState::INVALID_REGULAR_EXPRESSION, message))
    }
}

/// One row of `pg_ident_file_mappings`; what cannot be told is `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MappingRow {
    /// Place among the good lines, from 1.
    pub map_number: Option<i32>,
    /// File.
    pub file_name: String,
    /// Line there.
    pub line_number: i32,
    /// Name of the map.
    pub map_name: Option<String>,
    /// System user.
    pub sys_name: Option<String>,
    /// Role.
    pub pg_username: Option<String>,
    /// What is wrong.
    pub error: Option<String>,
}

/// Reads the file anew. The error: it cannot be opened.
pub fn mappings(path: &Path) -> report::Result<Vec<MappingRow>> {
    let lines = lines::read(path)
        .map_err(|report| report.change(|report| Report { severity: Severity::Error, ..report }))?;
    let mut number = 0;
    let mut rows = Vec::with_capacity(lines.lines.len());
    for line in lines.lines {
        let (mapping, error) = match (line.error.clone(), parse(&line)) {
            (None, Ok(mapping)) => (Some(mapping), None),
            (None, Err(complaint)) => (None, Some(complaint.shown())),
            (error, _) => (None, error),
        };
        number += i32::from(error.is_none());
        rows.push(MappingRow {
            map_number: error.is_none().then_some(number),
            file_name: line.file,
            line_number: i32::try_from(line.number).unwrap_or(i32::MAX),
            map_name: mapping.as_ref().map(|mapping| mapping.map.clone()),
            sys_name: mapping.as_ref().map(|mapping| mapping.system_user.text().to_owned()),
            pg_username: mapping.as_ref().map(|mapping| mapping.role.text().to_owned()),
            error,
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
