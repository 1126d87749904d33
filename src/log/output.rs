//! Where a process's messages go: stderr, a file, or the logger's pipe.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::thread::sleep;
use std::time::Duration;

use super::chunk::{self, Chunks};
use super::config::Destination;

/// How long to wait for a non-blocking descriptor to take more. Ours block; but stderr is shared with whoever started
/// the server, and may have been set so by them.
const FULL_DELAY: Duration = Duration::from_millis(1);

/// Where messages go.
#[derive(Debug)]
pub enum Output {
    /// The process's stderr, a message in one write.
    Stderr,
    /// A file or terminal, a message in one write.
    File(File),
    /// The logger's pipe, by [`Output::collector`].
    Collector(ChunkPipe),
}

/// The write end of the logger's pipe. It blocks while the pipe is full: the logger never waits for us.
#[derive(Debug)]
pub struct ChunkPipe {
    pipe: File,
    /// Tells the messages of a process apart, so that a torn one is not continued by the next.
    next_message: Cell<u16>,
}

impl Output {
    /// The logger's pipe.
    pub const fn collector(pipe: File) -> Self {
        Self::Collector(ChunkPipe { pipe, next_message: Cell::new(0) })
    }

    /// Whether a logger process sorts what is written here into files.
    pub(super) const fn is_collected(&self) -> bool {
        matches!(self, Self::Collector(_))
    }

    /// Writes a message; nobody could be told of a failure.
    pub(super) fn write(&self, pid: u32, destination: Destination, text: &str) {
        match self {
            Self::Collector(pipe) => pipe.write(pid, destination, text.as_bytes()),
            _ => self.write_raw(text.as_bytes()),
        }
    }

    /// Writes bytes as they are.
    pub(super) fn write_raw(&self, bytes: &[u8]) {
        let _ = match self {
            // Rust's stderr has no buffer, so this is one write.
            Self::Stderr => write_whole(&mut io::stderr().lock(), bytes),
            Self::File(file) | Self::Collector(ChunkPipe { pipe: file, .. }) => {
                write_whole(&mut &*file, bytes)
            }
        };
    }
}

impl ChunkPipe {
    fn write(&self, pid: u32, destination: Destination, text: &[u8]) {
        let message = self.next_message.get();
        self.next_message.set(message.wrapping_add(1));
        let mut chunks = Chunks::new(pid, message, destination, text);
        let mut space = [0; chunk::MAX_CHUNK];
        while let Some(chunk) = chunks.next_in(&mut space) {
            // At most PIPE_BUF bytes: the kernel takes all of them at once or lets us wait.
            if write_whole(&mut &self.pipe, chunk).1.is_err() {
                return;
            }
        }
    }
}

/// Writes everything, through signals and full pipes. Says how much was written, and why no more was.
pub(super) fn write_whole(to: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(FULL_DELAY),
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time and is disturbed between; full for good at the end.
    struct Stubborn {
        taken: Vec<u8>,
        calls: usize,
        space: usize,
    }

    impl Write for Stubborn {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Err(ErrorKind::Interrupted.into()),
                1 => Err(ErrorKind::WouldBlock.into()),
                _ if self.taken.len() >= self.space => Err(ErrorKind::StorageFull.into()),
                _ => {
                    self.taken.extend_from_slice(&bytes[..bytes.len().min(2)]);
                    Ok(bytes.len().min(2))
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn writes_on_until_it_fails_for_good() {
        let mut to = Stubborn { taken: Vec::new(), calls: 0, space: 100 };
        assert!(matches!(write_whole(&mut to, b"abcdefg"), (7, Ok(()))));
        assert_eq!(to.taken, b"abcdefg");
        to.space = 11;
        let (written, result) = write_whole(&mut to, b"hijklmn");
        assert_eq!((written, result.unwrap_err().kind()), (4, ErrorKind::StorageFull));
        assert_eq!(to.taken, b"abcdefghijk");
    }
}
