//! Where the workspace is, how to call cargo in it, and how to watch what a command prints.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The workspace's root folder. Cargo names xtask's own folder when it runs us; started by hand, we fall back
/// on the folder we were built in.
pub fn root() -> PathBuf {
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut root = PathBuf::from(manifest_dir);
    root.pop();
    root
}

/// A call of the cargo that started us, in the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// What `cargo metadata` says of the workspace's own packages.
pub fn metadata() -> Result<Value> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata's answer")
}

/// Cargo's target folder, wherever the environment or the configuration put it.
pub fn target_dir() -> Result<PathBuf> {
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
    Ok(folder.into())
}

/// The value of a flags variable (`RUSTFLAGS`, …) with `more` behind what the caller's environment already
/// asks for.
pub fn flags(variable: &str, more: &str) -> OsString {
    let mut flags = env::var_os(variable).unwrap_or_default();
    if !flags.is_empty() {
        flags.push(" ");
    }
    flags.push(more);
    flags
}

/// Runs `command` and forwards its standard output unchanged, showing each line to `watch` as well. Standard
/// error goes straight through.
pub fn run_watched(command: &mut Command, mut watch: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    let output = child.stdout.take().context("no pipe to the child")?;
    forward(BufReader::new(output), io::stdout(), &mut watch)?;
    Ok(child.wait()?)
}

/// Copies line by line, so that whoever reads along sees each as soon as it is there.
fn forward(mut from: impl BufRead, mut to: impl Write, watch: &mut impl FnMut(&str)) -> io::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        watch(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace_manifest() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn every_line_is_forwarded_and_shown() {
        let (mut lines, mut copy) = (Vec::new(), Vec::new());
        forward(&b"one\ntw\xff"[..], &mut copy, &mut |line: &str| lines.push(line.to_owned())).unwrap();
        assert_eq!(copy, b"one\ntw\xff");
        assert_eq!(lines, ["one", "tw\u{fffd}"]);
    }
}
