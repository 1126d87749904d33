//! `COPY`: rows in and out, as text, CSV or in binary, over the connection or a file.

mod binary;
mod format;
mod input;
mod options;
mod output;

use std::io::{Read, Write};
use std::sync::Arc;

use crate::catalog::descriptor::{RelationDescriptor, RelationKind};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::analyze::environment::Environment;
use crate::sql::analyze::relation::column_type;
use crate::sql::execute::modify::Modify;
use crate::sql::execute::{self, BoxNode, Node};
use crate::sql::functions::quote_ident;
use crate::sql::host::Host;
use crate::sql::parse::tree_ddl::{Copy, CopyFile, CopySource};
use crate::sql::parse::{self, Parsed, Statement};
use crate::sql::plan::Plan;
use crate::sql::types::{Row, Type};
use crate::txn::locks::LockMode;

use self::input::{Column, Reader};
use self::options::Options;
use self::output::Writer;
use super::Session;
use super::sink::{CopyInput, ResultSink};
use super::statement::{MadeRows, QueryPlan};

/// Bytes of a file that are read at once.
const PIECE: usize = 64 * 1024;

impl Session {
    /// `COPY`; its tag.
    pub(super) fn copy(
        &mut self,
        host: &mut dyn Host,
        parsed: &Parsed,
        copy: &Copy,
        sink: &mut dyn ResultSink,
    ) -> Result<String> {
        let options = Options::read(copy, &parsed.source)?;
        if let CopyFile::Program(_) = &copy.file {
            return Err(Report::not_supported("COPY with a program is not supported yet"));
        }
        if matches!(copy.file, CopyFile::File(_)) && !host.facts().superuser {
            let (verb, role) = match copy.from {
                true => ("COPY from a file", "pg_read_server_files"),
                false => ("COPY to a file", "pg_write_server_files"),
            };
            let message = format!("permission denied to {verb}");
            return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .with_detail(format!("Only roles with privileges of the \"{role}\" role may {verb}.")));
        }
        let count = match copy.from {
            true => self.copy_from(host, parsed, copy, &options, sink)?,
            false => self.copy_to(host, parsed, copy, &options, sink)?,
        };
        Ok(format!("COPY {count}"))
    }

    /// The table that is copied, and its columns in the order of the data.
    fn copied_table(
        &self,
        host: &mut dyn Host,
        parsed: &Parsed,
        source: &CopySource,
        mode: LockMode,
    ) -> Result<(Arc<RelationDescriptor>, Vec<usize>)> {
        let CopySource::Table(name, columns) = source else {
            return Err(Report::not_supported("COPY of a query from data is not supported"));
        };
        let environment = self.environment(host);
        let (schema, last) = match name.parts.as_slice() {
            [name] => (None, name),
            [schema, name] | [_, schema, name] => (Some(schema.as_str()), name),
            _ => return Err(Report::error(SqlState::SYNTAX_ERROR, "improper qualified name")),
        };
        let Some(relation) = environment.relation(schema, last, mode)? else {
            let message = format!("relation \"{}\" does not exist", name.dotted());
            return Err(Report::error(SqlState::UNDEFINED_TABLE, message).at(parsed.source.position(name.at)));
        };
        if columns.is_empty() {
            let all = relation.live_columns().filter(|column| !column.is_generated);
            let all = all.map(|column| column.index()).collect();
            return Ok((relation, all));
        }
        let mut chosen: Vec<usize> = Vec::new();
        for column in columns {
            let Some(found) = relation.column(&column.text) else {
                let message =
                    format!("column \"{}\" of relation \"{}\" does not exist", column.text, relation.name);
                return Err(Report::error(SqlState::UNDEFINED_COLUMN, message));
            };
            if chosen.contains(&found.index()) {
                let message = format!("column \"{}\" specified more than once", column.text);
                return Err(Report::error(SqlState::DUPLICATE_COLUMN, message));
            }
            chosen.push(found.index());
        }
        Ok((relation, chosen))
    }

    fn copy_from(
        &mut self,
        host: &mut dyn Host,
        parsed: &Parsed,
        copy: &Copy,
        options: &Options,
        sink: &mut dyn ResultSink,
    ) -> Result<u64> {
        self.check_read_only(host, "COPY FROM")?;
        let (relation, columns) = self.copied_table(host, parsed, &copy.source, LockMode::RowExclusive)?;
        if relation.kind != RelationKind::Table {
            let message = format!("cannot copy to {} \"{}\"", relation.kind.noun(), relation.name);
            return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message));
        }
        if let Some(filter) = &copy.filter {
            let at = parsed.source.position(filter.at);
            return Err(Report::not_supported("COPY FROM with WHERE is not supported yet").at(at));
        }
        let plan = self.copy_plan(host, &relation, &columns)?;
        let columns = columns.iter().map(|index| {
            let column = &relation.columns[*index];
            Column { name: column.name.clone(), ty: column_type(column), typmod: column.typmod }
        });
        let columns: Vec<Column> = columns.collect();
        let width = columns.len();
        let mut reader = Reader::new(&relation.name, columns, options.clone());
        let mut count = 0;
        let mut load = |session: &mut Self, host: &mut dyn Host, rows: Vec<Row>| -> Result<()> {
            count += rows.len() as u64;
            session.load(host, &plan, rows)
        };
        match &copy.file {
            CopyFile::File(path) => {
                let opened = std::fs::File::open(path);
                let mut file = opened.map_err(|error| file_error("open", "reading", path, &error))?;
                let mut piece = vec![0; PIECE];
                loop {
                    host.check_interrupts()?;
                    let read = file.read(&mut piece).map_err(|error| file_error("read", "", path, &error))?;
                    if read == 0 {
                        break;
                    }
                    let rows = reader.take(&piece[..read], &self.formats, self.transaction.start)?;
                    load(self, host, rows)?;
                }
            }
            _ => {
                sink.copy_in(options.is_binary(), width)?;
                let mut piece = Vec::new();
                loop {
                    host.check_interrupts()?;
                    piece.clear();
                    match sink.copy_read(&mut piece)? {
                        CopyInput::Data => {
                            let rows = reader.take(&piece, &self.formats, self.transaction.start)?;
                            load(self, host, rows)?;
                        }
                        CopyInput::Interrupted => {}
                        CopyInput::Done => break,
                        CopyInput::Failed(why) => {
                            let message = format!("COPY from stdin failed: {why}");
                            return Err(Report::error(SqlState::QUERY_CANCELED, message)
                                .with_context(format!("COPY {}, line {}", relation.name, reader.line())));
                        }
                    }
                }
            }
        }
        let rows = reader.finish(&self.formats, self.transaction.start)?;
        load(self, host, rows)?;
        self.next_command(host)?;
        Ok(count)
    }

    /// The plan of an insertion of these columns.
    fn copy_plan(
        &self,
        host: &mut dyn Host,
        relation: &RelationDescriptor,
        columns: &[usize],
    ) -> Result<QueryPlan> {
        let names: Vec<String> =
            columns.iter().map(|index| quote_ident(&relation.columns[*index].name)).collect();
        let params: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
        let types: Vec<Type> = columns.iter().map(|index| column_type(&relation.columns[*index])).collect();
        let text = format!(
            "INSERT INTO {}.{} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
            quote_ident(&relation.namespace_name),
            quote_ident(&relation.name),
            names.join(", "),
            params.join(", ")
        );
        let parsed = parse::parse_one(&text)?;
        match parsed.as_ref().map(|parsed| (&parsed.statement, &parsed.source)) {
            Some((Statement::Planned(planned), source)) => {
                Ok(self.plan(host, planned, source, (&types, true))?.0)
            }
            _ => Err(Report::error(SqlState::INTERNAL_ERROR, "COPY without a plan")),
        }
    }

    /// Writes rows, as far as they have come.
    fn load(&mut self, host: &mut dyn Host, plan: &QueryPlan, rows: Vec<Row>) -> Result<()> {
        let Plan::Modify(modify) = &*plan.plan else {
            return Err(Report::error(SqlState::INTERNAL_ERROR, "COPY without a plan"));
        };
        if rows.is_empty() {
            return Ok(());
        }
        let mut node = Modify::with_input(modify.clone(), Box::new(MadeRows::new(rows)));
        let mut ctx = self.context(host, Arc::from([]), "COPY".into());
        while node.next(&mut ctx)?.is_some() {}
        ctx.end()
    }

    fn copy_to(
        &mut self,
        host: &mut dyn Host,
        parsed: &Parsed,
        copy: &Copy,
        options: &Options,
        sink: &mut dyn ResultSink,
    ) -> Result<u64> {
        let plan = self.copied_plan(host, parsed, copy)?;
        let mut node: BoxNode = execute::start(&plan.plan);
        let mut ctx = self.context(host, Arc::from([]), parsed.source.text.clone());
        let writer = Writer::new(&plan.fields, options.clone());
        let mut file = match &copy.file {
            CopyFile::File(path) if !path.starts_with('/') => {
                let message = "relative path not allowed for COPY to file";
                return Err(Report::error(SqlState::INVALID_NAME, message));
            }
            CopyFile::File(path) => {
                let made = std::fs::File::create(path);
                Some((made.map_err(|error| file_error("open", "writing", path, &error))?, path))
            }
            _ => {
                sink.copy_out(options.is_binary(), plan.fields.len())?;
                None
            }
        };
        let mut send = |bytes: &[u8]| match &mut file {
            Some((file, path)) => {
                file.write_all(bytes).map_err(|error| file_error("write", "", path, &error))
            }
            None => sink.copy_data(bytes),
        };
        let mut count = 0;
        let mut piece = Vec::new();
        writer.begin(&mut piece);
        if !piece.is_empty() {
            send(&piece)?;
        }
        while let Some(mut row) = node.next(&mut ctx)? {
            ctx.host.check_interrupts()?;
            super::name_objects(&mut row, &plan.fields, &mut ctx)?;
            piece.clear();
            writer.row(&row, &ctx.formats, &mut piece)?;
            send(&piece)?;
            count += 1;
        }
        piece.clear();
        writer.end(&mut piece);
        if !piece.is_empty() {
            send(&piece)?;
        }
        ctx.end()?;
        if plan.is_change {
            self.next_command(host)?;
        }
        if file.is_none() {
            sink.copy_end()?;
        }
        Ok(count)
    }

    fn copied_plan(&mut self, host: &mut dyn Host, parsed: &Parsed, copy: &Copy) -> Result<QueryPlan> {
        if let CopySource::Query(planned) = &copy.source {
            let (plan, _) = self.plan(host, planned, &parsed.source, (&[], false))?;
            if plan.is_change {
                self.check_read_only(host, plan.tag)?;
            }
            if plan.answered().is_none() {
                let message = "COPY query must have a RETURNING clause";
                return Err(Report::error(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            return Ok(plan);
        }
        let (relation, columns) = self.copied_table(host, parsed, &copy.source, LockMode::AccessShare)?;
        if relation.kind == RelationKind::View {
            let message = format!("cannot copy from view \"{}\"", relation.name);
            return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message)
                .with_hint("Try the COPY (SELECT ...) TO variant."));
        }
        let names: Vec<String> =
            columns.iter().map(|index| quote_ident(&relation.columns[*index].name)).collect();
        let text = format!(
            "SELECT {} FROM ONLY {}.{}",
            names.join(", "),
            quote_ident(&relation.namespace_name),
            quote_ident(&relation.name)
        );
        let inner = parse::parse_one(&text)?;
        match inner.as_ref().map(|inner| (&inner.statement, &inner.source)) {
            Some((Statement::Planned(planned), source)) => {
                Ok(self.plan(host, planned, source, (&[], false))?.0)
            }
            _ => Err(Report::error(SqlState::INTERNAL_ERROR, "COPY without a plan")),
        }
    }
}

fn file_error(verb: &str, purpose: &str, path: &str, error: &std::io::Error) -> Box<Report> {
    let what = match error.kind() {
        std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
        _ => error.to_string(),
    };
    let state = match error.kind() {
        std::io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        std::io::ErrorKind::PermissionDenied => SqlState::INSUFFICIENT_PRIVILEGE,
        _ => SqlState::IO_ERROR,
    };
    let purpose = if purpose.is_empty() { String::new() } else { format!(" for {purpose}") };
    Report::error(state, format!("could not {verb} file \"{path}\"{purpose}: {what}"))
}
