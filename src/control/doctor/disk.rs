//! The data directory's file system: which it is, direct I/O, room, and what a sync costs. The last two are tried.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{OFlags, StatFs, statfs};

use super::report::Check;
use crate::control::data_directory::reason;
use crate::os::clock::Monotonic;

const BLOCK: usize = 8192;
/// Alignment that satisfies direct I/O everywhere.
const ALIGNMENT: usize = 4096;
const SYNCS: usize = 50;
const MB: u64 = 1 << 20;

/// Magic numbers of `statfs`, the name, and what is wrong with it, if anything.
const FILE_SYSTEMS: [(i64, &str, Option<&str>); 12] = [
    (0xEF53, "ext4", None),
    (0x5846_5342, "xfs", None),
    (0xF2F5_2010, "f2fs", None),
    (0x2FC1_2FC1, "zfs", None),
    (0x9123_683E, "btrfs", Some("every write goes to a new place: data and WAL fragment")),
    (0xCA45_1A4E, "bcachefs", Some("every write goes to a new place: data and WAL fragment")),
    (0x794C_7630, "overlayfs", Some("first writes copy whole files, and a container's data is gone with it")),
    (0x6969, "nfs", Some("a sync is a round trip over the network, and locks depend on the server")),
    (0xFE53_4D42, "smb", Some("a sync is a round trip over the network, and locks depend on the server")),
    (0x0102_1997, "9p", Some("each operation is handed to another system")),
    (0x6573_5546, "fuse", Some("each operation is handed to another process")),
    (TMPFS, "tmpfs", Some("everything is gone with the next power failure or reboot")),
];
const TMPFS: i64 = 0x0102_1994;

/// Everything about the file system that `data_dir` is or would be on.
pub fn checks(data_dir: &Path) -> Vec<Check> {
    let Some(place) = data_dir.ancestors().find(|path| path.is_dir()) else {
        return Vec::new();
    };
    let mut checks = Vec::new();
    match statfs(place) {
        Ok(stat) => checks.extend([file_system(place, stat.f_type), room(&stat)]),
        Err(errno) => {
            let found = format!("\"{}\": {}", place.display(), reason(&errno.into()));
            checks.push(Check::warn("file system", found, "it cannot be looked at"));
        }
    }
    match Scratch::new(place) {
        Ok(scratch) => checks.extend([direct_io(&scratch), sync_cost(&scratch)]),
        Err(error) => {
            let found = format!("cannot write in \"{}\": {}", place.display(), reason(&error));
            checks.push(Check::warn("sync", found, "direct I/O and syncs were not tried"));
        }
    }
    checks
}

fn file_system(place: &Path, magic: i64) -> Check {
    const NAME: &str = "file system";
    // Some kernels hand the number out sign-extended.
    let magic = magic & 0xFFFF_FFFF;
    let Some((_, name, problem)) = FILE_SYSTEMS.iter().find(|(number, ..)| *number == magic) else {
        return Check::ok(NAME, format!("{magic:#x} at \"{}\"", place.display()));
    };
    let found = format!("{name} at \"{}\"", place.display());
    match problem {
        None => Check::ok(NAME, found),
        Some(costs) => {
            let check = if magic == TMPFS {
                Check::bad(NAME, found, *costs)
            } else {
                Check::warn(NAME, found, *costs)
            };
            let mend = match *name {
                "btrfs" => format!("chattr +C {} (before the data directory is made)", place.display()),
                "overlayfs" => "docker run -v VOLUME:DIR, and -D DIR".to_owned(),
                _ => "tuskd init -D DIR, with DIR on a local ext4 or xfs".to_owned(),
            };
            check.mended_by(mend)
        }
    }
}

fn room(stat: &StatFs) -> Check {
    let bytes = stat.f_bavail.saturating_mul(stat.f_bsize.unsigned_abs());
    judge_room(bytes)
}

fn judge_room(bytes: u64) -> Check {
    const NAME: &str = "free space";
    let found = format!("{} MB", bytes / MB);
    let costs = "when the disk is full the server stops; WAL alone may take max_wal_size (1 GB)";
    match bytes {
        0..104_857_600 => Check::bad(NAME, found, costs).mended_by("df -h, then remove or move something"),
        104_857_600..2_147_483_648 => {
            Check::warn(NAME, found, costs).mended_by("df -h, then remove or move something")
        }
        _ => Check::ok(NAME, found),
    }
}

