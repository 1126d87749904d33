//! The address field: networks, host names, and the keywords for this host's own networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::auth::tokens::{Field, Token};

use super::Complaint;

/// Which clients a record is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Every one.
    All,
    /// The addresses of this host.
    SameHost,
    /// The networks this host is in.
    SameNet,
    /// Those that equal `address` in the bits of `mask`.
    Network {
        /// Any address of it.
        address: IpAddr,
        /// Of the same family.
        mask: IpAddr,
    },
    /// The host of this name, or, with a dot in front, those whose names end so. See `auth::hosts` for how names
    /// are found.
    Name(String),
}

impl Address {
    /// What the view calls it, and its mask.
    pub fn shown(&self) -> (String, Option<String>) {
        match self {
            Self::All => ("all".to_owned(), None),
            Self::SameHost => ("samehost".to_owned(), None),
            Self::SameNet => ("samenet".to_owned(), None),
            Self::Network { address, mask } => (address.to_string(), Some(mask.to_string())),
            Self::Name(name) => (name.clone(), None),
        }
    }

    /// Reads the address field, and the mask's from `rest` where one is needed.
    pub(super) fn parse<'a>(rest: &mut impl Iterator<Item = &'a Field>) -> Result<Self, Complaint> {
        let field =
            rest.next().ok_or_else(|| Complaint::new("end-of-line before IP address specification"))?;
        let [token] = &field[..] else {
            return Err(Complaint::new("multiple values specified for host address")
                .with_hint("Specify one address range per line."));
        };
        if let Some(keyword) = keyword(token) {
            return Ok(keyword);
        }
        let (host, bits) = match token.text.split_once('/') {
            Some((host, bits)) => (host, Some(bits)),
            None => (token.text.as_str(), None),
        };
        match (parse_ip(host), bits) {
            (None, None) => Ok(Self::Name(host.to_owned())),
            (None, Some(_)) => {
                let text = &token.text;
                Err(Complaint::new(format!("specifying both host name and CIDR mask is invalid: \"{text}\"")))
            }
            (Some(address), Some(bits)) => {
                let mask = mask_of_bits(address, bits).ok_or_else(|| {
                    Complaint::new(format!("invalid CIDR mask in address \"{}\"", token.text))
                })?;
                Ok(Self::Network { address, mask })
            }
            (Some(address), None) => Ok(Self::Network { address, mask: parse_mask(address, rest.next())? }),
        }
    }
}

fn keyword(token: &Token) -> Option<Address> {
    [("all", Address::All), ("samehost", Address::SameHost), ("samenet", Address::SameNet)]
        .into_iter()
        .find(|(word, _)| token.is_keyword(word))
        .map(|(_, address)| address)
}

fn parse_mask(address: IpAddr, field: Option<&Field>) -> Result<IpAddr, Complaint> {
    let field = field.ok_or_else(|| {
        Complaint::new("end-of-line before netmask specification")
            .with_hint("Specify an address range in CIDR notation, or provide a separate netmask.")
    })?;
    let [token] = &field[..] else {
        return Err(Complaint::new("multiple values specified for netmask"));
    };
    let mask = parse_ip(&token.text).ok_or_else(|| {
        Complaint::new(format!("invalid IP mask \"{}\": Name or service not known", token.text))
    })?;
    if mask.is_ipv4() == address.is_ipv4() {
        Ok(mask)
    } else {
        Err(Complaint::new("IP address and mask do not match"))
    }
}

/// The mask of so many leading bits, which are written as C's `strtol` reads them.
fn mask_of_bits(address: IpAddr, bits: &str) -> Option<IpAddr> {
    let bits: u32 = bits.trim_start().parse().ok()?;
    Some(match address {
        IpAddr::V4(_) if bits <= 32 => Ipv4Addr::from(u32::MAX.checked_shl(32 - bits).unwrap_or(0)).into(),
        IpAddr::V6(_) if bits <= 128 => Ipv6Addr::from(u128::MAX.checked_shl(128 - bits).unwrap_or(0)).into(),
        _ => return None,
    })
}

/// An address in figures, IPv4 also in the old short, octal and hexadecimal forms; an IPv6 zone is left out, since
/// networks are compared without it.
fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Some(old) = parse_old_ipv4(text) {
        return Some(old.into());
    }
    let plain = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address,
        Some(_) => return None,
        None => text,
    };
    plain.parse().ok().map(IpAddr::V6)
}

/// One to four numbers, the last of which fills the bytes that are left.
fn parse_old_ipv4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(parse_c_number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let left_bits = 32 - 8 * u32::try_from(first.len()).ok()?;
    if u64::from(*last) >= 1 << left_bits {
        return None;
    }
    let high = first.iter().fold(0_u64, |high, part| high << 8 | u64::from(*part)) << left_bits;
    u32::try_from(high).ok().map(|high| Ipv4Addr::from(high | *last))
}

fn parse_c_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    // `from_str_radix` would take a sign.
    digits.starts_with(|c: char| c.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok())?
}

/// Whether `ip` is in the network of `address`; addresses of different families never are.
pub(super) fn contains(address: IpAddr, mask: IpAddr, ip: IpAddr) -> bool {
    match (address, mask, ip) {
        (IpAddr::V4(address), IpAddr::V4(mask), IpAddr::V4(ip)) => {
            (u32::from(address) ^ u32::from(ip)) & u32::from(mask) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(mask), IpAddr::V6(ip)) => {
            (u128::from(address) ^ u128::from(ip)) & u128::from(mask) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_c_library_reads_them() {
        for (text, expected) in [
            ("127.0.0.1", Some("127.0.0.1")),
            ("10.1", Some("10.0.0.1")),
            ("10.1.2", Some("10.1.0.2")),
            ("0x7f.1", Some("127.0.0.1")),
            ("01.02.03.010", Some("1.2.3.8")),
            ("4294967295", Some("255.255.255.255")),
            ("4294967296", None),
            ("256.1.1.1", None),
            ("1.2.3.4.5", None),
            ("1.2.3.256", None),
            ("1.2.3.", None),
            ("+1.2.3.4", None),
            ("0x", None),
            ("08", None),
            ("", None),
            ("::1", Some("::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("fe80::1%", None),
            ("::ffff:1.2.3.4", Some("::ffff:1.2.3.4")),
            ("localhost", None),
        ] {
            assert_eq!(parse_ip(text).map(|ip| ip.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn networks_contain() {
        for (address, mask, ip, expected) in [
            ("10.0.0.0", "255.0.0.0", "10.255.1.2", true),
            ("10.0.0.0", "255.0.0.0", "11.0.0.1", false),
            ("127.0.0.1", "255.0.255.0", "127.9.0.77", true),
            ("0.0.0.0", "0.0.0.0", "1.2.3.4", true),
            ("0.0.0.0", "0.0.0.0", "::1", false),
            ("fd00::", "ffff::", "fd00:1::2", true),
            ("fd00::", "ffff::", "fd01::2", false),
            ("::", "::", "1.2.3.4", false),
        ] {
            let [address, mask, ip] = [address, mask, ip].map(|text| text.parse().unwrap());
            assert_eq!(contains(address, mask, ip), expected, "{address}/{mask} {ip}");
        }
    }
}
