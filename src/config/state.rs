//! All settings' values in one process, where each came from, and typed access to them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::definition::{Definition, Flags, Key, Typed};
use super::stack::Saved;
use super::table::{self, COUNT, CUSTOM, DEFINITIONS, REPORTED};
use super::units::Unit;
use super::value::Value;

/// Where a value came from; a later one is stronger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Source {
    /// The table.
    Default,
    /// Computed at start.
    DynamicDefault,
    /// The postmaster's environment.
    Environment,
    /// The configuration files.
    File,
    /// The postmaster's command line.
    CommandLine,
    /// ALTER ROLE ALL SET.
    Global,
    /// ALTER DATABASE SET.
    Database,
    /// ALTER ROLE SET.
    User,
    /// ALTER ROLE IN DATABASE SET.
    DatabaseUser,
    /// The client's startup packet.
    Client,
    /// The server itself, for good.
    Override,
    /// Somebody at a terminal.
    Interactive,
    /// A trial, as ALTER ROLE SET makes it.
    Test,
    /// SET.
    Session,
}

impl Source {
    /// The words in `pg_settings.source`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default | Self::DynamicDefault => "default",
            Self::Environment => "environment variable",
            Self::File => "configuration file",
            Self::CommandLine => "command line",
            Self::Global => "global",
            Self::Database => "database",
            Self::User => "user",
            Self::DatabaseUser => "database user",
            Self::Client => "client",
            Self::Override => "override",
            Self::Interactive => "interactive",
            Self::Test => "test",
            Self::Session => "session",
        }
    }
}

/// A value and its source.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sourced {
    pub(super) value: Value,
    pub(super) source: Source,
}

/// One setting's state.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// What holds now.
    pub(super) now: Sourced,
    /// What RESET goes back to.
    pub(super) reset: Sourced,
    /// File and line, if `now` is from a file.
    pub(super) place: Option<(Arc<str>, u32)>,
    /// The files ask for a value that only a restart brings.
    pub(super) pending_restart: bool,
}

impl Slot {
    pub(super) fn new(definition: &Definition) -> Self {
        let boot = Sourced { value: definition.kind.boot(), source: Source::Default };
        Self { now: boot.clone(), reset: boot, place: None, pending_restart: false }
    }
}

/// All settings of one process.
#[derive(Clone)]
pub struct Settings {
    /// By place in the table; behind them those with names of two parts.
    pub(super) slots: Vec<Slot>,
    /// Names of those.
    pub(super) custom_names: Vec<Arc<str>>,
    /// Savepoints and transactions that have begun: 0 outside.
    pub(super) level: u32,
    /// What settings were before levels that have not ended, innermost last.
    pub(super) saved: BTreeMap<usize, Vec<Saved>>,
    /// Defaults that were computed or were in the environment, to be put back when the files no longer say otherwise.
    pub(super) computed: BTreeMap<usize, Sourced>,
    /// What is shown in the place of a value, by place in the table.
    pub(super) shown: BTreeMap<usize, String>,
    /// What the client was told last, by place in the table.
    pub(super) reported: BTreeMap<usize, String>,
    /// Whether a setting that clients are told of may have changed since.
    pub(super) report_due: bool,
    /// Counts changes.
    pub(super) generation: u64,
}

impl Default for Settings {
    /// All settings with the table's values.
    fn default() -> Self {
        Self {
            slots: DEFINITIONS.iter().map(Slot::new).collect(),
            custom_names: Vec::new(),
            level: 0,
            saved: BTreeMap::new(),
            computed: BTreeMap::new(),
            shown: BTreeMap::new(),
            reported: BTreeMap::new(),
            report_due: true,
            generation: 0,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let changed = (0..self.slots.len()).filter(|at| self.slots[*at].now.source != Source::Default);
        f.debug_map().entries(changed.map(|at| (self.name(at), &self.slots[at].now))).finish()
    }
}

impl Settings {
    /// The value of a setting; numbers are in the setting's unit.
    pub fn get<T: Typed + ?Sized>(&self, key: Key<T>) -> T::Value<'_> {
        T::of(&self.slots[key.index()].now.value).expect("a key has the type of its definition")
    }

    /// Whether nobody chose its value.
    pub fn is_default<T: Typed + ?Sized>(&self, key: Key<T>) -> bool {
        self.slots[key.index()].now.source == Source::Default
    }

    /// A time in milliseconds. Negative values, which settings use for "off", stay as they are.
    pub fn millis(&self, key: Key<i64>) -> i64 {
        self.in_unit(key, Unit::Milliseconds)
    }

    /// A size in bytes. Negative values, which settings use for "choose" or "no limit", stay as they are.
    pub fn bytes(&self, key: Key<i64>) -> i64 {
        self.in_unit(key, Unit::Bytes)
    }

    fn in_unit(&self, key: Key<i64>, wanted: Unit) -> i64 {
        let value = self.get(key);
        match DEFINITIONS[key.index()].unit {
            Some(unit) if value >= 0 && unit.is_time() == wanted.is_time() => {
                value * i64::from(unit.size()) / i64::from(wanted.size())
            }
            _ => value,
        }
    }

    /// The data directory, once [`Settings::start`] has found it.
    pub fn data_directory(&self) -> &Path {
        Path::new(self.get(super::DATA_DIRECTORY))
    }

    /// A number that grows with every change of a value, for those who keep what they derived from one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The definition of a setting by its name in any case; custom settings share one.
    pub fn definition(&self, name: &str) -> Option<&'static Definition> {
        self.find(name).map(|at| self.definition_at(at))
    }

    /// The setting's name as it is shown.
    pub fn canonical_name(&self, name: &str) -> Option<&str> {
        self.find(name).map(|at| self.name(at))
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        table::find(name).or_else(|| {
            let at = self.custom_names.iter().position(|custom| custom.eq_ignore_ascii_case(name))?;
            Some(COUNT + at)
        })
    }

    pub(super) fn definition_at(&self, at: usize) -> &'static Definition {
        DEFINITIONS.get(at).unwrap_or(&CUSTOM)
    }

    pub(super) fn name(&self, at: usize) -> &str {
        match at.checked_sub(COUNT) {
            None => DEFINITIONS[at].name,
            Some(custom) => &self.custom_names[custom],
        }
    }

    pub(super) fn has(&self, at: usize, flag: Flags) -> bool {
        self.definition_at(at).flags.has(flag)
    }

    /// The value RESET goes back to, as text.
    pub(super) fn reset_text(&self, at: usize) -> String {
        self.slots[at].reset.value.plain()
    }

    /// Puts a value in its place, and notes that somebody may have to be told.
    pub(super) fn put(&mut self, at: usize, new: Sourced) {
        let slot = &mut self.slots[at];
        if slot.now.value != new.value {
            self.generation += 1;
            self.report_due |= DEFINITIONS.get(at).is_some_and(|d| d.flags.has(Flags::REPORT));
        }
        slot.now = new;
    }

    /// Settings that clients are told of and that have changed since this was asked last; all of them at first.
    /// The names are PostgreSQL's, the values as `SHOW` prints them.
    pub fn take_report_changes(&mut self) -> Vec<(&'static str, String)> {
        if !std::mem::take(&mut self.report_due) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for at in REPORTED {
            let definition = &DEFINITIONS[at];
            let value = self.shown(at);
            if self.reported.get(&at) != Some(&value) {
                changes.push((definition.name, value.clone()));
                self.reported.insert(at, value);
            }
        }
        changes
    }

    /// A new client: it has been told nothing.
    pub fn forget_reports(&mut self) {
        self.reported.clear();
        self.report_due = true;
    }
}
