//! The figures our primitives must reach, and whether they do.

use super::results::{Estimate, Results};
use super::same_segments;

/// A figure to reach.
struct Target {
    /// The segments of the benchmark's id, in any order.
    subject: &'static [&'static str],
    limit: Limit,
}

enum Limit {
    /// At most this multiple of the benchmark with these segments.
    Ratio(f64, &'static [&'static str]),
    /// Not measurably slower than that one: the ratio's interval begins at 1 or below.
    NotSlower(&'static [&'static str]),
    /// Fewer than this many nanoseconds.
    Nanoseconds(f64),
}

const SIGNAL_SAME: &[&str] = &["latch_round_trip", "signal", "same_core"];
const SIGNAL_OTHER: &[&str] = &["latch_round_trip", "signal", "other_core"];

const TARGETS: [Target; 8] = [
    Target { subject: &["latch_round_trip", "latch", "same_core"], limit: Limit::Ratio(0.70, SIGNAL_SAME) },
    Target {
        subject: &["latch_round_trip", "latch_waitv", "same_core"],
        limit: Limit::Ratio(0.85, SIGNAL_SAME),
    },
    Target {
        subject: &["latch_round_trip", "latch_ring", "same_core"],
        limit: Limit::Ratio(0.85, SIGNAL_SAME),
    },
    Target { subject: &["latch_round_trip", "latch", "other_core"], limit: Limit::NotSlower(SIGNAL_OTHER) },
    Target {
        subject: &["latch_round_trip", "latch_waitv", "other_core"],
        limit: Limit::NotSlower(SIGNAL_OTHER),
    },
    Target {
        subject: &["latch_round_trip", "latch_ring", "other_core"],
        limit: Limit::NotSlower(SIGNAL_OTHER),
    },
    Target {
        subject: &["lwlock", "uncontended", "tuskd"],
        limit: Limit::Ratio(1.5, &["lwlock", "uncontended", "parking_lot"]),
    },
    Target { subject: &["latch_set"], limit: Limit::Nanoseconds(10.0) },
];

/// One line per target: `ok`, `MISSED`, or that the benchmark has not run.
pub fn lines(results: &Results) -> Vec<String> {
    let mut lines = Vec::new();
    for target in &TARGETS {
        let subjects = subjects(results, target.subject);
        if subjects.is_empty() {
            lines.push(format!("{:<9} {}", "not run", target.subject.join("/")));
        }
        for (id, estimate) in subjects {
            let (verdict, figures) = judge(results, estimate, &target.limit);
            lines.push(format!("{verdict:<9} {id}: {figures}"));
        }
    }
    lines
}

/// The benchmark with these segments; where only a group is named, all of the group.
fn subjects<'a>(results: &'a Results, segments: &[&str]) -> Vec<(&'a str, Estimate)> {
    let is_meant = |id: &str| match segments {
        [group] => id.split('/').next() == Some(group),
        _ => same_segments(id, segments),
    };
    let meant = results.iter().filter(|(id, _)| is_meant(id));
    meant.map(|(id, estimate)| (id.as_str(), *estimate)).collect()
}

fn judge(results: &Results, subject: Estimate, limit: &Limit) -> (&'static str, String) {
    let (is_met, figures) = match limit {
        Limit::Nanoseconds(limit) => {
            (subject.point < *limit, format!("{:.2} ns, to be under {limit} ns", subject.point))
        }
        Limit::Ratio(_, segments) | Limit::NotSlower(segments) => {
            let reference = segments.join("/");
            let Some((_, other)) = subjects(results, segments).pop() else {
                return ("not run", reference);
            };
            let ratio = subject.ratio(other);
            let shown = format!("{:.2} [{:.2}, {:.2}] of {reference}", ratio.point, ratio.low, ratio.high);
            match limit {
                Limit::Ratio(limit, _) => (ratio.point <= *limit, format!("{shown}, at most {limit:.2}")),
                _ => (ratio.low <= 1.0, format!("{shown}, not measurably slower")),
            }
        }
    };
    (if is_met { "ok" } else { "MISSED" }, figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(entries: &[(&str, f64)]) -> Results {
        let around = |point: f64| Estimate { low: point * 0.9, point, high: point * 1.1 };
        entries.iter().map(|(id, point)| ((*id).to_owned(), around(*point))).collect()
    }

    #[test]
    fn verdicts() {
        let lines = lines(&results(&[
            ("latch_round_trip/signal/same_core", 100.0),
            ("latch_round_trip/latch/same_core", 70.0),
            ("latch_round_trip/latch_ring/same_core", 90.0),
            ("latch_round_trip/signal/other_core", 100.0),
            ("latch_round_trip/latch/other_core", 110.0),
            ("latch_round_trip/latch_waitv/other_core", 130.0),
            ("lwlock/tuskd/uncontended", 16.0),
            ("latch_set/nobody_waits", 4.0),
        ]));
        let verdicts: Vec<_> = lines.iter().map(|line| line[..9].trim_end()).collect();
        assert_eq!(verdicts, ["ok", "not run", "MISSED", "ok", "MISSED", "not run", "not run", "ok"]);
    }
}
