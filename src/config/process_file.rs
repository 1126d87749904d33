//! Reading the files and giving settings what they say: the part that start, reload and `pg_file_settings` share.

use std::path::Path;
use std::sync::Arc;

use super::assign::{By, custom_name};
use super::definition::Context;
use super::file::{Item, Missing, Parsed};
use super::keys;
use super::stack::Action;
use super::state::{Settings, Source, Sourced};
use crate::report::{Report, Severity, SqlState};

/// What `ALTER SYSTEM` writes, in the data directory.
pub(super) const AUTO_FILE: &str = "postgresql.auto.conf";

/// What came of reading the files.
#[derive(Debug, Default)]
pub(super) struct Processed {
    pub(super) items: Vec<Item>,
    /// Lines for the log.
    pub(super) reports: Vec<Report>,
    /// The file with errors, if any has.
    pub(super) faulty: Option<Arc<str>>,
    /// Whether anything was applied.
    pub(super) applied: bool,
}

impl Settings {
    /// Reads the files that `config_file` and `data_directory` name, and applies them unless a line cannot be read or
    /// names no setting.
    pub(super) fn process_files(&mut self, by: By) -> Processed {
        let mut parsed = Parsed::default();
        parsed.read(Path::new(self.get(keys::CONFIG_FILE)), Missing::Error);
        // As PostgreSQL, which says nothing of what would follow a file that it cannot read.
        if parsed.broken.is_none() {
            parsed.read(&self.data_directory().join(AUTO_FILE), Missing::Skip);
        }
        let mut outcome =
            Processed { faulty: parsed.broken, reports: parsed.reports, ..Processed::default() };
        outcome.items = parsed.items;
        if outcome.faulty.is_none() {
            self.find_unknown_names(&mut outcome);
        }
        if outcome.faulty.is_none() {
            outcome.applied = true;
            self.apply_items(&mut outcome, by);
        }
        outcome
    }

    fn find_unknown_names(&self, outcome: &mut Processed) {
        for item in &mut outcome.items {
            let Some(name) = &item.name else { continue };
            if self.find(name).is_some() || custom_name(name).is_ok() {
                continue;
            }
            item.error = Some("unrecognized configuration parameter".to_owned());
            outcome.reports.push(Report::new(
                Severity::Log,
                SqlState::UNDEFINED_OBJECT,
                format!(
                    "unrecognized configuration parameter \"{name}\" in file \"{}\" line {}",
                    item.file, item.line
                ),
            ));
            outcome.faulty = Some(item.file.clone());
        }
    }

    fn apply_items(&mut self, outcome: &mut Processed, by: By) {
        // Names that have been found or may be made; an error here cannot be.
        let places: Vec<Option<usize>> = outcome
            .items
            .iter()
            .map(|item| item.name.as_deref().and_then(|name| self.find_or_make(name).ok()))
            .collect();
        for at in 0..self.slots.len() {
            if self.slots[at].reset.source == Source::File && !places.contains(&Some(at)) {
                self.remove(at, outcome, by);
            }
        }
        for (number, place) in places.iter().enumerate() {
            // Of several lines for one setting the last holds.
            if let Some(at) = place
                && !places[number + 1..].contains(place)
            {
                self.apply_item(*at, number, outcome, by);
            }
        }
    }

    /// A setting that the files no longer name goes back to its default.
    fn remove(&mut self, at: usize, outcome: &mut Processed, by: By) {
        if by.context == Context::Sighup && self.definition_at(at).context <= Context::Postmaster {
            self.slots[at].pending_restart = true;
            outcome.reports.push(Report::new(
                Severity::Log,
                SqlState::CANT_CHANGE_RUNTIME_PARAM,
                format!("parameter \"{}\" cannot be changed without restarting the server", self.name(at)),
            ));
            outcome.faulty = Some(self.get(keys::CONFIG_FILE).into());
            return;
        }
        let only_new_sessions =
            matches!(self.definition_at(at).context, Context::Backend | Context::SuperuserBackend);
        if by.in_child && only_new_sessions {
            return;
        }
        let weaken = |sourced: &mut Sourced| {
            if sourced.source == Source::File {
                sourced.source = Source::Default;
            }
        };
        weaken(&mut self.slots[at].reset);
        weaken(&mut self.slots[at].now);
        self.weaken_saved(at, weaken);
        let boot = By { source: Source::Default, ..by };
        if self.assign(at, None, boot).is_ok() {
            self.restore_computed(at);
            outcome.reports.push(Report::log(format!(
                "parameter \"{}\" removed from configuration file, reset to default",
                self.name(at)
            )));
        }
    }

    fn apply_item(&mut self, at: usize, number: usize, outcome: &mut Processed, by: By) {
        let item = &mut outcome.items[number];
        let (name, text) = (item.name.clone().unwrap_or_default(), item.value.clone().unwrap_or_default());
        let before = self.shown_plain(at);
        match self.assign(at, Some(&text), by) {
            Ok(_) => {
                item.applied = true;
                let slot = &mut self.slots[at];
                if slot.now.source == Source::File {
                    slot.place = Some((item.file.clone(), item.line));
                }
                if by.context == Context::Sighup && before != self.shown_plain(at) {
                    outcome.reports.push(Report::log(format!("parameter \"{name}\" changed to \"{text}\"")));
                }
            }
            Err(mut report) => {
                item.error = Some("setting could not be applied".to_owned());
                report.severity = Severity::Log;
                // PostgreSQL leaves the reader to search for the line.
                report.context = Some(format!("configuration file \"{}\" line {}", item.file, item.line));
                outcome.reports.push(*report);
                outcome.faulty = Some(item.file.clone());
            }
        }
    }
}

impl By {
    /// The files, read at the server's start.
    pub(super) const AT_START: Self =
        Self { context: Context::Postmaster, source: Source::File, action: Action::Set, in_child: false };
}
