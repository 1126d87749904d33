//! Lists in messages, checked once and then read in place.

use crate::protocol::Format;
use crate::protocol::body::Body;
use crate::report::Result;

/// Format codes: none (all text), one for all, or one for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Formats<'a> {
    codes: &'a [u8],
}

impl<'a> Formats<'a> {
    pub(in crate::protocol) fn read(body: &mut Body<'a>) -> Result<Self> {
        Ok(Self { codes: body.counted(2)? })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.codes.len() / 2
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The codes, as they came.
    pub fn codes(&self) -> impl ExactSizeIterator<Item = i16> + 'a {
        self.codes.chunks_exact(2).map(|code| i16::from_be_bytes([code[0], code[1]]))
    }

    /// Whether they say the format of each of `count` values.
    pub const fn fit(&self, count: usize) -> bool {
        self.len() <= 1 || self.len() == count
    }

    /// The format of a value, by its index from 0; text where there is none.
    ///
    /// # Errors
    ///
    /// `unsupported format code`, 22023.
    pub fn of(&self, index: usize) -> Result<Format> {
        let index = if self.len() == 1 { 0 } else { index };
        let code =
            self.codes.chunks_exact(2).nth(index).map_or(0, |code| i16::from_be_bytes([code[0], code[1]]));
        Format::from_code(code)
    }
}

/// Type OIDs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Oids<'a> {
    bytes: &'a [u8],
}

impl<'a> Oids<'a> {
    pub(in crate::protocol) fn read(body: &mut Body<'a>) -> Result<Self> {
        Ok(Self { bytes: body.counted(4)? })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.bytes.chunks_exact(4).map(|oid| u32::from_be_bytes([oid[0], oid[1], oid[2], oid[3]]))
    }
}

/// Values or nulls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Values<'a> {
    count: usize,
    /// Each with its length before it, checked by `read`.
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    /// Reads a count, which `check` may refuse, and so many values.
    pub(in crate::protocol) fn read(
        body: &mut Body<'a>,
        check: impl FnOnce(usize) -> Result<()>,
    ) -> Result<Self> {
        let count = usize::from(body.u16()?);
        check(count)?;
        let mut ahead = *body;
        let mut length = 0;
        for _ in 0..count {
            length += 4 + ahead.value()?.map_or(0, <[u8]>::len);
        }
        Ok(Self { count, bytes: body.bytes(length)? })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each of them; `None` is null.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + 'a {
        let mut rest = Body::new(self.bytes);
        std::iter::from_fn(move || if rest.is_empty() { None } else { rest.value().ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SqlState;

    fn formats(bytes: &[u8]) -> Formats<'_> {
        Formats::read(&mut Body::new(bytes)).unwrap()
    }

    #[test]
    fn formats_are_none_one_or_each() {
        let none = formats(b"\0\0");
        assert!(none.is_empty() && none.fit(3));
        assert_eq!(none.of(2).unwrap(), Format::Text);
        let one = formats(b"\0\x01\0\x01");
        assert!(one.fit(3));
        assert_eq!(one.of(2).unwrap(), Format::Binary);
        let each = formats(b"\0\x03\0\0\0\x01\0\x07");
        assert!(each.fit(3) && !each.fit(2));
        assert_eq!((each.of(0).unwrap(), each.of(1).unwrap()), (Format::Text, Format::Binary));
        let report = each.of(2).unwrap_err();
        assert_eq!(
            (&*report.message, report.sqlstate),
            ("unsupported format code: 7", SqlState::INVALID_PARAMETER_VALUE)
        );
    }
}
