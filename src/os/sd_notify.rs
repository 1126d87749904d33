//! Telling systemd how the server is: datagrams to the socket that `NOTIFY_SOCKET` names.
//!
//! Without that variable nobody listens and nothing is sent. The socket is closed on exec, so that commands the server
//! runs cannot speak for it.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::clock::Monotonic;

/// systemd reads at once; should it not, the postmaster has better things to do than to wait.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say. Fails if a socket is named that cannot be reached.
    pub fn from_env() -> io::Result<Self> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let socket = variable("NOTIFY_SOCKET");
        let number = |name: &str| variable(name)?.to_str()?.parse().ok();
        let is_ours = variable("WATCHDOG_PID").is_none()
            || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
        Self::new(socket.as_deref(), number("WATCHDOG_USEC").filter(|_| is_ours))
    }

    /// One that sends nothing.
    pub const fn silent() -> Self {
        Self { socket: None, watchdog: None }
    }

    fn new(address: Option<&OsStr>, watchdog_usec: Option<u64>) -> io::Result<Self> {
        let Some(address) = address else {
            return Ok(Self::silent());
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        socket.connect_addr(&socket_address(address)?)?;
        let watchdog = watchdog_usec.filter(|usec| *usec > 0).map(Duration::from_micros);
        Ok(Self { socket: Some(socket), watchdog })
    }

    /// Whether anybody listens.
    pub const fn is_active(&self) -> bool {
        self.socket.is_some()
    }

    /// Within which time [`Notifier::watchdog`] must be called again and again, or the server is killed. Half of it is a
    /// good interval.
    pub const fn watchdog_timeout(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The server takes connections.
    pub fn ready(&self) -> io::Result<()> {
        self.send("READY=1")
    }

    /// The same, with the pid that systemd is to watch: ours, where a helper started us.
    pub fn ready_as(&self, main_pid: u32) -> io::Result<()> {
        self.send(&format!("READY=1\nMAINPID={main_pid}"))
    }

    /// The configuration is being read anew; [`Notifier::ready`] says when that is done.
    pub fn reloading(&self) -> io::Result<()> {
        let usec = Monotonic::now().as_nanos() / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"))
    }

    /// The server is about to end.
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1")
    }

    /// What `systemctl status` shows. A newline would begin another assignment, so it becomes a blank.
    pub fn status(&self, text: &str) -> io::Result<()> {
        self.send(&format!("STATUS={}", text.replace('\n', " ")))
    }

    /// The server lives.
    pub fn watchdog(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    fn send(&self, state: &str) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        loop {
            match socket.send(state.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(|_| ()),
            }
        }
    }
}

/// A path, or a name behind `@` that is in no file system.
fn socket_address(address: &OsStr) -> io::Result<SocketAddr> {
    match address.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(address),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, format!("NOTIFY_SOCKET is {address:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut space = [0; 256];
        let length = socket.recv(&mut space).unwrap();
        String::from_utf8(space[..length].to_vec()).unwrap()
    }

    fn says_everything(notifier: &Notifier, manager: &UnixDatagram) {
        notifier.ready().unwrap();
        assert_eq!(received(manager), "READY=1");
        notifier.ready_as(4711).unwrap();
        assert_eq!(received(manager), "READY=1\nMAINPID=4711");
        notifier.status("two\nlines").unwrap();
        assert_eq!(received(manager), "STATUS=two lines");
        let before = Monotonic::now().as_nanos() / 1000;
        notifier.reloading().unwrap();
        let reloading = received(manager);
        let usec: u64 = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(usec >= before && usec <= Monotonic::now().as_nanos() / 1000);
        notifier.watchdog().unwrap();
        assert_eq!(received(manager), "WATCHDOG=1");
        notifier.stopping().unwrap();
        assert_eq!(received(manager), "STOPPING=1");
    }

    #[test]
    fn by_path_and_by_abstract_name() {
        let path = env::temp_dir().join(format!("tuskd-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let manager = UnixDatagram::bind(&path).unwrap();
        says_everything(&Notifier::new(Some(path.as_os_str()), None).unwrap(), &manager);
        std::fs::remove_file(&path).unwrap();

        let name = format!("tuskd-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::new(Some(OsStr::new(&format!("@{name}"))), Some(30_000_000)).unwrap();
        says_everything(&notifier, &manager);
        assert_eq!(notifier.watchdog_timeout(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn silent_without_a_socket() {
        let notifier = Notifier::new(None, Some(30)).unwrap();
        assert!(!notifier.is_active());
        assert_eq!(notifier.watchdog_timeout(), None);
        notifier.ready().unwrap();
        notifier.stopping().unwrap();
    }

    #[test]
    fn sockets_that_cannot_be_reached() {
        let cases = [
            ("relative", io::ErrorKind::Unsupported),
            ("vsock:2:1234", io::ErrorKind::Unsupported),
            ("/no/such/socket", io::ErrorKind::NotFound),
        ];
        for (address, expected) in cases {
            let error = Notifier::new(Some(OsStr::new(address)), None).unwrap_err();
            assert_eq!(error.kind(), expected, "{address}");
        }
    }

    #[test]
    fn a_manager_that_is_gone_is_an_error() {
        let name = format!("tuskd-notify-gone-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier = Notifier::new(Some(OsStr::new(&format!("@{name}"))), None).unwrap();
        drop(manager);
        assert_eq!(notifier.ready().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
