//! A session: runs query strings, and the messages of the extended protocol, in their transactions.
//!
//! Nothing here knows of sockets. After an error of an extended message the caller skips messages up to the next Sync;
//! after each simple query and each Sync it sends [`Session::status`].

mod copy;
mod cursors;
mod definitions;
mod extended;
mod prepared;
mod sink;
mod statement;
#[cfg(test)]
mod tests;
mod transaction;
mod upkeep;
mod utility;

use std::collections::HashMap;
use std::sync::Arc;

use crate::report::{Report, Result, SqlState};

use super::analyze::environment::SessionEnvironment;
use super::analyze::expr::Expr;
use super::execute::{self, BoxNode, Context, Times};
use super::functions;
use super::host::{Host, StatementClass};
use super::parse::tree_ddl::Definition;
use super::parse::{self, Parsed, Statement, Utility};
use super::types::{Datum, Formats, Type, Wire};
pub use extended::{Bind, PortalSource, StatementDescription};
use prepared::{Portal, Prepared, class_of, utility_of};
pub use sink::{CopyInput, FieldInfo, ResultSink};
use statement::{QueryPlan, row_tag};
use transaction::Transaction;

/// What a session keeps between statements.
#[derive(Default)]
pub struct Session {
    transaction: Transaction,
    statements: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    cursors: HashMap<String, cursors::Cursor>,
    formats: Arc<Formats>,
    formats_version: Option<u64>,
    statement_start: i64,
}

/// What a statement answers.
enum Output {
    /// Rows, and the first word of the tag behind them.
    Rows { node: BoxNode, fields: Vec<FieldInfo>, params: Arc<[Datum]>, tag: &'static str, is_change: bool },
    /// A tag only.
    Done(String),
}

fn already_prepared(name: &str) -> Box<Report> {
    Report::error(
        SqlState::DUPLICATE_PREPARED_STATEMENT,
        format!("prepared statement \"{name}\" already exists"),
    )
}

/// PostgreSQL's answer to anything but the end of a transaction that failed.
fn in_failed_transaction() -> Box<Report> {
    Report::error(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

impl Session {
    /// A session without statements, outside a transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// The byte of ReadyForQuery: `I` outside a transaction block, `T` in one, `E` in one that failed.
    pub fn status(&self) -> u8 {
        self.transaction.status()
    }

    /// How values are printed as of the last statement.
    pub fn formats(&self) -> &Arc<Formats> {
        &self.formats
    }

    /// Runs a query string. On an error what ran before it in the same implicit block is rolled back.
    pub fn simple_query(&mut self, host: &mut dyn Host, text: &str, sink: &mut dyn ResultSink) -> Result<()> {
        self.arrive(host);
        // A simple query ends whatever the unnamed statement and portal were.
        self.statements.remove("");
        self.portals.remove("");
        let result = with_stack_for(text, || self.run_all(host, text, sink));
        self.settle(host, result)
    }

    fn run_all(&mut self, host: &mut dyn Host, text: &str, sink: &mut dyn ResultSink) -> Result<()> {
        let statements = parse::parse(text)?;
        if statements.is_empty() {
            return sink.empty();
        }
        let class = statements.iter().map(class_of).max().unwrap_or(StatementClass::Other);
        host.query_begins(text, class);
        let several = statements.len() > 1;
        for notice in statements.iter().flat_map(|parsed| &parsed.notices) {
            host.notice(notice.clone());
        }
        for (at, parsed) in statements.iter().enumerate() {
            self.transaction.begin_if_needed(host, self.statement_start);
            if several {
                self.transaction.begin_implicit();
            }
            let tag = self.run_one(host, parsed, sink)?;
            if at + 1 == statements.len() {
                // The tag says that it is done: that must be so, and durable.
                self.transaction.finish(host)?;
            }
            sink.complete(&tag)?;
        }
        Ok(())
    }

    /// Ends what is to end with a message: the transaction outside a block, or, on an error, what it spoiled.
    fn settle<T>(&mut self, host: &mut dyn Host, result: Result<T>) -> Result<T> {
        let result = result.and_then(|value| self.transaction.finish(host).map(|_| value));
        if result.is_err() {
            self.transaction.fail(host);
        }
        if result.is_err() || !self.transaction.is_running() {
            self.drop_portals();
        }
        result
    }

    /// Runs a statement up to its tag, which it gives back.
    fn run_one(&mut self, host: &mut dyn Host, parsed: &Parsed, sink: &mut dyn ResultSink) -> Result<String> {
        let utility = utility_of(parsed);
        if self.transaction.has_failed() && !utility.is_some_and(|utility| utility.ends_transaction()) {
            return Err(in_failed_transaction());
        }
        self.refresh_formats(host);
        let tag = prepared::tag_of(parsed);
        host.statement_begins(tag, parsed.source.statement_text());
        let output = match &parsed.statement {
            Statement::Planned(query) => {
                let (plan, _) = self.plan(host, query, &parsed.source, (&[], false))?;
                self.transaction.note_query();
                self.output_of(host, &plan, Arc::from([]))?
            }
            Statement::Utility(Utility::Definition(definition)) if host.has_tables() => match &**definition {
                Definition::Copy(copy) => return self.copy(host, parsed, copy, sink),
                _ => self.run_utility(host, parsed)?,
            },
            Statement::Utility(_) => self.run_utility(host, parsed)?,
        };
        match output {
            Output::Done(tag) => Ok(tag),
            Output::Rows { mut node, fields, params, tag, is_change } => {
                if !fields.is_empty() || !is_change {
                    sink.describe(&fields)?;
                }
                let mut ctx = self.context(host, params, parsed.source.text.clone());
                let count = pump(&mut node, &mut ctx, &fields, sink, u64::MAX)?.0;
                let tag = row_tag(tag, count, ctx.written);
                ctx.end()?;
                if is_change {
                    self.next_command(host)?;
                }
                Ok(tag)
            }
        }
    }

    /// A plan, about to be run.
    fn output_of(&self, host: &dyn Host, plan: &QueryPlan, params: Arc<[Datum]>) -> Result<Output> {
        if plan.is_change {
            self.check_read_only(host, plan.tag)?;
        }
        let (fields, tag, is_change) = (plan.fields.clone(), plan.tag, plan.is_change);
        Ok(Output::Rows { node: execute::start(&plan.plan), fields, params, tag, is_change })
    }

    /// The value of an expression without columns.
    fn constant(&self, host: &mut dyn Host, expr: &Expr) -> Result<Datum> {
        execute::eval(expr, &[], &mut Context::new(host, self.formats.clone(), self.times()))
    }

    fn context<'h>(&self, host: &'h mut dyn Host, params: Arc<[Datum]>, query: Arc<str>) -> Context<'h> {
        Context { params, query, ..Context::new(host, self.formats.clone(), self.times()) }
    }

    /// A message arrives: statements of it begin now.
    fn arrive(&mut self, host: &mut dyn Host) {
        self.statement_start = host.now();
        self.refresh_formats(host);
    }

    fn refresh_formats(&mut self, host: &dyn Host) {
        let version = host.settings_version();
        if self.formats_version != Some(version) {
            self.formats = Formats::read(|name| host.show(name).ok().flatten());
            self.formats_version = Some(version);
        }
    }

    fn times(&self) -> Times {
        Times { transaction: self.transaction.start, statement: self.statement_start }
    }

    fn environment<'h>(&self, host: &'h mut dyn Host) -> SessionEnvironment<'h> {
        SessionEnvironment::new(host, self.formats.clone(), self.transaction.start)
    }

    fn statement(&self, name: &str) -> Result<Arc<Prepared>> {
        self.statements.get(name).cloned().ok_or_else(|| {
            Report::error(
                SqlState::INVALID_SQL_STATEMENT_NAME,
                match name {
                    "" => "unnamed prepared statement does not exist".to_owned(),
                    name => format!("prepared statement \"{name}\" does not exist"),
                },
            )
        })
    }

    fn drop_portals(&mut self) {
        self.portals.clear();
        self.cursors.clear();
    }
}

