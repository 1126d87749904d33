//! Putting on disk what a server that crashed had only written: before a start relies on any of it.
//!
//! Which files the dead processes wrote and had not synced nobody knows any more. Log that recovery reads, and pages that
//! it finds new enough, must not be lost later by a power failure, when the log behind them begins anew.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::os::file::sync_file_system;
use crate::report::Result;
use crate::storage::errors::failed;

/// How it is done: `recovery_init_sync_method`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncEverything {
    /// File by file.
    Fsync,
    /// By file system.
    Syncfs,
}

/// Folders whose files matter to a start.
const FOLDERS: [&str; 6] = ["base", "global", "pg_tblspc", "pg_twophase", "pg_wal", "pg_xact"];

/// Syncs everything in a data directory.
///
/// # Errors
/// If something cannot be read or synced: what is on disk is unknown then.
pub fn sync_data_directory(data_directory: &Path, how: SyncEverything) -> Result<()> {
    for folder in FOLDERS {
        let path = data_directory.join(folder);
        match how {
            SyncEverything::Fsync => sync_tree(&path)?,
            SyncEverything::Syncfs => {
                let synced = File::open(&path).and_then(|file| sync_file_system(&file));
                synced.map_err(|e| failed("syncfs", &path, &e))?;
            }
        }
    }
    Ok(())
}

fn sync_tree(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        // Not every data directory has each of them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| failed("open directory", folder, &e))?,
    };
    for entry in entries {
        let entry = entry.map_err(|e| failed("read directory", folder, &e))?;
        let path = entry.path();
        // A tablespace is a link to a folder.
        let kind = fs::metadata(&path).map_err(|e| failed("stat file", &path, &e))?.file_type();
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            sync_one(&path)?;
        }
    }
    sync_one(folder)
}

fn sync_one(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|e| failed("fsync file", path, &e))
}
