//! Sorting entries that may be more than memory should hold: runs that are sorted in memory are written to files, and
//! merged as they are read back.
//!
//! The files have no name once they are open, so that nothing is left of them whatever happens.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::key::{First, KeyShape};
use super::node::Entry;
use super::probe::{Edge, Probe, values_of};
use crate::access::row::Datum;
use crate::report::Result;
use crate::storage::errors::{failed, failed_write};

/// Bytes that a run is read ahead.
const READ_AHEAD: usize = 256 << 10;

/// Bytes that an entry costs beside its own.
const OVERHEAD: usize = size_of::<Slot>();

/// An entry in memory: its first number, if that is what decides most comparisons, and where it stands.
#[derive(Clone, Copy)]
struct Slot {
    prefix: u64,
    start: u32,
    len: u32,
}

/// Entries that are being sorted.
pub(super) struct Sorter<'k> {
    shape: &'k KeyShape,
    folder: PathBuf,
    /// Bytes that may be in memory.
    budget: usize,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    runs: Vec<File>,
}

impl<'k> Sorter<'k> {
    /// With so much memory, and a folder for what does not fit.
    pub fn new(shape: &'k KeyShape, folder: &Path, budget: usize) -> Self {
        Self {
            shape,
            folder: folder.into(),
            budget: budget.clamp(64 << 10, u32::MAX as usize),
            bytes: Vec::new(),
            slots: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Takes one more entry.
    pub fn add(&mut self, entry: &[u8]) -> Result<()> {
        let used = self.bytes.len() + (self.slots.len() + 1) * OVERHEAD;
        if used + entry.len() > self.budget && !self.slots.is_empty() {
            self.spill()?;
        }
        let prefix = prefix(self.shape, entry);
        self.slots.push(Slot { prefix, start: self.bytes.len() as u32, len: entry.len() as u32 });
        self.bytes.extend_from_slice(entry);
        Ok(())
    }

    fn sort(&mut self) {
        let (shape, bytes) = (self.shape, &self.bytes);
        let entry = |slot: &Slot| &bytes[slot.start as usize..][..slot.len as usize];
        self.slots.sort_unstable_by(|a, b| {
            a.prefix.cmp(&b.prefix).then_with(|| compare(shape, entry(a), entry(b)))
        });
    }

    /// Writes a run.
    fn spill(&mut self) -> Result<()> {
        self.sort();
        let path = self.folder.join(format!("btree-sort-{}-{}", std::process::id(), self.runs.len()));
        let open = || {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
            std::fs::remove_file(&path)?;
            Ok(file)
        };
        let file = open().map_err(|e| failed("create temporary file", &path, &e))?;
        let write = || {
            let mut to = BufWriter::with_capacity(READ_AHEAD, &file);
            for slot in &self.slots {
                to.write_all(&slot.len.to_le_bytes())?;
                to.write_all(&self.bytes[slot.start as usize..][..slot.len as usize])?;
            }
            to.flush()?;
            drop(to);
            (&file).rewind()
        };
        write().map_err(|e: io::Error| failed_write("write to file", &path, &e))?;
        self.runs.push(file);
        self.bytes.clear();
        self.slots.clear();
        Ok(())
    }

    /// Gives all entries in order.
    pub fn finish(mut self, mut give: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if self.runs.is_empty() {
            self.sort();
            for slot in &self.slots {
                give(&self.bytes[slot.start as usize..][..slot.len as usize])?;
            }
            return Ok(());
        }
        if !self.slots.is_empty() {
            self.spill()?;
        }
        self.bytes = Vec::new();
        let failed = |e: io::Error| failed("read from temporary file", &self.folder, &e);
        let mut runs: Vec<_> =
            self.runs.drain(..).map(|file| BufReader::with_capacity(READ_AHEAD, file)).collect();
        let mut heads = BinaryHeap::new();
        for (index, run) in runs.iter_mut().enumerate() {
            heads.extend(Head::read(self.shape, index, run, Vec::new()).map_err(failed)?.map(Reverse));
        }
        while let Some(Reverse(head)) = heads.pop() {
            give(&head.entry)?;
            let next = Head::read(self.shape, head.run, &mut runs[head.run], head.entry);
            heads.extend(next.map_err(failed)?.map(Reverse));
        }
        Ok(())
    }
}

/// The first entry of a run that was not given yet.
struct Head<'k> {
    shape: &'k KeyShape,
    prefix: u64,
    entry: Vec<u8>,
    run: usize,
}

impl<'k> Head<'k> {
    fn read(
        shape: &'k KeyShape,
        run: usize,
        from: &mut BufReader<File>,
        mut entry: Vec<u8>,
    ) -> io::Result<Option<Self>> {
        let mut len = [0; 4];
        match from.read_exact(&mut len) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        entry.resize(u32::from_le_bytes(len) as usize, 0);
        from.read_exact(&mut entry)?;
        Ok(Some(Self { shape, prefix: prefix(shape, &entry), entry, run }))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_prefix = self.prefix.cmp(&other.prefix);
        by_prefix.then_with(|| compare(self.shape, &self.entry, &other.entry)).then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head<'_> {}

/// A number that orders entries as their first column does, as far as it goes.
fn prefix(shape: &KeyShape, entry: &[u8]) -> u64 {
    if shape.first() == First::Other {
        return 0;
    }
    let Some(entry) = Entry::new(entry, false) else { return 0 };
    let order = shape.order(0);
    let flip = |number: i64| number as u64 ^ 1 << 63;
    match values_of(shape, entry.row(), 1).as_deref() {
        Ok([Datum::Int32(value)]) => flip((*value).into()),
        Ok([Datum::Int64(value)]) => flip(*value),
        // Nulls; together with the number at that end they are told apart by the whole comparison.
        _ if order.nulls_first => 0,
        _ => u64::MAX,
    }
}

/// The order of entries: by key, then by their rows' addresses.
pub(super) fn compare(shape: &KeyShape, a: &[u8], b: &[u8]) -> Ordering {
    // They were encoded by the index itself.
    let (Some(a), Some(b)) = (Entry::new(a, false), Entry::new(b, false)) else { return Ordering::Equal };
    let Ok(values) = values_of(shape, a.row(), shape.key_columns()) else { return Ordering::Equal };
    let Some(ctid) = a.ctid() else { return Ordering::Equal };
    Probe::new(shape, &values, Edge::At(ctid)).compare(b).unwrap_or(Ordering::Equal)
}
