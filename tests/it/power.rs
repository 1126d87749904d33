//! What a power failure could have left: states of a disk, built from a record of all writes and syncs.
//!
//! The rules: what was synced, by a sync that began when its write was over, is there; so is a write that was its own sync,
//! once it was over. Of every other write, over or still on its way, any of its 512-byte sectors may be there. A file is as
//! long as it was synced to be, or as any change of its length since then made it. Names follow their order: some of the
//! changes since the folder was synced are there, and none behind one that is not.

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
    durable_len: u64,
    /// Changes that may be there or not, in the order in which they began.
    pending: Vec<Pending>,
    /// Its sectors and length now, all of them counted.
    now: Sectors,
    len: u64,
    /// Changes that have begun.
    begun: u64,
}

#[derive(Clone)]
struct Pending {
    number: u64,
    /// Its place among the file's changes, by their beginnings.
    order: u64,
    change: Change,
    /// The bytes that it writes.
    range: std::ops::Range<u64>,
    /// How long the file is behind it.
    len: u64,
    is_over: bool,
}

#[derive(Clone)]
enum Change {
    Write(Sectors),
    SetLength,
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

/// Names in one folder: those that are durable, and what was done to them since.
#[derive(Default)]
struct Folder {
    durable: HashMap<PathBuf, usize>,
    unsynced: Vec<NameChange>,
}

/// A disk at some moment of the record.
#[derive(Default)]
pub struct Disk {
    files: Vec<Content>,
    names: HashMap<PathBuf, usize>,
    folders: BTreeMap<PathBuf, Folder>,
    syncing: HashMap<u64, Syncing>,
    syncing_folder: HashMap<u64, (PathBuf, usize)>,
    /// Operations that have begun, by number.
    begun: HashMap<u64, Recorded>,
}

impl Disk {
    /// The files below a folder, as they are now, are durable.
    pub fn add_durable(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.add_durable(&path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            let mut content =
                Content { durable_len: bytes.len() as u64, len: bytes.len() as u64, ..Content::default() };
            for (sector, bytes) in content.cut(0, &bytes) {
                put(&mut content.durable, sector, bytes);
            }
            content.now = content.durable.clone();
            self.files.push(content);
            let file = self.files.len() - 1;
            self.names.insert(path.clone(), file);
            self.folders.entry(folder.to_owned()).or_default().durable.insert(path, file);
        }
    }

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
                content.len = content.len.max(offset + bytes.len() as u64);
                let written = content.cut(*offset, bytes);
                written.iter().for_each(|(sector, bytes)| put(&mut content.now, *sector, bytes.clone()));
                let range = *offset..offset + bytes.len() as u64;
                content.change(number, Change::Write(written), range);
            }
            Recorded::SetLength { path, length } => {
                let Some(file) = self.names.get(path) else { return };
                let content = &mut self.files[*file];
                content.len = *length;
                cut_off(&mut content.now, *length);
                content.change(number, Change::SetLength, 0..0);
            }
            Recorded::Sync(path) => {
                let Some(file) = self.names.get(path) else { return };
                let over = self.files[*file].pending.iter().filter(|write| write.is_over);
                let covers = over.map(|write| write.number).collect();
                self.syncing.insert(number, Syncing { file: *file, covers });
            }
            Recorded::SyncFolder(path) => {
                let count = self.folders.get(path).map_or(0, |folder| folder.unsynced.len());
                self.syncing_folder.insert(number, (path.clone(), count));
            }
            // A file has its name for everybody once the operation has begun; the record's writer waits for its end.
            Recorded::Create(path) => {
                self.files.push(Content::default());
                self.change_name(NameChange::Link(path.clone(), self.files.len() - 1));
            }
            Recorded::Rename { from, to } => self.change_name(NameChange::Rename(from.clone(), to.clone())),
            Recorded::Remove(path) => self.change_name(NameChange::Remove(path.clone())),
        }
    }

    fn change_name(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        let folder = change.path().parent().expect("a file lies in a folder");
        self.folders.entry(folder.to_owned()).or_default().unsynced.push(change);
    }

    fn end(&mut self, number: u64) {
        match self.begun.remove(&number) {
            Some(Recorded::Write { path, durable, .. }) => {
                let Some(file) = self.names.get(&path) else { return };
                let content = &mut self.files[*file];
                if durable {
                    content.settle(|write| write.number == number);
                } else {
                    content.is_over(number);
                }
            }
            Some(Recorded::Sync(_)) => {
                if let Some(Syncing { file, covers }) = self.syncing.remove(&number) {
                    self.files[file].settle(|write| covers.contains(&write.number));
                }
            }
            Some(Recorded::SyncFolder(_)) => {
                let Some((path, count)) = self.syncing_folder.remove(&number) else { return };
                let Some(folder) = self.folders.get_mut(&path) else { return };
                for change in folder.unsynced.drain(..count.min(folder.unsynced.len())) {
                    apply_name(&mut folder.durable, &change);
                }
                for (_, other) in self.syncing_folder.values_mut().filter(|(other, _)| *other == path) {
                    *other = other.saturating_sub(count);
                }
            }
            Some(Recorded::SetLength { path, .. }) => {
                let Some(file) = self.names.get(&path) else { return };
                self.files[*file].is_over(number);
            }
            _ => {}
        }
    }

    /// Writes to `folder` what a power failure now might leave of the files below `root`; their folders are there.
    pub fn write_failed(&self, root: &Path, folder: &Path, rng: &mut Rng) {
        for names in self.folders.values() {
            let mut found = names.durable.clone();
            let kept = rng.below(names.unsynced.len() as u64 + 1) as usize;
            names.unsynced[..kept].iter().for_each(|change| apply_name(&mut found, change));
            for (path, file) in found {
                let name = path.strip_prefix(root).expect("a file below the root");
                self.files[file].write_failed(&folder.join(name), rng);
            }
        }
    }
}

