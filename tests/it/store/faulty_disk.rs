//! A disk that fails once: one operation ends with an error and is not done. If it is a sync, what was written since the last
//! one is gone, as a kernel leaves it that has marked its pages clean; the next sync succeeds and says nothing of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tuskd::os::file::{Operation, Watcher};

/// What is done, and to what.
pub type Class = (&'static str, &'static str);

/// Which operation fails, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub class: Class,
    /// Operations of the class before it.
    pub skip: u32,
    pub errno: i32,
}

/// See the module. For one process.
pub struct FaultyDisk {
    fault: Fault,
    seen: Cell<u32>,
    unsynced: RefCell<HashMap<PathBuf, Vec<Before>>>,
}

/// How a part of a file was before it was written.
struct Before {
    offset: u64,
    bytes: Vec<u8>,
    length: u64,
}

impl FaultyDisk {
    pub fn new(fault: Fault) -> Self {
        Self { fault, seen: Cell::new(0), unsynced: RefCell::default() }
    }

    /// Whether the operation came that was to fail.
    pub fn has_failed(&self) -> bool {
        self.seen.get() > self.fault.skip
    }

    fn remember(&self, path: &Path, offset: u64, length: usize) -> io::Result<()> {
        let file = File::open(path)?;
        let mut bytes = vec![0; length];
        let mut read = 0;
        while let n @ 1.. = file.read_at(&mut bytes[read..], offset + read as u64)? {
            read += n;
        }
        bytes.truncate(read);
        let before = Before { offset, bytes, length: file.metadata()?.len() };
        self.unsynced.borrow_mut().entry(path.to_owned()).or_default().push(before);
        Ok(())
    }

    /// The file is again as it was synced last.
    fn lose_unsynced(&self, path: &Path) -> io::Result<()> {
        let unsynced = self.unsynced.borrow_mut().remove(path).unwrap_or_default();
        let file = File::options().write(true).open(path)?;
        for before in unsynced.into_iter().rev() {
            file.write_all_at(&before.bytes, before.offset)?;
            file.set_len(before.length)?;
        }
        Ok(())
    }
}

impl Watcher for FaultyDisk {
    fn begin(&self, operation: &Operation<'_>) -> io::Result<u64> {
        if class_of(operation) == self.fault.class {
            self.seen.set(self.seen.get() + 1);
            if self.seen.get() == self.fault.skip + 1 {
                if let Operation::Sync(path) = operation {
                    self.lose_unsynced(path)?;
                }
                return Err(io::Error::from_raw_os_error(self.fault.errno));
            }
        }
        match operation {
            Operation::Write { path, offset, bytes, durable: false } => {
                self.remember(path, *offset, bytes.len())?;
            }
            Operation::SetLength { path, length } => {
                let cut_off = std::fs::metadata(path)?.len().saturating_sub(*length);
                self.remember(path, *length, cut_off as usize)?;
            }
            _ => {}
        }
        Ok(0)
    }

    fn end(&self, _: u64, operation: &Operation<'_>) -> io::Result<()> {
        let mut unsynced = self.unsynced.borrow_mut();
        match operation {
            Operation::Sync(path) | Operation::Remove(path) => drop(unsynced.remove(*path)),
            Operation::Rename { from, to } => {
                let changes = unsynced.remove(*from);
                unsynced.remove(*to);
                changes.and_then(|changes| unsynced.insert(to.to_path_buf(), changes));
            }
            _ => {}
        }
        Ok(())
    }
}

fn class_of(operation: &Operation<'_>) -> Class {
    let (what, path) = match operation {
        Operation::Create(path) => ("create", path),
        Operation::Write { path, .. } => ("write", path),
        Operation::SetLength { path, .. } => ("cut", path),
        Operation::Read { path, .. } => ("read", path),
        Operation::Sync(path) => ("sync", path),
        Operation::SyncFolder(path) => ("sync folder", path),
        Operation::Rename { from, .. } => ("rename", from),
        Operation::Remove(path) => ("remove", path),
    };
    let path = path.to_string_lossy();
    let place = [
        ("pg_wal/xlogtemp", "new segment"),
        ("pg_wal", "log"),
        ("pg_xact", "map"),
        ("pg_control", "control file"),
        ("pg_twophase", "prepared"),
        ("base/", "relation"),
    ];
    (what, place.into_iter().find(|(part, _)| path.contains(part)).map_or("other", |(_, place)| place))
}
