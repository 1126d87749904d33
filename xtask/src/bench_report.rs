//! `cargo xtask bench-report`: what `cargo bench` measured, read from criterion's files.
//!
//! Ratios come first, since they survive a change of machine; then the targets; then, in absolute figures,
//! what is compared with nothing. An id is taken as a list of segments, and which of them a bench made its
//! group, its function or its value does not matter.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace;
use results::{Estimate, Results};

mod results;
mod targets;

/// Which benchmarks are compared with which.
struct Comparison {
    /// The segments that the ids begin with.
    group: &'static str,
    /// The segment that is exchanged for the reference's; any, if none is named.
    subject: Option<&'static str>,
    references: &'static [&'static str],
}

const COMPARISONS: [Comparison; 5] = [
    Comparison { group: "latch_round_trip", subject: None, references: &["signal"] },
    Comparison { group: "lwlock", subject: Some("tuskd"), references: &["parking_lot", "pthread"] },
    Comparison { group: "condvar_broadcast", subject: Some("broadcast"), references: &["one_signal_each"] },
    Comparison { group: "queue", subject: Some("shm_queue"), references: &["pipe", "unix_socket"] },
    Comparison { group: "wait_set", subject: Some("io_uring"), references: &["epoll"] },
];

/// Prints the report; with the folder of an earlier run, also each figure's change against it.
pub fn run(baseline_dir: Option<&Path>) -> Result<()> {
    let folder = workspace::target_dir()?.join("criterion");
    let results = results::read(&folder).context("no results; run `cargo bench` first")?;
    let baseline = baseline_dir.map(results::read).transpose()?.unwrap_or_default();
    print!("{}", report(&results, &baseline));
    Ok(())
}

fn report(results: &Results, baseline: &Results) -> String {
    let mut text = String::from("ratios (below 1 is faster than the reference)\n");
    let mut compared = BTreeSet::new();
    for comparison in &COMPARISONS {
        for (id, reference) in comparison.pairs(results) {
            text += &format!("  {}\n", ratio_line(id, reference, results, baseline));
            compared.extend([id, reference]);
        }
    }
    text += "targets\n";
    for line in targets::lines(results) {
        text += &format!("  {line}\n");
    }
    text += "absolute figures of the others\n";
    for (id, estimate) in results.iter().filter(|(id, _)| !compared.contains(id.as_str())) {
        let bounds = format!("[{}, {}]", time(estimate.low), time(estimate.high));
        text += &format!(
            "  {id:<44} {:>10}  {bounds}{}\n",
            time(estimate.point),
            change(id, *estimate, baseline)
        );
    }
    text
}

impl Comparison {
    /// The ids of all benchmarks of this group with those of their references, as far as both have run.
    fn pairs<'a>(&self, results: &'a Results) -> Vec<(&'a str, &'a str)> {
        let mut pairs = Vec::new();
        for reference in self.references {
            let members = results.keys().filter(|id| id.split('/').next() == Some(self.group));
            pairs.extend(
                members.filter_map(|id| Some((id.as_str(), self.reference_of(id, reference, results)?))),
            );
        }
        pairs
    }

    /// The benchmark whose id differs from `id` in one segment only, which is `reference` there.
    fn reference_of<'a>(&self, id: &str, reference: &str, results: &'a Results) -> Option<&'a str> {
        let segments: Vec<_> = id.split('/').collect();
        (1..segments.len()).find_map(|at| {
            let is_subject = self.subject.is_none_or(|subject| subject == segments[at]);
            if !is_subject || segments[at] == reference {
                return None;
            }
            let mut wanted = segments.clone();
            wanted[at] = reference;
            results.get_key_value(&wanted.join("/")).map(|(id, _)| id.as_str())
        })
    }
}

fn ratio_line(id: &str, reference: &str, results: &Results, baseline: &Results) -> String {
    let (subject, other) = (results[id], results[reference]);
    let ratio = subject.ratio(other);
    let bounds = format!("[{:.2}, {:.2}]", ratio.low, ratio.high);
    let figures = format!("{} against {}", time(subject.point), time(other.point));
    let change = change(id, subject, baseline);
    format!("{id:<44} {:>5.2} {bounds:<14} of {reference} ({figures}){change}", ratio.point)
}

/// How a figure changed against the earlier run, if that has it.
fn change(id: &str, now: Estimate, baseline: &Results) -> String {
    let Some(before) = baseline.get(id) else {
        return String::new();
    };
    let percent = 100.0 * (now.point / before.point - 1.0);
    format!("  {percent:+.1} % against the baseline")
}

/// Whether `id` consists of exactly these segments, in any order.
fn same_segments(id: &str, segments: &[&str]) -> bool {
    let mut found: Vec<_> = id.split('/').collect();
    let mut wanted = segments.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    found == wanted
}

fn time(nanoseconds: f64) -> String {
    let (figure, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    format!("{figure:.2} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(entries: &[(&str, f64)]) -> Results {
        let exactly = |point| Estimate { low: point, point, high: point };
        entries.iter().map(|(id, point)| ((*id).to_owned(), exactly(*point))).collect()
    }

    #[test]
    fn ratios_targets_and_the_rest() {
        let now = results(&[
            ("latch_round_trip/signal/same_core", 5000.0),
            ("latch_round_trip/latch/same_core", 2500.0),
            ("queue/64B/shm_queue", 100.0),
            ("queue/64B/pipe", 400.0),
            ("crc32c/8KiB", 300.0),
        ]);
        let before = results(&[("crc32c/8KiB", 200.0)]);
        let text = report(&now, &before);
        let line = |start: &str| text.lines().find(|line| line.trim_start().starts_with(start)).unwrap();
        assert!(line("latch_round_trip/latch").contains(" 0.50 [0.50, 0.50] "));
        assert!(line("queue/64B/shm_queue").contains("of queue/64B/pipe (100.00 ns against 400.00 ns)"));
        assert!(line("crc32c/8KiB").ends_with("+50.0 % against the baseline"));
        assert_eq!(text.matches("crc32c").count(), 1);
    }

    #[test]
    fn the_order_of_segments_does_not_matter() {
        let lwlocks = results(&[("lwlock/tuskd/shared_2", 1.0), ("lwlock/pthread/shared_2", 2.0)]);
        assert_eq!(COMPARISONS[1].pairs(&lwlocks), [("lwlock/tuskd/shared_2", "lwlock/pthread/shared_2")]);
        assert!(same_segments("lwlock/shared_2/tuskd", &["lwlock", "tuskd", "shared_2"]));
        assert!(!same_segments("lwlock/tuskd", &["lwlock", "tuskd", "shared_2"]));
    }

    #[test]
    fn times_have_fitting_units() {
        assert_eq!(
            [time(9.5), time(1234.0), time(2e6), time(3e9)],
            ["9.50 ns", "1.23 µs", "2.00 ms", "3.00 s"]
        );
    }
}
