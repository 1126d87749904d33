//! Data that come in, made rows.

use super::binary;
use super::format::{Field, LineState, fields, line_end};
use super::options::{Layout, Options};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::functions::casts::apply_typmod;
use crate::sql::types::binary::{receive, utf8};
use crate::sql::types::{Datum, Formats, Row, Type, input};

/// A column that data come for.
pub struct Column {
    pub name: String,
    pub ty: Type,
    pub typmod: i32,
}

/// See the module.
pub struct Reader {
    table: String,
    columns: Vec<Column>,
    options: Options,
    left: Vec<u8>,
    state: LineState,
    line: u64,
    is_over: bool,
    has_begun: bool,
}

fn malformed(message: impl Into<String>) -> Box<Report> {
    Report::error(SqlState::new("22P04"), message)
}

impl Reader {
    pub fn new(table: &str, columns: Vec<Column>, options: Options) -> Self {
        Self {
            table: table.to_owned(),
            columns,
            options,
            left: Vec::new(),
            state: LineState::default(),
            line: 0,
            is_over: false,
            has_begun: false,
        }
    }

    /// The line at hand.
    pub fn line(&self) -> u64 {
        self.line + 1
    }

    /// The rows that are complete with these data.
    pub fn take(&mut self, data: &[u8], formats: &Formats, now: i64) -> Result<Vec<Row>> {
        self.left.extend_from_slice(data);
        if self.options.layout == Layout::Binary {
            return self.take_binary();
        }
        let (mut rows, mut start) = (Vec::new(), 0);
        let left = std::mem::take(&mut self.left);
        while let Some((end, own)) = line_end(&left[start..], &self.options, &mut self.state) {
            let line = &left[start..start + own];
            start += end;
            self.take_line(line, formats, now, &mut rows)?;
        }
        self.left = left[start..].to_vec();
        Ok(rows)
    }

    /// The rows that the end of the data completes.
    pub fn finish(&mut self, formats: &Formats, now: i64) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        if self.options.layout == Layout::Binary {
            if !self.has_begun || !self.is_over && !self.left.is_empty() {
                return Err(malformed("COPY file signature not recognized"));
            }
            return Ok(rows);
        }
        let left = std::mem::take(&mut self.left);
        if !left.is_empty() {
            self.take_line(&left, formats, now, &mut rows)?;
        }
        Ok(rows)
    }

    fn take_line(&mut self, line: &[u8], formats: &Formats, now: i64, rows: &mut Vec<Row>) -> Result<()> {
        let number = self.line + 1;
        if self.is_over {
            return Ok(());
        }
        if line == b"\\." {
            self.is_over = true;
            return Ok(());
        }
        self.line = number;
        if self.options.header && number == 1 {
            return Ok(());
        }
        let made = self.row(line, formats, now);
        rows.push(made.map_err(|report| match report.context {
            Some(_) => report,
            None => {
                let shown = String::from_utf8_lossy(line);
                report.with_context(format!("COPY {}, line {number}: \"{shown}\"", self.table))
            }
        })?);
        Ok(())
    }

    fn row(&self, line: &[u8], formats: &Formats, now: i64) -> Result<Row> {
        let fields = fields(line, &self.options);
        if fields.len() > self.columns.len() {
            return Err(malformed("extra data after last expected column"));
        }
        if let Some(column) = self.columns.get(fields.len()) {
            return Err(malformed(format!("missing data for column \"{}\"", column.name)));
        }
        let pairs = fields.iter().zip(&self.columns);
        pairs.map(|(field, column)| self.value(field, column, formats, now)).collect()
    }

    fn value(&self, field: &Field, column: &Column, formats: &Formats, now: i64) -> Result<Datum> {
        let Some(bytes) = field else { return Ok(Datum::Null) };
        let text = utf8(bytes)?;
        let read = input::parse(text, column.ty, formats, now).and_then(|value| match column.typmod {
            ..0 => Ok(value),
            typmod => apply_typmod(value, column.ty, typmod, false),
        });
        read.map_err(|report| {
            let (table, line) = (&self.table, self.line);
            report.with_context(format!("COPY {table}, line {line}, column {}: \"{text}\"", column.name))
        })
    }

    fn take_binary(&mut self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        if !self.has_begun {
            let Some(header) = binary::header(&self.left)? else { return Ok(rows) };
            self.left.drain(..header);
            self.has_begun = true;
        }
        let mut at = 0;
        while !self.is_over {
            let Some((used, fields)) = binary::tuple(&self.left[at..])? else { break };
            at += used;
            let Some(fields) = fields else {
                self.is_over = true;
                break;
            };
            self.line += 1;
            if fields.len() != self.columns.len() {
                let message = format!("row field count is {}, expected {}", fields.len(), self.columns.len());
                return Err(malformed(message));
            }
            let mut row = Vec::with_capacity(fields.len());
            for (field, column) in fields.into_iter().zip(&self.columns) {
                row.push(match field {
                    None => Datum::Null,
                    Some(bytes) => {
                        let value = receive(bytes, column.ty)?;
                        if column.typmod < 0 {
                            value
                        } else {
                            apply_typmod(value, column.ty, column.typmod, false)?
                        }
                    }
                });
            }
            rows.push(row);
        }
        self.left.drain(..at);
        Ok(rows)
    }
}