/// A file that is gone when this is.
struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn new(place: &Path) -> io::Result<Self> {
        let path = place.join(format!(".tuskd-doctor-{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let written = file.write_all(&[0; BLOCK]).and_then(|()| file.sync_all());
        let scratch = Self { path, file };
        written.map(|()| scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn direct_io(scratch: &Scratch) -> Check {
    const NAME: &str = "direct I/O";
    let buffer = vec![0_u8; BLOCK + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let flags = OFlags::DIRECT.bits().cast_signed();
    let opened = OpenOptions::new().write(true).custom_flags(flags).open(&scratch.path);
    let written = opened.and_then(|file| file.write_all_at(&buffer[start..start + BLOCK], 0));
    match written {
        Ok(()) => Check::ok(NAME, "works"),
        Err(error) => Check::warn(
            NAME,
            format!("refused: {}", reason(&error)),
            "WAL goes through the kernel's cache: one more copy, and flushes that cannot overlap",
        )
        .mended_by("tuskd init -D DIR, with DIR on a local ext4 or xfs"),
    }
}

fn sync_cost(scratch: &Scratch) -> Check {
    let mut took = Vec::with_capacity(SYNCS);
    for round in 0..SYNCS {
        let begun = Monotonic::now();
        let synced =
            scratch.file.write_all_at(&[round as u8; BLOCK], 0).and_then(|()| scratch.file.sync_data());
        if let Err(error) = synced {
            return Check::bad(
                "sync",
                format!("fdatasync failed: {}", reason(&error)),
                "nothing can be made durable",
            );
        }
        took.push(Monotonic::now().saturating_since(begun));
    }
    took.sort_unstable();
    judge_sync(took[SYNCS / 2])
}

fn judge_sync(median: Duration) -> Check {
    const NAME: &str = "sync";
    let per_second = 1.0 / median.as_secs_f64().max(1e-9);
    let found = format!(
        "write and fdatasync of 8 kB: median {:.3} ms of {SYNCS} ({per_second:.0} per second)",
        median.as_secs_f64() * 1e3
    );
    if median > Duration::from_millis(5) {
        let costs = "a lone client cannot commit faster than this";
        return Check::warn(NAME, found, costs)
            .mended_by("lsblk -o NAME,ROTA,MODEL (put the directory on an SSD)");
    }
    if median < Duration::from_micros(8) {
        let costs = "no disk is that fast: a power failure may take commits that were acknowledged";
        return Check::warn(NAME, found, costs)
            .mended_by("findmnt -T DIR (look for nobarrier, tmpfs, or a disk image)");
    }
    Check::ok(NAME, found)
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn findings_are_judged() {
        let place = Path::new("/d");
        assert_eq!(file_system(place, 0xEF53).verdict, Verdict::Ok);
        assert_eq!(file_system(place, TMPFS).verdict, Verdict::Bad);
        assert_eq!(file_system(place, 0x9123_683E_u32 as i32 as i64).verdict, Verdict::Warn);
        assert_eq!(file_system(place, 7).verdict, Verdict::Ok);
        assert_eq!(judge_room(50 * MB).verdict, Verdict::Bad);
        assert_eq!(judge_room(1 << 30).verdict, Verdict::Warn);
        assert_eq!(judge_room(1 << 40).verdict, Verdict::Ok);
        assert_eq!(judge_sync(Duration::from_micros(120)).verdict, Verdict::Ok);
        assert_eq!(judge_sync(Duration::from_millis(9)).verdict, Verdict::Warn);
        assert_eq!(judge_sync(Duration::ZERO).verdict, Verdict::Warn);
    }

    #[test]
    fn trying_leaves_nothing_behind() {
        let place = std::env::temp_dir().join(format!("tuskd-doctor-test-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let checks = checks(&place.join("not/yet"));
        assert!(checks.iter().any(|check| check.name == "sync"), "{checks:?}");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        fs::remove_dir(&place).unwrap();
    }
}
