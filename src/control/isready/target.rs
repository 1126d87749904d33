//! Whom to ask: options, connection strings and the environment, as libpq reads them.

use std::fmt::Write;

use crate::control::getopt::Parsed;
use crate::os::credentials;

const DEFAULT_PORT: &str = "5432";
const DEFAULT_HOST: &str = "/tmp";

/// Keywords of libpq that are taken and do not matter for one startup packet.
const IGNORED: [&str; 30] = [
    "password",
    "passfile",
    "options",
    "application_name",
    "fallback_application_name",
    "connect_timeout",
    "client_encoding",
    "sslmode",
    "sslnegotiation",
    "sslcompression",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "sslcertmode",
    "gssencmode",
    "krbsrvname",
    "gsslib",
    "service",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "target_session_attrs",
    "load_balance_hosts",
    "require_auth",
];

/// Whom to ask, and as whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Hosts or socket directories, with commas between.
    pub hosts: String,
    /// Ports, one or as many as hosts.
    pub ports: String,
    /// Role.
    pub user: String,
    /// Database.
    pub database: String,
}

impl Target {
    /// Each host with its port; those whose port is none are left out.
    pub fn addresses(&self) -> Vec<(String, u16)> {
        let ports: Vec<&str> = self.ports.split(',').collect();
        let port_of = |at: usize| ports.get(at).or(ports.last().filter(|_| ports.len() == 1)).copied();
        let hosts = self.hosts.split(',').enumerate();
        hosts
            .filter_map(|(at, host)| {
                let host = if host.is_empty() { DEFAULT_HOST } else { host };
                let port = port_of(at).filter(|port| !port.is_empty()).unwrap_or(DEFAULT_PORT);
                Some((host.to_owned(), port.trim().parse().ok().filter(|port| *port > 0)?))
            })
            .collect()
    }
}

/// The target of a command line.
///
/// # Errors
/// If the connection string cannot be understood.
pub fn of(parsed: &Parsed) -> Result<Target, String> {
    let mut found = Found::default();
    if let Some(text) = parsed.last("dbname") {
        found = connection_string(text)?;
    }
    let option = |id: &str| parsed.last(id).filter(|value| !value.is_empty()).map(str::to_owned);
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let given = |string: Option<String>, id: &str, variable: &str| {
        string.filter(|value| !value.is_empty()).or_else(|| option(id)).or_else(|| environment(variable))
    };
    let user = given(found.user, "username", "PGUSER").unwrap_or_else(credentials::effective_user_name);
    let no_option = "";
    Ok(Target {
        hosts: given(found.host, "host", "PGHOST").unwrap_or_else(|| DEFAULT_HOST.to_owned()),
        ports: given(found.port, "port", "PGPORT").unwrap_or_else(|| DEFAULT_PORT.to_owned()),
        database: given(found.database, no_option, "PGDATABASE").unwrap_or_else(|| user.clone()),
        user,
    })
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Found {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    database: Option<String>,
}

impl Found {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            // The address wins where both are given; it is what is connected to.
            "hostaddr" => self.host = Some(value),
            "host" => {
                self.host.get_or_insert(value);
            }
            "port" => self.port = Some(value),
            "user" => self.user = Some(value),
            "dbname" => self.database = Some(value),
            name if IGNORED.contains(&name) => {}
            name => return Err(format!("invalid connection option \"{name}\"")),
        }
        Ok(())
    }
}

/// A URI, `name=value …`, or the bare name of a database.
fn connection_string(text: &str) -> Result<Found, String> {
    if let Some(rest) = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
        return uri(rest);
    }
    if text.contains('=') {
        return name_value_pairs(text);
    }
    Ok(Found { database: Some(text.to_owned()), ..Found::default() })
}

fn name_value_pairs(text: &str) -> Result<Found, String> {
    let mut found = Found::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("missing \"=\" after \"{rest}\" in connection info string"))?;
        let (value, after) = pair_value(after.trim_start())?;
        found.set(name.trim_end(), value)?;
        rest = after.trim_start();
    }
    Ok(found)
}

