//! The files and directories of a new data directory: made, synced, or taken away again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use super::{InitOptions, config_file_text, texts, write_file, write_roles};
use crate::access::bootstrap::{Bootstrap, bootstrap};
use crate::access::control_file;
use crate::access::engine::LOG_FOLDER;
use crate::auth::roles::RolesFile;
use crate::catalog::{self, bootstrap::FirstCatalog};
use crate::control::data_directory::reason;
use crate::control::help;
use crate::control::program::{Failure, Program, complain, say};
use crate::os::signal::{self, Signal, SignalSet};
use crate::os::uring::{self, Ring};
use crate::wal::{Lsn, SyncMethod, Timeline, probe};

/// What lies in a data directory, by PostgreSQL's names where the meaning is PostgreSQL's.
const DIRECTORIES: [&str; 11] = [
    // Databases, a directory each.
    "base",
    // What belongs to all databases: roles, the control file.
    "global",
    // The logger's files.
    "log",
    // Where each subscription stands.
    "pg_logical",
    // What each replication slot still needs.
    "pg_replslot",
    // Statistics over a shutdown.
    "pg_stat",
    // Links to table spaces.
    "pg_tblspc",
    // Prepared transactions.
    "pg_twophase",
    // The write-ahead log and the archiver's marks.
    "pg_wal",
    "pg_wal/archive_status",
    // The map of transactions.
    "pg_xact",
];

/// Version of the formats of everything in a data directory; raised by what an older program could not read.
const FORMAT_VERSION: u32 = 1;

/// Signals that would end the process, held off while there is half a directory; dropped, they are let in.
pub struct Interruption {
    before: SignalSet,
}

impl Interruption {
    const SIGNALS: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

    /// From now on such a signal waits.
    pub fn hold_off() -> Self {
        let set = Self::SIGNALS.iter().fold(SignalSet::empty(), |set, signal| set.with(*signal));
        Self { before: signal::block(&set) }
    }

    fn check(&self) -> Result<(), Failure> {
        if Self::SIGNALS.iter().any(|signal| signal::is_pending(*signal)) {
            return Err(Failure::new("interrupted"));
        }
        Ok(())
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        signal::set_mask(&self.before);
    }
}

/// Makes everything, saying each step.
pub fn make(options: &InitOptions, is_absent: bool, interruption: &Interruption) -> Result<(), Failure> {
    let data_dir = &options.data_dir;
    let (dir_mode, file_mode) = if options.group_access { (0o750, 0o640) } else { (0o700, 0o600) };
    if is_absent {
        step(&format!("creating directory {}", data_dir.display()), || create_directory(data_dir, dir_mode))?;
    } else {
        let what = format!("fixing permissions on existing directory {}", data_dir.display());
        step(&what, || set_mode(data_dir, "directory ", dir_mode))?;
    }
    step("creating subdirectories", || {
        DIRECTORIES.iter().try_for_each(|name| create_directory(&data_dir.join(name), dir_mode))
    })?;
    interruption.check()?;
    step("creating configuration files", || create_configuration(options, file_mode))?;
    create_log(options, file_mode)?;
    interruption.check()?;
    step("creating roles", || write_roles(data_dir, &options.owner, options.password.as_deref(), file_mode))?;
    interruption.check()?;
    step("creating catalogs", || create_catalogs(options, dir_mode, file_mode))?;
    interruption.check()?;
    // The version file makes it a data directory; everything else must be there, and on disk, before.
    if options.sync {
        step("syncing data to disk", || {
            sync_all(data_dir)?;
            interruption.check()?;
            create_version_files(data_dir, file_mode)?;
            sync_all(data_dir)
        })
    } else {
        create_version_files(data_dir, file_mode)
    }
}

fn step(what: &str, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    say(&format!("{what} ... "));
    work()?;
    say("ok\n");
    Ok(())
}

/// Makes a directory and those above it. What the umask took away is given back.
fn create_directory(path: &Path, mode: u32) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(mode).recursive(true).create(path).map_err(|error| {
        Failure::new(format!("could not create directory \"{}\": {}", path.display(), reason(&error)))
    })?;
    set_mode(path, "directory ", mode)
}

fn set_mode(path: &Path, kind: &str, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| {
        let path = path.display();
        Failure::new(format!("could not change permissions of {kind}\"{path}\": {}", reason(&error)))
    })
}

fn create_configuration(options: &InitOptions, mode: u32) -> Result<(), Failure> {
    for (name, text) in [
        ("postgresql.conf", config_file_text(&options.settings)),
        ("postgresql.auto.conf", texts::AUTO_CONF.to_owned()),
        ("pg_hba.conf", texts::hba(&options.owner, &options.auth)),
        ("pg_ident.conf", texts::IDENT_CONF.to_owned()),
    ] {
        write_file(&options.data_dir.join(name), &text, mode)?;
    }
    Ok(())
}

/// The write-ahead log's first segment and the control file, with the sync method that is fastest here.
fn create_log(options: &InitOptions, mode: u32) -> Result<(), Failure> {
    let data_dir = &options.data_dir;
    say("selecting default \"wal_sync_method\" ... ");
    let sync_method = if options.sync { fastest_sync_method(data_dir)? } else { SyncMethod::Fdatasync };
    say(&format!("{}\n", sync_method.name()));
    step("creating write-ahead log and control file", || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let how = Bootstrap { sync_method, sync: options.sync, now };
        bootstrap(data_dir, &how).map_err(|report| Failure::new(report.message))?;
        let segment = Lsn::FIRST.segment().file_name(Timeline(1));
        let made = [data_dir.join(LOG_FOLDER).join(segment), data_dir.join(control_file::PATH)];
        made.iter().try_for_each(|path| set_mode(path, "", mode))
    })
}

