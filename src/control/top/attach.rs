//! The shared memory of a running server, from outside: the postmaster's memfd through /proc.
//!
//! Nothing is written there, though the mapping could be: the runtime's types want it so.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use crate::control::data_directory::reason;
use crate::control::instance;
use crate::control::pid_file::PidFile;
use crate::control::program::Failure;
use crate::ipc::Ipc;
use crate::os::pidfd::PidFd;
use crate::os::process::Pid;
use crate::shmem::Segment;
use crate::sync::Ordering;

/// A server that is looked at.
pub struct Server {
    file: PidFile,
    segment: Segment,
}

impl Server {
    /// Finds the server of a data directory and its memory.
    pub fn attach(data_dir: &Path) -> Result<Self, Failure> {
        let file = PidFile::read(data_dir)?.ok_or_else(|| Failure::new("no server running"))?;
        let (fd, instance) = file.segment.ok_or_else(|| {
            Failure::new("the server has not said yet where its shared memory is (line 7 of postmaster.pid)")
        })?;
        match open(file.pid, fd, instance) {
            Ok(segment) => Ok(Self { file, segment }),
            Err(failure) => {
                // Sessions that outlived their postmaster have its memory under the same number.
                let orphans = instance::lock_holders(data_dir).into_iter();
                let segment = orphans.filter_map(|pid| open(pid, fd, instance).ok()).next();
                segment.map(|segment| Self { file, segment }).ok_or(failure)
            }
        }
    }

    /// Whether the directory has another server or another memory by now, or none.
    pub fn is_replaced(&self, data_dir: &Path) -> bool {
        match PidFile::read(data_dir) {
            Ok(Some(file)) => file.pid != self.file.pid || file.segment != self.file.segment,
            Ok(None) => true,
            // Being written.
            Err(_) => false,
        }
    }

    /// The runtime's regions.
    pub fn ipc(&self) -> Result<Ipc<'_>, Failure> {
        Ipc::open(&self.segment).map_err(|error| Failure::new(error.to_string()))
    }

    /// What stands above the tables.
    pub fn headline(&self, ipc: &Ipc<'_>) -> String {
        let pid = self.file.pid.as_raw_nonzero();
        let was_seen_dead = ipc.control().postmaster_dead.load(Ordering::Relaxed) != 0;
        let is_dead = was_seen_dead || PidFd::open(self.file.pid).is_err();
        let status = if is_dead { "dead" } else { self.file.status.as_deref().unwrap_or("starting") };
        let port = self.file.port.map_or_else(|| "-".to_owned(), |port| port.to_string());
        let kilobytes = self.segment.len() / 1024;
        let pages = self
            .segment
            .page_report()
            .map_or_else(|_| format!("{kilobytes} kB of shared memory"), |report| report.to_string());
        format!("postmaster {pid} ({status}), port {port}; {pages}")
    }
}

/// The memory behind a descriptor of another process, if it is the one that is meant.
fn open(pid: Pid, fd: i32, instance: u64) -> Result<Segment, Failure> {
    let path = format!("/proc/{}/fd/{fd}", pid.as_raw_nonzero());
    let memfd = OpenOptions::new().read(true).write(true).open(&path).map_err(|error| {
        let failure = Failure::new(format!("could not open shared memory \"{path}\": {}", reason(&error)));
        match error.kind() {
            io::ErrorKind::NotFound => Failure::new("no server running").with_hint(
                "postmaster.pid is there, but its process is gone or has another descriptor there.",
            ),
            io::ErrorKind::PermissionDenied => {
                failure.with_hint("Run it as the user that owns the server, or as root.")
            }
            _ => failure,
        }
    })?;
    let segment = Segment::attach(memfd.into()).map_err(|error| Failure::new(error.to_string()))?;
    if segment.instance() != instance {
        return Err(Failure::new("the shared memory found is not the one that postmaster.pid speaks of"));
    }
    Ok(segment)
}

/// Bytes of the shared memory of the server that runs in `data_dir`, if one does.
pub fn segment_len(data_dir: &Path) -> Option<u64> {
    Server::attach(data_dir).ok().map(|server| server.segment.len() as u64)
}
