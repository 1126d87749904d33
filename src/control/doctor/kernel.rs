//! The kernel and what it lets us do: its version, io_uring, futexes, seccomp, the clock.

use std::fs::read_to_string;

use super::report::Check;
use crate::os::clock::Monotonic;
use crate::os::futex::{self, WaitOutcome};
use crate::os::uring::{self, RingSupport};

/// From here on io_uring waits for futexes.
const WANTED: (u32, u32) = (6, 7);
/// Before this one the pidfds and memfds that everything stands on are missing.
const NEEDED: (u32, u32) = (5, 11);

const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0";
/// Clocks that a process reads without entering the kernel.
const FAST_CLOCKS: [&str; 5] =
    ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "pvclock"];

/// Everything that is known of the kernel.
pub fn checks() -> Vec<Check> {
    let release = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = version(release.trim());
    let support = uring::probe();
    let mut checks = vec![kernel_version(release.trim(), version), io_uring(support), futex_waitv()];
    checks.extend(seccomp(support));
    checks.extend(clock());
    checks
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn kernel_version(release: &str, version: Option<(u32, u32)>) -> Check {
    const NAME: &str = "kernel";
    let found = format!("Linux {release}");
    match version {
        Some(version) if version >= WANTED => Check::ok(NAME, found),
        Some(version) if version >= NEEDED => Check::warn(
            NAME,
            found,
            "before 6.7 a session waits by epoll and a signal: about 1.4 times the system calls per round trip",
        )
        .mended_by("install Linux 6.7 or newer"),
        Some(_) => Check::bad(NAME, found, "a server does not start before Linux 5.11")
            .mended_by("install Linux 6.7 or newer"),
        None => Check::warn(NAME, found, "its version cannot be told"),
    }
}

fn io_uring(support: RingSupport) -> Check {
    const NAME: &str = "io_uring";
    let costs = "sessions wait by epoll, and WAL is written by one call after the other";
    let check = Check::warn(NAME, support.to_string(), costs);
    match support {
        RingSupport::Full => Check::ok(NAME, support.to_string()),
        RingSupport::Disabled(_) => check.mended_by("sysctl -w kernel.io_uring_disabled=0"),
        RingSupport::Missing | RingSupport::Forbidden => check.mended_by(
            "in a container: run it with --security-opt seccomp=PROFILE, a copy of the runtime's default profile \
             that also allows io_uring_setup, io_uring_enter and io_uring_register",
        ),
        RingSupport::NoFlags | RingSupport::NoFutexWait => check.mended_by("install Linux 6.7 or newer"),
        RingSupport::Failed(_) => check.mended_by("ulimit -l unlimited (systemd: LimitMEMLOCK=infinity)"),
    }
}

/// Tried with a word that has changed already, so that nothing sleeps.
fn futex_waitv() -> Check {
    const NAME: &str = "futex_waitv";
    let word = std::sync::atomic::AtomicU32::new(0);
    match futex::private::wait_any(&[(&word, 1)], Some(Monotonic::from_nanos(0))) {
        WaitOutcome::Unsupported => Check::warn(
            NAME,
            "missing (before Linux 5.16, or a seccomp filter)",
            "who waits for a condition sees a cancel up to 10 ms later",
        )
        .mended_by("install Linux 6.7 or newer, or let the filter allow futex_waitv"),
        _ => Check::ok(NAME, "available"),
    }
}

fn seccomp(support: RingSupport) -> Option<Check> {
    const NAME: &str = "seccomp";
    let status = read_to_string("/proc/self/status").ok()?;
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"))?.trim();
    Some(match mode {
        "0" => Check::ok(NAME, "no filter"),
        "2" if support.is_full() => Check::ok(NAME, "a filter, which lets io_uring pass"),
        "2" => Check::warn(NAME, "a filter", "it may be what forbids io_uring (above)"),
        other => Check::bad(NAME, format!("mode {other}"), "only read, write and exit are allowed"),
    })
}

fn clock() -> Option<Check> {
    const NAME: &str = "clock source";
    let current = read_to_string(format!("{CLOCK}/current_clocksource")).ok()?.trim().to_owned();
    if FAST_CLOCKS.contains(&current.as_str()) {
        return Some(Check::ok(NAME, current));
    }
    let available = read_to_string(format!("{CLOCK}/available_clocksource")).unwrap_or_default();
    let costs = "reading the time is a system call or slower, twice per wait and statement";
    let check = Check::warn(NAME, current, costs);
    let better = available.split_whitespace().find(|clock| FAST_CLOCKS.contains(clock));
    Some(match better {
        Some(clock) => check.mended_by(format!("echo {clock} > {CLOCK}/current_clocksource")),
        None => check,
    })
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn releases_are_judged() {
        for (release, verdict) in [
            ("6.18.44-fc-v595", Verdict::Ok),
            ("6.7.0", Verdict::Ok),
            ("6.6.99", Verdict::Warn),
            ("5.11", Verdict::Warn),
            ("4.19.0-25-amd64", Verdict::Bad),
            ("strange", Verdict::Warn),
            ("", Verdict::Warn),
        ] {
            assert_eq!(kernel_version(release, version(release)).verdict, verdict, "{release}");
        }
    }
}
