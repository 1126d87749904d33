//! Tests of what settings do together: values, sessions, files, and a server's start.

mod against_postgres;
mod files;
mod sessions;
mod start;
mod values;

use std::path::PathBuf;

use super::*;
use crate::report::Report;

/// A data directory of its own, gone at the end.
struct Data(PathBuf);

impl Data {
    fn new(name: &str, conf: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tuskd-config-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let data = Self(path);
        data.write("postgresql.conf", conf);
        data.write("postgresql.auto.conf", "");
        data
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn start_with(&self, options: &[(&str, &str)]) -> Result<(Settings, Vec<Report>), Vec<Report>> {
        let options: Vec<_> = options.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Settings::start(&Start { data_directory: Some(&self.0), options: &options, environment: &[] })
    }

    fn start(&self) -> Settings {
        self.start_with(&[]).unwrap().0
    }

    /// Messages with their severities, without the folder's path.
    fn told(&self, reports: &[Report]) -> Vec<String> {
        let folder = format!("{}/", self.0.display());
        let line = |r: &Report| format!("{}: {}", r.severity.name(), r.message.replace(&folder, ""));
        reports.iter().map(line).collect()
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What an error says, with its code, detail and hint.
fn said(report: &Report) -> String {
    let mut text = format!("{} {}", report.sqlstate, report.message);
    for (word, more) in [("DETAIL", &report.detail), ("HINT", &report.hint)] {
        if let Some(more) = more {
            text += &format!(" {word} {more}");
        }
    }
    text
}

fn shown(settings: &Settings, name: &str) -> String {
    settings.show(name, true).unwrap().1
}

fn set(settings: &mut Settings, name: &str, value: &str) -> String {
    match settings.set(name, value, Scope::Session, true) {
        Ok(()) => shown(settings, name),
        Err(report) => said(&report),
    }
}
