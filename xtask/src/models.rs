//! `cargo xtask models`: the library's unit tests with the atomics and futexes of `src/sync.rs` replaced by a
//! model checker's, first loom's (every interleaving of small cases), then shuttle's (random ones of larger
//! cases).
//!
//! Each checker needs its own `--cfg`, so each builds into its own folder below the usual target folder;
//! otherwise every change between the two and an ordinary build would rebuild everything.

use anyhow::{Result, bail};

use crate::workspace;

const CHECKERS: [&str; 2] = ["loom", "shuttle"];

/// Asks the tests for the short exploration; they read it, we only pass it on.
const BOUNDED_VARIABLE: &str = "TUSKD_MODEL_BOUNDED";

/// Runs the tests whose name contains `filter` under both checkers and forwards what they print.
///
/// No model having run is an error: a filter that matches nothing would otherwise look like success.
pub fn run(bounded: bool, filter: Option<&str>) -> Result<()> {
    let mut models = 0;
    for checker in CHECKERS {
        let found = run_checker(checker, bounded, filter)?;
        println!("{checker}: {found} models");
        models += found;
    }
    if models == 0 {
        bail!("no test printed a line `model NAME: N executions`");
    }
    Ok(())
}

/// Runs the tests under one checker; returns how many models it explored.
fn run_checker(checker: &str, bounded: bool, filter: Option<&str>) -> Result<usize> {
    let mut command = workspace::cargo();
    command
        .args(["test", "--package", "tuskd", "--lib", "--release"])
        .arg("--target-dir")
        .arg(workspace::target_dir()?.join(format!("models-{checker}")))
        .args(filter)
        .args(["--", "--nocapture", "--test-threads=2"])
        .env("RUSTFLAGS", workspace::flags("RUSTFLAGS", &format!("--cfg model --cfg {checker}")));
    if bounded {
        command.env(BOUNDED_VARIABLE, "1");
    }
    let mut models = 0;
    let status = workspace::run_watched(&mut command, |line| {
        models += usize::from(reports_model(line));
    })?;
    if !status.success() {
        bail!("the tests under {checker} failed ({status})");
    }
    Ok(models)
}

/// Whether a test printed this line after exploring a model: `model NAME: N executions`.
fn reports_model(line: &str) -> bool {
    let Some((name, count)) = line.strip_prefix("model ").and_then(|rest| rest.rsplit_once(": ")) else {
        return false;
    };
    let count = count.strip_suffix(" executions").unwrap_or("");
    !name.is_empty() && count.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agreed_line_counts_as_a_model() {
        assert!(reports_model("model latch_set_wakes: 214 executions"));
        assert!(!reports_model("model latch_set_wakes: many executions"));
        assert!(!reports_model("test ipc::latch::model_set_wakes ... ok"));
        assert!(!reports_model("model : 3 executions"));
    }
}
