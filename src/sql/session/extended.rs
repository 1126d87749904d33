//! The extended protocol's messages: Parse, Bind, Describe, Execute, Close, Sync.

use std::sync::Arc;

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::host::{Host, StatementClass};
use crate::sql::parse::tree_ddl::{Copy, Definition};
use crate::sql::parse::{self, Parsed, Statement, Utility};
use crate::sql::types::binary::{receive, utf8};
use crate::sql::types::{Datum, Type, Wire, input, output};

use super::prepared::{Portal, PortalState, Prepared, PreparedKind, utility_of, wire_of};
use super::sink::{FieldInfo, ResultSink};
use super::statement::{MadeRows, row_tag};
use super::{Output, Session, already_prepared, in_failed_transaction, pump, with_stack_for};

/// A Bind message.
#[derive(Clone, Copy, Debug)]
pub struct Bind<'m> {
    /// The portal to make.
    pub portal: &'m str,
    /// The statement that it runs.
    pub statement: &'m str,
    /// Formats of the parameters: none, one for all, or one each.
    pub param_formats: &'m [i16],
    /// The parameters' values; none is NULL.
    pub params: &'m [Option<&'m [u8]>],
    /// Formats of the result's columns: none, one for all, or one each.
    pub result_formats: &'m [i16],
}

/// What Describe answers of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementDescription {
    /// The parameters' types, for ParameterDescription.
    pub params: Vec<Type>,
    /// The columns, for RowDescription; none for NoData.
    pub fields: Option<Vec<FieldInfo>>,
}

/// What a portal runs, for the log and for those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalSource {
    /// The name that its statement was prepared under.
    pub statement: Arc<str>,
    /// The statement's text.
    pub text: Arc<str>,
    /// What kind of statement it is.
    pub class: StatementClass,
    /// Whether an Execute has begun it already.
    pub is_begun: bool,
}

impl Session {
    /// What a prepared statement's text is.
    pub fn statement_text(&self, name: &str) -> Option<Arc<str>> {
        self.statements.get(name).map(|statement| statement.text.clone())
    }

    /// What a portal runs.
    pub fn portal_source(&self, name: &str) -> Option<PortalSource> {
        let portal = self.portals.get(name)?;
        Some(PortalSource {
            statement: portal.statement_name.clone(),
            text: portal.statement.text.clone(),
            class: portal.statement.class(),
            is_begun: !matches!(portal.state, PortalState::Ready),
        })
    }

