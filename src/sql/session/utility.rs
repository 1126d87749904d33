//! Statements that are no queries, run.

use std::sync::Arc;

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::analyze;
use crate::sql::analyze::expr::Expr;
use crate::sql::execute::{self, Context};
use crate::sql::functions::unrecognized;
use crate::sql::host::{AlterSystem, Host, Scope};
use crate::sql::parse::statement::{ExplainOptions, SetTarget};
use crate::sql::parse::tree::{self as ast, TypeName};
use crate::sql::parse::tree_ddl::Definition;
use crate::sql::parse::{Parsed, Planned, Utility};
use crate::sql::plan::{self, Plan};
use crate::sql::types::{Datum, Type, Wire};

use super::prepared::{Prepared, PreparedKind, utility_of};
use super::sink::FieldInfo;
use super::transaction::mode_settings;
use super::{Output, Session};

impl Session {
    /// Runs a statement that is no query.
    pub(super) fn run_utility(&mut self, host: &mut dyn Host, parsed: &Parsed) -> Result<Output> {
        let Some(utility) = utility_of(parsed) else {
            return Err(Report::error(SqlState::INTERNAL_ERROR, "a query is no utility statement"));
        };
        let tag = utility.tag();
        match utility {
            Utility::Show(name) => return show(host, name.as_deref()),
            Utility::Execute(name, arguments) => return self.execute_prepared(host, parsed, name, arguments),
            Utility::Explain(options, query) => return self.explain(host, parsed, *options, query),
            Utility::Commit(chain) => {
                let tag = self.transaction.commit(host, *chain, self.statement_start)?;
                self.drop_portals();
                return Ok(Output::Done(tag.to_owned()));
            }
            Utility::Definition(definition) => match &**definition {
                Definition::Checkpoint(options) if options.is_empty() => {
                    checkpoint(host)?;
                    return Ok(Output::Done(definition.tag()));
                }
                Definition::TwoPhase { what, gid } => return self.two_phase(host, what, gid),
                Definition::Declare { name, options, query } => {
                    self.declare(host, parsed, name, options, query)?;
                    return Ok(Output::Done(definition.tag()));
                }
                Definition::Fetch { name, direction, is_move } => {
                    return self.fetch(host, name, *direction, *is_move);
                }
                Definition::Vacuum { is_analyze, options, tables } if host.has_tables() => {
                    self.upkeep(host, &parsed.source, (*is_analyze, options), tables)?;
                    return Ok(Output::Done(definition.tag()));
                }
                definition => {
                    let done = self.define(host, parsed, definition)?;
                    return done.map(Output::Done).ok_or_else(|| refusal(parsed, &definition.tag()));
                }
            },
            Utility::Refused(what) => return Err(refusal(parsed, what)),
            Utility::Begin(..) | Utility::Rollback(_) | Utility::Savepoint(_) | Utility::Release(_) => {
                self.run_transaction_command(host, utility)?;
            }
            Utility::RollbackTo(name) => {
                self.transaction.rollback_to(host, name)?;
                self.drop_portals();
            }
            Utility::Set(scope, target) => self.run_set(host, *scope, target)?,
            Utility::Reset(None) => host.reset_all()?,
            Utility::Reset(Some(name)) => host.set(name, None, Scope::Session)?,
            Utility::Prepare(name, types, query) => self.prepare(host, parsed, name, types, query)?,
            Utility::Deallocate(None) => self.statements.clear(),
            Utility::Deallocate(Some(name)) => {
                self.statement(name)?;
                self.statements.remove(name);
            }
            Utility::Discard(_) => self.discard(host, tag)?,
            Utility::AlterSystem(change) => {
                self.transaction.prevent_in_block("ALTER SYSTEM")?;
                alter_system(host, change)?;
            }
            Utility::Close(None) => self.drop_portals(),
            Utility::Close(Some(name)) if self.close_cursor(name) => {}
            Utility::Close(Some(name)) => {
                let message = format!("cursor \"{name}\" does not exist");
                self.portals
                    .remove(name)
                    .ok_or_else(|| Report::error(SqlState::INVALID_CURSOR_NAME, message))?;
            }
            Utility::Unlisten => {}
        }
        Ok(Output::Done(tag.to_owned()))
    }

    /// `PREPARE TRANSACTION`, `COMMIT PREPARED`, `ROLLBACK PREPARED`; the tag is that of what really happened.
    fn two_phase(&mut self, host: &mut dyn Host, what: &str, gid: &str) -> Result<Output> {
        let mut tag = what;
        if what == "PREPARE TRANSACTION" {
            if !self.transaction.prepare(host, gid)? {
                tag = "ROLLBACK";
            }
            self.drop_portals();
        } else {
            self.transaction.prevent_in_block(what)?;
            host.finish_prepared(gid, what == "COMMIT PREPARED")?;
        }
        Ok(Output::Done(tag.to_owned()))
    }

