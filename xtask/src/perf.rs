//! `cargo xtask perf`: where a bench, or any command, spends its time.
//!
//! It samples with the `cpu-clock` software event, which needs no hardware counters and so works in virtual
//! machines too, and unwinds by DWARF, so that nothing has to be built with frame pointers. Children are
//! followed; but a process that lives shorter than a millisecond is hardly ever sampled.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use inferno::collapse::Collapse;
use inferno::collapse::perf::Folder;
use inferno::flamegraph;
use serde_json::Value;

use crate::workspace;

/// Odd, so that sampling does not fall into step with anything that happens a thousand times a second.
const SAMPLES_PER_SECOND: &str = "997";

const TOP: usize = 20;

/// What to profile, and where to put the flame graph.
#[derive(clap::Args)]
pub struct Arguments {
    /// Profile this bench; criterion then only repeats it, and measures nothing.
    #[arg(long, value_name = "NAME", required_unless_present = "command", conflicts_with = "command")]
    bench: Option<String>,
    /// Only benchmarks whose id contains this.
    #[arg(requires = "bench")]
    filter: Option<String>,
    /// Profile this command.
    #[arg(last = true)]
    command: Vec<OsString>,
    /// Where to put the flame graph.
    #[arg(long, value_name = "FILE.svg", default_value = "flamegraph.svg")]
    out: PathBuf,
}

/// Records, writes the flame graph, and prints the functions that took most time themselves.
pub fn run(arguments: &Arguments) -> Result<()> {
    let command = match &arguments.bench {
        Some(bench) => bench_command(bench, arguments.filter.as_deref())?,
        None => arguments.command.clone(),
    };
    let folder = workspace::target_dir()?.join("perf");
    fs::create_dir_all(&folder)?;
    let recording = folder.join("perf.data");
    record(&command, &recording)?;
    let stacks = fold(&recording)?;
    if stacks.is_empty() {
        bail!("perf took no samples; did the command run long enough?");
    }
    print_top(&stacks);
    let mut options = flamegraph::Options::default();
    options.title = describe(&command);
    options.count_name = "ns".to_owned();
    let svg = BufWriter::new(File::create(&arguments.out).context("creating the flame graph")?);
    flamegraph::from_lines(&mut options, stacks.lines(), svg)?;
    println!("flame graph: {}", arguments.out.display());
    Ok(())
}

/// Builds the bench and returns the command line that runs it for five seconds.
fn bench_command(bench: &str, filter: Option<&str>) -> Result<Vec<OsString>> {
    let output = workspace::cargo()
        .args(["bench", "--package", "tuskd", "--no-run", "--message-format=json", "--bench", bench])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo bench")?;
    if !output.status.success() {
        bail!("building the bench {bench} failed ({})", output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = executable(&messages, bench).with_context(|| format!("cargo built no bench {bench}"))?;
    let mut command = vec![executable.into(), "--bench".into()];
    command.extend(filter.map(OsString::from));
    command.extend(["--profile-time".into(), "5".into()]);
    Ok(command)
}

/// The bench's executable, as cargo's messages name it.
fn executable(messages: &str, bench: &str) -> Option<String> {
    let mut artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == bench && message["target"]["kind"][0] == "bench");
    artifacts.find_map(|message| message["executable"].as_str().map(str::to_owned))
}

fn record(command: &[OsString], recording: &Path) -> Result<()> {
    let result = Command::new("perf")
        .args(["record", "-e", "cpu-clock", "-F", SAMPLES_PER_SECOND, "--call-graph", "dwarf", "-o"])
        .arg(recording)
        .arg("--")
        .args(command)
        .status();
    let status = match result {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("perf is not installed (Debian: apt-get install linux-perf; Ubuntu: linux-tools-generic)")
        }
        other => other.context("starting perf")?,
    };
    if !status.success() {
        bail!(
            "perf record failed ({status}); without root, /proc/sys/kernel/perf_event_paranoid must be 1 or less"
        );
    }
    Ok(())
}

/// Asks perf for the samples and folds them: one line `outermost;…;innermost NANOSECONDS` per different
/// stack, since each sample of this event stands for the time since the one before.
fn fold(recording: &Path) -> Result<String> {
    // Resolving inlined functions starts an addr2line per address, which takes minutes.
    let mut script = Command::new("perf")
        .args(["script", "--no-inline", "--force", "-i"])
        .arg(recording)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting perf script")?;
    let samples = BufReader::new(script.stdout.take().context("no pipe to perf script")?);
    let mut folded = Vec::new();
    Folder::default().collapse(samples, &mut folded)?;
    let status = script.wait()?;
    if !status.success() {
        bail!("perf script failed ({status})");
    }
    Ok(String::from_utf8(folded)?)
}

/// The innermost functions of all stacks with the time spent in them, the longest first.
fn self_times(stacks: &str) -> Vec<(&str, u64)> {
    let mut functions: Vec<(&str, u64)> = Vec::new();
    for line in stacks.lines() {
        let Some((stack, count)) = line.rsplit_once(' ') else { continue };
        let function = stack.rsplit(';').next().unwrap_or(stack);
        let count = count.parse().unwrap_or(0);
        match functions.iter_mut().find(|(known, _)| *known == function) {
            Some((_, sum)) => *sum += count,
            None => functions.push((function, count)),
        }
    }
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    functions
}

fn print_top(stacks: &str) {
    let functions = self_times(stacks);
    let total: u64 = functions.iter().map(|(_, count)| count).sum();
    println!("{:.1} ms of CPU time; functions by the time spent in themselves:", total as f64 / 1e6);
    for (function, count) in functions.iter().take(TOP) {
        let percent = 100.0 * *count as f64 / total as f64;
        println!("{percent:>6.2} %  {function}");
    }
}

fn describe(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_time_belongs_to_the_innermost_function() {
        let stacks = "main;a;b 3\nmain;a 1\nmain;c;b 2\nmain;c;operator new(x) 4\n";
        assert_eq!(self_times(stacks), [("b", 5), ("operator new(x)", 4), ("a", 1)]);
    }

    #[test]
    fn the_executable_is_the_one_of_the_bench() {
        let messages = r#"{"target":{"name":"ipc","kind":["lib"]},"executable":null}
{"target":{"name":"ipc","kind":["bench"]},"executable":"/t/ipc-1"}
{"reason":"build-finished"}"#;
        assert_eq!(executable(messages, "ipc").as_deref(), Some("/t/ipc-1"));
        assert_eq!(executable(messages, "wal"), None);
    }
}
