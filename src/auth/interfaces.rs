//! This host's own addresses and networks, as the kernel's files tell them.
//!
//! `/proc/net/fib_trie` has the IPv4 addresses but not their masks: the mask of an address is that of the narrowest
//! directly linked route it lies in, which is the one the kernel made with the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::system::{SystemFiles, text_of};

/// One of this host's addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Interface {
    pub address: IpAddr,
    pub mask: IpAddr,
}

pub(super) fn read(system: &SystemFiles) -> Vec<Interface> {
    let mut all = ipv4(&text_of(&system.fib_trie));
    all.extend(text_of(&system.if_inet6).lines().filter_map(ipv6));
    all
}

fn ipv4(fib_trie: &str) -> Vec<Interface> {
    let (mut own, mut linked) = (Vec::new(), Vec::new());
    let mut leaf = None;
    for line in fib_trie.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match (&words[..], leaf) {
            (["|--", address], _) => leaf = address.parse::<Ipv4Addr>().ok(),
            (["/32", "host", "LOCAL"], Some(address)) if !own.contains(&address) => own.push(address),
            // The whole of 127/8 is local.
            ([bits, "link", "UNICAST"] | [bits, "host", "LOCAL"], Some(address)) => {
                let bits = bits.strip_prefix('/').and_then(|bits| bits.parse::<u32>().ok());
                linked.extend(bits.filter(|bits| *bits < 32).map(|bits| (bits, address)));
            }
            _ => {}
        }
    }
    let mask_of = |address: Ipv4Addr| {
        linked
            .iter()
            .map(|(bits, network)| (u32::MAX.checked_shl(32 - bits).unwrap_or(0), network))
            .filter(|(mask, network)| u32::from(address) & mask == u32::from(**network))
            .map(|(mask, _)| mask)
            .max()
            .unwrap_or(u32::MAX)
    };
    own.iter()
        .map(|address| Interface {
            address: (*address).into(),
            mask: Ipv4Addr::from(mask_of(*address)).into(),
        })
        .collect()
}

fn ipv6(line: &str) -> Option<Interface> {
    let mut words = line.split_ascii_whitespace();
    let address = u128::from_str_radix(words.next()?, 16).ok()?;
    let bits =
        words.nth(1).and_then(|bits| u32::from_str_radix(bits, 16).ok()).filter(|bits| *bits <= 128)?;
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    Some(Interface { address: Ipv6Addr::from(address).into(), mask: Ipv6Addr::from(mask).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB_TRIE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.168.7.0/24 2 0 2
        |-- 192.168.7.0
           /24 link UNICAST
        |-- 192.168.7.9
           /32 host LOCAL
        |-- 192.168.7.255
           /32 link BROADCAST
Local:
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.168.7.9
        /32 host LOCAL
     |-- 10.1.1.1
        /32 host LOCAL
";

    #[test]
    fn addresses_get_the_mask_of_their_link() {
        let shown: Vec<String> =
            ipv4(FIB_TRIE).iter().map(|own| format!("{} {}", own.address, own.mask)).collect();
        assert_eq!(shown, ["192.168.7.9 255.255.255.0", "127.0.0.1 255.0.0.0", "10.1.1.1 255.255.255.255"]);
    }

    #[test]
    fn ipv6_lines_have_address_and_prefix_length() {
        let own = ipv6("fe8000000000000000fc00fffe000001 04 40 20 80     eth0").unwrap();
        assert_eq!(own.address, "fe80::fc:ff:fe00:1".parse::<IpAddr>().unwrap());
        assert_eq!(own.mask, "ffff:ffff:ffff:ffff::".parse::<IpAddr>().unwrap());
        for bad in ["", "x 04 40", "00 04", "00 04 ff"] {
            assert_eq!(ipv6(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_machine_has_its_loopback_address() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(read(&SystemFiles::default()).iter().any(|own| own.address == loopback));
    }
}