    fn run_transaction_command(&mut self, host: &mut dyn Host, utility: &Utility) -> Result<()> {
        match utility {
            Utility::Begin(modes, _) => self.transaction.begin(host, modes),
            Utility::Savepoint(name) => self.transaction.savepoint(host, name),
            Utility::Release(name) => self.transaction.release(host, name),
            Utility::Rollback(chain) => {
                self.transaction.rollback(host, *chain, self.statement_start)?;
                self.drop_portals();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn run_set(&mut self, host: &mut dyn Host, scope: Scope, target: &SetTarget) -> Result<()> {
        match target {
            SetTarget::Setting(name, value) => {
                if scope == Scope::Local {
                    self.transaction.warn_outside_block(host, "SET LOCAL");
                }
                host.set(name, value.as_deref(), scope)
            }
            SetTarget::Transaction(modes) => {
                self.transaction.warn_outside_block(host, "SET TRANSACTION");
                self.transaction.set_modes(host, modes)
            }
            SetTarget::SessionCharacteristics(modes) => mode_settings(modes).try_for_each(|(name, value)| {
                host.set(&format!("default_transaction_{name}"), Some(value), Scope::Session)
            }),
        }
    }

    fn prepare(
        &mut self,
        host: &mut dyn Host,
        parsed: &Parsed,
        name: &str,
        types: &[TypeName],
        query: &Planned,
    ) -> Result<()> {
        if self.statements.contains_key(name) {
            return Err(super::already_prepared(name));
        }
        let environment = self.environment(host);
        let types: Vec<Type> = types
            .iter()
            .map(|ty| analyze::data_type(ty, &parsed.source, &environment))
            .collect::<Result<_>>()?;
        drop(environment);
        let (plan, params) = self.plan(host, query, &parsed.source, (&types, true))?;
        let text = parsed.source.statement_text().into();
        let prepared = Prepared { text, kind: PreparedKind::Query(plan), params };
        self.statements.insert(name.to_owned(), Arc::new(prepared));
        Ok(())
    }

    fn execute_prepared(
        &mut self,
        host: &mut dyn Host,
        parsed: &Parsed,
        name: &str,
        arguments: &[ast::Expr],
    ) -> Result<Output> {
        let statement = self.statement(name)?;
        // A statement without parameters does not look at arguments.
        if statement.params.len() != arguments.len() && !statement.params.is_empty() {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            return Err(Report::error(SqlState::SYNTAX_ERROR, message).with_detail(format!(
                "Expected {} parameters but got {}.",
                statement.params.len(),
                arguments.len()
            )));
        }
        let mut values = Vec::new();
        for (index, (argument, &ty)) in arguments.iter().zip(&statement.params).enumerate() {
            let expr = analyze::argument(argument, index, ty, &parsed.source, &self.environment(host))?;
            let expr = plan::plan_expr(&expr, &mut |expr| self.constant(host, expr))?;
            values.push(self.constant(host, &expr)?);
        }
        match &statement.kind {
            PreparedKind::Query(plan) => {
                let plan = self.current_plan(host, plan, &statement.text, &statement.params)?;
                self.output_of(host, &plan, values.into())
            }
            PreparedKind::Utility(inner) if !matches!(utility_of(inner), Some(Utility::Execute(..))) => {
                self.run_utility(host, inner)
            }
            PreparedKind::Utility(_) => {
                Err(Report::not_supported("EXECUTE of an EXECUTE is not supported yet"))
            }
            PreparedKind::Empty => Ok(Output::Done(String::new())),
        }
    }

    fn explain(
        &mut self,
        host: &mut dyn Host,
        parsed: &Parsed,
        options: ExplainOptions,
        query: &Planned,
    ) -> Result<Output> {
        if options.format != "TEXT" {
            let what = format!("EXPLAIN (FORMAT {}) is not supported yet", options.format);
            return Err(Report::not_supported(what));
        }
        let (made, _) = self.plan(host, query, &parsed.source, (&[], false))?;
        let plan = made.plan.clone();
        let mut lines = plan::explain::lines(&plan, options);
        if options.analyze {
            let start = host.now();
            let mut ctx = Context::new(host, self.formats.clone(), self.times());
            let count = execute::collect(&plan, &mut ctx)?.len();
            ctx.end()?;
            if made.is_change {
                self.next_command(host)?;
            }
            let millis = (host.now() - start) as f64 / 1000.0;
            if let Some(first) = lines.first_mut() {
                first.push_str(&format!(" (actual rows={count} loops=1)"));
            }
            lines.push(format!("Execution Time: {millis:.3} ms"));
        }
        let rows = lines.into_iter().map(|line| vec![line]).collect();
        Ok(text_rows(&["QUERY PLAN"], rows, "EXPLAIN"))
    }

    fn discard(&mut self, host: &mut dyn Host, tag: &str) -> Result<()> {
        if tag != "DISCARD ALL" {
            return Ok(());
        }
        self.transaction.prevent_in_block(tag)?;
        self.drop_portals();
        host.set("session_authorization", None, Scope::Session)?;
        host.reset_all()?;
        self.statements.clear();
        host.unlock_all_advisory()?;
        Ok(())
    }
}

/// The answer to what PostgreSQL has and tuskd does not.
fn refusal(parsed: &Parsed, what: &str) -> Box<Report> {
    let at = parsed.source.position(parsed.source.start);
    Report::not_supported(format!("{what} is not supported yet")).at(at)
}

/// `CHECKPOINT`.
fn checkpoint(host: &mut dyn Host) -> Result<()> {
    if host.facts().superuser {
        return host.checkpoint();
    }
    let message = "permission denied to execute CHECKPOINT command";
    Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message)
        .with_detail("Only roles with privileges of the \"pg_checkpoint\" role may execute this command."))
}

fn alter_system(host: &mut dyn Host, change: &AlterSystem) -> Result<()> {
    if !host.facts().superuser {
        return Err(match change {
            AlterSystem::Set(name, _) | AlterSystem::Reset(name) => Report::error(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to set parameter \"{name}\""),
            ),
            AlterSystem::ResetAll => Report::error(
                SqlState::INSUFFICIENT_PRIVILEGE,
                "permission denied to perform ALTER SYSTEM RESET ALL",
            ),
        });
    }
    host.alter_system(change.clone())
}

