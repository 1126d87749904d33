//! `tuskd checksums`, `pg_checksums`: whether every page of a stopped server's relations is what was written there.
//!
//! Checksums are always on, so there is nothing to enable, and disabling them is refused.

mod scan;

use std::path::PathBuf;

use super::controldata;
use super::data_directory;
use super::getopt::{self, Opt, Parsed, flag, long_value, value};
use super::help;
use super::instance::{self, Found};
use super::program::{Failure, Outcome, Program, say};
use crate::access::control_file::{CHECKSUM_VERSION, DbState};
use scan::{Counts, Scan};

const OPTIONS: &[Opt] = &[
    flag('c', "check"),
    flag('d', "disable"),
    flag('e', "enable"),
    value('D', "pgdata"),
    value('f', "filenode"),
    flag('N', "no-sync"),
    flag('P', "progress"),
    long_value("sync-method"),
    flag('v', "verbose"),
    flag('V', "version"),
    flag('?', "help"),
];

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Check,
    Disable,
    Enable,
}

/// The command; `fallback` is where it looks if nobody says.
pub fn main(program: &Program, args: &[String], fallback: Option<&str>) -> Outcome {
    let parsed = getopt::parse(OPTIONS, false, args).map_err(Failure::getopt)?;
    if parsed.has("help") {
        say(&help::checksums(program));
        return Ok(0);
    }
    if parsed.has("version") {
        say(&help::version(program.name));
        return Ok(0);
    }
    let mode = mode(&parsed);
    let filenode = parsed.last("filenode").map(filenode).transpose()?;
    let data_dir = directory(&parsed, fallback)?;
    if mode != Mode::Check && filenode.is_some() {
        return Err(Failure::usage("option -f/--filenode can only be used with --check"));
    }
    let control = controldata::read(&data_dir)?;
    let runs = matches!(instance::find(&data_dir), Ok(Found::Running(..)));
    if runs || !matches!(control.state, DbState::ShutDown | DbState::ShutDownInRecovery) {
        return Err(Failure::new("cluster must be shut down"));
    }
    match mode {
        Mode::Enable => Err(Failure::new("data checksums are already enabled in cluster")),
        Mode::Disable => Err(Failure::new("data checksums cannot be disabled")
            .with_detail("tuskd writes every page with a checksum, and reads none without.")),
        Mode::Check => {
            let verbose = parsed.has("verbose");
            let scan = Scan { program, data_dir, filenode, verbose, progress: parsed.has("progress") };
            Ok(told(&scan.run()?))
        }
    }
}

/// The last one that was given; to check if none was.
fn mode(parsed: &Parsed) -> Mode {
    let modes = parsed.options.iter().rev().find_map(|(id, _)| match *id {
        "check" => Some(Mode::Check),
        "disable" => Some(Mode::Disable),
        "enable" => Some(Mode::Enable),
        _ => None,
    });
    modes.unwrap_or(Mode::Check)
}

fn filenode(text: &str) -> Result<u32, Failure> {
    let number = text
        .trim()
        .parse::<i64>()
        .map_err(|_| Failure::new(format!("invalid value \"{text}\" for option {}", "-f/--filenode")))?;
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=i32::MAX as u32).contains(number))
        .ok_or_else(|| Failure::new(format!("-f/--filenode must be in range {}..{}", 1, i32::MAX)))
}

fn directory(parsed: &Parsed, fallback: Option<&str>) -> Result<PathBuf, Failure> {
    let mut operands = parsed.operands.iter();
    let option = parsed.last("pgdata").or_else(|| operands.next().map(String::as_str));
    let named = data_directory::named(option, fallback);
    let data_dir = named.ok_or_else(|| Failure::usage("no data directory specified"))?;
    match operands.next() {
        Some(operand) => {
            Err(Failure::usage(format!("too many command-line arguments (first is \"{operand}\")")))
        }
        None => Ok(data_dir),
    }
}

/// What was found; the exit code.
fn told(counts: &Counts) -> u8 {
    say(&format!(
        "Checksum operation completed\nFiles scanned:   {}\nBlocks scanned:  {}\nBad checksums:  {}\n\
         Data checksum version: {CHECKSUM_VERSION}\n",
        counts.files, counts.blocks, counts.bad
    ));
    u8::from(counts.bad > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::program::Style;

    fn failure(args: &[&str]) -> String {
        let program = Program::new("pg_checksums", "pg_checksums", "pg_checksums", Style::Tagged);
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        program.render(&main(&program, &args, Some("/nonexistent")).unwrap_err())
    }

    #[test]
    fn wrong_arguments_are_told() {
        for (args, expected) in [
            (&["-f", "abc"][..], "error: invalid value \"abc\" for option -f/--filenode"),
            (&["-f", "0"], "error: -f/--filenode must be in range 1..2147483647"),
            (&["-e", "-f", "5"], "error: option -f/--filenode can only be used with --check"),
            (&["a", "b"], "error: too many command-line arguments (first is \"b\")"),
            (&["-x"], "invalid option -- 'x'"),
            (&["/nonexistent"], "error: could not open file \"global/pg_control\""),
        ] {
            let told = failure(args);
            assert!(told.contains(expected), "{args:?}: {told}");
        }
    }
}
