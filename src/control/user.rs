//! `--user NAME`: root gives up its rights for those of a user before it makes, reads or starts anything.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::data_directory::{self, State, reason};
use super::program::Failure;
use crate::os::credentials::{self, User};

/// Becomes the user for good. A data directory that is absent, or empty and root's, is the user's from here on.
///
/// # Errors
/// If there is no such user, this is not root, or the directory has something in it that belongs to somebody else: whose
/// that is, is not ours to say.
pub fn drop_to(name: &str, data_dir: &Path) -> Result<(), Failure> {
    let found = credentials::find_user(name)
        .map_err(|error| Failure::new(format!("could not look up user \"{name}\": {}", reason(&error))))?;
    let user = found.ok_or_else(|| Failure::new(format!("user \"{name}\" does not exist")))?;
    if credentials::effective_uid() != user.uid && credentials::effective_uid() != 0 {
        return Err(Failure::new(format!("only root can run the server as user \"{name}\"")));
    }
    give_directory(&user, data_dir)?;
    if credentials::effective_uid() == user.uid {
        return Ok(());
    }
    credentials::become_user(&user)
        .map_err(|error| Failure::new(format!("could not become user \"{name}\": {}", reason(&error))))
}

fn give_directory(user: &User, data_dir: &Path) -> Result<(), Failure> {
    let shown = data_dir.display();
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(format!("could not {what} directory \"{shown}\": {}", reason(&error)))
    };
    let state = data_directory::state(data_dir).map_err(|error| failed("access", error))?;
    if state == State::Absent {
        fs::create_dir_all(data_dir).map_err(|error| failed("create", error))?;
    }
    let owner = fs::symlink_metadata(data_dir).map_err(|error| failed("access", error))?.uid();
    if owner == user.uid {
        return Ok(());
    }
    if matches!(state, State::Filled(_)) || owner != 0 {
        return Err(Failure::new(format!("data directory \"{shown}\" has wrong ownership"))
            .with_hint("The server must be started by the user that owns the data directory."));
    }
    std::os::unix::fs::lchown(data_dir, Some(user.uid), Some(user.gid))
        .map_err(|error| failed("change owner of", error))
}
