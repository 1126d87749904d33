//! Files of the data directory: every write and sync of the log and of relations goes through here, so that a test can
//! record them, and build from the record what a power failure could have left, or make them fail.
//!
//! A [`Watcher`] is told of each operation before and after. Without one, which is how the server runs, that costs a
//! comparison with `None`.
//!
//! # Safety
//!
//! [`Files::write_raw`] hands memory to `pwrite` that its caller promises to be mapped; other processes may change it
//! meanwhile, so no reference to it is made.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};

pub mod recording;

/// Something that is done to a file.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// A file comes to be, empty. Durable when its folder is synced.
    Create(&'a Path),
    /// Bytes are written.
    Write {
        /// To which file.
        path: &'a Path,
        /// From which of its bytes on.
        offset: u64,
        /// What.
        bytes: &'a [u8],
        /// When it is over they are on disk.
        durable: bool,
    },
    /// A file gets another length: cut off, or longer by zeroes.
    SetLength {
        /// Which file.
        path: &'a Path,
        /// Bytes it has afterwards.
        length: u64,
    },
    /// Bytes are read; told so that a watcher can fail it.
    Read {
        /// From which file.
        path: &'a Path,
        /// From which of its bytes on.
        offset: u64,
        /// How many.
        length: usize,
    },
    /// A file's content is brought to disk.
    Sync(&'a Path),
    /// A folder's entries are brought to disk.
    SyncFolder(&'a Path),
    /// A file gets another name, and whatever had that name is gone.
    Rename {
        /// Old name.
        from: &'a Path,
        /// New name.
        to: &'a Path,
    },
    /// A name is gone.
    Remove(&'a Path),
}

/// Somebody who looks on.
pub trait Watcher {
    /// The operation begins; an error is what it fails with, and then it is not done. The number comes back in
    /// [`Self::end`].
    fn begin(&self, operation: &Operation<'_>) -> io::Result<u64>;
    /// The operation succeeded.
    fn end(&self, number: u64, operation: &Operation<'_>) -> io::Result<()>;
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// To be read.
    Read,
    /// To be written, through the page cache.
    Write,
    /// To be read and written, through the page cache.
    ReadWrite,
    /// Each write is on disk when it is over, and does not go through the page cache if `direct`.
    WriteDurably {
        /// `O_DIRECT`: memory, offset and length are multiples of a sector.
        direct: bool,
    },
    /// New, an error if it exists; to be written through the page cache.
    Create,
}

/// An open file.
#[derive(Debug)]
pub struct DataFile {
    fd: OwnedFd,
    path: PathBuf,
    durable: bool,
}

impl DataFile {
    /// The name it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    pub fn length(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.fd)?.st_size as u64)
    }

    /// Asks the kernel to read a part ahead; it does so on its own time.
    pub fn will_need(&self, offset: u64, length: u64) -> io::Result<()> {
        Ok(rustix::fs::fadvise(
            &self.fd,
            offset,
            std::num::NonZeroU64::new(length),
            rustix::fs::Advice::WillNeed,
        )?)
    }

    /// Whether each write is its own sync.
    pub fn is_durable(&self) -> bool {
        self.durable
    }
}

impl AsFd for DataFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The way to the files.
#[derive(Clone, Default)]
pub struct Files {
    watcher: Option<Rc<dyn Watcher>>,
}

impl Files {
    /// Straight to the kernel.
    pub fn new() -> Self {
        Self::default()
    }

    /// With somebody looking on.
    pub fn watched(watcher: Rc<dyn Watcher>) -> Self {
        Self { watcher: Some(watcher) }
    }

    /// Whether somebody looks on. Then memory that others may change is written by [`Self::write_all_at`], from a copy.
    #[inline]
    pub fn is_watched(&self) -> bool {
        self.watcher.is_some()
    }

    #[inline]
    fn tell<R>(&self, operation: Operation<'_>, act: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let Some(watcher) = &self.watcher else { return act() };
        let number = watcher.begin(&operation)?;
        let result = act()?;
        watcher.end(number, &operation)?;
        Ok(result)
    }

    /// Opens a file.
    pub fn open(&self, path: &Path, how: How) -> io::Result<DataFile> {
        let flags = match how {
            How::Read => OFlags::RDONLY,
            How::Write => OFlags::WRONLY,
            How::ReadWrite => OFlags::RDWR,
            How::WriteDurably { direct: true } => OFlags::WRONLY | OFlags::DSYNC | OFlags::DIRECT,
            How::WriteDurably { direct: false } => OFlags::WRONLY | OFlags::DSYNC,
            How::Create => OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
        };
        let mode = Mode::RUSR | Mode::WUSR;
        let open = || Ok(rustix::fs::open(path, flags | OFlags::CLOEXEC, mode)?);
        let fd = if how == How::Create { self.tell(Operation::Create(path), open) } else { open() }?;
        Ok(DataFile { fd, path: path.to_owned(), durable: matches!(how, How::WriteDurably { .. }) })
    }

    /// Writes all of `bytes`.
    pub fn write_all_at(&self, file: &DataFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        let operation = Operation::Write { path: &file.path, offset, bytes, durable: file.durable };
        self.tell(operation, || {
            let mut done = 0;
            while done < bytes.len() {
                match rustix::io::pwrite(&file.fd, &bytes[done..], offset + done as u64) {
                    // Nothing was written and no error given: POSIX allows it, and trying again would not end.
                    Ok(0) => return Err(io::Error::from_raw_os_error(libc::ENOSPC)),
                    Ok(n) => done += n,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        })
    }

    /// Reads until `bytes` is full or the file ends; how many.
    pub fn read_at(&self, file: &DataFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let operation = Operation::Read { path: &file.path, offset, length: bytes.len() };
        self.tell(operation, || {
            let mut done = 0;
            while done < bytes.len() {
                match rustix::io::pread(&file.fd, &mut bytes[done..], offset + done as u64) {
                    Ok(0) => break,
                    Ok(n) => done += n,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(done)
        })
    }

    /// Cuts a file off, or makes it longer by zeroes.
    pub fn set_len(&self, file: &DataFile, length: u64) -> io::Result<()> {
        self.tell(Operation::SetLength { path: &file.path, length }, || {
            Ok(rustix::io::retry_on_intr(|| rustix::fs::ftruncate(&file.fd, length))?)
        })
    }

    /// Makes a file `length` bytes long with space for all of them, which reads as zeroes. Space that was never written to
    /// costs its first sync more than zeroes that were.
    pub fn allocate(&self, file: &DataFile, length: u64) -> io::Result<()> {
        self.tell(Operation::SetLength { path: &file.path, length }, || {
            let flags = rustix::fs::FallocateFlags::empty();
            Ok(rustix::io::retry_on_intr(|| rustix::fs::fallocate(&file.fd, flags, 0, length))?)
        })
    }

    /// Writes `len` bytes of memory that other processes may be changing, or the first of them: how many. Not for files
    /// that are watched.
    ///
    /// # Safety
    /// `start` and the `len` bytes from it are mapped.
    pub unsafe fn write_raw(
        &self,
        file: &DataFile,
        start: *const u8,
        len: usize,
        offset: u64,
    ) -> io::Result<usize> {
        debug_assert!(!self.is_watched());
        let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        loop {
            // SAFETY: the caller's promise; the kernel only reads.
            let written = unsafe { libc::pwrite(file.fd.as_raw_fd(), start.cast(), len, offset) };
            if written >= 0 {
                return Ok(written as usize);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Brings a file's content to disk, and what is needed to find it (`fdatasync`).
    pub fn sync_data(&self, file: &DataFile) -> io::Result<()> {
        self.tell(Operation::Sync(&file.path), || {
            Ok(rustix::io::retry_on_intr(|| rustix::fs::fdatasync(&file.fd))?)
        })
    }

    /// The same with all of its attributes (`fsync`).
    pub fn sync_all(&self, file: &DataFile) -> io::Result<()> {
        self.tell(Operation::Sync(&file.path), || {
            Ok(rustix::io::retry_on_intr(|| rustix::fs::fsync(&file.fd))?)
        })
    }

    /// Brings a folder's entries to disk.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.tell(Operation::SyncFolder(path), || fs::File::open(path)?.sync_all())
    }

    /// Renames a file, over another if there is one.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tell(Operation::Rename { from, to }, || fs::rename(from, to))
    }

    /// Renames a file; `AlreadyExists` if there is another of that name.
    pub fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tell(Operation::Rename { from, to }, || {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, flags) {
                // Not every file system has it; a link fails if the name is taken, too.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                    fs::hard_link(from, to)?;
                    fs::remove_file(from)
                }
                result => Ok(result?),
            }
        })
    }

    /// Removes a file.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.tell(Operation::Remove(path), || fs::remove_file(path))
    }
}

/// Brings everything to disk in the file system that has this file.
pub fn sync_file_system(file: &fs::File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(file)?)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Notes what it sees, and fails what its name says.
    struct Note {
        seen: RefCell<Vec<String>>,
        fails: &'static str,
    }

    impl Watcher for Note {
        fn begin(&self, operation: &Operation<'_>) -> io::Result<u64> {
            let text = match operation {
                Operation::Write { offset, bytes, durable, .. } => {
                    format!("write {} at {offset} {durable}", bytes.len())
                }
                Operation::Create(_) => "create".into(),
                Operation::SetLength { length, .. } => format!("set length {length}"),
                Operation::Read { length, .. } => format!("read {length}"),
                Operation::Sync(_) => "sync".into(),
                Operation::SyncFolder(_) => "sync folder".into(),
                Operation::Rename { .. } => "rename".into(),
                Operation::Remove(_) => "remove".into(),
            };
            let fails = !self.fails.is_empty() && text.starts_with(self.fails);
            self.seen.borrow_mut().push(text);
            if fails { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(1) }
        }

        fn end(&self, number: u64, _: &Operation<'_>) -> io::Result<()> {
            assert_eq!(number, 1);
            self.seen.borrow_mut().push("done".into());
            Ok(())
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tuskd-file-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn a_watcher_sees_everything() {
        let folder = folder("seen");
        let note = Rc::new(Note { seen: RefCell::default(), fails: "" });
        let files = Files::watched(note.clone());
        let (a, b) = (folder.join("a"), folder.join("b"));
        let file = files.open(&a, How::Create).unwrap();
        files.write_all_at(&file, b"abc", 5).unwrap();
        files.sync_data(&file).unwrap();
        files.rename_new(&a, &b).unwrap();
        files.sync_folder(&folder).unwrap();
        let file = files.open(&b, How::WriteDurably { direct: false }).unwrap();
        files.write_all_at(&file, b"x", 0).unwrap();
        files.remove(&b).unwrap();
        let seen = note.seen.borrow().join(", ");
        assert_eq!(
            seen,
            "create, done, write 3 at 5 false, done, sync, done, rename, done, sync folder, done, \
             write 1 at 0 true, done, remove, done"
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_a_watcher_fails_is_not_done() {
        let folder = folder("failed");
        let note = Rc::new(Note { seen: RefCell::default(), fails: "write" });
        let files = Files::watched(note);
        let file = files.open(&folder.join("a"), How::Create).unwrap();
        let error = files.write_all_at(&file, b"abc", 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn reading_ends_with_the_file_and_lengths_are_told() {
        let folder = folder("read");
        let note = Rc::new(Note { seen: RefCell::default(), fails: "" });
        let files = Files::watched(note.clone());
        fs::write(folder.join("a"), "abc").unwrap();
        let file = files.open(&folder.join("a"), How::ReadWrite).unwrap();
        let mut bytes = [0; 8];
        assert_eq!((files.read_at(&file, &mut bytes, 1).unwrap(), &bytes[..2]), (2, &b"bc"[..]));
        files.set_len(&file, 6).unwrap();
        files.write_all_at(&file, b"x", 7).unwrap();
        assert_eq!((files.read_at(&file, &mut bytes, 0).unwrap(), bytes), (8, *b"abc\0\0\0\0x"));
        assert_eq!(file.length().unwrap(), 8);
        file.will_need(0, 8).unwrap();
        let seen = note.seen.borrow().join(", ");
        assert_eq!(seen, "read 8, done, set length 6, done, write 1 at 7 false, done, read 8, done");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_new_name_replaces_nothing() {
        let folder = folder("new");
        let files = Files::new();
        for name in ["a", "b"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let error = files.rename_new(&folder.join("a"), &folder.join("b")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(folder.join("b")).unwrap(), b"b");
        fs::remove_dir_all(folder).unwrap();
    }
}
