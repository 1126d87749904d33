//! The files of the system that authentication reads, so that tests can put others in their place.
//!
//! They are read by ourselves and not by the C library, whose name services load foreign code into the process and
//! may wait for the network. So only these files count: no DNS, no LDAP, no NSS.

use std::fs;
use std::path::PathBuf;

/// Where they are.
#[derive(Clone, Debug)]
pub struct SystemFiles {
    /// User names by number.
    pub passwd: PathBuf,
    /// Host names by address.
    pub hosts: PathBuf,
    /// The kernel's IPv4 routes, for `samehost` and `samenet`.
    pub fib_trie: PathBuf,
    /// The kernel's IPv6 addresses, for the same.
    pub if_inet6: PathBuf,
}

impl Default for SystemFiles {
    fn default() -> Self {
        Self {
            passwd: "/etc/passwd".into(),
            hosts: "/etc/hosts".into(),
            fib_trie: "/proc/net/fib_trie".into(),
            if_inet6: "/proc/net/if_inet6".into(),
        }
    }
}

/// A file that cannot be read says nothing; what would need it then does not match.
pub(super) fn text_of(path: &PathBuf) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
