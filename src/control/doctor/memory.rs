//! Memory: huge pages, overcommit, the OOM killer, and what the control group allows.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use super::report::Check;
use crate::control::data_directory::peek_setting;
use crate::control::pid_file::PidFile;
use crate::control::top;
use crate::os::memfd::{self, HugePageCounts, ShmemHugePages};
use crate::os::sysinfo::{chosen_word, kilobytes_line, read_number};

const MB: u64 = 1 << 20;
const DEFAULT_SHARED_BUFFERS: u64 = 128 * MB;
/// What lies in shared memory beside the buffers, roughly: WAL ring, slots, statistics.
const BESIDE_BUFFERS: u64 = 24 * MB;

const THP: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Bytes of shared memory that the server has, or would have by its `shared_buffers`.
pub fn needed_bytes(data_dir: &Path) -> u64 {
    let by_setting = || {
        let setting = peek_setting(data_dir, &[], "shared_buffers");
        let buffers = setting.as_deref().and_then(buffer_bytes).unwrap_or(DEFAULT_SHARED_BUFFERS);
        buffers.saturating_add(BESIDE_BUFFERS)
    };
    top::segment_len(data_dir).unwrap_or_else(by_setting)
}

/// A size in blocks of 8 kB, or with a unit.
fn buffer_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" => 8 << 10,
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => MB,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Everything that is known of memory.
pub fn checks(data_dir: &Path, needed: u64) -> Vec<Check> {
    let is_running = top::segment_len(data_dir).is_some();
    let huge_size = memfd::default_huge_page_size().ok().flatten();
    let counts = huge_size.and_then(|size| HugePageCounts::read(size).ok());
    let has_huge = counts.is_some_and(|counts| counts.available() * counts.page_size >= needed);
    let mut checks = vec![huge_pages(counts, needed, is_running)];
    checks.extend(ShmemHugePages::read().ok().map(|setting| shmem_huge_pages(setting, has_huge)));
    checks.extend(read_to_string(THP).ok().and_then(|text| private_huge_pages(chosen_word(&text)?)));
    checks.extend(read_number("/proc/sys/vm/overcommit_memory").ok().map(overcommit));
    checks.extend(oom_score(data_dir));
    checks.extend(total(needed));
    checks.push(cgroup(needed));
    checks
}

fn huge_pages(counts: Option<HugePageCounts>, needed: u64, is_running: bool) -> Check {
    const NAME: &str = "huge pages";
    let Some(counts) = counts else {
        return Check::warn(
            NAME,
            "this kernel has none",
            "more TLB misses, and page tables of 8 bytes per 4 kB and session",
        );
    };
    let (size, free) = (counts.page_size / 1024, counts.available());
    let pages = needed.div_ceil(counts.page_size);
    let found =
        format!("{free} of {} pages of {size} kB free, {pages} needed for {} MB", counts.total, needed / MB);
    if free >= pages {
        return Check::ok(NAME, found);
    }
    if is_running && counts.total >= pages {
        return Check::ok(NAME, format!("{found}; the running server may have them"));
    }
    let costs = "more TLB misses, and each session's page tables grow with the buffers it touches \
                 (2 MB per GB) instead of with nothing";
    let mend = format!("sysctl -w vm.nr_hugepages={}", counts.total + pages.saturating_sub(free));
    Check::warn(NAME, found, costs).mended_by(mend)
}

fn shmem_huge_pages(setting: ShmemHugePages, has_huge: bool) -> Check {
    const NAME: &str = "shmem huge pages";
    if setting.allows_advised() {
        return Check::ok(NAME, setting.to_string());
    }
    if has_huge {
        return Check::ok(NAME, format!("{setting}; not needed, since there are reserved huge pages"));
    }
    Check::warn(NAME, setting.to_string(), "without reserved huge pages shared memory stays in pages of 4 kB")
        .mended_by(format!("echo advise > {}", ShmemHugePages::PATH))
}

fn private_huge_pages(chosen: &str) -> Option<Check> {
    const NAME: &str = "transparent huge pages";
    Some(match chosen {
        "always" => Check::warn(
            NAME,
            "always",
            "a session that touches 4 kB of private memory may get 2 MB, and the kernel stops it to make room",
        )
        .mended_by(format!("echo madvise > {THP}")),
        other => Check::ok(NAME, other),
    })
}

fn overcommit(mode: u64) -> Check {
    const NAME: &str = "overcommit";
    let found = format!("vm.overcommit_memory is {mode}");
    if mode == 2 {
        return Check::ok(NAME, found);
    }
    let costs = "when memory runs out, a process is killed instead of an allocation refused; a killed session may \
                 take the others with it";
    Check::warn(NAME, found, costs).mended_by("sysctl -w vm.overcommit_memory=2 vm.overcommit_ratio=90")
}

