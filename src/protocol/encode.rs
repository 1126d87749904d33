//! Writing a backend's messages straight into the send buffer.
//!
//! A message is written behind what the buffer has, its length patched when it is done; a row or piece of COPY data that
//! is given up half-way, by `?` say, takes its bytes back, so the buffer always ends with a whole message.

mod report;
mod rows;
mod session;

pub use report::{encode_prebuilt, old_error};
pub use rows::{CopyPiece, FieldDescription, Row};
pub use session::TransactionStatus;

/// Writes messages behind what the buffer has.
#[derive(Debug)]
pub struct Encoder<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> Encoder<'b> {
    /// Writes into `out`.
    pub const fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A message of a type and what `body` writes.
    fn message(&mut self, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let length_at = begin(self.out, kind);
        body(self.out);
        // Only rows and COPY data could be longer than a length can say, and they are checked by their `finish`.
        let length = u32::try_from(self.out.len() - length_at).unwrap_or(u32::MAX);
        self.out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// A message without a body.
    fn bare(&mut self, kind: u8) {
        self.message(kind, |_| ());
    }
}

/// Writes a type and room for the length; returns where that is.
fn begin(out: &mut Vec<u8>, kind: u8) -> usize {
    out.push(kind);
    let length_at = out.len();
    out.extend([0; 4]);
    length_at
}

/// Text and its NUL. Text behind a NUL of its own is left out, as C's strings would.
pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    let end = text.bytes().position(|byte| byte == 0).unwrap_or(text.len());
    out.extend(&text.as_bytes()[..end]);
    out.push(0);
}

pub(super) fn put_i16(out: &mut Vec<u8>, number: i16) {
    out.extend(number.to_be_bytes());
}

pub(super) fn put_i32(out: &mut Vec<u8>, number: i32) {
    out.extend(number.to_be_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_be_bytes());
}

/// How many items a list in a message has: 16 bits, which a client reads without a sign.
pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
}