/// A value and what stands behind it; backslashes keep the next character, quotes keep blanks.
fn pair_value(text: &str) -> Result<(String, &str), String> {
    let is_quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if is_quoted => return Ok((value, &text[at + 1..])),
            c if c.is_whitespace() && !is_quoted => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if is_quoted {
        return Err("unterminated quoted string in connection info string".to_owned());
    }
    Ok((value, ""))
}

/// `[user[:password]@][host[:port],…][/dbname][?name=value&…]`.
fn uri(text: &str) -> Result<Found, String> {
    let (place, query) = text.split_once('?').unwrap_or((text, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut found = Found::default();
    let some = |value: String| (!value.is_empty()).then_some(value);
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = host_and_port(host)?;
        names.push(decoded(name)?);
        ports.push(port);
    }
    found.host = some(names.join(",")).filter(|hosts| hosts.chars().any(|c| c != ','));
    found.port = some(ports.join(",")).filter(|ports| ports.chars().any(|c| c != ','));
    found.user = some(decoded(user.split(':').next().unwrap_or(""))?);
    found.database = some(decoded(database)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("missing key/value separator \"=\" in URI query parameter: \"{pair}\""))?;
        found.set(&decoded(name)?, decoded(value)?)?;
    }
    Ok(found)
}

fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or_else(|| {
            format!("end of string reached when looking for matching \"]\" in IPv6 host address in URI: \"{text}\"")
        })?;
        return Ok((address, rest.strip_prefix(':').unwrap_or("")));
    }
    Ok(text.rsplit_once(':').unwrap_or((text, "")))
}

/// With `%41` for `A`.
fn decoded(text: &str) -> Result<String, String> {
    let invalid = || format!("invalid percent-encoded token: \"{text}\"");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(invalid)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| *byte != 0).ok_or_else(invalid)?;
        bytes.push(byte);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}

/// For tests and messages: the parts with blanks between.
impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [&self.host, &self.port, &self.user, &self.database];
        parts.iter().try_for_each(|part| {
            f.write_str(part.as_deref().unwrap_or("-"))?;
            f.write_char(' ')
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_understood() {
        for (text, expected) in [
            ("postgres", "- - - postgres "),
            ("host=/tmp port=5499", "/tmp 5499 - - "),
            ("host = 'a b' user='it\\'s' dbname=x\\ y sslmode=disable", "a b - it's x y "),
            ("host=h hostaddr=1.2.3.4", "1.2.3.4 - - - "),
            ("postgres://u@localhost:5499/x", "localhost 5499 u x "),
            ("postgresql:///db?host=/tmp&port=1", "/tmp 1 - db "),
            ("postgresql://u:p@a:1,b:2", "a,b 1,2 u - "),
            ("postgresql://[::1]:7/", "::1 7 - - "),
            ("postgresql://%2Ftmp", "/tmp - - - "),
            ("postgresql://", "- - - - "),
        ] {
            assert_eq!(connection_string(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in [
            "nope=1",
            "host=a b",
            "host='a",
            "postgresql://[::1",
            "postgresql:///?x",
            "postgresql://%zz",
            "host=%",
        ] {
            let is_fine = text == "host=%";
            assert_eq!(connection_string(text).is_ok(), is_fine, "{text}");
        }
    }

    #[test]
    fn each_host_has_its_port() {
        let target = |hosts: &str, ports: &str| Target {
            hosts: hosts.to_owned(),
            ports: ports.to_owned(),
            user: String::new(),
            database: String::new(),
        };
        let pair = |host: &str, port: u16| (host.to_owned(), port);
        assert_eq!(target("a,b", "1,2").addresses(), [pair("a", 1), pair("b", 2)]);
        assert_eq!(target("a,b", "7").addresses(), [pair("a", 7), pair("b", 7)]);
        assert_eq!(target("", "").addresses(), [pair("/tmp", 5432)]);
        assert_eq!(target("a", "x").addresses(), []);
        assert_eq!(target("a", "0").addresses(), []);
        assert_eq!(target("a", "65536").addresses(), []);
    }
}
