//! A disk that takes its time, and does what it was told also when the teller is dead: some writes are given to a process of
//! their own, which does them up to 80 ms later, while the writer waits for that. Who is killed meanwhile leaves a write that
//! lands among those of the living, as an io_uring's does.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tuskd::os::file::{Operation, Watcher};
use tuskd::sync::{AtomicU64, Ordering};

use crate::harness::Rng;

/// Bytes of a write that is done by itself.
const LARGEST: usize = 64 << 10;

/// The latest that a write comes.
const LATEST_MS: u64 = 80;

/// Words of the world that say up to which of its writes each writer's are done; the last is the supervisor's.
pub const WRITERS: usize = 24;

/// A writer's side.
pub struct LateDisk {
    socket: Rc<UnixDatagram>,
    words: OnceCell<&'static [AtomicU64]>,
    /// Which of the words is this process's.
    writer: Cell<usize>,
    sent: Cell<u64>,
    rng: RefCell<Rng>,
}

/// The disk's side, and what the supervisor does with it.
pub struct Platter {
    socket: UnixDatagram,
}

impl LateDisk {
    /// Both sides. The writer's has the words before anybody writes.
    pub fn new(rng: Rng) -> (Rc<Self>, Platter) {
        let (socket, platter) = UnixDatagram::pair().expect("two sockets");
        let disk = Self {
            socket: Rc::new(socket),
            words: OnceCell::new(),
            writer: Cell::new(0),
            sent: Cell::new(0),
            rng: RefCell::new(rng),
        };
        (Rc::new(disk), Platter { socket: platter })
    }

    /// From now on writes are late.
    pub fn begin(&self, words: &'static [AtomicU64]) {
        assert!(words.len() >= WRITERS && self.words.set(words).is_ok());
    }

    /// This process is another writer, with other moments.
    pub fn be(&self, writer: usize, rng: Rng) {
        self.writer.set(writer);
        self.sent.set(0);
        *self.rng.borrow_mut() = rng;
    }

    /// Waits until everything has landed that anybody ever wrote; nobody writes any more.
    pub fn settle(&self) {
        let rng = self.rng.borrow().clone();
        self.be(WRITERS - 1, rng);
        self.send(0, 0, b"", b"");
        self.wait();
    }

    fn send(&self, delay_ms: u64, offset: u64, path: &[u8], bytes: &[u8]) {
        self.sent.set(self.sent.get() + 1);
        let head = [self.writer.get() as u64, self.sent.get(), delay_ms, offset, path.len() as u64];
        let mut message: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
        message.extend_from_slice(path);
        message.extend_from_slice(bytes);
        let sent = self.socket.send(&message).expect("the disk lives as long as the writers");
        assert_eq!(sent, message.len());
    }

    fn wait(&self) {
        let word = &self.words.get().expect("it has begun")[self.writer.get()];
        while word.load(Ordering::SeqCst) < self.sent.get() {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

impl Watcher for LateDisk {
    fn begin(&self, operation: &Operation<'_>) -> io::Result<u64> {
        let (Operation::Write { path, offset, bytes, .. }, Some(_)) = (operation, self.words.get()) else {
            return Ok(0);
        };
        let delay = {
            let mut rng = self.rng.borrow_mut();
            match rng.below(40) {
                0 => Some(rng.below(LATEST_MS)),
                1..4 => Some(rng.below(3)),
                _ => None,
            }
        };
        if let Some(delay) = delay.filter(|_| bytes.len() <= LARGEST) {
            self.send(delay, *offset, path.as_os_str().as_bytes(), bytes);
            self.wait();
        }
        // And the writer does the same again, which is as if it had been done now.
        Ok(0)
    }

    fn end(&self, _: u64, _: &Operation<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// A write that is due at a time.
struct Late {
    file: Option<File>,
    offset: u64,
    bytes: Vec<u8>,
    writer: usize,
    number: u64,
}

impl Platter {
    /// The life of the disk's process.
    pub fn serve(&self, words: &[AtomicU64]) -> ! {
        let mut waiting: BTreeMap<(Instant, u64), Late> = BTreeMap::new();
        let mut buffer = vec![0; LARGEST + 4096];
        for count in 0.. {
            let timeout = waiting
                .keys()
                .next()
                .map(|(due, _)| due.saturating_duration_since(Instant::now()).max(Duration::from_micros(10)));
            self.socket.set_read_timeout(timeout).expect("a socket");
            if let Ok(length) = self.socket.recv(&mut buffer) {
                let (due, late) = parse(&buffer[..length]);
                waiting.insert((due, count), late);
            }
            while let Some(entry) = waiting.first_entry().filter(|entry| entry.key().0 <= Instant::now()) {
                let late = entry.get();
                let is_everything = late.file.is_none();
                if is_everything && waiting.len() > 1 {
                    break;
                }
                let (_, late) = waiting.pop_first().expect("it was there");
                if let Some(file) = &late.file {
                    file.write_all_at(&late.bytes, late.offset).expect("the disk works");
                }
                words[late.writer].store(late.number, Ordering::SeqCst);
            }
        }
        unreachable!("it is killed with the others")
    }
}

fn parse(message: &[u8]) -> (Instant, Late) {
    let word = |i: usize| u64::from_le_bytes(message[8 * i..8 * i + 8].try_into().expect("eight bytes"));
    let (path, bytes) = message[40..].split_at(word(4) as usize);
    let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
    // Opened now: the name may be another file's when it is done.
    let file = (!path.as_os_str().is_empty())
        .then(|| File::options().write(true).open(&path).expect("its writer has it open"));
    // What settles everything is behind everything that was sent before.
    let delay = if file.is_some() { word(2) } else { 2 * LATEST_MS };
    let late =
        Late { file, offset: word(3), bytes: bytes.to_vec(), writer: word(0) as usize, number: word(1) };
    (Instant::now() + Duration::from_millis(delay), late)
}
