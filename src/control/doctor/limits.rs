//! What one user's processes may have.

use rustix::process::{Resource, getrlimit};

use super::report::Check;

/// A limit, what it is for, and when it hurts.
struct Limit {
    name: &'static str,
    resource: Resource,
    /// Less costs something.
    wanted: u64,
    /// Less does not do.
    needed: u64,
    costs: &'static str,
    shell: &'static str,
    systemd: &'static str,
    /// Bytes are printed as kB.
    is_bytes: bool,
}

const LIMITS: [Limit; 3] = [
    Limit {
        name: "RLIMIT_NOFILE",
        resource: Resource::Nofile,
        wanted: 4096,
        needed: 256,
        costs: "with many connections the postmaster runs out of descriptors, and sessions close and open files",
        shell: "ulimit -n 65536",
        systemd: "LimitNOFILE=65536",
        is_bytes: false,
    },
    Limit {
        name: "RLIMIT_MEMLOCK",
        resource: Resource::Memlock,
        wanted: 8 << 20,
        needed: 0,
        costs: "with many busy sessions the later ones wait without io_uring, in more system calls",
        shell: "ulimit -l unlimited",
        systemd: "LimitMEMLOCK=infinity",
        is_bytes: true,
    },
    Limit {
        name: "RLIMIT_NPROC",
        resource: Resource::Nproc,
        wanted: 1024,
        needed: 150,
        costs: "each connection is a process of the same user: fork fails beyond the limit",
        shell: "ulimit -u 4096",
        systemd: "TasksMax=infinity and LimitNPROC=infinity",
        is_bytes: false,
    },
];

/// The limits of whoever starts the server from where this runs.
pub fn checks() -> Vec<Check> {
    LIMITS.iter().map(|limit| judge(limit, getrlimit(limit.resource).current)).collect()
}

fn judge(limit: &Limit, current: Option<u64>) -> Check {
    let Some(current) = current else {
        return Check::ok(limit.name, "unlimited");
    };
    let found = if limit.is_bytes { format!("{} kB", current / 1024) } else { current.to_string() };
    let mend = format!("{} (systemd: {})", limit.shell, limit.systemd);
    match current {
        current if current >= limit.wanted => Check::ok(limit.name, found),
        current if current >= limit.needed => Check::warn(limit.name, found, limit.costs).mended_by(mend),
        _ => Check::bad(limit.name, found, limit.costs).mended_by(mend),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn each_limit_has_three_regions() {
        for limit in &LIMITS {
            assert_eq!(judge(limit, None).verdict, Verdict::Ok);
            assert_eq!(judge(limit, Some(limit.wanted)).verdict, Verdict::Ok);
            assert_eq!(judge(limit, Some(limit.wanted - 1)).verdict, Verdict::Warn);
            if let Some(less) = limit.needed.checked_sub(1) {
                assert_eq!(judge(limit, Some(less)).verdict, Verdict::Bad);
            }
        }
    }
}
