//! Prometheus's text format, version 0.0.4. Where the values come from is not known here.
//!
//! A metric is begun by [`MetricsText::counter`], [`MetricsText::gauge`] or [`MetricsText::histogram`], and its samples
//! follow at once, so that all of them stand together as the format wants it.

use std::fmt::{self, Write as _};

/// The `Content-Type` of an answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Names and values of a sample's labels.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// A page of metrics that grows downwards.
#[derive(Debug, Default)]
pub struct MetricsText {
    text: String,
    names: Vec<&'static str>,
}

/// A value: whole numbers are exact.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    /// A count.
    Integer(u64),
    /// Anything else, infinite or not a number too.
    Float(f64),
}

/// Takes the samples of one counter or gauge.
#[derive(Debug)]
pub struct Samples<'a> {
    page: &'a mut MetricsText,
    name: &'static str,
}

/// Takes the samples of one histogram.
#[derive(Debug)]
pub struct Histogram<'a> {
    page: &'a mut MetricsText,
    name: &'static str,
}

impl MetricsText {
    /// An empty page.
    pub const fn new() -> Self {
        Self { text: String::new(), names: Vec::new() }
    }

    /// Something that only grows; its name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Samples<'_> {
        debug_assert!(name.ends_with("_total"), "{name}: a counter's name ends in _total");
        self.begin(name, "counter", help);
        Samples { page: self, name }
    }

    /// Something that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Samples<'_> {
        self.begin(name, "gauge", help);
        Samples { page: self, name }
    }

    /// How often values fell into which ranges.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> Histogram<'_> {
        self.begin(name, "histogram", help);
        Histogram { page: self, name }
    }

    /// The page.
    pub fn finish(self) -> String {
        self.text
    }

    fn begin(&mut self, name: &'static str, kind: &str, help: &str) {
        debug_assert!(is_name(name, ":"), "{name} is no metric's name");
        debug_assert!(!self.names.contains(&name), "{name} comes twice");
        self.names.push(name);
        self.text.push_str("# HELP ");
        self.text.push_str(name);
        self.text.push(' ');
        append_escaped(help, false, &mut self.text);
        let _ = writeln!(self.text, "\n# TYPE {name} {kind}");
    }

    /// One line: name, suffix, labels, one label more, value.
    fn line(
        &mut self,
        name: [&str; 2],
        labels: Labels<'_>,
        extra: Option<(&'static str, &str)>,
        value: Value,
    ) {
        self.text.push_str(name[0]);
        self.text.push_str(name[1]);
        let mut before = '{';
        for (label, text) in labels.iter().copied().chain(extra) {
            debug_assert!(is_name(label, ""), "{label} is no label's name");
            self.text.push(before);
            self.text.push_str(label);
            self.text.push_str("=\"");
            append_escaped(text, true, &mut self.text);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

impl Samples<'_> {
    /// Adds a sample; no two of one metric have the same labels.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Into<Value>) -> &mut Self {
        self.page.line([self.name, ""], labels, None, value.into());
        self
    }
}

impl Histogram<'_> {
    /// Adds a histogram. `buckets` are upper bounds, ascending, each with the count of values at or below it and above
    /// the bound before; `count` is that of all values, those above the last bound too, and `sum` their sum.
    pub fn sample(&mut self, labels: Labels<'_>, buckets: &[(f64, u64)], count: u64, sum: f64) -> &mut Self {
        let mut so_far = 0_u64;
        for (bound, here) in buckets {
            so_far = so_far.saturating_add(*here);
            let bound = Value::Float(*bound).to_string();
            self.page.line([self.name, "_bucket"], labels, Some(("le", &bound)), so_far.into());
        }
        // Counters that others are writing meanwhile may not add up; a histogram must never descend.
        let count = count.max(so_far);
        if buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.page.line([self.name, "_bucket"], labels, Some(("le", "+Inf")), count.into());
        }
        self.page.line([self.name, "_sum"], labels, None, sum.into());
        self.page.line([self.name, "_count"], labels, None, count.into());
        self
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) if number.is_nan() => f.write_str("NaN"),
            Self::Float(number) if *number == f64::INFINITY => f.write_str("+Inf"),
            Self::Float(number) if *number == f64::NEG_INFINITY => f.write_str("-Inf"),
            Self::Float(number) => number.fmt(f),
        }
    }
}

