//! A statement's place in the query string, so that errors can say where.

use std::sync::Arc;

/// The text that a statement comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The whole query string.
    pub text: Arc<str>,
    /// The statement's first byte.
    pub start: u32,
    /// The byte behind it: the semicolon's, or the text's end.
    pub end: u32,
}

impl Source {
    /// The statement's text.
    pub fn statement_text(&self) -> &str {
        self.text.get(self.start as usize..self.end as usize).unwrap_or("").trim_end()
    }

    /// The character of the query string, from 1, that a byte of it, from 0, belongs to.
    pub fn position(&self, byte: u32) -> u32 {
        position(&self.text, byte)
    }
}

/// The character of a text, from 1, that a byte of it, from 0, belongs to.
pub fn position(text: &str, byte: u32) -> u32 {
    let before = text.as_bytes().iter().take(byte as usize);
    // Bytes that continue a character do not begin one.
    before.filter(|byte| **byte & 0xC0 != 0x80).count() as u32 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        for (text, byte, expected) in
            [("select", 0, 1), ("aéb", 3, 3), ("é", 2, 2), ("\u{1F600}x", 4, 2), ("", 0, 1)]
        {
            assert_eq!(position(text, byte), expected, "{text}");
        }
    }
}
