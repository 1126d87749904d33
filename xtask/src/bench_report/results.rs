//! What criterion left on disk: one folder per benchmark, in it `new/benchmark.json` and
//! `new/estimates.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// Benchmarks by their full id, `group/function/value`.
pub type Results = BTreeMap<String, Estimate>;

/// Nanoseconds per iteration, or a ratio of two such times, with the bounds of the confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The lower bound.
    pub low: f64,
    /// Criterion's typical figure: the slope where it sampled linearly, else the mean.
    pub point: f64,
    /// The upper bound.
    pub high: f64,
}

impl Estimate {
    /// How this compares with `reference`; the bounds assume the worst of both intervals.
    pub fn ratio(self, reference: Estimate) -> Estimate {
        Estimate {
            low: self.low / reference.high,
            point: self.point / reference.point,
            high: self.high / reference.low,
        }
    }
}

/// Reads all results below `folder`. What criterion calls `base`, the run before, is left out.
pub fn read(folder: &Path) -> Result<Results> {
    let mut results = Results::new();
    read_below(folder, &mut results)?;
    Ok(results)
}

fn read_below(folder: &Path, results: &mut Results) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let is_result = path.ends_with("new") && path.join("estimates.json").exists();
        if is_result {
            let benchmark = json(&path.join("benchmark.json"))?;
            let estimates = json(&path.join("estimates.json"))?;
            let (id, estimate) =
                parse(&benchmark, &estimates).with_context(|| format!("unknown form: {}", path.display()))?;
            results.insert(id, estimate);
        } else {
            read_below(&path, results)?;
        }
    }
    Ok(())
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}

fn parse(benchmark: &Value, estimates: &Value) -> Option<(String, Estimate)> {
    let typical = if estimates["slope"].is_null() { &estimates["mean"] } else { &estimates["slope"] };
    let interval = &typical["confidence_interval"];
    let estimate = Estimate {
        low: interval["lower_bound"].as_f64()?,
        point: typical["point_estimate"].as_f64()?,
        high: interval["upper_bound"].as_f64()?,
    };
    Some((benchmark["full_id"].as_str()?.to_owned(), estimate))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_slope_is_preferred_to_the_mean() {
        let benchmark = json!({ "full_id": "a/b" });
        let of = |point: f64| {
            json!({
                "point_estimate": point,
                "confidence_interval": { "lower_bound": point - 1.0, "upper_bound": point + 1.0 }
            })
        };
        let with_slope = json!({ "mean": of(5.0), "slope": of(4.0) });
        let without = json!({ "mean": of(5.0), "slope": null });
        assert_eq!(
            parse(&benchmark, &with_slope),
            Some(("a/b".into(), Estimate { low: 3.0, point: 4.0, high: 5.0 }))
        );
        assert_eq!(parse(&benchmark, &without).unwrap().1.point, 5.0);
        assert_eq!(parse(&benchmark, &json!({})), None);
    }

    #[test]
    fn a_ratio_is_as_uncertain_as_both_its_parts() {
        let a = Estimate { low: 8.0, point: 10.0, high: 12.0 };
        let b = Estimate { low: 16.0, point: 20.0, high: 32.0 };
        assert_eq!(a.ratio(b), Estimate { low: 0.25, point: 0.5, high: 0.75 });
    }
}
