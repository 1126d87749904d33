//! What is read from certificates: names, serial numbers, the public key, and what SCRAM's channel binding hashes.
//!
//! Signatures and validity are rustls's business; this only reads, and whatever it cannot read is `None`. A DER reader of
//! our own is a page; a parser crate brings a dozen more.

use aws_lc_rs::digest;

use super::der::{Der, tag};
use super::name::Name;

/// A certificate's parts.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    /// All bytes of the SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
    signature: Algorithm<'a>,
}

/// A signature algorithm and what follows its OID.
#[derive(Clone, Copy, Debug)]
struct Algorithm<'a> {
    oid: &'a [u8],
    parameters: Der<'a>,
}

/// Who a client says it is, by a certificate that was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificate {
    /// The subject's first common name.
    pub common_name: Option<String>,
    /// The subject as RFC 2253 writes it, as `pg_ident.conf` knows it.
    pub subject_rfc2253: String,
    /// The subject as `pg_stat_ssl.client_dn` has it.
    pub subject: String,
    /// The issuer as `pg_stat_ssl.issuer_dn` has it.
    pub issuer: String,
    /// The serial number in decimal, as `pg_stat_ssl.client_serial` has it.
    pub serial: String,
}

impl<'a> Certificate<'a> {
    /// The parts of a certificate in DER.
    pub fn parse(certificate: &'a [u8]) -> Option<Self> {
        let mut outer = Der::new(certificate).enter(tag::SEQUENCE)?;
        let mut inner = outer.enter(tag::SEQUENCE)?;
        let signature = algorithm(&mut outer)?;
        outer.expect(tag::BIT_STRING)?;
        // The version, which the first one does not say.
        inner.optional(tag::CONTEXT_0);
        let serial = inner.expect(tag::INTEGER)?.content;
        let _signature_again = inner.expect(tag::SEQUENCE)?;
        let issuer = inner.expect(tag::SEQUENCE)?.content;
        let _validity = inner.expect(tag::SEQUENCE)?;
        let subject = inner.expect(tag::SEQUENCE)?.content;
        let public_key = inner.expect(tag::SEQUENCE)?.whole;
        Some(Self { serial, issuer, subject, public_key, signature })
    }

    /// Who it names.
    pub fn identity(&self) -> Option<ClientCertificate> {
        let (subject, issuer) = (Name::parse(self.subject)?, Name::parse(self.issuer)?);
        Some(ClientCertificate {
            common_name: subject.common_name().map(str::to_owned),
            subject_rfc2253: subject.rfc2253(),
            subject: subject.slashes(),
            issuer: issuer.slashes(),
            serial: decimal(self.serial),
        })
    }

    /// The hash function of RFC 5929's `tls-server-end-point`: its signature's, but SHA-256 for MD5 and SHA-1. `None` if
    /// the signature has none of its own, as Ed25519.
    pub fn binding_hash(&self) -> Option<&'static digest::Algorithm> {
        match self.signature.oid {
            oids::RSA_PSS => hash_of_pss(self.signature.parameters),
            oid => find(&oids::SIGNATURES, oid),
        }
    }
}

/// What SCRAM binds to: the server certificate's hash.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = Certificate::parse(certificate)?.binding_hash()?;
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

fn algorithm<'a>(der: &mut Der<'a>) -> Option<Algorithm<'a>> {
    let mut parts = der.enter(tag::SEQUENCE)?;
    Some(Algorithm { oid: parts.expect(tag::OID)?.content, parameters: parts })
}

/// RSASSA-PSS says its hash in its parameters; SHA-1 if it does not.
fn hash_of_pss(mut parameters: Der<'_>) -> Option<&'static digest::Algorithm> {
    let mut fields = parameters.enter(tag::SEQUENCE)?;
    match fields.optional(tag::CONTEXT_0) {
        Some(hash) => find(&oids::HASHES, algorithm(&mut Der::new(hash.content))?.oid),
        None => Some(&digest::SHA256),
    }
}

type Hashes = [(&'static [u8], &'static digest::Algorithm)];

fn find(table: &Hashes, oid: &[u8]) -> Option<&'static digest::Algorithm> {
    table.iter().find(|(known, _)| *known == oid).map(|(_, hash)| *hash)
}

