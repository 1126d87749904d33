//! Processors: how many, and whether they run at their speed.

use std::fs::read_to_string;

use super::report::Check;

const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

/// Everything that is known of the processors.
pub fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    if let Ok(cpus) = std::thread::available_parallelism() {
        checks.push(count(cpus.get()));
    }
    checks.push(governor(read_to_string(GOVERNOR).ok().as_deref().map(str::trim)));
    checks
}

fn count(cpus: usize) -> Check {
    const NAME: &str = "processors";
    if cpus > 1 {
        return Check::ok(NAME, format!("{cpus}"));
    }
    let costs = "client, session and disk take turns on one processor";
    Check::warn(NAME, "1", costs).mended_by("taskset -pc 0-N PID, or a bigger machine or CPU quota")
}

fn governor(governor: Option<&str>) -> Check {
    const NAME: &str = "frequency governor";
    match governor {
        None => Check::ok(NAME, "not shown (usual in virtual machines)"),
        Some("powersave" | "ondemand" | "conservative") => Check::warn(
            NAME,
            governor.unwrap_or_default(),
            "a processor that slept wakes slowly, and short statements end before it is fast",
        )
        .mended_by("cpupower frequency-set -g performance"),
        Some(other) => Check::ok(NAME, other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn slow_governors_are_named() {
        assert_eq!(governor(Some("powersave")).verdict, Verdict::Warn);
        assert_eq!(governor(Some("performance")).verdict, Verdict::Ok);
        assert_eq!(governor(None).verdict, Verdict::Ok);
        assert_eq!((count(1).verdict, count(2).verdict), (Verdict::Warn, Verdict::Ok));
    }
}
