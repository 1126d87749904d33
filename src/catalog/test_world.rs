//! A data directory with catalogs, and sessions in it, for tests.

use std::path::PathBuf;

/// A folder that is nobody else's, with the folders that a data directory has.
pub fn new_folder(name: &str) -> PathBuf {
    let path = |number: u32| {
        std::env::temp_dir().join(format!("tuskd-catalog-{name}-{}-{number}", std::process::id()))
    };
    let folder = (0..).map(path).find(|path| std::fs::create_dir(path).is_ok()).expect("some name is free");
    for name in ["base", "global", "pg_wal", "pg_wal/archive_status", "pg_xact", "pg_twophase"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    folder
}
