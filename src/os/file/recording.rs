//! A watcher that records every operation of any number of processes in one file, in an order that really was one: an
//! operation whose end stands before another's beginning was over before that began.
//!
//! From the record, tests build the states that a power failure could have left. Each entry is appended by one `write` to a
//! descriptor with `O_APPEND`, which the kernel keeps whole.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::{Operation, Watcher};
use crate::os::process;

/// Records what it sees. A forked child's copy goes on recording in the same file.
#[derive(Debug)]
pub struct Recorder {
    fd: OwnedFd,
    count: Cell<u64>,
}

/// An entry of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An operation began.
    Begin {
        /// Which; unique in the record.
        number: u64,
        /// What.
        operation: Recorded,
    },
    /// It succeeded. One that failed, or whose process died, has no such entry.
    End {
        /// Which.
        number: u64,
    },
    /// What a test wrote between, such as that something was acknowledged.
    Note(Vec<u8>),
}

/// An operation, as recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// See [`Operation::Create`].
    Create(PathBuf),
    /// See [`Operation::Write`].
    Write {
        /// To which file.
        path: PathBuf,
        /// From which of its bytes on.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
        /// When it is over they are on disk.
        durable: bool,
    },
    /// See [`Operation::SetLength`].
    SetLength {
        /// Which file.
        path: PathBuf,
        /// Bytes it has afterwards.
        length: u64,
    },
    /// See [`Operation::Sync`].
    Sync(PathBuf),
    /// See [`Operation::SyncFolder`].
    SyncFolder(PathBuf),
    /// See [`Operation::Rename`].
    Rename {
        /// Old name.
        from: PathBuf,
        /// New name.
        to: PathBuf,
    },
    /// See [`Operation::Remove`].
    Remove(PathBuf),
}

const END: u8 = 0;
const NOTE: u8 = 1;
const CREATE: u8 = 2;
const WRITE: u8 = 3;
const DURABLE_WRITE: u8 = 4;
const SYNC: u8 = 5;
const SYNC_FOLDER: u8 = 6;
const RENAME: u8 = 7;
const REMOVE: u8 = 8;
const SET_LENGTH: u8 = 9;

impl Recorder {
    /// Begins a new record.
    pub fn create(path: &Path) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::APPEND | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { fd, count: Cell::new(0) })
    }

    /// Writes a note of the test's own.
    pub fn note(&self, note: &[u8]) -> io::Result<()> {
        self.append(NOTE, 0, 0, [note, b""])
    }

    fn next_number(&self) -> u64 {
        self.count.set(self.count.get() + 1);
        (process::pid().as_raw_nonzero().get() as u64) << 32 | self.count.get()
    }

    /// An entry: length of the rest, kind, number, offset, length of the first part, and two parts.
    fn append(&self, kind: u8, number: u64, offset: u64, parts: [&[u8]; 2]) -> io::Result<()> {
        let rest = 1 + 8 + 8 + 4 + parts[0].len() + parts[1].len();
        let mut entry = Vec::with_capacity(4 + rest);
        entry.extend_from_slice(&(rest as u32).to_le_bytes());
        entry.push(kind);
        entry.extend_from_slice(&number.to_le_bytes());
        entry.extend_from_slice(&offset.to_le_bytes());
        entry.extend_from_slice(&(parts[0].len() as u32).to_le_bytes());
        parts.iter().for_each(|part| entry.extend_from_slice(part));
        let written = rustix::io::write(&self.fd, &entry)?;
        if written == entry.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

impl Watcher for Recorder {
    fn begin(&self, operation: &Operation<'_>) -> io::Result<u64> {
        let number = self.next_number();
        let name = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let (kind, offset, first, second) = match *operation {
            Operation::Create(path) => (CREATE, 0, name(path), vec![]),
            Operation::Write { path, offset, bytes, durable } => {
                (if durable { DURABLE_WRITE } else { WRITE }, offset, name(path), bytes.to_vec())
            }
            Operation::SetLength { path, length } => (SET_LENGTH, length, name(path), vec![]),
            // Leaves nothing on disk.
            Operation::Read { .. } => return Ok(number),
            Operation::Sync(path) => (SYNC, 0, name(path), vec![]),
            Operation::SyncFolder(path) => (SYNC_FOLDER, 0, name(path), vec![]),
            Operation::Rename { from, to } => (RENAME, 0, name(from), name(to)),
            Operation::Remove(path) => (REMOVE, 0, name(path), vec![]),
        };
        self.append(kind, number, offset, [&first, &second])?;
        Ok(number)
    }

    fn end(&self, number: u64, operation: &Operation<'_>) -> io::Result<()> {
        if let Operation::Read { .. } = operation {
            return Ok(());
        }
        self.append(END, number, 0, [b"", b""])
    }
}

/// Reads a record; an entry that was cut off by its writer's death is left out.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let bytes = fs::read(path)?;
    let mut entries = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some(entry) = behind.get(..length) else { break };
        let entry = parse(entry).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        entries.push(entry);
        rest = &behind[length..];
    }
    Ok(entries)
}

fn parse(bytes: &[u8]) -> Option<Entry> {
    let (&kind, rest) = bytes.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (number, offset) = (u64::from_le_bytes(*number), u64::from_le_bytes(*offset));
    let (first, second) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()));
    let operation = match kind {
        END => return Some(Entry::End { number }),
        NOTE => return Some(Entry::Note(first.to_vec())),
        CREATE => Recorded::Create(path(first)),
        WRITE | DURABLE_WRITE => Recorded::Write {
            path: path(first),
            offset,
            bytes: second.to_vec(),
            durable: kind == DURABLE_WRITE,
        },
        SET_LENGTH => Recorded::SetLength { path: path(first), length: offset },
        SYNC => Recorded::Sync(path(first)),
        SYNC_FOLDER => Recorded::SyncFolder(path(first)),
        RENAME => Recorded::Rename { from: path(first), to: path(second) },
        REMOVE => Recorded::Remove(path(first)),
        _ => return None,
    };
    Some(Entry::Begin { number, operation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read() {
        let path = std::env::temp_dir().join(format!("tuskd-record-{}", std::process::id()));
        let recorder = Recorder::create(&path).unwrap();
        let (a, b) = (Path::new("a"), Path::new("b"));
        let operations = [
            Operation::Create(a),
            Operation::Write { path: a, offset: 512, bytes: b"xyz", durable: true },
            Operation::Write { path: a, offset: 0, bytes: b"", durable: false },
            Operation::Sync(a),
            Operation::SetLength { path: a, length: 3 },
            Operation::Read { path: a, offset: 0, length: 3 },
            Operation::Rename { from: a, to: b },
            Operation::SyncFolder(b),
            Operation::Remove(b),
        ];
        for operation in &operations {
            let number = recorder.begin(operation).unwrap();
            recorder.end(number, operation).unwrap();
        }
        recorder.note(b"hello").unwrap();
        let entries = read(&path).unwrap();
        assert_eq!(entries.len(), 17);
        assert_eq!(entries[16], Entry::Note(b"hello".to_vec()));
        let Entry::Begin { number, operation } = &entries[2] else { panic!("{:?}", entries[2]) };
        let expected =
            Recorded::Write { path: "a".into(), offset: 512, bytes: b"xyz".to_vec(), durable: true };
        assert_eq!((operation, &entries[3]), (&expected, &Entry::End { number: *number }));
        // A death in the middle of the last entry.
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 16);
        fs::remove_file(&path).unwrap();
    }
}
