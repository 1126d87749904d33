//! What a session does with settings: `SET`, `SET LOCAL`, `RESET`, its client's wishes, and those stored for its role
//! and database.

use super::assign::{By, is_reset_by_all};
use super::definition::{Context, Flags};
use super::list::quote_identifier;
use super::stack::Action;
use super::state::{Settings, Source};
use crate::report::{Report, Result, SqlState};

/// How long SET holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// For the session, if the transaction commits.
    Session,
    /// Until the transaction's end (`SET LOCAL`, `set_config` with `is_local`).
    Local,
}

impl Scope {
    const fn action(self) -> Action {
        match self {
            Self::Session => Action::Set,
            Self::Local => Action::Local,
        }
    }
}

const fn statement(is_superuser: bool, scope: Scope) -> By {
    let context = if is_superuser { Context::Superuser } else { Context::User };
    By { context, source: Source::Session, action: scope.action(), in_child: true }
}

impl Settings {
    /// `SET name TO value`, also with a time zone's name for `SET TIME ZONE`.
    pub fn set(&mut self, name: &str, value: &str, scope: Scope, is_superuser: bool) -> Result<()> {
        let at = self.find_or_make(name)?;
        self.assign(at, Some(value), statement(is_superuser, scope)).map(drop)
    }

    /// `RESET name`, `SET name TO DEFAULT`.
    pub fn reset(&mut self, name: &str, scope: Scope, is_superuser: bool) -> Result<()> {
        let at = self.find_or_make(name)?;
        self.assign(at, None, statement(is_superuser, scope)).map(drop)
    }

    /// `RESET ALL`. What takes a superuser to set does not take one to reset here, as in PostgreSQL.
    pub fn reset_all(&mut self) {
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            if slot.now.source <= Source::Override || !is_reset_by_all(self.definition_at(at)) {
                continue;
            }
            let reset = slot.reset.clone();
            self.save(at, Action::Set);
            self.put(at, reset);
        }
    }

    /// A setting from the startup packet, by name or out of its `options`.
    pub fn set_for_client(&mut self, name: &str, value: &str, is_superuser: bool) -> Result<()> {
        let context = if is_superuser { Context::SuperuserBackend } else { Context::Backend };
        self.set_for_session_start(name, value, context, Source::Client)
    }

    /// A setting that ALTER ROLE or ALTER DATABASE stored, which was allowed then; `source` is one of
    /// [`Source::Global`] to [`Source::DatabaseUser`].
    pub fn set_stored(&mut self, name: &str, value: &str, source: Source) -> Result<()> {
        self.set_for_session_start(name, value, Context::Superuser, source)
    }

    fn set_for_session_start(
        &mut self,
        name: &str,
        value: &str,
        context: Context,
        source: Source,
    ) -> Result<()> {
        let at = self.find_or_make(name)?;
        let by = By { context, source, action: Action::Set, in_child: true };
        self.assign(at, Some(value), by).map(drop)
    }

    /// The value that `SET name TO argument, …` gives: a list is joined, and its names quoted, if the setting is one.
    pub fn join_arguments(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let flags = self.definition(name).map(|definition| definition.flags).unwrap_or_default();
        let quotes = flags.has(Flags::QUOTED_LIST);
        if arguments.len() > 1 && !quotes && !flags.has(Flags::LIST) {
            return Err(Report::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("SET {name} takes only one argument"),
            ));
        }
        let quote =
            |argument: &&str| if quotes { quote_identifier(argument) } else { (*argument).to_owned() };
        Ok(arguments.iter().map(quote).collect::<Vec<_>>().join(", "))
    }
}