    /// A portal's parameters as `log_statement` shows them, each cut to `most` bytes: `$1 = 'one', $2 = NULL`. Empty if
    /// there are none.
    pub fn portal_parameters(&self, name: &str, most: usize) -> String {
        let Some(portal) = self.portals.get(name) else { return String::new() };
        let mut shown = String::new();
        for (index, (value, &ty)) in portal.params.iter().zip(&portal.statement.params).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            shown += &format!("{separator}${} = ", index + 1);
            if matches!(value, Datum::Null) {
                shown += "NULL";
                continue;
            }
            let text = output::text_of(value, ty, &self.formats);
            let mut end = text.len().min(most);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let dots = if end < text.len() { "..." } else { "" };
            shown += &format!("'{}{dots}'", text[..end].replace('\'', "''"));
        }
        shown
    }

    /// Runs one message's work in its transaction; after an error the transaction is spoiled.
    fn message<T>(
        &mut self,
        host: &mut dyn Host,
        work: impl FnOnce(&mut Self, &mut dyn Host) -> Result<T>,
    ) -> Result<T> {
        self.arrive(host);
        self.transaction.begin_if_needed(host, self.statement_start);
        let result = work(self, host);
        if result.is_err() {
            self.transaction.fail(host);
            self.drop_portals();
        }
        result
    }

    /// Parse. `types` are OIDs, 0 where the parameter's place is to decide.
    pub fn parse(&mut self, host: &mut dyn Host, name: &str, text: &str, types: &[u32]) -> Result<()> {
        with_stack_for(text, || {
            self.message(host, |session, host| session.parse_here(host, name, text, types))
        })
    }

    fn parse_here(&mut self, host: &mut dyn Host, name: &str, text: &str, types: &[u32]) -> Result<()> {
        if name.is_empty() {
            self.statements.remove("");
        }
        let parsed = parse::parse_one(text)?;
        for notice in parsed.iter().flat_map(|parsed| &parsed.notices) {
            host.notice(notice.clone());
        }
        let ends = parsed
            .as_ref()
            .is_none_or(|parsed| utility_of(parsed).is_some_and(|utility| utility.ends_transaction()));
        if self.transaction.has_failed() && !ends {
            return Err(in_failed_transaction());
        }
        if self.statements.contains_key(name) {
            return Err(already_prepared(name));
        }
        let types: Vec<Type> = types.iter().map(|&oid| param_type(oid)).collect::<Result<_>>()?;
        let prepared = self.prepared(host, text, parsed, types)?;
        self.statements.insert(name.to_owned(), Arc::new(prepared));
        Ok(())
    }

    fn prepared(
        &self,
        host: &mut dyn Host,
        text: &str,
        parsed: Option<Parsed>,
        types: Vec<Type>,
    ) -> Result<Prepared> {
        let text: Arc<str> = text.into();
        let Some(parsed) = parsed else {
            return Ok(Prepared { text, kind: PreparedKind::Empty, params: types });
        };
        if let Statement::Planned(planned) = &parsed.statement {
            let (plan, params) = self.plan(host, planned, &parsed.source, (&types, true))?;
            return Ok(Prepared { text, kind: PreparedKind::Query(plan), params });
        }
        Ok(Prepared { text, kind: PreparedKind::Utility(parsed), params: types })
    }

    /// Bind.
    pub fn bind(&mut self, host: &mut dyn Host, bind: &Bind<'_>) -> Result<()> {
        self.message(host, |session, _| session.bind_here(bind))
    }

    fn bind_here(&mut self, bind: &Bind<'_>) -> Result<()> {
        let statement = self.statement(bind.statement)?;
        let violation = |message: String| Err(Report::error(SqlState::PROTOCOL_VIOLATION, message));
        if bind.param_formats.len() > 1 && bind.param_formats.len() != bind.params.len() {
            return violation(format!(
                "bind message has {} parameter formats but {} parameters",
                bind.param_formats.len(),
                bind.params.len()
            ));
        }
        if bind.params.len() != statement.params.len() {
            return violation(format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                bind.params.len(),
                bind.statement,
                statement.params.len()
            ));
        }
        if self.transaction.has_failed() && !statement.ends_transaction() {
            return Err(in_failed_transaction());
        }
        if bind.portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(Report::error(SqlState::DUPLICATE_CURSOR, message));
        }
        let params = self.param_values(bind, &statement.params)?;
        let wires: Vec<Wire> =
            bind.result_formats.iter().map(|&code| wire_of(code)).collect::<Result<_>>()?;
        let statement_name = bind.statement.into();
        let portal =
            Portal { statement, statement_name, params: params.into(), wires, state: PortalState::Ready };
        if let PreparedKind::Query(plan) = &portal.statement.kind {
            portal.fields(&plan.fields)?;
        }
        self.portals.insert(bind.portal.to_owned(), portal);
        Ok(())
    }

    fn param_values(&self, bind: &Bind<'_>, types: &[Type]) -> Result<Vec<Datum>> {
        let mut values = Vec::with_capacity(types.len());
        for (index, (value, &ty)) in bind.params.iter().zip(types).enumerate() {
            let code = match bind.param_formats {
                [] => 0,
                [all] => *all,
                each => each[index],
            };
            let Some(bytes) = value else {
                values.push(Datum::Null);
                continue;
            };
            let name = match bind.portal {
                "" => "unnamed portal".to_owned(),
                name => format!("portal \"{name}\""),
            };
            values.push(match wire_of(code)? {
                Wire::Text => {
                    let text = utf8(bytes)?;
                    let read = input::parse(text, ty, &self.formats, self.transaction.start);
                    read.map_err(|report| {
                        report.with_context(format!("{name} parameter ${} = '{text}'", index + 1))
                    })?
                }
                Wire::Binary => receive(bytes, ty).map_err(|mut report| {
                    if report.message == "incorrect binary data format" {
                        report.message =
                            format!("incorrect binary data format in bind parameter {}", index + 1);
                    }
                    report.with_context(format!("{name} parameter ${}", index + 1))
                })?,
            });
        }
        Ok(values)
    }

    /// Describe, of a statement.
    pub fn describe_statement(&mut self, host: &mut dyn Host, name: &str) -> Result<StatementDescription> {
        self.message(host, |session, host| {
            let statement = session.statement(name)?;
            let fields = session.fields_of(host, &statement)?;
            if session.transaction.has_failed() && fields.is_some() {
                return Err(in_failed_transaction());
            }
            Ok(StatementDescription { params: statement.params.clone(), fields })
        })
    }

    /// Describe, of a portal; none for NoData.
    pub fn describe_portal(&mut self, host: &mut dyn Host, name: &str) -> Result<Option<Vec<FieldInfo>>> {
        self.message(host, |session, host| {
            let portal = session.portals.get(name).ok_or_else(|| no_portal(name))?;
            let fields = session.fields_of(host, &portal.statement)?;
            if session.transaction.has_failed() && fields.is_some() {
                return Err(in_failed_transaction());
            }
            fields.map(|fields| portal.fields(&fields)).transpose()
        })
    }

    /// Execute; `max_rows` 0 means all of them.
    pub fn execute(
        &mut self,
        host: &mut dyn Host,
        name: &str,
        max_rows: u32,
        sink: &mut dyn ResultSink,
    ) -> Result<()> {
        let limit = if max_rows == 0 { u64::MAX } else { u64::from(max_rows) };
        self.message(host, |session, host| {
            let mut portal = session.portals.remove(name).ok_or_else(|| no_portal(name))?;
            if session.transaction.has_failed() && !portal.statement.ends_transaction() {
                return Err(in_failed_transaction());
            }
            let control = session.run_portal(host, name, &mut portal, limit, sink)?;
            // A transaction's end takes its portals along, this one too.
            if !control {
                session.portals.insert(name.to_owned(), portal);
            }
            Ok(())
        })
    }

    /// Runs a portal, and tells whether it was a transaction command.
    fn run_portal(
        &mut self,
        host: &mut dyn Host,
        name: &str,
        portal: &mut Portal,
        limit: u64,
        sink: &mut dyn ResultSink,
    ) -> Result<bool> {
        let statement = portal.statement.clone();
        let mut control = false;
        if let PortalState::Ready = portal.state {
            if matches!(statement.kind, PreparedKind::Empty) {
                portal.state = PortalState::Done { query: false };
                return sink.empty().map(|()| false);
            }
            let started = match copy_of(&statement).filter(|_| host.has_tables()) {
                Some((parsed, copy)) => {
                    host.statement_begins("COPY", &statement.text);
                    Some(self.copy(host, parsed, copy, sink)?)
                }
                None => self.start_portal(host, &statement, portal)?,
            };
            match started {
                Some(tag) => {
                    control = self.ended_by(host, &statement)?;
                    portal.state = PortalState::Done { query: false };
                    sink.complete(&tag)?;
                    return Ok(control);
                }
                None => self.transaction.note_query(),
            }
        }
        match &mut portal.state {
            PortalState::Running { node, fields, tag, view, written } => {
                let mut ctx = self.context(host, portal.params.clone(), statement.text.clone());
                ctx.view = view.take();
                let (count, ended) = pump(node, &mut ctx, fields, sink, limit)?;
                if !ended {
                    *view = ctx.view.take();
                    return sink.suspended().map(|()| control);
                }
                ctx.end()?;
                let tag = row_tag(tag, count, *written);
                portal.state = PortalState::Done { query: true };
                sink.complete(&tag)?;
            }
            PortalState::Done { query: true } => sink.complete("SELECT 0")?,
            _ => {
                let message = format!("portal \"{name}\" cannot be run");
                return Err(Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
            }
        }
        Ok(control)
    }

    /// Begins a portal's statement: it has rows then, or is done already, with this tag.
    fn start_portal(
        &mut self,
        host: &mut dyn Host,
        statement: &Prepared,
        portal: &mut Portal,
    ) -> Result<Option<String>> {
        let output = match &statement.kind {
            PreparedKind::Query(plan) => {
                let plan = self.current_plan(host, plan, &statement.text, &statement.params)?;
                host.statement_begins(plan.tag, &statement.text);
                self.output_of(host, &plan, portal.params.clone())?
            }
            PreparedKind::Utility(parsed) => {
                host.statement_begins(
                    utility_of(parsed).map_or("", |utility| utility.tag()),
                    &statement.text,
                );
                self.run_utility(host, parsed)?
            }
            PreparedKind::Empty => Output::Done(String::new()),
        };
        match output {
            Output::Done(tag) => Ok(Some(tag)),
            Output::Rows { mut node, fields, params, tag, is_change } => {
                portal.params = params;
                let fields = portal.fields(&fields)?;
                let mut written = 0;
                if is_change {
                    // Whatever part of the answer is asked for, the rows are written at once.
                    let mut ctx = self.context(host, portal.params.clone(), statement.text.clone());
                    node = Box::new(MadeRows::of(node, &mut ctx)?);
                    written = ctx.written;
                    ctx.end()?;
                    self.next_command(host)?;
                }
                portal.state = PortalState::Running { node, fields, tag, view: None, written };
                Ok(None)
            }
        }
    }

    /// `COMMIT` and its kin end the transaction at once, without waiting for Sync.
    fn ended_by(&mut self, host: &mut dyn Host, statement: &Prepared) -> Result<bool> {
        let PreparedKind::Utility(parsed) = &statement.kind else {
            return Ok(false);
        };
        let control = matches!(utility_of(parsed), Some(Utility::Commit(_) | Utility::Rollback(_)));
        if control {
            self.transaction.finish(host)?;
        }
        Ok(control)
    }

    /// Close, of a statement; it is no error if there is none.
    pub fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    /// Close, of a portal; it is no error if there is none.
    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    /// Sync: what ran since the last one is committed, unless a block is open.
    ///
    /// # Errors
    /// What ran since the last one could not be committed.
    pub fn sync(&mut self, host: &mut dyn Host) -> Result<()> {
        let finished = self.transaction.finish(host);
        if !matches!(finished, Ok(false)) {
            self.drop_portals();
        }
        finished.map(drop)
    }
}

/// The COPY that a statement is, if it is one.
fn copy_of(statement: &Prepared) -> Option<(&Parsed, &Copy)> {
    let PreparedKind::Utility(parsed) = &statement.kind else { return None };
    match utility_of(parsed)? {
        Utility::Definition(definition) => match &**definition {
            Definition::Copy(copy) => Some((parsed, copy)),
            _ => None,
        },
        _ => None,
    }
}

fn no_portal(name: &str) -> Box<Report> {
    Report::error(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

fn param_type(oid: u32) -> Result<Type> {
    if oid == 0 {
        return Ok(Type::UNKNOWN);
    }
    Type::from_oid(oid).ok_or_else(|| {
        Report::error(SqlState::UNDEFINED_OBJECT, format!("type with OID {oid} does not exist"))
    })
}
