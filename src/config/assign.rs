//! Giving a setting a new value: who may, what the text means, and which source is stronger.

use std::sync::Arc;

use super::definition::{Context, Definition, Flags, Key};
use super::stack::Action;
use super::state::{Settings, Slot, Source, Sourced};
use super::table::CUSTOM;
use super::value::{self, Value};
use crate::report::{Report, ReportExt, Result, SqlState};

/// Who gives a setting a new value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct By {
    /// The occasion: the server's start, files read again, a session's start, a statement.
    pub(super) context: Context,
    /// What it will be known by.
    pub(super) source: Source,
    /// How long it holds.
    pub(super) action: Action,
    /// A child that reads the files again leaves alone what only a new session takes.
    pub(super) in_child: bool,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It holds, or waits behind a stronger source.
    Taken,
    /// Nothing was to be done.
    Ignored,
}

/// Whether a change is possible.
enum Permit {
    Change,
    /// Only the same value again, since a restart is needed.
    SameOnly,
    Ignore,
}

impl Settings {
    /// Gives the setting at `at` the value in `text`, or without one the value that RESET goes back to.
    pub(super) fn assign(&mut self, at: usize, text: Option<&str>, by: By) -> Result<Outcome> {
        let permit = self.permit(at, by)?;
        if matches!(permit, Permit::Ignore) {
            return Ok(Outcome::Ignored);
        }
        if text.is_none() && by.source == Source::Session && self.has(at, Flags::NO_RESET) {
            return Err(Report::not_supported(format!("parameter \"{}\" cannot be reset", self.name(at))));
        }
        let new = match text {
            Some(text) => Sourced { value: self.validated(at, text)?, source: by.source },
            None if by.source == Source::Default => {
                Sourced { value: self.definition_at(at).kind.boot(), source: Source::Default }
            }
            None => self.slots[at].reset.clone(),
        };
        if matches!(permit, Permit::SameOnly) {
            return self.compare_only(at, &new);
        }
        Ok(self.apply(at, new, text.is_some(), by))
    }

    /// The value in `text`, by type, bounds and check.
    pub(super) fn validated(&self, at: usize, text: &str) -> Result<Value> {
        let (name, definition) = (self.name(at), self.definition_at(at));
        let mut value = value::parse(name, definition, text)?;
        if definition.flags.has(Flags::NAME_LENGTH) {
            value = cut_to_name(value);
        }
        if let Some(check) = definition.check {
            let tried = value.clone();
            check(&mut value, self).map_err(|refusal| refusal.report(name, &tried))?;
        }
        Ok(value)
    }

    fn permit(&self, at: usize, by: By) -> Result<Permit> {
        let name = self.name(at);
        let session_start = matches!(by.context, Context::Backend | Context::SuperuserBackend);
        match self.definition_at(at).context {
            Context::Internal if by.context == Context::Internal => Ok(Permit::Change),
            Context::Internal => Err(cannot(name, "cannot be changed")),
            _ if by.context == Context::Internal => Ok(Permit::Change),
            Context::Postmaster => match by.context {
                Context::Postmaster => Ok(Permit::Change),
                Context::Sighup => Ok(Permit::SameOnly),
                _ => Err(cannot(name, "cannot be changed without restarting the server")),
            },
            Context::Sighup => match by.context {
                Context::Postmaster | Context::Sighup => Ok(Permit::Change),
                _ => Err(cannot(name, "cannot be changed now")),
            },
            Context::SuperuserBackend if by.context == Context::Backend => Err(denied(name)),
            Context::SuperuserBackend | Context::Backend => match by.context {
                Context::Sighup if by.in_child => Ok(Permit::Ignore),
                Context::Postmaster | Context::Sighup => Ok(Permit::Change),
                _ if session_start || by.source == Source::Client => Ok(Permit::Change),
                _ => Err(cannot(name, "cannot be set after connection start")),
            },
            Context::Superuser if matches!(by.context, Context::User | Context::Backend) => Err(denied(name)),
            Context::Superuser | Context::User => Ok(Permit::Change),
        }
    }

    fn compare_only(&mut self, at: usize, new: &Sourced) -> Result<Outcome> {
        let slot = &mut self.slots[at];
        // What the command line says holds after a restart too; PostgreSQL asks for one nevertheless.
        slot.pending_restart = slot.now.source <= new.source && slot.now.value != new.value;
        if !slot.pending_restart {
            return Ok(Outcome::Ignored);
        }
        Err(cannot(self.name(at), "cannot be changed without restarting the server"))
    }