/// The system catalogs, in every database, with the roles that the file of roles has.
fn create_catalogs(options: &InitOptions, dir_mode: u32, file_mode: u32) -> Result<(), Failure> {
    let data_dir = &options.data_dir;
    let failed = |report: Box<crate::report::Report>| Failure::new(report.message);
    let roles = RolesFile::read(data_dir).map_err(failed)?;
    let first = FirstCatalog { roles: &roles, sync: options.sync };
    catalog::bootstrap::bootstrap(data_dir, &first).map_err(failed)?;
    ["base", "global", "pg_xact"]
        .iter()
        .try_for_each(|name| set_modes(&data_dir.join(name), dir_mode, file_mode))
}

/// What was made below a directory gets the modes of this data directory.
fn set_modes(path: &Path, dir_mode: u32, file_mode: u32) -> Result<(), Failure> {
    set_mode(path, "directory ", dir_mode)?;
    let failed = |error: io::Error| {
        Failure::new(format!("could not read directory \"{}\": {}", path.display(), reason(&error)))
    };
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        match entry.file_type().map_err(failed)?.is_dir() {
            true => set_modes(&entry.path(), dir_mode, file_mode)?,
            false => set_mode(&entry.path(), "", file_mode)?,
        }
    }
    Ok(())
}

fn fastest_sync_method(data_dir: &Path) -> Result<SyncMethod, Failure> {
    let make_ring = || uring::probe().is_full().then(|| Ring::new(8).ok()).flatten();
    let trials = probe::try_all(&data_dir.join(LOG_FOLDER), make_ring)
        .map_err(|error| Failure::new(format!("could not try sync methods: {}", reason(&error))))?;
    Ok(probe::choose(&trials))
}

fn create_version_files(data_dir: &Path, mode: u32) -> Result<(), Failure> {
    let version = format!("{} {FORMAT_VERSION}\n", help::TUSKD_VERSION);
    write_file(&data_dir.join("tuskd_version"), &version, mode)?;
    write_file(&data_dir.join("PG_VERSION"), &format!("{}\n", help::MAJOR_VERSION), mode)
}

/// Puts a directory and everything below it on disk, and its name in the directory above.
pub fn sync_all(data_dir: &Path) -> Result<(), Failure> {
    sync_tree(data_dir)?;
    match data_dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_one(parent),
        _ => sync_one(Path::new(".")),
    }
}

fn sync_tree(path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(format!("could not read directory \"{}\": {}", path.display(), reason(&error)))
    };
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            sync_one(&entry.path())?;
        }
    }
    sync_one(path)
}

fn sync_one(path: &Path) -> Result<(), Failure> {
    // Another user's file, or one without read permission, can be on disk only by its owner's doing.
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        file => file,
    };
    file.and_then(|file| file.sync_all()).map_err(|error| {
        Failure::new(format!("could not fsync file \"{}\": {}", path.display(), reason(&error)))
    })
}

/// Takes a half-made directory away: all of it if it was made here, else what is in it.
pub fn take_away(program: &Program, data_dir: &Path, is_ours: bool) {
    let (name, shown) = (program.name, data_dir.display());
    if !data_dir.exists() {
        return;
    }
    let removed = if is_ours {
        complain(&format!("{name}: removing data directory \"{shown}\"\n"));
        fs::remove_dir_all(data_dir)
    } else {
        complain(&format!("{name}: removing contents of data directory \"{shown}\"\n"));
        remove_contents(data_dir)
    };
    if let Err(error) = removed {
        complain(&format!("{name}: error: failed to remove data directory: {}\n", reason(&error)));
    }
}

fn remove_contents(data_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(data_dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::init::create;
    use crate::control::program::Style;

    fn options(name: &str) -> InitOptions {
        let dir = std::env::temp_dir().join(format!("tuskd-layout-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        InitOptions { owner: "me".to_owned(), sync: false, ..InitOptions::new(dir) }
    }

    fn program() -> Program {
        Program::new("initdb", "initdb", "initdb", Style::Tagged)
    }

    #[test]
    fn a_second_attempt_is_refused_and_harmless() {
        let options = options("twice");
        create(&program(), &options).unwrap();
        let version = fs::read_to_string(options.data_dir.join("PG_VERSION")).unwrap();
        assert_eq!(version, "18\n");
        let failure = create(&program(), &options).unwrap_err();
        assert!(failure.message().ends_with("exists but is not empty"), "{failure:?}");
        assert!(options.data_dir.join("PG_VERSION").exists());
        fs::remove_dir_all(&options.data_dir).unwrap();
    }

    #[test]
    fn what_failed_is_taken_away() {
        let mut options = options("failed");
        // Such names are PostgreSQL's own.
        options.owner = "pg_owner".to_owned();
        create(&program(), &options).unwrap_err();
        assert!(!options.data_dir.exists());
        fs::create_dir(&options.data_dir).unwrap();
        create(&program(), &options).unwrap_err();
        assert_eq!(fs::read_dir(&options.data_dir).unwrap().count(), 0);
        options.clean = false;
        create(&program(), &options).unwrap_err();
        assert!(options.data_dir.join("global").exists());
        assert!(!options.data_dir.join("PG_VERSION").exists());
        fs::remove_dir_all(&options.data_dir).unwrap();
    }
}
