//! Text in shared memory: UTF-8 in words, so that every access is atomic, ended by a NUL.

use crate::sync::{AtomicU64, Ordering};

/// Puts as much of `text` as fits with a NUL behind it, whole characters only.
pub fn put(words: &[AtomicU64], text: &str) {
    let room = words.len() * 8 - 1;
    let mut end = text.len().min(room);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let bytes = &text.as_bytes()[..end];
    // The NUL, and no word behind it: what stands there is not read.
    for (word, i) in words.iter().zip(0..=bytes.len() / 8) {
        let part = &bytes[(i * 8).min(bytes.len())..((i + 1) * 8).min(bytes.len())];
        let mut value = [0; 8];
        value[..part.len()].copy_from_slice(part);
        word.store(u64::from_le_bytes(value), Ordering::Relaxed);
    }
}

/// The text in these words, whatever stands there.
pub fn text(words: &[AtomicU64]) -> String {
    let mut bytes = Vec::with_capacity(words.len() * 8);
    for word in words {
        let value = word.load(Ordering::Relaxed).to_le_bytes();
        let end = value.iter().position(|b| *b == 0);
        bytes.extend_from_slice(&value[..end.unwrap_or(8)]);
        if end.is_some() {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Puts bytes, at most as many as fit; how many.
pub fn put_bytes(words: &[AtomicU64], bytes: &[u8]) -> usize {
    let bytes = &bytes[..bytes.len().min(words.len() * 8)];
    for (word, part) in words.iter().zip(bytes.chunks(8)) {
        let mut value = [0; 8];
        value[..part.len()].copy_from_slice(part);
        word.store(u64::from_le_bytes(value), Ordering::Relaxed);
    }
    bytes.len()
}

/// The first `len` bytes of these words, or all there are.
pub fn bytes(words: &[AtomicU64], len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_cut_at_whole_characters() {
        let words: [AtomicU64; 2] = Default::default();
        for (put_in, expected) in [
            ("", ""),
            ("1234567", "1234567"),
            ("12345678", "12345678"),
            ("123456789012345", "123456789012345"),
            ("1234567890123456", "123456789012345"),
            ("12345678901234é", "12345678901234"),
        ] {
            put(&words, put_in);
            assert_eq!(text(&words), expected);
        }
    }

    #[test]
    fn bytes_come_back_as_many_as_fit() {
        let words: [AtomicU64; 2] = Default::default();
        let long: Vec<u8> = (0..20).collect();
        for count in [0, 1, 8, 9, 16, 20] {
            let put_in = put_bytes(&words, &long[..count]);
            assert_eq!(put_in, count.min(16));
            assert_eq!(bytes(&words, put_in), long[..put_in]);
        }
        assert_eq!(bytes(&words, 99).len(), 16);
    }
}