    /// A stronger source keeps its value; but what RESET goes back to may change behind it.
    fn apply(&mut self, at: usize, new: Sourced, has_text: bool, by: By) -> Outcome {
        let is_default = by.source <= Source::Override && (has_text || by.source == Source::Default);
        let is_overridden = self.slots[at].now.source > by.source;
        if is_overridden && !is_default {
            return Outcome::Ignored;
        }
        if !is_overridden {
            if !is_default {
                self.save(at, by.action);
            }
            self.put(at, new.clone());
        }
        if matches!(by.source, Source::DynamicDefault | Source::Environment) {
            self.computed.insert(at, new.clone());
        }
        if is_default {
            if self.slots[at].reset.source <= by.source {
                self.slots[at].reset = new.clone();
            }
            self.change_saved(at, &new);
        }
        Outcome::Taken
    }

    /// Puts back what was computed, or was in the environment, where the table's default has just been set.
    pub(super) fn restore_computed(&mut self, at: usize) {
        if let Some(computed) = self.computed.get(&at).cloned() {
            let by = By {
                context: Context::Internal,
                source: computed.source,
                action: Action::Set,
                in_child: false,
            };
            self.apply(at, computed, true, by);
        }
    }

    /// Sets what only the server itself sets, or computes at start: `text` is as in a file.
    ///
    /// A value that its definition refuses is an error, as from any other source.
    pub fn set_internal<T: ?Sized>(&mut self, key: Key<T>, text: &str) -> Result<()> {
        self.assign_internal(key, text, Source::Override)
    }

    /// Sets a default that the server computed at start; any other source is stronger.
    pub fn set_computed<T: ?Sized>(&mut self, key: Key<T>, text: &str) -> Result<()> {
        self.assign_internal(key, text, Source::DynamicDefault)
    }

    fn assign_internal<T: ?Sized>(&mut self, key: Key<T>, text: &str, source: Source) -> Result<()> {
        let by = By { context: Context::Internal, source, action: Action::Set, in_child: false };
        self.assign(key.index(), Some(text), by).map(drop)
    }

    /// The place of a setting, which a custom name gets if it has none yet.
    pub(super) fn find_or_make(&mut self, name: &str) -> Result<usize> {
        if let Some(at) = self.find(name) {
            return Ok(at);
        }
        custom_name(name)?;
        self.custom_names.push(Arc::from(name));
        self.slots.push(Slot::new(&CUSTOM));
        Ok(self.slots.len() - 1)
    }

    /// The place of a setting that must be there.
    pub(super) fn find_known(&self, name: &str) -> Result<usize> {
        self.find(name).ok_or_else(|| unrecognized(name))
    }
}

fn cut_to_name(value: Value) -> Value {
    const MOST: usize = 63;
    match value {
        Value::Text(text) if text.len() > MOST => Value::Text(text[..text.floor_char_boundary(MOST)].into()),
        value => value,
    }
}

fn cannot(name: &str, what: &str) -> Box<Report> {
    Report::error(SqlState::CANT_CHANGE_RUNTIME_PARAM, format!("parameter \"{name}\" {what}"))
}

pub(super) fn denied(name: &str) -> Box<Report> {
    Report::error(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to set parameter \"{name}\""))
}

pub(super) fn unrecognized(name: &str) -> Box<Report> {
    Report::error(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

/// Whether a setting of this name may be kept for whoever asks.
pub(super) fn custom_name(name: &str) -> Result<()> {
    if !name.contains('.') {
        return Err(unrecognized(name));
    }
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let is_identifier = |part: &str| {
        part.starts_with(is_start) && part.chars().all(|c| is_start(c) || c.is_ascii_digit() || c == '$')
    };
    if name.split('.').all(is_identifier) {
        return Ok(());
    }
    Err(Report::error(SqlState::INVALID_NAME, format!("invalid configuration parameter name \"{name}\""))
        .with_detail("Custom parameter names must be two or more simple identifiers separated by dots."))
}

/// What RESET of a definition may not touch.
pub(super) fn is_reset_by_all(definition: &Definition) -> bool {
    !definition.flags.has(Flags::NO_RESET)
        && !definition.flags.has(Flags::NO_RESET_ALL)
        && matches!(definition.context, Context::Superuser | Context::User)
}
