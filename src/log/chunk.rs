//! Messages on the logger's pipe: cut into chunks that the kernel writes whole, and put together again by pid.
//!
//! Linux writes up to `PIPE_BUF` bytes to a pipe in one piece or not at all, even if the writer is killed. So chunks are
//! never torn, only messages are, between two chunks. The pipe is everybody's stderr too: bytes that are no chunks come
//! from libc or a panicking runtime, and go to the log as they are.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | magic |
//! | 4..6 | check: a hash of the rest of the header, so that stray bytes hardly ever pass for one |
//! | 6..8 | length of what follows the header |
//! | 8..12 | pid |
//! | 12..14 | which message of that process, modulo 2^16 |
//! | 14 | flags: 1 first chunk of its message, 2 last chunk |
//! | 15 | destination |
//!
//! Numbers are little-endian; both ends are the same program.

use std::collections::BTreeMap;

use super::config::Destination;

/// Longest chunk, header included: `PIPE_BUF` on Linux.
pub(super) const MAX_CHUNK: usize = 4096;

const HEADER: usize = 16;
const MAX_PAYLOAD: usize = MAX_CHUNK - HEADER;
/// It begins with a NUL because text has none, and is no UTF-8.
const MAGIC: [u8; 4] = [0, 0xf5, b'T', b'L'];
const FIRST: u8 = 1;
const LAST: u8 = 2;

/// What stands before the text of a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    length: usize,
    pid: u32,
    message: u16,
    is_first: bool,
    is_last: bool,
    destination: Destination,
}

impl Header {
    fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        // Never cut: the payload is shorter than a page.
        bytes[6..8].copy_from_slice(&(self.length as u16).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.pid.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.message.to_le_bytes());
        bytes[14] = u8::from(self.is_first) * FIRST + u8::from(self.is_last) * LAST;
        bytes[15] = self.destination as u8;
        let check = check(&bytes);
        bytes[4..6].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let is_header = bytes[..4] == MAGIC && short(4) == check(bytes);
        let length = usize::from(short(6));
        if !is_header || length > MAX_PAYLOAD || bytes[14] > FIRST + LAST {
            return None;
        }
        let destination = Destination::ALL.into_iter().find(|known| *known as u8 == bytes[15])?;
        Some(Self {
            length,
            pid: u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            message: short(12),
            is_first: bytes[14] & FIRST != 0,
            is_last: bytes[14] & LAST != 0,
            destination,
        })
    }
}

/// FNV-1a over what follows the check, folded to 16 bits.
fn check(bytes: &[u8; HEADER]) -> u16 {
    let hash = bytes[6..]
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 16)) as u16
}

/// Cuts one message into chunks.
pub(super) struct Chunks<'a> {
    pid: u32,
    message: u16,
    destination: Destination,
    rest: &'a [u8],
    is_first: bool,
}

impl<'a> Chunks<'a> {
    /// The message of that number of that process. An empty text has no chunks.
    pub(super) const fn new(pid: u32, message: u16, destination: Destination, text: &'a [u8]) -> Self {
        Self { pid, message, destination, rest: text, is_first: true }
    }

    /// Builds the next chunk.
    pub(super) fn next_in<'b>(&mut self, space: &'b mut [u8; MAX_CHUNK]) -> Option<&'b [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (payload, rest) = self.rest.split_at(self.rest.len().min(MAX_PAYLOAD));
        let header = Header {
            length: payload.len(),
            pid: self.pid,
            message: self.message,
            is_first: self.is_first,
            is_last: rest.is_empty(),
            destination: self.destination,
        };
        self.rest = rest;
        self.is_first = false;
        space[..HEADER].copy_from_slice(&header.encode());
        space[HEADER..HEADER + payload.len()].copy_from_slice(payload);
        Some(&space[..HEADER + payload.len()])
    }
}

/// A part of what came through the pipe.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Piece<'a> {
    /// No chunk: somebody's plain stderr.
    Raw(&'a [u8]),
    /// A chunk and its text.
    Chunk(Header, &'a [u8]),
}

/// Finds the chunks in what is read, wherever reads have cut it.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// The beginning of a chunk whose end has not been read yet.
    pending: Vec<u8>,
}