fn is_name(name: &str, also: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || also.contains(c);
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

/// Quotes are escaped in labels only.
fn append_escaped(text: &str, is_label: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_label => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_gauges() {
        let mut page = MetricsText::new();
        page.counter("tuskd_connections_total", "Connections\\accepted,\nall \"kinds\".")
            .sample(&[], u64::MAX);
        page.gauge("tuskd_processes", "Processes.")
            .sample(&[("kind", "client backend"), ("state", "a\"b\\c\nd")], 3_u32)
            .sample(&[("kind", "größe")], 0.25)
            .sample(&[], true);
        assert_eq!(
            page.finish(),
            concat!(
                "# HELP tuskd_connections_total Connections\\\\accepted,\\nall \"kinds\".\n",
                "# TYPE tuskd_connections_total counter\n",
                "tuskd_connections_total 18446744073709551615\n",
                "# HELP tuskd_processes Processes.\n",
                "# TYPE tuskd_processes gauge\n",
                "tuskd_processes{kind=\"client backend\",state=\"a\\\"b\\\\c\\nd\"} 3\n",
                "tuskd_processes{kind=\"größe\"} 0.25\n",
                "tuskd_processes 1\n",
            )
        );
    }

    #[test]
    fn histograms_are_cumulative_and_never_descend() {
        let mut page = MetricsText::new();
        page.histogram("tuskd_wait_seconds", "Waits.")
            .sample(&[("event", "CheckpointDone")], &[(0.001, 2), (0.1, 0), (10.0, 5)], 9, 12.5)
            .sample(&[], &[(1.0, 4), (f64::INFINITY, 1)], 3, f64::NAN);
        assert_eq!(
            page.finish(),
            concat!(
                "# HELP tuskd_wait_seconds Waits.\n",
                "# TYPE tuskd_wait_seconds histogram\n",
                "tuskd_wait_seconds_bucket{event=\"CheckpointDone\",le=\"0.001\"} 2\n",
                "tuskd_wait_seconds_bucket{event=\"CheckpointDone\",le=\"0.1\"} 2\n",
                "tuskd_wait_seconds_bucket{event=\"CheckpointDone\",le=\"10\"} 7\n",
                "tuskd_wait_seconds_bucket{event=\"CheckpointDone\",le=\"+Inf\"} 9\n",
                "tuskd_wait_seconds_sum{event=\"CheckpointDone\"} 12.5\n",
                "tuskd_wait_seconds_count{event=\"CheckpointDone\"} 9\n",
                "tuskd_wait_seconds_bucket{le=\"1\"} 4\n",
                "tuskd_wait_seconds_bucket{le=\"+Inf\"} 5\n",
                "tuskd_wait_seconds_sum NaN\n",
                "tuskd_wait_seconds_count 5\n",
            )
        );
    }

    #[test]
    fn values() {
        let cases = [
            (Value::from(7_u32), "7"),
            (Value::from(-0.5), "-0.5"),
            (Value::from(f64::INFINITY), "+Inf"),
            (Value::from(f64::NEG_INFINITY), "-Inf"),
            (Value::from(f64::NAN), "NaN"),
            (Value::from(false), "0"),
        ];
        for (value, expected) in cases {
            assert_eq!(value.to_string(), expected);
        }
    }

    #[test]
    fn names() {
        let cases = [("a_b9", true), ("_x", true), ("a:b", true), ("9a", false), ("a-b", false), ("", false)];
        for (name, expected) in cases {
            assert_eq!(is_name(name, ":"), expected, "{name}");
        }
        assert!(!is_name("a:b", ""));
    }

    #[test]
    #[should_panic(expected = "comes twice")]
    fn a_metric_comes_once() {
        let mut page = MetricsText::new();
        page.gauge("x", "");
        page.gauge("x", "");
    }
}
