//! What a power failure could have left: states of a disk, built from a record of all writes and syncs.
//!
//! The rules: what was synced, by a sync that began when its write was over, is there; so is a write that was its own sync,
//! once it was over. Of every other write, over or still on its way, any of its 512-byte sectors may be there. Names follow
//! their order: some of the changes since the folder was synced are there, and none behind one that is not.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tuskd::os::file::recording::{Entry, Recorded};

use crate::harness::Rng;

const SECTOR: usize = 512;

/// A file's sectors that are not zero, by number.
type Sectors = BTreeMap<u64, Vec<u8>>;

/// A file, whatever its name.
#[derive(Clone, Default)]
struct Content {
    durable: Sectors,
    /// Writes that may be there or not, in the order in which they began.
    pending: Vec<Pending>,
    len: u64,
}

#[derive(Clone)]
struct Pending {
    number: u64,
    sectors: Sectors,
    is_over: bool,
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// A sync that has begun: which file, and which of its writes were over then.
struct Syncing {
    file: usize,
    covers: Vec<u64>,
}

/// A disk at some moment of the record.
#[derive(Default)]
pub struct Disk {
    files: Vec<Content>,
    durable_names: HashMap<PathBuf, usize>,
    names: HashMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
    syncing: HashMap<u64, Syncing>,
    syncing_folder: HashMap<u64, usize>,
    /// Operations that have begun, by number.
    begun: HashMap<u64, Recorded>,
}

impl Disk {
    /// The next entry of the record.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Begin { number, operation } => self.begin(*number, operation),
            Entry::End { number } => self.end(*number),
            Entry::Note(_) => {}
        }
    }

    fn begin(&mut self, number: u64, operation: &Recorded) {
        self.begun.insert(number, operation.clone());
        match operation {
            Recorded::Write { path, offset, bytes, .. } => {
                let Some(file) = self.names.get(path) else { return };
                let content = &mut self.files[*file];
                let sectors = cut(*offset, bytes);
                content.pending.push(Pending { number, sectors, is_over: false });
                content.len = content.len.max(offset + bytes.len() as u64);
            }
            Recorded::Sync(path) => {
                let Some(file) = self.names.get(path) else { return };
                let over = self.files[*file].pending.iter().filter(|write| write.is_over);
                let covers = over.map(|write| write.number).collect();
                self.syncing.insert(number, Syncing { file: *file, covers });
            }
            Recorded::SyncFolder(_) => {
                self.syncing_folder.insert(number, self.unsynced_names.len());
            }
            // A file has its name for everybody once the operation has begun; the record's writer waits for its end.
            Recorded::Create(path) => {
                self.files.push(Content::default());
                self.change_name(NameChange::Link(path.clone(), self.files.len() - 1));
            }
            Recorded::Rename { from, to } => self.change_name(NameChange::Rename(from.clone(), to.clone())),
            Recorded::Remove(path) => self.change_name(NameChange::Remove(path.clone())),
            Recorded::SetLength { path, .. } => {
                panic!("the log never sets a length, so this disk knows none: {}", path.display())
            }
        }
    }

    fn change_name(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    fn end(&mut self, number: u64) {
        match self.begun.remove(&number) {
            Some(Recorded::Write { path, durable, .. }) => {
                let Some(file) = self.names.get(&path) else { return };
                let content = &mut self.files[*file];
                if durable {
                    content.settle(|write| write.number == number);
                } else if let Some(write) = content.pending.iter_mut().find(|w| w.number == number) {
                    write.is_over = true;
                }
            }
            Some(Recorded::Sync(_)) => {
                if let Some(Syncing { file, covers }) = self.syncing.remove(&number) {
                    self.files[file].settle(|write| covers.contains(&write.number));
                }
            }
            Some(Recorded::SyncFolder(_)) => {
                let Some(count) = self.syncing_folder.remove(&number) else { return };
                for change in self.unsynced_names.drain(..count.min(self.unsynced_names.len())) {
                    apply_name(&mut self.durable_names, &change);
                }
                for other in self.syncing_folder.values_mut() {
                    *other = other.saturating_sub(count);
                }
            }
            _ => {}
        }
    }

    /// Writes to `folder`, which is empty, what a power failure now might leave.
    pub fn write_failed(&self, folder: &Path, rng: &mut Rng) {
        let mut names = self.durable_names.clone();
        let kept = rng.below(self.unsynced_names.len() as u64 + 1) as usize;
        for change in &self.unsynced_names[..kept] {
            apply_name(&mut names, change);
        }
        for (path, file) in names {
            let content = &self.files[file];
            let mut sectors = content.durable.clone();
            for at in shuffled(content.pending.len(), rng) {
                for (sector, bytes) in &content.pending[at].sectors {
                    if rng.below(2) == 0 {
                        sectors.insert(*sector, bytes.clone());
                    }
                }
            }
            let name = path.file_name().expect("a file's path");
            let written = File::create(folder.join(name)).expect("the disk has room");
            written.set_len(content.len).expect("the disk has room");
            for (sector, bytes) in sectors {
                written.write_all_at(&bytes, sector * SECTOR as u64).expect("the disk has room");
            }
        }
    }
}

impl Content {
    /// Makes writes durable. What was over before and lies under them cannot come back.
    fn settle(&mut self, settles: impl Fn(&Pending) -> bool) {
        let (settled, mut left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|write| settles(write));
        for write in settled {
            for other in left.iter_mut().filter(|other| other.is_over) {
                other.sectors.retain(|sector, _| !write.sectors.contains_key(sector));
            }
            for (sector, bytes) in write.sectors {
                if bytes.iter().all(|b| *b == 0) {
                    self.durable.remove(&sector);
                } else {
                    self.durable.insert(sector, bytes);
                }
            }
        }
        self.pending = left;
    }
}

fn apply_name(names: &mut HashMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Link(path, file) => {
            names.insert(path.clone(), *file);
        }
        NameChange::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

/// Sectors of a write, which begins with one.
fn cut(offset: u64, bytes: &[u8]) -> Sectors {
    assert!(offset.is_multiple_of(SECTOR as u64), "a write at {offset} begins within a sector");
    let numbers = offset / SECTOR as u64..;
    numbers.zip(bytes.chunks(SECTOR)).map(|(number, chunk)| (number, chunk.to_vec())).collect()
}

fn shuffled(len: usize, rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<_> = (0..len).collect();
    for i in (1..len).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
    order
}
