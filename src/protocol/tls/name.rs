//! Distinguished names as text, in the two ways in which PostgreSQL writes them.

use std::fmt::Write as _;

use super::der::{Der, tag};

/// A part of a name.
struct Attribute<'a> {
    oid: &'a [u8],
    /// All of the value's bytes.
    whole: &'a [u8],
    /// The value; `None` if it is no string.
    text: Option<String>,
}

/// A name's parts, each of one or more attributes.
pub(super) struct Name<'a> {
    parts: Vec<Vec<Attribute<'a>>>,
}

/// OIDs' contents and the short names under which they are known.
const SHORT_NAMES: [(&[u8], &str); 15] = [
    (COMMON_NAME, "CN"),
    (b"\x55\x04\x04", "SN"),
    (b"\x55\x04\x05", "serialNumber"),
    (b"\x55\x04\x06", "C"),
    (b"\x55\x04\x07", "L"),
    (b"\x55\x04\x08", "ST"),
    (b"\x55\x04\x09", "street"),
    (b"\x55\x04\x0a", "O"),
    (b"\x55\x04\x0b", "OU"),
    (b"\x55\x04\x0c", "title"),
    (b"\x55\x04\x0d", "description"),
    (b"\x55\x04\x2a", "GN"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress"),
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC"),
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID"),
];
const COMMON_NAME: &[u8] = b"\x55\x04\x03";

impl<'a> Name<'a> {
    /// A name from the content of its sequence.
    pub fn parse(content: &'a [u8]) -> Option<Self> {
        let mut parts = Vec::new();
        let mut sets = Der::new(content);
        while !sets.is_empty() {
            let mut set = sets.enter(tag::SET)?;
            let mut part = Vec::new();
            while !set.is_empty() {
                let mut attribute = set.enter(tag::SEQUENCE)?;
                let oid = attribute.expect(tag::OID)?.content;
                let value = attribute.next()?;
                part.push(Attribute { oid, whole: value.whole, text: text(value.tag, value.content) });
            }
            parts.push(part);
        }
        Some(Self { parts })
    }

    /// The first common name.
    pub fn common_name(&self) -> Option<&str> {
        let mut attributes = self.parts.iter().flatten();
        attributes.find(|attribute| attribute.oid == COMMON_NAME)?.text.as_deref()
    }

    /// `CN=me,O=there`: RFC 2253, last part first, bytes outside ASCII escaped.
    pub fn rfc2253(&self) -> String {
        let mut out = String::new();
        for (index, part) in self.parts.iter().rev().enumerate() {
            for (inner, attribute) in part.iter().enumerate() {
                out.push_str(match (index, inner) {
                    (0, 0) => "",
                    (_, 0) => ",",
                    _ => "+",
                });
                attribute.write(&mut out, true);
            }
        }
        out
    }

    /// `/O=there/CN=me`, as in `pg_stat_ssl`.
    pub fn slashes(&self) -> String {
        let mut out = String::new();
        for attribute in self.parts.iter().flatten() {
            out.push('/');
            attribute.write(&mut out, false);
        }
        out
    }
}

impl Attribute<'_> {
    fn write(&self, out: &mut String, ascii: bool) {
        let known = SHORT_NAMES.iter().find(|(oid, _)| *oid == self.oid);
        match known {
            Some((_, name)) => out.push_str(name),
            None => out.push_str(&dotted(self.oid)),
        }
        out.push('=');
        match &self.text {
            Some(text) if known.is_some() => escape(out, text, ascii),
            _ => {
                out.push('#');
                for byte in self.whole {
                    // Writing into a String does not fail.
                    let _ = write!(out, "{byte:02X}");
                }
            }
        }
    }
}

fn escape(out: &mut String, text: &str, ascii: bool) {
    let last = text.chars().count().saturating_sub(1);
    for (index, character) in text.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', character]),
            '#' if index == 0 => out.push_str("\\#"),
            ' ' if index == 0 || index == last => out.push_str("\\ "),
            '\0'..'\x20' | '\x7f' => escape_bytes(out, character),
            '\u{80}'.. if ascii => escape_bytes(out, character),
            _ => out.push(character),
        }
    }
}