/// A serial number as a decimal number, by repeated multiplication of its decimal digits, least first.
fn decimal(serial: &[u8]) -> String {
    let negative = serial.first().is_some_and(|first| first & 0x80 != 0);
    let mut digits = vec![0_u8];
    // A negative number, which no certificate should have, is the complement less one.
    for byte in serial.iter().map(|&byte| if negative { !byte } else { byte }) {
        add(&mut digits, 256, u32::from(byte));
    }
    if negative {
        add(&mut digits, 1, 1);
    }
    let digits = digits.iter().rev().map(|&digit| char::from(b'0' + digit));
    negative.then_some('-').into_iter().chain(digits).collect()
}

/// Multiplies by `factor` and adds `more`.
fn add(digits: &mut Vec<u8>, factor: u32, more: u32) {
    let mut carry = more;
    for digit in digits.iter_mut() {
        let value = u32::from(*digit) * factor + carry;
        // Below ten.
        *digit = (value % 10) as u8;
        carry = value / 10;
    }
    while carry > 0 {
        digits.push((carry % 10) as u8);
        carry /= 10;
    }
}

mod oids {
    //! Contents of OIDs, and the hash functions they stand for.

    use aws_lc_rs::digest::{Algorithm, SHA224, SHA256, SHA384, SHA512};

    pub const RSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";

    pub const SIGNATURES: [(&[u8], &Algorithm); 11] = [
        // RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512, SHA-224.
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", &SHA256),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", &SHA256),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &SHA256),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", &SHA384),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", &SHA512),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e", &SHA224),
        // ECDSA with SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
        (b"\x2a\x86\x48\xce\x3d\x04\x01", &SHA256),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x01", &SHA224),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", &SHA256),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", &SHA384),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", &SHA512),
    ];

    pub const HASHES: [(&[u8], &Algorithm); 5] = [
        // SHA-1, SHA-256, SHA-384, SHA-512, SHA-224.
        (b"\x2b\x0e\x03\x02\x1a", &SHA256),
        (b"\x60\x86\x48\x01\x65\x03\x04\x02\x01", &SHA256),
        (b"\x60\x86\x48\x01\x65\x03\x04\x02\x02", &SHA384),
        (b"\x60\x86\x48\x01\x65\x03\x04\x02\x03", &SHA512),
        (b"\x60\x86\x48\x01\x65\x03\x04\x02\x04", &SHA224),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_decimal() {
        let cases: [(&[u8], &str); 7] = [
            (b"", "0"),
            (b"\0", "0"),
            (b"\x7f", "127"),
            (b"\0\xff", "255"),
            (b"\x01\x00", "256"),
            (b"\xff", "-1"),
            (b"\x01\0\0\0\0\0\0\0\0", "18446744073709551616"),
        ];
        for (bytes, number) in cases {
            assert_eq!(decimal(bytes), number);
        }
    }

    #[test]
    fn the_hash_of_pss_is_in_its_parameters() {
        let sha384 = b"\x30\x0f\xa0\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02";
        assert_eq!(hash_of_pss(Der::new(sha384)), Some(&digest::SHA384));
        assert_eq!(hash_of_pss(Der::new(b"\x30\0")), Some(&digest::SHA256));
        assert_eq!(hash_of_pss(Der::new(b"")), None);
    }

    #[test]
    fn malformed_certificates_are_none() {
        for bytes in [&b""[..], b"\x30\0", b"\x30\x02\x30\0", b"hello"] {
            assert!(Certificate::parse(bytes).is_none());
        }
    }
}
