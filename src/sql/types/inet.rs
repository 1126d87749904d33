//! `inet` addresses, kept as their text.

use std::net::IpAddr;

/// The text that PostgreSQL prints for an address, if it is one; a full prefix length is not shown.
pub fn parse(text: &str) -> Option<String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let full = if address.is_ipv4() { 32 } else { 128 };
    match bits {
        Some(bits) if bits > full => None,
        Some(bits) if bits < full => Some(format!("{address}/{bits}")),
        _ => Some(address.to_string()),
    }
}

/// The address without its prefix length.
pub fn host(text: &str) -> &str {
    text.split_once('/').map_or(text, |(address, _)| address)
}

/// Address family, prefix length and address bytes, as the binary form has them.
pub fn parts(text: &str) -> Option<(u8, u8, Vec<u8>)> {
    let address: IpAddr = host(text).parse().ok()?;
    let bits = text.split_once('/').and_then(|(_, bits)| bits.parse().ok());
    Some(match address {
        IpAddr::V4(v4) => (2, bits.unwrap_or(32), v4.octets().to_vec()),
        IpAddr::V6(v6) => (3, bits.unwrap_or(128), v6.octets().to_vec()),
    })
}