/// Statements longer than this may be trees that are deep.
const LONG_STATEMENT: usize = 2000;
/// Stack enough for the deepest tree that parsing lets through.
const DEEP_STACK: usize = 64 * 1024 * 1024;

/// Runs what reads a statement on a stack that its tree cannot exhaust; a short one's cannot anyway.
fn with_stack_for<T>(text: &str, work: impl FnOnce() -> T) -> T {
    if text.len() <= LONG_STATEMENT { work() } else { stacker::grow(DEEP_STACK, work) }
}

/// Sends rows until there are no more or `limit` were sent. How many, and whether there are no more.
fn pump(
    node: &mut BoxNode,
    ctx: &mut Context<'_>,
    fields: &[FieldInfo],
    sink: &mut dyn ResultSink,
    limit: u64,
) -> Result<(u64, bool)> {
    let mut count = 0;
    while count < limit {
        match node.next(ctx)? {
            Some(mut row) => {
                name_objects(&mut row, fields, ctx)?;
                sink.row(&row, fields, &ctx.formats)?;
            }
            None => return Ok((count, true)),
        }
        count += 1;
    }
    Ok((count, false))
}

/// Puts names in the place of OIDs that are shown by name.
fn name_objects(row: &mut [Datum], fields: &[FieldInfo], ctx: &mut Context<'_>) -> Result<()> {
    for (datum, field) in row.iter_mut().zip(fields) {
        if let Datum::Oid(oid) = datum
            && field.ty.is_object_name()
            && field.ty != Type::REGTYPE
            && field.wire == Wire::Text
        {
            *datum = Datum::text(functions::catalog::object_name(*oid, field.ty, ctx)?);
        }
    }
    Ok(())
}