impl Scanner {
    /// Takes what was read and shows the pieces that are complete.
    pub(super) fn feed(&mut self, bytes: &[u8], mut show: impl FnMut(Piece<'_>)) {
        self.pending.extend_from_slice(bytes);
        let used = scan(&self.pending, &mut show);
        self.pending.drain(..used);
    }

    /// At the end of the pipe: the beginning of a chunk without an end was none.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }
}

/// Shows all complete pieces, and says how many bytes they are.
fn scan(bytes: &[u8], show: &mut impl FnMut(Piece<'_>)) -> usize {
    let mut shown = 0;
    let mut at = 0;
    loop {
        at += find_magic(&bytes[at..]);
        let header = match bytes[at..].first_chunk() {
            None => break,
            Some(header) => Header::decode(header),
        };
        let Some(header) = header else {
            at += 1;
            continue;
        };
        let end = at + HEADER + header.length;
        if end > bytes.len() {
            break;
        }
        show_raw(&bytes[shown..at], show);
        show(Piece::Chunk(header, &bytes[at + HEADER..end]));
        shown = end;
        at = end;
    }
    show_raw(&bytes[shown..at], show);
    at
}

fn show_raw(bytes: &[u8], show: &mut impl FnMut(Piece<'_>)) {
    if !bytes.is_empty() {
        show(Piece::Raw(bytes));
    }
}

/// Where the magic begins, or what may turn out to be its beginning at the end of `bytes`; else their end.
fn find_magic(bytes: &[u8]) -> usize {
    let is_start = |at: &usize| {
        let tail = &bytes[*at..];
        let length = tail.len().min(MAGIC.len());
        tail[0] == MAGIC[0] && tail[..length] == MAGIC[..length]
    };
    (0..bytes.len()).find(is_start).unwrap_or(bytes.len())
}

/// Puts the chunks of each process together.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    unfinished: BTreeMap<u32, Unfinished>,
}

/// What has come of a message.
#[derive(Debug)]
struct Unfinished {
    message: u16,
    destination: Destination,
    text: Vec<u8>,
    is_doomed: bool,
}

impl Assembly {
    /// Takes a chunk and hands on what it completes. If the process has begun another message, or another process has
    /// its pid by now, the one before is handed on as far as it came.
    pub(super) fn take(&mut self, chunk: Header, text: &[u8], hand_on: &mut impl FnMut(Destination, &[u8])) {
        let is_continued = |before: &Unfinished| {
            !chunk.is_first && before.message == chunk.message && before.destination == chunk.destination
        };
        if self.unfinished.get(&chunk.pid).is_some_and(|before| !is_continued(before)) {
            self.give_up(chunk.pid, hand_on);
        }
        if chunk.is_first && chunk.is_last {
            hand_on(chunk.destination, text);
            return;
        }
        // A chunk that continues nothing is the rest of a message whose beginning an earlier logger took along.
        let message = self.unfinished.entry(chunk.pid).or_insert_with(|| Unfinished {
            message: chunk.message,
            destination: chunk.destination,
            text: Vec::new(),
            is_doomed: false,
        });
        message.text.extend_from_slice(text);
        message.is_doomed = false;
        if chunk.is_last {
            hand_on(chunk.destination, &message.text);
            self.unfinished.remove(&chunk.pid);
        }
    }

    /// Whether any message is unfinished.
    pub(super) fn is_waiting(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Hands on, as far as they came, the messages of processes that were dead at the last call already; and looks who
    /// is dead now. What a process wrote before its death may still be in the pipe, so call this again only when the
    /// pipe has been empty meanwhile.
    pub(super) fn give_up_dead(
        &mut self,
        is_alive: impl Fn(u32) -> bool,
        hand_on: &mut impl FnMut(Destination, &[u8]),
    ) {
        let doomed = self.unfinished.iter().filter(|(_, message)| message.is_doomed);
        for pid in doomed.map(|(pid, _)| *pid).collect::<Vec<_>>() {
            self.give_up(pid, hand_on);
        }
        for (pid, message) in &mut self.unfinished {
            message.is_doomed = !is_alive(*pid);
        }
    }

    /// Hands on all messages as far as they came.
    pub(super) fn give_up_all(&mut self, hand_on: &mut impl FnMut(Destination, &[u8])) {
        for pid in self.unfinished.keys().copied().collect::<Vec<_>>() {
            self.give_up(pid, hand_on);
        }
    }

    fn give_up(&mut self, pid: u32, hand_on: &mut impl FnMut(Destination, &[u8])) {
        if let Some(mut message) = self.unfinished.remove(&pid) {
            close(&mut message);
            hand_on(message.destination, &message.text);
        }
    }
}

/// Ends a torn message, so that what follows in its file is not taken for a part of it.
fn close(message: &mut Unfinished) {
    let is_in_quotes = message.text.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
    if message.destination == Destination::Csvlog && is_in_quotes {
        message.text.push(b'"');
    }
    if message.text.last() != Some(&b'\n') {
        message.text.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
