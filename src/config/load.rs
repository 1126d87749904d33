//! The server's start: environment, command line, and the files, which are found by way of them.

use std::path::{Path, PathBuf};

use super::assign::By;
use super::definition::{Context, Key};
use super::file::{Missing, Parsed, reason, sqlstate_of};
use super::keys;
use super::process_file::Processed;
use super::stack::Action;
use super::state::{Settings, Source};
use crate::report::{Report, ReportExt, Result, Severity, SqlState};

/// What a server is started with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// `-D`, or else the environment's `PGDATA`.
    pub data_directory: Option<&'a Path>,
    /// `-c name=value` and what else stands for such, in order.
    pub options: &'a [(String, String)],
    /// The environment.
    pub environment: &'a [(String, String)],
}

/// Variables of the environment that set something.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PGPORT", "port"), ("PGDATESTYLE", "DateStyle"), ("PGCLIENTENCODING", "client_encoding")];

/// Defaults that PostgreSQL computes at start; here they are the same everywhere.
const COMPUTED: [(&str, &str); 4] = [
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("max_stack_depth", "2MB"),
    ("timezone_abbreviations", "Default"),
];

impl Settings {
    /// All settings of a server that starts, and lines for its log. On failure the lines come too, and the last of
    /// them is what it ends with.
    ///
    /// Relative paths are made absolute from the current directory, so this is done before it is changed.
    pub fn start(start: &Start<'_>) -> std::result::Result<(Self, Vec<Report>), Vec<Report>> {
        let mut settings = Self::default();
        settings.before_files(start).map_err(fatal)?;
        settings.find_files(start).map_err(fatal)?;
        let outcome = settings.process_files(By::AT_START);
        settings.after_files(outcome).and_then(|reports| match settings.check_together() {
            Ok(()) => Ok((settings, reports)),
            Err(report) => Err(reports.into_iter().chain(fatal(report)).collect()),
        })
    }

    fn before_files(&mut self, start: &Start<'_>) -> Result<()> {
        let by = |source| By { context: Context::Internal, source, action: Action::Set, in_child: false };
        for (name, value) in COMPUTED {
            let at = self.find_known(name)?;
            self.assign(at, Some(value), by(Source::DynamicDefault))?;
        }
        for (variable, name) in ENVIRONMENT {
            if let Some((_, value)) = start.environment.iter().find(|(name, _)| name == variable) {
                let at = self.find_known(name)?;
                self.assign(at, Some(value), by(Source::Environment))?;
            }
        }
        let by = By { context: Context::Postmaster, ..by(Source::CommandLine) };
        for (name, value) in start.options {
            let at = self.find_or_make(name)?;
            self.assign(at, Some(value), by)?;
        }
        Ok(())
    }

    /// Finds `config_file` by `data_directory`, which may itself stand in there.
    fn find_files(&mut self, start: &Start<'_>) -> Result<()> {
        let given = start.data_directory.map(absolute).transpose()?;
        if let Some(directory) = &given {
            let action = "Run \"tuskd init\" or pg_basebackup to initialize a PostgreSQL data directory.";
            std::fs::metadata(directory)
                .map_err(|error| no_access("directory", directory, &error).with_hint(action))?;
        }
        let config_file = match (self.get(keys::CONFIG_FILE), &given) {
            ("", None) => return Err(nowhere("server configuration file", "--config-file")),
            ("", Some(directory)) => directory.join("postgresql.conf"),
            (file, _) => absolute(Path::new(file))?,
        };
        std::fs::metadata(&config_file)
            .map_err(|error| no_access("the server configuration file", &config_file, &error))?;
        self.set_path(keys::CONFIG_FILE, &config_file)?;
        let directory = match (self.data_directory_in(&config_file), given) {
            (Some(directory), _) => absolute(Path::new(&directory))?,
            (None, Some(directory)) => directory,
            (None, None) => return Err(nowhere("database system data", "\"data_directory\"")),
        };
        self.set_path(keys::DATA_DIRECTORY, &directory)
    }

    /// `data_directory` from the command line, or else as the file has it.
    fn data_directory_in(&self, config_file: &Path) -> Option<String> {
        let given = self.get(keys::DATA_DIRECTORY);
        if !given.is_empty() {
            return Some(given.to_owned());
        }
        let mut parsed = Parsed::default();
        parsed.read(config_file, Missing::Error);
        let is_named = |name: &Option<String>| {
            name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("data_directory"))
        };
        parsed.items.into_iter().rev().find(|item| is_named(&item.name))?.value
    }

    /// Where `pg_hba.conf` and `pg_ident.conf` are, and whether all went well.
    fn after_files(&mut self, outcome: Processed) -> std::result::Result<Vec<Report>, Vec<Report>> {
        let mut reports = outcome.reports;
        if let Some(file) = outcome.faulty {
            reports.push(Report::new(
                Severity::Fatal,
                SqlState::CONFIG_FILE_ERROR,
                format!("configuration file \"{file}\" contains errors"),
            ));
            return Err(reports);
        }
        match self.find_access_files() {
            Ok(()) => Ok(reports),
            Err(report) => Err(reports.into_iter().chain(fatal(report)).collect()),
        }
    }

    fn find_access_files(&mut self) -> Result<()> {
        let folder = Path::new(self.get(keys::CONFIG_FILE)).parent().unwrap_or(Path::new("/")).to_owned();
        for (key, name) in [(keys::HBA_FILE, "pg_hba.conf"), (keys::IDENT_FILE, "pg_ident.conf")] {
            let path = match self.get(key) {
                "" => folder.join(name),
                given => absolute(Path::new(given))?,
            };
            self.set_path(key, &path)?;
        }
        Ok(())
    }

    fn set_path(&mut self, key: Key<str>, path: &Path) -> Result<()> {
        self.set_internal(key, &path.to_string_lossy())
    }
}

fn fatal(report: Box<Report>) -> Vec<Report> {
    vec![Report { severity: Severity::Fatal, ..*report }]
}

fn absolute(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|error| no_access("directory", path, &error))?;
    // Without a slash at its end, so that it compares equal to itself.
    Ok(absolute.components().collect())
}

fn no_access(what: &str, path: &Path, error: &std::io::Error) -> Box<Report> {
    Report::fatal(
        sqlstate_of(error),
        format!("could not access {what} \"{}\": {}", path.display(), reason(error)),
    )
}

fn nowhere(what: &str, option: &str) -> Box<Report> {
    let hint = match option {
        "--config-file" => {
            "You must specify the --config-file or -D invocation option or set the PGDATA environment variable."
        }
        _ => {
            "This can be specified as \"data_directory\" in the configuration file, or by the -D invocation \
             option, or by the PGDATA environment variable."
        }
    };
    Report::fatal(SqlState::CONFIG_FILE_ERROR, format!("tuskd does not know where to find the {what}"))
        .with_hint(hint)
}
