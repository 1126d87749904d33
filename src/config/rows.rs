//! Rows of the views `pg_settings` and `pg_file_settings`.

use super::definition::{Flags, Kind};
use super::reload::Reader;
use super::state::{Settings, Source};
use super::value::{Value, real_text};

/// A row of `pg_settings`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingRow {
    /// Its name.
    pub name: String,
    /// Its value, in its unit.
    pub setting: String,
    /// Its unit.
    pub unit: Option<&'static str>,
    /// Its place in the documentation.
    pub category: &'static str,
    /// One sentence about it.
    pub short_desc: &'static str,
    /// More about it.
    pub extra_desc: Option<&'static str>,
    /// Who may change it, and when.
    pub context: &'static str,
    /// Its type.
    pub vartype: &'static str,
    /// Where the value came from.
    pub source: &'static str,
    /// Least value of a number.
    pub min_val: Option<String>,
    /// Greatest value of a number.
    pub max_val: Option<String>,
    /// Words of a choice.
    pub enumvals: Option<&'static [&'static str]>,
    /// The value without any source.
    pub boot_val: Option<String>,
    /// The value that RESET goes back to.
    pub reset_val: Option<String>,
    /// The file that the value is from; only those see it who see all settings.
    pub sourcefile: Option<String>,
    /// The line there.
    pub sourceline: Option<u32>,
    /// The files ask for another value, which only a restart brings.
    pub pending_restart: bool,
}

/// A row of `pg_file_settings`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSettingRow {
    /// The file.
    pub sourcefile: Option<String>,
    /// The line there.
    pub sourceline: u32,
    /// Counts lines in the order in which they are read.
    pub seqno: u32,
    /// The setting's name as the file spells it; none where the line could not be read.
    pub name: Option<String>,
    /// Its value there.
    pub setting: Option<String>,
    /// Whether it would hold if the files were read again now.
    pub applied: bool,
    /// Why not.
    pub error: Option<String>,
}

impl Settings {
    /// The rows of `pg_settings`, by name.
    pub fn rows(&self, sees_all: bool) -> Vec<SettingRow> {
        self.visible(sees_all).into_iter().map(|at| self.row(at, sees_all)).collect()
    }

    fn row(&self, at: usize, sees_all: bool) -> SettingRow {
        let (slot, definition) = (&self.slots[at], self.definition_at(at));
        let (min_val, max_val) = match definition.kind {
            Kind::Int { min, max, .. } => (Some(min.to_string()), Some(max.to_string())),
            Kind::Real { min, max, .. } => (Some(real_text(min)), Some(real_text(max))),
            Kind::Bool { .. } | Kind::Text { .. } | Kind::Choice { .. } => (None, None),
        };
        let is_unset = |value: &Value| matches!((definition.kind, value), (Kind::Text { boot: None }, Value::Text(text)) if text.is_empty());
        let text = |value: &Value| (!is_unset(value)).then(|| value.plain());
        let place = slot.place.as_ref().filter(|_| sees_all && slot.now.source == Source::File);
        SettingRow {
            name: self.name(at).to_owned(),
            setting: self.shown_plain(at),
            unit: definition.unit.map(|unit| unit.name()),
            category: definition.category,
            short_desc: definition.short_description,
            extra_desc: Some(definition.extra_description).filter(|text| !text.is_empty()),
            context: definition.context.name(),
            vartype: definition.kind.name(),
            source: slot.now.source.name(),
            min_val,
            max_val,
            enumvals: match definition.kind {
                Kind::Choice { words, .. } => Some(words),
                _ => None,
            },
            boot_val: text(&definition.kind.boot()),
            reset_val: text(&slot.reset.value),
            sourcefile: place.map(|(file, _)| file.to_string()),
            sourceline: place.map(|(_, line)| *line),
            pending_restart: slot.pending_restart,
        }
    }

    /// The rows of `pg_file_settings`: what the files say now, and what would come of it if they were read again.
    pub fn file_setting_rows(&self) -> Vec<FileSettingRow> {
        // A copy reads them as a server that starts to reload would, so nothing of this session changes.
        let outcome = self.clone().process_files(Reader::Postmaster.as_by());
        (1..)
            .zip(outcome.items)
            .map(|(seqno, item)| FileSettingRow {
                sourcefile: Some(item.file.to_string()),
                sourceline: item.line,
                seqno,
                applied: item.applied,
                error: item.error,
                name: item.name,
                setting: item.value,
            })
            .collect()
    }

    /// The words of `pg_settings_get_flags`, for a setting that is there.
    pub fn flag_names(&self, name: &str) -> Option<Vec<&'static str>> {
        let flags = self.definition(name)?.flags;
        let no_reset = [Flags::NO_RESET, Flags::NO_RESET_ALL];
        let names = [
            ("EXPLAIN", flags.has(Flags::EXPLAIN)),
            ("NO_RESET", flags.has(Flags::NO_RESET)),
            ("NO_RESET_ALL", no_reset.iter().any(|flag| flags.has(*flag))),
            ("NO_SHOW_ALL", flags.has(Flags::HIDDEN)),
            ("NOT_IN_SAMPLE", flags.has(Flags::NOT_IN_SAMPLE)),
            ("RUNTIME_COMPUTED", flags.has(Flags::COMPUTED)),
        ];
        Some(names.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect())
    }
}
