//! The open log files, one per form, and what is about to be written to them.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::config::Destination;
use super::super::output::{Output, write_whole};

/// The owner can always write, or the logger could not go on after a restart.
const OWNER_WRITE: u32 = 0o200;

/// Up to one file per form. The one of text is always open.
#[derive(Debug, Default)]
pub(super) struct Files([Option<LogFile>; 3]);

/// An open log file.
#[derive(Debug)]
pub(super) struct LogFile {
    /// From the data directory, unless absolute.
    pub(super) path: PathBuf,
    file: File,
    pub(super) size_bytes: u64,
    /// Not written yet; empty between two calls from outside.
    buffer: Vec<u8>,
    /// Whether the file, without the buffer, ends with a newline or is empty.
    ends_line: bool,
    /// Whether the last write failed, which has been said then.
    has_failed: bool,
}

impl Files {
    pub(super) fn get(&self, destination: Destination) -> Option<&LogFile> {
        self.0[destination as usize].as_ref()
    }

    pub(super) fn set(&mut self, destination: Destination, file: Option<LogFile>) {
        self.0[destination as usize] = file;
    }

    /// Takes a message, which begins on a line of its own. A form whose file is not open is kept with the text: better
    /// there than lost.
    pub(super) fn append_message(&mut self, destination: Destination, text: &[u8]) {
        if let Some(file) = self.open_for(destination) {
            if !file.ends_line() {
                file.buffer.push(b'\n');
            }
            file.buffer.extend_from_slice(text);
        }
    }

    /// Takes bytes that belong to no message.
    pub(super) fn append_raw(&mut self, bytes: &[u8]) {
        if let Some(file) = self.open_for(Destination::Stderr) {
            file.buffer.extend_from_slice(bytes);
        }
    }

    fn open_for(&mut self, destination: Destination) -> Option<&mut LogFile> {
        let [text, csv, json] = &mut self.0;
        let own = match destination {
            Destination::Stderr => None,
            Destination::Csvlog => csv.as_mut(),
            Destination::Jsonlog => json.as_mut(),
        };
        own.or(text.as_mut())
    }

    /// Writes what was taken; what the files refuse goes to `fallback`. Returns the first failure that has not been
    /// returned before.
    pub(super) fn flush(&mut self, fallback: &Output) -> Option<(PathBuf, io::Error)> {
        let mut failure = None;
        for file in self.0.iter_mut().flatten() {
            if let Some(error) = file.flush(fallback) {
                failure.get_or_insert((file.path.clone(), error));
            }
        }
        failure
    }
}

impl LogFile {
    /// Opens `path`, which is relative to `data_dir`, making it with exactly `mode` if it is not there.
    pub(super) fn open(data_dir: &Path, path: PathBuf, mode: u32, truncate: bool) -> io::Result<Self> {
        let full = data_dir.join(&path);
        let file = match OpenOptions::new().append(true).create_new(true).mode(0o600).open(&full) {
            Ok(file) => {
                // Afterwards, since the umask would take its share of the mode.
                file.set_permissions(Permissions::from_mode(mode & 0o666 | OWNER_WRITE))?;
                file
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                OpenOptions::new().append(true).open(&full)?
            }
            Err(error) => return Err(error),
        };
        if truncate {
            file.set_len(0)?;
        }
        let size_bytes = file.metadata()?.len();
        let ends_line = ends_line(&full, size_bytes);
        Ok(Self { path, file, size_bytes, buffer: Vec::new(), ends_line, has_failed: false })
    }

    fn ends_line(&self) -> bool {
        self.buffer.last().map_or(self.ends_line, |last| *last == b'\n')
    }

    /// The error is returned at the first of several failures.
    fn flush(&mut self, fallback: &Output) -> Option<io::Error> {
        let buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            return None;
        }
        let (written, result) = write_whole(&mut self.file, &buffer);
        self.size_bytes += written as u64;
        if let Some(last) = buffer[..written].last() {
            self.ends_line = *last == b'\n';
        }
        if result.is_err() {
            fallback.write_raw(&buffer[written..]);
        }
        let had_failed = std::mem::replace(&mut self.has_failed, result.is_err());
        result.err().filter(|_| !had_failed)
    }
}

/// Whether the file is empty or ends with a newline, as it does unless the logger was killed while it wrote. A file that
/// may not be read is believed to.
fn ends_line(path: &Path, size_bytes: u64) -> bool {
    let Some(last) = size_bytes.checked_sub(1) else {
        return true;
    };
    let mut byte = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, last));
    read.is_err() || byte == *b"\n"
}
