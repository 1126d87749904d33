//! How values are shown: `SHOW`, `current_setting`, `SHOW ALL`.

use super::assign::unrecognized;
use super::definition::{Flags, Key};
use super::state::Settings;
use super::value::Value;
use crate::report::{Report, ReportExt, Result, SqlState};

/// File modes are octal.
pub(super) fn octal(value: &Value) -> String {
    match value {
        Value::Int(mode) => format!("{mode:04o}"),
        other => other.plain(),
    }
}

/// `archive_command` says so where there is none.
pub(super) fn disabled_if_empty(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => "(disabled)".to_owned(),
        other => other.plain(),
    }
}

/// The kernel's value is asked for where there is a TCP connection; see [`Settings::show_instead`].
pub(super) fn zero_without_tcp(_: &Value) -> String {
    "0".to_owned()
}

/// A seed that was drawn is gone.
pub(super) fn unavailable(_: &Value) -> String {
    "unavailable".to_owned()
}

impl Settings {
    /// `SHOW name`: the name as it is spelled, and the value with the unit that reads best. `sees_all` is whether the
    /// user has the rights of `pg_read_all_settings`.
    pub fn show(&self, name: &str, sees_all: bool) -> Result<(&str, String)> {
        let at = self.find_known(name)?;
        if !sees_all && self.has(at, Flags::SUPERUSER_ONLY) {
            return Err(Report::error(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to examine \"{}\"", self.name(at)),
            )
            .with_detail(
                "Only roles with privileges of the \"pg_read_all_settings\" role may examine this parameter.",
            ));
        }
        Ok((self.name(at), self.shown(at)))
    }

    /// `current_setting(name, missing_ok)`: nothing where the setting is missing and may be.
    pub fn current_setting(&self, name: &str, missing_ok: bool, sees_all: bool) -> Result<Option<String>> {
        match self.find(name) {
            None if missing_ok => Ok(None),
            None => Err(unrecognized(name)),
            Some(_) => self.show(name, sees_all).map(|(_, value)| Some(value)),
        }
    }

    /// `SHOW ALL`: name, value and description, by name.
    pub fn show_all(&self, sees_all: bool) -> Vec<(&str, String, &'static str)> {
        self.visible(sees_all)
            .into_iter()
            .map(|at| (self.name(at), self.shown(at), self.definition_at(at).short_description))
            .collect()
    }

    /// Settings that the user may see, by name.
    pub(super) fn visible(&self, sees_all: bool) -> Vec<usize> {
        let is_visible =
            |at: &usize| !self.has(*at, Flags::HIDDEN) && (sees_all || !self.has(*at, Flags::SUPERUSER_ONLY));
        let mut places: Vec<_> = (0..self.slots.len()).filter(is_visible).collect();
        places.sort_by_cached_key(|at| self.name(*at).to_ascii_lowercase());
        places
    }

    /// Shows this in the place of a setting's value, or (`None`) the value again: for what the kernel decides.
    pub fn show_instead<T: ?Sized>(&mut self, key: Key<T>, shown: Option<String>) {
        match shown {
            Some(shown) => self.shown.insert(key.index(), shown),
            None => self.shown.remove(&key.index()),
        };
    }

    pub(super) fn shown(&self, at: usize) -> String {
        if let Some(shown) = self.shown.get(&at) {
            return shown.clone();
        }
        let (value, definition) = (&self.slots[at].now.value, self.definition_at(at));
        match definition.show {
            Some(show) => show(value),
            None => value.with_unit(definition.unit),
        }
    }

    /// The value as `pg_settings.setting` has it, in the setting's own unit.
    pub(super) fn shown_plain(&self, at: usize) -> String {
        if let Some(shown) = self.shown.get(&at) {
            return shown.clone();
        }
        let (value, definition) = (&self.slots[at].now.value, self.definition_at(at));
        definition.show.map_or_else(|| value.plain(), |show| show(value))
    }
}
