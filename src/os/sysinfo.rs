//! Small readers of /proc and /sys.
//!
//! The kernel writes these files in a few fixed shapes: one number, or lines of a name, a colon, a
//! number and perhaps `kB`. Other files here build on this one instead of parsing again.

use std::io;
use std::path::Path;

/// The one number that the file at `path` holds.
///
/// Fails with `NotFound` where the kernel has no such file, and with `InvalidData` if it holds something
/// else.
pub fn read_number(path: impl AsRef<Path>) -> io::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    text.trim().parse().map_err(|_| invalid(&text))
}

/// The bytes in a line `name:   123 kB`, if `line` is one.
pub fn kilobytes_line(line: &str, name: &str) -> Option<u64> {
    let value = line.strip_prefix(name)?.strip_prefix(':')?;
    let number: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    number.checked_mul(1024)
}

/// The word in brackets in a line such as `always [madvise] never`: the choice in force.
pub fn chosen_word(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('[')?;
    Some(rest.split_once(']')?.0)
}

/// The error for a file of the kernel that does not look as expected.
pub(super) fn invalid(text: &str) -> io::Error {
    let text = text.trim();
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected content: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number() {
        assert!(read_number("/proc/sys/kernel/pid_max").unwrap() > 0);
        let missing = read_number("/proc/no-such-file").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let text = read_number("/proc/self/comm").unwrap_err();
        assert_eq!(text.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn reads_kilobytes() {
        assert_eq!(kilobytes_line("Rss:      12 kB", "Rss"), Some(12 * 1024));
        assert_eq!(kilobytes_line("HugePages_Free:  3", "HugePages_Free"), None);
        assert_eq!(kilobytes_line("RssAnon: 12 kB", "Rss"), None);
    }

    #[test]
    fn finds_the_chosen_word() {
        assert_eq!(chosen_word("always [madvise] never\n"), Some("madvise"));
        assert_eq!(chosen_word("always"), None);
    }
}
