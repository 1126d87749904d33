//! Sockets, without waiting for them.
//!
//! Neither call sleeps, whether the socket is non-blocking or not, so that who has to wait does it where its
//! latch can wake it.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// Sends what fits of `bytes` now. `None`: nothing does. A peer that is gone is an error (`BrokenPipe`), not a
/// signal.
pub fn send_now(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Option<usize>> {
    done_now(|| send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL))
}

/// Receives what is there into `buffer`. `None`: nothing is; zero: the peer sends no more.
pub fn receive_now(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    done_now(|| recv(socket, &mut *buffer, RecvFlags::DONTWAIT).map(|(count, _)| count))
}

fn done_now(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn never_waits() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(receive_now(here.as_fd(), &mut buffer).unwrap(), None);
        assert_eq!(send_now(there.as_fd(), b"abc").unwrap(), Some(3));
        assert_eq!(receive_now(here.as_fd(), &mut buffer).unwrap(), Some(3));
        let chunk = [0; 1 << 16];
        while send_now(there.as_fd(), &chunk).unwrap().is_some() {}
        drop(there);
        assert_eq!(receive_now(here.as_fd(), &mut buffer).unwrap(), Some(8));
        assert_eq!(send_now(here.as_fd(), b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