/// The running server's score, or the one that a server started from here would have.
fn oom_score(data_dir: &Path) -> Option<Check> {
    const NAME: &str = "OOM score";
    let running = PidFile::read(data_dir).ok().flatten().map(|file| file.pid.as_raw_nonzero().to_string());
    let read =
        |who: &str| read_to_string(format!("/proc/{who}/oom_score_adj")).ok()?.trim().parse::<i32>().ok();
    let (who, score) = match running.and_then(|pid| Some((pid.clone(), read(&pid)?))) {
        Some((pid, score)) => (format!("of the postmaster (PID {pid})"), score),
        None => ("of this shell's processes".to_owned(), read("self")?),
    };
    let found = format!("oom_score_adj {who} is {score}");
    if score <= -500 {
        return Some(Check::ok(NAME, found));
    }
    let costs = "shared memory counts for every process that has it, so a server looks like the biggest one";
    Some(Check::warn(NAME, found, costs).mended_by("systemctl edit UNIT: [Service] OOMScoreAdjust=-900"))
}

fn total(needed: u64) -> Option<Check> {
    const NAME: &str = "memory";
    let text = read_to_string("/proc/meminfo").ok()?;
    let find = |name: &str| text.lines().find_map(|line| kilobytes_line(line, name));
    let (total, available) = (find("MemTotal")?, find("MemAvailable")?);
    let found = format!("{} MB, {} MB available, {} MB needed", total / MB, available / MB, needed / MB);
    let mend = "lower shared_buffers in postgresql.conf";
    Some(if needed > total {
        Check::bad(NAME, found, "shared memory does not fit").mended_by(mend)
    } else if needed > total / 2 {
        Check::warn(NAME, found, "little is left for sessions and the kernel's cache").mended_by(mend)
    } else {
        Check::ok(NAME, found)
    })
}

fn cgroup(needed: u64) -> Check {
    const NAME: &str = "control group";
    let groups = cgroup_path().map(|path| groups_above(&path)).unwrap_or_default();
    let limit = |file: &str| {
        let limits =
            groups.iter().filter_map(|group| Some((read_number(group.join(file)).ok()?, group.join(file))));
        limits.min_by_key(|(bytes, _)| *bytes)
    };
    match (limit("memory.max"), limit("memory.high")) {
        (Some((max, file)), _) if max < needed.saturating_mul(2) => {
            let found = format!("memory.max is {} MB", max / MB);
            let costs = "shared memory counts against it, and beyond it the OOM killer takes a session";
            let mend = format!("echo {} > {}", needed.saturating_mul(4), file.display());
            let check =
                if max < needed { Check::bad(NAME, found, costs) } else { Check::warn(NAME, found, costs) };
            check.mended_by(mend)
        }
        (_, Some((high, file))) if high < needed.saturating_mul(2) => {
            let found = format!("memory.high is {} MB", high / MB);
            Check::warn(NAME, found, "beyond it every process is slowed down until memory is freed")
                .mended_by(format!("echo max > {}", file.display()))
        }
        (Some((max, _)), _) => Check::ok(NAME, format!("memory.max is {} MB", max / MB)),
        (None, _) => Check::ok(NAME, "no limit of memory"),
    }
}

/// The folder of this process's group, version 2.
fn cgroup_path() -> Option<PathBuf> {
    let text = read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')))
}

/// It and those around it: the tightest limit holds.
fn groups_above(path: &Path) -> Vec<PathBuf> {
    path.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup")).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn buffers_have_units() {
        for (text, bytes) in [
            ("16384", Some(128 * MB)),
            ("128MB", Some(128 * MB)),
            ("1 GB", Some(1 << 30)),
            ("64kB", Some(64 << 10)),
            ("x", None),
            ("1XB", None),
            ("99999999999999TB", None),
        ] {
            assert_eq!(buffer_bytes(text), bytes, "{text}");
        }
    }

    #[test]
    fn huge_pages_are_counted() {
        let counts = |total, free| HugePageCounts { page_size: 2 * MB, total, free, reserved: 0 };
        assert_eq!(huge_pages(Some(counts(80, 80)), 152 * MB, false).verdict, Verdict::Ok);
        assert_eq!(huge_pages(Some(counts(80, 4)), 152 * MB, true).verdict, Verdict::Ok);
        let short = huge_pages(Some(counts(10, 4)), 152 * MB, false);
        assert_eq!(short, short.clone().mended_by("sysctl -w vm.nr_hugepages=82"));
        assert_eq!(shmem_huge_pages(ShmemHugePages::Never, true).verdict, Verdict::Ok);
        assert_eq!(shmem_huge_pages(ShmemHugePages::Never, false).verdict, Verdict::Warn);
    }

    #[test]
    fn groups_end_at_their_root() {
        let groups = groups_above(Path::new("/sys/fs/cgroup/a/b"));
        assert_eq!(groups.len(), 3);
    }
}