fn show(host: &mut dyn Host, name: Option<&str>) -> Result<Output> {
    let Some(name) = name else {
        let rows = host.settings().into_iter().map(|row| vec![row.name, row.setting, row.description]);
        return Ok(text_rows(&["name", "setting", "description"], rows.collect(), "SHOW"));
    };
    let value = host.show(name)?.ok_or_else(|| unrecognized(name))?;
    // The column is called as the setting is, whatever case it was asked for in.
    let settings = host.settings();
    let known = settings.iter().find(|row| row.name.eq_ignore_ascii_case(name));
    let column = known.map_or(name, |row| &row.name);
    Ok(text_rows(&[column], vec![vec![value]], "SHOW"))
}

/// What a statement like `SHOW` answers.
fn text_rows(columns: &[&str], rows: Vec<Vec<String>>, tag: &'static str) -> Output {
    let fields = columns.iter().map(|name| text_field(name)).collect();
    let rows: Vec<Vec<Expr>> = rows
        .into_iter()
        .map(|row| row.into_iter().map(|text| Expr::Const(Datum::text(text), Type::TEXT)).collect())
        .collect();
    Output::Rows {
        node: execute::start(&Plan::Values(rows.into())),
        fields,
        params: Arc::from([]),
        tag,
        is_change: false,
    }
}

fn text_field(name: &str) -> FieldInfo {
    FieldInfo { name: name.to_owned(), ty: Type::TEXT, typmod: -1, wire: Wire::Text }
}

impl Session {
    /// The columns that a statement will answer, known before it runs; none if it answers no rows.
    pub(super) fn fields_of(&self, host: &dyn Host, statement: &Prepared) -> Result<Option<Vec<FieldInfo>>> {
        let parsed = match &statement.kind {
            PreparedKind::Query(plan) => return Ok(plan.answered()),
            PreparedKind::Empty => return Ok(None),
            PreparedKind::Utility(parsed) => parsed,
        };
        Ok(match utility_of(parsed) {
            Some(Utility::Show(None)) => Some(["name", "setting", "description"].map(text_field).to_vec()),
            Some(Utility::Show(Some(name))) => {
                host.show(name)?.ok_or_else(|| unrecognized(name))?;
                let settings = host.settings();
                let known = settings.iter().find(|row| row.name.eq_ignore_ascii_case(name));
                Some(vec![text_field(known.map_or(name, |row| &row.name))])
            }
            Some(Utility::Explain(..)) => Some(vec![text_field("QUERY PLAN")]),
            Some(Utility::Definition(definition)) => match &**definition {
                Definition::Fetch { name, is_move: false, .. } => {
                    self.cursors.get(&name.text).map(|cursor| cursor.fields().to_vec())
                }
                _ => None,
            },
            Some(Utility::Execute(name, _)) => match &self.statement(name)?.kind {
                PreparedKind::Query(plan) => plan.answered(),
                _ => None,
            },
            _ => None,
        })
    }
}
