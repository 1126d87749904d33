//! The little of DER that certificates need: elements one after another.

/// Tags of ASN.1's universal types and of what X.509 tags itself.
pub(super) mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OID: u8 = 0x06;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    /// `[0]`, constructed.
    pub const CONTEXT_0: u8 = 0xa0;
}

/// One element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Element<'a> {
    pub tag: u8,
    /// Its bytes behind tag and length.
    pub content: &'a [u8],
    /// All its bytes.
    pub whole: &'a [u8],
}

/// Reads elements from front to back; `None` from any method is malformed or not what was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a> {
    rest: &'a [u8],
}

impl<'a> Der<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element. Tags of more than one byte, which X.509 does not use, are malformed here.
    pub fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.rest.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = length(rest)?;
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.rest[..self.rest.len() - after.len()];
        self.rest = after;
        Some(Element { tag, content, whole })
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next element if it has this tag; otherwise it stays.
    pub fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.rest.first() == Some(&tag) { self.next() } else { None }
    }

    /// What is in the next element, which must have this tag.
    pub fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        self.expect(tag).map(|element| Der::new(element.content))
    }
}

/// A length of one byte, or of up to four behind a byte that counts them.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    Some((digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_follow_one_another() {
        let mut der = Der::new(b"\x30\x03\x02\x01\x05\x06\x81\x02ab");
        let mut inner = der.enter(tag::SEQUENCE).unwrap();
        assert_eq!(inner.optional(tag::OID), None);
        assert_eq!(inner.expect(tag::INTEGER).unwrap().content, b"\x05");
        assert!(inner.is_empty());
        let oid = der.next().unwrap();
        assert_eq!((oid.tag, oid.content, oid.whole), (tag::OID, &b"ab"[..], &b"\x06\x81\x02ab"[..]));
        assert!(der.next().is_none());
    }

    #[test]
    fn malformed_elements_are_none() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x01",
            b"\x30\x80",
            b"\x30\x85\0\0\0\0\0",
            b"\x30\x82\x01",
            b"\x1f\x01\0",
        ] {
            assert!(Der::new(bytes).next().is_none(), "{bytes:?}");
        }
        assert!(Der::new(b"\x30\x84\xff\xff\xff\xff").next().is_none());
    }
}
