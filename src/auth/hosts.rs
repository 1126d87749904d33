//! Host names of clients, for records of pg_hba.conf that name hosts.
//!
//! Decided: names are looked up in /etc/hosts only. As with PostgreSQL on a system that asks nothing but that file, the
//! client's name is the first name of the first line with its address; aliases do not count. A reverse look-up in DNS
//! would make a session's start wait for foreign servers, and trust them.

use std::net::IpAddr;

use super::system::{SystemFiles, text_of};

/// What is known of the client's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostLookup {
    /// Nobody asked.
    NotTried,
    /// It has none.
    Unknown,
    /// A record named another.
    Unmatched(String),
    /// A record named it.
    Matched(String),
}

impl HostLookup {
    /// What the log says beside a connection without a record.
    pub fn detail(&self) -> Option<String> {
        Some(match self {
            Self::NotTried => return None,
            Self::Unknown => {
                "Could not resolve client IP address to a host name: Name or service not known.".to_owned()
            }
            Self::Unmatched(name) => {
                format!("Client IP address resolved to \"{name}\", forward lookup not checked.")
            }
            Self::Matched(name) => {
                format!("Client IP address resolved to \"{name}\", forward lookup matches.")
            }
        })
    }
}

/// The client's name, looked up at most once.
pub(super) struct Names<'a> {
    client: Option<IpAddr>,
    system: &'a SystemFiles,
    found: HostLookup,
}

impl<'a> Names<'a> {
    pub fn new(client: Option<IpAddr>, system: &'a SystemFiles) -> Self {
        Self { client, system, found: HostLookup::NotTried }
    }

    /// Whether the client's name is `pattern`, or ends so if that begins with a dot.
    pub fn matches(&mut self, pattern: &str) -> bool {
        if self.found == HostLookup::NotTried {
            let name = self.client.and_then(|client| name_of(client, &text_of(&self.system.hosts)));
            self.found = name.map_or(HostLookup::Unknown, HostLookup::Unmatched);
        }
        let (HostLookup::Unmatched(name) | HostLookup::Matched(name)) = &self.found else {
            return false;
        };
        let matched = matches(pattern, name);
        if matched {
            // The line that gave the name leads back to the address.
            self.found = HostLookup::Matched(name.clone());
        }
        matched
    }

    pub fn found(self) -> HostLookup {
        self.found
    }
}

fn name_of(address: IpAddr, hosts: &str) -> Option<String> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        (words.next()?.parse::<IpAddr>().ok()? == address).then(|| words.next().map(str::to_owned))?
    })
}

fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.starts_with('.') {
        return pattern.eq_ignore_ascii_case(name);
    }
    let (name, pattern) = (name.as_bytes(), pattern.as_bytes());
    name.len() > pattern.len() && name[name.len() - pattern.len()..].eq_ignore_ascii_case(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_the_first_line_counts() {
        let hosts = "# comment\n127.0.0.1 localhost me\n\n10.0.0.5\n10.0.0.5\tDb.example db # x\n10.0.0.5 other\n::1 six";
        for (address, name) in [
            ("127.0.0.1", Some("localhost")),
            ("10.0.0.5", Some("Db.example")),
            ("::1", Some("six")),
            ("1.1.1.1", None),
        ] {
            assert_eq!(name_of(address.parse().unwrap(), hosts).as_deref(), name);
        }
    }

    #[test]
    fn patterns_match_without_case_and_by_suffix() {
        for (pattern, name, expected) in [
            ("db.example", "Db.Example", true),
            ("db.example", "xdb.example", false),
            (".example", "db.Example", true),
            (".example", ".example", false),
            (".example", "example", false),
            (".example", "dbexample", false),
            (".e", "ü.e", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
