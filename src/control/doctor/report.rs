//! Findings, and how they are printed.

use std::fmt::Write;

/// How bad a finding is, mildest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It costs something.
    Warn,
    /// A server should not run like this.
    Bad,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    costs: Option<String>,
    mend: Option<String>,
}

impl Check {
    /// Nothing to complain of.
    pub fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), costs: None, mend: None }
    }

    /// Something that costs.
    pub fn warn(name: &'static str, found: impl Into<String>, costs: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, costs: Some(costs.into()), ..Self::ok(name, found) }
    }

    /// Something that must not stay.
    pub fn bad(name: &'static str, found: impl Into<String>, costs: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::warn(name, found, costs) }
    }

    /// With the command that mends it.
    #[must_use]
    pub fn mended_by(self, command: impl Into<String>) -> Self {
        Self { mend: Some(command.into()), ..self }
    }
}

/// The worst of them.
pub fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
}

/// For people.
pub fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for check in checks {
        let _ = writeln!(text, "{:<4}  {:<22}  {}", check.verdict.word(), check.name, check.found);
        if let Some(costs) = &check.costs {
            let _ = writeln!(text, "      {:<22}  costs: {costs}", "");
        }
        if let Some(mend) = &check.mend {
            let _ = writeln!(text, "      {:<22}  mend:  {mend}", "");
        }
    }
    let number = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let (ok, warn, bad) = (number(Verdict::Ok), number(Verdict::Warn), number(Verdict::Bad));
    let _ = writeln!(text, "\n{ok} ok, {warn} to be improved, {bad} bad");
    text
}

/// For programs: `{"verdict": …, "checks": [{"name", "verdict", "found", "costs", "mend"}, …]}`; the last two may be null.
pub fn json(checks: &[Check]) -> String {
    let optional = |text: &Option<String>| text.as_deref().map_or_else(|| "null".to_owned(), string);
    let objects = checks.iter().map(|check| {
        let (name, verdict, found) = (string(check.name), string(check.verdict.word()), string(&check.found));
        let (costs, mend) = (optional(&check.costs), optional(&check.mend));
        format!(
            "{{\"name\":{name},\"verdict\":{verdict},\"found\":{found},\"costs\":{costs},\"mend\":{mend}}}"
        )
    });
    let objects: Vec<String> = objects.collect();
    format!("{{\"verdict\":{},\"checks\":[{}]}}\n", string(worst(checks).word()), objects.join(",\n"))
}

fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // Writing to a string cannot fail.
            c if c.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_counts() {
        let ok = Check::ok("a", "fine");
        let warn = Check::warn("b", "so so", "time").mended_by("do it");
        let bad = Check::bad("c", "\"no\"\n", "data");
        assert_eq!(worst(&[]), Verdict::Ok);
        assert_eq!(worst(&[warn.clone(), ok.clone()]), Verdict::Warn);
        let all = [ok, warn, bad];
        assert_eq!(worst(&all), Verdict::Bad);
        assert!(text(&all).ends_with("\n1 ok, 1 to be improved, 1 bad\n"));
        assert!(
            json(&all).contains(r#""found":"\"no\"\u000a","costs":"data","mend":null"#),
            "{}",
            json(&all)
        );
    }
}