impl Content {
    fn change(&mut self, number: u64, change: Change, range: std::ops::Range<u64>) {
        let (len, order) = (self.len, self.begun);
        self.begun += 1;
        self.pending.push(Pending { number, order, change, range, len, is_over: false });
    }

    /// The sectors of a write, with what is around it in them: they leave the page cache whole.
    fn cut(&self, offset: u64, bytes: &[u8]) -> Sectors {
        let size = SECTOR as u64;
        let end = offset + bytes.len() as u64;
        let whole = |number: u64| {
            let mut sector = self.now.get(&number).cloned().unwrap_or_else(|| vec![0; SECTOR]);
            sector.resize(SECTOR, 0);
            let (from, to) = (offset.max(number * size), end.min((number + 1) * size));
            sector[(from - number * size) as usize..(to - number * size) as usize]
                .copy_from_slice(&bytes[(from - offset) as usize..(to - offset) as usize]);
            (number, sector)
        };
        (offset / size..end.div_ceil(size)).map(whole).collect()
    }

    fn is_over(&mut self, number: u64) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.number == number) {
            pending.is_over = true;
        }
    }

    /// Makes changes durable. What was over before and lies under them cannot come back.
    fn settle(&mut self, settles: impl Fn(&Pending) -> bool) {
        let (settled, mut left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|pending| settles(pending));
        for pending in settled {
            match pending.change {
                Change::Write(written) => {
                    for other in &mut left {
                        // What began later, and was over before the sync was, is newer: the next one's.
                        let is_under = other.is_over && other.order < pending.order;
                        let range = other.range.clone();
                        let Change::Write(sectors) = &mut other.change else { continue };
                        if is_under {
                            sectors.retain(|sector, _| !written.contains_key(sector));
                        }
                        // What is around its own bytes in a sector is not older than what is durable.
                        for (sector, bytes) in sectors {
                            let Some(newer) = written.get(sector) else { continue };
                            let start = sector * SECTOR as u64;
                            for (at, byte) in bytes.iter_mut().enumerate() {
                                if !range.contains(&(start + at as u64)) {
                                    *byte = newer[at];
                                }
                            }
                        }
                    }
                    self.durable_len = self.durable_len.max(pending.len);
                    for (sector, bytes) in written {
                        put(&mut self.durable, sector, bytes);
                    }
                }
                Change::SetLength => {
                    self.durable_len = pending.len;
                    cut_off(&mut self.durable, pending.len);
                }
            }
        }
        self.pending = left;
    }

    fn write_failed(&self, path: &Path, rng: &mut Rng) {
        let (sectors, len) = self.failed(rng);
        let written = File::create(path).expect("the disk has room");
        written.set_len(len).expect("the disk has room");
        for (sector, bytes) in sectors {
            written.write_all_at(&bytes, sector * SECTOR as u64).expect("the disk has room");
        }
    }

    /// Lengths change in order, so some first ones of their changes are there; of what was written, any sectors.
    fn failed(&self, rng: &mut Rng) -> (Sectors, u64) {
        let all = self.pending.len();
        let lengths = if rng.below(2) == 0 { all } else { rng.below(all as u64 + 1) as usize };
        let is_cut = |at: &usize| matches!(self.pending[*at].change, Change::SetLength);
        let cuts: Vec<_> = (0..lengths).filter(is_cut).collect();
        let len_behind = |write: usize| {
            let behind = cuts.iter().filter(|cut| **cut > write).map(|cut| self.pending[*cut].len);
            behind.min().unwrap_or(u64::MAX)
        };
        let mut sectors = self.durable.clone();
        cut_off(&mut sectors, cuts.iter().map(|cut| self.pending[*cut].len).min().unwrap_or(u64::MAX));
        for at in shuffled(all, rng) {
            let Change::Write(written) = &self.pending[at].change else { continue };
            let end = len_behind(at).div_ceil(SECTOR as u64);
            for (sector, bytes) in written.iter().filter(|(sector, _)| **sector < end) {
                if rng.below(2) == 0 {
                    put(&mut sectors, *sector, bytes.clone());
                }
            }
        }
        let len = self.pending[..lengths].last().map_or(self.durable_len, |pending| pending.len);
        let len = if cuts.is_empty() { len.max(self.durable_len) } else { len };
        cut_off(&mut sectors, len);
        (sectors, len)
    }
}

fn put(sectors: &mut Sectors, number: u64, bytes: Vec<u8>) {
    if bytes.iter().all(|byte| *byte == 0) {
        sectors.remove(&number);
    } else {
        sectors.insert(number, bytes);
    }
}

/// Takes away what lies behind a file's end.
fn cut_off(sectors: &mut Sectors, len: u64) {
    sectors.split_off(&len.div_ceil(SECTOR as u64));
}

impl NameChange {
    fn path(&self) -> &Path {
        match self {
            Self::Link(path, _) | Self::Remove(path) | Self::Rename(path, _) => path,
        }
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

fn shuffled(len: usize, rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<_> = (0..len).collect();
    for i in (1..len).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
    order
}