fn escape_bytes(out: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        // Writing into a String does not fail.
        let _ = write!(out, "\\{byte:02X}");
    }
}

/// ASN.1's string types; `None` for anything else.
fn text(tag: u8, content: &[u8]) -> Option<String> {
    const UTF8: u8 = 0x0c;
    const NUMERIC: u8 = 0x12;
    const PRINTABLE: u8 = 0x13;
    const TELETEX: u8 = 0x14;
    const IA5: u8 = 0x16;
    const VISIBLE: u8 = 0x1a;
    const UNIVERSAL: u8 = 0x1c;
    const BMP: u8 = 0x1e;
    match tag {
        UTF8 => String::from_utf8(content.to_vec()).ok(),
        // Read as Latin 1, as OpenSSL does.
        NUMERIC | PRINTABLE | TELETEX | IA5 | VISIBLE => {
            Some(content.iter().map(|&byte| char::from(byte)).collect())
        }
        BMP => {
            let (units, rest) = content.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            rest.is_empty().then(|| char::decode_utf16(units).collect::<Result<_, _>>().ok())?
        }
        UNIVERSAL => {
            let (units, rest) = content.as_chunks::<4>();
            let units = units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            rest.is_empty().then(|| units.collect())?
        }
        _ => None,
    }
}

/// `1.2.840` and so on.
fn dotted(oid: &[u8]) -> String {
    let mut out = String::new();
    let mut arc = 0_u64;
    for &byte in oid {
        arc = arc.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        // The first two arcs share a number; writing into a String does not fail.
        let _ = match out.is_empty() {
            true => write!(out, "{}.{}", (arc / 40).min(2), arc - (arc / 40).min(2) * 40),
            false => write!(out, ".{arc}"),
        };
        arc = 0;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn part(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let attributes = attributes.iter().map(|(oid, tag, value)| {
            element(tag::SEQUENCE, &[element(tag::OID, oid), element(*tag, value)].concat())
        });
        element(tag::SET, &attributes.collect::<Vec<_>>().concat())
    }

    #[test]
    fn names_are_written_as_openssl_writes_them() {
        let content = [
            part(&[(b"\x55\x04\x06", 0x13, b"DE")]),
            part(&[(b"\x55\x04\x0a", 0x0c, "Größe, \"+".as_bytes()), (b"\x55\x04\x0b", 0x1e, b"\0a\0\xfc")]),
            part(&[(b"\x2a\x03\x04", 0x0c, b"x")]),
            part(&[(COMMON_NAME, 0x0c, b" #me\x01 ")]),
        ]
        .concat();
        let name = Name::parse(&content).unwrap();
        assert_eq!(name.common_name(), Some(" #me\x01 "));
        assert_eq!(
            name.rfc2253(),
            "CN=\\ #me\\01\\ ,1.2.3.4=#0C0178,O=Gr\\C3\\B6\\C3\\9Fe\\, \\\"\\++OU=a\\C3\\BC,C=DE"
        );
        assert_eq!(name.slashes(), "/C=DE/O=Größe\\, \\\"\\+/OU=aü/1.2.3.4=#0C0178/CN=\\ #me\\01\\ ");
    }

    #[test]
    fn malformed_names_are_none() {
        for content in [&b"\x31"[..], b"\x30\0", b"\x31\x02\x30\0", b"\x31\x05\x30\x03\x06\x01\x2a"] {
            assert!(Name::parse(content).is_none(), "{content:?}");
        }
        assert_eq!(Name::parse(b"").unwrap().rfc2253(), "");
    }

    #[test]
    fn oids_have_dots() {
        assert_eq!(dotted(b"\x2a\x86\x48\x86\xf7\x0d"), "1.2.840.113549");
        assert_eq!(dotted(b"\x88\x37\x03"), "2.999.3");
    }
}
