//! `tuskd install-links DIR`: PostgreSQL's program names, as links to this one.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::data_directory::reason;
use super::program::{Failure, Outcome, say};

/// Names under which this program takes another's options.
pub const NAMES: [&str; 7] =
    ["postgres", "postmaster", "pg_ctl", "initdb", "pg_isready", "pg_controldata", "pg_checksums"];

/// Makes the links, replacing older links of our own and nothing else.
pub fn main(args: &[String]) -> Outcome {
    let [directory] = args else {
        return Err(Failure::usage("one directory is needed"));
    };
    if directory == "--help" || directory == "-?" {
        say(&super::help::tuskd());
        return Ok(0);
    }
    let directory = Path::new(directory);
    let target = std::env::current_exe()
        .map_err(|error| Failure::new(format!("could not find this program's file: {}", reason(&error))))?;
    fs::create_dir_all(directory).map_err(|error| {
        Failure::new(format!("could not create directory \"{}\": {}", directory.display(), reason(&error)))
    })?;
    for name in NAMES {
        let path = directory.join(name);
        link(&target, &path)?;
        say(&format!("{} -> {}\n", path.display(), target.display()));
    }
    Ok(0)
}

fn link(target: &Path, path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    match fs::read_link(path) {
        Ok(old) if old == target => return Ok(()),
        // An older place of this program.
        Ok(old) if old.file_name() == target.file_name() => {
            fs::remove_file(path).map_err(|error| {
                Failure::new(format!("could not remove file \"{shown}\": {}", reason(&error)))
            })?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => {
            return Err(Failure::new(format!("\"{shown}\" exists and is no link to this program"))
                .with_hint("Choose another directory, or remove it first."));
        }
    }
    symlink(target, path)
        .map_err(|error| Failure::new(format!("could not create link \"{shown}\": {}", reason(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_left_alone() {
        let dir = std::env::temp_dir().join(format!("tuskd-links-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let args = [dir.display().to_string()];
        assert_eq!(main(&args), Ok(0));
        assert_eq!(main(&args), Ok(0), "again");
        let stranger = dir.join("initdb");
        fs::remove_file(&stranger).unwrap();
        fs::write(&stranger, "mine").unwrap();
        let failure = main(&args).unwrap_err();
        assert!(failure.message().ends_with("is no link to this program"));
        assert_eq!(fs::read_to_string(&stranger).unwrap(), "mine");
        fs::remove_dir_all(dir).unwrap();
    }
}
