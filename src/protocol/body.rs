//! Reading a message's body from front to back: every read is checked against the bytes left.

use super::check_utf8;
use crate::report::{Report, Result, SqlState};

/// What is left of one message's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    rest: &'a [u8],
}

/// An error of the frontend's making in a message whose frame was whole.
#[track_caller]
pub(super) fn violation(message: impl Into<String>) -> Box<Report> {
    Report::error(SqlState::PROTOCOL_VIOLATION, message)
}

impl<'a> Body<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        let (&byte, rest) = self.rest.split_first().ok_or_else(|| violation("no data left in message"))?;
        self.rest = rest;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(insufficient)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(insufficient)?;
        self.rest = rest;
        Ok(head)
    }

    /// A length and so many bytes, or `None` by the length -1.
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Ok(None),
            length => self.bytes(usize::try_from(length).map_err(|_| insufficient())?).map(Some),
        }
    }

    /// A count and so many items of `size` bytes each.
    pub(super) fn counted(&mut self, size: usize) -> Result<&'a [u8]> {
        let count = usize::from(self.u16()?);
        self.bytes(count * size)
    }

    /// The bytes before the next NUL, which is passed.
    pub(super) fn raw_string(&mut self) -> Result<&'a [u8]> {
        let end = self.rest.iter().position(|&byte| byte == 0);
        let end = end.ok_or_else(|| violation("invalid string in message"))?;
        let string = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(string)
    }

    /// The text before the next NUL, which is passed.
    pub(super) fn string(&mut self) -> Result<&'a str> {
        self.raw_string().and_then(check_utf8)
    }

    /// All that is left.
    pub(super) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may be left over.
    pub(super) fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(violation("invalid message format")) }
    }
}

#[track_caller]
fn insufficient() -> Box<Report> {
    violation("insufficient data left in message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().message
    }

    #[test]
    fn reads_end_at_the_body_s_end() {
        let insufficient = "insufficient data left in message";
        assert_eq!(message(Body::new(b"").u8()), "no data left in message");
        assert_eq!(message(Body::new(b"\0").i16()), insufficient);
        assert_eq!(message(Body::new(b"\0\0\0").i32()), insufficient);
        assert_eq!(message(Body::new(b"ab").bytes(3)), insufficient);
        assert_eq!(message(Body::new(b"\xff\xff\xff\xfe").value()), insufficient);
        assert_eq!(message(Body::new(b"\x7f\xff\xff\xffabc").value()), insufficient);
        assert_eq!(message(Body::new(b"\xff\xff\0\0").counted(4)), insufficient);
        assert_eq!(message(Body::new(b"abc").string()), "invalid string in message");
        assert_eq!(message(Body::new(b"a").end()), "invalid message format");
    }

    #[test]
    fn reads_follow_one_another() {
        let mut body = Body::new(b"x\0\x01ab\0\0\0\0\x02cd\xff\xff\xff\xff");
        assert_eq!(body.u8().unwrap(), b'x');
        assert_eq!(body.i16().unwrap(), 1);
        assert_eq!(body.string().unwrap(), "ab");
        assert_eq!(body.value().unwrap(), Some(&b"cd"[..]));
        assert_eq!(body.value().unwrap(), None);
        body.end().unwrap();
    }
}
