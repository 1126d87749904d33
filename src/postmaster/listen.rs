//! The sockets that clients connect to.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::lock_files::SocketLock;
use crate::os::process;
use crate::process::server::Listener;
use crate::report::{self, Report, SqlState};

/// Connections that the kernel keeps waiting: as many as it allows, so that a burst is not refused by it.
const BACKLOG: i32 = 4096;

/// What to listen on.
pub struct Addresses<'a> {
    /// `listen_addresses`, split: names are looked up in `/etc/hosts` only, `*` is everything.
    pub hosts: &'a [String],
    /// `unix_socket_directories`, split.
    pub socket_dirs: &'a [String],
    /// `port`.
    pub port: u16,
    /// `unix_socket_permissions`.
    pub permissions: u32,
}

/// The sockets, and the lock files beside Unix ones.
pub struct Listening {
    /// What clients connect to.
    pub listeners: Vec<Listener>,
    /// To be removed at the end.
    pub locks: Vec<SocketLock>,
}

/// Opens all sockets. What cannot be opened is reported as a warning to `warn`; none at all is FATAL.
pub fn open(
    addresses: &Addresses<'_>,
    data_dir: &Path,
    mut warn: impl FnMut(&Report),
) -> report::Result<Listening> {
    let mut listening = Listening { listeners: Vec::new(), locks: Vec::new() };
    let mut wanted = 0;
    for host in addresses.hosts {
        wanted += 1;
        open_host(host, addresses.port, &mut listening, &mut warn);
    }
    if wanted > 0 && listening.listeners.is_empty() {
        return Err(Report::fatal(SqlState::INTERNAL_ERROR, "could not create any TCP/IP sockets"));
    }
    for dir in addresses.socket_dirs {
        let path = Path::new(dir).join(format!(".s.PGSQL.{}", addresses.port));
        let lock = SocketLock::take(&path, process::pid(), data_dir)?;
        listening.locks.push(lock);
        listening.listeners.push(open_unix(&path, addresses.permissions)?);
        warn(&Report::log(format!("listening on Unix socket \"{}\"", path.display())));
    }
    if listening.listeners.is_empty() {
        return Err(Report::fatal(SqlState::INTERNAL_ERROR, "no socket created for listening"));
    }
    Ok(listening)
}

fn open_host(host: &str, port: u16, listening: &mut Listening, warn: &mut impl FnMut(&Report)) {
    for address in resolve(host) {
        let address = SocketAddr::new(address, port);
        let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
        match open_tcp(address) {
            Ok(listener) => {
                listening.listeners.push(listener);
                let text = format!("listening on {family} address \"{}\", port {port}", address.ip());
                warn(&Report::log(text));
            }
            // A machine without IPv6 is no reason to complain about `*` or `localhost`.
            Err(e) if e.raw_os_error() == Some(libc::EAFNOSUPPORT) => {}
            Err(e) => {
                let text = format!("could not bind {family} address \"{}\": {e}", address.ip());
                warn(&Report::warning(SqlState::SYSTEM_ERROR, text).with_hint(format!(
                    "Is another postmaster already running on port {port}? If not, wait a few seconds and retry."
                )));
            }
        }
    }
}

/// Addresses of a host name.
fn resolve(host: &str) -> Vec<IpAddr> {
    let any6 = IpAddr::from([0_u16; 8]);
    let any4 = IpAddr::from([0, 0, 0, 0]);
    match host {
        "*" => vec![any4, any6],
        "0.0.0.0" => vec![any4],
        "::" => vec![any6],
        _ => match host.parse() {
            Ok(address) => vec![address],
            Err(_) => from_hosts_file(host),
        },
    }
}

/// The system's resolver may load libraries and start threads, which a process that forks must not.
fn from_hosts_file(host: &str) -> Vec<IpAddr> {
    let text = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| line.split('#').next())
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect();
    found.dedup();
    if found.is_empty() && host == "localhost" {
        found = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    }
    found
}

fn open_tcp(address: SocketAddr) -> io::Result<Listener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    bind(&fd, &address)?;
    listen(&fd, BACKLOG)?;
    Ok(Listener { fd, path: None })
}

fn open_unix(path: &Path, permissions: u32) -> report::Result<Listener> {
    // The lock beside it is ours, so whoever made the socket is gone.
    let _ = fs::remove_file(path);
    let made = UnixListener::bind(path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        fs::set_permissions(path, fs::Permissions::from_mode(permissions))?;
        Ok(listener)
    });
    let listener = made.map_err(|e| {
        let text = format!("could not bind Unix address \"{}\": {e}", path.display());
        Report::fatal(SqlState::SYSTEM_ERROR, text)
    })?;
    // std listens with a backlog of its own choice; listening again changes it.
    let _ = listen(&listener, BACKLOG);
    Ok(Listener { fd: listener.into(), path: Some(PathBuf::from(path)) })
}
